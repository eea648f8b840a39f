"""The plan of a report: which operations it comes to, what it refuses and why, and which items it found twice.

Pure. The report is planned whole against the state that was loaded, by the same planner that the store applies with, so
that what the catalogue forbids is told before anything is written. Only real differences become operations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cmdb.errors import IdentityTaken, Problem, ValidationFailed
from cmdb.model.catalogue import Catalogue
from cmdb.model.change_set import ChangeSet, DeleteEdge, Operation, PutEdge, PutItem
from cmdb.model.identity import rule_keys, rule_name
from cmdb.model.items import EdgeFacts, EdgeKey, ItemChange
from cmdb.model.planning import EstateState, Plan, plan_change_set
from discovery.identification import Answer, Identified, Question, host_types, namesakes, normal_fields
from discovery.observation import Observation, ObservedItem

State = Literal["created", "changed", "unchanged", "outdated", "refused"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not taken: where it stands in the report, and why."""

    where: str
    why: str

    def to_record(self) -> dict[str, str]:
        """As JSON."""
        return {"where": self.where, "why": self.why}


@dataclass(frozen=True, slots=True)
class DuplicateSet:
    """Stored items that one reported item matches at once: people must merge them.

    `item` was taken, as the strongest match. `other` holds `key`, which by the report is the same item's; the reported
    fields and edges that make the key (`withheld`) were left out.
    """

    where: str
    item: str
    other: str
    key: str
    withheld: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """As JSON."""
        record = {"where": self.where, "item": self.item, "other": self.other, "key": self.key}
        return {**record, "withheld": list(self.withheld)}


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """What a report comes to.

    `units` are the operations, each unit inseparable, in an order in which they can be cut into ChangeSets: an item
    after its hosts, with the edges that identify it; then all other edges. `keys` are source keys to claim. `states`
    tells of each reported item, in their order, what becomes of it; `changes` are by item.
    """

    units: tuple[tuple[Operation, ...], ...]
    keys: Mapping[str, tuple[str, ...]]
    states: tuple[State, ...]
    changes: Mapping[str, ItemChange]
    refused: tuple[Refusal, ...]
    duplicates: tuple[DuplicateSet, ...]


_IN_ATTRIBUTES = {".name": ".attributes.name", ".lifecycle": ".attributes.lifecycle"}

Planning = Generator[Question, Answer, ReportPlan]


def plan_report(
    observation: Observation,
    identified: Identified,
    state: EstateState,
    *,
    outdated: Iterable[int] = (),
    partial: bool = False,
    now: str,
) -> Planning:
    """Plan a report; drive it with `next` and `send`, answering each `Question`.

    Args:
        state: the identified items that exist, with all their outgoing edges; and, where a relationship type allows a
            target one source only, with the incoming edges of that type. It is not changed.
        outdated: items by index of which this source told something newer; they and their edges are left alone.
        partial: take what is good although something is refused. Otherwise a refusal empties the plan.
        now: an instant, for the planner.
    """
    return _ReportPlanner(observation, identified, state, frozenset(outdated), partial, now).run()


@dataclass(slots=True)
class _Draft:
    """What the report says of one item, by whichever of its entries."""

    indexes: list[int]
    class_name: str
    fields: dict[str, Any] = field(default_factory=dict)


