"""Time down and measured availability: overlaps count once, open outages run on, maintenance is nobody's fault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmdb.model.items import Item
from cmdb.model.outages import (
    Outage,
    OutageHistory,
    measure_availability,
    observe,
    observed_span,
    read_instant,
    read_outage,
)
from cmdb.model.spans import Span, total, unite

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return START + hours * HOUR


def span(start: float, end: float) -> Span:
    return Span(at(start), at(end))


def outage(start: float, end: float | None, kind: str = "outage", name: str = "o") -> Outage:
    return Outage(name, kind, at(start), at(end) if end is not None else None)


DAY = span(0, 24)
hours = st.integers(-10, 60)
spans = st.lists(st.builds(span, hours, hours), max_size=8)
outages = st.lists(
    st.builds(
        lambda start, length, kind: outage(start, start + length if length is not None else None, kind),
        hours,
        st.none() | st.integers(0, 30),
        st.sampled_from(["outage", "degradation", "planned", "strange"]),
    ),
    max_size=8,
)


def hours_in(some: list[Span]) -> set[int]:
    """By brute force: which whole hours lie in any of them."""
    return {h for h in range(-10, 60) if any(s.start <= at(h) < s.end for s in some)}


@given(spans)
def test_united_spans_are_the_same_time_apart_and_in_order(some: list[Span]) -> None:
    united = unite(some)
    assert hours_in(united) == hours_in(some)
    assert all(s.start < s.end for s in united)
    assert all(a.end < b.start for a, b in pairwise(united))


@given(spans)
def test_shared_time_counts_once(some: list[Span]) -> None:
    assert total(some) == len(hours_in(some)) * HOUR


@given(outages)
def test_measured_times_are_those_counted_hour_by_hour(recorded: list[Outage]) -> None:
    def counted(kind: str) -> set[int]:
        return {
            h
            for h in range(24)
            for o in recorded
            if o.kind == kind and o.start <= at(h) and (o.end is None or at(h) < o.end)
        }

    planned, out, worse = counted("planned"), counted("outage"), counted("degradation")
    measured = measure_availability(recorded, DAY)
    assert measured.planned == len(planned) * HOUR
    assert measured.agreed == (24 - len(planned)) * HOUR
    assert measured.down == len(out - planned) * HOUR
    assert measured.degraded == len(worse - out - planned) * HOUR
    share = measured.availability
    assert (share is None) == (len(planned) == 24)
    assert share is None or 0.0 <= share <= 1.0


@given(outages, outages)
def test_a_further_outage_never_makes_a_service_look_better(some: list[Outage], more: list[Outage]) -> None:
    real = [o for o in more if o.kind == "outage"]
    before, after = measure_availability(some, DAY), measure_availability([*some, *real], DAY)
    assert after.down >= before.down
    assert after.agreed == before.agreed


def test_availability_is_agreed_time_without_outage_over_agreed_time() -> None:
    recorded = [
        outage(2, 4, name="a"),
        outage(3, 5, name="b"),  # shares an hour with a
        outage(10, 14, "planned", "maintenance"),
        outage(13, 15, name="c"),  # an hour of it falls into the maintenance
        outage(20, 21, "degradation", "slow"),
    ]
    measured = measure_availability(recorded, DAY, target=0.8)
    assert (measured.agreed, measured.down) == (20 * HOUR, 4 * HOUR)
    assert (measured.planned, measured.degraded) == (4 * HOUR, HOUR)
    assert measured.availability == 0.8
    assert measured.allowed_down == 4 * HOUR
    assert measured.met
    assert [o.id for o in measured.outages] == ["a", "b", "maintenance", "c", "slow"]


def test_a_target_can_be_missed_or_absent() -> None:
    assert measure_availability([outage(0, 1)], DAY, target=0.999).met is False
    assert measure_availability([outage(0, 1)], DAY).met is None
    assert measure_availability([outage(0, 1)], DAY).allowed_down is None


def test_an_open_outage_runs_to_the_end_of_the_period_and_one_of_another_time_is_left_out() -> None:
    measured = measure_availability([outage(22, None), outage(-3, 0), outage(24, None), outage(30, 31)], DAY)
    assert measured.down == 2 * HOUR
    assert len(measured.outages) == 1


def test_without_agreed_time_there_is_no_availability() -> None:
    measured = measure_availability([outage(-1, 25, "planned"), outage(3, 4)], DAY, target=0.9)
    assert measured.availability is None
    assert measured.down == timedelta()


# --- a component's own history ----------------------------------------------------------------------------------------


def test_a_history_counts_real_outages_once_within_the_time_observed() -> None:
    recorded = [
        outage(-2, 1),
        outage(5, 7),
        outage(6, 8),
        outage(9, 10, "degradation"),
        outage(11, 12, "planned"),
        outage(23, None),
    ]
    assert observe(recorded, DAY) == OutageHistory(24 * 3600.0, 3, 5 * 3600.0)


def test_no_outage_in_the_time_observed_is_no_history() -> None:
    assert observe([], DAY) is None
    assert observe([outage(1, 2, "planned"), outage(30, None)], DAY) is None
    assert observe([outage(1, 2)], span(3, 3)) is None


@pytest.mark.parametrize(
    ("in_service", "known", "own", "expected"),
    [
        (None, 10, [], 10),
        (None, 2, [], 5),
        (None, 10, [outage(7, 8)], 7),
        (None, 10, [outage(12, 13)], 10),
        (8, 20, [outage(7, 9)], 8),
        (1, 20, [], 5),
        (40, 20, [], 24),
    ],
    ids=[
        "known later than recording",
        "recording began later",
        "failed before it was known",
        "failed after it was known",
        "in service by its own word",
        "in service before recording",
        "not yet in service",
    ],
)
def test_observation_begins_when_its_outages_would_have_been_recorded(
    in_service: float | None, known: float, own: list[Outage], expected: float
) -> None:
    observed = observed_span(
        own,
        recorded_since=at(5),
        in_service_since=at(in_service) if in_service is not None else None,
        known_since=at(known),
        until=at(24),
    )
    assert observed == span(expected, 24)


# --- records ----------------------------------------------------------------------------------------------------------

NINE, TEN = "2026-03-01T09:00:00.000000Z", "2026-03-01T10:00:00.000000Z"


def record(lifecycle: str = "ended", **attributes: str) -> Item:
    return Item("o1", "Outage", "OUT-1", lifecycle, 1, NINE, NINE, attributes)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (record(started_at=NINE, ended_at=TEN, kind="planned"), Outage("o1", "planned", at(9), at(10))),
        (record("running", started_at=NINE), Outage("o1", "outage", at(9), None)),
        (record(started_at=NINE, closed_at=TEN), Outage("o1", "outage", at(9), at(10))),
        (record(started_at=NINE), None),
        (record(started_at=TEN, ended_at=NINE), None),
        (record(ended_at=NINE), None),
        (record(started_at="soon", ended_at=NINE), None),
    ],
    ids=["ended", "running", "closed", "closed without an end", "ends before it begins", "no beginning", "no time"],
)  # fmt: skip
def test_a_record_is_read_or_set_aside(item: Item, expected: Outage | None) -> None:
    assert read_outage(item, frozenset({"ended"})) == expected


def test_a_day_begins_at_midnight_in_utc() -> None:
    assert read_instant("2026-03-01") == START
    assert read_instant(7) is None
