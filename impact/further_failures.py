"""What a triple does, and what a further failure would have to do beside it for the service to go down.

Words: an effect of a triple is *fresh* if no two of its nodes have it. A gate is *open* to a triple that leaves it
whole, if a fresh effect of the triple takes a member of it; or if the gate has more than one to spare, and each of the
three takes members of it, or two together do and something else of the triple as well.

Promises: let S be failures that take the service down, four or more, while no pair and no triple of them does. Then S
has two pairs without a node in common that take members of one gate down; or S has a triple T of those that
`impact.failing_triples` gives, and a member m of a gate open to T, which T leaves up, and m falls by

* one of the others alone, by one of them with one of T, or by two of them (`burdens`: singles, partners, pairs); or
* where the gate is open by a fresh effect, by another triple T' of S as a fresh effect, T' of those that are given too.
  It shares two nodes with T (`burdens`: triples), one, or none (for the caller to add).

Why: what falls by S falls one after the other. Let v be the first that falls by no pair and no triple of S, and g the
gate it falls through; there is one, since the service is no effect of a triple. All members of g that fell before fall
by single failures, pairs and triples of S, and no triple breaks g. If one of them is a fresh effect of a triple T, g is
open to T. Since T leaves g whole there is another one, m, which T leaves up, and it falls in one of the ways above.
Otherwise all of them fall by single failures and pairs. Where two are enough to break g, these are two pairs without a
node in common, since three nodes would be a triple that breaks it. Where it takes more, there are two such pairs, or,
as `impact.failing_triples` says, a triple that is given, to which g is open; and there is an m as before. T and T' can
be chosen so that T was given no sooner than T': that is why those given earlier count.
"""

from __future__ import annotations

import numpy as np

from impact.closure import Floats, Int32s, memberships, owners
from impact.failing_pairs import Bools, Int64s, Words, ones
from impact.kernel import kernel

_ONE = np.uint64(1)
_THREE = np.uint64(3)
_STAMP, _CAUSE, _FRESHLY = np.uint64(24), np.uint64(2), np.uint64(1)
"""What a triple has met of a gate: which triple, from bit 24 on; how many causes touch it, times 2; whether one is a
fresh effect. And beside it which members it lost. Together, since they lie anywhere in memory."""
FEWEST_SLOTS = 1024


