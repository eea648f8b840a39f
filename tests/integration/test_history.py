"""The past: histories of what is gone, points in it, diffs, and every kind of undo."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson
import pytest

from cmdb.errors import BadRequest, NotFound, StaleVersion, ValidationFailed
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
from cmdb.model.composition import compose
from cmdb.model.entries import entry_record
from cmdb.model.items import EdgeFacts, EdgeKey, ItemChange
from cmdb.store.history import AsOf
from cmdb.store.store import Store
from discovery.ingest import ingest, read_report

ALICE, BOB = Authorship(actor="alice"), Authorship(actor="bob", source="scan", run="r1")

REPORT = {
    "source": "lab",
    "items": [{"ref": "a", "class": "Server", "key": "k1", "attributes": {"name": "a"}}],
}
EVERYTHING = """
MATCH (i:Item) OPTIONAL MATCH (i)-[r]->(t:Item)
RETURN i.id AS id, labels(i) AS labels, properties(i) AS item, collect([type(r), t.id, properties(r)]) AS edges
"""
KEYS = "MATCH (k:IdentityKey)-[:IDENTIFIES]->(i) RETURN collect([k.key, i.id]) AS keys"


async def apply(store: Store, *operations: Operation, author: Authorship = ALICE, **facts: Any) -> int:  # noqa: ANN401
    applied = await store.apply(ChangeSet(operations, **facts), author)
    assert applied.revision is not None
    return applied.revision


async def undo(store: Store, number: int) -> int:
    plan = await store.history.undo(number, store.catalogue)
    applied = await store.apply(plan, BOB, correction=True)
    assert applied.revision is not None
    return applied.revision


async def contents(store: Store) -> Any:  # noqa: ANN401 - a picture to be compared
    """Everything that is known, without versions and times, which an undo moves on."""
    passing = ("version", "updated_at", "created_at")
    rows = await store.connection.read(EVERYTHING, {})
    items = {
        row["id"]: (
            sorted(row["labels"]),
            {k: v for k, v in row["item"].items() if k not in passing},
            sorted(
                [kind, target, sorted((k, v) for k, v in facts.items() if k not in passing)]
                for kind, target, facts in row["edges"]
                if kind
            ),
        )
        for row in rows
    }
    [keys] = await store.connection.read(KEYS, {})
    return items, sorted(keys["keys"])


def server(item_id: str, **fields: Any) -> PutItem:  # noqa: ANN401 - raw values
    return PutItem(item_id, {"name": item_id, **fields}, "Server")


def app(item_id: str, **fields: Any) -> PutItem:  # noqa: ANN401 - raw values
    return PutItem(item_id, {"name": item_id, **fields}, "Application")


def runs_on(source: str, target: str, group: str = "", **facts: str) -> PutEdge:
    return PutEdge(EdgeKey("RUNS_ON", source, target, group), EdgeFacts(**facts))


# --- undo -------------------------------------------------------------------------------------------------------------

HUB = {"memory": "16GiB", "serial_number": "S1", "manufacturer": "Dell", "mtbf": "PT5H", "tags": ["a", "b"]}
ESTATE: tuple[Operation, ...] = (
    server("hub", lifecycle="live", **HUB),
    server("spare"),
    *(app(f"app{n}") for n in range(4)),
    *(runs_on(f"app{n}", "hub", "pair", required="1") for n in range(4)),
    runs_on("app0", "spare", "pair", required="1"),
    PutEdge(EdgeKey("DEPENDS_ON", "app0", "app1")),
    PutEdge(EdgeKey("DEPENDS_ON", "app1", "app1")),
)  # fmt: skip


@pytest.mark.parametrize(
    "operations",
    [
        (server("new", memory=1), runs_on("app3", "new")),
        (PutItem("hub", {"memory": None, "name": "renamed", "tags": [], "mtbf": 3.5}),),
        (PutItem("hub", {"lifecycle": "retired"}),),
        (PutItem("hub", {"serial_number": None, "manufacturer": None, "mtbf": None, "memory": None}, "Host"),),
        (PutItem("hub", {"hypervisor_type": None}, "VirtualMachine"),),
        (DeleteItem("hub"),),
        (DeleteItem("app1"), DeleteItem("spare")),
        (runs_on("app0", "hub", "pair", required="50%", strength="soft", confidence="observed"),),
        (DeleteEdge(EdgeKey("RUNS_ON", "app0", "hub", "pair")), runs_on("app0", "hub", "other", required="2")),
        (DeleteItem("hub"), server("heir", serial_number="S1", manufacturer="Dell"), runs_on("app2", "heir", "pair")),
    ],
    ids=["creation", "fields", "lifecycle", "to parent class", "to other class", "hub", "two items", "edge facts",
         "edges", "identity handed on"],
)  # fmt: skip
async def test_undo_brings_back_what_was_and_undo_of_undo_what_was_undone(
    store: Store, operations: tuple[Operation, ...]
) -> None:
    await apply(store, *ESTATE)
    before = await contents(store)
    changed = await apply(store, *operations, reason="CHG-7")
    after = await contents(store)
    assert after != before
    undone = await undo(store, changed)
    assert await contents(store) == before
    assert (await store.history.revision(undone)).reason == "CHG-7"
    await undo(store, undone)
    assert await contents(store) == after
    assert await store.history.diff(changed, undone + 1) == []
    assert (await store.history.verify()).ok


async def test_undo_of_a_catalogue_change_brings_entries_labels_and_computed_values_back(
    store: Store,
) -> None:
    robot: dict[str, Any] = {
        "extends": "Server",
        "description": "d",
        "attributes": {"arms": {"type": "integer"}, "hands": {"type": "integer", "computed": "arms * 2"}},
    }
    await apply(store, PutEntries({"Robot": robot}))
    await apply(store, PutItem("r2", {"name": "r2", "arms": 2}, "Robot"))
    before = await contents(store)
    moved = {
        **robot,
        "extends": "VirtualMachine",
        "attributes": {**robot["attributes"], "hands": {"type": "integer", "computed": "arms * 3"}},
    }
    changed = await apply(store, PutEntries({"Robot": moved}))
    labels, fields, _ = (await contents(store))[0]["r2"]
    assert "VirtualMachine" in labels
    assert "Server" not in labels
    assert fields["hands"] == 6
    await undo(store, changed)
    assert await contents(store) == before
    assert entry_record(store.catalogue.entries["Robot"]) == robot
    with pytest.raises(BadRequest, match="Robot was created by that revision"):
        await store.history.undo(1, store.catalogue)


async def test_undo_is_refused_where_somebody_changed_it_since(store: Store) -> None:
    await apply(store, server("a", memory=1))
    changed = await apply(store, PutItem("a", {"memory": 2}))
    await apply(store, PutItem("a", {"memory": 3}), author=BOB)
    with pytest.raises(StaleVersion, match="bob changed memory"):
        await undo(store, changed)
    with pytest.raises(NotFound):
        await store.history.undo(99, store.catalogue)


async def test_undo_of_a_creation_is_refused_while_others_are_linked_to_what_it_created(store: Store) -> None:
    created = await apply(store, server("a"), app("b"), runs_on("b", "a"))
    linked = await apply(store, app("c"), runs_on("c", "a"), author=BOB)
    with pytest.raises(ValidationFailed, match="c RUNS_ON it since"):
        await undo(store, created)
    await undo(store, linked)
    await undo(store, created)
    assert await contents(store) == ({}, [])


async def test_undo_of_an_entry_is_refused_where_somebody_changed_it_since(store: Store) -> None:
    entry = {"extends": "Item", "description": "one"}
    await apply(store, PutEntries({"Gadget": entry}))
    changed = await apply(store, PutEntries({"Gadget": {**entry, "description": "two"}}))
    again = await apply(store, PutEntries({"Gadget": {**entry, "description": "three"}}), author=BOB)
    with pytest.raises(ValidationFailed, match="changed since"):
        await undo(store, changed)
    await undo(store, again)
    await undo(store, changed)
    assert entry_record(store.catalogue.entries["Gadget"])["description"] == "one"


async def test_undo_of_a_deletion_lets_sources_know_the_item_again(store: Store) -> None:
    _, observation = await read_report(json.dumps(REPORT).encode())
    await ingest(store, observation, ALICE)
    [(key, item)] = (await store.find_by_keys(["@lab/k1"])).items()
    deleted = await apply(store, DeleteItem(item))
    assert await store.find_by_keys([key]) == {}
    await undo(store, deleted)
    assert await store.find_by_keys([key]) == {key: item}
    assert (await ingest(store, observation, ALICE)).unchanged == 1


async def test_a_key_that_went_to_another_meanwhile_stays_there(store: Store) -> None:
    _, observation = await read_report(json.dumps(REPORT).encode())
    await ingest(store, observation, ALICE)
    [(key, item)] = (await store.find_by_keys(["@lab/k1"])).items()
    deleted = await apply(store, DeleteItem(item))
    renamed = json.dumps(REPORT).replace('"name": "a"', '"name": "b"')
    await ingest(store, (await read_report(renamed.encode()))[1], ALICE)
    other = await store.find_by_keys([key])
    assert other[key] != item
    await undo(store, deleted)
    assert await store.find_by_keys([key]) == other


async def test_a_deleted_item_made_anew_gets_no_default_that_it_did_not_have(store: Store) -> None:
    defaults = [(c.name, a.name) for c in store.catalogue.classes.values() for a in c.attributes.values()
                if a.entry.default is not None and not c.abstract]  # fmt: skip
    class_name, attribute = defaults[0] if defaults else ("Gadget", "colour")
    if not defaults:
        entry = {
            "extends": "Item",
            "description": "d",
            "attributes": {"colour": {"type": "string", "default": "red"}},
        }
        await apply(store, PutEntries({"Gadget": entry}))
    await apply(store, PutItem("x", {"name": "x", attribute: None}, class_name))
    before = await contents(store)
    await undo(store, await apply(store, DeleteItem("x")))
    assert await contents(store) == before


# --- histories and points ---------------------------------------------------------------------------------------------


async def test_the_history_of_what_is_gone_and_came_back_is_one(store: Store) -> None:
    await apply(store, server("a"), app("b"), runs_on("b", "a"))
    await apply(store, PutItem("a", {"memory": 7}), author=BOB)
    await apply(store, DeleteItem("a"))
    gone = await store.history.item_history("a")
    assert [(r.number, c.kind) for r, c in gone] == [(3, "deleted"), (2, "updated"), (1, "created")]
    assert gone[1][0].source == "scan"
    [(_, cut), _] = await store.history.item_history("b")
    assert [(e.before is not None, e.after) for e in cut.edges] == [(True, None)]
    await apply(store, server("a", memory=8))
    assert [r.number for r, _ in await store.history.item_history("a")] == [4, 3, 2, 1]
    assert [r.number for r, _ in await store.history.item_history("a", before=3, limit=1)] == [2]
    assert await store.history.item_history("a", before=1) == []
    with pytest.raises(NotFound):
        await store.history.item_history("never")


async def test_the_history_of_a_catalogue_entry_is_kept_like_any_other(store: Store) -> None:
    for text in ("One.", "Two."):
        await apply(store, PutEntries({"Robot": {"extends": "Server", "description": text}}))
    second, first = await store.history.item_history("catalogue:Robot")
    assert first[1].kind == "created"
    assert orjson.loads(str((second[1].before or {})["entry"]))["description"] == "One."


async def test_points_in_history_are_found_or_refused_with_what_there_is(store: Store) -> None:
    for n in range(4):
        await apply(store, server(f"s{n}"), reason="CHG-2" if n in (1, 2) else "")
        await asyncio.sleep(0.002)
    second = await store.history.revision(2)
    resolve = store.history.resolve
    assert await resolve(AsOf(revision=0)) == 0
    assert await resolve(AsOf(time=second.recorded_at)) == 2
    assert await resolve(AsOf(time=second.recorded_at[:-2] + "0Z")) in (1, 2)
    assert await resolve(AsOf(time="9999-01-01T00:00:00.000000Z")) == 4
    assert await resolve(AsOf(before_change="CHG-2")) == 1
    for point in (AsOf(), AsOf(revision=1, time=second.recorded_at), AsOf(revision=5), AsOf(revision=-1)):
        with pytest.raises(BadRequest):
            await resolve(point)
    with pytest.raises(NotFound):
        await resolve(AsOf(before_change="CHG-9"))


async def test_revisions_are_filtered_and_paged_both_ways(store: Store) -> None:
    for n in range(6):
        await apply(store, server(f"s{n}"), author=BOB if n % 2 else ALICE, message=f"no. {n}")
    read = store.history.revisions
    assert [r.number for r in await read(after=2, limit=2)] == [3, 4]
    assert [r.number for r in await read(before=5, limit=2, newest_first=True)] == [4, 3]
    assert [r.number for r in await read(actor="bob")] == [2, 4, 6]
    assert [r.message for r in await read(source="scan", limit=1)] == ["no. 1"]


async def test_a_diff_is_the_composition_of_what_lies_between_in_either_order(store: Store) -> None:
    await apply(store, *ESTATE)
    await apply(store, PutItem("hub", {"memory": 1}))
    await apply(store, DeleteItem("app2"), runs_on("app3", "spare"))
    await apply(store, PutItem("hub", {"memory": "16GiB"}), PutItem("app3", {"name": "late"}))
    await apply(store, app("app2"))
    between: list[ItemChange] = []
    async for _, changes in store.history.changes(1, 5):
        between.extend(changes)
    forwards = await store.history.diff(1, 5)
    assert {c.item_id: c for c in forwards} == compose(between)
    assert {c.item_id for c in forwards} == {"app2", "app3"}
    assert await store.history.diff(5, 1) == [change.reversed() for change in forwards]
    assert [c.item_id for c in await store.history.diff(1, 5, frozenset(["app3", "hub"]))] == ["app3"]
    assert await store.history.diff(3, 3) == []


async def test_what_is_refused_leaves_nothing_in_the_ledger(store: Store) -> None:
    await apply(store, *ESTATE)
    before = await contents(store)
    with pytest.raises(ValidationFailed):
        await store.apply(
            ChangeSet((server("fine"), DeleteItem("hub"), PutItem("app0", {"nonsense": 1}))), ALICE
        )
    assert await contents(store) == before
    assert await store.head() == 1
