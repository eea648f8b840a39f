"""The graph held to the ledger: what all revisions together say must be what is there, to the last property."""

from __future__ import annotations

from typing import Any

from cmdb.model.identity import rule_keys
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.store.loading import item_of
from cmdb.store.store import Store

ITEMS = """
MATCH (i:Item) OPTIONAL MATCH (i)-[r]->(t:Item)
RETURN properties(i) AS item, labels(i) AS labels,
       [e IN collect([type(r), t.id, r.group, r.required, r.strength, r.confidence]) WHERE e[0] IS NOT NULL] AS edges
"""
KEYS = "MATCH (k:IdentityKey) OPTIONAL MATCH (k)-[:IDENTIFIES]->(i) RETURN k.key AS key, collect(i.id) AS holders"
TOMBSTONES = "MATCH (t:Tombstone) RETURN collect(t.id) AS ids"


async def differences(store: Store) -> list[str]:
    """Every way in which the graph is not what the ledger says. Needs a store that nobody writes to.

    The identity keys of sources are not in the ledger and are not compared; nor may there be namesakes.
    """
    head = await store.head()
    versions: dict[str, int] = {}
    async for number, changes in store.history.changes(0, head):
        versions.update((change.item_id, number) for change in changes)
    expected = {
        c.item_id: c for c in await store.history.diff(0, head) if not c.item_id.startswith("catalogue:")
    }
    found: list[str] = []
    seen: set[str] = set()
    keys: set[tuple[str, str]] = set()
    for row in await store.connection.read(ITEMS, {}, deadline=60):
        item = item_of(row["item"])
        seen.add(item.id)
        change = expected.get(item.id)
        if change is None:
            found.append(f"item {item.id} is there; the ledger does not know it")
            continue
        edges = _edges(item.id, row["edges"])
        told = {edge.key: edge.after for edge in change.edges if edge.after is not None}
        _compare(found, f"item {item.id}", item.fields, dict(change.after or {}))
        _compare(found, f"edges of {item.id}", edges, told)
        _compare(found, f"version of {item.id}", item.version, versions[item.id])
        chain = store.catalogue.item_class(item.class_name).chain
        _compare(found, f"labels of {item.id}", sorted(row["labels"]), sorted(chain))
        keys.update((key, item.id) for key in rule_keys(store.catalogue, item.class_name, item.fields, edges))
    found.extend(f"item {missing} is not there" for missing in sorted(expected.keys() - seen))
    held = {(row["key"], *row["holders"]) for row in await store.connection.read(KEYS, {}, deadline=60)}
    _compare(found, "identity keys", {key for key in held if not key[0].startswith("@")}, keys)
    [row] = await store.connection.read(TOMBSTONES, {}, deadline=60)
    gone = {item for item in versions if not item.startswith("catalogue:")} - expected.keys()
    _compare(found, "tombstones", set(row["ids"]), gone)
    return found


def _edges(source: str, rows: list[list[Any]]) -> dict[EdgeKey, EdgeFacts]:
    return {
        EdgeKey(kind, source, target, group): EdgeFacts(required, strength, confidence)
        for kind, target, group, required, strength, confidence in rows
    }


def _compare(found: list[str], what: str, seen: object, told: object) -> None:
    if seen != told:
        if isinstance(seen, set) and isinstance(told, set):
            seen, told = seen - told, told - seen
        found.append(f"{what}: there is {seen}, the ledger says {told}"[:500])
