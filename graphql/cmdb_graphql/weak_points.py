"""What alone holds a network together, and what separates two items: answered from the topology, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Annotated, Self, TypeVar

import numpy as np
import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue
from cmdb.model.columns import Int32s
from cmdb.model.packed_topology import PackedTopology
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import AtLeast, GraphEdge, ItemSummary, chosen_types, topology_of
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import Long
from impact.errors import UnknownItems
from impact.network import (
    NETWORK_TYPES,
    ItemCut,
    Network,
    WeakPoints,
    minimum_cut,
    needs,
    network_of,
    weak_points,
)

Info = strawberry.Info[Context, None]
Described = strawberry.argument
Member = TypeVar("Member")

MAX_WITHIN = 1_000
MAX_CUT = 1_000
MAX_PARTS = 100

JoiningTypes = Annotated[
    list[str] | None,
    Described(
        description="The relationship types that join items, whichever way they run; else CONNECTED_TO, LINKED_TO and "
        "ROUTED_THROUGH."
    ),
]
OfClasses = Annotated[
    list[str] | None, Described(description="Only items of these classes and their subclasses.")
]
Within = Annotated[list[strawberry.ID] | None, Described(description="Only these items; 1,000 at most.")]


@strawberry.type(name="NetworkCounts", description="The size of a network.")
class NetworkCounts:
    """Counts of all, whatever a list shows."""

    items: int
    links: int = strawberry.field(description="Pairs of items that are joined, by however many edges.")
    components: int = strawberry.field(description="Parts without a way between them; 1: it hangs together.")
    articulation_points: int
    bridges: int


@strawberry.type(
    name="ArticulationPoint", description="An item without which what it joins has no other way."
)
class ArticulationPointType:
    """An item and the parts into which its component falls without it."""

    answer: strawberry.Private[Answer]
    number: strawberry.Private[int]
    item: ItemSummary
    cut_off: int = strawberry.field(
        description="How many others are cut off from the largest part that is left."
    )
    parts: int = strawberry.field(description="How many parts are left.")
    part_sizes: list[int] = strawberry.field(description="The items in each, largest first; 100 at most.")

    @documented
    async def separated(self, first: int = 10, offset: int = 0) -> list[ItemSummary]:
        """The items that are cut off, those of larger parts first."""
        found = await asyncio.to_thread(self.answer.weak.cut_off_by, self.number)
        return self.answer.summaries(found, first, offset)


@strawberry.type(name="Bridge", description="A link without which the two items it joins have no other way.")
class BridgeType:
    """A link and the smaller side of it."""

    answer: strawberry.Private[Answer]
    number: strawberry.Private[int]
    one: ItemSummary
    other: ItemSummary
    edges: list[GraphEdge] = strawberry.field(description="Those that say that the two are joined.")
    cut_off: int = strawberry.field(
        description="How many items its loss cuts off: those of the smaller side."
    )

    @documented
    async def separated(self, first: int = 10, offset: int = 0) -> list[ItemSummary]:
        """The items of the smaller side."""
        found = await asyncio.to_thread(self.answer.weak.cut_off_by_link, self.number)
        return self.answer.summaries(found, first, offset)


class Answer:
    """The weak points of a network with what is needed to show them."""

    def __init__(self, topology: PackedTopology, weak: WeakPoints) -> None:
        self.topology = topology
        self.weak = weak
        self.points, self.bridges = weak.articulation_points, weak.bridges

    def summaries(self, ids: Sequence[str], first: int, offset: int) -> list[ItemSummary]:
        """Some of these items as GraphQL has them."""
        shown = _page(ids, first, offset)
        return [ItemSummary.of(self.topology, item) for item in shown]

    def point(self, number: int) -> ArticulationPointType:
        """An articulation point as GraphQL has it."""
        connectivity = self.weak.connectivity
        sizes = connectivity.part_sizes(number)
        return ArticulationPointType(
            answer=self,
            number=number,
            item=ItemSummary.of(self.topology, self.weak.network.ids[number]),
            cut_off=int(connectivity.cut_off[number]),
            parts=len(sizes),
            part_sizes=sizes[:MAX_PARTS],
        )

    def bridge(self, number: int) -> BridgeType:
        """A bridge as GraphQL has it."""
        network, connectivity = self.weak.network, self.weak.connectivity
        one, other = (network.ids[end] for end in network.rows.ends[number])
        return BridgeType(
            answer=self,
            number=number,
            one=ItemSummary.of(self.topology, one),
            other=ItemSummary.of(self.topology, other),
            edges=[GraphEdge.of(edge) for edge in network.links[number]],
            cut_off=int(connectivity.cut_off_by_link[number]),
        )


@strawberry.type(
    name="WeakPoints", description="What alone holds a network together, true of `revision`; worst first."
)
class WeakPointsType:
    """An answer; each list is a page, `counts` are of all."""

    answer: strawberry.Private[Answer]
    revision: Long
    counts: NetworkCounts

    @documented
    async def articulation_points(self, first: int = 50, offset: int = 0) -> list[ArticulationPointType]:
        """The items without which something is cut off; those that cut off most first."""
        shown = _page(self.answer.points, first, offset)
        return await asyncio.to_thread(lambda: [self.answer.point(number) for number in shown])

    @documented
    async def bridges(self, first: int = 50, offset: int = 0) -> list[BridgeType]:
        """The links without which something is cut off; those that cut off most first."""
        shown = _page(self.answer.bridges, first, offset)
        return await asyncio.to_thread(lambda: [self.answer.bridge(number) for number in shown])


@strawberry.type(name="NetworkWay", description="A way through a network.")
class NetworkWay:
    """Items from end to end."""

    topology: strawberry.Private[PackedTopology]
    way: strawberry.Private[Sequence[str]]

    @documented
    def length(self) -> int:
        """How many items there are on it, both ends among them."""
        return len(self.way)

    @documented
    def items(self, first: int = 50, offset: int = 0) -> list[ItemSummary]:
        """The items in order, from end to end."""
        return [ItemSummary.of(self.topology, item) for item in _page(self.way, first, offset)]


@strawberry.type(
    name="MinimumCut", description="The fewest items whose loss separates two others, true of `revision`."
)
class MinimumCutType:
    """A cut, and as many ways that share nothing in between."""

    topology: strawberry.Private[PackedTopology]
    found: strawberry.Private[ItemCut]
    revision: Long
    source: ItemSummary = strawberry.field(name="from")
    target: ItemSummary = strawberry.field(name="to")
    connected: bool = strawberry.field(description="Whether there is any way between the two.")
    separable: bool = strawberry.field(
        description="Whether the loss of `items` separates them. False: they are joined directly as well, or it takes "
        "more than `limit` items."
    )
    count: int = strawberry.field(
        description="How many items it takes, which is how many ways share nothing in between."
    )
    truncated: bool = strawberry.field(
        description="More than `limit` would be needed: `items` is empty, `count` is the limit."
    )
    direct: list[GraphEdge] = strawberry.field(
        description="The edges that join the two themselves; no loss of other items undoes them."
    )

    @classmethod
    def of(cls, topology: PackedTopology, ends: tuple[str, str], found: ItemCut) -> Self:
        """The same for GraphQL."""
        return cls(
            topology=topology,
            found=found,
            revision=Long(topology.revision),
            source=ItemSummary.of(topology, ends[0]),
            target=ItemSummary.of(topology, ends[1]),
            connected=bool(found.ways or found.direct),
            separable=not (found.direct or found.truncated),
            count=len(found.ways),
            truncated=found.truncated,
            direct=[GraphEdge.of(edge) for edge in found.direct],
        )

    @documented
    def items(self, first: int = 50, offset: int = 0) -> list[ItemSummary]:
        """A smallest set of items whose loss leaves no way but a direct one; of several the nearest to `from`."""
        shown = _page(self.found.items, first, offset)
        return [ItemSummary.of(self.topology, item) for item in shown]

    @documented
    def ways(self, first: int = 10, offset: int = 0) -> list[NetworkWay]:
        """Ways that share nothing in between, shortest first; each passes one of `items`."""
        shown = _page(self.found.ways, first, offset)
        return [NetworkWay(topology=self.topology, way=way) for way in shown]


@strawberry.type
class WeakPointQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def weak_points(
        self,
        info: Info,
        types: JoiningTypes = None,
        classes: OfClasses = None,
        within: Within = None,
        needed_by: Annotated[
            strawberry.ID | None,
            Described(description="Only this item and what it needs, directly and indirectly."),
        ] = None,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> WeakPointsType:
        """The items and links that alone hold parts of a network together, whatever direction edges run in."""
        context = info.context
        context.require(Action.READ)
        topology = await topology_of(context, as_of, at_least)
        joining, wanted = _chosen(context.store.catalogue, types, classes, within)

        def answer() -> WeakPointsType:
            scope = _numbers(topology, map(str, within)) if within is not None else None
            if needed_by is not None:
                needed = needs(topology, str(needed_by))
                scope = needed if scope is None else np.intersect1d(scope, needed)
            found = Answer(topology, weak_points(_network(topology, joining, wanted, scope)))
            network = found.weak.network
            return WeakPointsType(
                answer=found,
                revision=Long(topology.revision),
                counts=NetworkCounts(
                    items=len(network.ids),
                    links=len(network.links),
                    components=found.weak.connectivity.components,
                    articulation_points=len(found.points),
                    bridges=len(found.bridges),
                ),
            )

        found = await asyncio.to_thread(answer)
        context.spend(found.counts.items)
        return found

    @documented
    async def minimum_cut(
        self,
        info: Info,
        from_: Annotated[strawberry.ID, Described(name="from")],
        to: strawberry.ID,
        types: JoiningTypes = None,
        classes: Annotated[
            list[str] | None,
            Described(description="Ways lead over items of these classes and their subclasses only."),
        ] = None,
        limit: Annotated[int, Described(description="Items at most, up to 1,000.")] = 100,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> MinimumCutType:
        """The fewest items whose loss leaves two others without a way between them."""
        context = info.context
        context.require(Action.READ)
        topology = await topology_of(context, as_of, at_least)
        joining, wanted = _chosen(context.store.catalogue, types, classes, None)
        if not 1 <= limit <= MAX_CUT:
            raise BadRequest(f"limit is {limit}; it must be 1 to {MAX_CUT}")
        ends = str(from_), str(to)

        def answer() -> MinimumCutType:
            network = _network(topology, joining, wanted, None, _numbers(topology, ends))
            return MinimumCutType.of(topology, ends, minimum_cut(network, *ends, limit=limit))

        found = await asyncio.to_thread(answer)
        context.spend(sum(map(len, found.found.ways)))
        context.truncated = context.truncated or found.truncated
        return found


def _chosen(
    catalogue: Catalogue, types: list[str] | None, classes: list[str] | None, within: Sequence[object] | None
) -> tuple[frozenset[str], frozenset[str] | None]:
    """The types that join, and the classes with their subclasses, None for all. Raises `NotFound`, `BadRequest`."""
    if within is not None and len(within) > MAX_WITHIN:
        raise BadRequest(f"within names {len(within)} items; at most {MAX_WITHIN} are looked at")
    known = [name for name in NETWORK_TYPES if name in catalogue.relationships]
    joining = chosen_types(catalogue, known if types is None else types) or frozenset()
    if classes is None:
        return joining, None
    return joining, frozenset(name for base in classes for name in catalogue.subclasses(base))


_NONE = np.empty(0, np.int32)


def _network(
    topology: PackedTopology,
    types: frozenset[str],
    classes: frozenset[str] | None,
    scope: Int32s | None,
    always: Int32s = _NONE,
) -> Network:
    """The network of the items in the scope that are of the classes; of `always` whatever they are."""
    if classes is None:
        return network_of(topology, types, within=scope)
    found = np.arange(topology.size, dtype=np.int32) if scope is None else scope
    found = found[topology.flags(found, lambda kind: kind.class_name in classes)]
    return network_of(topology, types, within=np.union1d(found, always))


def _numbers(topology: PackedTopology, items: Iterable[str]) -> Int32s:
    """The numbers of items, each once. Raises `UnknownItems`."""
    numbers = {item: topology.number_of(item) for item in items}
    unknown = [item for item, number in numbers.items() if number is None]
    if unknown:
        raise UnknownItems(unknown, topology.revision)
    return np.array(list(numbers.values()), np.int32)


def _page(found: Sequence[Member], first: int, offset: int) -> list[Member]:
    """A page of what was found; how much there is, a count beside the list says."""
    if first < 0 or offset < 0:
        raise BadRequest(f"first is {first} and offset {offset}; neither may be negative")
    return list(islice(found, offset, offset + first))


QUERIES: list[StrawberryField] = WeakPointQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
