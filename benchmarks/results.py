"""What a benchmark says: figures beside their targets, kept in `benchmarks/results/latest.json`.

A figure is judged as measured and kept with three significant digits, so that a file shows no more than a run can tell.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson

FOLDER = Path(__file__).parent / "results"
LATEST = FOLDER / "latest.json"
CONDITIONS = FOLDER / "conditions.json"
SPEED_TURNS, SPEED_READS = 2_000_000, 2_000_000
SPEED_TABLE = 2**26


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
    """When and on what a theme was last measured; `load` is the machine's load average (1 min) just before.

    `turn_ns`, `read_ns`: how fast the machine was just before, see `MachineSpeed`; None where nobody has looked.
    """

    name: str
    measured_at: str
    cores: int
    memory_gb: int
    load: float
    seconds: float
    turn_ns: float | None = None
    read_ns: float | None = None

    @classmethod
    def now(cls, name: str) -> Conditions:
        """Those of this moment; `seconds` is filled in afterwards."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        measured_at = datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", "Z")
        load = round(os.getloadavg()[0], 1)
        speed = MachineSpeed.now()
        return cls(
            name,
            measured_at,
            os.cpu_count() or 1,
            round(memory / 2**30),
            load,
            0.0,
            round(speed.turn_ns, 1),
            round(speed.read_ns, 1),
        )


@dataclass(frozen=True, slots=True)
class MachineSpeed:
    """What makes runs of different hours comparable, where others share the machine.

    `turn_ns`: nanoseconds for a turn of an empty Python loop; `read_ns`: for one of many independent reads that lie
    anywhere in 256 MB. The best of three each.
    """

    turn_ns: float
    read_ns: float

    @classmethod
    def now(cls) -> MachineSpeed:
        """Measured in about a second."""
        table = np.arange(SPEED_TABLE, dtype=np.int32)  # zeros would all be one page
        places = np.random.default_rng(1).integers(0, SPEED_TABLE, SPEED_READS)
        return cls(
            min(_seconds(_turns) for _ in range(3)) / SPEED_TURNS * 1e9,
            min(_seconds(lambda: table.take(places)) for _ in range(3)) / SPEED_READS * 1e9,
        )


def _turns() -> None:
    for _ in range(SPEED_TURNS):
        pass


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


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
