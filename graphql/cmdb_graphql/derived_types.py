"""The GraphQL types that follow from the catalogue: what can be read of an item.

An abstract class is an interface of its name. A class that items can have is an object type of its name; if it has
subclasses too there is an interface `AnyHost` beside `Host`, for lists and relationships that may hold any of them.
Every relationship type is a field on both its sides, a page with the facts of each edge. `attributes` and `labels`
show an item without knowing its class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import orjson
import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from cmdb.model.catalogue import Attribute, Catalogue, ItemClass, RelationshipType
from cmdb.model.items import Item
from cmdb.model.values import Stored, format_duration
from cmdb.store.reading import Neighbour
from cmdb_graphql.definitions import (
    Argument,
    Field,
    Resolver,
    Type,
    add_fields,
    enum,
    interface,
    list_of,
    object_type,
    optional,
)
from cmdb_graphql.names import TakenNames, camel, enum_value, pascal
from cmdb_graphql.scalars import Date, DateTime, Duration, Json, Long, Money

SCALAR_OF: dict[str, Type] = {
    "integer": Long,
    "bytes": Long,
    "number": float,
    "boolean": bool,
    "date": Date,
    "datetime": DateTime,
    "duration": Duration,
    "money": Money,
    "json": Json,
}
"""The scalar of each attribute type; String for those that are not here, an enum of its own for enums."""

RelatedResolver = Callable[[RelationshipType, bool], Resolver]
"""Makes the resolver of a relationship field: its type, and whether the edges leave the item."""


@strawberry.enum(description="What failure of the far end does: take down, or degrade.")
class Strength(Enum):
    """As in `cmdb.model.items.EdgeFacts`."""

    HARD = "hard"
    SOFT = "soft"


@strawberry.enum(description="How an edge is known: somebody said so, it was seen, or it was concluded.")
class Confidence(Enum):
    """As in `cmdb.model.items.EdgeFacts`."""

    DECLARED = "declared"
    OBSERVED = "observed"
    INFERRED = "inferred"


def read_field(source: Any, name: str) -> object:  # noqa: ANN401 - the source of any field
    """The default resolver: an attribute of an item, or of whatever else stands there."""
    if isinstance(source, Item):
        match name:
            case "id" | "name" | "lifecycle" | "version" | "class_name" | "created_at" | "updated_at":
                return getattr(source, name)
        return source.attributes.get(name)
    return getattr(source, name)


def plain_value(attribute: Attribute | None, value: Stored | None) -> object:
    """A value in normal form as JSON shows it: durations as ISO text, JSON as what it says."""
    if attribute is None or value is None:
        return value
    kind = attribute.entry.type
    if kind == "json" and isinstance(value, str):
        return orjson.loads(value)
    if kind == "duration" and isinstance(value, int):
        return format_duration(value)
    if kind in ("json", "duration") and isinstance(value, list):
        return [plain_value_of(kind, member) for member in value]
    return value


def plain_value_of(kind: str, value: object) -> object:
    """One member of a list of JSON or durations."""
    if kind == "json" and isinstance(value, str):
        return orjson.loads(value)
    return format_duration(value) if isinstance(value, int) else value


class DerivedTypes:
    """All of them for one catalogue. `related` makes the resolvers of relationship fields."""

    def __init__(self, catalogue: Catalogue, related: RelatedResolver, taken: TakenNames) -> None:
        self.catalogue = catalogue
        self._related = related
        self._taken = taken
        self._has_subclasses = {name for name in catalogue.classes if len(catalogue.subclasses(name)) > 1}
        self.enums: dict[tuple[str, str], StrawberryEnumDefinition] = {}
        self.state = self._state_enum()
        self.page_info = object_type(
            "PageInfo",
            "Where a page stands.",
            [
                Field("hasNextPage", bool, "Whether there is more after it.", python_name="has_next"),
                Field(
                    "endCursor",
                    optional(str),
                    "What to give as `after` for the next page.",
                    python_name="end_cursor",
                ),
            ],
        )
        self.interfaces: dict[str, type] = {}
        self.objects: dict[str, type] = {}
        for item_class in self._parents_first():
            self._name_class(item_class)
        self._connections: dict[str, type] = {}
        self._relations: dict[str, type] = {}
        # The filter of a class is needed by relationship fields; who derives the filters says how to get it.
        self.filter_of: Callable[[str], type] | None = None

    def fill(self) -> None:
        """Give the types their fields; `filter_of` must be set."""
        for item_class in self.catalogue.classes.values():
            fields = [*self._own_fields(item_class), *self._attribute_fields(item_class)]
            fields += self._relation_fields(item_class)
            for types in (self.interfaces, self.objects):
                if item_class.name in types:
                    add_fields(types[item_class.name], fields)

    @property
    def all(self) -> list[type]:
        """Every object type, for a schema that reaches some of them only through interfaces."""
        return list(self.objects.values())

    def node(self, class_name: str) -> type:
        """The type of something that is of the class or of a subclass."""
        return self.interfaces.get(class_name) or self.objects[class_name]

    def connection(self, class_name: str) -> type:
        """A page of items of a class."""
        found = self._connections.get(class_name)
        if found is None:
            node = self.node(class_name)
            stem = self._stem(class_name)
            edge = object_type(
                self._taken.take(stem + "Edge", class_name, "its pages"),
                "One item of a page.",
                [Field("cursor", str, "Its place in the order."), Field("node", node)],
            )
            found = self._connections[class_name] = object_type(
                self._taken.take(stem + "Connection", class_name, "its pages"),
                "A page of items.",
                [
                    Field(
                        "totalCount",
                        Long,
                        "How many there are in all.",
                        resolve=lambda page, info: page.total_count(),
                    ),
                    Field("pageInfo", self.page_info, python_name="page_info"),
                    Field("edges", list_of(edge)),
                    Field("nodes", list_of(node)),
                    Field(
                        "revision",
                        Long,
                        "The revision the page is true of.",
                        resolve=lambda page, info: page.revision(),
                    ),
                ],
            )
        return found

    def relation(self, class_name: str) -> type:
        """A page of neighbours of a class, with the facts of their edges."""
        found = self._relations.get(class_name)
        if found is None:
            node = self.node(class_name)
            stem = self._stem(class_name) + "Relation"
            edge = object_type(
                self._taken.take(stem + "Edge", class_name, "relations to it"),
                "An edge and the item at its far end.",
                [
                    Field("cursor", str, "Its place in the order."),
                    Field("node", node),
                    Field("group", optional(str), "Edges of one group form a redundancy gate."),
                    Field("required", optional(str), "How many of the group must be up: a count or a share."),
                    Field("strength", optional(Strength), "Null: the type carries no failure."),
                    Field("confidence", Confidence),
                ],
            )
            found = self._relations[class_name] = object_type(
                self._taken.take(stem + "Connection", class_name, "relations to it"),
                "A page of neighbours, in the order of their names.",
                [
                    Field("totalCount", Long, "How many there are in all.", python_name="total_count"),
                    Field("pageInfo", self.page_info, python_name="page_info"),
                    Field("edges", list_of(edge)),
                    Field("nodes", list_of(node)),
                ],
            )
        return found

    def attribute_type(self, attribute: Attribute) -> Type:
        """The type of one value of an attribute."""
        if attribute.entry.type == "enum":
            return self.enums[attribute.declared_by, attribute.name]
        return SCALAR_OF.get(attribute.entry.type, str)

    def far_class(self, relationship: RelationshipType, outgoing: bool) -> str:
        """The nearest class that all items at the far end of a relationship are of."""
        classes = relationship.target if outgoing else relationship.source
        chains = [self.catalogue.classes[name].chain for name in classes]
        return next(name for name in chains[0] if all(name in chain for chain in chains))

    # --- names --------------------------------------------------------------------------------------------------------

    def _stem(self, class_name: str) -> str:
        is_object = class_name in self.objects and class_name in self.interfaces
        return "Any" + class_name if is_object else class_name

    def _parents_first(self) -> list[ItemClass]:
        return sorted(self.catalogue.classes.values(), key=lambda c: (len(c.chain), c.name))

    def _name_class(self, item_class: ItemClass) -> None:
        name = item_class.name
        above = [self.interfaces[a] for a in item_class.chain[1:] if a in self.interfaces]
        for attribute in item_class.attributes.values():
            if attribute.declared_by == name and attribute.entry.values:
                self.enums[name, attribute.name] = enum(
                    self._taken.take(name + pascal(attribute.name), name, f"{name}.{attribute.name}"),
                    [(enum_value(value), value, "") for value in attribute.entry.values],
                    attribute.entry.description,
                )
        if item_class.abstract or name in self._has_subclasses:
            own = name if item_class.abstract else "Any" + name
            self._taken.take(own, name, f"class {name}")
            self.interfaces[name] = interface(own, item_class.description, _type_of, interfaces=above)
            above = [self.interfaces[name], *above]
        if not item_class.abstract:
            self._taken.take(name, name, f"class {name}")
            self.objects[name] = object_type(name, item_class.description, interfaces=above)

    def _state_enum(self) -> StrawberryEnumDefinition:
        states: dict[str, tuple[str, str]] = {}
        for lifecycle in self.catalogue.lifecycles.values():
            for state in lifecycle.transitions:
                states.setdefault(enum_value(state), (state, lifecycle.titles[state].get("en", "")))
        values = [(name, value, text) for name, (value, text) in states.items()]
        return enum(
            "LifecycleState", values, "The states of all lifecycles; which a class has the catalogue says."
        )

    # --- fields -------------------------------------------------------------------------------------------------------

    def _own_fields(self, item_class: ItemClass) -> Iterable[Field]:
        catalogue = self.catalogue
        yield Field("id", strawberry.ID)
        yield Field("name", str, "What people call it.")
        yield Field("class", str, "Its class.", python_name="class_name")
        yield Field(
            "labels",
            list_of(str),
            "Its class and everything that class descends from.",
            resolve=lambda item, info: list(catalogue.classes[item.class_name].chain),
        )
        yield Field(
            "layer",
            str,
            "Where it belongs in a drawing: business, application, compute, network, ...",
            resolve=lambda item, info: catalogue.classes[item.class_name].layer,
        )
        yield Field("lifecycle", self.state, "Where it is in its life.")
        yield Field("version", Long, "The revision that last touched it or its outgoing edges.")
        yield Field("createdAt", DateTime, python_name="created_at")
        yield Field("updatedAt", DateTime, python_name="updated_at")
        yield Field(
            "attributes",
            Json,
            "All attributes that have a value, by their catalogue names.",
            resolve=lambda item, info: plain_attributes(catalogue, item),
        )

    def _attribute_fields(self, item_class: ItemClass) -> Iterable[Field]:
        for attribute in item_class.attributes.values():
            of_type = self.attribute_type(attribute)
            resolve: Resolver | None = None
            if attribute.entry.type == "json":
                resolve = _json_resolver(attribute)
            elif attribute.entry.type == "enum":
                resolve = _enum_resolver(attribute)
            unit = f" In {attribute.entry.unit}." if attribute.entry.unit else ""
            yield Field(
                camel(attribute.name),
                optional(list_of(of_type) if attribute.entry.list else of_type),
                attribute.entry.description + unit,
                python_name=attribute.name,
                resolve=resolve,
            )

    def _relation_fields(self, item_class: ItemClass) -> Iterable[Field]:
        for relationship in self.catalogue.outgoing(item_class.name):
            yield self._relation_field(relationship, True)
        for relationship in self.catalogue.incoming(item_class.name):
            yield self._relation_field(relationship, False)

    def _relation_field(self, relationship: RelationshipType, outgoing: bool) -> Field:
        far = self.far_class(relationship, outgoing)
        if self.filter_of is None:
            raise RuntimeError("set `filter_of` before `fill`")
        arrow = f"Edges {relationship.name} that {'leave' if outgoing else 'arrive at'} it."
        return Field(
            camel(relationship.name if outgoing else relationship.inverse),
            self.relation(far),
            f"{arrow} {relationship.description}",
            resolve=self._related(relationship, outgoing),
            arguments=[
                Argument("first", int, default=20),
                Argument("after", optional(str)),
                Argument("filter", optional(self.filter_of(far))),
            ],
        )


def plain_attributes(catalogue: Catalogue, item: Item) -> dict[str, object]:
    """The attributes of an item as JSON."""
    known = catalogue.classes[item.class_name].attributes if item.class_name in catalogue.classes else {}
    return {name: plain_value(known.get(name), value) for name, value in item.attributes.items()}


def _json_resolver(attribute: Attribute) -> Resolver:
    def resolve(item: Item, info: object) -> object:
        return plain_value(attribute, item.attributes.get(attribute.name))

    return resolve


def _enum_resolver(attribute: Attribute) -> Resolver:
    """Without values that the catalogue has no more, as the past may hold them; `attributes` shows those too."""
    known = frozenset(attribute.entry.values or ())

    def resolve(item: Item, info: object) -> object:
        value = item.attributes.get(attribute.name)
        if isinstance(value, list | tuple):
            return [member for member in value if member in known]
        return value if value in known else None

    return resolve


def _type_of(item: Item, _info: object, _abstract: object) -> str:
    return item.class_name


class ItemEdge:
    """An item of a page, with its cursor."""

    __slots__ = ("cursor", "node")

    def __init__(self, cursor: str, node: Item) -> None:
        self.cursor = cursor
        self.node = node


class RelationEdge:
    """A neighbour with the facts of its edge, as the GraphQL type has them."""

    __slots__ = ("confidence", "cursor", "group", "node", "required", "strength")

    def __init__(self, cursor: str, neighbour: Neighbour, relationship: RelationshipType) -> None:
        facts = neighbour.edge.facts
        self.cursor = cursor
        self.node = neighbour.item
        self.group = neighbour.edge.key.group or None
        self.required = facts.required
        strength = facts.strength or relationship.dependency
        self.strength = None if strength == "none" else strength
        self.confidence = facts.confidence
