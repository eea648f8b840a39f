"""Reading what is down by the records: outages that run, changes being implemented, incidents that are open.

Promises: now or as of any revision, through the reader that is given, with nothing that the caller may not see; every
item is told with the records that say so, so that nobody has to believe it.

What a record says is down: the configuration items it AFFECTS and those it was CAUSED_BY.
* An outage: while it runs (a degradation is no outage; agreed maintenance is one). As for `read_outage`, one without an
  end is over when its record was closed.
* A change: while it is being implemented, if its effect is an outage or a restart.
* An incident: until it is resolved. It may be no more than a loss of quality; who asks for incidents takes the worst.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Self

from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue
from cmdb.model.items import Item
from cmdb.model.outages import DEGRADATION
from cmdb.model.values import format_instant
from cmdb.store.filters import EVERYTHING, AllOf, AnyOf, Comparison, Condition, IsA, Not
from cmdb.store.neighbours import See, all_related
from cmdb.store.reading import EstateReader, Order, PageRequest, item_cursor
from cmdb.store.reliability import AFFECTS, CAUSED_BY, COMPONENT

MOST_RECORDS = 1_000
"""Of one kind; with more it is no use to take each for a failure."""
PAGE = 100
"""Records in one statement: objects are made in the event loop, some 15 us each."""
IMPLEMENTING = "implementing"
HARMLESS = ("reduced_redundancy", "none")
"""Effects of a change that take nothing down."""
RESOLVED = "resolved"


class RecordKind(Enum):
    """Which records are asked; the value is their class."""

    OUTAGES = "Outage"
    CHANGES = "Change"
    INCIDENTS = "Incident"


@dataclass(frozen=True, slots=True)
class DownOnRecord:
    """Records in order of kind and name, each with the ids of the items it says are down, at least one, in order."""

    records: tuple[tuple[Item, tuple[str, ...]], ...] = ()

    @property
    def items(self) -> frozenset[str]:
        """All that is down by any of them."""
        return frozenset(item for _, items in self.records for item in items)

    def only(self, wanted: Callable[[str], bool]) -> Self:
        """The same of the items that are wanted alone."""
        kept = ((record, tuple(filter(wanted, items))) for record, items in self.records)
        return type(self)(tuple((record, items) for record, items in kept if items))


async def read_down(
    reader: EstateReader, catalogue: Catalogue, kinds: Collection[RecordKind], moment: datetime, see: See
) -> DownOnRecord:
    """What these kinds of records say is down at the reader's moment, which is `moment`.

    Raises `BadRequest` where more than `MOST_RECORDS` records of a kind do.
    """
    found: list[tuple[Item, tuple[str, ...]]] = []
    for kind in RecordKind:
        if kind not in kinds:
            continue
        records = {record.id: record for record in await _records(reader, catalogue, kind, moment)}
        affected = await all_related(reader, AFFECTS, True, IsA((COMPONENT,)), list(records))
        blamed = dict[str, list[Item]]()
        if kind is not RecordKind.CHANGES:
            blamed = await all_related(reader, CAUSED_BY, True, IsA((COMPONENT,)), list(records))
        for record_id, record in records.items():
            items = {item.id for item in (*affected[record_id], *blamed.get(record_id, ()))}
            if items:
                found.append((see(record), tuple(sorted(items))))
    return DownOnRecord(tuple(found))


async def _records(
    reader: EstateReader, catalogue: Catalogue, kind: RecordKind, moment: datetime
) -> list[Item]:
    """The records of a kind that run at a moment, in order of names."""
    where, order = _running(catalogue, kind, format_instant(moment)), Order()
    found: list[Item] = []
    after: str | None = None
    while True:
        page = await reader.page(PageRequest(kind.value, where, order, PAGE, after))
        found += page.items
        if len(found) > MOST_RECORDS:
            raise BadRequest(
                f"more than {MOST_RECORDS:,} {kind.name.lower()} say that something is down; "
                "leave them out, and name what is down with alreadyDown"
            )
        if not page.has_next:
            return found
        after = item_cursor(page.items[-1], order)


def _running(catalogue: Catalogue, kind: RecordKind, moment: str) -> Condition:
    closed = sorted(catalogue.item_class(kind.value).lifecycle.closed)

    def not_over(attribute: str, otherwise: Condition = EVERYTHING) -> Condition:
        """Its end by an attribute is to come; `otherwise` holds where it has none."""
        missing = AllOf((Comparison(attribute, "exists", False), otherwise))
        return AnyOf((Comparison(attribute, "gt", moment), missing))

    match kind:
        case RecordKind.OUTAGES:
            return AllOf(
                (
                    Not(Comparison("lifecycle", "in", closed)),
                    Comparison("kind", "ne", DEGRADATION),
                    Comparison("started_at", "lte", moment),
                    not_over("ended_at", not_over("closed_at")),
                )
            )
        case RecordKind.CHANGES:
            return AllOf(
                (
                    Comparison("lifecycle", "eq", IMPLEMENTING),
                    Not(Comparison("effect", "in", list(HARMLESS))),
                    not_over("actual_end"),
                )
            )
        case RecordKind.INCIDENTS:
            return AllOf((Not(Comparison("lifecycle", "in", [*closed, RESOLVED])), not_over("resolved_at")))
