from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cmdb_graphql.availability_answer import Asked
from impact.fault_tree_analysis import analyse
from impact.mef import import_fault_tree
from tests.api.conftest import Api
from tests.api.test_impact import redundant_shop

QUERY = """query Q($service: ID!, $asOf: AsOf) { serviceAvailability(service: $service, asOf: $asOf) {
  revision needs target service { name }
  predicted { lower upper exact unavailability hoursDownAYear singlePoints }
  figures { basis count } redundancyMargin { failures atLeast defeatedBy { name } }
  singlePointCount singlePointsOfFailure { item { name } dominating { name } defeats }
  cutSets(order: 2) { sets { items { name } probability } counts truncated completeOrder }
  components { item { name } unavailability basis birnbaum criticality raw rrw }
  improvements(first: 3) { item { name } improvement availability hoursAYear }
  faultTree } }"""


async def shop(api: Api) -> dict[str, str]:
    """A service on one database and one of two servers; figures declared, so that the truth is plain arithmetic."""
    ids = {
        "service": await api.create(
            "BusinessService", name="Ordering", availabilityTarget=0.95, availability=1.0
        ),
        "db": await api.create("DatabaseInstance", name="db", availability=0.99),
        "a": await api.create("Server", name="a", availability=0.9),
        "b": await api.create("Server", name="b", availability=0.8),
    }
    await api.relate("DependsOn", ids["service"], ids["db"])
    for host in "ab":
        await api.relate("DependsOn", ids["service"], ids[host], group="web", required="1")
    return ids


