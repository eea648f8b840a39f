"""Articulation points, bridges and components against their definitions, and against networkx on real networks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import cast

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from cmdb.errors import BadRequest
from impact.connectivity import Connectivity, connectivity
from impact.rows import rows_of
from tests.networks import Sample, labels, samples, topology_zoo, with_zoo

HOUSE = rows_of(6, [(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (3, 4), (4, 5)])
"""A triangle, a bridge to 3, two parallel links to 4, a bridge to 5."""


def grouped(label: np.ndarray[tuple[int], np.dtype[np.int32]], left_out: int = -1) -> set[frozenset[int]]:
    """The numbers that share a label."""
    return {
        frozenset(np.flatnonzero(label == value).tolist()) for value in np.unique(label) if value != left_out
    }


def left_without(sample: Sample, node: int) -> list[int]:
    """Sizes of the parts into which the component of a node falls without it, largest first."""
    graph = sample.graph
    graph = graph.subgraph(nx.node_connected_component(graph, node)).copy()
    graph.remove_node(node)
    return sorted(map(len, nx.connected_components(graph)), reverse=True)


def test_parallel_links_are_no_bridges_and_what_they_join_is_one_two_edge_component() -> None:
    found = connectivity(HOUSE)
    assert found.bridges.tolist() == [3, 6]
    assert grouped(found.two_edge_components) == {frozenset({0, 1, 2}), frozenset({3, 4}), frozenset({5})}


def test_an_articulation_point_tells_what_it_cuts_off() -> None:
    found = connectivity(HOUSE)
    assert found.articulation_points.tolist() == [2, 3, 4]
    assert found.cut_off.tolist() == [0, 0, 2, 2, 1, 0]
    assert [sorted(part.tolist()) for part in found.parts(3)] == [[0, 1, 2], [4, 5]]
    assert [sorted(part.tolist()) for part in found.parts(0)] == [[1, 2, 3, 4, 5]]


def test_a_bridge_tells_its_two_sides_and_another_link_is_refused() -> None:
    found = connectivity(HOUSE)
    assert [sorted(side.tolist()) for side in found.sides(6)] == [[0, 1, 2, 3, 4], [5]]
    assert found.cut_off_by_link.tolist() == [0, 0, 0, 3, 0, 0, 1]
    with pytest.raises(BadRequest, match="link 4 is no bridge; the bridges are \\[3, 6\\]"):
        found.sides(4)


def test_blocks_meet_in_articulation_points() -> None:
    blocks = connectivity(HOUSE).blocks
    assert grouped(blocks) == {frozenset({0, 1, 2}), frozenset({3}), frozenset({4, 5}), frozenset({6})}


def test_no_links_and_no_nodes_are_networks_too() -> None:
    assert connectivity(rows_of(3, [])).components == 3
    empty = connectivity(rows_of(0, []))
    assert (empty.components, empty.articulation_points.tolist(), empty.bridges.tolist()) == (0, [], [])


def test_a_chain_of_a_million_nodes_needs_no_recursion() -> None:
    n = 1_000_000
    found = connectivity(rows_of(n, np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)))
    assert len(found.articulation_points) == n - 2
    assert len(found.bridges) == n - 1
    assert found.cut_off.max() == n // 2 - 1


def test_ends_that_are_no_nodes_are_refused() -> None:
    with pytest.raises(BadRequest, match="links end at 0 to 3; nodes are 0 to 2"):
        rows_of(3, [(0, 3)])


@settings(max_examples=150, deadline=None)
@given(samples())
def test_articulation_points_and_what_they_cut_off_are_those_of_the_definition(sample: Sample) -> None:
    found = connectivity(sample.rows)
    parts = [left_without(sample, node) for node in range(sample.nodes)]
    assert found.articulation_points.tolist() == [node for node, sizes in enumerate(parts) if len(sizes) > 1]
    assert found.cut_off.tolist() == [sum(sizes[1:]) for sizes in parts]
    assert [list(map(len, found.parts(node))) for node in range(sample.nodes)] == parts
    assert [found.part_sizes(node) for node in range(sample.nodes)] == parts
    assert found.components == nx.number_connected_components(sample.graph)


@settings(max_examples=150, deadline=None)
@given(samples())
def test_bridges_and_two_edge_components_are_those_of_the_definition(sample: Sample) -> None:
    found = connectivity(sample.rows)
    graph, whole = sample.graph, labels(sample.graph, sample.nodes)
    together = whole[:, None] == whole
    bridges = []
    for link, (one, other) in enumerate(sample.links):
        sample.cut(graph, [link])
        label = labels(graph, sample.nodes)
        sample.mend(graph, [link])
        if label.max() > whole.max():
            bridges.append(link)
            sides = sorted(int((label == label[end]).sum()) for end in (one, other))
            assert found.cut_off_by_link[link] == sides[0]
            assert [len(side) for side in found.sides(link)] == sides[::-1]
        else:
            assert found.cut_off_by_link[link] == 0
        together &= label[:, None] == label
    assert found.bridges.tolist() == bridges
    same = found.two_edge_components
    assert ((same[:, None] == same) == together).all()


@settings(max_examples=150, deadline=None)
@given(samples())
def test_two_links_are_in_one_block_if_a_circle_without_crossing_passes_both(sample: Sample) -> None:
    """Equivalently (Menger): no node separates them; networkx tells it for graphs without parallel links."""
    blocks = connectivity(sample.rows).blocks
    expected: dict[frozenset[int], int] = {}
    for index, edges in enumerate(nx.biconnected_component_edges(sample.simple)):
        expected.update((frozenset((one, other)), index) for one, other in edges)
    of_link = [expected.get(frozenset(ends), -1) for ends in sample.links]
    assert [block == -1 for block in blocks] == [one == other for one, other in sample.links]
    for one, other in combinations(range(len(of_link)), 2):
        assert (blocks[one] == blocks[other]) == (of_link[one] == of_link[other])


@with_zoo
def test_every_network_of_the_topology_zoo_has_the_weak_points_that_networkx_finds() -> None:
    def same(sample: Sample, found: Connectivity) -> bool:
        graph = sample.graph
        pairs = [frozenset(ends) for ends in sample.links]
        bridges = set(map(frozenset, cast("Iterable[tuple[int, int]]", nx.bridges(sample.simple))))
        alone = [link for link, ends in enumerate(pairs) if ends in bridges and pairs.count(ends) == 1]
        return (
            found.articulation_points.tolist() == sorted(nx.articulation_points(sample.simple))
            and found.bridges.tolist() == alone
            and found.components == nx.number_connected_components(graph)
        )

    networks = topology_zoo()
    assert [sample.name for sample in networks if not same(sample, connectivity(sample.rows))] == []
    assert len(networks) == 138
    assert sum(len(set(map(frozenset, sample.links))) < len(sample.links) for sample in networks) == 52
