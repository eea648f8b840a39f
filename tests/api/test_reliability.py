"""Component figures and measured availability, as GraphQL shows them."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

FIGURES = """query Q($ids: [ID!]!, $asOf: AsOf) { componentFigures(ids: $ids, asOf: $asOf) {
  id class name unavailability basis defaultClass mtbf mttr history { observed outages down } ignored } }"""
MEASURED = """query Q($service: ID!, $from: DateTime!, $to: DateTime, $first: Int!) {
  measuredAvailability(service: $service, from: $from, to: $to) {
    name from to availability target met agreed down allowedDown planned degraded unusable
    outages(first: $first) { id kind startedAt endedAt } } }"""


async def outage(api: Api, item: str, start: str, end: str | None, **fields: Any) -> str:  # noqa: ANN401
    ended = {"endedAt": end, "lifecycle": "ENDED"} if end else {}
    record = await api.create("Outage", name=f"OUT-{start}", startedAt=start, **ended, **fields)
    await api.relate("Affects", record, item)
    return record


async def test_figures_come_in_the_order_asked_with_what_they_rest_on(api: Api) -> None:
    disk = await api.create("StorageArray", name="disk")
    host = await api.create("Server", name="web-1", mtbf="99h", mttr="1h", availability=7)
    data = await api.data(FIGURES, {"ids": [host, disk]})
    assert data["componentFigures"] == [
        {
            "id": host,
            "class": "Server",
            "name": "web-1",
            "unavailability": 0.01,
            "basis": "DECLARED_MTBF_MTTR",
            "defaultClass": None,
            "mtbf": "PT99H",
            "mttr": "PT1H",
            "history": None,
            "ignored": ["availability"],
        },
        {
            "id": disk,
            "class": "StorageArray",
            "name": "disk",
            "unavailability": 4 / (1825 * 24 + 4),
            "basis": "CLASS_DEFAULT",
            "defaultClass": "StorageArray",
            "mtbf": "PT43800H",
            "mttr": "PT4H",
            "history": None,
            "ignored": [],
        },
    ]


async def test_figures_rest_on_the_outages_of_the_moment_that_is_asked_about(api: Api) -> None:
    host = await api.create("Server", name="web-1")
    await outage(api, host, "2026-01-01T00:00:00Z", "2026-01-01T06:00:00Z")
    [now] = (await api.data(FIGURES, {"ids": [host]}))["componentFigures"]
    assert (now["basis"], now["defaultClass"]) == ("OUTAGE_HISTORY", "Server")
    assert (now["history"]["outages"], now["history"]["down"]) == (1, "PT6H")
    [then] = (await api.data(FIGURES, {"ids": [host], "asOf": {"revision": 1}}))["componentFigures"]
    assert then["basis"] == "CLASS_DEFAULT"


async def test_figures_of_what_is_not_there_or_of_too_much_are_refused(api: Api) -> None:
    host = await api.create("Server", name="web-1")
    assert await api.code(FIGURES, {"ids": [host, "nobody"]}) == "NOT_FOUND"
    assert await api.code(FIGURES, {"ids": [host], "asOf": {"revision": 0}}) == "NOT_FOUND"
    assert await api.code(FIGURES, {"ids": [host] * 1001}) == "BAD_REQUEST"
    assert (await api.data(FIGURES, {"ids": []}))["componentFigures"] == []


async def test_a_time_beyond_all_bounds_is_shown(api: Api) -> None:
    host = await api.create("Server", name="web-1", mtbf="P999999999D", mttr="1h")
    [figure] = (await api.data(FIGURES, {"ids": [host]}))["componentFigures"]
    assert figure["mtbf"] == "PT23999999976H"


async def test_availability_is_measured_against_its_target(api: Api) -> None:
    shop = await api.create("BusinessService", name="Shop", availabilityTarget=0.9)
    first = await outage(api, shop, "2026-03-01T02:00:00Z", "2026-03-01T04:00:00Z")
    await outage(api, shop, "2026-03-01T03:00:00Z", "2026-03-01T05:00:00Z")
    await outage(api, shop, "2026-03-01T10:00:00Z", "2026-03-01T14:00:00Z", kind="PLANNED")
    await outage(api, shop, "2026-03-01T20:00:00Z", "2026-03-01T21:00:00Z", kind="DEGRADATION")
    asked = {"service": shop, "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "first": 1}
    measured = (await api.data(MEASURED, asked))["measuredAvailability"]
    assert measured == {
        "name": "Shop",
        "from": "2026-03-01T00:00:00.000000Z",
        "to": "2026-03-02T00:00:00.000000Z",
        "availability": 0.85,
        "target": 0.9,
        "met": False,
        "agreed": "PT20H",
        "down": "PT3H",
        "allowedDown": "PT2H",
        "planned": "PT4H",
        "degraded": "PT1H",
        "unusable": [],
        "outages": [
            {
                "id": first,
                "kind": "outage",
                "startedAt": "2026-03-01T02:00:00.000000Z",
                "endedAt": "2026-03-01T04:00:00.000000Z",
            }
        ],
    }


async def test_a_period_ends_now_at_the_latest_and_must_not_be_empty(api: Api) -> None:
    shop = await api.create("BusinessService", name="Shop")
    await outage(api, shop, "2026-01-01T00:00:00Z", None)
    asked: dict[str, Any] = {"service": shop, "from": "2026-01-01T00:00:00Z", "first": 9}
    measured = (await api.data(MEASURED, {**asked, "to": "2999-01-01T00:00:00Z"}))["measuredAvailability"]
    assert measured["to"] < "2999"
    assert (measured["availability"], measured["target"], measured["met"]) == (0.0, None, None)
    assert measured["outages"][0]["endedAt"] is None
    assert await api.code(MEASURED, {**asked, "from": "2999-01-01T00:00:00Z"}) == "BAD_REQUEST"
    assert await api.code(MEASURED, {**asked, "service": "nobody"}) == "NOT_FOUND"
    assert await api.code(MEASURED, {**asked, "first": -1}) == "BAD_REQUEST"


async def test_the_catalogue_shows_what_is_assumed_of_a_class(api: Api) -> None:
    classes = (await api.data("{ catalogue { classes } }"))["catalogue"]["classes"]
    assert classes["Hypervisor"]["reliability"] == {
        "unavailability": 8 / (730 * 24 + 8),
        "mtbf": "PT17520H",
        "mttr": "PT8H",
        "declaredBy": "Server",
    }
    assert classes["BusinessService"]["reliability"] is None
