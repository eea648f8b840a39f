"""What a failure would do: answered by the engine, in a thread."""

from __future__ import annotations

import asyncio
from typing import Annotated

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.store.down_on_record import DownOnRecord
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.derived_types import Confidence
from cmdb_graphql.down_on_record import DownOnRecordType, DownRecordKind, down_on_record
from cmdb_graphql.graph import AtLeast, ItemSummary, chosen_types, topology_of
from cmdb_graphql.impact_answer import (
    Answer,
    ImpactedItem,
    ImpactedParty,
    ImpactState,
    Question,
    checked_page,
)
from cmdb_graphql.interchange import GraphExport, GraphFormatType, impact_export
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.pacing import paced
from cmdb_graphql.scalars import DateTime, Json, Long
from cmdb_graphql.service_time import ServiceTimeLostType, service_time_lost
from impact.estate_figures import service_classes
from impact.propagation import State

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_RECORD = 10_000
PARTIES = {
    "customers": "SUBSCRIBED_BY",
    "teams": "SUPPORTED_BY",
    "owners": "OWNED_BY",
    "agreements": "GOVERNED_BY",
}
"""The relationship type that leads to each kind of party."""


@strawberry.type(name="ImpactCounts", description="How many items are in each state.")
class ImpactCounts:
    """Counts of all, whatever a list shows."""

    down: int
    degraded: int
    at_risk: int
    reduced: int
    protected: int


@strawberry.type(name="Concerned", description="How many are reached, or concerned.")
class Concerned:
    """Counts of all, whatever a list shows."""

    services: int
    customers: int
    teams: int
    owners: int
    agreements: int


