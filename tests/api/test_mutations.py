from __future__ import annotations

import pytest

from tests.api.conftest import Api

APPLY = """mutation M($c: ChangeSetInput!, $dry: Boolean! = false, $key: String) {
  applyChanges(changeSet: $c, dryRun: $dry, idempotencyKey: $key) {
    revision head dryRun refs { ref id } changes { id class name kind fields { field before after }
      edges { type target targetName group before { required } after { required strength confidence } } } } }"""


async def test_an_item_is_created_changed_and_deleted(api: Api) -> None:
    made = await api.data(
        """mutation {
             createServer(input: {name: "web-01", memory: 8, lifecycle: PLANNED}, message: "new", reason: "CHG-1") {
             revision head item { id version lifecycle } changes { kind } } }"""
    )
    created = made["createServer"]
    item_id = created["item"]["id"]
    assert (created["revision"], created["head"]) == (1, 1)
    assert created["item"]["lifecycle"] == "PLANNED"
    assert created["changes"] == [{"kind": "created"}]
    data = await api.data(
        """mutation M($id: ID!) { updateServer(id: $id, input: {memory: null, hostname: "web-01"}, expectedVersion: 1) {
             revision item { version ... on Server { memory hostname name } }
             changes { fields { field before after } } } }""",
        {"id": item_id},
    )
    assert data["updateServer"]["item"] == {
        "version": 2,
        "memory": None,
        "hostname": "web-01",
        "name": "web-01",
    }
    assert data["updateServer"]["changes"][0]["fields"] == [
        {"field": "memory", "before": 8, "after": None},
        {"field": "hostname", "before": None, "after": "web-01"},
    ]
    data = await api.data(
        "mutation M($id: ID!) { deleteServer(id: $id) { revision item { id } } }", {"id": item_id}
    )
    assert data["deleteServer"] == {"revision": 3, "item": None}
    assert (await api.data("query Q($id: ID!) { item(id: $id) { id } }", {"id": item_id}))["item"] is None


async def test_an_update_that_changes_nothing_makes_no_revision(api: Api) -> None:
    item_id = await api.create("Server", name="web-01", memory=8)
    data = await api.data(
        "mutation M($id: ID!) { updateServer(id: $id, input: {memory: 8}) { revision head } }",
        {"id": item_id},
    )
    assert data["updateServer"] == {"revision": None, "head": 1}


async def test_a_stale_version_is_refused_and_says_who_was_first(api: Api) -> None:
    item_id = await api.create("Server", name="web-01")
    update = """mutation M($id: ID!, $memory: Long!) {
      updateServer(id: $id, input: {memory: $memory}, expectedVersion: 1) { revision } }"""
    await api.data(update, {"id": item_id, "memory": 1})
    [error] = (await api.answer(update, {"id": item_id, "memory": 2}))["errors"]
    facts = error["extensions"]
    assert facts["code"] == "STALE_VERSION"
    assert (facts["expected"], facts["found"]) == (1, 2)
    assert facts["changes"][0]["actor"] == "root"


async def test_every_problem_is_told_at_once_and_nothing_is_written(api: Api) -> None:
    body = await api.answer(
        APPLY,
        {
            "c": {
                "operations": [
                    {"putItem": {"class": "Server", "fields": {"name": "x", "memory": "lots", "nothing": 1}}},
                    {"putItem": {"class": "Spaceship", "fields": {"name": "y"}}},
                    {"deleteItem": "nobody"},
                ]
            }
        },
    )
    [error] = body["errors"]
    assert error["extensions"]["code"] == "VALIDATION_FAILED"
    codes = [problem["code"] for problem in error["extensions"]["problems"]]
    assert sorted(codes) == ["INVALID_VALUE", "NOT_FOUND", "UNKNOWN_ATTRIBUTE", "UNKNOWN_CLASS"]
    assert (await api.data("{ items { totalCount revision } }"))["items"] == {"totalCount": 0, "revision": 0}


