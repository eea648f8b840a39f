"""Queries that walk the graph: dependencies, dependents, paths, edges. Answered from the topology, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from enum import Enum
from itertools import islice
from typing import Annotated, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest, NotFound
from cmdb.model.catalogue import Catalogue
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import Topology, TopologyEdge, TopologyItem
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context, checked_first
from cmdb_graphql.definitions import documented
from cmdb_graphql.derived_types import Confidence, Strength
from cmdb_graphql.interchange import GraphFormatType, neighbourhood_export
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.pacing import paced
from cmdb_graphql.scalars import Long
from impact.traversal import Direction, Neighbourhood, dependencies, dependents, shortest_paths

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_WALK = 10_000
MAX_PATHS = 100

AtLeast = Annotated[
    Long | None,
    Described(description="Be true of this revision or a later one: it is waited for, 5 seconds at most."),
]
Depth = Annotated[int | None, Described(description="Hops at most; all where it is not given.")]
WalkedTypes = Annotated[
    list[str] | None,
    Described(description="Walk these relationship types only; else those that carry failure."),
]
ReportedLayers = Annotated[
    list[str] | None,
    Described(description="Report items of these layers only; the walk goes through others."),
]


@strawberry.enum(description="Which way a path runs along the edges.")
class PathDirection(Enum):
    """`impact.traversal.Direction`."""

    DEPENDENCIES = "dependencies"
    DEPENDENTS = "dependents"


@strawberry.type(name="ItemSummary", description="An item as far as the graph knows it.")
class ItemSummary:
    """An item of the topology."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    layer: str | None
    lifecycle: str | None

    @classmethod
    def of(cls, topology: Topology, item_id: str) -> Self:
        """The same for GraphQL."""
        return cls.of_item(topology.items[item_id])

    @classmethod
    def of_item(cls, item: TopologyItem) -> Self:
        """The same for GraphQL, of one that may be gone from the topology."""
        return cls(
            id=strawberry.ID(item.id),
            class_name=item.class_name,
            name=item.name,
            layer=item.layer,
            lifecycle=item.lifecycle,
        )


@strawberry.type(name="ReachedItem", description="An item that a walk reached, and how far away it is.")
class ReachedItem:
    """An item with its distance in hops."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    layer: str | None
    lifecycle: str | None
    distance: int = strawberry.field(description="In hops.")


@strawberry.type(name="GraphEdge", description="An edge, from the dependent to its dependency.")
class GraphEdge:
    """An edge of the topology."""

    type: str
    source: strawberry.ID = strawberry.field(name="from")
    target: strawberry.ID = strawberry.field(name="to")
    group: str | None
    required: str | None
    strength: Strength | None = strawberry.field(description="The one in force; null: it carries no failure.")
    confidence: Confidence

    @classmethod
    def of(cls, edge: TopologyEdge) -> Self:
        """The same for GraphQL."""
        return cls(
            type=edge.type,
            source=strawberry.ID(edge.source),
            target=strawberry.ID(edge.target),
            group=edge.group,
            required=str(edge.required) if edge.required is not None else None,
            strength=Strength(edge.strength) if edge.strength else None,
            confidence=Confidence(edge.confidence),
        )


@strawberry.type(name="Neighbourhood", description="What a walk found.")
class NeighbourhoodType:
    """Items reached and the edges between them."""

    revision: Long
    start: ItemSummary
    truncated: bool = strawberry.field(description="Whether `limit` cut some items off.")
    topology: strawberry.Private[Topology]
    found: strawberry.Private[Neighbourhood]
    reached: strawberry.Private[list[ReachedItem]]
    between: strawberry.Private[list[GraphEdge]]

    @documented
    async def items(self) -> list[ReachedItem]:
        """Nearest first."""
        return paced(self.reached)

    @documented
    async def edges(self) -> list[GraphEdge]:
        """Those between reported items, the start among them."""
        return paced(self.between)

    @documented
    async def export(self, format: GraphFormatType) -> str:
        """The same as a file for other programs: items, edges, and how many of each redundancy group are needed."""
        return await neighbourhood_export(self.topology, self.found, format)

    @classmethod
    def of(cls, topology: Topology, found: Neighbourhood) -> Self:
        """The same for GraphQL."""
        items = topology.items
        return cls(
            revision=Long(topology.revision),
            start=ItemSummary.of(topology, found.start),
            reached=[
                ReachedItem(
                    id=strawberry.ID(item_id),
                    class_name=items[item_id].class_name,
                    name=items[item_id].name,
                    layer=items[item_id].layer,
                    lifecycle=items[item_id].lifecycle,
                    distance=distance,
                )
                for item_id, distance in found.distances.items()
            ],
            between=[GraphEdge.of(edge) for edge in found.edges],
            truncated=found.truncated,
            topology=topology,
            found=found,
        )


@strawberry.type(name="Path", description="A way from one item to another.")
class PathType:
    """Items and the edges between them."""

    direction: PathDirection
    items: list[ItemSummary]
    edges: list[GraphEdge]


@strawberry.type(name="Paths", description="All shortest ways between two items.")
class PathsType:
    """Paths, those along dependencies first."""

    revision: Long
    paths: list[PathType]
    truncated: bool


@strawberry.type(name="EdgePage", description="A page of edges.")
class EdgePage:
    """Edges in the order of their sources' ids."""

    revision: Long
    nodes: list[GraphEdge]
    end_cursor: str | None
    has_next_page: bool


