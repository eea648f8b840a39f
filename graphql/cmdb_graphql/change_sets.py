"""Mutations for whole ChangeSets: `applyChanges`, `undo`, `applyCatalogue`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

import strawberry
from strawberry import UNSET

from cmdb.errors import BadRequest
from cmdb.model.catalogue import parse_entries
from cmdb.model.change_set import (
    Authorship,
    ChangeSet,
    DeleteEdge,
    DeleteItem,
    Operation,
    PutEdge,
    PutEntries,
    PutItem,
)
from cmdb.model.entries import entry_record
from cmdb.model.items import EdgeFacts, EdgeKey, new_id
from cmdb_graphql.access import Action
from cmdb_graphql.changes import (
    DRY_RUN,
    KEY,
    MESSAGE,
    REASON,
    Payload,
    apply_operations,
    id_from,
)
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import Argument, Field
from cmdb_graphql.derived_types import Confidence, Strength
from cmdb_graphql.scalars import Json, Long

Info = strawberry.Info[Context, None]

SWAP_SECONDS = 2.0
"""How long `applyCatalogue` waits for the schema, at most; it is there already unless others changed the catalogue."""
REFERENCE = "ref:"
"""How an edge of a ChangeSet names a new item: this, and the item's `ref`."""


@strawberry.input(description="Create an item or change fields of one.")
class PutItemInput:
    """As `cmdb.model.change_set.PutItem`."""

    id: strawberry.ID | None = strawberry.field(
        default=None, description="Of an item there is; absent for a new one."
    )
    ref: str | None = strawberry.field(
        default=None,
        description="A name for a new item inside this ChangeSet; edges name it as `ref:<name>`.",
    )
    class_name: str | None = strawberry.field(
        default=None, name="class", description="Needed for a new item; reclassifies one that has another."
    )
    fields: Json = strawberry.field(
        description="name, lifecycle and attributes by their catalogue names; null takes away."
    )


@strawberry.input(description="Create an edge or replace what it says.")
class PutEdgeInput:
    """As `cmdb.model.change_set.PutEdge`."""

    type: str
    source: strawberry.ID = strawberry.field(
        name="from", description="The dependent: an id, or `ref:<name>`."
    )
    target: strawberry.ID = strawberry.field(name="to", description="Its dependency: an id, or `ref:<name>`.")
    group: str | None = None
    required: str | None = strawberry.field(
        default=None, description='How many of the group must be up: "1", "50%".'
    )
    strength: Strength | None = None
    confidence: Confidence = Confidence.DECLARED


@strawberry.input(description="Delete an edge.")
class DeleteEdgeInput:
    """As `cmdb.model.change_set.DeleteEdge`."""

    type: str
    source: strawberry.ID = strawberry.field(name="from")
    target: strawberry.ID = strawberry.field(name="to")
    group: str | None = None


@strawberry.input(one_of=True, description="One operation of a ChangeSet; exactly one of these.")
class OperationInput:
    """As `cmdb.model.change_set.Operation`."""

    put_item: PutItemInput | None = UNSET
    delete_item: strawberry.ID | None = UNSET
    put_edge: PutEdgeInput | None = UNSET
    delete_edge: DeleteEdgeInput | None = UNSET


@strawberry.input(description="A version that an item must still have.")
class ExpectedVersion:
    """As `ChangeSet.expected`."""

    id: strawberry.ID
    version: Long


@strawberry.input(description="Operations that happen together or not at all.")
class ChangeSetInput:
    """As `cmdb.model.change_set.ChangeSet`."""

    operations: list[OperationInput]
    message: str | None = None
    reason: str | None = None
    expected: list[ExpectedVersion] | None = None


def change_set_fields(payload: type) -> list[Field]:
    """Their root fields; `payload` is the type they answer."""
    return [
        Field(
            "applyChanges",
            payload,
            "Apply a whole ChangeSet: all of it or nothing, with every problem told at once.",
            resolve=_apply_changes,
            arguments=[Argument("changeSet", ChangeSetInput, python_name="change_set"), DRY_RUN, KEY],
        ),
        Field(
            "undo",
            payload,
            "Take a revision back, if nothing it touched was changed since.",
            resolve=_undo,
            arguments=[Argument("revision", Long), DRY_RUN, KEY],
        ),
        Field(
            "applyCatalogue",
            payload,
            "Add or replace catalogue entries, written as YAML. Admins only.",
            resolve=_apply_catalogue,
            arguments=[Argument("yaml", str), MESSAGE, REASON, DRY_RUN, KEY],
        ),
    ]


