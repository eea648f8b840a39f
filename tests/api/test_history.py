from __future__ import annotations

from typing import Any

import pytest

from cmdb.store import verification
from cmdb_graphql import audit
from tests.api.conftest import Api


async def test_the_history_of_an_item_tells_its_fields_and_edges_newest_first(api: Api) -> None:
    shop, host = await api.create("Application", name="shop"), await api.create("Server", name="web-01")
    await api.relate("RunsOn", shop, host, group="g", required="1")
    await api.data(
        """mutation M($id: ID!) {
          updateApplication(id: $id, input: {owner: "ops"}, message: "moved", reason: "CHG-7") { revision } }""",
        {"id": shop},
    )
    query = """query Q($item: ID!, $first: Int!, $after: String) { history(item: $item, first: $first, after: $after) {
      nodes { revision { number actor message reason } change { kind fields { field before after }
              edges { type targetName after { required } } } } pageInfo { hasNextPage endCursor } } }"""
    seen, after = [], None
    while True:
        page = (await api.data(query, {"item": shop, "first": 2, "after": after}))["history"]
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert [event["revision"]["number"] for event in seen] == [4, 3, 1]
    assert seen[0]["revision"] == {"number": 4, "actor": "root", "message": "moved", "reason": "CHG-7"}
    assert seen[0]["change"]["fields"] == [{"field": "owner", "before": None, "after": "ops"}]
    assert seen[1]["change"]["edges"] == [
        {"type": "RUNS_ON", "targetName": "web-01", "after": {"required": "1"}}
    ]


async def test_a_deleted_item_keeps_its_history(api: Api) -> None:
    host = await api.create("Server", name="web-01")
    await api.data(f'mutation {{ deleteServer(id: "{host}") {{ revision }} }}')
    data = await api.data(f'{{ history(item: "{host}") {{ nodes {{ change {{ kind name }} }} }} }}')
    assert [event["change"]["kind"] for event in data["history"]["nodes"]] == ["deleted", "created"]
    assert await api.code('{ history(item: "never") { nodes { change { kind } } } }') == "NOT_FOUND"


async def test_revisions_are_paged_either_way_and_filtered(api: Api) -> None:
    editor = await api.token("editor", name="eve")
    for index in range(3):
        await api.create("Server", name=f"s{index}")
    await api.data('mutation { createServer(input: {name: "e"}) { revision } }', token=editor)

    async def numbers(arguments: str) -> list[int]:
        data = await api.data(f"{{ revisions({arguments}) {{ nodes {{ number }} }} }}")
        return [node["number"] for node in data["revisions"]["nodes"]]

    assert await numbers("first: 3") == [4, 3, 2]
    assert await numbers("first: 3, oldestFirst: true") == [1, 2, 3]
    assert await numbers('first: 3, actor: "eve"') == [4]
    data = await api.data("{ revisions(first: 2) { pageInfo { hasNextPage endCursor } } }")
    page = data["revisions"]["pageInfo"]
    assert page["hasNextPage"]
    assert await numbers(f'first: 2, after: "{page["endCursor"]}"') == [2, 1]
    data = await api.data(
        "{ revision(number: 2) { changes { name kind } hash previousHash } nothing: revision(number: 99) { number } }"
    )
    assert data["revision"]["changes"] == [{"name": "s1", "kind": "created"}]
    assert data["nothing"] is None


async def test_a_diff_tells_the_net_changes_either_way(api: Api) -> None:
    host = await api.create("Server", name="web-01", memory=8)
    for memory in (16, 32):
        await api.data(
            f'mutation {{ updateServer(id: "{host}", input: {{memory: {memory}}}) {{ revision }} }}'
        )
    other = await api.create("Server", name="other")
    query = """query Q($from: PointInHistory!, $to: PointInHistory, $scope: [ID!]) {
      diff(from: $from, to: $to, scope: $scope) {
      fromRevision toRevision totalCount nodes { name kind fields { field before after } } } }"""
    diff = (await api.data(query, {"from": {"revision": 1}}))["diff"]
    assert (diff["fromRevision"], diff["toRevision"], diff["totalCount"]) == (1, 4, 2)
    [changed] = [node for node in diff["nodes"] if node["name"] == "web-01"]
    assert changed["fields"] == [{"field": "memory", "before": 8, "after": 32}]
    back = (await api.data(query, {"from": {"revision": 4}, "to": {"revision": 1}, "scope": [host]}))["diff"]
    assert back["nodes"] == [
        {"name": "web-01", "kind": "updated", "fields": [{"field": "memory", "before": 32, "after": 8}]}
    ]
    assert other
    assert await api.code(query, {"from": {"revision": 5}}) == "BAD_REQUEST"


