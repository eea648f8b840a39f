"""Which four failures take the service down together while no three of them do: found gate by gate, tried 64 at a time.

Promises: `fours_of_pairs` and `fours_of_triples` together give every set of four that takes the service down and of
which no two and no three do; among them may be sets of which three do, and sets that are given more than once.

Why: `impact.further_failures` says what such a set S has. Either two pairs without a node in common that take members
of one gate down: these are tried by `fours_of_pairs`. Or a triple, given by `impact.failing_triples`, and a member of a
gate open to it, that falls by the fourth node, alone or together with one or two of the triple; these by
`fours_of_triples`, which looks for the fourth by what takes the members of open gates down.
"""

from __future__ import annotations

import numpy as np

from impact.closure import Int32s, memberships, owners
from impact.failing_pairs import (
    Int64s,
    Words,
    ask_touched,
    clear_words,
    fall_in_words,
    room_for_words,
    settle_words,
)
from impact.failing_triples import pairs_at, room_for_pairs
from impact.further_failures import FEWEST_SLOTS, key_of, slot_of
from impact.kernel import kernel

_ONE = np.uint64(1)
_ALL = ~np.uint64(0)


@kernel
def _enter(rows: Int32s, filled: int, one: int, two: int, three: int, four: int) -> Int32s:
    """Write down a set in ascending order; the rows, more of them if need be."""
    if filled == len(rows):
        rows = np.concatenate((rows, np.empty((filled, 4), np.int32)))
    row = rows[filled]
    row[0], row[1], row[2], row[3] = one, two, three, four
    for end in range(3, 0, -1):
        for place in range(end):
            if row[place] > row[place + 1]:
                row[place], row[place + 1] = row[place + 1], row[place]
    return rows


@kernel
def fresh_thirds(triples: Int32s, fresh_start: Int64s, fresh: Int32s) -> tuple[Words, Int32s]:
    """(table, thirds): for every fresh effect of a triple and two of its nodes the third ones, as chains.

    The table as that of `enter_fresh`, but for the place of the first link, plus 1, beside a key. Links: int32[., 2],
    (node, place of the next link plus 1).
    """
    slots = FEWEST_SLOTS
    while slots < 6 * len(fresh):
        slots *= 2
    table = np.zeros((slots, 2), np.uint64)
    links = np.empty((3 * len(fresh), 2), np.int32)
    filled = 0
    for row in range(len(triples)):
        for place in range(fresh_start[row], fresh_start[row + 1]):
            for which in range(3):
                key = key_of(fresh[place], triples[row, (which + 1) % 3], triples[row, (which + 2) % 3])
                slot = slot_of(table, key)
                links[filled, 0], links[filled, 1] = triples[row, which], table[slot, 1]
                filled += 1
                table[slot, 0], table[slot, 1] = key, filled
    return table, links


@kernel
def fours_of_triples(
    gate_start: Int32s,
    required: Int32s,
    member_start: Int32s,
    members: Int32s,
    falls: tuple[Int64s, Int32s],
    touches: tuple[Int64s, Int32s],
    causes: tuple[Int64s, Int32s],
    pair_start: Int64s,
    pairs: Int32s,
    rivals: tuple[Int64s, Int32s],
    triples: Int32s,
    open_start: Int64s,
    open_members: Int32s,
    thirds: tuple[Words, Int32s],
    first_row: int,
    most: int,
) -> tuple[Int32s, int]:
    """int32[., 4]: of the sets of a triple and a fourth node those that take the service down, no pair of which does;
    and the row to go on with, where more than `most` were tried.

    `causes`: what takes each node down alone; `rivals`: what takes the service down together with each node; `thirds`:
    of all triples, see `fresh_thirds`; the rest as `impact.effects` has it, `open_members` for these triples.
    """
    nodes = len(gate_start) - 1
    use_start, uses = memberships(nodes, member_start, members)
    shape = required, member_start, members, owners(gate_start), use_start, uses
    rows = np.empty((1024, 4), np.int32)
    found, tried = 0, 0
    room = room_for_words(nodes, len(required))
    down = room[0]
    asked_for = np.full(nodes, -1, np.int32)
    fourth = np.empty(nodes, np.int32)
    table, links = thirds
    following = first_row
    while following < len(triples) and tried <= most:
        row = following
        following += 1
        if open_start[row] == open_start[row + 1]:
            continue
        a, b, c = triples[row, 0], triples[row, 1], triples[row, 2]
        asked_for[a] = asked_for[b] = asked_for[c] = row
        hopeless = False
        for which in range(3):
            node = triples[row, which]
            for place in range(rivals[0][node], rivals[0][node + 1]):
                rival = rivals[1][place]
                hopeless = hopeless or rival in (a, b, c)
                asked_for[rival] = row
        if hopeless:
            continue
        count = 0
        for opened in range(open_start[row], open_start[row + 1]):
            freshly = open_members[opened] >= 0
            member = open_members[opened] if freshly else -1 - open_members[opened]
            for place in range(causes[0][member], causes[0][member + 1]):
                node = causes[1][place]
                if asked_for[node] != row:
                    asked_for[node] = row
                    fourth[count] = node
                    count += 1
            for place in range(pair_start[member], pair_start[member + 1]):
                one, other = pairs[place, 1], pairs[place, 2]
                if other in (a, b, c):
                    one, other = other, one
                if (one in (a, b, c)) and asked_for[other] != row:
                    asked_for[other] = row
                    fourth[count] = other
                    count += 1
            if not freshly:
                continue
            for which in range(3):
                key = key_of(member, triples[row, (which + 1) % 3], triples[row, (which + 2) % 3])
                link = np.int64(table[slot_of(table, key), 1])
                while link > 0:
                    node = links[link - 1, 0]
                    link = np.int64(links[link - 1, 1])
                    if asked_for[node] != row:
                        asked_for[node] = row
                        fourth[count] = node
                        count += 1
        tried += count
        for begin in range(0, count, 64):
            bits = min(64, count - begin)
            known, filled = 0, 0
            for which in range(3):
                known = fall_in_words(triples[row, which], _ALL, falls, room, known)
                filled = ask_touched(triples[row, which], touches, room, filled)
            for bit in range(bits):
                known = fall_in_words(fourth[begin + bit], _ONE << np.uint64(bit), falls, room, known)
            known = settle_words(shape, room, filled, known)
            for bit in range(bits):
                if down[0] >> np.uint64(bit) & _ONE:
                    rows = _enter(rows, found, a, b, c, fourth[begin + bit])
                    found += 1
            clear_words(room, known)
    return rows[:found], following


