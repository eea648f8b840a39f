"""The feed: every revision once and in order, whoever committed it, whatever fails on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from cmdb.errors import StoreUnavailable
from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.store.store import Store
from tests.conftest import Neo4jAddress

ALICE = Authorship(actor="alice")


@pytest_asyncio.fixture(loop_scope="session")
async def replica(store: Store, neo4j_server: Neo4jAddress) -> AsyncIterator[Store]:
    """A second process's store on the same Neo4j."""
    opened = await Store.open(neo4j_server.uri, neo4j_server.user, neo4j_server.password)
    yield opened
    await opened.close()


async def write(store: Store, name: str) -> int:
    applied = await store.apply(ChangeSet((PutItem(name, {"name": name}, "Server"),)), ALICE)
    assert applied.revision is not None
    return applied.revision


async def follow(store: Store, after: int, until: int) -> list[tuple[int, list[str]]]:
    """The numbers and item ids that a follower is given, until one number."""
    seen = []
    async with asyncio.timeout(20):
        async for number, changes in store.feed.follow(after):
            seen.append((number, [change.item_id for change in changes]))
            if number == until:
                break
    return seen


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds, which nobody announces."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.02)


async def test_followers_anywhere_get_everybodys_revisions_in_one_order(store: Store, replica: Store) -> None:
    followers = [asyncio.create_task(follow(s, 0, 60)) for s in (store, replica, replica)]
    writes = [write(s, f"{n}-{i}") for n in range(30) for i, s in enumerate((store, replica))]
    await asyncio.gather(*writes)
    seen = await asyncio.gather(*followers)
    assert [number for number, _ in seen[0]] == list(range(1, 61))
    assert seen[0] == seen[1] == seen[2]
    assert len({item for _, items in seen[0] for item in items}) == 60


async def test_a_follower_resumes_behind_its_cursor_and_waits_for_more(store: Store, replica: Store) -> None:
    for n in range(5):
        await write(store, f"s{n}")
    assert [n for n, _ in await follow(replica, 3, 5)] == [4, 5]
    waiting = asyncio.create_task(follow(replica, 5, 6))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await write(store, "late")
    assert await waiting == [(6, ["late"])]


async def test_a_slow_follower_misses_nothing(store: Store) -> None:
    async def slowly() -> list[int]:
        seen = []
        async for number, _ in store.feed.follow(0):
            seen.append(number)
            await asyncio.sleep(0.02 if number < 10 else 0)
            if number == 250:
                return seen
        return seen

    follower = asyncio.create_task(slowly())
    for start in range(0, 250, 50):
        await asyncio.gather(*(write(store, f"s{n}") for n in range(start, start + 50)))
    assert await asyncio.wait_for(follower, 20) == list(range(1, 251))


async def test_own_commits_wake_at_once_others_within_a_poll_or_few(store: Store, replica: Store) -> None:
    await write(store, "first")
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(replica.feed.wait_beyond(await store.head()))
    await asyncio.sleep(0.2)
    started = loop.time()
    await write(store, "second")
    await asyncio.wait_for(waiting, 5)
    assert loop.time() - started < 2


async def test_a_listener_that_fails_is_told_again_and_the_watch_goes_on(
    store: Store, replica: Store
) -> None:
    told: list[int] = []

    async def listener(head: int) -> None:
        told.append(head)
        if len(told) < 3:
            raise StoreUnavailable("a read failed")

    replica.feed.on_head.append(listener)
    number = await write(store, "a")
    await asyncio.wait_for(replica.feed.wait_beyond(number - 1), 5)
    await eventually(lambda: len(told) >= 3)
    again = await write(store, "b")
    await asyncio.wait_for(replica.feed.wait_beyond(again - 1), 5)
    assert [n for n, _ in await follow(replica, 0, again)] == [1, 2]
    await asyncio.sleep(0.5)
    quiet = len(told)
    await asyncio.sleep(0.5)
    assert len(told) == quiet, "once all took a head, nobody hears it again"


async def test_a_gap_is_waited_for_and_never_skipped(store: Store) -> None:
    """A server of a cluster may be behind: what it does not have yet must not be taken for not there."""
    for n in range(4):
        await write(store, f"s{n}")
    await store.connection.run("MATCH (r:Revision {number: 3}) SET r.number = 1003")
    seen: list[int] = []

    async def collect() -> None:
        async for number, _ in store.feed.follow(0):
            seen.append(number)

    follower = asyncio.create_task(collect())
    await asyncio.sleep(0.5)
    assert seen == [1, 2]
    await store.connection.run("MATCH (r:Revision {number: 1003}) SET r.number = 3")
    await eventually(lambda: len(seen) >= 4)
    follower.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await follower
    assert seen == [1, 2, 3, 4]


async def test_followers_end_when_the_store_closes(clean_neo4j: Neo4jAddress) -> None:
    opened = await Store.open(clean_neo4j.uri, clean_neo4j.user, clean_neo4j.password)

    async def count() -> int:
        return len([number async for number, _ in opened.feed.follow(0)])

    follower = asyncio.create_task(count())
    await write(opened, "only")
    await asyncio.sleep(0.2)
    await opened.close()
    assert await asyncio.wait_for(follower, 5) == 1
    with pytest.raises(StoreUnavailable, match="stopping"):
        await write(opened, "after")
