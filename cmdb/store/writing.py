"""The single write path: waiting ChangeSets are planned together, written in one transaction, each as its own revision.

The ledger node is locked first in the transaction. So writers of all processes take turns: what is read after is what
is written against, nothing is lost, and no two transactions can wait for each other. Within a process one transaction
carries all ChangeSets that wait (group commit), each with its own answer: one that fails does not touch the others.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import orjson
import structlog
from neo4j import AsyncManagedTransaction

from cmdb.errors import CmdbError, IdempotencyMismatch, Problem, StoreUnavailable, ValidationFailed
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import (
    OPERATIONS_LIMIT,
    Authorship,
    ChangeSet,
    DeleteEdge,
    DeleteItem,
    PutEdge,
    PutEntries,
    PutItem,
)
from cmdb.model.entries import parse_entry
from cmdb.model.items import Edge, EdgeFacts, EdgeKey, Item, ItemChange
from cmdb.model.planning import CATALOGUE_CLASS, EstateState, plan_change_set
from cmdb.model.values import format_instant
from cmdb.store.connection import Connection
from cmdb.store.ledger import (
    GENESIS,
    RevisionRecord,
    StoredChange,
    restore_change,
    revision_hash,
    store_change,
)

LOCK_LEDGER = """
MERGE (l:Ledger {name: 'ledger'}) ON CREATE SET l.last = 0, l.hash = $genesis, l.catalogue = 0, l.recorded_at = ''
SET l.locked_by = $token
RETURN l.last AS last, l.hash AS hash, l.catalogue AS catalogue, l.recorded_at AS recorded_at
"""
CATALOGUE_REVISION = "MATCH (l:Ledger {name: 'ledger'}) RETURN l.catalogue AS catalogue"
LOAD_ENTRIES = "MATCH (c:CatalogueEntry) RETURN c.name AS name, c.body AS body ORDER BY name"
LOAD_ANSWERS = """
UNWIND $keys AS key MATCH (k:IdempotencyKey {key: key})
OPTIONAL MATCH (r:Revision {number: k.revision})
OPTIONAL MATCH (r)-[c:CHANGED]->(i)
RETURN key, k.digest AS digest, k.revision AS revision, collect({item: i.id, change: properties(c)}) AS changes
"""
LOAD_ITEMS = """
UNWIND $ids AS id MATCH (i:Item {id: id})
RETURN properties(i) AS item,
       [(i)-[r]->(t:Item) | [type(r), t.id, r.group, r.required, r.strength, r.confidence, r.version]] AS edges
"""
LOAD = (
    LOAD_ITEMS
    + """
UNION ALL
UNWIND $endpoints AS id MATCH (i:Item {id: id}) RETURN properties(i) AS item, [] AS edges
UNION ALL
UNWIND $ids AS id MATCH (t:Tombstone {id: id}) RETURN properties(t) AS item, null AS edges
"""
)
"""Items with their outgoing edges, end points without, and which of the items are tombstones (`edges` is null)."""
LOAD_INCOMING = """
UNWIND $ids AS id MATCH (t:Item {id: id})<-[r]-(s:Item)
RETURN properties(s) AS item, id, type(r) AS type, r.group AS group, r.required AS required,
       r.strength AS strength, r.confidence AS confidence, r.version AS version
"""
LOAD_CLASSES = """
MATCH (i:Item) WHERE i.class IN $classes
RETURN properties(i) AS item,
       [(i)-[r]->(t:Item) | [type(r), t.id, r.group, r.required, r.strength, r.confidence, r.version]] AS edges
