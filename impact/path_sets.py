"""Whether few failures can take a service down, from what keeps it up.

Words: a *path set* is a set of nodes, the service among them, in which every node finds what it needs: while none of it
fails, the service is up, for nothing in a cycle goes down unless something outside forces it. So failures that take the
service down hit every path set: where k + 1 of them share no node that can fail, k failures do not suffice. Otherwise
one of the failures is in the smallest of them; each of its nodes is tried, and then held up while the others are. In
place of a node the one that takes it down alone is tried, if there is one: it does no less. Where that is too much, the
ways in which the service can break are looked at one by one, each a gate and as many of its members as it takes: a
service that needs two of five has few disjoint path sets, but one that needs any of four of them has four.

Promises: `find_cut` is exact. How long it takes depends on how far the number of disjoint path sets that are found is
from the number of failures it takes: milliseconds where they agree (a service on several sites), and no answer where it
would be more than a second.

Sources: path sets and cut sets as in IEC 61078; the search is that for a smallest hitting set by branch and bound.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from typing import NamedTuple

import numpy as np

from impact.closure import Closure, Floats, Int32s, memberships, owners
from impact.failing_pairs import MOST_EFFECTS, Bools, Int64s, fall_alone
from impact.kernel import kernel

MOST_WORK = 15_000_000
"""Nodes, counted again for every path set, and a thousand more for it: tenths of a second."""
_FIRST_WORK = 5_000_000
"""Before each way of breaking is looked at by itself."""
_EACH = 1_000
_MOST_WAYS = 1_000
_DEAREST = 1e15
_ROUNDS = 4
"""How often costs are computed anew, because of cycles; they only say where to look first."""


class TooManyPathSets(Exception):
    """More would have to be looked for than there is time for."""


class _Shape(NamedTuple):
    gate_start: Int32s
    required: Int32s
    member_start: Int32s
    members: Int32s
    owner: Int32s
    use_start: Int32s
    uses: Int32s

    @classmethod
    def of(cls, closure: Closure) -> _Shape:
        gates = closure.gate_start, closure.required, closure.member_start, closure.members
        return cls(*gates, owners(gates[0]), *memberships(closure.size, *gates[2:]))


class PathSets:
    """Those of a closure whose service does not fail by itself, nor by any single failure.

    Raises `TooManyPathSets` where single failures have too many effects together.
    """

    def __init__(
        self,
        closure: Closure,
        *,
        seconds: float = math.inf,
        patience: Callable[[], None] = lambda: None,
    ) -> None:
        self._whole = closure
        self._shape = _Shape.of(closure)
        self._fall_start, self._fallen, *_, complete = fall_alone(*self._shape[:4], MOST_EFFECTS)
        if not complete:
            raise TooManyPathSets
        self._top = _tops(self._fall_start, self._fallen)
        self._promising = self._told_by_what_falls()
        self._cost = _costs(*self._shape[:4], _ROUNDS)
        self._held = np.zeros(closure.size, np.bool_)
        self._held[0] = True
        self._until, self._patience = time.monotonic() + seconds, patience
        self._work = 0

    def find_cut(self, failures: int) -> list[int] | None:
        """So many nodes, or fewer, whose failure takes the service down; None where no such nodes do.

        Raises `TooManyPathSets` where it would take more than `MOST_WORK` or the time. `patience` is called between
        steps, of some milliseconds each, and may raise what ends the search.
        """
        held, self._work, self._most = self._held.copy(), 0, min(_FIRST_WORK, MOST_WORK)
        shape = self._shape
        try:
            return self._cut([], failures)
        except TooManyPathSets:
            self._most = MOST_WORK
            for broken in _ways_to_break(self._whole):
                self._held, self._shape = held.copy(), _Shape.of(broken)
                found = self._cut([], failures)
                if found is not None:
                    return found
            return None
        finally:
            self._held, self._shape = held, shape

    def _told_by_what_falls(self) -> Int64s:
        """How soon each node is to be tried, int64: first what takes members of a gate of the service down, then what
        takes most down."""
        near = np.zeros(self._whole.size, np.int64)
        near[self._whole.members[: self._whole.member_start[self._whole.gate_start[1]]]] = self._whole.size
        weights = np.concatenate([[0], np.cumsum(1 + near[self._fallen])])
        told: Int64s = np.diff(weights[self._fall_start])
        return told

    def _cut(self, failed: list[int], further: int) -> list[int] | None:
        """With these failed, and up to so many more of the nodes that are not held up."""
        count, tops = self._disjoint(failed, further + 1)
        if count > further:
            return None
        if count == 0:
            return failed
        if further == 1:
            return self._with_one(failed, tops)
        before = self._held.copy()
        try:
            for node in tops[np.argsort(-self._promising[tops], kind="stable")].tolist():
                found = self._cut([*failed, node], further - 1)
                if found is not None:
                    return found
                # Nor is there one with what it takes down: this node would do more in the place of that.
                self._held[self._fallen[self._fall_start[node] : self._fall_start[node + 1]]] = True
        finally:
            self._held = before
        return None

    def _with_one(self, failed: list[int], candidates: Int32s) -> list[int] | None:
        """With one of the candidates that is in every path set."""
        while len(candidates):
            with_it = [*failed, int(candidates[0])]
            count, tops = self._disjoint(with_it, 1, avoided=candidates)
            if count == 0:
                return with_it
            candidates = np.intersect1d(candidates[1:], tops, assume_unique=True)
        return None

    def _disjoint(self, failed: list[int], most: int, avoided: Int32s | None = None) -> tuple[int, Int32s]:
        """How many path sets there are without these, that share no node but such as are held up, `most` at most, as
        far as they are found; and what takes the smallest of them down: of every failure that does so only that which
        takes most down. Best without those `avoided`."""
        self._work += len(self._top) + _EACH
        self._patience()
        if self._work > self._most or time.monotonic() >= self._until:
            raise TooManyPathSets
        cost = self._cost
        if avoided is not None:
            cost = np.where(np.isin(self._top, avoided), cost + _DEAREST, cost)
        count, path = _disjoint(*self._shape, cost, self._held, np.array(failed, np.int32), most)
        return count, np.unique(self._top[path])


def _ways_to_break(closure: Closure) -> Iterator[Closure]:
    """The closure with a service that needs any of some members of one of its gates, so many that it is down without
    them; for every gate and choice of members. Raises `TooManyPathSets`."""
    last = int(closure.gate_start[1])
    enough = np.diff(closure.member_start)[:last] - closure.required[:last] + 1
    ways = sum(math.comb(len(closure.gate_members(g)), int(n)) for g, n in enumerate(enough))
    if ways > _MOST_WAYS or (last == 1 and ways == 1):
        raise TooManyPathSets
    begin = int(closure.member_start[last])
    for gate in range(last):
        for chosen in combinations(closure.gate_members(gate).tolist(), int(enough[gate])):
            gate_start = closure.gate_start - (last - 1)
            gate_start[0] = 0
            yield Closure(
                gate_start,
                np.concatenate([[1], closure.required[last:]]).astype(np.int32),
                np.concatenate([[0], closure.member_start[last:] - begin + len(chosen)]).astype(np.int32),
                np.concatenate([chosen, closure.members[begin:]]).astype(np.int32),
            )


@kernel
def _tops(fall_start: Int64s, fallen: Int32s) -> Int32s:
    """For every node the one that takes it down alone, perhaps itself, and takes most down."""
    nodes = len(fall_start) - 1
    top = np.arange(nodes).astype(np.int32)
    for cause in range(1, nodes):
        falling = fall_start[cause + 1] - fall_start[cause]
        for place in range(fall_start[cause], fall_start[cause + 1]):
            node = fallen[place]
            other = top[node]
            others = fall_start[other + 1] - fall_start[other]
            if falling > others or (falling == others and cause < other):
                top[node] = cause
    return top


@kernel
def _costs(
    gate_start: Int32s, required: Int32s, member_start: Int32s, members: Int32s, rounds: int
) -> Floats:
    """About how many nodes a path set of each node has, those counted twice that are needed twice."""
    nodes = len(gate_start) - 1
    cost = np.ones(nodes)
    for _ in range(rounds):
        for node in range(nodes - 1, -1, -1):
            total = 1.0
            for gate in range(gate_start[node], gate_start[node + 1]):
                of_members = np.sort(cost[members[member_start[gate] : member_start[gate + 1]]])
                total += of_members[: required[gate]].sum()
            cost[node] = min(total, _DEAREST)
    return cost


@kernel
def _disjoint(
    gate_start: Int32s,
    required: Int32s,
    member_start: Int32s,
    members: Int32s,
    owner: Int32s,
    use_start: Int32s,
    uses: Int32s,
    cost: Floats,
    held: Bools,
    failed: Int32s,
    most: int,
) -> tuple[int, Int32s]:
    """See `PathSets._disjoint`. What a path set takes is as good as failed for those after it."""
    nodes = len(gate_start) - 1
    down = np.zeros(nodes, np.bool_)
    lost = np.zeros(len(required), np.int32)
    queue = np.empty(nodes, np.int32)
    path = np.empty(nodes, np.int32)
    inside = np.full(nodes, -1, np.int32)
    smallest = np.empty(0, np.int32)
    count, filled, at = 0, 0, 0
    for node in failed:
        if not down[node]:
            down[node] = True
            queue[filled] = node
            filled += 1
    while True:
        while at < filled:
            node = queue[at]
            at += 1
            for use in range(use_start[node], use_start[node + 1]):
                gate = uses[use]
                lost[gate] += 1
                dependent = owner[gate]
                size = member_start[gate + 1] - member_start[gate]
                if lost[gate] > size - required[gate] and not down[dependent]:
                    down[dependent] = True
                    queue[filled] = dependent
                    filled += 1
        if down[0] or count == most:
            return count, smallest
        path[0], inside[0] = 0, count
        length, done = 1, 0
        while done < length:
            node = path[done]
            done += 1
            for gate in range(gate_start[node], gate_start[node + 1]):
                begin, end = member_start[gate], member_start[gate + 1]
                needed = required[gate]
                for place in range(begin, end):
                    needed -= int(inside[members[place]] == count)
                while needed > 0:
                    best = -1
                    for place in range(begin, end):
                        member = members[place]
                        if down[member] or inside[member] == count:
                            continue
                        if best < 0 or cost[member] < cost[best]:
                            best = member
                    inside[best] = count
                    path[length] = best
                    length += 1
                    needed -= 1
        count += 1
        kept = 0
        for place in range(length):
            node = path[place]
            if not held[node]:
                path[kept] = node
                kept += 1
        if count == 1 or kept < len(smallest):
            smallest = path[:kept].copy()
        if kept == 0:
            return most, smallest  # it cannot be taken down
        for place in range(kept):
            node = path[place]
            down[node] = True
            queue[filled] = node
            filled += 1
