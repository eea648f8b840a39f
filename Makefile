# Everything a developer runs. Needs Python 3.11, git, make and package registries; nothing else is installed
# outside this folder and the user's caches.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKERS ?= 2
ROUNDS ?= 20

VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

WEB_SOURCES := $(shell find graphql/web -name node_modules -prune -o -type f -print)
CODE := cmdb discovery impact graphql/cmdb_graphql tests benchmarks hatch_build.py
INSTALL_LOCK := $(BIN)/python -m pip install --quiet --no-deps --only-binary :all: --require-hashes

.PHONY: help demo test check bench soak lock clean

help:
	@echo "make demo    the service with a demo estate and this machine's inventory, until Ctrl-C (DEMO_EXIT=1: stop after the answers)"
	@echo "make test    all tests (TESTS=path one of them, WORKERS=$(WORKERS))"
	@echo "make check   lint, format, types, rooms, exported schema and reference in step"
	@echo "make bench   all measurements into benchmarks/results/latest.json (ONLY=name one of them)"
	@echo "make soak    rounds of kill -9 of the service and of Neo4j under writes (ROUNDS=$(ROUNDS))"
	@echo "make lock    bring the locks in step with pyproject.toml (UPGRADE=1: to the newest allowed versions)"
	@echo "make clean   remove what the above made in this folder"

demo: $(VENV)/.project
	@$(BIN)/python -m cmdb.demo

test: $(VENV)/.project $(VENV)/.development
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

check: $(VENV)/.project $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/python -m cmdb_graphql.export --check
	$(BIN)/python docs/reference.py --check

bench: $(VENV)/.project $(VENV)/.development
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

soak: $(VENV)/.project $(VENV)/.development
	$(BIN)/python -m tests.faults.kill_rounds --rounds $(ROUNDS)

# Stamps: pip runs only when a lock, pyproject.toml or the browser pages' sources changed.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer was not found on PATH; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"{sys.executable} is Python {sys.version.split()[0]}; 3.11 or newer is needed: set PYTHON=/path/to/python3.11")'
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.runtime: requirements.lock | $(BIN)/python
	@echo "Installing the locked dependencies into $(VENV) ..."
	$(INSTALL_LOCK) -r requirements.lock
	@touch $@

$(VENV)/.project: $(VENV)/.runtime pyproject.toml hatch_build.py $(WEB_SOURCES)
	@echo "Installing cmdb itself (editable), and building its browser pages if they changed ..."
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@echo "Compiling the kernels of the impact engine ..."
	$(BIN)/python -m impact.warming
	@# Without the pages this is not done for good.
	@test "$$CMDB_WEB_SKIP" = 1 || touch $@

$(VENV)/.development: $(VENV)/.runtime requirements-dev.lock
	@echo "Installing the locked development tools into $(VENV) ..."
	$(INSTALL_LOCK) -r requirements-dev.lock
	@touch $@

# Hashes of every file of every pinned version, for every platform and Python from 3.11 on, and no addresses: each
# machine takes the packages from the registry it is set up for. The tool lives in an environment thrown away after.
lock:
	@set -e; tool=$$(mktemp -d); trap 'rm -rf "$$tool"' EXIT; \
	"$(PYTHON)" -m venv "$$tool" && "$$tool/bin/python" -m pip install --quiet 'uv>=0.13,<0.14'; \
	set -- --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all: \
		--no-emit-index-url --no-emit-find-links --no-annotate $(if $(UPGRADE),--upgrade) --custom-compile-command 'make lock'; \
	"$$tool/bin/uv" pip compile "$$@" --output-file requirements.lock pyproject.toml; \
	"$$tool/bin/uv" pip compile "$$@" --output-file requirements-dev.lock --constraint requirements.lock \
		--group dev pyproject.toml

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .demo
	rm -rf graphql/cmdb_graphql/static graphql/web/node_modules
