"""One GraphQL operation, from the caller's text to an answer, the same for every transport.

Order of events: parse within limits, measure, validate, choose the operation, estimate its cost, run it under a
deadline, answer. The first three are done once for a text and kept (`cmdb_graphql.documents`), so a known query pays
for its cost estimate and its execution only. The schema is asked for at each operation: swapping it takes effect at
the next one, while running subscriptions stay on theirs.

Execution goes to graphql-core directly, with a subclass of Strawberry's executor. Strawberry's *schema* extensions
and custom operation directives are therefore not run, and a schema that has any is refused; field extensions and
permission classes work, they are part of the resolvers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from inspect import isawaitable
from typing import Any, Final, NoReturn, Protocol, Self, TypeAlias, TypeGuard, cast

import strawberry
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    OperationDefinitionNode,
    OperationType,
    create_source_event_stream,
    execute,
    get_operation_ast,
    map_source_to_response_event,
)
from graphql.execution import Executor
from graphql.type.definition import GraphQLResolveInfoHelpers
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from cmdb_graphql.cost import Estimate, estimate
from cmdb_graphql.documents import DocumentCache
from cmdb_graphql.errors import (
    Code,
    ErrorRecord,
    Refusal,
    execution_record,
    refusal_of,
)
from cmdb_graphql.limits import Limits

SchemaProvider: TypeAlias = Callable[[], strawberry.Schema]
"""Gives the schema of the moment; called once an operation, so it must be cheap."""

_IS_AWAITABLE: Final = cast("Callable[[Any], TypeGuard[Awaitable[Any]]]", optimized_is_awaitable)

_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.graphql")


def _no_helper(_values: object) -> NoReturn:
    raise NotImplementedError("resolvers of this service await what they need themselves")


_NO_HELPERS: Final = GraphQLResolveInfoHelpers(_no_helper, _no_helper)


class _Executor(StrawberryGraphQLCoreExecutionContext):
    """Strawberry's, without the helpers that it offers to resolvers.

    Bound to the executor they make a cycle of it, which keeps the context and all that was answered from until a full
    garbage collection: measured, 60 ms in the event loop every three seconds at 150 operations a second.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - whatever graphql-core passes
        super().__init__(*args, **kwargs)
        self.async_helpers = _NO_HELPERS


class OperationContext(Protocol):
    """What the transports need to know of a caller; resolvers get the same object as `info.context`."""

    @property
    def actor(self) -> str:
        """Who is asking: counts sockets, and stands in logs."""

    @property
    def may_introspect(self) -> bool:
        """Whether the role allows introspection, and suggestions in error messages."""

    @property
    def expires_at(self) -> datetime | None:
        """When the credentials end (timezone-aware), or None."""

    @property
    def revision(self) -> int | Awaitable[int | None] | None:
        """The revision the answer is true of; read after execution."""

    @property
    def spent(self) -> int | None:
        """Items touched by this operation so far, or None if nobody counts."""

    @property
    def truncated(self) -> bool:
        """Whether the answer leaves something out for reasons of cost."""

    def for_operation(self) -> Self:
        """A fresh context of the same caller, with its own data loaders: for each operation and event of a socket."""


