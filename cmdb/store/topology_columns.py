"""Items and edges as Neo4j has them become columns of a topology: the first load, and what one of them means.

Promises: bounded pieces, so that a million items need no more memory in Neo4j than the private server gives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from cmdb.model.catalogue import Catalogue
from cmdb.model.columns import Ids, Int32s, Int64s, Texts
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.model.packed_columns import Columns, Kind, Label, label_of
from cmdb.model.topology import Confidence, Strength, TopologyEdge
from cmdb.store.connection import Connection
from cmdb.store.cypher import fill, quoted

# Packed: an item is a place in three columns of those that are of one kind, an edge one number in the row of those that
# say the same. A row for each costs a minute for four million edges; the numbers are Neo4j's own, which fit into 32
# bits each. In parts: all at once a million items take more memory than the private server gives a transaction.
# Items and edges, type by type, in the order in which they lie in the store: through the index of ids items take a
# third longer, and to look for the edges of each item takes three times as long. Each part looks at all of its label or
# type, a tenth of a second for a million. A projection reads several properties at once: half the time for edges.
COUNT_ITEMS = "MATCH (i:Item) RETURN count(i) AS items"
LOAD_ITEMS = """
MATCH (i:Item) WHERE id(i) % $parts = $part
WITH i, i {.id, .name, .class, .lifecycle, .criticality} AS facts
WITH facts.class AS class, facts.lifecycle AS lifecycle, facts.criticality AS criticality,
     collect(id(i)) AS keys, collect(facts.id) AS ids, collect(facts.name) AS names
UNWIND range(0, size(keys) - 1, $row) AS first
RETURN class, lifecycle, criticality,
       keys[first..first + $row] AS keys, ids[first..first + $row] AS ids, names[first..first + $row] AS names"""
EDGE_TYPES = "CALL db.relationshipTypes() YIELD relationshipType AS type RETURN collect(type) AS types"
COUNT_EDGES = "MATCH ()-[r:<<type>>]->() RETURN count(r) AS edges"
LOAD_EDGES = """
MATCH (a)-[r:<<type>>]->(b) WHERE id(r) % $parts = $part
WITH r {.group, .required, .strength, .confidence} AS facts, collect(id(a) * 4294967296 + id(b)) AS ends
UNWIND range(0, size(ends) - 1, $row) AS first
RETURN $type AS type, facts.group AS group, facts.required AS required, facts.strength AS strength,
       facts.confidence AS confidence, ends[first..first + $row] AS ends"""
ITEMS_AT_ONCE, EDGES_AT_ONCE = 150_000, 1_000_000
"""Items, and edges of one type, that one statement brings, or a few more."""
ITEMS_A_ROW, EDGES_A_ROW = 5_000, 20_000
"""How many of them a row brings: the interpreter is held while one is read."""
AT_ONCE = 2
"""Statements for edges that run at once, beside the one for items."""

SPARSE = 32
"""Neo4j's numbers of items are looked up in a table of so many places an item at most."""
LOAD_SECONDS = 600.0

Pieces: TypeAlias = list[Mapping[str, Any]]


async def read_pieces(connection: Connection, catalogue: Catalogue) -> tuple[Pieces, Pieces]:
    """Pieces of items, and of edges. What is made or goes meanwhile is among the changes since.

    Raises:
        StoreUnavailable, DeadlineExceeded: of one of the statements; the others are given up.
    """
    [row] = await connection.read(EDGE_TYPES, {})
    turn = asyncio.Semaphore(AT_ONCE)
    try:
        async with asyncio.TaskGroup() as group:
            items = group.create_task(_read_items(connection))
            edges = [
                group.create_task(_read_edges(connection, edge_type, turn))
                for edge_type in sorted({*row["types"]} & catalogue.relationships.keys())
            ]
    except (
        ExceptionGroup
    ) as failed:  # who waits for the load knows errors of the store, and no groups of them
        raise failed.exceptions[0] from None
    return items.result(), [piece for task in edges for piece in task.result()]


