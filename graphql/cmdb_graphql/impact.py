"""What a failure would do: answered from the topology, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import Enum
from itertools import islice
from typing import Annotated, Any, Self

import strawberry
from strawberry.types.field import StrawberryField

from cmdb.errors import BadRequest
from cmdb.model.topology import Topology
from cmdb_graphql.context import Context
from cmdb_graphql.definitions import documented
from cmdb_graphql.derived_types import Confidence
from cmdb_graphql.graph import ItemSummary, chosen_types, topology_of
from cmdb_graphql.moments import AsOfInput
from cmdb_graphql.scalars import Json, Long
from impact.explanation import Explainer, Fact, to_columns
from impact.propagation import SERVICE_CLASSES, ImpactSet, State, simulate_failure

Info = strawberry.Info[Context, None]
Described = strawberry.argument

MAX_DOWN = 1_000


@strawberry.enum(description="What a failure makes of an item, worst first; UP: it is not reached.")
class ImpactState(Enum):
    """`impact.propagation.State`."""

    DOWN = "down"
    DEGRADED = "degraded"
    AT_RISK = "at_risk"
    REDUCED = "reduced"
    PROTECTED = "protected"
    UP = "up"


@strawberry.type(name="FactMember", description="An item that a fact is about.")
class FactMember:
    """A member with its state."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    state: ImpactState


@strawberry.type(name="ImpactFact", description="One reason for a state, as a code and its arguments.")
class FactType:
    """A fact; see docs/guides/impact.md for the codes."""

    code: str
    group: str | None
    required: int | None
    up: int | None
    members: list[FactMember]

    @classmethod
    def of(cls, topology: Topology, fact: Fact) -> Self:
        """The same for GraphQL."""
        return cls(
            code=fact.code,
            group=fact.group,
            required=fact.required,
            up=fact.up,
            members=[
                FactMember(
                    id=strawberry.ID(member),
                    class_name=topology.items[member].class_name,
                    name=topology.items[member].name,
                    state=ImpactState(state.value),
                )
                for member, state in fact.members
            ],
        )


