"""The fewest nodes whose loss separates two nodes, or any two, of an undirected network.

By Menger's theorem that is the largest number of ways between them that share no node in between; it is found as a
maximum flow with every node between split in two and joined by an arc of capacity 1 (Dinic's algorithm, O(m sqrt(n)) on
such networks; Even and Tarjan, "Network flow and testing graph connectivity", 1975). The split network is never built:
one flag for each node and for each slot of its row says what carries flow.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import numpy.typing as npt

from cmdb.errors import BadRequest
from impact.connectivity import connectivity
from impact.kernel import kernel
from impact.rows import Int32Array, Rows

BoolArray = npt.NDArray[np.bool_]


@kernel
def _leads_to(
    node: int,
    leaving: int,
    slot: int,
    neighbours: Int32Array,
    mates: Int32Array,
    source: int,
    target: int,
    flow: BoolArray,
) -> int:
    """The state that a slot leads to, -1 for none.

    A node v has two states: 2v, entered, and 2v + 1, to be left. From the second one any neighbour can be entered, save
    by a link that joins source and target themselves; from the first, what came in along a link can be sent back.
    """
    other: int = neighbours[slot]
    if other in (node, source) or (node == source and other == target):
        return -1
    if leaving == 1:
        return 2 * other
    return 2 * other + 1 if flow[mates[slot]] else -1


@kernel
def _find_levels(
    starts: Int32Array,
    neighbours: Int32Array,
    mates: Int32Array,
    source: int,
    target: int,
    carried: BoolArray,
    flow: BoolArray,
    level: Int32Array,
    queue: Int32Array,
) -> bool:
    """Give states their distance from the source over what can still take flow, until the target has one."""
    level[:] = -1
    level[2 * source + 1] = 0
    queue[0] = 2 * source + 1
    head, tail = 0, 1
    while head < tail:
        state = queue[head]
        head += 1
        node = state >> 1
        leaving = state & 1
        if level[state ^ 1] < 0 and node != source and carried[node] == (leaving == 1):
            level[state ^ 1] = level[state] + 1
            queue[tail] = state ^ 1
            tail += 1
        for slot in range(starts[node], starts[node + 1]):
            reached = _leads_to(node, leaving, slot, neighbours, mates, source, target, flow)
            if reached < 0 or level[reached] >= 0:
                continue
            level[reached] = level[state] + 1
            queue[tail] = reached
            tail += 1
            if reached == 2 * target:
                return True
    return False


@kernel
def _find_ways(
    starts: Int32Array,
    neighbours: Int32Array,
    mates: Int32Array,
    source: int,
    target: int,
    limit: int,
    carried: BoolArray,
    flow: BoolArray,
    level: Int32Array,
) -> int:
    """How many ways from source to target share no node, `limit` at most; they are left in `carried` and `flow`.

    When fewer are found, `level` tells what a source can reach of what is left: the nodes that it enters and cannot
    leave (level[2v] >= 0 > level[2v + 1]) are a minimum cut.
    """
    carried[:] = False
    flow[:] = False
    path = np.empty(len(level), np.int32)
    slots = np.empty(
        len(level), np.int32
    )  # per state, the slot to try next; the one before its row is the node itself
    ways = 0
    while ways < limit and _find_levels(
        starts, neighbours, mates, source, target, carried, flow, level, path
    ):
        for state in range(len(level)):
            slots[state] = starts[state >> 1] - 1
        path[0] = 2 * source + 1
        length = 1
        while length > 0 and ways < limit:
            state = path[length - 1]
            if state == 2 * target:
                for index in range(length - 1):
                    here, there = path[index], path[index + 1]
                    if here >> 1 == there >> 1:
                        carried[here >> 1] = here & 1 == 0
                    elif here & 1 == 1:
                        flow[slots[here]] = True
                    else:
                        flow[mates[slots[here]]] = False
                ways += 1
                length = 1
                continue
            node = state >> 1
            leaving = state & 1
            following = -1
            while slots[state] < starts[node + 1]:
                if slots[state] < starts[node]:
                    if node != source and carried[node] == (leaving == 1):
                        following = state ^ 1
                else:
                    following = _leads_to(
                        node, leaving, slots[state], neighbours, mates, source, target, flow
                    )
                if following >= 0 and level[following] == level[state] + 1:
                    break
                following = -1
                slots[state] += 1
            if following >= 0:
                path[length] = following
                length += 1
            else:
                length -= 1
                if length > 0:
                    slots[path[length - 1]] += 1
    return ways


@dataclass(frozen=True, slots=True)
class NodeCut:
    """What separates two nodes of a network.

    `nodes`: a smallest set, ascending; of several the one nearest to the first node. `ways`: as many ways from the one
    to the other, each the nodes from end to end; they share none in between, and each passes one node of the cut.
    `direct`: the links that join the two themselves, which no loss of others undoes. `truncated`: more than the limit
    would be needed; `nodes` is then empty, and `ways` has as many ways as the limit.
    """

    nodes: tuple[int, ...]
    ways: tuple[tuple[int, ...], ...]
    direct: tuple[int, ...]
    truncated: bool


class Separation:
    """Minimum cuts of one network, one after another with the same scratch space; not for several threads at once."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._mates = rows.mates
        self._carried = np.empty(rows.nodes, np.bool_)
        self._flow = np.empty(len(rows.neighbours), np.bool_)
        self._level = np.empty(2 * rows.nodes, np.int32)

    def ways(self, source: int, target: int, limit: int) -> int:
        """How many ways between two nodes share no node, direct links left out; stops at `limit`."""
        rows = self.rows
        return _find_ways(
            rows.starts,
            rows.neighbours,
            self._mates,
            source,
            target,
            limit,
            self._carried,
            self._flow,
            self._level,
        )

    def cut(self) -> Int32Array:
        """The minimum cut of the last question, if it found fewer ways than its limit."""
        return np.flatnonzero((self._level[0::2] >= 0) & (self._level[1::2] < 0)).astype(np.int32)

    def trace(self, source: int, target: int) -> list[tuple[int, ...]]:
        """The ways of the last question, node by node."""
        starts, neighbours = self.rows.starts, self.rows.neighbours
        traced = []
        for first in np.flatnonzero(self._flow[starts[source] : starts[source + 1]]) + starts[source]:
            way, slot = [source], first
            while (node := int(neighbours[slot])) != target:
                way.append(node)
                slot = starts[node] + self._flow[starts[node] : starts[node + 1]].argmax()
            traced.append((*way, target))
        return sorted(traced, key=lambda way: (len(way), way))


