from __future__ import annotations

import asyncio

import pytest

from cmdb.model.change_set import Authorship, ChangeSet, Operation, PutEdge, PutItem
from cmdb.model.items import EdgeKey, new_id
from tests.api.conftest import Api


async def redundant_shop(api: Api) -> dict[str, str]:
    """A service over a shop that needs one of two servers in two racks."""
    ids = {
        "service": await api.create("BusinessService", name="Ordering"),
        "shop": await api.create("Application", name="shop"),
        "a": await api.create("Server", name="a"),
        "b": await api.create("Server", name="b"),
    }
    await api.relate("DependsOn", ids["service"], ids["shop"])
    for host in "ab":
        await api.relate("RunsOn", ids["shop"], ids[host], group="web", required="1")
    return ids


QUERY = """query Q($down: [ID!]!, $pinned: [ID!]) { impact(down: $down, pinned: $pinned) { revision
  counts { down degraded atRisk reduced protected } failed { name }
  down { name state distance } atRisk { name because { code group required up members { name state } } path { name } }
  services { name state } record } }"""


async def test_redundancy_keeps_a_service_up_at_risk(api: Api) -> None:
    ids = await redundant_shop(api)
    impact = (await api.data(QUERY, {"down": [ids["a"]]}))["impact"]
    assert impact["counts"] == {"down": 1, "degraded": 0, "atRisk": 2, "reduced": 0, "protected": 0}
    assert impact["failed"] == [{"name": "a"}]
    [shop, service] = impact["atRisk"]
    assert shop["because"] == [
        {
            "code": "gate_without_spare",
            "group": "web",
            "required": 1,
            "up": 1,
            "members": [{"name": "a", "state": "DOWN"}, {"name": "b", "state": "UP"}],
        }
    ]
    assert service["path"] == [{"name": "Ordering"}, {"name": "shop"}, {"name": "a"}]
    assert impact["services"] == [{"name": "Ordering", "state": "AT_RISK"}]
    assert impact["record"]["states"] == ["down", "at_risk", "at_risk", "up"]


async def test_the_loss_of_both_takes_the_service_down(api: Api) -> None:
    ids = await redundant_shop(api)
    impact = (await api.data(QUERY, {"down": [ids["a"], ids["b"]]}))["impact"]
    assert [item["name"] for item in impact["down"]] == ["a", "b", "shop", "Ordering"]
    assert impact["services"] == [{"name": "Ordering", "state": "DOWN"}]
    pinned = (await api.data(QUERY, {"down": [ids["a"], ids["b"]], "pinned": [ids["shop"]]}))["impact"]
    assert [item["name"] for item in pinned["down"]] == ["a", "b"]


async def test_everybody_reads_his_own_writes(api: Api) -> None:
    ids = await redundant_shop(api)
    ends = f'from: "{ids["shop"]}", to: "{ids["b"]}", group: "web"'
    await api.data(f"mutation {{ unrelateRunsOn({ends}) {{ revision }} }}")
    impact = (await api.data(QUERY, {"down": [ids["a"]]}))["impact"]
    assert impact["counts"]["down"] == 3
    assert impact["revision"] == 8


async def test_walks_take_depth_types_and_layers(api: Api) -> None:
    ids = await redundant_shop(api)
    site = await api.create("Site", name="south")
    await api.relate("LocatedIn", ids["a"], site)

    async def walk(arguments: str) -> list[str]:
        query = f'{{ dependencies(id: "{ids["service"]}"{arguments}) {{ items {{ name }} }} }}'
        data = await api.data(query)
        return [item["name"] for item in data["dependencies"]["items"]]

    assert set(await walk("")) == {"shop", "a", "b", "south"}
    assert await walk(", depth: 1") == ["shop"]
    assert await walk(', layers: ["facility"]') == ["south"]
    assert await walk(', types: ["DEPENDS_ON"]') == ["shop"]
    data = await api.data(
        f'{{ dependents(id: "{site}", limit: 1) {{ items {{ name distance }} edges {{ type from to }} truncated }} }}'
    )
    assert data["dependents"] == {
        "items": [{"name": "a", "distance": 1}],
        "edges": [{"type": "LOCATED_IN", "from": ids["a"], "to": site}],
        "truncated": True,
    }
    fields = "{ paths { direction items { name } edges { group } } }"
    data = await api.data(f'{{ paths(from: "{ids["service"]}", to: "{site}") {fields} }}')
    [path] = data["paths"]["paths"]
    assert path["direction"] == "DEPENDENCIES"
    assert [item["name"] for item in path["items"]] == ["Ordering", "shop", "a", "south"]
    assert [edge["group"] for edge in path["edges"]] == [None, "web", None]


