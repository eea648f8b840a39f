"""Reading what availability figures rest on: what items declare, and the outages on record.

Promises: a fixed number of statements (and a further one for each page of a thousand outages), now or as of any
revision, through the reader that is given. Nothing is used that the caller may not see.

Whose outage it was: that of the configuration items it was CAUSED_BY, if it names any; else that of what it AFFECTS.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Item
from cmdb.model.outages import (
    Outage,
    OutageHistory,
    observe,
    observed_span,
    read_instant,
    read_outage,
)
from cmdb.model.reliability import ComponentFigure, Declared, component_figure
from cmdb.model.spans import Span
from cmdb.model.values import format_instant
from cmdb.store.filters import AllOf, AnyOf, Comparison, IsA
from cmdb.store.neighbours import See, all_related
from cmdb.store.reading import EstateReader, Order, PageRequest

COMPONENT, OUTAGE = "ConfigurationItem", "Outage"
AFFECTS, CAUSED_BY = "AFFECTS", "CAUSED_BY"
DECLARABLE = ("availability", "mtbf", "mttr")


@dataclass(frozen=True, slots=True)
class ServiceOutages:
    """The outages of a service that touch a period, and the names of records whose times make no sense, by id."""

    outages: tuple[Outage, ...]
    unusable: Mapping[str, str]


async def read_figures(
    reader: EstateReader,
    catalogue: Catalogue,
    ids: Sequence[str],
    until: datetime,
    see: See,
    recorded: Collection[str] | None = None,
) -> dict[str, tuple[Item, ComponentFigure]]:
    """The figures of these items at the reader's moment, which was `until`; items that do not exist are absent.

    `recorded`: those of them that outages are about, others may be among them; None where that is not known. Looking
    for the outages of an item costs several times what the item does.
    """
    items = {item_id: see(item) for item_id, item in (await reader.items(ids)).items()}
    components = {
        item_id: item
        for item_id, item in items.items()
        if item.class_name in catalogue.classes and catalogue.is_a(item.class_name, COMPONENT)
    }
    asked = [
        item_id
        for item_id, item in components.items()
        if catalogue.classes[item.class_name].reliability and (recorded is None or item_id in recorded)
    ]
    outages = await _outages_of(reader, catalogue, asked, see) if asked else {}
    since = await _recorded_since(reader, see) if any(outages.values()) else None
    figures = {}
    for item_id, item in items.items():
        history = _history(item, outages.get(item_id, ()), since or until, until)
        default = catalogue.classes[item.class_name].reliability if item_id in components else None
        declared = _declared(item) if item_id in components else Declared()
        figures[item_id] = (item, component_figure(declared, history, default))
    return figures


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


def _declared(item: Item) -> Declared:
    availability, mtbf, mttr = (_number(item.attributes.get(name)) for name in DECLARABLE)
    return Declared(
        availability, mtbf / 1_000 if mtbf is not None else None, mttr / 1_000 if mttr is not None else None
    )


def _number(value: object) -> float | None:
    """A stored number; None for what is none, as a value of the past may be whose attribute has another type now."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
