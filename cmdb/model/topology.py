"""The estate as one immutable graph, true of one revision: what impact runs on and what browsing walks.

`Topology` says what can be asked of one. `PackedTopology` (`cmdb.model.packed_topology`) is what the product runs on;
`PlainTopology` is the same in dictionaries, to be read, and to hold the other to in tests.

Promises: a topology never changes, so any number of threads may read it; `with_changes` makes the next one
and shares everything untouched with it; equal contents give equal topologies, whatever the order they were
built in; every edge runs from the dependent (`source`) to its dependency (`target`) and both ends exist.

Does not: read a store, know the catalogue, or decide who is down (`impact` does).
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from cmdb.errors import InvalidValue, NotFound

Strength: TypeAlias = Literal["hard", "soft"]
Confidence: TypeAlias = Literal["declared", "observed", "inferred"]
EdgeKey: TypeAlias = tuple[str, str, str, str | None]
"""What identifies an edge: (type, source, target, group)."""

_PERCENTAGE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%", re.ASCII)


def members_needed(required: int | str | None, members: int) -> int:
    """How many of a group's `members` must be up for its dependent to stay up: 0 to `members`.

    `required` is a count, a percentage of the members (`"50%"`, rounded up), or None: all of them, since a
    group that states nothing claims no redundancy. More than there are is all of them: a group that lost a
    member in the books needs every one that is left, and a simulation invents no failure from a contradiction
    (health reports it). Raises `InvalidValue` for anything else.
    """
    if required is None:
        return members
    if isinstance(required, str):
        match = _PERCENTAGE.fullmatch(required)
        share = Fraction(match[1]) / 100 if match else None
        if share is not None and share <= 1:
            return math.ceil(share * members)
    elif not isinstance(required, bool) and required >= 0:
        return min(required, members)
    raise InvalidValue(f"required is {required!r}; give a count (2) or a percentage of the members ('50%')")


@dataclass(frozen=True, slots=True)
class TopologyItem:
    """An item as far as the graph needs it; `layer` comes from its class."""

    id: str
    name: str
    class_name: str
    layer: str | None = None
    lifecycle: str | None = None
    criticality: str | None = None

    def __post_init__(self) -> None:
        """Intern what repeats, so that a big estate keeps each such string once."""
        set_field = object.__setattr__
        set_field(self, "id", sys.intern(self.id))
        set_field(self, "class_name", sys.intern(self.class_name))
        if self.layer is not None:
            set_field(self, "layer", sys.intern(self.layer))
        if self.lifecycle is not None:
            set_field(self, "lifecycle", sys.intern(self.lifecycle))


@dataclass(frozen=True, slots=True)
class TopologyEdge:
    """A relationship; `source` is the dependent, `target` the dependency.

    `strength` is the effective one (the edge's own, else its type's); None: the type carries no failure, the
    edge is there to be browsed. Edges of one source that share a `group` are alternatives of which `required`
    must be up.
    """

    type: str
    source: str
    target: str
    group: str | None = None
    required: int | str | None = None
    strength: Strength | None = "hard"
    confidence: Confidence = "declared"

    def __post_init__(self) -> None:
        """Intern what repeats: a million edges share the ids of their items."""
        set_field = object.__setattr__
        set_field(self, "type", sys.intern(self.type))
        set_field(self, "source", sys.intern(self.source))
        set_field(self, "target", sys.intern(self.target))
        if self.group is not None:
            set_field(self, "group", sys.intern(self.group))

    @property
    def key(self) -> EdgeKey:
        """Its identity; everything else may change while it stays the same edge."""
        return (self.type, self.source, self.target, self.group)


_Adjacency: TypeAlias = dict[str, tuple[TopologyEdge, ...]]


class Topology(Protocol):
    """Items and edges as of `revision`."""

    @property
    def revision(self) -> int:
        """What it is true of."""

    @property
    def items(self) -> Mapping[str, TopologyItem]:
        """Every item by its id."""

    def dependencies_of(self, item: str, /) -> tuple[TopologyEdge, ...]:
        """The edges whose source is `item`, ordered by (target, type, group); none for an unknown id."""

    def dependents_of(self, item: str, /) -> tuple[TopologyEdge, ...]:
        """The edges whose target is `item`, ordered by (source, type, group); none for an unknown id."""

    def edges(self, types: Set[str] | None = None) -> Iterator[TopologyEdge]:
        """Every edge of these types once (None: of all)."""


@dataclass(frozen=True, slots=True)
class PlainTopology:
    """Items and edges as of `revision`. Make one with `PlainTopology.build`, the next with `with_changes`."""

    revision: int
    items: Mapping[str, TopologyItem]
    _dependencies: _Adjacency
    _dependents: _Adjacency

    @classmethod
    def build(
        cls, revision: int, items: Iterable[TopologyItem], edges: Iterable[TopologyEdge]
    ) -> PlainTopology:
        """A topology of these; of two with one identity the later wins. `NotFound` on a loose end."""
        empty = cls(revision, MappingProxyType({}), {}, {})
        return empty.with_changes(revision, put_items=items, put_edges=edges)

    def dependencies_of(self, item: str) -> tuple[TopologyEdge, ...]:
        """The edges whose source is `item`, ordered by (target, type, group); none for an unknown id."""
        return self._dependencies.get(item, ())

    def dependents_of(self, item: str) -> tuple[TopologyEdge, ...]:
        """The edges whose target is `item`, ordered by (source, type, group); none for an unknown id."""
        return self._dependents.get(item, ())

    def edges(self, types: Set[str] | None = None) -> Iterator[TopologyEdge]:
        """Every edge of these types once (None: of all); those of one source together."""
        for edges in self._dependencies.values():
            yield from (edge for edge in edges if types is None or edge.type in types)

    @property
    def edge_count(self) -> int:
        """How many edges there are."""
        return sum(map(len, self._dependencies.values()))

    def with_changes(
        self,
        revision: int,
        *,
        put_items: Iterable[TopologyItem] = (),
        delete_items: Iterable[str] = (),
        put_edges: Iterable[TopologyEdge] = (),
        delete_edges: Iterable[EdgeKey] = (),
    ) -> PlainTopology:
        """The topology after a change; this one stays as it is.

        Deletions come first, so what is both deleted and put is there afterwards, without its old edges. An
        item takes its edges with it. Deleting what is not there changes nothing, which makes a replayed
        change harmless. An edge put between items of which one is missing raises `NotFound`. Cost: three
        shallow dictionary copies, and the edges of the touched items.
        """
        items = dict(self.items)
        dependencies = _Edges(self._dependencies)
        dependents = _Edges(self._dependents)
        for key in delete_edges:
            dependencies.discard(key[1], key)
            dependents.discard(key[2], key)
        for item_id in delete_items:
            items.pop(item_id, None)
            for edge in dependencies.of(item_id):
                dependents.discard(edge.target, edge.key)
            for edge in dependents.of(item_id):
                dependencies.discard(edge.source, edge.key)
            dependencies.clear(item_id)
            dependents.clear(item_id)
        for item in put_items:
            items[item.id] = item
        for edge in put_edges:
            for end in (edge.source, edge.target):
                if end not in items:
                    raise NotFound(
                        "item", end, f"edge {edge.type} from {edge.source} to {edge.target} ends there"
                    )
            dependencies.put(edge.source, edge)
            dependents.put(edge.target, edge)
        return PlainTopology(revision, MappingProxyType(items), dependencies.merged(), dependents.merged())


class _Edges:
    """One direction of the adjacency while it changes; touched entries are dictionaries by edge identity."""

    def __init__(self, before: _Adjacency) -> None:
        self._before = before
        self._touched: dict[str, dict[EdgeKey, TopologyEdge]] = {}

    def _entry(self, item: str) -> dict[EdgeKey, TopologyEdge]:
        entry = self._touched.get(item)
        if entry is None:
            entry = self._touched[item] = {edge.key: edge for edge in self._before.get(item, ())}
        return entry

    def of(self, item: str) -> list[TopologyEdge]:
        return list(self._entry(item).values())

    def put(self, item: str, edge: TopologyEdge) -> None:
        self._entry(item)[edge.key] = edge

    def discard(self, item: str, key: EdgeKey) -> None:
        self._entry(item).pop(key, None)

    def clear(self, item: str) -> None:
        self._touched[item] = {}

    def merged(self) -> _Adjacency:
        after = dict(self._before)
        for item, entry in self._touched.items():
            if entry:
                after[item] = tuple(sorted(entry.values(), key=edge_order))
            else:
                after.pop(item, None)
        return after


def edge_order(edge: TopologyEdge) -> tuple[str, str, str, bool, str]:
    """One order for both directions: in each, one of the two ends is the same for all."""
    return (edge.target, edge.source, edge.type, edge.group is not None, edge.group or "")
