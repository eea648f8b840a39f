"""Minimal cut sets: the smallest sets of events that together make a function true, kept as one small graph.

Billions of sets fit, for they are never listed to be counted: a zero-suppressed decision diagram holds them, made
bottom-up from the function's own diagram. For a function that is not monotone ("non-coherent": it has negations), a
cut set says which events must happen and is silent on those that must not; so the sets are those of the
function's monotone hull, which is what the published figures of the Aralia trees count.

Sources: A. Rauzy, "New algorithms for fault trees analysis", Reliability Engineering and System Safety 40 (1993)
(minimal solutions); A. Rauzy, "Mathematical foundations of minimal cutsets", IEEE Trans. Reliability 50 (2001)
(negations); S. Minato, "Zero-suppressed BDDs for set manipulation in combinatorial problems", DAC 1993.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from impact.bdd import Bdd, Floats
from impact.kernel import kernel
from impact.node_table import (
    FULL,
    NO_VARIABLE,
    PLACE,
    RESULT,
    RESUME,
    TOP,
    Ints,
    Longs,
    NodeTable,
    number_of,
    scatter,
)

_NO_SET = 0
_EMPTY_SET = 1

_LARGEST_BOUND = 60
"""Bounds are bits of a word; a larger one cuts nothing off."""

_IDLE = -1
"""In the state's `TOP`: no difference was stopped on its way."""


@dataclass(frozen=True, slots=True)
class CutSets:
    """A family of sets of variables, none of which contains another.

    `rows`: (variable, low, high), children first; row 0 is no set at all, row 1 the empty set; a row holds the sets of
    low, and those of high with its variable added; the last row is the whole. `order`: sets of more members than that
    were left out when it was made, or None for all. Made by `minimal_cut_sets`.
    """

    rows: Ints
    root: int
    order: int | None
    _first: Longs
    _shortest: Ints
    _counts: npt.NDArray[Any]

    @property
    def by_order(self) -> tuple[int, ...]:
        """How many sets have 0, 1, 2, ... members."""
        if self.root == _NO_SET:
            return ()
        shortest = int(self._shortest[self.root])
        first, end = int(self._first[self.root]), int(self._first[self.root + 1])
        return (0,) * shortest + tuple(int(n) for n in self._counts[first:end])

    def __len__(self) -> int:
        """How many sets there are. Past 2^63 only `total` can say it."""
        return self.total

    @property
    def total(self) -> int:
        """How many sets there are."""
        return sum(self.by_order)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The sets one by one, the small ones first; those of one size in the order of their variables."""
        for size, number in enumerate(self.by_order):
            if number:
                yield from self._of_size(size)

    def most_likely(self, p: Floats) -> Iterator[tuple[float, tuple[int, ...]]]:
        """The sets with the products of their members' probabilities `p[i]`, the likeliest first."""
        best = _best(self.rows, p)
        tie = count()
        waiting: list[tuple[float, int, int, float, tuple[int, ...]]] = [
            (-best[self.root], next(tie), self.root, 1.0, ())
        ]
        while waiting:
            _, _, row, product, chosen = heapq.heappop(waiting)
            if row == _EMPTY_SET:
                yield product, chosen
            elif row != _NO_SET:
                variable, low, high = (int(x) for x in self.rows[row])
                more = product * float(p[variable])
                if low != _NO_SET:
                    heapq.heappush(waiting, (-product * best[low], next(tie), low, product, chosen))
                heapq.heappush(waiting, (-more * best[high], next(tie), high, more, (*chosen, variable)))

    def _of_size(self, size: int) -> Iterator[tuple[int, ...]]:
        waiting: list[tuple[int, int, tuple[int, ...]]] = [(self.root, size, ())]
        while waiting:
            row, wanted, chosen = waiting.pop()
            if not self._has(row, wanted):
                continue
            if row == _EMPTY_SET:
                yield chosen
                continue
            variable, low, high = (int(x) for x in self.rows[row])
            waiting.append((low, wanted, chosen))
            waiting.append((high, wanted - 1, (*chosen, variable)))

    def _has(self, row: int, size: int) -> bool:
        """Whether the row has a set of exactly that many members."""
        place = size - int(self._shortest[row])
        first, end = int(self._first[row]), int(self._first[row + 1])
        return row != _NO_SET and 0 <= place < end - first and bool(self._counts[first + place])


