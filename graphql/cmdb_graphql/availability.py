"""How available a service will be, what it hangs on, and what would help: from its dependency closure, in a thread."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import Annotated

import numpy as np
import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb_graphql.availability_answer import (
    HOURS_A_YEAR,
    MAX_PAGE,
    Asked,
    BasisCount,
    CutSetsType,
    CutSetType,
    Figures,
    GainType,
    ImportanceMeasure,
    ImportanceType,
    ImprovementKind,
    MarginType,
    PredictedType,
    SinglePointType,
)
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import AtLeast, ItemSummary, topology_of
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.pacing import paced
from cmdb_graphql.reliability import FigureBasis
from cmdb_graphql.scalars import Long
from impact.availability import Availability, availability_of
from impact.gates import CarryingEdges
from impact.importance import Importances, improvements
from impact.mef import export_fault_tree
from impact.redundancy import HIGHEST_ORDER, minimal_cut_sets
from impact.service_fault_tree import fault_tree_of
from impact.service_needs import ServiceNeeds

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_FAULT_TREE = 5_000


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
        margin = await asyncio.to_thread(lambda: self.asked.needs.margin(self.asked.left))
        return MarginType.of(margin, self.asked.items(margin.defeated_by))

    @documented
    async def predicted(self) -> PredictedType:
        """Its availability from the figures of its components, through series and redundancy; steady state."""

        solution = await self.asked.solution()

        def found(figures: Figures) -> Availability:
            return availability_of(self.asked.needs.reduction, figures.unavailability, solution)

        return PredictedType.of(await self.asked.compute(found))

    @documented
    async def target(self) -> float | None:
        """Its `availability_target`; null where none is agreed."""
        service = await self.asked.service()
        target = service.attributes.get("availability_target") if service is not None else None
        return float(target) if isinstance(target, int | float) else None

    @documented
    async def figures(self) -> list[BasisCount]:
        """What the figures of its components rest on; CLASS_DEFAULT and ASSUMED_PERFECT are assumptions."""
        figures = await self.asked.figures()
        counts = await asyncio.to_thread(lambda: Counter(found.basis for found in figures.by_node))
        return [
            BasisCount(basis=basis, count=counts[basis.value]) for basis in FigureBasis if counts[basis.value]
        ]

    @documented
    async def cut_sets(
        self,
        order: Annotated[int, Described(description="Items in a set at most; 1 to 4.")] = 2,
        first: int = 50,
    ) -> CutSetsType:
        """The smallest combinations of failures that take it down, itself among them as one of order 1.

        All of them up to completeOrder, which is lower than asked for where the time of a request does not suffice.
        """
        _checked(first, 0)
        if not 1 <= order <= HIGHEST_ORDER:
            raise BadRequest(f"order is {order}; it must be 1 to {HIGHEST_ORDER}")

        def found(figures: Figures) -> CutSetsType:
            sets = minimal_cut_sets(
                self.asked.needs.reduction,
                figures.unavailability,
                order=order,
                most=first,
                seconds=self.asked.left,
            )
            return CutSetsType(
                sets=[
                    CutSetType(items=self.asked.items(cut.nodes), probability=cut.probability)
                    for cut in sets.sets
                ],
                counts=[Long(count) for count in sets.counts],
                order=order,
                complete_order=sets.complete_order,
                truncated=sets.truncated,
            )

        shown: CutSetsType = await self.asked.compute(found)
        self.asked.context.truncated |= shown.truncated or shown.complete_order < order
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
        return ImportanceType(
            item=self.asked.items([node])[0],
            unavailability=float(figures.unavailability[node]),
            basis=FigureBasis(figures.by_node[node].basis),
            birnbaum=float(measured.birnbaum[node]),
            criticality=float(measured.criticality[node]),
            fussell_vesely=float(measured.fussell_vesely[node]),
            diagnostic=float(measured.diagnostic[node]),
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
        size = self.asked.needs.closure.size
        if size > MAX_FAULT_TREE:
            raise BadRequest(
                f"the service needs {size} items; a fault tree is written for up to {MAX_FAULT_TREE}"
            )

        def found(figures: Figures) -> str:
            edges = CarryingEdges(self.asked.topology)
            own = dict(zip(self.asked.needs.ids, figures.unavailability.tolist(), strict=True))
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
