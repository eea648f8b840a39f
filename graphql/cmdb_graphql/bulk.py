"""`POST /bulk/impact`: the whole answer about a failure, as JSON lines or an Arrow stream, for machines.

The question is the same as that of the GraphQL field `impact`, as a JSON object with its arguments. What comes is
chosen by `Accept`: `application/x-ndjson` (also for `*/*`) or `application/vnd.apache.arrow.stream`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from cmdb.errors import BadRequest, InvalidValue
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.values import VALUE_TYPES
from cmdb.store.down_on_record import DownOnRecord, RecordKind
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.derived_types import Confidence
from cmdb_graphql.down_on_record import down_on_record
from cmdb_graphql.errors import Code, Refusal, refusal_of
from cmdb_graphql.graph import chosen_types, topology_of
from cmdb_graphql.impact_answer import Answer, Question
from cmdb_graphql.ingest import read_body, refused
from cmdb_graphql.json_body import decode_json
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import Long
from impact.estate_figures import service_classes
from impact.simulation import Impact

QUESTION_BYTES = 1_048_576
JSON_LINES, ARROW = "application/x-ndjson", "application/vnd.apache.arrow.stream"
FORMS = (JSON_LINES, ARROW)
AT_ONCE = 2
"""Pieces that are made in one visit to a thread."""
SENT_AT_ONCE = 1_048_576
"""Bytes: some two milliseconds of the event loop. A smaller answer of one piece is sent as a whole."""

Write = Callable[[Impact, Mapping[str, Any]], Iterator[memoryview]]
"""Makes the pieces of an answer, of whose head it is told more."""


class Moment(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """`asOf`: exactly one of these."""

    revision: int | None = None
    time: str | None = None
    before_change: str | None = None


class BulkQuestion(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The arguments of `impact`."""

    down: list[str] = []
    already_down: list[str] = []
    already_down_by: list[str] = []
    pinned: list[str] = []
    minimum_confidence: str = "INFERRED"
    types: list[str] | None = None
    as_of: Moment | None = None
    at_least: int | None = None


def bulk_router(context_of: Callable[[Request], Awaitable[Context]]) -> APIRouter:
    """POST /bulk/impact."""
    router = APIRouter(include_in_schema=False)

    @router.post("/bulk/impact")
    async def bulk_impact(request: Request) -> Response:
        try:
            context = await context_of(request)
            context.require(Action.READ)
            form = _form(request.headers.get("accept", ""))
            body = await read_body(request, allowed=QUESTION_BYTES)
            async with asyncio.timeout(context.services.settings.request_deadline):
                pieces, first = await _answered(context, _question(body), _writer(form))
        except Exception as error:
            return refused(refusal_of(error, doing="answering in bulk"))
        if len(first) < AT_ONCE and sum(map(len, first)) <= SENT_AT_ONCE:
            return Response(b"".join(first), media_type=form)
        return StreamingResponse(_sent(pieces, first), media_type=form)

    return router


def _writer(form: str) -> Write:
    from impact import bulk  # and pyarrow, which a service is not to wait for when it starts

    return bulk.to_arrow if form == ARROW else bulk.to_json_lines


def _form(accept: str) -> str:
    """The form that the client wants most, of those there are. Raises `Refusal`."""
    for wanted in accept.split(",") or [""]:
        name, _, weight = wanted.partition(";")
        kind = name.strip().lower() or "*/*"
        if weight.replace(" ", "") == "q=0":
            continue
        if kind in FORMS:
            return kind
        if kind in ("*/*", "application/*"):
            return JSON_LINES
    raise Refusal(
        Code.NOT_ACCEPTABLE, f"Accept is {accept[:80]!r}; the answer comes as {JSON_LINES} or {ARROW}"
    )


def _question(body: bytes) -> BulkQuestion:
    try:
        return msgspec.convert(decode_json(body, what="the question"), BulkQuestion)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the question: {error}") from None


async def _answered(
    context: Context, asked: BulkQuestion, write: Write
) -> tuple[Iterator[memoryview], list[memoryview]]:
    """The pieces, and the first ones of them already; all where these are fewer than `AT_ONCE`."""
    if asked.minimum_confidence not in Confidence.__members__:
        raise BadRequest(
            f"minimumConfidence is {asked.minimum_confidence[:40]!r}; it is one of {', '.join(Confidence.__members__)}"
        )
    at_least = Long(asked.at_least) if asked.at_least is not None else None
    catalogue, as_of, pinned = context.store.catalogue, _moment(asked.as_of), frozenset(asked.pinned)
    kinds = frozenset(_record_kind(name) for name in asked.already_down_by)
    topology = await topology_of(context, as_of, at_least)
    records = await down_on_record(context, topology, as_of, kinds, pinned)
    question = Question(
        tuple(asked.down),
        tuple(asked.already_down),
        records,
        pinned,
        Confidence[asked.minimum_confidence],
        chosen_types(catalogue, asked.types),
    )
    services = service_classes(catalogue)
    return await asyncio.to_thread(_begun, context, question, topology, services, write)


def _begun(
    context: Context,
    question: Question,
    topology: PackedTopology,
    services: frozenset[str],
    write: Write,
) -> tuple[Iterator[memoryview], list[memoryview]]:
    """The answer with its first pieces: a small one is whole after one visit to a thread."""
    answer: Answer = question.ask(context.services.engine, topology, services)
    pieces = write(answer.impact, {} if question.on_record is None else _head(question.on_record))
    return pieces, list(islice(pieces, AT_ONCE))


async def _sent(pieces: Iterator[memoryview], first: list[memoryview]) -> AsyncIterator[memoryview]:
    for piece in first:
        for part in _parts(piece):
            yield part
    while more := await asyncio.to_thread(list, islice(pieces, 1)):
        for part in _parts(more[0]):
            yield part


def _parts(piece: memoryview) -> Iterator[memoryview]:
    return (piece[begin : begin + SENT_AT_ONCE] for begin in range(0, len(piece), SENT_AT_ONCE))


def _head(records: DownOnRecord) -> dict[str, Any]:
    """The records that say what is down already, and of how many items."""
    told = [
        {"id": record.id, "class": record.class_name, "name": record.name, "items": len(numbers)}
        for record, numbers in records.records
    ]
    return {"already_down_by": told}


def _record_kind(name: str) -> RecordKind:
    if name not in RecordKind.__members__:
        raise BadRequest(
            f"alreadyDownBy has {name[:40]!r}; it has some of {', '.join(RecordKind.__members__)}"
        )
    return RecordKind[name]


def _moment(moment: Moment | None) -> AsOfInput | None:
    if moment is None:
        return None
    given: dict[str, Any] = {
        name: value for name in moment.__struct_fields__ if (value := getattr(moment, name)) is not None
    }
    if len(given) != 1:
        raise BadRequest("asOf has exactly one of revision, time and beforeChange")
    if moment.time is not None:
        try:
            given["time"] = VALUE_TYPES["datetime"].normalise(moment.time)
        except InvalidValue as error:
            raise BadRequest(f"asOf: time: {error}") from None
    return AsOfInput(**given)
