"""The plan of a report: which operations it comes to, what it refuses and why, and which items it found twice.

Pure. The report is planned whole against the state that was loaded, by the same planner that the store applies with, so
that what the catalogue forbids is told before anything is written. Only real differences become operations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from cmdb.errors import IdentityTaken, Problem, ValidationFailed
from cmdb.model.change_set import ChangeSet, DeleteEdge, Operation, PutEdge, PutItem
from cmdb.model.identity import rule_keys, rule_name
from cmdb.model.items import ItemChange
from cmdb.model.planning import EstateState, Plan, plan_change_set
from discovery.drafting import Refusal, ReportDraft
from discovery.identification import Answer, Identified, Question, host_types, namesakes
from discovery.observation import Observation

State = Literal["created", "changed", "unchanged", "outdated", "refused"]


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


class _Lately(defaultdict[str, set[str]]):
    """What was withheld of each item since the last planning: one field may be part of several taken keys."""

    def __init__(self) -> None:
        super().__init__(set)


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
        state: the identified items that exist, with all their outgoing edges, and with their incoming ones where they
            get another class or an edge of a type that allows its target one source. It is not changed.
        outdated: items by index of which this source told something newer; they and their edges are left alone.
        partial: take what is good although something is refused. Otherwise a refusal empties the plan.
        now: an instant, for the planner.
    """
    draft = ReportDraft(observation, identified.identities, state, frozenset(outdated))
    return _ReportPlanner(draft, identified, partial, now).run()