"""
LOAD_KEYS = """
UNWIND $keys AS key MATCH (:IdentityKey {key: key})-[:IDENTIFIES]->(i)
WITH key, i RETURN key, i.id AS holder, [(k:IdentityKey)-[:IDENTIFIES]->(i) | k.key] AS held
"""
LOAD_HELD = "UNWIND $ids AS id MATCH (k:IdentityKey)-[:IDENTIFIES]->(:Item {id: id}) RETURN id, collect(k.key) AS held"

WRITE = """
CALL () {
  UNWIND $write.cut_edges AS row MATCH (s:Item {id: row.source})-[r]->(t:Item {id: row.target})
  WHERE type(r) = row.type AND r.group = row.group DELETE r
}
CALL () { UNWIND $write.released_keys AS key MATCH (k:IdentityKey {key: key}) DETACH DELETE k }
CALL () { UNWIND $write.created AS row CREATE (i:$(row.labels)) SET i = row.properties }
CALL () {
  UNWIND $write.revived AS row MATCH (i:Tombstone {id: row.id})
  REMOVE i:Tombstone SET i:$(row.labels) SET i = row.properties
}
CALL () { UNWIND $write.updated AS row MATCH (i:Item {id: row.id}) SET i = row.properties }
CALL () { UNWIND $write.relabelled AS row MATCH (i:Item {id: row.id}) REMOVE i:$(row.old) SET i:$(row.labels) }
CALL () {
  UNWIND $write.buried AS row MATCH (i:Item {id: row.id})
  REMOVE i:$(row.labels) SET i:Tombstone SET i = row.properties
}
CALL () {
  UNWIND $write.created_edges AS row MATCH (s:Item {id: row.source}) MATCH (t:Item {id: row.target})
  CREATE (s)-[r:$(row.type)]->(t) SET r = row.properties
}
CALL () {
  UNWIND $write.updated_edges AS row MATCH (s:Item {id: row.source})-[r]->(t:Item {id: row.target})
  WHERE type(r) = row.type AND r.group = row.group SET r = row.properties
}
CALL () {
  UNWIND $write.claimed_keys AS row MATCH (i:Item {id: row.item})
  CREATE (:IdentityKey {key: row.key})-[:IDENTIFIES]->(i)
}
CALL () {
  UNWIND $write.entries AS row MERGE (c:CatalogueEntry {id: row.id}) SET c.name = row.name, c.body = row.body
}
CALL () { UNWIND $write.revisions AS row CREATE (r:Revision) SET r = row }
CALL () {
  UNWIND $write.item_changes AS row MATCH (r:Revision {number: row.revision}) MATCH (i:Item {id: row.item})
  CREATE (r)-[c:CHANGED]->(i) SET c = row.properties
}
CALL () {
  UNWIND $write.tombstone_changes AS row
  MATCH (r:Revision {number: row.revision}) MATCH (i:Tombstone {id: row.item})
  CREATE (r)-[c:CHANGED]->(i) SET c = row.properties
}
CALL () {
  UNWIND $write.entry_changes AS row
  MATCH (r:Revision {number: row.revision}) MATCH (i:CatalogueEntry {id: row.item})
  CREATE (r)-[c:CHANGED]->(i) SET c = row.properties
}
CALL () { UNWIND $write.answers AS row CREATE (k:IdempotencyKey) SET k = row }
MATCH (l:Ledger {name: 'ledger'}) SET l += $write.ledger
"""
"""All that a transaction writes, in this order. One statement, because each round trip is paid by everyone who waits
(measured: 1.5 to 2.5 times as many ChangeSets a second as with sixteen); one parameter, because Neo4j makes a plan for
each combination of the lists' orders of magnitude."""

T = TypeVar("T")
_log = structlog.get_logger(__name__)

BATCH_REQUESTS = 100
"""Most ChangeSets in one transaction (measured: beyond 100 nothing is gained)."""
THREAD_FROM = 100
"""From this many operations planning goes to a thread, so that the event loop is not held."""
MESSAGE_LIMIT = 4_000


@dataclass(frozen=True, slots=True)
class Applied:
    """The answer to a ChangeSet. `revision` is None where nothing changed (and for a dry run); `head` is the ledger's
    last revision when it was answered; `changes` are what was, or for a dry run would be, changed."""

    revision: int | None
    head: int
    changes: tuple[ItemChange, ...]


@dataclass(slots=True)
class _Request:
    change_set: ChangeSet
    author: Authorship
    key: str | None
    digest: str
    dry_run: bool
    correction: bool
    answer: asyncio.Future[Applied]


@dataclass(slots=True)
class _Batch:
    """What one transaction found and decided."""

    state: EstateState
    last: int
    hash: str
    catalogue_revision: int
    recorded_at: str
    outcomes: list[Applied | CmdbError] = field(default_factory=list)
    revisions: list[RevisionRecord] = field(default_factory=list)
    changes: list[tuple[int, StoredChange]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)