@dataclass(frozen=True, slots=True)
class Request:
    """The parameters of one operation, of checked types."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None

    @classmethod
    def of(cls, parameters: object) -> Request:
        """From decoded JSON. Raises `Refusal` BAD_REQUEST naming the wrong parameter; unknown ones are ignored."""
        if isinstance(parameters, list):
            raise Refusal(
                Code.BAD_REQUEST, "an array was sent; batches are not supported, send one object a request"
            )
        if not isinstance(parameters, dict):
            raise Refusal(Code.BAD_REQUEST, f"{_json_type(parameters)} was sent; send an object with `query`")
        query = parameters.get("query")
        if not isinstance(query, str) or not query:
            raise Refusal(Code.BAD_REQUEST, f"`query` must be a non-empty string, not {_json_type(query)}")
        name = parameters.get("operationName")
        if name is not None and not isinstance(name, str):
            raise Refusal(
                Code.BAD_REQUEST, f"`operationName` must be a string or null, not {_json_type(name)}"
            )
        for key in ("variables", "extensions"):
            value = parameters.get(key)
            if value is not None and not isinstance(value, dict):
                raise Refusal(Code.BAD_REQUEST, f"`{key}` must be an object or null, not {_json_type(value)}")
        return cls(query=query, variables=parameters.get("variables") or {}, operation_name=name or None)


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that may run: parsed, measured, valid, within its cost."""

    schema: strawberry.Schema
    document: DocumentNode
    definition: OperationDefinitionNode
    request: Request
    estimate: Estimate
    hide_suggestions: bool

    @property
    def kind(self) -> OperationType:
        """query, mutation or subscription."""
        return self.definition.operation

    @property
    def name(self) -> str:
        """The operation's name, or `anonymous`."""
        return self.definition.name.value if self.definition.name else "anonymous"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `refusal` says whether the operation was refused as a whole (there is no `data` then)."""

    body: dict[str, Any]
    refusal: Refusal | None = None

    @property
    def errors(self) -> list[ErrorRecord]:
        """The body's `errors`."""
        errors: list[ErrorRecord] = self.body.get("errors", [])
        return errors


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """What is told to the observer of each operation (of a subscription: once, when it ends)."""

    name: str
    kind: str
    code: str | None
    """The code of the first error, or None."""
    seconds: float


Observer: TypeAlias = Callable[[OperationRecord], None]


