"""What a failure does to everything else: the reference implementation, written to be read.

Promises: for given failed CIs, the state of every CI by plain least fixpoints over the gates of
`impact.gates`:

* `down`: failed, or some gate has fewer than `required` members up. Cycles are legal; nothing in one goes
  down unless something outside forces it.
* `degraded`: not down, and a soft dependency is down or a hard dependency is degraded. This goes edge by
  edge: redundancy keeps a dependent up, not at full strength, and `required` in a group of soft edges changes
  nothing.
* `at_risk`: not down, and some gate lost members and has exactly `required` left, or has fewer than
  `required` members that are up and not at risk themselves. So it is inherited where there is no redundancy
  and stopped where there is.
* `reduced`: none of these, and some gate lost members and still has one to spare.
* `protected`: none of these, yet reached by plain reachability over the carrying edges.

Each rule is monotone in what it already has, so neither the order of evaluation nor the order of the
arguments matters. A pinned CI is taken to stay up and well; failure neither takes it nor passes through it.

Does not: ask which *single* further failure would do harm. `at_risk` is a local judgement, gate by gate: it
overlooks one cause behind several members of a gate, and it adds up members that are at risk from different
causes. Where the CIs behind a CI form a tree the first cannot happen: what a further failure newly takes down
is always at risk there; and the converse holds too, as long as no gate with one to spare is at risk through
several members.

Complexity: every reached CI looks at its own gates once per round in which one of its dependencies changes;
rounds are at most the length of the longest causal chain. Source: the least fixpoint of a monotone operator
by Kleene iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum

from cmdb.model.topology import Confidence, Topology
from impact.errors import ContradictoryScenario, UnknownItems
from impact.gates import Carrying, CarryingEdges, Gate

SERVICE_CLASSES = frozenset({"BusinessService", "ServiceOffering", "ApplicationService"})


class State(StrEnum):
    """What a failure makes of a CI, worst first. `UP`: not reached at all."""

    DOWN = "down"
    DEGRADED = "degraded"
    AT_RISK = "at_risk"
    REDUCED = "reduced"
    PROTECTED = "protected"
    UP = "up"


_SEVERITY = {state: rank for rank, state in enumerate(State)}

Rounds = Mapping[str, int]
"""Members of a fixpoint, each with the round in which it joined: only earlier rounds can have caused it."""


@dataclass(frozen=True, slots=True)
class ImpactSet:
    """The answer, true of `edges.topology.revision`.

    `states`: every reached CI with its worst state, ordered by state, distance and id; the failed ones
    are `down`. `distances`: hops from the nearest failed CI by plain reachability. `down`, `degraded`,
    `at_risk`: the three fixpoints. A CI can be in the last two at once; `states` then has `degraded`.
    """

    edges: CarryingEdges
    failed: tuple[str, ...]
    pinned: frozenset[str]
    states: Mapping[str, State]
    distances: Mapping[str, int]
    down: Rounds
    degraded: Rounds
    at_risk: Rounds

    @property
    def revision(self) -> int:
        """The revision this is true of."""
        return self.edges.topology.revision

    def state_of(self, item: str) -> State:
        """The state of one CI; `UP` if the failure does not reach it. Raises `UnknownItems`."""
        _require_known(self.edges.topology, [item])
        return self.states.get(item, State.UP)

    def in_state(self, state: State) -> tuple[str, ...]:
        """The reached CIs in this state, nearest first."""
        return tuple(item for item, reached in self.states.items() if reached is state)

    def services(self, service_classes: Set[str] = SERVICE_CLASSES) -> tuple[str, ...]:
        """The reached CIs of these classes (name subclasses too), worst state first."""
        items = self.edges.topology.items
        return tuple(item for item in self.states if items[item].class_name in service_classes)


def simulate_failure(
    topology: Topology,
    down: Collection[str],
    *,
    pinned: Set[str] = frozenset(),
    minimum_confidence: Confidence = "inferred",
    relationship_types: Set[str] | None = None,
) -> ImpactSet:
    """The impact of the CIs `down` failing together, on top of nothing else: name what is down already as
    well.

    `minimum_confidence` and `relationship_types` (None: all) leave edges out, and gates are formed of what is
    left. Raises `UnknownItems` for ids the topology does not have, `ContradictoryScenario` where one is
    failed and pinned.
    """
    failed, stays_up = tuple(sorted(set(down))), frozenset(pinned)
    _require_known(topology, [*failed, *stays_up])
    if both := stays_up.intersection(failed):
        raise ContradictoryScenario(both)
    edges = CarryingEdges(topology, Carrying.of(minimum_confidence, relationship_types))

    def falls(item: str, fallen: Rounds) -> bool:
        return item not in stays_up and any(
            up_members(gate, fallen) < gate.required for gate in edges.gates(item)
        )

    down_since = _least_fixpoint(edges, falls, given=failed)

    def degrades(item: str, degraded: Rounds) -> bool:
        return (
            item not in stays_up
            and item not in down_since
            and (
                any(soft in down_since for soft in edges.dependencies(item, "soft"))
                or any(hard in degraded for hard in edges.dependencies(item, "hard"))
            )
        )

    def comes_at_risk(item: str, at_risk: Rounds) -> bool:
        return (
            item not in stays_up
            and item not in down_since
            and any(
                has_no_spare(gate, down_since) or leans(gate, down_since, at_risk)
                for gate in edges.gates(item)
            )
        )

    degraded_since = _least_fixpoint(edges, degrades, woken_by=down_since)
    at_risk_since = _least_fixpoint(edges, comes_at_risk, woken_by=down_since)
    distances = _distances(edges, failed, stays_up)

    def state(item: str) -> State:
        if item in down_since:
            return State.DOWN
        if item in degraded_since:
            return State.DEGRADED
        if item in at_risk_since:
            return State.AT_RISK
        if any(up_members(gate, down_since) < len(gate.members) for gate in edges.gates(item)):
            return State.REDUCED
        return State.PROTECTED

    states = {item: state(item) for item in distances}
    ordered = sorted(states, key=lambda i: (_SEVERITY[states[i]], distances[i], i))
    return ImpactSet(
        edges=edges,
        failed=failed,
        pinned=stays_up,
        states={item: states[item] for item in ordered},
        distances=distances,
        down=down_since,
        degraded=degraded_since,
        at_risk=at_risk_since,
    )


def up_members(gate: Gate, down: Rounds) -> int:
    """How many members of the gate are not down."""
    return sum(member not in down for member in gate.members)


def has_no_spare(gate: Gate, down: Rounds) -> bool:
    """Whether the gate lost members and holds with exactly as many as it needs."""
    return up_members(gate, down) == gate.required < len(gate.members)


def leans(gate: Gate, down: Rounds, at_risk: Rounds) -> bool:
    """Whether the gate holds only with the help of members that are at risk themselves."""
    return sum(member not in down and member not in at_risk for member in gate.members) < gate.required


def _least_fixpoint(
    edges: CarryingEdges,
    joins: Callable[[str, Rounds], bool],
    *,
    given: Iterable[str] = (),
    woken_by: Iterable[str] = (),
) -> dict[str, int]:
    """The least set that has `given` (round 0) and every CI that `joins` it, in rounds.

    `joins` must be monotone, and may turn true only when a dependency of the CI joins the set or is in
    `woken_by`.
    """
    since = dict.fromkeys(given, 0)
    changed: Iterable[str] = [*since, *woken_by]
    current = 0
    while changed:
        current += 1
        candidates = {dependent for item in changed for dependent in edges.dependents(item)}
        changed = [item for item in candidates if item not in since and joins(item, since)]
        since.update(dict.fromkeys(changed, current))
    return since


def _distances(edges: CarryingEdges, failed: Iterable[str], pinned: Set[str]) -> dict[str, int]:
    distances = dict.fromkeys(failed, 0)
    frontier = list(distances)
    while frontier:
        reached = {dependent for item in frontier for dependent in edges.dependents(item)}
        hops = distances[frontier[0]] + 1
        frontier = [item for item in reached if item not in distances and item not in pinned]
        distances.update(dict.fromkeys(frontier, hops))
    return distances


def _require_known(topology: Topology, ids: Iterable[str]) -> None:
    unknown = [item for item in ids if item not in topology.items]
    if unknown:
        raise UnknownItems(unknown, topology.revision)
