"""Availability of the services of a made-up estate: how long it takes, and how wide the intervals are.

Every business service of 10,000 CIs, each timed three times, the best counts; and every one of the 2,000 of 1,000,000
CIs, together on two threads. Getting a service's closure out of the estate's topology is part of it, as in the product.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from benchmarks.packing import estate_numbers, packed
from benchmarks.results import Result
from benchmarks.synthetic import EstateColumns, Numbers, make_estate
from cmdb.model.packed_topology import PackedTopology
from impact.availability import Availability, availability
from impact.service_needs import ServiceNeeds

NAME: Final = "availability"
SMALL, LARGE = 10_000, 1_000_000
SMALL_WIDTH, LARGE_WIDTH = 1e-3, 1e-2
"""How wide an interval may be, as a share of the unavailability."""
THREADS, RUNS = 2, 3


@dataclass(frozen=True, slots=True)
class Services:
    """The business services of an estate and what they are computed from."""

    topology: PackedTopology
    numbers: Numbers
    """int32: the estate's number of each of the topology's."""
    estate: EstateColumns
    ids: list[str]

    @classmethod
    def of(cls, size: int) -> Services:
        """Those of a made-up estate of so many CIs."""
        estate = make_estate(size)
        topology = packed(estate)
        texts = estate.id_texts()[estate.of_class("BusinessService")].tolist()
        return cls(topology, estate_numbers(topology, estate), estate, [text.decode() for text in texts])

    def ask(self, service: str, width: float) -> tuple[Availability, int]:
        """Its availability, and of how many CIs."""
        needs = ServiceNeeds.of(self.topology, service)
        unavailability = self.estate.unavailability[self.numbers[needs.numbers]]
        return availability(needs.reduction, unavailability, target_width=width), needs.closure.size


def run() -> list[Result]:
    """Measure in this process; no store is involved. Some seven minutes."""
    small = Services.of(SMALL)
    for width in (1.0, 1e-9):  # compiles what is used at all, and what only some need
        small.ask(small.ids[0], width)
    answers = [_timed(small, service) for service in small.ids]
    slowest = max(seconds for _, seconds in answers)
    large = Services.of(LARGE)
    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda service: large.ask(service, LARGE_WIDTH), large.ids))
    minutes = (time.perf_counter() - begun) / 60
    most = max(size for _, size in found)
    return [
        Result.below(
            NAME, f"a business service of {SMALL:,} CIs, slowest of {len(small.ids)}, ms", slowest * 1e3, 100
        ),
        Result.below(
            NAME,
            f"interval of a service of {SMALL:,} CIs, widest, % of the unavailability",
            _widest([answer for answer, _ in answers]),
            0.1,
        ),
        Result.below(
            NAME,
            f"all {len(found):,} services of {LARGE:,} CIs (closures of up to {most:,}) on {THREADS} threads, minutes",
            minutes,
            10,
        ),
        Result.below(
            NAME,
            f"interval of a service of {LARGE:,} CIs, widest of {len(found):,}, % of the unavailability",
            _widest([answer for answer, _ in found]),
            1,
        ),
    ]


def _timed(services: Services, service: str) -> tuple[Availability, float]:
    times = []
    for _ in range(RUNS):
        begun = time.perf_counter()
        answer, _ = services.ask(service, SMALL_WIDTH)
        times.append(time.perf_counter() - begun)
    return answer, min(times)


def _widest(answers: list[Availability]) -> float:
    return 100 * max(answer.relative_width for answer in answers)
