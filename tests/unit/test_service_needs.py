"""What a service needs, out of the arrays, against the same out of the plain form."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.topology import PlainTopology
from impact.closure import Closure
from impact.explanation import Explainer, Explanation
from impact.failure_graph import FailureGraph, Workspace
from impact.gates import Carrying, CarryingEdges
from impact.propagation import State, simulate_failure
from impact.service_needs import ServiceNeeds
from impact.simulation import simulate_on
from tests.estates import estates
from tests.topologies import gate, graph, packed


def gates_of(closure: Closure, ids: list[str]) -> dict[str, set[tuple[int, frozenset[str]]]]:
    """By item. A gate that needs all its members is as many single ones."""
    found: dict[str, set[tuple[int, frozenset[str]]]] = {item: set() for item in ids}
    for node, item in enumerate(ids):
        for number in range(closure.gate_start[node], closure.gate_start[node + 1]):
            members = frozenset(ids[member] for member in closure.gate_members(number))
            if closure.required[number] == len(members):
                found[item] |= {(1, frozenset({member})) for member in members}
            else:
                found[item].add((int(closure.required[number]), members))
    return found


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_closure_is_that_of_the_plain_form(data: st.DataObject) -> None:
    before, after = data.draw(estates()), data.draw(estates())
    topology = packed(before).with_changes(
        2,
        delete_edges=[edge.key for edge in before.edges() if data.draw(st.booleans())],
        put_items=after.items.values(),
        put_edges=after.edges(),
    )
    plain = PlainTopology.build(2, topology.items.values(), topology.edges())
    service = data.draw(st.sampled_from(sorted(plain.items)))
    types = data.draw(st.none() | st.just(frozenset({"USES"})))
    needs = ServiceNeeds.of(topology, service, Carrying("inferred", types))
    closure, ids = Closure.of(CarryingEdges(plain, Carrying("inferred", types)), service)
    assert sorted(needs.ids) == sorted(ids)
    assert needs.ids[0] == service
    assert gates_of(needs.closure, needs.ids) == gates_of(closure, ids)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_single_points_are_what_takes_the_service_down_alone(data: st.DataObject) -> None:
    topology = data.draw(estates())
    service = data.draw(st.sampled_from(sorted(topology.items)))
    alone = {item for item in topology.items if service in simulate_failure(topology, [item]).down}
    points = ServiceNeeds.of(packed(topology), service).single_points
    assert {point.id for point in points} == alone - {service}
    assert all(point.dominating in alone for point in points)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_what_goes_down_of_it_goes_down_for_the_same_reasons_as_in_the_whole_estate(
    data: st.DataObject,
) -> None:
    before, after = data.draw(estates()), data.draw(estates())
    topology = packed(before)
    if data.draw(st.booleans()):
        topology = topology.with_changes(2, put_items=after.items.values(), put_edges=after.edges())
    service = data.draw(st.sampled_from(sorted(topology.items)))
    needs = ServiceNeeds.of(topology, service)
    failed = data.draw(st.frozensets(st.sampled_from(needs.ids), min_size=1, max_size=3))
    inside, whole = needs.simulate(failed), simulate_on(FailureGraph.of(topology), Workspace(), failed)
    down = set(whole.down) & set(needs.ids)
    assert set(inside.down) == down
    for item in down:
        one, other = Explainer(inside).explain(item), Explainer(whole).explain(item)
        assert (one.path, broken(one)) == (other.path, broken(other))


def broken(explanation: Explanation) -> list[tuple[object, ...]]:
    """The gates that are, with who of their members is down."""
    return [
        (
            fact.group,
            fact.required,
            fact.up,
            [(member, state is State.DOWN) for member, state in fact.members],
        )
        for fact in explanation.facts
        if fact.code == "gate_below_required"
    ]


def test_a_common_cause_behind_a_redundant_group_is_told_with_the_group() -> None:
    topology = packed(
        graph({"shop": [gate(1, "web-1", "web-2")], "web-1": ["rack"], "web-2": ["rack"], "rack": ["room"]})
    )
    needs = ServiceNeeds.of(topology, "shop")
    assert [(p.id, p.dominating, p.defeats) for p in needs.single_points] == [
        ("rack", "shop", "g0"),
        ("room", "rack", None),
    ]
    assert needs.margin().failures == 0
