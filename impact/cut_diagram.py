"""The minimal cut sets of a reduced closure up to an order, as one diagram, and what it says of the probability.

Promises: the diagram holds every minimal set of at most `order` nodes of the residue whose failure takes the service
down although all single points of failure are up. With probabilities it also bounds how likely the service is down by
anything else: `dropped`. It is a sum over all gates of what was left out there, each with its true probability, and
where nothing was left out the sets up to the order say all. So the truth is between `bounds`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from impact import cut_families
from impact.closure import Floats, Int32s
from impact.errors import TooManyNodes
from impact.kernel import kernel
from impact.reduction import Reduction

NODE_LIMIT = 4_000_000
"""Nodes a diagram may have where nothing else is said; with its tables a node takes up to 44 bytes."""
_FIRST_CAPACITY = 2**20
_USUAL_NODES = 128
"""Nodes of a diagram per node of a residue that suffice most often; to begin anew with more costs what was done."""
_GROWTH = 4
_LONGER = 12
"""So many times as long as an attempt takes the next one, with `_GROWTH` times the nodes, as measured on services."""
_FIRST_IN_TIME = 2**18
"""Nodes of the first attempt where time is short: half a second to two."""
_MOST_REMEMBERED = 2**15
"""Results: what fits the cache of a core is worth more than what is remembered longer."""


@dataclass(frozen=True, slots=True, eq=False)
class CutDiagram:
    """`nodes`: rows (element, without, having), see `impact.cut_families`; `root`: the family of the service.

    `node_of`: the node of the residue behind each element; `own`: float64 per element, its probability to be down.
    """

    order: int
    nodes: npt.NDArray[np.int32]
    root: int
    dropped: float
    node_of: Int32s
    own: Floats

    @classmethod
    def of(
        cls,
        reduction: Reduction,
        order: int,
        own: Floats | None = None,
        *,
        node_limit: int = NODE_LIMIT,
        seconds: float = math.inf,
    ) -> CutDiagram:
        """The cut sets of up to `order` (at least 1) nodes; `own`: how likely each node of the residue is down itself.

        Without `own` nothing is weighed. Raises `TooManyNodes` where the limit does not suffice, or as many nodes as
        there is time for: after a first attempt none is begun that is likely to take longer than what is left.
        """
        residue = reduction.residue
        last_first = members_first(residue.gate_start, residue.member_start, residue.members)
        node_of = last_first[::-1].copy()
        element = np.full(residue.size, -1, np.int32)
        element[node_of] = np.arange(len(node_of), dtype=np.int32)
        element[0] = -1
        weights = np.zeros(len(node_of)) if own is None else own[node_of]
        first, until = _FIRST_CAPACITY if seconds == math.inf else _FIRST_IN_TIME, time.monotonic() + seconds
        capacity = min(_USUAL_NODES * residue.size, first, node_limit)
        while True:
            begun = time.monotonic()
            nodes = np.empty((capacity, 3), np.int32)
            nodes[:2] = cut_families.TERMINAL, 0, 0
            unique = np.zeros(1 << (2 * capacity - 1).bit_length(), np.int32)
            remembered = 1 << (min(capacity, _MOST_REMEMBERED) - 1).bit_length()
            memo = np.zeros((remembered, 4), np.int32)
            state = np.array([2, 0], np.int32)
            stack = np.empty((4 * (order + 2) * (residue.size + 1), 2), np.int32)
            families = np.zeros(residue.size, np.int32)
            gates = residue.gate_start, residue.required, residue.member_start, residue.members
            tables = nodes, unique, memo, state, stack, families
            if cut_families.settle(*gates, element, last_first, order, *tables):
                dropped = 0.0
                if own is not None:
                    weight_memo = np.zeros((remembered, 3), np.int32), np.zeros(remembered)
                    dropped = cut_families.weigh_left_out(
                        *gates, last_first, order, *tables, weights, *weight_memo
                    )
                if dropped >= 0:
                    break
            now = time.monotonic()
            if capacity >= node_limit or now + _LONGER * (now - begun) > until:
                raise TooManyNodes(capacity)
            capacity = min(_GROWTH * capacity, node_limit)
        kept = nodes[: state[0]].copy()
        return cls(order, kept, int(families[0]), dropped, node_of, weights)

    def weight(self) -> float:
        """The sum of the probabilities of the cut sets."""
        return float(cut_families.weigh(self.nodes, self.own, self.root))

    def derivatives(self) -> Floats:
        """float64 per element: the sum, over the cut sets with it, of the probability of the others."""
        return _derive(self.nodes, self.own, self.root)

    def bounds(self) -> tuple[float, float]:
        """Between which the probability lies that the service is down although its single points of failure are up."""
        weight = self.weight()
        low, high = _bound(self.nodes, self.own, self.root)
        if self.order <= 2:
            # Bonferroni: two sets of two have one element in common at most.
            common = float(np.sum(self.own * self.derivatives() ** 2))
            low = max(low, weight - (weight**2 + common) / 2)
        return low, min(1.0, min(weight, high) + self.dropped)

    def count(self, parts: Int32s | None = None) -> list[int]:
        """How many cut sets there are of each order, 0 to `order`; `parts`: how many nodes each element stands for."""
        counted = np.ones(len(self.node_of)) if parts is None else parts.astype(np.float64)
        return [int(n) for n in _count(self.nodes, counted, self.root, self.order)]

    def sets(self, most: int) -> tuple[Int32s, bool]:
        """int32[m, order]: the cut sets as elements, -1 where a set has fewer; and whether these are all.

        Where there are more than `most`, some are given, in no useful order.
        """
        rows, filled = _list(self.nodes, self.root, self.order, most)
        return rows[:filled], filled == sum(self.count())


@kernel
def members_first(gate_start: Int32s, member_start: Int32s, members: Int32s) -> Int32s:
    """The nodes reachable from node 0, those that a node needs before it, as far as cycles allow."""
    nodes = len(gate_start) - 1
    order = np.empty(nodes, np.int32)
    stack = np.empty(nodes, np.int32)
    following = np.empty(nodes, np.int64)
    seen = np.zeros(nodes, np.bool_)
    stack[0], seen[0] = 0, True
    following[0] = member_start[gate_start[0]]
    depth, filled = 1, 0
    while depth > 0:
        node = stack[depth - 1]
        place, end = following[node], member_start[gate_start[node + 1]]
        while place < end and seen[members[place]]:
            place += 1
        following[node] = place
        if place == end:
            order[filled] = node
            filled += 1
            depth -= 1
            continue
        member = members[place]
        seen[member] = True
        following[member] = member_start[gate_start[member]]
        stack[depth] = member
        depth += 1
    return order[:filled]


@kernel
def _derive(nodes: Int32s, own: Floats, root: int) -> Floats:
    derivatives = np.zeros(len(own))
    sums = np.zeros(root + 1)
    shares = np.zeros(root + 1)
    if root < 2:
        return derivatives
    sums[1] = 1.0
    shares[root] = 1.0
    for node in range(2, root + 1):
        sums[node] = sums[nodes[node, 1]] + own[nodes[node, 0]] * sums[nodes[node, 2]]
    for node in range(root, 1, -1):
        share = shares[node]
        if share > 0.0:
            shares[nodes[node, 1]] += share
            shares[nodes[node, 2]] += share * own[nodes[node, 0]]
            derivatives[nodes[node, 0]] += share * sums[nodes[node, 2]]
    return derivatives


@kernel
def _bound(nodes: Int32s, own: Floats, root: int) -> tuple[float, float]:
    """Two bounds of the probability that a set of the family has failed.

    Either the first element is up, and a set of the others has failed; or it is down, and one of two families has: at
    least as likely as either, at most as likely as if they were independent (they are associated).
    """
    lows = np.zeros(root + 1)
    highs = np.zeros(root + 1)
    if root >= 1:
        lows[1] = highs[1] = 1.0
    for node in range(2, root + 1):
        q = own[nodes[node, 0]]
        without, having = nodes[node, 1], nodes[node, 2]
        lows[node] = (1.0 - q) * lows[without] + q * max(lows[without], lows[having])
        both = highs[without] + highs[having] - highs[without] * highs[having]
        highs[node] = (1.0 - q) * highs[without] + q * both
    return lows[root], highs[root]


@kernel
def _count(nodes: Int32s, parts: Floats, root: int, order: int) -> Floats:
    counts = np.zeros((max(root, 1) + 1, order + 1))
    counts[1, 0] = 1.0
    for node in range(2, root + 1):
        for size in range(order + 1):
            counts[node, size] = counts[nodes[node, 1], size]
            if size > 0:
                counts[node, size] += parts[nodes[node, 0]] * counts[nodes[node, 2], size - 1]
    found: Floats = counts[root]
    return found


@kernel
def _list(nodes: Int32s, root: int, order: int, most: int) -> tuple[Int32s, int]:
    rows = np.full((most, order), -1, np.int32)
    chosen = np.empty((order + 1) * 2, np.int32)
    # A stack of (node, how many elements are chosen): the way with an element first, then the way without.
    stack = np.empty((len(nodes) + order + 2, 2), np.int32)
    picked = np.empty(len(nodes) + order + 2, np.int32)
    stack[0, 0], stack[0, 1], picked[0] = root, 0, -1
    top, filled = 1, 0
    while top > 0 and filled < most:
        top -= 1
        node, size = stack[top, 0], stack[top, 1]
        if picked[top] >= 0:
            chosen[size - 1] = picked[top]
        if node == 1:
            rows[filled, :size] = chosen[:size]
            filled += 1
        if node < 2:
            continue
        stack[top, 0], stack[top, 1], picked[top] = nodes[node, 1], size, -1
        stack[top + 1, 0], stack[top + 1, 1], picked[top + 1] = nodes[node, 2], size + 1, nodes[node, 0]
        top += 2
    return rows, filled
