"""Reading what is agreed with customers about services: agreements that hold, with their calendars and targets.

Promises: nothing is used that the caller may not see, now or as of any revision, through the reader that is given.
What makes no sense is set aside with the reason; an agreement whose hours are unknown is set aside with them, not taken
to be round the clock.

Whose hours: those of the calendars that apply to a service (APPLIES_TO) or that it is GOVERNED_BY itself; else those of
its agreements, together, where one without a calendar means round the clock. An agreement goes by its own calendars,
else by its service's.

Does not: count agreements of other kinds (`operational`, `supplier`) or contracts, which say what others owe us.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Item
from cmdb.model.service_calendar import Calendars, UnusableTerm, read_calendar, validity
from cmdb.model.service_levels import (
    ServiceAgreement,
    ServiceLevels,
    ServiceTarget,
    holds,
    read_target,
    zone_of,
)
from cmdb.model.spans import Span
from cmdb.store.filters import IsA
from cmdb.store.neighbours import See, all_related
from cmdb.store.reading import EstateReader

CALENDAR, TARGET, AGREEMENT = "ServiceCalendar", "ServiceLevelTarget", "ServiceLevelAgreement"
GOVERNED_BY, APPLIES_TO, TARGET_OF = "GOVERNED_BY", "APPLIES_TO", "TARGET_OF"
CUSTOMER = "customer"
"""The kind of an agreement with a customer; also that of one that says nothing."""
UNSETTLED = frozenset({"draft", "terminated"})
"""Lifecycles in which an agreement does not hold, whatever its days say."""
HOURS_UNKNOWN = "its hours are unknown: of its service calendars none can be used"
MOST_CALENDARS, MOST_TARGETS = 10, 100
"""Of one service or agreement; those beyond are set aside."""
T = TypeVar("T")
Related = Mapping[str, Sequence[Item]]


@dataclass(frozen=True, slots=True)
class SetAside:
    """Something that was left out, and why."""

    id: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class AgreedLevels:
    """What is agreed, by service; agreements and targets by id; what was set aside, by id."""

    services: Mapping[str, ServiceLevels]
    items: Mapping[str, Item]
    set_aside: Mapping[str, SetAside]


async def read_service_levels(
    reader: EstateReader,
    catalogue: Catalogue,
    services: Sequence[str],
    during: Span,
    see: See,
    *,
    targets: bool = True,
) -> AgreedLevels:
    """What is agreed about services and holds at some time `during` a span; `targets`: with the targets."""

    async def related(relationship: str, outgoing: bool, *classes: str, of: Sequence[str]) -> Related:
        return await all_related(reader, relationship, outgoing, IsA(classes), of)

    governing = await related(GOVERNED_BY, True, AGREEMENT, CALENDAR, of=services)
    applying = await related(APPLIES_TO, False, CALENDAR, of=services)
    agreements = list(
        {
            item.id: None
            for found in governing.values()
            for item in found
            if catalogue.is_a(item.class_name, AGREEMENT)
        }
    )
    theirs = await related(GOVERNED_BY, True, CALENDAR, of=agreements)
    clauses = await related(TARGET_OF, False, TARGET, of=agreements if targets else ())
    reading = _Reading(catalogue, during, see)
    return await asyncio.to_thread(reading.levels, services, governing, applying, theirs, clauses)


@dataclass(slots=True)
class _Reading:
    """Makes sense of what was read for one answer: each calendar, agreement and target once."""

    catalogue: Catalogue
    during: Span
    see: See
    items: dict[str, Item] = field(default_factory=dict)
    set_aside: dict[str, SetAside] = field(default_factory=dict)
    _read: dict[str, object] = field(default_factory=dict)

    def levels(
        self,
        services: Sequence[str],
        governing: Related,
        applying: Related,
        theirs: Related,
        clauses: Related,
    ) -> AgreedLevels:
        """What is agreed about each service."""
        levels = {}
        for service in services:
            governed = [self.see(item) for item in governing[service]]
            own = self._calendars([*applying[service], *self._of(governed, CALENDAR)])
            agreed = [
                agreement
                for item in self._of(governed, AGREEMENT)
                if self._in_force(item) and item.attributes.get("kind", CUSTOMER) == CUSTOMER
                if (agreement := self._agreement(item, own, theirs, clauses)) is not None
            ]
            unknown = not own and not agreed and (own is None or self._left_hours_out(governed))
            levels[service] = ServiceLevels(own or frozenset(), tuple(agreed), unknown)
        return AgreedLevels(levels, self.items, self.set_aside)

    def _agreement(
        self, item: Item, own: Calendars | None, theirs: Related, clauses: Related
    ) -> ServiceAgreement | None:
        """One agreement about a service whose own calendars are `own`; None where its hours or days are unknown."""
        days = self._once(item, validity)
        calendars = self._calendars(theirs[item.id]) if theirs[item.id] else own
        if days is None or not holds(days, self.during, zone_of(calendars or ())):
            return None
        if calendars is None:
            self._leave_out(item, HOURS_UNKNOWN)
            return None
        self.items[item.id] = item
        zone, targets = zone_of(calendars), list[ServiceTarget]()
        for clause in map(self.see, clauses.get(item.id, ())):
            target = self._once(clause, read_target) if self._in_force(clause) else None
            if target is None or not holds((target.first, target.last), self.during, zone):
                continue
            if len(targets) == MOST_TARGETS:
                self._leave_out(clause, f"its agreement has more than {MOST_TARGETS} targets")
                continue
            self.items[clause.id] = clause
            targets.append(target)
        return ServiceAgreement(item.id, calendars, tuple(targets), *days)

    def _calendars(self, items: Iterable[Item]) -> Calendars | None:
        """Those that can be read; None where there are some, and none that can be holds at any time of the span.

        One that does not is wanted all the same: the period of a target is longer.
        """
        found = [self.see(item) for item in items]
        usable = [
            calendar
            for item in found
            if self._in_force(item)
            if (calendar := self._once(item, read_calendar)) is not None
        ]
        holding = [c for c in usable if holds((c.first, c.last), self.during, c.zone)]
        if found and not holding:
            for item in found:
                self._leave_out(item, "it does not hold then")
            return None
        usable.sort(key=lambda calendar: (calendar not in holding, calendar.id))
        beyond = {calendar.id for calendar in usable[MOST_CALENDARS:]}
        for item in found:
            if item.id in beyond:
                self._leave_out(item, f"more than {MOST_CALENDARS} calendars are of one service or agreement")
        return frozenset(usable[:MOST_CALENDARS])

    def _once(self, item: Item, read: Callable[[Item], T]) -> T | None:
        """What an item tells of; None, and noted, where that makes no sense."""
        if item.id not in self._read:
            try:
                self._read[item.id] = read(item)
            except UnusableTerm as error:
                self._leave_out(item, str(error))
                self._read[item.id] = None
        found: Any = self._read[item.id]
        return cast("T | None", found)

    def _left_hours_out(self, governed: Iterable[Item]) -> bool:
        """Whether an agreement among these was set aside for its hours."""
        return any(
            item.id in self.set_aside and self.set_aside[item.id].reason == HOURS_UNKNOWN for item in governed
        )

    def _leave_out(self, item: Item, reason: str) -> None:
        self.set_aside.setdefault(item.id, SetAside(item.id, item.name, reason))

    def _of(self, items: Iterable[Item], class_name: str) -> list[Item]:
        return [item for item in items if self.catalogue.is_a(item.class_name, class_name)]

    def _in_force(self, item: Item) -> bool:
        """By its lifecycle: neither a draft nor terminated, nor expired, unless its days say until when it held."""
        closed = self.catalogue.classes[item.class_name].lifecycle.closed
        if item.lifecycle in UNSETTLED:
            return False
        return item.lifecycle not in closed or item.attributes.get("valid_until") is not None
