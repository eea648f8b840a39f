"""Strawberry definitions made from data instead of from Python classes.

Strawberry reads a schema from `StrawberryObjectDefinition`s; its decorators make them by inspecting classes, which for
thousands of derived fields takes seconds. These functions make the same definitions directly, and their resolvers are
plain functions `(source, info, **arguments)`. A type may be named before its fields are known: `fields` may be added
until the schema is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, TypeVar

import strawberry
from strawberry.schema_directives import OneOf
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList, StrawberryObjectDefinition, StrawberryOptional
from strawberry.types.enum import EnumValue, StrawberryEnumDefinition
from strawberry.types.field import StrawberryField
from strawberry.types.unset import UNSET

Type = Any
"""A Strawberry type: a class that carries a definition, a scalar, or one of the wrappers below."""
Resolver = Callable[..., Any]


def optional(of_type: Type) -> StrawberryOptional:
    """The type, or null."""
    return StrawberryOptional(of_type)


def list_of(of_type: Type) -> StrawberryList:
    """A list of non-null members."""
    return StrawberryList(of_type)


class Argument(StrawberryArgument):
    """An argument with a type that is known already; `python_name` is what the resolver calls it."""

    def __init__(
        self,
        name: str,
        type_: Type,
        description: str | None = None,
        *,
        default: object = UNSET,
        python_name: str | None = None,
    ) -> None:
        self.graphql_name = name
        self.python_name = python_name or name
        self.description = description
        self.default = default
        self.deprecation_reason = None
        self.directives = ()
        self.metadata = {}
        self.is_subscription = False
        self._type = type_

    @property
    def type(self) -> Type:
        """The type it was made with."""
        return self._type


class Field(StrawberryField):
    """A field with a type that is known already; without a resolver it is read by the schema's default resolver."""

    def __init__(
        self,
        name: str,
        type_: Type,
        description: str | None = None,
        *,
        resolve: Resolver | None = None,
        arguments: Sequence[Argument] = (),
        python_name: str | None = None,
        subscription: bool = False,
        default: object = UNSET,
        deprecation: str | None = None,
    ) -> None:
        self._type = type_
        self._resolve = resolve
        super().__init__(
            python_name=python_name or name,
            graphql_name=name,
            description=description or None,
            is_subscription=subscription,
            default=default,
            deprecation_reason=deprecation,
        )
        self._arguments = list(arguments)

    def resolve_type(self, *, type_definition: StrawberryObjectDefinition | None = None) -> Type:
        """The type it was made with."""
        return self._type

    @property
    def is_basic_field(self) -> bool:
        """Whether the default resolver reads it."""
        return self._resolve is None

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """The value, or something to await for it."""
        if self._resolve is None:
            return self.default_resolver(source, self.python_name)
        return self._resolve(source, info, **kwargs)


F = TypeVar("F", bound=Callable[..., Any])


def documented(resolver: F) -> F:
    """Make a method a field; its docstring is the description in the schema."""
    field: F = strawberry.field(resolver=resolver, description=_one_line(resolver))
    return field


def documented_subscription(resolver: F) -> F:
    """Make a method a subscription; its docstring is the description in the schema."""
    field: F = strawberry.subscription(resolver=resolver, description=_one_line(resolver))
    return field


def _one_line(resolver: Callable[..., Any]) -> str:
    return " ".join((resolver.__doc__ or "").split())


def object_type(
    name: str,
    description: str,
    fields: Iterable[StrawberryField] = (),
    *,
    interfaces: Sequence[type] = (),
) -> type:
    """An object type; values need not be of any class, the field that gives them decides what they are."""
    return _defined(name, description, fields, interfaces=interfaces)


def interface(
    name: str,
    description: str,
    resolve_type: Callable[..., str],
    fields: Iterable[StrawberryField] = (),
    *,
    interfaces: Sequence[type] = (),
) -> type:
    """An interface; `resolve_type` names the object type of a value."""
    return _defined(
        name, description, fields, interfaces=interfaces, is_interface=True, resolve_type=resolve_type
    )


def input_type(
    name: str, description: str, fields: Iterable[StrawberryField] = (), *, one_of: bool = False
) -> type:
    """An input type; resolvers get its value as a plain dictionary by field names, absent fields absent."""
    cls = _defined(name, description, fields, is_input=True)
    definition = cls.__strawberry_definition__  # type: ignore[attr-defined]
    definition.from_input = _as_given
    if one_of:
        definition.directives = (OneOf(),)
    return cls


def enum(
    name: str, values: Iterable[tuple[str, Any, str]], description: str = ""
) -> StrawberryEnumDefinition:
    """An enum of (GraphQL name, internal value, description); resolvers get and give the internal values."""
    listed = [EnumValue(name=n, value=value, description=text or None) for n, value, text in values]
    members = Enum(name, [(v.name, v.value) for v in listed])  # type: ignore[misc]
    return StrawberryEnumDefinition(
        wrapped_cls=members, name=name, values=listed, description=description or None
    )


def add_fields(cls: type, fields: Iterable[StrawberryField]) -> None:
    """Give a type (more) fields; the schema must not have been built yet."""
    cls.__strawberry_definition__.fields.extend(fields)  # type: ignore[attr-defined]


def type_name(cls: type) -> str:
    """The GraphQL name of a type made here."""
    name: str = cls.__strawberry_definition__.name  # type: ignore[attr-defined]
    return name


def _defined(
    name: str,
    description: str,
    fields: Iterable[StrawberryField],
    *,
    interfaces: Sequence[type] = (),
    is_interface: bool = False,
    is_input: bool = False,
    resolve_type: Callable[..., str] | None = None,
) -> type:
    cls = type(name, (), {})
    cls.__strawberry_definition__ = StrawberryObjectDefinition(  # type: ignore[attr-defined]
        name=name,
        is_input=is_input,
        is_interface=is_interface,
        origin=cls,
        description=description or None,
        interfaces=[i.__strawberry_definition__ for i in interfaces],  # type: ignore[attr-defined]
        extend=False,
        directives=(),
        # The field that yields a value has chosen its type already: nothing is left to be checked.
        is_type_of=_always if interfaces else None,
        resolve_type=resolve_type,
        fields=list(fields),
    )
    return cls


def _always(_value: object, _info: object) -> bool:
    return True


def _as_given(_cls: type, value: Mapping[str, Any], _context: object) -> dict[str, Any]:
    return dict(value)