@strawberry.type(name="ImpactedItem", description="An item that a failure reaches.")
class ImpactedItem:
    """An item, its state, and why."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    layer: str | None
    lifecycle: str | None
    state: ImpactState
    distance: int = strawberry.field(description="Hops from the nearest failed item.")
    answer: strawberry.Private[Answer]

    @documented
    def because(self) -> list[FactType]:
        """Why it is in its state."""
        facts = self.answer.explainer.explain(str(self.id)).facts
        return [FactType.of(self.answer.topology, fact) for fact in facts]

    @documented
    def path(self) -> list[ItemSummary]:
        """The shortest chain of causes, from the item to a failed one."""
        path = self.answer.explainer.explain(str(self.id)).path
        return [ItemSummary.of(self.answer.topology, item) for item in path]


class Answer:
    """An impact set with what is needed to show it; explained once, when somebody asks why."""

    def __init__(self, topology: Topology, impact: ImpactSet, services: Sequence[str]) -> None:
        self.topology = topology
        self.impact = impact
        self.services = services
        self._explainer: Explainer | None = None

    @property
    def explainer(self) -> Explainer:
        """Made at the first question."""
        if self._explainer is None:
            self._explainer = Explainer(self.impact)
        return self._explainer

    def items(self, ids: Sequence[str], first: int, offset: int) -> list[ImpactedItem]:
        """Some of these as GraphQL has them."""
        if first < 0 or offset < 0:
            raise BadRequest(f"first is {first} and offset {offset}; neither may be negative")
        shown = []
        for item_id in islice(ids, offset, offset + first):
            item = self.topology.items[item_id]
            shown.append(
                ImpactedItem(
                    id=strawberry.ID(item_id),
                    class_name=item.class_name,
                    name=item.name,
                    layer=item.layer,
                    lifecycle=item.lifecycle,
                    state=ImpactState(self.impact.states[item_id].value),
                    distance=self.impact.distances.get(item_id, 0),
                    answer=self,
                )
            )
        return shown

    def record(self, explain: bool) -> dict[str, Any]:
        """The whole answer in columns; with explanations where wanted."""
        record = to_columns(self.impact)
        if explain:
            explainer = self.explainer
            record["explanations"] = [explainer.explain(item).to_record() for item in self.impact.states]
        return record


@strawberry.type(name="ImpactCounts", description="How many items are in each state.")
class ImpactCounts:
    """Counts of all, whatever a list shows."""

    down: int
    degraded: int
    at_risk: int
    reduced: int
    protected: int


@strawberry.type(
    name="Impact", description="What the failure of some items together would do, true of `revision`."
)
class ImpactType:
    """An answer; lists are nearest first."""

    answer: strawberry.Private[Answer]
    revision: Long
    failed: list[ItemSummary]
    counts: ImpactCounts

    def _in(self, state: State, first: int, offset: int) -> list[ImpactedItem]:
        return self.answer.items(self.answer.impact.in_state(state), first, offset)

    @documented
    def down(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Failed, or too little left of something they need."""
        return self._in(State.DOWN, first, offset)

    @documented
    def degraded(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Up, but something they use is down, or something they need is degraded."""
        return self._in(State.DEGRADED, first, offset)

    @documented
    def at_risk(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Up without a spare: the next failure of a certain other item takes them down."""
        return self._in(State.AT_RISK, first, offset)

    @documented
    def reduced(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """A spare is gone, another is left."""
        return self._in(State.REDUCED, first, offset)

    @documented
    def protected(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """Reached, yet nothing that matters arrives: redundancy saved them."""
        return self._in(State.PROTECTED, first, offset)

    @documented
    def services(self, first: int = 50, offset: int = 0) -> list[ImpactedItem]:
        """The services among all that is reached, worst state first."""
        return self.answer.items(self.answer.services, first, offset)

    @documented
    async def record(self, explain: bool = False) -> Json:
        """The whole answer as one JSON object of columns (ids, names, classes, layers, states, distances,
        gates); with `explain` also facts and path of every item reached.
        """
        return Json(await asyncio.to_thread(self.answer.record, explain))


@strawberry.type
class ImpactQueries:
    """Root fields; each checks the right to read first."""

    @documented
    async def impact(
        self,
        info: Info,
        down: Annotated[
            list[strawberry.ID], Described(description="The items that fail; also what is down already.")
        ],
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
    ) -> ImpactType:
        """What would happen if these items failed together."""
        context = info.context
        topology = await topology_of(context, as_of)
        catalogue = context.store.catalogue
        chosen = chosen_types(catalogue, types)
        if not down or len(down) > MAX_DOWN:
            raise BadRequest(f"down names {len(down)} items; it must name 1 to {MAX_DOWN}")
        services = {
            name
            for base in SERVICE_CLASSES
            if base in catalogue.classes
            for name in catalogue.subclasses(base)
        }

        def answer() -> Answer:
            impact = simulate_failure(
                topology,
                [str(item) for item in down],
                pinned=frozenset(map(str, pinned or ())),
                minimum_confidence=minimum_confidence.value,
                relationship_types=chosen,
            )
            return Answer(topology, impact, impact.services(services))

        found = await asyncio.to_thread(answer)
        states = list(found.impact.states.values())
        context.spend(len(states))
        return ImpactType(
            answer=found,
            revision=Long(topology.revision),
            failed=[ItemSummary.of(topology, item) for item in found.impact.failed],
            counts=ImpactCounts(
                down=states.count(State.DOWN),
                degraded=states.count(State.DEGRADED),
                at_risk=states.count(State.AT_RISK),
                reduced=states.count(State.REDUCED),
                protected=states.count(State.PROTECTED),
            ),
        )


QUERIES: list[StrawberryField] = ImpactQueries.__strawberry_definition__.fields  # type: ignore[attr-defined]
