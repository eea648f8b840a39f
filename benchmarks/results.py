"""What a benchmark says: figures beside their targets, kept in `benchmarks/results/latest.json`.

A figure is judged as measured and kept with three significant digits, so that a file shows no more than a run can tell.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson

FOLDER = Path(__file__).parent / "results"
LATEST = FOLDER / "latest.json"
CONDITIONS = FOLDER / "conditions.json"


def command(name: str) -> str:
    """How to measure one theme again."""
    return f"make bench ONLY={name}"


@dataclass(frozen=True, slots=True)
class Result:
    """One measured figure beside its goal. `goal` names the unit; `target` is a bound such as `< 150`."""

    goal: str
    figure: float
    target: str
    met: bool
    command: str

    @classmethod
    def below(cls, name: str, goal: str, figure: float, bound: float) -> Self:
        """A figure that has to stay below a bound; `name` is the benchmark's."""
        return cls(goal, _rounded(figure), f"< {bound:,g}", figure < bound, command(name))

    @classmethod
    def at_least(cls, name: str, goal: str, figure: float, bound: float) -> Self:
        """A figure that has to reach a bound."""
        return cls(goal, _rounded(figure), f">= {bound:,g}", figure >= bound, command(name))

    @classmethod
    def exactly(cls, name: str, goal: str, figure: int, wanted: int) -> Self:
        """A count that has to be right to the last one."""
        return cls(goal, figure, f"= {wanted:,}", figure == wanted, command(name))


@dataclass(frozen=True, slots=True)
class Conditions:
    """When and on what a theme was last measured; `load` is the machine's load average (1 min) just before."""

    name: str
    measured_at: str
    cores: int
    memory_gb: int
    load: float
    seconds: float

    @classmethod
    def now(cls, name: str) -> Conditions:
        """Those of this moment; `seconds` is filled in afterwards."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        measured_at = datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
        load = round(os.getloadavg()[0], 1)
        return cls(name, measured_at, os.cpu_count() or 1, round(memory / 2**30), load, 0.0)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank); of 1,000 values p99 is the 990th."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def read_results() -> list[Result]:
    """What was measured last; empty before the first run."""
    return [Result(**row) for row in _read(LATEST)]


def read_conditions() -> dict[str, Conditions]:
    """Under which conditions each theme was measured last."""
    return {row["name"]: Conditions(**row) for row in _read(CONDITIONS)}


def keep(results: Sequence[Result], conditions: Conditions, order: Sequence[str]) -> None:
    """Replace one theme's results; themes that `order` does not name are dropped, the others follow it."""
    mine = command(conditions.name)
    merged = [*(r for r in read_results() if r.command != mine), *results]
    places = {command(name): place for place, name in enumerate(order)}
    merged = sorted((r for r in merged if r.command in places), key=lambda r: places[r.command])
    _write(LATEST, [asdict(result) for result in merged])
    known = {**read_conditions(), conditions.name: conditions}
    _write(CONDITIONS, [asdict(known[name]) for name in order if name in known])


def _read(path: Path) -> list[dict[str, Any]]:
    return list(orjson.loads(path.read_bytes())) if path.exists() else []


def _write(path: Path, rows: Iterable[object]) -> None:
    path.parent.mkdir(exist_ok=True)
    text = orjson.dumps(list(rows), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    partial = path.with_suffix(".partial")
    partial.write_bytes(text)
    partial.replace(path)


def _rounded(figure: float) -> float:
    if figure == 0 or not math.isfinite(figure):
        return figure
    digits = 2 - math.floor(math.log10(abs(figure)))
    rounded = round(figure, digits)
    return int(rounded) if digits <= 0 else rounded
