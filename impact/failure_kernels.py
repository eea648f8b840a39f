"""The compiled walks of the impact engine.

`impact.failure_graph` says what the arrays are, `impact.propagation` what is true of them.

Each kernel walks from dependencies to dependents. Costs are proportional to what it reaches: what it marked in its
scratch arrays it takes back before it returns, so that the next question finds them clean.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cmdb.model.columns import Int32s, Int64s
from impact.frontier import AT_ONCE, fetch_rows, lay_out, lose_members, take_fresh
from impact.kernel import kernel, prefetch

REACHED, DOWN, DEGRADED, AT_RISK, REDUCED = 1, 2, 4, 8, 16
PINNED, REWRITTEN, EXTRA = 32, 64, 128
"""Marks of a node. REWRITTEN: entries of the base that lead to it are void. EXTRA: it has entries in the overlay."""
STANDING = REWRITTEN | EXTRA
WHOLE = 1 << 30
"""Added to the slack of a gate in `Scratch.gates` until it loses its first member."""
FAR, NEXT = 16, 4
"""How many places ahead memory is fetched, where it is known long before what comes next."""
SWEPT = 32
"""Where one of so many nodes is marked, marks are taken back from all, one after the other, which is faster."""
SINGLE, GATE, SOFT, VOID = 0, 1, 2, 3
"""What an entry of a dependency leads to: a dependent that needs it, a gate it is a member of, one that wants it."""
KINDS = 3

Marks = npt.NDArray[np.uint8]
STATE_OF = np.array(
    [
        5 if mark & DOWN else 4 if mark & DEGRADED else 3 if mark & AT_RISK else 2 if mark & REDUCED else 1
        for mark in range(32)
    ],
    np.uint8,
)
"""The worst state that marks say, as `impact.simulation` numbers them: 5 down to 1 protected."""


class Arrays(NamedTuple):
    """A failure graph as kernels see it; shapes in `impact.failure_graph`."""

    span: Int32s
    entry: Int32s
    dependent: Int32s
    gate_slack: Int32s
    x_key: Int32s
    x_head: Int32s
    x_entry: Int32s
    x_kind: npt.NDArray[np.int8]
    x_next: Int32s
    x_slack: Int32s


@kernel
def slot_of(x_key: Int32s, node: int) -> int:
    """Where in the hash table of the overlay a node is, or belongs: open addressing, a power of two of slots."""
    mask = len(x_key) - 1
    slot = (node * 40503) & mask
    while x_key[slot] != node and x_key[slot] >= 0:
        slot = (slot + 1) & mask
    return slot


@kernel
def extra_head(x_key: Int32s, x_head: Int32s, node: int) -> int:
    """The first overlay entry of a node, -1 for none."""
    slot = slot_of(x_key, node)
    head: int = x_head[slot]
    return head if x_key[slot] == node else -1


@kernel
def move_heads(old_key: Int32s, old_head: Int32s, key: Int32s, head: Int32s) -> None:
    """Enter what is in one table into a larger one, which is empty (-1)."""
    for old in range(len(old_key)):
        if old_key[old] >= 0:
            slot = slot_of(key, old_key[old])
            key[slot], head[slot] = old_key[old], old_head[old]


@kernel
def extra_owner(arrays: Arrays, owners: Int32s, place: int) -> int:
    """The dependent that an entry of the overlay leads to; `owners`: int32 per gate of the overlay."""
    other: int = arrays.x_entry[place]
    if arrays.x_kind[place] == GATE:
        other = owners[other - len(arrays.gate_slack)]
    return other


@kernel
def fall(
    arrays: Arrays,
    marks: Marks,
    gates: Int32s,
    queue: Int32s,
    touched: Int32s,
    count: int,
    noted: int,
    levels: Int32s,
    mark: int,
) -> tuple[int, int, int]:
    """Who is down (`mark` DOWN), or at risk on top of that (AT_RISK): the least fixpoint from the first `count` of
    `queue`, which have the mark already.

    Appends who gets it to `queue`, round by round; `levels[r]` is where round r begins. A gate that lost members has
    its slack in `gates[:, 1]` reduced by their number, and is noted in `touched` at the first, after the `noted` that
    are there. Returns how many have the mark, how many gates are noted, and how many rounds there are.
    """
    span, entry = arrays.span, arrays.entry
    none = np.empty(0, np.int32)
    stop = DOWN | PINNED | mark
    overlaid = len(arrays.x_entry) > 0
    head, tail, rounds = 0, count, 1
    levels[0] = 0
    while head < tail:
        end = tail
        if rounds < len(levels):
            levels[rounds] = end
        rounds += 1
        while head < end:
            until = min(head + AT_ONCE, end)
            fetch_rows(span, entry, queue, head, until, 0)
            until, laid = lay_out(span, entry, queue, head, until, 0, 1, queue, tail, none)
            tail = take_fresh(marks, queue, tail, laid, none, stop | REWRITTEN, mark)
            at = head
            while at < until:
                at, laid = lay_out(span, entry, queue, at, until, 1, 2, queue, tail, none)
                tail, noted = lose_members(
                    marks, gates, queue, tail, laid, touched, noted, stop | REWRITTEN, mark, WHOLE
                )
            if overlaid:
                for place in range(head, until):
                    tail, noted = fall_over(
                        arrays, marks, gates, queue, queue[place], tail, touched, noted, stop, mark
                    )
            head = until
    return tail, noted, rounds - 1


@kernel
def fall_over(
    arrays: Arrays,
    marks: Marks,
    gates: Int32s,
    queue: Int32s,
    node: int,
    tail: int,
    touched: Int32s,
    noted: int,
    stop: int,
    mark: int,
) -> tuple[int, int]:
    """What `fall` does for one node over its entries of the overlay."""
    at = extra_head(arrays.x_key, arrays.x_head, node) if marks[node] & EXTRA else -1
    none = np.empty(0, np.int32)
    while at >= 0:
        kind = arrays.x_kind[at]
        queue[tail] = arrays.x_entry[at]
        if kind == SINGLE:
            tail = take_fresh(marks, queue, tail, tail + 1, none, stop, mark)
        elif kind == GATE:
            tail, noted = lose_members(marks, gates, queue, tail, tail + 1, touched, noted, stop, mark, WHOLE)
        at = arrays.x_next[at]
    return tail, noted


@kernel
def reach(
    arrays: Arrays,
    marks: Marks,
    gates: Int32s,
    queue: Int32s,
    count: int,
    levels: Int32s,
    causes: Int32s,
    mark: int,
    stop: int,
    kinds: int,
) -> tuple[int, int]:
    """Everything that is reached, whatever redundancy says, from the first `count` of `queue`, which have the mark.

    Gives the `mark` to dependents that have none of `stop`; over the first `kinds` of SINGLE, GATE and SOFT. `levels`
    as for `fall`: where the items of each distance begin. `causes`, empty or as long as `queue`, gets for every place
    of it after the first ones the place of the node it was reached from. Returns how many are reached, and how many
    distances.
    """
    span, dependent = arrays.span, arrays.dependent
    overlaid = len(arrays.x_entry) > 0
    head, tail, rounds = 0, count, 1
    levels[0] = 0
    while head < tail:
        end = tail
        if rounds < len(levels):
            levels[rounds] = end
        rounds += 1
        while head < end:
            until = min(head + AT_ONCE, end)
            fetch_rows(span, dependent, queue, head, until, 0)
            until, laid = lay_out(span, dependent, queue, head, until, 0, kinds, queue, tail, causes)
            tail = take_fresh(marks, queue, tail, laid, causes, stop | REWRITTEN, mark)
            if overlaid:
                for place in range(head, until):
                    tail = reach_over(arrays, marks, gates, queue, place, tail, causes, stop, mark, kinds)
            head = until
    return tail, rounds - 1


@kernel
def reach_over(
    arrays: Arrays,
    marks: Marks,
    gates: Int32s,
    queue: Int32s,
    place: int,
    tail: int,
    causes: Int32s,
    stop: int,
    mark: int,
    kinds: int,
) -> int:
    """What `reach` does for one place of the queue over its entries of the overlay."""
    node = queue[place]
    at = extra_head(arrays.x_key, arrays.x_head, node) if marks[node] & EXTRA else -1
    while at >= 0:
        kind, other = arrays.x_kind[at], arrays.x_entry[at]
        if kind < kinds:
            queue[tail] = gates[other, 0] if kind == GATE else other
            if len(causes):
                causes[tail] = place
            tail = take_fresh(marks, queue, tail, tail + 1, causes, stop, mark)
        at = arrays.x_next[at]
    return tail


@kernel
def judge_gates(
    arrays: Arrays, marks: Marks, gates: Int32s, touched: Int32s, noted: int, queue: Int32s
) -> int:
    """Who lost the last spare of a gate is at risk and goes to `queue`; who lost another is reduced."""
    tail = 0
    for place in range(noted):
        if place + FAR < noted:
            prefetch(gates, 2 * np.int64(touched[place + FAR]))
        if place + NEXT < noted:
            prefetch(marks, np.int64(gates[touched[place + NEXT], 0]))
        gate = touched[place]
        owner = gates[gate, 0]
        seen = marks[owner]
        live = int(seen & (DOWN | PINNED) == 0)
        last = int(gates[gate, 1] == 0)
        fresh = live * last * int(seen & AT_RISK == 0)
        marks[owner] = seen | np.uint8(fresh * AT_RISK | live * (1 - last) * REDUCED)
        queue[tail] = owner
        tail += fresh
    return tail


@kernel
def degrade(
    arrays: Arrays, marks: Marks, gates: Int32s, down: Int32s, down_count: int, queue: Int32s, levels: Int32s
) -> tuple[int, int]:
    """Who is degraded: who wants something that is down, then who needs something that is degraded, to the fixpoint.

    `down`: the fallen, the first `down_count`. `queue`: gets the degraded in rounds; `levels` as for `fall`, with the
    first round being those who want something that is down. Returns how many, and how many rounds.
    """
    span, entry = arrays.span, arrays.entry
    none = np.empty(0, np.int32)
    stop = DOWN | DEGRADED | PINNED
    overlaid = len(arrays.x_entry) > 0
    head, tail = 0, 0
    while head < down_count:
        until = min(head + AT_ONCE, down_count)
        fetch_rows(span, entry, down, head, until, SOFT)
        until, laid = lay_out(span, entry, down, head, until, SOFT, KINDS, queue, tail, none)
        tail = take_fresh(marks, queue, tail, laid, none, stop | REWRITTEN, DEGRADED)
        if overlaid:
            for place in range(head, until):
                node = down[place]
                at = extra_head(arrays.x_key, arrays.x_head, node) if marks[node] & EXTRA else -1
                while at >= 0:
                    if arrays.x_kind[at] == SOFT:
                        queue[tail] = arrays.x_entry[at]
                        tail = take_fresh(marks, queue, tail, tail + 1, none, stop, DEGRADED)
                    at = arrays.x_next[at]
        head = until
    return reach(arrays, marks, gates, queue, tail, levels, none, DEGRADED, stop, SOFT)


@kernel
def take_back(
    arrays: Arrays, marks: Marks, gates: Int32s, queue: Int32s, count: int, touched: Int32s, noted: int
) -> None:
    """Make the scratch arrays clean again: the marks of everything in `queue`, the slack of the noted gates."""
    base_gates = len(arrays.gate_slack)
    if count > len(marks) // SWEPT:
        for node in range(len(marks)):
            marks[node] &= STANDING
    else:
        for place in range(count):
            marks[queue[place]] &= STANDING
    for place in range(noted):
        if place + FAR < noted:
            prefetch(gates, 2 * np.int64(touched[place + FAR]))
        gate = touched[place]
        slack = arrays.gate_slack[gate] if gate < base_gates else arrays.x_slack[gate - base_gates]
        gates[gate, 1] = slack + WHOLE


@kernel
def collect(marks: Marks, queue: Int32s, count: int, nodes: Int32s, states: Marks, sizes: Int64s) -> None:
    """Copy what was reached with one state each, as numbered in `impact.simulation`; count in `sizes[8:]`."""
    for place in range(count):
        node = queue[place]
        state = STATE_OF[marks[node] & 31]
        nodes[place] = node
        states[place] = state
        sizes[8 + state] += 1


class Scratch(NamedTuple):
    """Working memory for one question at a time; clean between questions.

    `marks`: uint8 per node; `gates`: int32[gates, 2], the owner and how many members the gate can still lose, with
    `WHOLE` on top while it lost none; four queues, int32 per node, and room for the widest row and `FEW` more;
    `touched`: int32 per gate and one more; `levels`: int32[4, rounds]: where the rounds of each queue begin.
    """

    marks: Marks
    gates: Int32s
    reached: Int32s
    down: Int32s
    at_risk: Int32s
    degraded: Int32s
    touched: Int32s
    levels: Int32s


@kernel
def simulate(
    graph: tuple[Any, ...], memory: tuple[Any, ...], failed: Int32s, pinned: Int32s
) -> tuple[Int32s, Marks, Int32s, Int64s]:
    """The whole of `impact.propagation.simulate_failure` for distinct `failed`, none of which is pinned.

    `graph` and `memory` are `Arrays` and `Scratch` as plain tuples: handing over named ones takes twice the time.

    Returns `nodes`: the reached by distance, then the down, the at risk and the degraded by round; `states` of the
    reached (see `collect`); `levels`: where distances and rounds begin, one queue after the other; `sizes`: the four
    counts of nodes, the four counts of rounds, and how many are in each state from 1 to 5. Where a count of rounds
    exceeds the width of `scratch.levels`, `nodes` is empty: ask again with a wider one.
    """
    arrays, scratch = Arrays(*graph), Scratch(*memory)
    marks, gates = scratch.marks, scratch.gates
    width = scratch.levels.shape[1]
    for place in range(len(pinned)):
        marks[pinned[place]] |= PINNED
    count = len(failed)
    for place in range(count):
        node = failed[place]
        marks[node] |= DOWN | REACHED
        scratch.down[place] = node
        scratch.reached[place] = node
    down, noted, down_rounds = fall(
        arrays, marks, gates, scratch.down, scratch.touched, count, 0, scratch.levels[1], DOWN
    )
    risky = judge_gates(arrays, marks, gates, scratch.touched, noted, scratch.at_risk)
    risky, noted, risk_rounds = fall(
        arrays, marks, gates, scratch.at_risk, scratch.touched, risky, noted, scratch.levels[2], AT_RISK
    )
    degraded, degraded_rounds = degrade(
        arrays, marks, gates, scratch.down, down, scratch.degraded, scratch.levels[3]
    )
    none = np.empty(0, np.int32)
    stop = REACHED | PINNED
    reached, distances = reach(
        arrays, marks, gates, scratch.reached, count, scratch.levels[0], none, REACHED, stop, KINDS
    )

    sizes = np.zeros(14, np.int64)
    sizes[0], sizes[1], sizes[2], sizes[3] = reached, down, risky, degraded
    sizes[4], sizes[5], sizes[6], sizes[7] = distances, down_rounds, risk_rounds, degraded_rounds
    if max(distances, down_rounds, risk_rounds, degraded_rounds) >= width:
        nodes, states, levels = np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.int32)
    else:
        nodes = np.empty(reached + down + risky + degraded, np.int32)
        states = np.empty(reached, np.uint8)
        collect(marks, scratch.reached, reached, nodes, states, sizes)
        at = reached
        for place in range(down):
            nodes[at + place] = scratch.down[place]
        at += down
        for place in range(risky):
            nodes[at + place] = scratch.at_risk[place]
        at += risky
        for place in range(degraded):
            nodes[at + place] = scratch.degraded[place]
        levels = np.empty(distances + down_rounds + risk_rounds + degraded_rounds, np.int32)
        at = 0
        for row in range(4):
            for place in range(sizes[4 + row]):
                levels[at] = scratch.levels[row, place]
                at += 1
    take_back(arrays, marks, gates, scratch.reached, reached, scratch.touched, noted)
    for place in range(len(pinned)):
        marks[pinned[place]] &= STANDING
    return nodes, states, levels, sizes


@kernel
def walk(
    graph: tuple[Any, ...], memory: tuple[Any, ...], failed: Int32s, pinned: Int32s, explain: bool
) -> tuple[Int32s, Int32s, Int32s]:
    """Plain reachability alone: the reached by distance, where each distance begins, and how each was reached.

    `graph` and `memory` as for `simulate`. The last, empty unless `explain`, says for every place of the first the
    place of the node it was reached from; for a failed one its own.
    """
    arrays, scratch = Arrays(*graph), Scratch(*memory)
    marks, queue, levels, stop = scratch.marks, scratch.reached, scratch.levels[0], REACHED | PINNED
    causes = scratch.down if explain else np.empty(0, np.int32)
    for place in range(len(pinned)):
        marks[pinned[place]] |= PINNED
    for place in range(len(failed)):
        marks[failed[place]] |= REACHED
        queue[place] = failed[place]
        if explain:
            causes[place] = place
    reached, distances = reach(
        arrays, marks, scratch.gates, queue, len(failed), levels, causes, REACHED, stop, KINDS
    )
    nodes = queue[:reached].copy()
    starts = levels[: min(distances, len(levels))].copy()
    take_back(arrays, marks, scratch.gates, queue, reached, scratch.touched, 0)
    for place in range(len(pinned)):
        marks[pinned[place]] &= STANDING
    return nodes, starts, causes[: reached if explain else 0].copy()
