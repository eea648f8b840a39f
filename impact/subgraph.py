"""A part of the estate to be taken elsewhere: what was found, the edges between it, and the gates they belong to.

Promises: a `Subgraph` is complete in itself and never changes; it says of which revision it is true and whether
something was cut off; both ends of each edge are in it. A gate is told as the whole estate has it: with one of two
members shown it is still "1 of 2". The constructors take ids, states and distances from whoever computed them, and
ask the topology only about the items they show.

Does not: compute states (`impact.propagation`), or write a format (`impact.interchange`, `impact.pictures`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import TypeAlias

from cmdb.errors import BadRequest, NotFound
from cmdb.model.topology import Confidence, Topology, TopologyEdge
from impact.errors import UnknownItems
from impact.gates import Carrying, CarryingEdges
from impact.traversal import Neighbourhood

ImpactRow: TypeAlias = tuple[str, str, int | None]
"""One line of an impact answer: item id, state (`impact.propagation.State` or its value), hops from the failure."""

GroupKey: TypeAlias = tuple[str, str]
"""A redundancy group: (id of the dependent, name of the group)."""

_NOT_PORTABLE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class SubgraphNode:
    """An item as it is shown. `state`: None where no failure was asked about. `distance`: in hops."""

    id: str
    name: str
    class_name: str
    layer: str | None = None
    lifecycle: str | None = None
    state: str | None = None
    distance: int | None = None


@dataclass(frozen=True, slots=True)
class GateSize:
    """At least `required` of `members` distinct items must be up; `required` is 0 for a group that asks for none."""

    required: int
    members: int

    def __str__(self) -> str:
        return f"{self.required} of {self.members}"


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Some items and edges as of `revision`; the order is the order of every output.

    `gates`: of each redundancy group with a hard edge here. `truncated`: there is more than is shown. Raises
    `NotFound` for an edge with an end that is no node.
    """

    revision: int
    nodes: tuple[SubgraphNode, ...]
    edges: tuple[TopologyEdge, ...]
    gates: Mapping[GroupKey, GateSize] = field(default_factory=lambda: MappingProxyType({}))
    truncated: bool = False

    def __post_init__(self) -> None:
        """Hold the edges to the nodes."""
        known = {node.id for node in self.nodes}
        for edge in self.edges:
            for end in (edge.source, edge.target):
                if end not in known:
                    raise NotFound(
                        "item", end, f"edge {edge.type} from {edge.source} to {edge.target} ends there"
                    )

    def gate_of(self, edge: TopologyEdge) -> GateSize | None:
        """The size of the redundancy group that the edge belongs to; None for one that is in no group's gate."""
        if edge.group is None or edge.strength != "hard":
            return None
        return self.gates.get((edge.source, edge.group))


def of_neighbourhood(topology: Topology, found: Neighbourhood) -> Subgraph:
    """What a walk over this topology found: the start first, then the nearest."""
    distances = {found.start: 0, **found.distances}
    return Subgraph(
        topology.revision,
        tuple(_node(topology, item, None, hops) for item, hops in distances.items()),
        tuple(sorted(found.edges, key=_order)),
        _gates(CarryingEdges(topology), found.edges),
        found.truncated,
    )


def of_impact(
    topology: Topology,
    rows: Iterable[ImpactRow],
    *,
    limit: int | None = None,
    minimum_confidence: Confidence = "inferred",
    relationship_types: Set[str] | None = None,
) -> Subgraph:
    """The items of an impact answer in the order given, and the edges between them that carry failure.

    `limit`: how many rows are shown at most, None for all; no more than one beyond is taken from `rows`.
    `minimum_confidence` and `relationship_types`: those of the question, which decide what carries failure and of
    whom gates are formed. An item that comes twice counts once, as it came first. Raises `UnknownItems`, or
    `BadRequest` for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise BadRequest(f"limit is {limit}; it must be at least 1")
    taken = list(islice(rows, None if limit is None else limit + 1))
    shown: dict[str, SubgraphNode] = {}
    for item, state, hops in taken[:limit]:
        if item not in topology.items:
            raise UnknownItems([item], topology.revision)
        shown.setdefault(item, _node(topology, item, str(state), hops))
    carrying = CarryingEdges(topology, Carrying.of(minimum_confidence, relationship_types))
    edges = sorted(
        (
            edge
            for item in shown
            for edge in topology.dependencies_of(item)
            if edge.target in shown and carrying.carries(edge)
        ),
        key=_order,
    )
    return Subgraph(
        topology.revision,
        tuple(shown.values()),
        tuple(edges),
        _gates(carrying, edges),
        truncated=limit is not None and len(taken) > limit,
    )


def of_topology(topology: Topology) -> Subgraph:
    """Everything, in order of ids; also the edges that carry no failure."""
    edges = sorted(topology.edges(), key=_order)
    return Subgraph(
        topology.revision,
        tuple(_node(topology, item, None, None) for item in sorted(topology.items)),
        tuple(edges),
        _gates(CarryingEdges(topology), edges),
    )


def portable_id(item_id: str) -> str:
    """The id in formats whose ids are XML name tokens (`NMTOKEN`) or must be quoted.

    The CMDB's own ids pass as they are. In others each character beyond letters, digits, `.`, `_` and `-` becomes
    `:hex:`, so that different ids stay different.
    """
    return _NOT_PORTABLE.sub(lambda found: f":{ord(found[0]):x}:", item_id) or ":"


def _node(topology: Topology, item_id: str, state: str | None, distance: int | None) -> SubgraphNode:
    item = topology.items[item_id]
    return SubgraphNode(item_id, item.name, item.class_name, item.layer, item.lifecycle, state, distance)


def _gates(carrying: CarryingEdges, edges: Iterable[TopologyEdge]) -> Mapping[GroupKey, GateSize]:
    """The sizes of the gates of these edges, counted over all their members, shown or not."""
    sizes: dict[GroupKey, GateSize] = {}
    for edge in edges:
        if edge.group is None or (edge.source, edge.group) in sizes or not _in_gate(carrying, edge):
            continue
        members = {
            other.target
            for other in carrying.topology.dependencies_of(edge.source)
            if other.group == edge.group and _in_gate(carrying, other)
        }
        required = [gate.required for gate in carrying.gates(edge.source) if gate.group == edge.group]
        sizes[edge.source, edge.group] = GateSize(required[0] if required else 0, len(members))
    return MappingProxyType(sizes)


def _in_gate(carrying: CarryingEdges, edge: TopologyEdge) -> bool:
    return edge.strength == "hard" and carrying.carries(edge)


def _order(edge: TopologyEdge) -> tuple[str, str, str, bool, str]:
    return (edge.source, edge.target, edge.type, edge.group is not None, edge.group or "")
