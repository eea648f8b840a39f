"""GraphQL over HTTP: one URL, JSON in, JSON out, after the specification at graphql.github.io/graphql-over-http.

Promise: whatever arrives, the answer is a GraphQL response with the right status, never a 500 for the caller's fault
and never a body read for a stranger: method, `Accept`, credentials and the content headers are looked at first.
Operations stop when the client is gone or the deadline has passed. Not offered: batches, multipart, subscriptions
(WebSocket), compressed bodies, and GET outside the conformance profile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, Generic, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import orjson
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from cmdb_graphql.errors import HTTP_STATUS, WELL_FORMED, Code, Refusal, refusal_of
from cmdb_graphql.json_body import decode_json
from cmdb_graphql.operations import Answer, Operation, OperationContext, Operations, Request
from cmdb_graphql.transport_settings import Profile, TransportSettings

ContextT = TypeVar("ContextT", bound=OperationContext)
ContextGetter: TypeAlias = Callable[[HTTPConnection], Awaitable[ContextT]]
"""From the headers of a request to its context. Raises `cmdb.errors.Unauthenticated`; must not read the body."""

JSON: Final = "application/json"
GRAPHQL_RESPONSE: Final = "application/graphql-response+json"

_T = TypeVar("_T")


class ClientGone(Exception):
    """The client closed the connection: there is nobody to answer."""


class HttpTransport(Generic[ContextT]):
    """The HTTP half of the endpoint: an ASGI application for one URL."""

    def __init__(
        self, operations: Operations, settings: TransportSettings, get_context: ContextGetter[ContextT]
    ) -> None:
        self._operations = operations
        self._settings = settings
        self._get_context = get_context
        self._methods = ("POST", "GET") if settings.profile is Profile.CONFORMANCE else ("POST",)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = Headers(scope=scope)
        media = JSON
        context: ContextT | None = None
        try:
            self._check_method(scope["method"])
            media = negotiate(headers.get("accept"))
            context = await self._context(scope)
            request = await self._request(scope, headers, receive)
            operation = self._operations.prepare(request, context)
            self._check_kind(operation, scope["method"])
            answer = await _while_connected(self._operations.run(operation, context), receive)
        except ClientGone:
            return
        except Refusal as refusal:
            answer = await self._operations.refused(refusal, context)
        except Exception as error:
            answer = await self._operations.refused(
                refusal_of(error, doing="serving GraphQL over HTTP"), context
            )
        await self._send(answer, media, send)

    def _check_method(self, method: str) -> None:
        if method not in self._methods:
            allowed = ", ".join(self._methods)
            raise Refusal(
                Code.METHOD_NOT_ALLOWED,
                f"{method} is not supported here; use {allowed}",
                headers={"allow": allowed},
            )

    async def _context(self, scope: Scope) -> ContextT:
        try:
            async with asyncio.timeout(self._settings.deadline_seconds):
                return await self._get_context(HTTPConnection(scope))
        except TimeoutError:
            raise Refusal(
                Code.DEADLINE_EXCEEDED,
                "the credentials could not be checked in time; try again",
                facts={"seconds": self._settings.deadline_seconds},
            ) from None
        except Exception as error:
            raise refusal_of(error, doing="authenticating an HTTP request") from error

    async def _request(self, scope: Scope, headers: Headers, receive: Receive) -> Request:
        if scope["method"] == "GET":
            return Request.of(_query_parameters(scope["query_string"]))
        _check_content(headers)
        body = await self._body(headers, receive)
        return Request.of(decode_json(body, what="the body"))

    async def _body(self, headers: Headers, receive: Receive) -> bytes:
        allowed = self._settings.body_bytes
        too_large = Refusal(
            Code.BODY_TOO_LARGE,
            f"the body has more than {allowed} bytes; split the request",
            facts={"limit": "body_bytes", "allowed": allowed},
            headers={"connection": "close"},
        )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > allowed:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    body += message.get("body", b"")
                    if len(body) > allowed:
                        raise too_large
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise Refusal(
                Code.REQUEST_TIMEOUT,
                f"the body was not complete after {self._settings.body_seconds:g} s",
                headers={"connection": "close"},
            ) from None

    @staticmethod
    def _check_kind(operation: Operation, method: str) -> None:
        if operation.kind is OperationType.SUBSCRIPTION:
            raise Refusal(
                Code.BAD_REQUEST, "subscriptions go over WebSocket, with the subprotocol graphql-transport-ws"
            )
        if method == "GET" and operation.kind is OperationType.MUTATION:
            raise Refusal(Code.METHOD_NOT_ALLOWED, "mutations need POST", headers={"allow": "POST"})

    async def _send(self, answer: Answer, media: str, send: Send) -> None:
        try:
            body = orjson.dumps(answer.body)
        except TypeError as error:  # a resolver gave a value that JSON does not have
            answer = Answer(
                {"errors": refusal_of(error, doing="writing JSON").errors}, refusal_of(error, doing="")
            )
            body = orjson.dumps(answer.body)
        status, extra = _status(answer, media)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", f"{media}; charset=utf-8".encode()),
                    (b"content-length", str(len(body)).encode()),
                    (b"cache-control", b"no-store"),
                    (b"vary", b"accept"),
                    *((name.encode(), value.encode()) for name, value in extra.items()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})


def negotiate(accept: str | None) -> str:
    """The media type to answer with (RFC 9110, section 12.5.1). Raises `Refusal` NOT_ACCEPTABLE.

    Without a wish, or with `*/*`, it is `application/json`; where both are wanted equally, the newer type.
    """
    if accept is None or not accept.strip():
        return JSON
    best: dict[str, tuple[int, float]] = {}  # of each of our types: how exactly it was named, and its weight
    for entry in accept.split(","):
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            value = value.strip().strip('"')
            if name.strip() == "q":
                weight = float(value) if value.replace(".", "", 1).isdecimal() else 0.0
            elif name.strip() == "charset" and value not in ("utf-8", "utf8"):
                weight = 0.0
        for ours in (GRAPHQL_RESPONSE, JSON):
            exactness = {ours: 2, "application/*": 1, "*/*": 0}.get(media, -1)
            if exactness >= 0 and exactness >= best.get(ours, (-1, 0.0))[0]:
                best[ours] = (exactness, weight)
    wanted = {ours: (weight, exactness) for ours, (exactness, weight) in best.items() if weight > 0}
    if not wanted:
        raise Refusal(
            Code.NOT_ACCEPTABLE,
            f"nothing in `Accept: {accept[:200]}` can be served; {GRAPHQL_RESPONSE} or {JSON} can",
        )
    return max(wanted, key=lambda ours: (*wanted[ours], (ours == GRAPHQL_RESPONSE) == (wanted[ours][1] == 2)))


def _check_content(headers: Headers) -> None:
    """Only JSON in UTF-8: a form or plain text could be posted by any page without asking first."""
    types = headers.getlist("content-type")
    media, *parameters = (part.strip().lower() for part in (types[0] if len(types) == 1 else "").split(";"))
    charset = "utf-8"
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            charset = value.strip().strip('"')
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if media != JSON or charset not in ("utf-8", "utf8") or encoding != "identity":
        raise Refusal(
            Code.UNSUPPORTED_MEDIA_TYPE,
            f"the body must be uncompressed {JSON} in UTF-8; its headers say {', '.join(types)[:200] or 'nothing'}",
            headers={"connection": "close"},
        )


def _query_parameters(query_string: bytes) -> dict[str, object]:
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=20
        )
    except ValueError:
        raise Refusal(Code.BAD_REQUEST, "the query string is not URL-encoded UTF-8") from None
    parameters: dict[str, object] = dict(pairs)
    if len(parameters) < len(pairs):
        raise Refusal(Code.BAD_REQUEST, "a parameter stands in the query string twice")
    for name in ("variables", "extensions"):
        value = parameters.get(name)
        if isinstance(value, str):
            parameters[name] = decode_json(value.encode(), what=f"`{name}`") if value else None
    return parameters


def _status(answer: Answer, media: str) -> tuple[int, dict[str, str]]:
    """Status and further headers of an answer.

    An answer with data is 200, also with errors beside it; one whose data is null because the store was away or late
    says so, since retrying proxies and clients look at nothing else.
    """
    refusal = answer.refusal
    if refusal is not None:
        if media == JSON and refusal.code in WELL_FORMED:
            return 200, dict(refusal.headers)
        return HTTP_STATUS.get(refusal.code, 400), dict(refusal.headers)
    if answer.body.get("data") is None and answer.errors:
        facts = answer.errors[0]["extensions"]
        if facts["code"] in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED):
            retry_after = str(max(1, round(facts.get("retryAfter", 1))))
            return HTTP_STATUS[facts["code"]], {"retry-after": retry_after}
    return 200, {}


async def _while_connected(work: Coroutine[Any, Any, _T], receive: Receive) -> _T:
    """The result of `work`, which is cancelled when the client goes. Raises `ClientGone` then."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGone
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
