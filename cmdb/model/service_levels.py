"""What is agreed about services, and what a failure from-until takes of it: service time, and room under targets.

Promises: lost is agreed time only: service hours, while the agreement holds, without agreed maintenance. Every target
is judged in the calendar periods (days, weeks, months, quarters, years, in the time zone of its agreement) that the
failure touches, on top of the outages on record; one that still runs has lasted up to now. What cannot be read is
refused with the reason, never guessed.

Does not: judge targets about anything but time down (`MEASURES`), or read a clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo

from cmdb.model.calendar_periods import PERIODS, midnight, period_at
from cmdb.model.items import Item
from cmdb.model.outages import OUTAGE, Outage, measure_availability
from cmdb.model.service_calendar import (
    LONGEST,
    Calendars,
    ServiceCalendar,
    UnusableTerm,
    service_hours,
    validity,
)
from cmdb.model.spans import NOTHING, Span, unite

AVAILABILITY = "availability"
MEASURES = frozenset({AVAILABILITY, "recovery_time", "resolution_time"})
"""What time down alone can miss."""
SHARES = {"": 1.0, "share": 1.0, "%": 0.01, "percent": 0.01}
"""Units of an availability."""
SECONDS = {
    "second": 1,
    "s": 1,
    "minute": 60,
    "min": 60,
    "hour": 3_600,
    "h": 3_600,
    "day": 86_400,
    "d": 86_400,
}
"""Units of a time to restore; a plural s is understood."""


@dataclass(frozen=True, slots=True)
class ServiceTarget:
    """A figure that time down can miss: a `share` of each `period` for availability, else the `limit` of one outage.

    `priority`: it is about incidents of this priority only. `first`, `last`: the days on which it holds.
    """

    id: str
    name: str
    measure: str
    period: str
    share: float | None = None
    limit: timedelta | None = None
    priority: str | None = None
    first: date | None = None
    last: date | None = None


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
    unit, period = str(told.get("unit") or "").strip().lower(), str(told.get("period") or "month")
    priority = str(told["priority"]) if told.get("priority") else None
    days = validity(item)
    if measure == AVAILABILITY:
        if unit not in SHARES:
            raise UnusableTerm(f"unit {unit[:20]!r} is none of an availability; name share or %")
        share = figure * SHARES[unit]
        if not 0 <= share <= 1:
            raise UnusableTerm(f"an availability of {figure:g} is no share between 0 and 1")
        if period not in PERIODS:
            raise UnusableTerm(f"period {period[:20]!r} is none of {', '.join(PERIODS)}")
        return ServiceTarget(item.id, item.name, measure, period, share, None, priority, *days)
    seconds = SECONDS.get(unit) or SECONDS.get(unit.removesuffix("s"))
    if seconds is None:
        raise UnusableTerm(f"unit {unit[:20]!r} is no time; name second, minute, hour or day")
    if not 0 < figure * seconds < _MOST_SECONDS:
        raise UnusableTerm(f"{figure:g} {unit} is no time to restore anything in")
    limit = timedelta(seconds=figure * seconds)
    return ServiceTarget(item.id, item.name, measure, period, None, limit, priority, *days)


def zone_of(calendars: Iterable[ServiceCalendar]) -> ZoneInfo:
    """The time zone that days and periods are told in: of several the first by name; UTC without a calendar."""
    return min((calendar.zone for calendar in calendars), key=str, default=ZoneInfo("UTC"))


def holds(days: tuple[date | None, date | None], span: Span, zone: ZoneInfo) -> bool:
    """Whether any day from the first to the last of `days` (None: no bound) has a part of the span."""
    first, last = days
    begins, ends = (moment.astimezone(zone).date() for moment in (span.start, span.end - _LEAST))
    return (first is None or first <= ends) and (last is None or begins <= last)


@dataclass(frozen=True, slots=True)
class ServiceAgreement:
    """An agreement; `calendars`: when it wants the service there; `first`, `last`: the days on which it holds."""

    id: str
    calendars: Calendars
    targets: tuple[ServiceTarget, ...]
    first: date | None = None
    last: date | None = None

    @property
    def zone(self) -> ZoneInfo:
        """Where its days begin."""
        return zone_of(self.calendars)

    def while_holds(self, target: ServiceTarget) -> ServiceAgreement:
        """The same for as long as one of its targets holds too."""
        firsts = [day for day in (self.first, target.first) if day is not None]
        lasts = [day for day in (self.last, target.last) if day is not None]
        return replace(self, first=max(firsts, default=None), last=min(lasts, default=None))

    def holding(self, span: Span) -> Span | None:
        """The part of a span in which it holds; None where there is none."""
        start, end = span.start, span.end
        if self.first is not None:
            start = max(start, midnight(self.first, self.zone))
        if self.last is not None:
            end = min(end, midnight(self.last + timedelta(days=1), self.zone))
        return Span(start, end) if start < end else None


@dataclass(frozen=True, slots=True)
class ServiceLevels:
    """What is agreed about one service. `own`: its own calendars, which go before those of its agreements.

    `unknown`: nobody knows when it is to be there, since of the calendars that say so none can be used.
    """

    own: Calendars = frozenset()
    agreements: tuple[ServiceAgreement, ...] = ()
    unknown: bool = False

    @property
    def calendars(self) -> Calendars:
        """By which it is to be there; none: round the clock, which one agreement without a calendar makes it."""
        if self.own or not all(agreement.calendars for agreement in self.agreements):
            return self.own
        return frozenset(calendar for agreement in self.agreements for calendar in agreement.calendars)

    def hours(
        self, span: Span, hours_of: Callable[[Calendars, Span], Sequence[Span]] = service_hours
    ) -> list[Span]:
        """When in a span it is to be there: by its own calendars; else by its agreements, while they hold; else always.

        Raises `BadRequest` where the span is too long.
        """
        if self.own or not self.agreements:
            return list(hours_of(self.own, span))
        held = ((a.calendars, part) for a in self.agreements if (part := a.holding(span)) is not None)
        return unite(hours for calendars, part in held for hours in hours_of(calendars, part))


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
class ServiceLoss:
    """What a failure takes of one service: agreed time, and what is left of each target."""

    service: str
    lost: timedelta
    targets: tuple[TargetOutlook, ...]


class Late(Exception):
    """There is no more time to work something out."""


def service_losses(
    services: Mapping[str, ServiceLevels],
    failure: Failure,
    outages: Mapping[str, Sequence[Outage]],
    *,
    late: Callable[[], bool] = lambda: False,
) -> list[ServiceLoss]:
    """What a failure takes of each service that it takes down, in the order given, by its outages on record.

    Once it is `late`, the services that are left are left out.
    """
    work = _Judging(failure, late)
    found: list[ServiceLoss] = []
    try:
        for service, levels in services.items():
            found.append(work.loss(service, levels, outages.get(service, ())))
    except Late:
        pass
    return found


def touched_by(services: Iterable[ServiceLevels], failure: Span) -> Span:
    """The time whose outages matter for what a failure takes: from the beginning of the first period it touches to the
    end of the last."""
    ends = [
        (
            period_at(target.period, failure.start, agreement.zone)[1].start,
            period_at(target.period, failure.end, agreement.zone)[1].end,
        )
        for agreement in {a for levels in services for a in levels.agreements}
        for target in agreement.targets
        if target.share is not None
    ]
    return Span(
        min((start for start, _ in ends), default=failure.start),
        max((end for _, end in ends), default=failure.end),
    )


def periods_of(
    agreement: ServiceAgreement, target: ServiceTarget, failure: Span
) -> Iterator[tuple[str, Span]]:
    """The calendar periods that a failure touches, in order, with their labels."""
    moment = failure.start
    while moment < failure.end:
        label, period = period_at(target.period, moment, agreement.zone)
        yield label, period
        moment = period.end


class _Judging:
    """The judgement of one failure. Service hours are worked out once for each set of calendars and each period."""

    def __init__(self, failure: Failure, late: Callable[[], bool]) -> None:
        self._failure = failure
        self._late = late
        self._hours: dict[tuple[Calendars, Span], tuple[Span, ...]] = {}

    def loss(self, service: str, levels: ServiceLevels, outages: Sequence[Outage]) -> ServiceLoss:
        """What it takes of one service. Raises `Late`."""
        now, span = self._failure.now, self._failure.span
        ended = [replace(o, end=max(o.start, now)) if o.end is None else o for o in outages]
        agreed = measure_availability(ended, span, hours=levels.hours(span, self._hours_of)).agreed
        targets = [
            outlook
            for agreement in levels.agreements
            for target in agreement.targets
            if (outlook := self._outlook(agreement.while_holds(target), target, ended)) is not None
        ]
        return ServiceLoss(service, agreed, tuple(targets))

    def _hours_of(self, calendars: Calendars, span: Span) -> tuple[Span, ...]:
        key = calendars, span
        if key not in self._hours:
            self._hours[key] = service_hours(*key)
        return self._hours[key]

    def _outlook(
        self, agreement: ServiceAgreement, target: ServiceTarget, outages: Sequence[Outage]
    ) -> TargetOutlook | None:
        """The worst of the periods in which the failure takes anything; None where the agreement holds in none."""
        if target.limit is not None:
            return self._restored(agreement, target, target.limit, outages)
        judged = []
        for label, whole in periods_of(agreement, target, self._failure.span):
            if self._late():
                raise Late
            period = agreement.holding(whole)
            if period is not None:
                judged.append(self._available(agreement, target, label, period, outages))
        return min(judged, key=lambda found: (found.lost == NOTHING, found.rank), default=None)

    def _available(
        self,
        agreement: ServiceAgreement,
        target: ServiceTarget,
        label: str,
        period: Span,
        outages: Sequence[Outage],
    ) -> TargetOutlook:
        span = self._failure.span
        hours = self._hours_of(agreement.calendars, period)
        before = measure_availability(outages, period, target.share, hours=hours)
        this = Outage("", OUTAGE, span.start, span.end)
        after = measure_availability([*before.outages, this], period, target.share, hours=hours)
        allowed = before.allowed_down or NOTHING
        return TargetOutlook(
            agreement.id, target, label, period, allowed, before.down, after.down - before.down
        )

    def _restored(
        self, agreement: ServiceAgreement, target: ServiceTarget, limit: timedelta, outages: Sequence[Outage]
    ) -> TargetOutlook | None:
        """Counted from the beginning of the outage that the failure goes on with, if there is one."""
        if self._late():
            raise Late
        holding = agreement.holding(self._failure.span)
        if holding is None:
            return None
        start, now = holding.start, self._failure.now
        begun = min(
            (
                o.start
                for o in outages
                if o.kind == OUTAGE and o.end is not None and o.start < start
                if start < o.end or start == o.end == now  # which still runs
            ),
            default=start,
        )
        before = agreement.holding(Span(max(begun, start - LONGEST), start)) if begun < start else None
        return TargetOutlook(
            agreement.id,
            target,
            None,
            holding,
            limit,
            self._agreed(agreement, before, outages) if before is not None else NOTHING,
            self._agreed(agreement, holding, outages),
        )

    def _agreed(self, agreement: ServiceAgreement, span: Span, outages: Sequence[Outage]) -> timedelta:
        return measure_availability(outages, span, hours=self._hours_of(agreement.calendars, span)).agreed


_MOST_SECONDS = 86_400 * 366 * 100
_LEAST = timedelta(microseconds=1)
