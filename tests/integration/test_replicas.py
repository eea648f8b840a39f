"""Several processes on one Neo4j: each follows the ledger, all answer alike, and a snapshot file never misleads one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import pytest
import pytest_asyncio

from cmdb.errors import BadRequest
from cmdb.model.change_set import ChangeSet, DeleteEdge, DeleteItem, Operation, PutEdge, PutItem
from cmdb.model.items import EdgeFacts, EdgeKey, new_id
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import PlainTopology
from cmdb.store import topology, topology_columns
from cmdb.store.snapshot import Snapshot, read_snapshot, write_snapshot
from cmdb.store.store import Store
from cmdb.store.topology import LiveTopology
from impact.engine import Engine
from impact.propagation import simulate_failure
from tests.conftest import ALICE, Neo4jAddress


@dataclass(frozen=True, slots=True)
class Replica:
    """What a service process has: a store, the topology that follows it, and the engine that follows that."""

    store: Store
    live: LiveTopology
    engine: Engine

    @classmethod
    def of(cls, store: Store, snapshot: Path | None = None) -> Self:
        live, engine = LiveTopology(store, snapshot), Engine()
        live.derive, live.restore = engine.derived, engine.restore
        live.prepare.append(engine.warm)
        live.moved.append(engine.follow)
        return cls(store, live, engine)


@pytest_asyncio.fixture(loop_scope="session")
async def replicas(store: Store, neo4j_server: Neo4jAddress) -> AsyncIterator[tuple[Replica, Replica]]:
    other = await Store.open(neo4j_server.uri, neo4j_server.user, neo4j_server.password)
    pair = Replica.of(store), Replica.of(other)
    for replica in pair:
        replica.live.start()
    yield pair
    for replica in pair:
        await replica.live.close()
    await other.close()


class Estate:
    """Applications in groups on servers, changed at random; every change is one that may be made."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._servers = [new_id() for _ in range(6)]
        self._apps = [new_id() for _ in range(8)]
        self._edges: set[EdgeKey] = set()

    def beginning(self) -> ChangeSet:
        servers = [PutItem(i, {"name": i}, "Server") for i in self._servers]
        return ChangeSet((*servers, *(PutItem(i, {"name": i}, "Application") for i in self._apps)))

    def change(self) -> ChangeSet:
        chance, kind = self._chance, self._chance.randrange(6)
        if kind == 0 and len(self._servers) > 3:
            gone = self._servers.pop(chance.randrange(len(self._servers)))
            self._edges = {key for key in self._edges if key.target != gone}
            return ChangeSet((DeleteItem(gone),))
        if kind == 1:
            self._servers.append(new_id())
            return ChangeSet((PutItem(self._servers[-1], {"name": self._servers[-1]}, "Server"),))
        if kind == 2 and self._edges:
            key = self._edges.pop()
            return ChangeSet((DeleteEdge(key),))
        if kind == 3:
            renamed = PutItem(chance.choice(self._apps), {"name": f"app-{chance.random():.9f}"})
            return ChangeSet((renamed,))
        operations: list[Operation] = []
        app, group = chance.choice(self._apps), f"g{chance.randrange(2)}"
        for target in chance.sample(self._servers, 3):
            key = EdgeKey("RUNS_ON", app, target, group)
            self._edges.add(key)
            required = chance.choice(["1", "2", "50%"])
            operations.append(
                PutEdge(key, EdgeFacts(required=required, confidence=chance.choice(CONFIDENCES)))
            )
        return ChangeSet(tuple(operations))


CONFIDENCES = ("declared", "observed", "inferred")


def contents(found: PackedTopology) -> tuple[set[object], set[object]]:
    return set(found.items.values()), set(found.edges())


async def fresh(store: Store) -> PackedTopology:
    return await LiveTopology(store).at_head()


def assert_answers_as(engine: Engine, mine: PackedTopology, truth: PackedTopology) -> None:
    """Of every item's failure the engine says what the plain implementation says of a topology read anew."""
    plain = PlainTopology.build(truth.revision, truth.items.values(), truth.edges())
    for item in plain.items:
        fast, slow = engine.simulate_failure(mine, [item]), simulate_failure(plain, [item])
        assert dict(fast.states) == dict(slow.states)
        assert dict(fast.distances) == dict(slow.distances)


async def write(replicas: tuple[Replica, Replica], estate: Estate, chance: random.Random) -> int:
    """One change at either side; the revision after it."""
    applied = await chance.choice(replicas).store.apply(estate.change(), ALICE)
    return applied.revision or 0


# --- following --------------------------------------------------------------------------------------------------------


async def test_both_answer_as_a_fresh_load_after_writes_from_both_sides(
    replicas: tuple[Replica, Replica],
) -> None:
    estate, chance = Estate(1), random.Random(1)
    await replicas[0].store.apply(estate.beginning(), ALICE)
    for _ in range(12):
        last = max([await write(replicas, estate, chance) for _ in range(5)])
        truth = await fresh(replicas[0].store)
        for replica in replicas:
            mine = await replica.live.reached(last)
            assert mine.revision == truth.revision
            assert contents(mine) == contents(truth)
            assert_answers_as(replica.engine, mine, truth)


