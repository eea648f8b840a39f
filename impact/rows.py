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

Int32Array = npt.NDArray[np.int32]


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
        pairs = np.argsort(self.links, kind="stable").astype(np.int32)
        mates = np.empty_like(pairs)
        mates[pairs[0::2]] = pairs[1::2]
        mates[pairs[1::2]] = pairs[0::2]
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
    near = pairs.T.ravel()
    far = pairs[:, ::-1].T.ravel()
    order = np.argsort(near, kind="stable")
    starts = np.zeros(nodes + 1, np.int32)
    np.cumsum(np.bincount(near, minlength=nodes), out=starts[1:])
    links = np.tile(np.arange(len(pairs), dtype=np.int32), 2)
    return Rows(starts, far[order], links[order], pairs)
