"""The estate as a `Topology`, kept in step with the ledger: what traversal and impact run on.

Promises: `at_head` is true of at least the revision that was committed when it was called (also by another replica);
`at` gives any earlier one by taking the changes back. The first load reads ids in bulk and edges as packed columns, one
row per relationship type; afterwards only what changed is read. Topologies are immutable: whoever has one keeps it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cmdb.model.catalogue import Catalogue
from cmdb.model.composition import compose_backwards, latest
from cmdb.model.items import EdgeChange, EdgeFacts, EdgeKey, ItemChange
from cmdb.model.planning import CATALOGUE_CLASS
from cmdb.model.topology import Confidence, Strength, Topology, TopologyEdge, TopologyItem
from cmdb.store.store import Store

LOAD_ITEMS = """
MATCH (i:Item) RETURN collect(id(i)) AS keys, collect(i.id) AS ids, collect(i.name) AS names,
                      collect(i.class) AS classes, collect(i.lifecycle) AS lifecycles"""
LOAD_EDGES = """
MATCH (a:Item)-[r]->(b:Item)
RETURN type(r) AS type, collect(id(a) * 4294967296 + id(b)) AS ends, collect(coalesce(r.group, '')) AS groups,
       collect(coalesce(r.required, '')) AS required, collect(coalesce(r.strength, '')) AS strengths,
       collect(coalesce(r.confidence, 'declared')) AS confidences"""

LOAD_SECONDS = 120.0
KEPT_CHANGES = range(1_000, 50_000)
"""So many changes are kept for the next question: fewer are quickly read, more would fill the memory."""
KEPT_PAST = 4
"""How many topologies of the past are kept for the next question."""


class LiveTopology:
    """Holds the topology of the head and a few of the past. One for a process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._current: Topology | None = None
        self._past: dict[int, Topology] = {}
        self._lock = asyncio.Lock()
        self._digest = ""
        self._changes: tuple[int, int, list[ItemChange]] = (0, 0, [])

    async def changes(self, after: int, until: int) -> list[ItemChange]:
        """Every change to items of the revisions `after` < n <= `until`, in their order.

        The last answer is kept: an as-of question asks for it twice, for items and for edges.
        """
        if self._changes[:2] != (after, until):
            found = [
                change
                async for _, changes in self._store.history.changes(after, until)
                for change in changes
                if change.class_name != CATALOGUE_CLASS
            ]
            if len(found) not in KEPT_CHANGES:
                return found
            self._changes = (after, until, found)
        return self._changes[2]

    async def at_head(self) -> Topology:
        """The topology of the ledger's head, or of a later revision."""
        head = await self._store.head()
        current = self._current
        if current is not None and current.revision >= head and self._digest == self._store.catalogue.digest:
            return current
        async with self._lock:
            return await self._refresh(head)

    async def at(self, revision: int) -> Topology:
        """The topology as of a revision."""
        present = await self.at_head()
        if revision == present.revision:
            return present
        kept = self._past.get(revision)
        if kept is not None:
            return kept
        changes = await self.changes(revision, present.revision)
        catalogue = self._store.catalogue
        past = await asyncio.to_thread(
            lambda: _after(present, compose_backwards(changes).values(), revision, catalogue)
        )
        self._past[revision] = past
        while len(self._past) > KEPT_PAST:
            del self._past[next(iter(self._past))]
        return past

    async def _refresh(self, head: int) -> Topology:
        catalogue = self._store.catalogue
        if self._current is None or self._digest != catalogue.digest:
            # Layers and strengths come from the catalogue: another one is another topology.
            self._current, self._digest = await self._load(head, catalogue), catalogue.digest
            self._past.clear()
            head = await self._store.head()
        current = self._current
        if head > current.revision:
            changes = await self.changes(current.revision, head)
            if len(changes) < 200:
                current = _moved(current, changes, head, catalogue)
            else:
                current = await asyncio.to_thread(_moved, current, changes, head, catalogue)
            self._current = current
        return current

    async def _load(self, head: int, catalogue: Catalogue) -> Topology:
        """What Neo4j has now, called `head`; later changes may be in it, and taking them up again is harmless."""
        read = self._store.connection.read
        [items] = await read(LOAD_ITEMS, {}, deadline=LOAD_SECONDS)
        edges = {row["type"]: row for row in await read(LOAD_EDGES, {}, deadline=LOAD_SECONDS)}
        return await asyncio.to_thread(_unpacked, head, catalogue, items, edges)


