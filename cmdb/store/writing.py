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

from cmdb.errors import BadRequest, CmdbError, DeadlineExceeded, IdempotencyMismatch, StoreUnavailable
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import OPERATIONS_LIMIT, Authorship, ChangeSet, Report, check_change_set
from cmdb.model.entries import parse_entry
from cmdb.model.items import ItemChange
from cmdb.model.planning import EstateState, plan_change_set
from cmdb.model.values import check_text, format_instant
from cmdb.store.connection import Connection, StoreError
from cmdb.store.ledger import (
    GENESIS,
    RevisionRecord,
    StoredChange,
    restore_change,
    revision_hash,
    store_change,
)
from cmdb.store.loading import LOAD, Run, load_holders, load_state
from cmdb.store.observations import LastReports, check_report, load_last_reports, record_report, spoken
from cmdb.store.recording import WRITE, Recording, write_parameters

LOCK_LEDGER = """
MERGE (l:Ledger {name: 'ledger'}) ON CREATE SET l.last = 0, l.hash = $genesis, l.catalogue = 0, l.recorded_at = ''
SET l.locked_by = $token
RETURN l.last AS last, l.hash AS hash, l.catalogue AS catalogue, l.recorded_at AS recorded_at
"""
CATALOGUE_REVISION = """
MATCH (l:Ledger {name: 'ledger'})
WITH l.catalogue AS revision WHERE revision = 0 OR EXISTS { (:Revision {number: revision}) }
RETURN revision
"""
LOAD_CATALOGUE = """
MATCH (l:Ledger {name: 'ledger'})
WITH l.catalogue AS revision WHERE revision = 0 OR EXISTS { (:Revision {number: revision}) }
OPTIONAL MATCH (c:CatalogueEntry)
RETURN revision, collect({name: c.name, body: c.body}) AS entries
"""
"""Of another process's commit the ledger node is seen first; the entries are there when the revision can be found."""
LOAD_ENTRIES = "MATCH (c:CatalogueEntry) RETURN c.name AS name, c.body AS body ORDER BY name"
LOAD_ANSWERS = """
UNWIND $keys AS key MATCH (k:IdempotencyKey {key: key}) USING INDEX SEEK k:IdempotencyKey(key)
OPTIONAL MATCH (r:Revision {number: k.revision}) USING INDEX SEEK r:Revision(number)
OPTIONAL MATCH (r)-[c:CHANGED]->(i)
RETURN key, k.digest AS digest, k.revision AS revision, collect({item: i.id, change: properties(c)}) AS changes
"""
EXPLAIN_LOCK, EXPLAIN_LOAD, EXPLAIN_WRITE = f"EXPLAIN {LOCK_LEDGER}", f"EXPLAIN {LOAD}", f"EXPLAIN {WRITE}"
"""Plans only: nothing is locked, read or written."""
T = TypeVar("T")
_log = structlog.get_logger(__name__)

BATCH_REQUESTS = 100
"""Most ChangeSets in one transaction (measured: beyond 100 nothing is gained)."""
GATHER_SECONDS = 0.01
"""How long after a transaction the next one may wait for as many as were there: a transaction costs 12 ms and each
ChangeSet in it 0.4 ms (measured over HTTP, 16 clients: 355 ChangeSets a second without, 437 with; the p99 is lower)."""
THREAD_FROM = 100
"""From this many operations planning goes to a thread, so that the event loop is not held."""
OPERATIONS_A_SECOND = 50
"""What a slow machine surely manages: a transaction may take so much longer than a read."""
PLANNING_SECONDS = 120
"""How long Neo4j may take over the plan of one statement."""
KEY_LIMIT = 200
"""Most characters of an idempotency key."""


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
    """What one transaction found and decided: a state that moves on, what to write down, an outcome per request."""

    state: EstateState
    recording: Recording
    last_reports: LastReports
    reports: list[tuple[Report, Authorship]] = field(default_factory=list)
    outcomes: list[Applied | Exception] = field(default_factory=list)