async def _read_items(connection: Connection) -> Pieces:
    [row] = await connection.read(COUNT_ITEMS, {})
    given = {"parts": -(-row["items"] // ITEMS_AT_ONCE), "row": ITEMS_A_ROW}
    items: Pieces = []
    for part in range(given["parts"]):
        items += await connection.read(LOAD_ITEMS, {**given, "part": part}, deadline=LOAD_SECONDS)
    return items


async def _read_edges(connection: Connection, edge_type: str, turn: asyncio.Semaphore) -> Pieces:
    edges: Pieces = []
    count = fill(COUNT_EDGES, type=quoted(edge_type))
    load = fill(LOAD_EDGES, type=quoted(edge_type))
    async with turn:
        [row] = await connection.read(count, {})
        given = {"type": edge_type, "parts": -(-row["edges"] // EDGES_AT_ONCE), "row": EDGES_A_ROW}
        for part in range(given["parts"]):
            edges += await connection.read(load, {**given, "part": part}, deadline=LOAD_SECONDS)
    return edges


def packed_columns(catalogue: Catalogue, items: Pieces, edges: Pieces) -> Columns:
    """The columns of what `read_pieces` gave; linear, and for a thread, which has another help it."""
    with ThreadPoolExecutor(1) as aside:
        ids = aside.submit(lambda: Ids.of([item_id for row in items for item_id in row["ids"]]))
        names = aside.submit(lambda: Texts.of([name for row in items for name in row["names"]]))
        return _packed(catalogue, items, edges, ids, names)


def _packed(
    catalogue: Catalogue, items: Pieces, edges: Pieces, ids: Future[Ids], names: Future[Texts]
) -> Columns:
    kinds: dict[Kind, int] = {}
    kind_codes = []
    for row in items:
        kind = kind_in(catalogue, row["class"], row["lifecycle"] or "", row["criticality"] or "")
        kind_codes.append(np.full(len(row["ids"]), kinds.setdefault(kind, len(kinds)), np.uint32))
    keys = np.concatenate([np.empty(0, np.int64), *(np.array(row["keys"], np.int64) for row in items)])
    find = _finder(keys)
    sources, targets, labels = [], [], []
    table: dict[Label, int] = {}
    for row in edges:
        ends = np.array(row["ends"], np.int64)
        facts = EdgeFacts(row["required"] or None, row["strength"] or None, row["confidence"] or "declared")
        edge = topology_edge(catalogue, EdgeKey(row["type"], "", "", row["group"] or ""), facts)
        source, source_known = find(ends >> 32)
        target, target_known = find(ends & 0xFFFFFFFF)
        known = (
            source_known & target_known
        )  # others were made while we were loading: the changes since bring them
        sources.append(source[known])
        targets.append(target[known])
        code = table.setdefault(label_of(edge), len(table))
        labels.append(np.full(int(known.sum()), code, np.uint32))
    none = [np.empty(0, np.int32)]
    return Columns.pack(
        ids.result(),
        names.result(),
        np.concatenate([np.empty(0, np.uint32), *kind_codes]),
        tuple(kinds),
        np.concatenate(sources or none),
        np.concatenate(targets or none),
        np.concatenate(labels or [np.empty(0, np.uint32)]),
        tuple(table),
    )


_Numbered: TypeAlias = tuple[Int32s, npt.NDArray[np.bool_]]


def _finder(keys: Int64s) -> Callable[[Int64s], _Numbered]:
    """A function that gives the places of others among `keys`, and which of them are there at all.

    Neo4j's numbers lie close together, so that a table of all up to the largest is small, and ten times faster than
    a search; where they do not, it is a search.
    """
    size = int(keys.max(initial=-1)) + 1
    if size <= SPARSE * len(keys) + 1_000_000:
        table = np.full(size + 1, -1, np.int32)
        table[keys] = np.arange(len(keys), dtype=np.int32)

        def look_up(wanted: Int64s) -> _Numbered:
            numbers = table[np.minimum(wanted, size)]
            return numbers, numbers >= 0

        return look_up
    order = np.argsort(keys)
    ascending = keys[order]

    def search(wanted: Int64s) -> _Numbered:
        places = np.minimum(np.searchsorted(ascending, wanted), len(keys) - 1)
        return order[places].astype(np.int32), ascending[places] == wanted

    return search


def kind_in(catalogue: Catalogue, class_name: str, lifecycle: str, criticality: str) -> Kind:
    """What an item has in common with others; the layer comes from its class."""
    item_class = catalogue.classes.get(class_name)
    layer = item_class.layer if item_class else None
    return Kind(class_name, layer, lifecycle or None, criticality or None)


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
