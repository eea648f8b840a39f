"""The GraphQL schema of a catalogue, and the registry that swaps it when the catalogue changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import strawberry
import structlog
from strawberry.exceptions import StrawberryException
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from cmdb.errors import CatalogueError, CmdbError
from cmdb.model.catalogue import Catalogue
from cmdb_graphql import (
    audit,
    availability,
    baselines,
    catalogue_view,
    checks,
    fault_trees,
    feed,
    graph,
    history,
    impact,
    ranking,
    reliability,
    tokens,
    watching,
    weak_points,
)
from cmdb_graphql.definitions import object_type
from cmdb_graphql.derived_filters import DerivedFilters
from cmdb_graphql.derived_inputs import DerivedInputs
from cmdb_graphql.derived_types import DerivedTypes, read_field
from cmdb_graphql.garbage import settle
from cmdb_graphql.items import RelatedResolvers, item_queries
from cmdb_graphql.mutations import mutations
from cmdb_graphql.names import TakenNames, camel
from cmdb_graphql.scalars import SCALARS

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.schema")


OWN_TYPES = (
    *("Query", "Mutation", "Subscription", "PageInfo", "LifecycleState", "Direction"),
    *("SearchEdge", "SearchConnection", "ChangePayload", "NewItemReference"),
)
"""Types of the contract that are made anew for each schema; Strawberry itself finds clashes with all others."""


QUERY_ROOMS = (
    history,
    baselines,
    catalogue_view,
    audit,
    graph,
    impact,
    availability,
    ranking,
    checks,
    reliability,
    fault_trees,
    weak_points,
    tokens,
)
"""Modules with root fields that do not depend on the catalogue."""


def build_schema(catalogue: Catalogue) -> strawberry.Schema:
    """The schema of a catalogue; takes a second or two, so run it in a thread.

    Raises:
        CatalogueError: names of the catalogue clash with each other, or with the contract's own, in GraphQL.
    """
    fixed = [field for room in QUERY_ROOMS for field in room.QUERIES]
    taken = TakenNames("type", dict.fromkeys(OWN_TYPES, "the contract's own"))
    related = RelatedResolvers(catalogue)
    types = DerivedTypes(catalogue, related.make, taken)
    filters = DerivedFilters(types, taken)
    related.types, related.filters = types, filters
    filters.fill()
    types.fill()
    names = TakenNames("query", dict.fromkeys((*map(_name, fixed), "item", "search"), "the contract's own"))
    query = object_type(
        "Query", "Everything that can be read.", [*item_queries(types, filters, names), *fixed]
    )
    inputs = DerivedInputs(types, taken)
    mutation = object_type("Mutation", "Everything that can be changed.", mutations(types, inputs))
    subscription = object_type(
        "Subscription", "What happens, as it happens.", [*feed.SUBSCRIPTIONS, *watching.SUBSCRIPTIONS]
    )
    try:
        return strawberry.Schema(
            query=query,
            mutation=mutation,
            subscription=subscription,
            types=types.all,
            config=StrawberryConfig(
                auto_camel_case=True,
                default_resolver=read_field,
                scalar_map=SCALARS,
            ),
        )
    except (ValueError, TypeError, StrawberryException) as error:
        raise CatalogueError(
            "catalogue", f"no GraphQL schema follows from it: {error}", "mend the names"
        ) from error


def _name(field: StrawberryField) -> str:
    return field.graphql_name or camel(field.python_name)


@dataclass(frozen=True, slots=True)
class BuiltSchema:
    """A schema, and the digest of the catalogue it was built from."""

    digest: str
    schema: strawberry.Schema

    @classmethod
    def of(cls, catalogue: Catalogue) -> BuiltSchema:
        """Build one; see `build_schema`."""
        return cls(catalogue.digest, build_schema(catalogue))


class SchemaRegistry:
    """The schema of the catalogue in force. `schema` is read once an operation; a change swaps it when it is built."""

    def __init__(self, catalogue: Callable[[], Catalogue], built: BuiltSchema) -> None:
        self._catalogue = catalogue
        self._digest = built.digest
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._offered = built
        self.schema = built.schema

    @classmethod
    async def start(
        cls, catalogue: Callable[[], Catalogue], built: BuiltSchema | None = None
    ) -> SchemaRegistry:
        """Begin with a schema that was `built` before, if it is that of the catalogue in force."""
        current = catalogue()
        if built is None or built.digest != current.digest:
            built = await asyncio.to_thread(BuiltSchema.of, current)
        registry = cls(catalogue, built)
        registry._task = asyncio.create_task(registry._follow(), name="schema")
        return registry

    def changed(self, _catalogue: Catalogue) -> None:
        """Another catalogue is in force: rebuild. Called in the event loop."""
        self._wanted.set()

    def offer(self, built: BuiltSchema) -> None:
        """Take this schema, which somebody had built already, if its catalogue is the next in force."""
        self._offered = built

    async def current(self) -> None:
        """Return when the schema is that of the catalogue in force, or building it has failed."""
        while self._catalogue().digest != self._digest and self._task is not None and not self._task.done():
            self._wanted.set()
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            catalogue = self._catalogue()
            if catalogue.digest == self._digest:
                continue
            try:
                offered = self._offered
                fits = offered.digest == catalogue.digest
                self.schema = (offered if fits else await asyncio.to_thread(BuiltSchema.of, catalogue)).schema
                settle()
            except CmdbError as error:
                _log.error("schema_not_rebuilt", error=str(error))
            self._digest = catalogue.digest
