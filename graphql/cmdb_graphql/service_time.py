"""What a failure from-until takes: agreed service time of the services it takes down, and room under their targets."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from enum import Enum
from typing import Self

import strawberry

from cmdb.errors import BadRequest
from cmdb.model.items import Item
from cmdb.model.service_levels import Failure, Outlook, ServiceTime, TargetOutlook, service_time, touched_by
from cmdb.model.spans import NOTHING, Span
from cmdb.model.values import format_instant, parse_instant
from cmdb.store.reliability import read_service_outages
from cmdb.store.service_levels import AgreedLevels, read_service_levels
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import ItemSummary
from cmdb_graphql.impact_answer import Answer, ImpactState, checked_page
from cmdb_graphql.pacing import paced
from cmdb_graphql.reliability import length, moment_of
from cmdb_graphql.scalars import DateTime, Duration
from cmdb_graphql.service_hours import ServiceHoursType, UnusableTermType

MAX_SERVICES = 1_000
MAX_DAYS = 366
FIRST_YEAR, LAST_YEAR = 2, 9_997
"""So that the years around it, in any time zone, are years that there are."""
BUDGET_SHARE = 0.5
"""Of the time a request may take: after it, the targets of further services are left out, and that is said."""


@strawberry.enum(
    description="BROKEN: the failure makes the target miss. BROKEN_BEFORE: it was missed already. KEPT: still met."
)
class OutlookType(Enum):
    """`cmdb.model.service_levels.Outlook`."""

    BROKEN = "broken"
    BROKEN_BEFORE = "broken_before"
    KEPT = "kept"


@strawberry.type(name="AgreementTerm", description="An agreement, or a target in one.")
class AgreementTerm:
    """An item that was read with the agreements."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str

    @classmethod
    def of(cls, item: Item) -> Self:
        """The same for GraphQL."""
        return cls(id=strawberry.ID(item.id), class_name=item.class_name, name=item.name)


@strawberry.type(name="LostServiceTime", description="A service that is down, and the agreed time it loses.")
class LostServiceTime:
    """One service of an answer."""

    service: ItemSummary
    before: ImpactState = strawberry.field(
        description="Its state with what is down already alone; UP where nothing is."
    )
    lost: Duration = strawberry.field(
        description="Of the time from-to: its service hours, without agreed maintenance."
    )
    calendars: list[ServiceHoursType] = strawberry.field(description="None: it is agreed round the clock.")


@strawberry.type(name="TargetOutlook", description="What a failure leaves of a service level target.")
class TargetOutlookType:
    """`cmdb.model.service_levels.TargetOutlook` of a service."""

    service: ItemSummary
    agreement: AgreementTerm
    target: AgreementTerm
    measure: str = strawberry.field(
        description="`availability`, `recovery_time` or `resolution_time`: what time down alone can miss."
    )
    goal: float | None = strawberry.field(description="The share agreed; null for a time to restore.")
    priority: str | None = strawberry.field(
        description="Incidents of this priority only; null: it makes no difference."
    )
    outlook: OutlookType
    period: str | None = strawberry.field(
        description="The calendar period it is judged in, such as `2026-11`: of those that the failure touches, "
        "the one that comes off worst. Null for a time to restore: the failure itself."
    )
    from_: DateTime = strawberry.field(name="from", description="When that period begins.")
    to: DateTime
    allowed: Duration = strawberry.field(description="How long the service may be down in the period.")
    down_before: Duration = strawberry.field(description="Down in it already, by the outages on record.")
    lost: Duration = strawberry.field(description="What the failure adds.")
    left: Duration = strawberry.field(
        description="What it may be down after that; negative: so much too much."
    )


