"""What is agreed about services, and what a failure from-until takes of it: service time, and room under targets.

Promises: lost is service time only, in the hours of the service's calendars, without agreed maintenance. Every target
is judged in the calendar periods (days, weeks, months, quarters, years, in the time zone of its agreement) that the
failure touches, on top of the outages on record. A target that cannot be read is refused with the reason, never
guessed.

Does not: judge targets about anything but time down (`MEASURES`), or read a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from cmdb.model.items import Item
from cmdb.model.outages import OUTAGE, Outage, measure_availability
from cmdb.model.service_calendar import Calendars, UnusableTerm, service_hours
from cmdb.model.spans import NOTHING, Span

AVAILABILITY = "availability"
MEASURES = frozenset({AVAILABILITY, "recovery_time", "resolution_time"})
"""What time down alone can miss."""
UNITS = {"second": 1, "s": 1, "minute": 60, "min": 60, "hour": 3_600, "h": 3_600, "day": 86_400, "d": 86_400}
"""Seconds of the units in which a time to restore is agreed; a plural s is understood."""


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A figure that time down can miss: `share` of the `period` for availability, else the `limit` of one outage."""

    id: str
    name: str
    measure: str
    period: str
    share: float | None = None
    limit: timedelta | None = None
    priority: str | None = None


def read_target(item: Item) -> ServiceTarget | None:
    """The target that an item tells of; None where it is about something else than time down.

    Raises `UnusableTerm`.
    """
    told = item.attributes
    measure, figure = str(told.get("measure")), told.get("target")
    if measure not in MEASURES:
        return None
    if isinstance(figure, bool) or not isinstance(figure, int | float) or not math.isfinite(figure):
        raise UnusableTerm("it has no target figure")
    unit = str(told.get("unit") or "").strip().lower()
    period, priority = str(told.get("period") or "month"), told.get("priority")
    if measure == AVAILABILITY:
        share = figure / 100 if unit in ("%", "percent") else figure
        if not 0 <= share <= 1:
            raise UnusableTerm(f"an availability of {figure:g} is no share between 0 and 1")
        if period not in _PERIODS:
            raise UnusableTerm(f"period {period[:20]!r} is none of {', '.join(_PERIODS)}")
        return ServiceTarget(item.id, item.name, measure, period, share=share)
    seconds = UNITS.get(unit) or UNITS.get(unit.removesuffix("s"))
    if seconds is None:
        raise UnusableTerm(f"unit {unit[:20]!r} is no time; name second, minute, hour or day")
    if not 0 < figure * seconds < _MOST_SECONDS:
        raise UnusableTerm(f"{figure:g} {unit} is no time to restore anything in")
    limit = timedelta(seconds=figure * seconds)
    return ServiceTarget(
        item.id, item.name, measure, period, limit=limit, priority=str(priority) if priority else None
    )


@dataclass(frozen=True, slots=True)
class ServiceAgreement:
    """An agreement in force; `calendars`: when it wants the service there."""

    id: str
    calendars: Calendars
    targets: tuple[ServiceTarget, ...]


@dataclass(frozen=True, slots=True)
class ServiceLevels:
    """What is agreed about one service; `calendars`: when it is to be there, whoever agreed that.

    It has agreed time if there is any of either; without a calendar that is round the clock.
    """

    calendars: Calendars = frozenset()
    agreements: tuple[ServiceAgreement, ...] = ()


class Outlook(Enum):
    """What becomes of a target, worst first."""

    BROKEN = "broken"
    """This failure makes it miss."""
    BROKEN_BEFORE = "broken_before"
    """It was missed already."""
    KEPT = "kept"
    """It is met all the same."""


@dataclass(frozen=True, slots=True)
class TargetOutlook:
    """What a failure leaves of a target in a period.

    `label`: the calendar period, such as 2026-11; None for a time to restore, which is judged in the failure itself.
    `allowed`: time down that it allows. `before`: down already, by outages on record. `lost`: what the failure adds.
    """

    agreement: str
    target: ServiceTarget
    label: str | None
    period: Span
    allowed: timedelta
    before: timedelta
    lost: timedelta

    @property
    def left(self) -> timedelta:
        """What may be down after it; negative: so much too much."""
        return self.allowed - self.before - self.lost

    @property
    def outlook(self) -> Outlook:
        """Whether the target is still met."""
        if self.before > self.allowed:
            return Outlook.BROKEN_BEFORE
        return Outlook.KEPT if self.left >= NOTHING else Outlook.BROKEN

    @property
    def rank(self) -> tuple[bool, bool, timedelta]:
        """Sorts the worst first."""
        return self.outlook is not Outlook.BROKEN, self.outlook is Outlook.KEPT, self.left


@dataclass(frozen=True, slots=True)
class Failure:
    """From when to when something is down, and `now`: outages on record that have not ended have lasted up to it."""

    span: Span
    now: datetime


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """What a failure takes: agreed time by service, the most first; the outlook of targets with it, the worst first.

    `unagreed`: services about which nothing is agreed. `late`: those that were left out since it was late.
    """

    lost: Sequence[tuple[str, timedelta]]
    targets: Sequence[tuple[str, TargetOutlook]]
    unagreed: int
    late: int


