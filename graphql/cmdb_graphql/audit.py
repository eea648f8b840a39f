"""The verification of the ledger, in steps that fit into a request."""

from __future__ import annotations

from typing import Annotated, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.store.reading import make_cursor, parse_cursor
from cmdb.store.verification import BEGINNING, Checked, LedgerReport
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.scalars import Long

Info = strawberry.Info[Context, None]
Described = strawberry.argument

STEP_SECONDS = 3.0
"""After so long a step ends with the chunk it is at: well within a request's time."""
MOST_ANCHORS = 1_000


@strawberry.input(
    description="The hash of a revision that is known from elsewhere: the ledger must still have it."
)
class LedgerAnchor:
    """What somebody wrote down."""

    revision: Long
    hash: str


@strawberry.type(
    name="LedgerReport", description="Whether the ledger's chain of hashes is whole, as far as checked."
)
class LedgerReportType:
    """The outcome of one step of a verification."""

    ok: bool = strawberry.field(description="Whether this step found no fault.")
    revisions: Long = strawberry.field(description="How many the ledger has.")
    checked: Long = strawberry.field(description="The last revision that was checked.")
    complete: bool = strawberry.field(description="Whether that was all; else go on with `cursor`.")
    cursor: str | None = strawberry.field(description="Where the next step goes on; null when complete.")
    problems: list[str] = strawberry.field(description="Every fault that this step found, with its place.")
    hash: str = strawberry.field(
        description="The head's hash: write it down, it is the anchor of the next audit."
    )

    @classmethod
    def of(cls, report: LedgerReport) -> Self:
        """The same for GraphQL."""
        checked = report.checked
        return cls(
            ok=report.ok,
            revisions=Long(report.revisions),
            checked=Long(checked.revision),
            complete=report.complete,
            cursor=None if report.complete else make_cursor(checked.revision, checked.hash),
            problems=list(report.problems),
            hash=report.hash,
        )


@strawberry.type
class AuditQueries:
    """Root fields."""

    @documented
    async def verify_ledger(
        self,
        info: Info,
        anchors: Annotated[
            list[LedgerAnchor] | None, Described(description="Hashes that are known from elsewhere.")
        ] = None,
        after: Annotated[str | None, Described(description="The `cursor` of the step before.")] = None,
    ) -> LedgerReportType:
        """Walk the ledger and check every hash: a step of some seconds, from the beginning or `after` the last one."""
        info.context.require(Action.READ)
        if len(anchors or ()) > MOST_ANCHORS:
            raise BadRequest(f"{len(anchors or ())} anchors; at most {MOST_ANCHORS} at once")
        report = await info.context.store.history.verify(
            anchors={int(anchor.revision): anchor.hash for anchor in anchors or ()},
            since=_checked(after) if after is not None else BEGINNING,
            seconds=STEP_SECONDS,
        )
        return LedgerReportType.of(report)


def _checked(cursor: str) -> Checked:
    revision, hash_ = parse_cursor(cursor, 2, "verification")
    if (
        not isinstance(revision, int)
        or isinstance(revision, bool)
        or revision < 0
        or not isinstance(hash_, str)
    ):
        raise BadRequest("this cursor is not one of a verification; pass on `cursor` of the step before")
    return Checked(revision, hash_)


QUERIES: list[StrawberryField] = AuditQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
