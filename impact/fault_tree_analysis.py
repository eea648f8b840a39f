"""What a fault tree says: the probability of its top event, its minimal cut sets, and how much each event matters.

Everything is exact but for rounding: the tree becomes a binary decision diagram, and no rare-event
approximation is made. Whether that is possible depends on the order of the variables, and no order is good for every
tree; so three are begun (depth first, with the larger or the smaller subtrees first, or as written), and after a while
the one that has come farthest goes on alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from impact.bdd import Bdd, Floats
from impact.circuit import Construction, circuit_of
from impact.cut_sets import CutSets, minimal_cut_sets
from impact.errors import TooManyNodes
from impact.fault_tree import FaultTree

_BUDGETS = (200_000, 600_000, 1_800_000)
"""Nodes that an order may use while others are in the race."""

_KEPT = 0.97
"""After the second budget only those go on that have done this share of what the one in front has done."""

_CANCELLED = 1e-6
"""A probability so small beside the one it was subtracted from is computed anew: too few of its digits are true."""

NODE_LIMIT = 20_000_000
"""Nodes of a diagram, at most: some 0.7 GB at the peak."""


@dataclass(frozen=True, slots=True)
class Importance:
    """How much one basic event matters to the top event. P is the probability of the top, p that of the event.

    Birnbaum (1969) is P(top | event) - P(top | no event) = dP/dp. `criticality` (Lambert 1975) is p * Birnbaum / P:
    the chance that, the top having happened, it hangs on this event. `fussell_vesely` is 1 - P(top | no event) / P, the
    share of P that goes away with the event; computed exactly it is the same number as criticality, while the
    sum over cut sets that often bears the name is an approximation of it. `diagnostic` is p * P(top | event) / P =
    P(event | top): where to look first when the top has happened. `raw` (risk achievement worth) is
    P(top | event) / P, `rrw` (risk reduction worth) P / P(top | no event), infinite if there is no top without
    the event; both after W. E. Vesely and others, NUREG/CR-3385 (1983).

    Where P is 0, the three shares are 0, `rrw` is 1, and `raw` infinite if the event makes the top possible, else 1.
    """

    event: str
    probability: float
    birnbaum: float
    criticality: float
    fussell_vesely: float
    diagnostic: float
    raw: float
    rrw: float


@dataclass(frozen=True, slots=True)
class Diagram:
    """The decision diagram of a tree: variable i of `bdd` is the event `events[i]`, with probability `chances[i]`."""

    bdd: Bdd
    root: int
    events: tuple[str, ...]
    chances: Floats


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was found out about a tree. `importances` has every basic event, in the order of the tree."""

    tree: FaultTree
    probability: float
    importances: tuple[Importance, ...]
    cut_sets: CutSets
    diagram: Diagram

    def likeliest_cut_sets(self, limit: int) -> list[tuple[float, tuple[str, ...]]]:
        """The minimal cut sets with the highest products of probabilities, by name."""
        events = self.diagram.events
        likeliest = islice(self.cut_sets.most_likely(self.diagram.chances), limit)
        return [(chance, tuple(events[variable] for variable in members)) for chance, members in likeliest]

    def smallest_cut_sets(self, limit: int) -> Iterator[tuple[str, ...]]:
        """The minimal cut sets with the fewest events, by name."""
        for members in islice(self.cut_sets, limit):
            yield tuple(self.diagram.events[variable] for variable in members)


def analyse(tree: FaultTree, *, order: int | None = None, node_limit: int = NODE_LIMIT) -> Analysis:
    """The probability of the top event, its minimal cut sets (of at most `order` events), and every importance.

    Raises `TooManyNodes` when no variable order brings the diagram below `node_limit` nodes.
    """
    diagram = make_diagram(tree, node_limit=node_limit)
    probability, importances = weigh(tree, diagram)
    cut_sets = minimal_cut_sets(diagram.bdd, diagram.root, order=order, node_limit=node_limit)
    return Analysis(tree, probability, importances, cut_sets, diagram)


def make_diagram(tree: FaultTree, *, node_limit: int = NODE_LIMIT) -> Diagram:
    """The diagram of a tree. Raises `TooManyNodes` if no order brings it below the limit.

    Several orders start together; those that fall behind are put aside until the others have failed.
    """
    circuit = circuit_of(tree)
    leaves = circuit.leaves()
    orders = (
        circuit.first_visits(lambda place: -leaves[place]),
        circuit.first_visits(),
        circuit.first_visits(lambda place: leaves[place]),
    )
    factored = circuit.factored()
    ways = [Construction(factored, order) for order in orders]
    leading = ways
    for budget in _BUDGETS:
        for way in leading:
            if way.advance(min(budget, node_limit)):
                return _diagram(tree, way)
        if budget > _BUDGETS[0]:
            farthest = max(way.progress for way in leading)
            leading = [way for way in leading if way.progress >= _KEPT * farthest]
    ways.sort(key=lambda way: way.progress)
    del leading
    while ways:
        way = ways.pop()  # one that fails is not kept while the next is tried: they are large
        if way.advance(node_limit):
            return _diagram(tree, way)
    raise TooManyNodes(node_limit)


def _diagram(tree: FaultTree, way: Construction) -> Diagram:
    events = tuple(way.circuit.events[event] for event in way.order)
    chances = np.array([tree.basic_events[event].probability for event in events])
    return Diagram(way.bdd, way.root, events, chances)


def weigh(tree: FaultTree, diagram: Diagram) -> tuple[float, tuple[Importance, ...]]:
    """The probability of the top event and the importance of every basic event, in the order of the tree."""
    p = diagram.chances
    top, slopes = diagram.bdd.birnbaum(diagram.root, p)
    with_event = np.clip(top + (1.0 - p) * slopes, 0.0, 1.0)
    without = np.clip(top - p * slopes, 0.0, 1.0)
    for variable in np.flatnonzero((without < _CANCELLED * top) | (with_event < _CANCELLED * top)):
        for given, chances in ((with_event, 1.0), (without, 0.0)):
            supposed = p.copy()
            supposed[variable] = chances
            given[variable] = diagram.bdd.probability(diagram.root, supposed)
    places = {event: variable for variable, event in enumerate(diagram.events)}
    return top, tuple(
        _importance(
            event,
            float(p[places[event]]),
            top,
            float(slopes[places[event]]),
            float(with_event[places[event]]),
            float(without[places[event]]),
        )
        for event in tree.basic_events
    )


def _importance(
    event: str, p: float, top: float, slope: float, with_event: float, without: float
) -> Importance:
    if top == 0:
        return Importance(event, p, slope, 0.0, 0.0, 0.0, math.inf if with_event > 0 else 1.0, 1.0)
    share = p * slope / top
    return Importance(
        event,
        p,
        slope,
        share,
        1.0 - without / top,
        p * with_event / top,
        with_event / top,
        top / without if without > 0 else math.inf,
    )
