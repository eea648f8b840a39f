"""Standing questions: answered again and again, for those who follow them, as the estate changes.

Promises: a question is computed once, however many follow it, in a thread, and again only when a revision changed the
edges of something that concerns it (or gave the topology another base). Whoever follows sees the newest state whenever
there is one that differs from what he saw last: a burst gives few states, the last of them the final one. When an item
that a question is about is deleted, following it ends with an error.

Does not: follow the ledger itself. `LiveTopology` does, and tells of every topology.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import structlog

from cmdb.errors import NotFound
from cmdb.model.packed_topology import PackedTopology
from cmdb.store.topology import LiveTopology
from cmdb_graphql.errors import Code, Refusal
from impact.errors import UnknownItems

MOST_WATCHED, MOST_KEPT = 1_000, 500_000
"""Questions that are followed at once in this process, and items that their answers name together: 150 bytes each. A
question also keeps 4 bytes for every item that concerns it."""
LARGE_CHANGE = 1_000
"""A change of so many sources is not looked through in the event loop: every question is computed anew."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.watches")


@dataclass(frozen=True)
class Standing(ABC):
    """The answer to a standing question, true of `revision`."""

    revision: int

    @property
    @abstractmethod
    def size(self) -> int:
        """How many items it names."""

    @abstractmethod
    def equals(self, other: Self) -> bool:
        """Whether nothing differs that is worth telling; the revision is not."""

    def at(self, revision: int) -> Self:
        """The same, of a later revision that changed nothing."""
        return replace(self, revision=revision)


S = TypeVar("S", bound=Standing)
T = TypeVar("T")
S_co = TypeVar("S_co", bound=Standing, covariant=True)


@dataclass(frozen=True)
class Change:
    """New edges of some items: `sources`, by number in the topology that has them."""

    topology: PackedTopology
    sources: Set[int]

    @cached_property
    def targets(self) -> frozenset[str] | None:
        """What the sources depend on now, by id; None where that is more than `LARGE_CHANGE` edges."""
        edges = [self.topology.out.get(source, ()) for source in self.sources]
        if sum(map(len, edges)) > LARGE_CHANGE:
            return None
        return frozenset(edge.target for some in edges for edge in some if edge.strength is not None)


class Concern(Protocol):
    """Which changes may give another answer."""

    def is_touched_by(self, change: Change) -> bool:
        """Whether this one may."""


class Question(Protocol[S_co]):
    """What is asked; equal questions are one."""

    @property
    def items(self) -> tuple[str, ...]:
        """The items that it is about."""

    def find(self, topology: PackedTopology, patience: Callable[[], None]) -> tuple[S_co, Concern]:
        """The answer, in a thread; `patience` is called between steps, and raises where nobody waits any more. Raises
        `UnknownItems`, and `Refusal` where it is too large to be followed."""

    def __hash__(self) -> int:
        """As of a value."""


class Watches:
    """Which questions are followed. One for a process; everything but computing happens in the event loop."""

    def __init__(self, topologies: LiveTopology) -> None:
        self._topologies = topologies
        self._watches: dict[Question[Any], _Watch[Any]] = {}
        self._computing = asyncio.Semaphore(1)  # of two cores one is left for questions
        topologies.moved.append(self._moved)

    def __len__(self) -> int:
        return len(self._watches)

    async def follow(self, question: Question[S]) -> AsyncGenerator[S, None]:
        """The answer, at least as of now, then again whenever that is another.

        Raises `NotFound` for items that are not there, or no more, and `Refusal` where too many are followed.
        """
        topology = await self._topologies.at_head()
        unknown = [item for item in question.items if topology.number_of(item) is None]
        if unknown:
            raise UnknownItems(unknown, topology.revision)
        watch = cast("_Watch[S] | None", self._watches.get(question))
        if watch is None or watch.has_ended:
            if len(self._watches) >= MOST_WATCHED and watch is None:
                raise Refusal(
                    Code.LIMIT_EXCEEDED,
                    f"{MOST_WATCHED} questions are watched already; end another subscription first",
                    facts={"limit": "watchedQuestions", "allowed": MOST_WATCHED, "seen": MOST_WATCHED + 1},
                )
            watch = self._watches[question] = _Watch(question, topology, self._computing, self._kept)
        watch.followers += 1
        seen: S | None = None
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
                if self._watches.get(question) is watch:
                    del self._watches[question]

    def _moved(self, topology: PackedTopology) -> None:
        change = Change(topology, topology.touched)
        for watch in self._watches.values():
            watch.moved(change)

    def _kept(self) -> int:
        """How many items all answers name together."""
        return sum(watch.kept for watch in self._watches.values())


