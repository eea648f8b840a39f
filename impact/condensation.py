"""An order of all items in which dependents come before what they depend on, cycles taken as one.

Most items neither lie in a cycle nor depend on one. They are peeled off: what depends on nothing, then what depends on
that only, and so on (A. Kahn, Topological sorting of large networks, 1962), which knows long before what it looks at
next; layer by layer they lie in memory as they are numbered. Of the others strongly connected components are found by
depth-first search over the edges that carry failure, hard or soft, from dependencies to dependents (H. Gabow,
Path-based depth-first search for strong and biconnected components, 2000), with a stack of its own instead of
recursion. One number per item is all that is looked up for an edge, so that it fits into caches; what the overlay
says of an item is looked at only where there is an overlay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmdb.model.columns import Int32s
from impact.failure_graph import FailureGraph
from impact.failure_kernels import EXTRA, REWRITTEN, STANDING, VOID, Arrays, Marks, extra_head, extra_owner
from impact.kernel import kernel, prefetch

FAR, NEAR = 16, 8
"""How many items ahead rows and what they say are fetched."""
CLOSED = -1
MOST_FETCHED = 16
"""So many dependents of an item are fetched into the cache when it is entered."""


@dataclass(frozen=True, slots=True, eq=False)
class Condensation:
    """Components in an order in which all that depends on one comes before it.

    `order`: int32[n], every number once; `start`: int32[components + 1], component c is `order[start[c]:start[c + 1]]`.
    """

    order: Int32s
    start: Int32s

    @classmethod
    def of(cls, graph: FailureGraph) -> Condensation:
        """Linear in the edges that carry failure."""
        return cls(*condense(graph.arrays, graph.marks(), graph.owners))


@kernel
def is_overlaid(marks: Marks) -> bool:
    """Whether the overlay says anything of any item's edges."""
    standing = np.uint8(0)
    for mark in marks:
        standing |= mark
    return bool(standing & STANDING)


@kernel
def peel(arrays: Arrays, marks: Marks, owners: Int32s) -> Int32s:
    """int32 per item: above zero where a cycle leads to it; else -1 - how many hops it is, at most, from what
    depends on nothing.

    `owners`: int32 per gate of the overlay.
    """
    span, dependent, n = arrays.span, arrays.dependent, len(arrays.span)
    size, overlaid = len(marks), is_overlaid(marks)
    needs = np.zeros(size, np.int32)
    for at in range(len(dependent)):
        needs[dependent[at]] += 1
    if overlaid:
        for node in range(size):
            if marks[node] & REWRITTEN:
                needs[node] = 0
        for place in range(len(arrays.x_entry)):
            if arrays.x_kind[place] != VOID:
                needs[extra_owner(arrays, owners, place)] += 1
    order = np.empty(size + 1, np.int32)
    tail = 0
    for node in range(size):
        order[tail] = node
        tail += int(needs[node] == 0)
    head, end, depth = 0, tail, 0
    while head < tail:
        if head == end:
            end = tail
            depth += 1
        if head + FAR < tail:
            prefetch(span, 4 * np.int64(order[head + FAR]))
        if head + NEAR < tail and order[head + NEAR] < n:
            prefetch(dependent, np.int64(span[order[head + NEAR], 0]))
        node = order[head]
        head += 1
        needs[node] = -1 - depth
        if node < n:
            for at in range(span[node, 0], span[node, 3]):
                other = dependent[at]
                valid = int(not overlaid or marks[other] & REWRITTEN == 0)
                needs[other] -= valid
                order[tail] = other
                tail += valid & int(needs[other] == 0)
        if overlaid and marks[node] & EXTRA:
            place = extra_head(arrays.x_key, arrays.x_head, node)
            while place >= 0:
                if arrays.x_kind[place] != VOID:
                    other = extra_owner(arrays, owners, place)
                    needs[other] -= 1
                    order[tail] = other
                    tail += int(needs[other] == 0)
                place = arrays.x_next[place]
    return needs


