"""The failure semantics against brute force over all subsets, against laws, and against networkx."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.topology import PlainTopology, TopologyEdge
from impact.explanation import Explainer
from impact.propagation import State, simulate_failure
from tests.estates import Definition, built, chosen, estates, trees
from tests.topologies import (
    gate,
    graph,
    soft,
)


def states(topology: PlainTopology, failed: Iterable[str], pinned: Iterable[str] = ()) -> dict[str, str]:
    """Every reached CI with its state."""
    impact = simulate_failure(topology, tuple(failed), pinned=frozenset(pinned))
    return {item: state.value for item, state in impact.states.items()}


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_states_are_those_of_the_definitions_over_all_subsets(data: st.DataObject) -> None:
    topology = data.draw(estates())
    failed = data.draw(chosen(topology))
    pinned = data.draw(chosen(topology, 1)) - failed
    assert states(topology, failed, pinned) == Definition(topology, failed, pinned).states()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_order_of_evaluation_does_not_matter(data: st.DataObject) -> None:
    """Naive re-evaluation, one CI after another in any order, in place, ends in the same fixpoints."""
    topology = data.draw(estates())
    definition = Definition(topology, data.draw(chosen(topology)))
    impact = simulate_failure(topology, tuple(definition.failed))
    order = data.draw(st.permutations(definition.names))
    for fixpoint, forced in (
        (impact.down, definition.forced_down),
        (impact.degraded, definition.forced_degraded),
        (impact.at_risk, definition.forced_at_risk),
    ):
        naive: set[str] = set()
        while True:
            ready = [
                item
                for item in order
                if item not in naive
                and (fixpoint is impact.down or item not in impact.down)
                and forced(item, frozenset(naive))
            ]
            if not ready:
                break
            naive.add(ready[0])
        assert naive == set(fixpoint)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_answer_depends_neither_on_the_order_of_the_edges_nor_of_the_failed(data: st.DataObject) -> None:
    topology = data.draw(estates())
    failed = sorted(data.draw(chosen(topology)))
    shuffled = PlainTopology.build(
        1,
        data.draw(st.permutations(list(topology.items.values()))),
        data.draw(st.permutations(list(topology.edges()))),
    )
    one, other = simulate_failure(topology, failed), simulate_failure(shuffled, [*reversed(failed), *failed])
    assert list(one.states.items()) == list(other.states.items())
    assert [Explainer(one).explain(i) for i in one.states] == [
        Explainer(other).explain(i) for i in one.states
    ]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_more_failures_never_take_down_less(data: st.DataObject) -> None:
    topology = data.draw(estates())
    failed = data.draw(chosen(topology))
    more = failed | data.draw(chosen(topology))
    assert set(simulate_failure(topology, failed).down) <= set(simulate_failure(topology, more).down)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_more_failures_leave_nothing_in_a_better_state(data: st.DataObject) -> None:
    """Degraded and at risk are not degrees of one thing: each is compared by its own fixpoint.

    One thing ends a degradation: what was degraded goes down altogether, and its dependents have others in its place.
    """
    topology = data.draw(estates())
    failed = data.draw(chosen(topology))
    more = failed | data.draw(chosen(topology))
    before, after = simulate_failure(topology, failed), simulate_failure(topology, more)
    recovered = set(before.degraded) - {*after.degraded, *after.down}
    for item in recovered:
        assert not any(wanted in before.down for wanted in before.edges.dependencies(item, "soft"))
        causes = {needed for needed in before.edges.dependencies(item, "hard") if needed in before.degraded}
        assert causes
        assert causes <= {*after.down, *recovered}
    assert set(before.at_risk) <= {*after.at_risk, *after.down}
    assert set(before.states) <= set(after.states)
    for item, state in before.states.items():
        if state is State.REDUCED:  # what its gate lost stays down
            assert after.states[item] is not State.PROTECTED


def test_a_degraded_alternative_that_goes_down_altogether_degrades_nobody() -> None:
    topology = graph({"shop": [gate(1, "a", "b")], "a": [soft("cache")], "kiosk": ["shop"]})
    assert states(topology, ["cache"]) == {
        "cache": "down",
        "a": "degraded",
        "shop": "degraded",
        "kiosk": "degraded",
    }
    assert states(topology, ["cache", "a"]) == {
        "cache": "down",
        "a": "down",
        "shop": "at_risk",
        "kiosk": "at_risk",
    }


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_further_alternative_never_makes_it_worse(data: st.DataObject) -> None:
    """Nothing more is down: one more member in a group that requires a count, whatever happens to that member.

    Lesser states may come with it: a spare that is down thins the group, one that is degraded degrades.
    """
    topology = data.draw(estates())
    counted = [
        edge
        for edge in topology.edges()
        if edge.strength == "hard"
        and edge.group is not None
        and all(
            isinstance(other.required, int)
            for other in topology.dependencies_of(edge.source)
            if other.group == edge.group and other.strength == "hard"
        )
        and required_fits(topology, edge)
    ]
    if not counted:
        return
    edge = data.draw(st.sampled_from(counted))
    member = data.draw(st.sampled_from(sorted(topology.items)))
    richer = topology.with_changes(2, put_edges=[replace(edge, type="SPARE", target=member)])
    failed = tuple(data.draw(chosen(topology)))
    assert set(simulate_failure(richer, failed).down) <= set(simulate_failure(topology, failed).down)


def required_fits(topology: PlainTopology, edge: TopologyEdge) -> bool:
    """Whether the group has the members it requires: else one more is one more that is needed."""
    group = [
        e for e in topology.dependencies_of(edge.source) if e.group == edge.group and e.strength == "hard"
    ]
    return max(e.required for e in group if isinstance(e.required, int)) <= len({e.target for e in group})


def newly_vulnerable(topology: PlainTopology, failed: frozenset[str], item: str) -> bool:
    """Whether a single further failure takes `item` down that would not have done so before."""
    return any(
        item in simulate_failure(topology, (*failed, further)).down
        and item not in simulate_failure(topology, (further,)).down
        for further in topology.items
        if further != item
    )


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_in_a_tree_at_risk_covers_all_that_a_single_further_failure_newly_takes_down(
    data: st.DataObject,
) -> None:
    topology = data.draw(trees())
    failed = data.draw(chosen(topology))
    impact = simulate_failure(topology, tuple(failed))
    vulnerable = {i for i in topology.items if i not in impact.down and newly_vulnerable(topology, failed, i)}
    assert vulnerable <= set(impact.at_risk)
    doubts_that_add_up = any(
        len(gate.members) - sum(m in impact.down for m in gate.members) > gate.required
        and sum(m in impact.at_risk for m in gate.members) > 1
        for item in topology.items
        for gate in impact.edges.gates(item)
    )
    if not doubts_that_add_up:
        assert vulnerable == set(impact.at_risk)


def test_at_risk_adds_up_members_that_different_failures_would_take() -> None:
    """As the module says: no single failure takes the platform, yet neither site can be relied on."""
    needs = {
        "platform": [gate(1, "north", "south")],
        "north": [gate(1, "n1", "n2")],
        "south": [gate(1, "s1", "s2")],
    }
    topology = graph(needs)
    assert simulate_failure(topology, ["n1", "s1"]).state_of("platform") is State.AT_RISK
    assert not newly_vulnerable(topology, frozenset({"n1", "s1"}), "platform")


def test_at_risk_overlooks_one_cause_behind_several_members() -> None:
    """As the module says: spare-1 and spare-2 share a host, gate by gate there is one to spare."""
    topology = graph(
        {"app": [gate(1, "main", "spare-1", "spare-2")], "spare-1": ["host"], "spare-2": ["host"]}
    )
    assert simulate_failure(topology, ["main"]).state_of("app") is State.REDUCED
    assert newly_vulnerable(topology, frozenset({"main"}), "app")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_without_redundancy_down_is_plain_reachability(data: st.DataObject) -> None:
    drawn = data.draw(estates(strengths=("hard",)))
    topology = built(drawn.items, [replace(edge, group=None) for edge in drawn.edges()])
    reference: nx.DiGraph[str] = nx.DiGraph([(edge.source, edge.target) for edge in topology.edges()])
    reference.add_nodes_from(topology.items)
    failed = data.draw(st.sampled_from(sorted(topology.items)))
    assert set(simulate_failure(topology, [failed]).down) == nx.ancestors(reference, failed) | {failed}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_reached_and_how_far_is_plain_breadth_first_search(data: st.DataObject) -> None:
    topology = data.draw(estates())
    reference: nx.DiGraph[str] = nx.DiGraph([(edge.target, edge.source) for edge in topology.edges()])
    reference.add_nodes_from(topology.items)
    failed = data.draw(st.sampled_from(sorted(topology.items)))
    distances = simulate_failure(topology, [failed]).distances
    assert distances == nx.single_source_shortest_path_length(reference, failed)