def _moved(
    topology: Topology, changes: Iterable[ItemChange], revision: int, catalogue: Catalogue
) -> Topology:
    """The topology after changes some of which may be in it already, as they are when it was read meanwhile."""
    return _after(topology, latest(changes).values(), revision, catalogue)


def _unpacked(
    head: int, catalogue: Catalogue, items: Mapping[str, Any], edges: Mapping[str, Any]
) -> Topology:
    ids = dict(zip(items["keys"], items["ids"], strict=True))
    columns = zip(items["ids"], items["names"], items["classes"], items["lifecycles"], strict=True)
    listed = [_item(catalogue, *row) for row in columns]
    return Topology.build(head, listed, _edges_of(catalogue, ids, edges))


def _edges_of(
    catalogue: Catalogue, ids: Mapping[int, str], edges: Mapping[str, Any]
) -> Iterator[TopologyEdge]:
    for kind, columns in edges.items():
        names = ("ends", "groups", "required", "strengths", "confidences")
        for ends, group, required, strength, confidence in zip(*(columns[n] for n in names), strict=True):
            source, target = ids.get(ends >> 32), ids.get(ends & 0xFFFFFFFF)
            if source is None or target is None:
                continue  # made while we were loading: the changes since then bring it
            facts = EdgeFacts(required or None, strength or None, confidence)
            yield topology_edge(catalogue, EdgeKey(kind, source, target, group), facts)


def _item(
    catalogue: Catalogue, item_id: str, name: str, class_name: str, lifecycle: str | None
) -> TopologyItem:
    item_class = catalogue.classes.get(class_name)
    return TopologyItem(item_id, name, class_name, item_class.layer if item_class else None, lifecycle)


def topology_edge(catalogue: Catalogue, key: EdgeKey, facts: EdgeFacts) -> TopologyEdge:
    """An edge as the topology has it: its effective strength, a count as a number."""
    relationship = catalogue.relationships.get(key.type)
    strength = facts.strength or (relationship.dependency if relationship is not None else "none")
    required: int | str | None = facts.required
    if isinstance(required, str) and required.isascii() and required.isdigit():
        required = int(required)
    return TopologyEdge(
        key.type,
        key.source,
        key.target,
        key.group or None,
        required,
        None if strength == "none" else cast(Strength, strength),
        cast(Confidence, facts.confidence),
    )


@dataclass(slots=True)
class _Delta:
    items: list[TopologyItem]
    gone: list[str]
    edges: list[TopologyEdge]
    cut: list[tuple[str, str, str, str | None]]


def _after(
    topology: Topology, changes: Iterable[ItemChange], revision: int, catalogue: Catalogue
) -> Topology:
    """The topology after net changes; an end that is missing in spite of them belongs to an edge that is gone."""
    delta = _Delta([], [], [], [])
    put: list[EdgeChange] = []
    for change in changes:
        if change.after is None:
            delta.gone.append(change.item_id)
        else:
            delta.items.append(_changed(topology, change, catalogue))
        for edge in change.edges:
            if edge.after is None:
                delta.cut.append((edge.key.type, edge.key.source, edge.key.target, edge.key.group or None))
            else:
                put.append(edge)
    there = topology.items.keys() - set(delta.gone) | {item.id for item in delta.items}
    for edge in put:
        if edge.after is not None and edge.key.source in there and edge.key.target in there:
            delta.edges.append(topology_edge(catalogue, edge.key, edge.after))
    return topology.with_changes(
        revision,
        put_items=delta.items,
        delete_items=delta.gone,
        put_edges=delta.edges,
        delete_edges=delta.cut,
    )


def _changed(topology: Topology, change: ItemChange, catalogue: Catalogue) -> TopologyItem:
    old, after = topology.items.get(change.item_id), change.after or {}
    name = after.get("name", old.name if old else change.name)
    class_name = after.get("class", old.class_name if old else change.class_name)
    lifecycle = after.get("lifecycle", old.lifecycle if old else None)
    return _item(catalogue, change.item_id, str(name), str(class_name), str(lifecycle) if lifecycle else None)
