"""How likely a reduced service is down, from what two failures do together, with a proved bound on what more do.

Promises: `FewFailures.of` gives every pair of nodes of the residue that takes it down, and bounds between which the
probability lies that it is down. Both hold for any probabilities; they are narrow where failures are rare.

The lower bound is Bonferroni's: of stars of pairs, and of those triples that were tried and take the service down
without one of the pairs.

The upper bound adds to the pairs all that takes the service down without one of them. That needs a triple, or two
disjoint pairs, as `impact.failing_triples` says; their weight is a first bound. Where it is too coarse, triples are
tried, the likeliest of them. One that takes the service down counts in full. One that does not needs more failures, and
counts by how likely these do what `impact.further_failures` says they would have to do; they are independent of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from impact.closure import Closure, Floats, Int32s
from impact.effects import Effects
from impact.failing_pairs import Bools
from impact.failing_triples import SCALE
from impact.further_failures import burdens, enter_fresh

MOST_TRIPLES = 2_000_000
"""That are found at a time."""
TRIED_AT_ONCE = 50_000
"""A quarter of a second's work, after which the time is looked at."""
_EXPECTED = 0.015
"""Of the weight of triples: what is usually left of it when they are tried."""
_LIKELY, _KEPT = 3e-5, 100_000
"""Of the width that is allowed: the weight of a triple from which on they are usually tried, and of so few at most that
they are kept when all are weighed."""
_SHARES = (1 / 4, 1 / 20)
"""Of the width that is allowed: what triples that are not tried may take of it, at least at first, and at last."""

_LIGHTEST = np.concatenate([[0.0], 2.0 ** np.arange(2 - SCALE, 1), [np.inf]])
"""From which weight on a triple counts at each place of a scale; the last is where nothing does."""


