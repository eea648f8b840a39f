"""What the service answers when it cannot answer: one record form, one table of stable codes.

Every error of an answer has `message` and `extensions.code`; `locations` and `path` where GraphQL has them; beside
the code stand the facts of the error (`extensions.limit`, `extensions.problems`, ...) and `retryable: true` where a
repeat can help. Codes are a promise: they are added to, never renamed. Anything unknown becomes `INTERNAL` with an
`errorId` that stands in the log together with the traceback, and nothing else gets out.

| code | HTTP | when | facts |
|---|---|---|---|
| BAD_REQUEST | 400 | the request, or an argument, has the wrong shape or makes no sense | |
| GRAPHQL_PARSE_FAILED | 400 | the document is not GraphQL | |
| GRAPHQL_VALIDATION_FAILED | 400 | the document does not fit the schema | |
| OPERATION_RESOLUTION_FAILED | 400 | no such operation, or more than one and no name | |
| BAD_USER_INPUT | 400 | a variable or an argument does not fit its type | |
| LIMIT_EXCEEDED | 400 | a limit of the query (`cmdb_graphql.limits.Limits`) or of a socket | limit, allowed, seen |
| INTROSPECTION_DISABLED | 400 | the caller's role may not introspect | |
| UNAUTHENTICATED | 401 | no token, or one that is not good | |
| FORBIDDEN | 403 | the caller is known and lacks the right | |
| METHOD_NOT_ALLOWED | 405 | another method than POST (GET in the conformance profile) | |
| NOT_ACCEPTABLE | 406 | `Accept` names no type we have | |
| REQUEST_TIMEOUT | 408 | the body came too slowly | |
| BODY_TOO_LARGE | 413 | the body has too many bytes | limit, allowed |
| UNSUPPORTED_MEDIA_TYPE | 415 | the body is not JSON in UTF-8, or is compressed | |
| INTERNAL | 500 | our fault | errorId |
| UNAVAILABLE | 503 | the store cannot be reached | retryAfter |
| DEADLINE_EXCEEDED | 504 | it took longer than the deadline | seconds or retryAfter |
| any code of `cmdb.errors` | 200 | a resolver raised it: beside the rest of the data | those of its class |

The HTTP column holds for an operation that was refused as a whole. Under `Accept: application/json` the faults of a
well-formed request (GRAPHQL_*, OPERATION_*, BAD_USER_INPUT, LIMIT_EXCEEDED, INTROSPECTION_DISABLED) have status 200, as
GraphQL over HTTP asks for that type.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import structlog
from graphql import GraphQLError, GraphQLSyntaxError

from cmdb.errors import CmdbError

ErrorRecord: TypeAlias = dict[str, Any]
"""One entry of a response's `errors`, ready for JSON."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.graphql")


class Code(StrEnum):
    """The codes this package gives itself; the table is in the module's docstring."""

    BAD_REQUEST = "BAD_REQUEST"
    GRAPHQL_PARSE_FAILED = "GRAPHQL_PARSE_FAILED"
    GRAPHQL_VALIDATION_FAILED = "GRAPHQL_VALIDATION_FAILED"
    OPERATION_RESOLUTION_FAILED = "OPERATION_RESOLUTION_FAILED"
    BAD_USER_INPUT = "BAD_USER_INPUT"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    INTROSPECTION_DISABLED = "INTROSPECTION_DISABLED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"


HTTP_STATUS: Mapping[str, int] = {
    Code.BAD_REQUEST: 400,
    Code.GRAPHQL_PARSE_FAILED: 400,
    Code.GRAPHQL_VALIDATION_FAILED: 400,
    Code.OPERATION_RESOLUTION_FAILED: 400,
    Code.BAD_USER_INPUT: 400,
    Code.LIMIT_EXCEEDED: 400,
    Code.INTROSPECTION_DISABLED: 400,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.NOT_ACCEPTABLE: 406,
    Code.REQUEST_TIMEOUT: 408,
    Code.BODY_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.INTERNAL: 500,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}
"""The status of an operation refused as a whole, by code; a code that is not here is 400."""

