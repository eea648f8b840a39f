"""Queries for what happened: revisions, histories, diffs, baselines, catalogue, the ledger's soundness, who I am."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.model.catalogue import Catalogue
from cmdb.model.items import EdgeChange, EdgeFacts, ItemChange
from cmdb.model.planning import CATALOGUE_CLASS
from cmdb.model.values import Stored
from cmdb.store.ledger import RevisionRecord
from cmdb.store.reading import make_cursor, parse_cursor
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context, checked_first
from cmdb_graphql.definitions import documented
from cmdb_graphql.derived_types import plain_value
from cmdb_graphql.moments import PointInput
from cmdb_graphql.scalars import DateTime, Json, Long

Info = strawberry.Info[Context, None]
Described = strawberry.argument


@strawberry.type(name="FieldChange", description="A field before and after; null where it had no value.")
class FieldChangeType:
    """One field of a change."""

    field: str = strawberry.field(
        description="`class`, `name`, `lifecycle` or an attribute, as the catalogue spells it."
    )
    before: Json | None
    after: Json | None


@strawberry.type(name="EdgeFacts", description="What an edge says beside its ends, type and group.")
class EdgeFactsType:
    """The facts of an edge as stored."""

    required: str | None
    strength: str | None = strawberry.field(description="hard or soft; null: as its type says.")
    confidence: str

    @classmethod
    def of(cls, facts: EdgeFacts | None) -> Self | None:
        """The same for GraphQL."""
        return (
            cls(required=facts.required, strength=facts.strength, confidence=facts.confidence)
            if facts
            else None
        )


@strawberry.type(
    name="EdgeChange", description="An outgoing edge before and after; null where it was not there."
)
class EdgeChangeType:
    """One edge of a change."""

    type: str
    target: strawberry.ID
    group: str | None
    before: EdgeFactsType | None
    after: EdgeFactsType | None

    @documented
    async def target_name(self, info: Info) -> str | None:
        """The name of the item at the far end as it is now; null if that is deleted."""
        item = await info.context.item(str(self.target))
        return item.name if item else None

    @classmethod
    def of(cls, change: EdgeChange) -> Self:
        """The same for GraphQL."""
        return cls(
            type=change.key.type,
            target=strawberry.ID(change.key.target),
            group=change.key.group or None,
            before=EdgeFactsType.of(change.before),
            after=EdgeFactsType.of(change.after),
        )


@strawberry.type(name="ItemChange", description="What happened to an item and its outgoing edges.")
class ItemChangeType:
    """One item of a change."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    kind: str = strawberry.field(description="created, updated or deleted.")
    fields: list[FieldChangeType]
    edges: list[EdgeChangeType]

    @classmethod
    def of(cls, change: ItemChange, catalogue: Catalogue) -> Self:
        """The same for GraphQL."""
        before, after = change.before or {}, change.after or {}
        return cls(
            id=strawberry.ID(change.item_id),
            class_name=change.class_name,
            name=change.name,
            kind=change.kind,
            fields=[
                FieldChangeType(
                    field=name,
                    before=shown(catalogue, change.class_name, name, before.get(name)),
                    after=shown(catalogue, change.class_name, name, after.get(name)),
                )
                for name in dict.fromkeys((*before, *after))
            ],
            edges=[EdgeChangeType.of(edge) for edge in change.edges],
        )


def shown(catalogue: Catalogue, class_name: str, name: str, value: Stored | None) -> Json | None:
    """A value of the ledger as JSON."""
    item_class = catalogue.classes.get(class_name)
    attribute = item_class.attributes.get(name) if item_class else None
    plain = plain_value(attribute, value)
    return None if plain is None else Json(plain)


def visible_changes(changes: Iterable[ItemChange], context: Context) -> list[ItemChangeType]:
    """Changes as the caller may see them."""
    catalogue = context.store.catalogue
    return [ItemChangeType.of(context.visible_change(change), catalogue) for change in changes]


@strawberry.type(name="Revision", description="One step of the ledger: who changed what, when, and why.")
class RevisionType:
    """A revision."""

    number: Long
    recorded_at: DateTime
    actor: str
    source: str | None = strawberry.field(description="The source it was reported by; null for people.")
    run: str | None
    message: str | None
    reason: str | None = strawberry.field(description="Such as the id of a change record.")
    changes_count: Long = strawberry.field(description="How many items it touched.")
    hash: str = strawberry.field(
        description="SHA-256 over the previous hash and all that this revision says."
    )
    previous_hash: str

    @documented
    async def changes(self, info: Info, first: int = 50, after: str | None = None) -> list[ItemChangeType]:
        """What it changed, in the order of ids."""
        context = info.context
        page = await context.changes(int(self.number), checked_first(first, context), after or "")
        return visible_changes(page, context)

    @classmethod
    def of(cls, record: RevisionRecord) -> Self:
        """The same for GraphQL."""
        return cls(
            number=Long(record.number),
            recorded_at=DateTime(record.recorded_at),
            actor=record.actor,
            source=record.source or None,
            run=record.run or None,
            message=record.message or None,
            reason=record.reason or None,
            changes_count=Long(record.changes_count),
            hash=record.hash,
            previous_hash=record.previous_hash,
        )


