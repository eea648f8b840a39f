"""An undirected multigraph in compressed sparse rows: what the connectivity kernels run on.

Nodes are 0 to n - 1 and links 0 to m - 1. The row of a node has a slot for each of its links, so a link stands in two
rows. Parallel links and self-loops are kept: parallel links are a spare for each other, a self-loop (both of its slots
in one row) joins nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmdb.errors import BadRequest
from impact.kernel import kernel

Int32Array = npt.NDArray[np.int32]


@kernel
def _fill_slots(ends: Int32Array, free: Int32Array, neighbours: Int32Array, links: Int32Array) -> None:
    """Write each link into the rows of its ends; `free` has the next free slot of each node."""
    for link in range(len(ends)):
        for side in range(2):
            node = ends[link, side]
            slot = free[node]
            free[node] = slot + 1
            neighbours[slot] = ends[link, 1 - side]
            links[slot] = link


@kernel
def _pair_slots(links: Int32Array, seen: Int32Array, mates: Int32Array) -> None:
    """Tell the two slots of each link of each other; `seen` is -1 for each link."""
    for slot in range(len(links)):
        other = seen[links[slot]]
        if other < 0:
            seen[links[slot]] = slot
        else:
            mates[slot] = other
            mates[other] = slot


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Slots `starts[v]` to `starts[v + 1]` are those of node v; see the module.

    `starts`: int32[n + 1]. `neighbours`: int32[2m], the node at the other end of a slot. `links`: int32[2m], the link
    of a slot. `ends`: int32[m, 2], the nodes that a link joins, as they were given.
    """

    starts: Int32Array
    neighbours: Int32Array
    links: Int32Array
    ends: Int32Array

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.starts) - 1

    @property
    def mates(self) -> Int32Array:
        """The other slot of the same link, for each slot: int32[2m]."""
        mates = np.empty_like(self.links)
        _pair_slots(self.links, np.full(len(self.ends), -1, np.int32), mates)
        return mates

    def without(self, failed: Iterable[int]) -> Rows:
        """The same nodes without these links; the others are numbered anew, in order."""
        left = np.ones(len(self.ends), np.bool_)
        left[np.fromiter(failed, np.int64)] = False
        return rows_of(self.nodes, self.ends[left])

    def simple(self) -> Rows:
        """One link for each pair of nodes that has any, and no self-loops."""
        apart = np.sort(self.ends[self.ends[:, 0] != self.ends[:, 1]], axis=1)
        return rows_of(self.nodes, np.unique(apart, axis=0))


def rows_of(nodes: int, ends: npt.ArrayLike) -> Rows:
    """The rows of links that are given by their `ends`, int[m, 2]. Raises `BadRequest` for an end that is no node."""
    pairs = np.ascontiguousarray(np.asarray(ends, np.int32).reshape(-1, 2))
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < nodes):
        raise BadRequest(f"links end at {pairs.min()} to {pairs.max()}; nodes are 0 to {nodes - 1}")
    starts = np.zeros(nodes + 1, np.int32)
    np.cumsum(np.bincount(pairs.ravel(), minlength=nodes), out=starts[1:])
    neighbours, links = (np.empty(pairs.size, np.int32) for _ in range(2))
    _fill_slots(pairs, starts[:-1].copy(), neighbours, links)
    return Rows(starts, neighbours, links, pairs)