WELL_FORMED: frozenset[str] = frozenset(
    {
        Code.GRAPHQL_PARSE_FAILED,
        Code.GRAPHQL_VALIDATION_FAILED,
        Code.OPERATION_RESOLUTION_FAILED,
        Code.BAD_USER_INPUT,
        Code.LIMIT_EXCEEDED,
        Code.INTROSPECTION_DISABLED,
    }
)
"""Codes of requests that were good HTTP and JSON: status 200 under `application/json`."""


class Refusal(Exception):
    """An operation refused as a whole, before any of it ran (or, for the deadline, all of it given up).

    `code` decides the status; `errors` are the records to answer with; `headers` go with an HTTP answer.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        facts: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[ErrorRecord] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = str(code)
        self.message = message
        self.facts: Mapping[str, Any] = facts or {}
        self.headers: Mapping[str, str] = headers or {}
        self.errors: list[ErrorRecord] = list(errors) if errors else [_record(message, self.code, self.facts)]


def refusal_of(error: Exception, *, doing: str) -> Refusal:
    """Any exception as a refusal of the whole operation; an unknown one is logged and masked.

    `doing` says for the log what was tried. `UNAVAILABLE` carries Retry-After, `UNAUTHENTICATED` WWW-Authenticate.
    """
    if isinstance(error, Refusal):
        return error
    record = _describe(error, doing=doing)
    extensions = dict(record["extensions"])
    code = extensions.pop("code")
    headers: dict[str, str] = {}
    if code == Code.UNAUTHENTICATED:
        headers["www-authenticate"] = "Bearer"
    if "retryAfter" in extensions:
        headers["retry-after"] = str(max(1, round(extensions["retryAfter"])))
    return Refusal(code, record["message"], facts=extensions, headers=headers, errors=[record])


def parse_record(error: GraphQLSyntaxError) -> ErrorRecord:
    """A syntax error; its message and place are the caller's own text."""
    return _located(error, _record(error.message, Code.GRAPHQL_PARSE_FAILED))


def validation_record(error: GraphQLError) -> ErrorRecord:
    """A validation error; the validator was told whether it may suggest names."""
    return _located(error, _record(error.message, Code.GRAPHQL_VALIDATION_FAILED))


def execution_record(error: GraphQLError, *, operation: str) -> ErrorRecord:
    """An error met while an operation ran.

    Passed on: errors of the CMDB's tree, refusals, GraphQL errors that carry a code of their own, and what the executor
    says of variables and arguments. Everything else is masked. `operation` is named in the log.
    """
    cause: Exception = error
    while isinstance(cause, GraphQLError) and isinstance(cause.original_error, Exception):
        cause = cause.original_error
    if not isinstance(cause, GraphQLError):
        return _located(error, _describe(cause, doing=f"resolving {operation} {error.path}"))
    code = (error.extensions or {}).get("code")
    if isinstance(code, str):
        return _located(error, _record(error.message, code, error.extensions))
    if error.path is None or error.message.startswith("Argument '"):
        return _located(error, _record(error.message, Code.BAD_USER_INPUT))
    return _located(error, _describe(cause, doing=f"resolving {operation} {error.path}"))


def _describe(error: Exception, *, doing: str) -> ErrorRecord:
    if isinstance(error, Refusal):
        return _record(error.message, error.code, error.facts)
    if isinstance(error, CmdbError) and type(error).code != Code.INTERNAL:
        facts = dict(error.facts())
        if error.retryable:
            facts["retryable"] = True
        return _record(str(error), error.code, facts)
    error_id = uuid.uuid4().hex
    _log.error("internal_error", error_id=error_id, doing=doing, exc_info=error)
    return _record(
        "Internal error; the log has the details under this errorId.", Code.INTERNAL, {"errorId": error_id}
    )


def _record(message: str, code: str, facts: Mapping[str, Any] | None = None) -> ErrorRecord:
    return {"message": message, "extensions": {**(facts or {}), "code": str(code)}}


def _located(error: GraphQLError, record: ErrorRecord) -> ErrorRecord:
    if error.locations:
        record["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        record["path"] = error.path
    return record
