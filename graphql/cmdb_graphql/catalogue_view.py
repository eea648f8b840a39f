"""The catalogue as GraphQL shows it."""

from __future__ import annotations

from typing import Any, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.model.catalogue import Catalogue
from cmdb.model.reliability import ClassDefault
from cmdb.model.values import format_duration
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.scalars import Json

Info = strawberry.Info[Context, None]


@strawberry.type(
    name="CatalogueView", description="Classes, relationship types and lifecycles, as they are in force."
)
class CatalogueType:
    """The catalogue as JSON."""

    digest: str = strawberry.field(description="Two equal digests are the same catalogue.")
    classes: Json = strawberry.field(description="Every class with what it inherits, by name.")
    relationships: Json
    lifecycles: Json
    entries: Json = strawberry.field(description="All entries in the form in which they are written.")

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """The same for GraphQL."""
        return cls(
            digest=catalogue.digest,
            classes=Json({name: _class_record(catalogue, name) for name in catalogue.classes}),
            relationships=Json(
                {r.name: _relationship_record(catalogue, r.name) for r in catalogue.relationships.values()}
            ),
            lifecycles=Json(
                {
                    name: {
                        "initial": lifecycle.initial,
                        "starts": sorted(lifecycle.starts),
                        "closed": sorted(lifecycle.closed),
                        "transitions": {state: list(to) for state, to in lifecycle.transitions.items()},
                        "titles": {state: dict(titles) for state, titles in lifecycle.titles.items()},
                    }
                    for name, lifecycle in catalogue.lifecycles.items()
                }
            ),
            entries=Json(catalogue.to_record()),
        )


def _class_record(catalogue: Catalogue, name: str) -> dict[str, Any]:
    item_class = catalogue.classes[name]
    return {
        "extends": item_class.parent,
        "chain": list(item_class.chain),
        "abstract": item_class.abstract,
        "description": item_class.description,
        "title": dict(item_class.title),
        "plural": item_class.plural,
        "layer": item_class.layer,
        "lifecycle": item_class.lifecycle.name,
        "attributes": {
            a.name: {
                **a.entry.model_dump(mode="json", exclude_defaults=True),
                "type": a.entry.type,
                "declaredBy": a.declared_by,
            }
            for a in item_class.attributes.values()
        },
        "reliability": _reliability_record(item_class.reliability),
        "identify": [str(rule) for rule in item_class.identity_rules],
        "outgoing": sorted(r.name for r in catalogue.outgoing(name)),
        "incoming": sorted(r.name for r in catalogue.incoming(name)),
    }


def _reliability_record(default: ClassDefault | None) -> dict[str, Any] | None:
    if default is None:
        return None
    times = {"mtbf": default.mtbf, "mttr": default.mttr}
    return {
        "unavailability": default.unavailability,
        **{name: format_duration(round(s * 1_000)) for name, s in times.items() if s is not None},
        "declaredBy": default.declared_by,
    }


def _relationship_record(catalogue: Catalogue, name: str) -> dict[str, Any]:
    relationship = catalogue.relationships[name]
    return {
        "from": list(relationship.source),
        "to": list(relationship.target),
        "inverse": relationship.inverse,
        "dependency": relationship.dependency,
        "cardinality": relationship.cardinality,
        "description": relationship.description,
        "title": dict(relationship.title),
        "inverseTitle": dict(relationship.inverse_title),
    }


@strawberry.type
class CatalogueQueries:
    """Root fields."""

    @documented
    async def catalogue(self, info: Info) -> CatalogueType:
        """The catalogue in force."""
        info.context.require(Action.READ)
        return CatalogueType.of(info.context.store.catalogue)


QUERIES: list[StrawberryField] = CatalogueQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
