"""Dominators against their definition, and against networkx on real networks and on a large random one."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import BadRequest
from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem
from impact.dominators import Dominators, dominators, immediate_dominators
from impact.errors import UnknownItems
from tests.networks import topology_zoo, with_zoo
from tests.topologies import graph, soft

Edges = Sequence[tuple[int, int]]


def tree(nodes: int, edges: Edges, root: int) -> Dominators:
    """The dominator tree of a directed graph that is given by its edges."""
    pairs = np.array(sorted(edges), np.int32).reshape(-1, 2)
    starts = np.zeros(nodes + 1, np.int32)
    np.cumsum(np.bincount(pairs[:, 0], minlength=nodes), out=starts[1:])
    return dominators(starts, np.ascontiguousarray(pairs[:, 1]), root)


def of_networkx(edges: Edges, root: int) -> dict[int, int]:
    """The immediate dominators by networkx, the root's left out."""
    directed: nx.DiGraph[int] = nx.DiGraph()
    directed.add_node(root)
    directed.add_edges_from(edges)
    return {node: above for node, above in nx.immediate_dominators(directed, root).items() if node != root}


def of(found: Dominators) -> dict[int, int]:
    """The immediate dominators as found, the root's left out."""
    return {int(node): int(found.immediate[node]) for node in found.order[1:]}


def test_what_lies_on_every_way_dominates() -> None:
    found = tree(7, [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 5), (5, 3), (6, 4)], 0)
    assert found.immediate.tolist() == [0, 0, 0, 0, 3, 4, -1]
    assert found.of(5) == [0, 3, 4, 5]
    assert found.of(6) == []
    assert found.counts.tolist() == [6, 1, 1, 3, 2, 1, 0]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_dominators_are_those_of_the_definition(data: st.DataObject) -> None:
    """d dominates v if v is not reached once d is taken away."""
    nodes = data.draw(st.integers(1, 8))
    node = st.integers(0, nodes - 1)
    edges = data.draw(st.lists(st.tuples(node, node), max_size=20))
    found = tree(nodes, edges, 0)
    directed: nx.DiGraph[int] = nx.DiGraph(edges)
    directed.add_nodes_from(range(nodes))
    reached = {0, *nx.descendants(directed, 0)}
    assert set(found.order.tolist()) == reached
    without = {}
    for gone in range(1, nodes):
        rest = directed.subgraph(set(range(nodes)) - {gone})
        without[gone] = {0, *nx.descendants(rest, 0)}
    for v in range(nodes):
        expected = {d for d in range(1, nodes) if v in reached and v not in without[d]}
        assert set(found.of(v)) == expected | ({0} if v in reached else set())
    assert found.counts.tolist() == [sum(d in found.of(v) for v in range(nodes)) for d in range(nodes)]


def test_a_large_graph_with_cycles_has_the_dominators_that_networkx_finds() -> None:
    random = Random(7)
    nodes = 30_000
    edges = {(random.randrange(v // 2, v + 1), v + 1) for v in range(nodes - 1)}
    edges |= {(random.randrange(nodes), random.randrange(nodes)) for _ in range(4_000)}
    assert of(tree(nodes, sorted(edges), 0)) == of_networkx(sorted(edges), 0)


def test_a_chain_with_a_way_back_from_each_node_needs_no_recursion() -> None:
    nodes = 30_000
    edges = [(v, v + 1) for v in range(nodes - 1)] + [(v, v // 2) for v in range(nodes)]
    assert tree(nodes, edges, 0).immediate.tolist() == [0, *range(nodes - 1)]


def test_a_root_that_is_no_node_is_refused() -> None:
    with pytest.raises(BadRequest, match="root is 2; nodes are 0 to 1"):
        tree(2, [(0, 1)], 2)


@with_zoo
def test_every_network_of_the_topology_zoo_has_the_dominators_that_networkx_finds() -> None:
    """From several roots, once along the links as they are written and once both ways."""
    networks = topology_zoo()
    differ = [
        (sample.name, root)
        for sample in networks
        for edges in (
            sample.links,
            [hop for one, other in sample.links for hop in ((one, other), (other, one))],
        )
        for root in {0, 1, sample.nodes // 2, sample.nodes - 1}
        if of(tree(sample.nodes, edges, root)) != of_networkx(edges, root)
    ]
    assert differ == []
    assert len(networks) == 138


ESTATE = graph(
    {"service": ["app", soft("mail")], "app": ["a", "b"], "a": ["pdu"], "b": ["pdu"], "pdu": ["feed"]}
)


def test_the_dominators_of_what_a_service_needs() -> None:
    assert immediate_dominators(ESTATE, "service") == {
        "app": "service",
        "mail": "service",
        "a": "app",
        "b": "app",
        "pdu": "app",
        "feed": "pdu",
    }
    assert immediate_dominators(ESTATE, "pdu") == {"feed": "pdu"}


def test_only_chosen_types_are_walked_and_without_a_choice_those_that_carry_failure() -> None:
    items = [TopologyItem(name, name, "Server") for name in "abc"]
    edges = [TopologyEdge("NEEDS", "a", "b"), TopologyEdge("KNOWS", "a", "c", strength=None)]
    topology = PlainTopology.build(1, items, edges)
    assert immediate_dominators(topology, "a") == {"b": "a"}
    assert immediate_dominators(topology, "a", types={"KNOWS"}) == {"c": "a"}
    with pytest.raises(UnknownItems):
        immediate_dominators(topology, "nobody")