async def test_a_question_waits_for_the_revision_it_names_whoever_writes_it(
    replicas: tuple[Replica, Replica],
) -> None:
    estate = Estate(2)
    first = await replicas[0].store.apply(estate.beginning(), ALICE)
    assert first.revision is not None
    waiting = asyncio.create_task(replicas[1].live.reached(first.revision + 1))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    item = new_id()
    await replicas[0].store.apply(ChangeSet((PutItem(item, {"name": "a"}, "Server"),)), ALICE)
    assert item in (await waiting).items


async def test_waiting_for_a_revision_that_never_comes_ends_and_says_so(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topology, "WAIT_SECONDS", 0.2)
    with pytest.raises(BadRequest, match=r"atLeast is 9; the ledger is at 0"):
        await replicas[1].live.reached(9)


@pytest.mark.parametrize("piece", [1, 5, 7])
async def test_a_load_in_pieces_is_the_load_as_a_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    estate = Estate(5)
    await store.apply(estate.beginning(), ALICE)
    for _ in range(40):
        await store.apply(estate.change(), ALICE)
    whole = await fresh(store)
    for name in ("ITEMS_AT_ONCE", "EDGES_AT_ONCE", "ITEMS_A_ROW", "EDGES_A_ROW"):
        monkeypatch.setattr(topology_columns, name, piece)
    assert contents(await fresh(store)) == contents(whole)
    assert len(whole.items) > piece
    assert whole.edge_count > 0


async def test_merging_in_the_background_while_both_write_loses_nothing(
    replicas: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topology, "OVERLAY_LEAST", 5)
    monkeypatch.setattr(topology, "OVERLAY_SHARE", 10**9)
    monkeypatch.setattr(topology, "SMALL_CHANGE", 2)
    estate, chance = Estate(3), random.Random(3)
    last = 1
    bases: list[set[int]] = [set(), set()]
    await replicas[0].store.apply(estate.beginning(), ALICE)
    for _ in range(80):
        last = max(last, await write(replicas, estate, chance))
        for replica, seen in zip(replicas, bases, strict=True):
            seen.add(id((await replica.live.at_head()).columns))
    truth = await fresh(replicas[0].store)
    for replica, seen in zip(replicas, bases, strict=True):
        mine = await replica.live.reached(last)
        assert contents(mine) == contents(truth)
        assert_answers_as(replica.engine, mine, truth)
        assert replica.live.source == "overlay"
        assert len(seen) > 3, "it was merged several times meanwhile"


# --- the snapshot file ------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def snapshot(store: Store, tmp_path: Path) -> Path:
    """The file of a process that has loaded an estate and ended; the ledger has gone on since."""
    estate, path = Estate(4), tmp_path / "topology.snapshot"
    await store.apply(estate.beginning(), ALICE)
    for _ in range(20):
        await store.apply(estate.change(), ALICE)
    replica = Replica.of(store, path)
    await replica.live.at_head()
    async with asyncio.timeout(10):
        while not path.exists():  # noqa: ASYNC110 - nobody announces the file
            await asyncio.sleep(0.02)
    await replica.live.close()
    for _ in range(10):
        await store.apply(estate.change(), ALICE)
    return path


async def started(store: Store, path: Path) -> tuple[str, bool]:
    """Where a new process has its topology from, and whether that is what a fresh load gives."""
    replica = Replica.of(store, path)
    mine, truth = await replica.live.at_head(), await fresh(store)
    assert_answers_as(replica.engine, mine, truth)
    same = mine.revision == truth.revision and contents(mine) == contents(truth)
    source = replica.live.source
    await replica.live.close()
    return source, same


async def test_a_start_from_the_file_equals_one_from_neo4j(store: Store, snapshot: Path) -> None:
    assert await started(store, snapshot) == ("snapshot", True)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flipped(place: float) -> Callable[[Path], None]:
    """One bit of what is stored there; what fills the gaps between arrays is zero, and read by nobody."""

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        begin = int(place * (len(data) - 1))
        stored = next(at for at in [*range(begin, len(data)), *range(begin, 0, -1)] if data[at])
        data[stored] ^= 4
        path.write_bytes(bytes(data))

    return flip


def rewritten(change: Callable[[Snapshot], Snapshot]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        found = read_snapshot(path)
        assert found is not None
        write_snapshot(path, change(found))

    return rewrite


def of_another_revision(found: Snapshot, by: int) -> Snapshot:
    return replace(found, topology=replace(found.topology, revision=found.topology.revision + by))


DAMAGES = {
    "truncated": truncated,
    "empty": empty,
    **{f"a bit flipped at {place:.1%}": flipped(place) for place in (0, 0.001, 0.3, 0.5, 0.7, 0.9, 1)},
    "another ledger": rewritten(lambda found: replace(found, ledger="0" * 64)),
    "another catalogue": rewritten(lambda found: replace(found, catalogue="0" * 64)),
    "another revision": rewritten(lambda found: of_another_revision(found, -1)),
    "a revision to come": rewritten(lambda found: of_another_revision(found, 1_000)),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_file_that_is_damaged_or_anothers_is_not_used(
    store: Store, snapshot: Path, damage: Callable[[Path], None]
) -> None:
    damage(snapshot)
    assert await started(store, snapshot) == ("neo4j", True)
