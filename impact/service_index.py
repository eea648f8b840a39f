"""For every item the services that depend on it, directly or not: those that its failure touches.

Promises: exact for one revision, by plain reachability over the edges that carry failure, hard or soft; an answer is
read from memory. Redundancy plays no part: what really goes down says `impact.ranking`.

Form: items that are reached by the same services mostly share a *set*, since what has a single dependent, or several
with the same set, has the set of these (a service is in its own). Sets are unions of earlier ones, as rows of bits:
512 services to a block, so that a row of a block is one cache line, and threads take blocks of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cmdb.model.columns import Int32s
from impact.condensation import Condensation
from impact.failure_graph import FailureGraph
from impact.failure_kernels import EXTRA, REWRITTEN, VOID, Arrays, Marks, extra_head, extra_owner
from impact.kernel import kernel, prefetch
from impact.workers import in_threads

Bits = npt.NDArray[np.uint64]
WORDS = 8
"""64-bit words of a row in a block."""
BLOCK = 64 * WORDS
THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class ServiceIndex:
    """`set_of`: int32 per number; `rows`: uint64[blocks, sets, 8], bit i of block b is `service[512 * b + i]`.

    `service`: int32, the numbers of the services, ascending; `size_of`: int32 per set, how many services are in it.
    """

    graph: FailureGraph
    service: Int32s
    set_of: Int32s
    rows: Bits
    size_of: Int32s

    @classmethod
    def of(cls, graph: FailureGraph, services: Int32s, *, threads: int = THREADS) -> ServiceIndex:
        """The index of a graph. `services`: distinct numbers of those that are there."""
        service = np.sort(services).astype(np.int32)
        order = Condensation.of(graph)
        which = np.full(graph.topology.size, -1, np.int32)
        which[service] = np.arange(len(service), dtype=np.int32)
        marks = graph.marks()
        set_of, part_start, part = find_sets(
            graph.arrays, marks, graph.owners, order.order, order.start, which
        )
        blocks = max(1, -(-len(service) // BLOCK))
        sets = len(part_start) - 1
        rows = np.empty((blocks, sets, WORDS), np.uint64)
        sizes = np.zeros((blocks, sets), np.int32)

        def work(numbers: Iterator[int]) -> None:
            for block in numbers:
                unite(rows[block], part_start, part, block * BLOCK, sizes[block])

        in_threads(range(blocks), work, min(threads, blocks))
        return cls(graph, service, set_of, rows, sizes.sum(axis=0, dtype=np.int32))

    def following(self, graph: FailureGraph, services: Int32s, *, threads: int = THREADS) -> ServiceIndex:
        """The index of another graph: with these sets if no edges and no services differ, else made anew."""
        before, after = self.graph.topology, graph.topology
        same = (
            graph.base is self.graph.base
            and after.size == before.size
            and np.array_equal(np.sort(services), self.service)
            and all(before.out.get(n) is after.out.get(n) for n in before.out.keys() | after.out.keys())
        )
        if same:
            return replace(self, graph=graph)
        return ServiceIndex.of(graph, services, threads=threads)

    @property
    def revision(self) -> int:
        """The revision it is true of."""
        return self.graph.topology.revision

    @property
    def count(self) -> Int32s:
        """int32 per number: how many services depend on it; a service counts itself."""
        return self.size_of[self.set_of]

    def count_of(self, number: int) -> int:
        """How many services depend on one item."""
        return int(self.size_of[self.set_of[number]])

    def services(self, number: int) -> Int32s:
        """The numbers of the services that depend on an item, ascending; a service is among its own."""
        words = np.ascontiguousarray(self.rows[:, self.set_of[number]]).reshape(-1)
        bits = np.unpackbits(words.astype("<u8").view(np.uint8), bitorder="little")
        return self.service[np.flatnonzero(bits[: len(self.service)])]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return sum(array.nbytes for array in (self.service, self.set_of, self.rows, self.size_of))


@kernel
def find_sets(
    arrays: Arrays, marks: Marks, owners: Int32s, order: Int32s, start: Int32s, which: Int32s
) -> tuple[Int32s, Int32s, Int32s]:
    """Which set each item has, and of what parts each set is the union.

    `order`, `start`: those of a condensation; `which`: int32 per item, the how-manieth service it is, or -1. Returns
    `set_of`; `part_start`: int32[sets + 1]; `part`: earlier sets by their numbers, services as -1 - which. Set 0 is
    empty.
    """
    span, dependent, n = arrays.span, arrays.dependent, len(arrays.span)
    size = len(marks)
    set_of = np.full(size, -1, np.int32)
    part_start = np.zeros(size + 2, np.int32)
    part = np.empty(len(dependent) + len(arrays.x_entry) + size + 1, np.int32)
    seen = np.zeros(size + 2, np.int32)  # per set: one more than the component it was seen by
    sets, parts = 1, 0
    for component in range(len(start) - 1):
        first = parts
        for place in range(start[component], start[component + 1]):
            node = order[place]
            if place + 16 < size:
                prefetch(span, 4 * np.int64(order[place + 16]))
            if place + 8 < size and order[place + 8] < n:
                ahead = order[place + 8]
                prefetch(dependent, np.int64(span[ahead, 0]))
            if place + 4 < size and order[place + 4] < n:
                ahead = order[place + 4]
                for at in range(span[ahead, 0], min(span[ahead, 3], span[ahead, 0] + 8)):
                    prefetch(set_of, np.int64(dependent[at]))
            if which[node] >= 0:
                part[parts] = -1 - which[node]
                parts += 1
            if node < n:
                for at in range(span[node, 0], span[node, 3]):
                    other = dependent[at]
                    found = set_of[other]
                    if found > 0 and seen[found] != component + 1 and marks[other] & REWRITTEN == 0:
                        seen[found] = component + 1
                        part[parts] = found
                        parts += 1
            if marks[node] & EXTRA:
                at = extra_head(arrays.x_key, arrays.x_head, node)
                while at >= 0:
                    if arrays.x_kind[at] != VOID:
                        found = set_of[extra_owner(arrays, owners, at)]
                        if found > 0 and seen[found] != component + 1:
                            seen[found] = component + 1
                            part[parts] = found
                            parts += 1
                    at = arrays.x_next[at]
        if parts == first:
            mine = 0
        elif parts == first + 1 and part[first] > 0:
            mine = part[first]
            parts = first
        else:
            mine = sets
            sets += 1
            part_start[sets] = parts
        for place in range(start[component], start[component + 1]):
            set_of[order[place]] = mine
    return set_of, part_start[: sets + 1].copy(), part[:parts].copy()


@kernel
def unite(rows: Bits, part_start: Int32s, part: Int32s, base: int, sizes: Int32s) -> None:
    """The rows of a block whose first service is `base`, and how many bits each has."""
    parts = len(part)
    for number in range(len(part_start) - 1):
        a = b = c = d = e = f = g = h = np.uint64(0)
        for place in range(part_start[number], part_start[number + 1]):
            if place + 16 < parts and part[place + 16] > 0:
                prefetch(rows, 8 * np.int64(part[place + 16]))
            earlier = part[place]
            if earlier > 0:
                a |= rows[earlier, 0]
                b |= rows[earlier, 1]
                c |= rows[earlier, 2]
                d |= rows[earlier, 3]
                e |= rows[earlier, 4]
                f |= rows[earlier, 5]
                g |= rows[earlier, 6]
                h |= rows[earlier, 7]
        rows[number, 0], rows[number, 1], rows[number, 2], rows[number, 3] = a, b, c, d
        rows[number, 4], rows[number, 5], rows[number, 6], rows[number, 7] = e, f, g, h
        for place in range(part_start[number], part_start[number + 1]):
            bit = -1 - part[place] - base
            if 0 <= bit < 512:
                rows[number, bit >> 6] |= np.uint64(1) << np.uint64(bit & 63)
        total = np.uint64(0)
        for word in range(WORDS):
            total += ones(rows[number, word])
        sizes[number] = total


@kernel
def ones(word: np.uint64) -> np.uint64:
    """How many bits are set (H. Warren, Hacker's Delight, section 5-1)."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + ((word >> np.uint64(2)) & np.uint64(0x3333333333333333))
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)
