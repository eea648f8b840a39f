"""Inputs that follow from the catalogue: what `createServer` and `updateServer` take, and what it means.

An absent field of an update stays as it is; null takes its value away. Values are checked when the ChangeSet is
planned, so that every problem of every field is told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from cmdb.model.catalogue import ItemClass
from cmdb_graphql.definitions import Field, input_type, list_of, optional
from cmdb_graphql.derived_types import DerivedTypes
from cmdb_graphql.names import TakenNames, camel


class DerivedInputs:
    """Create and update inputs of every class that items can have."""

    def __init__(self, types: DerivedTypes, taken: TakenNames) -> None:
        self._types = types
        self._names: dict[str, dict[str, str]] = {}
        self.creates: dict[str, type] = {}
        self.updates: dict[str, type] = {}
        for item_class in types.catalogue.classes.values():
            if item_class.abstract:
                continue
            name = item_class.name
            self.creates[name] = input_type(
                taken.take(name + "CreateInput", name, "its input"),
                f"A new {name}.",
                self._fields(item_class, new=True),
            )
            self.updates[name] = input_type(
                taken.take(name + "UpdateInput", name, "its input"),
                f"What is to change about a {name}; null takes a value away.",
                self._fields(item_class, new=False),
            )

    def _fields(self, item_class: ItemClass, *, new: bool) -> Iterable[Field]:
        names = self._names.setdefault(item_class.name, {"name": "name", "lifecycle": "lifecycle"})
        yield Field("name", str if new else optional(str))
        yield Field("lifecycle", optional(self._types.state))
        for attribute in item_class.attributes.values():
            if attribute.expression is not None:
                continue
            name = camel(attribute.name)
            names[name] = attribute.name
            of_type = self._types.attribute_type(attribute)
            required = new and attribute.entry.required and attribute.entry.default is None
            shown = list_of(of_type) if attribute.entry.list else of_type
            yield Field(name, shown if required else optional(shown))

    def fields(self, class_name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a `PutItem` for an input."""
        names = self._names[class_name]
        return {names[name]: raw_value(value) for name, value in given.items()}


def raw_value(value: object) -> object:
    """A value as planning takes it: enum members by what they stand for."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list):
        return [raw_value(member) for member in value]
    return value