@strawberry.type(
    name="Impact", description="What the failure of some items together would do, true of `revision`."
)
class ImpactType:
    """An answer; lists are nearest first, then in order of ids."""

    answer: strawberry.Private[Answer]
    context: strawberry.Private[Context]
    at: strawberry.Private[int | None]
    records: strawberry.Private[DownOnRecord]
    revision: Long
    counts: ImpactCounts
    added: int = strawberry.field(
        description="How many items are worse off than they are with what is down already alone."
    )

    @documented
    async def failed(self) -> list[ItemSummary]:
        """Those named, and what is down already, by name or on record."""
        impact = self.answer.impact
        return paced(
            await asyncio.to_thread(lambda: [ItemSummary.of(impact.topology, item) for item in impact.failed])
        )

    @documented
    def already_down_by_count(self) -> int:
        """How many records say what is down already, of the kinds that were asked."""
        return len(self.records.records)

    @documented
    async def already_down_by(self, first: int = 50, offset: int = 0) -> list[DownOnRecordType]:
        """Some of the records that say what is down already, of the kinds that were asked, by kind and name."""
        checked_page(first, offset)
        topology, some = self.answer.impact.topology, self.records.records[offset : offset + first]
        return paced([DownOnRecordType.of(topology, *row) for row in some])

    @documented
    async def down(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Failed, or too little left of something they need."""
        return paced(await self.answer.page(State.DOWN, first, offset))

    @documented
    async def degraded(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Up, but something they use is down, or something they need is degraded."""
        return paced(await self.answer.page(State.DEGRADED, first, offset))

    @documented
    async def at_risk(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Up without a spare: the next failure of a certain other item takes them down."""
        return paced(await self.answer.page(State.AT_RISK, first, offset))

    @documented
    async def reduced(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """A spare is gone, another is left."""
        return paced(await self.answer.page(State.REDUCED, first, offset))

    @documented
    async def protected(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Reached, yet nothing that matters arrives: redundancy saved them."""
        return paced(await self.answer.page(State.PROTECTED, first, offset))

    @documented
    async def services(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """The services among all that is reached, worst state first."""
        return paced(await self.answer.services(first, offset))

    @documented
    async def customers(self, first: int = 50, offset: int = 0) -> list[ImpactedParty]:
        """Who subscribes to a service that is down, degraded or at risk; worst first."""
        return paced(await self.answer.parties(PARTIES["customers"], first, offset))

    @documented
    async def teams(self, first: int = 50, offset: int = 0) -> list[ImpactedParty]:
        """Who supports something that is down, degraded or at risk; worst first."""
        return paced(await self.answer.parties(PARTIES["teams"], first, offset))

    @documented
    async def owners(self, first: int = 50, offset: int = 0) -> list[ImpactedParty]:
        """Who owns something that is down, degraded or at risk; worst first."""
        return paced(await self.answer.parties(PARTIES["owners"], first, offset))

    @documented
    async def agreements(self, first: int = 50, offset: int = 0) -> list[ImpactedParty]:
        """Agreements (SLAs, contracts) that govern something that is down, degraded or at risk; worst first."""
        return paced(await self.answer.parties(PARTIES["agreements"], first, offset))

    @documented
    async def concerned(self) -> Concerned:
        """How many there are in each of these lists."""
        answer = self.answer
        return Concerned(
            services=await answer.service_count(),
            **{name: await answer.party_count(kind) for name, kind in PARTIES.items()},
        )

    @documented
    async def service_time(
        self,
        from_: Annotated[DateTime, Described(name="from", description="When the failure begins.")],
        to: Annotated[DateTime, Described(description="When it is over; less than 366 days later.")],
    ) -> ServiceTimeLostType:
        """The agreed service time that it takes of the services that are down, and what that does to targets."""
        return await service_time_lost(self.context, self.at, self.answer, from_, to)

    @documented
    async def record(self, explain: bool = False) -> Json:
        """The whole answer as one JSON object of columns (ids, names, classes, layers, states, distances,
        gates); with `explain` also facts and path of every item reached. For answers of up to 10,000 items;
        `/bulk/impact` gives larger ones.
        """
        reached = len(self.answer.impact.nodes)
        if reached > MAX_RECORD:
            raise BadRequest(
                f"the answer has {reached} items, a record at most {MAX_RECORD}; ask for pages, or /bulk/impact"
            )
        return Json(await asyncio.to_thread(self.answer.record, explain))

    @documented
    async def export(
        self, format: GraphFormatType, states: list[ImpactState] | None = None, limit: int = 1000
    ) -> GraphExport:
        """The items reached, those of `states` if they are given, as a file for other programs."""
        answer = self.answer
        wanted = [State(state.value) for state in states] if states is not None else list(State)
        rows = await asyncio.to_thread(answer.rows, wanted, limit + 1)
        carrying = answer.impact.carrying
        return await impact_export(
            answer.impact.topology,
            rows,
            format,
            limit,
            minimum_confidence=carrying.minimum_confidence,
            relationship_types=carrying.relationship_types,
        )


@strawberry.type
class ImpactQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def impact(
        self,
        info: Info,
        down: Annotated[list[strawberry.ID], Described(description="The items that fail.")],
        already_down: Annotated[
            list[strawberry.ID] | None,
            Described(
                description="What is down before that; the answer says what is worse than with it alone."
            ),
        ] = None,
        already_down_by: Annotated[
            list[DownRecordKind] | None,
            Described(
                description="Take what these records say is down as down before that too. "
                "With them `down` may be empty: then the answer tells what is down now, and what that does."
            ),
        ] = None,
        pinned: Annotated[
            list[strawberry.ID] | None,
            Described(description="Items that stay up and well, whatever happens."),
        ] = None,
        minimum_confidence: Annotated[
            Confidence, Described(description="The least that an edge must have.")
        ] = Confidence.INFERRED,
        types: Annotated[
            list[str] | None, Described(description="Failure travels over these relationship types only.")
        ] = None,
        as_of: AsOfInput | None = None,
        at_least: AtLeast = None,
    ) -> ImpactType:
        """What would happen if these items failed together."""
        context = info.context
        topology = await topology_of(context, as_of, at_least)
        catalogue, held = context.store.catalogue, frozenset(map(str, pinned or ()))
        kinds = frozenset(kind.value for kind in already_down_by or ())
        records = await down_on_record(context, topology, as_of, kinds, held)
        question = Question(
            tuple(map(str, down)),
            tuple(map(str, already_down or ())),
            records,
            held,
            minimum_confidence,
            chosen_types(catalogue, types),
        )
        services = service_classes(catalogue)
        found = await asyncio.to_thread(question.ask, context.services.engine, topology, services)
        impact = found.impact
        context.spend(len(impact.nodes))
        return ImpactType(
            answer=found,
            context=context,
            at=topology.revision if as_of is not None else None,
            records=records or DownOnRecord(),
            revision=Long(topology.revision),
            counts=ImpactCounts(
                down=impact.counts[State.DOWN],
                degraded=impact.counts[State.DEGRADED],
                at_risk=impact.counts[State.AT_RISK],
                reduced=impact.counts[State.REDUCED],
                protected=impact.counts[State.PROTECTED],
            ),
            added=await asyncio.to_thread(found.added),
        )


QUERIES: list[StrawberryField] = ImpactQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