@kernel
def deepest_first(layer: Int32s) -> Int32s:
    """The items that `peel` gives a layer, by descending ones; in each by their numbers, as they lie in memory."""
    layers = 0
    for number in layer:
        layers = max(layers, -number)
    begins = np.zeros(layers, np.int32)
    for node in range(len(layer)):
        if layer[node] < 0:
            begins[-1 - layer[node]] += 1
    total = 0
    for number in range(len(begins) - 1, -1, -1):
        count = begins[number]
        begins[number] = total
        total += count
    order = np.empty(total, np.int32)
    for node in range(len(layer)):
        if layer[node] < 0:
            order[begins[-1 - layer[node]]] = node
            begins[-1 - layer[node]] += 1
    return order


@kernel
def condense(arrays: Arrays, marks: Marks, owners: Int32s) -> tuple[Int32s, Int32s]:
    """`order` and `start`. `owners`: int32 per gate of the overlay."""
    span, dependent, n = arrays.span, arrays.dependent, len(arrays.span)
    size, overlaid = len(marks), is_overlaid(marks)
    layer = peel(arrays, marks, owners)
    # 0: not seen; from 1 on: where in `open_`; CLOSED: its component is known
    place_of = np.zeros(size, np.int32)
    open_ = np.empty(size + 1, np.int32)
    bounds = np.empty(size + 1, np.int32)  # where in `open_` those begin that may be components
    way = np.empty(
        (size + 1, 2), np.int32
    )  # items, and the next entry of each; -1: no more, below: in the overlay
    order, start = np.empty(size, np.int32), np.zeros(size + 1, np.int32)
    opened, bounded, done, components = 0, 0, 0, 0
    for root in range(size):
        if place_of[root] or layer[root] < 0:
            continue
        depth, entered = 0, True
        way[0, 0] = root
        while depth >= 0:
            node = way[depth, 0]
            if entered:
                entered = False
                opened += 1
                open_[opened] = node
                place_of[node] = opened
                bounded += 1
                bounds[bounded] = opened
                way[depth, 1] = span[node, 0] if node < n else 0
                if node < n:
                    for at in range(span[node, 0], min(span[node, 3], span[node, 0] + MOST_FETCHED)):
                        prefetch(place_of, np.int64(dependent[at]))
                        prefetch(span, 4 * np.int64(dependent[at]))
            other = -1
            at = way[depth, 1]
            if at >= 0:
                end = span[node, 3] if node < n else 0
                while at < end:
                    candidate = dependent[at]
                    at += 1
                    if place_of[candidate] >= 0 and (not overlaid or marks[candidate] & REWRITTEN == 0):
                        other = candidate
                        break
                if other < 0 and overlaid and marks[node] & EXTRA:
                    head = extra_head(arrays.x_key, arrays.x_head, node)
                    way[depth, 1] = -2 - head if head >= 0 else -1
                    continue
                way[depth, 1] = at if other >= 0 else -1
            elif at < -1:
                place = -2 - at
                following = arrays.x_next[place]
                way[depth, 1] = -2 - following if following >= 0 else -1
                if arrays.x_kind[place] == VOID:
                    continue
                other = extra_owner(arrays, owners, place)
            if other >= 0:
                if place_of[other] == 0:
                    depth += 1
                    way[depth, 0] = other
                    entered = True
                elif place_of[other] > 0:
                    while bounds[bounded] > place_of[other]:
                        bounded -= 1
            elif way[depth, 1] == -1:
                if bounds[bounded] == place_of[node]:
                    first = place_of[node]
                    for place in range(first, opened + 1):
                        order[done] = open_[place]
                        place_of[open_[place]] = CLOSED
                        done += 1
                    opened = first - 1
                    bounded -= 1
                    components += 1
                    start[components] = done
                depth -= 1
    for node in deepest_first(layer):
        order[done] = node
        done += 1
        components += 1
        start[components] = done
    return order, start[: components + 1]
