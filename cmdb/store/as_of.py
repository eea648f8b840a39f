"""Reading the estate as it was: the changes since then, taken back, laid over what is there now.

An item whose version is not above N has not changed since N, so the present answers for it (`version <= N` in
Cypher); all others are in the overlay, which the ledger's changes since N make, and are judged here by the same
conditions. Both are merged in order. Edges of the past come from the topology as of N. The cost is that of the
changes since N, once: the overlay is kept and only added to as the ledger moves on, since what was at N never
changes.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmdb.errors import InvalidValue, NotFound
from cmdb.model.catalogue import Catalogue
from cmdb.model.composition import compose
from cmdb.model.identity import rule_keys
from cmdb.model.items import Edge, EdgeFacts, EdgeKey, Fields, Item, ItemChange
from cmdb.model.topology import Topology, TopologyEdge
from cmdb.store.filters import Condition, holds, read_value, relationships_in
from cmdb.store.reading import (
    Neighbour,
    Order,
    Page,
    PageRequest,
    Position,
    PresentReader,
    RelatedPage,
    RelatedRequest,
    has_words,
    parse_cursor,
    words_of,
)
from cmdb.store.schema import searched_properties
from cmdb.store.store import Store
from cmdb.store.topology import LiveTopology

TOUCHED = """
UNWIND $ids AS id
MATCH (i:Item|Tombstone {id: id})<-[:CHANGED]-(r:Revision) WHERE r.number <= $number
WITH id, max(r.number) AS last, min(r.number) AS first
MATCH (l:Revision {number: last}) USING INDEX SEEK l:Revision(number)
MATCH (f:Revision {number: first}) USING INDEX SEEK f:Revision(number)
RETURN id, last, l.recorded_at AS updated_at, f.recorded_at AS created_at"""

KEPT_VIEWS = 8
FETCH = 2_000


@dataclass(frozen=True, slots=True)
class PastItem(Item):
    """An item as of revision `at`; what is read through it is read as of that revision too."""

    at: int = 0


class Views:
    """Overlays by revision, the last few of them kept."""

    def __init__(self, store: Store, present: PresentReader, topologies: LiveTopology) -> None:
        self._store = store
        self._present = present
        self._topologies = topologies
        self._views: OrderedDict[int, PastReader] = OrderedDict()

    def reader(self, number: int) -> PastReader:
        """The reader of the estate as of a revision."""
        view = self._views.get(number)
        if view is None:
            view = self._views[number] = PastReader(number, self._store, self._present, self._topologies)
        self._views.move_to_end(number)
        if len(self._views) > KEPT_VIEWS:
            self._views.popitem(last=False)
        return view


class PastReader:
    """Reads the estate as of revision `number`; the counterpart of `PresentReader`."""

    def __init__(self, number: int, store: Store, present: PresentReader, topologies: LiveTopology) -> None:
        self.number = number
        self._store = store
        self._present = present
        self._topologies = topologies
        self._head = number
        self._states: dict[str, Item | None] = {}
        self._lock = asyncio.Lock()

    async def items(self, ids: Iterable[str]) -> dict[str, Item]:
        """The items of these ids that existed."""
        wanted = list(dict.fromkeys(ids))
        present = await self._present.items(wanted)
        states = await self._overlay()
        found: dict[str, Item] = {}
        for item_id in wanted:
            item = states[item_id] if item_id in states else present.get(item_id)
            if item is not None:
                found[item_id] = self._past(item)
        return await self._dated(found)

    async def values(self, ids: Sequence[str], names: Sequence[str]) -> dict[str, Fields]:
        """Of the items that had any of these attributes: `class`, and those that they had."""
        found = await self._present.values(ids, names)
        states = await self._overlay()
        for item_id in states.keys() & set(ids):
            found.pop(item_id, None)
            item = states[item_id]
            held = {name: item.attributes[name] for name in names if name in item.attributes} if item else {}
            if item is not None and held:
                found[item_id] = {"class": item.class_name, **held}
        return found

    async def named(self, class_name: str, name: str) -> list[Item]:
        """Items of the class that had exactly this name, ten at most."""
        catalogue = self._store.catalogue
        present = await self._present.named(class_name, name)
        states = await self._overlay()
        found = [item for item in present if item.id not in states]
        found += [i for i in self._existing(states) if i.name == name and _is_a(catalogue, i, class_name)]
        ordered = sorted(found, key=lambda item: item.id)[:10]
        return list((await self._dated({item.id: self._past(item) for item in ordered})).values())

    async def identified(self, keys: Sequence[str]) -> dict[str, str]:
        """The items that identity keys of fields alone belonged to; unknown keys are absent."""
        present = await self._present.identified(keys)
        states = await self._overlay()
        catalogue, wanted = self._store.catalogue, set(keys)
        found = {key: item_id for key, item_id in present.items() if item_id not in states}
        for item in sorted(self._existing(states), key=lambda item: item.id):
            for key in wanted.intersection(_keys_of(catalogue, item)):
                found.setdefault(key, item.id)
        return found

    async def page(self, request: PageRequest) -> Page:
        """One page of what was there."""
        suspects = await self._suspects(request.where)
        unchanged = await self._present.page_where(request, until_version=self.number, without=suspects)
        changed = await self._matching(request.class_name, request.where, suspects)
        if request.after:
            position = Position.parse(request.after, request.order)
            changed = [
                item for item in changed if _key(item, request.order) > _position_key(position, request.order)
            ]
        known = {item.id for item in changed}
        merged = heapq.merge(
            (item for item in unchanged.items if item.id not in known),
            sorted(changed, key=lambda item: _key(item, request.order)),
            key=lambda item: _key(item, request.order),
        )
        items = list(merged)
        page = {item.id: self._past(item) for item in items[: request.first]}
        return Page(
            tuple((await self._dated(page)).values()), unchanged.has_next or len(items) > request.first
        )

    async def count(self, class_name: str, where: Condition) -> int:
        """How many items of the class met the condition."""
        suspects = await self._suspects(where)
        unchanged = await self._present.count_where(
            class_name, where, until_version=self.number, without=suspects
        )
        return unchanged + len(await self._matching(class_name, where, suspects))

    async def related(self, request: RelatedRequest, parents: Sequence[str]) -> dict[str, RelatedPage]:
        """The neighbours that the parents had."""
        topology = await self._topologies.at(self.number)
        edges = {
            parent: _edges(topology, parent, request.relationship, request.outgoing) for parent in parents
        }
        ends = {_far(edge, request.outgoing) for listed in edges.values() for edge in listed}
        items = await self.items(ends)
        neighbours = await self._neighbours_of(request.where, items.values(), topology)
        catalogue = self._store.catalogue
        fitting = {
            item_id for item_id, item in items.items() if holds(request.where, item, catalogue, neighbours.of)
        }
        after = tuple(parse_cursor(request.after, 3, "relation")) if request.after else None
        pages = {}
        for parent, listed in edges.items():
            if parent not in topology.items:
                continue
            found = [
                Neighbour(_edge(edge), items[far])
                for edge in listed
                if (far := _far(edge, request.outgoing)) in fitting
            ]
            found.sort(key=_neighbour_key)
            total = len(found)
            if after is not None:
                found = [neighbour for neighbour in found if _neighbour_key(neighbour) > after]
            has_next = len(found) > request.first
            pages[parent] = RelatedPage(
                tuple(found[: request.first]), has_next, total if request.count else None
            )
        return pages

    async def search(self, text: str, classes: Sequence[str], first: int) -> list[tuple[Item, float]]:
        """Items that had the words; those that changed since come after those that did not."""
        catalogue = self._store.catalogue
        found = await self._present.search_where(text, classes, first, until_version=self.number)
        states = await self._overlay()
        words, properties = words_of(text), searched_properties(catalogue)
        hits = {item.id: (self._past(item), score) for item, score in found if item.id not in states}
        for item in self._existing(states):
            if classes and not any(_is_a(catalogue, item, name) for name in classes):
                continue
            seen = [word for name in properties for word in words_of(str(read_value(item, name) or ""))]
            if words and has_words(words, seen):
                hits[item.id] = (self._past(item), 0.0)
        listed = dict(list(hits.items())[:first])
        dated = await self._dated({item_id: item for item_id, (item, _) in listed.items()})
        return [(dated[item_id], score) for item_id, (_, score) in listed.items()]

    # --- the overlay --------------------------------------------------------------------------------------------------

    async def _overlay(self) -> Mapping[str, Item | None]:
        """The states at `number` of every item that was changed since, up to the head of this moment."""
        head = await self._store.head()
        async with self._lock:
            while self._head < head:
                head = await self._extend(head)
        return self._states

    async def _extend(self, head: int) -> int:
        changes = await self._topologies.changes(self._head, head)
        fresh = [change for change in changes if change.item_id not in self._states]
        net = await asyncio.to_thread(compose, fresh)
        touched = {change.item_id for change in fresh}
        alive = [
            i for i in touched if i not in net or (net[i].before is not None and net[i].after is not None)
        ]
        present: dict[str, Item] = {}
        for start in range(0, len(alive), FETCH):
            present.update(await self._present.items(alive[start : start + FETCH]))
        newest = max((item.version for item in present.values()), default=0)
        if newest > head:
            return newest  # written to meanwhile: take that back too, in one go
        states = {item_id: _at_start(net.get(item_id), present.get(item_id)) for item_id in touched}
        self._states = {**self._states, **states}
        self._head = head
        return head

    @staticmethod
    def _existing(states: Mapping[str, Item | None]) -> list[Item]:
        return [item for item in states.values() if item is not None]

    async def _matching(self, class_name: str, where: Condition, suspects: Sequence[str]) -> list[Item]:
        """Those of the overlay, and of the suspects, that met the condition."""
        states = dict(await self._overlay())
        missing = [item_id for item_id in suspects if item_id not in states]
        if missing:
            states.update(await self._present.items(missing))
        catalogue = self._store.catalogue
        candidates = [item for item in self._existing(states) if _is_a(catalogue, item, class_name)]
        neighbours = await self._neighbours_of(where, candidates, None)
        return [item for item in candidates if holds(where, item, catalogue, neighbours.of)]

    async def _suspects(self, where: Condition) -> Sequence[str]:
        """Unchanged items for which a condition on related items may read differently in the present: those from
        which a changed item is reached over the relationships that the condition names, now or then."""
        relationships = list(relationships_in(where))
        if not relationships:
            return ()
        states = await self._overlay()
        then, now = await self._topologies.at(self.number), await self._topologies.at_head()
        found: set[str] = set()
        frontier = set(states)
        for _ in relationships:
            frontier = {
                _far(edge, not outgoing)
                for item_id in frontier
                for kind, outgoing in relationships
                for topology in (then, now)
                for edge in _edges(topology, item_id, kind, not outgoing)
            } - found
            found |= frontier
        return sorted(found - states.keys())

    async def _neighbours_of(
        self, where: Condition, items: Iterable[Item], topology: Topology | None
    ) -> _Neighbours:
        """Everything that a condition on related items can ask for, starting at these items."""
        relationships = list(relationships_in(where))
        if not relationships:
            return _Neighbours(None, {})
        topology = topology or await self._topologies.at(self.number)
        known: set[str] = set()
        frontier = {item.id for item in items}
        for _ in relationships:
            frontier = {
                _far(edge, outgoing)
                for item_id in frontier
                for kind, outgoing in relationships
                for edge in _edges(topology, item_id, kind, outgoing)
            } - known
            known |= frontier
        return _Neighbours(topology, await self.items(known))

    def _past(self, item: Item) -> PastItem:
        return PastItem(
            item.id,
            item.class_name,
            item.name,
            item.lifecycle,
            item.version,
            item.created_at,
            item.updated_at,
            item.attributes,
            self.number,
        )

    async def _dated(self, items: Mapping[str, Item]) -> dict[str, Item]:
        """The items with the version and times that they had: of those in the overlay the ledger knows them."""
        changed = [
            item_id for item_id, item in items.items() if item.version > self.number or not item.version
        ]
        if not changed:
            return dict(items)
        rows = await self._store.connection.read(TOUCHED, {"ids": changed, "number": self.number})
        facts = {row["id"]: row for row in rows}
        return {i: _with_dates(item, facts[i]) if i in facts else item for i, item in items.items()}


@dataclass(frozen=True, slots=True)
class _Neighbours:
    topology: Topology | None
    items: Mapping[str, Item]

    def of(self, item_id: str, relationship: str, outgoing: bool) -> list[Item]:
        if self.topology is None:
            return []
        edges = _edges(self.topology, item_id, relationship, outgoing)
        return [self.items[far] for edge in edges if (far := _far(edge, outgoing)) in self.items]


def _keys_of(catalogue: Catalogue, item: Item) -> tuple[str, ...]:
    """The identity keys of an item's fields; none by rules of today that it does not fit."""
    if item.class_name not in catalogue.classes:
        return ()
    try:
        return rule_keys(catalogue, item.class_name, item.fields, ())
    except InvalidValue:
        return ()


