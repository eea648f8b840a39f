"""Every benchmark, in the order in which they run and are shown.

To add one: a module with `NAME` and `run`, and a line here.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from benchmarks.results import Result


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A theme: its name for `ONLY=`, the module that measures it, and what it is about."""

    name: str
    module: str
    title: str

    def run(self) -> list[Result]:
        """Measure it in this process."""
        results: list[Result] = importlib.import_module(self.module).run()
        return results


BENCHMARKS = (
    Benchmark("import", "benchmarks.distribution", "A whole distribution imported, and its failures"),
    Benchmark("writes", "benchmarks.small_writes", "Small writes, in process"),
    Benchmark("http-writes", "benchmarks.http_writes", "Small writes, over HTTP"),
    Benchmark("reads", "benchmarks.reads", "Reading the present"),
    Benchmark("past", "benchmarks.past", "Reading the past, and differences"),
    Benchmark("ranking", "benchmarks.ranking", "The whole estate ranked by what fails with each CI"),
    Benchmark("kills", "benchmarks.kills", "kill -9 in the middle of writes"),
    Benchmark("limiter", "benchmarks.limiter", "Hostile documents"),
    Benchmark("aralia", "benchmarks.aralia", "Fault trees, exactly"),
    Benchmark("impact", "benchmarks.impact_walks", "What a failure does to a million CIs"),
    Benchmark(
        "impact-exact", "benchmarks.impact_exact", "A thousand failures against the plain implementation"
    ),
    Benchmark("impact-large", "benchmarks.impact_large", "Ten million CIs"),
    Benchmark("impact-service", "benchmarks.impact_service", "The service on a million CIs"),
    Benchmark("demo", "benchmarks.demo", "The first minutes"),
    Benchmark("availability", "benchmarks.availability", "Availability of services"),
    Benchmark("cut-sets", "benchmarks.cut_sets", "Cut sets and redundancy margins of services"),
)
NAMES = tuple(benchmark.name for benchmark in BENCHMARKS)
