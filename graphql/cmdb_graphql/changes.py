"""What all mutations of the estate have in common: their arguments, how they are applied, and what they answer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import orjson
import strawberry

from cmdb.model.change_set import Authorship, ChangeSet, Operation
from cmdb.model.items import Item
from cmdb.store.writing import Applied
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import Argument, Field, list_of, object_type, optional
from cmdb_graphql.derived_types import DerivedTypes
from cmdb_graphql.history import ItemChangeType, visible_changes
from cmdb_graphql.scalars import Long

Info = strawberry.Info[Context, None]

DRY_RUN = Argument("dryRun", bool, "Only tell what would change.", default=False, python_name="dry_run")
KEY = Argument(
    "idempotencyKey",
    optional(str),
    "The same key again gives the first answer again.",
    python_name="idempotency_key",
)
MESSAGE = Argument("message", optional(str), "Why, for people.")
REASON = Argument("reason", optional(str), "What for, such as the id of a change record.")
VERSION = Argument(
    "expectedVersion",
    optional(Long),
    "Refuse (STALEVERSION) if the item is no longer at this version.",
    python_name="expected_version",
)
COMMON = [MESSAGE, REASON, DRY_RUN, KEY]


class Payload:
    """What a mutation did, as its GraphQL type has it."""

    __slots__ = ("changes", "dry_run", "head", "item_id", "refs", "revision")

    def __init__(
        self,
        context: Context,
        applied: Applied,
        *,
        dry_run: bool,
        item_id: str | None = None,
        refs: Mapping[str, str] | None = None,
    ) -> None:
        context.wrote(applied.head)
        self.revision = applied.revision
        self.head = applied.head
        self.dry_run = dry_run
        self.changes: list[ItemChangeType] = visible_changes(applied.changes, context)
        self.item_id = item_id
        self.refs = [Reference(ref, item_id) for ref, item_id in (refs or {}).items()]


class Reference:
    """A placeholder of a ChangeSet and the id it got."""

    __slots__ = ("id", "ref")

    def __init__(self, ref: str, id: str) -> None:
        self.ref = ref
        self.id = id


def payload_type(types: DerivedTypes) -> type:
    """The GraphQL type of `Payload`."""

    async def item(payload: Payload, info: Info) -> Item | None:
        if payload.item_id is None or payload.dry_run:
            return None
        return await info.context.item(payload.item_id)

    reference = object_type(
        "NewItemReference",
        "A `ref` of a ChangeSet and the id that the new item got.",
        [Field("ref", str), Field("id", strawberry.ID)],
    )
    return object_type(
        "ChangePayload",
        "What a change did.",
        [
            Field(
                "revision",
                optional(Long),
                "The revision it made; null: nothing differed, or it was a dry run.",
            ),
            Field("head", Long, "The ledger's last revision when it was answered."),
            Field("dryRun", bool, python_name="dry_run"),
            Field("changes", list_of(ItemChangeType), "What was, or would be, changed."),
            Field("item", optional(types.node("Item")), "The item it was about, as it is now.", resolve=item),
            Field("refs", list_of(reference), "The ids of new items."),
        ],
    )


async def apply_operations(
    context: Context,
    operations: Sequence[Operation],
    *,
    dry_run: bool,
    idempotency_key: str | None,
    message: str | None,
    reason: str | None,
    expected: Mapping[str, int] | None = None,
) -> Applied:
    """Apply operations as the caller, who must be allowed to write; errors as `Store.apply`."""
    context.require(Action.WRITE)
    change_set = ChangeSet(tuple(operations), message or "", reason or "", expected or {})
    return await context.store.apply(
        change_set, Authorship(context.actor), idempotency_key=idempotency_key, dry_run=dry_run
    )


def id_from(actor: str, idempotency_key: str) -> str:
    """An id that follows from actor and key, so that a repeated request means the same new item (RFC 9562, UUIDv8)."""
    digest = hashlib.sha256(orjson.dumps([actor, idempotency_key])).hexdigest()
    return "-".join((digest[:8], digest[8:12], "8" + digest[13:16], "9" + digest[17:20], digest[20:32]))
