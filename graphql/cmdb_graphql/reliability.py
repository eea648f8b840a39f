"""How often things are down: component figures with what they rest on, and measured availability of a service."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Annotated, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest, NotFound
from cmdb.model.items import Item
from cmdb.model.outages import MeasuredAvailability, Outage, measure_availability
from cmdb.model.reliability import ComponentFigure
from cmdb.model.spans import Span
from cmdb.model.values import format_duration, format_instant, parse_instant
from cmdb.store.reliability import read_figures, read_service_outages
from cmdb.store.service_levels import read_service_levels
from cmdb_graphql.access import Action
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import DateTime, Duration
from cmdb_graphql.service_hours import ServiceHoursType, SetAsideType

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_FIGURES = 1_000
FIRST_YEAR = 2
"""So that the days around a moment, in any time zone, are days that there are."""


@strawberry.enum(description="What a component figure rests on, strongest first.")
class FigureBasis(Enum):
    """`cmdb.model.reliability.Basis`."""

    DECLARED_AVAILABILITY = "declared_availability"
    DECLARED_MTBF_MTTR = "declared_mtbf_mttr"
    OUTAGE_HISTORY = "outage_history"
    CLASS_DEFAULT = "class_default"
    ASSUMED_PERFECT = "assumed_perfect"


@strawberry.type(name="OutageHistory", description="How a thing fared by the outages that were its own.")
class OutageHistoryType:
    """`cmdb.model.outages.OutageHistory`."""

    observed: Duration = strawberry.field(description="Over which time.")
    outages: int = strawberry.field(description="How often it was down.")
    down: Duration = strawberry.field(description="For how long together.")


@strawberry.type(
    name="ComponentFigure",
    description="How often a component is down by itself, with everything it depends on up.",
)
class ComponentFigureType:
    """`cmdb.model.reliability.ComponentFigure` of an item."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    unavailability: float = strawberry.field(description="Share of the time in which it is down; 0 to 1.")
    basis: FigureBasis
    default_class: str | None = strawberry.field(
        description="The class whose default is in the figure, wholly or in part."
    )
    mtbf: Duration | None = strawberry.field(description="Mean time between failures it was worked out from.")
    mttr: Duration | None = strawberry.field(description="Mean time to restore it was worked out from.")
    history: OutageHistoryType | None = strawberry.field(description="The outages that are in the figure.")
    ignored: list[str] = strawberry.field(
        description="Attributes whose values make no sense, such as an availability of 3; taken as absent."
    )

    @classmethod
    def of(cls, item: Item, figure: ComponentFigure) -> Self:
        """The same for GraphQL."""
        history = figure.history
        return cls(
            id=strawberry.ID(item.id),
            class_name=item.class_name,
            name=item.name,
            unavailability=figure.unavailability,
            basis=FigureBasis(figure.basis),
            default_class=figure.default_class,
            mtbf=_seconds(figure.mtbf) if figure.mtbf is not None else None,
            mttr=_seconds(figure.mttr) if figure.mttr is not None else None,
            history=OutageHistoryType(
                observed=_seconds(history.observed), outages=history.outages, down=_seconds(history.down)
            )
            if history is not None
            else None,
            ignored=list(figure.ignored),
        )


@strawberry.type(name="MeasuredOutage", description="An outage record that touches the period.")
class MeasuredOutage:
    """`cmdb.model.outages.Outage`."""

    id: strawberry.ID
    kind: str = strawberry.field(description="`outage`, `degradation` or `planned`, as the record says.")
    started_at: DateTime
    ended_at: DateTime | None = strawberry.field(description="Null: it still runs.")

    @classmethod
    def of(cls, outage: Outage) -> Self:
        """The same for GraphQL."""
        return cls(
            id=strawberry.ID(outage.id),
            kind=outage.kind,
            started_at=DateTime(format_instant(outage.start)),
            ended_at=DateTime(format_instant(outage.end)) if outage.end is not None else None,
        )


@strawberry.type(
    name="MeasuredAvailability",
    description="How available a service was by its outage records: agreed time without outage / agreed time.",
)
class MeasuredAvailabilityType:
    """`cmdb.model.outages.MeasuredAvailability` of a service."""

    measured: strawberry.Private[MeasuredAvailability]
    service: strawberry.ID
    name: str
    from_: DateTime = strawberry.field(name="from")
    to: DateTime = strawberry.field(description="End of the period; now, where a later one was asked for.")
    availability: float | None = strawberry.field(description="0 to 1; null where no time was agreed.")
    target: float | None = strawberry.field(description="The service's `availability_target`.")
    met: bool | None = strawberry.field(description="Whether the target was met; null without one.")
    calendars: list[ServiceHoursType] = strawberry.field(
        description="Whose hours are its service hours; none: round the clock."
    )
    agreed: Duration = strawberry.field(description="Service hours without agreed maintenance.")
    down: Duration = strawberry.field(description="Outages in agreed time; what several share counts once.")
    allowed_down: Duration | None = strawberry.field(description="How long the target lets it be down.")
    planned: Duration = strawberry.field(description="Agreed maintenance in service hours.")
    degraded: Duration = strawberry.field(
        description="Degradations in agreed time, without what was down; not held against the availability."
    )
    unusable: list[strawberry.ID] = strawberry.field(
        description="Outage records left out because they end before they begin, or are closed without an end."
    )
    set_aside: list[SetAsideType] = strawberry.field(
        description="Calendars and agreements that make no sense and were left out."
    )

    @documented
    def outages(self, first: int = 50, offset: int = 0) -> list[MeasuredOutage]:
        """Every record that touches the period, earliest first; planned ones and degradations too."""
        if first < 0 or offset < 0:
            raise BadRequest(f"first is {first} and offset {offset}; neither may be negative")
        return [MeasuredOutage.of(outage) for outage in self.measured.outages[offset : offset + first]]


