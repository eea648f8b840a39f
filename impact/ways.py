"""How far what depends on an item is from it, and over what: whatever redundancy saves.

Promises: of everything that depends on the item over edges that carry failure its distance, and a shortest way of those
that are asked about. One walk from the item answers for all of them together. Why something is in its state, through
gates, says `impact.explanation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cmdb.model.columns import Int32s, Int64s
from impact.failure_graph import FailureGraph, Workspace
from impact.failure_kernels import walk
from impact.kernel import kernel

_NOBODY = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Ways:
    """`nodes`: int32, numbers of what depends on the item, the item first, then the nearest; `distances`: int32, hops;
    `causes`: int32, for each the place in `nodes` of the next on a shortest way to the item, for the item its own."""

    nodes: Int32s
    distances: Int32s
    causes: Int32s

    @classmethod
    def to(cls, graph: FailureGraph, workspace: Workspace, item: int) -> Ways:
        """Those to the item of this number."""
        scratch = workspace.scratch(graph)
        start = np.array([item], np.int32)
        nodes, _, causes = walk(tuple(graph.arrays), tuple(scratch), start, _NOBODY, True)
        return cls(nodes, _distances(causes), causes)

    def along(self, places: Int64s) -> tuple[Int64s, Int32s]:
        """(start, numbers): the way from each of these places of `nodes` to the item, both included, one after the
        other: `numbers[start[i]:start[i + 1]]`."""
        return _along(self.nodes, self.distances, self.causes, places)

    def of(self, numbers: Int32s) -> list[list[int]]:
        """The ways from these to the item, both included. Raises `KeyError` for one that does not depend on it."""
        found = np.flatnonzero(np.isin(self.nodes, numbers))
        place_of = dict(zip(self.nodes[found].tolist(), found.tolist(), strict=True))
        start, along = self.along(np.array([place_of[number] for number in numbers.tolist()], np.int64))
        return [along[begin:end].tolist() for begin, end in pairwise(start)]


@kernel
def _distances(causes: Int32s) -> Int32s:
    distances = np.zeros(len(causes), np.int32)
    for place in range(len(causes)):
        if causes[place] != place:
            distances[place] = distances[causes[place]] + 1
    return distances


@kernel
def _along(nodes: Int32s, distances: Int32s, causes: Int32s, places: Int64s) -> tuple[Int64s, Int32s]:
    start = np.zeros(len(places) + 1, np.int64)
    for row in range(len(places)):
        start[row + 1] = start[row] + distances[places[row]] + 1
    along = np.empty(start[-1], np.int32)
    for row in range(len(places)):
        at = places[row]
        for hop in range(start[row], start[row + 1]):
            along[hop] = nodes[at]
            at = np.int64(causes[at])
    return start, along
