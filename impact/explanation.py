"""Why a CI is in its state: facts and the shortest chain of causes, never sentences (clients word them).

Promises: a path runs from the CI to a CI that failed, through hops that matter, and never in a circle: each
hop goes to a CI that got into its state in an earlier round, and helped the one before it on the path into
its own. Among those paths it is a shortest, ties broken by id. Only a `protected` CI, which no cause arrives
at, has a path of plain reachability. Facts describe the final states: every gate of the CI that lost members
or leans on some at risk, with all its members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

from impact.errors import UnknownItems
from impact.gates import CarryingEdges, Gate
from impact.propagation import Rounds, State, has_no_spare, leans, up_members

FactCode: TypeAlias = Literal[
    "failed",  # by the question
    "gate_below_required",  # down: fewer members up than required
    "soft_dependency_down",  # degraded
    "hard_dependency_degraded",  # degraded
    "gate_without_spare",  # at risk: lost members, exactly as many up as required
    "gate_leans_on_at_risk",  # at risk: not enough members that are not at risk themselves
    "gate_with_spare",  # reduced: lost members, at least one up that is not needed
    "reached_only",  # protected: nothing that matters arrives
]


@dataclass(frozen=True, slots=True)
class Fact:
    """One reason. `members`: the CIs it is about, each with its state. The other three are of gates only."""

    code: FactCode
    members: tuple[tuple[str, State], ...] = ()
    group: str | None = None
    required: int | None = None
    up: int | None = None

    def to_record(self) -> dict[str, Any]:
        """As JSON: `{code, group, required, up, members: [{id, state}]}`; what does not apply is absent."""
        record: dict[str, Any] = {"code": self.code}
        if self.required is not None:
            record |= {"group": self.group, "required": self.required, "up": self.up}
        if self.members:
            record["members"] = [{"id": member, "state": state.value} for member, state in self.members]
        return record


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why `item` is in `state`. `path`: from it to a failed CI, both included; empty if it is not reached."""

    item: str
    state: State
    path: tuple[str, ...]
    facts: tuple[Fact, ...]

    def to_record(self) -> dict[str, Any]:
        """As a JSON object: `{id, state, path: [id], facts: [...]}`."""
        return {
            "id": self.item,
            "state": self.state.value,
            "path": list(self.path),
            "facts": [fact.to_record() for fact in self.facts],
        }


class Answer(Protocol):
    """What is explained: the answer of the plain implementation or that of the arrays."""

    @property
    def edges(self) -> CarryingEdges:
        """The edges that carry failure."""

    @property
    def failed(self) -> tuple[str, ...]:
        """Those named in the question."""

    @property
    def revision(self) -> int:
        """What it is true of."""

    @property
    def states(self) -> Mapping[str, State]:
        """Every reached CI."""

    @property
    def distances(self) -> Mapping[str, int]:
        """Every reached CI."""

    @property
    def down(self) -> Rounds:
        """A fixpoint."""

    @property
    def degraded(self) -> Rounds:
        """A fixpoint."""

    @property
    def at_risk(self) -> Rounds:
        """A fixpoint."""


class Explainer:
    """Explains the CIs of one impact set; the causes of each are looked for when it is asked for."""

    def __init__(self, impact: Answer) -> None:
        self._impact = impact
        down, degraded, at_risk = (partial(why, impact) for why in (_why_down, _why_degraded, _why_at_risk))
        self._down = _Hops(impact.down, down, dict.fromkeys(impact.failed, 0))
        self._degraded = _Hops(impact.degraded, degraded, {}, self._down)
        self._at_risk = _Hops(impact.at_risk, at_risk, {}, self._down)

    def explain(self, item: str) -> Explanation:
        """Why `item` is in its state. Raises `UnknownItems` for an id the topology does not have."""
        state = self._impact.states.get(item, State.UP)
        if state is State.UP:
            if item not in self._impact.edges.topology.items:
                raise UnknownItems([item], self._impact.revision)
            return Explanation(item, state, (), ())
        return Explanation(item, state, tuple(self._path(item, state)), tuple(self._facts(item, state)))

    def _path(self, item: str, state: State) -> Iterator[str]:
        yield item
        if state is State.PROTECTED:
            distances = self._impact.distances
            while distances[item]:
                item = min(self._reached_dependencies(item), key=lambda i: (distances[i], i))
                yield item
            return
        if state is State.REDUCED:
            item = min(self._lost_members(item), key=lambda i: (self._down.length(i), i))
            yield item
        hops = self._at_risk if state is State.AT_RISK else self._degraded
        while item not in self._impact.failed:
            item = (self._down if item in self._impact.down else hops).next(item)
            yield item

    def _reached_dependencies(self, item: str) -> Iterator[str]:
        for strength in ("hard", "soft"):
            for dependency in self._impact.edges.dependencies(item, strength):
                if dependency in self._impact.distances:
                    yield dependency

    def _lost_members(self, item: str) -> Iterator[str]:
        for gate in self._impact.edges.gates(item):
            yield from (member for member in gate.members if member in self._impact.down)

    def _facts(self, item: str, state: State) -> Iterator[Fact]:
        impact = self._impact
        if item in impact.failed:
            yield Fact("failed")
        for gate in impact.edges.gates(item):
            up = up_members(gate, impact.down)
            if up < gate.required:
                yield self._gate_fact("gate_below_required", gate, up)
            elif has_no_spare(gate, impact.down):
                yield self._gate_fact("gate_without_spare", gate, up)
            elif leans(gate, impact.down, impact.at_risk):
                yield self._gate_fact("gate_leans_on_at_risk", gate, up)
            elif up < len(gate.members):
                yield self._gate_fact("gate_with_spare", gate, up)
        if state is State.DEGRADED:
            soft = [i for i in impact.edges.dependencies(item, "soft") if i in impact.down]
            hard = [i for i in impact.edges.dependencies(item, "hard") if i in impact.degraded]
            if soft:
                yield Fact("soft_dependency_down", self._with_states(soft))
            if hard:
                yield Fact("hard_dependency_degraded", self._with_states(hard))
        if state is State.PROTECTED:
            yield Fact("reached_only", self._with_states(self._reached_dependencies(item)))

    def _gate_fact(self, code: FactCode, gate: Gate, up: int) -> Fact:
        return Fact(code, self._with_states(gate.members), gate.group, gate.required, up)

    def _with_states(self, items: Iterable[str]) -> tuple[tuple[str, State], ...]:
        states = self._impact.states
        return tuple((item, states.get(item, State.UP)) for item in items)