def _at_start(change: ItemChange | None, present: Item | None) -> Item | None:
    """The item before a net change; None if it was not there."""
    if change is None:
        return present
    if change.before is None:
        return None
    fields: dict[str, Any] = dict(change.before)
    if change.after is not None:
        if present is None:
            raise NotFound("item", change.item_id, "it was deleted while its past was read; ask again")
        gone = {name for name in change.after if name not in change.before}
        fields = {**{k: v for k, v in present.fields.items() if k not in gone}, **fields}
    return _item(change.item_id, fields, present)


def _item(item_id: str, fields: Fields, present: Item | None) -> Item:
    values: dict[str, Any] = dict(fields)
    return Item(
        id=item_id,
        class_name=values.pop("class"),
        name=values.pop("name"),
        lifecycle=values.pop("lifecycle"),
        version=present.version if present else 0,
        created_at=present.created_at if present else "",
        updated_at=present.updated_at if present else "",
        attributes=values,
    )


def _with_dates(item: Item, row: Mapping[str, Any]) -> PastItem:
    return PastItem(
        item.id,
        item.class_name,
        item.name,
        item.lifecycle,
        row["last"],
        row["created_at"],
        row["updated_at"],
        item.attributes,
        item.at if isinstance(item, PastItem) else 0,
    )


