"""Compiled: edges by dependent become entries by dependency, and gates. `impact.failure_graph` says what they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cmdb.model.columns import Bytes, Int32s, Int64s
from cmdb.model.packed_columns import Labels
from impact.kernel import kernel


class EdgeFacts(NamedTuple):
    """Edges by source, and what their labels say: hard or soft, the group (-1: none), the share that is required.

    `denominator` -1: nothing is stated; 0: `numerator` is a count.
    """

    out_start: Int32s
    target: Int32s
    label: Labels
    hard: Bytes
    soft: Bytes
    group: Int32s
    numerator: Int64s
    denominator: Int64s


@kernel
def form_gates(
    facts: EdgeFacts,
    sizes: Int64s,
    span: Int32s,
    entry: Int32s,
    dependent: Int32s,
    slack: Int32s,
    fill: bool,
) -> None:
    """The entries of every dependency and the gates of every dependent; twice: to count, then to fill.

    Counting sets `sizes` to the number of gates and of entries, and `span[:, 0..2]` to entries per node and kind.
    For filling `span` has the first place of each kind, and ends up as the places after the last.
    """
    out_start, target, label = facts.out_start, facts.target, facts.label
    hard, soft, group = facts.hard, facts.soft, facts.group
    n = len(out_start) - 1
    longest = 0
    for source in range(n):
        longest = max(longest, out_start[source + 1] - out_start[source])
    members = np.empty(longest + 1, np.int64)
    singles = np.empty(longest + 1, np.int64)
    softs = np.empty(longest + 1, np.int64)
    gate_count = 0
    for source in range(n):
        grouped, single, wanted = 0, 0, 0
        for edge in range(out_start[source], out_start[source + 1]):
            code = label[edge]
            if hard[code]:
                if group[code] >= 0:
                    # 33 bits for the target, 31 for the group; the label stays to be looked up again
                    members[grouped] = np.int64(group[code]) << 33 | np.int64(target[edge])
                    grouped += 1
                else:
                    singles[single] = target[edge]
                    single += 1
            elif soft[code]:
                softs[wanted] = target[edge]
                wanted += 1
        if grouped:
            sort(members, grouped)
            begin = 0
            while begin < grouped:
                code = members[begin] >> 33
                end = begin
                size = 0
                while end < grouped and members[end] >> 33 == code:
                    if end == begin or members[end] != members[end - 1]:
                        size += 1
                    end += 1
                required = _required(facts, source, code, size)
                if required == size:
                    for place in range(begin, end):
                        singles[single] = members[place] & 0x1FFFFFFFF
                        single += 1
                elif required > 0:
                    if fill:
                        slack[gate_count] = size - required
                    for place in range(begin, end):
                        if place > begin and members[place] == members[place - 1]:
                            continue
                        member = members[place] & 0x1FFFFFFFF
                        if fill:
                            entry[span[member, 1]] = gate_count
                            dependent[span[member, 1]] = source
                        span[member, 1] += 1
                    gate_count += 1
                begin = end
        if single:
            sort(singles, single)
            for place in range(single):
                if place and singles[place] == singles[place - 1]:
                    continue
                if fill:
                    entry[span[singles[place], 0]] = source
                    dependent[span[singles[place], 0]] = source
                span[singles[place], 0] += 1
        if wanted:
            sort(softs, wanted)
            for place in range(wanted):
                if place and softs[place] == softs[place - 1]:
                    continue
                if fill:
                    entry[span[softs[place], 2]] = source
                    dependent[span[softs[place], 2]] = source
                span[softs[place], 2] += 1
    sizes[0] = gate_count


@kernel
def sort(values: Int64s, count: int) -> None:
    """Sort the first `count` values in place (Shell, with the steps of Knuth): mostly there are few."""
    step = 1
    while step < count // 9:
        step = 3 * step + 1
    while step:
        for place in range(step, count):
            value = values[place]
            gap = place
            while gap >= step and values[gap - step] > value:
                values[gap] = values[gap - step]
                gap -= step
            values[gap] = value
        step //= 3


@kernel
def _required(facts: EdgeFacts, source: int, wanted: int, size: int) -> int:
    """The strictest of what the edges of a group state, all members where none states anything."""
    required = -1
    for edge in range(facts.out_start[source], facts.out_start[source + 1]):
        code = facts.label[edge]
        if not facts.hard[code] or facts.group[code] != wanted or facts.denominator[code] < 0:
            continue
        if facts.denominator[code] == 0:
            needed = min(facts.numerator[code], size)
        else:
            needed = -((-facts.numerator[code] * size) // facts.denominator[code])
        required = max(required, needed)
    return size if required < 0 else required


@kernel
def places(span: Int32s) -> int:
    """Turn counts per node and kind into first places; `span[:, 3]` becomes the place after the node's last."""
    at = 0
    for node in range(len(span)):
        for kind in range(3):
            count = span[node, kind]
            span[node, kind] = at
            at += count
        span[node, 3] = at
    return at


@kernel
def restore(span: Int32s) -> None:
    """After filling, `span[:, kind]` is where the kind ends; make it where it begins again."""
    at = 0
    for node in range(len(span)):
        ends0, ends1, ends2 = span[node, 0], span[node, 1], span[node, 2]
        span[node, 0], span[node, 1], span[node, 2], span[node, 3] = at, ends0, ends1, ends2
        at = ends2


@kernel
def find_owners(span: Int32s, entry: Int32s, dependent: Int32s, owners: Int32s) -> None:
    """The dependent of every gate, which each of its members knows."""
    for node in range(len(span)):
        for at in range(span[node, 1], span[node, 2]):
            owners[entry[at]] = dependent[at]
