"""Baselines: names on revisions. Type, query, mutations."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.model.values import format_instant
from cmdb.store.baselines import Baseline
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import DateTime, Long
from impact.traversal import dependencies

Info = strawberry.Info[Context, None]
Described = strawberry.argument


@strawberry.type(
    name="Baseline", description="A name on a revision, with a scope. No copy: the ledger has it all."
)
class BaselineType:
    """A baseline."""

    name: str
    revision: Long
    recorded_at: DateTime
    actor: str
    description: str | None
    root: strawberry.ID | None = strawberry.field(
        description="The item whose dependencies are its scope; null for everything."
    )
    size: Long | None = strawberry.field(description="How many items are in its scope; null for everything.")

    @classmethod
    def of(cls, baseline: Baseline) -> Self:
        """The same for GraphQL."""
        return cls(
            name=baseline.name,
            revision=Long(baseline.revision),
            recorded_at=DateTime(baseline.recorded_at),
            actor=baseline.actor,
            description=baseline.description or None,
            root=strawberry.ID(baseline.root) if baseline.root else None,
            size=Long(len(baseline.scope)) if baseline.scope is not None else None,
        )


@strawberry.type
class BaselineQueries:
    """Root fields."""

    @documented
    async def baselines(self, info: Info) -> list[BaselineType]:
        """All baselines, oldest revision first."""
        info.context.require(Action.READ)
        return [BaselineType.of(baseline) for baseline in await info.context.store.baselines.list()]


@strawberry.type
class BaselineMutations:
    """Root fields."""

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


QUERIES: list[StrawberryField] = BaselineQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
MUTATIONS: list[StrawberryField] = BaselineMutations.__strawberry_definition__.fields  # type: ignore[attr-defined]
