"""Which demands a network still carries when links fail: each single link, each pair of links, or any given set.

A demand is an amount that two nodes exchange; it survives as long as any way is left between them (capacities play no
part). A pair of links {e, f} loses what e alone loses, and what has to cross f once e is gone. So one depth-first
search without e answers all pairs of e at once: demands whose ends lie in different 2-edge-connected components cross
exactly the bridges between those two, in the tree that the bridges form. O(links * (nodes + links + demands * bridges
crossed)) in all, instead of a search for every pair.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cmdb.errors import BadRequest
from impact.connectivity import connectivity, label_components, search_depth_first
from impact.kernel import kernel
from impact.rows import Int32Array, Rows

Float64Array = npt.NDArray[np.float64]

MAX_LINKS_IN_PAIRS = 5_000
"""Losses of pairs are kept as a matrix: 12 bytes a cell, 300 MB at this many links."""


@dataclass(frozen=True, slots=True, eq=False)
class Demands:
    """Amounts between pairs of nodes: int32[d], int32[d], float64[d]. Of a node with itself nothing is ever lost."""

    sources: Int32Array
    targets: Int32Array
    amounts: Float64Array

    @classmethod
    def of(cls, demands: Iterable[tuple[int, int, float]]) -> Demands:
        """Demands given as (source, target, amount)."""
        given = list(demands)
        return cls(
            np.array([source for source, _, _ in given], np.int32),
            np.array([target for _, target, _ in given], np.int32),
            np.array([amount for _, _, amount in given], np.float64),
        )


@kernel
def _lose_single(
    starts: Int32Array,
    neighbours: Int32Array,
    links: Int32Array,
    without: int,
    sources: Int32Array,
    targets: Int32Array,
    amounts: Float64Array,
    scratch: Int32Array,
    lost: Float64Array,
    count: Int32Array,
) -> None:
    """Fill in, for each link, what it loses when it fails; for `without`, which failed before, what that lost."""
    order, position, parent, entered_by = scratch[0], scratch[1], scratch[2], scratch[3]
    low, size, root, group = scratch[4], scratch[5], scratch[6], scratch[7]
    search_depth_first(
        starts, neighbours, links, without, order, position, parent, entered_by, low, size, root
    )
    label_components(order, position, parent, low, True, group)
    lost[:] = 0.0
    count[:] = 0
    for demand in range(len(sources)):
        one, other = group[sources[demand]], group[targets[demand]]
        if one == other:
            continue
        if root[one] != root[other]:
            lost[without] += amounts[demand]
            count[without] += 1
            continue
        while one != other:  # the lower of the two cannot be the top of the tree: up, over its bridge
            if position[one] < position[other]:
                one, other = other, one
            bridge = entered_by[one]
            lost[bridge] += amounts[demand]
            count[bridge] += 1
            one = group[parent[one]]


@kernel
def _lose_pairs(
    starts: Int32Array,
    neighbours: Int32Array,
    links: Int32Array,
    sources: Int32Array,
    targets: Int32Array,
    amounts: Float64Array,
    scratch: Int32Array,
    lost: Float64Array,
    count: Int32Array,
) -> None:
    """The rows of the matrices, one search each; the upper half is mirrored, so that both halves are equal."""
    for link in range(len(lost)):
        amount, number = lost[link], count[link]
        _lose_single(starts, neighbours, links, link, sources, targets, amounts, scratch, amount, number)
        for other in range(len(lost)):
            if other < link:
                amount[other] = lost[other, link]
                number[other] = count[other, link]
            elif other > link:
                amount[other] += amount[link]
                number[other] += number[link]


@dataclass(frozen=True, slots=True)
class LinkFailure:
    """Links that fail together, and what that loses: `amount` of the demands, `demands` in number."""

    links: tuple[int, ...]
    amount: float
    demands: int


@dataclass(frozen=True, slots=True)
class SurvivabilityFigures:
    """Over all failures of so many links: shares of the amount that survives, 0 to 1.

    `failures`: how many were looked at; `harmless`: those that lose nothing. `worst` has the worst failures, worst
    first, none that loses nothing.
    """

    failures: int
    harmless: int
    mean_share: float
    worst_share: float
    worst: tuple[LinkFailure, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Survivability:
    """What is lost under failures of links.

    `offered`: the amount of all demands that are carried while nothing fails; `carried`: int32, which those are; others
    are in no figure. `single_amount`, `single_demands`: float64[m], int32[m], lost by each link. `pair_amount`,
    `pair_demands`: symmetric float64[m, m], int32[m, m], lost by each pair, single links on the diagonal; None where
    pairs were not asked for.
    """

    offered: float
    carried: Int32Array
    single_amount: Float64Array
    single_demands: Int32Array
    pair_amount: Float64Array | None
    pair_demands: Int32Array | None

    def single(self, worst: int = 10) -> SurvivabilityFigures:
        """The figures over all single failures, with so many of the worst."""
        links = np.arange(len(self.single_amount))[:, None]
        return self._figures(links, self.single_amount, self.single_demands, worst)

    def double(self, worst: int = 10) -> SurvivabilityFigures:
        """The figures over all failures of two links. Raises `BadRequest` where pairs were not asked for."""
        if self.pair_amount is None or self.pair_demands is None:
            raise BadRequest("pairs of links were not looked at; ask `survivability` with pairs=True")
        upper = np.triu_indices(len(self.pair_amount), 1)
        links = np.stack(upper, axis=1)
        return self._figures(links, self.pair_amount[upper], self.pair_demands[upper], worst)

    def _figures(
        self, links: npt.NDArray[np.int64], amount: Float64Array, demands: Int32Array, worst: int
    ) -> SurvivabilityFigures:
        shares = 1.0 - amount / self.offered if self.offered else np.ones(len(amount))
        harmful = np.flatnonzero(demands)
        ranked = harmful[np.lexsort((harmful, -demands[harmful], -amount[harmful]))][:worst]
        return SurvivabilityFigures(
            len(amount),
            len(amount) - len(harmful),
            float(shares.mean()) if len(amount) else 1.0,
            float(shares.min(initial=1.0)),
            tuple(
                LinkFailure(tuple(links[index].tolist()), float(amount[index]), int(demands[index]))
                for index in ranked
            ),
        )


def survivability(rows: Rows, demands: Demands, *, pairs: bool = True) -> Survivability:
    """What each link, and with `pairs` each pair of links, loses when it fails.

    Raises `BadRequest` for a demand that ends at no node, for amounts that are negative or no numbers, and for pairs of
    more than `MAX_LINKS_IN_PAIRS` links.
    """
    m = len(rows.ends)
    for ends in (demands.sources, demands.targets):
        if len(ends) and not (ends.min() >= 0 and ends.max() < rows.nodes):
            raise BadRequest(f"demands end at {ends.min()} to {ends.max()}; nodes are 0 to {rows.nodes - 1}")
    if not (np.isfinite(demands.amounts).all() and (demands.amounts >= 0).all()):
        raise BadRequest("amounts of demands are finite and not negative")
    if pairs and m > MAX_LINKS_IN_PAIRS:
        raise BadRequest(f"{m} links; pairs are looked at for {MAX_LINKS_IN_PAIRS} at most")
    label = connectivity(rows).component
    carried = np.flatnonzero(label[demands.sources] == label[demands.targets]).astype(np.int32)
    asked = (demands.sources[carried], demands.targets[carried], demands.amounts[carried])
    scratch = np.empty((8, rows.nodes), np.int32)
    lost, count = np.zeros(m), np.zeros(m, np.int32)
    _lose_single(rows.starts, rows.neighbours, rows.links, -1, *asked, scratch, lost, count)
    offered = float(asked[2].sum())
    if not pairs:
        return Survivability(offered, carried, lost, count, None, None)
    pair_lost, pair_count = np.zeros((m, m)), np.zeros((m, m), np.int32)
    _lose_pairs(rows.starts, rows.neighbours, rows.links, *asked, scratch, pair_lost, pair_count)
    return Survivability(offered, carried, lost, count, pair_lost, pair_count)


def lost_demands(rows: Rows, demands: Demands, failed: Iterable[int]) -> Int32Array:
    """The demands without a way once these links have failed, ascending, whether or not they had one before."""
    label = connectivity(rows.without(failed)).component
    return np.flatnonzero(label[demands.sources] != label[demands.targets]).astype(np.int32)
