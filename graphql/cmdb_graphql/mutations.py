"""Mutations: typed ones per class and relationship type, and those for whole ChangeSets, reports, history, catalogue,
tokens. Each makes a ChangeSet and applies it; nothing is written in another way.

Every one that makes a revision takes `dryRun` (what would change?), `idempotencyKey` (the same key, the same answer),
`message` and `reason` (such as the id of a change record).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
import orjson
import strawberry
from strawberry import UNSET
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest, InvalidValue, NotFound, ValidationFailed
from cmdb.model.catalogue import RelationshipType, parse_entries
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
from cmdb.model.items import EdgeFacts, EdgeKey, Item, new_id
from cmdb.model.values import canonical_identifier, clean_text, format_instant
from cmdb.store.tokens import ROLES
from cmdb.store.writing import Applied
from cmdb_graphql.access import Action, require_source
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import Argument, Field, documented, list_of, object_type, optional
from cmdb_graphql.derived_inputs import DerivedInputs
from cmdb_graphql.derived_types import Confidence, DerivedTypes, Strength
from cmdb_graphql.history import ApiTokenType, BaselineType, ItemChangeType, visible_changes
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.names import TakenNames, pascal
from cmdb_graphql.scalars import Json, Long
from discovery.ingest import ingest, read_report, refused_report
from impact.traversal import dependencies

Info = strawberry.Info[Context, None]
Described = strawberry.argument

SOURCE_LIMIT = 128
"""Bytes of a source's name."""

REFERENCE = "ref:"
"""How an edge of a ChangeSet names a new item: this, and the item's `ref`."""

_DRY_RUN = Argument("dryRun", bool, "Only tell what would change.", default=False, python_name="dry_run")
_KEY = Argument(
    "idempotencyKey",
    optional(str),
    "The same key again gives the first answer again.",
    python_name="idempotency_key",
)
_MESSAGE = Argument("message", optional(str), "Why, for people.")
_REASON = Argument("reason", optional(str), "What for, such as the id of a change record.")
_VERSION = Argument(
    "expectedVersion",
    optional(Long),
    "Refuse (STALE_VERSION) if the item is no longer at this version.",
    python_name="expected_version",
)
_COMMON = [_MESSAGE, _REASON, _DRY_RUN, _KEY]


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


@strawberry.type(description="A token; `token` is shown this once.")
class CreatedToken:
    """The answer to `createToken`."""

    token: str
    details: ApiTokenType


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


def mutations(types: DerivedTypes, inputs: DerivedInputs) -> list[StrawberryField]:
    """The root fields that change something.

    Raises:
        CatalogueError: two of them would have one name.
    """
    taken = TakenNames("mutation")
    payload = _payload_type(types)
    fields: list[StrawberryField] = [*_fixed_fields(payload)]
    fields += StaticMutations.__strawberry_definition__.fields  # type: ignore[attr-defined]
    for name in inputs.creates:
        fields += [
            _create(name, inputs, payload),
            _update(name, inputs, payload),
            _delete(name, types, payload),
        ]
    for relationship in types.catalogue.relationships.values():
        fields += [_relate(relationship, payload), _unrelate(relationship, payload)]
    for field in fields:
        taken.take(
            field.graphql_name or field.python_name, field.graphql_name or field.python_name, "a mutation"
        )
    return fields


def _payload_type(types: DerivedTypes) -> type:
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


async def _apply(
    context: Context,
    operations: Sequence[Operation],
    *,
    dry_run: bool,
    idempotency_key: str | None,
    message: str | None,
    reason: str | None,
    expected: Mapping[str, int] | None = None,
) -> Applied:
    context.require(Action.WRITE)
    change_set = ChangeSet(tuple(operations), message or "", reason or "", expected or {})
    return await context.store.apply(
        change_set, Authorship(context.actor), idempotency_key=_key(idempotency_key), dry_run=dry_run
    )


def _key(given: str | None) -> str | None:
    if given is not None and not 0 < len(given) <= 200:
        raise BadRequest("an idempotency key has 1 to 200 characters")
    return given


