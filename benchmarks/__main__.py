"""`python -m benchmarks [--only NAME] [--json]`: measure, show, keep.

Each theme runs in a process of its own, so that the memory and the warmth of one are not those of the next. Exit
status 1 if a target was missed, 2 if a theme could not be measured; its earlier figures then stay as they were.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace

import orjson
from rich.console import Console

from benchmarks.figures import table, write_readme
from benchmarks.registry import BENCHMARKS, NAMES, Benchmark
from benchmarks.results import Conditions, Result, keep


def measured(benchmark: Benchmark, console: Console) -> list[Result]:
    """Run one theme in a new process and keep what it gives."""
    conditions = Conditions.now(benchmark.name)
    begun = time.perf_counter()
    with (
        console.status(f"{benchmark.title} (load {conditions.load}) ..."),
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        results = pool.submit(benchmark.run).result()
    keep(results, replace(conditions, seconds=round(time.perf_counter() - begun, 1)), NAMES)
    write_readme()
    return results


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure against the goals.")
    parser.add_argument("--only", choices=NAMES, metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--json", action="store_true", help="the results as JSON on standard output")
    options = parser.parse_args(arguments)
    console = Console(stderr=options.json)
    results: list[Result] = []
    failed = False
    for benchmark in BENCHMARKS:
        if options.only not in (None, benchmark.name):
            continue
        try:
            found = measured(benchmark, console)
        except Exception as error:
            failed = True  # the other themes can be measured all the same
            console.print(
                f"{benchmark.title}: {type(error).__name__}: {error}", style="bold red", markup=False
            )
            continue
        results += found
        console.print(table(benchmark.title, found), "")
    if options.json:
        sys.stdout.write(
            orjson.dumps([asdict(r) for r in results], option=orjson.OPT_INDENT_2).decode() + "\n"
        )
    return 2 if failed else int(not all(result.met for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
