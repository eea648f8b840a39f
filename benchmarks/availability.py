"""Availability of the services of a made-up estate: how long it takes, and how wide the intervals are.

Every business service of 10,000 CIs, each timed three times, the best counts; and 200 of the 2,000 of 1,000,000, whose
time with two threads is scaled to all of them. Getting a closure out of the estate is not counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from benchmarks.results import Result
from benchmarks.synthetic import EstateColumns, make_estate
from cmdb.model.topology import members_needed
from impact.availability import Availability, availability
from impact.closure import Closure

NAME = "availability"
SMALL, LARGE = 10_000, 1_000_000
SERVICES, SAMPLE, THREADS, RUNS = 2_000, 200, 2, 3

Case = tuple[Closure, npt.NDArray[np.float64]]


def run() -> list[Result]:
    """Measure in this process; no store is involved."""
    small, large = list(_cases(SMALL, None)), list(_cases(LARGE, SAMPLE))
    for target_width in (1.0, 1e-9):  # compiles what is used at all, and what only some need
        availability(*small[0], target_width=target_width)
    answers = [_timed(case) for case in small]
    slowest = max(seconds for _, seconds in answers)
    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        sampled = list(pool.map(lambda case: availability(*case, target_width=1e-2), large))
    minutes = (time.perf_counter() - begun) / len(large) * SERVICES / 60
    nodes = np.mean([closure.size for closure, _ in large])
    return [
        Result.below(
            NAME, f"a business service of {SMALL:,} CIs, slowest of {len(small)}, ms", slowest * 1e3, 100
        ),
        Result.below(
            NAME,
            f"interval of a service of {SMALL:,} CIs, widest, % of the unavailability",
            _widest([answer for answer, _ in answers]),
            0.1,
        ),
        Result.below(
            NAME,
            f"{SERVICES:,} services of {LARGE:,} CIs (closures of {nodes:,.0f}), scaled from {len(large)}, minutes",
            minutes,
            10,
        ),
        Result.below(
            NAME,
            f"interval of a service of {LARGE:,} CIs, widest of {len(large)}, % of the unavailability",
            _widest(sampled),
            1,
        ),
    ]


def _timed(case: Case) -> tuple[Availability, float]:
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        answer = availability(*case)
        times.append(time.perf_counter() - begun)
    return answer, min(times)


def _widest(answers: list[Availability]) -> float:
    return 100 * max(answer.relative_width for answer in answers)


def _cases(size: int, sample: int | None) -> Iterator[Case]:
    """The closures of business services and the figures of their CIs: all, or a sample."""
    estate = make_estate(size)
    services = estate.of_class("BusinessService")
    gates = _Gates(estate)
    for service in services[:: 1 if sample is None else len(services) // sample][:sample]:
        closure, numbers = gates.closure(int(service))
        yield closure, estate.unavailability[numbers]


class _Gates:
    """The gates of an estate, one CI at a time."""

    def __init__(self, estate: EstateColumns) -> None:
        hard = np.flatnonzero(np.array([label[1] == "hard" for label in estate.labels])[estate.label])
        hard = hard[np.argsort(estate.source[hard], kind="stable")]
        self._labels = estate.labels
        self._starts = np.searchsorted(estate.source[hard], np.arange(len(estate) + 1))
        self._targets, self._codes = estate.target[hard], estate.label[hard]

    def closure(self, service: int) -> tuple[Closure, list[int]]:
        numbers, place = [service], {service: 0}
        gate_start, member_start = [0], [0]
        required: list[int] = []
        members: list[int] = []
        for item in numbers:  # grows while it is walked
            for needed, targets in self._of(item):
                for target in targets:
                    if target not in place:
                        place[target] = len(numbers)
                        numbers.append(target)
                members.extend(place[target] for target in targets)
                required.append(needed)
                member_start.append(len(members))
            gate_start.append(len(required))
        columns = (gate_start, required, member_start, members)
        return Closure(*(np.array(column, np.int32) for column in columns)), numbers

    def _of(self, item: int) -> Iterator[tuple[int, list[int]]]:
        groups: dict[str, tuple[int | str | None, dict[int, None]]] = {}
        here = slice(self._starts[item], self._starts[item + 1])
        for target, code in zip(self._targets[here].tolist(), self._codes[here].tolist(), strict=True):
            _, _, _, group, required = self._labels[code]
            if group is None:
                yield 1, [target]
            else:
                groups.setdefault(group, (required, {}))[1][target] = None
        for required, targets in groups.values():
            yield members_needed(required, len(targets)), list(targets)
