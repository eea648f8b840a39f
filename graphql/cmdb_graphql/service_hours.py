"""By which service hours an answer went, and what of the agreements and outages it could not use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import strawberry

from cmdb.model.service_calendar import Calendars
from cmdb.store.service_levels import SetAside

MAX_SET_ASIDE = 100


@strawberry.type(name="ServiceHours", description="A service calendar that an answer went by.")
class ServiceHoursType:
    """`cmdb.model.service_calendar.ServiceCalendar`."""

    id: strawberry.ID
    name: str
    time_zone: str

    @classmethod
    def of(cls, calendars: Calendars) -> list[Self]:
        """The same for GraphQL, in order of names."""
        ordered = sorted(calendars, key=lambda calendar: (calendar.name, calendar.id))
        return [cls(id=strawberry.ID(c.id), name=c.name, time_zone=c.zone.key) for c in ordered]


@strawberry.type(
    name="SetAside", description="A calendar, agreement, target or outage that was left out, and why."
)
class SetAsideType:
    """`cmdb.store.service_levels.SetAside`."""

    id: strawberry.ID
    name: str
    reason: str

    @classmethod
    def of(cls, found: Iterable[SetAside]) -> list[Self]:
        """The same for GraphQL, in order of names; the first hundred."""
        first = sorted(found, key=lambda item: (item.name, item.id))[:MAX_SET_ASIDE]
        return [cls(id=strawberry.ID(item.id), name=item.name, reason=item.reason) for item in first]
