"""`python -m benchmarks.soak [--minutes N]`: kill -9 of the service and of Neo4j in the middle of writes, for long.

The two kinds take turns, ten rounds each on a store that grows through them, until the time is over. Exit status 1 at
the first fault, which is printed; nothing is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import time
from collections.abc import Sequence

from rich.console import Console

from benchmarks.kills import KINDS
from tests.faults.kill_rounds import run_rounds

ROUNDS_AT_ONCE = 10


def main(arguments: Sequence[str]) -> int:
    """Run until the time is over or a fault is found; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="Kill for long.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long; 60 if not given")
    until = time.monotonic() + 60 * parser.parse_args(arguments).minutes
    console = Console(soft_wrap=True)
    for kind in itertools.cycle(KINDS):
        if time.monotonic() >= until:
            return 0
        report = asyncio.run(run_rounds(kind, ROUNDS_AT_ONCE))
        console.print(str(report), style="" if report.ok else "bold red", markup=False)
        if not report.ok:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
