"""What a failure takes of agreed service time and leaves under targets: answers worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.items import Item
from cmdb.model.outages import Outage
from cmdb.model.service_calendar import WEEKDAYS, ServiceCalendar, UnusableTerm, read_calendar
from cmdb.model.service_levels import (
    Failure,
    Outlook,
    ServiceAgreement,
    ServiceLevels,
    ServiceTarget,
    TargetOutlook,
    holds,
    periods_of,
    read_target,
    service_losses,
    touched_by,
)
from cmdb.model.spans import Span

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def item(class_name: str, **attributes: Any) -> Item:  # noqa: ANN401 - raw values
    return Item("t", class_name, "Target", "active", 1, "", "", attributes)


def target(**attributes: Any) -> ServiceTarget:  # noqa: ANN401 - raw values
    found = read_target(item("ServiceLevelTarget", **attributes))
    assert found is not None
    return found


def office(zone: str = "UTC") -> ServiceCalendar:
    hours = {day: ["08:00-18:00"] for day in WEEKDAYS[:5]}
    return read_calendar(item("ServiceCalendar", time_zone=zone, hours=hours))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def failing(start: str, end: str, now: str = "2026-11-24T12:00:00") -> Failure:
    return Failure(Span(at(start), at(end)), at(now))


def levels(
    *targets: ServiceTarget,
    calendars: frozenset[ServiceCalendar] = frozenset(),
    first: date | None = None,
    last: date | None = None,
) -> ServiceLevels:
    return ServiceLevels(agreements=(ServiceAgreement("sla", calendars, targets, first, last),))


MONTHLY = target(measure="availability", target=0.99, unit="share", period="month")


def only(found: list[TargetOutlook]) -> TargetOutlook:
    [outlook] = found
    return outlook


def judged(some: ServiceLevels, failure: Failure, outages: list[Outage] | None = None) -> list[TargetOutlook]:
    [loss] = service_losses({"s": some}, failure, {"s": outages or []})
    return list(loss.targets)


def lost(
    services: dict[str, ServiceLevels], failure: Failure, outages: dict[str, list[Outage]] | None = None
) -> dict[str, timedelta]:
    return {loss.service: loss.lost for loss in service_losses(services, failure, outages or {})}


def test_lost_is_what_falls_into_service_hours() -> None:
    services = {
        "always": levels(),
        "office": ServiceLevels(frozenset({office()})),
        "berlin": ServiceLevels(frozenset({office("Europe/Berlin")})),
        "own before those of agreements": ServiceLevels(frozenset({office()}), levels().agreements),
        "together": ServiceLevels(
            agreements=(*levels(calendars=frozenset({office()})).agreements, *levels().agreements)
        ),
    }
    # A Friday, from half past four in the afternoon to the next noon.
    assert lost(services, failing("2026-11-27T16:30:00", "2026-11-28T12:00:00")) == {
        "always": 19.5 * HOUR,
        "office": 1.5 * HOUR,
        "berlin": 0.5 * HOUR,
        "own before those of agreements": 1.5 * HOUR,
        "together": 19.5 * HOUR,
    }
    assert services["together"].calendars == frozenset()
    assert services["office"].calendars == {office()}


def test_agreed_maintenance_is_nothing_lost() -> None:
    maintenance = Outage("m", "planned", at("2026-11-27T17:00:00"), at("2026-11-27T20:00:00"))
    services = {"s": ServiceLevels(frozenset({office()}))}
    failure = failing("2026-11-27T16:00:00", "2026-11-27T19:00:00")
    assert lost(services, failure, {"s": [maintenance]}) == {"s": HOUR}


@pytest.mark.parametrize("begun", ["2026-03-01T00:00:00", "2026-11-25T00:00:00"])
def test_maintenance_that_has_not_ended_lasts_up_to_now_for_time_and_for_targets(begun: str) -> None:
    endless = [Outage("m", "planned", at(begun))]
    failure = failing("2026-11-27T06:00:00", "2026-11-27T16:00:00", now="2026-11-24T12:00:00")
    restore = target(measure="recovery_time", target=4, unit="h")
    some = levels(MONTHLY, restore)
    assert lost({"s": some}, failure, {"s": endless}) == {"s": 10 * HOUR}
    assert {row.lost for row in judged(some, failure, endless)} == {10 * HOUR}


def test_an_agreement_holds_from_its_first_day_to_its_last_and_no_longer() -> None:
    some = levels(MONTHLY, last=date(2026, 12, 31))
    failure = failing("2026-12-31T22:00:00", "2027-01-01T12:00:00")
    assert lost({"s": some}, failure) == {"s": 2 * HOUR}
    found = only(judged(some, failure))
    assert (found.label, found.lost) == ("2026-12", 2 * HOUR)
    # Of a month that it holds half of, half is agreed.
    half = only(
        judged(
            levels(MONTHLY, first=date(2026, 11, 16)), failing("2026-11-20T00:00:00", "2026-11-20T01:00:00")
        )
    )
    assert half.allowed == 3 * HOUR + 36 * MINUTE
    assert judged(levels(MONTHLY, first=date(2027, 2, 1)), failure) == []


def test_a_period_in_which_nothing_is_lost_is_not_the_worst() -> None:
    daily = target(measure="availability", target=0.5, period="day")
    some = levels(daily, calendars=frozenset({office()}))
    found = only(judged(some, failing("2026-11-27T14:00:00", "2026-11-29T12:00:00")))
    assert (found.label, found.lost, found.left) == ("2026-11-27", 4 * HOUR, HOUR)
    weekend = only(judged(some, failing("2026-11-28T14:00:00", "2026-11-29T12:00:00")))
    assert (weekend.lost, weekend.outlook) == (timedelta(), Outlook.KEPT)


def test_a_time_to_restore_counts_from_the_beginning_of_an_outage_that_goes_on() -> None:
    restore = target(measure="recovery_time", target=4, unit="h")
    running = [
        Outage("o", "outage", at("2026-11-24T09:00:00")),
        Outage("e", "outage", at("2026-11-24T01:00:00"), at("2026-11-24T03:00:00")),
    ]
    found = only(judged(levels(restore), failing("2026-11-24T12:00:00", "2026-11-24T14:00:00"), running))
    assert (found.before, found.lost, found.outlook) == (3 * HOUR, 2 * HOUR, Outlook.BROKEN)
    later = only(judged(levels(restore), failing("2026-11-24T13:00:00", "2026-11-24T14:00:00"), running))
    assert (later.before, later.lost) == (timedelta(), HOUR)
    ended = [Outage("o", "outage", at("2026-11-24T09:00:00"), at("2026-11-24T12:00:00"))]
    later_on = failing("2026-11-24T12:00:00", "2026-11-24T14:00:00", now="2026-11-24T12:01:00")
    after = only(judged(levels(restore), later_on, ended))
    assert after.before == timedelta(), "another outage, if it had ended"


def test_an_outage_that_nobody_closed_for_years_and_one_older_than_the_agreement_break_nothing_else() -> None:
    restore = target(measure="recovery_time", target=4, unit="h")
    old = [Outage("o", "outage", at("2011-01-01T00:00:00"))]
    failure = failing("2026-11-10T10:00:00", "2026-11-10T12:00:00", now="2026-11-10T11:00:00")
    found = only(judged(levels(restore, calendars=frozenset({office()})), failure, old))
    assert found.outlook is Outlook.BROKEN_BEFORE
    night = [Outage("o", "outage", at("2026-11-09T20:00:00"), at("2026-11-10T10:30:00"))]
    young = only(judged(levels(restore, first=date(2026, 11, 10)), failure, night))
    assert young.before == 10 * HOUR


def test_a_target_holds_from_its_first_day_to_its_last() -> None:
    old = target(measure="availability", target=0.99, valid_until="2026-10-31")
    new = target(measure="availability", target=0.99, valid_from="2026-11-01")
    failure = failing("2026-10-31T23:00:00", "2026-11-01T05:00:00")
    assert [(row.label, row.lost) for row in judged(levels(old, new), failure)] == [
        ("2026-10", HOUR),
        ("2026-11", 5 * HOUR),
    ]


def test_the_end_of_a_span_is_not_its_last_day() -> None:
    october = Span(at("2026-10-01T00:00:00"), at("2026-11-01T00:00:00"))
    assert not holds((date(2026, 11, 1), None), october, ZoneInfo("UTC"))
    assert holds((date(2026, 10, 31), None), october, ZoneInfo("UTC"))
    assert not holds((None, date(2026, 9, 30)), october, ZoneInfo("UTC"))


def test_a_failure_uses_up_what_a_month_allows() -> None:
    # November has 720 hours: one in a hundred is 7 h 12 min.
    kept = only(judged(levels(MONTHLY), failing("2026-11-27T06:00:00", "2026-11-27T13:00:00")))
    assert (kept.label, kept.allowed, kept.lost, kept.left) == (
        "2026-11",
        7 * HOUR + 12 * MINUTE,
        7 * HOUR,
        12 * MINUTE,
    )
    assert kept.outlook is Outlook.KEPT
    before = [Outage("o", "outage", at("2026-11-02T00:00:00"), at("2026-11-02T00:30:00"))]
    broken = only(judged(levels(MONTHLY), failing("2026-11-27T06:00:00", "2026-11-27T13:00:00"), before))
    assert (broken.before, broken.left, broken.outlook) == (30 * MINUTE, -18 * MINUTE, Outlook.BROKEN)


def test_a_target_that_was_missed_already_is_told_from_one_that_the_failure_breaks() -> None:
    before = [Outage("o", "outage", at("2026-11-02T00:00:00"), at("2026-11-02T08:00:00"))]
    found = only(judged(levels(MONTHLY), failing("2026-11-27T06:00:00", "2026-11-27T07:00:00"), before))
    assert (found.outlook, found.left) == (Outlook.BROKEN_BEFORE, -HOUR - 48 * MINUTE)


def test_an_outage_that_still_runs_has_lasted_up_to_now_and_is_not_counted_twice() -> None:
    running = [Outage("o", "outage", at("2026-11-24T10:00:00"))]
    found = only(judged(levels(MONTHLY), failing("2026-11-24T11:00:00", "2026-11-24T14:00:00"), running))
    assert (found.before, found.lost) == (2 * HOUR, 2 * HOUR)


def test_degradations_and_maintenance_use_up_nothing() -> None:
    records = [
        Outage("d", "degradation", at("2026-11-02T00:00:00"), at("2026-11-05T00:00:00")),
        Outage("p", "planned", at("2026-11-06T00:00:00"), at("2026-11-11T00:00:00")),
    ]
    found = only(judged(levels(MONTHLY), failing("2026-11-27T06:00:00", "2026-11-27T07:00:00"), records))
    assert (found.before, found.allowed) == (timedelta(), 6 * HOUR)  # 600 hours are agreed


def test_of_several_periods_the_worst_is_told() -> None:
    found = only(judged(levels(MONTHLY), failing("2026-11-30T23:00:00", "2026-12-02T00:00:00")))
    assert (found.label, found.lost) == ("2026-12", 24 * HOUR)
    daily = target(measure="availability", target=0.5, period="day")
    worst = only(judged(levels(daily), failing("2026-11-26T20:00:00", "2026-11-28T02:00:00")))
    assert (worst.label, worst.outlook, worst.left) == ("2026-11-27", Outlook.BROKEN, -12 * HOUR)


def test_periods_begin_at_midnight_where_the_agreement_is() -> None:
    berlin = ServiceAgreement("sla", frozenset({office("Europe/Berlin")}), (MONTHLY,))
    span = Span(at("2026-10-31T22:30:00"), at("2026-10-31T23:30:00"))
    assert list(periods_of(berlin, MONTHLY, span)) == [
        ("2026-10", Span(at("2026-09-30T22:00:00"), at("2026-10-31T23:00:00"))),
        ("2026-11", Span(at("2026-10-31T23:00:00"), at("2026-11-30T23:00:00"))),
    ]


@pytest.mark.parametrize(
    ("period", "label", "begin", "end"),
    [
        ("day", "2026-12-31", "2026-12-31", "2027-01-01"),
        ("week", "2026-W53", "2026-12-28", "2027-01-04"),
        ("month", "2026-12", "2026-12-01", "2027-01-01"),
        ("quarter", "2026-Q4", "2026-10-01", "2027-01-01"),
        ("year", "2026", "2026-01-01", "2027-01-01"),
    ],
)
def test_periods_are_those_of_the_calendar(period: str, label: str, begin: str, end: str) -> None:
    asked = target(measure="availability", target=0.9, period=period)
    span = Span(at("2026-12-31T10:00:00"), at("2026-12-31T11:00:00"))
    agreement = ServiceAgreement("sla", frozenset(), (asked,))
    assert list(periods_of(agreement, asked, span)) == [(label, Span(at(begin), at(end)))]
    some = ServiceLevels(agreements=(agreement,))
    assert touched_by([some, ServiceLevels()], span) == Span(at(begin), at(end))
    assert touched_by([ServiceLevels()], span) == span


def test_a_time_to_restore_counts_in_service_hours() -> None:
    restore = target(measure="resolution_time", target=4, unit="hours", priority="critical")
    some = levels(restore, calendars=frozenset({office()}))
    # Over a weekend: two hours on Friday, two and a half on Monday.
    found = only(judged(some, failing("2026-11-27T16:00:00", "2026-11-30T10:30:00")))
    assert (found.label, found.lost, found.outlook) == (None, 4.5 * HOUR, Outlook.BROKEN)
    assert found.target.priority == "critical"
    found = only(judged(some, failing("2026-11-27T16:00:00", "2026-11-30T10:00:00")))
    assert found.outlook is Outlook.KEPT


def test_broken_targets_rank_first_then_what_has_least_left() -> None:
    yearly = target(measure="availability", target=0.99, period="year")
    hopeless = target(measure="availability", target=1.0, period="day")
    before = [Outage("o", "outage", at("2026-11-02T00:00:00"), at("2026-11-02T06:00:00"))]
    failure = failing("2026-11-27T06:00:00", "2026-11-27T07:00:00")
    rows = judged(levels(yearly, MONTHLY, hopeless), failure, before)
    assert [row.target for row in sorted(rows, key=lambda row: row.rank)] == [hopeless, MONTHLY, yearly]


@pytest.mark.parametrize("measure", ["availability", "recovery_time"])
def test_who_is_late_leaves_whole_services_out(measure: str) -> None:
    some = levels(target(measure=measure, target=1, unit="" if measure == "availability" else "h"))
    failure = failing("2026-11-27T06:00:00", "2026-11-27T07:00:00")
    found = service_losses({"a": some, "b": some}, failure, {}, late=iter([False, True]).__next__)
    assert [loss.service for loss in found] == ["a"]


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"measure": "availability"}, "no target figure"),
        ({"measure": "availability", "target": True}, "no target figure"),
        ({"measure": "availability", "target": float("nan")}, "no target figure"),
        ({"measure": "availability", "target": 99.9}, "no share"),
        ({"measure": "availability", "target": -1}, "no share"),
        ({"measure": "availability", "target": 0.5, "unit": "hours"}, "none of an availability"),
        ({"measure": "availability", "target": 0.9, "period": "decade"}, "decade"),
        ({"measure": "recovery_time", "target": 4}, "unit '' is no time"),
        ({"measure": "recovery_time", "target": 4, "unit": "moons"}, "moons"),
        ({"measure": "recovery_time", "target": 0, "unit": "h"}, "no time to restore"),
        ({"measure": "recovery_time", "target": 1e300, "unit": "d"}, "no time to restore"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused_with_the_reason(
    attributes: dict[str, Any], why: str
) -> None:
    with pytest.raises(UnusableTerm, match=why):
        target(**attributes)


def test_targets_about_something_else_are_none_of_ours_and_percent_is_understood() -> None:
    assert read_target(item("ServiceLevelTarget", measure="satisfaction", target=4)) is None
    assert target(measure="availability", target=99.5, unit="%").share == pytest.approx(0.995)
    assert target(measure="recovery_time", target=1.5, unit="Hours").limit == 90 * MINUTE
    assert target(measure="recovery_time", target=2, unit="days").limit == 48 * HOUR


hours_of_november = st.integers(0, 719)
records = st.lists(
    st.tuples(hours_of_november, st.integers(1, 60), st.sampled_from(["outage", "planned", "degradation"])),
    max_size=6,
)


@settings(max_examples=80, deadline=None)
@given(records, hours_of_november, st.integers(1, 100), st.booleans())
def test_what_is_lost_is_what_brute_force_counts_hour_by_hour(
    recorded: list[tuple[int, int, str]], start: int, length: int, in_office: bool
) -> None:
    begin, end = at("2026-11-01"), min(start + length, 720)
    outages = [
        Outage(str(n), kind, begin + first * HOUR, begin + (first + hours) * HOUR)
        for n, (first, hours, kind) in enumerate(recorded)
    ]
    failure = Failure(Span(begin + start * HOUR, begin + end * HOUR), begin)

    def is_in(hour: int, kind: str) -> bool:
        return any(first <= hour < first + hours for first, hours, told in recorded if told == kind)

    def agreed(hour: int) -> bool:
        moment = begin + hour * HOUR
        return not is_in(hour, "planned") and (
            not in_office or (moment.weekday() < 5 and 8 <= moment.hour < 18)
        )

    calendars = frozenset({office()}) if in_office else frozenset[ServiceCalendar]()
    [found] = service_losses({"s": levels(MONTHLY, calendars=calendars)}, failure, {"s": outages})
    failed = range(start, end)
    assert found.lost == sum(map(agreed, failed)) * HOUR
    month = [hour for hour in range(720) if agreed(hour)]
    before = {hour for hour in month if is_in(hour, "outage")}
    after = before | (set(month) & set(failed))
    [row] = found.targets
    assert row.allowed == pytest.approx(len(month) * HOUR / 100, abs=timedelta(microseconds=10))
    assert (row.before, row.lost) == (len(before) * HOUR, (len(after) - len(before)) * HOUR)
