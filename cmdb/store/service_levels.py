"""Reading what is agreed about services: agreements in force with their calendars and targets.

Promises: four statements (and further ones where something has more than a thousand neighbours), now or as of any
revision, through the reader that is given. Nothing is used that the caller may not see.

Whose hours: those of the calendars that APPLY_TO a service or that it is GOVERNED_BY itself; else those of its
agreements, together, where one without a calendar means round the clock. An agreement goes by its own calendars,
else by its service's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Item
from cmdb.model.outages import read_instant
from cmdb.model.service_calendar import Calendars, UnusableTerm, read_calendar
from cmdb.model.service_levels import ServiceAgreement, ServiceLevels, read_target
from cmdb.model.spans import Span
from cmdb.store.filters import IsA
from cmdb.store.neighbours import See, all_related
from cmdb.store.reading import EstateReader

CALENDAR, TARGET = "ServiceCalendar", "ServiceLevelTarget"
AGREEMENTS = ("ServiceLevelAgreement", "Contract")
GOVERNED_BY, APPLIES_TO, TARGET_OF = "GOVERNED_BY", "APPLIES_TO", "TARGET_OF"
DRAFT = "draft"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AgreedLevels:
    """What is agreed, by service; agreements and calendars by id; calendars and targets set aside, with why."""

    services: Mapping[str, ServiceLevels]
    items: Mapping[str, Item]
    unusable: Mapping[str, str]


async def read_service_levels(
    reader: EstateReader, catalogue: Catalogue, services: Sequence[str], during: Span, see: See
) -> AgreedLevels:
    """What is agreed about services and in force at some time `during` a span."""
    work = _Reading(reader, catalogue, during, see)
    of_services = await work.related(GOVERNED_BY, True, (*AGREEMENTS, CALENDAR), services)
    applying = await work.related(APPLIES_TO, False, (CALENDAR,), services)
    agreements = list(
        dict.fromkeys(a.id for found in of_services.values() for a in work.of(found, *AGREEMENTS))
    )
    theirs = await work.related(GOVERNED_BY, True, (CALENDAR,), agreements)
    targets = await work.related(TARGET_OF, False, (TARGET,), agreements)
    levels = {}
    for service in services:
        own = work.calendars([*applying[service], *work.of(of_services[service], CALENDAR)])
        agreed = tuple(
            ServiceAgreement(
                a.id,
                work.calendars(theirs[a.id]) or own,
                tuple(target for item in targets[a.id] if (target := work.read(read_target, item))),
            )
            for a in work.of(of_services[service], *AGREEMENTS)
        )
        levels[service] = ServiceLevels(own or _together(agreed), agreed)
    return AgreedLevels(levels, work.items, work.unusable)


class _Reading:
    """What was read for one answer, and what of it was set aside."""

    def __init__(self, reader: EstateReader, catalogue: Catalogue, during: Span, see: See) -> None:
        self._reader, self._catalogue, self._during, self._see = reader, catalogue, during, see
        self.items: dict[str, Item] = {}
        self.unusable: dict[str, str] = {}

    async def related(
        self, relationship: str, outgoing: bool, classes: tuple[str, ...], parents: Sequence[str]
    ) -> dict[str, list[Item]]:
        """The neighbours of these classes that are in force, by parent."""
        found = await all_related(self._reader, relationship, outgoing, IsA(classes), parents)
        in_force = {}
        for parent, neighbours in found.items():
            in_force[parent] = [item for item in map(self._see, neighbours) if self._in_force(item)]
            self.items |= {item.id: item for item in in_force[parent]}
        return in_force

    def of(self, items: Iterable[Item], *classes: str) -> list[Item]:
        """Those of some classes."""
        return [
            item for item in items if any(self._catalogue.is_a(item.class_name, name) for name in classes)
        ]

    def calendars(self, items: Iterable[Item]) -> Calendars:
        """Those that can be read."""
        return frozenset(c for item in items if (c := self.read(read_calendar, item)) is not None)

    def read(self, read: Callable[[Item], T], item: Item) -> T | None:
        """What an item tells of; None, and noted, where that makes no sense."""
        try:
            return read(item)
        except UnusableTerm as error:
            self.unusable[item.id] = str(error)
            return None

    def _in_force(self, item: Item) -> bool:
        """Whether it holds at some time of the span: neither a draft nor over; days are whole ones, in UTC."""
        item_class = self._catalogue.classes.get(item.class_name)
        if item_class is None or item.lifecycle == DRAFT or item.lifecycle in item_class.lifecycle.closed:
            return False
        begins = read_instant(item.attributes.get("valid_from"))
        last = read_instant(item.attributes.get("valid_until"))
        if begins is not None and begins >= self._during.end:
            return False
        return last is None or last.date() >= self._during.start.date()


def _together(agreements: Sequence[ServiceAgreement]) -> Calendars:
    """The calendars of all; none, which is round the clock, where one has none."""
    if not all(agreement.calendars for agreement in agreements):
        return frozenset()
    return frozenset(calendar for agreement in agreements for calendar in agreement.calendars)