async def asked(api: Api, service: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    answer: dict[str, Any] = (await api.data(QUERY, {"service": service, **more}))["serviceAvailability"]
    return answer


async def test_the_prediction_is_plain_arithmetic_on_declared_figures(api: Api) -> None:
    ids = await shop(api)
    answer = await asked(api, ids["service"])
    truth = 0.99 * (1 - 0.1 * 0.2)
    assert answer["predicted"]["exact"]
    assert answer["predicted"]["lower"] == pytest.approx(truth, rel=1e-12)
    assert answer["predicted"]["upper"] == pytest.approx(truth, rel=1e-12)
    assert answer["predicted"]["hoursDownAYear"] == pytest.approx((1 - truth) * 8766)
    assert answer["needs"] == 3
    assert answer["target"] == 0.95
    assert answer["figures"] == [{"basis": "DECLARED_AVAILABILITY", "count": 4}]
    assert answer["redundancyMargin"] == {"failures": 0, "atLeast": False, "defeatedBy": [{"name": "db"}]}
    assert answer["singlePointsOfFailure"] == [
        {"item": {"name": "db"}, "dominating": {"name": "Ordering"}, "defeats": None}
    ]
    sets = {
        frozenset(i["name"] for i in cut["items"]): cut["probability"] for cut in answer["cutSets"]["sets"]
    }
    assert sets[frozenset({"db"})] == pytest.approx(0.01)
    assert sets[frozenset({"a", "b"})] == pytest.approx(0.02)
    by_name = {component["item"]["name"]: component for component in answer["components"]}
    assert by_name["a"]["birnbaum"] == pytest.approx(0.99 * 0.2)
    assert by_name["db"]["birnbaum"] == pytest.approx(0.98)
    best = answer["improvements"][0]
    assert best["item"]["name"] in ("a", "b", "db")
    assert best["availability"] == max(gain["availability"] for gain in answer["improvements"])


async def test_the_fault_tree_says_the_same_to_other_programs(api: Api) -> None:
    ids = await shop(api)
    answer = await asked(api, ids["service"])
    analysis = analyse(import_fault_tree(answer["faultTree"].encode()))
    assert analysis.probability == pytest.approx(answer["predicted"]["unavailability"], rel=1e-12)


async def test_figures_that_nobody_declared_are_marked_and_the_past_is_answered_as_it_was(api: Api) -> None:
    ids = await shop(api)
    before = (await asked(api, ids["service"]))["revision"]
    room = await api.create("Room", name="room")
    for host in "ab":
        await api.relate("LocatedIn", ids[host], room)
    now = await asked(api, ids["service"])
    assert {(f["basis"], f["count"]) for f in now["figures"]} >= {("DECLARED_AVAILABILITY", 4)}
    assert {p["item"]["name"]: p["defeats"] for p in now["singlePointsOfFailure"]} == {
        "db": None,
        "room": "web",
    }
    then = await asked(api, ids["service"], asOf={"revision": before})
    assert then["revision"] == before
    assert [p["item"]["name"] for p in then["singlePointsOfFailure"]] == ["db"]
    assert then["predicted"]["lower"] == pytest.approx(0.99 * 0.98, rel=1e-12)


@pytest.mark.parametrize(
    ("fields", "words"),
    [("cutSets(order: 5) { truncated }", "order"), ("components(first: -1) { birnbaum }", "negative")],
)
async def test_wrong_arguments_are_refused(api: Api, fields: str, words: str) -> None:
    ids = await shop(api)
    body = await api.answer(f'{{ serviceAvailability(service: "{ids["service"]}") {{ {fields} }} }}')
    assert words in body["errors"][0]["message"]


async def test_an_unknown_service_is_not_found(api: Api) -> None:
    body = await api.answer('{ serviceAvailability(service: "nobody") { needs } }')
    assert body["errors"][0]["extensions"]["code"] == "NOT_FOUND"


async def test_the_prediction_rests_on_outages_on_record_as_they_were(api: Api) -> None:
    """Two of the items were out: what one has affected, and what another was blamed for."""
    service = await api.create("BusinessService", name="Ordering", availability=1.0)
    hosts = [await api.create("Server", name=f"web-{number}") for number in range(3)]
    for host in hosts:
        await api.relate("DependsOn", service, host)
    times = {"startedAt": "2026-01-01T00:00:00Z", "endedAt": "2026-01-01T06:00:00Z", "lifecycle": "ENDED"}
    before = (await asked(api, service))["revision"]
    affecting = await api.create("Outage", name="OUT-1", **times)
    await api.relate("Affects", affecting, hosts[0])
    blaming = await api.create("Outage", name="OUT-2", **times)
    await api.relate("CausedBy", blaming, hosts[1])
    counts = {row["basis"]: row["count"] for row in (await asked(api, service))["figures"]}
    assert counts == {"DECLARED_AVAILABILITY": 1, "OUTAGE_HISTORY": 2, "CLASS_DEFAULT": 1}
    past = await asked(api, service, asOf={"revision": before})
    assert {row["basis"]: row["count"] for row in past["figures"]} == {
        "DECLARED_AVAILABILITY": 1,
        "CLASS_DEFAULT": 3,
    }


async def test_the_command_line_names_failures_that_are_not_survived(
    api: Api, cmdb: Callable[..., Awaitable[list[str]]]
) -> None:
    await redundant_shop(api)
    lines = await cmdb("availability", "shop", "--order", "4")
    told = " ".join(line.strip() for line in lines)
    assert "it survives any 1 further failure, but not a and b together." in told
    lines = await cmdb("availability", "Ordering")
    assert "it does not survive every single failure." in " ".join(line.strip() for line in lines)


async def test_cut_sets_of_every_order_come_with_names_and_probabilities(api: Api) -> None:
    service = await api.create("BusinessService", name="Portal", availability=1.0)
    names = [f"node-{n}" for n in range(5)]
    for name in names:
        node = await api.create("Server", name=name, availability=0.9)
        await api.relate("DependsOn", service, node, group="quorum", required="2")
    query = """query C($service: ID!, $order: Int!) { serviceAvailability(service: $service) {
      redundancyMargin { failures atLeast defeatedBy { name } }
      cutSets(order: $order, first: 3) { sets { items { name } probability } counts completeOrder truncated } } }"""
    for order in (3, 4):
        answer = (await api.data(query, {"service": service, "order": order}))["serviceAvailability"]
        sets = answer["cutSets"]
        assert (sets["completeOrder"], sets["counts"]) == (order, [1, 0, 0, 5][:order])
        assert sets["truncated"] is (order == 4)
    quorum = [{item["name"] for item in cut["items"]} for cut in sets["sets"]]
    assert all(len(cut) == 4 and cut <= set(names) for cut in quorum)
    assert all(cut["probability"] == pytest.approx(0.1**4) for cut in sets["sets"])
    assert (answer["redundancyMargin"]["failures"], answer["redundancyMargin"]["atLeast"]) == (3, False)
    assert len(answer["redundancyMargin"]["defeatedBy"]) == 4


async def test_an_order_that_there_was_no_time_for_is_told(
    api: Api, cmdb: Callable[..., Awaitable[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await api.create("BusinessService", name="Portal")
    for name in ("one", "two", "three"):
        node = await api.create("Server", name=name)
        await api.relate("DependsOn", service, node, group="any", required="1")
    lines = await cmdb("availability", "Portal", "--order", "4")
    assert "one + two + three" in " ".join(lines) or "three + two + one" in " ".join(lines)
    assert not any("not all looked for" in line for line in lines)
    monkeypatch.setattr(Asked, "left", -1.0)
    lines = await cmdb("availability", "Portal", "--order", "4")
    assert any("Sets of more than 2 items were not all looked for" in line for line in lines)
    query = """query C($id: ID!) { serviceAvailability(service: $id) { cutSets(order: 4) { order completeOrder } } }"""
    answer = await api.answer(query, {"id": service})
    assert answer["data"]["serviceAvailability"]["cutSets"] == {"order": 4, "completeOrder": 2}