def minimum_node_cut_between(rows: Rows, source: int, target: int, *, limit: int = 1000) -> NodeCut:
    """The fewest nodes whose loss separates two nodes, as far as other nodes can.

    Two nodes in different components are separated by the empty set already. Raises `BadRequest` for one node twice, a
    number that is no node, or a `limit` below 1.
    """
    if source == target or limit < 1 or not all(0 <= node < rows.nodes for node in (source, target)):
        raise BadRequest(
            f"source {source}, target {target}, limit {limit}; "
            f"give two different nodes of 0 to {rows.nodes - 1}, and a limit of 1 or more"
        )
    separation = Separation(rows)
    found = separation.ways(source, target, limit + 1)
    truncated = found > limit
    row = slice(rows.starts[source], rows.starts[source + 1])
    return NodeCut(
        () if truncated else tuple(separation.cut().tolist()),
        tuple(separation.trace(source, target)[:limit]),
        tuple(np.sort(rows.links[row][rows.neighbours[row] == target]).tolist()),
        truncated,
    )


def minimum_node_cut(rows: Rows) -> Int32Array | None:
    """The fewest nodes whose loss leaves two others of a network without a way: int32, ascending.

    Empty where that is so already, None where every two nodes are linked, so that nothing can. The fewest ways over the
    pairs of a node of least degree with all others, and of its neighbours with each other (Esfahanian and Hakimi, "On
    computing the connectivities of graphs and digraphs", 1984); what one search finds is taken from there.
    """
    simple = rows.simple()
    degrees = np.diff(simple.starts)
    if rows.nodes < 2 or degrees.min() == rows.nodes - 1:
        return None
    found = connectivity(simple)
    if found.components > 1:
        return np.empty(0, np.int32)
    if len(found.articulation_points):
        return found.articulation_points[:1]
    least = int(degrees.argmin())
    around = simple.neighbours[simple.starts[least] : simple.starts[least + 1]]
    neighbours = {
        int(node): set(simple.neighbours[simple.starts[node] : simple.starts[node + 1]].tolist())
        for node in (*around, least)
    }
    separation = Separation(simple)
    best = np.sort(around)
    pairs = chain(
        ((least, node) for node in range(rows.nodes) if node != least),
        combinations(sorted(neighbours[least]), 2),
    )
    for one, other in pairs:
        if len(best) == 2:  # no less: no single node does it
            break
        if other not in neighbours[one] and separation.ways(one, other, len(best)) < len(best):
            best = separation.cut()
    return best