async def test_edges_are_paged_for_one_item_or_for_all(api: Api) -> None:
    ids = await redundant_shop(api)
    query = """query Q($item: ID, $after: String) { edges(item: $item, first: 2, after: $after) {
      nodes { type from to group required } endCursor hasNextPage } }"""
    seen, after = [], None
    while True:
        page = (await api.data(query, {"after": after}))["edges"]
        seen += page["nodes"]
        after = page["endCursor"]
        if not page["hasNextPage"]:
            break
    assert len(seen) == 3
    of_shop = (await api.data(query, {"item": ids["shop"]}))["edges"]
    assert of_shop["hasNextPage"]
    assert {"type": "RUNS_ON", "from": ids["shop"], "to": ids["a"], "group": "web", "required": "1"} in seen


async def test_unknown_items_and_senseless_questions_are_refused(api: Api) -> None:
    ids = await redundant_shop(api)
    assert await api.code(QUERY, {"down": ["nobody"]}) == "NOT_FOUND"
    assert await api.code(QUERY, {"down": []}) == "BAD_REQUEST"
    assert await api.code(QUERY, {"down": [ids["a"]], "pinned": [ids["a"]]}) == "BAD_REQUEST"
    assert await api.code('{ dependents(id: "nobody") { truncated } }') == "NOT_FOUND"
    assert (
        await api.code(f'{{ dependents(id: "{ids["a"]}", types: ["NOPE"]) {{ truncated }} }}') == "NOT_FOUND"
    )


async def star(api: Api, size: int) -> str:
    """So many applications on one server, written in one ChangeSet."""
    hub, apps = new_id(), [new_id() for _ in range(size)]
    operations: tuple[Operation, ...] = (
        PutItem(hub, {"name": "hub"}, "Server", intent="create"),
        *(PutItem(app, {"name": f"app-{n}"}, "Application", intent="create") for n, app in enumerate(apps)),
        *(PutEdge(EdgeKey("RUNS_ON", app, hub)) for app in apps),
    )
    await api.service.services.store.apply(ChangeSet(operations), Authorship(actor="alice"))
    return hub


async def test_long_lists_arrive_whole_and_under_several_names(api: Api) -> None:
    hub = await star(api, 150)
    data = await api.data(
        f"""{{ impact(down: "{hub}") {{
          counts {{ down }} a: down(first: 100) {{ id because {{ code }} }} b: down(first: 100, offset: 100) {{ id }}
        }} dependents(id: "{hub}") {{ one: items {{ id }} other: items {{ id }} edges {{ from }} }} }}"""
    )
    impact, walk = data["impact"], data["dependents"]
    assert impact["counts"]["down"] == 151
    ids = [item["id"] for item in (*impact["a"], *impact["b"])]
    assert len(set(ids)) == 151
    assert ids[1:] == sorted(ids[1:])
    assert all(item["because"] for item in impact["a"])
    assert walk["one"] == walk["other"] == [{"id": item} for item in ids[1:]]
    assert len(walk["edges"]) == 150


