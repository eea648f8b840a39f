"""Minimal cut sets and redundancy margins of the services of a made-up estate: how long they take.

Cut sets of every business service of 10,000 CIs, and of the first ten of 1,000,000; beside them, on 1,000 CIs, the
diagram that holds them all, which finds the same by another method. These services have single points of failure, and
so a margin of 0; margins are asked of services on two to six sites, each of which is such a service with all it needs:
of 28,000 CIs, with nothing in common, so that the truth is known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.availability import LARGE, SMALL, Services
from benchmarks.results import Result
from impact.closure import Closure
from impact.reduction import Reduction
from impact.redundancy import Margin, OrderSets, cut_sets_by_order, cut_sets_of_diagrams, redundancy_margin
from impact.service_needs import ServiceNeeds

NAME: Final = "cut-sets"
TINY: Final = 1_000
LARGE_SERVICES = 10
SITES: Final = ((2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (3, 2), (4, 2), (5, 2), (6, 3))
"""How many sites there are, and how many of them are needed."""


def run() -> list[Result]:
    """Measure in this process; no store is involved. Some four minutes."""
    tiny, small, large = services(TINY), services(SMALL), services(LARGE, LARGE_SERVICES)
    list(cut_sets_by_order(tiny[0], 4))  # compiles
    redundancy_margin(sites([one.closure for one in small[:2]], 1))
    list(cut_sets_of_diagrams(tiny[0], [2]))
    drawn = _cut_sets(tiny, lambda one: cut_sets_of_diagrams(one, [2, 3]))
    searched, triples, of_large = (_cut_sets(some, _up_to_three) for some in (tiny, small, large))
    fours = _cut_sets(small, lambda one: cut_sets_by_order(one, 4))
    both = [(one, other) for one, other in zip(searched, drawn, strict=True) if len(other[0]) == len(one[0])]
    margins = [_margin(large[:count], required) for count, required in SITES]
    return [
        Result.exactly(
            NAME,
            f"services of {TINY:,} CIs with other cut sets of up to 3 than in their diagram",
            sum(not _alike(one, other) for (one, _), (other, _) in both),
            0,
        ),
        Result.at_least(
            NAME,
            f"cut sets of up to 3, times as fast as the diagram, where it is finished ({len(both)} of {len(tiny)})",
            sum(seconds for _, (_, seconds) in both) / sum(seconds for (_, seconds), _ in both),
            10,
        ),
        Result.below(
            NAME,
            f"cut sets of up to 3 of a service of {SMALL:,} CIs ({_most(triples):,} sets), slowest of {len(small)}, s",
            max(seconds for _, seconds in triples),
            4,
        ),
        Result.below(
            NAME,
            f"cut sets of up to 4 of a service of {SMALL:,} CIs ({_most(fours):,} sets), slowest of {len(small)}, s",
            max(seconds for _, seconds in fours),
            30,
        ),
        Result.below(
            NAME,
            f"cut sets of up to 3 of a service of {LARGE:,} CIs ({_most(of_large):,} sets), slowest of {len(large)}, s",
            max(seconds for _, seconds in of_large),
            10,
        ),
        Result.below(
            NAME,
            f"margin of a service on up to 6 sites of {large[0].closure.size:,} CIs, slowest of {len(margins)}, s",
            max(seconds for _, seconds in margins),
            4,
        ),
        Result.exactly(
            NAME,
            "such margins that are wrong or not exact",
            sum(not right for right, _ in margins),
            0,
        ),
    ]


def sites(closures: Sequence[Closure], required: int) -> Closure:
    """A service that needs `required` of the services of these closures, which have nothing in common."""
    nodes = np.cumsum([1, *(closure.size for closure in closures)])
    gates = np.cumsum([1, *(len(closure.required) for closure in closures)])
    memberships = np.cumsum([len(closures), *(len(closure.members) for closure in closures)])
    arrays: tuple[list[Any], ...] = (
        [[0], *(c.gate_start[:-1] + first for c, first in zip(closures, gates, strict=False)), gates[-1:]],
        [[required], *(c.required for c in closures)],
        [
            [0],
            *(c.member_start[:-1] + first for c, first in zip(closures, memberships, strict=False)),
            memberships[-1:],
        ],
        [nodes[:-1], *(c.members + first for c, first in zip(closures, nodes, strict=False))],
    )
    return Closure(*(np.concatenate(parts).astype(np.int32) for parts in arrays))


def services(size: int, most: int | None = None) -> list[Reduction]:
    """What the business services of a made-up estate need, `most` of them."""
    estate = Services.of(size)
    return [ServiceNeeds.of(estate.topology, service).reduction for service in estate.ids[:most]]


def _up_to_three(reduction: Reduction) -> Iterator[OrderSets]:
    return cut_sets_by_order(reduction, 3)


def _cut_sets(
    reductions: Sequence[Reduction], find: Callable[[Reduction], Iterator[OrderSets]]
) -> list[tuple[list[OrderSets], float]]:
    """Those of each, and how long that took, in seconds."""
    found = []
    for reduction in reductions:
        begun = time.perf_counter()
        sets = list(find(reduction))
        found.append((sets, time.perf_counter() - begun))
    return found


def _margin(on: Sequence[Reduction], required: int) -> tuple[bool, float]:
    """Whether that of a service on these sites is right, and how long it took, in seconds."""
    closure = sites([reduction.closure for reduction in on], required)
    spare = len(on) - required
    begun = time.perf_counter()
    margin = redundancy_margin(closure)
    seconds = time.perf_counter() - begun
    return margin == Margin(min(spare, 4), at_least=spare >= 4), seconds


def _alike(one: list[OrderSets], other: list[OrderSets]) -> bool:
    return all(
        np.array_equal(a.rows, sorted(sorted(row) for row in b.rows.tolist()))
        for a, b in zip(one, other, strict=True)
    )


def _most(answers: list[tuple[list[OrderSets], float]]) -> int:
    return max(sum(len(sets.rows) for sets in found) for found, _ in answers)
