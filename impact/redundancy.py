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
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from impact.closure import Closure, Floats, Int32s
from impact.cut_diagram import NODE_LIMIT, CutDiagram
from impact.errors import TooManyNodes
from impact.reduction import Reduction

HIGHEST_ORDER = 4
HIGHEST_MARGIN = 4
"""Of a margin as large as this it is not asked how large it is."""
MOST_LISTED = 2_000_000
"""Cut sets of the residue among which the most likely are sought."""


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
    """The service survives `failures` further failures, whichever; where `at_least`, possibly more."""

    failures: int
    at_least: bool


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

    Where the diagram of an order has more than `node_limit` nodes, or so many that it would take longer than `seconds`,
    those of a lower order are given.
    """
    if not 1 <= order <= HIGHEST_ORDER:
        raise ValueError(f"cut sets of order {order} were asked for; 1 to {HIGHEST_ORDER} can be")
    reduction = closure if isinstance(closure, Reduction) else Reduction.of(closure)
    single = np.flatnonzero(reduction.single_points).astype(np.int32)
    counts = [len(single)]
    found: list[Iterator[CutSet]] = [_expanded([single], unavailability)]
    complete, listed_all = 1, True
    if order > 1 and (diagram := _diagram(reduction, order, node_limit, seconds)) is not None:
        parts = list(reduction.parts())
        sizes = np.array([len(parts[node]) for node in diagram.node_of], np.int32)
        counts += diagram.count(sizes)[2:]
        likely, listed_all = _likeliest(diagram, reduction, unavailability, most)
        found += [
            _expanded([parts[diagram.node_of[element]] for element in row if element >= 0], unavailability)
            for row in likely
        ]
        complete = diagram.order
    merged = heapq.merge(
        *found, key=lambda cut_set: (-cut_set.probability, len(cut_set.nodes), cut_set.nodes)
    )
    sets = tuple(cut_set for cut_set, _ in zip(merged, range(most), strict=False))
    truncated = len(sets) < sum(counts) or not listed_all
    return MinimalCutSets(sets, tuple(counts), truncated, complete)


def redundancy_margin(closure: Closure | Reduction, *, node_limit: int = NODE_LIMIT) -> Margin:
    """How many failures the service survives, whichever CIs but itself fail: exact up to 3, then "4 or more".

    Where the diagrams have more than `node_limit` nodes, what is known: at least so many.
    """
    reduction = closure if isinstance(closure, Reduction) else Reduction.of(closure)
    if reduction.single_points.sum() > 1:
        return Margin(0, at_least=False)
    if reduction.residue.size == 1:
        return Margin(HIGHEST_MARGIN, at_least=True)
    for order in range(2, HIGHEST_MARGIN + 1):
        try:
            diagram = CutDiagram.of(reduction, order, node_limit=node_limit)
        except TooManyNodes:
            return Margin(order - 1, at_least=True)
        if diagram.root:
            return Margin(order - 1, at_least=False)
    return Margin(HIGHEST_MARGIN, at_least=True)


def _diagram(reduction: Reduction, order: int, node_limit: int, seconds: float) -> CutDiagram | None:
    """The diagram of the highest order that is small enough; each takes many times as long as the one before."""
    found, until = None, time.monotonic() + seconds
    for wanted in range(2, order + 1):
        try:
            left = until - time.monotonic()
            found = CutDiagram.of(reduction, wanted, node_limit=node_limit, seconds=left)
        except TooManyNodes:
            break
    return found


def _likeliest(
    diagram: CutDiagram, reduction: Reduction, unavailability: Floats, most: int
) -> tuple[Int32s, bool]:
    """The cut sets of the residue among whose expansions the `most` most likely are, and whether all were looked at."""
    rows, all_listed = diagram.sets(min(MOST_LISTED, sum(diagram.count())))
    best = np.zeros(reduction.residue.size)
    inside = reduction.part_of > 0
    np.maximum.at(best, reduction.part_of[inside], unavailability[inside])
    chances = np.append(best[diagram.node_of], 1.0)[rows].prod(axis=1)  # -1 is the appended one
    if len(rows) > most:
        # Each stands for one expansion at least as likely as any of its others.
        rows = rows[np.argsort(-chances, kind="stable")[:most]]
    return rows, all_listed


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
