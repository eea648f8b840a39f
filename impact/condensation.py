"""An order of all items in which dependents come before what they depend on, cycles taken as one.

Strongly connected components by Tarjan's algorithm (R. Tarjan, Depth-first search and linear graph algorithms, 1972),
with a stack of its own instead of recursion. Soft edges count as well as hard ones, so the same order serves questions
about either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmdb.model.columns import Int32s
from impact.failure_graph import FailureGraph
from impact.failure_kernels import EXTRA, REWRITTEN, VOID, Arrays, Marks, extra_head, extra_owner
from impact.kernel import kernel


@dataclass(frozen=True, slots=True, eq=False)
class Condensation:
    """Components in an order in which all that depends on one comes before it.

    `order`: int32[n], every number once; `start`: int32[components + 1], component c is `order[start[c]:start[c + 1]]`,
    in the order in which a depth-first search left its members; `component`: int32[n].
    """

    order: Int32s
    start: Int32s
    component: Int32s

    @classmethod
    def of(cls, graph: FailureGraph) -> Condensation:
        """Linear in the edges that carry failure."""
        return cls(*condense(graph.arrays, graph.marks(), graph.owners))


@kernel
def condense(arrays: Arrays, marks: Marks, owners: Int32s) -> tuple[Int32s, Int32s, Int32s]:
    """`order`, `start` and `component`; `owners`: int32 per gate of the overlay."""
    span, dependent, n = arrays.span, arrays.dependent, len(arrays.span)
    size = len(marks)
    low = np.zeros(size, np.int32)  # 0: not seen yet
    cursor = np.empty(size, np.int32)  # the next entry; below zero: one of the overlay, -1 is the end
    component = np.full(size, -1, np.int32)
    way = np.empty(size, np.int32)
    waiting = np.empty(size, np.int32)
    left = np.empty(size, np.int32)
    number, waits, leaves, components = 0, 0, 0, 0
    seen_at = np.empty(size, np.int32)
    for root in range(size):
        if low[root]:
            continue
        depth = 0
        way[0] = root
        number += 1
        low[root], seen_at[root] = number, number
        cursor[root] = span[root, 0] if root < n else 0
        waiting[waits] = root
        waits += 1
        while depth >= 0:
            node = way[depth]
            at = cursor[node]
            other = -1
            if at >= 0:
                if node < n and at < span[node, 3]:
                    cursor[node] = at + 1
                    other = dependent[at]
                    if marks[other] & REWRITTEN:
                        continue
                else:
                    head = extra_head(arrays.x_key, arrays.x_head, node) if marks[node] & EXTRA else -1
                    cursor[node] = -2 - head if head >= 0 else -1
                    continue
            elif at < -1:
                place = -2 - at
                following = arrays.x_next[place]
                cursor[node] = -2 - following if following >= 0 else -1
                if arrays.x_kind[place] == VOID:
                    continue
                other = extra_owner(arrays, owners, place)
            if other >= 0:
                if low[other] == 0:
                    number += 1
                    low[other], seen_at[other] = number, number
                    cursor[other] = span[other, 0] if other < n else 0
                    waiting[waits] = other
                    waits += 1
                    depth += 1
                    way[depth] = other
                elif component[other] < 0:
                    low[node] = min(low[node], seen_at[other])
                continue
            left[leaves] = node
            leaves += 1
            depth -= 1
            if depth >= 0:
                low[way[depth]] = min(low[way[depth]], low[node])
            if low[node] == seen_at[node]:
                while True:
                    waits -= 1
                    member = waiting[waits]
                    component[member] = components
                    if member == node:
                        break
                components += 1
    start = np.zeros(components + 1, np.int32)
    for node in range(size):
        start[component[node] + 1] += 1
    for place in range(components):
        start[place + 1] += start[place]
    order = np.empty(size, np.int32)
    at_of = start[:components].copy()
    for place in range(size):
        node = left[place]
        order[at_of[component[node]]] = node
        at_of[component[node]] += 1
    return order, start, component
