"""What a subgraph has: nodes in the order of the answer, edges between them, gates counted over all their members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import BadRequest, NotFound
from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem
from impact.errors import UnknownItems
from impact.propagation import simulate_failure
from impact.subgraph import (
    GateSize,
    Subgraph,
    SubgraphNode,
    of_impact,
    of_neighbourhood,
    of_topology,
    portable_id,
)
from impact.traversal import dependencies, dependents
from tests.estates import built, estates, gates_by_definition
from tests.topologies import CLUSTER_OF_CLUSTERS, PAIR, SOFT, Need, gate, graph, packed

MIXED = graph(
    {
        "app": [
            Need(("a", "b"), 1, confidence="inferred"),
            Need(("c", "d"), 1, strength="soft"),
            gate(0, "e", "f"),
            "g",
        ]
    }
)


class Watched:
    """A topology as it is promised to be, which notes whose edges are asked for."""

    def __init__(self, topology: PlainTopology) -> None:
        self._topology = topology
        self.asked: set[str] = set()

    @property
    def revision(self) -> int:
        return self._topology.revision

    @property
    def items(self) -> Mapping[str, TopologyItem]:
        return self._topology.items

    def dependencies_of(self, item: str) -> tuple[TopologyEdge, ...]:
        self.asked.add(item)
        return self._topology.dependencies_of(item)

    def dependents_of(self, item: str) -> tuple[TopologyEdge, ...]:
        self.asked.add(item)
        return self._topology.dependents_of(item)

    def edges(self) -> Iterator[TopologyEdge]:
        return self._topology.edges()


def ends(found: Subgraph) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in found.edges]


def test_a_neighbourhood_has_its_start_first_and_everything_with_its_distance() -> None:
    found = of_neighbourhood(PAIR.topology, dependents(packed(PAIR.topology), "host-1"))
    assert [(node.id, node.distance) for node in found.nodes] == [
        ("host-1", 0),
        ("web-1", 1),
        ("shop", 2),
        ("kiosk", 3),
    ]
    assert found.nodes[0] == SubgraphNode("host-1", "host-1", "Server", "compute", "live", None, 0)
    assert ends(found) == [("kiosk", "shop"), ("shop", "web-1"), ("web-1", "host-1")]
    assert (found.revision, found.truncated) == (1, False)


def test_a_gate_is_told_with_its_members_that_are_not_shown() -> None:
    found = of_neighbourhood(PAIR.topology, dependents(packed(PAIR.topology), "host-1"))
    assert "web-2" not in {node.id for node in found.nodes}
    assert dict(found.gates) == {("shop", "g0"): GateSize(1, 2)}
    assert [str(found.gate_of(edge)) for edge in found.edges] == ["None", "1 of 2", "None"]


def test_soft_edges_are_in_no_gate_and_a_group_may_need_nobody() -> None:
    found = of_topology(MIXED)
    sizes = {edge.target: found.gate_of(edge) for edge in found.edges}
    assert sizes == {
        **dict.fromkeys("ab", GateSize(1, 2)),
        **dict.fromkeys("cd", None),
        **dict.fromkeys("ef", GateSize(0, 2)),
        "g": None,
    }


def test_what_a_limit_cut_off_a_walk_stays_said() -> None:
    topology = CLUSTER_OF_CLUSTERS.topology
    assert of_neighbourhood(topology, dependencies(packed(topology), "app", limit=3)).truncated


def test_an_impact_has_states_and_the_edges_that_carry_failure_between_its_items() -> None:
    topology = PlainTopology.build(
        9,
        SOFT.topology.items.values(),
        [*SOFT.topology.edges(), TopologyEdge("OWNED_BY", "desk", "mail", strength=None)],
    )
    impact = simulate_failure(topology, ["mail"])
    found = of_impact(topology, [(i, s, impact.distances[i]) for i, s in impact.states.items()])
    assert {node.id: node.state for node in found.nodes} == {i: s.value for i, s in impact.states.items()}
    assert [node.id for node in found.nodes] == list(impact.states)
    assert ends(found) == [("desk", "portal"), ("fan", "portal"), ("front", "portal"), ("portal", "mail")]
    assert (found.revision, found.truncated) == (9, False)


def test_an_impact_forms_gates_of_what_the_question_left() -> None:
    rows = [("app", "at_risk", 1), ("a", "down", 0), ("c", "down", 0), ("g", "down", 0)]
    assert ends(of_impact(MIXED, rows)) == [("app", "a"), ("app", "c"), ("app", "g")]
    declared = of_impact(MIXED, rows, minimum_confidence="declared")
    assert (ends(declared), dict(declared.gates)) == ([("app", "c"), ("app", "g")], {})
    assert ends(of_impact(MIXED, rows, relationship_types={"USES"})) == []


def test_an_impact_is_cut_at_its_limit_and_no_further_row_is_taken() -> None:
    rows = iter([("g", "down", 0), ("app", "down", 1), ("a", "up", None), ("b", "up", None)])
    found = of_impact(MIXED, rows, limit=2)
    assert ([node.id for node in found.nodes], found.truncated) == (["g", "app"], True)
    assert next(rows)[0] == "b"
    assert not of_impact(MIXED, [("g", "down", 0), ("app", "down", 1)], limit=2).truncated


def test_only_items_that_are_shown_are_asked_about() -> None:
    watched = Watched(CLUSTER_OF_CLUSTERS.topology)
    topology = cast("PlainTopology", watched)
    found = dependencies(packed(CLUSTER_OF_CLUSTERS.topology), "app", depth=2)
    shown = {"app", *found.distances}
    of_neighbourhood(topology, found)
    assert watched.asked <= shown
    of_impact(topology, [(item, "down", 0) for item in shown])
    assert watched.asked == shown


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UnknownItems, match="nobody"):
        of_impact(MIXED, [("nobody", "down", 0)])
    with pytest.raises(BadRequest, match="limit is 0"):
        of_impact(MIXED, [("app", "down", 0)], limit=0)
    with pytest.raises(NotFound, match="ends there"):
        Subgraph(1, (SubgraphNode("a", "a", "Server"),), (TopologyEdge("USES", "a", "b"),))


def test_equal_topologies_give_equal_subgraphs_whatever_the_order_they_were_built_in() -> None:
    topology = CLUSTER_OF_CLUSTERS.topology
    backwards = PlainTopology.build(1, [*topology.items.values()][::-1], [*topology.edges()][::-1])
    assert of_topology(backwards) == of_topology(topology)
    assert [node.id for node in of_topology(topology).nodes] == sorted(topology.items)


@settings(deadline=None)
@given(estates())
def test_gates_are_those_of_the_definition(topology: PlainTopology) -> None:
    found = of_topology(topology)
    for item in topology.items:
        hard = [edge for edge in topology.edges() if edge.source == item and edge.strength == "hard"]
        shown = [
            (size.required, size.members) for (dependent, _), size in found.gates.items() if dependent == item
        ]
        defined = [(required, len(members)) for members, required in gates_by_definition(topology, item)]
        singles = sum(edge.group is None for edge in hard)  # the definition has them first, one an edge
        assert sorted(shown) == sorted(defined[singles:])
        assert len(shown) == len({edge.group for edge in hard} - {None})


def test_an_id_of_the_cmdb_is_portable_as_it_is() -> None:
    assert portable_id("0198c0de-0000-7000-8000-00000000000a") == "0198c0de-0000-7000-8000-00000000000a"


@settings(deadline=None)
@given(st.lists(st.text(alphabet=":abc3a \x00\ud800é", max_size=6), unique=True))
def test_portable_ids_are_name_tokens_and_stay_different(ids: list[str]) -> None:
    portable = [portable_id(item) for item in ids]
    assert len(set(portable)) == len(ids)
    assert all(set(item) <= set(":abcdef0123456789") and item for item in portable)


def test_an_edge_without_known_gate_has_no_size() -> None:
    edge = TopologyEdge("USES", "a", "b", "g", 1)
    topology = built("ab", [edge])
    assert of_topology(topology).gate_of(edge) == GateSize(1, 1)
    assert Subgraph(1, of_topology(topology).nodes, (edge,)).gate_of(edge) is None
