"""Which failures together take a service down, and how many it survives whatever they are.

Promises: minimal cut sets are sets of CIs whose failure takes the service down, and no part of which does; by the least
fixpoint, cycles included. They come in order of probability. The redundancy margin is how many CIs that the service
needs can fail, whichever they are: its smallest cut set but for the service itself, less one. Both are structural: a CI
counts also where its figure says that it never fails.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np

from impact.closure import Closure, Floats, Int32s
from impact.cut_diagram import NODE_LIMIT, CutDiagram
from impact.errors import TooManyNodes
from impact.failing_pairs import Int64s
from impact.path_sets import PathSets, TooManyPathSets
from impact.reduction import Reduction
from impact.small_cut_sets import small_cut_sets

HIGHEST_ORDER = 4
HIGHEST_MARGIN = 4
"""Of a margin as large as this it is not asked how large it is."""
MOST_SEARCHED, SMALL_DIAGRAM = 3, 2**17
"""Sets of more nodes than that can be millions, which take seconds to find one by one: before, a diagram is tried of so
few nodes that it takes tenths of a second; so it is where any set will do. It is enough where gates have little in
common, and for pools of hundreds."""
MOST_LISTED = 2_000_000
"""Cut sets of a diagram among which the most likely are sought."""


@dataclass(frozen=True, slots=True)
class CutSet:
    """Nodes of the closure, ascending, and the probability that all are down by themselves."""

    nodes: tuple[int, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class MinimalCutSets:
    """`sets`: the most likely first. `counts`: how many there are of each order, from 1 on. `truncated`: whether there
    are more up to that order than are given; `complete_order`: the order up to which all were looked for."""

    sets: tuple[CutSet, ...]
    counts: tuple[int, ...]
    truncated: bool
    complete_order: int


@dataclass(frozen=True, slots=True)
class Margin:
    """The service survives `failures` further failures, whichever; where `at_least`, possibly more.

    `defeated_by`: one more nodes of the closure than that, whose failure it does not survive; none where `at_least`.
    """

    failures: int
    at_least: bool
    defeated_by: tuple[int, ...] = field(default=(), compare=False)


def minimal_cut_sets(
    closure: Closure | Reduction,
    unavailability: Floats,
    *,
    order: int = 2,
    most: int = 1_000,
    node_limit: int = NODE_LIMIT,
    seconds: float = math.inf,
) -> MinimalCutSets:
    """The minimal cut sets of up to `order` (1 to 4) nodes, the `most` most likely of them.

    Where `node_limit` (see `cut_sets_by_order`) or `seconds` do not suffice for an order, those below it are given.
    """
    if not 1 <= order <= HIGHEST_ORDER:
        raise ValueError(f"cut sets of order {order} were asked for; 1 to {HIGHEST_ORDER} can be")
    reduction = _reduction(closure)
    single = np.flatnonzero(reduction.single_points).astype(np.int32)
    counts, listed_all = [len(single)], True
    found: list[Iterator[CutSet]] = [_expanded([single], unavailability)]
    parts = list(reduction.parts()) if order > 1 else []
    for sets in cut_sets_by_order(reduction, order, node_limit=node_limit, seconds=seconds):
        counts.append(sets.count)
        listed_all &= sets.all_listed
        found += [
            _expanded([parts[node] for node in row], unavailability)
            for row in _likeliest(sets.rows, reduction, unavailability, most).tolist()
        ]
    merged = heapq.merge(
        *found, key=lambda cut_set: (-cut_set.probability, len(cut_set.nodes), cut_set.nodes)
    )
    given = tuple(cut_set for cut_set, _ in zip(merged, range(most), strict=False))
    return MinimalCutSets(given, tuple(counts), len(given) < sum(counts) or not listed_all, len(counts))


def redundancy_margin(
    closure: Closure | Reduction,
    *,
    node_limit: int = NODE_LIMIT,
    seconds: float = math.inf,
    patience: Callable[[], None] = lambda: None,
) -> Margin:
    """How many failures the service survives, whichever CIs but itself fail: exact up to 3, then "4 or more".

    Where `node_limit` (see `cut_sets_by_order`) or `seconds` do not suffice, what is known: at least so many.
    `patience` is called between steps, of some tenths of a second each, and may raise what ends the search.
    """
    reduction = _reduction(closure)
    if reduction.single_points.sum() > 1:
        return Margin(
            0, at_least=False, defeated_by=(int(np.flatnonzero(reduction.single_points[1:])[0]) + 1,)
        )
    if reduction.residue.size == 1:
        return Margin(HIGHEST_MARGIN, at_least=True)
    orders = _Orders(reduction, node_limit, seconds, True, patience)
    paths: PathSets | None = None
    with suppress(TooManyPathSets):
        paths = PathSets(reduction.residue, seconds=seconds, patience=patience)
    for order in range(2, HIGHEST_MARGIN + 1):
        try:
            if paths is None:
                raise TooManyPathSets
            cut = paths.find_cut(order)
        except TooManyPathSets:
            sets = orders.of(order)
            if sets is None:
                return Margin(order - 1, at_least=True)
            cut = sets.rows[0].tolist() if sets.count else None
        if cut is not None:
            nodes = sorted(int(np.flatnonzero(reduction.part_of == node)[0]) for node in cut)
            return Margin(order - 1, at_least=False, defeated_by=tuple(nodes))
    return Margin(HIGHEST_MARGIN, at_least=True)


@dataclass(frozen=True, slots=True, eq=False)
class OrderSets:
    """The cut sets of one order. `rows`: int32[., order], nodes of the residue, each of which stands for its parts;
    `count`: how many sets of CIs these are; `all_listed`: whether no row is missing."""

    rows: Int32s
    count: int
    all_listed: bool


def cut_sets_by_order(
    reduction: Reduction,
    highest: int,
    *,
    node_limit: int = NODE_LIMIT,
    seconds: float = math.inf,
    any_will_do: bool = False,
    patience: Callable[[], None] = lambda: None,
) -> Iterator[OrderSets]:
    """The minimal cut sets without single points of failure, of 2 CIs, of 3, ... up to `highest`.

    They are searched for, and where that is too much, or a small diagram has them, taken from that. Ends sooner where
    `node_limit` or `seconds` do not suffice for that. `any_will_do`, `patience`: see `small_cut_sets`.
    """
    return _in_turn(_Orders(reduction, node_limit, seconds, any_will_do, patience), highest)


def _in_turn(orders: _Orders, highest: int) -> Iterator[OrderSets]:
    for order in range(2, highest + 1):
        sets = orders.of(order)
        if sets is None:
            return
        yield sets


class _Orders:
    """The cut sets of one order after the other, ascending; orders may be left out. See `cut_sets_by_order`."""

    def __init__(
        self,
        reduction: Reduction,
        node_limit: int,
        seconds: float,
        any_will_do: bool,
        patience: Callable[[], None],
    ) -> None:
        self._reduction, self._node_limit, self._any_will_do = reduction, node_limit, any_will_do
        self._until, self._patience = time.monotonic() + seconds, patience
        self._search = small_cut_sets(
            reduction.residue, seconds=seconds, any_will_do=any_will_do, patience=patience
        )
        self._searched = 1

    def of(self, order: int) -> OrderSets | None:
        """None where the time or `node_limit` do not suffice."""
        small = self._any_will_do or order > MOST_SEARCHED
        ways = (
            self._of_diagram(order, min(self._node_limit, SMALL_DIAGRAM)) if small else (),
            self._of_search(order),
            self._of_diagram(order, self._node_limit),
        )
        return next(chain.from_iterable(ways), None)

    def _of_search(self, order: int) -> Iterator[OrderSets]:
        for rows in islice(self._search, order - self._searched):
            self._searched += 1
            if self._searched == order:
                count = int(_sizes(self._reduction)[rows].prod(axis=1).sum())
                yield OrderSets(rows, count, True)

    def _of_diagram(self, order: int, node_limit: int) -> Iterator[OrderSets]:
        left = self._until - time.monotonic()
        yield from cut_sets_of_diagrams(
            self._reduction, [order], node_limit=node_limit, seconds=left, patience=self._patience
        )


def cut_sets_of_diagrams(
    reduction: Reduction,
    orders: Iterable[int],
    *,
    node_limit: int = NODE_LIMIT,
    seconds: float = math.inf,
    patience: Callable[[], None] = lambda: None,
) -> Iterator[OrderSets]:
    """As `cut_sets_by_order`, whatever the gates, from the diagram of each order; where it is small, that is to say."""
    until = time.monotonic() + seconds
    for order in orders:
        patience()
        left = until - time.monotonic()
        if left <= 0:
            return
        try:
            diagram = CutDiagram.of(reduction, order, node_limit=node_limit, seconds=left)
        except TooManyNodes:
            return
        listed, all_listed = diagram.sets(min(MOST_LISTED, sum(diagram.count())))
        rows = diagram.node_of[listed[listed[:, -1] >= 0]]
        count = diagram.count(_sizes(reduction)[diagram.node_of].astype(np.int32))[order]
        yield OrderSets(rows, count, all_listed)


def _sizes(reduction: Reduction) -> Int64s:
    """Of how many nodes of the closure each of the residue is made."""
    return np.bincount(reduction.part_of[reduction.part_of >= 0], minlength=reduction.residue.size)


def _reduction(closure: Closure | Reduction) -> Reduction:
    return closure if isinstance(closure, Reduction) else Reduction.of(closure)


def _likeliest(rows: Int32s, reduction: Reduction, unavailability: Floats, most: int) -> Int32s:
    """The cut sets of the residue among whose expansions the `most` most likely are."""
    if len(rows) <= most:
        return rows
    best = np.zeros(reduction.residue.size)
    inside = reduction.part_of > 0
    np.maximum.at(best, reduction.part_of[inside], unavailability[inside])
    # Each stands for one expansion at least as likely as any of its others.
    chosen: Int32s = rows[np.argsort(-best[rows].prod(axis=1), kind="stable")[:most]]
    return chosen


def _expanded(parts: list[Int32s], unavailability: Floats) -> Iterator[CutSet]:
    """The sets with one node out of each part, the most likely first."""
    ranked = [part[np.argsort(-unavailability[part], kind="stable")] for part in parts]

    def chance(places: tuple[int, ...]) -> float:
        return float(
            np.prod([unavailability[part[place]] for part, place in zip(ranked, places, strict=True)])
        )

    start = (0,) * len(ranked)
    queue, seen = [(-chance(start), start)], {start}
    while queue:
        negative, places = heapq.heappop(queue)
        nodes = sorted(int(part[place]) for part, place in zip(ranked, places, strict=True))
        yield CutSet(tuple(nodes), -negative)
        for at, place in enumerate(places):
            following = (*places[:at], place + 1, *places[at + 1 :])
            if place + 1 < len(ranked[at]) and following not in seen:
                seen.add(following)
                heapq.heappush(queue, (-chance(following), following))
