"""The whole estate by what each item's failure alone takes down, and the services it touches: read from memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Self

import numpy as np
import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue
from cmdb.model.packed_topology import PackedTopology
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import AtLeast, ItemSummary, topology_of
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import Long
from impact.estate_figures import EstateFigures
from impact.ranking import By

Info = strawberry.Info[Context, None]
Described = strawberry.argument

OfClasses = Annotated[
    list[str] | None, Described(description="Only items of these classes and their subclasses.")
]


@strawberry.enum(description="What a ranking is by; ties are told apart by the other, then by id.")
class RankedBy(Enum):
    """`impact.ranking.By`."""

    ITEMS = "items"
    SERVICES = "services"


@strawberry.type(name="RankedItem", description="An item, and what its failure alone would take down.")
class RankedItem:
    """A row of the ranking."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    layer: str | None
    lifecycle: str | None
    criticality: str | None
    items_down: int = strawberry.field(description="How many items would be down, itself included.")
    services_down: int = strawberry.field(description="How many of these are services.")
    services_touched: int = strawberry.field(
        description="How many services depend on it, directly or not, whether or not redundancy saves them."
    )

    @classmethod
    def of(cls, figures: EstateFigures, number: int) -> Self:
        """The same for GraphQL."""
        item = figures.topology.item(number)
        return cls(
            id=strawberry.ID(item.id),
            class_name=item.class_name,
            name=item.name,
            layer=item.layer,
            lifecycle=item.lifecycle,
            criticality=item.criticality,
            items_down=int(figures.ranking.items[number]),
            services_down=int(figures.ranking.services[number]),
            services_touched=figures.index.count_of(number),
        )


@strawberry.type(
    name="Ranking",
    description="Items by what the failure of each alone would take down, redundancy considered; true of `revision`.",
)
class RankingType:
    """A page of the ranking."""

    revision: Long
    behind: Long = strawberry.field(
        description="How many revisions there have been since; above 0 it is being brought up to date."
    )
    count: int = strawberry.field(description="How many items are ranked, of the chosen classes.")
    nodes: list[RankedItem]


@strawberry.type(name="ServicePath", description="How the failure of an item may come to a service.")
class ServicePath:
    """A way of `impact.ways`."""

    service: ItemSummary
    distance: int = strawberry.field(description="In hops; 0 for the item itself.")
    path: list[ItemSummary] = strawberry.field(
        description="From the service to the item, each depending on the next."
    )

    @classmethod
    def of(cls, topology: PackedTopology, way: Sequence[int]) -> Self:
        """The same for GraphQL."""
        path = [ItemSummary.of(topology, topology.id_of(number)) for number in way]
        return cls(service=path[0], distance=len(path) - 1, path=path)


@strawberry.type(
    name="ServicesTouched",
    description="The services that depend on an item, directly or not, true of `revision`; redundancy may save some.",
)
class ServicesTouched:
    """A page of the services."""

    revision: Long
    behind: Long = strawberry.field(
        description="How many revisions there have been since; above 0 it is being brought up to date."
    )
    count: int
    services: list[ItemSummary] = strawberry.field(description="In order of ids.")
    topology: strawberry.Private[PackedTopology]
    item: strawberry.Private[int]

    @documented
    async def paths(self, info: Info) -> list[ServicePath]:
        """How the item's failure may come to each of `services`, in the same order: a shortest chain of
        dependencies, whatever redundancy saves. Why something is down or at risk, `impact` says.
        """
        context, there = info.context, self.topology

        def found() -> list[ServicePath]:
            ways = context.services.engine.ways_to(there, self.item)
            numbers = np.array([there.known(str(service.id)) for service in self.services], np.int32)
            return [ServicePath.of(there, way) for way in ways.of(numbers)]

        paths = await asyncio.to_thread(found) if self.services else []
        context.spend(sum(len(path.path) for path in paths))
        return paths


@strawberry.type
class RankingQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def ranking(
        self,
        info: Info,
        by: RankedBy = RankedBy.ITEMS,
        classes: OfClasses = None,
        first: int = 50,
        offset: int = 0,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> RankingType:
        """The whole estate by what each item's failure alone would take down, worst first. The present is kept
        ready; a revision of the past, or `atLeast` one that is not ranked yet, takes seconds with a million items.
        """
        context = info.context
        context.require(Action.READ)
        _checked(first, offset)
        wanted = _classes(context.store.catalogue, classes)
        topology, figures = await _figures(context, as_of, at_least)

        def page() -> RankingType:
            order: By = by.value
            numbers, count = figures.ranking.top(
                first,
                offset,
                by=order,
                wanted=None if wanted is None else lambda kind: kind.class_name in wanted,
            )
            return RankingType(
                revision=Long(figures.topology.revision),
                behind=_behind(topology, figures),
                count=count,
                nodes=[RankedItem.of(figures, number) for number in numbers.tolist()],
            )

        found = await asyncio.to_thread(page)
        context.spend(len(found.nodes))
        return found

    @documented
    async def services_touched(
        self,
        info: Info,
        id: strawberry.ID,
        first: int = 50,
        offset: int = 0,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> ServicesTouched:
        """The services that depend on an item, directly or not: those that its failure touches."""
        context = info.context
        context.require(Action.READ)
        _checked(first, offset)
        topology, figures = await _figures(context, as_of, at_least)
        item = str(id)
        if figures.topology.number_of(item) is None:
            topology.known(item)  # raises NotFound, unless it is new
            figures = await context.services.figures.exactly(topology)

        def page() -> ServicesTouched:
            there = figures.topology
            numbers = figures.index.services(there.known(item))
            shown = numbers[there.by_id(numbers)][offset : offset + first] if first else numbers[:0]
            return ServicesTouched(
                revision=Long(there.revision),
                behind=_behind(topology, figures),
                count=len(numbers),
                services=[ItemSummary.of(there, there.id_of(number)) for number in shown.tolist()],
                topology=there,
                item=there.known(item),
            )

        found = await asyncio.to_thread(page)
        context.spend(len(found.services))
        return found


async def _figures(
    context: Context, as_of: AsOfInput | None, at_least: int | None
) -> tuple[PackedTopology, EstateFigures]:
    """The topology that is asked about, and the figures to answer with: its own, or, for now, those that are there."""
    topology = await topology_of(context, as_of, at_least)
    keeper = context.services.figures
    if as_of is not None:
        return topology, await keeper.exactly(topology)
    figures = await keeper.latest(topology)
    if at_least is not None and figures.topology.revision < at_least:
        figures = await keeper.exactly(topology)
    return topology, figures


def _behind(topology: PackedTopology, figures: EstateFigures) -> Long:
    return Long(max(0, topology.revision - figures.topology.revision))


def _classes(catalogue: Catalogue, classes: Sequence[str] | None) -> frozenset[str] | None:
    """These and their subclasses, None for all. Raises `NotFound`."""
    if classes is None:
        return None
    return frozenset(name for base in classes for name in catalogue.subclasses(base))


def _checked(first: int, offset: int) -> None:
    if first < 0 or offset < 0:
        raise BadRequest(f"first is {first} and offset {offset}; neither may be negative")


QUERIES: list[StrawberryField] = RankingQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