async def test_a_change_set_names_its_new_items(api: Api) -> None:
    operations = [
        {"putItem": {"ref": "app", "class": "Application", "fields": {"name": "shop"}}},
        {"putItem": {"ref": "host", "class": "Server", "fields": {"name": "web-01", "mtbf": "90d"}}},
        {"putEdge": {"type": "RUNS_ON", "from": "ref:app", "to": "ref:host", "group": "g", "required": "1"}},
    ]
    dry = await api.data(APPLY, {"c": {"operations": operations}, "dry": True})
    assert dry["applyChanges"]["revision"] is None
    assert {change["kind"] for change in dry["applyChanges"]["changes"]} == {"created"}
    assert (await api.data("{ items { totalCount } }"))["items"]["totalCount"] == 0
    done = (await api.data(APPLY, {"c": {"operations": operations}}))["applyChanges"]
    refs = {entry["ref"]: entry["id"] for entry in done["refs"]}
    assert set(refs) == {"app", "host"}
    [shop] = [change for change in done["changes"] if change["name"] == "shop"]
    assert shop["edges"] == [
        {
            "type": "RUNS_ON",
            "target": refs["host"],
            "targetName": "web-01",
            "group": "g",
            "before": None,
            "after": {"required": "1", "strength": None, "confidence": "declared"},
        }
    ]
    [host] = [change for change in done["changes"] if change["name"] == "web-01"]
    assert {"field": "mtbf", "before": None, "after": "PT2160H"} in host["fields"]


async def test_the_same_key_gives_the_first_answer_again(api: Api) -> None:
    create = """mutation M($name: String!) { createServer(input: {name: $name}, idempotencyKey: "k") {
      revision item { id name } } }"""
    first = await api.data(create, {"name": "web-01"})
    assert await api.data(create, {"name": "web-01"}) == first
    assert await api.code(create, {"name": "other"}) == "IDEMPOTENCY_MISMATCH"
    change = {"operations": [{"putItem": {"ref": "a", "class": "Server", "fields": {"name": "z"}}}]}
    one = await api.data(APPLY, {"c": change, "key": "k2"})
    two = await api.data(APPLY, {"c": change, "key": "k2"})
    assert one["applyChanges"]["refs"] == two["applyChanges"]["refs"]
    assert (await api.data("{ servers { totalCount } }"))["servers"]["totalCount"] == 2


async def test_edges_are_put_and_deleted_by_typed_mutations(api: Api) -> None:
    shop, host = await api.create("Application", name="shop"), await api.create("Server", name="web-01")
    assert await api.relate("RunsOn", shop, host, strength="SOFT") == 3
    data = await api.data("{ applications { nodes { runsOn { edges { strength node { name } } } } } }")
    assert data["applications"]["nodes"] == [
        {"runsOn": {"edges": [{"strength": "SOFT", "node": {"name": "web-01"}}]}}
    ]
    fields = "{ revision changes { edges { after { required } } } }"
    unrelate = f'mutation {{ unrelateRunsOn(from: "{shop}", to: "{host}") {fields} }}'
    data = await api.data(unrelate)
    assert data["unrelateRunsOn"] == {"revision": 4, "changes": [{"edges": [{"after": None}]}]}
    assert await api.code(unrelate) == "VALIDATION_FAILED"
    wrong = f'mutation {{ relateLocatedIn(from: "{shop}", to: "{host}") {{ revision }} }}'
    assert await api.code(wrong) == "VALIDATION_FAILED"


async def test_a_typed_mutation_touches_items_of_its_class_only(api: Api) -> None:
    shop = await api.create("Application", name="shop")
    assert await api.code(f'mutation {{ deleteServer(id: "{shop}") {{ revision }} }}') == "NOT_FOUND"
    assert (
        await api.code(f'mutation {{ updateServer(id: "{shop}", input: {{}}) {{ revision }} }}')
        == "NOT_FOUND"
    )
    host = await api.create("Hypervisor", name="h")
    update = f'mutation {{ updateServer(id: "{host}", input: {{memory: 1}}) {{ item {{ class }} }} }}'
    assert (await api.data(update))["updateServer"]["item"] == {"class": "Hypervisor"}