class Writer:
    """Applies ChangeSets for one process. `catalogue` and its revision follow what was committed."""

    def __init__(self, connection: Connection, builtin: Catalogue, *, deadline: float = 60.0) -> None:
        self._connection = connection
        self._builtin = builtin
        self._deadline = deadline
        self._waiting: deque[_Request] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.catalogue = builtin
        self.catalogue_revision = 0
        self.on_commit: list[Callable[[int], None]] = []
        self.on_catalogue: list[Callable[[Catalogue], None]] = []

    def start(self) -> None:
        """Begin to write what is submitted."""
        self._task = asyncio.create_task(self._serve(), name="writer")

    async def close(self) -> None:
        """Finish what was submitted, then stop; later submissions are refused."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    async def submit(
        self,
        change_set: ChangeSet,
        author: Authorship,
        *,
        key: str | None = None,
        dry_run: bool = False,
        correction: bool = False,
    ) -> Applied:
        """Apply a ChangeSet and wait for the commit; see `Store.apply`."""
        if self._closing or self._task is None or self._task.done():
            raise StoreUnavailable("the service is stopping and takes no more changes", 5)
        _check_size(change_set)
        digest = await asyncio.to_thread(_digest, change_set, author) if key else ""
        future: asyncio.Future[Applied] = asyncio.get_running_loop().create_future()
        scoped = f"{author.actor}/{key}" if key else None
        self._waiting.append(_Request(change_set, author, scoped, digest, dry_run, correction, future))
        self._wake.set()
        return await asyncio.shield(future)

    async def _serve(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            batch = self._take()
            work = partial(self._commit, requests=batch, now=format_instant(datetime.now(UTC)))
            try:
                done = await self._connection.write(work, deadline=self._deadline)
            except (
                Exception
            ) as error:  # a defect met by one batch is told to its callers and does not end the writer
                self._settle(batch, [error] * len(batch))
                continue
            if done.catalogue_revision != self.catalogue_revision:
                self._adopt(done.state.catalogue, done.catalogue_revision)
            self._settle(batch, done.outcomes)
            if done.revisions:
                _call_all(self.on_commit, done.last)

    def _adopt(self, catalogue: Catalogue, revision: int) -> None:
        self.catalogue, self.catalogue_revision = catalogue, revision
        _call_all(self.on_catalogue, catalogue)

    async def reload_catalogue(self) -> None:
        """Take up entries that another process committed."""
        head = await self._connection.read(CATALOGUE_REVISION, {})
        if head and head[0]["catalogue"] != self.catalogue_revision:
            rows = await self._connection.read(LOAD_ENTRIES, {})
            self._adopt(_with_entries(self._builtin, rows), head[0]["catalogue"])

    def _take(self) -> list[_Request]:
        batch: list[_Request] = []
        operations = 0
        while self._waiting and len(batch) < BATCH_REQUESTS:
            size = len(self._waiting[0].change_set.operations)
            if batch and operations + size > OPERATIONS_LIMIT:
                break
            operations += size
            batch.append(self._waiting.popleft())
        return batch

    @staticmethod
    def _settle(batch: Sequence[_Request], outcomes: Sequence[Applied | BaseException]) -> None:
        for request, outcome in zip(batch, outcomes, strict=True):
            if request.answer.done():
                continue
            if isinstance(outcome, BaseException):
                request.answer.set_exception(outcome)
                request.answer.exception()
            else:
                request.answer.set_result(outcome)

    # --- inside the transaction ---------------------------------------------------------------------------------------

    async def _commit(self, tx: AsyncManagedTransaction, requests: Sequence[_Request], now: str) -> _Batch:
        run = self._connection.in_transaction
        [ledger] = await run(tx, LOCK_LEDGER, {"token": now, "genesis": GENESIS})
        catalogue = self.catalogue
        if ledger["catalogue"] != self.catalogue_revision:
            catalogue = _with_entries(self._builtin, await run(tx, LOAD_ENTRIES, {}))
        answered = await self._answered(tx, requests)
        initial = EstateState(catalogue)
        tombstones = await self._load(tx, initial, requests)
        stamp = max(now, ledger["recorded_at"])
        heavy = sum(len(r.change_set.operations) for r in requests) >= THREAD_FROM
        while True:
            batch = _Batch(initial.copy(), ledger["last"], ledger["hash"], ledger["catalogue"], stamp)
            if heavy:
                await asyncio.to_thread(_plan_batch, batch, requests, answered)
            else:
                _plan_batch(batch, requests, answered)
            asked = [key for key in batch.state.holders if key not in initial.holders]
            if not asked:
                break
            rows = await run(tx, LOAD_KEYS, {"keys": asked})
            initial.holders.update(dict.fromkeys(asked))
            for row in rows:
                initial.holders[row["key"]] = row["holder"]
                initial.held.setdefault(row["holder"], set()).update(row["held"])
            if not rows:
                break
        if batch.revisions or batch.state.holders != initial.holders:
            await self._write(tx, initial, batch, tombstones)
        return batch

    async def _answered(self, tx: AsyncManagedTransaction, requests: Sequence[_Request]) -> dict[str, Any]:
        keys = [r.key for r in requests if r.key]
        if not keys:
            return {}
        rows = await self._connection.in_transaction(tx, LOAD_ANSWERS, {"keys": keys})
        return {row["key"]: row for row in rows}

    async def _load(
        self, tx: AsyncManagedTransaction, state: EstateState, requests: Sequence[_Request]
    ) -> set[str]:
        run = self._connection.in_transaction
        needs = _needs(state.catalogue, requests)
        if needs.classes:
            _take_items(state, await run(tx, LOAD_CLASSES, {"classes": sorted(needs.classes)}))
            needs.endpoints.update(key.target for edges in state.edges.values() for key in edges)
        tombstones: set[str] = set()
        if needs.whole:
            asked = {"ids": sorted(needs.whole), "endpoints": sorted(needs.endpoints - needs.whole)}
            rows = await run(tx, LOAD, asked)
            _take_items(state, (row for row in rows if row["edges"] is not None))
            tombstones.update(row["item"]["id"] for row in rows if row["edges"] is None)
        if needs.incoming:
            for row in await run(tx, LOAD_INCOMING, {"ids": sorted(needs.incoming)}):
                item = item_of(row["item"])
                state.items.setdefault(item.id, item)
                facts = EdgeFacts(row["required"], row["strength"], row["confidence"])
                state.add_edge(
                    Edge(EdgeKey(row["type"], item.id, row["id"], row["group"]), facts, row["version"])
                )
        if needs.deleted:
            for row in await run(tx, LOAD_HELD, {"ids": sorted(needs.deleted)}):
                state.held.setdefault(row["id"], set()).update(row["held"])
                state.holders.update(dict.fromkeys(row["held"], row["id"]))
        return tombstones

    async def _write(
        self, tx: AsyncManagedTransaction, initial: EstateState, batch: _Batch, tombstones: set[str]
    ) -> None:
        final = batch.state
        touched = sorted({change.item for _, change in batch.changes if change.class_name != CATALOGUE_CLASS})
        rows = _item_rows(initial, batch, touched, tombstones)
        edges = _edge_rows(initial, final, touched)
        claims = [
            {"key": key, "item": item}
            for key, item in sorted(final.holders.items())
            if item is not None and initial.holders.get(key) != item
        ]
        releases = sorted(
            k for k, held_by in initial.holders.items() if held_by and final.holders.get(k) != held_by
        )
        changed: dict[str, list[dict[str, Any]]] = {"item": [], "tombstone": [], "entry": []}
        for number, change in batch.changes:
            kind = "item" if change.item in final.items else "tombstone"
            kind = "entry" if change.class_name == CATALOGUE_CLASS else kind
            changed[kind].append({"revision": number, "item": change.item, "properties": change.properties()})
        write = {
            **rows,
            **edges,
            "claimed_keys": claims,
            "released_keys": releases,
            "entries": _entry_rows(batch.changes),
            "revisions": [revision.properties() for revision in batch.revisions],
            **{f"{kind}_changes": changes for kind, changes in changed.items()},
            "answers": batch.answers,
            "ledger": {
                "last": batch.last,
                "hash": batch.hash,
                "catalogue": batch.catalogue_revision,
                "recorded_at": batch.recorded_at,
            },
        }
        await self._connection.in_transaction(tx, WRITE, {"write": write})


def _call_all(callbacks: Iterable[Callable[[T], None]], argument: T) -> None:
    """Tell everybody; a listener that fails is its own misfortune, and no reason to stop writing."""
    for callback in callbacks:
        try:
            callback(argument)
        except Exception:
            _log.exception("a listener failed", listener=repr(callback))


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


def _properties(item: Item) -> dict[str, Any]:
    fixed = {
        "id": item.id,
        "version": item.version,
        "created_at": item.created_at,
        "updated_at": item.updated_at,
    }
    return {**item.fields, **fixed}


def _plan_batch(batch: _Batch, requests: Sequence[_Request], answered: Mapping[str, Any]) -> None:
    """Plan every request in turn on one state; a request that fails leaves it as it was."""
    fresh: dict[str, tuple[str, Applied]] = {}
    for request in requests:
        try:
            batch.outcomes.append(_plan_request(batch, request, answered, fresh))
        except CmdbError as error:
            batch.outcomes.append(error)


def _plan_request(
    batch: _Batch, request: _Request, answered: Mapping[str, Any], fresh: dict[str, tuple[str, Applied]]
) -> Applied:
    if request.key is not None and request.key in answered:
        return _repeated(answered[request.key], request, batch.last)
    if request.key is not None and request.key in fresh:
        digest, applied = fresh[request.key]
        if digest != request.digest:
            raise IdempotencyMismatch(request.key.partition("/")[2])
        return applied
    number = batch.last + 1
    state = batch.state.copy() if request.dry_run else batch.state
    plan = plan_change_set(
        state, request.change_set, revision=number, now=batch.recorded_at, correction=request.correction
    )
    if request.dry_run:
        batch.state.holders.update({k: None for k in state.holders if k not in batch.state.holders})
        return Applied(None, batch.last, plan.changes)
    applied = Applied(number if plan.changes else None, number if plan.changes else batch.last, plan.changes)
    if plan.changes:
        _append(batch, request, plan.changes)
    if plan.catalogue is not None:
        batch.catalogue_revision = number
    if request.key:
        fresh[request.key] = (request.digest, applied)
        answer = {"key": request.key, "digest": request.digest, "recorded_at": batch.recorded_at}
        if plan.changes:
            batch.answers.append({**answer, "revision": number})
    return applied


def _repeated(row: Mapping[str, Any], request: _Request, head: int) -> Applied:
    if row["digest"] != request.digest:
        raise IdempotencyMismatch((request.key or "").partition("/")[2])
    stored = [StoredChange.from_properties(c["item"], c["change"]) for c in row["changes"] if c["change"]]
    changes = sorted((restore_change(change) for change in stored), key=lambda change: change.item_id)
    return Applied(row["revision"], head, tuple(changes))


def _append(batch: _Batch, request: _Request, changes: tuple[ItemChange, ...]) -> None:
    stored = [store_change(change) for change in changes]
    number = batch.last + 1
    header = RevisionRecord(
        number=number,
        recorded_at=batch.recorded_at,
        actor=request.author.actor,
        source=request.author.source,
        run=request.author.run,
        message=request.change_set.message,
        reason=request.change_set.reason,
        changes_count=len(stored),
        previous_hash=batch.hash,
        hash="",
    )
    properties = header.properties()
    properties["hash"] = revision_hash(properties, stored)
    batch.revisions.append(RevisionRecord(**properties))
    batch.changes.extend((number, change) for change in stored)
    batch.last, batch.hash = number, properties["hash"]


@dataclass(slots=True)
class _Needs:
    """Which items a batch must load: with their outgoing edges, as end points, with their incoming edges."""

    whole: set[str] = field(default_factory=set)
    endpoints: set[str] = field(default_factory=set)
    incoming: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)


def _needs(catalogue: Catalogue, requests: Iterable[_Request]) -> _Needs:
    needs = _Needs()
    for request in requests:
        needs.whole.update(request.change_set.expected, request.change_set.keys)
        for operation in request.change_set.operations:
            if isinstance(operation, PutItem):
                needs.whole.add(operation.id)
            elif isinstance(operation, DeleteItem):
                needs.whole.add(operation.id)
                needs.incoming.add(operation.id)
                needs.deleted.add(operation.id)
            elif isinstance(operation, PutEdge | DeleteEdge):
                needs.whole.add(operation.key.source)
                needs.endpoints.add(operation.key.target)
                relationship = catalogue.relationships.get(operation.key.type)
                if relationship is not None and relationship.one_source:
                    needs.incoming.add(operation.key.target)
            else:
                needs.classes |= _classes_concerned(catalogue, operation)
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


def _take_items(state: EstateState, rows: Iterable[Any]) -> None:
    for row in rows:
        item = item_of(row["item"])
        state.items[item.id] = item
        for kind, target, group, required, strength, confidence, version in row["edges"]:
            facts = EdgeFacts(required, strength, confidence)
            state.add_edge(Edge(EdgeKey(kind, item.id, target, group), facts, version))


def _item_rows(
    initial: EstateState, batch: _Batch, touched: Iterable[str], tombstones: set[str]
) -> dict[str, list[dict[str, Any]]]:
    final = batch.state
    last = {change.item: change for _, change in batch.changes}
    kinds = ("created", "revived", "updated", "relabelled", "buried")
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for item_id in touched:
        old, new = initial.items.get(item_id), final.items.get(item_id)
        if new is not None:
            labels = list(final.catalogue.classes[new.class_name].chain)
            row = {"id": item_id, "labels": labels, "properties": _properties(new)}
            rows["updated" if old else "revived" if item_id in tombstones else "created"].append(row)
            if old and old.class_name != new.class_name:
                gone = [c for c in initial.catalogue.classes[old.class_name].chain if c not in labels]
                rows["relabelled"].append({"id": item_id, "old": gone, "labels": labels})
            continue
        named = {"class": last[item_id].class_name, "name": last[item_id].name}
        kept = {"id": item_id, **named, "deleted_at": batch.recorded_at}
        if old is not None:
            labels = list(initial.catalogue.classes[old.class_name].chain)
            rows["buried"].append({"id": item_id, "labels": labels, "properties": kept})
        elif item_id not in tombstones:
            rows["created"].append({"id": item_id, "labels": ["Tombstone"], "properties": kept})
    return rows


def _edge_rows(
    initial: EstateState, final: EstateState, touched: Iterable[str]
) -> dict[str, list[dict[str, Any]]]:
    kinds = ("created_edges", "updated_edges", "cut_edges")
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for source in touched:
        old_edges, new_edges = initial.edges.get(source, {}), final.edges.get(source, {})
        for key in {**old_edges, **new_edges}:
            old, new = old_edges.get(key), new_edges.get(key)
            if old == new:
                continue
            row: dict[str, Any] = {
                "type": key.type,
                "source": source,
                "target": key.target,
                "group": key.group,
            }
            if new is not None:
                row["properties"] = {"group": key.group, "version": new.version, **new.facts.to_record()}
            rows["created_edges" if old is None else "updated_edges" if new else "cut_edges"].append(row)
    return rows


def _entry_rows(changes: Iterable[tuple[int, StoredChange]]) -> list[dict[str, str]]:
    return [
        {"id": change.item, "name": change.name, "body": orjson.loads(change.after)["entry"]}
        for _, change in changes
        if change.class_name == CATALOGUE_CLASS and change.after is not None
    ]


def _with_entries(builtin: Catalogue, rows: Iterable[Any]) -> Catalogue:
    entries = {row["name"]: parse_entry(row["name"], orjson.loads(row["body"])) for row in rows}
    return builtin.extended(entries) if entries else builtin


def _check_size(change_set: ChangeSet) -> None:
    problems = []
    if len(change_set.operations) > OPERATIONS_LIMIT:
        fault = (
            f"{len(change_set.operations)} operations; at most {OPERATIONS_LIMIT} in one ChangeSet, split it"
        )
        problems.append(Problem("operations", "TOO_MANY", fault))
    for name, text in (("message", change_set.message), ("reason", change_set.reason)):
        if len(text) > MESSAGE_LIMIT or "\0" in text:
            problems.append(
                Problem(name, "INVALID_VALUE", f"at most {MESSAGE_LIMIT} characters, none of them NUL")
            )
    if problems:
        raise ValidationFailed(problems)


def _digest(change_set: ChangeSet, author: Authorship) -> str:
    kinds = [type(operation).__name__ for operation in change_set.operations]
    body = orjson.dumps([change_set, author, kinds], option=orjson.OPT_SORT_KEYS, default=str)
    return hashlib.sha256(body).hexdigest()
