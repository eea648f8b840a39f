"""Reports against a real store: created once, unchanged for nothing, whole or not at all, one item for all who race."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cmdb.errors import IdentityTaken, StoreUnavailable, ValidationFailed
from cmdb.model.change_set import Authorship, ChangeSet, DeleteItem, PutEdge, PutItem
from cmdb.model.items import EdgeKey, new_id
from cmdb.store.observations import read_runs
from cmdb.store.store import Store
from discovery import ingest as ingest_module
from discovery.agent import observe
from discovery.ingest import IngestResult, ingest, read_report, refused_report

AGENT = Authorship("agent-token")
ITEM = "MATCH (i:Item {id: $id}) RETURN properties(i) AS item, labels(i) AS labels"
EDGES = """
MATCH (s:Item)-[r]->(t:Item)
RETURN s.name AS source, type(r) AS type, t.name AS target, r.group AS group, r.confidence AS confidence
ORDER BY source, type, target, group
"""
COUNT = "MATCH (i:Item) RETURN count(i) AS items"
SAID = """
MATCH (:Source {name: $source})-[r:REPORTED]->(i:Item)
RETURN i.name AS name, properties(r) AS said ORDER BY name
"""


def item(ref: str, class_name: str, key: str = "", **attributes: object) -> dict[str, Any]:
    return {"ref": ref, "class": class_name, "key": key, "attributes": attributes}


def edge(kind: str, source: str, target: str, **facts: object) -> dict[str, Any]:
    return {"type": kind, "from": source, "to": target, **facts}


HOST = item("h", "Server", "h1", name="db1", serial_number="S1", manufacturer="Dell", memory="16 GiB")
DATABASE = item("p", "DatabaseInstance", "", name="postgres", ports=[5432])
DISK = item("f", "FileSystem", "f1", name="/", mount_point="/", format="ext4")
RUNS_ON, PART_OF = edge("RUNS_ON", "p", "h"), edge("PART_OF", "f", "h")


def report(**changes: object) -> dict[str, Any]:
    return {"source": "lab", "items": [HOST, DATABASE, DISK], "edges": [RUNS_ON, PART_OF], **changes}


def host_seen(memory: int, minute: int) -> dict[str, Any]:
    """A report of the host alone, so many minutes past noon."""
    told = {**HOST, "attributes": {**HOST["attributes"], "memory": memory}}
    return report(items=[told], edges=[], seen_at=f"2026-11-20T12:{minute:02}:00Z")


async def send(
    store: Store, document: Mapping[str, Any], *, dry_run: bool = False, partial: bool = False
) -> IngestResult:
    _, observation = await read_report(json.dumps(document).encode())
    return await ingest(store, observation, AGENT, dry_run=dry_run, partial=partial)


def counts(result: IngestResult) -> tuple[int, int, int, int]:
    return result.created, result.changed, result.unchanged, len(result.refused)


async def rows(store: Store, statement: str, **parameters: object) -> list[dict[str, Any]]:
    return [row.data() for row in await store.connection.read(statement, parameters)]


async def stored(store: Store, key: str) -> dict[str, Any]:
    """The stored properties of the item that holds an identity key."""
    found = await store.find_by_keys([key])
    [row] = await rows(store, ITEM, id=found[key])
    return {**row["item"], "labels": set(row["labels"])}


async def count(store: Store) -> int:
    [row] = await rows(store, COUNT)
    return int(row["items"])


async def test_a_first_report_creates_everything_in_one_revision(store: Store) -> None:
    result = await send(store, report(run="r7", scope="rack 1"))
    assert counts(result) == (3, 0, 0, 0)
    assert (result.items, result.edges, result.revision, result.revisions) == (3, 2, 1, 1)
    host = await stored(store, "@lab/h1")
    assert host["memory"] == 16 * 2**30
    assert {"Item", "Host", "Server"} <= host["labels"]
    assert [(r["source"], r["type"], r["target"]) for r in await rows(store, EDGES)] == [
        ("/", "PART_OF", "db1"),
        ("postgres", "RUNS_ON", "db1"),
    ]
    [revision] = await store.history.revisions(limit=9)
    assert (revision.actor, revision.source, revision.run) == ("agent-token", "lab", "r7")


async def test_the_answer_is_what_the_command_line_prints(store: Store) -> None:
    record = (await send(store, report(run="r7"))).to_record()
    expected = {"format": "observation", "items": 3, "edges": 2, "created": 3, "changed": 0, "unchanged": 0}
    assert expected | {"refused": [], "revision": 1} == {
        key: record[key] for key in (*expected, "refused", "revision")
    }
    assert record["run"] == "r7"


async def test_the_same_report_again_costs_no_revision(store: Store) -> None:
    await send(store, report())
    result = await send(store, report())
    assert counts(result) == (0, 0, 3, 0)
    assert (result.revision, await store.head()) == (None, 1)


async def test_only_what_differs_is_written(store: Store) -> None:
    await send(store, report())
    result = await send(
        store, report(items=[HOST, DATABASE, {**DISK, "attributes": {**DISK["attributes"], "format": "xfs"}}])
    )
    assert counts(result) == (0, 1, 2, 0)
    [(_, [change])] = [pair async for pair in store.history.changes(1, await store.head())]
    assert (change.name, change.before, change.after, change.edges) == (
        "/",
        {"format": "ext4"},
        {"format": "xfs"},
        (),
    )


async def test_null_takes_a_value_away_and_silence_leaves_it(store: Store) -> None:
    await send(store, report())
    await send(store, report(items=[item("h", "Server", "h1", memory=None)], edges=[]))
    host = await stored(store, "@lab/h1")
    assert "memory" not in host
    assert host["manufacturer"] == "Dell"


async def test_a_dry_run_tells_all_and_writes_nothing(store: Store) -> None:
    await send(store, report())
    changed = {**HOST, "attributes": {**HOST["attributes"], "memory": "32 GiB"}}
    result = await send(
        store, report(items=[changed, DATABASE, item("n", "Host", name="new")], edges=[RUNS_ON]), dry_run=True
    )
    assert counts(result) == (1, 1, 1, 0)
    assert (result.revision, await store.head(), await count(store)) == (None, 1, 3)
    plan = {planned.where: planned for planned in result.plan}
    assert (plan["items[0]"].state, plan["items[0]"].matched_by) == ("changed", "@lab/h1")
    assert (plan["items[0]"].before, plan["items[0]"].after) == (
        {"memory": 16 * 2**30},
        {"memory": 32 * 2**30},
    )
    assert plan["items[2]"].state == "created"
    assert [run.state for run in await read_runs(store.connection, "lab")] == ["done"]


BAD = {
    "items": [
        item("h", "Server", "h9", name="db9", memory="lots", colour="red"),
        item("x", "Serverr", "x", name="x"),
        item("n", "Host", "n"),
        item("ok", "Host", "ok", name="fine"),
    ],
    "edges": [
        edge("RUNS_ON", "ok", "x"),
        edge("RUNS_ONN", "ok", "ok"),
        edge("DEPENDS_ON", "ok", "ok", required=2),
        edge("USES", "ok", "h"),
    ],
}


async def test_a_bad_report_is_refused_whole_with_every_place(store: Store) -> None:
    result = await send(store, report(**BAD))
    assert [refusal.where for refusal in result.refused] == [
        "items[0].attributes.memory",
        "items[0].attributes.colour",
        "items[1].class",
        "items[2].attributes.name",
        "edges[1].type",
        "edges[2].required",
    ]
    assert counts(result)[:3] == (0, 0, 0)
    assert (result.revision, await store.head(), await count(store)) == (None, 0, 0)
    [run] = await read_runs(store.connection, "lab")
    assert (run.state, run.refused) == ("refused", 6)


async def test_partial_acceptance_takes_what_is_good_and_says_what_happened(store: Store) -> None:
    result = await send(store, report(**BAD), partial=True)
    assert (result.created, await count(store)) == (1, 1)
    assert [planned.state for planned in result.plan] == ["refused", "refused", "refused", "created"]
    assert {"edges[0]", "edges[1].type", "edges[2].required", "edges[3]"} <= {r.where for r in result.refused}
    assert result.revision == 1


async def test_an_edge_of_the_wrong_kind_is_refused_with_its_place(store: Store) -> None:
    result = await send(store, report(edges=[edge("INSTALLED_ON", "p", "h")]))
    [refusal] = result.refused
    assert refusal.where == "edges[0]"
    assert "SoftwareInstallation" in refusal.why


async def test_two_hosts_of_one_part_are_refused_and_another_host_takes_the_place_of_the_first(
    store: Store,
) -> None:
    other = item("g", "Server", "g1", name="db2")
    two = report(items=[HOST, DISK, other], edges=[PART_OF, edge("PART_OF", "f", "g")])
    assert [refusal.where for refusal in (await send(store, two)).refused] == ["items[1].PART_OF"]
    await send(store, report(items=[HOST, DISK], edges=[PART_OF]))
    moved = await send(store, report(items=[HOST, DISK, other], edges=[edge("PART_OF", "f", "g")]))
    assert counts(moved) == (1, 1, 1, 0)
    assert [(r["source"], r["target"]) for r in await rows(store, EDGES)] == [("/", "db2")]


async def test_an_edge_said_twice_alike_is_one_and_said_differently_is_refused(store: Store) -> None:
    twice = [
        RUNS_ON,
        RUNS_ON,
        edge("USES", "p", "h", group="g", required=1),
        edge("USES", "p", "h", group="g", required=2),
    ]
    result = await send(store, report(edges=twice))
    assert [refusal.where for refusal in result.refused] == ["edges[3]"]
    assert not (await send(store, report(edges=twice[:3]))).refused
    assert len(await rows(store, EDGES)) == 2


async def test_facts_of_an_edge_follow_the_report(store: Store) -> None:
    await send(store, report())
    result = await send(store, report(edges=[{**RUNS_ON, "confidence": "observed"}]))
    assert counts(result) == (0, 1, 2, 0)
    assert {row["type"]: row["confidence"] for row in await rows(store, EDGES)}["RUNS_ON"] == "observed"


async def test_two_sources_meet_at_one_item_by_its_serial_number(store: Store) -> None:
    await send(store, report())
    other = item(
        "x", "Server", "77", name="db1.example.org", serial_number="s1", manufacturer="DELL", cpu_count=8
    )
    result = await send(store, {"source": "other", "items": [other]})
    assert counts(result) == (0, 1, 0, 0)
    host = await stored(store, "@other/77")
    assert host["id"] == (await stored(store, "@lab/h1"))["id"]
    assert (host["cpu_count"], host["memory"]) == (8, 16 * 2**30)


async def test_a_source_that_only_confirms_an_item_is_remembered_for_it(store: Store) -> None:
    await send(store, report())
    confirmed = item("x", "Server", "77", serial_number="S1", manufacturer="Dell")
    result = await send(store, {"source": "other", "items": [confirmed]})
    assert (counts(result), result.revision) == ((0, 0, 1, 0), None)
    assert (await stored(store, "@other/77"))["name"] == "db1"
    renamed = item("x", "Server", "77", name="renamed", serial_number="S9", manufacturer="HP")
    assert counts(await send(store, {"source": "other", "items": [renamed]})) == (0, 1, 0, 0)


async def test_dependent_items_meet_inside_their_host(store: Store) -> None:
    await send(store, report())
    other = {"source": "other", "items": [{**HOST, "key": "x"}, DATABASE], "edges": [RUNS_ON]}
    assert counts(await send(store, other)) == (0, 0, 2, 0)
    elsewhere = {
        "source": "other",
        "items": [item("h", "Server", "y", name="db2"), DATABASE],
        "edges": [RUNS_ON],
    }
    assert counts(await send(store, elsewhere)) == (2, 0, 0, 0)


async def test_a_more_specific_class_is_adopted_and_a_less_specific_one_is_not(store: Store) -> None:
    await send(store, report(items=[item("h", "Host", "h1", name="db1"), DISK], edges=[PART_OF]))
    first = await stored(store, "@lab/h1")
    result = await send(
        store,
        {"source": "other", "items": [item("x", "Hypervisor", "", name="db1", hypervisor_product="KVM")]},
    )
    assert counts(result) == (0, 1, 0, 0)
    result = await send(
        store, {"source": "other", "items": [item("x", "Server", "", name="db1", power_draw=300)]}
    )
    assert counts(result) == (0, 1, 0, 0)
    now = await stored(store, "@lab/h1")
    assert (now["id"], now["class"]) == (first["id"], "Hypervisor")
    assert (now["hypervisor_product"], now["power_draw"]) == ("KVM", 300)
    assert {"Hypervisor", "Server", "Host"} <= now["labels"]


async def test_a_source_may_correct_the_class_of_its_own_item_and_another_may_not(store: Store) -> None:
    await send(store, report(items=[item("h", "Server", "h1", name="db1", power_draw=300)], edges=[]))
    virtual = item("h", "VirtualMachine", "", name="db1")
    result = await send(store, {"source": "other", "items": [virtual]})
    assert [refusal.where for refusal in result.refused] == ["items[0].class"]
    assert "Server" in result.refused[0].why
    assert counts(await send(store, report(items=[{**virtual, "key": "h1"}], edges=[]))) == (0, 1, 0, 0)
    now = await stored(store, "@lab/h1")
    assert now["class"] == "VirtualMachine"
    assert "power_draw" not in now


async def test_a_report_that_joins_two_items_takes_the_strongest_and_tells_of_the_other(store: Store) -> None:
    serial = item("a", "Server", "a", name="one", serial_number="S1", manufacturer="Dell")
    uuid = item("b", "Server", "b", name="two", uuid="u1")
    await send(store, report(items=[serial, uuid], edges=[]))
    both = item("c", "Server", "", serial_number="S1", manufacturer="Dell", uuid="U1", memory=1024)
    result = await send(store, {"source": "other", "items": [both]})
    first, second = await stored(store, "@lab/a"), await stored(store, "@lab/b")
    assert counts(result) == (0, 1, 0, 0)
    assert first["memory"] == 1024
    assert "uuid" not in first
    [duplicate] = result.duplicates
    assert (duplicate.where, duplicate.item, duplicate.other) == ("items[0]", first["id"], second["id"])
    assert (duplicate.key, duplicate.withheld) == ("Host(uuid)=u1", ("uuid",))


async def test_a_part_is_not_moved_to_where_another_of_its_name_is(store: Store) -> None:
    other = item("g", "Server", "g1", name="db2")
    there = item("e", "FileSystem", "e1", name="/", mount_point="/")
    edges = [PART_OF, edge("PART_OF", "e", "g")]
    await send(store, report(items=[HOST, other, DISK, there], edges=edges))
    result = await send(
        store, report(items=[other, {**DISK, "attributes": {"size": 5}}], edges=[edge("PART_OF", "f", "g")])
    )
    assert (await stored(store, "@lab/f1"))["size"] == 5
    assert {(r["source"], r["target"]) for r in await rows(store, EDGES)} == {("/", "db1"), ("/", "db2")}
    assert result.duplicates[0].withheld == ("edges[0]",)


async def test_keys_made_of_reported_and_stored_values_together_are_seen(store: Store) -> None:
    maker = item("a", "Server", "a", name="one", manufacturer="Dell")
    holder = item("b", "Server", "b", name="two", serial_number="S1", manufacturer="Dell")
    await send(store, report(items=[maker, holder], edges=[]))
    result = await send(
        store, report(items=[item("a", "Server", "a", serial_number="S1", memory=7)], edges=[])
    )
    first = await stored(store, "@lab/a")
    assert "serial_number" not in first
    assert first["memory"] == 7
    assert [duplicate.withheld for duplicate in result.duplicates] == [("serial_number",)]


async def test_entries_that_are_one_are_folded_and_refused_where_they_contradict(store: Store) -> None:
    again = item("h2", "Host", "h2", name="DB1", cpu_count=4, serial_number="S1", manufacturer="Dell")
    result = await send(store, report(items=[HOST, again], edges=[]))
    assert [refusal.where for refusal in result.refused] == ["items[1].attributes.name"]
    again["attributes"]["name"] = "db1"
    assert counts(await send(store, report(items=[HOST, again], edges=[]))) == (1, 0, 1, 0)
    assert (await stored(store, "@lab/h1"))["id"] == (await stored(store, "@lab/h2"))["id"]


async def test_namesakes_with_different_serial_numbers_are_two_items(store: Store) -> None:
    await send(store, report(items=[HOST], edges=[]))
    other = item("x", "Server", "x", name="db1", serial_number="S2", manufacturer="Dell")
    assert counts(await send(store, {"source": "other", "items": [other]})) == (1, 0, 0, 0)
    assert counts(await send(store, {"source": "other", "items": [other]})) == (0, 0, 1, 0)


async def test_old_news_change_nothing(store: Store) -> None:
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    await send(store, report(seen_at=noon.isoformat()))
    late = {**HOST, "attributes": {**HOST["attributes"], "memory": 1}}
    earlier = report(items=[late, DATABASE], edges=[RUNS_ON], seen_at=(noon - timedelta(hours=1)).isoformat())
    result = await send(store, earlier)
    assert (counts(result), result.outdated, result.revision) == ((0, 0, 0, 0), 2, None)
    assert (await stored(store, "@lab/h1"))["memory"] == 16 * 2**30
    assert counts(await send(store, {**earlier, "seen_at": (noon + timedelta(hours=1)).isoformat()}))[1] == 1


@pytest.mark.parametrize("newer", [5, 16 * 2**30])
async def test_a_newer_report_that_comes_in_meanwhile_is_not_overwritten(
    store: Store, monkeypatch: pytest.MonkeyPatch, newer: int
) -> None:
    """Whether the newer one changes something, or only confirms what the older one is about to change."""
    await send(store, host_seen(16 * 2**30, 0))
    apply = store.apply

    async def after_the_newer(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - stands in for Store.apply
        monkeypatch.setattr(store, "apply", apply)
        await send(store, host_seen(newer, 2))
        return await apply(*args, **options)

    monkeypatch.setattr(store, "apply", after_the_newer)
    assert (await send(store, host_seen(1, 1))).outdated == 1
    assert (await stored(store, "@lab/h1"))["memory"] == newer


async def test_a_report_planned_before_another_is_planned_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer one found nothing to change when it was planned; the older one, written in between, made it wrong."""
    await send(store, host_seen(7, 0))
    apply = store.apply

    async def after_the_older(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - stands in for Store.apply
        monkeypatch.setattr(store, "apply", apply)
        await send(store, host_seen(1, 1))
        return await apply(*args, **options)

    monkeypatch.setattr(store, "apply", after_the_older)
    await send(store, host_seen(7, 2))
    assert (await stored(store, "@lab/h1"))["memory"] == 7


async def test_of_reports_at_once_the_newest_holds(store: Store) -> None:
    for number in range(0, 40, 4):
        await asyncio.gather(
            *(send(store, host_seen(minute, minute)) for minute in range(number + 3, number, -1))
        )
        assert (await stored(store, "@lab/h1"))["memory"] == number + 3


async def test_a_clock_that_runs_ahead_does_not_silence_later_reports(store: Store) -> None:
    await send(store, report(seen_at="2999-01-01T00:00:00Z"))
    changed = {**HOST, "attributes": {"memory": 5}}
    assert counts(await send(store, report(items=[changed], edges=[]))) == (0, 1, 0, 0)


async def test_what_a_source_said_is_kept_in_its_own_words(store: Store) -> None:
    await send(store, report(run="r1", seen_at="2026-11-20T12:00:00Z"))
    await send(store, report(run="r2", seen_at="2026-11-21T12:00:00Z"))
    said = {row["name"]: row["said"] for row in await rows(store, SAID, source="lab")}
    assert json.loads(said["db1"]["values"]) == {"class": "Server", **HOST["attributes"]}
    assert (said["db1"]["native_key"], said["db1"]["run"]) == ("h1", "r2")
    assert said["db1"]["first_seen"].startswith("2026-11-20")
    assert said["db1"]["last_seen"].startswith("2026-11-21")
    assert len(said) == 3


async def test_runs_are_remembered_with_their_scope_and_their_counts(store: Store) -> None:
    await send(store, report(run="r1", scope="rack 1", complete=True))
    [run] = await read_runs(store.connection, "lab")
    assert (run.run, run.scope, run.complete, run.state) == ("r1", "rack 1", True, "done")
    assert (run.items, run.edges, run.created, run.revision) == (3, 2, 3, 1)
    assert run.finished_at >= run.started_at


async def test_a_big_report_is_many_revisions_of_one_run_and_goes_on_where_it_stopped(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "BATCH_OPERATIONS", 10)
    items = [
        HOST,
        *(item(f"f{n}", "FileSystem", f"f{n}", name=f"/{n}", mount_point=f"/{n}") for n in range(40)),
    ]
    big = report(items=items, edges=[edge("PART_OF", f"f{n}", "h") for n in range(40)], run="big")
    apply, calls = store.apply, 0

    async def failing(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - stands in for Store.apply
        nonlocal calls
        calls += 1
        if calls == 4:
            raise StoreUnavailable("gone for a moment")
        return await apply(*args, **options)

    monkeypatch.setattr(store, "apply", failing)
    with pytest.raises(StoreUnavailable):
        await send(store, big)
    assert [run.state for run in await read_runs(store.connection, "lab")] == ["failed"]
    done = await count(store)
    assert 1 < done < 41
    result = await send(store, big)
    assert result.created == 41 - done
    assert result.unchanged + result.created + result.changed == 41
    revisions = await store.history.revisions(limit=99)
    assert {revision.run for revision in revisions} == {"big"}
    assert len(revisions) >= 9
    assert "part 1 of" in min(revisions, key=lambda revision: revision.number).message
    assert counts(await send(store, big)) == (0, 0, 41, 0)


async def test_agents_that_race_for_one_host_make_one_host(store: Store) -> None:
    def seen_by(number: int) -> dict[str, Any]:
        partial = [
            item("h", "Server", f"k{number}", name="db1", serial_number="S1", manufacturer="Dell"),
            item("h", "Host", f"k{number}", name="db1", uuid="U1"),
            item("h", "Server", f"k{number}", name="db1", machine_id="M1"),
        ][number % 3]
        return {"source": f"s{number % 5}", "items": [partial, DATABASE, DISK], "edges": [RUNS_ON, PART_OF]}

    for _ in range(3):
        results = await asyncio.gather(*(send(store, seen_by(number)) for number in range(24)))
        assert not [refusal for result in results for refusal in result.refused]
    assert await count(store) == 3
    assert sum(result.created for result in results) == 0
    host = await stored(store, "Host(name)=db1")
    assert (host["class"], host["serial_number"], host["uuid"], host["machine_id"]) == (
        "Server",
        "S1",
        "U1",
        "M1",
    )


async def test_it_is_given_up_after_some_attempts_when_others_are_always_faster(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - stands in for Store.apply
        raise IdentityTaken("k", "x", "y")

    monkeypatch.setattr(store, "apply", taken)
    with pytest.raises(IdentityTaken):
        await send(store, report())


async def test_an_item_deleted_meanwhile_is_created_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(store, report())
    host = await stored(store, "@lab/h1")
    apply = store.apply

    async def after_deletion(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - stands in for Store.apply
        monkeypatch.setattr(store, "apply", apply)
        await apply(ChangeSet((DeleteItem(host["id"]),)), AGENT)
        return await apply(*args, **options)

    monkeypatch.setattr(store, "apply", after_deletion)
    changed = {**HOST, "attributes": {**HOST["attributes"], "memory": 5}}
    assert counts(await send(store, report(items=[changed], edges=[]))) == (1, 0, 0, 0)
    assert (await stored(store, "@lab/h1"))["id"] != host["id"]


async def test_edges_of_another_hand_are_left_alone(store: Store) -> None:
    await send(store, report())
    host, database = await stored(store, "@lab/h1"), await stored(store, "Host(name)=db1")
    service = new_id()
    by_hand = (
        PutItem(service, {"name": "shop"}, "ApplicationService"),
        PutEdge(EdgeKey("DEPENDS_ON", service, host["id"])),
    )
    await store.apply(ChangeSet(by_hand), Authorship("alice"))
    assert counts(await send(store, report())) == (0, 0, 3, 0)
    assert len(await rows(store, EDGES)) == 3
    assert database["id"] == host["id"]


async def test_an_empty_report_is_taken(store: Store) -> None:
    result = await send(store, {"source": "lab"})
    assert (counts(result), result.revision, result.taken) == ((0, 0, 0, 0), None, True)


async def test_progress_is_told(store: Store) -> None:
    _, observation = await read_report(json.dumps(report()).encode())
    told: list[tuple[str, int, int]] = []
    await ingest(store, observation, AGENT, progress=lambda *stage: told.append(stage))
    assert [stage for stage, _, _ in told] == ["identified", "planned", "applied"]
    assert told[-1] == ("applied", 1, 1)


async def test_a_report_that_cannot_be_read_has_an_answer_of_the_same_form() -> None:
    with pytest.raises(ValidationFailed) as refused:
        await read_report(b'{"source":"x","items":[{"ref":1}]}', "observation")
    record = refused_report("observation", refused.value.problems).to_record()
    assert (record["items"], record["revision"], record["refused"][0]["where"]) == (0, None, "items[0].ref")


async def test_the_machine_the_tests_run_on_reports_itself_once(store: Store) -> None:
    seen = observe()
    first = await send(store, seen)
    assert (first.refused, first.duplicates) == ((), ())
    assert first.created == len(seen["items"])
    again = await send(store, seen)
    assert (again.created, again.changed, again.revision) == (0, 0, None)
