"""Walks and paths: depth, filters, limits that are said, and agreement with networkx."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import BadRequest
from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem
from impact.errors import UnknownItems
from impact.traversal import Direction, dependencies, dependents, shortest_paths
from tests.estates import estates
from tests.topologies import CLUSTER_OF_CLUSTERS, CYCLE, DUAL_POWER, PAIR, graph, packed

LAYERS = {"service": "business", "app": "application", "vm": "compute", "rack": "facility"}
LAYERED = PlainTopology.build(
    1,
    [TopologyItem(name, name, "Thing", layer) for name, layer in LAYERS.items()],
    [
        TopologyEdge("USES", "service", "app"),
        TopologyEdge("RUNS_ON", "app", "vm"),
        TopologyEdge("RUNS_ON", "app", "vm", "g"),
        TopologyEdge("LOCATED_IN", "vm", "rack", strength=None),
    ],
)


def test_dependencies_and_dependents_come_with_their_distances() -> None:
    found = dependencies(packed(DUAL_POWER.topology), "server")
    assert dict(found.distances) == {
        "pdu-a": 1,
        "pdu-b": 1,
        "ups-a": 2,
        "ups-b": 2,
        "cooling": 3,
        "feed-a": 3,
        "feed-b": 3,
    }
    assert list(dependents(packed(PAIR.topology), "host-1").distances.items()) == [
        ("web-1", 1),
        ("shop", 2),
        ("kiosk", 3),
    ]


def test_a_walk_ends_at_its_depth_and_has_the_edges_between_what_it_found() -> None:
    found = dependents(packed(PAIR.topology), "host-1", depth=2)
    assert list(found.distances) == ["web-1", "shop"]
    assert [(edge.source, edge.target) for edge in found.edges] == [("web-1", "host-1"), ("shop", "web-1")]
    assert not found.truncated
    assert dict(dependents(packed(PAIR.topology), "host-1", depth=0).distances) == {}


def test_a_cycle_is_walked_once_and_its_edges_shown() -> None:
    found = dependencies(packed(CYCLE.topology), "auth")
    assert dict(found.distances) == {"directory": 1, "disk": 2}
    assert len(found.edges) == 3


def test_only_what_carries_failure_is_walked_unless_types_are_named() -> None:
    assert list(dependencies(packed(LAYERED), "app").distances) == ["vm"]
    assert list(dependencies(packed(LAYERED), "app", types={"RUNS_ON", "LOCATED_IN"}).distances) == [
        "vm",
        "rack",
    ]
    assert list(dependencies(packed(LAYERED), "service", types={"RUNS_ON"}).distances) == []


def test_layers_choose_what_is_reported_not_where_the_walk_goes() -> None:
    types = {"USES", "RUNS_ON", "LOCATED_IN"}
    found = dependencies(packed(LAYERED), "service", types=types, layers={"facility"})
    assert dict(found.distances) == {"rack": 3}
    assert list(
        dependents(packed(LAYERED), "rack", types=types, layers={"business", "application"}).distances
    ) == [
        "app",
        "service",
    ]


def test_a_limit_that_cuts_something_off_is_said() -> None:
    topology = CLUSTER_OF_CLUSTERS.topology
    everything = list(dependencies(packed(topology), "app").distances)
    assert len(everything) == 9
    for limit in range(1, 9):
        found = dependencies(packed(topology), "app", limit=limit)
        assert (list(found.distances), found.truncated) == (everything[:limit], True)
    assert not dependencies(packed(topology), "app", limit=9).truncated


def test_unknown_items_and_senseless_bounds_are_refused() -> None:
    with pytest.raises(UnknownItems, match="nobody"):
        dependencies(packed(PAIR.topology), "nobody")
    with pytest.raises(UnknownItems, match="nobody"):
        shortest_paths(packed(PAIR.topology), "shop", "nobody")
    with pytest.raises(BadRequest, match="depth is -1"):
        dependents(packed(PAIR.topology), "shop", depth=-1)
    with pytest.raises(BadRequest, match="limit is 0"):
        dependents(packed(PAIR.topology), "shop", limit=0)
    with pytest.raises(BadRequest, match="max_depth is 0"):
        shortest_paths(packed(PAIR.topology), "shop", "kiosk", max_depth=0)


def test_all_shortest_paths_are_found_in_order() -> None:
    paths = shortest_paths(packed(DUAL_POWER.topology), "server", "cooling")
    assert [path.items for path in paths.found] == [
        ("server", "pdu-a", "ups-a", "cooling"),
        ("server", "pdu-b", "ups-b", "cooling"),
    ]
    assert not paths.truncated


def test_paths_are_found_against_the_edges_too_and_say_so() -> None:
    (path,) = shortest_paths(packed(PAIR.topology), "web-1", "kiosk").found
    assert (path.direction, path.items) == (Direction.DEPENDENTS, ("web-1", "shop", "kiosk"))
    assert [(edge.source, edge.target) for hop in path.hops for edge in hop] == [
        ("shop", "web-1"),
        ("kiosk", "shop"),
    ]


def test_in_a_cycle_both_directions_have_a_path() -> None:
    found = shortest_paths(packed(CYCLE.topology), "auth", "directory").found
    assert [path.direction for path in found] == [Direction.DEPENDENCIES, Direction.DEPENDENTS]


def test_parallel_edges_are_one_hop() -> None:
    (path,) = shortest_paths(packed(LAYERED), "app", "vm").found
    assert [edge.group for edge in path.hops[0]] == [None, "g"]


def test_too_many_paths_are_cut_and_said() -> None:
    wide = graph({"top": [f"m{i}" for i in range(9)]} | {f"m{i}": ["end"] for i in range(9)})
    paths = shortest_paths(packed(wide), "top", "end", limit=4)
    assert ([path.items[1] for path in paths.found], paths.truncated) == (["m0", "m1", "m2", "m3"], True)
    assert not shortest_paths(packed(wide), "top", "end", limit=9).truncated


def test_many_layers_of_alternatives_do_not_make_the_first_paths_slow() -> None:
    """2^40 shortest paths: only those asked for are made."""
    needs = {f"{side}{level}": [f"a{level + 1}", f"b{level + 1}"] for level in range(40) for side in "ab"}
    paths = shortest_paths(packed(graph(needs)), "a0", "b40", max_depth=40, limit=3)
    assert (len(paths.found), paths.truncated) == (3, True)


def test_a_path_longer_than_asked_for_is_not_looked_for() -> None:
    assert shortest_paths(packed(PAIR.topology), "kiosk", "host-1", max_depth=2).found == ()
    assert len(shortest_paths(packed(PAIR.topology), "kiosk", "host-1", max_depth=3).found) == 1


def test_of_an_item_to_itself_there_is_no_path() -> None:
    assert shortest_paths(packed(CYCLE.topology), "auth", "auth").found == ()


def reference(topology: PlainTopology) -> nx.DiGraph[str]:
    directed: nx.DiGraph[str] = nx.DiGraph([(edge.source, edge.target) for edge in topology.edges()])
    directed.add_nodes_from(topology.items)
    return directed


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_walks_and_paths_are_those_of_networkx(data: st.DataObject) -> None:
    topology = data.draw(estates())
    directed = reference(topology)
    a, b = (
        data.draw(st.sampled_from(sorted(topology.items))),
        data.draw(st.sampled_from(sorted(topology.items))),
    )
    depth = data.draw(st.integers(0, 4))
    expected = nx.single_source_shortest_path_length(directed, a, cutoff=depth)
    assert {a: 0} | dict(dependencies(packed(topology), a, depth=depth).distances) == expected
    backwards = nx.single_source_shortest_path_length(directed.reverse(), a, cutoff=depth)
    assert {a: 0} | dict(dependents(packed(topology), a, depth=depth).distances) == backwards
    if a != b:
        expected_paths = []
        for graph_, direction in ((directed, "dependencies"), (directed.reverse(), "dependents")):
            if nx.has_path(graph_, a, b):
                expected_paths += [(direction, tuple(p)) for p in sorted(nx.all_shortest_paths(graph_, a, b))]
        found = shortest_paths(packed(topology), a, b, limit=1000)
        assert [(path.direction.value, path.items) for path in found.found] == expected_paths


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_edges_of_a_walk_are_the_induced_sub_graph(data: st.DataObject) -> None:
    drawn = data.draw(estates())
    topology = PlainTopology.build(
        1, drawn.items.values(), [replace(e, strength=None) if e.type == "USES" else e for e in drawn.edges()]
    )
    start = data.draw(st.sampled_from(sorted(topology.items)))
    found = dependencies(packed(topology), start, depth=2)
    shown = {start, *found.distances}
    assert set(found.edges) == {
        e for e in topology.edges() if e.type == "RUNS_ON" and {e.source, e.target} <= shown
    }
