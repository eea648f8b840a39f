"""What a reader sees of a commit in progress: Neo4j shows it piece by piece, and the store must not."""

from __future__ import annotations

import asyncio

from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.model.items import new_id
from cmdb.store.history import History
from cmdb.store.store import Store

ALICE = Authorship(actor="alice")
ITEMS = 3_000
LARGE_REVISIONS = 4


async def test_a_revision_is_the_head_only_when_everything_it_changed_can_be_read(store: Store) -> None:
    history, written = History(store.connection), asyncio.Event()
    seen: dict[int, int] = {}

    async def watch() -> None:
        """As another process would: it hears of commits only by asking."""
        while not written.is_set():
            head = await history.head()
            if head not in seen:
                seen[head] = sum([len(changes) async for _, changes in history.changes(head - 1, head)])

    watching = asyncio.create_task(watch())
    for turn in range(LARGE_REVISIONS):
        items = (PutItem(new_id(), {"name": f"server {turn} {n}"}, "Server") for n in range(ITEMS))
        await store.apply(ChangeSet(tuple(items)), ALICE)
    written.set()
    await watching
    seen.pop(0, None)
    assert len(seen) > 1
    assert set(seen.values()) == {ITEMS}
