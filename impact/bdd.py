"""Reduced ordered binary decision diagrams: a Boolean function as a graph, and its exact probability in one pass.

A function is an `int`, equal functions are equal numbers (`FALSE` is 0, `TRUE` is 1), and the variables are tested in
order of their index; the caller chooses the order, which decides whether a diagram is small. Nodes are never given
back: a diagram is made for one question and dropped with it. Small ones are cheap, for the tables start small and grow.

How it is kept: a function is `2 * node + complement` (complement edges, the low edge of a node is never a
complement, so that monotone functions have none and negation is free). Nodes are rows (variable, low, high), children
before parents; a table of node numbers with open addressing makes them unique; a lossy table remembers
what if-then-else has answered. There is one operation, if-then-else, and it walks with a stack of its own, so the
number of variables is no matter of recursion. Not thread-safe: one diagram belongs to one thread at a time.

Sources: R. E. Bryant, "Graph-based algorithms for Boolean function manipulation", IEEE Trans. Comput. C-35 (1986);
K. S. Brace, R. L. Rudell, R. E. Bryant, "Efficient implementation of a BDD package", DAC 1990 (standard triples).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from impact.kernel import kernel
from impact.node_table import FULL, RESULT, RESUME, TOP, Ints, Longs, NodeTable, number_of, scatter

Floats: TypeAlias = npt.NDArray[np.float64]

FALSE = 0
TRUE = 1


class Bdd:
    """Functions of `variables` Boolean variables, numbered from 0; the smaller index is tested first.

    `node_limit` is the number of nodes, used or not, at which an operation gives up with `TooManyNodes`; a node costs
    20 to 36 bytes. After that error the diagram is still sound, and what was made before can be used.
    """

    __slots__ = ("_last", "_stack", "_table", "variables")

    FALSE = FALSE
    TRUE = TRUE

    def __init__(self, variables: int, *, node_limit: int = 10_000_000) -> None:
        self.variables = variables
        self._table = NodeTable(1, node_limit)
        self._stack: Longs = np.empty((variables + 1, 9), np.int64)
        self._last: tuple[int, Ints] | None = None

    @property
    def node_limit(self) -> int:
        """See the class; it may be raised after a `TooManyNodes`, and the operation tried again."""
        return self._table.limit

    @node_limit.setter
    def node_limit(self, limit: int) -> None:
        self._table.limit = limit

    def __len__(self) -> int:
        """How many nodes were made so far, the terminal included."""
        return len(self._table)

    def variable(self, index: int) -> int:
        """The function that is true when this variable is. Raises IndexError for an index that is none."""
        if not 0 <= index < self.variables:
            raise IndexError(f"variable {index} of {self.variables}")
        return self._node(index, FALSE, TRUE)

    def conjunction(self, a: int, b: int) -> int:
        """Both."""
        return self.if_then_else(a, b, FALSE)

    def disjunction(self, a: int, b: int) -> int:
        """At least one of the two."""
        return self.if_then_else(a, TRUE, b)

    def negation(self, a: int) -> int:
        """Not `a`; free."""
        return a ^ 1

    def exclusive_or(self, a: int, b: int) -> int:
        """One of the two, not both."""
        return self.if_then_else(a, b ^ 1, b)

    def if_then_else(self, f: int, g: int, h: int) -> int:
        """`g` where `f` is true, `h` where it is not; at most in the order of the product of the three sizes."""
        result = _if_then_else(*self._table.arrays, self._stack, f, g, h)
        while result == FULL:
            self._table.grow()
            result = _if_then_else(*self._table.arrays, self._stack, RESUME, FALSE, FALSE)
        return result

    def at_least(self, k: int, nodes: Sequence[int]) -> int:
        """At least `k` of these functions: of none, k <= 0 is true; of fewer than `k`, it is false."""
        if k <= 0:
            return TRUE
        if k > len(nodes):
            return FALSE
        reached = [TRUE] + [FALSE] * k
        for seen, node in enumerate(reversed(nodes), 1):
            left = len(nodes) - seen
            for wanted in range(min(k, seen), max(0, k - left - 1), -1):
                reached[wanted] = self.if_then_else(node, reached[wanted - 1], reached[wanted])
        return reached[k]

    def probability(self, root: int, p: Floats) -> float:
        """How likely `root` is true when variable i is true with probability `p[i]`, all independent.

        Exact but for rounding, which is relative also for the smallest figures: no difference is taken.
        For the opposite ask for `negation(root)` rather than subtracting from one.
        """
        return float(_probability(self.reachable(root), root & 1, p))

    def birnbaum(self, root: int, p: Floats) -> tuple[float, Floats]:
        """The probability, and its partial derivative by every `p[i]` (0 where `root` does not depend on i).

        One pass up and one down, so the time is that of the diagram's size, whatever the number of variables.
        The derivative is P(root | i true) - P(root | i false).
        """
        derivatives = np.zeros(self.variables)
        probability = _derive(self.reachable(root), root & 1, p, derivatives)
        return float(probability), derivatives

    def first_variable(self, root: int) -> int:
        """The variable that `root` tests first; for a constant a number beyond all of them."""
        return int(self._table.arrays[0][root >> 1, 0])

    def size(self, root: int) -> int:
        """How many nodes the function has, without the terminal."""
        return len(self.reachable(root)) - 1

    def support(self, root: int) -> list[int]:
        """The variables that the function depends on, ascending."""
        return [int(v) for v in np.unique(self.reachable(root)[1:, 0])]

    def reachable(self, root: int) -> Ints:
        """The nodes of one function: rows (variable, low, high), children first, row 0 the terminal, the last the root.

        Low and high are `2 * row + complement`. Kept for the last root asked for; not to be written to.
        """
        if self._last is None or self._last[0] != root >> 1:
            self._last = root >> 1, _reachable(self._table.arrays[0], root >> 1)
        return self._last[1]

    def _node(self, variable: int, low: int, high: int) -> int:
        while True:
            nodes, unique, _, state = self._table.arrays
            result = _node(nodes, unique, state, variable, low, high)
            if result != FULL:
                return result
            self._table.grow()


@kernel
def _node(nodes: Ints, unique: Ints, state: Longs, variable: int, low: int, high: int) -> int:
    """The function that is `high` where the variable is true and `low` elsewhere; `FULL` if there is no room."""
    if low == high:
        return low
    complement = low & 1
    number = number_of(nodes, unique, state, variable, low ^ complement, high ^ complement)
    return FULL if number == FULL else 2 * number + complement


@kernel
def _if_then_else(
    nodes: Ints, unique: Ints, memory: Ints, state: Longs, stack: Longs, f: int, g: int, h: int
) -> int:
    """If-then-else, or `FULL` where a node found no room: then grow the tables and call with f = `RESUME`.

    A frame of the stack: f, g, h, the low cofactors of the three, variable, high result or -1, complement.
    """
    top = 0
    result = 0
    asking = f != RESUME
    if not asking:
        top = state[TOP]
        result = state[RESULT]
    last = len(memory) - 1
    while True:
        if asking:
            if f == g:
                g = 1
            elif f == g ^ 1:
                g = 0
            if f == h:
                h = 0
            elif f == h ^ 1:
                h = 1
            if f <= 1:
                result = g if f == 1 else h
                asking = False
            elif g == h:
                result = g
                asking = False
            elif g == 1 and h == 0:
                result = f
                asking = False
            elif g == 0 and h == 1:
                result = f ^ 1
                asking = False
            else:
                # One form for what can be asked in several ways: the older of two exchangeable functions first,
                # then no complement on f, then none on h (so that no result that is remembered is a complement).
                if g == 1:
                    if h < f:
                        f, h = h, f
                elif h == 0:
                    if g < f:
                        f, g = g, f
                elif g == 0:
                    if h >> 1 < f >> 1:
                        f, h = h ^ 1, f ^ 1
                elif h == 1:
                    if g >> 1 < f >> 1:
                        f, g = g ^ 1, f ^ 1
                elif g == h ^ 1 and g >> 1 < f >> 1:
                    f, g, h = g, f, f ^ 1
                if f & 1 == 1:
                    f, g, h = f ^ 1, h, g
                complement = h & 1
                g ^= complement
                h ^= complement
                slot = scatter(f, g, h) & last
                if memory[slot, 0] == f and memory[slot, 1] == g and memory[slot, 2] == h:
                    result = memory[slot, 3] ^ complement
                    asking = False
                else:
                    f_at, g_at, h_at = f >> 1, g >> 1, h >> 1
                    variable = min(nodes[f_at, 0], nodes[g_at, 0], nodes[h_at, 0])
                    stack[top, 0] = f
                    stack[top, 1] = g
                    stack[top, 2] = h
                    stack[top, 3] = f
                    stack[top, 4] = g
                    stack[top, 5] = h
                    stack[top, 6] = variable
                    stack[top, 7] = -1
                    stack[top, 8] = complement
                    if nodes[f_at, 0] == variable:
                        stack[top, 3] = nodes[f_at, 1]
                        f = int(nodes[f_at, 2])
                    if nodes[g_at, 0] == variable:
                        stack[top, 4] = nodes[g_at, 1] ^ (g & 1)
                        g = int(nodes[g_at, 2]) ^ (g & 1)
                    if nodes[h_at, 0] == variable:
                        stack[top, 5] = nodes[h_at, 1]
                        h = int(nodes[h_at, 2])
                    top += 1
        elif top == 0:
            return result
        elif stack[top - 1, 7] == -1:
            stack[top - 1, 7] = result
            f, g, h = stack[top - 1, 3], stack[top - 1, 4], stack[top - 1, 5]
            asking = True
        else:
            made = _node(nodes, unique, state, stack[top - 1, 6], result, stack[top - 1, 7])
            if made == FULL:
                state[TOP] = top
                state[RESULT] = result
                return FULL
            top -= 1
            slot = scatter(stack[top, 0], stack[top, 1], stack[top, 2]) & last
            memory[slot, 0] = stack[top, 0]
            memory[slot, 1] = stack[top, 1]
            memory[slot, 2] = stack[top, 2]
            memory[slot, 3] = made
            result = made ^ stack[top, 8]


@kernel
def _reachable(nodes: Ints, root: int) -> Ints:
    """The nodes below one, renumbered in their order, which has children before parents."""
    places = np.zeros(root + 1, np.int32)
    places[root] = 1
    count = 0
    for node in range(root, 0, -1):
        if places[node] == 1:
            count += 1
            places[nodes[node, 1] >> 1] = 1
            places[nodes[node, 2] >> 1] = 1
    rows = np.empty((count + 1, 3), np.int32)
    rows[0, 0] = nodes[0, 0]
    rows[0, 1] = rows[0, 2] = 0
    row = 0
    for node in range(1, root + 1):
        if places[node] == 1:
            row += 1
            low, high = nodes[node, 1], nodes[node, 2]
            rows[row, 0] = nodes[node, 0]
            rows[row, 1] = 2 * places[low >> 1] + (low & 1) if low > 1 else low
            rows[row, 2] = 2 * places[high >> 1] + (high & 1) if high > 1 else high
            places[node] = row
    return rows


@kernel
def _both_ways(rows: Ints, p: Floats) -> Floats:
    """For each row the probability that it is false, and that it is true.

    Two sums of products of what is positive, and no difference: small figures keep all their digits either way.
    """
    chances = np.empty((len(rows), 2))
    chances[0, 0] = 1.0
    chances[0, 1] = 0.0
    for row in range(1, len(rows)):
        chance = p[rows[row, 0]]
        low, high = rows[row, 1], rows[row, 2]
        for value in range(2):
            below = chances[low >> 1, value ^ (low & 1)]
            above = chances[high >> 1, value ^ (high & 1)]
            chances[row, value] = (1.0 - chance) * below + chance * above
    return chances


@kernel
def _probability(rows: Ints, complement: int, p: Floats) -> float:
    return float(_both_ways(rows, p)[-1, 1 - complement])


@kernel
def _derive(rows: Ints, complement: int, p: Floats, derivatives: Floats) -> float:
    """Add the derivatives to `derivatives`; the probability."""
    chances = _both_ways(rows, p)
    weights = np.zeros(len(rows))
    weights[-1] = 1.0 - 2.0 * complement
    for row in range(len(rows) - 1, 0, -1):
        variable, low, high = rows[row, 0], rows[row, 1], rows[row, 2]
        weight = weights[row]
        weights[low >> 1] += weight * (1.0 - p[variable])
        weights[high >> 1] += weight * p[variable] * (1.0 - 2.0 * (high & 1))
        # P(high) - P(low), by what is smaller: of two figures near 1 the opposites have more digits.
        up = chances[high >> 1, 1 ^ (high & 1)]
        down = chances[low >> 1, 1]
        if up + down > 1.0:
            derivatives[variable] += weight * (chances[low >> 1, 0] - chances[high >> 1, high & 1])
        else:
            derivatives[variable] += weight * (up - down)
    return float(chances[-1, 1 - complement])
