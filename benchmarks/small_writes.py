"""Small writes: many clients, one ChangeSet each at a time, each acknowledged only when it is durable.

Sixteen clients write to an estate of 5,000 items for some seconds: a third creates an item with an edge, a third
changes one attribute, a third puts an edge. Measured: ChangeSets acknowledged a second and the time each took. The peer
is the same work with one ChangeSet per transaction. Then sixteen clients count shared counters up with optimistic
versions: every increment that was acknowledged has to be in the sum. Last, the ledger is verified whole.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.estate import AUTHOR, Estate, build_estate, open_store, private_neo4j
from benchmarks.results import Result, quantile
from cmdb.errors import CmdbError, StaleVersion
from cmdb.model.change_set import ChangeSet, PutEdge, PutItem
from cmdb.model.items import EdgeKey, new_id
from cmdb.store.local_server import LocalServer
from cmdb.store.reading import PresentReader
from cmdb.store.store import Store

NAME = "writes"
CLIENTS = 16
ITEMS = 5_000
WARM_UP_SECONDS = 20.0
"""Neo4j compiles what runs often: in its first seconds a ChangeSet needs three times the processor time."""
SECONDS = 15.0
COUNTERS = 4
INCREMENTS = 25
"""By each client."""

Apply = Callable[[ChangeSet], Awaitable[int | None]]
"""Applies a ChangeSet; the revision it made."""


@dataclass(slots=True)
class Load:
    """What clients saw: how long each ChangeSet took (seconds), its revision, and every refusal."""

    taken: list[float] = field(default_factory=list)
    revisions: list[int] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """ChangeSets acknowledged a second."""
        return len(self.taken) / self.seconds


def run() -> list[Result]:
    """Measure on a private Neo4j."""
    with private_neo4j() as server:
        return asyncio.run(measure(server))


async def measure(server: LocalServer) -> list[Result]:
    """All figures of this theme, in one process with the store."""
    async with open_store(server) as store:
        estate = await build_estate(store, ITEMS)

        async def apply(change_set: ChangeSet) -> int | None:
            return (await store.apply(change_set, AUTHOR)).revision

        one_by_one = asyncio.Lock()

        async def apply_alone(change_set: ChangeSet) -> int | None:
            async with one_by_one:
                return await apply(change_set)

        await clients(apply, estate, WARM_UP_SECONDS)
        before = await store.head()
        load = await clients(apply, estate, SECONDS)
        made = await store.head() - before
        alone = await clients(apply_alone, estate, SECONDS / 3)
        lost = await count_up(store)
        report = await store.history.verify()
        return [
            Result.at_least(NAME, f"ChangeSets a second, {CLIENTS} clients", load.rate, 400),
            Result.below(NAME, "time of one of them, p99, ms", quantile(load.taken, 0.99) * 1e3, 150),
            Result.at_least(
                NAME, "group commit against one ChangeSet per transaction, times", load.rate / alone.rate, 1
            ),
            Result.exactly(NAME, "ChangeSets refused", len(load.refusals) + len(alone.refusals), 0),
            Result.exactly(
                NAME, "acknowledged revisions that are not in the ledger", len(load.revisions) - made, 0
            ),
            Result.exactly(NAME, "increments of shared counters lost", lost, 0),
            Result.exactly(NAME, "faults found in the ledger afterwards", len(report.problems), 0),
        ]


async def clients(apply: Apply, estate: Estate, seconds: float) -> Load:
    """`CLIENTS` clients that write for so long, each waiting for its answer before it goes on."""
    load = Load()
    started = time.perf_counter()
    until = started + seconds

    async def client(number: int) -> None:
        chance = random.Random(number)
        while time.perf_counter() < until:
            change_set = some_change(estate, chance)
            begun = time.perf_counter()
            try:
                revision = await apply(change_set)
            except CmdbError as error:
                load.refusals.append(str(error))
                continue
            load.taken.append(time.perf_counter() - begun)
            if revision is not None:
                load.revisions.append(revision)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    load.seconds = time.perf_counter() - started
    return load


def some_change(estate: Estate, chance: random.Random) -> ChangeSet:
    """One of the three small changes; each differs from what is there."""
    kind = chance.randrange(3)
    if kind == 0:
        item = new_id()
        put = PutItem(item, {"name": f"app-{item}", "language": "Go"}, "Application", intent="create")
        return ChangeSet((put, PutEdge(EdgeKey("RUNS_ON", item, chance.choice(estate.machines)))))
    if kind == 1:
        return ChangeSet((PutItem(chance.choice(estate.servers), {"power_draw": chance.randrange(2**31)}),))
    source, target = chance.choice(estate.applications), chance.choice(estate.machines)
    return ChangeSet((PutEdge(EdgeKey("USES", source, target, f"{chance.randrange(2**31)}")),))


async def count_up(store: Store) -> int:
    """Let all clients count shared counters up; how many acknowledged increments are missing from the sum."""
    counters = [new_id() for _ in range(COUNTERS)]
    creations = (
        PutItem(c, {"name": f"counter {c}", "memory": 0}, "Server", intent="create") for c in counters
    )
    await store.apply(ChangeSet(tuple(creations)), AUTHOR)
    reader = PresentReader(store.connection, lambda: store.catalogue)

    async def client(number: int) -> None:
        for turn in range(INCREMENTS):
            counter = counters[(number + turn) % COUNTERS]
            while True:
                item = (await reader.items([counter]))[counter]
                seen = item.attributes["memory"]
                change = PutItem(counter, {"memory": int(str(seen)) + 1})
                try:
                    await store.apply(ChangeSet((change,), expected={counter: item.version}), AUTHOR)
                    break
                except StaleVersion:
                    continue

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    found = await reader.items(counters)
    return CLIENTS * INCREMENTS - sum(int(str(item.attributes["memory"])) for item in found.values())