@strawberry.type(name="HistoryPageInfo", description="Where a page of history stands.")
class HistoryPageInfo:
    """Whether there is more, and where."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type(name="RevisionConnection", description="A page of revisions.")
class RevisionConnection:
    """Revisions."""

    nodes: list[RevisionType]
    page_info: HistoryPageInfo


@strawberry.type(name="HistoryEvent", description="One revision as it touched one item.")
class HistoryEvent:
    """A revision and its change to the item."""

    revision: RevisionType
    change: ItemChangeType


@strawberry.type(name="HistoryConnection", description="A page of an item's history, newest first.")
class HistoryConnection:
    """Events."""

    nodes: list[HistoryEvent]
    page_info: HistoryPageInfo


@strawberry.type(name="DiffConnection", description="A page of net changes, in the order of ids.")
class DiffConnection:
    """Net changes between two revisions."""

    from_revision: Long
    to_revision: Long
    total_count: Long
    nodes: list[ItemChangeType]
    page_info: HistoryPageInfo


@strawberry.type
class HistoryQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def history(
        self, info: Info, item: strawberry.ID, first: int = 20, after: str | None = None
    ) -> HistoryConnection:
        """What happened to an item and its outgoing edges, newest first; also if it is deleted."""
        context = info.context
        context.require(Action.READ)
        first = checked_first(first, context)
        before = _number(after) if after else None
        found = await context.store.history.item_history(str(item), before=before, limit=first + 1)
        context.spend(len(found))
        catalogue = context.store.catalogue
        nodes = [
            HistoryEvent(
                revision=RevisionType.of(record),
                change=ItemChangeType.of(context.visible_change(change), catalogue),
            )
            for record, change in found[:first]
        ]
        return HistoryConnection(nodes=nodes, page_info=_page_info(found[:first], len(found) > first))

    @documented
    async def revisions(
        self,
        info: Info,
        first: int = 20,
        after: str | None = None,
        oldest_first: bool = False,
        actor: str | None = None,
        source: str | None = None,
    ) -> RevisionConnection:
        """Revisions, newest first unless `oldestFirst`."""
        context = info.context
        context.require(Action.READ)
        first = checked_first(first, context)
        number = _number(after) if after else None
        records = await context.store.history.revisions(
            after=number or 0 if oldest_first else 0,
            before=None if oldest_first else number,
            limit=first + 1,
            newest_first=not oldest_first,
            actor=actor,
            source=source,
        )
        context.spend(len(records))
        page = records[:first]
        return RevisionConnection(
            nodes=[RevisionType.of(record) for record in page],
            page_info=_page_info([(record, None) for record in page], len(records) > first),
        )

    @documented
    async def revision(self, info: Info, number: Long) -> RevisionType | None:
        """One revision."""
        info.context.require(Action.READ)
        found = await info.context.store.history.revisions(after=number - 1, before=number + 1, limit=1)
        return RevisionType.of(found[0]) if found else None

    @documented
    async def diff(
        self,
        info: Info,
        from_: Annotated[PointInput, Described(name="from", description="Where to start.")],
        to: Annotated[
            PointInput | None, Described(description="Where to end; now, where it is not given.")
        ] = None,
        scope: Annotated[
            list[strawberry.ID] | None,
            Described(description="Of these items only; a baseline at either end sets it too."),
        ] = None,
        first: int = 50,
        after: str | None = None,
    ) -> DiffConnection:
        """The net changes from one point of history to another, either way round."""
        context = info.context
        context.require(Action.READ)
        first = checked_first(first, context)
        store = context.store
        start = await from_.revision_in(store)
        end = await to.revision_in(store) if to else await store.head()
        items = set(map(str, scope)) if scope is not None else None
        for point in (from_, to):
            name = point.baseline if point else None
            if isinstance(name, str):
                within = (await store.baselines.get(name)).scope
                if within is not None:
                    items = set(within) if items is None else items & set(within)
        changes = await store.history.diff(start, end, frozenset(items) if items is not None else None)
        changes = [change for change in changes if change.class_name != CATALOGUE_CLASS]
        last = str(parse_cursor(after, 1, "diff")[0]) if after else ""
        rest = [change for change in changes if change.item_id > last]
        page = rest[:first]
        context.spend(len(page))
        return DiffConnection(
            from_revision=Long(start),
            to_revision=Long(end),
            total_count=Long(len(changes)),
            nodes=visible_changes(page, context),
            page_info=HistoryPageInfo(
                has_next_page=len(rest) > first, end_cursor=make_cursor(page[-1].item_id) if page else None
            ),
        )


def _number(cursor: str) -> int:
    [number] = parse_cursor(cursor, 1, "history")
    if not isinstance(number, int):
        raise BadRequest("this cursor is not one of history; pass on `endCursor` of the page before")
    return number


def _page_info(page: list[tuple[RevisionRecord, Any]], has_next: bool) -> HistoryPageInfo:
    return HistoryPageInfo(
        has_next_page=has_next, end_cursor=make_cursor(page[-1][0].number) if page else None
    )


QUERIES: list[StrawberryField] = HistoryQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