class Writer:
    """Applies ChangeSets for one process. `catalogue` and its revision follow what was committed."""

    def __init__(self, connection: Connection, builtin: Catalogue) -> None:
        self._connection = connection
        self._builtin = builtin
        self._waiting: deque[_Request] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._expected = 0
        self._gather_until = 0.0
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
        check_change_set(change_set, author)
        if key is not None and not 0 < len(check_text(key)) <= KEY_LIMIT:
            raise BadRequest(f"an idempotency key has 1 to {KEY_LIMIT} characters; this one has {len(key)}")
        digest = await asyncio.to_thread(_digest, change_set, author) if key else ""
        if self._closing or self._task is None or self._task.done():
            raise StoreUnavailable("the service is stopping and takes no more changes", 5)
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
            await self._gather()
            batch = self._take()
            await self._apply_together(batch)
            self._expected = len(batch) + len(self._waiting)
            self._gather_until = asyncio.get_running_loop().time() + GATHER_SECONDS

    async def _gather(self) -> None:
        """Those who were just answered come again at once if they ever do: set off with them, not before them."""
        while len(self._waiting) < min(self._expected, BATCH_REQUESTS) and not self._closing:
            self._wake.clear()
            try:
                async with asyncio.timeout_at(self._gather_until):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _apply_together(self, batch: Sequence[_Request]) -> None:
        work = partial(self._commit, requests=batch, now=format_instant(datetime.now(UTC)))
        operations = sum(_size(request.change_set) for request in batch)
        deadline = self._connection.deadline + operations / OPERATIONS_A_SECOND
        try:
            done = await self._connection.write(work, deadline=deadline)
        except StoreError as error:
            if len(batch) == 1:
                self._settle(batch, [error])
            for request in batch if len(batch) > 1 else ():  # only the one that Neo4j refuses is to suffer
                await self._apply_together([request])
            return
        except Exception as error:  # told to those who wait for it; the writer goes on
            self._settle(batch, [error] * len(batch))
            if isinstance(error, DeadlineExceeded):
                self._refuse_waiting()
            return
        self._adopt(done.state.catalogue, done.recording.catalogue_revision)
        self._settle(batch, done.outcomes)
        if done.recording.revisions:
            _call_all(self.on_commit, done.recording.last)

    def _refuse_waiting(self) -> None:
        """Who waited behind a transaction that took too long has waited long enough, and surely nothing was written."""
        waiting = list(self._waiting)
        self._waiting.clear()
        error = StoreUnavailable("Neo4j did not answer those before; nothing was written, try again")
        self._settle(waiting, [error] * len(waiting))

    def _adopt(self, catalogue: Catalogue, revision: int) -> None:
        if revision <= self.catalogue_revision:
            return
        self.catalogue, self.catalogue_revision = catalogue, revision
        _call_all(self.on_catalogue, catalogue)

    async def plan_ahead(self) -> None:
        """Warm Neo4j's planner on what every transaction runs.

        A Neo4j that has just started takes 4.6 s over its first write (12 s on a busy machine), nearly all of it over
        plans; after this it takes half of that (measured), although the plans themselves are made once more: they
        depend on the parameters.
        """
        await self._connection.run(EXPLAIN_LOCK, deadline=PLANNING_SECONDS)
        await self._connection.run(EXPLAIN_LOAD, deadline=PLANNING_SECONDS)
        await self._connection.run(EXPLAIN_WRITE, deadline=PLANNING_SECONDS)

    async def reload_catalogue(self) -> None:
        """Take up entries that another process committed."""
        head = await self._connection.read(CATALOGUE_REVISION, {})
        if not head or head[0]["revision"] <= self.catalogue_revision:
            return
        for row in await self._connection.read(LOAD_CATALOGUE, {}):
            catalogue = await asyncio.to_thread(_with_entries, self._builtin, row["entries"])
            self._adopt(catalogue, row["revision"])

    def _take(self) -> list[_Request]:
        batch: list[_Request] = []
        operations = 0
        while self._waiting and len(batch) < BATCH_REQUESTS:
            size = _size(self._waiting[0].change_set)
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
        run = partial(self._connection.in_transaction, tx)
        [ledger] = await run(LOCK_LEDGER, {"token": now, "genesis": GENESIS})
        catalogue = self.catalogue
        if ledger["catalogue"] != self.catalogue_revision:
            catalogue = _with_entries(self._builtin, await run(LOAD_ENTRIES, {}))
        answered = await _answered(run, requests)
        initial = EstateState(catalogue)
        tombstones = await load_state(run, initial, [request.change_set for request in requests])
        last_reports = await load_last_reports(run, ((r.change_set, r.author) for r in requests))
        stamp = max(now, ledger["recorded_at"])
        heavy = sum(len(r.change_set.operations) for r in requests) + len(initial.items) >= THREAD_FROM
        while True:
            recording = Recording(ledger["last"], ledger["hash"], ledger["catalogue"], stamp)
            batch = _Batch(initial.copy(), recording, last_reports.copy())
            if heavy:
                await asyncio.to_thread(_plan_batch, batch, requests, answered)
            else:
                _plan_batch(batch, requests, answered)
            asked = [key for key in batch.state.holders if key not in initial.holders]
            if not asked or not await load_holders(run, initial, asked):
                break
        if recording.revisions or recording.answers or batch.state.holders != initial.holders:
            await run(WRITE, write_parameters(initial, batch.state, recording, tombstones))
        for report, author in batch.reports:
            await record_report(run, report, author)
        return batch


def _size(change_set: ChangeSet) -> int:
    """How much there is to be written, about."""
    return len(change_set.operations) + (len(change_set.report.items) if change_set.report else 0)


