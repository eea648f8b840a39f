"""The impact engine as one of the peers: the same questions, in the numbers of the estate, timed in the same way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from benchmarks.array_walk import Walk
from benchmarks.packing import estate_numbers
from benchmarks.synthetic import EstateColumns, Numbers
from cmdb.model.packed_topology import PackedTopology
from impact.engine import Engine
from impact.failure_kernels import walk
from impact.propagation import SERVICE_CLASSES

REPEATED: Final = 9
"""So many times the engine is asked a question of which the median is kept; a peer, which takes longer, three times."""
_NOBODY: Numbers = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class ServiceWays:
    """`services`: int32[s]; `distances`: int32[s]; the way of each from itself on: `along[start[i]:start[i + 1]]`."""

    services: Numbers
    distances: Numbers
    start: npt.NDArray[np.int64]
    along: Numbers


@dataclass(frozen=True, slots=True, eq=False)
class EnginePeer:
    """An engine that follows the estate's topology; see `benchmarks.peers.Peer`."""

    engine: Engine
    topology: PackedTopology
    ids: tuple[str, ...]
    """Of the estate's CIs."""
    number: Numbers
    """int32: the estate's number of each of the topology's."""
    name: str = "impact engine"

    @classmethod
    def of(cls, topology: PackedTopology, estate: EstateColumns) -> Self:
        """An engine that is ready to answer."""
        engine = Engine()
        engine.follow(topology)
        ids = tuple(text.decode() for text in estate.id_texts().tolist())
        return cls(engine, topology, ids, estate_numbers(topology, estate))

    def dependents(self, failed: Sequence[int]) -> Walk:
        """The full answer, states and all, from ids; what is not counted is turning it into numbers of the estate."""
        ids = [self.ids[number] for number in failed]
        begun = time.perf_counter()
        impact = self.engine.simulate_failure(self.topology, ids)
        seconds = time.perf_counter() - begun
        return Walk(np.sort(self.number[impact.nodes]), seconds)

    def walk(self, failed: Sequence[int]) -> Walk:
        """Plain reachability alone, from the topology's numbers, as peers have it."""
        numbers = np.array([self.topology.known(self.ids[number]) for number in failed], np.int32)
        graph = self.engine.graph(self.topology)
        with self.engine.workspace() as workspace:
            scratch = workspace.scratch(graph)
            begun = time.perf_counter()
            nodes, _, _ = walk(tuple(graph.arrays), tuple(scratch), numbers, _NOBODY, False)
            seconds = time.perf_counter() - begun
        return Walk(np.sort(self.number[nodes]), seconds)

    def service_ways(self, failed: int) -> ServiceWays:
        """Every service that one failure reaches, with its distance and a shortest way, as the product asks."""
        ways = self.engine.ways_to(self.topology, self.topology.known(self.ids[failed]))
        services = self.topology.flags(ways.nodes, lambda kind: kind.class_name in SERVICE_CLASSES)
        places = np.flatnonzero(services)
        return ServiceWays(ways.nodes[places], ways.distances[places], *ways.along(places))

    def broken(self, ways: ServiceWays) -> int:
        """How many ways have a hop over which no failure is carried, another length than the distance, or do not begin
        at the service."""
        below, above = ways.along[:-1], ways.along[1:]
        near, far = self.topology.hops(np.unique(ways.along), lambda label: label.strength is not None)
        there = np.isin(_pairs(below, above), _pairs(near, far))
        there[ways.start[1:-1] - 1] = True  # from one way to the next
        wrong = np.append(~there, False)
        lengths = np.diff(ways.start) - 1
        broken = np.add.reduceat(wrong.astype(np.int64), ways.start[:-1]) > 0
        return int(
            np.count_nonzero(
                broken | (lengths != ways.distances) | (ways.along[ways.start[:-1]] != ways.services)
            )
        )


def _pairs(near: Numbers, far: Numbers) -> npt.NDArray[np.int64]:
    pairs: npt.NDArray[np.int64] = near.astype(np.int64) << 32 | far
    return pairs
