"""kill -9 in the middle of writes, 20 rounds for the service and 20 for Neo4j.

The rounds are those of `tests.faults.kill_rounds`, which says what is killed, when, and what is checked afterwards.
What they find is printed; the result counts it.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.results import Result
from tests.faults.kill_rounds import Kind, Report, run_rounds

NAME = "kills"
ROUNDS = 20
KINDS: tuple[Kind, ...] = ("service", "neo4j")


def run() -> list[Result]:
    """Run all rounds, each kind on a private Neo4j of its own."""
    reports = [asyncio.run(run_rounds(kind, ROUNDS)) for kind in KINDS]
    for report in reports:
        if not report.ok:
            print(report, file=sys.stderr)
    slowest = max(report.recovery_seconds for report in reports)
    return [
        *(result for report in reports for result in _told(report)),
        Result.below(NAME, "a killed Neo4j answers again, slowest, s", slowest, 30),
    ]


def _told(report: Report) -> list[Result]:
    goal = f"kill -9 of {report.kind}, of {report.acknowledged:,} acknowledged: lost, half there or twice"
    return [
        Result.exactly(NAME, f"kill -9 of {report.kind}, rounds", report.rounds, ROUNDS),
        Result.exactly(NAME, goal, len(report.problems), 0),
    ]