class _ReportPlanner:
    """One planning. What is withheld or refused only grows, so planning again and again comes to an end."""

    def __init__(self, draft: ReportDraft, identified: Identified, partial: bool, now: str) -> None:
        self.draft = draft
        self.identities = identified.identities
        self.stored = draft.stored
        self.partial = partial
        self.now = now
        self.holders = dict(identified.holders)
        self.held = {item: set(keys) for item, keys in identified.held.items()}
        self.duplicates: dict[tuple[str, str], DuplicateSet] = {}
        self.host_types: dict[str, frozenset[str]] = {}

    def run(self) -> Planning:
        self._withhold_taken()
        while True:
            operations, origins = self.draft.operations()
            state = self._fresh_state()
            change_set = ChangeSet(operations, keys=self.draft.native_keys(self.holders))
            try:
                plan = plan_change_set(state, change_set, revision=0, now=self.now)
            except ValidationFailed as error:
                if not self._refuse_problems(error.problems, origins) or not self.partial:
                    return self._nothing()
                continue
            except IdentityTaken as error:
                self._withhold(error.key, error.claimant, error.holder, _Lately())
                continue
            asked = tuple(key for key in state.holders if key not in self.holders)
            if asked:
                answer = yield Question(keys=asked)
                self.holders.update((key, answer.holders.get(key)) for key in asked)
                taken = self._taken_meanwhile(state, asked)
                if taken:
                    answer = yield Question(items=tuple(sorted({holder for _, _, holder in taken})))
                    self.held.update((item, set(keys)) for item, keys in answer.held.items())
                    lately = _Lately()
                    for key, claimant, holder in taken:
                        if not namesakes(key, self._final_keys(state, claimant), self.held.get(holder, ())):
                            self._withhold(key, claimant, holder, lately)
                    continue
            if self.draft.refused and not self.partial:
                return self._nothing()
            return self._finished(plan, operations)

    def _fresh_state(self) -> EstateState:
        state = self.stored.copy()
        state.holders = dict(self.holders)
        state.held = {item: set(keys) for item, keys in self.held.items()}
        return state

    # --- what is not taken --------------------------------------------------------------------------------------------

    def _withhold_taken(self) -> None:
        """Keys of one reported item that belong to another: the strongest match has won, the other is told of."""
        claims: dict[str, int] = {}
        lately = _Lately()
        for index, identity in enumerate(self.identities):
            if index in self.draft.outdated:
                continue
            for key in identity.keys:
                holder = self.holders.get(key)
                theirs: Iterable[str] = self.held.get(holder, ()) if holder else ()
                if holder is None:
                    first = claims.setdefault(key, index)
                    holder, theirs = self.identities[first].id, self.identities[first].keys
                if holder != identity.id and not namesakes(key, identity.keys, theirs):
                    self._withhold(key, identity.id, holder, lately)

    def _taken_meanwhile(self, state: EstateState, asked: Iterable[str]) -> list[tuple[str, str, str]]:
        """Keys that items have by what is reported and stored together, and that others hold: (key, item, holder)."""
        pairs = ((key, state.holders[key], self.holders[key]) for key in asked)
        return [(key, item, holder) for key, item, holder in pairs if item and holder and item != holder]

    def _withhold(self, key: str, claimant: str, holder: str, lately: _Lately) -> None:
        """Leave out of the report what would give `claimant` the key of `holder`; refuse the item if nothing can be."""
        where = self.draft.place.get(claimant, claimant)
        withheld: list[str] = []
        draft = self.draft.items.get(claimant)
        if (
            draft is not None
            and claimant in self.stored.items
            and draft.class_name in self.stored.catalogue.classes
        ):
            names, within = self._made_of(draft.class_name, key)
            host = key.partition("=")[2].partition("|")[0]
            withheld = self.draft.withhold(claimant, names, within, host, lately[claimant])
            lately[claimant].update(withheld)
        if not withheld:
            why = f"its identity {key} is that of item {holder}, and a stronger one says that it is item {claimant}"
            self.draft.refuse(where, f"{why}; merge the two, or correct the report", item=claimant)
        self.duplicates[claimant, key] = DuplicateSet(where, claimant, holder, key, tuple(withheld))

    def _made_of(self, class_name: str, key: str) -> tuple[tuple[str, ...], str | None]:
        """The fields whose values make a key, and the type of the edge to the host inside which it holds."""
        item_class = self.stored.catalogue.classes[class_name]
        made_by = key.partition("=")[0]
        for rule in item_class.identity_rules:
            if rule_name(rule) == made_by:
                return rule.attributes, rule.within
        unique = (a.name for a in item_class.attributes.values() if f"{a.declared_by}.{a.name}" == made_by)
        return tuple(unique), None

    def _final_keys(self, state: EstateState, item_id: str) -> tuple[str, ...]:
        item = state.items[item_id]
        return rule_keys(state.catalogue, item.class_name, item.fields, state.edges.get(item_id, {}))

    def _refuse_problems(self, problems: Sequence[Problem], origins: Sequence[str]) -> bool:
        """Say the planner's problems in the report's own places; answer whether less is left to be planned.

        That a refused item is missing, for an edge or for its key, is no problem of its own.
        """
        before = len(self.draft.lost_items) + len(self.draft.lost_edges)
        placed = [(*self._place_of(problem.where, origins), problem) for problem in problems]
        items_too = any(origin.startswith("items[") for origin, _, _ in placed)
        for origin, rest, problem in placed:
            if origin.startswith("items["):
                item_id = self.identities[int(origin[6:-1])].id
                if problem.where.startswith("keys.") and item_id in self.draft.lost_items:
                    continue
                self.draft.refuse(origin + _IN_ATTRIBUTES.get(rest, rest), problem.message, item=item_id)
            elif not origin.startswith("edges["):
                self.draft.refuse(origin, problem.message)
            elif not (items_too and problem.code == "NOT_FOUND"):
                self.draft.refuse(origin + rest, problem.message, edge=int(origin[6:-1]))
        return len(self.draft.lost_items) + len(self.draft.lost_edges) > before

    def _place_of(self, where: str, origins: Sequence[str]) -> tuple[str, str]:
        """`operations[3].name` or `<item id>.PART_OF` as (`items[7]`, what follows)."""
        if where.startswith("operations["):
            number, _, rest = where.removeprefix("operations[").partition("]")
            return origins[int(number)], rest.partition(":")[0]
        item_id, dot, rest = where.removeprefix("keys.").partition(".")
        return (self.draft.place[item_id], dot + rest) if item_id in self.draft.place else ("report", "")

    # --- results ------------------------------------------------------------------------------------------------------

    def _nothing(self) -> ReportPlan:
        """The plan of a report of which nothing is taken."""
        states = tuple(self._state(index, {}) for index in range(len(self.identities)))
        return ReportPlan((), {}, states, {}, self._refused(), tuple(self.duplicates.values()))

    def _refused(self) -> tuple[Refusal, ...]:
        return tuple(self.draft.refused.values())

    def _state(self, index: int, changes: Mapping[str, ItemChange]) -> State:
        item_id = self.identities[index].id
        if index in self.draft.outdated:
            return "outdated"
        if item_id in self.draft.lost_items:
            return "refused"
        if item_id not in changes:
            return "unchanged"
        return "created" if changes[item_id].kind == "created" else "changed"

    def _finished(self, plan: Plan, operations: Sequence[Operation]) -> ReportPlan:
        changes = {change.item_id: change for change in plan.changes}
        told: set[str] = set()
        states: list[State] = []
        for index, identity in enumerate(self.identities):
            state = self._state(index, changes)
            repeated = identity.id in told and state in ("created", "changed")
            states.append("unchanged" if repeated else state)
            told.add(identity.id)
        return ReportPlan(
            tuple(self._units(operations, changes)),
            self.draft.native_keys(self.holders),
            tuple(states),
            changes,
            self._refused(),
            tuple(self.duplicates.values()),
        )

    def _units(
        self, operations: Sequence[Operation], changes: Mapping[str, ItemChange]
    ) -> Iterable[tuple[Operation, ...]]:
        moved = {edge.key for change in changes.values() for edge in change.edges}
        level: dict[str, int] = defaultdict(int)
        for identity in self.identities:
            level[identity.id] = max(level[identity.id], identity.level)
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
                unit, waiting = (*waiting, operation), []
                if operation.key not in moved and len(unit) == 1:
                    continue
                key = operation.key
                inside = key.type in self._host_types(key.source)
                if inside and (key.target in self.stored.items or level[key.target] < level[key.source]):
                    first[operation.key.source].extend(unit)
                else:
                    later.append(unit)
        for put in sorted(items, key=lambda put: level[put.id]):
            yield (put, *first.pop(put.id, ()))
        yield from (tuple(unit) for unit in first.values())
        yield from later

    def _host_types(self, item_id: str) -> frozenset[str]:
        """The relationship types inside whose targets an item is identified."""
        class_name = self.draft.items[item_id].class_name
        if class_name not in self.host_types:
            self.host_types[class_name] = host_types(self.stored.catalogue, class_name)
        return self.host_types[class_name]
