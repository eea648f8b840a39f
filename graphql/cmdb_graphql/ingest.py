"""`/ingest/{format}`: reports of agents and files, over plain HTTP.

Authenticated before a byte of the body is read; the body is bounded in bytes and time while it arrives. A report that
is refused is answered 200 with its refusals, as `cmdb import` prints them; 4xx is for requests that are wrong
themselves.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import orjson
from fastapi import APIRouter, Request, Response

from cmdb.errors import BadRequest
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.errors import HTTP_STATUS, Code, Refusal, refusal_of
from cmdb_graphql.observability import Metrics
from cmdb_graphql.reports import ingest_body
from discovery.formats import FORMATS
from discovery.observation import SCHEMA_ID, schema_text

TOO_MANY_REQUESTS = "TOO_MANY_REQUESTS"
PATIENCE_SECONDS = 30.0
"""A sender may be silent, or slower than `SLOWEST`, for so long."""
SLOWEST = 1_000
"""Bytes a second that a report must bring on the average, once it had its patience."""
ADMITTED_FACTOR = 8
"""For each report that is taken in so many are admitted: on their way (slow senders hold nobody up), or waiting."""
MAX_RATIO = 100
"""How much a gzip body may swell, once it is beyond 1 MiB."""


def ingest_router(
    context_of: Callable[[Request], Awaitable[Context]], metrics: Metrics, at_once: int
) -> APIRouter:
    """POST /ingest/{format} and GET /schemas/observation-v1.json. The format `auto` is recognised from the report.

    `at_once`: how many reports are worked on together.
    """
    router = APIRouter(include_in_schema=False)
    places = Places(at_once)

    @router.post("/ingest/{format_name}")
    async def report(format_name: str, request: Request) -> Response:
        try:
            context = await context_of(request)
            context.require(Action.INGEST)
            dry_run, partial = _flag(request, "dry_run"), _flag(request, "partial")
            chosen = None if format_name == "auto" else format_name
            given = request.query_params
            with places.admitted():
                body = await read_body(request, allowed=context.services.settings.ingest_bytes)
                async with places.working:
                    record = await ingest_body(
                        context,
                        body,
                        chosen,
                        given.get("name", ""),
                        dry_run,
                        partial,
                        source=given.get("source", ""),
                    )
        except Exception as error:
            metrics.reports.labels(_label(format_name), "error").inc()
            return refused(refusal_of(error, doing="taking in a report"))
        metrics.reports.labels(_label(format_name), "refused" if record["refused"] else "taken").inc()
        return Response(orjson.dumps(record), media_type="application/json")

    @router.get(SCHEMA_ID)
    async def observation_schema() -> Response:
        return Response(schema_text(), media_type="application/schema+json")

    return router


class Places:
    """How many reports are worked on and admitted; more would only make all of them slower, and fill the memory."""

    def __init__(self, at_once: int) -> None:
        self.working = asyncio.Semaphore(at_once)
        self._allowed = ADMITTED_FACTOR * at_once
        self._admitted = 0

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Take a place. Raises `Refusal` TOO_MANY_REQUESTS if there is none."""
        if self._admitted >= self._allowed:
            raise Refusal(
                TOO_MANY_REQUESTS,
                f"{self._allowed} reports are here already; send this one again in a moment",
                facts={"retryAfter": 5},
                headers={"retry-after": "5"},
            )
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1


async def read_body(request: Request, *, allowed: int) -> bytes:
    """The body, decompressed if it is gzip. Raises `Refusal` for one that is too big, too slow or damaged."""
    too_large = Refusal(
        Code.BODY_TOO_LARGE,
        f"the report has more than {allowed} bytes; split it, or raise CMDB_INGEST_BYTES",
        facts={"limit": "ingest_body_limit", "allowed": allowed},
        headers={"connection": "close"},
    )
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > allowed:
        raise too_large
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refusal(
            Code.UNSUPPORTED_MEDIA_TYPE, f"Content-Encoding {encoding[:40]!r}: send it plain or as gzip"
        )
    inflate = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
    body, arrived = bytearray(), 0
    clock = asyncio.get_running_loop().time
    begun = clock()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS) as limit:
            async for chunk in request.stream():
                arrived += len(chunk)
                limit.reschedule(min(clock(), begun + arrived / SLOWEST) + PATIENCE_SECONDS)
                while chunk:
                    room = allowed + 1 - len(body)
                    body += inflate.decompress(chunk, room) if inflate else chunk
                    chunk = inflate.unconsumed_tail if inflate else b""
                    if len(body) > allowed or len(body) > max(2**20, MAX_RATIO * arrived):
                        raise too_large
    except TimeoutError:
        raise Refusal(
            Code.REQUEST_TIMEOUT,
            f"the report stopped, or came slower than {SLOWEST} bytes a second; send it when the way is free",
            headers={"connection": "close"},
        ) from None
    except zlib.error as error:
        raise Refusal(Code.BAD_REQUEST, f"the body is not gzip as its header says: {error}") from None
    if inflate is not None and (not inflate.eof or inflate.unused_data):
        raise Refusal(Code.BAD_REQUEST, "the gzip body is cut off, or something follows it")
    return bytes(body)


def refused(refusal: Refusal) -> Response:
    """A refusal as a JSON answer of the same form as GraphQL's errors."""
    body = orjson.dumps({"errors": refusal.errors})
    status = _STATUS.get(refusal.code, 400)
    return Response(body, status, headers=dict(refusal.headers), media_type="application/json")


_STATUS: Mapping[str, int] = {
    **HTTP_STATUS,
    TOO_MANY_REQUESTS: 429,
    "IDENTITY_TAKEN": 409,
    "STALE_VERSION": 409,
    "CONFLICT": 409,
    "OVERTAKEN": 409,
    "VALIDATION_FAILED": 422,
}


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "false").lower()
    if value not in ("true", "false", "1", "0"):
        raise BadRequest(f"{name} is {value[:40]!r}; it must be true or false")
    return value in ("true", "1")


def _label(format_name: str) -> str:
    return format_name if format_name in FORMATS or format_name == "auto" else "unknown"
