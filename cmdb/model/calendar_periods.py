"""Days, weeks, months, quarters and years by the calendar, as spans of real time that begin at midnight somewhere."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from cmdb.model.spans import Span

PERIODS = ("day", "week", "month", "quarter", "year")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def period_at(period: str, moment: datetime, zone: ZoneInfo) -> tuple[str, Span]:
    """The calendar period, one of `PERIODS`, that a moment lies in, and its label; weeks begin on Monday."""
    begin, after = _around(period, moment.astimezone(zone).date())
    return _label(period, begin), Span(midnight(begin, zone), midnight(after, zone))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _around(period: str, day: date) -> tuple[date, date]:
    """The first day of the period that a day lies in, and the first of the next."""
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
