"""GraphQL texts that were found good, kept so that the next caller pays nothing for finding out."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import strawberry
from graphql import DocumentNode, GraphQLSchema, GraphQLSyntaxError, specified_rules, validate
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from cmdb_graphql.cost import Estimate
from cmdb_graphql.errors import Code, Refusal, parse_record, validation_record
from cmdb_graphql.limits import Limits, Measure, measure, parse_within

_RULES: Final = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
_MAX_VALIDATION_ERRORS: Final = 20


@dataclass(slots=True)
class Document:
    """A text that was found good for one schema."""

    document: DocumentNode
    measured: Measure
    estimates: dict[str | None, Estimate] = field(default_factory=dict)


class DocumentCache:
    """The last texts that passed parsing, limits and validation, for the current schema; at most `size` of them.

    Refused texts are not kept: they are cheap to refuse (`limits`), and would push out good ones.
    """

    def __init__(self, limits: Limits, *, size: int = 512) -> None:
        self._limits = limits
        self._size = size
        self._schema: strawberry.Schema | None = None
        self._texts: OrderedDict[str, Document] = OrderedDict()

    def __len__(self) -> int:
        return len(self._texts)

    def get(self, schema: strawberry.Schema, text: str, *, may_introspect: bool) -> Document:
        """The prepared document. Raises `Refusal` with what is wrong with it."""
        if schema is not self._schema:
            _check_schema(schema)
            self._schema = schema
            self._texts.clear()
        prepared = self._texts.get(text)
        if prepared is not None:
            self._texts.move_to_end(text)
            _check_introspection(prepared.measured, may_introspect)
            return prepared
        prepared = self._prepare(schema._schema, text, may_introspect=may_introspect)
        self._texts[text] = prepared
        if len(self._texts) > self._size:
            self._texts.popitem(last=False)
        return prepared

    def _prepare(self, schema: GraphQLSchema, text: str, *, may_introspect: bool) -> Document:
        try:
            document = parse_within(text, self._limits)
        except GraphQLSyntaxError as error:
            record = parse_record(error)
            raise Refusal(Code.GRAPHQL_PARSE_FAILED, error.message, errors=[record]) from None
        measured = measure(document, self._limits)
        _check_introspection(measured, may_introspect)
        errors = validate(
            schema, document, _RULES, max_errors=_MAX_VALIDATION_ERRORS, hide_suggestions=not may_introspect
        )
        if errors:
            records = [validation_record(error) for error in errors]
            raise Refusal(Code.GRAPHQL_VALIDATION_FAILED, errors[0].message, errors=records)
        return Document(document, measured)


def _check_introspection(measured: Measure, may_introspect: bool) -> None:
    if measured.introspects and not may_introspect:
        raise Refusal(
            Code.INTROSPECTION_DISABLED,
            "this role may not introspect; the schema is published as schema.graphql",
        )


def _check_schema(schema: strawberry.Schema) -> None:
    if schema.extensions or schema.directives:
        raise TypeError(
            "the schema has Strawberry schema extensions or operation directives, which are not run here; "
            "use field extensions, or put the work into the context"
        )
