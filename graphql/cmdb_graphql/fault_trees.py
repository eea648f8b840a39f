"""Fault trees of others: a document in Open-PSA MEF, analysed in a thread. Nothing is read from the store or kept.

One at a time, and with diagrams of a bounded size: a tree of a few lines may need all the memory there is.
"""

from __future__ import annotations

import asyncio
from math import isfinite
from typing import Annotated, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.errors import Code, Refusal
from impact.errors import TooManyNodes
from impact.fault_tree_analysis import Analysis, Importance, analyse
from impact.mef import import_fault_tree

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MOST_NODES = 2_000_000
"""Of a diagram: some 100 MB and three seconds."""
MOST_SHOWN = 1_000


@strawberry.type(
    name="EventImportance",
    description="How much one basic event matters to the top event; see docs/guides/availability.md.",
)
class EventImportanceType:
    """`impact.fault_tree_analysis.Importance`; what is infinite is null."""

    event: str
    label: str
    probability: float
    birnbaum: float
    criticality: float
    fussell_vesely: float
    diagnostic: float
    risk_achievement_worth: float | None = strawberry.field(description="Null where it is infinite.")
    risk_reduction_worth: float | None = strawberry.field(description="Null where it is infinite.")

    @classmethod
    def of(cls, importance: Importance, label: str) -> Self:
        """One event."""
        return cls(
            event=importance.event,
            label=label,
            probability=importance.probability,
            birnbaum=importance.birnbaum,
            criticality=importance.criticality,
            fussell_vesely=importance.fussell_vesely,
            diagnostic=importance.diagnostic,
            risk_achievement_worth=_finite(importance.raw),
            risk_reduction_worth=_finite(importance.rrw),
        )


@strawberry.type(name="EventCutSet", description="Basic events that together are enough for the top event.")
class EventCutSet:
    """A minimal cut set of a fault tree."""

    probability: float = strawberry.field(description="The product of the probabilities of its events.")
    events: list[str]


@strawberry.type(name="FaultTreeAnalysis", description="What a fault tree says, exactly.")
class FaultTreeAnalysis:
    """The figures of one tree."""

    analysis: strawberry.Private[Analysis]
    name: str
    top: str
    label: str
    gates: int
    basic_events: int
    coherent: bool = strawberry.field(description="Whether nothing in it is negated.")
    probability: float = strawberry.field(description="Of the top event.")
    cut_sets: str = strawberry.field(
        description="How many minimal cut sets there are, in decimal digits: there may be more than 64 bits hold."
    )
    cut_sets_by_order: list[str] = strawberry.field(
        description="How many of them have 0, 1, 2, ... events, in decimal digits."
    )

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        """The figures of an analysis."""
        tree = analysis.tree
        return cls(
            analysis=analysis,
            name=tree.name,
            top=tree.top,
            label=tree.gates[tree.top].label,
            gates=len(tree.gates),
            basic_events=len(tree.basic_events),
            coherent=tree.is_coherent,
            probability=analysis.probability,
            cut_sets=str(analysis.cut_sets.total),
            cut_sets_by_order=[str(count) for count in analysis.cut_sets.by_order],
        )

    @documented
    async def importances(self, first: int = 20, offset: int = 0) -> list[EventImportanceType]:
        """The basic events that matter most, by Fussell-Vesely importance."""
        _page(first, offset)
        analysis = self.analysis
        order = sorted(analysis.importances, key=lambda i: (-i.fussell_vesely, -i.birnbaum))
        events = analysis.tree.basic_events
        return [EventImportanceType.of(i, events[i.event].label) for i in order[offset : offset + first]]

    @documented
    async def likeliest_cut_sets(self, first: int = 10) -> list[EventCutSet]:
        """The minimal cut sets with the highest probabilities."""
        _page(first, 0)
        found = await asyncio.to_thread(self.analysis.likeliest_cut_sets, first)
        return [EventCutSet(probability=chance, events=list(events)) for chance, events in found]


@strawberry.type
class FaultTreeQueries:
    """Root fields."""

    @documented
    async def fault_tree_analysis(
        self,
        info: Info,
        document: Annotated[str, Described(description="Open-PSA MEF (XML).")],
        top: Annotated[
            str | None, Described(description="The gate in question; else the one that no other uses.")
        ] = None,
        order: Annotated[
            int | None, Described(description="Count and list only cut sets of at most so many events.")
        ] = None,
    ) -> FaultTreeAnalysis:
        """What a fault tree in Open-PSA MEF says: the probability of its top event, its minimal cut sets and how much
        each event matters, all exact. Nothing of it is kept. A tree too large for this is analysed by the command line.
        """
        context = info.context
        context.require(Action.READ)
        if order is not None and order < 1:
            raise BadRequest(f"order is {order}; it must be at least 1")

        def analysed() -> Analysis:
            return analyse(import_fault_tree(document, top=top), order=order, node_limit=MOST_NODES)

        async with context.services.large_work:
            try:
                analysis = await asyncio.to_thread(analysed)
            except TooManyNodes:
                raise Refusal(
                    Code.LIMIT_EXCEEDED,
                    f"the tree needs a diagram of more than {MOST_NODES:,} nodes; analyse it with `cmdb fault-tree`, "
                    "which has room for ten times as many",
                ) from None
        context.spend(len(analysis.importances))
        return FaultTreeAnalysis.of(analysis)


def _page(first: int, offset: int) -> None:
    if not 0 <= first <= MOST_SHOWN or offset < 0:
        raise BadRequest(
            f"first is {first} and offset is {offset}; first is 0 to {MOST_SHOWN:,}, an offset at least 0"
        )


def _finite(worth: float) -> float | None:
    return worth if isfinite(worth) else None


QUERIES: list[StrawberryField] = FaultTreeQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
