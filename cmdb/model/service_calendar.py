"""Service calendars: the hours in which a service is agreed to be there.

Promises: any period is laid over local hours as real time, also where clocks are changed: a local time that occurs
twice is its first occurrence, and one that is skipped is read with the offset before the change (RFC 5545, 3.3.5). A
calendar that cannot be read is refused with the reason, never guessed.

Does not: know whose calendar it is; see `cmdb.model.service_levels`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cmdb.errors import BadRequest
from cmdb.model.items import Item
from cmdb.model.spans import Span, shared, unite

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = timedelta(days=5 * 366)
"""The longest period that is laid over hours, day by day."""
MOST_RANGES = 8
"""Parts of the hours of a day."""
MOST_TEXT = 10_000
"""Characters of hours as they are stored."""

Minutes = tuple[int, int]
"""From and to, in minutes since midnight; what goes on after midnight ends beyond 1440."""
_DAY = 24 * 60
_RANGE = re.compile(r"(\d\d):([0-5]\d)\s*-\s*(\d\d):([0-5]\d)")


class UnusableTerm(ValueError):
    """A calendar or a target cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class ServiceCalendar:
    """`hours`: service hours of each weekday, Monday first; those that begin on one of the `holidays` do not hold, nor
    those that begin before the `first` day or after the `last`."""

    id: str
    name: str
    zone: ZoneInfo
    hours: tuple[tuple[Minutes, ...], ...]
    holidays: frozenset[date] = frozenset()
    first: date = date.min
    last: date = date.max

    def agreed(self, period: Span) -> list[Span]:
        """The service hours in a period. Raises `BadRequest` where it is longer than `LONGEST`."""
        if period.length > LONGEST:
            raise BadRequest(
                f"the period is longer than the {LONGEST.days} days that are laid over a service calendar"
            )
        try:
            return shared([period], self._around(period))
        except OverflowError:
            raise BadRequest("the period is too near to the first or the last year there is") from None

    def _around(self, period: Span) -> Iterator[Span]:
        """The hours of all days that may have a part in the period."""
        day = period.start.astimezone(self.zone).date() - timedelta(
            days=1
        )  # what begins in the evening before
        last = period.end.astimezone(self.zone).date()
        while day <= last:
            if self.first <= day <= self.last and day not in self.holidays:
                midnight = datetime.combine(day, time(), self.zone)
                for begin, end in self.hours[day.weekday()]:
                    # Arithmetic within one zone is that of the clock on the wall.
                    start, stop = midnight + timedelta(minutes=begin), midnight + timedelta(minutes=end)
                    yield Span(start.astimezone(UTC), stop.astimezone(UTC))
            day += timedelta(days=1)


Calendars = frozenset[ServiceCalendar]
"""Their hours together; none: round the clock."""


def service_hours(calendars: Calendars, period: Span) -> tuple[Span, ...]:
    """The time in a period that any of these calendars has; all of it where there is none. Raises `BadRequest`."""
    if not calendars:
        return (period,)
    return tuple(unite(span for calendar in calendars for span in calendar.agreed(period)))


def read_calendar(item: Item) -> ServiceCalendar:
    """The calendar that an item tells of; without `time_zone` in UTC, without `hours` round the clock.

    Raises `UnusableTerm`.
    """
    name = str(item.attributes.get("time_zone") or "UTC")
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnusableTerm(f"time_zone {name[:60]!r} is unknown; name one such as Europe/Berlin") from None
    days = item.attributes.get("holidays", ())
    try:
        holidays = frozenset(
            date.fromisoformat(str(day)) for day in (days if isinstance(days, list | tuple) else [days])
        )
    except ValueError:
        raise UnusableTerm("holidays has what is no day; write days such as 2026-12-25") from None
    hours = _read_hours(item.attributes.get("hours"))
    first, last = validity(item)
    return ServiceCalendar(item.id, item.name, zone, hours, holidays, first or date.min, last or date.max)


def validity(item: Item) -> tuple[date | None, date | None]:
    """The first and the last day on which an agreement holds; None: there is no bound.

    Raises `UnusableTerm`.
    """
    try:
        first, last = (
            date.fromisoformat(str(told)) if (told := item.attributes.get(name)) is not None else None
            for name in ("valid_from", "valid_until")
        )
    except ValueError:
        raise UnusableTerm("valid_from or valid_until is no day") from None
    # The first and the last year there is are how people write "always".
    return (
        first if first is not None and first.year > date.min.year else None,
        last if last is not None and last.year < date.max.year else None,
    )


def _read_hours(stored: object) -> tuple[tuple[Minutes, ...], ...]:
    """Service hours by weekday, Monday first."""
    if stored is None:
        return (((0, _DAY),),) * len(WEEKDAYS)
    if isinstance(stored, str) and len(stored) > MOST_TEXT:
        raise UnusableTerm(f"hours has {len(stored)} characters; at most {MOST_TEXT} are read")
    try:
        hours = json.loads(stored) if isinstance(stored, str) else stored
    except ValueError:
        hours = None
    if not isinstance(hours, Mapping):
        raise UnusableTerm("hours is no object; write such as {mon: ['08:00-18:00']}")
    unknown = sorted(str(day)[:20] for day in hours if day not in WEEKDAYS)
    if unknown:
        raise UnusableTerm(f"hours has {', '.join(unknown[:5])}; days are {', '.join(WEEKDAYS)}")
    return tuple(tuple(_read_ranges(day, hours.get(day, ()))) for day in WEEKDAYS)


def _read_ranges(day: str, ranges: object) -> Iterator[Minutes]:
    if not isinstance(ranges, list | tuple):
        raise UnusableTerm(f"hours of {day} is no list; write such as ['08:00-12:00', '13:00-18:00']")
    if len(ranges) > MOST_RANGES:
        raise UnusableTerm(f"hours of {day} has {len(ranges)} parts; at most {MOST_RANGES} are allowed")
    for text in ranges:
        found = _RANGE.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise UnusableTerm(f"hours of {day} has {str(text)[:30]!r}; write such as 08:00-18:00")
        begin, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        if begin >= _DAY or end > _DAY or begin == end:
            raise UnusableTerm(f"hours of {day} has {text!r}; times are 00:00 to 24:00, and differ")
        yield begin, end if end > begin else end + _DAY
