"""The store: one object through which the service reads and changes what is known."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from cmdb.errors import StaleVersion
from cmdb.model.catalogue import Catalogue, builtin_catalogue
from cmdb.model.change_set import Authorship, ChangeSet
from cmdb.model.values import format_instant
from cmdb.store.baselines import Baselines
from cmdb.store.connection import Connection
from cmdb.store.feed import Feed
from cmdb.store.history import History
from cmdb.store.reading import holders_of
from cmdb.store.schema import apply_schema
from cmdb.store.writing import Applied, Writer

FORGET_ANSWERS = """
MATCH (k:IdempotencyKey) WHERE k.recorded_at < $oldest CALL (k) { DELETE k } IN TRANSACTIONS OF 5000 ROWS
"""
ANSWERS_KEPT = timedelta(days=30)
"""For how long an idempotency key is remembered; older ones go at the next start."""
HELD_KEYS = """
UNWIND $ids AS id MATCH (k:IdentityKey)-[:IDENTIFIES]->(i:Item {id: id}) USING INDEX SEEK i:Item(id)
RETURN id, collect(k.key) AS keys
"""


class Store:
    """What a service process holds: the connection, the writer, the history, the baselines and the feed."""

    def __init__(self, connection: Connection, builtin: Catalogue) -> None:
        self.connection = connection
        self.history = History(connection)
        self.baselines = Baselines(connection)
        self.feed = Feed(self.history)
        self.turns = asyncio.Lock()
        """For those who lost a race for the same items: held while one of them tries again."""
        self._writer = Writer(connection, builtin)
        self._tasks: set[asyncio.Task[None]] = set()
        self._schema_lock = asyncio.Lock()
        self._committed = 0

    @classmethod
    async def open(
        cls, uri: str, user: str, password: str, *, database: str = "neo4j", deadline: float = 10.0
    ) -> Self:
        """Connect, bring constraints and indexes up to date, load the catalogue, begin to write and to watch.

        Raises:
            StoreUnavailable: nobody answers at `uri`.
            CatalogueError: stored entries do not fit the built-in ones of this version.
        """
        connection = await Connection.open(uri, user, password, database=database, deadline=deadline)
        store = cls(connection, builtin_catalogue())
        try:
            await store._writer.reload_catalogue()
            await store._bring_schema_up()
            await store.feed.start()
        except BaseException:
            await connection.close()
            raise
        store._writer.start()
        store._writer.on_commit.append(store._committed_here)
        store._writer.on_catalogue.append(lambda _: store._spawn(store._bring_schema_up()))
        store.feed.on_head.append(store._follow_catalogue)
        oldest = format_instant(datetime.now(UTC) - ANSWERS_KEPT)
        store._spawn(connection.run(FORGET_ANSWERS, {"oldest": oldest}, deadline=120))
        return store

    async def close(self) -> None:
        """Finish what was accepted, then close everything."""
        await self._writer.close()
        await self.feed.close()
        for task in self._tasks:  # housekeeping, which the next start does again
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.close()

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue in force. It is replaced as a whole; hold on to it for the length of one operation."""
        return self._writer.catalogue

    def on_catalogue_change(self, callback: Callable[[Catalogue], None]) -> None:
        """Call back, in the event loop, whenever another catalogue comes into force, here or in another process."""
        self._writer.on_catalogue.append(callback)

    async def apply(
        self,
        change_set: ChangeSet,
        author: Authorship,
        *,
        idempotency_key: str | None = None,
        dry_run: bool = False,
        correction: bool = False,
    ) -> Applied:
        """Apply a ChangeSet: all of it or nothing; when this returns it is durable.

        The same `idempotency_key` of one actor gives the first answer again. A `dry_run` answers what would change.
        `correction` lifts the limits of lifecycles, for an undo.

        Raises:
            ValidationFailed: with every problem of every operation.
            StaleVersion: an item is no longer at its expected version; says what changed since, and by whom.
            IdentityTaken, IdempotencyMismatch: the key belongs to another item, or to another request.
            StoreUnavailable, DeadlineExceeded: whether it happened is unknown; repeat with the same key.
        """
        try:
            return await self._writer.submit(
                change_set, author, key=idempotency_key, dry_run=dry_run, correction=correction
            )
        except StaleVersion as error:
            if not error.found:
                raise
            raise StaleVersion(error.item, error.expected, error.found, await self._since(error)) from None

    async def plan_ahead(self) -> None:
        """Warm Neo4j's planner on what a write runs: takes seconds where it has just started. Nothing is written.

        Raises:
            StoreUnavailable, DeadlineExceeded: it does not answer; nothing is lost but time.
        """
        await self._writer.plan_ahead()

    async def head(self) -> int:
        """The number of the last revision; 0 for none."""
        return await self.history.head()

    @property
    def committed(self) -> int:
        """The last revision that this process knows of; no statement is run. Others' are known within 50 ms."""
        return max(self._committed, self.feed.head)

    async def find_by_keys(self, keys: Sequence[str]) -> dict[str, str]:
        """The items that identity keys belong to; unknown keys are absent."""
        return await holders_of(self.connection, keys)

    async def held_keys(self, ids: Sequence[str]) -> dict[str, frozenset[str]]:
        """The identity keys that items hold."""
        rows = await self.connection.read(HELD_KEYS, {"ids": list(ids)})
        return {row["id"]: frozenset(row["keys"]) for row in rows}

    async def _since(self, error: StaleVersion) -> list[Mapping[str, Any]]:
        history = await self.history.item_history(error.item, limit=20)
        return [
            {
                "revision": revision.number,
                "actor": revision.actor,
                "at": revision.recorded_at,
                "changed": sorted(
                    {*(change.before or ()), *(change.after or ()), *(e.key.type for e in change.edges)}
                ),
            }
            for revision, change in history
            if revision.number > error.expected
        ]

    async def _bring_schema_up(self) -> None:
        """One after the other, each with the latest catalogue: an older one would drop what a newer one made."""
        async with self._schema_lock:
            await apply_schema(self.connection, self.catalogue)

    def _committed_here(self, head: int) -> None:
        self._committed = max(self._committed, head)
        self._spawn(self.feed.advance(head))

    async def _follow_catalogue(self, _head: int) -> None:
        await self._writer.reload_catalogue()

    def _spawn(self, coroutine: Any) -> None:  # noqa: ANN401 - any coroutine
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
