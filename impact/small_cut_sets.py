"""The minimal cut sets of up to four nodes of a reduced closure, found by trying all that can be one.

Promises: exact, cycles included, order by order. What is tried grows with how many failures act upon the same gates,
not with the whole: closures of 2,000 CIs have a hundred thousand times as many triples as are tried. A gate with spares
of very many members can make it more than there is time or room for; then the orders below are given.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from impact.closure import Closure, Int32s
from impact.effects import Effects, TriedTriples
from impact.failing_fours import fours_of_pairs, fours_of_triples, fresh_thirds
from impact.failing_pairs import Int64s, turned

MOST_TRIED, MOST_FOUND = 4_000_000, 10_000_000
"""Triples that may have to be tried, and sets of one order that may be found."""
_MOST_COMBINATIONS = 1e9
"""See `Effects.combinations`: some seconds."""
_TRIED_AT_ONCE = 50_000
"""Triples: some tenths of a second's work, after which the time is looked at."""
_FOURS_AT_ONCE = 1_000_000
_MOST_PAIRS_OF_PAIRS = 1e8
"""Half a minute."""
_SORTED_AT_ONCE = 1_000_000
"""Sets found, some of them more than once."""
_LARGEST_FOR_FOURS = 2**16
"""Nodes: a set of four is one number of 64 bits."""
_NO_KEY = np.uint64(2**64 - 1)
"""Greater than that of any set, whose nodes differ."""

Keys = npt.NDArray[np.uint64]


class _NoMore(Exception):
    """There is no time or room for the next order."""


def small_cut_sets(
    residue: Closure,
    *,
    seconds: float = math.inf,
    any_will_do: bool = False,
    patience: Callable[[], None] = lambda: None,
) -> Iterator[Int32s]:
    """The minimal cut sets of 2 nodes, then those of 3, then those of 4: int32[., order], ascending, each once.

    Ends sooner where a gate has too many members, where there are too many sets, or where `seconds` after the beginning
    there is no time for more. `any_will_do`: once there is a set, no more are looked for. `patience` is called between
    steps, of some tenths of a second each, and may raise what ends the search.
    """
    return _by_order(residue, time.monotonic() + seconds, any_will_do, patience)


def _by_order(
    residue: Closure, until: float, any_will_do: bool, patience: Callable[[], None]
) -> Iterator[Int32s]:
    effects = Effects.of(residue)
    if effects is None:
        return
    search = _Search(effects, until, any_will_do, patience)
    for find in (search.pairs, search.triples, search.fours):
        try:
            found = find()
        except _NoMore:
            return
        yield found
        if any_will_do and len(found):
            return


