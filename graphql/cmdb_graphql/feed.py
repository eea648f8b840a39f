"""The subscription to the ledger: every revision as it is made, from any point on, without gap."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.model.catalogue import Catalogue
from cmdb.model.items import ItemChange
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented_subscription
from cmdb_graphql.history import ItemChangeType, RevisionType, visible_changes
from cmdb_graphql.scalars import Long

Info = strawberry.Info[Context, None]
Described = strawberry.argument


@strawberry.type(
    name="RevisionEvent", description="A revision, and those of its changes that were asked for."
)
class RevisionEvent:
    """One step of the ledger."""

    cursor: Long = strawberry.field(description="Give it as `after` to go on from here, whenever.")
    revision: RevisionType
    changes: list[ItemChangeType] = strawberry.field(description="Those that fit the filters; 1,000 at most.")


@strawberry.type
class FeedSubscriptions:
    """Root fields."""

    @documented_subscription
    async def revisions(
        self,
        info: Info,
        after: Annotated[Long | None, Described(description="The cursor of the last event seen.")] = None,
        classes: Annotated[
            list[str] | None,
            Described(description="Only changes to items of these classes and their subclasses."),
        ] = None,
        items: Annotated[
            list[strawberry.ID] | None, Described(description="Only changes to these items.")
        ] = None,
        actors: Annotated[list[str] | None, Described(description="Only revisions by these.")] = None,
        sources: Annotated[
            list[str] | None, Described(description="Only revisions of these sources.")
        ] = None,
    ) -> AsyncGenerator[RevisionEvent, None]:
        """Revisions after `after` (without it: from now on), in order and without gap, while the socket
        lives.
        """
        context = info.context
        context.require(Action.READ)
        store = context.store
        for name in classes or ():
            store.catalogue.item_class(name)
        wanted = frozenset(map(str, items)) if items is not None else None
        start = int(after) if after is not None else await store.head()
        async for number, changes in store.feed.follow(start):
            fitting = [c for c in changes if _fits(c, store.catalogue, classes, wanted)]
            if not fitting and (classes is not None or wanted is not None):
                continue
            [record] = await store.history.revisions(after=number - 1, before=number + 1, limit=1)
            if (actors is not None and record.actor not in actors) or (
                sources is not None and record.source not in sources
            ):
                continue
            yield RevisionEvent(
                cursor=Long(number),
                revision=RevisionType.of(record),
                changes=visible_changes(fitting[:1_000], context),
            )


def _fits(
    change: ItemChange, catalogue: Catalogue, classes: list[str] | None, items: frozenset[str] | None
) -> bool:
    if items is not None and change.item_id not in items:
        return False
    if classes is None:
        return True
    return change.class_name in catalogue.classes and any(
        catalogue.is_a(change.class_name, name) for name in classes
    )


SUBSCRIPTIONS: list[StrawberryField] = FeedSubscriptions.__strawberry_definition__.fields  # type: ignore[attr-defined]