def _create(name: str, inputs: DerivedInputs, payload: type) -> Field:
    async def resolve(
        _source: object,
        info: Info,
        input: Mapping[str, Any],
        message: str | None = None,
        reason: str | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> Payload:
        context: Context = info.context
        # The same key must name the same new item again.
        item_id = _id_from(context.actor, idempotency_key) if idempotency_key else new_id()
        operation = PutItem(item_id, inputs.fields(name, input), name, intent="create")
        applied = await _apply(
            context,
            [operation],
            dry_run=dry_run,
            idempotency_key=idempotency_key,
            message=message,
            reason=reason,
        )
        return Payload(context, applied, dry_run=dry_run, item_id=item_id)

    arguments = [Argument("input", inputs.creates[name]), *_COMMON]
    return Field("create" + name, payload, f"A new {name}.", resolve=resolve, arguments=arguments)


def _id_from(actor: str, idempotency_key: str) -> str:
    """An id that follows from actor and key, so that a repeated request means the same new item (RFC 9562, UUIDv8)."""
    digest = hashlib.sha256(orjson.dumps([actor, idempotency_key])).hexdigest()
    return "-".join((digest[:8], digest[8:12], "8" + digest[13:16], "9" + digest[17:20], digest[20:32]))


def _update(name: str, inputs: DerivedInputs, payload: type) -> Field:
    async def resolve(
        _source: object,
        info: Info,
        id: str,
        input: Mapping[str, Any],
        expected_version: int | None = None,
        message: str | None = None,
        reason: str | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> Payload:
        context: Context = info.context
        await _must_be(context, id, name)
        applied = await _apply(
            context,
            [PutItem(id, inputs.fields(name, input), intent="update")],
            dry_run=dry_run,
            idempotency_key=idempotency_key,
            message=message,
            reason=reason,
            expected={id: expected_version} if expected_version is not None else None,
        )
        return Payload(context, applied, dry_run=dry_run, item_id=id)

    arguments = [Argument("id", strawberry.ID), Argument("input", inputs.updates[name]), _VERSION, *_COMMON]
    return Field(
        "update" + name,
        payload,
        f"Change a {name}; absent fields stay.",
        resolve=resolve,
        arguments=arguments,
    )


def _delete(name: str, types: DerivedTypes, payload: type) -> Field:
    async def resolve(
        _source: object,
        info: Info,
        id: str,
        expected_version: int | None = None,
        message: str | None = None,
        reason: str | None = None,
        dry_run: bool = False,
        idempotency_key: str | None = None,
    ) -> Payload:
        context: Context = info.context
        if idempotency_key is None:
            await _must_be(context, id, name)
        applied = await _apply(
            context,
            [DeleteItem(id, name)],
            dry_run=dry_run,
            idempotency_key=idempotency_key,
            message=message,
            reason=reason,
            expected={id: expected_version} if expected_version is not None else None,
        )
        return Payload(context, applied, dry_run=dry_run)

    arguments = [Argument("id", strawberry.ID), _VERSION, *_COMMON]
    text = f"Delete a {name} with every edge from and to it; its history stays."
    return Field("delete" + name, payload, text, resolve=resolve, arguments=arguments)


async def _must_be(context: Context, item_id: str, class_name: str) -> None:
    """Raise `NotFound` if there is no such item, or it is of another class: `updateServer` changes servers only."""
    context.require(Action.WRITE)
    item = await context.item(item_id)
    catalogue = context.store.catalogue
    if item is None or class_name not in catalogue.classes or not catalogue.is_a(item.class_name, class_name):
        way_out = f"it is a {item.class_name}" if item else "look it up first"
        raise NotFound(class_name, item_id[:80], way_out)


def _relate(relationship: RelationshipType, payload: type) -> Field:
    async def resolve(
        _source: object,
        info: Info,
        source: str,
        target: str,
        group: str | None = None,
        required: str | None = None,
        strength: Strength | None = None,
        confidence: Confidence = Confidence.DECLARED,
        expected_version: int | None = None,
        **given: Any,  # noqa: ANN401 - the common arguments, see `_edge`
    ) -> Payload:
        facts = EdgeFacts(required, strength.value if strength else None, confidence.value)
        operation = PutEdge(EdgeKey(relationship.name, source, target, group or ""), facts)
        return await _edge(info.context, operation, expected_version, given)

    arguments = [
        *_ends(),
        Argument("required", optional(str), 'How many of the group must be up: "1", "50%".'),
        Argument("strength", optional(Strength), "Without it: as the type says."),
        Argument("confidence", Confidence, default=Confidence.DECLARED),
        _VERSION,
        *_COMMON,
    ]
    return Field(
        "relate" + pascal(relationship.name),
        payload,
        relationship.description,
        resolve=resolve,
        arguments=arguments,
    )


def _unrelate(relationship: RelationshipType, payload: type) -> Field:
    async def resolve(
        _source: object,
        info: Info,
        source: str,
        target: str,
        group: str | None = None,
        expected_version: int | None = None,
        **given: Any,  # noqa: ANN401 - the common arguments, see `_edge`
    ) -> Payload:
        operation = DeleteEdge(EdgeKey(relationship.name, source, target, group or ""))
        return await _edge(info.context, operation, expected_version, given)

    text = f"Delete an edge {relationship.name}."
    arguments = [*_ends(), _VERSION, *_COMMON]
    return Field("unrelate" + pascal(relationship.name), payload, text, resolve=resolve, arguments=arguments)


def _ends() -> list[Argument]:
    return [
        Argument("from", strawberry.ID, "The dependent.", python_name="source"),
        Argument("to", strawberry.ID, "Its dependency.", python_name="target"),
        Argument("group", optional(str), "Edges of one group form a redundancy gate."),
    ]


async def _edge(
    context: Context, operation: PutEdge | DeleteEdge, expected_version: int | None, given: Mapping[str, Any]
) -> Payload:
    """`expected_version` is that of the source, which owns the edge."""
    source, dry_run = operation.key.source, bool(given.get("dry_run"))
    applied = await _apply(
        context,
        [operation],
        dry_run=dry_run,
        idempotency_key=given.get("idempotency_key"),
        message=given.get("message"),
        reason=given.get("reason"),
        expected={source: expected_version} if expected_version is not None else None,
    )
    return Payload(context, applied, dry_run=dry_run, item_id=source)


def _fixed_fields(payload: type) -> list[Field]:
    return [
        Field(
            "applyChanges",
            payload,
            "Apply a whole ChangeSet: all of it or nothing, with every problem told at once.",
            resolve=_apply_changes,
            arguments=[Argument("changeSet", ChangeSetInput, python_name="change_set"), _DRY_RUN, _KEY],
        ),
        Field(
            "undo",
            payload,
            "Take a revision back, if nothing it touched was changed since.",
            resolve=_undo,
            arguments=[Argument("revision", Long), _DRY_RUN, _KEY],
        ),
        Field(
            "applyCatalogue",
            payload,
            "Add or replace catalogue entries, written as YAML. Admins only.",
            resolve=_apply_catalogue,
            arguments=[Argument("yaml", str), _MESSAGE, _REASON, _DRY_RUN, _KEY],
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
                _id_from(context.actor, f"{idempotency_key}#{put.ref}") if idempotency_key else new_id()
            )
    operations = [_operation(given, refs, index) for index, given in enumerate(change_set.operations)]
    applied = await _apply(
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
        idempotency_key=_key(idempotency_key),
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
    from cmdb_graphql.schema import build_schema

    context: Context = info.context
    context.require(Action.CATALOGUE)
    store = context.store
    entries = await asyncio.to_thread(parse_entries, yaml)
    extended = await asyncio.to_thread(store.catalogue.extended, entries)
    # A catalogue from which no schema follows must not come into force.
    await asyncio.to_thread(build_schema, extended)
    operation = PutEntries({name: entry_record(entry) for name, entry in entries.items()})
    applied = await store.apply(
        ChangeSet((operation,), message or "", reason or ""),
        Authorship(context.actor),
        idempotency_key=_key(idempotency_key),
        dry_run=dry_run,
    )
    return Payload(context, applied, dry_run=dry_run)


@strawberry.type
class StaticMutations:
    """Root fields whose types do not depend on the catalogue."""

    @documented
    async def ingest(
        self,
        info: Info,
        observation: Json,
        dry_run: bool = False,
        partial: Annotated[
            bool, Described(description="Take what is good although something else is refused.")
        ] = False,
    ) -> Json:
        """Take in an Observation (docs: Observation JSON, version 1) as this caller."""
        context = info.context
        context.require(Action.INGEST)
        return Json(
            await ingest_body(context, orjson.dumps(observation), "observation", "", dry_run, partial)
        )

    @documented
    async def create_baseline(
        self,
        info: Info,
        name: str,
        description: str | None = None,
        root_id: Annotated[
            strawberry.ID | None,
            Described(name="root", description="An item; the scope is it and its dependencies."),
        ] = None,
        as_of: AsOfInput | None = None,
    ) -> BaselineType:
        """Name a moment: of everything, or of an item with all it depends on."""
        context = info.context
        context.require(Action.WRITE)
        store = context.store
        at = await context.revision_of(as_of)
        scope: list[str] | None = None
        revision = at if at is not None else await store.head()
        if root_id is not None:
            topologies = context.services.topologies
            topology = await topologies.at(revision)
            found = await asyncio.to_thread(
                lambda: dependencies(topology, str(root_id), limit=max(1, len(topology.items)))
            )
            scope = [str(root_id), *found.distances]
        baseline = await store.baselines.create(
            name,
            revision,
            actor=context.actor,
            recorded_at=format_instant(datetime.now(UTC)),
            description=description or "",
            scope=scope,
            root=str(root_id) if root_id is not None else "",
        )
        return BaselineType.of(baseline)

    @documented
    async def delete_baseline(self, info: Info, name: str) -> bool:
        """Take the name of a baseline away; the history stays."""
        info.context.require(Action.WRITE)
        await info.context.store.baselines.delete(name)
        return True

    @documented
    async def create_token(
        self,
        info: Info,
        name: Annotated[str, Described(description="The actor in the ledger.")],
        role: Annotated[str, Described(description="viewer, editor, agent or admin.")],
        sources: Annotated[
            list[str] | None, Described(description="For an agent: the sources it may speak for.")
        ] = None,
        days: Annotated[int, Described(description="How long it lives, at most 366.")] = 90,
    ) -> CreatedToken:
        """A new API token. Admins only. The token is shown in this answer and never again."""
        context = info.context
        context.require(Action.TOKENS)
        role = canonical_identifier(role)
        chosen = next((known for known in ROLES if known == role), None)
        if chosen is None:
            raise BadRequest(f"role is {role[:40]!r}; it must be one of {', '.join(ROLES)}")
        try:
            token, plain = await context.services.tokens.create(
                name,
                chosen,
                created_by=context.actor,
                sources=sources or (),
                lifetime=timedelta(days=days),
            )
        except (InvalidValue, OverflowError) as error:
            raise BadRequest(str(error)) from None
        return CreatedToken(token=plain, details=ApiTokenType.of(token))

    @documented
    async def revoke_token(self, info: Info, id: strawberry.ID) -> ApiTokenType:
        """End a token; within a second no service takes it any more. Admins only."""
        context = info.context
        context.require(Action.TOKENS)
        token = await context.services.tokens.revoke(str(id))
        context.services.authenticator.forget(token.id)
        return ApiTokenType.of(token)


async def ingest_body(
    context: Context,
    body: bytes,
    format_name: str | None,
    file_name: str,
    dry_run: bool,
    partial: bool,
    *,
    source: str = "",
) -> dict[str, Any]:
    """Take in a report, as `source` where that is given instead of the one that the report names.

    Raises `Forbidden` where an agent speaks for a source that is not its own.
    """
    context.require(Action.INGEST)
    try:
        chosen, observation = await read_report(body, format_name, file_name)
    except ValidationFailed as error:
        return refused_report(format_name or "", error.problems).to_record()
    if given := clean_text(source, SOURCE_LIMIT):
        observation = msgspec.structs.replace(observation, source=given)
    require_source(context.caller, observation.source)
    result = await ingest(
        context.store,
        observation,
        Authorship(context.actor, observation.source),
        format_name=chosen,
        dry_run=dry_run,
        partial=partial,
    )
    if result.revision is not None:
        context.wrote(result.revision)
    return _as_seen_by(context, result.to_record())


def _as_seen_by(context: Context, record: dict[str, Any]) -> dict[str, Any]:
    """The answer to a report without what the caller may not read: an agent gets no earlier values at all."""
    reads = context.caller.may(Action.READ)
    for item in record.get("plan", ()):
        for side in ("before", "after"):
            if not context.sees_secrets:
                item[side] = context.services.secrets.visible(item[side])
        if not reads:
            item["before"] = {}
    return record
