"""Taking in a report: read, identify, plan, apply. The only part of discovery that touches the store.

A report is validated whole before the first write. What fits one ChangeSet is one revision, all or nothing; a bigger
report is cut into several under one run. If the last of them fail (the store went away), the same report sent again
goes on where it stopped: what is there already costs nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Generic, TypeVar

from cmdb.errors import CmdbError, IdentityTaken, Overtaken, Problem, ValidationFailed
from cmdb.model.change_set import (
    Authorship,
    ChangeSet,
    DeleteEdge,
    Operation,
    PutEdge,
    PutItem,
    Report,
    ReportedItem,
)
from cmdb.model.items import ItemChange
from cmdb.model.planning import EstateState
from cmdb.model.values import format_instant
from cmdb.store.observations import (
    DiscoveryRun,
    batches,
    load_incoming,
    load_state,
    put_run,
    read_marks,
)
from cmdb.store.store import Store
from discovery.drafting import Refusal
from discovery.formats import parse, recognise
from discovery.identification import Answer, Identified, Question, identify
from discovery.observation import Observation
from discovery.plan import DuplicateSet, ReportPlan, State, plan_report
from discovery.runs import last_spoken, outdated_items, reported_items, start_run

BATCH_OPERATIONS = 5_000
"""Most operations of one ChangeSet of a report, unless one inseparable unit has more."""
ATTEMPTS = 5
"""How often a report is identified anew after others were faster."""
TURN_SECONDS = 3.0
"""How long it waits for others to whom the same happened."""

T = TypeVar("T")
Progress = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """What became, or would become, of one reported item. `before` and `after` hold the fields that differ."""

    where: str
    id: str
    class_name: str
    name: str
    state: State
    matched_by: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def to_record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "where": self.where,
            "id": self.id,
            "class": self.class_name,
            "name": self.name,
            "state": self.state,
            "matched_by": self.matched_by,
            "before": dict(self.before),
            "after": dict(self.after),
        }


@dataclass(frozen=True, slots=True)
class IngestResult:
    """The answer to a report.

    `items` and `edges` count what it held; of its items so many were created, changed, unchanged, outdated (the source
    had told something newer) or refused with something of theirs. `revision` is the last one it made, None for none.
    `plan` is there for a dry run and for partial acceptance.
    """

    format: str
    source: str = ""
    run: str = ""
    dry_run: bool = False
    items: int = 0
    edges: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    outdated: int = 0
    refused: tuple[Refusal, ...] = ()
    duplicates: tuple[DuplicateSet, ...] = ()
    revision: int | None = None
    revisions: int = 0
    plan: tuple[PlannedItem, ...] = field(default=(), repr=False)

    @property
    def taken(self) -> bool:
        """Whether nothing of the report was refused."""
        return not self.refused

    def to_record(self) -> dict[str, Any]:
        """As JSON: the keys of `cmdb import --json`, then the further ones; `plan` only where there is one."""
        record: dict[str, Any] = {
            "format": self.format,
            "items": self.items,
            "edges": self.edges,
            "created": self.created,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "refused": [refusal.to_record() for refusal in self.refused],
            "revision": self.revision,
            "revisions": self.revisions,
            "run": self.run,
            "source": self.source,
            "outdated": self.outdated,
            "duplicates": [duplicate.to_record() for duplicate in self.duplicates],
            "dry_run": self.dry_run,
        }
        return {**record, "plan": [item.to_record() for item in self.plan]} if self.plan else record


def refused_report(format_name: str, problems: Sequence[Problem]) -> IngestResult:
    """The answer to a report that could not even be read."""
    return IngestResult(format_name, refused=tuple(Refusal(p.where, p.message) for p in problems))


async def read_report(body: bytes, format_name: str | None = None, name: str = "") -> tuple[str, Observation]:
    """The format of a report (recognised where not given, `name` being that of its file), and what it says.

    Raises:
        BadRequest: no such format, or none that recognises it.
        ValidationFailed: it cannot be read; every problem with its place. `refused_report` makes an answer of it.
    """
    chosen = await asyncio.to_thread(recognise, body, name) if format_name is None else format_name
    return chosen, await asyncio.to_thread(parse, body, chosen)


async def ingest(
    store: Store,
    observation: Observation,
    author: Authorship,
    *,
    format_name: str = "observation",
    dry_run: bool = False,
    partial: bool = False,
    progress: Progress | None = None,
) -> IngestResult:
    """Bring what was observed into the CMDB.

    The ledger shows `author.actor`, the observation's source, and its run. Nothing is written for a `dry_run`. With
    `partial`, what is good is taken although something else is refused; the answer says item by item what happened.

    Raises:
        StoreUnavailable, DeadlineExceeded: the store went away; send the same report again.
        IdentityTaken, Overtaken, ValidationFailed: others were faster so often that it was given up.
    """
    work = _Ingest(store, observation, author, format_name, dry_run, partial, progress or _silent)
    return await work.run()


@dataclass(frozen=True, slots=True)
class _Planned:
    """A report as it was planned; when its source had last spoken of the known items; what it says now, by item."""

    identified: Identified
    plan: ReportPlan
    last_spoken: Mapping[str, str]
    reported: Mapping[str, Sequence[ReportedItem]]


class _Ingest:
    """One report on its way. What was created and changed adds up over attempts."""

    def __init__(
        self,
        store: Store,
        observation: Observation,
        author: Authorship,
        format_name: str,
        dry_run: bool,
        partial: bool,
        progress: Progress,
    ) -> None:
        self.store = store
        self.observation = observation
        self.format_name = format_name
        self.dry_run = dry_run
        self.partial = partial
        self.progress = progress
        self.record = start_run(observation, datetime.now(UTC))
        self.author = Authorship(author.actor, observation.source, self.record.run)
        self.created: set[str] = set()
        self.changed: set[str] = set()
        self.revisions: list[int] = []

    async def run(self) -> IngestResult:
        if self.dry_run:
            planned = await self._plan()
            return self._result(planned)
        await put_run(self.store.connection, self.record)
        try:
            planned = await self._carry_out()
        except CmdbError:
            await self._finish("failed")
            raise
        result = self._result(planned)
        refused = planned.plan.refused and not self.partial
        await self._finish("refused" if refused else "done", result)
        return result

    async def _carry_out(self) -> _Planned:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._turn(attempt):
                    planned = await self._plan()
                    if planned.plan.refused and not self.partial:
                        return planned
                    await self._apply(planned)
            except (IdentityTaken, Overtaken, ValidationFailed):
                # Somebody else was faster: what was new then is known now, what was there may be gone.
                if attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0, 0.05 * attempt))  # noqa: S311 - spreads those who race
            else:
                return planned
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _turn(self, attempt: int) -> AsyncIterator[None]:
        """Who lost a race tries again one after the other, so that they do not lose to each other for ever."""
        turns, mine = self.store.turns, False
        if attempt > 1:
            with suppress(TimeoutError):  # a large report has it: try without
                async with asyncio.timeout(TURN_SECONDS):
                    mine = await turns.acquire()
        try:
            yield
        finally:
            if mine:
                turns.release()

    async def _plan(self) -> _Planned:
        catalogue, observation = self.store.catalogue, self.observation
        identified = await self._drive(identify(catalogue, observation))
        known = {identity.id for identity in identified.identities if not identity.new}
        self.progress("identified", len(known), len(identified.identities))
        marks = await read_marks(self.store.connection, observation.source, sorted(known))
        last = last_spoken(marks)
        outdated = outdated_items(identified.identities, last, self.record.seen_at)
        state = await load_state(self.store.connection, catalogue, sorted(known))
        await load_incoming(self.store.connection, state, self._entangled(identified, state))
        plan = await self._drive(
            plan_report(
                observation,
                identified,
                state,
                outdated=outdated,
                partial=self.partial,
                now=format_instant(datetime.now(UTC)),
            )
        )
        self.progress("planned", len(plan.units), len(plan.units))
        reported = await asyncio.to_thread(
            reported_items, observation, identified.identities, plan.states, marks
        )
        return _Planned(identified, plan, last, reported)

    def _entangled(self, identified: Identified, state: EstateState) -> list[str]:
        """Stored items whose incoming edges matter: of another class than reported, or allowed one source only."""
        relationships = state.catalogue.relationships
        single = {name for name, relationship in relationships.items() if relationship.one_source}
        pairs = list(zip(self.observation.items, identified.identities, strict=True))
        found = {
            i.id
            for item, i in pairs
            if i.id in state.items and state.items[i.id].class_name != item.class_name
        }
        if any(edge.type in single for edge in self.observation.edges):
            ids = {item.ref: identity.id for item, identity in pairs}
            found |= {ids[edge.target] for edge in self.observation.edges if edge.type in single}
        return sorted(found & state.items.keys())

    async def _apply(self, planned: _Planned) -> None:
        parts = list(change_sets(planned, self.record))
        for number, change_set in enumerate(parts, start=1):
            applied = await self.store.apply(change_set, self.author)
            self._count(applied.changes)
            if applied.revision is not None:
                self.revisions.append(applied.revision)
            self.progress("applied", number, len(parts))

    def _count(self, changes: Iterable[ItemChange]) -> None:
        for change in changes:
            (self.created if change.kind == "created" else self.changed).add(change.item_id)

    async def _drive(self, steps: Generator[Question, Answer, T]) -> T:
        """Run a computation in a thread, and answer what it asks from the store."""
        step: Question | _Done[T] = await asyncio.to_thread(_advance, steps, None)
        while isinstance(step, Question):
            holders: dict[str, str] = {}
            held: dict[str, frozenset[str]] = {}
            for keys in batches(step.keys):
                holders |= await self.store.find_by_keys(keys)
            for items in batches(step.items):
                held |= await self.store.held_keys(items)
            step = await asyncio.to_thread(_advance, steps, Answer(holders, held))
        return step.value

    def _result(self, planned: _Planned) -> IngestResult:
        plan = planned.plan
        if self.dry_run:
            self._count(plan.changes.values())
        refused, outdated = plan.states.count("refused"), plan.states.count("outdated")
        created, changed = len(self.created), len(self.changed - self.created)
        nothing = bool(plan.refused) and not self.partial
        return IngestResult(
            format=self.format_name,
            source=self.observation.source,
            run=self.record.run,
            dry_run=self.dry_run,
            items=len(self.observation.items),
            edges=len(self.observation.edges),
            created=created,
            changed=changed,
            unchanged=0 if nothing else len(plan.states) - created - changed - refused - outdated,
            outdated=outdated,
            refused=plan.refused,
            duplicates=plan.duplicates,
            revision=self.revisions[-1] if self.revisions else None,
            revisions=len(self.revisions),
            plan=self._planned_items(planned) if self.dry_run or self.partial else (),
        )

    def _planned_items(self, planned: _Planned) -> tuple[PlannedItem, ...]:
        plan, items = planned.plan, []
        pairs = zip(self.observation.items, planned.identified.identities, strict=True)
        for index, (item, identity) in enumerate(pairs):
            state = plan.states[index]
            change = plan.changes.get(identity.id) if state in ("created", "changed") else None
            items.append(
                PlannedItem(
                    where=f"items[{index}]",
                    id=identity.id,
                    class_name=change.class_name if change else item.class_name,
                    name=change.name if change else str(item.attributes.get("name", "")),
                    state=state,
                    matched_by=identity.matched_by,
                    before=(change.before or {}) if change else {},
                    after=(change.after or {}) if change else {},
                )
            )
        return tuple(items)

    async def _finish(self, state: str, result: IngestResult | None = None) -> None:
        counts = {}
        if result is not None:
            counts = {name: getattr(result, name) for name in ("created", "changed", "unchanged", "outdated")}
            counts |= {"refused": len(result.refused), "revision": result.revision or 0}
        finished = replace(self.record, state=state, finished_at=format_instant(datetime.now(UTC)), **counts)
        try:
            await put_run(self.store.connection, finished)
        except CmdbError:
            if state != "failed":
                raise


def change_sets(planned: _Planned, run: DiscoveryRun) -> Iterable[ChangeSet]:
    """The plan cut into ChangeSets, each with the source keys of its items and what the source says of them; then the
    same of items that do not change."""
    parts: list[list[Operation]] = [[]]
    for unit in planned.plan.units:
        if parts[-1] and len(parts[-1]) + len(unit) > BATCH_OPERATIONS:
            parts.append([])
        parts[-1].extend(unit)
    keys, reported = dict(planned.plan.keys), dict(planned.reported)

    def part(operations: Sequence[Operation], items: Iterable[str], message: str = "") -> ChangeSet:
        concerned = dict.fromkeys(items)
        said = chain.from_iterable(reported.pop(item, ()) for item in concerned)
        known = {item: planned.last_spoken.get(item, "") for item in concerned}
        claims = {item: keys.pop(item) for item in concerned if item in keys}
        return ChangeSet(
            tuple(operations), message, keys=claims, report=Report(run.seen_at, known, tuple(said))
        )

    for number, operations in enumerate(filter(None, parts), start=1):
        which = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        message = f"Report of {run.source}{f' on {run.scope}' if run.scope else ''}{which}"
        yield part(operations, filter(None, map(_subject, operations)), message)
    for rest in batches(sorted(keys.keys() | reported.keys())):
        yield part((), rest)


def _subject(operation: Operation) -> str | None:
    """The item whose own content an operation is."""
    if isinstance(operation, PutItem):
        return operation.id
    return operation.key.source if isinstance(operation, PutEdge | DeleteEdge) else None


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """The end of a computation. (StopIteration cannot leave a thread.)"""

    value: T


def _advance(steps: Generator[Question, Answer, T], answer: Answer | None) -> Question | _Done[T]:
    try:
        return next(steps) if answer is None else steps.send(answer)
    except StopIteration as stop:
        return _Done(stop.value)


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody asked to be told."""