class _Search:
    """What is known after each order, for the next one: call `pairs`, `triples`, `fours` in that order."""

    def __init__(
        self, effects: Effects, until: float, any_will_do: bool, patience: Callable[[], None]
    ) -> None:
        self._effects, self._any_will_do = effects, any_will_do
        self._until, self._patience = until, patience
        self._shift = np.uint64((effects.size - 1).bit_length())

    def pairs(self) -> Int32s:
        return self._rows(_distinct(self._keys(self._effects.deadly)), 2)

    def triples(self) -> Int32s:
        effects = self._effects
        alike = np.full(effects.size, 0.5)
        if effects.combinations > _MOST_COMBINATIONS:
            raise _NoMore
        self._look_at_the_time()
        rows, _, weight = effects.triples(alike, 0.0, math.inf, MOST_TRIED)
        self._pairs_of_pairs = weight / 0.5**4
        if len(rows) == MOST_TRIED:
            raise _NoMore
        self._triples = self._rows(_distinct(self._keys(rows)), 3)
        self._tried: list[TriedTriples] = []
        self._deadly_triples = np.empty((0, 3), np.int32)
        for some in self._lots(self._triples):
            tried = effects.tried(some, alike)
            self._tried.append(tried)
            deadly = self._without(some[tried.deadly], effects.deadly)
            self._deadly_triples = np.concatenate([self._deadly_triples, deadly])
            if self._any_will_do and len(deadly):
                break
        return self._deadly_triples

    def fours(self) -> Int32s:
        if self._effects.size > _LARGEST_FOR_FOURS or self._pairs_of_pairs > _MOST_PAIRS_OF_PAIRS:
            raise _NoMore
        known = np.empty(0, np.uint64)
        fresh: list[Keys] = []
        for rows in self._deadly_fours():
            fresh.append(self._keys(self._without(rows, self._deadly_triples)))
            if self._any_will_do and len(fresh[-1]):
                break
            if sum(map(len, fresh)) > max(_SORTED_AT_ONCE, len(known)):
                known, fresh = _distinct(np.concatenate([known, *fresh])), []
                if len(known) > MOST_FOUND:
                    raise _NoMore
        return self._rows(_distinct(np.concatenate([known, *fresh])), 4)

    def _deadly_fours(self) -> Iterator[Int32s]:
        """Some at a time, some of them more than once; some hold a triple that is enough."""
        effects = self._effects
        falls = effects.fall_start, effects.fallen
        touches = effects.touch_start, effects.touched
        one, other = effects.deadly.T
        rivals = _grouped(np.concatenate([one, other]), np.concatenate([other, one]), effects.size)
        starts = np.cumsum([0, *(len(tried.deadly) for tried in self._tried)])
        fresh_start = np.concatenate([[0], *(np.diff(tried.fresh_start) for tried in self._tried)])
        fresh = np.concatenate([np.empty(0, np.int32), *(tried.fresh for tried in self._tried)])
        thirds = fresh_thirds(self._triples, np.cumsum(fresh_start), fresh)
        start, causes, _ = turned(*falls, effects.size)
        for begin, tried in zip(starts, self._tried, strict=False):
            row = 0
            while row < len(tried.deadly):
                self._look_at_the_time()
                rows, row = fours_of_triples(
                    *effects.gates, falls, touches, (start, causes), effects.pair_start, effects.pairs, rivals,
                    self._triples[begin : begin + len(tried.deadly)], tried.open_start, tried.open_members,
                    thirds, row, _FOURS_AT_ONCE,
                )  # fmt: skip
                yield rows
        entries = effects.entry_start, effects.entry_node, effects.entry_place
        gate, pair, gates = 0, 1, len(effects.gates[1])
        while gate < gates:
            self._look_at_the_time()
            rows, gate, pair = fours_of_pairs(
                *effects.gates, falls, touches, entries, effects.masks, effects.pair_start, effects.pairs,
                rivals, gate, pair, _FOURS_AT_ONCE,
            )  # fmt: skip
            yield rows

    def _lots(self, rows: Int32s) -> Iterator[Int32s]:
        for begin in range(0, len(rows), _TRIED_AT_ONCE):
            self._look_at_the_time()
            yield rows[begin : begin + _TRIED_AT_ONCE]

    def _look_at_the_time(self) -> None:
        self._patience()
        if time.monotonic() >= self._until:
            raise _NoMore

    def _without(self, sets: Int32s, smaller: Int32s) -> Int32s:
        """Those of the sets that hold none of the smaller ones, which have one node less."""
        known = np.append(np.sort(self._keys(smaller)), _NO_KEY)
        holding = np.zeros(len(sets), np.bool_)
        for left_out in range(sets.shape[1]):
            keys = self._keys(np.delete(sets, left_out, axis=1))
            holding |= known[np.searchsorted(known, keys)] == keys
        return sets[~holding]

    def _keys(self, rows: Int32s) -> Keys:
        """One number for each row, in the order of the rows."""
        keys = np.zeros(len(rows), np.uint64)
        for column in rows.T:
            keys = keys << self._shift | column.astype(np.uint64)
        return keys

    def _rows(self, keys: Keys, size: int) -> Int32s:
        nodes = (np.uint64(1) << self._shift) - np.uint64(1)
        columns = [keys >> self._shift * np.uint64(place) & nodes for place in range(size - 1, -1, -1)]
        return np.stack(columns, axis=1).astype(np.int32)


def _distinct(keys: Keys) -> Keys:
    """Each once, in ascending order; far faster than `np.unique`, which hashes."""
    ordered = np.sort(keys)
    fresh = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=fresh[1:])
    return ordered[fresh]


def _grouped(key: Int32s, value: Int32s, size: int) -> tuple[Int64s, Int32s]:
    """(start, values) by key."""
    order = np.argsort(key, kind="stable")
    return np.searchsorted(key[order], np.arange(size + 1)), value[order]
