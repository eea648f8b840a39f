"""What a failure from-until takes of agreed service time, as GraphQL shows it: now, in the past, what is set aside."""

from __future__ import annotations

from typing import Any

import pytest

from cmdb.model.change_set import Authorship, ChangeSet, Operation, PutEdge, PutItem
from cmdb.model.items import EdgeKey
from cmdb_graphql import service_time
from tests.api.conftest import Api

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFFICE = {day: ["08:00-18:00"] for day in WEEK[:5]}
FRIDAY = {"from": "2026-11-27T14:00:00Z", "to": "2026-11-27T20:00:00Z"}
QUERY = """query Q($down: [ID!]!, $already: [ID!], $from: DateTime!, $to: DateTime!, $asOf: AsOf,
                   $first: Int = 50, $offset: Int = 0) {
  impact(down: $down, alreadyDown: $already, asOf: $asOf) { revision serviceTime(from: $from, to: $to) {
    from to servicesDown unagreed workedOut truncated lost judged broken brokenByPriority brokenBefore
    services(first: $first, offset: $offset) { service { name } before lost calendars { name timeZone } }
    targets(first: $first, offset: $offset) {
      service { name } before agreement { name class } target { name class }
      measure goal priority outlook period from to allowed downBefore lost left }
    setAside { name reason } } } }"""


MEASURED = """query M($service: ID!, $from: DateTime!, $to: DateTime) {
  measuredAvailability(service: $service, from: $from, to: $to) {
    availability agreed down calendars { name timeZone } setAside { name } } }"""


async def agreed_shop(api: Api) -> dict[str, str]:
    """A shop with an agreement in office hours in Berlin, a club with nothing agreed, on one host."""
    ids = {
        "host": await api.create("Server", name="host"),
        "shop": await api.create("BusinessService", name="Shop"),
        "club": await api.create("BusinessService", name="Club"),
        "sla": await api.create("ServiceLevelAgreement", name="SLA Shop"),
        "hours": await api.create(
            "ServiceCalendar", name="Office hours", timeZone="Europe/Berlin", hours=OFFICE
        ),
        "share": await api.create(
            "ServiceLevelTarget", name="Up", measure="AVAILABILITY", target=0.99, period="MONTH"
        ),
        "restore": await api.create(
            "ServiceLevelTarget", name="Restored", measure="RECOVERY_TIME", target=4, unit="hours"
        ),
        "liked": await api.create("ServiceLevelTarget", name="Liked", measure="SATISFACTION", target=4),
    }
    await api.relate("DependsOn", ids["shop"], ids["host"])
    await api.relate("DependsOn", ids["club"], ids["host"])
    await api.relate("GovernedBy", ids["shop"], ids["sla"])
    await api.relate("GovernedBy", ids["sla"], ids["hours"])
    for target in ("share", "restore", "liked"):
        await api.relate("TargetOf", ids[target], ids["sla"])
    return ids


