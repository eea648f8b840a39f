"""All mutations: typed ones per class and relationship type, made here, and those that need no catalogue.

Each makes a ChangeSet and applies it; nothing is written in another way. Every one that makes a revision takes `dryRun`
(what would change?), `idempotencyKey` (the same key, the same answer), `message` and `reason` (such as the id of a
change record).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import NotFound
from cmdb.model.catalogue import RelationshipType
from cmdb.model.change_set import DeleteEdge, DeleteItem, PutEdge, PutItem
from cmdb.model.items import EdgeFacts, EdgeKey, new_id
from cmdb_graphql import baselines, reports, tokens
from cmdb_graphql.access import Action
from cmdb_graphql.change_sets import change_set_fields
from cmdb_graphql.changes import COMMON, VERSION, Payload, apply_operations, id_from, payload_type
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import Argument, Field, optional
from cmdb_graphql.derived_inputs import DerivedInputs
from cmdb_graphql.derived_types import Confidence, DerivedTypes, Strength
from cmdb_graphql.names import TakenNames, pascal

Info = strawberry.Info[Context, None]


def mutations(types: DerivedTypes, inputs: DerivedInputs) -> list[StrawberryField]:
    """The root fields that change something.

    Raises:
        CatalogueError: two of them would have one name.
    """
    taken = TakenNames("mutation")
    payload = payload_type(types)
    fields: list[StrawberryField] = [*change_set_fields(payload)]
    fields += [*reports.MUTATIONS, *baselines.MUTATIONS, *tokens.MUTATIONS]
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
        item_id = id_from(context.actor, idempotency_key) if idempotency_key else new_id()
        operation = PutItem(item_id, inputs.fields(name, input), name, intent="create")
        applied = await apply_operations(
            context,
            [operation],
            dry_run=dry_run,
            idempotency_key=idempotency_key,
            message=message,
            reason=reason,
        )
        return Payload(context, applied, dry_run=dry_run, item_id=item_id)

    arguments = [Argument("input", inputs.creates[name]), *COMMON]
    return Field("create" + name, payload, f"A new {name}.", resolve=resolve, arguments=arguments)


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
        applied = await apply_operations(
            context,
            [PutItem(id, inputs.fields(name, input), intent="update")],
            dry_run=dry_run,
            idempotency_key=idempotency_key,
            message=message,
            reason=reason,
            expected={id: expected_version} if expected_version is not None else None,
        )
        return Payload(context, applied, dry_run=dry_run, item_id=id)

    arguments = [Argument("id", strawberry.ID), Argument("input", inputs.updates[name]), VERSION, *COMMON]
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
        applied = await apply_operations(
            context,
            [DeleteItem(id, name)],
            dry_run=dry_run,
            idempotency_key=idempotency_key,
            message=message,
            reason=reason,
            expected={id: expected_version} if expected_version is not None else None,
        )
        return Payload(context, applied, dry_run=dry_run)

    arguments = [Argument("id", strawberry.ID), VERSION, *COMMON]
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
        VERSION,
        *COMMON,
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
    arguments = [*_ends(), VERSION, *COMMON]
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
    applied = await apply_operations(
        context,
        [operation],
        dry_run=dry_run,
        idempotency_key=given.get("idempotency_key"),
        message=given.get("message"),
        reason=given.get("reason"),
        expected={source: expected_version} if expected_version is not None else None,
    )
    return Payload(context, applied, dry_run=dry_run, item_id=source)
