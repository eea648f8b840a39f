"""Outages as they are recorded, and what follows from them: time down, and the measured availability of a service.

Promises: time that several outages share is counted once; an outage that still runs lasts to the end of the period that
is asked about; agreed maintenance is neither service time nor down time; a degradation is not down time. An outage
without a usable beginning or end is set aside by name, never guessed.

Does not: know when a service is agreed to be there (it is given the hours), or read a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cmdb.model.items import Item
from cmdb.model.spans import Span, shared, total, unite
from cmdb.model.values import parse_instant

OUTAGE, DEGRADATION, PLANNED = "outage", "degradation", "planned"
"""The kinds of an outage record: gone; worse than agreed; agreed maintenance."""


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage record. `end` None: it still runs."""

    id: str
    kind: str
    start: datetime
    end: datetime | None = None

    def during(self, period: Span) -> Span | None:
        """Its part inside a period; None if there is none."""
        start = max(self.start, period.start)
        end = min(self.end, period.end) if self.end is not None else period.end
        return Span(start, end) if start < end else None


def read_outage(item: Item, closed: frozenset[str]) -> Outage | None:
    """The outage that a record tells of; None where its times make no sense.

    An end that is missing is when the record was closed; without that the outage runs, unless its lifecycle is one of
    `closed`: then nobody knows how long it was.
    """
    start = read_instant(item.attributes.get("started_at"))
    if start is None:
        return None
    ended = item.attributes.get("ended_at", item.attributes.get("closed_at"))
    end = read_instant(ended)
    if (end is None and item.lifecycle in closed) or (end is not None and end < start):
        return None
    return Outage(item.id, str(item.attributes.get("kind", OUTAGE)), start, end)


def read_instant(value: object) -> datetime | None:
    """The moment that a stored instant or day means (a day begins at midnight, UTC); None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = parse_instant(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OutageHistory:
    """How something fared: `outages` times down in `observed` seconds, for `down` seconds together."""

    observed: float
    outages: int
    down: float


def observe(outages: Iterable[Outage], observed: Span) -> OutageHistory | None:
    """What real outages (not degradations, not agreed maintenance) say of a time; None where there was none in it."""
    parts = (outage.during(observed) for outage in outages if outage.kind == OUTAGE)
    spans = unite(part for part in parts if part is not None)
    if not spans:
        return None
    return OutageHistory(observed.length.total_seconds(), len(spans), total(spans).total_seconds())


def observed_span(
    own: Iterable[Outage],
    *,
    recorded_since: datetime,
    in_service_since: datetime | None,
    known_since: datetime,
    until: datetime,
) -> Span:
    """The time over which outages of one thing would have been recorded.

    It begins when outages began to be recorded at all (`recorded_since`: the first of the estate), but not before the
    thing was there: from `in_service_since`; where nobody said so, from when the CMDB has known it or from its first
    outage.
    """
    there = in_service_since
    if there is None:
        there = min((outage.start for outage in own), default=known_since)
        there = min(there, known_since)
    return Span(min(max(recorded_since, there), until), until)


@dataclass(frozen=True, slots=True)
class MeasuredAvailability:
    """How available a service was in a period, by its outage records.

    `planned`: agreed maintenance in service hours. `agreed`: service hours without it. `down`: outages in agreed time.
    `degraded`: degradations in agreed time, without what was down. `outages`: all records that touch the period,
    earliest first.
    """

    period: Span
    agreed: timedelta
    down: timedelta
    planned: timedelta
    degraded: timedelta
    outages: tuple[Outage, ...]
    target: float | None = None

    @property
    def availability(self) -> float | None:
        """The share of agreed time in which it was not down; None where no time was agreed."""
        return 1.0 - self.down / self.agreed if self.agreed else None

    @property
    def allowed_down(self) -> timedelta | None:
        """How long it could have been down and met its target; None without a target."""
        return (1.0 - self.target) * self.agreed if self.target is not None else None

    @property
    def met(self) -> bool | None:
        """Whether it met its target; None without a target."""
        allowed = self.allowed_down
        return self.down <= allowed if allowed is not None else None


def measure_availability(
    outages: Sequence[Outage],
    period: Span,
    target: float | None = None,
    *,
    hours: Sequence[Span] | None = None,
) -> MeasuredAvailability:
    """The availability of a service over a period, from the outages that are recorded of it.

    `hours`: when in the period the service is agreed to be there; None: all the time. Availability = agreed time
    without outage / agreed time; what falls into agreed maintenance is in neither.
    """
    hours = [period] if hours is None else hours
    parts: dict[str, list[Span]] = {OUTAGE: [], DEGRADATION: [], PLANNED: []}
    touching = []
    for outage in sorted(outages, key=lambda o: (o.start, o.id)):
        part = outage.during(period)
        if part is not None:
            touching.append(outage)
            parts.setdefault(outage.kind, []).append(part)
    planned = total(shared(hours, parts[PLANNED]))
    out = total(shared(hours, parts[PLANNED] + parts[OUTAGE]))
    worse = total(shared(hours, parts[PLANNED] + parts[OUTAGE] + parts[DEGRADATION]))
    return MeasuredAvailability(
        period=period,
        agreed=total(hours) - planned,
        down=out - planned,
        planned=planned,
        degraded=worse - out,
        outages=tuple(touching),
        target=target,
    )
