"""The arrays against the plain implementation: random estates, their changes, and the past."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import Confidence, PlainTopology, TopologyEdge, TopologyItem
from impact.errors import ContradictoryScenario, UnknownItems
from impact.explanation import Explainer, to_columns
from impact.failure_graph import FailureGraph, Workspace
from impact.gates import Carrying
from impact.propagation import State, simulate_failure
from impact.simulation import Impact, simulate_on
from tests import topologies
from tests.estates import built, chosen, estates
from tests.topologies import CHAIN, DUAL_POWER, Reference, packed

REFERENCES = [value for value in vars(topologies).values() if isinstance(value, Reference)]
WORKSPACE = Workspace()


def asked(topology: PackedTopology, failed: set[str], pinned: frozenset[str] = frozenset()) -> Impact:
    return simulate_on(FailureGraph.of(topology), WORKSPACE, failed, pinned)


def contents(topology: PlainTopology | PackedTopology) -> tuple[dict[str, TopologyItem], set[TopologyEdge]]:
    return dict(topology.items), set(topology.edges())


def assert_same(fast: Impact, topology: PlainTopology, **question: object) -> None:
    """Every part of the answer is that of the plain implementation, explanations too."""
    plain = simulate_failure(topology, fast.failed, pinned=fast.pinned, **question)  # type: ignore[arg-type]
    assert list(fast.states.items()) == list(plain.states.items())
    assert dict(fast.distances) == dict(plain.distances)
    assert dict(fast.down) == dict(plain.down)
    assert dict(fast.degraded) == dict(plain.degraded)
    assert dict(fast.at_risk) == dict(plain.at_risk)
    assert fast.counts == {s: len(plain.in_state(s)) for s in State if s is not State.UP}
    assert fast.services({"Server"}) == plain.services({"Server"})
    one, other = Explainer(fast), Explainer(plain)
    assert [one.explain(item) for item in topology.items] == [other.explain(item) for item in topology.items]
    assert to_columns(fast) == to_columns(plain)


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda reference: reference.name)
def test_the_reference_topologies(reference: Reference) -> None:
    for answer in reference.answers:
        fast = asked(packed(reference.topology), set(answer.failed), answer.pinned)
        assert dict(fast.states) == answer.state_by_id()
        assert_same(fast, reference.topology)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_random_estates(data: st.DataObject) -> None:
    topology = data.draw(estates())
    failed = data.draw(chosen(topology))
    pinned = frozenset(data.draw(chosen(topology, 1)) - failed)
    assert_same(asked(packed(topology), set(failed), pinned), topology)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_fewer_edges_by_confidence_and_type(data: st.DataObject) -> None:
    topology = data.draw(estates())
    failed = data.draw(chosen(topology))
    confidences: list[Confidence] = ["declared", "observed", "inferred"]
    confidence = data.draw(st.sampled_from(confidences))
    types = data.draw(st.none() | st.frozensets(st.sampled_from(["DEPENDS_ON", "RUNS_ON", "USES"])))
    graph = FailureGraph.of(packed(topology), Carrying(confidence, types))
    fast = simulate_on(graph, WORKSPACE, set(failed))
    assert_same(fast, topology, minimum_confidence=confidence, relationship_types=types)


def changes(data: st.DataObject, before: PlainTopology, other: PlainTopology) -> dict[str, list[object]]:
    """Part of the way from one estate to another."""
    there = set(other.items)
    return {
        "put_items": [
            replace(item, class_name=data.draw(st.sampled_from(["Server", "Rack"])))
            for item in data.draw(st.permutations(list(other.items.values())))
        ],
        "delete_items": [i for i in before.items if i not in there and data.draw(st.booleans())],
        "put_edges": [e for e in other.edges() if data.draw(st.booleans())],
        "delete_edges": [e.key for e in before.edges() if data.draw(st.booleans())],
    }


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_overlay_is_as_good_as_a_new_base(data: st.DataObject) -> None:
    """Change after change, followed by the graph, compacted at times, with the same scratch memory all the while."""
    plain = data.draw(estates())
    fast = packed(plain)
    graph, workspace = FailureGraph.of(fast), Workspace()
    for revision in range(2, 5):
        step = changes(data, plain, data.draw(estates()))
        plain = plain.with_changes(revision, **step)  # type: ignore[arg-type]
        fast = fast.with_changes(revision, **step)  # type: ignore[arg-type]
        if data.draw(st.booleans()):
            fast = fast.compacted()
        graph = graph.following(fast)
        assert contents(fast) == contents(plain)
        assert fast.edge_count == plain.edge_count
        there = list(plain.items)
        numbers = np.array([fast.known(item) for item in there], np.int32)
        assert fast.classes(numbers) == [plain.items[item].class_name for item in there]
        for item in there:
            assert fast.dependencies_of(item) == plain.dependencies_of(item)
            assert fast.dependents_of(item) == plain.dependents_of(item)
        failed = data.draw(chosen(plain))
        pinned = frozenset(data.draw(chosen(plain, 1)) - failed)
        assert_same(simulate_on(graph, workspace, set(failed), pinned), plain)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_past_is_an_overlay_run_backwards_and_leaves_the_present_as_it_is(data: st.DataObject) -> None:
    past = data.draw(estates())
    present = data.draw(estates())
    forth = past.with_changes(2, **changes(data, past, present))  # type: ignore[arg-type]
    fast = packed(forth)
    graph = FailureGraph.of(fast)
    back = fast.with_changes(
        1,
        delete_items=[item for item in forth.items if item not in past.items],
        put_items=past.items.values(),
        delete_edges=[edge.key for edge in forth.edges()],
        put_edges=past.edges(),
    )
    assert contents(back) == contents(past)
    workspace = Workspace()
    for topology, plain in ((back, past), (fast, forth), (back, past)):
        assert_same(simulate_on(graph.following(topology), workspace, set(data.draw(chosen(plain)))), plain)


def test_pages_are_parts_of_the_whole() -> None:
    impact = asked(packed(DUAL_POWER.topology), {"feed-a", "feed-b"})
    down = [item for item, state in impact.states.items() if state is State.DOWN]
    for first in (1, 2, 3):
        pages = [
            impact.topology.id_of(int(number))
            for offset in range(0, len(down), first)
            for number in impact.nodes[impact.page(State.DOWN, first, offset)]
        ]
        assert pages == down
    assert len(down) > 3


def test_unknown_and_contradictory_questions_are_refused() -> None:
    topology = packed(CHAIN.topology)
    with pytest.raises(UnknownItems, match="nothing"):
        asked(topology, {"nothing", "disk"})
    with pytest.raises(UnknownItems, match="nobody"):
        asked(topology, {"disk"}, frozenset({"nobody"}))
    with pytest.raises(ContradictoryScenario, match="disk"):
        asked(topology, {"disk"}, frozenset({"disk"}))


@pytest.mark.parametrize("group", [None, "all"])
@pytest.mark.parametrize("failing", [39, 40])
def test_more_entries_at_once_than_a_queue_has_room_for(group: str | None, failing: int) -> None:
    """250 items need each of 40: 10,000 entries, which a queue for 290 items takes in several goes."""
    hosts, needing = [f"h{n:02}" for n in range(40)], [f"d{n:03}" for n in range(250)]
    required = None if group is None else 1
    edges = [TopologyEdge("DEPENDS_ON", one, host, group, required) for one in needing for host in hosts]
    estate = built([*hosts, *needing], edges)
    assert len(edges) > len(Workspace().scratch(FailureGraph.of(packed(estate))).reached) + 4_000
    failed = set(hosts[:failing])
    assert_same(asked(packed(estate), failed), estate)
    more = [TopologyItem("new", "new", "Server")]
    changed = [TopologyEdge("USES", one, "new", strength="soft") for one in needing[::2]]
    later = estate.with_changes(2, put_items=more, put_edges=changed)
    overlaid = packed(estate).with_changes(2, put_items=more, put_edges=changed)
    assert_same(asked(overlaid, failed), later)
    assert_same(asked(overlaid, {*failed, "new"}), later)


def test_a_chain_longer_than_the_scratch_has_rounds() -> None:
    items = [TopologyItem(f"i{n:04}", f"i{n:04}", "Server") for n in range(1_000)]
    edges = [TopologyEdge("DEPENDS_ON", a.id, b.id) for a, b in pairwise(items)]
    impact = asked(PackedTopology.build(1, items, edges), {"i0999"})
    assert len(impact.down) == 1_000
    assert impact.distances["i0000"] == 999
