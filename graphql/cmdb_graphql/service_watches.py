"""Standing questions about services: what takes each down alone, and how many failures it survives, kept up to date.

Promises: a service is computed once, however many follow it, in a thread, and again only when a revision changed the
edges of something it needs (or gave the topology another base). Whoever follows sees the newest state whenever there is
one that differs from what he saw last: a burst gives few states, the last of them the final one. A deleted service ends
with an error.

Does not: follow the ledger itself. `LiveTopology` does, and tells of every topology.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Set
from dataclasses import dataclass, replace

import numpy as np
import structlog

from cmdb.errors import NotFound
from cmdb.model.columns import Int32s
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyItem
from cmdb.store.topology import LiveTopology
from cmdb_graphql.errors import Code, Refusal
from impact.errors import UnknownItems
from impact.redundancy import Margin
from impact.service_needs import ServiceNeeds

MOST_WATCHED = 1_000
"""Services that are followed at once in this process; each keeps 4 bytes for every item that it needs."""
LARGE_CHANGE = 1_000
"""A change of so many sources is not looked through in the event loop: every service is computed anew."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.watches")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a service stands, true of `revision`: the items that take it down alone, by their ids, its margin, and one
    more items than that which take it down together."""

    revision: int
    margin: Margin
    single_points: Mapping[str, TopologyItem]
    defeated_by: tuple[TopologyItem, ...] = ()

    def equals(self, other: Standing) -> bool:
        """Whether nothing differs but the revision."""
        return self.margin == other.margin and self.single_points.keys() == other.single_points.keys()


class ServiceWatches:
    """Which services are followed. One for a process; everything but computing happens in the event loop."""

    def __init__(self, topologies: LiveTopology) -> None:
        self._topologies = topologies
        self._watches: dict[str, _Watch] = {}
        self._computing = asyncio.Semaphore(1)  # of two cores one is left for questions
        topologies.moved.append(self._moved)

    def __len__(self) -> int:
        return len(self._watches)

    async def follow(self, service: str) -> AsyncGenerator[Standing, None]:
        """How the service stands, at least as of now, then again whenever that is another.

        Raises `NotFound` for a service that is not there, or no more, and `Refusal` where too many are followed.
        """
        topology = await self._topologies.at_head()
        if topology.number_of(service) is None:
            raise UnknownItems([service], topology.revision)
        watch = self._watches.get(service)
        if watch is None or watch.has_ended:
            if len(self._watches) >= MOST_WATCHED:
                raise Refusal(
                    Code.LIMIT_EXCEEDED,
                    f"{MOST_WATCHED} services are watched already; end another subscription first",
                    facts={"limit": "watchedServices", "allowed": MOST_WATCHED, "seen": MOST_WATCHED + 1},
                )
            watch = self._watches[service] = _Watch(service, topology, self._computing)
        watch.followers += 1
        seen: Standing | None = None
        try:
            while True:
                news = watch.news
                standing = watch.current(topology.revision)
                if standing is None or (seen is not None and standing.equals(seen)):
                    await news.wait()
                    continue
                seen = standing
                yield standing
        finally:
            watch.followers -= 1
            if not watch.followers:
                watch.close()
                if self._watches.get(service) is watch:
                    del self._watches[service]

    def _moved(self, topology: PackedTopology) -> None:
        for watch in self._watches.values():
            watch.moved(topology)


class _Watch:
    """One service that somebody follows. `news` is set, and replaced, whenever something was found out."""

    def __init__(self, service: str, topology: PackedTopology, computing: asyncio.Semaphore) -> None:
        self.service = service
        self.followers = 0
        self.news = asyncio.Event()
        self._newest = topology
        self._standing: Standing | None = None
        self._gone_at: int | None = None
        self._failure: Exception | None = None
        self._needed: Int32s | None = None  # ascending; None while it is computed
        self._touched_meanwhile: set[int] = set()
        self._stale = asyncio.Event()
        self._stale.set()
        self._task = asyncio.create_task(self._keep_up(computing), name=f"watch {service}")

    @property
    def has_ended(self) -> bool:
        """Whether there will be no more news."""
        return self._gone_at is not None or self._failure is not None

    def current(self, since: int) -> Standing | None:
        """The newest that is known, if it is true of revision `since` or a later one. Raises what ended the watch."""
        if self._gone_at is not None:
            raise NotFound(
                "service", self.service, f"it is gone since revision {self._gone_at} at the latest"
            )
        if self._failure is not None:
            raise RuntimeError(f"the watch of service {self.service} broke") from self._failure
        standing = self._standing
        if standing is None:
            return None
        if not self._stale.is_set() and self._needed is not None:  # what came since did not touch it
            standing = replace(standing, revision=self._newest.revision)
        return standing if standing.revision >= since else None

    def moved(self, topology: PackedTopology) -> None:
        """Another topology is the present. Looks at what changed and returns at once."""
        before, self._newest = self._newest, topology
        if self._stale.is_set() or topology is before:
            return
        follows = topology.columns is before.columns and topology.parent == before.revision
        if not follows or len(topology.touched) > LARGE_CHANGE:
            self._stale.set()
        elif self._needed is None:
            self._touched_meanwhile |= topology.touched
            if len(self._touched_meanwhile) > LARGE_CHANGE:
                self._stale.set()
        elif _touches(topology.touched, self._needed):
            self._stale.set()

    def close(self) -> None:
        """Stop."""
        self._task.cancel()

    async def _keep_up(self, computing: asyncio.Semaphore) -> None:
        try:
            while True:
                await self._stale.wait()
                async with computing:
                    self._stale.clear()
                    topology = self._newest
                    self._needed, self._touched_meanwhile = None, set()
                    self._standing, needed = await asyncio.to_thread(_find, topology, self.service)
                self._needed = needed
                if _touches(self._touched_meanwhile, needed):
                    self._stale.set()
                self._touched_meanwhile = set()
                self._tell()
        except UnknownItems as error:
            self._gone_at = error.revision
            self._tell()
        except Exception as error:  # the followers are told; nobody else awaits this task
            _log.error("watch_failed", service=self.service, exc_info=error)
            self._failure = error
            self._tell()

    def _tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


def _find(topology: PackedTopology, service: str) -> tuple[Standing, Int32s]:
    """How a service stands, and the numbers of what it needs, ascending."""
    needs = ServiceNeeds.of(topology, service)
    alone = needs.numbers[needs.reduction.single_points]
    items = [topology.item(number) for number in alone.tolist() if number != needs.numbers[0]]
    margin = needs.margin()
    defeating = tuple(topology.item(number) for number in needs.numbers[[*margin.defeated_by]].tolist())
    standing = Standing(topology.revision, margin, {item.id: item for item in items}, defeating)
    return standing, np.sort(needs.numbers)


def _touches(touched: Set[int], numbers: Int32s) -> bool:
    """Whether one of `touched` is among ascending numbers."""
    if not touched:
        return False
    sought = np.fromiter(touched, np.int32, len(touched))
    places = np.minimum(np.searchsorted(numbers, sought), len(numbers) - 1)
    return bool((numbers[places] == sought).any())