@kernel
def try_triples(
    gate_start: Int32s,
    required: Int32s,
    member_start: Int32s,
    members: Int32s,
    fall_start: Int64s,
    fallen: Int32s,
    touch_start: Int64s,
    touched: Int32s,
    masks: Words,
    entry_start: Int64s,
    entry_node: Int32s,
    entry_place: Int64s,
    pair_start: Int64s,
    pair_other: Int32s,
    pair_falls: Int32s,
    wanted: Bools,
    own: Floats,
    triples: Int32s,
) -> tuple[Bools, Floats, Int64s, Int32s, Int64s, Int32s]:
    """(deadly, singles, fresh_start, fresh, open_start, open_members) of triples, as rows of three nodes.

    `singles`: the sum of the probabilities of the nodes that take members of open gates down which the triple leaves
    up. `fresh`: the fresh effects on gates with spares. `open_members`: the members of open gates that the triple
    leaves up, gate by gate; as -1 - member where the gate is not open by a fresh effect. Where it is deadly, nothing.

    `pair_falls`: what falls with a pair, from `pair_start` of its lower node on, `pair_other` being the higher one in
    ascending order; of nodes that are `wanted`, which are the members of gates with spares.
    """
    nodes = len(gate_start) - 1
    owner = owners(gate_start)
    use_start, uses = memberships(nodes, member_start, members)
    deadly = np.zeros(len(triples), np.bool_)
    singles = np.zeros(len(triples))
    fresh_start = np.zeros(len(triples) + 1, np.int64)
    open_start = np.zeros(len(triples) + 1, np.int64)
    fresh = np.empty(4 * len(triples) + 64, np.int32)
    open_members = np.empty(8 * len(triples) + 64, np.int32)
    fell_in = np.full(nodes, -1, np.int32)
    met = np.zeros((len(required), 2), np.uint64)
    gates = np.empty(len(required), np.int32)  # that more than one cause touches: one alone breaks none
    queue = np.empty(nodes, np.int32)
    shape = required, member_start, members, use_start, uses
    found, opened = 0, 0
    for row in range(len(triples)):
        stamp = np.uint64(row + 1) << _STAMP
        many = 0
        # What falls with one of the three, and which members gates lose by it.
        for which in range(3):
            cause = triples[row, which]
            for place in range(fall_start[cause], fall_start[cause + 1]):
                fell_in[fallen[place]] = row
            for place in range(touch_start[cause], touch_start[cause + 1]):
                gate = touched[place]
                if met[gate, 0] < stamp:
                    met[gate, 0], met[gate, 1] = stamp | _CAUSE, masks[place]
                    continue
                if met[gate, 0] == stamp | _CAUSE:
                    gates[many] = gate
                    many += 1
                met[gate, 0] += _CAUSE
                met[gate, 1] |= masks[place]
        # What falls with two of them.
        for which in range(3):
            one = triples[row, 0] if which else triples[row, 1]
            other = triples[row, which] if which else triples[row, 2]
            low, high = min(one, other), max(one, other)
            end = pair_start[low + 1]
            place = _first(pair_other, pair_start[low], end, high)
            while place < end and pair_other[place] == high:
                node = pair_falls[place]
                place += 1
                if fell_in[node] != row:
                    fell_in[node] = row
                    many = _lose(node, stamp, np.uint64(0), shape, met, gates, many)
        # What falls with all three, from the gates that more than one touches: whatever does from here on is a fresh
        # effect, or no member of a gate with spares.
        at, filled = 0, 0
        for place in range(many):
            gate = gates[place]
            spare = member_start[gate + 1] - member_start[gate] - required[gate]
            if fell_in[owner[gate]] != row and ones(met[gate, 1]) > spare:
                fell_in[owner[gate]] = row
                queue[filled] = owner[gate]
                filled += 1
        while at < filled and fell_in[0] != row:
            node = queue[at]
            at += 1
            many = _lose(node, stamp, _FRESHLY, shape, met, gates, many)
            for use in range(use_start[node], use_start[node + 1]):
                gate = uses[use]
                spare = member_start[gate + 1] - member_start[gate] - required[gate]
                if fell_in[owner[gate]] != row and (spare == 0 or ones(met[gate, 1]) > spare):
                    fell_in[owner[gate]] = row
                    queue[filled] = owner[gate]
                    filled += 1
        # Write down what was found: nothing more of one that is deadly.
        if fell_in[0] == row:
            deadly[row] = True
        else:
            while found + filled > len(fresh):
                fresh = np.concatenate((fresh, np.empty(len(fresh), np.int32)))
            for place in range(filled):
                fresh[found] = queue[place]
                found += int(wanted[queue[place]])
            for place in range(many):
                gate = gates[place]
                begin, end = member_start[gate], member_start[gate + 1]
                if fell_in[owner[gate]] == row:
                    continue
                freshly = met[gate, 0] & _FRESHLY != 0
                if not freshly and (
                    end - begin - required[gate] < 2 or met[gate, 0] < stamp + _CAUSE * _THREE
                ):
                    continue
                lost = met[gate, 1]
                for entry in range(entry_start[gate], entry_start[gate + 1]):
                    if masks[entry_place[entry]] & ~lost:
                        singles[row] += own[entry_node[entry]]
                while opened + end - begin > len(open_members):
                    open_members = np.concatenate((open_members, np.empty(len(open_members), np.int32)))
                for member in range(begin, end):
                    if lost >> np.uint64(member - begin) & _ONE == 0:
                        open_members[opened] = members[member] if freshly else -1 - members[member]
                        opened += 1
        fresh_start[row + 1] = found
        open_start[row + 1] = opened
    return deadly, singles, fresh_start, fresh[:found], open_start, open_members[:opened]


