"""The change feed: revisions since n, live. Replicas, subscriptions and engines follow it; the cursor is the number.

A commit of this process wakes followers at once; commits of other processes are noticed by one poll of the ledger's
head per process. Nothing is buffered for a follower: a slow one reads later, and misses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from cmdb.errors import CmdbError
from cmdb.model.items import ItemChange
from cmdb.store.history import History

POLL_SECONDS = 0.1
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
            until = min(self.head, after + READ_AT_ONCE)
            async for number, changes in self._history.changes(after, until):
                yield number, changes
            after = until

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                head = await self._history.head()
            except CmdbError:
                continue
            if head > self.head:
                await self.advance(head)
            for callback in self.on_head:
                await callback(head)
