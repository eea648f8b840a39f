"""What is asked about a failure, and the items, facts and parties of an answer, shown page by page."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

import numpy as np
import strawberry

from cmdb.errors import BadRequest
from cmdb.model.columns import Int64s
from cmdb.model.packed_topology import PackedTopology
from cmdb.store.down_on_record import DownOnRecord
from cmdb.store.service_levels import APPLIES_TO, GOVERNED_BY
from cmdb_graphql.definitions import documented
from cmdb_graphql.derived_types import Confidence
from cmdb_graphql.graph import ItemSummary
from impact.engine import Engine
from impact.explanation import Explainer, Explanation, Fact, to_columns
from impact.propagation import State
from impact.simulation import CODES, Impact, Party

MAX_DOWN = 1_000
MAX_PAGE = 1_000


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
    def of(cls, topology: PackedTopology, fact: Fact) -> Self:
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
    criticality: str | None
    state: ImpactState
    before: ImpactState = strawberry.field(
        description="Its state with what is down already alone; UP where nothing is, or nothing fails on top of it."
    )
    distance: int = strawberry.field(description="Hops from the nearest failed item.")
    answer: strawberry.Private[Answer]

    @documented
    async def because(self) -> list[FactType]:
        """Why it is in its state."""
        explanation = await self.answer.explanation(str(self.id))
        return [FactType.of(self.answer.impact.topology, fact) for fact in explanation.facts]

    @documented
    async def path(self) -> list[ItemSummary]:
        """The shortest chain of causes, from the item to a failed one."""
        explanation = await self.answer.explanation(str(self.id))
        return [ItemSummary.of(self.answer.impact.topology, item) for item in explanation.path]


@strawberry.type(name="ImpactedParty", description="Somebody whom a failure concerns.")
class ImpactedParty:
    """A party at the other end of an edge of what is down, degraded or at risk."""

    id: strawberry.ID
    class_name: str = strawberry.field(name="class")
    name: str
    worst: ImpactState = strawberry.field(description="The worst state among the items that are theirs.")
    items: int = strawberry.field(description="How many of them are down, degraded or at risk.")

    @classmethod
    def of(cls, topology: PackedTopology, party: Party) -> Self:
        """The same for GraphQL."""
        item = topology.items[party.id]
        return cls(
            id=strawberry.ID(item.id),
            class_name=item.class_name,
            name=item.name,
            worst=ImpactState(party.worst.value),
            items=party.items,
        )


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of the engine; the same for the typed answer, the bulk form and exports."""

    down: tuple[str, ...]
    already_down: tuple[str, ...]
    on_record: DownOnRecord | None
    """Down already by the records that were asked; None where none were."""
    pinned: frozenset[str]
    minimum_confidence: Confidence
    relationship_types: frozenset[str] | None

    def __post_init__(self) -> None:
        """Raise `BadRequest` where it is too large."""
        for name, items in (
            ("down", self.down),
            ("alreadyDown", self.already_down),
            ("pinned", self.pinned),
        ):
            if len(items) > MAX_DOWN:
                raise BadRequest(f"{name} names {len(items)} items; at most {MAX_DOWN} are allowed")
        if not self.down and not self.already_down and self.on_record is None:
            raise BadRequest("down names no item; name at least one that fails")

    def ask(self, engine: Engine, topology: PackedTopology, services: frozenset[str]) -> Answer:
        """The answer; takes milliseconds, so call it in a thread.

        Where nothing fails on top of what is down already, it is about that, compared with nothing being down.
        """

        def impact(down: Collection[str]) -> Impact:
            return engine.simulate_failure(
                topology,
                down,
                pinned=self.pinned,
                minimum_confidence=self.minimum_confidence.value,
                relationship_types=self.relationship_types,
            )

        already = set(self.already_down)
        if self.on_record is not None:
            already.update(map(topology.id_of, self.on_record.numbers.tolist()))
        before = impact(already) if already and self.down else None
        return Answer(impact({*self.down, *already}), before, services)


