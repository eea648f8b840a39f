"""Families of minimal cut sets up to an order, as zero-suppressed diagrams: the kernels that combine them.

Promises: a family is a number; equal families are equal numbers. `NONE` is the family without sets (it cannot fail),
`UNIT` the one with the empty set (it has failed). Every family is minimal: no set contains another. A family holds the
sets of at most so many elements as was asked for; what a product leaves out is weighed by `weigh_dropped`, exactly or
too high, never too low.

How: S. Minato, "Zero-suppressed BDDs for set manipulation in combinatorial problems", DAC 1993; minimal union and
product by A. Rauzy, "New algorithms for fault tree analysis", Reliability Engineering & System Safety 40 (1993). Nodes
are rows (element, without, with) in an array of fixed size, unique by a table with open addressing; a lossy table
remembers results. Operations recurse along the elements of one set, which are few, and walk with a stack from set to
set, of which there may be many thousands. A full array gives `FULL`, which every operation passes on.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from impact.kernel import kernel
from impact.node_table import FULL, Ints, number_of, scatter

Floats: TypeAlias = npt.NDArray[np.float64]

NONE, UNIT = 0, 1
TERMINAL = 2**31 - 1
"""In place of the element of the two terminals: behind all elements."""

_UNION, _WITHOUT, _UP_TO, _PRODUCT = 1, 2, 3, 16
_TOP = 1
"""In `state`, after how many nodes there are: how much of the stack is in use."""


@kernel
def _wide(value: np.int32) -> int:
    """The same as the type that all kernels take families in: each further type would compile all of them again."""
    return int(value) + 0


@kernel
def join(nodes: Ints, unique: Ints, state: Ints, element: int, without: int, having: int) -> int:
    """The family of `without`, and the sets of `having` with `element`, which stands before all in both."""
    if without == FULL or having == FULL:
        return FULL
    if having == NONE:
        return without
    return number_of(nodes, unique, state, element, without, having)


@kernel
def _subtract(nodes: Ints, unique: Ints, memo: Ints, state: Ints, stack: Ints, f: int, g: int) -> int:
    """The sets of `f` that contain none of `g`."""
    base = top = _wide(state[_TOP])
    while True:
        if g == NONE or f <= UNIT:
            result = NONE if g == UNIT else f
            break
        if g == UNIT or f == g:
            result = NONE
            break
        if nodes[g, 0] < nodes[f, 0]:
            g = _wide(nodes[g, 1])
            continue
        slot = scatter(_WITHOUT, f, g) & (len(memo) - 1)
        if memo[slot, 0] == _WITHOUT and memo[slot, 1] == f and memo[slot, 2] == g:
            result = _wide(memo[slot, 3])
            break
        stack[top, 0], stack[top, 1] = f, g
        top += 1
        if nodes[g, 0] == nodes[f, 0]:
            g = _wide(nodes[g, 1])
        f = _wide(nodes[f, 1])
    while top > base:
        top -= 1
        state[_TOP] = top
        f, g = _wide(stack[top, 0]), _wide(stack[top, 1])
        element = _wide(nodes[f, 0])
        high = _wide(nodes[f, 2])
        if nodes[g, 0] == element:
            high = _subtract(nodes, unique, memo, state, stack, high, _wide(nodes[g, 2]))
            if high > UNIT:
                high = _subtract(nodes, unique, memo, state, stack, high, _wide(nodes[g, 1]))
        else:
            high = _subtract(nodes, unique, memo, state, stack, high, g)
        result = join(nodes, unique, state, element, result, high)
        if result == FULL:
            break
        slot = scatter(_WITHOUT, f, g) & (len(memo) - 1)
        memo[slot, 0], memo[slot, 1], memo[slot, 2], memo[slot, 3] = _WITHOUT, f, g, result
    state[_TOP] = base
    return result


@kernel
def unite(nodes: Ints, unique: Ints, memo: Ints, state: Ints, stack: Ints, f: int, g: int) -> int:
    """The minimal sets of both: one of the two has failed."""
    if f == FULL or g == FULL:
        return FULL
    base = top = _wide(state[_TOP])
    while True:
        if f > g:
            f, g = g, f
        if f == NONE:
            result = g
            break
        if f == UNIT:
            result = UNIT
            break
        if f == g:
            result = f
            break
        slot = scatter(_UNION, f, g) & (len(memo) - 1)
        if memo[slot, 0] == _UNION and memo[slot, 1] == f and memo[slot, 2] == g:
            result = _wide(memo[slot, 3])
            break
        stack[top, 0], stack[top, 1] = f, g
        top += 1
        element = _wide(min(nodes[f, 0], nodes[g, 0]))
        if nodes[f, 0] == element:
            f = _wide(nodes[f, 1])
        if nodes[g, 0] == element:
            g = _wide(nodes[g, 1])
    while top > base:
        top -= 1
        state[_TOP] = top
        f, g = _wide(stack[top, 0]), _wide(stack[top, 1])
        element = _wide(min(nodes[f, 0], nodes[g, 0]))
        f1 = _wide(nodes[f, 2]) if nodes[f, 0] == element else NONE
        g1 = _wide(nodes[g, 2]) if nodes[g, 0] == element else NONE
        high = unite(nodes, unique, memo, state, stack, f1, g1)
        if high > UNIT:
            high = _subtract(nodes, unique, memo, state, stack, high, result)
        result = join(nodes, unique, state, element, result, high)
        if result == FULL:
            break
        slot = scatter(_UNION, f, g) & (len(memo) - 1)
        memo[slot, 0], memo[slot, 1], memo[slot, 2], memo[slot, 3] = _UNION, f, g, result
    state[_TOP] = base
    return result


@kernel
def _up_to(nodes: Ints, unique: Ints, memo: Ints, state: Ints, stack: Ints, f: int, order: int) -> int:
    """The sets of at most `order` elements."""
    if f > UNIT and order == 0:
        return NONE
    kind = _UP_TO + 4 * order  # 7, 11, 15, 19: the products have even numbers
    base = top = _wide(state[_TOP])
    while True:
        if f <= UNIT:
            result = f
            break
        slot = scatter(kind, f, 0) & (len(memo) - 1)
        if memo[slot, 0] == kind and memo[slot, 1] == f and memo[slot, 2] == 0:
            result = _wide(memo[slot, 3])
            break
        stack[top, 0] = f
        top += 1
        f = _wide(nodes[f, 1])
    while top > base:
        top -= 1
        state[_TOP] = top
        f = _wide(stack[top, 0])
        high = _up_to(nodes, unique, memo, state, stack, _wide(nodes[f, 2]), order - 1)
        result = join(nodes, unique, state, _wide(nodes[f, 0]), result, high)
        if result == FULL:
            break
        slot = scatter(kind, f, 0) & (len(memo) - 1)
        memo[slot, 0], memo[slot, 1], memo[slot, 2], memo[slot, 3] = kind, f, 0, result
    state[_TOP] = base
    return result


@kernel
def multiply(
    nodes: Ints, unique: Ints, memo: Ints, state: Ints, stack: Ints, f: int, g: int, order: int
) -> int:
    """The minimal unions of a set of each, of at most `order` elements: both have failed."""
    if f == FULL or g == FULL:
        return FULL
    kind = _PRODUCT + 2 * order
    base = top = _wide(state[_TOP])
    while True:
        if f > g:
            f, g = g, f
        if f == NONE:
            result = NONE
            break
        if f == g or f < 2:  # `UNIT`
            result = _up_to(nodes, unique, memo, state, stack, g, order)
            break
        if order == 0:
            result = NONE
            break
        slot = scatter(kind, f, g) & (len(memo) - 1)
        if memo[slot, 0] == kind and memo[slot, 1] == f and memo[slot, 2] == g:
            result = _wide(memo[slot, 3])
            break
        stack[top, 0], stack[top, 1] = f, g
        top += 1
        state[_TOP] = top
        element = _wide(min(nodes[f, 0], nodes[g, 0]))
        if nodes[f, 0] == element:
            f = _wide(nodes[f, 1])
        if nodes[g, 0] == element:
            g = _wide(nodes[g, 1])
    while top > base and result != FULL:
        top -= 1
        state[_TOP] = top
        f, g = _wide(stack[top, 0]), _wide(stack[top, 1])
        element = _wide(min(nodes[f, 0], nodes[g, 0]))
        f0, f1, g0, g1 = f, NONE, g, NONE
        if nodes[f, 0] == element:
            f0, f1 = _wide(nodes[f, 1]), _wide(nodes[f, 2])
        if nodes[g, 0] == element:
            g0, g1 = _wide(nodes[g, 1]), _wide(nodes[g, 2])
        if g1 == NONE:
            high = multiply(nodes, unique, memo, state, stack, f1, g0, order - 1)
        elif f1 == NONE:
            high = multiply(nodes, unique, memo, state, stack, f0, g1, order - 1)
        else:
            either = unite(nodes, unique, memo, state, stack, g0, g1)
            high = multiply(nodes, unique, memo, state, stack, f1, either, order - 1)
            other = multiply(nodes, unique, memo, state, stack, f0, g1, order - 1)
            high = unite(nodes, unique, memo, state, stack, high, other)
        if high > UNIT:
            high = _subtract(nodes, unique, memo, state, stack, high, result)
        result = join(nodes, unique, state, element, result, high)
        if result == FULL:
            break
        slot = scatter(kind, f, g) & (len(memo) - 1)
        memo[slot, 0], memo[slot, 1], memo[slot, 2], memo[slot, 3] = kind, f, g, result
    state[_TOP] = base
    return result


@kernel
def weigh_dropped(
    nodes: Ints, memo: Ints, weights: Floats, state: Ints, stack: Ints, q: Floats, f: int, g: int, order: int
) -> float:
    """The sum of P(C and C') over all C of `f` and C' of `g` of more than `order` elements together; -1: of all."""
    order = max(order, -1)
    kind = order + 2
    base = top = _wide(state[_TOP])
    while True:
        if f > g:
            f, g = g, f
        if f == NONE:
            weight = 0.0
            break
        if g == UNIT:
            weight = 1.0 if order < 0 else 0.0
            break
        slot = scatter(kind, f, g) & (len(memo) - 1)
        if memo[slot, 0] == kind and memo[slot, 1] == f and memo[slot, 2] == g:
            weight = float(weights[slot])
            break
        stack[top, 0], stack[top, 1] = f, g
        top += 1
        element = _wide(min(nodes[f, 0], nodes[g, 0]))
        if nodes[f, 0] == element:
            f = _wide(nodes[f, 1])
        if nodes[g, 0] == element:
            g = _wide(nodes[g, 1])
    while top > base:
        top -= 1
        state[_TOP] = top
        f, g = _wide(stack[top, 0]), _wide(stack[top, 1])
        element = _wide(min(nodes[f, 0], nodes[g, 0]))
        f0, f1, g0, g1 = f, NONE, g, NONE
        if nodes[f, 0] == element:
            f0, f1 = _wide(nodes[f, 1]), _wide(nodes[f, 2])
        if nodes[g, 0] == element:
            g0, g1 = _wide(nodes[g, 1]), _wide(nodes[g, 2])
        high = 0.0
        if f1 != NONE:
            high += weigh_dropped(nodes, memo, weights, state, stack, q, f1, g0, order - 1)
        if g1 != NONE:
            high += weigh_dropped(nodes, memo, weights, state, stack, q, f0, g1, order - 1)
            if f1 != NONE:
                high += weigh_dropped(nodes, memo, weights, state, stack, q, f1, g1, order - 1)
        weight += q[element] * high
        slot = scatter(kind, f, g) & (len(memo) - 1)
        memo[slot, 0], memo[slot, 1], memo[slot, 2] = kind, f, g
        weights[slot] = weight
    state[_TOP] = base
    return weight


@kernel
def weigh(nodes: Ints, q: Floats, f: int) -> float:
    """The sum of P(C) over the sets of a family: an upper bound of the probability that one has failed."""
    sums = np.zeros(f + 1)
    sums[UNIT] = 1.0
    wanted = np.zeros(f + 1, np.bool_)
    wanted[f] = True
    for node in range(f, UNIT, -1):
        if wanted[node]:
            wanted[nodes[node, 1]] = True
            wanted[nodes[node, 2]] = True
    for node in range(2, f + 1):
        if wanted[node]:
            sums[node] = sums[nodes[node, 1]] + q[nodes[node, 0]] * sums[nodes[node, 2]]
    return float(sums[f])


@kernel
def settle(
    gate_start: Ints,
    required: Ints,
    member_start: Ints,
    members: Ints,
    element: Ints,
    evaluation: Ints,
    order: int,
    nodes: Ints,
    unique: Ints,
    memo: Ints,
    state: Ints,
    stack: Ints,
    families: Ints,
) -> bool:
    """Give every node of a closure the family of what takes it down, by its `element` (-1: none) or its gates.

    `evaluation`: the nodes to settle, members first as far as cycles allow; it is gone through until nothing changes,
    which is the least fixpoint since all families start as `NONE`. False where the nodes of the diagram do not suffice.
    """
    changed = True
    clock = 0
    looked_at = np.full(len(gate_start) - 1, -1, np.int64)
    changed_at = np.zeros(len(gate_start) - 1, np.int64)
    reached = np.zeros(len(members) + 2, np.int64)
    while changed:
        changed = False
        for node in evaluation:
            stale = looked_at[node] < 0
            for place in range(member_start[gate_start[node]], member_start[gate_start[node + 1]]):
                stale = stale or changed_at[members[place]] > looked_at[node]
            if not stale:
                continue
            clock += 1
            looked_at[node] = clock
            family = NONE
            if element[node] >= 0:
                family = join(nodes, unique, state, _wide(element[node]), NONE, UNIT)
            for gate in range(gate_start[node], gate_start[node + 1]):
                first, last = member_start[gate], member_start[gate + 1]
                enough = last - first - required[gate] + 1
                if enough == 1:
                    for place in range(first, last):
                        family = unite(
                            nodes, unique, memo, state, stack, family, _wide(families[members[place]])
                        )
                    continue
                reached[1 : enough + 1] = NONE
                reached[0] = UNIT
                for place in range(first, last):
                    member = _wide(families[members[place]])
                    fewest = max(0, enough - (last - place))
                    for count in range(min(enough, place - first + 1), fewest, -1):
                        both = multiply(nodes, unique, memo, state, stack, member, reached[count - 1], order)
                        reached[count] = unite(nodes, unique, memo, state, stack, reached[count], both)
                        if reached[count] == FULL:
                            return False
                family = unite(nodes, unique, memo, state, stack, family, reached[enough])
            if family == FULL:
                return False
            if family != families[node]:
                families[node] = family
                changed = True
                changed_at[node] = clock
    return True


@kernel
def weigh_left_out(
    gate_start: Ints,
    required: Ints,
    member_start: Ints,
    members: Ints,
    evaluation: Ints,
    order: int,
    nodes: Ints,
    unique: Ints,
    memo: Ints,
    state: Ints,
    stack: Ints,
    families: Ints,
    q: Floats,
    weight_memo: Ints,
    weights: Floats,
) -> float:
    """The weight of all that the products of settled families left out; -1 where the nodes do not suffice.

    Many gates multiply the same families, such as those of two hosts: what they leave out is the same and counts once.
    """
    products = 0
    for gate in range(len(required)):
        size = member_start[gate + 1] - member_start[gate]
        products += size * (size - required[gate] + 1)
    slots = 16
    while slots < 2 * products:
        slots *= 2
    seen = np.zeros((slots, 2), np.int32)
    reached = np.zeros(len(members) + 2, np.int64)
    total = 0.0
    for node in evaluation:
        for gate in range(gate_start[node], gate_start[node + 1]):
            first, last = member_start[gate], member_start[gate + 1]
            enough = last - first - required[gate] + 1
            if enough == 1:
                continue
            reached[1 : enough + 1] = NONE
            reached[0] = UNIT
            for place in range(first, last):
                member = _wide(families[members[place]])
                fewest = max(0, enough - (last - place))
                for count in range(min(enough, place - first + 1), fewest, -1):
                    f, g = member, reached[count - 1]
                    if f > UNIT and g > UNIT:
                        if f > g:
                            f, g = g, f
                        slot = scatter(0, f, g) & (slots - 1)
                        while seen[slot, 0] != 0 and (seen[slot, 0] != f or seen[slot, 1] != g):
                            slot = (slot + 1) & (slots - 1)
                        if seen[slot, 0] == 0:
                            seen[slot, 0], seen[slot, 1] = f, g
                            total += weigh_dropped(nodes, weight_memo, weights, state, stack, q, f, g, order)
                    both = multiply(nodes, unique, memo, state, stack, member, reached[count - 1], order)
                    reached[count] = unite(nodes, unique, memo, state, stack, reached[count], both)
                    if reached[count] == FULL:
                        return -1.0
    return total