@kernel
def fours_of_pairs(
    gate_start: Int32s,
    required: Int32s,
    member_start: Int32s,
    members: Int32s,
    falls: tuple[Int64s, Int32s],
    touches: tuple[Int64s, Int32s],
    entries: tuple[Int64s, Int32s, Int64s],
    masks: Words,
    pair_start: Int64s,
    pairs: Int32s,
    rivals: tuple[Int64s, Int32s],
    first_gate: int,
    first_pair: int,
    most: int,
) -> tuple[Int32s, int, int]:
    """int32[., 4]: of the sets of two pairs that take members of one gate down those that take the service down, no
    pair of which does; and the gate and the pair of it to go on with, where more than `most` were tried.

    `entries`: which nodes touch each gate, and where in `masks` it says which members they take down.
    """
    nodes = len(gate_start) - 1
    use_start, uses = memberships(nodes, member_start, members)
    shape = required, member_start, members, owners(gate_start), use_start, uses
    rows = np.empty((1024, 4), np.int32)
    found, tried = 0, 0
    room = room_for_words(nodes, len(required))
    down = room[0]
    single = np.zeros(nodes, np.uint64)
    table, first, second, mask = room_for_pairs(required, member_start, members, pair_start)
    excluded = np.full(nodes, -1, np.int64)
    stamp = 0
    chosen = np.empty(64, np.int32)
    gate, pair = first_gate, first_pair
    while gate < len(required) and tried <= most:
        begin, end = member_start[gate], member_start[gate + 1]
        spare = end - begin - required[gate]
        low, high = entries[0][gate], entries[0][gate + 1]
        kept = 0
        if spare > 0:
            for entry in range(low, high):
                single[entries[1][entry]] = masks[entries[2][entry]]
            kept = pairs_at(
                gate, spare, begin, end, members, pair_start, pairs, single, table, first, second, mask
            )
            for entry in range(low, high):
                single[entries[1][entry]] = 0
        while pair < kept and tried <= most:
            one, other = first[pair], second[pair]
            stamp += 1
            excluded[one] = excluded[other] = stamp
            for which in range(2):
                node = other if which else one
                for place in range(rivals[0][node], rivals[0][node + 1]):
                    excluded[rivals[1][place]] = stamp
            bits = 0
            for before in range(pair):
                if (
                    (spare > 1 or mask[before] != mask[pair])
                    and excluded[first[before]] != stamp
                    and excluded[second[before]] != stamp
                ):
                    chosen[bits] = before
                    bits += 1
                if bits == 0 or (bits < 64 and before + 1 < pair):
                    continue
                tried += bits
                known = fall_in_words(one, _ALL, falls, room, 0)
                known = fall_in_words(other, _ALL, falls, room, known)
                filled = ask_touched(one, touches, room, 0)
                filled = ask_touched(other, touches, room, filled)
                for bit in range(bits):
                    for which in range(2):
                        node = second[chosen[bit]] if which else first[chosen[bit]]
                        known = fall_in_words(node, _ONE << np.uint64(bit), falls, room, known)
                        filled = ask_touched(node, touches, room, filled)
                known = settle_words(shape, room, filled, known)
                for bit in range(bits):
                    if down[0] >> np.uint64(bit) & _ONE:
                        rows = _enter(rows, found, one, other, first[chosen[bit]], second[chosen[bit]])
                        found += 1
                clear_words(room, known)
                bits = 0
            pair += 1
        if pair >= kept:
            gate, pair = gate + 1, 1
    return rows[:found], gate, pair