async def test_edges_that_are_less_certain_than_asked_carry_nothing(api: Api) -> None:
    ids = {name: await api.create("Server", name=name) for name in ("a", "b", "c", "d")}
    for source, target, confidence in (
        ("b", "a", "DECLARED"),
        ("c", "b", "OBSERVED"),
        ("d", "c", "INFERRED"),
    ):
        await api.relate("DependsOn", ids[source], ids[target], confidence=confidence)
    query = """query Q($down: [ID!]!, $least: Confidence!) {
      impact(down: $down, minimumConfidence: $least) { down { name } } }"""
    down = {}
    for least in ("INFERRED", "OBSERVED", "DECLARED"):
        impact = (await api.data(query, {"down": [ids["a"]], "least": least}))["impact"]
        down[least] = "".join(item["name"] for item in impact["down"])
    assert down == {"INFERRED": "abcd", "OBSERVED": "abc", "DECLARED": "ab"}


async def test_parties_and_services_are_counted_whatever_a_page_shows(api: Api) -> None:
    ids = await redundant_shop(api)
    for name in ("one", "two", "three"):
        await api.relate("SupportedBy", ids["shop"], await api.create("Team", name=name))
    query = """query Q($down: [ID!]!) { impact(down: $down) {
      teams(first: 1) { name } concerned { services customers teams owners agreements } } }"""
    impact = (await api.data(query, {"down": [ids["a"]]}))["impact"]
    assert len(impact["teams"]) == 1
    assert impact["concerned"] == {"services": 1, "customers": 0, "teams": 3, "owners": 0, "agreements": 0}


async def test_what_is_down_already_is_told_from_what_a_failure_adds(api: Api) -> None:
    ids = await redundant_shop(api)
    query = """query Q($down: [ID!]!, $already: [ID!]) { impact(down: $down, alreadyDown: $already) {
      added failed { name } down { name before } } }"""
    impact = (await api.data(query, {"down": [ids["b"]], "already": [ids["a"]]}))["impact"]
    assert {item["name"] for item in impact["failed"]} == {"a", "b"}
    assert {item["name"]: item["before"] for item in impact["down"]} == {
        "a": "DOWN",
        "b": "UP",
        "shop": "AT_RISK",
        "Ordering": "AT_RISK",
    }
    assert impact["added"] == 3


async def test_customers_teams_owners_and_agreements_are_named_with_their_worst_state(api: Api) -> None:
    ids = await redundant_shop(api)
    parties = {
        "customer": await api.create("Customer", name="Example Ltd"),
        "team": await api.create("Team", name="web team"),
        "sla": await api.create("ServiceLevelAgreement", name="gold"),
    }
    await api.relate("SubscribedBy", ids["service"], parties["customer"])
    await api.relate("SupportedBy", ids["shop"], parties["team"])
    await api.relate("SupportedBy", ids["a"], parties["team"])
    await api.relate("OwnedBy", ids["b"], parties["team"])
    await api.relate("GovernedBy", ids["service"], parties["sla"])
    query = """query Q($down: [ID!]!) { impact(down: $down) {
      customers { name worst items } teams { name worst items } owners { name worst items }
      agreements { name class worst } } }"""
    impact = (await api.data(query, {"down": [ids["a"]]}))["impact"]
    assert impact["customers"] == [{"name": "Example Ltd", "worst": "AT_RISK", "items": 1}]
    assert impact["teams"] == [{"name": "web team", "worst": "DOWN", "items": 2}]
    assert impact["owners"] == []
    assert impact["agreements"] == [{"name": "gold", "class": "ServiceLevelAgreement", "worst": "AT_RISK"}]


async def test_a_revision_that_is_not_there_is_waited_for_and_not_for_ever(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await redundant_shop(api)
    query = """query Q($down: [ID!]!, $least: Long!) { impact(down: $down, atLeast: $least) { revision } }"""
    head = (await api.data(QUERY, {"down": [ids["a"]]}))["impact"]["revision"]
    assert (await api.data(query, {"down": [ids["a"]], "least": head}))["impact"]["revision"] == head
    waiting = asyncio.create_task(api.data(query, {"down": [ids["a"]], "least": head + 1}))
    await asyncio.sleep(0.05)
    await api.create("Server", name="late")
    assert (await waiting)["impact"]["revision"] == head + 1
    monkeypatch.setattr("cmdb.store.topology.WAIT_SECONDS", 0.3)
    body = await api.answer(query, {"down": [ids["a"]], "least": head + 99})
    assert "atLeast" in body["errors"][0]["message"]
