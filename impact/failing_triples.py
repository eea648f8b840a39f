"""What three failures may do together that no two of them do: found gate by gate, and weighed.

Promises: for every set of failures that takes the service down, and has no pair that does, one of these holds: it has
two pairs without a node in common that take members of one gate down (`Found.disjoint`); or it has one of the triples
that `find_triples` gives or counts.

Why: let v be the first node that falls of which no single failure and no pair is the cause. It falls through a gate
whose members fell by single failures and pairs, and no two nodes are enough for that gate. So there are a pair and
another cause of one more node, or two pairs with a node in common, or two without; or, where the gate has more than one
to spare, three single failures.
"""

from __future__ import annotations

import math

import numpy as np

from impact.closure import Floats, Int32s
from impact.failing_pairs import Int64s, Words, ones
from impact.kernel import kernel

SCALE = 128
"""Weights are sorted by their binary exponent, from 2^-127 on."""
_ONE = np.uint64(1)
_SEEN = 2**16
"""Triples remembered lest they be counted again; what is forgotten only counts twice."""


@kernel
def _enter(
    a: int,
    b: int,
    c: int,
    own: Floats,
    seen: Words,
    least: float,
    below: float,
    rows: Int32s,
    filled: int,
    scale: Floats,
) -> int:
    """Weigh a triple, and keep it in `rows` if it weighs `least` or more; how many rows there are then."""
    if a > b:
        a, b = b, a
    if b > c:
        b, c = c, b
    if a > b:
        a, b = b, a
    key = (np.uint64(a) << np.uint64(42)) | (np.uint64(b) << np.uint64(21)) | np.uint64(c)
    mixed = key * np.uint64(0x9E3779B97F4A7C15)
    slot = int(mixed >> np.uint64(48))
    if seen[slot] == key:
        return filled
    seen[slot] = key
    weight = own[a] * own[b] * own[c]
    if weight <= 0.0 or weight >= below:
        return filled
    if weight >= least and filled < len(rows):
        rows[filled, 0], rows[filled, 1], rows[filled, 2] = a, b, c
        return filled + 1
    scale[max(0, SCALE - 2 + math.frexp(weight)[1])] += weight
    return filled


@kernel
def room_for_pairs(
    required: Int32s, member_start: Int32s, members: Int32s, pair_start: Int64s
) -> tuple[Int32s, Int32s, Int32s, Words]:
    """(known, first, second, mask): room for the pairs of any gate with spares, see `pairs_at`."""
    most = 0
    for gate in range(len(required)):
        begin, end = member_start[gate], member_start[gate + 1]
        if end - begin > required[gate]:
            room = 0
            for place in range(begin, end):
                room += pair_start[members[place] + 1] - pair_start[members[place]]
            most = max(most, room)
    slots = 16
    while slots < 2 * most:
        slots *= 2
    known = np.zeros((slots, 2), np.int32)
    return known, np.empty(most, np.int32), np.empty(most, np.int32), np.empty(most, np.uint64)


@kernel
def pairs_at(
    gate: int,
    spare: int,
    begin: int,
    end: int,
    members: Int32s,
    pair_start: Int64s,
    pairs: Int32s,
    single: Words,
    known: Int32s,
    first: Int32s,
    second: Int32s,
    mask: Words,
) -> int:
    """Fill in `first`, `second`, `mask`: each pair that takes members of the gate down, and which members fall with
    it, those that one of the two takes down alone (`single`, per node) among them; without the pairs that the gate
    does not survive. How many there are.

    `known`: a table of pairs, gate + 1 and place; what it says of other gates is as good as empty.
    """
    last = len(known) - 1
    count = 0
    for place in range(begin, end):
        member = members[place]
        bit = _ONE << np.uint64(place - begin)
        for row in range(pair_start[member], pair_start[member + 1]):
            one, other = pairs[row, 1], pairs[row, 2]
            mixed = (np.uint64(one) << np.uint64(32) | np.uint64(other)) * np.uint64(0x9E3779B97F4A7C15)
            slot = int(mixed >> np.uint64(33)) & last
            while known[slot, 0] == gate + 1 and (
                first[known[slot, 1]] != one or second[known[slot, 1]] != other
            ):
                slot = (slot + 1) & last
            if known[slot, 0] != gate + 1:
                known[slot, 0], known[slot, 1] = gate + 1, count
                first[count], second[count] = one, other
                mask[count] = single[one] | single[other]
                count += 1
            mask[known[slot, 1]] |= bit
    kept = 0
    for pair in range(count):
        if ones(mask[pair]) <= spare:
            first[kept], second[kept], mask[kept] = first[pair], second[pair], mask[pair]
            kept += 1
    return kept


