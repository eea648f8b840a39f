"""What discovery keeps beside the ledger: sources, their runs, and what each source said last of each item.

`(:Source {name})-[:REPORTED {native_key, digest, values, first_seen, last_seen, run}]->(:Item)` keeps a source's own
values, also those that were not taken; it is written with the ChangeSet that brings them in. None of it is
configuration: it has no history. `(:Source)-[:RAN]->(:DiscoveryRun)` says what a run looked at and what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, TypeVar

from neo4j import AsyncManagedTransaction

from cmdb.errors import Overtaken
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import Authorship, ChangeSet, Report
from cmdb.model.items import Edge, EdgeFacts, EdgeKey
from cmdb.model.planning import EstateState
from cmdb.store.connection import Connection
from cmdb.store.loading import LOAD_INCOMING, LOAD_ITEMS, Run, item_of

READ_MARKS = """
UNWIND $ids AS id
MATCH (:Source {name: $source})-[r:REPORTED]->(i:Item {id: id}) USING INDEX SEEK i:Item(id)
RETURN id, r.native_key AS native_key, r.last_seen AS last_seen, r.digest AS digest
"""
LAST_REPORTS = """
UNWIND $rows AS row
MATCH (s:Source {name: row.source})-[r:REPORTED]->(i:Item {id: row.item}) USING INDEX SEEK i:Item(id)
RETURN row.source AS source, row.item AS item, r.last_seen AS seen_at, r.run AS run ORDER BY r.last_seen
"""
REPORT_VALUES = """
MERGE (s:Source {name: $source}) WITH s
UNWIND $rows AS row MATCH (i:Item {id: row.item}) USING INDEX SEEK i:Item(id)
MERGE (s)-[r:REPORTED {native_key: row.native_key}]->(i)
ON CREATE SET r.first_seen = $seen_at
SET r.last_seen = $seen_at, r.run = $run, r.digest = row.digest, r.values = row.values
"""
REPORT_AGAIN = """
UNWIND $rows AS row
MATCH (:Source {name: $source})-[r:REPORTED {native_key: row.native_key}]->(i:Item {id: row.item})
USING INDEX SEEK i:Item(id)
SET r.last_seen = $seen_at, r.run = $run
"""
PUT_RUN = """
MERGE (s:Source {name: $source})
MERGE (r:DiscoveryRun {id: $id}) SET r += $properties
MERGE (s)-[:RAN]->(r)
"""
READ_RUNS = """
MATCH (:Source {name: $source})-[:RAN]->(r:DiscoveryRun)
RETURN properties(r) AS run ORDER BY r.started_at DESC, r.id DESC LIMIT $limit
"""

BATCH = 5_000
"""Rows of one statement."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """When a source last spoke of an item under one of its keys, and a digest of what it said."""

    native_key: str
    last_seen: str
    digest: str


@dataclass(frozen=True, slots=True)
class LastReport:
    """When a source last spoke of an item, and in which run."""

    seen_at: str
    run: str


LastReports = dict[tuple[str, str], LastReport]
"""By source and item."""


@dataclass(frozen=True, slots=True)
class DiscoveryRun:
    """One run of a source: what it looked at, and how it ended (`running`, `done`, `refused`, `failed`).

    Times are instants; `seen_at` is the source's own. `complete`: it saw all that is in its scope.
    """

    id: str
    source: str
    run: str
    scope: str
    complete: bool
    seen_at: str
    started_at: str
    state: str = "running"
    finished_at: str = ""
    items: int = 0
    edges: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    outdated: int = 0
    refused: int = 0
    revision: int = 0


async def load_state(connection: Connection, catalogue: Catalogue, ids: Iterable[str]) -> EstateState:
    """Those of `ids` that exist, with their outgoing edges."""
    state = EstateState(catalogue)
    for batch in batches(ids):
        for row in await connection.read(LOAD_ITEMS, {"ids": batch}):
            item = item_of(row["item"])
            state.items[item.id] = item
            for kind, target, group, required, strength, confidence, version in row["edges"]:
                facts = EdgeFacts(required, strength, confidence)
                state.add_edge(Edge(EdgeKey(kind, item.id, target, group), facts, version))
    return state


async def load_incoming(connection: Connection, state: EstateState, ids: Iterable[str]) -> None:
    """Load into `state` the incoming edges of items, with the items that they come from."""
    for batch in batches(ids):
        for row in await connection.read(LOAD_INCOMING, {"ids": batch}):
            item = item_of(row["item"])
            state.items.setdefault(item.id, item)
            facts = EdgeFacts(row["required"], row["strength"], row["confidence"])
            state.add_edge(
                Edge(EdgeKey(row["type"], item.id, row["id"], row["group"]), facts, row["version"])
            )


async def read_marks(connection: Connection, source: str, ids: Iterable[str]) -> dict[str, list[Mark]]:
    """What a source last said of items, by their id."""
    marks: dict[str, list[Mark]] = {}
    for batch in batches(ids):
        for row in await connection.read(READ_MARKS, {"source": source, "ids": batch}):
            mark = Mark(row["native_key"], row["last_seen"], row["digest"])
            marks.setdefault(row["id"], []).append(mark)
    return marks


async def load_last_reports(run: Run, change_sets: Iterable[tuple[ChangeSet, Authorship]]) -> LastReports:
    """When their sources last spoke of the items that ChangeSets are about."""
    asked = {
        (author.source, item)
        for change_set, author in change_sets
        if change_set.report
        for item in change_set.report.known
    }
    rows = [{"source": source, "item": item} for source, item in sorted(asked)]
    found = await run(LAST_REPORTS, {"rows": rows}) if rows else []
    return {(row["source"], row["item"]): LastReport(row["seen_at"], row["run"]) for row in found}


def check_report(last: LastReports, report: Report, author: Authorship) -> None:
    """Nothing, if the source has not spoken since the report was planned, but in the same run.

    Raises:
        Overtaken: it has.
    """
    for item, known in report.known.items():
        found = last.get((author.source, item))
        if found is not None and found.seen_at != known and found.run != author.run:
            raise Overtaken(author.source, item)


def spoken(report: Report, author: Authorship) -> LastReports:
    """The last reports that a report makes."""
    return {(author.source, said.item): LastReport(report.seen_at, author.run) for said in report.items}


async def record_report(run: Run, report: Report, author: Authorship) -> None:
    """Keep what a source said, in the transaction that brings it in."""
    fixed = {"source": author.source, "run": author.run, "seen_at": report.seen_at}
    fresh = [asdict(said) for said in report.items if said.values is not None]
    again = [
        {"item": said.item, "native_key": said.native_key} for said in report.items if said.values is None
    ]
    if fresh:
        await run(REPORT_VALUES, {**fixed, "rows": fresh})
    if again:
        await run(REPORT_AGAIN, {**fixed, "rows": again})


async def put_run(connection: Connection, run: DiscoveryRun) -> None:
    """Remember how a run stands."""
    properties = asdict(run)
    await _write(connection, PUT_RUN, {"source": run.source, "id": run.id, "properties": properties})


async def read_runs(connection: Connection, source: str, limit: int = 20) -> list[DiscoveryRun]:
    """The last runs of a source, newest first."""
    rows = await connection.read(READ_RUNS, {"source": source, "limit": limit})
    return [DiscoveryRun(**row["run"]) for row in rows]


def batches(values: Iterable[T], size: int = BATCH) -> Iterable[list[T]]:
    """The values in lists of at most `size`."""
    iterator = iter(values)
    while batch := list(islice(iterator, size)):
        yield batch


async def _write(connection: Connection, statement: str, parameters: Mapping[str, Any]) -> None:
    async def work(transaction: AsyncManagedTransaction) -> None:
        await connection.in_transaction(transaction, statement, parameters)

    await connection.write(work, deadline=60.0)
