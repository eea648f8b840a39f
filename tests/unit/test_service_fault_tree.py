"""The fault tree of a service against the failure semantics itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.topology import TopologyEdge
from impact.errors import InvalidFaultTree, UnknownItems
from impact.fault_tree import FaultTree, Formula
from impact.fault_tree_analysis import analyse
from impact.gates import Carrying, CarryingEdges
from impact.mef import export_fault_tree, import_fault_tree
from impact.propagation import simulate_failure
from impact.service_fault_tree import fault_tree_of
from tests.estates import built, estates, subsets
from tests.fault_trees import happens


def tree_of(edges: CarryingEdges, service: str) -> FaultTree:
    return fault_tree_of(edges, service, dict.fromkeys(edges.topology.items, 0.1))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_top_event_happens_exactly_when_the_service_is_down(data: st.DataObject) -> None:
    topology = data.draw(estates(most=5))
    service = data.draw(st.sampled_from(sorted(topology.items)))
    tree = tree_of(CarryingEdges(topology), service)
    for failed in subsets(topology.items):
        down = bool(failed) and service in simulate_failure(topology, tuple(failed)).down
        assert happens(tree, frozenset(f"failure-{item}" for item in failed)) == down


def test_only_the_edges_that_carry_failure_in_the_question_count() -> None:
    topology = built("abc", [TopologyEdge("USES", "a", "b"), TopologyEdge("RUNS_ON", "a", "c")])
    tree = tree_of(CarryingEdges(topology, Carrying(relationship_types=frozenset({"USES"}))), "a")
    assert list(tree.basic_events) == ["failure-a", "failure-b"]


def test_a_quorum_becomes_a_gate_of_the_members_it_can_lose() -> None:
    topology = built("sxyz", [TopologyEdge("USES", "s", member, "g", 2) for member in "xyz"])
    tree = tree_of(CarryingEdges(topology), "s")
    quorum = Formula("atleast", ("down-x", "down-y", "down-z"), 2)
    assert tree.gates["down-s"].formula == Formula("or", ("failure-s", quorum))
    assert analyse(tree).probability == pytest.approx(1 - 0.9 * 0.972)


def test_cycles_are_written_out_to_the_fixpoint_and_can_be_exported() -> None:
    """a, b and c need one another; each has its own failure, and all go down together."""
    topology = built("abc", [TopologyEdge("USES", s, t) for s, t in ("ab", "bc", "ca")])
    tree = import_fault_tree(export_fault_tree(tree_of(CarryingEdges(topology), "a")))
    assert analyse(tree).probability == pytest.approx(1 - 0.9**3)
    assert sorted(analyse(tree).smallest_cut_sets(9)) == [("failure-a",), ("failure-b",), ("failure-c",)]


def test_a_cycle_too_large_to_be_written_out_is_refused_by_name() -> None:
    topology = built("abc", [TopologyEdge("USES", s, t) for s, t in ("ab", "bc", "ca")])
    with pytest.raises(
        InvalidFaultTree, match=r"the cycle of 3 CIs \(a, b, c\): needs 9 gates .* 8 are allowed"
    ):
        fault_tree_of(CarryingEdges(topology), "a", dict.fromkeys("abc", 0.1), most_gates=8)


def test_what_is_missing_is_named() -> None:
    topology = built("ab", [TopologyEdge("USES", "a", "b")])
    with pytest.raises(UnknownItems, match="no item with id x"):
        fault_tree_of(CarryingEdges(topology), "x", {})
    with pytest.raises(InvalidFaultTree, match="b: has no failure probability, nor have 0 others"):
        fault_tree_of(CarryingEdges(topology), "a", {"a": 0.1})
