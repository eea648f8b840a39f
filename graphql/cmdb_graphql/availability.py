"""How available a service will be, what it hangs on, and what would help: from its dependency closure, in a thread."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.model.items import Item
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.reliability import ComponentFigure
from cmdb.store.reliability import read_figures
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import AtLeast, ItemSummary, topology_of
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.pacing import paced
from cmdb_graphql.reliability import FigureBasis, moment_of
from cmdb_graphql.scalars import Long
from impact.availability import Availability, availability
from impact.closure import Floats
from impact.gates import CarryingEdges
from impact.importance import Importances, importances, improvements
from impact.mef import export_fault_tree
from impact.redundancy import HIGHEST_ORDER, Margin, minimal_cut_sets
from impact.service_fault_tree import fault_tree_of
from impact.service_needs import ServiceNeeds, SinglePoint

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_PAGE = 1_000
MAX_FAULT_TREE = 5_000
FIGURES_AT_ONCE = 250
"""Items whose figures are worked out in one go, so that others get their turn between."""
BUDGET_SHARE = 0.5
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
    at_least: bool = strawberry.field(description="Whether it may be more; counted up to 3, then 4 or more.")

    @classmethod
    def of(cls, margin: Margin) -> Self:
        """The same for GraphQL."""
        return cls(failures=margin.failures, at_least=margin.at_least)


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
    complete_order: int = strawberry.field(description="The order up to which all were looked for.")
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
    """The component figures of a closure, node by node; an item that is gone meanwhile counts as perfect."""

    unavailability: Floats
    by_node: tuple[tuple[Item, ComponentFigure] | None, ...]


class Asked:
    """One service in one operation. What costs is computed when it is asked for, once, in a thread."""

    def __init__(self, context: Context, needs: ServiceNeeds, at: int | None) -> None:
        self.context = context
        self.needs = needs
        self.ids = needs.ids
        self._at = at
        self._figures: asyncio.Task[Figures] | None = None
        self._until = time.monotonic() + BUDGET_SHARE * context.services.settings.request_deadline

    def late(self) -> bool:
        """Whether the time for narrowing the interval is over."""
        return time.monotonic() > self._until

    @property
    def topology(self) -> PackedTopology:
        """What it is true of."""
        return self.needs.topology

    async def figures(self) -> Figures:
        """The component figures, read once."""
        if self._figures is None:
            self._figures = asyncio.ensure_future(self._read_figures())
        return await asyncio.shield(self._figures)

    async def _read_figures(self) -> Figures:
        context = self.context
        reader, until = context.reader(self._at), await moment_of(context, self._at)
        known: dict[str, tuple[Item, ComponentFigure]] = {}
        for start in range(0, len(self.ids), FIGURES_AT_ONCE):
            asked = self.ids[start : start + FIGURES_AT_ONCE]
            known |= await read_figures(reader, context.store.catalogue, asked, until, context.visible)
        context.spend(len(known))
        by_node = tuple(known.get(item_id) for item_id in self.ids)
        own = [found[1].unavailability if found is not None else 0.0 for found in by_node]
        return Figures(np.array(own), by_node)

    async def compute(self, work: Callable[[Figures], Any]) -> Any:  # noqa: ANN401 - whatever the work gives
        """Do some work on the figures in a thread."""
        figures = await self.figures()
        return await asyncio.to_thread(work, figures)

    @cached_property
    def _measuring(self) -> asyncio.Task[Importances]:
        def measured(figures: Figures) -> Importances:
            return importances(self.needs.reduction, figures.unavailability, deadline=self.late)

        return asyncio.ensure_future(self.compute(measured))

    async def importances(self) -> Importances:
        """The importance measures, computed once."""
        return await asyncio.shield(self._measuring)

    def items(self, nodes: Sequence[int]) -> list[ItemSummary]:
        """Nodes of the closure as items."""
        return [ItemSummary.of(self.topology, self.ids[node]) for node in nodes]


@strawberry.type(
    name="ServiceAvailability", description="What a service hangs on and how available it will be."
)
class ServiceAvailabilityType:
    """Answers about one service, true of `revision`."""

    asked: strawberry.Private[Asked]
    revision: Long
    service: ItemSummary
    needs: int = strawberry.field(description="How many items it needs, directly and indirectly.")

    @documented
    async def single_point_count(self) -> int:
        """How many items take it down alone, without itself."""
        return len(await asyncio.to_thread(lambda: self.asked.needs.single_points))

    @documented
    async def single_points_of_failure(self, first: int = 50, offset: int = 0) -> list[SinglePointType]:
        """The items whose failure alone takes it down, in order of ids; without itself."""
        _checked(first, offset)

        def found() -> list[SinglePointType]:
            points = self.asked.needs.single_points[offset : offset + first]
            return [SinglePointType.of(self.asked.topology, point) for point in points]

        return paced(await asyncio.to_thread(found))

    @documented
    async def redundancy_margin(self) -> MarginType:
        """How many further failures it survives, whichever they are."""
        margin = await asyncio.to_thread(lambda: self.asked.needs.margin)
        return MarginType.of(margin)

    @documented
    async def predicted(self) -> PredictedType:
        """Its availability from the figures of its components, through series and redundancy; steady state."""

        def found(figures: Figures) -> Availability:
            return availability(self.asked.needs.reduction, figures.unavailability, deadline=self.asked.late)

        return PredictedType.of(await self.asked.compute(found))

    @documented
    async def target(self) -> float | None:
        """Its `availability_target`; null where none is agreed."""
        figures = await self.asked.figures()
        service = figures.by_node[0]
        target = service[0].attributes.get("availability_target") if service is not None else None
        return float(target) if isinstance(target, int | float) else None

    @documented
    async def figures(self) -> list[BasisCount]:
        """What the figures of its components rest on; CLASS_DEFAULT and ASSUMED_PERFECT are assumptions."""
        figures = await self.asked.figures()
        counts = Counter(found[1].basis for found in figures.by_node if found is not None)
        return [
            BasisCount(basis=basis, count=counts[basis.value]) for basis in FigureBasis if counts[basis.value]
        ]

    @documented
    async def cut_sets(
        self,
        order: Annotated[int, Described(description="Items in a set at most; 1 to 4.")] = 2,
        first: int = 50,
    ) -> CutSetsType:
        """The smallest combinations of failures that take it down, itself among them as one of order 1."""
        _checked(first, 0)
        if not 1 <= order <= HIGHEST_ORDER:
            raise BadRequest(f"order is {order}; it must be 1 to {HIGHEST_ORDER}")

        def found(figures: Figures) -> CutSetsType:
            sets = minimal_cut_sets(
                self.asked.needs.reduction, figures.unavailability, order=order, most=first
            )
            return CutSetsType(
                sets=[
                    CutSetType(items=self.asked.items(cut.nodes), probability=cut.probability)
                    for cut in sets.sets
                ],
                counts=[Long(count) for count in sets.counts],
                complete_order=sets.complete_order,
                truncated=sets.truncated,
            )

        shown: CutSetsType = await self.asked.compute(found)
        self.asked.context.truncated |= shown.truncated
        return shown

    @documented
    async def components(
        self, by: ImportanceMeasure = ImportanceMeasure.CRITICALITY, first: int = 50, offset: int = 0
    ) -> list[ImportanceType]:
        """Its components, itself among them, the most important first."""
        _checked(first, offset)
        measured, figures = await self.asked.importances(), await self.asked.figures()

        def found() -> list[ImportanceType]:
            order = np.argsort(-getattr(measured, by.value), kind="stable")[offset : offset + first]
            return [self._component(measured, figures, int(node)) for node in order]

        return paced(await asyncio.to_thread(found))

    def _component(self, measured: Importances, figures: Figures, node: int) -> ImportanceType:
        known = figures.by_node[node]
        return ImportanceType(
            item=self.asked.items([node])[0],
            unavailability=float(figures.unavailability[node]),
            basis=FigureBasis(known[1].basis) if known is not None else FigureBasis.ASSUMED_PERFECT,
            birnbaum=float(measured.birnbaum[node]),
            criticality=float(measured.criticality[node]),
            fussell_vesely=float(measured.fussell_vesely[node]),
            raw=_finite(measured.raw[node]),
            rrw=_finite(measured.rrw[node]),
        )

    @documented
    async def improvements(self, first: int = 20) -> list[GainType]:
        """What would buy most: each component made redundant or twice as reliable, ranked by what that adds."""
        _checked(first, 0)
        measured, figures = await self.asked.importances(), await self.asked.figures()

        def found() -> list[GainType]:
            return [
                GainType(
                    item=self.asked.items([gain.node])[0],
                    improvement=ImprovementKind(gain.improvement.value),
                    availability=gain.availability,
                    hours_a_year=gain.availability * HOURS_A_YEAR,
                )
                for gain in improvements(measured, figures.unavailability, first)
            ]

        return paced(await asyncio.to_thread(found))

    @documented
    async def fault_tree(self) -> str:
        """Its dependencies as a fault tree in Open-PSA MEF (XML), with these figures, for other programs."""
        if len(self.asked.ids) > MAX_FAULT_TREE:
            raise BadRequest(
                f"the service needs {len(self.asked.ids)} items; a fault tree is written for up to {MAX_FAULT_TREE}"
            )

        def found(figures: Figures) -> str:
            edges = CarryingEdges(self.asked.topology)
            own = dict(zip(self.asked.ids, figures.unavailability.tolist(), strict=True))
            return export_fault_tree(fault_tree_of(edges, self.asked.needs.service, own))

        text: str = await self.asked.compute(found)
        return text


@strawberry.type
class AvailabilityQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def service_availability(
        self,
        info: Info,
        service: Annotated[strawberry.ID, Described(description="A service, or any other item.")],
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> ServiceAvailabilityType:
        """What a service hangs on: single points of failure, margin, predicted availability, what would help."""
        context = info.context
        topology = await topology_of(context, as_of, at_least)
        needs = await asyncio.to_thread(ServiceNeeds.of, topology, str(service))
        context.spend(len(needs.numbers))
        return ServiceAvailabilityType(
            asked=Asked(context, needs, topology.revision if as_of is not None else None),
            revision=Long(topology.revision),
            service=ItemSummary.of(topology, str(service)),
            needs=len(needs.numbers) - 1,
        )


def _checked(first: int, offset: int) -> None:
    if first < 0 or offset < 0 or first > MAX_PAGE:
        raise BadRequest(
            f"first is {first} and offset {offset}; neither may be negative, and a page has at most {MAX_PAGE}"
        )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


QUERIES: list[StrawberryField] = AvailabilityQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