def _before(rounds: Rounds, since: int) -> Callable[[str], bool]:
    """Whether an item had joined `rounds` before round `since`."""
    return lambda item: rounds.get(item, since) < since


def _why_down(impact: Answer, item: str, since: int) -> Iterator[str]:
    earlier = _before(impact.down, since)
    for gate in impact.edges.gates(item):
        fallen = [member for member in gate.members if earlier(member)]
        if len(gate.members) - len(fallen) < gate.required:
            yield from fallen


def _why_degraded(impact: Answer, item: str, since: int) -> Iterator[str]:
    edges, earlier = impact.edges, _before(impact.degraded, since)
    yield from (soft for soft in edges.dependencies(item, "soft") if soft in impact.down)
    yield from (hard for hard in edges.dependencies(item, "hard") if earlier(hard))


def _why_at_risk(impact: Answer, item: str, since: int) -> Iterator[str]:
    down, earlier = impact.down, _before(impact.at_risk, since)
    for gate in impact.edges.gates(item):
        lost = [member for member in gate.members if member in down]
        doubtful = [member for member in gate.members if earlier(member)]
        if has_no_spare(gate, down):
            yield from lost
        elif len(gate.members) - len(lost) - len(doubtful) < gate.required:
            yield from (*lost, *doubtful)


class _Hops:
    """For the CIs of a fixpoint their causes nearest to a failed CI, found when asked for.

    A cause joined in an earlier round, or is outside of the fixpoint: then `outside` knows how far it is. So there is
    no circle, and what is asked costs no more than the CIs that lie between it and the failed ones.
    """

    def __init__(
        self,
        rounds: Rounds,
        causes: Callable[[str, int], Iterable[str]],
        lengths: dict[str, int],
        outside: _Hops | None = None,
    ) -> None:
        self._rounds, self._causes, self._lengths, self._outside = rounds, causes, lengths, outside
        self._next: dict[str, str] = {}

    def next(self, item: str) -> str:
        """The cause of `item` from which the way is shortest; of several the first by id."""
        self.length(item)
        return self._next[item]

    def length(self, item: str) -> int:
        """Hops from `item` to a failed CI."""
        if self._outside is not None and item in self._outside._rounds:
            return self._outside.length(item)
        waiting = [item]
        while waiting:
            current = waiting[-1]
            if current in self._lengths:
                waiting.pop()
                continue
            causes = list(self._causes(current, self._rounds[current]))
            inside = [
                cause for cause in causes if self._outside is None or cause not in self._outside._rounds
            ]
            missing = [cause for cause in inside if cause not in self._lengths]
            if missing:
                waiting += missing
                continue
            found = {cause: self.length(cause) for cause in causes}
            best = min(causes, key=lambda cause: (found[cause], cause))
            self._next[current], self._lengths[current] = best, found[best] + 1
            waiting.pop()
        return self._lengths[item]


def to_columns(impact: Answer) -> dict[str, Any]:
    """The whole answer as one JSON object of columns, for a page or a machine.

    `ids`, `names`, `classes`, `layers`, `states`, `distances` have one entry per CI: the reached ones in the
    order of `ImpactSet.states`, then unreached members of their gates (state `up`, distance null). `gates`
    has one row `[dependent, group, required, [member]]` per gate of a reached CI that lost members or leans
    on some at risk; CIs are given by their position in the columns.
    """
    ids = list(impact.states)
    position = {item: index for index, item in enumerate(ids)}
    gates: list[list[Any]] = []
    for index, item in enumerate(impact.states):
        for gate in impact.edges.gates(item):
            up = up_members(gate, impact.down)
            if up == len(gate.members) and not leans(gate, impact.down, impact.at_risk):
                continue
            for member in gate.members:
                if member not in position:
                    position[member] = len(ids)
                    ids.append(member)
            gates.append([index, gate.group, gate.required, [position[member] for member in gate.members]])
    items = [impact.edges.topology.items[item] for item in ids]
    return {
        "revision": impact.revision,
        "failed": [position[item] for item in impact.failed],
        "ids": ids,
        "names": [item.name for item in items],
        "classes": [item.class_name for item in items],
        "layers": [item.layer for item in items],
        "states": [impact.states.get(item, State.UP).value for item in ids],
        "distances": [impact.distances.get(item) for item in ids],
        "gates": gates,
    }
