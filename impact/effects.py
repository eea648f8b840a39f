"""What single failures and pairs of failures do in a reduced closure, from which all that few failures do is found.

Promises: exact by the least fixpoint, cycles included. None where a closure or one of its gates is too large for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from impact.closure import Closure, Floats, Int32s
from impact.failing_pairs import (
    MOST_EFFECTS,
    WIDEST_GATE,
    Bools,
    Int64s,
    Words,
    fall_alone,
    find_pairs,
    turned,
)
from impact.failing_triples import find_triples
from impact.further_failures import try_triples

MOST_PAIRS = 4_000_000
"""For each node those that take it down: 12 bytes each."""
LARGEST = 2**21
"""Nodes: a triple is one number of 64 bits."""

Gates: TypeAlias = tuple[Int32s, Int32s, Int32s, Int32s]


class TriedTriples(NamedTuple):
    """See `try_triples`."""

    deadly: Bools
    singles: Floats
    fresh_start: Int64s
    fresh: Int32s
    open_start: Int64s
    open_members: Int32s


@dataclass(frozen=True, eq=False)
class Effects:
    """`deadly`: int32[., 2], every pair that takes the service down. The other pairs by what they take down: rows
    (node, one, other) of `pairs`, those of a node from `pair_start` on, for the members of gates with spares
    (`wanted`). The rest as the kernels of `impact.failing_pairs` gave it."""

    gates: Gates
    fall_start: Int64s
    fallen: Int32s
    touch_start: Int64s
    touched: Int32s
    masks: Words
    entry_start: Int64s
    entry_node: Int32s
    entry_place: Int64s
    wanted: Bools
    deadly: Int32s
    pair_start: Int64s
    pairs: Int32s

    @classmethod
    def of(cls, residue: Closure) -> Effects | None:
        """Of a residue, whose service no single failure takes down."""
        sizes = np.diff(residue.member_start)
        spared = sizes > residue.required
        if residue.size > LARGEST or np.any(spared & (sizes > WIDEST_GATE)):
            return None
        gates = residue.gate_start, residue.required, residue.member_start, residue.members
        fall_start, fallen, touch_start, touched, masks, complete = fall_alone(*gates, MOST_EFFECTS)
        if not complete:
            return None
        entry_start, entry_node, entry_place = turned(touch_start, touched, len(sizes))
        wanted = np.zeros(residue.size, np.bool_)
        wanted[residue.members[np.repeat(spared, sizes)]] = True
        deadly, others, complete = find_pairs(
            *gates, fall_start, fallen, touch_start, touched, masks, entry_start, entry_node, entry_place,
            wanted, MOST_PAIRS,
        )  # fmt: skip
        if not complete:
            return None
        pair_start = np.zeros(residue.size + 1, np.int64)
        np.cumsum(np.bincount(others[:, 0], minlength=residue.size), out=pair_start[1:])
        return cls(
            gates, fall_start, fallen, touch_start, touched, masks, entry_start, entry_node, entry_place,
            wanted, deadly, pair_start, others[np.argsort(others[:, 0], kind="stable")],
        )  # fmt: skip

    @property
    def size(self) -> int:
        """How many nodes the residue has."""
        return len(self.wanted)

    @property
    def combinations(self) -> float:
        """How many sets of three nodes `triples` looks at for gates that have more than one to spare."""
        _, required, member_start, _ = self.gates
        touching = np.diff(self.entry_start)[np.diff(member_start) - required > 1].astype(np.float64)
        return float((touching**3).sum() / 6)

    def triples(self, own: Floats, least: float, below: float, most: int) -> tuple[Int32s, Floats, float]:
        """See `find_triples`."""
        return find_triples(
            *self.gates, self.entry_start, self.entry_node, self.entry_place, self.masks, self.pair_start,
            self.pairs, own, least, below, most,
        )  # fmt: skip

    def tried(self, triples: Int32s, own: Floats) -> TriedTriples:
        """See `try_triples`."""
        return TriedTriples(
            *try_triples(
                *self.gates, self.fall_start, self.fallen, self.touch_start, self.touched, self.masks,
                self.entry_start, self.entry_node, self.entry_place, *self._falls, self.wanted, own, triples,
            )
        )  # fmt: skip

    @cached_property
    def _falls(self) -> tuple[Int64s, Int32s, Int32s]:
        """(start, other, node): what falls with each pair, by its lower node, `other` being the higher one."""
        node, one, other = self.pairs.T
        low, high = np.minimum(one, other), np.maximum(one, other)
        order = np.lexsort((high, low))
        return np.searchsorted(low[order], np.arange(self.size + 1)), high[order], node[order]
