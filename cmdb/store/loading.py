"""Loading the part of the estate that ChangeSets are planned against, inside the transaction that will write it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import ChangeSet, DeleteEdge, DeleteItem, PutEdge, PutEntries, PutItem
from cmdb.model.items import Edge, EdgeFacts, EdgeKey, Item
from cmdb.model.planning import EstateState

LOAD_ITEMS = """
UNWIND $ids AS id MATCH (i:Item {id: id}) USING INDEX SEEK i:Item(id)
RETURN properties(i) AS item,
       [(i)-[r]->(t:Item) | [type(r), t.id, r.group, r.required, r.strength, r.confidence, r.version]] AS edges
"""
LOAD = (
    LOAD_ITEMS
    + """
UNION ALL
UNWIND $endpoints AS id MATCH (i:Item {id: id}) USING INDEX SEEK i:Item(id)
RETURN properties(i) AS item, [] AS edges
UNION ALL
UNWIND $ids AS id MATCH (t:Tombstone {id: id}) USING INDEX SEEK t:Tombstone(id)
RETURN properties(t) AS item, null AS edges
"""
)
"""Items with their outgoing edges, end points without, and which of the items are tombstones (`edges` is null)."""
LOAD_INCOMING = """
UNWIND $ids AS id MATCH (t:Item {id: id})<-[r]-(s:Item) USING INDEX SEEK t:Item(id)
RETURN properties(s) AS item, id, type(r) AS type, r.group AS group, r.required AS required,
       r.strength AS strength, r.confidence AS confidence, r.version AS version
"""
LOAD_CLASSES = """
MATCH (i:Item) WHERE i.class IN $classes
RETURN properties(i) AS item,
       [(i)-[r]->(t:Item) | [type(r), t.id, r.group, r.required, r.strength, r.confidence, r.version]] AS edges
"""
LOAD_KEYS = """
UNWIND $keys AS key MATCH (k:IdentityKey {key: key})-[:IDENTIFIES]->(i) USING INDEX SEEK k:IdentityKey(key)
WITH key, i RETURN key, i.id AS holder, [(k:IdentityKey)-[:IDENTIFIES]->(i) | k.key] AS held
"""
LOAD_HELD = """
UNWIND $ids AS id MATCH (k:IdentityKey)-[:IDENTIFIES]->(i:Item {id: id}) USING INDEX SEEK i:Item(id)
RETURN id, collect(k.key) AS held
"""

Run = Callable[[str, Mapping[str, Any]], Awaitable[list[Any]]]
"""Runs one statement in the transaction at hand."""


async def load_state(run: Run, state: EstateState, change_sets: Iterable[ChangeSet]) -> set[str]:
    """Load into `state` what the ChangeSets are about; answer which of the ids they name are tombstones."""
    needs = _needs(state.catalogue, change_sets)
    if needs.classes:
        _take_items(state, await run(LOAD_CLASSES, {"classes": sorted(needs.classes)}))
        needs.endpoints.update(key.target for edges in state.edges.values() for key in edges)
        needs.endpoints.difference_update(state.items)
        moved = (item.id for item in state.items.values() if item.class_name in needs.moved_classes)
        needs.incoming.update(moved)
    tombstones: set[str] = set()
    if needs.whole or needs.endpoints:
        asked = {"ids": sorted(needs.whole), "endpoints": sorted(needs.endpoints - needs.whole)}
        rows = await run(LOAD, asked)
        _take_items(state, (row for row in rows if row["edges"] is not None))
        tombstones.update(row["item"]["id"] for row in rows if row["edges"] is None)
    reclassified = {
        item_id
        for item_id, class_name in needs.put_as
        if item_id in state.items and state.items[item_id].class_name != class_name
    }
    needs.incoming.update(reclassified)
    beyond = {key.target for item_id in reclassified for key in state.edges.get(item_id, ())}
    if beyond - state.items.keys():
        asked = {"ids": [], "endpoints": sorted(beyond - state.items.keys())}
        _take_items(state, await run(LOAD, asked))
    if needs.incoming:
        for row in await run(LOAD_INCOMING, {"ids": sorted(needs.incoming)}):
            item = item_of(row["item"])
            state.items.setdefault(item.id, item)
            facts = EdgeFacts(row["required"], row["strength"], row["confidence"])
            state.add_edge(
                Edge(EdgeKey(row["type"], item.id, row["id"], row["group"]), facts, row["version"])
            )
    if needs.deleted:
        for row in await run(LOAD_HELD, {"ids": sorted(needs.deleted)}):
            state.held.setdefault(row["id"], set()).update(row["held"])
            state.holders.update(dict.fromkeys(row["held"], row["id"]))
    return tombstones


async def load_holders(run: Run, state: EstateState, keys: list[str]) -> bool:
    """Load who holds these identity keys, and what else those hold; answer whether any is held."""
    rows = await run(LOAD_KEYS, {"keys": keys})
    state.holders.update(dict.fromkeys(keys))
    for row in rows:
        state.holders[row["key"]] = row["holder"]
        state.held.setdefault(row["holder"], set()).update(row["held"])
    return bool(rows)


def item_of(properties: Mapping[str, Any]) -> Item:
    """The item that an Item node's properties are."""
    values = dict(properties)
    return Item(
        id=values.pop("id"),
        class_name=values.pop("class"),
        name=values.pop("name"),
        lifecycle=values.pop("lifecycle"),
        version=values.pop("version"),
        created_at=values.pop("created_at"),
        updated_at=values.pop("updated_at"),
        attributes=values,
    )


