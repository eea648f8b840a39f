"""Several processes on one Neo4j: one order of writes, one holder per key, one answer per request, one catalogue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from cmdb.errors import CmdbError, IdempotencyMismatch, IdentityTaken, StaleVersion, ValidationFailed
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import (
    Authorship,
    ChangeSet,
    DeleteEdge,
    DeleteItem,
    Operation,
    PutEdge,
    PutEntries,
    PutItem,
)
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.store.schema import LIST_INDEXES
from cmdb.store.store import Store
from tests.conftest import Neo4jAddress

ALICE = Authorship(actor="alice")
READ = "MATCH (i:Item {id: $id}) RETURN properties(i) AS item, labels(i) AS labels"
ROBOT: dict[str, Any] = {
    "extends": "Server",
    "description": "A robot.",
    "attributes": {
        "arms": {"type": "integer", "indexed": True},
        "motto": {"type": "string", "searched": True},
    },
}


@pytest_asyncio.fixture(loop_scope="session")
async def replicas(store: Store, neo4j_server: Neo4jAddress) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes' stores on the same Neo4j."""
    other = await Store.open(neo4j_server.uri, neo4j_server.user, neo4j_server.password)
    yield store, other
    await other.close()


def server(item_id: str, **fields: Any) -> PutItem:  # noqa: ANN401 - raw values
    return PutItem(item_id, {"name": item_id, **fields}, "Server")


async def apply(store: Store, *operations: Operation, **facts: Any) -> int | None:  # noqa: ANN401 - facts of a ChangeSet
    return (await store.apply(ChangeSet(operations, **facts), ALICE)).revision


