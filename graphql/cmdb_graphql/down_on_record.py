"""What is down already by the outages, changes and incidents on record, as a part of a question about a failure."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Self

import strawberry

from cmdb.model.packed_topology import PackedTopology
from cmdb.store.down_on_record import DownOnRecord, RecordKind, read_down
from cmdb_graphql.context import Context
from cmdb_graphql.graph import ItemSummary
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

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    items: list[ItemSummary] = strawberry.field(description="What it affects, and what it was caused by.")

    @classmethod
    def of(cls, topology: PackedTopology, found: DownOnRecord, first: int, offset: int) -> list[Self]:
        """Some of the records, in order of kind and name."""
        return [
            cls(
                id=strawberry.ID(record.id),
                class_name=record.class_name,
                name=record.name,
                items=[
                    ItemSummary.of(topology, item) for item in items if topology.number_of(item) is not None
                ],
            )
            for record, items in found.records[offset : offset + first]
        ]


async def down_on_record(
    context: Context, topology: PackedTopology, at: int | None, kinds: Collection[RecordKind]
) -> DownOnRecord | None:
    """What these kinds of records say of the topology's items, now or as of revision `at`; None of no kinds."""
    if not kinds:
        return None
    reader, moment = context.reader(at), await moment_of(context, at)
    found = await read_down(reader, context.store.catalogue, kinds, moment, context.visible)
    context.spend(len(found.records))
    return found.only(lambda item: topology.number_of(item) is not None)
