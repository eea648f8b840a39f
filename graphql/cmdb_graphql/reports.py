"""Taking in reports: what the mutation `ingest` and `/ingest/{format}` have in common."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import orjson
import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import ValidationFailed
from cmdb.model.change_set import Authorship
from cmdb.model.values import clean_text
from cmdb_graphql.access import Action, require_source
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.scalars import Json
from discovery.ingest import ingest, read_report, refused_report

Info = strawberry.Info[Context, None]
Described = strawberry.argument

SOURCE_LIMIT = 128
"""Bytes of a source's name."""


@strawberry.type
class ReportMutations:
    """Root fields."""

    @documented
    async def ingest(
        self,
        info: Info,
        observation: Json,
        dry_run: bool = False,
        partial: Annotated[
            bool, Described(description="Take what is good although something else is refused.")
        ] = False,
    ) -> Json:
        """Take in an Observation (docs: Observation JSON, version 1) as this caller."""
        context = info.context
        context.require(Action.INGEST)
        return Json(
            await ingest_body(context, orjson.dumps(observation), "observation", "", dry_run, partial)
        )


async def ingest_body(
    context: Context,
    body: bytes,
    format_name: str | None,
    file_name: str,
    dry_run: bool,
    partial: bool,
    *,
    source: str = "",
) -> dict[str, Any]:
    """Take in a report, as `source` where that is given instead of the one that the report names.

    Raises `Forbidden` where an agent speaks for a source that is not its own.
    """
    context.require(Action.INGEST)
    try:
        chosen, observation = await read_report(body, format_name, file_name)
    except ValidationFailed as error:
        return refused_report(format_name or "", error.problems).to_record()
    if given := clean_text(source, SOURCE_LIMIT):
        observation = msgspec.structs.replace(observation, source=given)
    require_source(context.caller, observation.source)
    result = await ingest(
        context.store,
        observation,
        Authorship(context.actor, observation.source),
        format_name=chosen,
        dry_run=dry_run,
        partial=partial,
    )
    if result.revision is not None:
        context.wrote(result.revision)
    return _as_seen_by(context, result.to_record())


def _as_seen_by(context: Context, record: dict[str, Any]) -> dict[str, Any]:
    """The answer to a report without what the caller may not read: an agent gets no earlier values at all."""
    reads = context.caller.may(Action.READ)
    for item in record.get("plan", ()):
        for side in ("before", "after"):
            if not context.sees_secrets:
                item[side] = context.services.secrets.visible(item[side])
        if not reads:
            item["before"] = {}
    return record


MUTATIONS: list[StrawberryField] = ReportMutations.__strawberry_definition__.fields  # type: ignore[attr-defined]