class Answer:
    """An impact set with what is needed to show it; explained when somebody asks why."""

    def __init__(self, impact: Impact, before: Impact | None, services: frozenset[str]) -> None:
        self.impact = impact
        self.before = before
        self._services = services
        self._explainer = Explainer(impact)
        self._explained: dict[str, Explanation] = {}
        self._shown: list[str] = []
        self._parties: dict[str, list[Party]] = {}
        self._parties_lock = threading.Lock()
        self._explaining: asyncio.Future[None] | None = None

    async def explanation(self, item: str) -> Explanation:
        """Why an item is in its state. All that are shown are explained together, in a thread."""
        while item not in self._explained:
            if self._explaining is None or self._explaining.done():
                wanted = [i for i in self._shown if i not in self._explained] or [item]
                self._explaining = asyncio.ensure_future(asyncio.to_thread(self._explain, wanted))
            await self._explaining
        return self._explained[item]

    def _explain(self, items: Sequence[str]) -> None:
        for item in items:
            self._explained[item] = self._explainer.explain(item)

    async def page(self, state: State, first: int, offset: int) -> list[ImpactedItem]:
        """Some of those in a state, nearest first."""
        checked_page(first, offset)
        return await asyncio.to_thread(lambda: self._items(self.impact.page(state, first, offset)))

    async def services(self, first: int, offset: int) -> list[ImpactedItem]:
        """Some of the services reached, worst first."""
        checked_page(first, offset)

        def found() -> list[ImpactedItem]:
            return self._items(self._service_places()[offset : offset + first])

        return await asyncio.to_thread(found)

    def _service_places(self) -> Int64s:
        return self.impact.of_kind(lambda kind: kind.class_name in self._services)

    def services_down(self) -> tuple[int, list[str]]:
        """How many services are down; and those of them with an edge to an agreement or a calendar, nearest first."""
        impact, topology = self.impact, self.impact.topology
        places = self._service_places()
        down = impact.nodes[places[impact.codes[places] == CODES[State.DOWN]]]
        governed, _ = topology.hops(down, lambda label: label.type == GOVERNED_BY)
        subject, _ = topology.hops(down, lambda label: label.type == APPLIES_TO, backwards=True)
        agreed = np.isin(down, np.concatenate([governed, subject]))
        return len(down), [topology.id_of(number) for number in down[agreed].tolist()]

    def before_of(self, item: str) -> ImpactState:
        """The state of an item with what is down already alone."""
        return ImpactState(self.before.state_of(item).value) if self.before else ImpactState.UP

    def _items(self, places: Any) -> list[ImpactedItem]:  # noqa: ANN401 - an array of places
        impact, topology = self.impact, self.impact.topology
        found = []
        rows = zip(
            impact.nodes[places].tolist(),
            impact.codes[places].tolist(),
            impact.distances_of(places).tolist(),
            strict=True,
        )
        for number, code, distance in rows:
            item = topology.item(number)
            self._shown.append(item.id)
            found.append(
                ImpactedItem(
                    id=strawberry.ID(item.id),
                    class_name=item.class_name,
                    name=item.name,
                    layer=item.layer,
                    lifecycle=item.lifecycle,
                    criticality=item.criticality,
                    state=_STATES[code],
                    before=self.before_of(item.id),
                    distance=distance,
                    answer=self,
                )
            )
        return found

    async def parties(self, relationship_type: str, first: int, offset: int) -> list[ImpactedParty]:
        """Some of those at the other end of a relationship type."""
        checked_page(first, offset)

        def found() -> list[ImpactedParty]:
            parties = self._all_parties(relationship_type)[offset : offset + first]
            return [ImpactedParty.of(self.impact.topology, party) for party in parties]

        return await asyncio.to_thread(found)

    async def party_count(self, relationship_type: str) -> int:
        """How many there are."""
        return len(await asyncio.to_thread(self._all_parties, relationship_type))

    def _all_parties(self, relationship_type: str) -> list[Party]:
        """Each type is worked out once, whatever is asked of it."""
        with self._parties_lock:
            if relationship_type not in self._parties:
                self._parties[relationship_type] = self.impact.parties(relationship_type)
            return self._parties[relationship_type]

    async def service_count(self) -> int:
        """How many services are reached."""
        return len(await asyncio.to_thread(self._service_places))

    def added(self) -> int:
        """How many items are worse off than with what is down already alone."""
        if self.before is None:
            return len(self.impact.nodes)
        return int(np.count_nonzero(self.impact.worse_than(self.before)))

    def rows(self, states: Sequence[State], limit: int) -> list[tuple[str, str, int]]:
        """Id, state and distance of the first `limit` in these states, worst state first, nearest first."""
        impact, found = self.impact, list[tuple[str, str, int]]()
        for state in states:
            if state is State.UP or len(found) >= limit:
                continue
            places = impact.page(state, limit - len(found))
            ids = map(impact.topology.id_of, impact.nodes[places].tolist())
            distances = impact.distances_of(places).tolist()
            found += [(item, state.value, hops) for item, hops in zip(ids, distances, strict=True)]
        return found

    def record(self, explain: bool) -> dict[str, Any]:
        """The whole answer in columns; with explanations where wanted."""
        record = to_columns(self.impact)
        if explain:
            record["explanations"] = [
                self._explainer.explain(item).to_record() for item in self.impact.states
            ]
        return record


_STATES = (
    ImpactState.UP,
    ImpactState.PROTECTED,
    ImpactState.REDUCED,
    ImpactState.AT_RISK,
    ImpactState.DEGRADED,
    ImpactState.DOWN,
)


def checked_page(first: int, offset: int) -> None:
    """Raise `BadRequest` for a page that nobody may ask for."""
    if first < 0 or offset < 0:
        raise BadRequest(f"first is {first} and offset {offset}; neither may be negative")
    if first > MAX_PAGE:
        raise BadRequest(f"first is {first}; a page has at most {MAX_PAGE}, /bulk/impact gives everything")
