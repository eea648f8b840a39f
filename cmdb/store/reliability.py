"""Reading what availability figures rest on: what items declare, and the outages on record.

Promises: now or as of any revision, through the reader that is given; a fixed number of statements, and further ones
for each page of a hundred outages or of so many items. Nothing is used that the caller may not see.

Whose outage it was: that of the configuration items it was CAUSED_BY, if it names any; else that of what it AFFECTS.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Fields, Item
from cmdb.model.outages import (
    Outage,
    OutageHistory,
    observe,
    observed_span,
    read_instant,
    read_outage,
)
from cmdb.model.reliability import ClassDefault, ComponentFigure, Declared, component_figure
from cmdb.model.spans import Span
from cmdb.model.values import format_instant
from cmdb.store.filters import AllOf, AnyOf, Comparison, IsA
from cmdb.store.neighbours import See, all_related
from cmdb.store.reading import EstateReader, Order, PageRequest

COMPONENT, OUTAGE = "ConfigurationItem", "Outage"
AFFECTS, CAUSED_BY = "AFFECTS", "CAUSED_BY"
DECLARABLE = ("availability", "mtbf", "mttr")
VALUES_AT_ONCE, ITEMS_AT_ONCE = 2_000, 250
"""What is taken in at one go in the event loop, so that others get their turn between: some milliseconds."""

Hidden = Callable[[str], Set[str]]
"""The attributes of a class that somebody may not see."""


@dataclass(frozen=True, slots=True)
class ServiceOutages:
    """The outages of a service that touch a period, and the names of records whose times make no sense, by id."""

    outages: tuple[Outage, ...]
    unusable: Mapping[str, str]


async def read_figures(
    reader: EstateReader, catalogue: Catalogue, ids: Sequence[str], until: datetime, see: See
) -> dict[str, tuple[Item, ComponentFigure]]:
    """The figures of these items at the reader's moment, which was `until`; items that do not exist are absent."""
    items = {item_id: see(item) for item_id, item in (await reader.items(ids)).items()}
    asked = [i for i, item in items.items() if _default_of(catalogue, item.class_name) is not None]
    outages = await _outages_of(reader, catalogue, asked, see) if asked else {}
    since = await _recorded_since(reader, see) if any(outages.values()) else None
    figures = {}
    for item_id, item in items.items():
        history = _history(item, outages.get(item_id, ()), since or until, until)
        default = _default_of(catalogue, item.class_name)
        declared = _declared(item.attributes) if _is_component(catalogue, item.class_name) else Declared()
        figures[item_id] = (item, component_figure(declared, history, default))
    return figures


async def read_many_figures(
    reader: EstateReader,
    catalogue: Catalogue,
    classes: Mapping[str, str],
    until: datetime,
    see: See,
    hidden: Hidden,
    recorded: Set[str],
) -> list[ComponentFigure]:
    """What `read_figures` says, of tens of thousands of items in some tenths of a second, in the order given.

    `classes`: the class of each item by its id. `recorded`: the items that outages are about; others may be among
    them. Only of those are whole items read: of all others what they declare, if they do. An item that is gone
    meanwhile counts as its class does.
    """
    told: dict[str, Fields] = {}
    ids = list(classes)
    for start in range(0, len(ids), VALUES_AT_ONCE):
        told.update(await reader.values(ids[start : start + VALUES_AT_ONCE], DECLARABLE))
    known: dict[str, ComponentFigure] = {}
    about = [item_id for item_id in ids if item_id in recorded]
    for start in range(0, len(about), ITEMS_AT_ONCE):
        some = await read_figures(reader, catalogue, about[start : start + ITEMS_AT_ONCE], until, see)
        known.update((item_id, figure) for item_id, (_, figure) in some.items())

    def in_order() -> list[ComponentFigure]:
        defaults = {
            name: component_figure(Declared(), None, _default_of(catalogue, name))
            for name in set(classes.values())
        }
        for item_id in told.keys() - known.keys():
            fields = told[item_id]
            name = str(fields["class"])
            if _is_component(catalogue, name):
                seen = {key: value for key, value in fields.items() if key not in hidden(name)}
                known[item_id] = component_figure(_declared(seen), None, _default_of(catalogue, name))
        return [known.get(item_id) or defaults[class_name] for item_id, class_name in classes.items()]

    return await asyncio.to_thread(in_order)


