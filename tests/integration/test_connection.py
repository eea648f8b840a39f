"""The way to Neo4j when Neo4j is not well: an answer in time, an honest error, and all well again by itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from neo4j import AsyncManagedTransaction
from neo4j.exceptions import TransientError

from cmdb.errors import BadRequest, CmdbError, DeadlineExceeded, StoreUnavailable
from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.model.items import new_id
from cmdb.store.connection import Connection, StoreError
from cmdb.store.local_server import LocalServer
from cmdb.store.store import Store
from tests.conftest import Neo4jAddress

ALICE = Authorship(actor="alice")
DEADLINE = 1.5
SLACK = 0.5
ONE = "RETURN 1 AS one"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """A Neo4j of this module's own, to be frozen and killed."""
    with LocalServer.start(tmp_path_factory.mktemp("frozen")) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def hasty(server: LocalServer) -> AsyncIterator[Store]:
    """A store that waits for no longer than `DEADLINE`."""
    await asyncio.to_thread(server.ensure_running)
    opened = await Store.open(server.uri, server.user, server.password, deadline=30)
    await opened.apply(put("warm"), ALICE)  # a cold JVM may need longer than the deadline for its first write
    opened.connection.deadline = DEADLINE
    yield opened
    await opened.close()


@contextlib.contextmanager
def frozen(server: LocalServer) -> Iterator[None]:
    pid = server.pid
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    try:
        for _ in range(500):  # each thread stops when it is scheduled next; till then it may answer
            time.sleep(0.01)
            with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
                states = [path.read_text().rpartition(")")[2].split()[0] for path in tasks.glob("*/stat")]
                if set(states) == {"T"}:
                    break
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def put(name: str) -> ChangeSet:
    return ChangeSet((PutItem(name, {"name": name}, "Server"),))


async def outcome(call: Awaitable[object]) -> tuple[object, float]:
    """What came of a call, an error as such, and after how many seconds."""
    started = time.monotonic()
    try:
        answer = await call
    except CmdbError as error:
        answer = error
    return answer, time.monotonic() - started


async def healed(store: Store) -> None:
    """Wait until it answers again."""
    async with asyncio.timeout(20):
        while True:
            answer, _ = await outcome(store.connection.read(ONE, {}))
            if not isinstance(answer, CmdbError):
                return
            await asyncio.sleep(0.1)


async def test_a_frozen_neo4j_is_told_in_time_and_all_is_well_when_it_thaws(
    server: LocalServer, hasty: Store
) -> None:
    head = await hasty.head()
    with frozen(server):
        read, waited = await outcome(hasty.connection.read(ONE, {}))
        assert isinstance(read, DeadlineExceeded)
        assert DEADLINE - 0.1 < waited < DEADLINE + SLACK
        writes = await asyncio.gather(
            *(outcome(hasty.apply(put(f"s{n}"), ALICE, idempotency_key=f"k{n}")) for n in range(20))
        )
        for error, waited in writes:
            assert isinstance(error, StoreUnavailable)
            assert error.retryable
            assert waited < DEADLINE + SLACK
    await healed(hasty)
    hasty.connection.deadline = 30
    for n in range(20):
        await hasty.apply(put(f"s{n}"), ALICE, idempotency_key=f"k{n}")
    assert await hasty.head() == head + 20, "each once, whether or not it had been written"
    assert (await hasty.history.verify()).ok


async def test_after_some_failures_errors_come_at_once_and_one_call_a_second_tries(
    server: LocalServer, hasty: Store
) -> None:
    tried: list[str] = []
    with frozen(server):
        await asyncio.gather(*(outcome(hasty.connection.read(ONE, {})) for _ in range(6)))
        hasty.connection.on_statement.append(
            lambda statement: tried.append(statement) if statement == ONE else None
        )
        refused = 0
        ends = time.monotonic() + 2.5
        probes: list[asyncio.Task[tuple[object, float]]] = []
        while time.monotonic() < ends:
            before = len(tried)
            call = asyncio.create_task(outcome(hasty.connection.read(ONE, {})))
            await asyncio.sleep(0.02)
            if len(tried) > before:
                probes.append(call)
                continue
            error, waited = await call
            assert isinstance(error, StoreUnavailable)
            assert waited < 0.3
            refused += 1
        for error, waited in await asyncio.gather(*probes):
            assert isinstance(error, DeadlineExceeded)
            assert waited < DEADLINE + SLACK
    assert 1 <= len(tried) <= 4
    assert refused > 20
    await healed(hasty)