@strawberry.type(
    name="ServiceTimeLost",
    description="What the failure takes of the agreed service time, if it lasts from `from` to `to`.",
)
class ServiceTimeLostType:
    """Rows are made when a page of them is asked for."""

    found: strawberry.Private[ServiceTime]
    levels: strawberry.Private[AgreedLevels]
    answer: strawberry.Private[Answer]
    from_: DateTime = strawberry.field(name="from")
    to: DateTime
    services_down: int
    unagreed: int = strawberry.field(description="How many of them nothing is agreed about.")
    lost: Duration = strawberry.field(description="Agreed service time that the others lose, added together.")
    judged: int = strawberry.field(description="How many targets were judged.")
    broken: int = strawberry.field(description="How many of them the failure makes miss.")
    truncated: bool = strawberry.field(
        description="Whether something was left out: 1,000 services are worked out, in bounded time."
    )
    set_aside: list[UnusableTermType] = strawberry.field(
        description="Calendars and targets that make no sense and were left out; the first hundred."
    )

    @documented
    async def services(self, first: int = 50, offset: int = 0) -> list[LostServiceTime]:
        """The services that are down and have agreed hours; who loses most comes first."""
        checked_page(first, offset)
        return paced([self._service(*row) for row in self.found.lost[offset : offset + first]])

    @documented
    async def targets(self, first: int = 50, offset: int = 0) -> list[TargetOutlookType]:
        """The targets of their agreements that time down can miss: broken ones first, then by what is left."""
        checked_page(first, offset)
        return paced([self._target(*row) for row in self.found.targets[offset : offset + first]])

    def _service(self, service: str, lost: timedelta) -> LostServiceTime:
        return LostServiceTime(
            service=ItemSummary.of(self.answer.impact.topology, service),
            before=self.answer.before_of(service),
            lost=length(lost),
            calendars=ServiceHoursType.of(self.levels.services[service].calendars),
        )

    def _target(self, service: str, found: TargetOutlook) -> TargetOutlookType:
        return TargetOutlookType(
            service=ItemSummary.of(self.answer.impact.topology, service),
            agreement=AgreementTerm.of(self.levels.items[found.agreement]),
            target=AgreementTerm.of(self.levels.items[found.target.id]),
            measure=found.target.measure,
            goal=found.target.share,
            priority=found.target.priority,
            outlook=OutlookType(found.outlook.value),
            period=found.label,
            from_=DateTime(format_instant(found.period.start)),
            to=DateTime(format_instant(found.period.end)),
            allowed=length(found.allowed),
            down_before=length(found.before),
            lost=length(found.lost),
            left=length(found.left),
        )


async def service_time_lost(
    context: Context, at: int | None, answer: Answer, from_: DateTime, to: DateTime
) -> ServiceTimeLostType:
    """What an answer's failure takes if it lasts from-to, by what is agreed now or as of revision `at`."""
    span = Span(parse_instant(from_), parse_instant(to))
    if span.start >= span.end:
        raise BadRequest(f"the failure from {from_} to {to} takes no time; let it end later than it begins")
    if span.length.days >= MAX_DAYS:
        raise BadRequest(f"the failure lasts {span.length.days} days; less than {MAX_DAYS} are worked out")
    if span.start.year < FIRST_YEAR or span.end.year > LAST_YEAR:
        raise BadRequest(f"a failure lies in the years {FIRST_YEAR} to {LAST_YEAR}")
    until = time.monotonic() + BUDGET_SHARE * context.services.settings.request_deadline
    down = await asyncio.to_thread(answer.services_down)
    asked = down[:MAX_SERVICES]
    reader, catalogue = context.reader(at), context.store.catalogue
    levels = await read_service_levels(reader, catalogue, asked, span, context.visible)
    touched = await asyncio.to_thread(touched_by, levels.services.values(), span)
    on_record = await read_service_outages(reader, catalogue, asked, touched, context.visible)
    context.spend(len(levels.items) + sum(len(found.outages) for found in on_record.values()))
    failure = Failure(span, await moment_of(context, at))
    outages = {service: found.outages for service, found in on_record.items()}
    found = await asyncio.to_thread(
        service_time, levels.services, failure, outages, late=lambda: time.monotonic() > until
    )
    truncated = len(down) > len(asked) or found.late > 0
    context.truncated |= truncated
    return ServiceTimeLostType(
        found=found,
        levels=levels,
        answer=answer,
        from_=from_,
        to=to,
        services_down=len(down),
        unagreed=found.unagreed,
        lost=length(sum((lost for _, lost in found.lost), NOTHING)),
        judged=len(found.targets),
        broken=sum(row.outlook is Outlook.BROKEN for _, row in found.targets),
        truncated=truncated,
        set_aside=UnusableTermType.of(levels),
    )
