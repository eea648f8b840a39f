"""The scalars of the contract, each the readable form of a normal form of `cmdb.model.values`.

What is right for an attribute the catalogue says when the change is planned, with all problems of it at once.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import NewType

import strawberry
from graphql import GraphQLError
from strawberry.types.scalar import ScalarDefinition

from cmdb.errors import InvalidValue
from cmdb.model.values import INT64, VALUE_TYPES, format_duration

Long = NewType("Long", int)
DateTime = NewType("DateTime", str)
Date = NewType("Date", str)
Duration = NewType("Duration", str)
Money = NewType("Money", str)
Json = NewType("Json", object)


def _long(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in INT64:
        raise GraphQLError(f"Long cannot represent {value!r:.60}: give a whole number of 64 bits")
    return value


def _json(value: object) -> object:
    """The value, if it can be written as JSON again."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
        elif isinstance(part, bool):
            continue
        elif isinstance(part, int) and part not in INT64:
            raise GraphQLError(f"JSON cannot represent {part!r:.60}: give whole numbers of 64 bits")
        elif isinstance(part, float) and not isfinite(part):
            raise GraphQLError("JSON cannot represent a number beyond all bounds")
    return value


def _as(value_type: str) -> Callable[[object], object]:
    """A parser to the normal form of an attribute type."""
    normalise = VALUE_TYPES[value_type].normalise

    def parse(value: object) -> object:
        try:
            return normalise(value)
        except InvalidValue as error:
            raise GraphQLError(str(error)) from None

    return parse


def _duration(value: object) -> str:
    return format_duration(value) if isinstance(value, int) else str(value)


def _parse_duration(value: object) -> str:
    """As text: a bare number would mean seconds once more where the attribute is normalised."""
    return _duration(_as("duration")(value))


def _same(value: object) -> object:
    return value


_RFC3339 = "https://www.rfc-editor.org/rfc/rfc3339"

SCALARS: dict[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long", description="A whole number of 64 bits.", serialize=_long, parse_value=_long
    ),
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment, written `2026-11-24T09:30:00Z`; always answered in UTC.",
        specified_by_url=_RFC3339,
        serialize=_same,
        parse_value=_as("datetime"),
    ),
    Date: strawberry.scalar(
        name="Date",
        description="A day, written `2026-11-24`.",
        specified_by_url=_RFC3339,
        serialize=_same,
        parse_value=_as("date"),
    ),
    Duration: strawberry.scalar(
        name="Duration",
        description="A length of time as ISO 8601 text, `PT1H30M`; short forms such as `90m` are understood too.",
        serialize=_duration,
        parse_value=_parse_duration,
    ),
    Money: strawberry.scalar(
        name="Money",
        description="An amount with its currency, `EUR 1250.5`.",
        serialize=_same,
        parse_value=_as("money"),
    ),
    Json: strawberry.scalar(name="JSON", description="Any JSON value.", serialize=_same, parse_value=_json),
}
"""Every scalar, for the schema's configuration."""