async def _answered(run: Run, requests: Sequence[_Request]) -> dict[str, Any]:
    keys = sorted({request.key for request in requests if request.key})
    rows = await run(LOAD_ANSWERS, {"keys": keys}) if keys else []
    return {row["key"]: row for row in rows}


def _call_all(callbacks: Iterable[Callable[[T], None]], argument: T) -> None:
    """Tell everybody; a listener that fails is its own misfortune, and no reason to stop writing."""
    for callback in callbacks:
        try:
            callback(argument)
        except Exception:
            _log.exception("a listener failed", listener=repr(callback))


def _plan_batch(batch: _Batch, requests: Sequence[_Request], answered: Mapping[str, Any]) -> None:
    """Plan every request in turn on one state; a request that fails leaves it as it was."""
    fresh: dict[str, tuple[str, Applied]] = {}
    for request in requests:
        try:
            batch.outcomes.append(_plan_request(batch, request, answered, fresh))
        except CmdbError as error:
            batch.outcomes.append(error)
        except Exception as error:  # a defect met by one request must not take its neighbours along
            _log.exception("planning failed", actor=request.author.actor)
            batch.outcomes.append(error)


def _plan_request(
    batch: _Batch, request: _Request, answered: Mapping[str, Any], fresh: dict[str, tuple[str, Applied]]
) -> Applied:
    if request.key is not None and request.key in answered:
        return _repeated(answered[request.key], request, batch.recording.last)
    if request.key is not None and request.key in fresh:
        digest, applied = fresh[request.key]
        if digest != request.digest:
            raise IdempotencyMismatch(request.key.partition("/")[2])
        return applied
    if request.change_set.report and not request.dry_run:
        check_report(batch.last_reports, request.change_set.report, request.author)
    number = batch.recording.last + 1
    state = batch.state.copy() if request.dry_run else batch.state
    plan = plan_change_set(
        state,
        request.change_set,
        revision=number,
        now=batch.recording.recorded_at,
        correction=request.correction,
    )
    if request.dry_run:
        batch.state.holders.update({k: None for k in state.holders if k not in batch.state.holders})
        return Applied(None, batch.recording.last, plan.changes)
    if request.change_set.report:
        batch.reports.append((request.change_set.report, request.author))
        batch.last_reports.update(spoken(request.change_set.report, request.author))
    applied = Applied(
        number if plan.changes else None, number if plan.changes else batch.recording.last, plan.changes
    )
    if plan.changes:
        _append(batch, request, plan.changes)
    if plan.catalogue is not None:
        batch.recording.catalogue_revision = number
    if request.key:
        fresh[request.key] = (request.digest, applied)
        answer = {"key": request.key, "digest": request.digest, "recorded_at": batch.recording.recorded_at}
        batch.recording.answers.append({**answer, "revision": applied.revision})
    return applied


def _repeated(row: Mapping[str, Any], request: _Request, head: int) -> Applied:
    if row["digest"] != request.digest:
        raise IdempotencyMismatch((request.key or "").partition("/")[2])
    stored = [StoredChange.from_properties(c["item"], c["change"]) for c in row["changes"] if c["change"]]
    changes = sorted((restore_change(change) for change in stored), key=lambda change: change.item_id)
    return Applied(row["revision"], head, tuple(changes))


def _append(batch: _Batch, request: _Request, changes: tuple[ItemChange, ...]) -> None:
    stored = [store_change(change) for change in changes]
    number = batch.recording.last + 1
    header = RevisionRecord(
        number=number,
        recorded_at=batch.recording.recorded_at,
        actor=request.author.actor,
        source=request.author.source,
        run=request.author.run,
        message=request.change_set.message,
        reason=request.change_set.reason,
        changes_count=len(stored),
        previous_hash=batch.recording.hash,
        hash="",
    )
    properties = header.properties()
    properties["hash"] = revision_hash(properties, stored)
    batch.recording.revisions.append(RevisionRecord(**properties))
    batch.recording.changes.extend((number, change) for change in stored)
    batch.recording.last, batch.recording.hash = number, properties["hash"]


def _with_entries(builtin: Catalogue, rows: Iterable[Any]) -> Catalogue:
    entries = {row["name"]: parse_entry(row["name"], orjson.loads(row["body"])) for row in rows}
    return builtin.extended(entries) if entries else builtin


def _digest(change_set: ChangeSet, author: Authorship) -> str:
    kinds = [type(operation).__name__ for operation in change_set.operations]
    try:
        body = orjson.dumps([change_set, author, kinds], option=orjson.OPT_SORT_KEYS, default=str)
    except TypeError:  # something in it is no JSON; planning will say what
        body = repr((change_set, author)).encode("utf-8", "backslashreplace")
    return hashlib.sha256(body).hexdigest()