def minimal_cut_sets(
    bdd: Bdd, root: int, *, order: int | None = None, node_limit: int = 20_000_000
) -> CutSets:
    """The minimal sets of variables that, being true, make `root` true (for negations see the module).

    With `order` only those of at most so many members are made, which can be very much faster.
    Raises `TooManyNodes` when the family needs more than `node_limit` nodes on the way.
    """
    if order is not None and order < 0:
        raise ValueError(f"order {order}: a set has no fewer than 0 members")
    rows = bdd.reachable(root)
    bound = order if order is not None and order <= min(_LARGEST_BOUND, bdd.variables) else -1
    families = np.zeros((len(rows), 2, max(bound, 0) + 1), np.int32)
    families[0, 1, :] = _EMPTY_SET
    wanted = _wanted(rows, root & 1, bound)
    table = NodeTable(2, node_limit, questions=8 * len(rows))
    table.arrays[3][TOP] = _IDLE
    stack = np.empty((bdd.variables + 1, 7), np.int64)
    while not _fill(*table.arrays, stack, rows, wanted, families, bound):
        table.grow()
    return _family(table.arrays[0], int(families[-1, root & 1, -1]), order)


def _family(nodes: Ints, root: int, order: int | None) -> CutSets:
    rows = _kept(nodes, root)
    shortest, longest = _extremes(rows)
    first = np.concatenate(([0], np.cumsum(longest - shortest + 1)))
    counts, exact = _count(rows, first, shortest)
    if not exact:
        counts = _count_at_length(rows, first, shortest)
    return CutSets(rows, root if root <= _EMPTY_SET else len(rows) - 1, order, first, shortest, counts)


def _count_at_length(rows: Ints, first: Longs, shortest: Ints) -> npt.NDArray[Any]:
    """As `_count`, in numbers of any length."""
    counts = np.zeros(first[-1], object)
    counts[first[_EMPTY_SET]] = 1
    for row in range(_EMPTY_SET + 1, len(rows)):
        for child, more in ((rows[row, 1], 0), (rows[row, 2], 1)):
            if child != _NO_SET:
                start = first[row] + shortest[child] + more - shortest[row]
                counts[start : start + first[child + 1] - first[child]] += counts[
                    first[child] : first[child + 1]
                ]
    return counts


@kernel
def _wanted(function: Ints, complement: int, bound: int) -> Longs:
    """The bounds (bits) under which the solutions of each row, plain and complemented, are needed; bit 0: no bound."""
    fewest = np.empty((len(function), 2), np.int64)
    fewest[0, 0] = NO_VARIABLE
    fewest[0, 1] = 0
    for row in range(1, len(function)):
        for value in range(2):
            below = fewest[function[row, 1] >> 1, value ^ (function[row, 1] & 1)]
            above = fewest[function[row, 2] >> 1, value ^ (function[row, 2] & 1)]
            fewest[row, value] = min(below, above + 1)
    wanted = np.zeros((len(function), 2), np.int64)
    wanted[len(function) - 1, complement] = 1 << max(bound, 0)
    for row in range(len(function) - 1, 0, -1):
        for value in range(2):
            bits = wanted[row, value]
            if bound >= 0:
                fits = min(fewest[row, value], 62)
                bits = bits >> fits << fits
                wanted[row, value] = bits
            wanted[function[row, 1] >> 1, value ^ (function[row, 1] & 1)] |= bits
            wanted[function[row, 2] >> 1, value ^ (function[row, 2] & 1)] |= bits if bound < 0 else bits >> 1
    return wanted


@kernel
def _fill(
    nodes: Ints,
    unique: Ints,
    memory: Ints,
    state: Longs,
    stack: Longs,
    function: Ints,
    wanted: Longs,
    families: npt.NDArray[np.int32],
    bound: int,
) -> bool:
    """Minimal solutions row by row, children first; false where there was no room: then grow and call again.

    Those of "variable and above, or below" are those of below, and those of above with the variable that hold none
    of below.
    """
    width = families.shape[2]
    for place in range(state[PLACE], len(function) * 2 * width):
        row, value, most = place // (2 * width), place // width % 2, place % width
        if row == 0 or wanted[row, value] >> most & 1 == 0:
            continue
        low, high = function[row, 1], function[row, 2]
        below = families[low >> 1, value ^ (low & 1), most]
        above = 0
        if bound < 0:
            above = families[high >> 1, value ^ (high & 1), most]
        elif most > 0:
            above = families[high >> 1, value ^ (high & 1), most - 1]
        if state[TOP] == _IDLE:
            made = _without(nodes, unique, memory, state, stack, above, below)
        else:
            made = _without(nodes, unique, memory, state, stack, RESUME, 0)
        if made > _NO_SET:
            made = number_of(nodes, unique, state, function[row, 0], below, made)
        elif made == _NO_SET:
            made = below
        if made == FULL:
            state[PLACE] = place
            return False
        families[row, value, most] = made
    return True