class _Watch(Generic[S]):
    """One question that somebody follows. `news` is set, and replaced, whenever something was found out."""

    def __init__(
        self,
        question: Question[S],
        topology: PackedTopology,
        computing: asyncio.Semaphore,
        kept: Callable[[], int],
    ) -> None:
        self._question = question
        self._kept_by_all = kept
        self._left = threading.Event()
        self.followers = 0
        self.news = asyncio.Event()
        self._newest = topology
        self._standing: S | None = None
        self._gone: UnknownItems | None = None
        self._failure: Exception | None = None
        self._concern: Concern | None = None  # None while it is computed
        self._touched_meanwhile: set[int] = set()
        self._stale = asyncio.Event()
        self._stale.set()
        self._task = asyncio.create_task(self._keep_up(computing), name="watch")

    @property
    def kept(self) -> int:
        """How many items the answer names."""
        return 0 if self._standing is None else self._standing.size

    @property
    def has_ended(self) -> bool:
        """Whether there will be no more news."""
        return self._gone is not None or self._failure is not None

    def current(self, since: int) -> S | None:
        """The newest that is known, if it is true of revision `since` or a later one. Raises what ended the watch."""
        if self._gone is not None:
            revision = self._gone.revision
            raise NotFound("item", self._gone.ids[0], f"it is gone since revision {revision} at the latest")
        if isinstance(self._failure, Refusal):
            raise self._failure
        if self._failure is not None:
            raise RuntimeError(f"the watch of {', '.join(self._question.items)} broke") from self._failure
        standing = self._standing
        if standing is None:
            return None
        if not self._stale.is_set() and self._concern is not None:  # what came since did not touch it
            standing = standing.at(self._newest.revision)
        return standing if standing.revision >= since else None

    def moved(self, change: Change) -> None:
        """Another topology is the present. Looks at what changed and returns at once."""
        topology = change.topology
        before, self._newest = self._newest, topology
        if self._stale.is_set() or topology is before:
            return
        follows = topology.columns is before.columns and topology.parent == before.revision
        if not follows or len(topology.touched) > LARGE_CHANGE:
            self._stale.set()
        elif self._concern is None:
            self._touched_meanwhile |= topology.touched
            if len(self._touched_meanwhile) > LARGE_CHANGE:
                self._stale.set()
        elif self._concern.is_touched_by(change):
            self._stale.set()

    def close(self) -> None:
        """Stop; what is being computed gives up when it looks, and until then others wait."""
        self._left.set()
        self._task.cancel()

    async def _keep_up(self, computing: asyncio.Semaphore) -> None:
        try:
            while True:
                await self._stale.wait()
                async with computing:
                    self._stale.clear()
                    topology = self._newest
                    self._concern, self._touched_meanwhile = None, set()
                    self._standing, concern = await _to_the_end(
                        asyncio.to_thread(self._question.find, topology, self._patience)
                    )
                if self._kept_by_all() > MOST_KEPT:
                    self._standing = None
                    raise Refusal(
                        Code.LIMIT_EXCEEDED,
                        f"the answers of all questions that are watched name more than {MOST_KEPT:,} items; end "
                        "another subscription first",
                        facts={"limit": "watchedItems", "allowed": MOST_KEPT},
                    )
                self._concern = concern
                if concern.is_touched_by(Change(self._newest, self._touched_meanwhile)):
                    self._stale.set()
                self._touched_meanwhile = set()
                self._tell()
        except UnknownItems as error:
            self._gone = error
            self._tell()
        except Refusal as refusal:
            self._failure = refusal
            self._tell()
        except Exception as error:  # the followers are told; nobody else awaits this task
            _log.error("watch_failed", items=self._question.items, exc_info=error)
            self._failure = error
            self._tell()

    def _patience(self) -> None:
        if self._left.is_set():
            raise _NobodyFollows

    def _tell(self) -> None:
        news, self.news = self.news, asyncio.Event()
        news.set()


class _NobodyFollows(Exception):
    """What is computed is for nobody any more."""


async def _to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work in a thread, also when cancelled: it goes on, and must not do so beside the next."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        task.exception()  # seen
        raise
