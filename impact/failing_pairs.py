"""What failures do alone and what two do together, of a reduced closure: found gate by gate, tried 64 at a time.

Promises: exact by the least fixpoint, cycles included. A failure *touches* a gate with spares if members of it fall and
the gate holds. Two failures do together what neither does alone only if they touch a gate in common and both together
break it, so what is tried is found from gate to gate, and there is little of it.

How: where 64 combinations are tried at once, each has its bit in the words of the nodes.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from impact.closure import Int32s, memberships, owners
from impact.kernel import kernel

Words = npt.NDArray[np.uint64]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

Shape: TypeAlias = tuple[Int32s, Int32s, Int32s, Int32s, Int32s, Int32s]
"""Gates by number and by member: (required, member_start, members, owner, use_start, uses)."""
Room: TypeAlias = tuple[Words, Int32s, Bools, Int32s, Bools, Words]

_ONE = np.uint64(1)
MOST_EFFECTS = 20_000_000
"""That single failures have together: 4 bytes each; half a second's work."""
WIDEST_GATE = 64
"""Members of a gate with spares: as many as a word has bits."""


@kernel
def fall_alone(
    gate_start: Int32s, required: Int32s, member_start: Int32s, members: Int32s, most: int
) -> tuple[Int64s, Int32s, Int64s, Int32s, Words, bool]:
    """(start, nodes) of what falls with each node, itself first, and (start, gates, masks) of the gates with spares
    that it touches, with a bit for each member that falls; and whether these are all, not more than `most`. Node 0, the
    service, is not looked at."""
    nodes = len(gate_start) - 1
    owner = owners(gate_start)
    use_start, uses = memberships(nodes, member_start, members)
    fall_start = np.zeros(nodes + 1, np.int64)
    fallen = np.empty(8 * nodes + 8, np.int32)
    touch_start = np.zeros(nodes + 1, np.int64)
    touched = np.empty(8 * nodes + 8, np.int32)
    masks = np.empty(8 * nodes + 8, np.uint64)
    fell_with = np.full(nodes, -1, np.int32)
    seen_with = np.full(len(required), -1, np.int32)
    mask = np.zeros(len(required), np.uint64)
    lost = np.zeros(len(required), np.int32)
    queue = np.empty(nodes, np.int32)
    gates = np.empty(len(required), np.int32)
    f, t = 0, 0
    for cause in range(1, nodes):
        queue[0], fell_with[cause] = cause, cause
        filled, at, met = 1, 0, 0
        while at < filled:
            node = queue[at]
            at += 1
            for use in range(use_start[node], use_start[node + 1]):
                gate = uses[use]
                if seen_with[gate] != cause:
                    seen_with[gate], mask[gate], lost[gate] = cause, 0, 0
                    gates[met] = gate
                    met += 1
                size = member_start[gate + 1] - member_start[gate]
                if size <= WIDEST_GATE:
                    for place in range(size):
                        if members[member_start[gate] + place] == node:
                            mask[gate] |= _ONE << np.uint64(place)
                lost[gate] += 1
                dependent = owner[gate]
                if lost[gate] > size - required[gate] and fell_with[dependent] != cause:
                    fell_with[dependent] = cause
                    queue[filled] = dependent
                    filled += 1
        while f + filled > len(fallen):
            fallen = np.concatenate((fallen, np.empty(len(fallen), np.int32)))
        fallen[f : f + filled] = queue[:filled]
        f += filled
        fall_start[cause + 1] = f
        while t + met > len(touched):
            touched = np.concatenate((touched, np.empty(len(touched), np.int32)))
            masks = np.concatenate((masks, np.empty(len(masks), np.uint64)))
        for at in range(met):
            gate = gates[at]
            if fell_with[owner[gate]] != cause:
                touched[t], masks[t] = gate, mask[gate]
                t += 1
        touch_start[cause + 1] = t
        if f > most or t > most:
            return fall_start, fallen[:f], touch_start, touched[:t], masks[:t], False
    return fall_start, fallen[:f], touch_start, touched[:t], masks[:t], True