class _ReportPlanner:
    """One planning. What is withheld or refused only grows, so planning again and again comes to an end."""

    def __init__(
        self,
        observation: Observation,
        identified: Identified,
        state: EstateState,
        outdated: frozenset[int],
        partial: bool,
        now: str,
    ) -> None:
        self.observation = observation
        self.identities = identified.identities
        self.stored = state
        self.catalogue: Catalogue = state.catalogue
        self.outdated = outdated
        self.partial = partial
        self.now = now
        self.level: dict[str, int] = defaultdict(int)
        self.place: dict[str, str] = {}
        for index, identity in enumerate(self.identities):
            self.level[identity.id] = max(self.level[identity.id], identity.level)
            self.place.setdefault(identity.id, f"items[{index}]")
        self.holders = dict(identified.holders)
        self.held = {item: set(keys) for item, keys in identified.held.items()}
        self.refused: dict[str, Refusal] = {}
        self.lost_items: set[str] = set()
        self.lost_edges: set[int] = set()
        self.duplicates: dict[tuple[str, str], DuplicateSet] = {}
        self.drafts: dict[str, _Draft] = {}

    def run(self) -> Planning:
        self._draft_items()
        self._withhold_taken()
        while True:
            operations, origins = self._operations()
            state = self._fresh_state()
            try:
                plan = plan_change_set(
                    state, ChangeSet(operations, keys=self._native()), revision=0, now=self.now
                )
            except ValidationFailed as error:
                self._refuse_problems(error.problems, origins)
                if not self.partial:
                    return self._emptied()
                continue
            except IdentityTaken as error:
                self._withhold(error.key, error.claimant, error.holder)
                continue
            asked = tuple(key for key in state.holders if key not in self.holders)
            if asked:
                answer = yield Question(keys=asked)
                self.holders.update((key, answer.holders.get(key)) for key in asked)
                taken = [
                    (key, claimant, holder)
                    for key in asked
                    if (holder := self.holders[key])
                    and (claimant := state.holders[key])
                    and claimant != holder
                ]
                if taken:
                    answer = yield Question(items=tuple(sorted({holder for _, _, holder in taken})))
                    self.held.update((item, set(keys)) for item, keys in answer.held.items())
                    for key, claimant, holder in taken:
                        keys = self._final_keys(state, claimant)
                        if not namesakes(key, keys, self.held.get(holder, ())):
                            self._withhold(key, claimant, holder)
                    continue
            if self.refused and not self.partial:
                return self._emptied()
            return self._finished(plan, operations)

    # --- items --------------------------------------------------------------------------------------------------------

    def _draft_items(self) -> None:
        for index, (item, identity) in enumerate(zip(self.observation.items, self.identities, strict=True)):
            if index in self.outdated:
                continue
            draft = self.drafts.get(identity.id)
            if draft is None:
                stored = self.stored.items.get(identity.id)
                draft = self.drafts[identity.id] = _Draft(
                    [], stored.class_name if stored else item.class_name
                )
            elif not self._agrees(index, draft):
                continue
            class_name = self._class(draft, index)
            if class_name is None:
                continue
            draft.class_name = class_name
            draft.indexes.append(index)
            draft.fields.update(item.attributes)

    def _class(self, draft: _Draft, index: int) -> str | None:
        """The more specific of two classes of one line. Where they part, the source's own key lets it think again."""
        known, reported = draft.class_name, self.observation.items[index].class_name
        if known == reported or not {known, reported} <= self.catalogue.classes.keys():
            return reported
        if self.catalogue.is_a(reported, known):
            return reported
        if self.catalogue.is_a(known, reported):
            return known
        identity = self.identities[index]
        if identity.matched_by == identity.native and not draft.indexes:
            return reported
        message = f"it is known as a {known}, by {identity.matched_by or identity.id}; a {reported} it cannot be too"
        self._refuse(f"items[{index}].class", f"{message}: correct one of them", item=identity.id)
        return None

    def _agrees(self, index: int, draft: _Draft) -> bool:
        """Whether an entry says nothing else than earlier ones of the same item."""
        item, first = self.observation.items[index], draft.indexes[0] if draft.indexes else None
        if first is None or item.class_name not in self.catalogue.classes:
            return True
        values = normal_fields(self.catalogue, item)
        told: dict[str, Any] = {}
        for earlier in draft.indexes:
            told |= normal_fields(self.catalogue, self.observation.items[earlier])
        differing = [name for name, value in values.items() if name in told and told[name] != value]
        for name in differing:
            shared = next(
                (k for k in self.identities[index].keys if k in self.identities[first].keys), "its keys"
            )
            self._refuse(
                f"items[{index}].attributes.{name}",
                f"it is the same {item.class_name} as items[{first}] by {shared}, and there it is {told[name]!r}, "
                f"here {values[name]!r}: give each what tells them apart, or say the same of both",
                item=self.identities[index].id,
            )
        return not differing

    def _fields(self, item_id: str, draft: _Draft) -> dict[str, Any]:
        """The fields to put; what a new class has no attribute for is taken away."""
        stored = self.stored.items.get(item_id)
        item_class = self.catalogue.classes.get(draft.class_name)
        if stored is None or item_class is None or stored.class_name == draft.class_name:
            return draft.fields
        gone = {name: None for name in stored.attributes if name not in item_class.attributes}
        return {**gone, **draft.fields}

    # --- operations ---------------------------------------------------------------------------------------------------

    def _operations(self) -> tuple[tuple[Operation, ...], list[str]]:
        operations: list[Operation] = []
        origins: list[str] = []
        for item_id, draft in self.drafts.items():
            if item_id in self.lost_items or not draft.indexes:
                continue
            stored = self.stored.items.get(item_id)
            class_name = None if stored and stored.class_name == draft.class_name else draft.class_name
            fields = self._fields(item_id, draft)
            operations.append(PutItem(item_id, fields, class_name, "update" if stored else "create"))
            origins.append(f"items[{draft.indexes[0]}]")
        gone: set[EdgeKey] = set()
        for index, key, facts in self._edges():
            for old in self._replaced(key):
                if old not in gone:
                    gone.add(old)
                    operations.append(DeleteEdge(old))
                    origins.append(f"edges[{index}]")
            operations.append(PutEdge(key, facts))
            origins.append(f"edges[{index}]")
        return tuple(operations), origins

    def _edges(self) -> list[tuple[int, EdgeKey, EdgeFacts]]:
        """The edges to put, each once, as (index, key, facts); what contradicts an earlier one is refused."""
        places = {item.ref: index for index, item in enumerate(self.observation.items)}
        edges: dict[EdgeKey, tuple[int, EdgeKey, EdgeFacts]] = {}
        for index, edge in enumerate(self.observation.edges):
            source, target = places[edge.source], places[edge.target]
            if index in self.lost_edges or source in self.outdated:
                continue
            ends = {self.identities[source].id: source, self.identities[target].id: target}
            lost = [place for item_id, place in ends.items() if item_id in self.lost_items]
            if lost:
                self._refuse(f"edges[{index}]", f"items[{lost[0]}], one of its ends, was refused", edge=index)
                continue
            key = EdgeKey(edge.type, self.identities[source].id, self.identities[target].id, edge.group)
            required = None if edge.required is None else str(edge.required)
            facts = EdgeFacts(required, edge.strength, edge.confidence)
            first = edges.setdefault(key, (index, key, facts))
            if first[2] != facts:
                why = (
                    f"it is the same edge as edges[{first[0]}], which says something else of it; say it once"
                )
                self._refuse(f"edges[{index}]", why, edge=index)
        self._targets: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._sources: dict[tuple[str, str], set[str]] = defaultdict(set)
        for key in edges:
            self._targets[key.type, key.source].add(key.target)
            self._sources[key.type, key.target].add(key.source)
        return list(edges.values())

    def _replaced(self, key: EdgeKey) -> list[EdgeKey]:
        """Stored edges that must go for this one, as their type allows one only. Two of the report stay an error."""
        relationship = self.catalogue.relationships.get(key.type)
        replaced: list[EdgeKey] = []
        if (
            relationship is not None
            and relationship.one_target
            and len(self._targets[key.type, key.source]) == 1
        ):
            outgoing = self.stored.edges.get(key.source, {})
            replaced += [old for old in outgoing if old.type == key.type and old.target != key.target]
        if (
            relationship is not None
            and relationship.one_source
            and len(self._sources[key.type, key.target]) == 1
        ):
            incoming = self.stored.incoming.get(key.target, ())
            replaced += [old for old in sorted(incoming) if old.type == key.type and old.source != key.source]
        return replaced

    def _native(self) -> dict[str, tuple[str, ...]]:
        """The source's keys that are not its already."""
        keys: dict[str, dict[str, None]] = {}
        for index, identity in enumerate(self.identities):
            taken = index not in self.outdated and identity.id not in self.lost_items
            if taken and identity.native and self.holders.get(identity.native) is None:
                keys.setdefault(identity.id, {})[identity.native] = None
        return {item: tuple(native) for item, native in keys.items()}

    def _fresh_state(self) -> EstateState:
        state = self.stored.copy()
        state.holders = dict(self.holders)
        state.held = {item: set(keys) for item, keys in self.held.items()}
        return state

    # --- what is not taken --------------------------------------------------------------------------------------------

    def _withhold_taken(self) -> None:
        """Keys of one reported item that belong to another: the strongest match has won, the other is told of."""
        claims: dict[str, int] = {}
        for index, identity in enumerate(self.identities):
            if index in self.outdated:
                continue
            for key in identity.keys:
                holder = self.holders.get(key)
                theirs: Iterable[str] = self.held.get(holder, ()) if holder else ()
                if holder is None:
                    first = claims.setdefault(key, index)
                    holder, theirs = self.identities[first].id, self.identities[first].keys
                if holder != identity.id and not namesakes(key, identity.keys, theirs):
                    self._withhold(key, identity.id, holder)

    def _withhold(self, key: str, claimant: str, holder: str) -> None:
        """Leave out of the report what would give `claimant` the key of `holder`; refuse the item if nothing can be."""
        draft = self.drafts.get(claimant)
        where = self.place.get(claimant, claimant)
        withheld: list[str] = []
        stored = self.stored.items.get(claimant)
        if draft is not None and stored is not None and draft.class_name in self.catalogue.classes:
            names, within = self._made_of(draft.class_name, key)
            told = {name: draft.fields[name] for name in names if name in draft.fields}
            normal = normal_fields(self.catalogue, ObservedItem("-", draft.class_name, attributes=told))
            withheld = [name for name in told if normal.get(name) != stored.fields.get(name)]
            for name in withheld:
                del draft.fields[name]
            if within:
                withheld += self._withhold_edges(claimant, within, key)
        if not withheld:
            why = f"its identity {key} is that of item {holder}, and a stronger one says that it is item {claimant}"
            self._refuse(where, f"{why}; merge the two, or correct the report", item=claimant)
        self.duplicates[claimant, key] = DuplicateSet(where, claimant, holder, key, tuple(withheld))

    def _made_of(self, class_name: str, key: str) -> tuple[tuple[str, ...], str | None]:
        item_class = self.catalogue.classes[class_name]
        made_by = key.partition("=")[0]
        for rule in item_class.identity_rules:
            if rule_name(rule) == made_by:
                return rule.attributes, rule.within
        unique = (a.name for a in item_class.attributes.values() if f"{a.declared_by}.{a.name}" == made_by)
        return tuple(unique), None

    def _withhold_edges(self, claimant: str, kind: str, key: str) -> list[str]:
        target = key.partition("=")[2].partition("|")[0]
        places = {item.ref: index for index, item in enumerate(self.observation.items)}
        withheld = []
        for index, edge in enumerate(self.observation.edges):
            ids = [self.identities[places[ref]].id for ref in (edge.source, edge.target)]
            known = EdgeKey(kind, claimant, target, edge.group) in self.stored.edges.get(claimant, {})
            if edge.type == kind and ids == [claimant, target] and not known and index not in self.lost_edges:
                self.lost_edges.add(index)
                withheld.append(f"edges[{index}]")
        return withheld

    def _refuse(self, where: str, why: str, *, item: str | None = None, edge: int | None = None) -> None:
        self.refused.setdefault(where, Refusal(where, why))
        if item is not None:
            self.lost_items.add(item)
        if edge is not None:
            self.lost_edges.add(edge)

    def _refuse_problems(self, problems: Sequence[Problem], origins: Sequence[str]) -> None:
        """Say the planner's problems in the report's own places, without edges that only miss a refused item."""
        placed = [(*self._place_of(problem.where, origins), problem) for problem in problems]
        items_too = any(origin.startswith("items[") for origin, _, _ in placed)
        for origin, rest, problem in placed:
            if origin.startswith("items["):
                item_id = self.identities[int(origin[6:-1])].id
                self._refuse(origin + _IN_ATTRIBUTES.get(rest, rest), problem.message, item=item_id)
            elif not (items_too and problem.code == "NOT_FOUND"):
                self._refuse(origin + rest, problem.message, edge=int(origin[6:-1]))

    def _place_of(self, where: str, origins: Sequence[str]) -> tuple[str, str]:
        """`operations[3].name` or `<item id>.PART_OF` as (`items[7]`, what follows)."""
        if where.startswith("operations["):
            number, _, rest = where.removeprefix("operations[").partition("]")
            return origins[int(number)], rest
        item_id, dot, rest = where.partition(".")
        return self.place[item_id], dot + rest

    def _final_keys(self, state: EstateState, item_id: str) -> tuple[str, ...]:
        item = state.items[item_id]
        return rule_keys(self.catalogue, item.class_name, item.fields, state.edges.get(item_id, {}))

    # --- results ------------------------------------------------------------------------------------------------------

    def _emptied(self) -> ReportPlan:
        states: tuple[State, ...] = tuple(self._state(index, {}) for index in range(len(self.identities)))
        return ReportPlan((), {}, states, {}, tuple(self.refused.values()), tuple(self.duplicates.values()))

    def _state(self, index: int, changes: Mapping[str, ItemChange]) -> State:
        item_id = self.identities[index].id
        if index in self.outdated:
            return "outdated"
        if item_id in self.lost_items:
            return "refused"
        if item_id not in changes:
            return "unchanged"
        return "created" if changes[item_id].kind == "created" else "changed"

    def _finished(self, plan: Plan, operations: Sequence[Operation]) -> ReportPlan:
        changes = {change.item_id: change for change in plan.changes}
        moved = {edge.key for change in plan.changes for edge in change.edges}
        told: set[str] = set()
        states: list[State] = []
        for index, identity in enumerate(self.identities):
            state = self._state(index, changes)
            repeated = identity.id in told and state in ("created", "changed")
            states.append("unchanged" if repeated else state)
            told.add(identity.id)
        return ReportPlan(
            tuple(self._units(operations, changes, moved)),
            self._native(),
            tuple(states),
            changes,
            tuple(self.refused.values()),
            tuple(self.duplicates.values()),
        )

    def _units(
        self, operations: Sequence[Operation], changes: Mapping[str, ItemChange], moved: set[EdgeKey]
    ) -> Iterable[tuple[Operation, ...]]:
        items: list[PutItem] = []
        first: dict[str, list[Operation]] = defaultdict(list)
        later: list[tuple[Operation, ...]] = []
        waiting: list[Operation] = []
        for operation in operations:
            if isinstance(operation, PutItem):
                change = changes.get(operation.id)
                if change is not None and (change.before is None or change.before or change.after):
                    items.append(operation)
            elif isinstance(operation, DeleteEdge):
                waiting.append(operation)
            elif isinstance(operation, PutEdge):
                key = operation.key
                unit, waiting = (*waiting, operation), []
                if key not in moved and len(unit) == 1:
                    continue
                inside = key.type in host_types(self.catalogue, self.drafts[key.source].class_name)
                known = key.target in self.stored.items or self.level[key.target] < self.level[key.source]
                if inside and known:
                    first[key.source].extend(unit)
                else:
                    later.append(unit)
        for put in sorted(items, key=lambda put: self.level[put.id]):
            yield (put, *first.pop(put.id, ()))
        yield from (tuple(unit) for unit in first.values())
        yield from later