async def test_a_store_closes_in_bounded_time_while_neo4j_is_frozen(server: LocalServer) -> None:
    store = await Store.open(server.uri, server.user, server.password)
    store.connection.deadline = DEADLINE
    with frozen(server):
        calls = [asyncio.create_task(outcome(store.apply(put(f"c{n}"), ALICE))) for n in range(5)]
        await asyncio.sleep(0.2)
        _, waited = await outcome(store.close())
        assert waited < DEADLINE + 5
        for error, _ in await asyncio.gather(*calls):
            assert isinstance(error, StoreUnavailable)
        error, waited = await outcome(store.apply(put("late"), ALICE))
        assert isinstance(error, StoreUnavailable)
        assert waited < SLACK


async def test_a_killed_neo4j_is_told_and_found_again(server: LocalServer, hasty: Store) -> None:
    os.kill(server.pid, signal.SIGKILL)
    error, waited = await outcome(hasty.apply(put("meanwhile"), ALICE, idempotency_key="m"))
    assert isinstance(error, StoreUnavailable)
    assert waited < DEADLINE + SLACK
    assert await asyncio.to_thread(server.ensure_running)
    await healed(hasty)
    hasty.connection.deadline = 30
    await hasty.apply(put("meanwhile"), ALICE, idempotency_key="m")
    assert (await hasty.history.verify()).ok


async def test_the_wrong_password_is_named_and_not_shown(neo4j_server: Neo4jAddress) -> None:
    with pytest.raises(StoreUnavailable, match="CMDB_NEO4J_PASSWORD") as refused:
        await Store.open(neo4j_server.uri, neo4j_server.user, "open sesame")
    assert "sesame" not in str(refused.value)


async def test_nobody_there_and_somebody_who_says_nothing_are_told_in_time() -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    uri = f"bolt://127.0.0.1:{port}"
    error, waited = await outcome(Connection.open(uri, "neo4j", "x", deadline=DEADLINE))
    assert isinstance(error, StoreUnavailable)
    assert waited < DEADLINE + SLACK
    silent.close()
    error, waited = await outcome(Connection.open(uri, "neo4j", "x", deadline=DEADLINE))
    assert isinstance(error, StoreUnavailable)
    assert waited < DEADLINE + SLACK


async def test_work_runs_again_after_a_passing_error_and_counts_once(store: Store) -> None:
    runs = 0

    async def work(transaction: AsyncManagedTransaction) -> int:
        nonlocal runs
        runs += 1
        await store.connection.in_transaction(transaction, "CREATE (:Item {id: $id})", {"id": "once"})
        if runs == 1:
            raise TransientError("a deadlock, say")
        return runs

    assert await store.connection.write(work) == 2
    [row] = await store.connection.read("MATCH (i:Item {id: 'once'}) RETURN count(i) AS n", {})
    assert row["n"] == 1


@pytest.mark.parametrize("value", ["\ud800", 2**63, {"deep": ["\udfff"]}])
async def test_what_cannot_be_looked_for_is_the_callers_mistake(store: Store, value: object) -> None:
    with pytest.raises(BadRequest):
        await store.connection.read("MATCH (i:Item) WHERE i.id = $value RETURN i.id AS id", {"value": value})


async def test_a_statement_of_ours_that_neo4j_refuses_is_our_defect(store: Store) -> None:
    with pytest.raises(StoreError, match="SyntaxError"):
        await store.connection.read("MATCH (", {})
    for _ in range(8):
        with pytest.raises(StoreError):
            await store.connection.read("RETURN $missing", {})
    await store.connection.read(ONE, {})


async def test_a_statement_that_takes_too_long_is_given_up(store: Store) -> None:
    endless = "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b RETURN count(a * b) AS n"
    error, waited = await outcome(store.connection.read(endless, {}, deadline=0.5))
    assert isinstance(error, DeadlineExceeded)
    assert waited < 0.5 + SLACK
    running = "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery STARTS WITH 'UNWIND range' RETURN currentQuery"
    async with asyncio.timeout(10):
        while await store.connection.run(running):  # noqa: ASYNC110 - Neo4j sets no event
            await asyncio.sleep(0.2)


async def test_who_stops_waiting_does_not_stop_the_write(store: Store) -> None:
    call = asyncio.create_task(store.apply(put("a"), ALICE))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await store.apply(put("b"), ALICE)
    assert await store.head() == 2


async def test_an_address_that_routes_is_spoken_to_like_any_other(clean_neo4j: Neo4jAddress) -> None:
    uri = clean_neo4j.uri.replace("bolt://", "neo4j://")
    store = await Store.open(uri, clean_neo4j.user, clean_neo4j.password)
    try:
        item = PutItem(new_id(), {"name": "routed"}, "Server", intent="create")
        applied = await store.apply(ChangeSet((item,)), Authorship("alice"))
        assert applied.revision == await store.head() == 1
        assert (await store.history.verify()).ok
    finally:
        await store.close()
