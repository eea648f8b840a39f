"""The estate as a topology in arrays, kept in step with the ledger: what traversal and impact run on.

Promises: `at_head` is true of at least what this process knows to be committed when it is called, and `reached` of at
least a given revision, for which it waits; `at` gives any earlier one by taking the changes back. It starts from a
snapshot file where there is one that fits, else from Neo4j, packed; afterwards only what changed is read. Topologies
are immutable: whoever has one keeps it. What differs from the base is merged into a new one in the background.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from cmdb.errors import BadRequest, CmdbError, NotFound
from cmdb.model.catalogue import Catalogue
from cmdb.model.composition import compose_backwards, latest
from cmdb.model.items import EdgeChange, ItemChange
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.planning import CATALOGUE_CLASS
from cmdb.model.topology import TopologyEdge, TopologyItem
from cmdb.store.snapshot import Snapshot, read_snapshot, write_snapshot
from cmdb.store.store import Store
from cmdb.store.topology_columns import kind_in, packed_columns, read_pieces, topology_edge

KEPT_CHANGES = range(1_000, 50_000)
"""So many changes are kept for the next question: fewer are quickly read, more would fill the memory."""
KEPT_PAST = 4
"""How many topologies of the past are kept for the next question."""
SMALL_CHANGE = 200
"""Up to so many changed items are taken up at once; more in a thread."""
OVERLAY_LEAST, OVERLAY_SHARE = 4096, 64
"""An overlay is merged when it exceeds so many, or this fraction of the estate: copying it is what a change costs."""
MOST_REPLAYED = 200_000
"""A snapshot that is further behind is not worth its replay."""
WAIT_SECONDS = 5.0
"""How long a question waits for a revision that is not there yet."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.topology")


