"""What is down already by outages, changes and incidents on record, as part of a question about a failure."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from cmdb.store import down_on_record
from cmdb.store.down_on_record import RecordKind
from cmdb_graphql.context import Context
from cmdb_graphql.down_on_record import down_on_record as gathered
from tests.api.conftest import Api

QUERY = """query Q($down: [ID!]!, $kinds: [DownRecord!], $already: [ID!], $pinned: [ID!], $asOf: AsOf,
                   $first: Int = 50, $offset: Int = 0) {
  impact(down: $down, alreadyDownBy: $kinds, alreadyDown: $already, pinned: $pinned, asOf: $asOf) {
    revision added failed { name } counts { down atRisk } down { name before } services { name state before }
    alreadyDownByCount
    alreadyDownBy(first: $first, offset: $offset) { name class itemCount items { name class } } } }"""
PROVIDER_OUTAGE = """
provider:
  initial: down
  may_start: [down, over]
  closed: [over]
  states: {down: {to: [over]}, over: {to: [down]}}
ProviderOutage: {extends: Outage, layer: record, lifecycle: provider, description: Of somebody else.}
"""
EVERY_KIND = ["OUTAGES", "CHANGES", "INCIDENTS"]


def moment(**ago: float) -> str:
    """So long before now, RFC 3339."""
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


async def shop(api: Api) -> dict[str, str]:
    """A service that needs one of two servers."""
    ids = {
        "shop": await api.create("BusinessService", name="Shop"),
        "a": await api.create("Server", name="a"),
        "b": await api.create("Server", name="b"),
    }
    for host in "ab":
        await api.relate("DependsOn", ids["shop"], ids[host], group="web", required="1")
    return ids


async def record(api: Api, class_name: str, name: str, /, *affected: str, **fields: Any) -> str:  # noqa: ANN401 - JSON
    """A record that affects items."""
    if class_name == "Outage":
        fields = {"startedAt": moment(hours=1), **fields}
    made = await api.create(class_name, name=name, number=name, **fields)
    for item in affected:
        await api.relate("Affects", made, item)
    return made


async def asked(api: Api, *down: str, kinds: list[str] | None = None, **variables: Any) -> dict[str, Any]:  # noqa: ANN401
    wanted = {"down": list(down), "kinds": kinds if kinds is not None else EVERY_KIND, **variables}
    found: dict[str, Any] = (await api.data(QUERY, wanted))["impact"]
    return found


def told(impact: dict[str, Any]) -> dict[str, list[str]]:
    """What each record says, by its name."""
    return {row["name"]: [item["name"] for item in row["items"]] for row in impact["alreadyDownBy"]}


async def test_a_failure_on_top_of_an_outage_on_record_takes_the_service_down(api: Api) -> None:
    ids = await shop(api)
    await record(api, "Outage", "O-1", ids["a"])
    alone = await asked(api, ids["b"], kinds=[])
    assert (alone["counts"]["down"], alone["alreadyDownBy"]) == (1, [])
    both = await asked(api, ids["b"], kinds=["OUTAGES"])
    assert both["services"] == [{"name": "Shop", "state": "DOWN", "before": "AT_RISK"}]
    assert {item["name"]: item["before"] for item in both["down"]} == {
        "a": "DOWN",
        "b": "UP",
        "Shop": "AT_RISK",
    }
    assert both["added"] == 2
    assert both["alreadyDownBy"] == [
        {"name": "O-1", "class": "Outage", "itemCount": 1, "items": [{"name": "a", "class": "Server"}]}
    ]


async def test_what_caused_an_outage_or_incident_is_down_as_well(api: Api) -> None:
    ids = await shop(api)
    outage = await record(api, "Outage", "O-1", ids["shop"])
    await api.relate("CausedBy", outage, ids["a"])
    incident = await record(api, "Incident", "I-1")
    await api.relate("CausedBy", incident, ids["b"])
    await record(api, "Incident", "I-2 about nothing")
    assert told(await asked(api)) == {"O-1": ["Shop", "a"], "I-1": ["b"]}


@pytest.mark.parametrize(
    ("kind", "fields", "down"),
    [
        ("Outage", {}, True),
        ("Outage", {"kind": "PLANNED"}, True),
        ("Outage", {"endedAt": moment(days=-1)}, True),
        ("Outage", {"kind": "DEGRADATION"}, False),
        ("Outage", {"startedAt": moment(days=-1)}, False),
        ("Outage", {"endedAt": moment(minutes=1)}, False),
        ("Outage", {"closedAt": moment(minutes=1)}, False),
        ("Outage", {"closedAt": moment(minutes=1), "endedAt": moment(days=-1)}, True),
        ("Outage", {"lifecycle": "ENDED"}, False),
        ("Change", {"lifecycle": "IMPLEMENTING"}, True),
        ("Change", {"lifecycle": "IMPLEMENTING", "effect": "RESTART"}, True),
        ("Change", {"lifecycle": "IMPLEMENTING", "effect": "REDUCED_REDUNDANCY"}, False),
        ("Change", {"lifecycle": "IMPLEMENTING", "effect": "NONE"}, False),
        ("Change", {"lifecycle": "IMPLEMENTING", "actualEnd": moment(minutes=1)}, True),  # begun once more
        ("Change", {"lifecycle": "SCHEDULED"}, False),
        ("Change", {"lifecycle": "REVIEW"}, False),
        ("Incident", {}, True),
        ("Incident", {"lifecycle": "PENDING"}, True),
        ("Incident", {"resolvedAt": moment(minutes=1)}, False),
        ("Incident", {"closedAt": moment(minutes=1)}, False),
        ("Incident", {"lifecycle": "IN_PROGRESS", "resolvedAt": moment(minutes=1)}, True),  # opened once more
        ("Incident", {"lifecycle": "RESOLVED"}, False),
        ("Incident", {"lifecycle": "CANCELLED"}, False),
        ("Problem", {}, False),
    ],
)
async def test_which_records_say_that_something_is_down(
    api: Api, kind: str, fields: dict[str, Any], down: bool
) -> None:
    server = await api.create("Server", name="a")
    await record(api, kind, "R", server, **fields)
    impact = await asked(api)
    assert told(impact) == ({"R": ["a"]} if down else {})
    assert [item["name"] for item in impact["failed"]] == (["a"] if down else [])
    past = await asked(api, asOf={"revision": impact["revision"]})
    assert told(past) == told(impact)


async def test_only_the_kinds_that_are_asked_count_in_order_of_kind_and_name(api: Api) -> None:
    ids = await shop(api)
    await record(api, "Change", "C-1", ids["b"], lifecycle="IMPLEMENTING")
    await record(api, "Outage", "O-2", ids["a"])
    await record(api, "Outage", "O-1", ids["a"])
    await record(api, "Incident", "I-1", ids["shop"])
    assert list(told(await asked(api))) == ["O-1", "O-2", "C-1", "I-1"]
    assert list(told(await asked(api, kinds=["INCIDENTS", "OUTAGES"]))) == ["O-1", "O-2", "I-1"]
    assert list(told(await asked(api, first=2, offset=1))) == ["O-2", "C-1"]
    assert (await asked(api))["failed"] == [
        {"name": name} for name in sorted(["Shop", "a", "b"], key=ids_of(ids))
    ]


def ids_of(ids: dict[str, str]) -> Any:  # noqa: ANN401 - a key
    """Names in order of ids, as `failed` has them."""
    return lambda name: ids[name.lower()]


async def test_nothing_on_record_is_an_answer_and_no_question_is_none(api: Api) -> None:
    await shop(api)
    nothing = await asked(api)
    assert (nothing["failed"], nothing["added"], nothing["counts"]["down"]) == ([], 0, 0)
    assert await api.code(QUERY, {"down": [], "kinds": []}) == "BAD_REQUEST"


async def test_as_of_goes_by_what_was_on_record_then(api: Api) -> None:
    ids = await shop(api)
    outage = await record(api, "Outage", "O-1", ids["a"])
    then = (await asked(api))["revision"]
    await api.data(
        "mutation M($id: ID!) { updateOutage(id: $id, input: {lifecycle: ENDED}) { revision } }",
        {"id": outage},
    )
    assert told(await asked(api)) == {}
    assert told(await asked(api, asOf={"revision": then})) == {"O-1": ["a"]}
    assert told(await asked(api, asOf={"revision": 1})) == {}


async def test_a_time_of_the_past_is_what_records_are_judged_at(api: Api) -> None:
    ids = await shop(api)
    soon = datetime.now(UTC) + timedelta(seconds=5)
    planned = {"kind": "PLANNED", "startedAt": soon.isoformat(), "endedAt": moment(days=-1)}
    await record(api, "Outage", "O-1", ids["a"], **planned)
    revision = (await asked(api))["revision"]
    assert told(await asked(api)) == {}
    await asyncio.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()) + 0.1)
    now = datetime.now(UTC).isoformat()
    assert told(await asked(api)) == {"O-1": ["a"]}
    assert told(await asked(api, asOf={"time": now})) == {"O-1": ["a"]}
    assert told(await asked(api, asOf={"revision": revision})) == {}, "when that was made it had not begun"
    answer = await bulk(api, down=[], alreadyDownBy=["OUTAGES"], asOf={"time": now})
    assert head_of(answer)["already_down_by"] == [
        {"id": head_of(answer)["already_down_by"][0]["id"], "class": "Outage", "name": "O-1", "items": 1}
    ]
    assert (await bulk(api, down=[ids["a"]], asOf={"time": "yesterday"})).status_code == 400


async def test_a_record_written_after_the_topology_was_taken_is_read_as_it_was_then(api: Api) -> None:
    ids = await shop(api)
    outage = await record(api, "Outage", "O-1", ids["a"])
    topology = await api.service.services.topologies.at_head()
    kinds = frozenset({RecordKind.OUTAGES})
    changed = "mutation M($id: ID!) { updateOutage(id: $id, input: {kind: DEGRADATION}) { revision } }"
    await api.data(changed, {"id": outage})
    caller = await api.service.services.authenticator.caller(f"Bearer {api.admin}")
    context = Context(api.service.services, caller)
    found = await gathered(context, topology, None, kinds, frozenset())
    assert found is not None
    assert [item.name for item, _ in found.records] == ["O-1"]
    assert told(await asked(api)) == {}


async def test_what_is_pinned_is_up_whatever_the_records_say(api: Api) -> None:
    ids = await shop(api)
    await record(api, "Outage", "O-1", ids["a"])
    await record(api, "Outage", "O-2", ids["a"], ids["b"])
    impact = await asked(api, ids["b"], pinned=[ids["a"]])
    assert [item["name"] for item in impact["failed"]] == ["b"]
    assert impact["counts"] == {"down": 1, "atRisk": 1}
    assert told(impact) == {"O-2": ["b"]}


async def test_what_is_down_now_is_compared_with_nothing_being_down(api: Api) -> None:
    ids = await shop(api)
    await record(api, "Outage", "O-1", ids["shop"])
    await api.relate("GovernedBy", ids["shop"], await api.create("ServiceLevelAgreement", name="SLA"))
    impact = await asked(api)
    assert (impact["added"], impact["services"][0]["before"]) == (1, "UP")
    timed = """query T($down: [ID!]!) { impact(down: $down, alreadyDownBy: [OUTAGES]) {
      serviceTime(from: "2026-11-27T14:00:00Z", to: "2026-11-27T18:00:00Z") { lost } } }"""
    assert (await api.data(timed, {"down": []}))["impact"]["serviceTime"]["lost"] == "PT4H"
    assert (await api.data(timed, {"down": [ids["a"]]}))["impact"]["serviceTime"]["lost"] == "PT0S"


async def bulk(api: Api, token: str | None = None, **question: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    headers = {"authorization": f"Bearer {token or api.admin}"}
    answer: httpx.Response = await api.http.post(
        "/bulk/impact", content=orjson.dumps(question), headers=headers
    )
    return answer


def head_of(answer: httpx.Response) -> dict[str, Any]:
    """The first line."""
    head: dict[str, Any] = orjson.loads(answer.content.splitlines()[0])["impact"]
    return head


async def test_the_bulk_form_asks_the_records_too(api: Api) -> None:
    ids = await shop(api)
    outage = await record(api, "Outage", "O-1", ids["a"])
    head = head_of(await bulk(api, down=[ids["b"]], alreadyDownBy=["OUTAGES"]))
    assert head["counts"]["down"] == 3
    assert head["already_down_by"] == [{"id": outage, "class": "Outage", "name": "O-1", "items": 1}]
    assert "already_down_by" not in head_of(await bulk(api, down=[ids["b"]]))
    refused = await bulk(api, down=[ids["b"]], alreadyDownBy=["PROBLEMS"])
    assert refused.status_code == 400
    assert "OUTAGES, CHANGES, INCIDENTS" in refused.text


async def test_a_subclass_goes_by_its_own_lifecycle(api: Api) -> None:
    ids = await shop(api)
    await api.data(
        "mutation M($yaml: String!) { applyCatalogue(yaml: $yaml) { revision } }", {"yaml": PROVIDER_OUTAGE}
    )
    await record(api, "ProviderOutage", "P-1", ids["a"], startedAt=moment(hours=1))
    await record(api, "ProviderOutage", "P-2", ids["b"], startedAt=moment(hours=1), lifecycle="OVER")
    assert told(await asked(api)) == {"P-1": ["a"]}


async def test_records_about_nothing_are_not_counted_and_too_many_are_refused_with_a_way_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await shop(api)
    for number in range(5):
        await record(api, "Outage", f"O-{number}", ids["a"])
        await record(api, "Incident", f"I-{number}")
    monkeypatch.setattr(down_on_record, "PAGE", 2)
    assert list(told(await asked(api))) == [f"O-{number}" for number in range(5)]
    monkeypatch.setattr(down_on_record, "MOST_RECORDS", 4)
    assert told(await asked(api, kinds=["INCIDENTS"])) == {}
    refused = await api.answer(QUERY, {"down": [], "kinds": ["OUTAGES"]})
    assert (
        "5 outages say that something is down, at most 4 are taken; close" in refused["errors"][0]["message"]
    )
    monkeypatch.setattr(down_on_record, "MOST_READ", 4)
    refused = await api.answer(QUERY, {"down": [], "kinds": ["OUTAGES"]})
    assert "5 outages about configuration items are not closed" in refused["errors"][0]["message"]


async def test_more_items_than_an_answer_takes_are_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await shop(api)
    await record(api, "Outage", "O-1", *ids.values())
    monkeypatch.setattr(down_on_record, "MOST_RECORDS", 2)
    refused = await api.answer(QUERY, {"down": [], "kinds": ["OUTAGES"]})
    assert "3 items are down by these records, at most 2" in refused["errors"][0]["message"]
    assert told(await asked(api, pinned=[ids["a"]])) == {"O-1": ["Shop", "b"]}


async def test_items_of_a_record_come_in_pages(api: Api) -> None:
    ids = await shop(api)
    await record(api, "Outage", "O-1", *ids.values())
    query = """{ impact(down: [], alreadyDownBy: [OUTAGES]) { alreadyDownBy {
      itemCount items(first: 1, offset: 2) { id } } } }"""
    [row] = (await api.data(query))["impact"]["alreadyDownBy"]
    assert row == {"itemCount": 3, "items": [{"id": max(ids.values())}]}


async def test_who_may_not_read_learns_nothing(api: Api) -> None:
    agent = await api.token("agent")
    assert await api.code(QUERY, {"down": [], "kinds": EVERY_KIND}, token=agent) == "FORBIDDEN"
    assert (await bulk(api, agent, down=[], alreadyDownBy=["OUTAGES"])).status_code == 403