def _is_a(catalogue: Catalogue, item: Item, class_name: str) -> bool:
    return item.class_name in catalogue.classes and catalogue.is_a(item.class_name, class_name)


def _edges(topology: Topology, item_id: str, relationship: str, outgoing: bool) -> list[TopologyEdge]:
    edges = topology.dependencies_of(item_id) if outgoing else topology.dependents_of(item_id)
    return [edge for edge in edges if edge.type == relationship]


def _far(edge: TopologyEdge, outgoing: bool) -> str:
    return edge.target if outgoing else edge.source


def _edge(edge: TopologyEdge) -> Edge:
    required = str(edge.required) if edge.required is not None else None
    facts = EdgeFacts(required, edge.strength, edge.confidence)
    return Edge(EdgeKey(edge.type, edge.source, edge.target, edge.group or ""), facts, 0)


def _neighbour_key(neighbour: Neighbour) -> tuple[str, str, str]:
    return neighbour.item.name, neighbour.item.id, neighbour.edge.key.group


@dataclass(frozen=True, slots=True)
class _Reversed:
    """A value that sorts the other way round."""

    value: Any

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.value < self.value)


def _sort_key(value: object, item_id: str, order: Order) -> tuple[bool, object, str]:
    if value is None:
        return (True, 0, item_id)
    return (False, _Reversed(value) if order.descending else value, item_id)


def _key(item: Item, order: Order) -> tuple[bool, Any, str]:
    return _sort_key(read_value(item, order.attribute), item.id, order)


def _position_key(position: Position, order: Order) -> tuple[bool, Any, str]:
    return _sort_key(position.value, position.id, order)