@kernel
def turned(start: Int64s, columns: Int32s, size: int) -> tuple[Int64s, Int32s, Int64s]:
    """Rows by what was in them: (start, rows, places) of each of `size` columns."""
    back = np.zeros(size + 1, np.int64)
    for column in columns:
        back[column + 1] += 1
    for column in range(size):
        back[column + 1] += back[column]
    filled = back[:-1].copy()
    rows = np.empty(len(columns), np.int32)
    places = np.empty(len(columns), np.int64)
    for row in range(len(start) - 1):
        for place in range(start[row], start[row + 1]):
            column = columns[place]
            rows[filled[column]], places[filled[column]] = row, place
            filled[column] += 1
    return back, rows, places


@kernel
def ones(word: np.uint64) -> int:
    """How many bits are set."""
    count = 0
    while word:
        word &= word - _ONE
        count += 1
    return count


@kernel
def lowest(word: np.uint64) -> int:
    """The number of the lowest bit set, by halves; `word` is not 0."""
    bit = 0
    for step in (32, 16, 8, 4, 2, 1):
        if word & ((_ONE << np.uint64(step)) - _ONE) == 0:
            word >>= np.uint64(step)
            bit += step
    return bit


@kernel
def room_for_words(nodes: int, gates: int) -> Room:
    """(down, changed, marked, queue, queued, levels) with nothing down: what 64 combinations are tried in."""
    return (
        np.zeros(nodes, np.uint64),
        np.empty(nodes, np.int32),
        np.zeros(nodes, np.bool_),
        np.empty(gates + 1, np.int32),
        np.zeros(gates, np.bool_),
        np.zeros(WIDEST_GATE + 1, np.uint64),
    )


@kernel
def fall_in_words(cause: int, word: np.uint64, falls: tuple[Int64s, Int32s], room: Room, known: int) -> int:
    """What falls with a failure alone is down where `word` has bits; each node is entered in `changed`, once, behind
    those that are known. How many these are."""
    start, fallen = falls
    down, changed, marked, _, _, _ = room
    for place in range(start[cause], start[cause + 1]):
        node = fallen[place]
        if not marked[node]:
            marked[node] = True
            changed[known] = node
            known += 1
        down[node] |= word
    return known


@kernel
def ask_touched(cause: int, touches: tuple[Int64s, Int32s], room: Room, filled: int) -> int:
    """The gates that a failure touches are put into `queue`, once, behind the first ones. How many are in it."""
    start, touched = touches
    _, _, _, queue, queued, _ = room
    for place in range(start[cause], start[cause + 1]):
        gate = touched[place]
        if not queued[gate]:
            queued[gate] = True
            queue[filled] = gate
            filled += 1
    return filled


@kernel
def clear_words(room: Room, known: int) -> None:
    """Nothing is down any more."""
    down, changed, marked, _, _, _ = room
    for place in range(known):
        down[changed[place]], marked[changed[place]] = 0, False


@kernel
def settle_words(shape: Shape, room: Room, filled: int, known: int) -> int:
    """Let fall what must, from the first gates in `queue` on; each node that is down in some of the 64 is entered in
    `changed`, once, behind those that are known; how many these are. Where the service is down, no more is asked. The
    queue is a ring of as many places as gates."""
    required, member_start, members, owner, use_start, uses = shape
    down, changed, marked, queue, queued, levels = room
    at = 0
    waiting = filled
    ring = len(queue)
    while waiting > 0:
        gate = queue[at]
        at = at + 1 if at + 1 < ring else 0
        waiting -= 1
        queued[gate] = False
        spare = member_start[gate + 1] - member_start[gate] - required[gate]
        dependent = owner[gate]
        if spare == 0:
            broken = np.uint64(0)
            for place in range(member_start[gate], member_start[gate + 1]):
                broken |= down[members[place]]
        elif spare == 1:
            broken = np.uint64(0)
            once = np.uint64(0)
            for place in range(member_start[gate], member_start[gate + 1]):
                word = down[members[place]]
                broken |= once & word
                once |= word
        else:
            levels[: spare + 1] = 0
            for place in range(member_start[gate], member_start[gate + 1]):
                word = down[members[place]]
                if word:
                    for level in range(spare, 0, -1):
                        levels[level] |= levels[level - 1] & word
                    levels[0] |= word
            broken = levels[spare]
        if dependent != 0:
            broken &= ~down[0]
        if broken & ~down[dependent]:
            down[dependent] |= broken
            if not marked[dependent]:
                marked[dependent] = True
                changed[known] = dependent
                known += 1
            for use in range(use_start[dependent], use_start[dependent + 1]):
                further = uses[use]
                if not queued[further] and down[owner[further]] != ~np.uint64(0):
                    queued[further] = True
                    end = at + waiting
                    queue[end if end < ring else end - ring] = further
                    waiting += 1
    return known