@dataclass(slots=True)
class _Needs:
    """Which items a batch must load: with their outgoing edges, as end points, with their incoming edges.

    `put_as`: items with the class that an operation gives them. `moved_classes`: those that get other ancestors.
    """

    whole: set[str] = field(default_factory=set)
    endpoints: set[str] = field(default_factory=set)
    incoming: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    moved_classes: set[str] = field(default_factory=set)
    put_as: set[tuple[str, str]] = field(default_factory=set)


def _needs(catalogue: Catalogue, change_sets: Iterable[ChangeSet]) -> _Needs:
    needs = _Needs()
    change_sets = tuple(change_sets)
    entered = {
        name
        for change_set in change_sets
        for operation in change_set.operations
        if isinstance(operation, PutEntries)
        for name in operation.entries
    }
    for change_set in change_sets:
        needs.whole.update(change_set.expected, change_set.keys)
        for operation in change_set.operations:
            if isinstance(operation, PutItem):
                needs.whole.add(operation.id)
                if operation.class_name:
                    needs.put_as.add((operation.id, operation.class_name))
            elif isinstance(operation, DeleteItem):
                needs.whole.add(operation.id)
                needs.incoming.add(operation.id)
                needs.deleted.add(operation.id)
            elif isinstance(operation, PutEdge | DeleteEdge):
                needs.whole.add(operation.key.source)
                needs.endpoints.add(operation.key.target)
                relationship = catalogue.relationships.get(operation.key.type)
                if relationship is not None and (relationship.one_source or relationship.name in entered):
                    needs.incoming.add(operation.key.target)
            else:
                needs.classes |= _classes_concerned(catalogue, operation)
                needs.moved_classes |= _classes_moved(catalogue, operation)
    return needs


def _classes_concerned(catalogue: Catalogue, operation: PutEntries) -> set[str]:
    named: set[str] = set()
    for name in operation.entries:
        if name in catalogue.classes:
            named |= catalogue.subclasses(name)
        elif name in catalogue.lifecycles:
            named |= {c.name for c in catalogue.classes.values() if c.lifecycle.name == name}
        elif name in catalogue.relationships:
            named |= {
                c for source in catalogue.relationships[name].source for c in catalogue.subclasses(source)
            }
    return named


def _classes_moved(catalogue: Catalogue, operation: PutEntries) -> set[str]:
    moved: set[str] = set()
    for name, raw in operation.entries.items():
        known = catalogue.classes.get(name)
        if known and isinstance(raw, Mapping) and raw.get("extends") != known.parent:
            moved |= catalogue.subclasses(name)
    return moved


def _take_items(state: EstateState, rows: Iterable[Any]) -> None:
    for row in rows:
        item = item_of(row["item"])
        state.items[item.id] = item
        for kind, target, group, required, strength, confidence, version in row["edges"]:
            facts = EdgeFacts(required, strength, confidence)
            state.add_edge(Edge(EdgeKey(kind, item.id, target, group), facts, version))
