"""What a walk visits soon lies anywhere in memory: fetch it into the caches while something else is looked at.

A walk over a million items is five times faster for it (measured: 148 ms to 30 ms for 715,000 items). Each function is
called for every place of a queue, and fetches for the places some way ahead: rows first, and what they lead to later.
"""

from __future__ import annotations

import numpy as np

from cmdb.model.columns import Bytes, Int32s
from impact.kernel import kernel, prefetch

FAR, NEAR, NEXT, NOW = 16, 8, 4, 2
"""How many places ahead of a walk memory is fetched."""
MANY = 2**22
"""Nodes whose marks no longer fit into the nearer caches: then these are fetched ahead too."""


@kernel
def look_ahead(span: Int32s, entry: Int32s, queue: Int32s, place: int, tail: int) -> None:
    """The row of what is visited in a while, and a little later what the row leads to."""
    if place + FAR < tail:
        prefetch(span, 4 * np.int64(queue[place + FAR]))
    if place + NEAR < tail and queue[place + NEAR] < len(span):
        prefetch(entry, np.int64(span[queue[place + NEAR], 0]))


@kernel
def look_at_gates(span: Int32s, entry: Int32s, gates: Int32s, queue: Int32s, place: int, tail: int) -> None:
    """The gates of what is visited next."""
    if place + NEXT < tail and queue[place + NEXT] < len(span):
        node = queue[place + NEXT]
        for at in range(span[node, 1], span[node, 2]):
            prefetch(gates, 2 * np.int64(entry[at]))


@kernel
def look_at_marks(
    span: Int32s, dependent: Int32s, marks: Bytes, queue: Int32s, place: int, tail: int, kinds: int
) -> None:
    """The marks of whom what is visited next leads to (a bare walk over six of ten million: 550 ms to 330 ms)."""
    if place + NEXT < tail and queue[place + NEXT] < len(span):
        node = queue[place + NEXT]
        for at in range(span[node, 0], span[node, kinds]):
            prefetch(marks, np.int64(dependent[at]))


@kernel
def look_at_owners(
    span: Int32s, entry: Int32s, gates: Int32s, marks: Bytes, queue: Int32s, place: int, tail: int
) -> None:
    """The same where gates, which have been fetched by then, say whom it leads to."""
    if place + NOW < tail and queue[place + NOW] < len(span):
        node = queue[place + NOW]
        for at in range(span[node, 0], span[node, 1]):
            prefetch(marks, np.int64(entry[at]))
        for at in range(span[node, 1], span[node, 2]):
            prefetch(marks, np.int64(gates[entry[at], 0]))
