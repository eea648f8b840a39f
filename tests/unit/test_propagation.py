"""The failure semantics: answers worked out by hand, and one test for each choice a question has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from cmdb.model.topology import Confidence, Topology, TopologyEdge
from impact.errors import ContradictoryScenario, UnknownItems
from impact.propagation import State, simulate_failure
from tests.estates import built
from tests.topologies import (
    CHAIN,
    DUAL_POWER,
    REFERENCES,
    SOFT,
    Answer,
    Need,
    Reference,
    gate,
    graph,
)


def states(topology: Topology, failed: Iterable[str], pinned: Iterable[str] = ()) -> dict[str, str]:
    """Every reached CI with its state."""
    impact = simulate_failure(topology, tuple(failed), pinned=frozenset(pinned))
    return {item: state.value for item, state in impact.states.items()}


@pytest.mark.parametrize(
    ("reference", "answer"),
    [pytest.param(r, a, id=f"{r.name}: {' '.join(a.failed)}") for r in REFERENCES for a in r.answers],
)
def test_reference_topologies_have_the_answers_worked_out_by_hand(
    reference: Reference, answer: Answer
) -> None:
    assert states(reference.topology, answer.failed, answer.pinned) == answer.state_by_id()


def test_the_worst_state_comes_first_and_then_the_nearest() -> None:
    impact = simulate_failure(SOFT.topology, ["mail", "db"])
    assert list(impact.states) == ["db", "mail", "portal", "desk", "fan", "front"]
    assert impact.in_state(State.DOWN) == ("db", "mail", "portal", "desk")


def test_a_degraded_ci_that_lost_redundancy_is_at_risk_too() -> None:
    impact = simulate_failure(SOFT.topology, ["mail", "spare"])
    assert impact.state_of("front") is State.DEGRADED
    assert "front" in impact.at_risk


def test_only_services_of_the_asked_classes_are_counted_as_reached() -> None:
    impact = simulate_failure(DUAL_POWER.topology, ["feed-a"])
    assert impact.services() == ("service",)
    assert impact.services({"Server"}) == ("feed-a", "ups-a", "pdu-a", "server")


def test_an_unknown_id_is_refused_with_all_that_are_unknown() -> None:
    with pytest.raises(UnknownItems, match=r"nobody, nothing.*revision 1") as refusal:
        simulate_failure(CHAIN.topology, ["nothing", "disk"], pinned={"nobody"})
    assert refusal.value.facts() == {"kind": "item", "ids": ["nobody", "nothing"], "revision": 1}


def test_a_ci_cannot_fail_and_be_pinned() -> None:
    with pytest.raises(ContradictoryScenario, match="disk is to fail and pinned"):
        simulate_failure(CHAIN.topology, ["disk", "db"], pinned={"disk"})


def test_edges_below_the_minimum_confidence_are_as_if_they_were_not_there() -> None:
    topology = graph({"app": [Need(("db",), confidence="inferred"), Need(("net",), confidence="observed")]})
    assert simulate_failure(topology, ["db"], minimum_confidence="inferred").state_of("app") is State.DOWN
    assert simulate_failure(topology, ["db"], minimum_confidence="observed").state_of("app") is State.UP
    assert simulate_failure(topology, ["net"], minimum_confidence="observed").state_of("app") is State.DOWN
    assert simulate_failure(topology, ["net"], minimum_confidence="declared").state_of("app") is State.UP


def test_a_gate_is_formed_of_the_edges_that_are_left() -> None:
    """Without the inferred member, one of two becomes one of one."""
    app_edges = [
        TopologyEdge("USES", "app", "a", "g", 1),
        TopologyEdge("USES", "app", "b", "g", 1, confidence="inferred"),
    ]
    topology = built(["app", "a", "b"], app_edges)
    assert simulate_failure(topology, ["a"]).state_of("app") is State.AT_RISK
    assert simulate_failure(topology, ["a"], minimum_confidence="observed").state_of("app") is State.DOWN


def test_only_the_chosen_relationship_types_carry() -> None:
    topology = built(["app", "a"], [TopologyEdge("USES", "app", "a")])
    assert simulate_failure(topology, ["a"], relationship_types={"USES"}).state_of("app") is State.DOWN
    assert simulate_failure(topology, ["a"], relationship_types={"RUNS_ON"}).state_of("app") is State.UP


def test_types_that_carry_no_failure_are_not_even_reached_over() -> None:
    topology = built(["app", "a"], [TopologyEdge("OWNED_BY", "app", "a", strength=None)])
    assert simulate_failure(topology, ["a"]).states == {"a": State.DOWN}


def test_a_group_spans_relationship_types() -> None:
    topology = built(
        ["app", "a", "b"],
        [TopologyEdge("USES", "app", "a", "g", 1), TopologyEdge("RUNS_ON", "app", "b", "g", 1)],
    )
    assert simulate_failure(topology, ["a"]).state_of("app") is State.AT_RISK
    assert simulate_failure(topology, ["a", "b"]).state_of("app") is State.DOWN


def test_one_ci_over_two_types_is_one_member() -> None:
    """Else "two of three" would be met by one CI counted twice."""
    edges = [TopologyEdge(t, "app", "a", "g", 2) for t in ("USES", "RUNS_ON")] + [
        TopologyEdge("USES", "app", "b", "g", 2)
    ]
    assert simulate_failure(built(["app", "a", "b"], edges), ["b"]).state_of("app") is State.DOWN


def test_the_strictest_of_contradicting_requirements_wins() -> None:
    edges = [
        TopologyEdge("USES", "app", "a", "g", 1),
        TopologyEdge("USES", "app", "b", "g", "60%"),
        TopologyEdge("USES", "app", "c", "g"),
    ]
    topology = built(["app", "a", "b", "c"], edges)
    assert simulate_failure(topology, ["a"]).state_of("app") is State.AT_RISK
    assert simulate_failure(topology, ["a", "c"]).state_of("app") is State.DOWN


def test_a_group_that_states_no_requirement_needs_all() -> None:
    edges = [TopologyEdge("USES", "app", target, "g") for target in ("a", "b")]
    assert simulate_failure(built(["app", "a", "b"], edges), ["b"]).state_of("app") is State.DOWN


def test_requiring_more_members_than_there_are_is_requiring_all_and_fails_nothing_by_itself() -> None:
    topology = graph({"app": [gate(3, "a", "b")]})
    assert states(topology, []) == {}
    assert states(topology, ["a"]) == {"a": "down", "app": "down"}


def test_a_gate_that_needs_nobody_is_no_gate() -> None:
    assert states(graph({"app": [gate(0, "a")]}), ["a"]) == {"a": "down", "app": "protected"}


def test_soft_members_of_a_group_count_for_nothing_in_its_gate() -> None:
    """The hard ones form the gate, the soft one degrades."""
    edges = [TopologyEdge("USES", "app", t, "g", 1) for t in ("a", "b")]
    edges.append(TopologyEdge("USES", "app", "c", "g", 1, strength="soft"))
    topology = built(["app", "a", "b", "c"], edges)
    assert simulate_failure(topology, ["a", "b"]).state_of("app") is State.DOWN
    assert simulate_failure(topology, ["c"]).state_of("app") is State.DEGRADED


def test_confidences_are_ordered_declared_observed_inferred() -> None:
    ordered: tuple[Confidence, ...] = ("declared", "observed", "inferred")
    for edge_confidence, least in itertools.product(ordered, repeat=2):
        topology = graph({"app": [Need(("db",), confidence=edge_confidence)]})
        carried = simulate_failure(topology, ["db"], minimum_confidence=least).state_of("app") is State.DOWN
        assert carried == (ordered.index(edge_confidence) <= ordered.index(least))
