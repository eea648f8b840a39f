"""A walk's next steps, a few dozen at a time: first what they lead to is laid out, then it is looked at in one go.

What a walk visits lies anywhere in memory, and how many dependents each item has cannot be foretold. So a walk that
goes entry by entry waits for memory and for wrong guesses of the processor. Here every pass over some dozen items does
one thing: begin to fetch their rows, begin to fetch what the rows say, copy that behind the end of the queue, begin to
fetch the marks, take who is fresh. Nothing of it depends on what the one before found, and hardly anything branches.
What that saves is in docs/adr/0013-walks-in-passes.md.
"""

from __future__ import annotations

import numpy as np

from cmdb.model.columns import Bytes, Int32s
from impact.kernel import kernel, prefetch

AT_ONCE = 32
"""How many items are looked at together."""
FEW = 4
"""So many entries of a row are copied without asking how many there are; most rows have no more."""


@kernel
def fetch_rows(span: Int32s, entry: Int32s, nodes: Int32s, begin: int, end: int, low: int) -> None:
    """Begin to load what `lay_out` will copy for the same arguments."""
    for place in range(begin, end):
        prefetch(span, 4 * np.int64(nodes[place]))
    for place in range(begin, end):
        if nodes[place] < len(span):
            prefetch(entry, np.int64(span[nodes[place], low]))


@kernel
def lay_out(
    span: Int32s,
    entry: Int32s,
    nodes: Int32s,
    begin: int,
    end: int,
    low: int,
    high: int,
    queue: Int32s,
    tail: int,
    causes: Int32s,
) -> tuple[int, int]:
    """Copy the entries from column `low` to `high` of `span` of these `nodes` to `queue`, from `tail` on.

    `causes`, unless empty, gets the place of the node that each is an entry of. Returns which of the nodes it came to,
    which are all but where `queue` is full, and where in `queue` the entries end. `queue` needs room for the widest row
    and `FEW` more, else no place is come to.
    """
    explain = len(causes) > 0
    size, room = len(entry), len(queue) - FEW
    for place in range(begin, end):
        node = nodes[place]
        if node >= len(span):  # an item of the overlay
            continue
        first = span[node, low]
        count = span[node, high] - first
        if tail + count > room:
            return place, tail
        if count <= FEW and first + FEW <= size:
            one, two, three, four = entry[first], entry[first + 1], entry[first + 2], entry[first + 3]
            queue[tail], queue[tail + 1], queue[tail + 2], queue[tail + 3] = one, two, three, four
            if explain:
                causes[tail], causes[tail + 1], causes[tail + 2], causes[tail + 3] = (
                    place,
                    place,
                    place,
                    place,
                )
        else:
            for at in range(count):
                queue[tail + at] = entry[first + at]
            if explain:
                for at in range(count):
                    causes[tail + at] = place
        tail += count
    return end, tail


@kernel
def take_fresh(
    marks: Bytes, queue: Int32s, tail: int, laid: int, causes: Int32s, stop: int, mark: int
) -> int:
    """Of what is laid out from `tail` to `laid`, keep those whose marks have nothing of `stop`, and give them `mark`.

    `stop` has to have `mark` in it. Returns the new end of the queue.
    """
    explain = len(causes) > 0
    for at in range(tail, laid):
        prefetch(marks, np.int64(queue[at]))
    for at in range(tail, laid):
        # Without a branch: who is fresh cannot be foretold, and a wrong guess costs more than a write.
        other = queue[at]
        seen = marks[other]
        fresh = np.uint8(seen & stop == 0)
        queue[tail] = other
        if explain:
            causes[tail] = causes[at]
        marks[other] = seen | fresh * np.uint8(mark)
        tail += int(fresh)
    return tail


@kernel
def lose_members(
    marks: Bytes,
    gates: Int32s,
    queue: Int32s,
    tail: int,
    laid: int,
    touched: Int32s,
    noted: int,
    stop: int,
    mark: int,
    whole: int,
) -> tuple[int, int]:
    """Each gate laid out from `tail` to `laid` loses a member; the owners of those that break get `mark`.

    Only gates count whose owner has none of `stop`. `whole`: what is added to the slack of a gate until it loses its
    first member; then it is noted in `touched` as well. Returns the new end of the queue and how many are noted.
    """
    for at in range(tail, laid):
        prefetch(gates, 2 * np.int64(queue[at]))
    for at in range(tail, laid):
        prefetch(marks, np.int64(gates[queue[at], 0]))
    for at in range(tail, laid):
        gate = queue[at]
        owner, slack = gates[gate, 0], gates[gate, 1]
        seen = marks[owner]
        live = int(seen & stop == 0)
        first = live * int(slack >= whole)
        slack -= live + first * whole
        gates[gate, 1] = slack
        touched[noted] = gate
        noted += first
        fresh = live * int(slack < 0)
        queue[tail] = owner
        marks[owner] = seen | np.uint8(fresh * mark)
        tail += fresh
    return tail, noted
