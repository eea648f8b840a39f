"""Queries that walk the graph or ask what a failure would do: answered from the topology, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from enum import Enum
from itertools import islice
from typing import Annotated, Any, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest, NotFound
from cmdb.model.catalogue import Catalogue
from cmdb.model.topology import Topology, TopologyEdge
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context, checked_first
from cmdb_graphql.definitions import documented
from cmdb_graphql.derived_types import Confidence, Strength
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import Json, Long
from impact.explanation import Explainer, Fact, to_columns
from impact.propagation import SERVICE_CLASSES, ImpactSet, State, simulate_failure
from impact.traversal import Direction, Neighbourhood, dependencies, dependents, shortest_paths

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_WALK = 10_000
MAX_DOWN = 1_000
MAX_PATHS = 100


@strawberry.enum(description="What a failure makes of an item, worst first; UP: it is not reached.")
class ImpactState(Enum):
    """`impact.propagation.State`."""

    DOWN = "down"
    DEGRADED = "degraded"
    AT_RISK = "at_risk"
    REDUCED = "reduced"
    PROTECTED = "protected"
    UP = "up"


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
        item = topology.items[item_id]
        return cls(
            id=strawberry.ID(item_id),
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
    items: list[ReachedItem] = strawberry.field(description="Nearest first.")
    edges: list[GraphEdge] = strawberry.field(
        description="Those between reported items, the start among them."
    )
    truncated: bool = strawberry.field(description="Whether `limit` cut some items off.")

    @classmethod
    def of(cls, topology: Topology, found: Neighbourhood) -> Self:
        """The same for GraphQL."""
        items = topology.items
        return cls(
            revision=Long(topology.revision),
            start=ItemSummary.of(topology, found.start),
            items=[
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
            edges=[GraphEdge.of(edge) for edge in found.edges],
            truncated=found.truncated,
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


@strawberry.type(name="FactMember", description="An item that a fact is about.")
class FactMember:
    """A member with its state."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    state: ImpactState


@strawberry.type(name="ImpactFact", description="One reason for a state, as a code and its arguments.")
class FactType:
    """A fact; see docs/guides/impact.md for the codes."""

    code: str
    group: str | None
    required: int | None
    up: int | None
    members: list[FactMember]

    @classmethod
    def of(cls, topology: Topology, fact: Fact) -> Self:
        """The same for GraphQL."""
        return cls(
            code=fact.code,
            group=fact.group,
            required=fact.required,
            up=fact.up,
            members=[
                FactMember(
                    id=strawberry.ID(member),
                    class_name=topology.items[member].class_name,
                    name=topology.items[member].name,
                    state=ImpactState(state.value),
                )
                for member, state in fact.members
            ],
        )


