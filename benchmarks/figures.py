"""The figures as people read them: a table in the terminal, and the generated section of `benchmarks/README.md`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from benchmarks.registry import BENCHMARKS, Benchmark
from benchmarks.results import Result, command, read_conditions, read_results

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures: written by python -m benchmarks -->", "<!-- end of figures -->"


def table(title: str, results: Sequence[Result]) -> Table:
    """One theme for the terminal."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    shown.add_column("")
    shown.add_column("goal", overflow="fold")
    shown.add_column("figure", justify="right")
    shown.add_column("target", justify="right")
    for result in results:
        mark = Text("✓", "green") if result.met else Text("✗", "bold red")
        shown.add_row(mark, result.goal, f"{result.figure:,}", result.target)
    return shown


def section() -> str:
    """What stands between the marks of the README, from the results kept."""
    results = read_results()
    return "\n".join(line for benchmark in BENCHMARKS for line in _theme(benchmark, results))


def _theme(benchmark: Benchmark, results: Sequence[Result]) -> Iterator[str]:
    mine = [result for result in results if result.command == command(benchmark.name)]
    if not mine:
        return
    yield f"### {benchmark.title}\n"
    yield f"`{command(benchmark.name)}`" + _conditions(benchmark.name) + "\n"
    yield "| goal | figure | target | met |\n|---|---:|---:|---|"
    for result in mine:
        met = "yes" if result.met else "**no**"
        yield f"| {result.goal} | {result.figure:,} | {result.target} | {met} |"
    yield ""


def _conditions(name: str) -> str:
    known = read_conditions().get(name)
    if known is None:
        return ""
    machine = f"{known.cores} cores, {known.memory_gb} GB, load before {known.load}"
    if known.turn_ns is not None and known.read_ns is not None:
        machine += f", speed {known.turn_ns} / {known.read_ns} ns"
    return f", {known.measured_at}, {machine}; took {known.seconds:.0f} s"


def write_readme() -> None:
    """Bring the README's section in step with the results."""
    before, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n\n{section()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write_readme()
