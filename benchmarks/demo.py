"""`make demo` on a clean clone with an empty home: the first run, which fetches everything, and the second.

The clone is of what is committed; the home is new, so no cache of any kind is there. Package registries are reached as
the machine is set up to reach them.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.results import Result

NAME = "demo"
PROJECT = Path(__file__).parents[1]


class DemoFailed(RuntimeError):
    """`make demo` did not end with status 0; the end of what it printed says why."""


def run() -> list[Result]:
    """Clone, run, run again."""
    with TemporaryDirectory(prefix="cmdb-bench-") as folder:
        home, clone = Path(folder) / "home", Path(folder) / "clone"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)  # noqa: S607
        first, second = _demo(clone, home), _demo(clone, home)
    return [
        Result.below(NAME, "make demo, first run on a clean clone with an empty home, s", first, 360),
        Result.below(NAME, "make demo, second run, s", second, 40),
    ]


def _demo(clone: Path, home: Path) -> float:
    """Seconds that a demo took which stops after its answers."""
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("CMDB_", "XDG_", "VIRTUAL_ENV"))}
    environment = {**kept, "HOME": str(home), "DEMO_EXIT": "1"}
    begun = time.perf_counter()
    done = subprocess.run(
        ["make", "demo"],  # noqa: S607
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise DemoFailed(f"make demo ended with {done.returncode}: {(done.stdout + done.stderr)[-2_000:]}")
    return time.perf_counter() - begun