@strawberry.type
class GraphQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def dependencies(
        self,
        info: Info,
        id: strawberry.ID,
        depth: Depth = None,
        types: WalkedTypes = None,
        layers: ReportedLayers = None,
        limit: int = 1000,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> NeighbourhoodType:
        """What an item needs, directly and indirectly."""
        return await _walk(
            info.context, Direction.DEPENDENCIES, str(id), depth, types, layers, limit, as_of, at_least
        )

    @documented
    async def dependents(
        self,
        info: Info,
        id: strawberry.ID,
        depth: Depth = None,
        types: WalkedTypes = None,
        layers: ReportedLayers = None,
        limit: int = 1000,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> NeighbourhoodType:
        """What needs an item, directly and indirectly."""
        return await _walk(
            info.context, Direction.DEPENDENTS, str(id), depth, types, layers, limit, as_of, at_least
        )

    @documented
    async def paths(
        self,
        info: Info,
        from_: Annotated[strawberry.ID, Described(name="from")],
        to: strawberry.ID,
        types: list[str] | None = None,
        max_depth: int = 20,
        limit: int = 20,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> PathsType:
        """All shortest paths between two items, along dependencies and along dependents."""
        context = info.context
        topology = await topology_of(context, as_of, at_least)
        chosen = chosen_types(context.store.catalogue, types)
        if limit > MAX_PATHS:
            raise BadRequest(f"limit is {limit}; at most {MAX_PATHS} paths are given")
        found = await asyncio.to_thread(
            lambda: shortest_paths(
                topology, str(from_), str(to), max_depth=max_depth, types=chosen, limit=limit
            )
        )
        return PathsType(
            revision=Long(topology.revision),
            paths=[
                PathType(
                    direction=PathDirection(path.direction.value),
                    items=[ItemSummary.of(topology, item) for item in path.items],
                    edges=[GraphEdge.of(edge) for hop in path.hops for edge in hop],
                )
                for path in found.found
            ],
            truncated=found.truncated,
        )

    @documented
    async def edges(
        self,
        info: Info,
        item: strawberry.ID | None = None,
        types: list[str] | None = None,
        first: int = 100,
        after: str | None = None,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> EdgePage:
        """Edges as they stand: of one item on both sides, or of everything."""
        context = info.context
        topology = await topology_of(context, as_of, at_least)
        chosen = chosen_types(context.store.catalogue, types)
        first = checked_first(first, context)
        page, more = await asyncio.to_thread(_edge_page, topology, item, chosen, first, after)
        context.spend(len(page))
        return EdgePage(
            revision=Long(topology.revision),
            nodes=[GraphEdge.of(edge) for edge in page],
            end_cursor=_edge_cursor(page[-1]) if page else None,
            has_next_page=more,
        )


async def topology_of(
    context: Context, as_of: AsOfInput | None, at_least: int | None = None
) -> PackedTopology:
    """The topology now, or at a moment of the past; now is `at_least` that revision, for which it waits.

    Raises `BadRequest`, `NotFound`, `Forbidden`.
    """
    context.require(Action.READ)
    at = await context.revision_of(as_of)
    topologies = context.services.topologies
    if at is not None and at_least is not None:
        raise BadRequest("asOf and atLeast exclude each other; give one of them")
    if at is not None:
        topology = await topologies.at(at)
    elif at_least is not None:
        topology = await topologies.reached(at_least)
    else:
        topology = await topologies.at_head()
    context.read_at(topology.revision)
    return topology


async def _walk(
    context: Context,
    direction: Direction,
    start: str,
    depth: int | None,
    types: list[str] | None,
    layers: list[str] | None,
    limit: int,
    as_of: AsOfInput | None,
    at_least: int | None,
) -> NeighbourhoodType:
    topology = await topology_of(context, as_of, at_least)
    chosen = chosen_types(context.store.catalogue, types)
    if limit > MAX_WALK:
        raise BadRequest(f"limit is {limit}; at most {MAX_WALK} items are reported")
    walk = dependencies if direction is Direction.DEPENDENCIES else dependents
    wanted = frozenset(layers) if layers is not None else None

    def found() -> NeighbourhoodType:
        neighbourhood = walk(topology, start, depth=depth, types=chosen, layers=wanted, limit=limit)
        return NeighbourhoodType.of(topology, neighbourhood)

    neighbourhood = await asyncio.to_thread(found)
    context.spend(len(neighbourhood.reached))
    context.truncated = context.truncated or neighbourhood.truncated
    return neighbourhood


def chosen_types(catalogue: Catalogue, types: list[str] | None) -> frozenset[str] | None:
    """The relationship types that were chosen, None for all. Raises `NotFound` for one that does not exist."""
    if types is None:
        return None
    return frozenset(catalogue.relationship(name).name for name in types)


def _edge_page(
    topology: PackedTopology, item: str | None, types: frozenset[str] | None, first: int, after: str | None
) -> tuple[list[TopologyEdge], bool]:
    if item is not None and item not in topology.items:
        raise NotFound("item", item, f"revision {topology.revision} has none of that id")
    begin = after.partition("~")[0] if after else ""
    edges: Iterable[TopologyEdge]
    if item is not None:
        edges = sorted({*topology.dependencies_of(item), *topology.dependents_of(item)}, key=_edge_order)
    else:
        sources = topology.ids_from(begin)
        edges = (edge for s in sources for edge in sorted(topology.dependencies_of(s), key=_edge_order))
    wanted = (
        edge
        for edge in edges
        if (types is None or edge.type in types) and (after is None or _edge_order(edge) > (begin, after))
    )
    page = list(islice(wanted, first + 1))
    return page[:first], len(page) > first


def _edge_order(edge: TopologyEdge) -> tuple[str, str]:
    return edge.source, _edge_cursor(edge)


def _edge_cursor(edge: TopologyEdge) -> str:
    return "~".join((edge.source, edge.type, edge.target, edge.group or ""))


QUERIES: list[StrawberryField] = GraphQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
