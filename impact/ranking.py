"""The whole estate by what the failure of each item alone takes down.

Promises: exact, the counts of `impact.propagation` with that item failed; redundancy is taken into account. A ranking
is true of one revision and never changes; `Ranking.following` makes that of another, counting anew only what can
differ. The cost is what goes down, summed over all items, less what `impact.ranking_kernels` need not walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np

from cmdb.model.columns import Int32s
from cmdb.model.packed_columns import Kind
from cmdb.model.packed_topology import PackedTopology
from impact.failure_graph import FailureGraph, Workspace
from impact.failure_kernels import Marks
from impact.ranking_kernels import WALKED, count_each, count_hanging, ways
from impact.workers import in_threads

By: TypeAlias = Literal["items", "services"]
CHUNK = 1024
"""So many items are counted at a time by each thread."""
FEW = 1 / 32
"""If more than this share of the estate can differ, all is counted anew."""
THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """`items`: int32 per number, how many the item's failure takes down, itself included; 0 for one that is gone.

    `services`: int32, how many of these are services; `service`: uint8, which ones are.
    """

    graph: FailureGraph
    service: Marks
    items: Int32s
    services: Int32s
    _orders: dict[By, Int32s] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: FailureGraph, service: Marks, *, threads: int = THREADS) -> Ranking:
        """Count everything, with so many threads. `service`: uint8 per number."""
        topology = graph.topology
        way, upon, root, order = ways(graph.arrays, graph.marks(), graph.owners)
        items, services = np.ones(topology.size, np.int32), service.astype(np.int32)
        inside = np.zeros(topology.size, np.uint8)
        walked = np.flatnonzero(way == WALKED).astype(np.int32)
        _count(graph, walked, service, root, inside, items, services, threads)
        count_hanging(order, upon, inside, service, items, services)
        return cls(graph, service, *_without_gone(topology, items, services))

    def following(
        self, graph: FailureGraph, service: Marks, *, threads: int = THREADS, few: float = FEW
    ) -> Ranking:
        """The ranking of another graph of the same kind; cheap if it differs in little from this one's.

        What can differ are the items on which one whose needs differ depends, before or now. Everything is counted
        anew if these are more than `few` of all, or the graph has another base.
        """
        old, new = self.graph, graph
        if old.base is not new.base:
            return Ranking.of(graph, service, threads=threads)
        differing = _differing(self, new.topology, service)
        affected = _dependencies(old, new, differing, int(few * new.topology.size))
        if affected is None:
            return Ranking.of(graph, service, threads=threads)
        size = max(new.topology.size, len(self.items))
        items, services = np.ones(size, np.int32), np.zeros(size, np.int32)
        items[: len(self.items)], services[: len(self.services)] = self.items, self.services
        items, services = items[: new.topology.size], services[: new.topology.size]
        affected = affected[affected < new.topology.size]
        nobody = np.full(new.topology.size, -1, np.int32)
        _count(graph, affected, service, nobody, np.zeros(0, np.uint8), items, services, threads)
        return Ranking(graph, service, *_without_gone(new.topology, items, services))

    @property
    def revision(self) -> int:
        """The revision it is true of."""
        return self.graph.topology.revision

    def order(self, by: By) -> Int32s:
        """All items that are there, those that take down most first; ties by the other count, then by id."""
        found = self._orders.get(by)
        if found is None:
            one, other = self.items, self.services
            if by == "services":
                one, other = other, one
            listed = _in_order_of_ids(self.graph.topology)
            listed = listed[self.items[listed] > 0]
            key = -(one[listed].astype(np.int64) << 32 | other[listed])
            found = self._orders[by] = listed[np.argsort(key, kind="stable")]
        return found

    def top(
        self, first: int, offset: int = 0, *, by: By = "items", wanted: Callable[[Kind], bool] | None = None
    ) -> tuple[Int32s, int]:
        """A page of the order, only of kinds that are `wanted`; and how many such items there are."""
        order = self.order(by)
        if wanted is not None:
            order = order[self.graph.topology.flags(order, wanted)]
        return order[offset : offset + first], len(order)

    def rank_of(self, item: int, *, by: By = "items") -> int:
        """One more than the number of items that take down more; by services, ties are told apart by items."""
        one, other = (self.items, self.services) if by == "items" else (self.services, self.items)
        ahead = (one > one[item]) | ((one == one[item]) & (other > other[item]))
        return int(np.count_nonzero(ahead)) + 1


def _count(
    graph: FailureGraph,
    nodes: Int32s,
    service: Marks,
    root: Int32s,
    inside: Marks,
    items: Int32s,
    services: Int32s,
    threads: int,
) -> None:
    """One walk for each of `nodes`. Threads take the next chunk when they are done with one: some are far longer."""

    def work(begins: Iterator[int]) -> None:
        scratch = Workspace().scratch(graph)
        for begin in begins:
            chunk = nodes[begin : begin + CHUNK]
            count_each(graph.arrays, scratch, chunk, service, root, inside, items, services)

    in_threads(range(0, len(nodes), CHUNK), work, min(threads, 1 + len(nodes) // CHUNK))


def _without_gone(topology: PackedTopology, items: Int32s, services: Int32s) -> tuple[Int32s, Int32s]:
    gone = [number for number, item in topology.changed.items() if item is None]
    items[gone], services[gone] = 0, 0
    return items, services


def _differing(old: Ranking, topology: PackedTopology, service: Marks) -> Int32s:
    """The items whose needs differ, those that are new or gone, and those that became services or ceased to be."""
    before, after = old.graph.topology, topology
    found = {n for n in before.out.keys() | after.out.keys() if before.out.get(n) is not after.out.get(n)}
    found |= {
        n
        for n in before.changed.keys() | after.changed.keys()
        if (before.changed.get(n, ...) is None) != (after.changed.get(n, ...) is None)
    }
    found |= set(range(before.size, after.size)) | set(range(after.size, before.size))
    both = min(len(service), len(old.service))
    found.update(np.flatnonzero(service[:both] != old.service[:both]).tolist())
    return np.array(sorted(found), np.int32)


def _dependencies(old: FailureGraph, new: FailureGraph, numbers: Int32s, most: int) -> Int32s | None:
    """`numbers` and all they need, directly or not, in either graph; None if these are more than `most`."""
    carrying = new.base.carrying
    seen = np.zeros(max(old.topology.size, new.topology.size), bool)
    seen[numbers] = True
    frontier, count = numbers, len(numbers)
    while len(frontier) and count <= most:
        found = []
        for topology in (old.topology, new.topology):
            known = frontier[frontier < topology.size]
            found.append(topology.hops(known, lambda label: carrying.strength_of(label) == "hard")[1])
        reached = np.unique(np.concatenate(found))
        frontier = reached[~seen[reached]].astype(np.int32)
        seen[frontier] = True
        count += len(frontier)
    return None if count > most else np.flatnonzero(seen).astype(np.int32)


def _in_order_of_ids(topology: PackedTopology) -> Int32s:
    """All numbers in ascending order of their ids."""
    ids = topology.columns.ids
    if not topology.new_numbers:
        return ids.order
    new = sorted(topology.new_numbers)
    places = [_place(topology, item_id) for item_id in new]
    return np.insert(ids.order, places, [topology.new_numbers[item_id] for item_id in new]).astype(np.int32)


def _place(topology: PackedTopology, item_id: str) -> int:
    """How many of the base's ids are less than one."""
    ids = topology.columns.ids
    low, high = 0, len(ids)
    while low < high:
        middle = (low + high) // 2
        if ids[int(ids.order[middle])] < item_id:
            low = middle + 1
        else:
            high = middle
    return low
