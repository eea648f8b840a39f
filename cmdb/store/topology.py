"""The estate's topology, read packed from Neo4j once and then kept current from the feed.

Promises: every `Topology` given out is true of exactly one revision, the one it names. A catalogue change (what a
relationship type carries may differ) reads it anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

from cmdb.model.catalogue import Catalogue
from cmdb.model.composition import compose, compose_backwards
from cmdb.model.items import EdgeFacts, EdgeKey, ItemChange
from cmdb.model.planning import CATALOGUE_CLASS
from cmdb.model.topology import Confidence, Topology, TopologyEdge, TopologyItem
from cmdb.store.store import Store

ALL_ITEMS = "MATCH (i:Item) RETURN collect([i.id, i.name, i.class, i.lifecycle]) AS rows"
ALL_EDGES = """
MATCH (s:Item)-[r]->(t:Item)
RETURN collect([type(r), s.id, t.id, r.group, r.required, r.strength, r.confidence]) AS rows
"""
LOAD_DEADLINE = 120.0
KEPT_PAST = 8
"""How many past topologies are kept for repeated as-of questions."""


class LiveTopology:
    """The topology of a store's estate. It is read at the first question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = asyncio.Lock()
        self._current: Topology | None = None
        self._past: dict[int, Topology] = {}
        store.on_catalogue_change(lambda _catalogue: self._forget())

    async def at_head(self) -> Topology:
        """The topology at the ledger's present head, so that everybody reads his own writes."""
        head = await self._store.head()
        async with self._lock:
            if self._current is None:
                self._current = await self._load()
            if self._current.revision < head:
                net = compose(await self._collected(self._current.revision, head))
                self._current = await self._moved(self._current, head, net)
            return self._current

    async def at(self, revision: int) -> Topology:
        """The topology as it was at a past revision: the present one, with the ledger run backwards."""
        present = await self.at_head()
        if revision >= present.revision:
            return present
        if revision not in self._past:
            net = compose_backwards(await self._collected(revision, present.revision))
            topology = await self._moved(present, revision, net)
            while len(self._past) >= KEPT_PAST:
                self._past.pop(next(iter(self._past)))
            self._past[revision] = topology
        return self._past[revision]

    def _forget(self) -> None:
        self._current = None
        self._past.clear()

    async def _load(self) -> Topology:
        """Read everything; what was committed meanwhile is laid over what was read."""
        before = await self._store.head()
        read = self._store.connection.read
        [items] = await read(ALL_ITEMS, {}, deadline=LOAD_DEADLINE)
        [edges] = await read(ALL_EDGES, {}, deadline=LOAD_DEADLINE)
        catalogue = self._store.catalogue
        topology = await asyncio.to_thread(_build, before, catalogue, items["rows"], edges["rows"])
        head = await self._store.head()
        net = compose(await self._collected(before, head))
        return await self._moved(topology, head, net)

    async def _collected(self, after: int, until: int) -> list[ItemChange]:
        return [change async for _, changes in self._store.history.changes(after, until) for change in changes]

    async def _moved(self, topology: Topology, revision: int, net: Mapping[str, ItemChange]) -> Topology:
        catalogue = self._store.catalogue
        if len(net) < 200:
            return moved(topology, catalogue, revision, net.values())
        return await asyncio.to_thread(moved, topology, catalogue, revision, net.values())


def moved(topology: Topology, catalogue: Catalogue, revision: int, net: Iterable[ItemChange]) -> Topology:
    """The topology after net changes (one per item) that lead from its revision to `revision`."""
    put_items: list[TopologyItem] = []
    delete_items: list[str] = []
    put_edges: list[TopologyEdge] = []
    delete_edges: list[tuple[str, str, str, str | None]] = []
    for change in net:
        if change.class_name == CATALOGUE_CLASS:
            continue
        if change.after is None:
            delete_items.append(change.item_id)
        else:
            put_items.append(_item(topology, catalogue, change, change.after))
        for edge in change.edges:
            if edge.after is None:
                delete_edges.append((edge.key.type, edge.key.source, edge.key.target, edge.key.group or None))
            else:
                put_edges.append(_edge(catalogue, edge.key, edge.after))
    return topology.with_changes(
        revision, put_items=put_items, delete_items=delete_items, put_edges=put_edges, delete_edges=delete_edges
    )


def _item(topology: Topology, catalogue: Catalogue, change: ItemChange, after: Mapping[str, Any]) -> TopologyItem:
    old = topology.items.get(change.item_id)
    class_name = after.get("class", old.class_name if old else change.class_name)
    item_class = catalogue.classes.get(class_name)
    return TopologyItem(
        id=change.item_id,
        name=after.get("name", old.name if old else change.name),
        class_name=class_name,
        layer=item_class.layer if item_class else None,
        lifecycle=after.get("lifecycle", old.lifecycle if old else None),
    )


def _edge(catalogue: Catalogue, key: EdgeKey, facts: EdgeFacts) -> TopologyEdge:
    return TopologyEdge(
        type=key.type,
        source=key.source,
        target=key.target,
        group=key.group or None,
        required=_required(facts.required),
        strength=_strength(catalogue, key.type, facts.strength),
        confidence=cast(Confidence, facts.confidence),
    )


def _required(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text


def _strength(catalogue: Catalogue, kind: str, own: str | None) -> Literal["hard", "soft"] | None:
    relationship = catalogue.relationships.get(kind)
    effective = own or (relationship.dependency if relationship else "none")
    return None if effective == "none" else cast(Literal["hard", "soft"], effective)


def _build(
    revision: int, catalogue: Catalogue, items: Iterable[list[str]], edges: Iterable[list[str]]
) -> Topology:
    layers = {name: item_class.layer for name, item_class in catalogue.classes.items()}
    nodes = {row[0]: TopologyItem(row[0], row[1], row[2], layers.get(row[2]), row[3]) for row in items}
    built = (
        _edge(catalogue, EdgeKey(kind, source, target, group), EdgeFacts(required, strength, confidence))
        for kind, source, target, group, required, strength, confidence in edges
        if source in nodes and target in nodes
    )
    return Topology.build(revision, nodes.values(), built)
