"""What a failure from-until takes: agreed service time of the services it takes down, and room under their targets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Self

import strawberry

from cmdb.errors import BadRequest
from cmdb.model.items import Item
from cmdb.model.service_levels import (
    Failure,
    Outlook,
    ServiceLevels,
    ServiceLoss,
    TargetOutlook,
    service_losses,
    touched_by,
)
from cmdb.model.spans import NOTHING, Span
from cmdb.model.values import format_instant, parse_instant
from cmdb.store.reliability import read_service_outages
from cmdb.store.service_levels import SetAside, read_service_levels
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.graph import ItemSummary
from cmdb_graphql.impact_answer import Answer, ImpactState, checked_page
from cmdb_graphql.pacing import paced
from cmdb_graphql.reliability import FIRST_YEAR, length, moment_of
from cmdb_graphql.scalars import DateTime, Duration
from cmdb_graphql.service_hours import ServiceHoursType, SetAsideType

MAX_SERVICES = 1_000
AT_ONCE = 100
"""Services that are read and worked out in one go."""
MAX_DAYS = 366
LAST_YEAR = 9_997
"""So that the years after it are years that there are."""
BUDGET_SHARE = 0.5
"""Of the time a request may take: after it, further services are left out, and that is said."""
UNUSABLE_OUTAGE = "the outage ends before it begins, or is closed without an end"


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
    before: ImpactState = strawberry.field(
        description="The state of the service with what is down already alone; UP where nothing is."
    )
    agreement: AgreementTerm
    target: AgreementTerm
    measure: str = strawberry.field(
        description="`availability`, `recovery_time` or `resolution_time`: what time down alone can miss."
    )
    goal: float | None = strawberry.field(description="The share agreed; null for a time to restore.")
    priority: str | None = strawberry.field(
        description="It is about incidents of this priority only; null: of any."
    )
    outlook: OutlookType
    period: str | None = strawberry.field(
        description="The calendar period it is judged in, such as `2026-11`: of those that the failure takes anything "
        "of, the one that comes off worst. Null for a time to restore: the failure itself."
    )
    from_: DateTime = strawberry.field(
        name="from", description="When that begins; not before the agreement does."
    )
    to: DateTime
    allowed: Duration = strawberry.field(description="How long the service may be down in the period.")
    down_before: Duration = strawberry.field(
        description="Down in it already, by the outages on record; for a time to restore, in the outage that the "
        "failure goes on with."
    )
    lost: Duration = strawberry.field(description="What the failure adds.")
    left: Duration = strawberry.field(
        description="What it may be down after that; negative: so much too much."
    )


@dataclass(slots=True)
class ServiceTime:
    """What was worked out, chunk by chunk; put in order at the end."""

    levels: dict[str, ServiceLevels] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    set_aside: dict[str, SetAside] = field(default_factory=dict)
    losses: list[ServiceLoss] = field(default_factory=list)
    targets: list[tuple[str, TargetOutlook]] = field(default_factory=list)
    unagreed: int = 0
    read: int = 0
    whole: bool = True

    def order(self) -> None:
        """Who loses most comes first; of targets the worst."""
        self.losses.sort(key=lambda loss: (-loss.lost, loss.service))
        self.targets = [(loss.service, outlook) for loss in self.losses for outlook in loss.targets]
        self.targets.sort(key=lambda row: (row[1].rank, row[0]))

    def lost(self, counted: Callable[[str], bool]) -> timedelta:
        """The time that services lose, added together."""
        return sum((loss.lost for loss in self.losses if counted(loss.service)), NOTHING)

    def count(self, outlook: Outlook, counted: Callable[[str], bool], *, prioritised: bool) -> int:
        """How many targets have this outlook: those about incidents of one priority, or the others."""
        return sum(
            found.outlook is outlook and (found.target.priority is not None) == prioritised
            for service, found in self.targets
            if counted(service)
        )


@strawberry.type(
    name="ServiceTimeLost",
    description="What the failure takes of the agreed service time, if it lasts from `from` to `to`. What was down "
    "already is in the lists, not in the figures.",
)
class ServiceTimeLostType:
    """Rows are made when a page of them is asked for."""

    found: strawberry.Private[ServiceTime]
    answer: strawberry.Private[Answer]
    from_: DateTime = strawberry.field(name="from")
    to: DateTime
    services_down: int
    unagreed: int = strawberry.field(description="How many of them nothing is agreed about with customers.")
    worked_out: int = strawberry.field(description="How many of the others the lists and figures are about.")
    truncated: bool = strawberry.field(
        description="Whether some of them were left out: 1,000 are worked out, in bounded time."
    )
    lost: Duration = strawberry.field(description="Agreed service time that is lost, added together.")
    judged: int = strawberry.field(description="How many targets were judged.")
    broken: int = strawberry.field(description="How many of them the failure makes miss, whatever happens.")
    broken_by_priority: int = strawberry.field(
        description="How many more it makes miss if there is an incident of the priority they are about."
    )
    broken_before: int = strawberry.field(description="How many were missed already.")
    set_aside: list[SetAsideType] = strawberry.field(
        description="What makes no sense or is too much and was left out; the first hundred."
    )

    @documented
    async def services(self, first: int = 50, offset: int = 0) -> list[LostServiceTime]:
        """The services that are down and have agreed hours; who loses most comes first."""
        checked_page(first, offset)
        return paced([self._service(loss) for loss in self.found.losses[offset : offset + first]])

    @documented
    async def targets(self, first: int = 50, offset: int = 0) -> list[TargetOutlookType]:
        """The targets of their agreements that time down can miss: broken ones first, then by what is left."""
        checked_page(first, offset)
        return paced([self._target(*row) for row in self.found.targets[offset : offset + first]])

    def _service(self, loss: ServiceLoss) -> LostServiceTime:
        return LostServiceTime(
            service=ItemSummary.of(self.answer.impact.topology, loss.service),
            before=self.answer.before_of(loss.service),
            lost=length(loss.lost),
            calendars=ServiceHoursType.of(self.found.levels[loss.service].calendars),
        )

    def _target(self, service: str, outlook: TargetOutlook) -> TargetOutlookType:
        return TargetOutlookType(
            service=ItemSummary.of(self.answer.impact.topology, service),
            before=self.answer.before_of(service),
            agreement=AgreementTerm.of(self.found.items[outlook.agreement]),
            target=AgreementTerm.of(self.found.items[outlook.target.id]),
            measure=outlook.target.measure,
            goal=outlook.target.share,
            priority=outlook.target.priority,
            outlook=OutlookType(outlook.outlook.value),
            period=outlook.label,
            from_=DateTime(format_instant(outlook.period.start)),
            to=DateTime(format_instant(outlook.period.end)),
            allowed=length(outlook.allowed),
            down_before=length(outlook.before),
            lost=length(outlook.lost),
            left=length(outlook.left),
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
    services_down, agreed = await asyncio.to_thread(answer.services_down)
    async with context.services.large_work:
        found = await _worked_out(context, at, agreed[:MAX_SERVICES], span)
    context.spend(found.read)
    truncated = len(agreed) > MAX_SERVICES or not found.whole
    context.truncated |= truncated

    def shown() -> ServiceTimeLostType:
        def newly(service: str) -> bool:
            return answer.before_of(service) is not ImpactState.DOWN

        found.order()
        return ServiceTimeLostType(
            found=found,
            answer=answer,
            from_=from_,
            to=to,
            services_down=services_down,
            unagreed=services_down - len(agreed) + found.unagreed,
            worked_out=len(found.losses),
            truncated=truncated,
            lost=length(found.lost(newly)),
            judged=len(found.targets),
            broken=found.count(Outlook.BROKEN, newly, prioritised=False),
            broken_by_priority=found.count(Outlook.BROKEN, newly, prioritised=True),
            broken_before=sum(row.outlook is Outlook.BROKEN_BEFORE for _, row in found.targets),
            set_aside=SetAsideType.of(found.set_aside.values()),
        )

    return await asyncio.to_thread(shown)


async def _worked_out(context: Context, at: int | None, services: Sequence[str], span: Span) -> ServiceTime:
    """What services lose, so many at once, until it is late."""
    until = time.monotonic() + BUDGET_SHARE * context.services.settings.request_deadline
    reader, catalogue = context.reader(at), context.store.catalogue
    failure = Failure(span, await moment_of(context, at))
    found = ServiceTime()

    def late() -> bool:
        return time.monotonic() > until

    for start in range(0, len(services), AT_ONCE):
        if late():
            found.whole = False
            break
        some = services[start : start + AT_ONCE]
        levels = await read_service_levels(reader, catalogue, some, span, context.visible)
        asked = {s: agreed for s, agreed in levels.services.items() if agreed.own or agreed.agreements}
        touched = touched_by(asked.values(), span)
        outages = await read_service_outages(reader, catalogue, list(asked), touched, context.visible)
        on_record = {service: told.outages for service, told in outages.items()}
        losses = await asyncio.to_thread(service_losses, asked, failure, on_record, late=late)
        found.losses += losses
        found.whole = found.whole and len(losses) == len(asked)
        found.unagreed += len(some) - len(asked)
        found.levels |= asked
        found.items |= levels.items
        found.set_aside |= levels.set_aside
        for told in outages.values():
            found.read += len(told.outages)
            found.set_aside |= {
                record: SetAside(record, name, UNUSABLE_OUTAGE) for record, name in told.unusable.items()
            }
        found.read += len(some) + len(levels.items)
    return found