async def asked(api: Api, ids: dict[str, str], **variables: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    data = await api.data(QUERY, {"down": [ids["host"]], **FRIDAY, **variables})
    found: dict[str, Any] = data["impact"]["serviceTime"]
    return found


async def test_time_lost_and_targets_are_told_on_the_calendar_of_the_agreement(api: Api) -> None:
    found = await asked(api, await agreed_shop(api))
    assert found == {
        "from": "2026-11-27T14:00:00.000000Z",
        "to": "2026-11-27T20:00:00.000000Z",
        "servicesDown": 2,
        "unagreed": 1,
        "workedOut": 1,
        "truncated": False,
        "lost": "PT3H",  # from three in the afternoon in Berlin to six
        "judged": 2,
        "broken": 1,
        "brokenByPriority": 0,
        "brokenBefore": 0,
        "services": [
            {
                "service": {"name": "Shop"},
                "before": "UP",
                "lost": "PT3H",
                "calendars": [{"name": "Office hours", "timeZone": "Europe/Berlin"}],
            }
        ],
        "targets": [
            {
                "service": {"name": "Shop"},
                "before": "UP",
                "agreement": {"name": "SLA Shop", "class": "ServiceLevelAgreement"},
                "target": {"name": "Up", "class": "ServiceLevelTarget"},
                "measure": "availability",
                "goal": 0.99,
                "priority": None,
                "outlook": "BROKEN",
                "period": "2026-11",
                "from": "2026-10-31T23:00:00.000000Z",
                "to": "2026-11-30T23:00:00.000000Z",
                "allowed": "PT2H6M",  # of 21 working days with ten hours each
                "downBefore": "PT0S",
                "lost": "PT3H",
                "left": "-PT54M",
            },
            {
                "service": {"name": "Shop"},
                "before": "UP",
                "agreement": {"name": "SLA Shop", "class": "ServiceLevelAgreement"},
                "target": {"name": "Restored", "class": "ServiceLevelTarget"},
                "measure": "recovery_time",
                "goal": None,
                "priority": None,
                "outlook": "KEPT",
                "period": None,
                "from": "2026-11-27T14:00:00.000000Z",
                "to": "2026-11-27T20:00:00.000000Z",
                "allowed": "PT4H",
                "downBefore": "PT0S",
                "lost": "PT3H",
                "left": "PT1H",
            },
        ],
        "setAside": [],
    }


async def test_outages_on_record_and_maintenance_count(api: Api) -> None:
    ids = await agreed_shop(api)
    times = {"startedAt": "2026-11-02T09:00:00Z", "endedAt": "2026-11-02T10:00:00Z", "lifecycle": "ENDED"}
    await api.relate("Affects", await api.create("Outage", name="o", number="o", **times), ids["shop"])
    times |= {"startedAt": "2026-11-27T16:00:00Z", "endedAt": "2026-11-27T17:00:00Z"}
    record = await api.create("Outage", name="m", number="m", kind="PLANNED", **times)
    await api.relate("Affects", record, ids["shop"])
    found = await asked(api, ids)
    assert found["lost"] == "PT2H"
    up = found["targets"][0]
    assert (up["allowed"], up["downBefore"], up["lost"], up["left"]) == (
        "PT2H5M24S",  # an hour less is agreed
        "PT1H",
        "PT2H",
        "-PT54M36S",
    )


async def test_a_calendar_of_the_service_goes_before_those_of_its_agreements(api: Api) -> None:
    ids = await agreed_shop(api)
    nights = {day: ["20:00-06:00"] for day in WEEK}
    applied = await api.create("ServiceCalendar", name="Nights", hours=nights)
    await api.relate("AppliesTo", applied, ids["shop"])
    await api.relate("AppliesTo", applied, ids["club"])
    found = await asked(api, ids, to="2026-11-27T22:00:00Z")
    assert {row["service"]["name"]: row["lost"] for row in found["services"]} == {
        "Shop": "PT2H",
        "Club": "PT2H",
    }
    assert found["unagreed"] == 0
    # The agreement has hours of its own.
    assert found["targets"][0]["lost"] == "PT3H"


async def test_drafts_and_what_is_over_or_yet_to_come_do_not_count(api: Api) -> None:
    ids = await agreed_shop(api)
    for lifecycle, fields in (
        ("DRAFT", {}),
        ("EXPIRED", {}),
        ("ACTIVE", {"validUntil": "2026-11-26"}),
        ("ACTIVE", {"validFrom": "2026-11-28"}),
    ):
        sla = await api.create(
            "ServiceLevelAgreement", name=f"SLA {lifecycle} {fields}", lifecycle=lifecycle, **fields
        )
        await api.relate("GovernedBy", ids["club"], sla)
    assert (await asked(api, ids))["unagreed"] == 1
    last = await api.create(
        "ServiceLevelAgreement", name="SLA to the day", validUntil="2026-11-27", validFrom="2026-11-27"
    )
    await api.relate("GovernedBy", ids["club"], last)
    found = await asked(api, ids)
    assert (found["unagreed"], found["lost"]) == (0, "PT9H")  # without a calendar round the clock


async def test_the_past_is_judged_by_what_was_agreed_then(api: Api) -> None:
    ids = await agreed_shop(api)
    then = await api.store.head()
    await api.data(
        "mutation M($id: ID!, $input: ServiceCalendarUpdateInput!) "
        "{ updateServiceCalendar(id: $id, input: $input) { revision } }",
        {"id": ids["hours"], "input": {"hours": {"fri": ["08:00-16:00"]}}},
    )
    assert (await asked(api, ids))["lost"] == "PT1H"
    past = {"asOf": {"revision": then}}
    assert (await asked(api, ids, **past))["lost"] == "PT3H"


async def test_what_makes_no_sense_is_set_aside_by_name(api: Api) -> None:
    ids = await agreed_shop(api)
    for name, fields in (
        ("Odd zone", {"timeZone": "Europe/Atlantis"}),
        ("Odd hours", {"hours": {"monday": ["8-18"]}}),
    ):
        await api.relate("AppliesTo", await api.create("ServiceCalendar", name=name, **fields), ids["shop"])
    target = await api.create("ServiceLevelTarget", name="Odd", measure="AVAILABILITY", target=99.5)
    await api.relate("TargetOf", target, ids["sla"])
    backwards = {"startedAt": "2026-11-09T00:00:00Z", "endedAt": "2026-11-08T00:00:00Z", "lifecycle": "ENDED"}
    record = await api.create("Outage", name="Odd outage", number="o", **backwards)
    await api.relate("Affects", record, ids["shop"])
    found = await asked(api, ids)
    assert found["lost"] == "PT3H"
    assert [(term["name"], term["reason"].split(";")[0]) for term in found["setAside"]] == [
        ("Odd", "an availability of 99.5 is no share between 0 and 1"),
        ("Odd hours", "hours has monday"),
        ("Odd outage", "the outage ends before it begins, or is closed without an end"),
        ("Odd zone", "time_zone 'Europe/Atlantis' is unknown"),
    ]


@pytest.mark.parametrize("change", [{"timeZone": "Europe/Berln"}, {"lifecycle": "EXPIRED"}])
async def test_an_agreement_whose_hours_are_unknown_is_set_aside_and_not_round_the_clock(
    api: Api, change: dict[str, Any]
) -> None:
    ids = await agreed_shop(api)
    mutation = """mutation M($id: ID!, $input: ServiceCalendarUpdateInput!) {
      updateServiceCalendar(id: $id, input: $input) { revision } }"""
    await api.data(mutation, {"id": ids["hours"], "input": change})
    found = await asked(api, ids)
    assert (found["lost"], found["judged"], found["unagreed"]) == ("PT0S", 0, 2)
    assert ("SLA Shop", "its hours are unknown: of its service calendars none can be used") in [
        (term["name"], term["reason"]) for term in found["setAside"]
    ]
    assert {term["name"] for term in found["setAside"]} == {"SLA Shop", "Office hours"}
    measured = await api.answer(MEASURED, {"service": ids["shop"], "from": "2026-03-02T00:00:00Z"})
    assert "service hours are unknown" in measured["errors"][0]["message"]
    assert "Office hours" in measured["errors"][0]["message"]


async def test_of_too_many_calendars_those_that_do_not_hold_are_set_aside_first(api: Api) -> None:
    ids = await agreed_shop(api)
    for number in range(11):
        ended = {"validUntil": "2026-01-31"} if number == 0 else {}
        one = await api.create("ServiceCalendar", name=f"Calendar {number:02}", **ended)
        await api.relate("AppliesTo", one, ids["club"])
    found = await asked(api, ids)
    assert [term["name"] for term in found["setAside"]] == ["Calendar 00"]
    [club] = [row for row in found["services"] if row["service"]["name"] == "Club"]
    assert (club["lost"], len(club["calendars"])) == ("PT6H", 10)


async def test_what_others_owe_us_is_not_agreed_service_time(api: Api) -> None:
    ids = await agreed_shop(api)
    for class_name, fields in (
        ("Contract", {}),
        ("ServiceLevelAgreement", {"kind": "SUPPLIER"}),
        ("ServiceLevelAgreement", {"kind": "OPERATIONAL"}),
    ):
        promised = await api.create(class_name, name=f"{class_name} {fields}", **fields)
        await api.relate("GovernedBy", ids["shop"], promised)
        target = await api.create("ServiceLevelTarget", name="T", measure="AVAILABILITY", target=1)
        await api.relate("TargetOf", target, promised)
    found = await asked(api, ids)
    assert (found["lost"], found["judged"]) == ("PT3H", 2)


async def test_an_agreement_that_governs_over_two_edges_counts_once(api: Api) -> None:
    ids = await agreed_shop(api)
    await api.relate("GovernedBy", ids["shop"], ids["sla"], group="again", required="1")
    assert (await asked(api, ids))["judged"] == 2


async def test_the_expired_agreement_of_last_year_still_tells_of_last_year(api: Api) -> None:
    ids = await agreed_shop(api)
    await api.data(
        "mutation M($id: ID!, $input: ServiceLevelAgreementUpdateInput!) "
        "{ updateServiceLevelAgreement(id: $id, input: $input) { revision } }",
        {"id": ids["sla"], "input": {"lifecycle": "EXPIRED", "validUntil": "2026-11-30"}},
    )
    assert (await asked(api, ids))["lost"] == "PT3H"
    week_later = {"from": "2026-12-04T14:00:00Z", "to": "2026-12-04T20:00:00Z"}
    found = await asked(api, ids, **week_later)
    assert (found["lost"], found["unagreed"]) == ("PT0S", 2)


async def test_what_was_down_already_is_in_the_lists_and_not_in_the_figures(api: Api) -> None:
    ids = await agreed_shop(api)
    other = await api.create("Server", name="other")
    found = await asked(api, ids, already=[ids["host"]], down=[other])
    assert [(row["before"], row["lost"]) for row in found["services"]] == [("DOWN", "PT3H")]
    assert {row["before"] for row in found["targets"]} == {"DOWN"}
    assert (found["lost"], found["broken"], found["judged"]) == ("PT0S", 0, 2)


async def test_missed_already_and_missed_for_a_priority_are_told_apart(api: Api) -> None:
    ids = await agreed_shop(api)
    times = {"startedAt": "2026-11-02T07:00:00Z", "endedAt": "2026-11-02T17:00:00Z", "lifecycle": "ENDED"}
    await api.relate("Affects", await api.create("Outage", name="o", number="o", **times), ids["shop"])
    urgent = await api.create(
        "ServiceLevelTarget",
        name="Urgent",
        measure="RESOLUTION_TIME",
        target=1,
        unit="h",
        priority="CRITICAL",
    )
    await api.relate("TargetOf", urgent, ids["sla"])
    found = await asked(api, ids)
    assert (found["broken"], found["brokenByPriority"], found["brokenBefore"]) == (0, 1, 1)
    assert [row["outlook"] for row in found["targets"]] == ["BROKEN", "BROKEN_BEFORE", "KEPT"]
    assert found["targets"][0]["priority"] == "critical"


async def test_a_failure_without_length_or_of_a_year_and_pages_beyond_bounds_are_refused(api: Api) -> None:
    ids = await agreed_shop(api)
    wrong: tuple[dict[str, Any], ...] = (
        {"to": FRIDAY["from"]},
        {"to": "2026-01-01T00:00:00Z"},
        {"to": "2027-11-28T14:00:00Z"},
        {"offset": -1},
    )
    for variables in wrong:
        assert await api.code(QUERY, {"down": [ids["host"]], **FRIDAY, **variables}) == "BAD_REQUEST"
    found = await asked(api, ids, to="2027-11-28T13:59:00Z")
    assert found["targets"][0]["outlook"] == "BROKEN"
    assert (await asked(api, ids, first=1, offset=1))["targets"][0]["target"]["name"] == "Restored"
    for day in ("0001-12-31", "9998-01-01"):
        far = {"from": f"{day}T00:00:00Z", "to": f"{day}T12:00:00Z"}
        assert await api.code(QUERY, {"down": [ids["host"]], **far}) == "BAD_REQUEST"
    yearly = await api.create("ServiceLevelTarget", name="Y", measure="AVAILABILITY", target=1, period="YEAR")
    await api.relate("TargetOf", yearly, ids["sla"])
    for day in ("0002-01-01", "9997-12-31"):
        far = {"from": f"{day}T00:00:00Z", "to": f"{day}T12:00:00Z"}
        assert (await asked(api, ids, **far))["judged"] == 3


async def test_it_takes_the_same_few_statements_for_any_number_of_services(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await agreed_shop(api)
    await asked(api, ids)
    with api.statements() as few:
        await asked(api, ids)
    operations: list[Operation] = []
    for number in range(30):
        operations += [
            PutItem(f"s{number}", {"name": f"Service {number}"}, "BusinessService"),
            PutItem(f"a{number}", {"name": f"SLA {number}"}, "ServiceLevelAgreement"),
            PutEdge(EdgeKey("DEPENDS_ON", f"s{number}", ids["host"])),
            PutEdge(EdgeKey("GOVERNED_BY", f"s{number}", f"a{number}")),
        ]
    await api.store.apply(ChangeSet(tuple(operations)), Authorship(actor="alice"))
    await asked(api, ids)  # the topology follows
    with api.statements() as many:
        found = await asked(api, ids)
    assert (len(few), len(many)) == (5, 5)
    assert (found["servicesDown"], found["lost"], found["truncated"]) == (32, "PT183H", False)
    monkeypatch.setattr(service_time, "AT_ONCE", 8)
    assert await asked(api, ids) == found
    monkeypatch.setattr(service_time, "MAX_SERVICES", 10)
    found = await asked(api, ids)
    assert (found["servicesDown"], found["unagreed"], found["workedOut"], found["truncated"]) == (
        32,
        1,
        10,
        True,
    )
    assert len(found["services"]) == 10
    monkeypatch.setattr(service_time, "BUDGET_SHARE", 0.0)
    found = await asked(api, ids)
    assert (found["workedOut"], found["truncated"], found["lost"]) == (0, True, "PT0S")


async def test_measured_availability_goes_by_the_service_hours(api: Api) -> None:
    ids = await agreed_shop(api)
    times = {"startedAt": "2026-03-02T06:00:00Z", "endedAt": "2026-03-02T09:00:00Z", "lifecycle": "ENDED"}
    await api.relate("Affects", await api.create("Outage", name="o", number="o", **times), ids["shop"])
    week = {"from": "2026-03-02T00:00:00Z", "to": "2026-03-09T00:00:00Z"}
    measured = (await api.data(MEASURED, {"service": ids["shop"], **week}))["measuredAvailability"]
    assert measured == {
        "availability": 0.96,
        "agreed": "PT50H",
        "down": "PT2H",  # from eight in the morning in Berlin, which is seven in UTC
        "calendars": [{"name": "Office hours", "timeZone": "Europe/Berlin"}],
        "setAside": [],
    }
    for year in ("0001", "0002", "1990"):
        far = {"service": ids["shop"], "from": f"{year}-01-01T00:00:00Z"}
        assert await api.code(MEASURED, far) == "BAD_REQUEST"


async def test_a_calendar_that_follows_another_is_one_with_it_over_a_year(api: Api) -> None:
    ids = await agreed_shop(api)
    update = """mutation M($id: ID!, $input: ServiceCalendarUpdateInput!) {
      updateServiceCalendar(id: $id, input: $input) { revision } }"""
    await api.data(update, {"id": ids["hours"], "input": {"hours": None, "validUntil": "2026-10-31"}})
    after = await api.create(
        "ServiceCalendar", name="Since November", timeZone="Europe/Berlin", validFrom="2026-11-01"
    )
    await api.relate("GovernedBy", ids["sla"], after)
    yearly = await api.create(
        "ServiceLevelTarget", name="Year", measure="AVAILABILITY", target=0.99, period="YEAR"
    )
    await api.relate("TargetOf", yearly, ids["sla"])
    [year] = [row for row in (await asked(api, ids))["targets"] if row["period"] == "2026"]
    assert year["allowed"] == "PT87H36M"
