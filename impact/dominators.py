"""Dominators of a directed graph: what lies on every way from a root.

d dominates v if each path from the root to v passes d; the immediate dominator is the last such d before v. On the
dependencies of a service, what an item dominates harms the service through that item only. Lengauer and Tarjan, "A fast
algorithm for finding dominators in a flowgraph" (1979), in the variant with path compression alone: O(m log n)
whatever the graph looks like, cycles included. Redundancy plays no part: a gate is a bundle of edges here.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cmdb.errors import BadRequest
from cmdb.model.topology import Topology
from impact.errors import UnknownItems
from impact.kernel import kernel
from impact.rows import Int32Array


@kernel
def _number(
    starts: Int32Array,
    targets: Int32Array,
    root: int,
    order: Int32Array,
    number: Int32Array,
    parent: Int32Array,
) -> int:
    """Number what the root reaches as a depth-first search enters it; parents as numbers. Returns how many."""
    slots = starts[:-1].copy()
    number[:] = -1
    stack = np.empty(len(number), np.int32)
    order[0] = root
    number[root] = 0
    parent[0] = -1
    stack[0] = root
    depth = 1
    seen = 1
    while depth > 0:
        node = stack[depth - 1]
        slot = slots[node]
        if slot == starts[node + 1]:
            depth -= 1
            continue
        slots[node] = slot + 1
        other = targets[slot]
        if number[other] < 0:
            number[other] = seen
            order[seen] = other
            parent[seen] = number[node]
            stack[depth] = other
            depth += 1
            seen += 1
    return seen


@kernel
def _least(node: int, forest: Int32Array, label: Int32Array, semi: Int32Array, path: Int32Array) -> int:
    """The node of least semidominator on the way up to the root of its tree in the forest; compresses that way."""
    if forest[node] < 0:
        return node
    length = 0
    while forest[forest[node]] >= 0:
        path[length] = node
        length += 1
        node = forest[node]
    top = forest[node]
    best: int = label[node]
    while length > 0:
        length -= 1
        node = path[length]
        if semi[best] < semi[label[node]]:
            label[node] = best
        best = label[node]
        forest[node] = top
    return best


@kernel
def _turn_round(
    starts: Int32Array,
    targets: Int32Array,
    order: Int32Array,
    number: Int32Array,
    begins: Int32Array,
    sources: Int32Array,
) -> None:
    """The edges among what is reached, backwards, in numbers: to v from `sources[begins[v]:begins[v + 1]]`."""
    begins[:] = 0
    for node in order:
        for slot in range(starts[node], starts[node + 1]):
            begins[number[targets[slot]]] += 1
    for index in range(len(order)):
        begins[index + 1] += begins[index]  # for now the end of each
    for source in range(len(order) - 1, -1, -1):
        node = order[source]
        for slot in range(starts[node], starts[node + 1]):
            target = number[targets[slot]]
            begins[target] -= 1
            sources[begins[target]] = source


@kernel
def _dominate(
    begins: Int32Array,
    sources: Int32Array,
    parent: Int32Array,
    semi: Int32Array,
    label: Int32Array,
    forest: Int32Array,
    path: Int32Array,
    waiting: Int32Array,
    behind: Int32Array,
    immediate: Int32Array,
) -> None:
    """Fill in the immediate dominator of each number.

    Scratch: `semi` and `label` begin as the numbers themselves, `forest` and `waiting` as -1. In `waiting` is, for a
    semidominator, the last node that waits for it, in `behind` the one before that.
    """
    reached = len(semi)
    for node in range(reached - 1, 0, -1):
        for slot in range(begins[node], begins[node + 1]):
            least = semi[_least(sources[slot], forest, label, semi, path)]
            if least < semi[node]:
                semi[node] = least
        behind[node] = waiting[semi[node]]
        waiting[semi[node]] = node
        above = parent[node]
        forest[node] = above
        done = waiting[above]
        while done >= 0:
            least = _least(done, forest, label, semi, path)
            immediate[done] = least if semi[least] < semi[done] else above
            done = behind[done]
        waiting[above] = -1
    for node in range(1, reached):
        if immediate[node] != semi[node]:
            immediate[node] = immediate[immediate[node]]


@kernel
def _gather(order: Int32Array, immediate: Int32Array, counts: Int32Array) -> None:
    """Add to each node what the nodes that it immediately dominates dominate; dominators come earlier in `order`."""
    for index in range(len(order) - 1, 0, -1):
        node = order[index]
        counts[immediate[node]] += counts[node]


@dataclass(frozen=True, eq=False)
class Dominators:
    """The dominator tree from `root`.

    `order`: int32[reached], the nodes that the root reaches, itself first, each after its dominators. `immediate`:
    int32[n], the immediate dominator of a node; the root for itself, -1 for what is not reached.
    """

    root: int
    order: Int32Array
    immediate: Int32Array

    @cached_property
    def counts(self) -> Int32Array:
        """How many nodes each node dominates, itself among them: int32[n], 0 for what is not reached."""
        counts = (self.immediate >= 0).astype(np.int32)
        _gather(self.order, self.immediate, counts)
        return counts

    def of(self, node: int) -> list[int]:
        """The dominators of a node from the root down to itself; none of one that is not reached."""
        if self.immediate[node] < 0:
            return []
        chain = [node]
        while chain[-1] != self.root:
            chain.append(int(self.immediate[chain[-1]]))
        return chain[::-1]


def dominators(starts: Int32Array, targets: Int32Array, root: int) -> Dominators:
    """The dominator tree of a directed graph in rows: node v has edges to `targets[starts[v]:starts[v + 1]]`.

    Raises `BadRequest` for a root that is no node.
    """
    nodes = len(starts) - 1
    if not 0 <= root < nodes:
        raise BadRequest(f"root is {root}; nodes are 0 to {nodes - 1}")
    order, number, parent = (np.empty(nodes, np.int32) for _ in range(3))
    reached = _number(starts, targets, root, order, number, parent)
    order, parent = order[:reached].copy(), parent[:reached]
    begins = np.empty(reached + 1, np.int32)
    sources = np.empty(len(targets), np.int32)
    _turn_round(starts, targets, order, number, begins, sources)
    semi, label = (np.arange(reached, dtype=np.int32) for _ in range(2))
    forest, waiting = (np.full(reached, -1, np.int32) for _ in range(2))
    path, behind, found = (np.zeros(reached, np.int32) for _ in range(3))
    _dominate(begins, sources, parent, semi, label, forest, path, waiting, behind, found)
    immediate = np.full(nodes, -1, np.int32)
    immediate[order] = order[found]
    return Dominators(root, order, immediate)


def immediate_dominators(topology: Topology, root: str, *, types: Set[str] | None = None) -> dict[str, str]:
    """For everything that `root` needs, directly and indirectly, the last item on every way to it but itself.

    `types` are the relationship types to walk, None for those that carry failure. Raises `UnknownItems`.
    """
    if root not in topology.items:
        raise UnknownItems([root], topology.revision)
    number = {root: 0}
    ids = [root]
    starts, targets = [0], []
    for item in ids:  # grows meanwhile
        for edge in topology.dependencies_of(item):
            if not (edge.strength is not None if types is None else edge.type in types):
                continue
            if edge.target not in number:
                number[edge.target] = len(ids)
                ids.append(edge.target)
            targets.append(number[edge.target])
        starts.append(len(targets))
    tree = dominators(np.array(starts, np.int32), np.array(targets, np.int32), 0)
    return {ids[node]: ids[tree.immediate[node]] for node in tree.order[1:]}
