"""By which service hours an answer went, and what of the agreements it could not read."""

from __future__ import annotations

from typing import Self

import strawberry

from cmdb.model.service_calendar import Calendars
from cmdb.store.service_levels import AgreedLevels

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


@strawberry.type(name="UnusableTerm", description="A calendar or target that was set aside, and why.")
class UnusableTermType:
    """One of `cmdb.store.service_levels.AgreedLevels.unusable`."""

    id: strawberry.ID
    name: str
    reason: str

    @classmethod
    def of(cls, levels: AgreedLevels) -> list[Self]:
        """The same for GraphQL, in order of names; the first hundred."""
        found = [
            cls(id=strawberry.ID(item), name=levels.items[item].name, reason=reason)
            for item, reason in levels.unusable.items()
        ]
        return sorted(found, key=lambda term: (term.name, term.id))[:MAX_SET_ASIDE]