async def test_a_baseline_names_a_moment_and_a_services_closure(api: Api) -> None:
    shop, host = await api.create("Application", name="shop"), await api.create("Server", name="web-01")
    elsewhere = await api.create("Server", name="elsewhere")
    await api.relate("RunsOn", shop, host)
    data = await api.data(
        f'mutation {{ createBaseline(name: "go-live", root: "{shop}") {{ revision size root }} }}'
    )
    assert data["createBaseline"] == {"revision": 4, "size": 2, "root": shop}
    for item in (host, elsewhere):
        await api.data(f'mutation {{ updateServer(id: "{item}", input: {{memory: 1}}) {{ revision }} }}')
    diff = (await api.data('{ diff(from: {baseline: "go-live"}) { nodes { name } } }'))["diff"]
    assert diff["nodes"] == [{"name": "web-01"}]
    assert (await api.data("{ baselines { name actor } }"))["baselines"] == [
        {"name": "go-live", "actor": "root"}
    ]
    assert await api.code('mutation { createBaseline(name: "go-live") { name } }') == "CONFLICT"
    assert (await api.data('mutation { deleteBaseline(name: "go-live") }'))["deleteBaseline"]
    assert await api.code('{ diff(from: {baseline: "go-live"}) { totalCount } }') == "NOT_FOUND"


async def test_the_ledger_is_verified(api: Api) -> None:
    await api.create("Server", name="web-01")
    data = await api.data("{ verifyLedger { ok revisions problems } }")
    assert data["verifyLedger"] == {"ok": True, "revisions": 1, "problems": []}


VERIFY = """
query V($anchors: [LedgerAnchor!], $after: String) {
  verifyLedger(anchors: $anchors, after: $after) { ok revisions checked complete cursor problems hash }
}"""


async def test_a_long_ledger_is_verified_in_steps_that_fit_into_a_request(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await api.create("Server", name=f"web-{number}")
    monkeypatch.setattr(verification, "CHUNK", 2)
    monkeypatch.setattr(audit, "STEP_SECONDS", 0.0)
    after: str | None = None
    steps: list[dict[str, Any]] = []
    while not steps or not steps[-1]["complete"]:
        steps.append((await api.data(VERIFY, {"after": after}))["verifyLedger"])
        after = steps[-1]["cursor"]
    assert [step["checked"] for step in steps] == [2, 4, 5]
    assert all(step["ok"] for step in steps)
    assert after is None
    await api.store.connection.run("MATCH (r:Revision {number: 3}) SET r.message = 'another'")
    found = [
        (await api.data(VERIFY, {"after": step["cursor"]}))["verifyLedger"]["problems"] for step in steps[:2]
    ]
    assert found == [["revision 3 was altered: its hash does not fit its content"], []]


async def test_the_ledger_is_held_to_hashes_that_somebody_wrote_down(api: Api) -> None:
    await api.create("Server", name="web-01")
    noted = (await api.data(VERIFY))["verifyLedger"]
    anchors = [{"revision": noted["revisions"], "hash": noted["hash"]}]
    assert (await api.data(VERIFY, {"anchors": anchors}))["verifyLedger"]["ok"]
    anchors = [{"revision": 1, "hash": "0" * 64}, {"revision": 9, "hash": "f" * 64}]
    assert (await api.data(VERIFY, {"anchors": anchors}))["verifyLedger"]["problems"] == [
        "revision 1 is not the one that the anchor given knows: the ledger was rewritten",
        "revision 9, which the anchor given knows, was cut off",
    ]
    for cursor in ("x", "WzEsMl0", "WyJhIiwiYiJd", "Wy0xLCJhIl0"):
        assert await api.code(VERIFY, {"after": cursor}) == "BAD_REQUEST"