@kernel
def find_pairs(
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
    wanted: Bools,
    most: int,
) -> tuple[Int32s, Int32s, bool]:
    """Every pair of which neither takes down alone what both do: (deadly, others, complete).

    `deadly`: int32[., 2], those that take the service down. `others`: int32[., 3], for each `wanted` node the others
    that take it down. Not complete where there are more than `most`.
    """
    nodes = len(gate_start) - 1
    owner = owners(gate_start)
    use_start, uses = memberships(nodes, member_start, members)
    deadly = np.empty((1024, 2), np.int32)
    others = np.empty((16384, 3), np.int32)
    deaths, found = 0, 0
    shape = required, member_start, members, owner, use_start, uses
    falls, touches = (fall_start, fallen), (touch_start, touched)
    room = room_for_words(nodes, len(required))
    down, changed, marked, _, _, _ = room
    base = np.zeros(nodes, np.uint64)
    asked_for = np.full(nodes, -1, np.int32)
    partners = np.empty(nodes, np.int32)
    for one in range(1, nodes):
        count = 0
        for place in range(touch_start[one], touch_start[one + 1]):
            gate = touched[place]
            spare = member_start[gate + 1] - member_start[gate] - required[gate]
            for entry in range(entry_start[gate], entry_start[gate + 1]):
                other = entry_node[entry]
                if other <= one or asked_for[other] == one:
                    continue
                if ones(masks[place] | masks[entry_place[entry]]) > spare:
                    asked_for[other] = one
                    partners[count] = other
                    count += 1
        for begin in range(0, count, 64):
            bits = min(64, count - begin)
            everyone = ~np.uint64(0) >> np.uint64(64 - bits)
            known = fall_in_words(one, everyone, falls, room, 0)
            for bit in range(bits):
                known = fall_in_words(partners[begin + bit], _ONE << np.uint64(bit), falls, room, known)
            for place in range(known):
                base[changed[place]] = down[changed[place]]
            filled = ask_touched(one, touches, room, 0)
            known = settle_words(shape, room, filled, known)
            dead = down[0]
            for bit in range(bits):
                if dead >> np.uint64(bit) & _ONE:
                    if deaths == len(deadly):
                        deadly = np.concatenate((deadly, np.empty((deaths, 2), np.int32)))
                    deadly[deaths, 0], deadly[deaths, 1] = one, partners[begin + bit]
                    deaths += 1
            for place in range(known):
                node = changed[place]
                fresh = down[node] & ~base[node] & ~dead
                down[node], base[node], marked[node] = 0, 0, False
                if not wanted[node]:
                    continue
                while fresh:
                    bit = lowest(fresh)
                    fresh &= fresh - _ONE
                    if found == len(others):
                        others = np.concatenate((others, np.empty((found, 3), np.int32)))
                    others[found, 0], others[found, 1], others[found, 2] = node, one, partners[begin + bit]
                    found += 1
            if deaths > most or found > most:
                return deadly[:deaths], others[:found], False
    return deadly[:deaths], others[:found], True