@kernel
def _without(nodes: Ints, unique: Ints, memory: Ints, state: Longs, stack: Longs, a: int, b: int) -> int:
    """The sets of `a` that hold no set of `b`, or `FULL` where there was no room: then call with a = `RESUME`.

    A frame of the stack: a, b, variable, b without the variable, stage (how many parts are done), the high part.
    """
    top = 0
    result = 0
    asking = a != RESUME
    if not asking:
        top = state[TOP]
        result = state[RESULT]
        state[TOP] = _IDLE
    last = len(memory) - 1
    while True:
        if asking:
            while a > _EMPTY_SET and nodes[b, 0] < nodes[a, 0]:
                b = nodes[b, 1]  # sets with a variable that no set of `a` has
            if a in (_NO_SET, b) or b == _EMPTY_SET:
                result = _NO_SET
                asking = False
            elif a == _EMPTY_SET or b == _NO_SET:
                result = a
                asking = False
            else:
                slot = scatter(a, b, 0) & last
                if memory[slot, 0] == a and memory[slot, 1] == b:
                    result = memory[slot, 3]
                    asking = False
                else:
                    stack[top, 0] = a
                    stack[top, 1] = b
                    stack[top, 2] = nodes[a, 0]
                    if nodes[a, 0] == nodes[b, 0]:
                        stack[top, 3] = nodes[b, 1]
                        stack[top, 4] = 0
                        b = nodes[b, 2]
                    else:
                        stack[top, 3] = b
                        stack[top, 4] = 1
                    a = nodes[a, 2]
                    top += 1
        elif top == 0:
            return result
        elif stack[top - 1, 4] == 0:
            stack[top - 1, 4] = 1
            a = result
            b = stack[top - 1, 3]
            asking = True
        elif stack[top - 1, 4] == 1:
            stack[top - 1, 4] = 2
            stack[top - 1, 5] = result
            a = nodes[stack[top - 1, 0], 1]
            b = stack[top - 1, 3]
            asking = True
        else:
            made = result
            if stack[top - 1, 5] != _NO_SET:
                made = number_of(nodes, unique, state, stack[top - 1, 2], result, stack[top - 1, 5])
            if made == FULL:
                state[TOP] = top
                state[RESULT] = result
                return FULL
            top -= 1
            slot = scatter(stack[top, 0], stack[top, 1], 0) & last
            memory[slot, 0] = stack[top, 0]
            memory[slot, 1] = stack[top, 1]
            memory[slot, 2] = 0
            memory[slot, 3] = made
            result = made


@kernel
def _kept(nodes: Ints, root: int) -> Ints:
    """The rows below one, renumbered in their order."""
    places = np.zeros(max(root, _EMPTY_SET) + 1, np.int32)
    places[root] = 1
    for node in range(root, _EMPTY_SET, -1):
        if places[node] == 1:
            places[nodes[node, 1]] = 1
            places[nodes[node, 2]] = 1
    places[0] = places[1] = 1
    rows = np.empty((places.sum(), 3), np.int32)
    row = 0
    for node in range(len(places)):
        if places[node] == 1:
            rows[row, 0] = nodes[node, 0]
            rows[row, 1] = places[nodes[node, 1]] if node > _EMPTY_SET else 0
            rows[row, 2] = places[nodes[node, 2]] if node > _EMPTY_SET else 0
            places[node] = row
            row += 1
    return rows


@kernel
def _extremes(rows: Ints) -> tuple[Ints, Ints]:
    """The fewest and the most members of a set of each row; the row without sets has (0, -1)."""
    shortest = np.zeros(len(rows), np.int32)
    longest = np.zeros(len(rows), np.int32)
    longest[_NO_SET] = -1
    for row in range(_EMPTY_SET + 1, len(rows)):
        low, high = rows[row, 1], rows[row, 2]
        shortest[row] = shortest[high] + 1
        longest[row] = longest[high] + 1
        if low != _NO_SET:
            shortest[row] = min(shortest[row], shortest[low])
            longest[row] = max(longest[row], longest[low])
    return shortest, longest


@kernel
def _count(rows: Ints, first: Longs, shortest: Ints) -> tuple[Longs, bool]:
    """How many sets of each size a row has, from its place in `first` on; and whether no count passed 2^62."""
    counts = np.zeros(first[-1], np.int64)
    counts[first[_EMPTY_SET]] = 1
    exact = True
    for row in range(_EMPTY_SET + 1, len(rows)):
        for side in range(2):
            child = rows[row, 1 + side]
            start = first[row] + shortest[child] + side - shortest[row] - first[child]
            for place in range(first[child], first[child + 1]):
                counts[start + place] += counts[place]
                exact = exact and counts[start + place] < 2**62
    return counts, exact


@kernel
def _best(rows: Ints, p: Floats) -> Floats:
    """The probability of the likeliest set of each row."""
    best = np.zeros(len(rows))
    best[_EMPTY_SET] = 1.0
    for row in range(_EMPTY_SET + 1, len(rows)):
        best[row] = max(best[rows[row, 1]], best[rows[row, 2]] * p[rows[row, 0]])
    return best
