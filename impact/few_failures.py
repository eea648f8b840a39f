"""How likely a reduced service is down, from what two failures do together, with a proved bound on what more do.

Promises: `FewFailures.of` gives every pair of nodes of the residue that takes it down, and bounds between which the
probability lies that it is down. Both hold for any probabilities; they are narrow where failures are rare.

The lower bound is Bonferroni's: of stars of pairs, and of those triples that were tried and take the service down
without one of the pairs.

The upper bound adds to the pairs all that takes the service down without one of them. That needs a triple, or two
disjoint pairs, as `impact.failing_triples` says; their weight is a first bound. Where it is too coarse, triples are
tried, the likeliest of them. One that takes the service down counts in full. One that does not needs more failures, and
these do nothing beyond their own effects and those of the triple unless one of them breaks a gate that the triple
touches, or two take down further members of it, or two break a gate together, or three take down one member each of a
gate with several to spare. So it counts by the sum of these probabilities, which are independent of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from impact.closure import Closure, Floats, Int32s
from impact.failing_pairs import WIDEST_GATE, Bools, Int64s, fall_alone, find_pairs, turned
from impact.failing_triples import SCALE, find_triples, joining, try_triples

MOST_PAIRS = 4_000_000
"""For each node those that take it down: 12 bytes each."""
MOST_TRIPLES = 2_000_000
"""That are tried at a time; the others count in full."""
_LARGEST = 2**21
"""Nodes: a triple is one number of 64 bits."""
_EXPECTED = 0.3
"""Of the weight of triples: what is usually left of it when they are tried."""
_SHARES = (1 / 4, 1 / 20)
"""Of the width that is left: what triples that are not tried may take of it, at least at first, and then."""

Shape: TypeAlias = tuple[Int32s, Int32s, Int32s, Int32s]


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
        sizes = np.diff(residue.member_start)
        spared = sizes > residue.required
        if residue.size > _LARGEST or np.any(spared & (sizes > WIDEST_GATE)):
            return None
        gates = residue.gate_start, residue.required, residue.member_start, residue.members
        fall_start, fallen, touch_start, touched, masks = fall_alone(*gates)
        entry_start, entry_node, entry_place = turned(touch_start, touched, len(sizes))
        wanted = np.zeros(residue.size, np.bool_)
        wanted[residue.members[np.repeat(spared, sizes)]] = True
        pairs, others, weight, complete = find_pairs(
            *gates, fall_start, fallen, touch_start, touched, masks, entry_start, entry_node, entry_place,
            wanted, own, MOST_PAIRS,
        )  # fmt: skip
        if not complete:
            return None
        least, most = _between(pairs, own)
        found = _Found(
            gates, fall_start, fallen, touch_start, touched, masks, entry_start, entry_node, entry_place,
            *_by_node(others, residue.size), weight,
        )  # fmt: skip
        left_out, order, triples = _left_out(found, pairs, own, allowed(least) - (most - least), deadline)
        derivatives = _derivatives(pairs, own)
        beside = _least_beside(pairs, derivatives, triples, own)
        weight = own[pairs].prod(axis=1).sum() + own[triples].prod(axis=1).sum()
        return cls(
            pairs,
            triples,
            float(weight),
            derivatives + _derivatives(triples, own),
            least + beside,
            min(1.0, most + left_out),
            order,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What the kernels of `impact.failing_pairs` gave; `pairs` are those that take no service down, by node."""

    gates: Shape
    fall_start: Int64s
    fallen: Int32s
    touch_start: Int64s
    touched: Int32s
    masks: npt.NDArray[np.uint64]
    entry_start: Int64s
    entry_node: Int32s
    entry_place: Int64s
    pair_start: Int64s
    pairs: Int32s
    weight: float

    def triples(self, own: Floats, least: float, below: float) -> tuple[Int32s, Floats, float, float]:
        """See `find_triples`."""
        return find_triples(
            *self.gates, self.entry_start, self.entry_node, self.entry_place, self.masks, self.pair_start,
            self.pairs, own, least, below, MOST_TRIPLES if np.isfinite(least) else 0,
        )  # fmt: skip

    def tried(self, own: Floats, triples: Int32s) -> tuple[Bools, Floats]:
        """See `try_triples`."""
        gate_start, required, member_start, _ = self.gates
        burdens = joining(
            gate_start, required, member_start, self.touch_start, self.touched, self.masks, self.entry_start,
            self.entry_node, self.entry_place, own,
        )  # fmt: skip
        return try_triples(
            *self.gates,
            self.fall_start,
            self.fallen,
            self.touch_start,
            self.touched,
            self.masks,
            own,
            *burdens,
            triples,
        )


def _left_out(
    found: _Found, pairs: Int32s, own: Floats, allowed: float, deadline: Callable[[], bool]
) -> tuple[float, int, Int32s]:
    """How likely at most the service is down without any of its pairs, up to how many failures were tried, and the
    triples found that take it down without any of its pairs."""
    _, scale, disjoint, singles = found.triples(own, np.inf, np.inf)
    bound, order = float(scale.sum()) + disjoint, 2
    enough = (0.9 * allowed - _EXPECTED * bound) / (1 - _EXPECTED)
    tried, below = disjoint, np.inf
    bad = [np.empty((0, 3), np.int32)]
    for spared in (max(_SHARES[0] * allowed, enough), _SHARES[1] * allowed):
        if bound <= allowed or deadline():
            break
        least = _cut(scale, max(spared, 0.0))
        rows, rest, _, _ = found.triples(own, least, below)
        deadly, joined = found.tried(own, rows)
        chances = own[rows].prod(axis=1)
        further = np.clip(joined + found.weight + singles, 0.0, 1.0)
        alone = ~_holding(rows[deadly], pairs, len(own))
        further[deadly] = alone
        bad.append(rows[deadly][alone])
        tried += float(chances @ further)
        bound, order = min(bound, tried + float(rest.sum())), 3
        if len(rows) == MOST_TRIPLES:
            break
        below = least
    return bound, order, np.unique(np.concatenate(bad), axis=0)


def _cut(scale: Floats, spared: float) -> float:
    """The weight from which on triples are tried, so that the others weigh at most `spared` together."""
    lighter = int(np.searchsorted(np.cumsum(scale), spared, side="right"))
    return 0.0 if lighter == 0 else float(2.0 ** (lighter - SCALE + 1))


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


def _by_node(others: Int32s, size: int) -> tuple[Int64s, Int32s]:
    start = np.zeros(size + 1, np.int64)
    np.cumsum(np.bincount(others[:, 0], minlength=size), out=start[1:])
    return start, others[np.argsort(others[:, 0], kind="stable")]
