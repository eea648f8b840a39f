"""The past: reading it 10,000 revisions back on an estate of 100,000 items, and the difference across them.

Over HTTP: the first question about a revision (which has to fold what changed since), and a further one about the same.
In process: the whole difference, and, as the peer, the state at that revision by replaying the ledger from its
beginning. The state then and the difference have to make the state now, item by item and edge by edge.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from benchmarks.estate import AUTHOR, Estate, build_estate, open_store, private_neo4j
from benchmarks.results import Result, quantile
from benchmarks.service import Client, running_service
from benchmarks.small_writes import some_change
from cmdb.model.composition import compose
from cmdb.model.items import ItemChange
from cmdb.store.local_server import LocalServer
from cmdb.store.store import Store

NAME = "past"
ITEMS = 100_000
REVISIONS = 10_000
WRITERS = 64
ROUNDS = 5

T = TypeVar("T")

ITEM = "query Item($id: ID!, $at: Long!) { item(id: $id, asOf: {revision: $at}) { name version } }"
PAGE = """
query Page($at: Long!) {
  applications(first: 100, asOf: {revision: $at}) {
    nodes { name lifecycle runsOn(first: 2) { nodes { name } } }
  }
}"""
DIFF = """
query Diff($from: Long!, $to: Long!) {
  diff(from: {revision: $from}, to: {revision: $to}, first: 50) { totalCount nodes { name } }
}"""


def run() -> list[Result]:
    """Measure on a private Neo4j; the service reads what was written before."""
    with private_neo4j() as neo4j:
        estate, then, results = asyncio.run(_in_process(neo4j))
        with running_service(neo4j) as service:
            results += over_http(service.client(), estate, then)
    return results


async def _in_process(neo4j: LocalServer) -> tuple[Estate, int, list[Result]]:
    async with open_store(neo4j) as store:
        estate = await build_estate(store, ITEMS)
        then = await store.head()
        await change(store, estate, REVISIONS + 2 * ROUNDS)
        now = then + REVISIONS
        differences = [await _timed(lambda: store.history.diff(then, now)) for _ in range(ROUNDS)]
        seconds = quantile([taken for _, taken in differences], 0.5)
        replayed, replay_seconds = await _timed(lambda: replay(store, then))
        patched = compose([*replayed.values(), *differences[0][0]])
        wrong = _unequal(patched, await replay(store, now))
        if wrong or len(replayed) != ITEMS:
            raise AssertionError(f"{len(replayed)} items, {len(wrong)} of them wrong, such as {wrong[:2]}")
        count = f"{REVISIONS:,} revisions"
        return (
            estate,
            then,
            [
                Result.below(NAME, f"difference across {count}, p50, s", seconds, 2),
                Result.at_least(
                    NAME,
                    f"folding {count} back against replaying the ledger up to there, times",
                    replay_seconds / seconds,
                    1,
                ),
            ],
        )


async def change(store: Store, estate: Estate, revisions: int) -> None:
    """Make so many revisions of one small change each."""
    chance = random.Random(3)
    waiting = iter(range(revisions))

    async def writer() -> None:
        for _ in waiting:
            await store.apply(some_change(estate, chance), AUTHOR)

    await asyncio.gather(*(writer() for _ in range(WRITERS)))


async def replay(store: Store, revision: int) -> dict[str, ItemChange]:
    """Every item's state as of a revision, from the beginning."""
    collected: list[ItemChange] = []
    async for _, changes in store.history.changes(0, revision):
        collected.extend(changes)
    return await asyncio.to_thread(compose, collected)


def _unequal(one: dict[str, ItemChange], other: dict[str, ItemChange]) -> list[str]:
    """The items that differ."""
    return [i for i in one.keys() | other.keys() if i not in one or i not in other or one[i] != other[i]]


async def _timed(work: Callable[[], Awaitable[T]]) -> tuple[T, float]:
    begun = time.perf_counter()
    return await work(), time.perf_counter() - begun


def over_http(client: Client, estate: Estate, then: int) -> list[Result]:
    """What a client waits: each round asks about another revision, of which the service knows nothing yet."""
    client.query(PAGE, {"at": then + REVISIONS + ROUNDS})  # the plans, and the topology of the present
    chance = random.Random(4)
    first_item, first_page, further, difference = [], [], [], []
    for number in range(ROUNDS):
        one, other = then + 2 * number, then + 2 * number + 1
        first_item.append(_answered(client, ITEM, {"id": chance.choice(estate.servers), "at": one}))
        first_page.append(_answered(client, PAGE, {"at": other}))
        further.append(_answered(client, PAGE, {"at": other}))
        difference.append(_answered(client, DIFF, {"from": then, "to": then + REVISIONS}))
    count = f"{REVISIONS:,} revisions"
    size = f"{ITEMS:,} items"
    return [
        Result.below(NAME, f"item as of {count} back, {size}, first question, p50, s", quantile(first_item, 0.5), 1),
        Result.below(
            NAME, f"page of 100 with edges as of {count} back, {size}, first question, p50, s",
            quantile(first_page, 0.5), 1,
        ),
        Result.below(NAME, "the same page again, p50, s", quantile(further, 0.5), 0.2),
        Result.below(NAME, f"difference across {count} over HTTP, p50, s", quantile(difference, 0.5), 2),
    ]  # fmt: skip


def _answered(client: Client, document: str, variables: dict[str, object]) -> float:
    begun = time.perf_counter()
    client.query(document, variables)
    return time.perf_counter() - begun