def service_time(
    services: Mapping[str, ServiceLevels],
    failure: Failure,
    outages: Mapping[str, Sequence[Outage]],
    *,
    late: Callable[[], bool] = lambda: False,
) -> ServiceTime:
    """What a failure takes of services that it takes down, given their outages on record.

    Once it is `late`, the services that are left are left out.
    """
    hours = _Hours()
    lost, targets = list[tuple[str, timedelta]](), list[tuple[str, TargetOutlook]]()
    agreed_about = {s: levels for s, levels in services.items() if levels.calendars or levels.agreements}
    for service, levels in agreed_about.items():
        if late():
            break
        own = outages.get(service, ())
        agreed = measure_availability(
            own, failure.span, hours=hours.of(levels.calendars, failure.span)
        ).agreed
        lost.append((service, agreed))
        targets += ((service, found) for found in _outlooks(levels, failure, own, hours))
    return ServiceTime(
        sorted(lost, key=lambda row: (-row[1], row[0])),
        sorted(targets, key=lambda row: (row[1].rank, row[0])),
        unagreed=len(services) - len(agreed_about),
        late=len(agreed_about) - len(lost),
    )


def touched_by(services: Iterable[ServiceLevels], failure: Span) -> Span:
    """The time whose outages matter for what a failure takes: all periods that it touches."""
    spans = [
        period
        for agreement in {a for levels in services for a in levels.agreements}
        for target in agreement.targets
        for _, period in periods_of(agreement, target, failure)
    ]
    return Span(
        min((span.start for span in spans), default=failure.start),
        max((span.end for span in spans), default=failure.end),
    )


def periods_of(
    agreement: ServiceAgreement, target: ServiceTarget, failure: Span
) -> list[tuple[str | None, Span]]:
    """The calendar periods that a failure touches, in order, with labels; the failure itself for a time to restore."""
    if target.measure != AVAILABILITY:
        return [(None, failure)]
    zone = min((calendar.zone for calendar in agreement.calendars), key=str, default=ZoneInfo("UTC"))
    found: list[tuple[str | None, Span]] = []
    day = failure.start.astimezone(zone).date()
    while not found or found[-1][1].end < failure.end:
        begin, day = _around(target.period, day)
        found.append((_label(target.period, begin), Span(_midnight(begin, zone), _midnight(day, zone))))
    return found


def _outlooks(
    levels: ServiceLevels, failure: Failure, outages: Sequence[Outage], hours: _Hours
) -> Iterator[TargetOutlook]:
    """What a failure leaves of each target: of several periods that it touches, the worst."""
    for agreement in levels.agreements:
        for target in agreement.targets:
            yield min(
                (
                    _judged(agreement, target, label, period, failure, outages, hours)
                    for label, period in periods_of(agreement, target, failure.span)
                ),
                key=lambda found: found.rank,
            )


def _judged(
    agreement: ServiceAgreement,
    target: ServiceTarget,
    label: str | None,
    period: Span,
    failure: Failure,
    outages: Sequence[Outage],
    hours: _Hours,
) -> TargetOutlook:
    agreed = hours.of(agreement.calendars, period)
    if target.limit is not None:
        lost = measure_availability(outages, period, hours=agreed).agreed
        return TargetOutlook(agreement.id, target, label, period, target.limit, NOTHING, lost)
    recorded = [replace(o, end=max(o.start, failure.now)) if o.end is None else o for o in outages]
    this = Outage("", OUTAGE, failure.span.start, failure.span.end)
    before = measure_availability(recorded, period, target.share, hours=agreed)
    after = measure_availability([*recorded, this], period, target.share, hours=agreed)
    allowed = before.allowed_down or NOTHING
    return TargetOutlook(agreement.id, target, label, period, allowed, before.down, after.down - before.down)


class _Hours:
    """Service hours, worked out once for each set of calendars and each period; for the length of one answer."""

    def __init__(self) -> None:
        self._known: dict[tuple[Calendars, Span], tuple[Span, ...]] = {}

    def of(self, calendars: Calendars, period: Span) -> tuple[Span, ...]:
        """See `service_hours`."""
        key = calendars, period
        if key not in self._known:
            self._known[key] = service_hours(*key)
        return self._known[key]


_PERIODS = ("day", "week", "month", "quarter", "year")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_MOST_SECONDS = 86_400 * 366 * 100


def _around(period: str, day: date) -> tuple[date, date]:
    """The first day of the calendar period that a day lies in, and the first of the next; weeks begin on Monday."""
    if period == "day":
        return day, day + timedelta(days=1)
    if period == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    months = _MONTHS[period]
    first = (day.month - 1) // months * months
    after = day.year * 12 + first + months
    return date(day.year, first + 1, 1), date(after // 12, after % 12 + 1, 1)


def _label(period: str, begin: date) -> str:
    """As ISO 8601 has it, and quarters as 2026-Q4."""
    match period:
        case "day":
            return begin.isoformat()
        case "week":
            year, week, _ = begin.isocalendar()
            return f"{year}-W{week:02}"
        case "month":
            return begin.isoformat()[:7]
        case "quarter":
            return f"{begin.year}-Q{(begin.month + 2) // 3}"
        case _:
            return str(begin.year)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