async def item(store: Store, item_id: str) -> dict[str, Any]:
    [row] = await store.connection.read(READ, {"id": item_id})
    return dict(row["item"])


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until a condition holds, which nobody announces."""
    async with asyncio.timeout(10):
        while True:
            answer = holds()
            if answer is True or (not isinstance(answer, bool) and await answer):
                return
            await asyncio.sleep(0.02)


# --- writers ----------------------------------------------------------------------------------------------------------


async def test_64_writers_in_two_processes_lose_no_increment(replicas: tuple[Store, Store]) -> None:
    await apply(replicas[0], server("counter", memory=0))
    increments = 2
    gate = asyncio.Semaphore(6)  # of those who read the same version all but one read again

    async def increment(store: Store) -> None:
        for _ in range(increments):
            while True:
                async with gate:
                    seen = await item(store, "counter")
                    one_more = PutItem("counter", {"memory": seen["memory"] + 1})
                    try:
                        await apply(store, one_more, expected={"counter": seen["version"]})
                        break
                    except StaleVersion:
                        continue

    await asyncio.gather(*(increment(replicas[n % 2]) for n in range(64)))
    assert (await item(replicas[1], "counter"))["memory"] == 64 * increments
    assert await replicas[1].head() == 1 + 64 * increments
    assert (await replicas[0].history.verify()).ok


async def test_racing_creations_of_one_host_make_one_whoever_asks(replicas: tuple[Store, Store]) -> None:
    for host in range(10):
        mine = {"serial_number": f"S{host}", "manufacturer": "Dell"}
        answers = await asyncio.gather(
            *(apply(replicas[n % 2], server(f"h{host}-{n}", **mine)) for n in range(8)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, int) for answer in answers) == 1
        assert sum(isinstance(answer, IdentityTaken) for answer in answers) == 7
    rows = await replicas[0].connection.read("MATCH (i:Item) RETURN count(i) AS n", {})
    assert rows[0]["n"] == 10


async def test_one_id_is_created_once(replicas: tuple[Store, Store]) -> None:
    sets = [ChangeSet((PutItem("a", {"name": "a", "memory": n}, "Server", "create"),)) for n in range(12)]
    answers = await asyncio.gather(
        *(replicas[n % 2].apply(s, ALICE) for n, s in enumerate(sets)), return_exceptions=True
    )
    assert sum(isinstance(answer, ValidationFailed) for answer in answers) == 11
    assert await replicas[0].head() == 1


async def test_one_request_is_applied_once_wherever_it_is_sent(replicas: tuple[Store, Store]) -> None:
    for n in range(6):
        change_set = ChangeSet((server(f"s{n}"),))
        answers = await asyncio.gather(
            *(replicas[i % 2].apply(change_set, ALICE, idempotency_key=f"k{n}") for i in range(6))
        )
        assert {answer.revision for answer in answers} == {n + 1}
        assert [answer.changes for answer in answers] == [answers[0].changes] * 6
    assert await replicas[0].head() == 6


async def test_of_two_requests_under_one_key_one_is_applied(replicas: tuple[Store, Store]) -> None:
    answers = await asyncio.gather(
        *(replicas[n % 2].apply(ChangeSet((server(f"s{n}"),)), ALICE, idempotency_key="k") for n in range(6)),
        return_exceptions=True,
    )
    assert sum(isinstance(answer, IdempotencyMismatch) for answer in answers) == 5
    bobs = await replicas[0].apply(ChangeSet((server("bobs"),)), Authorship("bob"), idempotency_key="k")
    assert bobs.revision == 2, "keys are each actor's own"


async def test_a_request_that_changed_nothing_is_remembered_too(store: Store) -> None:
    await apply(store, server("a", memory=1))
    same = ChangeSet((PutItem("a", {"memory": 1}),))
    assert (await store.apply(same, ALICE, idempotency_key="k")).revision is None
    await apply(store, PutItem("a", {"memory": 2}))
    again = await store.apply(same, ALICE, idempotency_key="k")
    assert (again.revision, again.changes) == (None, ())
    assert (await item(store, "a"))["memory"] == 2
    with pytest.raises(IdempotencyMismatch):
        await store.apply(ChangeSet((DeleteItem("a"),)), ALICE, idempotency_key="k")


async def test_a_key_of_a_refused_request_is_free_again(store: Store) -> None:
    with pytest.raises(ValidationFailed):
        await store.apply(ChangeSet((PutItem("a", {"memory": 1}),)), ALICE, idempotency_key="k")
    assert (await store.apply(ChangeSet((server("a"),)), ALICE, idempotency_key="k")).revision == 1


async def test_opposite_orders_do_not_deadlock(replicas: tuple[Store, Store]) -> None:
    ids = [f"s{n}" for n in range(12)]
    await apply(replicas[0], *(server(i) for i in ids))

    async def touch(store: Store, order: list[str], value: int) -> None:
        for _ in range(4):
            await apply(store, *(PutItem(i, {"memory": value}) for i in order))

    await asyncio.gather(*(touch(replicas[n % 2], ids[:: 1 if n % 2 else -1], n) for n in range(8)))
    memories = {(await item(replicas[0], i))["memory"] for i in ids}
    assert len(memories) == 1, "each ChangeSet is whole"


async def test_one_bad_request_among_many_is_the_only_one_to_suffer(store: Store) -> None:
    hostile = [
        ChangeSet((PutItem("\ud800", {"name": "x"}, "Server"),)),
        ChangeSet((PutItem("x" * 9_000, {"name": "x"}, "Server"),)),
        ChangeSet((server("t1", tags=["t" * 16_000]),)),
        ChangeSet((server("t2", name="\ud800"),)),
        ChangeSet((server("t3", memory=2**70),)),
        ChangeSet((server("t4"), PutEdge(EdgeKey("RUNS_ON", "t4", "\udfff")))),
        ChangeSet((server("t5"),), message="\ud800"),
        ChangeSet((server("t6"),), keys={"t6": ("@" + "k" * 9_000,)}),
        ChangeSet((server("t7"),), keys={"t7": ("Server(serial_number)=stolen",)}),
        ChangeSet((server("t8", custom={"deep": [[[[1]]]]}),)),
        ChangeSet((PutEntries({"Robot": {"extends": "Server", "description": "\ud800"}}),)),
        ChangeSet((PutEntries({"Revision": {"extends": "Server", "description": "d"}}),)),
    ]
    good = [ChangeSet((server(f"g{n}"),)) for n in range(len(hostile))]
    mixed = [change_set for pair in zip(good, hostile, strict=True) for change_set in pair]
    answers = await asyncio.gather(
        *(store.apply(s, ALICE, idempotency_key=f"k{n}") for n, s in enumerate(mixed)), return_exceptions=True
    )
    for answer in answers[1::2]:
        assert isinstance(answer, CmdbError), answer
        assert not answer.retryable, answer
    assert all(not isinstance(answer, BaseException) for answer in answers[::2])
    assert await store.head() == len(good)
    assert (await store.history.verify()).ok


@pytest.mark.parametrize("key", ["", "k" * 10_000, "\ud800", "a\0b"])
async def test_a_hostile_idempotency_key_is_refused(store: Store, key: str) -> None:
    with pytest.raises(CmdbError) as refused:
        await store.apply(ChangeSet((server("a"),)), ALICE, idempotency_key=key)
    assert not refused.value.retryable
    assert await store.head() == 0


# --- catalogue --------------------------------------------------------------------------------------------------------


async def test_a_catalogue_change_reaches_every_process_with_its_indexes(
    replicas: tuple[Store, Store],
) -> None:
    one, two = replicas
    heard: list[Catalogue] = []
    two.on_catalogue_change(heard.append)
    await apply(one, PutEntries({"Robot": ROBOT}))
    assert "Robot" in one.catalogue.classes
    await eventually(lambda: "Robot" in two.catalogue.classes)
    assert two.catalogue.digest == one.catalogue.digest
    assert heard == [two.catalogue]
    assert await apply(two, PutItem("r", {"name": "r", "arms": 2}, "Robot")) == 2

    async def indexed(wanted: bool) -> bool:
        rows = await one.connection.run(LIST_INDEXES)
        return ("Robot_arms" in {row["name"] for row in rows}) is wanted

    await eventually(lambda: indexed(True))
    plain = {**ROBOT, "attributes": {"arms": {"type": "integer"}, "motto": {"type": "string"}}}
    await apply(two, PutEntries({"Robot": plain}))
    await eventually(lambda: indexed(False))


async def test_a_process_that_has_not_heard_of_a_class_writes_by_it_all_the_same(
    replicas: tuple[Store, Store],
) -> None:
    one, two = replicas
    await apply(one, PutEntries({"Robot": ROBOT}))
    assert await apply(two, PutItem("r", {"name": "r", "arms": 2}, "Robot")) == 2
    assert "Robot" in two.catalogue.classes


async def test_racing_catalogue_changes_all_count_and_both_sides_agree(replicas: tuple[Store, Store]) -> None:
    entries = [{f"Robot{n}": {**ROBOT, "plural": f"robots{n}"}} for n in range(8)]
    answers = await asyncio.gather(*(apply(replicas[n % 2], PutEntries(e)) for n, e in enumerate(entries)))
    assert sorted(answer or 0 for answer in answers) == list(range(1, 9))
    await eventually(lambda: replicas[0].catalogue.digest == replicas[1].catalogue.digest)
    assert all(f"Robot{n}" in replicas[0].catalogue.classes for n in range(8))


async def test_a_process_that_starts_later_knows_what_was_added(
    store: Store, neo4j_server: Neo4jAddress
) -> None:
    await apply(store, PutEntries({"Robot": ROBOT}))
    later = await Store.open(neo4j_server.uri, neo4j_server.user, neo4j_server.password)
    assert later.catalogue.digest == store.catalogue.digest
    await later.close()


async def test_a_class_under_another_parent_moves_its_items_labels_and_keys(store: Store) -> None:
    await apply(store, PutEntries({"Robot": ROBOT}))
    await apply(store, PutItem("r", {"name": "r"}, "Robot"), server("host"))
    await apply(store, PutEntries({"Robot": {**ROBOT, "extends": "Workstation"}}))
    [row] = await store.connection.read(READ, {"id": "r"})
    assert {"Robot", "Workstation", "Host", "Item"} <= set(row["labels"])
    assert "Server" not in row["labels"]
    assert await apply(store, DeleteItem("r")) == 4
    left = await store.connection.read("MATCH (i {id: 'r'}) RETURN labels(i) AS labels", {})
    assert [row["labels"] for row in left] == [["Tombstone"]]


async def test_stored_edges_in_either_direction_hold_a_class_and_a_type_in_place(store: Store) -> None:
    await apply(store, PutEntries({"Robot": ROBOT}))
    app = PutItem("app", {"name": "app"}, "Application")
    edge = PutEdge(EdgeKey("RUNS_ON", "app", "r"))
    await apply(store, PutItem("r", {"name": "r"}, "Robot"), app, edge)
    with pytest.raises(ValidationFailed, match="would not be allowed between Application and Robot"):
        await apply(store, PutEntries({"Robot": {**ROBOT, "extends": "Team"}}))
    runs_on = {"from": ["Application"], "to": ["VirtualMachine"], "inverse": "runs"}
    with pytest.raises(ValidationFailed, match="would not be allowed"):
        await apply(store, PutEntries({"RUNS_ON": runs_on}))
    with pytest.raises(ValidationFailed, match="would not be allowed"):
        await apply(store, PutItem("r", {}, "Team"))
    with pytest.raises(ValidationFailed, match="would not be allowed"):
        await apply(store, PutItem("app", {}, "Site"))
    await apply(store, PutItem("app", {}, "Site"), DeleteEdge(edge.key))


async def test_one_to_many_holds_against_edges_of_others_that_nobody_named(store: Store) -> None:
    heads = {"from": ["Server"], "to": ["Server"], "inverse": "headed_by", "cardinality": "many-to-many"}
    await apply(store, PutEntries({"HEADS": heads}), server("a"), server("b"), server("c"))
    await apply(store, PutEdge(EdgeKey("HEADS", "a", "c")))
    one = {**heads, "cardinality": "one-to-many"}
    with pytest.raises(ValidationFailed, match="one-to-many"):
        await apply(store, PutEntries({"HEADS": one}), PutEdge(EdgeKey("HEADS", "b", "c")))
    await apply(store, PutEntries({"HEADS": one}))
    with pytest.raises(ValidationFailed, match="one-to-many"):
        await apply(store, PutEdge(EdgeKey("HEADS", "b", "c")))
    await apply(store, PutEdge(EdgeKey("HEADS", "a", "c", "g"), EdgeFacts(required="1")))


async def test_a_listener_that_fails_stops_neither_writer_nor_catalogue(store: Store) -> None:
    def fails(_: Catalogue) -> None:
        raise RuntimeError("a schema that could not be built")

    store.on_catalogue_change(fails)
    with capture_logs() as logs:
        await apply(store, PutEntries({"Robot": ROBOT}))
    assert await apply(store, PutItem("r", {"name": "r"}, "Robot")) == 2
    assert [entry["log_level"] for entry in logs] == ["error"]


async def test_entries_put_unchanged_are_no_revision_and_nobody_hears_of_them(store: Store) -> None:
    await apply(store, PutEntries({"Robot": ROBOT}))
    heard: list[Catalogue] = []
    store.on_catalogue_change(heard.append)
    assert await apply(store, PutEntries({"Robot": ROBOT})) is None
    assert await apply(store, server("a")) == 2
    assert not heard
    answer = await store.apply(
        ChangeSet((PutEntries({"Robot": {**ROBOT, "description": "d"}}),)), ALICE, dry_run=True
    )
    assert [change.name for change in answer.changes] == ["Robot"]
    assert not heard


async def test_replicas_that_start_at_once_do_not_trip_over_each_other(
    store: Store, neo4j_server: Neo4jAddress
) -> None:
    await apply(store, PutEntries({"Robot": ROBOT}))
    for _ in range(3):
        await store.connection.run("DROP INDEX item_search IF EXISTS")
        await store.connection.run("DROP INDEX Robot_name IF EXISTS")
        replicas = await asyncio.gather(
            *(
                Store.open(neo4j_server.uri, neo4j_server.user, neo4j_server.password, deadline=60)
                for _ in range(4)
            )
        )
        await asyncio.gather(*(replica.close() for replica in replicas))
        names = {row["name"] for row in await store.connection.run("SHOW INDEXES YIELD name RETURN name")}
        assert {"item_search", "Robot_name"} <= names
