"""The parts of an answer about a service's availability, and the figures it is worked out from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any, Self

import numpy as np
import strawberry

from cmdb.model.items import Item
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.reliability import ComponentFigure
from cmdb.store.reliability import AFFECTS, CAUSED_BY, read_many_figures
from cmdb_graphql.context import Context
from cmdb_graphql.graph import ItemSummary
from cmdb_graphql.reliability import FigureBasis, moment_of
from cmdb_graphql.scalars import Long
from impact.availability import Availability, Solution, solve
from impact.closure import Floats
from impact.importance import Importances, importances_of
from impact.redundancy import Margin
from impact.service_needs import ServiceNeeds, SinglePoint

MAX_PAGE = 1_000
BUDGET_SHARE = 0.4
"""Of the time a request may take: after it, the interval is as narrow as it has become."""
HOURS_A_YEAR = 8_766.0


@strawberry.enum(description="By which measure components are ordered.")
class ImportanceMeasure(Enum):
    """Fields of `impact.importance.Importances`."""

    BIRNBAUM = "birnbaum"
    CRITICALITY = "criticality"
    FUSSELL_VESELY = "fussell_vesely"
    RAW = "raw"
    RRW = "rrw"


@strawberry.enum(
    description="REDUNDANT: a second, independent one beside it. TWICE_AS_RELIABLE: half the unavailability."
)
class ImprovementKind(Enum):
    """`impact.importance.Improvement`."""

    REDUNDANT = "redundant"
    TWICE_AS_RELIABLE = "twice_as_reliable"


@strawberry.type(
    name="SinglePointOfFailure", description="An item whose failure alone takes the service down."
)
class SinglePointType:
    """`impact.service_needs.SinglePoint`."""

    item: ItemSummary
    dominating: ItemSummary = strawberry.field(
        description="The nearest single point of failure (or the service) through which it does so."
    )
    defeats: str | None = strawberry.field(
        description="The group there that has spares, all of which it takes down; null where there is none."
    )

    @classmethod
    def of(cls, topology: PackedTopology, point: SinglePoint) -> Self:
        """The same for GraphQL."""
        return cls(
            item=ItemSummary.of(topology, point.id),
            dominating=ItemSummary.of(topology, point.dominating),
            defeats=point.defeats,
        )


@strawberry.type(
    name="RedundancyMargin", description="How many further failures the service survives, whichever they are."
)
class MarginType:
    """`impact.redundancy.Margin`."""

    failures: int
    at_least: bool = strawberry.field(
        description="Whether it may be more: 4 or more, or fewer that the time of a request sufficed to be sure of."
    )
    defeated_by: list[ItemSummary] = strawberry.field(
        description="One more items whose failure together takes the service down; none where it may survive more."
    )

    @classmethod
    def of(cls, margin: Margin, defeated_by: list[ItemSummary]) -> Self:
        """The same for GraphQL."""
        return cls(failures=margin.failures, at_least=margin.at_least, defeated_by=defeated_by)


@strawberry.type(name="PredictedAvailability", description="Between `lower` and `upper`, proved.")
class PredictedType:
    """`impact.availability.Availability`."""

    lower: float
    upper: float
    exact: bool = strawberry.field(description="Whether both are the same, but for rounding.")
    unavailability: float = strawberry.field(description="An estimate between the two, of 1 - availability.")
    relative_width: float = strawberry.field(
        description="Width of the interval as a share of the unavailability."
    )
    hours_down_a_year: float = strawberry.field(description="The estimate in hours of 365.25 days.")
    single_points: int = strawberry.field(description="With the service itself.")
    gates: int = strawberry.field(description="Redundant gates that matter once all those are up.")
    components: int = strawberry.field(description="Parts without a common item that the gates fall into.")
    redundancy_weighed: bool = strawberry.field(
        description="Whether the estimate, and the measures of components, count what redundancy leaves. Where not, so "
        "many must fail at once, in so entangled a way, that only lower and upper are known of it."
    )

    @classmethod
    def of(cls, found: Availability) -> Self:
        """The same for GraphQL."""
        return cls(
            lower=found.lower,
            upper=found.upper,
            exact=found.exact,
            unavailability=found.estimate,
            relative_width=found.relative_width,
            hours_down_a_year=found.estimate * HOURS_A_YEAR,
            single_points=found.single_points,
            gates=found.gates,
            components=found.components,
            redundancy_weighed=found.weighed,
        )


@strawberry.type(name="FigureBasisCount", description="How many figures rest on what.")
class BasisCount:
    """Of the components of a service."""

    basis: FigureBasis
    count: int


@strawberry.type(
    name="CutSet", description="Items that together take the service down, none of them needless."
)
class CutSetType:
    """`impact.redundancy.CutSet`."""

    items: list[ItemSummary]
    probability: float = strawberry.field(description="That all are down by themselves at a moment.")


@strawberry.type(name="CutSets", description="Minimal cut sets, the most likely first.")
class CutSetsType:
    """`impact.redundancy.MinimalCutSets`."""

    sets: list[CutSetType]
    counts: list[Long] = strawberry.field(description="How many there are of each order, from 1 on.")
    order: int = strawberry.field(description="The order that was asked for.")
    complete_order: int = strawberry.field(
        description="The order up to which all were looked for; lower where the time of a request did not suffice."
    )
    truncated: bool = strawberry.field(description="Whether there are more up to that order.")


@strawberry.type(name="ComponentImportance", description="What a component means for the service.")
class ImportanceType:
    """One node of `impact.importance.Importances`."""

    item: ItemSummary
    unavailability: float
    basis: FigureBasis
    birnbaum: float = strawberry.field(
        description="How much the service's unavailability grows with the component's."
    )
    criticality: float = strawberry.field(description="How likely the service, being down, hangs on it.")
    fussell_vesely: float = strawberry.field(
        description="The share of the service's unavailability that would go away with its failures."
    )
    diagnostic: float = strawberry.field(description="How likely it is down while the service is down.")
    raw: float | None = strawberry.field(
        description="Risk achievement worth: times more unavailable if it is down; null: infinite."
    )
    rrw: float | None = strawberry.field(
        description="Risk reduction worth: times less unavailable if it never fails; null: infinite."
    )


@strawberry.type(name="AvailabilityGain", description="What an improvement of one component would buy.")
class GainType:
    """`impact.importance.Gain`."""

    item: ItemSummary
    improvement: ImprovementKind
    availability: float = strawberry.field(description="Added to the availability of the service.")
    hours_a_year: float = strawberry.field(description="The same in hours of 365.25 days.")


@dataclass(frozen=True, slots=True)
class Figures:
    """The component figures of a closure, node by node."""

    unavailability: Floats
    by_node: tuple[ComponentFigure, ...]


class Asked:
    """One service in one operation. What costs is computed when it is asked for, once, in a thread."""

    def __init__(self, context: Context, needs: ServiceNeeds, at: int | None) -> None:
        self.context = context
        self.needs = needs
        self._at = at
        self._figures: asyncio.Task[Figures] | None = None
        self._until = time.monotonic() + BUDGET_SHARE * context.services.settings.request_deadline

    @property
    def left(self) -> float:
        """Seconds that are left for what may take long, narrowing the interval for one; below zero if none are."""
        return self._until - time.monotonic()

    def late(self) -> bool:
        """Whether there are none left."""
        return self.left < 0

    @property
    def topology(self) -> PackedTopology:
        """What it is true of."""
        return self.needs.topology

    async def figures(self) -> Figures:
        """The component figures, read once, to the end even if one of those who wait gives up."""
        if self._figures is None:
            self._figures = asyncio.ensure_future(self.read_figures())
        return await asyncio.shield(self._figures)

    async def read_figures(self) -> Figures:
        """The component figures, read anew; given up with whoever waits for them."""
        context = self.context
        reader, until = context.reader(self._at), await moment_of(context, self._at)
        classes, recorded = await asyncio.to_thread(lambda: (self._classes(), self._with_records()))
        found = await read_many_figures(
            reader, context.store.catalogue, classes, until, context.visible, context.hidden, recorded
        )
        context.spend(len(found))

        def in_order() -> Figures:
            return Figures(np.array([figure.unavailability for figure in found]), tuple(found))

        return await asyncio.to_thread(in_order)

    def _classes(self) -> dict[str, str]:
        """The class of every node's item, by its id."""
        needs = self.needs
        return dict(zip(needs.ids, needs.topology.classes(needs.numbers), strict=True))

    def _with_records(self) -> set[str]:
        """Which of its items outages are about, or other records in the same way."""
        near, _ = self.topology.hops(
            self.needs.numbers, lambda label: label.type in (AFFECTS, CAUSED_BY), backwards=True
        )
        return {self.topology.id_of(number) for number in np.unique(near).tolist()}

    async def compute(self, work: Callable[[Figures], Any]) -> Any:  # noqa: ANN401 - whatever the work gives
        """Do some work on the figures in a thread."""
        figures = await self.figures()
        return await asyncio.to_thread(work, figures)

    async def service(self) -> Item | None:
        """The service itself; None if it is gone meanwhile."""
        return await self.context.item(self.needs.service, self._at)

    @cached_property
    def _solving(self) -> asyncio.Task[Solution]:
        def solved(figures: Figures) -> Solution:
            return solve(self.needs.reduction, figures.unavailability, deadline=self.late)

        return asyncio.ensure_future(self.compute(solved))

    async def solution(self) -> Solution:
        """What prediction and importances come from, computed once."""
        return await asyncio.shield(self._solving)

    @cached_property
    def _measuring(self) -> asyncio.Task[Importances]:
        async def measured() -> Importances:
            solution = await self.solution()

            def at(figures: Figures) -> Importances:
                return importances_of(self.needs.reduction, figures.unavailability, solution)

            found: Importances = await self.compute(at)
            return found

        return asyncio.ensure_future(measured())

    async def importances(self) -> Importances:
        """The importance measures, computed once."""
        return await asyncio.shield(self._measuring)

    def items(self, nodes: Sequence[int]) -> list[ItemSummary]:
        """Nodes of the closure as items."""
        numbers = self.needs.numbers[list(nodes)].tolist()
        return [ItemSummary.of(self.topology, self.topology.id_of(number)) for number in numbers]