class LiveTopology:
    """Holds the topology of the head and a few of the past. One for a process."""

    def __init__(self, store: Store, snapshot: Path | None = None) -> None:
        self._store = store
        self._snapshot = snapshot
        self._current: PackedTopology | None = None
        self._past: dict[int, PackedTopology] = {}
        self._lock = asyncio.Lock()
        self._digest = ""
        self._changes: tuple[int, int, list[ItemChange]] = (0, 0, [])
        self._tasks: set[asyncio.Task[None]] = set()
        self._merging = False
        self.source = ""
        """Where the last base came from: `snapshot`, `neo4j` or `overlay`."""
        self.prepare: list[Callable[[PackedTopology], None]] = []
        """Called in a thread with every topology on a new base or after a big change, before it is the current one."""
        self.derive: Callable[[PackedTopology], Mapping[str, Any]] = lambda _: {}
        """What else of a topology without overlay is kept in the snapshot file: arrays by name. Called in a thread."""
        self.restore: Callable[[PackedTopology, Mapping[str, Any]], None] = lambda _topology, _arrays: None
        """Called in a thread with a topology from the file and these arrays, before `prepare`."""
        self.moved: list[Callable[[PackedTopology], None]] = []
        """Called in the event loop with every topology that becomes the current one; must return at once."""

    def start(self) -> None:
        """Load, and follow the ledger from then on."""
        self._spawn(self._follow())

    async def close(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def changes(self, after: int, until: int) -> list[ItemChange]:
        """Every change to items of the revisions `after` < n <= `until`, in their order.

        The last answer is kept: an as-of question asks for it twice, for items and for edges.
        """
        if self._changes[:2] != (after, until):
            found = [
                change
                async for _, changes in self._store.history.changes(after, until)
                for change in changes
                if change.class_name != CATALOGUE_CLASS
            ]
            if len(found) not in KEPT_CHANGES:
                return found
            self._changes = (after, until, found)
        return self._changes[2]

    async def at_head(self) -> PackedTopology:
        """The topology of the last revision that this process knows to be committed, or of a later one."""
        current = self._current
        if current is not None and self._is_new(current):
            return current
        async with self._lock:
            return await self._refresh()

    async def reached(self, revision: int) -> PackedTopology:
        """The topology of `revision` or of a later one. Raises `BadRequest` if that is not there within 5 seconds."""
        current = await self.at_head()
        if current.revision < revision:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    await self._store.feed.wait_beyond(revision - 1)
            current = await self.at_head()
        if current.revision < revision:
            raise BadRequest(
                f"atLeast is {revision}; the ledger is at {current.revision}, and did not get there in "
                f"{WAIT_SECONDS:g} s"
            )
        return current

    async def at(self, revision: int) -> PackedTopology:
        """The topology as of a revision."""
        present = await self.at_head()
        if revision == present.revision:
            return present
        kept = self._past.get(revision)
        if kept is not None:
            return kept
        if revision > present.revision:
            raise NotFound("revision", str(revision), f"the last one is {present.revision}")
        changes = await self.changes(revision, present.revision)
        catalogue = self._store.catalogue
        past = await asyncio.to_thread(
            lambda: _after(present, compose_backwards(changes).values(), revision, catalogue)
        )
        self._past[revision] = past
        while len(self._past) > KEPT_PAST:
            del self._past[next(iter(self._past))]
        return past

    def _is_new(self, topology: PackedTopology) -> bool:
        return topology.revision >= self._store.committed and self._digest == self._store.catalogue.digest

    async def _follow(self) -> None:
        """Stay in step for as long as the process runs; what fails is tried again."""
        while True:
            try:
                current = await self.at_head()
                await self._store.feed.wait_beyond(current.revision)
            except CmdbError as error:
                _log.warning("topology_behind", error=str(error), doing="trying again in a second")
                await asyncio.sleep(1.0)
            if self._store.feed.closed:
                return

    async def _refresh(self) -> PackedTopology:
        catalogue = self._store.catalogue
        current = self._current
        if current is None or self._digest != catalogue.digest:
            # Layers and strengths come from the catalogue: another one is another topology.
            current = await self._loaded(catalogue)
            self._current, self._digest = None, catalogue.digest
            self._past.clear()
            # What was read may be ahead of its number by commits of others that we have not heard of: catch up with
            # the ledger itself before anybody sees it.
            head = max(self._store.committed, await self._store.head())
        else:
            head = self._store.committed
        if head > current.revision:
            changes = await self.changes(current.revision, head)
            if len(changes) < SMALL_CHANGE:
                current = _moved(current, changes, head, catalogue)
            else:
                before = current
                current = await asyncio.to_thread(
                    self._prepared, lambda: _moved(before, changes, head, catalogue)
                )
        if current is not self._current:
            self._make_current(current)
        if current.overlay_size > max(OVERLAY_LEAST, current.size // OVERLAY_SHARE) and not self._merging:
            self._merging = True
            self._spawn(self._merge(current, catalogue))
        return current

    def _make_current(self, topology: PackedTopology) -> None:
        self._current = topology
        for callback in self.moved:
            callback(topology)

    async def _merge(self, topology: PackedTopology, catalogue: Catalogue) -> None:
        """Give the topology a base of its own while questions go on, then take up what came meanwhile."""
        try:
            merged = await asyncio.to_thread(self._prepared, topology.compacted)
            async with self._lock:
                current = self._current
                if current is None or self._digest != catalogue.digest:
                    return  # another catalogue has come: everything was loaded anew
                changes = await self.changes(merged.revision, current.revision)
                until = current.revision
                moved = await asyncio.to_thread(
                    self._prepared, lambda: _moved(merged, changes, until, catalogue)
                )
                self.source = "overlay"
                self._make_current(moved)
            await self._save(merged, catalogue.digest)
        except CmdbError as error:
            _log.warning("topology_not_merged", error=str(error), doing="trying again later")
        finally:
            self._merging = False

    def _prepared(self, made: Callable[[], PackedTopology]) -> PackedTopology:
        topology = made()
        for prepare in self.prepare:
            prepare(topology)
        return topology

    async def _loaded(self, catalogue: Catalogue) -> PackedTopology:
        """From the snapshot file if it fits, else from Neo4j."""
        head = self._store.committed
        snapshot = await asyncio.to_thread(read_snapshot, self._snapshot) if self._snapshot else None
        if snapshot is not None and await self._fits(snapshot, catalogue, head):
            self.source = "snapshot"
            return await asyncio.to_thread(self._prepared, lambda: self._restored(snapshot))
        items, edges = await read_pieces(self._store.connection, catalogue)
        # Later changes may be in it, and taking them up again is harmless.
        loaded = await asyncio.to_thread(
            self._prepared, lambda: PackedTopology.of_columns(head, packed_columns(catalogue, items, edges))
        )
        self.source = "neo4j"
        self._spawn(self._save_loaded(loaded, catalogue))
        return loaded

    def _restored(self, snapshot: Snapshot) -> PackedTopology:
        self.restore(snapshot.topology, snapshot.derived)
        return snapshot.topology

    async def _fits(self, snapshot: Snapshot, catalogue: Catalogue, head: int) -> bool:
        revision = snapshot.topology.revision
        if snapshot.catalogue != catalogue.digest or not head - MOST_REPLAYED <= revision <= head:
            return False
        return await self._ledger_hash(revision) == snapshot.ledger

    async def _ledger_hash(self, revision: int) -> str:
        if not revision:
            return ""
        try:
            return (await self._store.history.revision(revision)).hash
        except NotFound:
            return "no such revision"

    async def _save_loaded(self, topology: PackedTopology, catalogue: Catalogue) -> None:
        """What was read while others wrote may be ahead of its number; only what stood still is kept."""
        if self._store.committed == topology.revision:
            await self._save(topology, catalogue.digest)

    async def _save(self, topology: PackedTopology, digest: str) -> None:
        if self._snapshot is None:
            return
        try:
            ledger, path = await self._ledger_hash(topology.revision), self._snapshot

            def write() -> None:
                write_snapshot(path, Snapshot(topology, ledger, digest, self.derive(topology)))

            await asyncio.to_thread(write)
        except (OSError, CmdbError) as error:
            _log.warning("snapshot_not_written", path=str(self._snapshot), error=str(error))

    def _spawn(self, coroutine: Any) -> None:  # noqa: ANN401 - any coroutine
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _moved(
    topology: PackedTopology, changes: Iterable[ItemChange], revision: int, catalogue: Catalogue
) -> PackedTopology:
    """The topology after changes some of which may be in it already, as they are when it was read meanwhile."""
    return _after(topology, latest(changes).values(), revision, catalogue)


@dataclass(slots=True)
class _Delta:
    items: list[TopologyItem]
    gone: list[str]
    edges: list[TopologyEdge]
    cut: list[tuple[str, str, str, str | None]]


def _after(
    topology: PackedTopology, changes: Iterable[ItemChange], revision: int, catalogue: Catalogue
) -> PackedTopology:
    """The topology after net changes; an end that is missing in spite of them belongs to an edge that is gone."""
    delta = _Delta([], [], [], [])
    put: list[EdgeChange] = []
    for change in changes:
        if change.after is None:
            delta.gone.append(change.item_id)
        else:
            delta.items.append(_changed(topology, change, catalogue))
        for edge in change.edges:
            if edge.after is None:
                delta.cut.append((edge.key.type, edge.key.source, edge.key.target, edge.key.group or None))
            else:
                put.append(edge)
    gone, made = set(delta.gone), {item.id for item in delta.items}

    def there(item_id: str) -> bool:
        return item_id in made or (item_id not in gone and topology.number_of(item_id) is not None)

    for edge in put:
        if edge.after is not None and there(edge.key.source) and there(edge.key.target):
            delta.edges.append(topology_edge(catalogue, edge.key, edge.after))
    return topology.with_changes(
        revision,
        put_items=delta.items,
        delete_items=delta.gone,
        put_edges=delta.edges,
        delete_edges=delta.cut,
    )


def _changed(topology: PackedTopology, change: ItemChange, catalogue: Catalogue) -> TopologyItem:
    old, after = topology.items.get(change.item_id), change.after or {}
    name = str(after.get("name", old.name if old else change.name))
    class_name = str(after.get("class", old.class_name if old else change.class_name))
    lifecycle = after.get("lifecycle", old.lifecycle if old else None)
    differs = "criticality" in after or "criticality" in (
        change.before or {}
    )  # taken away: only in what was before
    criticality = after.get("criticality") if differs or old is None else old.criticality
    kind = kind_in(catalogue, class_name, str(lifecycle or ""), str(criticality or ""))
    return TopologyItem(change.item_id, name, *kind)