@kernel
def _lose(
    node: int,
    stamp: np.uint64,
    freshly: np.uint64,
    shape: tuple[Int32s, Int32s, Int32s, Int32s, Int32s],
    met: Words,
    gates: Int32s,
    many: int,
) -> int:
    """The gates with spares that `node` is a member of lose it, which no single node of the triple takes down.

    That counts as two causes; gates that so come to two are noted. How many are noted then.
    """
    required, member_start, members, use_start, uses = shape
    for use in range(use_start[node], use_start[node + 1]):
        gate = uses[use]
        begin, end = member_start[gate], member_start[gate + 1]
        if end - begin == required[gate]:
            continue
        if met[gate, 0] < stamp:
            met[gate, 0], met[gate, 1] = stamp, np.uint64(0)
        if met[gate, 0] & ~_FRESHLY <= stamp | _CAUSE:
            gates[many] = gate
            many += 1
        met[gate, 0] = (met[gate, 0] + _CAUSE + _CAUSE) | freshly
        for place in range(begin, end):
            if members[place] == node:
                met[gate, 1] |= _ONE << np.uint64(place - begin)
    return many


@kernel
def _first(ascending: Int32s, begin: int, end: int, wanted: int) -> int:
    """The first place from `begin` on, before `end`, that is no less than `wanted`; else `end`."""
    while begin < end:
        middle = (begin + end) // 2
        if ascending[middle] < wanted:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel
def key_of(node: int, one: int, other: int) -> np.uint64:
    """An effect and two nodes of the triple that has it: 21 bits each; not 0, which no node of a triple is."""
    low, high = min(one, other), max(one, other)
    return np.uint64(node) << np.uint64(42) | np.uint64(low) << np.uint64(21) | np.uint64(high)


@kernel
def slot_of(table: Words, key: np.uint64) -> int:
    """Where a key is in a table, or belongs; see `enter_fresh`."""
    mask = len(table) - 1
    slot = int(key * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) & mask
    while table[slot, 0] != 0 and table[slot, 0] != key:
        slot = (slot + 1) & mask
    return slot


@kernel
def enter_fresh(
    triples: Int32s, fresh_start: Int64s, fresh: Int32s, own: Floats, table: Words, used: int
) -> tuple[Words, int]:
    """Add fresh effects to a table: for every effect and two nodes, the probabilities of all third nodes together.

    Returns it, larger if need be, and how many slots of it are used. The table: uint64[., 2], a power of two of slots,
    by open addressing; the key, then the bits of a float64. 0 and 0 where nothing is.
    """
    chances = table.view(np.float64)
    for row in range(len(triples)):
        needed = used + 3 * int(fresh_start[row + 1] - fresh_start[row])
        if 2 * needed > len(table):
            slots = FEWEST_SLOTS
            while slots < 2 * needed:
                slots *= 2
            old = table
            table = np.zeros((slots, 2), np.uint64)
            chances = table.view(np.float64)
            for place in range(len(old)):
                if old[place, 0] != 0:
                    table[slot_of(table, old[place, 0])] = old[place]
        for place in range(fresh_start[row], fresh_start[row + 1]):
            for which in range(3):
                key = key_of(fresh[place], triples[row, (which + 1) % 3], triples[row, (which + 2) % 3])
                slot = slot_of(table, key)
                used += int(table[slot, 0] == 0)
                table[slot, 0] = key
                chances[slot, 1] += own[triples[row, which]]
    return table, used


@kernel
def burdens(
    triples: Int32s,
    singles: Floats,
    open_start: Int64s,
    open_members: Int32s,
    partner_start: Int64s,
    partner: Int32s,
    partner_chance: Floats,
    of_pairs: Floats,
    table: Words,
) -> Floats:
    """How likely at most one of the ways above comes about beside each triple, but for triples that share less.

    `partner_chance`: of those who take a node down together with `partner`, from `partner_start` of the node on, in
    ascending order of partners. `of_pairs`: per node, the sum of the probabilities of the pairs that take it down. The
    table is that of `enter_fresh`.
    """
    joined = singles.copy()
    of_thirds = table.view(np.float64)
    for row in range(len(triples)):
        for place in range(open_start[row], open_start[row + 1]):
            by_fresh = open_members[place] >= 0
            member = open_members[place] if by_fresh else -1 - open_members[place]
            joined[row] += of_pairs[member]
            for which in range(3):
                cause = triples[row, which]
                end = partner_start[member + 1]
                at = _first(partner, partner_start[member], end, cause)
                if at < end and partner[at] == cause:
                    joined[row] += partner_chance[at]
                if by_fresh:
                    key = key_of(member, triples[row, (which + 1) % 3], triples[row, (which + 2) % 3])
                    joined[row] += of_thirds[slot_of(table, key), 1]
    return joined