async def _apply_changes(
    _source: object,
    info: Info,
    change_set: ChangeSetInput,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Payload:
    context: Context = info.context
    refs: dict[str, str] = {}
    for given in change_set.operations:
        put = given.put_item
        if put and put.ref:
            if put.ref in refs:
                raise BadRequest(f"ref {put.ref!r} stands for two new items; give each a name of its own")
            refs[put.ref] = (
                id_from(context.actor, f"{idempotency_key}#{put.ref}") if idempotency_key else new_id()
            )
    operations = [_operation(given, refs, index) for index, given in enumerate(change_set.operations)]
    applied = await apply_operations(
        context,
        operations,
        dry_run=dry_run,
        idempotency_key=idempotency_key,
        message=change_set.message,
        reason=change_set.reason,
        expected={str(e.id): e.version for e in change_set.expected or ()},
    )
    return Payload(context, applied, dry_run=dry_run, refs=refs)


def _operation(given: OperationInput, refs: Mapping[str, str], index: int) -> Operation:
    def real(end: strawberry.ID) -> str:
        text = str(end)
        if not text.startswith(REFERENCE):
            return text
        found = refs.get(text.removeprefix(REFERENCE))
        if found is None:
            raise BadRequest(f"operations[{index}]: no new item of this ChangeSet has ref {text[4:84]!r}")
        return found

    if given.put_item:
        put = given.put_item
        if not isinstance(put.fields, dict):
            raise BadRequest(f"operations[{index}].putItem.fields: send an object of names and values")
        if put.id is not None:
            return PutItem(str(put.id), put.fields, put.class_name, intent="update")
        return PutItem(refs[put.ref] if put.ref else new_id(), put.fields, put.class_name, intent="create")
    if given.delete_item:
        return DeleteItem(str(given.delete_item))
    if given.put_edge:
        edge = given.put_edge
        facts = EdgeFacts(
            edge.required, edge.strength.value if edge.strength else None, edge.confidence.value
        )
        return PutEdge(EdgeKey(edge.type, real(edge.source), real(edge.target), edge.group or ""), facts)
    if given.delete_edge:
        gone = given.delete_edge
        return DeleteEdge(EdgeKey(gone.type, real(gone.source), real(gone.target), gone.group or ""))
    raise BadRequest(
        f"operations[{index}] says nothing; give one of putItem, deleteItem, putEdge, deleteEdge"
    )


async def _undo(
    _source: object, info: Info, revision: int, dry_run: bool = False, idempotency_key: str | None = None
) -> Payload:
    context: Context = info.context
    context.require(Action.WRITE)
    store = context.store
    change_set = await store.history.undo(revision, store.catalogue)
    if any(isinstance(operation, PutEntries) for operation in change_set.operations):
        context.require(Action.CATALOGUE)
    applied = await store.apply(
        change_set,
        Authorship(context.actor),
        idempotency_key=idempotency_key,
        dry_run=dry_run,
        correction=True,
    )
    return Payload(context, applied, dry_run=dry_run)


async def _apply_catalogue(
    _source: object,
    info: Info,
    yaml: str,
    message: str | None = None,
    reason: str | None = None,
    dry_run: bool = False,
    idempotency_key: str | None = None,
) -> Payload:
    from cmdb_graphql.schema import BuiltSchema

    context: Context = info.context
    context.require(Action.CATALOGUE)
    store = context.store
    entries = await asyncio.to_thread(parse_entries, yaml)
    extended = await asyncio.to_thread(store.catalogue.extended, entries)
    # A catalogue from which no schema follows must not come into force.
    built = await asyncio.to_thread(BuiltSchema.of, extended)
    schemas = context.services.schemas
    if schemas is not None and not dry_run:
        schemas.offer(built)
    operation = PutEntries({name: entry_record(entry) for name, entry in entries.items()})
    applied = await store.apply(
        ChangeSet((operation,), message or "", reason or ""),
        Authorship(context.actor),
        idempotency_key=idempotency_key,
        dry_run=dry_run,
    )
    if schemas is not None and applied.revision is not None:
        with suppress(TimeoutError):  # who asked for a class may use it in the next request
            await asyncio.wait_for(schemas.current(), SWAP_SECONDS)
    return Payload(context, applied, dry_run=dry_run)
