"""Standing questions, on topologies that a test makes one after the other."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import numpy as np
import pytest

from cmdb.errors import NotFound
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge, TopologyItem
from cmdb.store.topology import LiveTopology
from cmdb_graphql import standing_questions
from cmdb_graphql import watches as watches_module
from cmdb_graphql.errors import Refusal
from cmdb_graphql.standing_questions import (
    Down,
    FailureQuestion,
    FailureStanding,
    Needed,
    ServiceQuestion,
    ServiceStanding,
)
from cmdb_graphql.watches import Change, Watches
from impact.engine import Engine
from impact.errors import UnknownItems
from impact.propagation import State, simulate_failure
from tests.topologies import gate, graph, packed


class Estate:
    """As much of `LiveTopology` as is watched: the present, and who is told of the next."""

    def __init__(self) -> None:
        shop = graph({"shop": [gate(1, "a", "b")], "a": ["rack-1"], "b": ["rack-2"], "other": ["c"]})
        self.present = packed(shop)
        self.moved: list[Callable[[PackedTopology], None]] = []

    async def at_head(self) -> PackedTopology:
        return self.present

    def move(self, topology: PackedTopology) -> None:
        self.present = topology
        for callback in self.moved:
            callback(topology)

    def put(self, source: str, target: str) -> None:
        edge = TopologyEdge("DEPENDS_ON", source, target)
        self.move(self.present.with_changes(self.present.revision + 1, put_edges=[edge]))

    def cut(self, source: str, target: str) -> None:
        key = ("DEPENDS_ON", source, target, None)
        self.move(self.present.with_changes(self.present.revision + 1, delete_edges=[key]))

    def delete(self, item: str) -> None:
        self.move(self.present.with_changes(self.present.revision + 1, delete_items=[item]))


@pytest.fixture
def estate() -> Estate:
    return Estate()


@pytest.fixture
def watches(estate: Estate) -> Watches:
    return Watches(cast(LiveTopology, estate))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The revisions that services were computed at."""
    seen: list[int] = []
    find = ServiceQuestion.find

    def counted(
        question: ServiceQuestion, topology: PackedTopology, patience: Callable[[], None]
    ) -> tuple[ServiceStanding, Needed]:
        seen.append(topology.revision)
        return find(question, topology, patience)

    monkeypatch.setattr(ServiceQuestion, "find", counted)
    return seen


class Follower:
    """Somebody who asks for one state after the other."""

    def __init__(self, watches: Watches, service: str) -> None:
        self._standings = watches.follow(ServiceQuestion(service))

    async def next(self) -> tuple[int, set[str], int]:
        async with asyncio.timeout(60):
            standing = await anext(self._standings)
        return standing.revision, set(standing.single_points), standing.margin.failures

    async def has_news(self) -> bool:
        """Whether there is another state within a while."""
        waiting = asyncio.ensure_future(anext(self._standings))
        done, _ = await asyncio.wait([waiting], timeout=0.3)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return bool(done)

    async def close(self) -> None:
        await self._standings.aclose()


@asynccontextmanager
async def following(watches: Watches, service: str = "shop") -> AsyncIterator[Follower]:
    follower = Follower(watches, service)
    try:
        yield follower
    finally:
        await follower.close()


async def test_the_present_then_what_enters_and_leaves(estate: Estate, watches: Watches) -> None:
    async with following(watches) as follower:
        assert await follower.next() == (1, set(), 1)
        estate.put("b", "rack-1")
        assert await follower.next() == (2, {"rack-1"}, 0)
        estate.cut("b", "rack-1")
        assert await follower.next() == (3, set(), 1)


async def test_changes_elsewhere_are_neither_told_nor_computed(
    estate: Estate, watches: Watches, computed: list[int]
) -> None:
    async with following(watches) as follower:
        await follower.next()
        estate.put("other", "rack-1")
        estate.put("c", "rack-2")
        assert not await follower.has_news()
    assert computed == [1]


async def test_who_comes_later_is_told_a_state_that_is_true_of_his_revision(
    estate: Estate, watches: Watches, computed: list[int]
) -> None:
    async with following(watches) as first, following(watches) as second:
        await first.next()
        estate.put("other", "rack-1")
        assert await second.next() == (2, set(), 1)
        assert len(watches) == 1
        assert computed == [1]
    assert len(watches) == 0


