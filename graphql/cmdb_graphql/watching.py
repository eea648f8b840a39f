"""Subscriptions to standing questions: what takes this service down, what does that failure take down?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.model.topology import TopologyItem
from cmdb_graphql.access import Action
from cmdb_graphql.availability_answer import MarginType
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented_subscription
from cmdb_graphql.graph import ItemSummary
from cmdb_graphql.scalars import Long
from cmdb_graphql.standing_questions import (
    FailureQuestion,
    FailureStanding,
    ServiceQuestion,
    ServiceStanding,
)
from impact.estate_figures import service_classes

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_LISTED = 10_000
MAX_FAILED = 100
NOTHING: Mapping[str, TopologyItem] = {}


@strawberry.type(
    name="ServiceStanding", description="How a service stands, and what differs from the last event."
)
class ServiceStandingType:
    """An event of `serviceWatch`."""

    revision: Long
    margin: MarginType
    single_points: int = strawberry.field(
        description="How many items take the service down by failing alone: its failure set."
    )
    entered: list[ItemSummary] = strawberry.field(
        description="Those that do now; in the first event all of them. In order of ids."
    )
    left: list[ItemSummary] = strawberry.field(description="Those that did in the last event and do no more.")
    truncated: bool = strawberry.field(description="Whether a list had more than 10,000 items and was cut.")

    @classmethod
    def of(cls, standing: ServiceStanding, before: ServiceStanding | None) -> Self:
        """The event of a state that follows another."""
        now, then = standing.single_points, before.single_points if before is not None else NOTHING
        entered, left = _differing(now, then), _differing(then, now)
        return cls(
            revision=Long(standing.revision),
            margin=MarginType.of(
                standing.margin, [ItemSummary.of_item(item) for item in standing.defeated_by]
            ),
            single_points=len(now),
            entered=entered[:MAX_LISTED],
            left=left[:MAX_LISTED],
            truncated=max(len(entered), len(left)) > MAX_LISTED,
        )


@strawberry.type(
    name="FailureStanding",
    description="What the failure of some items takes down, and what differs from the last event.",
)
class FailureStandingType:
    """An event of `failureWatch`."""

    revision: Long
    down: int = strawberry.field(description="How many items go down, those that fail among them.")
    services: int = strawberry.field(description="How many of these are services.")
    entered: list[ItemSummary] = strawberry.field(
        description="Those that go down now; in the first event all of them. In order of ids."
    )
    left: list[ItemSummary] = strawberry.field(description="Those that did in the last event and do no more.")

    @classmethod
    def of(cls, standing: FailureStanding, before: FailureStanding | None, services: frozenset[str]) -> Self:
        """The event of a state that follows another."""
        now, then = standing.down, before.down if before is not None else NOTHING
        return cls(
            revision=Long(standing.revision),
            down=len(now),
            services=sum(item.class_name in services for item in now.values()),
            entered=_differing(now, then),
            left=_differing(then, now),
        )


@strawberry.type
class WatchSubscriptions:
    """Root fields."""

    @documented_subscription
    async def service_watch(
        self,
        info: Info,
        service: Annotated[strawberry.ID, Described(description="The service, or any other item.")],
    ) -> AsyncGenerator[ServiceStandingType, None]:
        """How a service stands now, then again whenever an item enters or leaves its failure set, those that take
        it down by failing alone, or its redundancy margin changes. Several changes in quick succession may be told
        as one; the last event always has the last state. Ends with an error when the service is deleted.
        """
        context = info.context
        context.require(Action.READ)
        before: ServiceStanding | None = None
        async with aclosing(context.services.watches.follow(ServiceQuestion(str(service)))) as standings:
            async for standing in standings:
                yield ServiceStandingType.of(standing, before)
                before = standing

    @documented_subscription
    async def failure_watch(
        self,
        info: Info,
        down: Annotated[
            list[strawberry.ID], Described(description="The items that fail together; 1 to 100.")
        ],
    ) -> AsyncGenerator[FailureStandingType, None]:
        """What the failure of these items takes down now, then again whenever an item enters or leaves that set: what
        came to depend on them, what became redundant. Events as those of serviceWatch. Refused where it is more than
        10,000 items.
        """
        context = info.context
        context.require(Action.READ)
        failed = frozenset(map(str, down))
        if not 1 <= len(failed) <= MAX_FAILED:
            raise BadRequest(f"down names {len(failed):,} items; it must name 1 to {MAX_FAILED}")
        services = service_classes(context.store.catalogue)
        question = FailureQuestion(failed, context.services.engine)
        before: FailureStanding | None = None
        async with aclosing(context.services.watches.follow(question)) as standings:
            async for standing in standings:
                yield FailureStandingType.of(standing, before, services)
                before = standing


def _differing(some: Mapping[str, TopologyItem], others: Mapping[str, TopologyItem]) -> list[ItemSummary]:
    """Those of the items that are not among the others, in order of ids."""
    return [ItemSummary.of_item(some[item]) for item in sorted(some.keys() - others.keys())]


SUBSCRIPTIONS: list[StrawberryField] = WatchSubscriptions.__strawberry_definition__.fields  # type: ignore[attr-defined]