async def read_service_outages(
    reader: EstateReader, catalogue: Catalogue, services: Sequence[str], period: Span, see: See
) -> dict[str, ServiceOutages]:
    """The outages of each service that touch a period."""
    touching = AllOf(
        (
            IsA((OUTAGE,)),
            Comparison("started_at", "lt", format_instant(period.end)),
            AnyOf(
                (
                    Comparison("ended_at", "exists", False),
                    Comparison("ended_at", "gt", format_instant(period.start)),
                )
            ),
        )
    )
    found = {}
    for service, records in (await all_related(reader, AFFECTS, False, touching, services)).items():
        read = {record.id: outage_of(catalogue, see(record)) for record in records}
        touched = [o for o in read.values() if o is not None and o.during(period) is not None]
        unusable = {record.id: record.name for record in records if read[record.id] is None}
        found[service] = ServiceOutages(tuple(touched), unusable)
    return found


async def _outages_of(
    reader: EstateReader, catalogue: Catalogue, ids: Sequence[str], see: See
) -> dict[str, list[Outage]]:
    """The outages that were these items' own."""
    affecting = await all_related(reader, AFFECTS, False, IsA((OUTAGE,)), ids)
    blaming = await all_related(reader, CAUSED_BY, False, IsA((OUTAGE,)), ids)
    listed = list({record.id for records in affecting.values() for record in records})
    blamed = await all_related(reader, CAUSED_BY, True, IsA((COMPONENT,)), listed)
    own = {}
    for item_id in ids:
        records = {record.id: record for record in blaming[item_id]}
        records |= {record.id: record for record in affecting[item_id] if not blamed[record.id]}
        read = (outage_of(catalogue, see(record)) for record in records.values())
        own[item_id] = [outage for outage in read if outage is not None]
    return own


async def _recorded_since(reader: EstateReader, see: See) -> datetime | None:
    """When the first outage of the estate began: since then they are recorded."""
    page = await reader.page(PageRequest(OUTAGE, order=Order("started_at"), first=1))
    return read_instant(see(page.items[0]).attributes.get("started_at")) if page.items else None


def _history(item: Item, own: Sequence[Outage], since: datetime, until: datetime) -> OutageHistory | None:
    if not own:
        return None
    span = observed_span(
        own,
        recorded_since=since,
        in_service_since=read_instant(item.attributes.get("in_service_since")),
        known_since=read_instant(item.created_at) or until,
        until=until,
    )
    return observe(own, span)


def outage_of(catalogue: Catalogue, record: Item) -> Outage | None:
    """The outage that a record tells of, by the lifecycle of its class; None where its times make no sense."""
    item_class = catalogue.classes.get(record.class_name)
    return read_outage(record, item_class.lifecycle.closed if item_class else frozenset())


def _is_component(catalogue: Catalogue, class_name: str) -> bool:
    return class_name in catalogue.classes and catalogue.is_a(class_name, COMPONENT)


def _default_of(catalogue: Catalogue, class_name: str) -> ClassDefault | None:
    """What the catalogue assumes of a class of components; None for every other class."""
    return catalogue.classes[class_name].reliability if _is_component(catalogue, class_name) else None


def _declared(values: Fields) -> Declared:
    availability, mtbf, mttr = (_number(values.get(name)) for name in DECLARABLE)
    return Declared(
        availability, mtbf / 1_000 if mtbf is not None else None, mttr / 1_000 if mttr is not None else None
    )


def _number(value: object) -> float | None:
    """A stored number; None for what is none, as a value of the past may be whose attribute has another type now."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
