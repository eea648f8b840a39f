"""What is down already by the outages, changes and incidents on record, as a part of a question about a failure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from datetime import UTC, datetime
from enum import Enum
from typing import Self

import strawberry

from cmdb.model.columns import Int32s
from cmdb.model.items import Item
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.values import parse_instant
from cmdb.store.down_on_record import DownOnRecord, RecordKind, read_down
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import ItemSummary
from cmdb_graphql.impact_answer import checked_page
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.pacing import paced
from cmdb_graphql.reliability import moment_of


@strawberry.enum(
    name="DownRecord",
    description="Records that say what is down. OUTAGES: those that run, agreed maintenance too, degradations not. "
    "CHANGES: those being implemented whose effect is an outage or a restart. INCIDENTS: those not resolved yet.",
)
class DownRecordKind(Enum):
    """`cmdb.store.down_on_record.RecordKind`."""

    OUTAGES = RecordKind.OUTAGES
    CHANGES = RecordKind.CHANGES
    INCIDENTS = RecordKind.INCIDENTS


@strawberry.type(name="DownOnRecord", description="A record that says that something is down.")
class DownOnRecordType:
    """One of `cmdb.store.down_on_record.DownOnRecord`."""

    topology: strawberry.Private[PackedTopology]
    numbers: strawberry.Private[Int32s]
    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    item_count: int = strawberry.field(description="How many items it says are down.")

    @documented
    async def items(self, first: int = 20, offset: int = 0) -> list[ItemSummary]:
        """Some of the items that it affects, and that it was caused by, unless they are pinned."""
        checked_page(first, offset)
        some = self.numbers[offset : offset + first].tolist()
        return paced([ItemSummary.of(self.topology, self.topology.id_of(number)) for number in some])

    @classmethod
    def of(cls, topology: PackedTopology, record: Item, numbers: Int32s) -> Self:
        """The same for GraphQL."""
        return cls(
            topology=topology,
            numbers=numbers,
            id=strawberry.ID(record.id),
            class_name=record.class_name,
            name=record.name,
            item_count=len(numbers),
        )


async def down_on_record(
    context: Context,
    topology: PackedTopology,
    as_of: AsOfInput | None,
    kinds: Collection[RecordKind],
    pinned: Set[str],
) -> DownOnRecord | None:
    """What these kinds of records say is down, now or at a moment of the past; None of no kinds.

    A record says so at the moment that is asked about, as it was recorded at the topology's revision.
    """
    if not kinds:
        return None
    at = topology.revision if as_of is not None else None

    async def read(ids: Sequence[str]) -> Mapping[str, Item]:
        context.spend(len(ids))
        items = await context.reader(at).items(ids)
        if at is None:
            newer = [i for i in ids if i not in items or items[i].version > topology.revision]
            items |= await context.reader(topology.revision).items(newer) if newer else {}
        return items

    now = datetime.now(UTC)
    time = as_of.point().time if as_of is not None else None
    moment = min(parse_instant(time), now) if time is not None else await moment_of(context, at)
    return await read_down(
        read, context.store.catalogue, topology, kinds, moment, context.visible, pinned=pinned
    )
