"""What is down by the records of one revision: outages that run, changes being implemented, incidents that are open.

Promises: exact for the topology's revision; judged by what the caller may see; every item is told with the records
that say so, so that nobody has to believe it. Records that are about no configuration item, or whose lifecycle says
that they are over, are not read.

What a record says is down: the configuration items that it AFFECTS and those it was CAUSED_BY.
* An outage: while it runs, as `read_outage` has it. A degradation is no outage, agreed maintenance is one.
* A change: while its lifecycle is `implementing`, if its effect is an outage or a restart.
* An incident: until its lifecycle is `resolved` or one that ends it. One in its first lifecycle that has an end all the
  same was brought in as it is, and is over. It may be no more than a loss of quality; who asks for incidents takes the
  worst.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import numpy as np

from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue
from cmdb.model.columns import Int32s
from cmdb.model.items import Item
from cmdb.model.outages import DEGRADATION, read_instant
from cmdb.model.packed_columns import Kind
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.spans import Span
from cmdb.store.neighbours import See
from cmdb.store.reliability import AFFECTS, CAUSED_BY, COMPONENT, outage_of

MOST_RECORDS = 1_000
"""That say something is down, of one kind; and items that all together say it of. With more it is no use."""
MOST_READ = 10_000
"""Records of one kind whose lifecycle leaves it open whether they are over: they have to be read."""
PAGE = 100
"""Records that are read at once: objects are made in the event loop, some 15 us each."""
IMPLEMENTING, RESOLVED = "implementing", "resolved"
HARMLESS = frozenset({"reduced_redundancy", "none"})
"""Effects of a change that take nothing down."""
MOMENT = timedelta(microseconds=1)

Read = Callable[[Sequence[str]], Awaitable[Mapping[str, Item]]]
"""Items as they were at the topology's revision."""


class RecordKind(Enum):
    """Which records are asked; the value is their class."""

    OUTAGES = "Outage"
    CHANGES = "Change"
    INCIDENTS = "Incident"


@dataclass(frozen=True, slots=True, eq=False)
class DownOnRecord:
    """Records in order of kind, name and id, each with the items it says are down, at least one: their numbers in the
    topology, in order of their ids.
    """

    records: tuple[tuple[Item, Int32s], ...] = ()

    @property
    def numbers(self) -> Int32s:
        """All that is down by any of them, ascending."""
        return np.unique(np.concatenate([np.empty(0, np.int32), *(items for _, items in self.records)]))


async def read_down(
    read: Read,
    catalogue: Catalogue,
    topology: PackedTopology,
    kinds: Collection[RecordKind],
    moment: datetime,
    see: See,
    *,
    pinned: Set[str] = frozenset(),
) -> DownOnRecord:
    """What these kinds of records say is down at a moment; items that are `pinned` are not.

    Raises `BadRequest` for more than `MOST_READ` records of a kind that have to be read, more than `MOST_RECORDS` that
    say something is down, or as many items.
    """
    found: list[tuple[Item, Int32s]] = []
    for kind in RecordKind:
        if kind not in kinds:
            continue
        items = await asyncio.to_thread(_candidates, catalogue, topology, kind, pinned)
        _refuse_more(MOST_READ, len(items), f"{kind.name.lower()} about configuration items are not closed")
        ids, running = list(items), list[Item]()
        for start in range(0, len(ids), PAGE):
            records = (await read(ids[start : start + PAGE])).values()
            running += [record for record in map(see, records) if _runs(catalogue, kind, record, moment)]
        _refuse_more(MOST_RECORDS, len(running), f"{kind.name.lower()} say that something is down")
        running.sort(key=lambda record: (record.name, record.id))
        found += [(record, items[record.id]) for record in running]
    down = DownOnRecord(tuple(found))
    _refuse_more(MOST_RECORDS, len(down.numbers), "items are down by these records")
    return down


def _refuse_more(most: int, number: int, what: str) -> None:
    if number > most:
        raise BadRequest(
            f"{number:,} {what}, at most {most:,} are taken; close the records that are over, "
            "or ask fewer kinds of them and name what is down with alreadyDown"
        )


def _candidates(
    catalogue: Catalogue, topology: PackedTopology, kind: RecordKind, pinned: Set[str]
) -> dict[str, Int32s]:
    """The items that each record of a kind is about, unless its lifecycle says that it is over."""
    everything = np.arange(topology.size, dtype=np.int32)
    records = everything[topology.flags(everything, lambda k: _may_run(catalogue, kind, k))]
    causes = kind is not RecordKind.CHANGES
    near, far = topology.hops(
        records, lambda label: label.type == AFFECTS or (causes and label.type == CAUSED_BY)
    )
    components = catalogue.subclasses(COMPONENT)
    held = [number for item in pinned if (number := topology.number_of(item)) is not None]
    kept = topology.flags(far, lambda k: k.class_name in components) & ~np.isin(far, held)
    near, far = near[kept], far[kept]
    order = np.argsort(near, kind="stable")
    records, starts = np.unique(near[order], return_index=True)
    parts = np.split(far[order], starts[1:]) if len(records) else []
    about = {}
    for record, part in zip(records.tolist(), parts, strict=True):
        items = np.unique(part)
        about[topology.id_of(record)] = items[topology.by_id(items)]
    return about


def _may_run(catalogue: Catalogue, kind: RecordKind, found: Kind) -> bool:
    item_class = catalogue.classes.get(found.class_name)
    if item_class is None or not catalogue.is_a(item_class.name, kind.value):
        return False
    match kind:
        case RecordKind.CHANGES:
            return found.lifecycle == IMPLEMENTING
        case RecordKind.INCIDENTS:
            return found.lifecycle not in item_class.lifecycle.closed | {RESOLVED}
        case RecordKind.OUTAGES:
            return found.lifecycle not in item_class.lifecycle.closed


def _runs(catalogue: Catalogue, kind: RecordKind, record: Item, moment: datetime) -> bool:
    attributes = record.attributes
    match kind:
        case RecordKind.CHANGES:
            return attributes.get("effect") not in HARMLESS
        case RecordKind.INCIDENTS:
            ended = read_instant(attributes.get("resolved_at", attributes.get("closed_at")))
            initial = catalogue.item_class(record.class_name).lifecycle.initial
            return record.lifecycle != initial or ended is None or ended > moment
        case RecordKind.OUTAGES:
            outage = outage_of(catalogue, record)
            return (
                outage is not None
                and outage.kind != DEGRADATION
                and outage.during(Span(moment, moment + MOMENT)) is not None
            )
