"""Items and edges as Neo4j has them become columns of a topology: the first load, and what one of them means.

Promises: bounded pieces, so that a million items need no more memory in Neo4j than the private server gives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from cmdb.model.catalogue import Catalogue
from cmdb.model.columns import Ids, Int32s, Int64s, Texts
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.model.packed_columns import Columns, Kind, Label, label_of
from cmdb.model.topology import Confidence, Strength, TopologyEdge
from cmdb.store.connection import Connection

# Packed: an item is a place in five columns, an edge one number in the row of those that say the same. A row for each
# costs a minute for four million edges; the numbers are Neo4j's own, which fit into 32 bits each. In pieces, in the
# order of the index: all at once a million items take more memory than the private server gives a transaction.
LOAD_ITEMS = """
MATCH (i:Item) USING RANGE INDEX i:Item(id) WHERE i.id > $after
WITH i ORDER BY i.id LIMIT $piece
RETURN collect(id(i)) AS keys, collect(i.id) AS ids, collect(i.name) AS names,
       collect(i.class) AS classes, collect(coalesce(i.lifecycle, '')) AS lifecycles,
       collect(coalesce(i.criticality, '')) AS criticalities"""
LOAD_EDGES = """
MATCH (a:Item) USING RANGE INDEX a:Item(id) WHERE $after < a.id <= $until
MATCH (a)-[r]->(b:Item)
RETURN type(r) AS type, r.group AS group, r.required AS required, r.strength AS strength,
       r.confidence AS confidence, collect(id(a) * 4294967296 + id(b)) AS ends"""
PIECE = 100_000
"""Items that are read at once, and the edges from as many."""

SPARSE = 32
"""Neo4j's numbers of items are looked up in a table of so many places an item at most."""
LOAD_SECONDS = 600.0

Pieces: TypeAlias = list[Mapping[str, Any]]


async def read_pieces(connection: Connection) -> tuple[Pieces, Pieces]:
    """Pieces of items, then of edges. What is made or goes meanwhile is among the changes since."""
    items: Pieces = []
    edges: Pieces = []
    bounds = [""]
    while not items or len(items[-1]["ids"]) == PIECE:
        items += await connection.read(
            LOAD_ITEMS, {"after": bounds[-1], "piece": PIECE}, deadline=LOAD_SECONDS
        )
        bounds += items[-1]["ids"][-1:]
    for after, until in pairwise(bounds):
        edges += await connection.read(LOAD_EDGES, {"after": after, "until": until}, deadline=LOAD_SECONDS)
    return items, edges


def packed_columns(
    catalogue: Catalogue, items: Sequence[Mapping[str, Any]], edges: Sequence[Mapping[str, Any]]
) -> Columns:
    """The columns of what `read_pieces` gave; linear, and for a thread."""
    kinds: dict[Kind, int] = {}
    codes: dict[tuple[str, str, str], int] = {}
    ids: list[str] = []
    names: list[str] = []
    kind_codes: list[int] = []
    for piece in items:
        ids += piece["ids"]
        names += piece["names"]
        for facts in zip(piece["classes"], piece["lifecycles"], piece["criticalities"], strict=True):
            code = codes.get(facts)
            if code is None:
                code = codes[facts] = kinds.setdefault(kind_in(catalogue, *facts), len(kinds))
            kind_codes.append(code)
    keys = np.concatenate([np.array(piece["keys"], np.int64) for piece in items])
    find = _finder(keys)
    sources, targets, labels = [], [], []
    table: dict[Label, int] = {}
    for row in edges:
        ends = np.array(row["ends"], np.int64)
        facts_of = EdgeFacts(
            row["required"] or None, row["strength"] or None, row["confidence"] or "declared"
        )
        edge = topology_edge(catalogue, EdgeKey(row["type"], "", "", row["group"] or ""), facts_of)
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
        Ids.of(ids),
        Texts.of(names),
        np.array(kind_codes, np.uint32),
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