class Operations:
    """Prepares and runs operations; one for a service.

    `introspection_for_all` overrides the role (the conformance profile). `deadline` is in seconds and holds for an
    execution: a whole query or mutation, the start of a subscription, and each of its events.
    """

    def __init__(
        self,
        schema: SchemaProvider,
        *,
        limits: Limits,
        deadline: float,
        introspection_for_all: bool,
        observe: Observer | None = None,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._deadline = deadline
        self._introspection_for_all = introspection_for_all
        self._observe = observe
        self._documents = DocumentCache(limits)

    def prepare(self, request: Request, context: OperationContext) -> Operation:
        """Check everything that can be checked before running. Raises `Refusal`."""
        schema = self._schema()
        may_introspect = self._introspection_for_all or context.may_introspect
        prepared = self._documents.get(schema, request.query, may_introspect=may_introspect)
        definition = get_operation_ast(prepared.document, request.operation_name)
        if definition is None:
            wanted = (
                f"no operation {request.operation_name!r}"
                if request.operation_name
                else "several or no operations"
            )
            raise Refusal(
                Code.OPERATION_RESOLUTION_FAILED,
                f"{wanted} in the document; name one of its operations in `operationName`",
            )
        cost = prepared.estimates.get(request.operation_name)
        if cost is None:
            cost = estimate(
                schema._schema,
                prepared.document,
                definition,
                request.variables,
                prepared.measured,
                self._limits,
            )
            if cost.fixed:
                prepared.estimates[request.operation_name] = cost
        return Operation(schema, prepared.document, definition, request, cost, not may_introspect)

    async def run(self, operation: Operation, context: OperationContext) -> Answer:
        """Run a query or a mutation. Never raises but for cancellation."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline):
                result = execute(
                    operation.schema._schema,
                    operation.document,
                    context_value=context,
                    variable_values=dict(operation.request.variables),
                    operation_name=operation.request.operation_name,
                    executor_class=_Executor,
                    is_awaitable=_IS_AWAITABLE,
                    hide_suggestions=operation.hide_suggestions,
                    operation_extensions=None,
                )
                if isawaitable(result):
                    result = await result
            answer = await self._answer(operation, context, result)
        except TimeoutError:
            answer = await self.refused(self._too_late(operation), context, operation)
        except Exception as error:
            answer = await self.refused(
                refusal_of(error, doing=f"running {operation.name}"), context, operation
            )
        self._tell(operation, answer.errors, started)
        return answer

    async def subscribe(
        self, operation: Operation, context: OperationContext
    ) -> AsyncGenerator[Answer, None]:
        """A subscription's answers, each from a context of its own. Raises `Refusal` if it cannot start or go on."""
        started = time.perf_counter()
        errors: list[ErrorRecord] = []
        try:
            async with aclosing(self._events(operation, context)) as events:
                async for event_context, result in events:
                    yield await self._answer(operation, event_context, result)
        except TimeoutError:
            refusal = self._too_late(operation)
            errors = refusal.errors
            raise refusal from None
        except Exception as error:
            refusal = refusal_of(error, doing=f"running {operation.name}")
            errors = refusal.errors
            raise refusal from None
        finally:
            self._tell(operation, errors, started)

    async def _events(
        self, operation: Operation, context: OperationContext
    ) -> AsyncGenerator[tuple[OperationContext, ExecutionResult], None]:
        executor = _Executor.build(
            operation.schema._schema,
            operation.document,
            None,
            context,
            dict(operation.request.variables),
            operation.request.operation_name,
            is_awaitable=_IS_AWAITABLE,
            hide_suggestions=operation.hide_suggestions,
            operation_extensions=None,
        )
        if isinstance(executor, list):
            raise _all_refused([execution_record(error, operation=operation.name) for error in executor])
        async with asyncio.timeout(self._deadline):
            source = create_source_event_stream(executor)
            if isawaitable(source):
                source = await source
        if isinstance(source, ExecutionResult):
            raise _all_refused([execution_record(e, operation=operation.name) for e in source.errors or ()])

        current = context

        async def run_event(event: Executor[Any]) -> ExecutionResult:
            nonlocal current
            current = event.context_value = context.for_operation()
            async with asyncio.timeout(self._deadline):
                result = event.execute_operation(False)
                return cast("ExecutionResult", await result if isawaitable(result) else result)

        stream = map_source_to_response_event(executor, source, run_event)
        async with aclosing(stream):
            async for result in stream:
                yield current, result

    async def refused(
        self, refusal: Refusal, context: OperationContext | None, operation: Operation | None = None
    ) -> Answer:
        """The answer to a refused operation; `context` if the caller is known, `operation` if it got so far."""
        body: dict[str, Any] = {"errors": refusal.errors}
        if context is not None:
            body["extensions"] = await self._extensions(context, operation.estimate if operation else None)
        return Answer(body, refusal)

    async def _answer(
        self, operation: Operation, context: OperationContext, result: ExecutionResult
    ) -> Answer:
        errors = [execution_record(error, operation=operation.name) for error in result.errors or ()]
        if result.data is None and errors and "path" not in errors[0]:
            return await self.refused(_all_refused(errors), context, operation)
        body: dict[str, Any] = {"data": result.data}
        if errors:
            body["errors"] = errors
        body["extensions"] = await self._extensions(context, operation.estimate)
        return Answer(body)

    async def _extensions(self, context: OperationContext, cost: Estimate | None) -> dict[str, Any]:
        """`revision` and `cost`; a revision that cannot be had is null: the errors beside it say why."""
        revision = None
        try:
            async with asyncio.timeout(1):
                revision = context.revision
                if isawaitable(revision):
                    revision = await revision
        except Exception as error:
            revision = None
            _log.warning("revision_unknown", exc_info=error)
        extensions: dict[str, Any] = {"revision": revision}
        if cost is not None:
            spent = cost.items if context.spent is None else context.spent
            extensions["cost"] = {
                "estimated": cost.items,
                "spent": spent,
                "limit": self._limits.cost,
                "remaining": max(0, self._limits.cost - spent),
                "truncated": context.truncated,
            }
        return extensions

    def _too_late(self, operation: Operation) -> Refusal:
        unknown = (
            "; it may or may not have been done: look, or repeat it with the same idempotency key"
            if operation.kind is OperationType.MUTATION
            else "; ask for less at once"
        )
        return Refusal(
            Code.DEADLINE_EXCEEDED,
            f"{operation.kind.value} {operation.name} was given up after {self._deadline:g} s{unknown}",
            facts={"seconds": self._deadline},
        )

    def _tell(self, operation: Operation, errors: list[ErrorRecord], started: float) -> None:
        if self._observe is not None:
            code = errors[0]["extensions"]["code"] if errors else None
            seconds = time.perf_counter() - started
            self._observe(OperationRecord(operation.name, operation.kind.value, code, seconds))


def _all_refused(errors: list[ErrorRecord]) -> Refusal:
    first = errors[0]
    return Refusal(
        first["extensions"]["code"], first["message"], facts={**first["extensions"]}, errors=errors
    )


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string" if value else "an empty string"
    return "an array" if isinstance(value, list) else "an object"
