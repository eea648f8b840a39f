"""The whole made-up estate ranked by what each item's failure alone takes down, and the services that each touches.

A million CIs; each is made once to compile and then five times, of which the time is the median. What the ranking says
of a thousand random CIs and of its worst hundred is compared with a walk each, and what the index says with plain
reachability.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

import numpy as np

from benchmarks.packing import packed
from benchmarks.results import Result, quantile
from benchmarks.synthetic import Numbers, make_estate
from cmdb.model.columns import Int32s
from impact.estate_figures import service_flags
from impact.failure_graph import FailureGraph, Workspace
from impact.failure_kernels import DOWN, Arrays, Scratch, fall, take_back, walk
from impact.kernel import kernel
from impact.ranking import Ranking
from impact.service_index import ServiceIndex

NAME: Final = "ranking"
SIZE: Final = 1_000_000
TIMES: Final = 5
CHECKED: Final = 1_000
WORST: Final = 100
SERVICES: Final = frozenset({"BusinessService"})

Made = TypeVar("Made")


def run(size: int = SIZE) -> list[Result]:
    """The figures of an estate of `size` CIs."""
    graph = FailureGraph.of(packed(make_estate(size)))
    service = service_flags(graph.topology, SERVICES)
    numbers = np.flatnonzero(service).astype(np.int32)
    ranking, ranked = _timed(lambda: Ranking.of(graph, service))
    index, indexed = _timed(lambda: ServiceIndex.of(graph, numbers))
    chosen = np.random.default_rng(size).choice(size, min(CHECKED, size), replace=False).astype(np.int32)
    chosen = np.unique(np.concatenate([chosen, ranking.order("items")[:WORST]]))
    of = f"{size:,} CIs"
    return [
        Result.below(NAME, f"rank the whole estate of {of}, redundancy-aware, exact, s", ranked, 20),
        Result.below(NAME, f"the {len(numbers):,} services reached by every CI of {of}, s", indexed, 0.25),
        Result.below(NAME, "memory of that index, MB", index.nbytes / 1e6, 250),
        Result.exactly(NAME, "counts that differ from a walk each", _wrong_counts(ranking, chosen), 0),
        Result.exactly(NAME, "services that differ from reachability", _wrong_services(index, chosen), 0),
    ]


def _timed(make: Callable[[], Made]) -> tuple[Made, float]:
    made, taken = make(), []
    for _ in range(TIMES):
        begun = time.perf_counter()
        made = make()
        taken.append(time.perf_counter() - begun)
    return made, quantile(taken, 0.5)


def _wrong_counts(ranking: Ranking, chosen: Numbers) -> int:
    counts = np.zeros(len(chosen), np.int32)
    scratch = Workspace().scratch(ranking.graph)
    count_down(ranking.graph.arrays, scratch, 0, len(chosen), chosen, counts)
    return int(np.count_nonzero(counts != ranking.items[chosen]))


def _wrong_services(index: ServiceIndex, chosen: Numbers) -> int:
    scratch, none = Workspace().scratch(index.graph), np.empty(0, np.int32)
    is_service = np.zeros(index.graph.topology.size, bool)
    is_service[index.service] = True
    wrong = 0
    for number in chosen.tolist():
        reached, _, _ = walk(
            tuple(index.graph.arrays), tuple(scratch), np.array([number], np.int32), none, False
        )
        services = np.sort(reached[is_service[reached]])
        wrong += not np.array_equal(services, index.services(number))
        wrong += len(services) != index.count_of(number)
    return wrong


@kernel
def count_down(arrays: Arrays, scratch: Scratch, begin: int, end: int, nodes: Int32s, counts: Int32s) -> None:
    """How many go down when each of `nodes[begin:end]` fails alone, itself included, into `counts` at its place."""
    for place in range(begin, end):
        scratch.marks[nodes[place]] |= DOWN
        scratch.down[0] = nodes[place]
        down, noted, _ = fall(
            arrays, scratch.marks, scratch.gates, scratch.down, scratch.touched, 1, 0, scratch.levels[1], DOWN
        )
        take_back(arrays, scratch.marks, scratch.gates, scratch.down, down, scratch.touched, noted)
        counts[place] = down