async def test_a_forbidden_transition_lists_the_allowed_ones(api: Api) -> None:
    incident = await api.create("Incident", name="INC-1")
    close = f'mutation {{ updateIncident(id: "{incident}", input: {{lifecycle: CLOSED}}) {{ revision }} }}'
    [error] = (await api.answer(close))["errors"]
    assert "allowed: assigned, in_progress, cancelled" in error["message"]


async def test_undo_takes_a_revision_back(api: Api) -> None:
    host = await api.create("Server", name="web-01", memory=8)
    await api.data(f'mutation {{ updateServer(id: "{host}", input: {{memory: 16}}) {{ revision }} }}')
    data = await api.data(
        "mutation { undo(revision: 2) { revision changes { fields { field before after } } } }"
    )
    assert data["undo"]["changes"][0]["fields"] == [{"field": "memory", "before": 16, "after": 8}]
    assert await api.code("mutation { undo(revision: 99) { revision } }") == "NOT_FOUND"


async def test_an_observation_is_taken_in_by_mutation(api: Api) -> None:
    observation = {
        "source": "test",
        "items": [
            {
                "ref": "a",
                "class": "Server",
                "key": "k1",
                "attributes": {"name": "web-01", "memory": "16 GiB"},
            },
            {"ref": "b", "class": "Application", "attributes": {"name": "shop"}},
        ],
        "edges": [{"type": "RUNS_ON", "from": "b", "to": "a"}],
    }
    ingest = "mutation M($o: JSON!, $dry: Boolean!) { ingest(observation: $o, dryRun: $dry) }"
    dry = (await api.data(ingest, {"o": observation, "dry": True}))["ingest"]
    assert (dry["created"], dry["revision"]) == (2, None)
    done = (await api.data(ingest, {"o": observation, "dry": False}))["ingest"]
    assert (done["created"], done["refused"], done["items"], done["edges"]) == (2, [], 2, 1)
    again = (await api.data(ingest, {"o": observation, "dry": False}))["ingest"]
    assert (again["created"], again["unchanged"], again["revision"]) == (0, 2, None)
    data = await api.data("{ servers { nodes { memory runs { nodes { name } } } } }")
    assert data["servers"]["nodes"] == [{"memory": 17_179_869_184, "runs": {"nodes": [{"name": "shop"}]}}]


@pytest.mark.parametrize("number", ["18446744073709551616", "1e400", "-9223372036854775809"])
async def test_a_report_with_a_number_that_fits_nowhere_is_refused_and_breaks_nothing(
    api: Api, number: str
) -> None:
    query = 'mutation { ingest(observation: {source: "s", items: [{ref: "a", class: "Server", ' + (
        'attributes: {name: "x", memory: ' + number + "}}]}) }"
    )
    answer = await api.answer(query)
    codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
    assert "INTERNAL" not in codes
    assert codes or answer["data"]["ingest"]["refused"]


async def test_incidents_and_changes_are_linked_to_what_they_affect_from_both_sides(api: Api) -> None:
    host = await api.create("Server", name="web-01")
    incident = await api.create("Incident", name="INC-1", priority="CRITICAL")
    change = await api.create("Change", name="CHG-1", effect="RESTART")
    for record in (incident, change):
        await api.relate("Affects", record, host)
    data = await api.data(
        """{ server(name: "web-01") { affectedBy { nodes { class name } } }
             incidents(filter: {affects: {some: {name: {eq: "web-01"}}}}) {
               nodes { priority affects { nodes { name } } } } }"""
    )
    assert data["server"]["affectedBy"]["nodes"] == [
        {"class": "Change", "name": "CHG-1"},
        {"class": "Incident", "name": "INC-1"},
    ]
    assert data["incidents"]["nodes"] == [
        {"priority": "CRITICAL", "affects": {"nodes": [{"name": "web-01"}]}}
    ]