async def test_a_new_member_of_the_closure_is_watched_from_then_on(estate: Estate, watches: Watches) -> None:
    async with following(watches) as follower:
        await follower.next()
        estate.put("rack-1", "c")
        estate.put("rack-2", "c")
        while (await follower.next())[1] != {"c"}:
            pass
        estate.move(
            estate.present.with_changes(
                4,
                put_items=[TopologyItem("power", "power", "Ups")],
                put_edges=[TopologyEdge("DEPENDS_ON", "c", "power")],
            )
        )
        assert await follower.next() == (4, {"c", "power"}, 0)


async def test_what_happens_while_a_service_is_computed_is_not_missed(
    estate: Estate, watches: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, loop = ServiceQuestion.find, asyncio.get_running_loop()
    moves = [("b", "rack-1"), ("other", "rack-1")]

    def disturbed(
        question: ServiceQuestion, topology: PackedTopology, patience: Callable[[], None]
    ) -> tuple[ServiceStanding, Needed]:
        if moves:
            source, target = moves.pop(0)
            loop.call_soon_threadsafe(estate.put, source, target)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result()
        return find(question, topology, patience)

    monkeypatch.setattr(ServiceQuestion, "find", disturbed)
    async with following(watches) as follower:
        while True:
            revision, points, _ = await follower.next()
            if points:
                break
        assert (revision >= 2, points) == (True, {"rack-1"})


async def test_a_burst_ends_in_the_final_state(estate: Estate, watches: Watches, computed: list[int]) -> None:
    async with following(watches) as follower:
        await follower.next()
        for _ in range(50):
            estate.put("b", "rack-1")
            estate.cut("b", "rack-1")
        estate.put("b", "rack-1")
        assert await follower.next() == (102, {"rack-1"}, 0)
        assert not await follower.has_news()
    assert len(computed) < 10


async def test_another_base_is_followed_and_is_no_news(estate: Estate, watches: Watches) -> None:
    async with following(watches) as follower:
        await follower.next()
        estate.put("other", "a")
        estate.move(estate.present.compacted())
        estate.put("b", "rack-1")
        assert await follower.next() == (3, {"rack-1"}, 0)


async def test_a_large_change_is_followed(
    estate: Estate, watches: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches_module, "LARGE_CHANGE", 0)
    async with following(watches) as follower:
        await follower.next()
        estate.put("other", "a")
        estate.put("b", "rack-1")
        assert await follower.next() == (3, {"rack-1"}, 0)


async def test_a_deleted_service_ends_with_an_error_and_can_come_back(
    estate: Estate, watches: Watches
) -> None:
    async with following(watches) as slow, following(watches) as follower:
        await slow.next()
        await follower.next()
        shop = estate.present.items["shop"]
        estate.delete("shop")
        with pytest.raises(NotFound, match="it is gone since revision 2"):
            await follower.next()
        estate.move(estate.present.with_changes(3, put_items=[shop]))
        async with following(watches) as again:
            assert await again.next() == (3, set(), 4)
        with pytest.raises(NotFound):
            await slow.next()
    assert len(watches) == 0


async def test_an_error_in_computing_reaches_those_who_follow(
    watches: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(
        _question: ServiceQuestion, _topology: PackedTopology, _patience: Callable[[], None]
    ) -> tuple[ServiceStanding, Needed]:
        raise ZeroDivisionError

    monkeypatch.setattr(ServiceQuestion, "find", broken)
    async with following(watches) as follower:
        with pytest.raises(RuntimeError, match="broke"):
            await follower.next()


class FailureFollower:
    """Somebody who asks what goes down with some items, one state after the other."""

    def __init__(self, watches: Watches, *failed: str) -> None:
        self._standings = watches.follow(FailureQuestion(frozenset(failed), Engine()))

    async def next(self) -> tuple[int, set[str]]:
        async with asyncio.timeout(60):
            standing = await anext(self._standings)
        return standing.revision, set(standing.down)

    async def close(self) -> None:
        await self._standings.aclose()


@asynccontextmanager
async def failing(watches: Watches, *failed: str) -> AsyncIterator[FailureFollower]:
    follower = FailureFollower(watches, *failed)
    try:
        yield follower
    finally:
        await follower.close()


async def test_what_comes_to_depend_on_what_is_down_enters_and_what_becomes_redundant_leaves(
    estate: Estate, watches: Watches
) -> None:
    async with failing(watches, "rack-1") as one, failing(watches, "rack-1", "rack-2") as both:
        assert await one.next() == (1, {"rack-1", "a"})
        assert await both.next() == (1, {"rack-1", "rack-2", "a", "b", "shop"})
        estate.put("other", "a")
        assert await one.next() == (2, {"rack-1", "a", "other"})
        assert await both.next() == (2, {"rack-1", "rack-2", "a", "b", "shop", "other"})
        estate.put("b", "rack-1")
        assert await one.next() == (3, {"rack-1", "a", "b", "shop", "other"})
        estate.cut("other", "a")
        assert await one.next() == (4, {"rack-1", "a", "b", "shop"})
        assert await both.next() == (4, {"rack-1", "rack-2", "a", "b", "shop"})
        assert len(watches) == 2


async def test_a_failure_is_followed_whatever_happens(watches: Watches, estate: Estate) -> None:
    """Random edges come and go; the last state is that of the plain implementation."""
    chance = random.Random(3)
    names = ["shop", "a", "b", "rack-1", "rack-2", "other", "c"]
    async with failing(watches, "rack-1", "c") as follower:
        known = (await follower.next())[1]
        for _ in range(200):
            source, target = chance.sample(names, 2)
            change = estate.put if chance.random() < 0.4 else estate.cut
            change(source, target)
            expected = simulate_failure(estate.present, {"rack-1", "c"})
            down = {item for item, state in expected.states.items() if state is State.DOWN}
            while known != down:
                known = (await follower.next())[1]


async def test_changes_elsewhere_leave_a_failure_alone(
    estate: Estate, watches: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    find = FailureQuestion.find

    def counted(
        question: FailureQuestion, topology: PackedTopology, patience: Callable[[], None]
    ) -> tuple[FailureStanding, Down]:
        asked.append(topology.revision)
        return find(question, topology, patience)

    monkeypatch.setattr(FailureQuestion, "find", counted)
    async with failing(watches, "rack-1") as follower:
        await follower.next()
        estate.put("other", "rack-2")
        estate.put("rack-2", "c")
        estate.put("rack-1", "c")
        await asyncio.sleep(0.2)
    assert asked == [1, 4]  # what a failed item needs is looked at, for it is down; it changes nothing


async def test_a_failure_that_takes_down_too_much_is_refused(
    estate: Estate, watches: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing_questions, "MOST_DOWN", 2)
    async with failing(watches, "rack-1") as follower:
        assert await follower.next() == (1, {"rack-1", "a"})
        estate.put("other", "rack-1")
        with pytest.raises(Refusal, match="3 items go down; up to 2 can be followed"):
            await follower.next()


async def test_a_failed_item_that_is_deleted_ends_the_watch(estate: Estate, watches: Watches) -> None:
    async with failing(watches, "rack-1", "c") as follower:
        await follower.next()
        estate.delete("c")
        with pytest.raises(NotFound, match="it is gone since revision 2"):
            await follower.next()
    async with failing(watches, "rack-1", "nobody") as follower:
        with pytest.raises(UnknownItems, match="nobody"):
            await follower.next()


async def test_who_leaves_while_it_is_computed_ends_that_before_the_next_begins(
    watches: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, most, begun = 0, 0, threading.Event()

    def endless(
        _question: ServiceQuestion, _topology: PackedTopology, patience: Callable[[], None]
    ) -> tuple[ServiceStanding, Needed]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        begun.set()
        try:
            while True:
                patience()
                time.sleep(0.005)
        finally:
            time.sleep(0.05)  # one who is slow to give up
            running -= 1

    monkeypatch.setattr(ServiceQuestion, "find", endless)
    for _ in range(5):
        begun.clear()
        async with following(watches) as follower:
            waiting = asyncio.ensure_future(follower.next())
            await asyncio.to_thread(begun.wait, 10)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(10):
        while running:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    assert most == 1
    assert len(watches) == 0


async def test_answers_that_name_too_many_items_together_are_refused(
    watches: Watches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches_module, "MOST_KEPT", 3)
    async with failing(watches, "rack-1") as one, failing(watches, "rack-2") as other:
        assert len((await one.next())[1]) == 2
        with pytest.raises(Refusal, match="name more than 3 items"):
            await other.next()
    async with failing(watches, "rack-2") as again:
        assert len((await again.next())[1]) == 2


def test_a_change_of_very_many_edges_is_not_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    estate = Estate()
    estate.put("other", "rack-1")
    change = Change(estate.present, estate.present.touched)
    assert change.targets == frozenset({"rack-1", "c"})
    monkeypatch.setattr(watches_module, "LARGE_CHANGE", 1)
    change = Change(estate.present, estate.present.touched)
    assert change.targets is None
    assert Down(np.array([99], np.int32), {"nothing"}).is_touched_by(change)