@dataclass(frozen=True, slots=True, eq=False)
class FewFailures:
    """`pairs`: int32[., 2], nodes; `triples`: int32[., 3], those found that take the service down without a pair.
    `weight`: the sum of their probabilities; `derivatives`: of it by the probability of each node, float64 per node.
    `least`, `most`: the bounds. `order`: up to how many failures were tried, 2 or 3."""

    pairs: Int32s
    triples: Int32s
    weight: float
    derivatives: Floats
    least: float
    most: float
    order: int

    @classmethod
    def of(
        cls,
        residue: Closure,
        own: Floats,
        allowed: Callable[[float], float] = lambda least: 0.0,
        deadline: Callable[[], bool] = lambda: False,
    ) -> FewFailures | None:
        """By how likely each node of the residue is down itself. None where it is too large, or a gate is.

        `allowed`: how wide the interval may be, given its lower end; no more is tried than that takes, or than
        `deadline` leaves time for.
        """
        effects = Effects.of(residue)
        if effects is None:
            return None
        pairs = effects.deadly
        least, most = _between(pairs, own)
        derivatives = _derivatives(pairs, own)

        def beside(triples: Int32s) -> float:
            return _least_beside(pairs, derivatives, triples, own)

        narrow = allowed(least) - (most - least)
        left_out, order, triples, surely = _left_out(effects, own, narrow, beside, deadline)
        weight = own[pairs].prod(axis=1).sum() + own[triples].prod(axis=1).sum()
        return cls(
            pairs,
            triples,
            float(weight),
            derivatives + _derivatives(triples, own),
            least + surely,
            min(1.0, most + left_out),
            order,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Weighed:
    """All triples by the binary exponent of their weight (`scale`), the weight of pairs of pairs, and the rows of those
    heavier than `from_place`, where they are so few that they were kept while all were weighed."""

    scale: Floats
    disjoint: float
    rows: Int32s
    places: npt.NDArray[np.int64]
    from_place: int

    @classmethod
    def of(cls, effects: Effects, own: Floats, likely: float) -> _Weighed:
        """`likely`: how heavy a triple is that will be tried, as a guess."""
        guess = min(SCALE, int(np.searchsorted(_LIGHTEST, likely)))
        most = min(_KEPT, MOST_TRIPLES)
        rows, scale, disjoint = effects.triples(own, _LIGHTEST[guess], np.inf, most)
        weights = own[rows].prod(axis=1)
        places = np.maximum(0, SCALE - 2 + np.frexp(weights)[1].astype(np.int64))
        kept = guess if len(rows) < most else SCALE
        return cls(scale + np.bincount(places, weights, SCALE), disjoint, rows, places, kept)

    def rows_of(self, effects: Effects, own: Floats, least: int, below: int) -> tuple[Int32s, float]:
        """The triples of these places of the scale, `MOST_TRIPLES` at most, and the weight of what is lighter."""
        if least >= self.from_place:
            rows = self.rows[(self.places >= least) & (self.places < below)]
            return rows, float(self.scale[:least].sum())
        rows, rest, _ = effects.triples(own, _LIGHTEST[least], _LIGHTEST[below], MOST_TRIPLES)
        return rows, float(rest.sum())


class _Tried:
    """Triples that were tried, some at a time, and what is known of what they do."""

    def __init__(self, effects: Effects, own: Floats) -> None:
        self._effects, self._own = effects, own
        node, one, other = effects.pairs.T
        sides = np.concatenate([node, node]).astype(np.int64) * len(own) + np.concatenate([one, other])
        keys, side = np.unique(sides, return_inverse=True)
        chances = np.bincount(side, own[np.concatenate([other, one])], len(keys)).astype(np.float64)
        starts = np.searchsorted(keys // len(own), np.arange(len(own) + 1))
        self._partners = starts, (keys % len(own)).astype(np.int32), chances
        self._of_pairs = np.bincount(node, own[one] * own[other], len(own)).astype(np.float64)
        self._table, self._used = np.zeros((1, 2), np.uint64), 0
        self._by_node, self._weight = np.zeros(len(own)), 0.0

    def also(self, triples: Int32s) -> tuple[Bools, Floats]:
        """(deadly, further): which take the service down, and how likely at most it goes down beside each other one."""
        own = self._own
        deadly, singles, fresh_start, fresh, open_start, open_members = self._effects.tried(triples, own)
        self._table, self._used = enter_fresh(triples, fresh_start, fresh, own, self._table, self._used)
        alive = triples[~deadly]
        self._by_node += _derivatives(alive, own)
        self._weight += float(own[alive].prod(axis=1).sum())
        joined = burdens(
            triples, singles, open_start, open_members, *self._partners, self._of_pairs, self._table
        )
        return deadly, joined + self._by_node[triples].sum(axis=1) + self._weight


def _left_out(
    effects: Effects,
    own: Floats,
    allowed: float,
    least_of: Callable[[Int32s], float],
    deadline: Callable[[], bool],
) -> tuple[float, int, Int32s, float]:
    """How likely at most the service is down without any of its pairs, up to how many failures were tried, the triples
    found that take it down without any of its pairs, and how likely at least these do: `least_of` them."""
    weighed = _Weighed.of(effects, own, _LIKELY * allowed)
    scale, disjoint = weighed.scale, weighed.disjoint
    bound = float(scale.sum()) + disjoint
    bad = np.empty((0, 3), np.int32)
    if bound <= allowed or deadline():
        return bound, 2, bad, 0.0
    at_last = max(0.0, _SHARES[1] * allowed)
    spared = max(_SHARES[0] * allowed, (0.9 * allowed - _EXPECTED * bound) / (1 - _EXPECTED))
    tried, below, beside = disjoint, SCALE, _Tried(effects, own)
    while True:
        least = _cut(scale, below, spared)
        rows, rest = weighed.rows_of(effects, own, least, below)
        weights = own[rows].prod(axis=1)
        order = np.argsort(-np.frexp(weights)[1], kind="stable")
        rows, weights = rows[order], weights[order]
        deadly, further = _in_turn(rows, beside, deadline)
        alone = ~_holding(rows[deadly], effects.deadly, effects.size)
        further[deadly] = alone
        bad = np.unique(np.concatenate([bad, rows[deadly][alone]]), axis=0)
        tried += float(weights @ further)
        untried, below = rest, least
        bound, surely = min(bound, tried + untried), least_of(bad)
        room = allowed - (tried - surely)
        if untried <= max(at_last, room) or not len(rows) or len(rows) == MOST_TRIPLES or deadline():
            return bound, 3, bad, surely
        spared = max(at_last, 0.8 * room)


def _in_turn(rows: Int32s, beside: _Tried, deadline: Callable[[], bool]) -> tuple[Bools, Floats]:
    """`_Tried.also` of one lot after the other, `further` within 0 and 1; those at the end that there is no time for
    count in full."""
    deadly, further = np.zeros(len(rows), np.bool_), np.ones(len(rows))
    for begin in range(0, len(rows), TRIED_AT_ONCE):
        if begin and deadline():
            break
        some = slice(begin, begin + TRIED_AT_ONCE)
        deadly[some], joined = beside.also(rows[some])
        further[some] = np.clip(joined, 0.0, 1.0)
    return deadly, further


def _cut(scale: Floats, below: int, spared: float) -> int:
    """Down to which place of `scale` triples are tried next, from `below` on: until what is lighter weighs at most
    `spared` together, or until more might be too many at a time."""
    enough = int(np.searchsorted(np.cumsum(scale), max(0.0, spared), side="right"))
    place, count = below, 0.0
    while place > enough:
        fit = scale[place - 1] / max(_LIGHTEST[place - 1], _LIGHTEST[1] / 2)
        if count and count + fit > MOST_TRIPLES:
            break
        place, count = place - 1, count + fit
    return place


def _holding(triples: Int32s, pairs: Int32s, size: int) -> Bools:
    """Which triples hold one of the pairs; both ascend within a row."""
    known = pairs[:, 0].astype(np.int64) * size + pairs[:, 1]
    holding = np.zeros(len(triples), np.bool_)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        holding |= np.isin(triples[:, one].astype(np.int64) * size + triples[:, other], known)
    return holding


def _between(pairs: Int32s, own: Floats) -> tuple[float, float]:
    """Between which the probability lies that both of a pair are down.

    Each pair belongs to the star of that of its nodes which has more likely partners. How likely a star is down, its
    centre and any of its leaves, is exact. From below by Bonferroni: two pairs of different stars have one node in
    common at most. From above as if stars were independent: they are associated.
    """
    if not len(pairs):
        return 0.0, 0.0
    partners = _derivatives(pairs, own)
    first = partners[pairs[:, 0]] >= partners[pairs[:, 1]]
    centre = np.where(first, pairs[:, 0], pairs[:, 1])
    leaf = np.where(first, pairs[:, 1], pairs[:, 0])
    size = len(own)
    with np.errstate(divide="ignore"):
        stars = own * -np.expm1(np.bincount(centre, np.log1p(-own[leaf]), size))
        most = float(-np.expm1(np.log1p(-stars).sum()))
    leaves, centres = np.bincount(centre, own[leaf], size), np.bincount(leaf, own[centre], size)
    weight = float((own[centre] * own[leaf]).sum())
    common = float(np.sum(own * (centres**2 + 2 * centres * leaves)))
    return max(float(stars.max()), float(stars.sum()) - (weight**2 + common) / 2), most


def _least_beside(pairs: Int32s, of_pairs: Floats, triples: Int32s, own: Floats) -> float:
    """How likely at least one of the triples, none of which holds a pair, is down, and no pair.

    Each without the pairs (`of_pairs`: their derivatives), less two of them at once: such as have two nodes in common,
    one, or none.
    """
    if not len(triples):
        return 0.0
    size = len(own)
    chances = own[triples].prod(axis=1)
    no_pair = 1.0 - of_pairs[triples].sum(axis=1) - float(own[pairs].prod(axis=1).sum())
    weight = float(chances.sum())
    by_node = _derivatives(triples, own)
    twice = weight**2 / 2 + float(own @ by_node**2) / 2
    sides = np.concatenate([triples[:, [0, 1]], triples[:, [0, 2]], triples[:, [1, 2]]]).astype(np.int64)
    third = own[np.concatenate([triples[:, 2], triples[:, 1], triples[:, 0]])]
    keys, side = np.unique(sides[:, 0] * size + sides[:, 1], return_inverse=True)
    thirds = np.bincount(side, weights=third)
    twice += float(np.sum(own[keys // size] * own[keys % size] * thirds**2)) / 2
    return max(0.0, float(chances @ np.maximum(no_pair, 0.0)) - twice)


def _derivatives(sets: Int32s, own: Floats) -> Floats:
    """Of the sum of the probabilities of these sets of nodes, as rows, by the probability of each node."""
    derivatives = np.zeros(len(own))
    for column in range(sets.shape[1]):
        np.add.at(derivatives, sets[:, column], own[np.delete(sets, column, axis=1)].prod(axis=1))
    return derivatives
