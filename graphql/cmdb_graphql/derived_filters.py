"""Filters and orders that follow from the catalogue: the input types, and what their values mean.

`ServerFilter` has every attribute of the class, `id`, `name`, `lifecycle` and the like, `class` and `isA`, the
relationships on both sides (`runsOn: {some: {...}}`), and `and`, `or`, `not`. Fields of one filter all have to hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from cmdb.errors import BadRequest, Forbidden, InvalidValue
from cmdb.model.catalogue import Attribute, Catalogue, ItemClass
from cmdb.store.filters import (
    EVERYTHING,
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    IsA,
    Not,
    Operator,
    Related,
)
from cmdb.store.reading import Order
from cmdb_graphql.definitions import Field, Type, add_fields, enum, input_type, list_of, optional
from cmdb_graphql.derived_types import DerivedTypes
from cmdb_graphql.names import TakenNames, camel, enum_value
from cmdb_graphql.scalars import DateTime, Long

MAX_CONDITIONS = 200
"""Most conditions of one filter, nested ones included."""
MAX_LIST = 1_000
"""Most members of an `in`."""

_BUILT_IN: Mapping[str, tuple[str, Type]] = {
    "id": ("id", strawberry.ID),
    "name": ("name", str),
    "version": ("version", Long),
    "createdAt": ("created_at", DateTime),
    "updatedAt": ("updated_at", DateTime),
}
_ORDERED_BUILT_IN = ("name", "id", "lifecycle", "version", "created_at", "updated_at")
_NOT_ORDERED = ("text", "json", "money")


class DerivedFilters:
    """Filter and order inputs for one catalogue."""

    def __init__(self, types: DerivedTypes, taken: TakenNames) -> None:
        self._types = types
        self._catalogue: Catalogue = types.catalogue
        self._taken = taken
        self._values: dict[tuple[str, bool], type] = {}
        self._relations: dict[str, type] = {}
        self._orders: dict[str, tuple[type, StrawberryEnumDefinition]] = {}
        self._fields: dict[str, dict[str, tuple[str, Any]]] = {}
        self._direction = enum("Direction", [("ASC", False, "Up."), ("DESC", True, "Down.")])
        self._ascending: object = self._direction.wrapped_cls["ASC"]
        self._filters = {
            name: input_type(
                taken.take(name + "Filter", name, "its filter"),
                f"Which items of class {name}; all fields must hold.",
            )
            for name in self._catalogue.classes
        }
        types.filter_of = self.filter

    def filter(self, class_name: str) -> type:
        """The filter of a class."""
        return self._filters[class_name]

    def order(self, class_name: str) -> type:
        """The order of a class: a field and a direction."""
        found = self._orders.get(class_name)
        if found is None:
            names = [*_ORDERED_BUILT_IN]
            names += [a.name for a in self._catalogue.classes[class_name].attributes.values() if _ordered(a)]
            fields = enum(
                self._taken.take(class_name + "OrderField", class_name, "its order"),
                [(enum_value(name), name, "") for name in names],
            )
            order = input_type(
                self._taken.take(class_name + "Order", class_name, "its order"),
                "By which value; items without it come last, ties are broken by id.",
                [
                    Field("field", fields),
                    Field("direction", self._direction, default=self._ascending),
                ],
            )
            found = self._orders[class_name] = (order, fields)
        return found[0]

    def fill(self) -> None:
        """Give the filters their fields."""
        for item_class in self._catalogue.classes.values():
            add_fields(self._filters[item_class.name], self._filter_fields(item_class))

    def _filter_fields(self, item_class: ItemClass) -> Iterable[Field]:
        own = self._filters[item_class.name]
        kinds: dict[str, tuple[str, Any]] = {}
        for name, (attribute_name, of_type) in _BUILT_IN.items():
            kinds[name] = ("value", attribute_name)
            yield Field(name, optional(self._value_filter(of_type, ordered=True, textual=name == "name")))
        kinds["lifecycle"] = ("value", "lifecycle")
        yield Field("lifecycle", optional(self._value_filter(self._types.state)))
        kinds["class"] = ("value", "class")
        yield Field("class", optional(self._value_filter(str)), "Its very class.")
        kinds["isA"] = ("isA", None)
        yield Field("isA", optional(list_of(str)), "Of one of these classes, or of a subclass.")
        for attribute in item_class.attributes.values():
            name = camel(attribute.name)
            kinds[name] = ("attribute", attribute)
            yield Field(name, optional(self._attribute_filter(attribute)))
        for outgoing, relationships in (
            (True, self._catalogue.outgoing(item_class.name)),
            (False, self._catalogue.incoming(item_class.name)),
        ):
            for relationship in relationships:
                far = self._types.far_class(relationship, outgoing)
                name = camel(relationship.name if outgoing else relationship.inverse)
                kinds[name] = ("related", (relationship.name, outgoing, far))
                yield Field(name, optional(self._relation_filter(far)))
        for name in ("and", "or"):
            kinds[name] = (name, None)
            yield Field(name, optional(list_of(own)))
        kinds["not"] = ("not", None)
        yield Field("not", optional(own))
        self._fields[item_class.name] = kinds

    def _attribute_filter(self, attribute: Attribute) -> type:
        kind = attribute.value_type
        return self._value_filter(
            self._types.attribute_type(attribute),
            ordered=kind.ordered and attribute.entry.type != "enum",
            textual=kind.textual,
            is_list=attribute.entry.list,
            comparable=attribute.entry.type != "json",
        )

    def _value_filter(
        self,
        of_type: Type,
        *,
        ordered: bool = False,
        textual: bool = False,
        is_list: bool = False,
        comparable: bool = True,
    ) -> type:
        stem = _stem_of(of_type)
        if is_list:
            name = stem + "ListFilter"
        elif not comparable:
            name = stem + "Filter"
        elif stem == "String":
            name = ("Ordered" if ordered else "") + ("Text" if textual else "Word") + "Filter"
        else:
            name = stem + "ValueFilter"
        found = self._values.get((name, True))
        if found is None:
            fields = [Field("exists", optional(bool), "Whether there is a value.")]
            if is_list:
                fields.append(Field("has", optional(of_type), "A member."))
            elif comparable:
                fields += [Field(op, optional(of_type)) for op in ("eq", "ne")]
                fields.append(Field("in", optional(list_of(of_type))))
                if ordered:
                    fields += [Field(op, optional(of_type)) for op in ("gt", "gte", "lt", "lte")]
                if textual:
                    fields += [Field(op, optional(of_type)) for op in ("contains", "startsWith")]
            found = self._values[name, True] = input_type(
                self._taken.take(name, stem, "a filter"),
                "Conditions on a value; all fields must hold.",
                fields,
            )
        return found

    def _relation_filter(self, class_name: str) -> type:
        found = self._relations.get(class_name)
        if found is None:
            own = self._filters[class_name]
            found = self._relations[class_name] = input_type(
                self._taken.take(class_name + "RelationFilter", class_name, "a filter"),
                "Conditions on the items at the far ends of edges; all fields must hold.",
                [
                    Field("some", optional(own), "At least one of them is such."),
                    Field("none", optional(own), "None of them is such."),
                    Field("every", optional(own), "Each of them is such (or there is none)."),
                    Field("exists", optional(bool), "Whether there is any."),
                ],
            )
        return found

    # --- meaning ------------------------------------------------------------------------------------------------------

    def condition(self, class_name: str, given: Mapping[str, Any] | None, *, secrets: bool) -> Condition:
        """What a filter means. `secrets`: the caller may use secret attributes.

        Raises:
            Forbidden: a secret attribute is named by somebody who may not know it.
            BadRequest: more than `MAX_CONDITIONS` conditions, or too long a list.
        """
        if not given:
            return EVERYTHING
        reading = _Reading(self._fields, secrets)
        return reading.condition(class_name, given)

    def order_of(self, given: Mapping[str, Any] | None, class_name: str, *, secrets: bool) -> Order:
        """What an order means; by name where none is given. Raises `Forbidden` for a secret attribute."""
        if not given:
            return Order()
        attribute = str(_plain(given["field"]))
        found = self._catalogue.classes[class_name].attributes.get(attribute)
        if found is not None and found.entry.secret and not secrets:
            raise Forbidden(
                f"{attribute} is secret: items cannot be ordered by it without the right to see it"
            )
        return Order(attribute, bool(_plain(given.get("direction", False))))


class _Reading:
    """One filter being read; counts its conditions."""

    def __init__(self, fields: Mapping[str, Mapping[str, tuple[str, Any]]], secrets: bool) -> None:
        self._fields = fields
        self._secrets = secrets
        self._seen = 0

    def condition(self, class_name: str, given: Mapping[str, Any]) -> Condition:
        parts: list[Condition] = []
        for name, value in given.items():
            if value is None:
                continue
            kind, meaning = self._fields[class_name][name]
            parts.extend(self._parts(class_name, kind, meaning, value))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _parts(self, class_name: str, kind: str, meaning: Any, value: Any) -> Iterable[Condition]:  # noqa: ANN401
        self._seen += 1
        if self._seen > MAX_CONDITIONS:
            raise BadRequest(f"the filter has more than {MAX_CONDITIONS} conditions; ask in several queries")
        match kind:
            case "and":
                yield AllOf(tuple(self.condition(class_name, part) for part in value))
            case "or":
                yield AnyOf(tuple(self.condition(class_name, part) for part in value))
            case "not":
                yield Not(self.condition(class_name, value))
            case "isA":
                yield IsA(tuple(value))
            case "value":
                yield from self._comparisons(meaning, value)
            case "attribute":
                if meaning.entry.secret and not self._secrets:
                    raise Forbidden(
                        f"{meaning.name} is secret: items cannot be filtered by it without the right to see it"
                    )
                yield from self._comparisons(meaning.name, value, meaning)
            case _:
                relationship, outgoing, far = meaning
                for quantifier in ("some", "none", "every"):
                    where = value.get(quantifier)
                    if where is not None:
                        yield Related(relationship, outgoing, quantifier, self.condition(far, where))
                if value.get("exists") is not None:
                    yield Related(relationship, outgoing, "some" if value["exists"] else "none", EVERYTHING)

    def _comparisons(
        self, name: str, given: Mapping[str, Any], attribute: Attribute | None = None
    ) -> Iterable[Condition]:
        for field, value in given.items():
            if value is None:
                continue
            self._seen += 1
            operator = _OPERATORS[field]
            if operator == "in":
                if len(value) > MAX_LIST:
                    raise BadRequest(f"`in` has {len(value)} members; at most {MAX_LIST} are allowed")
                yield Comparison(name, operator, tuple(_normal(member, attribute) for member in value))
            elif operator in ("exists", "contains", "startsWith"):
                yield Comparison(name, operator, value)
            else:
                yield Comparison(name, operator, _normal(value, attribute))


_OPERATORS: Mapping[str, Operator] = {
    "eq": "eq",
    "ne": "ne",
    "in": "in",
    "contains": "contains",
    "startsWith": "startsWith",
    "gt": "gt",
    "gte": "gte",
    "lt": "lt",
    "lte": "lte",
    "exists": "exists",
    "has": "has",
}


def _normal(value: object, attribute: Attribute | None) -> object:
    """The value as it is stored."""
    plain = _plain(value)
    if attribute is None:
        return plain
    try:
        return attribute.value_type.normalise(plain)
    except InvalidValue as error:
        raise BadRequest(f"the filter on {attribute.name}: {error}") from None


def _plain(value: object) -> object:
    """The internal value of an enum member; anything else as it is."""
    return value.value if isinstance(value, Enum) else value


def _ordered(attribute: Attribute) -> bool:
    return not attribute.entry.list and attribute.entry.type not in _NOT_ORDERED


def _stem_of(of_type: Type) -> str:
    if of_type is strawberry.ID:
        return "ID"
    if isinstance(of_type, StrawberryEnumDefinition):
        return of_type.name
    return {str: "String", float: "Float", bool: "Boolean"}.get(of_type) or str(
        {"Json": "JSON"}.get(of_type.__name__, of_type.__name__)
    )