@strawberry.type
class ReliabilityQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def component_figures(
        self, info: Info, ids: list[strawberry.ID], as_of: AsOfInput | None = None
    ) -> list[ComponentFigureType]:
        """How often these items are down by themselves, in the order given, and what each figure rests on."""
        context = info.context
        at = await context.revision_of(as_of)
        reader = context.reader(at)
        if len(ids) > MAX_FIGURES:
            raise BadRequest(f"ids names {len(ids)} items; at most {MAX_FIGURES} are given")
        until = await moment_of(context, at)
        wanted = [str(item_id) for item_id in ids]
        found = await read_figures(reader, context.store.catalogue, wanted, until, context.visible)
        for item_id in wanted:
            if item_id not in found:
                raise NotFound("item", item_id[:80], "it is not there, or not at that moment")
        context.spend(len(found))
        return [ComponentFigureType.of(*found[item_id]) for item_id in wanted]

    @documented
    async def measured_availability(
        self,
        info: Info,
        service: strawberry.ID,
        from_: Annotated[DateTime, Described(name="from", description="Beginning of the period.")],
        to: Annotated[
            DateTime | None, Described(description="Its end; now where it is absent or later.")
        ] = None,
        as_of: Annotated[
            AsOfInput | None, Described(description="By the records as they were at that moment.")
        ] = None,
    ) -> MeasuredAvailabilityType:
        """How available a service was in a period, by the outages recorded of it, and whether that was enough."""
        context = info.context
        context.require(Action.READ)
        at = await context.revision_of(as_of)
        reader = context.reader(at)
        start, until = parse_instant(from_), await moment_of(context, at)
        period = Span(start, min(parse_instant(to), until) if to is not None else until)
        if period.start.year < FIRST_YEAR:
            raise BadRequest(f"the period begins in the year {period.start.year}; begin later")
        if period.start >= period.end:
            raise BadRequest(
                f"the period from {from_} to {format_instant(period.end)} is empty; begin earlier"
            )
        catalogue = context.store.catalogue
        item_id = str(service)
        item = (await reader.items([item_id])).get(item_id)
        if item is None:
            raise NotFound("item", item_id[:80], "it is not there, or not at that moment")
        read = await read_service_levels(reader, catalogue, [item_id], period, context.visible, targets=False)
        levels = read.services[item_id]
        if levels.unknown:
            aside = "; ".join(f"{found.name}: {found.reason}" for found in read.set_aside.values())
            raise BadRequest(
                f"the service hours are unknown in that period ({aside}); repair these or take them away"
            )
        found = (await read_service_outages(reader, catalogue, [item_id], period, context.visible))[item_id]
        agreed = context.visible(item).attributes.get("availability_target")
        target = agreed if isinstance(agreed, float) and 0.0 <= agreed <= 1.0 else None
        hours = await asyncio.to_thread(levels.hours, period)
        measured = await asyncio.to_thread(measure_availability, found.outages, period, target, hours=hours)
        context.spend(1 + len(read.items) + len(found.outages))
        allowed = measured.allowed_down
        return MeasuredAvailabilityType(
            measured=measured,
            service=strawberry.ID(item_id),
            name=item.name,
            from_=DateTime(format_instant(period.start)),
            to=DateTime(format_instant(period.end)),
            availability=measured.availability,
            target=measured.target,
            met=measured.met,
            agreed=length(measured.agreed),
            down=length(measured.down),
            allowed_down=length(allowed) if allowed is not None else None,
            planned=length(measured.planned),
            degraded=length(measured.degraded),
            calendars=ServiceHoursType.of(levels.calendars),
            unusable=[strawberry.ID(record) for record in sorted(found.unusable)],
            set_aside=SetAsideType.of(read.set_aside.values()),
        )


async def moment_of(context: Context, at: int | None) -> datetime:
    """The moment up to which a reader knows what happened."""
    if at is None:
        return datetime.now(UTC)
    if at == 0:
        return datetime.min.replace(tzinfo=UTC)
    return parse_instant((await context.store.history.revision(at)).recorded_at)


def _seconds(seconds: float) -> Duration:
    return Duration(format_duration(round(seconds * 1_000)))


def length(time: timedelta) -> Duration:
    """A length of time, for GraphQL."""
    return _seconds(time.total_seconds())


QUERIES: list[StrawberryField] = ReliabilityQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