@kernel
def find_triples(
    gate_start: Int32s,
    required: Int32s,
    member_start: Int32s,
    members: Int32s,
    entry_start: Int64s,
    entry_node: Int32s,
    entry_place: Int64s,
    masks: Words,
    pair_start: Int64s,
    pairs: Int32s,
    own: Floats,
    least: float,
    below: float,
    most: int,
) -> tuple[Int32s, Floats, float]:
    """(rows, scale, disjoint): of the triples that weigh less than `below`, those that weigh at least `least`
    as int32[., 3], `most` of them; the weight of all others by their binary exponent; of all pairs of pairs that take
    members of one gate down.

    `pairs`: int32[., 3], (node, one, other) in order of nodes from `pair_start` on.
    """
    nodes = len(gate_start) - 1
    rows = np.empty((most, 3), np.int32)
    filled = 0
    scale = np.zeros(SCALE)
    disjoint = 0.0
    seen = np.zeros(_SEEN, np.uint64)
    single = np.zeros(nodes, np.uint64)
    known, first, second, mask = room_for_pairs(required, member_start, members, pair_start)
    following = np.empty(2 * len(first), np.int32)
    head = np.full(nodes, -1, np.int32)
    for gate in range(len(required)):
        begin, end = member_start[gate], member_start[gate + 1]
        spare = end - begin - required[gate]
        if spare == 0:
            continue
        low, high = entry_start[gate], entry_start[gate + 1]
        for entry in range(low, high):
            single[entry_node[entry]] = masks[entry_place[entry]]
        kept = pairs_at(
            gate, spare, begin, end, members, pair_start, pairs, single, known, first, second, mask
        )
        total = 0.0
        for pair in range(kept):
            total += own[first[pair]] * own[second[pair]]
        disjoint += total * total / 2
        for pair in range(kept):
            one, other = first[pair], second[pair]
            for entry in range(low, high):
                third = entry_node[entry]
                if masks[entry_place[entry]] & ~mask[pair] and third != one and third != other:
                    filled = _enter(one, other, third, own, seen, least, below, rows, filled, scale)
            for end_of in range(2):
                shared = other if end_of else one
                far = one if end_of else other
                link = head[shared]
                while link >= 0:
                    before = link >> 1
                    third = first[before] if link & 1 else second[before]
                    if mask[before] != mask[pair] and third != far:
                        filled = _enter(one, other, third, own, seen, least, below, rows, filled, scale)
                    link = following[link]
            following[2 * pair], head[one] = head[one], 2 * pair
            following[2 * pair + 1], head[other] = head[other], 2 * pair + 1
        for pair in range(kept):
            head[first[pair]] = head[second[pair]] = -1
        if spare > 1:
            for a in range(low, high):
                for b in range(a + 1, high):
                    two = masks[entry_place[a]] | masks[entry_place[b]]
                    if ones(two) > spare or two == masks[entry_place[a]] or two == masks[entry_place[b]]:
                        continue
                    for c in range(b + 1, high):
                        if ones(two | masks[entry_place[c]]) > 2:
                            one, other, third = entry_node[a], entry_node[b], entry_node[c]
                            filled = _enter(one, other, third, own, seen, least, below, rows, filled, scale)
        for entry in range(low, high):
            single[entry_node[entry]] = 0
    return rows[:filled], scale, disjoint
