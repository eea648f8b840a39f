"""The write path against a real Neo4j: revisions, atomicity, conflicts, idempotency, identity, undo, the chain."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cmdb.errors import IdempotencyMismatch, IdentityTaken, StaleVersion, ValidationFailed
from cmdb.model.change_set import Authorship, ChangeSet, DeleteEdge, DeleteItem, PutEdge, PutEntries, PutItem
from cmdb.model.items import EdgeFacts, EdgeKey, Item, new_id
from cmdb.store.history import AsOf
from cmdb.store.loading import LOAD_ITEMS, item_of
from cmdb.store.store import Store
from cmdb.store.writing import Applied

ALICE = Authorship(actor="alice")
BOB = Authorship(actor="bob")


def put(class_name: str, name: str, **fields: object) -> PutItem:
    return PutItem(new_id(), {"name": name, **fields}, class_name, intent="create")


async def read_item(store: Store, item_id: str) -> tuple[Item, list[Any]]:
    [row] = await store.connection.read(LOAD_ITEMS, {"ids": [item_id]})
    return item_of(row["item"]), row["edges"]


async def test_a_change_set_becomes_one_revision_with_items_edges_and_labels(store: Store) -> None:
    server, app = put("Server", "web-1", memory="16GiB"), put("Application", "shop")
    edge = EdgeKey("RUNS_ON", app.id, server.id)
    applied = await store.apply(ChangeSet((server, app, PutEdge(edge)), "first"), ALICE)
    assert applied.revision == 1
    assert {change.kind for change in applied.changes} == {"created"}
    item, _ = await read_item(store, server.id)
    assert item.attributes["memory"] == 16 * 2**30
    assert item.version == 1
    rows = await store.connection.read(
        "MATCH (a:Application)-[:RUNS_ON]->(s:Server:Host:Item) RETURN s.name AS n", {}
    )
    assert [row["n"] for row in rows] == ["web-1"]


async def test_warming_the_planner_writes_nothing(store: Store) -> None:
    await store.plan_ahead()
    assert await store.head() == 0
    assert await store.connection.read("MATCH (n) WHERE NOT n:Ledger RETURN labels(n) AS l", {}) == []


async def test_all_problems_are_told_at_once_and_nothing_is_written(store: Store) -> None:
    good = put("Server", "fine")
    bad = put("Server", "web-1", memory="lots", nonsense=1)
    missing = PutEdge(EdgeKey("RUNS_ON", good.id, new_id()))
    with pytest.raises(ValidationFailed) as failed:
        await store.apply(ChangeSet((good, bad, missing)), ALICE)
    assert {p.where for p in failed.value.problems} == {
        "operations[1].attributes.memory",
        "operations[1].attributes.nonsense",
        "operations[2].to",
    }
    assert await store.head() == 0


async def test_a_change_that_changes_nothing_makes_no_revision(store: Store) -> None:
    server = put("Server", "web-1")
    await store.apply(ChangeSet((server,)), ALICE)
    again = await store.apply(ChangeSet((PutItem(server.id, {"name": "web-1"}),)), ALICE)
    assert again.revision is None
    assert await store.head() == 1


async def test_a_stale_version_tells_what_changed_since_and_by_whom(store: Store) -> None:
    server = put("Server", "web-1")
    await store.apply(ChangeSet((server,)), ALICE)
    await store.apply(ChangeSet((PutItem(server.id, {"memory": 1}),)), BOB)
    with pytest.raises(StaleVersion) as stale:
        await store.apply(ChangeSet((PutItem(server.id, {"memory": 2}),), expected={server.id: 1}), ALICE)
    assert stale.value.changes[0]["actor"] == "bob"
    assert stale.value.changes[0]["changed"] == ["memory"]


async def test_an_idempotency_key_gives_the_first_answer_again(store: Store) -> None:
    change_set = ChangeSet((put("Server", "web-1"),))
    first = await store.apply(change_set, ALICE, idempotency_key="k1")
    again = await store.apply(change_set, ALICE, idempotency_key="k1")
    assert again.revision == first.revision
    assert again.changes == first.changes
    with pytest.raises(IdempotencyMismatch):
        await store.apply(ChangeSet((put("Server", "web-2"),)), ALICE, idempotency_key="k1")


async def test_racing_creations_of_one_host_make_one(store: Store) -> None:
    sets = [ChangeSet((put("Server", f"s{n}", serial_number="SN1", manufacturer="Dell"),)) for n in range(20)]
    answers = await asyncio.gather(*(store.apply(s, ALICE) for s in sets), return_exceptions=True)
    assert sum(not isinstance(a, BaseException) for a in answers) == 1
    assert sum(isinstance(a, IdentityTaken) for a in answers) == 19


async def test_namesakes_told_apart_by_a_stronger_rule_may_both_exist(store: Store) -> None:
    one = put("Server", "db", serial_number="A", manufacturer="Dell")
    two = put("Server", "db", serial_number="B", manufacturer="Dell")
    await store.apply(ChangeSet((one,)), ALICE)
    assert (await store.apply(ChangeSet((two,)), ALICE)).revision == 2


async def test_deleting_an_item_takes_its_edges_along_and_undo_brings_all_back(store: Store) -> None:
    server, app = put("Server", "web-1", memory=5, mtbf="PT5H"), put("Application", "shop")
    edge = EdgeKey("RUNS_ON", app.id, server.id, "pair")
    await store.apply(ChangeSet((server, app, PutEdge(edge, EdgeFacts(required="50%")))), ALICE)
    deleted = await store.apply(ChangeSet((DeleteItem(server.id),)), BOB)
    assert {c.item_id for c in deleted.changes} == {server.id, app.id}
    undo = await store.history.undo(2, store.catalogue)
    await store.apply(undo, ALICE, correction=True)
    item, _ = await read_item(store, server.id)
    assert item.attributes == {"memory": 5, "mtbf": 5 * 3_600_000}
    _, edges = await read_item(store, app.id)
    assert edges == [["RUNS_ON", server.id, "pair", "50%", None, "declared", 3]]
    assert await store.history.diff(1, 3) == []
    history = await store.history.item_history(server.id)
    assert [change.kind for _, change in history] == ["created", "deleted", "created"]
    assert (await store.history.verify()).ok


async def test_an_edge_may_be_moved_where_only_one_is_allowed(store: Store) -> None:
    app, one, two = put("Application", "shop"), put("Team", "red"), put("Team", "blue")
    old, new = EdgeKey("OWNED_BY", app.id, one.id), EdgeKey("OWNED_BY", app.id, two.id)
    await store.apply(ChangeSet((app, one, two, PutEdge(old))), ALICE)
    with pytest.raises(ValidationFailed, match="many-to-one"):
        await store.apply(ChangeSet((PutEdge(new),)), ALICE)
    moved = await store.apply(ChangeSet((PutEdge(new), DeleteEdge(old))), ALICE)
    assert moved.revision == 2


async def test_a_dry_run_answers_what_would_change_and_writes_nothing(store: Store) -> None:
    dry = await store.apply(ChangeSet((put("Server", "web-1"),)), ALICE, dry_run=True)
    assert [change.name for change in dry.changes] == ["web-1"]
    assert dry.revision is None
    assert await store.head() == 0


async def test_the_catalogue_grows_at_run_time_as_a_revision(store: Store) -> None:
    entry = {"extends": "Server", "description": "A robot.", "attributes": {"arms": {"type": "integer"}}}
    applied = await store.apply(ChangeSet((PutEntries({"Robot": entry}),)), ALICE)
    assert applied.revision == 1
    assert (await store.apply(ChangeSet((put("Robot", "r2", arms=2),)), ALICE)).revision == 2
    narrower = {**entry, "attributes": {"arms": {"type": "boolean"}}}
    with pytest.raises(ValidationFailed, match="r2"):
        await store.apply(ChangeSet((PutEntries({"Robot": narrower}),)), ALICE)


async def test_a_relationship_type_cannot_be_narrowed_below_the_edges_there_are(store: Store) -> None:
    server, app = put("Server", "web-1"), put("Application", "shop")
    await store.apply(ChangeSet((server, app, PutEdge(EdgeKey("RUNS_ON", app.id, server.id)))), ALICE)
    narrower = {"from": ["Pod"], "to": ["Host"], "inverse": "runs", "dependency": "hard"}
    with pytest.raises(ValidationFailed, match="'shop' -RUNS_ON-> 'web-1'"):
        await store.apply(ChangeSet((PutEntries({"RUNS_ON": narrower}),)), ALICE)


async def test_a_forbidden_transition_lists_the_allowed_ones(store: Store) -> None:
    server = put("Server", "web-1", lifecycle="live")
    await store.apply(ChangeSet((server,)), ALICE)
    with pytest.raises(ValidationFailed, match="allowed: maintenance, in_stock, retired"):
        await store.apply(ChangeSet((PutItem(server.id, {"lifecycle": "planned"}),)), ALICE)


async def test_many_writers_lose_no_update_and_leave_a_whole_chain(store: Store) -> None:
    server = put("Server", "counter", memory=0)
    await store.apply(ChangeSet((server,)), ALICE)

    async def increment() -> int:
        retries = 0
        while True:
            item, _ = await read_item(store, server.id)
            value = item.attributes["memory"]
            assert isinstance(value, int)
            change = ChangeSet(
                (PutItem(server.id, {"memory": value + 1}),), expected={server.id: item.version}
            )
            try:
                await store.apply(change, ALICE)
                return retries
            except StaleVersion:
                retries += 1

    await asyncio.gather(*(increment() for _ in range(20)))
    item, _ = await read_item(store, server.id)
    assert item.attributes["memory"] == 20
    assert (await store.history.verify()).ok


async def test_tampering_with_any_part_of_the_ledger_is_found(store: Store) -> None:
    for n in range(5):
        await store.apply(ChangeSet((put("Server", f"s{n}"),)), ALICE)
    await store.connection.run("MATCH (:Revision {number: 3})-[c:CHANGED]->() SET c.name = 'forged'")
    report = await store.history.verify()
    assert report.problems == ("revision 3 was altered: its hash does not fit its content",)


async def test_the_feed_delivers_every_revision_in_order_and_resumes(store: Store) -> None:
    async def collect(after: int, count: int) -> list[int]:
        seen = []
        async for number, _ in store.feed.follow(after):
            seen.append(number)
            if len(seen) == count:
                return seen
        return seen

    follower = asyncio.create_task(collect(0, 10))
    for n in range(10):
        await store.apply(ChangeSet((put("Server", f"s{n}"),)), ALICE)
    assert await asyncio.wait_for(follower, 10) == list(range(1, 11))
    assert await asyncio.wait_for(collect(7, 3), 10) == [8, 9, 10]


async def test_points_in_history_resolve_by_revision_time_and_change(store: Store) -> None:
    await store.apply(ChangeSet((put("Server", "a"),)), ALICE)
    await store.apply(ChangeSet((put("Server", "b"),), reason="CHG-1"), ALICE)
    [_, second] = await store.history.revisions()
    assert await store.history.resolve(AsOf(time=second.recorded_at)) == 2
    assert await store.history.resolve(AsOf(before_change="CHG-1")) == 1
    assert await store.history.resolve(AsOf(time="2000-01-01T00:00:00.000000Z")) == 0


async def test_one_request_that_fails_does_not_take_its_neighbours_along(store: Store) -> None:
    bad = ChangeSet((PutItem("x" * 20_000, {"name": "n"}, "Server"),))
    sets = [ChangeSet((put("Server", f"s{n}"),)) for n in range(5)]
    answers = await asyncio.gather(*(store.apply(s, ALICE) for s in (*sets, bad)), return_exceptions=True)
    assert isinstance(answers[-1], ValidationFailed)
    assert {a.revision for a in answers[:-1] if isinstance(a, Applied)} == {1, 2, 3, 4, 5}


async def test_an_answer_that_nothing_changed_is_remembered_too(store: Store) -> None:
    server = put("Server", "web-1", memory=1)
    await store.apply(ChangeSet((server,)), ALICE)
    same = ChangeSet((PutItem(server.id, {"memory": 1}),))
    assert (await store.apply(same, ALICE, idempotency_key="k")).revision is None
    await store.apply(ChangeSet((PutItem(server.id, {"memory": 2}),)), BOB)
    assert (await store.apply(same, ALICE, idempotency_key="k")).revision is None
    item, _ = await read_item(store, server.id)
    assert item.attributes["memory"] == 2


async def test_only_an_item_of_the_class_that_is_meant_is_deleted(store: Store) -> None:
    server = put("Server", "web-1")
    await store.apply(ChangeSet((server,)), ALICE)
    with pytest.raises(ValidationFailed, match="is no Printer; it is a Server"):
        await store.apply(ChangeSet((DeleteItem(server.id, "Printer"),)), ALICE)
    assert (await store.apply(ChangeSet((DeleteItem(server.id, "Host"),)), ALICE)).revision == 2
