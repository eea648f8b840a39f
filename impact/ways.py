"""How far each service is from an item that it depends on, and over what: whatever redundancy saves.

Promises: every service that depends on the item over edges that carry failure, once, with a shortest way. One walk from
the item answers for all services together. Why a service is in its state, through gates, says `impact.explanation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cmdb.model.columns import Int32s, Int64s
from cmdb.model.packed_columns import Kind
from impact.failure_graph import FailureGraph, Workspace
from impact.failure_kernels import walk

_NOBODY = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class ServiceWays:
    """`services`: int32[s], numbers of the topology, nearest first; `distances`: int64[s], hops, 0 for the item itself.

    `hops`: int32[longest + 1, s]: `hops[h]` is where each way from the service is after h hops; at the item it stays.
    """

    services: Int32s
    distances: Int64s
    hops: Int32s

    def to(self, service: int) -> list[int]:
        """The way from one of the services to the item, both included. Raises `KeyError`."""
        places = np.flatnonzero(self.services == service)
        if not len(places):
            raise KeyError(service)
        way: list[int] = self.hops[: self.distances[places[0]] + 1, places[0]].tolist()
        return way


def service_ways(
    graph: FailureGraph, workspace: Workspace, item: int, is_service: Callable[[Kind], bool]
) -> ServiceWays:
    """The services that depend on the item of this number, directly or not; the item too, if it is one."""
    scratch = workspace.scratch(graph)
    start = np.array([item], np.int32)
    nodes, _, causes = walk(tuple(graph.arrays), tuple(scratch), start, _NOBODY, True)
    places = np.flatnonzero(graph.topology.flags(nodes, is_service))
    hops, distances = [places], np.zeros(len(places), np.int64)
    while True:
        further = causes[hops[-1]].astype(np.int64)  # that of the item is its own
        moved = further != hops[-1]
        if not moved.any():
            return ServiceWays(nodes[places], distances, nodes[np.stack(hops)])
        distances += moved
        hops.append(further)
