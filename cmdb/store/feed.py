"""The change feed: revisions since n, live. Replicas, subscriptions and engines follow it; the cursor is the number.

A commit of this process wakes followers at once; commits of other processes are noticed by one poll of the ledger's
head per process. Nothing is buffered for a follower: a slow one reads later, and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import structlog

from cmdb.errors import CmdbError
from cmdb.model.items import ItemChange
from cmdb.store.history import History

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.feed")

POLL_SECONDS = 0.05
"""A change of another replica is to be seen within 100 ms: this, and two reads."""
READ_AT_ONCE = 200
"""Most revisions a follower is given per read."""


class Feed:
    """Who follows the ledger in this process. `on_head` callbacks are awaited once per head that the poll finds."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._moved = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.head = 0
        self.on_head: list[Callable[[int], Awaitable[None]]] = []

    async def start(self) -> None:
        """Learn the head and begin to watch it."""
        self.head = await self._history.head()
        self._task = asyncio.create_task(self._watch(), name="feed")

    async def close(self) -> None:
        """Stop watching; followers end."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        async with self._moved:
            self._moved.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._closed

    async def advance(self, head: int) -> None:
        """The ledger has reached `head`: wake whoever waits."""
        if head > self.head:
            self.head = head
            async with self._moved:
                self._moved.notify_all()

    async def wait_beyond(self, number: int) -> None:
        """Return when the head is beyond `number`, or the feed closes."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.head > number or self._closed)

    async def follow(self, after: int) -> AsyncIterator[tuple[int, tuple[ItemChange, ...]]]:
        """Every revision after `after`, in order and without gap, until the feed closes."""
        while not self._closed:
            if self.head <= after:
                await self.wait_beyond(after)
                continue
            started = after
            async for number, changes in self._history.changes(after, min(self.head, after + READ_AT_ONCE)):
                if number != after + 1:
                    break
                yield number, changes
                after = number
            if after == started:  # the server that was asked is behind the one that told of the head
                await asyncio.sleep(POLL_SECONDS)

    async def _watch(self) -> None:
        told = -1
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                head = await self._history.head()
            except CmdbError:
                continue
            await self.advance(head)
            if head != told:
                told = head if await self._tell(head) else -1

    async def _tell(self, head: int) -> bool:
        """Tell the listeners; whether all took it, or some are to be told again."""
        all_well = True
        for callback in self.on_head:
            try:
                await callback(head)
            except CmdbError as error:
                all_well = False
                _log.warning(
                    "feed_listener_failed", error=str(error), doing="telling it again at the next poll"
                )
        return all_well
