"""Service hours laid over real time: weekdays, holidays, nights, clock changes, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import BadRequest
from cmdb.model.items import Item
from cmdb.model.service_calendar import (
    LONGEST,
    WEEKDAYS,
    ServiceCalendar,
    UnusableTerm,
    read_calendar,
    service_hours,
)
from cmdb.model.spans import Span, shared, total, unite
from cmdb.model.values import VALUE_TYPES

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def calendar(name: str = "office", **attributes: Any) -> ServiceCalendar:  # noqa: ANN401 - raw values
    stored = dict(attributes)
    if "hours" in stored:
        stored["hours"] = VALUE_TYPES["json"].normalise(stored["hours"])
    return read_calendar(Item(name, "ServiceCalendar", name, "active", 1, "", "", stored))


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def hours(found: list[Span] | tuple[Span, ...]) -> list[str]:
    return [f"{span.start:%d %H:%M}-{span.end:%d %H:%M}" for span in found]


OFFICE = calendar(hours={day: ["08:00-12:00", "13:00-18:00"] for day in WEEKDAYS[:5]})
WEEK = Span(MONDAY, MONDAY + timedelta(days=7))


def test_hours_hold_on_their_weekdays_and_only_inside_the_period() -> None:
    assert total(OFFICE.agreed(WEEK)) == 45 * HOUR
    assert hours(OFFICE.agreed(Span(MONDAY + 10 * HOUR, MONDAY + 14 * HOUR))) == [
        "23 10:00-23 12:00",
        "23 13:00-23 14:00",
    ]
    weekend = Span(MONDAY + timedelta(days=5), MONDAY + timedelta(days=7))
    assert OFFICE.agreed(weekend) == []


def test_a_holiday_has_no_hours_but_the_night_before_goes_on() -> None:
    night = calendar(hours={day: ["22:00-06:00"] for day in WEEKDAYS}, holidays=["2026-11-25"])
    assert hours(night.agreed(Span(MONDAY + 24 * HOUR, MONDAY + 96 * HOUR))) == [
        "24 00:00-24 06:00",
        "24 22:00-25 06:00",
        "26 22:00-27 00:00",
    ]


def test_hours_are_those_of_the_clock_on_the_wall() -> None:
    berlin = calendar(time_zone="Europe/Berlin", hours={"fri": ["08:00-18:00"], "sun": ["08:00-18:00"]})
    winter, summer = Span(at("2026-10-30"), at("2026-10-31")), Span(at("2026-10-23"), at("2026-10-24"))
    assert hours(berlin.agreed(winter)) == ["30 07:00-30 17:00"]
    assert hours(berlin.agreed(summer)) == ["23 06:00-23 16:00"]


@pytest.mark.parametrize(
    ("day", "told", "expected"),
    [
        ("2026-10-25", "00:00-24:00", 25),  # clocks go back: the day has 25 hours
        ("2026-10-25", "02:00-03:00", 2),  # an hour that occurs twice
        ("2026-10-25", "02:30-04:00", 2.5),  # from the first half past two
        ("2026-10-25", "00:00-02:30", 2.5),  # to the first half past two
        ("2026-03-29", "00:00-24:00", 23),  # clocks go forward
        ("2026-03-29", "01:00-03:30", 1.5),
        ("2026-03-29", "02:30-04:00", 0.5),  # half past two does not occur: it is half past three
        ("2026-03-29", "02:10-02:50", 2 / 3),  # as RFC 5545 reads local times: the offset before the change
    ],
)
def test_hours_on_the_days_that_clocks_are_changed(day: str, told: str, expected: float) -> None:
    berlin = calendar(time_zone="Europe/Berlin", hours={"sun": [told]})
    noon = at(f"{day}T12:00:00", "Europe/Berlin")
    assert total(berlin.agreed(Span(noon - 20 * HOUR, noon + 20 * HOUR))) == expected * HOUR


def test_what_is_not_told_is_round_the_clock_in_utc() -> None:
    assert calendar().agreed(WEEK) == [WEEK]
    assert total(calendar(holidays=["2026-11-24"]).agreed(WEEK)) == 144 * HOUR
    assert calendar(hours={}).agreed(WEEK) == []
    assert service_hours(frozenset(), WEEK) == (WEEK,)


def test_a_calendar_holds_from_its_first_day_to_its_last() -> None:
    some = calendar(
        valid_from="2026-11-25", valid_until="2026-11-26", hours={d: ["20:00-04:00"] for d in WEEKDAYS}
    )
    assert hours(some.agreed(WEEK)) == ["25 20:00-26 04:00", "26 20:00-27 04:00"]
    always = calendar(valid_from="0001-01-01", valid_until="9999-12-31")
    assert always.agreed(WEEK) == [WEEK]


def test_several_calendars_hold_together() -> None:
    late = calendar("late", hours={"mon": ["17:00-20:00"]})
    monday = Span(MONDAY, MONDAY + 24 * HOUR)
    assert hours(service_hours(frozenset({OFFICE, late}), monday)) == [
        "23 08:00-23 12:00",
        "23 13:00-23 20:00",
    ]


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({"time_zone": "Europe/Atlantis"}, "time_zone 'Europe/Atlantis' is unknown"),
        ({"time_zone": "../../etc/passwd"}, "is unknown"),
        ({"time_zone": "a\0b"}, "is unknown"),
        ({"time_zone": "Europe"}, "is unknown"),
        ({"hours": [1]}, "no object"),
        ({"hours": {"Monday": ["08:00-18:00"]}}, "hours has Monday"),
        ({"hours": {"mon": "08:00-18:00"}}, "no list"),
        ({"hours": {"mon": ["8-18"]}}, "'8-18'"),
        ({"hours": {"mon": [8]}}, "'8'"),
        ({"hours": {"mon": ["08:00-08:00"]}}, "differ"),
        ({"hours": {"mon": ["08:00-25:00"]}}, "24:00"),
        ({"hours": {"mon": ["24:00-25:00"]}}, "24:00"),
        ({"hours": {"mon": ["00:00-01:00"] * 9}}, "at most 8"),
        ({"hours": {"mon": ["x" * 10_000]}}, "at most 10000 are read"),
        ({"valid_from": "soon"}, "no day"),
        ({"holidays": ["Christmas"]}, "no day"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused_with_the_reason(
    attributes: dict[str, Any], why: str
) -> None:
    with pytest.raises(UnusableTerm, match=why):
        calendar(**attributes)


def test_a_period_beyond_all_measure_is_refused() -> None:
    with pytest.raises(BadRequest, match="longer than the 1830 days"):
        OFFICE.agreed(Span(MONDAY, MONDAY + LONGEST + HOUR))
    first = datetime(1, 1, 1, tzinfo=UTC)
    with pytest.raises(BadRequest, match="too near"):
        OFFICE.agreed(Span(first, first + HOUR))


ranges = st.tuples(st.integers(0, 47), st.integers(0, 48)).filter(lambda r: r[0] != r[1])
weeks = st.dictionaries(st.sampled_from(WEEKDAYS), st.lists(ranges, max_size=3))


def half_hours(half: int) -> str:
    return f"{half // 2:02}:{half % 2 * 30:02}"


@settings(max_examples=60, deadline=None)
@given(weeks, st.lists(st.integers(0, 13), max_size=3), st.integers(0, 300), st.integers(1, 300))
def test_hours_are_what_brute_force_finds_half_hour_by_half_hour(
    week: dict[str, list[tuple[int, int]]], free: list[int], start: int, length: int
) -> None:
    told = {day: [f"{half_hours(a)}-{half_hours(b)}" for a, b in parts] for day, parts in week.items()}
    found = calendar(
        hours=told, holidays=[(MONDAY + timedelta(days=n)).date().isoformat() for n in free]
    ).agreed(Span(MONDAY + start * HOUR / 2, MONDAY + (start + length) * HOUR / 2))
    closed = {(MONDAY + timedelta(days=n)).date() for n in free}

    def open_at(half: int) -> bool:
        """Whether the half hour lies in hours that began on its own day or the day before."""
        for back in (0, 1):
            day, now = divmod(half, 48)
            today: date = (MONDAY + timedelta(days=day - back)).date()
            if today in closed:
                continue
            for begin, end in week.get(WEEKDAYS[today.weekday()], ()):
                if begin <= now + 48 * back < (end if end > begin else end + 48):
                    return True
        return False

    expected = {half for half in range(start, start + length) if open_at(half)}
    assert found == unite(found)
    assert {
        half
        for half in range(start, start + length)
        if shared(found, [Span(MONDAY + half * HOUR / 2, MONDAY + (half + 1) * HOUR / 2)])
    } == expected
    assert total(found) == len(expected) * HOUR / 2