@strawberry.type(name="ImpactedItem", description="An item that a failure reaches.")
class ImpactedItem:
    """An item, its state, and why."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    layer: str | None
    lifecycle: str | None
    state: ImpactState
    distance: int = strawberry.field(description="Hops from the nearest failed item.")
    answer: strawberry.Private[Answer]

    @documented
    def because(self) -> list[FactType]:
        """Why it is in its state."""
        facts = self.answer.explainer.explain(str(self.id)).facts
        return [FactType.of(self.answer.topology, fact) for fact in facts]

    @documented
    def path(self) -> list[ItemSummary]:
        """The shortest chain of causes, from the item to a failed one."""
        path = self.answer.explainer.explain(str(self.id)).path
        return [ItemSummary.of(self.answer.topology, item) for item in path]


class Answer:
    """An impact set with what is needed to show it; explained once, when somebody asks why."""

    def __init__(self, topology: Topology, impact: ImpactSet, services: Sequence[str]) -> None:
        self.topology = topology
        self.impact = impact
        self.services = services
        self._explainer: Explainer | None = None

    @property
    def explainer(self) -> Explainer:
        """Made at the first question."""
        if self._explainer is None:
            self._explainer = Explainer(self.impact)
        return self._explainer

    def items(self, ids: Sequence[str], first: int, offset: int) -> list[ImpactedItem]:
        """Some of these as GraphQL has them."""
        if first < 0 or offset < 0:
            raise BadRequest(f"first is {first} and offset {offset}; neither may be negative")
        shown = []
        for item_id in islice(ids, offset, offset + first):
            item = self.topology.items[item_id]
            shown.append(
                ImpactedItem(
                    id=strawberry.ID(item_id),
                    class_name=item.class_name,
                    name=item.name,
                    layer=item.layer,
                    lifecycle=item.lifecycle,
                    state=ImpactState(self.impact.states[item_id].value),
                    distance=self.impact.distances.get(item_id, 0),
                    answer=self,
                )
            )
        return shown

    def record(self, explain: bool) -> dict[str, Any]:
        """The whole answer in columns; with explanations where wanted."""
        record = to_columns(self.impact)
        if explain:
            explainer = self.explainer
            record["explanations"] = [explainer.explain(item).to_record() for item in self.impact.states]
        return record


@strawberry.type(name="ImpactCounts", description="How many items are in each state.")
class ImpactCounts:
    """Counts of all, whatever a list shows."""

    down: int
    degraded: int
    at_risk: int
    reduced: int
    protected: int


@strawberry.type(
    name="Impact", description="What the failure of some items together would do, true of `revision`."
)
class ImpactType:
    """An answer; lists are nearest first."""

    answer: strawberry.Private[Answer]
    revision: Long
    failed: list[ItemSummary]
    counts: ImpactCounts

    def _in(self, state: State, first: int, offset: int) -> list[ImpactedItem]:
        return self.answer.items(self.answer.impact.in_state(state), first, offset)

    @documented
    def down(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Failed, or too little left of something they need."""
        return self._in(State.DOWN, first, offset)

    @documented
    def degraded(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Up, but something they use is down, or something they need is degraded."""
        return self._in(State.DEGRADED, first, offset)

    @documented
    def at_risk(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Up without a spare: the next failure of a certain other item takes them down."""
        return self._in(State.AT_RISK, first, offset)

    @documented
    def reduced(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """A spare is gone, another is left."""
        return self._in(State.REDUCED, first, offset)

    @documented
    def protected(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Reached, yet nothing that matters arrives: redundancy saved them."""
        return self._in(State.PROTECTED, first, offset)

    @documented
    def services(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """The services among all that is reached, worst state first."""
        return self.answer.items(self.answer.services, first, offset)

    @documented
    async def record(self, explain: bool = False) -> Json:
        """The whole answer as one JSON object of columns (ids, names, classes, layers, states, distances,
        gates); with `explain` also facts and path of every item reached.
        """
        return Json(await asyncio.to_thread(self.answer.record, explain))


@strawberry.type
class ImpactQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def dependencies(
        self,
        info: Info,
        id: strawberry.ID,
        depth: Annotated[
            int | None, Described(description="Hops at most; all where it is not given.")
        ] = None,
        types: Annotated[
            list[str] | None,
            Described(description="Walk these relationship types only; else those that carry failure."),
        ] = None,
        layers: Annotated[
            list[str] | None,
            Described(description="Report items of these layers only; the walk goes through others."),
        ] = None,
        limit: int = 1000,
        as_of: AsOfInput | None = None,
    ) -> NeighbourhoodType:
        """What an item needs, directly and indirectly."""
        return await _walk(info.context, Direction.DEPENDENCIES, str(id), depth, types, layers, limit, as_of)

    @documented
    async def dependents(
        self,
        info: Info,
        id: strawberry.ID,
        depth: Annotated[
            int | None, Described(description="Hops at most; all where it is not given.")
        ] = None,
        types: Annotated[
            list[str] | None,
            Described(description="Walk these relationship types only; else those that carry failure."),
        ] = None,
        layers: Annotated[
            list[str] | None,
            Described(description="Report items of these layers only; the walk goes through others."),
        ] = None,
        limit: int = 1000,
        as_of: AsOfInput | None = None,
    ) -> NeighbourhoodType:
        """What needs an item, directly and indirectly."""
        return await _walk(info.context, Direction.DEPENDENTS, str(id), depth, types, layers, limit, as_of)

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
    ) -> PathsType:
        """All shortest paths between two items, along dependencies and along dependents."""
        context = info.context
        topology = await _topology(context, as_of)
        chosen = _types(context.store.catalogue, types)
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
    ) -> EdgePage:
        """Edges as they stand: of one item on both sides, or of everything."""
        context = info.context
        topology = await _topology(context, as_of)
        chosen = _types(context.store.catalogue, types)
        first = checked_first(first, context)
        page, more = await asyncio.to_thread(_edge_page, topology, item, chosen, first, after)
        context.spend(len(page))
        return EdgePage(
            revision=Long(topology.revision),
            nodes=[GraphEdge.of(edge) for edge in page],
            end_cursor=_edge_cursor(page[-1]) if page else None,
            has_next_page=more,
        )

    @documented
    async def impact(
        self,
        info: Info,
        down: Annotated[
            list[strawberry.ID], Described(description="The items that fail; also what is down already.")
        ],
        pinned: Annotated[
            list[strawberry.ID] | None,
            Described(description="Items that stay up and well, whatever happens."),
        ] = None,
        minimum_confidence: Annotated[
            Confidence, Described(description="The least that an edge must have.")
        ] = Confidence.INFERRED,
        types: Annotated[
            list[str] | None, Described(description="Failure travels over these relationship types only.")
        ] = None,
        as_of: AsOfInput | None = None,
    ) -> ImpactType:
        """What would happen if these items failed together."""
        context = info.context
        topology = await _topology(context, as_of)
        catalogue = context.store.catalogue
        chosen = _types(catalogue, types)
        if not down or len(down) > MAX_DOWN:
            raise BadRequest(f"down names {len(down)} items; it must name 1 to {MAX_DOWN}")
        services = {
            name
            for base in SERVICE_CLASSES
            if base in catalogue.classes
            for name in catalogue.subclasses(base)
        }

        def answer() -> Answer:
            impact = simulate_failure(
                topology,
                [str(item) for item in down],
                pinned=frozenset(map(str, pinned or ())),
                minimum_confidence=minimum_confidence.value,
                relationship_types=chosen,
            )
            return Answer(topology, impact, impact.services(services))

        found = await asyncio.to_thread(answer)
        states = list(found.impact.states.values())
        context.spend(len(states))
        return ImpactType(
            answer=found,
            revision=Long(topology.revision),
            failed=[ItemSummary.of(topology, item) for item in found.impact.failed],
            counts=ImpactCounts(
                down=states.count(State.DOWN),
                degraded=states.count(State.DEGRADED),
                at_risk=states.count(State.AT_RISK),
                reduced=states.count(State.REDUCED),
                protected=states.count(State.PROTECTED),
            ),
        )


async def _topology(context: Context, as_of: AsOfInput | None) -> Topology:
    context.require(Action.READ)
    at = await context.revision_of(as_of)
    topologies = context.services.topologies
    topology = await (topologies.at_head() if at is None else topologies.at(at))
    context.read_at(topology.revision if at is not None else None)
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
) -> NeighbourhoodType:
    topology = await _topology(context, as_of)
    chosen = _types(context.store.catalogue, types)
    if limit > MAX_WALK:
        raise BadRequest(f"limit is {limit}; at most {MAX_WALK} items are reported")
    walk = dependencies if direction is Direction.DEPENDENCIES else dependents
    wanted = frozenset(layers) if layers is not None else None

    def found() -> NeighbourhoodType:
        neighbourhood = walk(topology, start, depth=depth, types=chosen, layers=wanted, limit=limit)
        return NeighbourhoodType.of(topology, neighbourhood)

    neighbourhood = await asyncio.to_thread(found)
    context.spend(len(neighbourhood.items))
    context.truncated = context.truncated or neighbourhood.truncated
    return neighbourhood


def _types(catalogue: Catalogue, types: list[str] | None) -> frozenset[str] | None:
    if types is None:
        return None
    return frozenset(catalogue.relationship(name).name for name in types)


def _edge_page(
    topology: Topology, item: str | None, types: frozenset[str] | None, first: int, after: str | None
) -> tuple[list[TopologyEdge], bool]:
    if item is not None and item not in topology.items:
        raise NotFound("item", item, f"revision {topology.revision} has none of that id")
    edges: Iterable[TopologyEdge] = topology.edges()
    if item is not None:
        edges = dict.fromkeys((*topology.dependencies_of(item), *topology.dependents_of(item)))
    keyed = sorted(
        ((_edge_cursor(edge), edge) for edge in edges if types is None or edge.type in types),
        key=lambda pair: pair[0],
    )
    rest = [edge for cursor, edge in keyed if after is None or cursor > after]
    return rest[:first], len(rest) > first


def _edge_cursor(edge: TopologyEdge) -> str:
    return "~".join((edge.source, edge.type, edge.target, edge.group or ""))


QUERIES: list[StrawberryField] = ImpactQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
