"""Minimum node cuts against all subsets of small networks, and against networkx on real ones."""

from __future__ import annotations

from itertools import chain, combinations, pairwise

import networkx as nx
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cmdb.errors import BadRequest
from impact.minimum_cut import minimum_node_cut, minimum_node_cut_between
from impact.rows import rows_of
from tests.networks import Sample, samples, topology_zoo, with_zoo


def separates(sample: Sample, cut: tuple[int, ...], one: int, other: int) -> bool:
    """Whether the loss of these nodes leaves no way from one to the other but a direct link."""
    graph = sample.graph
    graph.remove_nodes_from(cut)
    while graph.has_edge(one, other):
        graph.remove_edge(one, other)
    return not nx.has_path(graph, one, other)


def smallest(sample: Sample, one: int, other: int) -> int:
    """The size of the smallest set that separates two nodes, by trying all."""
    rest = [node for node in range(sample.nodes) if node not in (one, other)]
    cuts = chain.from_iterable(combinations(rest, size) for size in range(len(rest) + 1))
    return next(len(cut) for cut in cuts if separates(sample, cut, one, other))


def test_the_cut_nearest_to_the_first_node_comes_with_as_many_ways() -> None:
    ladder = rows_of(8, [(0, 1), (0, 2), (1, 3), (2, 4), (3, 4), (3, 5), (4, 6), (5, 7), (6, 7)])
    cut = minimum_node_cut_between(ladder, 0, 7)
    assert cut.nodes == (1, 2)
    assert cut.ways == ((0, 1, 3, 5, 7), (0, 2, 4, 6, 7))
    assert (cut.direct, cut.truncated) == ((), False)
    assert minimum_node_cut_between(ladder, 7, 0).nodes == (5, 6)


def test_a_way_that_blocks_two_others_is_taken_back() -> None:
    """The shortest way 0-2-5-7 crosses both of the two that there are."""
    crossed = rows_of(8, [(0, 1), (1, 3), (3, 5), (5, 7), (0, 2), (2, 4), (4, 6), (6, 7), (2, 5)])
    assert minimum_node_cut_between(crossed, 0, 7).ways == ((0, 1, 3, 5, 7), (0, 2, 4, 6, 7))


def test_direct_links_stay_and_are_named() -> None:
    triangle = rows_of(3, [(0, 1), (1, 0), (0, 2), (2, 1)])
    cut = minimum_node_cut_between(triangle, 0, 1)
    assert (cut.nodes, cut.direct) == ((2,), (0, 1))


def test_more_than_the_limit_is_said() -> None:
    star = rows_of(7, [(end, middle) for end in (0, 1) for middle in range(2, 7)])
    cut = minimum_node_cut_between(star, 0, 1, limit=4)
    assert (cut.nodes, len(cut.ways), cut.truncated) == ((), 4, True)
    cut = minimum_node_cut_between(star, 0, 1, limit=5)
    assert (cut.nodes, len(cut.ways), cut.truncated) == ((2, 3, 4, 5, 6), 5, False)


@pytest.mark.parametrize(("source", "target", "limit"), [(0, 0, 1), (0, 3, 1), (-1, 0, 1), (0, 1, 0)])
def test_senseless_questions_are_refused(source: int, target: int, limit: int) -> None:
    with pytest.raises(BadRequest, match="give two different nodes of 0 to 2"):
        minimum_node_cut_between(rows_of(3, [(0, 1)]), source, target, limit=limit)


def test_nothing_separates_where_every_two_nodes_are_linked() -> None:
    assert minimum_node_cut(rows_of(3, [(0, 1), (1, 2), (2, 0), (0, 1)])) is None
    assert minimum_node_cut(rows_of(1, [(0, 0)])) is None


@settings(max_examples=200, deadline=None)
@given(samples(nodes=8, links=18, least=2), st.data())
def test_the_cut_between_two_nodes_separates_them_and_none_is_smaller(
    sample: Sample, data: st.DataObject
) -> None:
    one, other = data.draw(st.permutations(range(sample.nodes)))[:2]
    cut = minimum_node_cut_between(sample.rows, one, other)
    assert separates(sample, cut.nodes, one, other)
    assert len(cut.nodes) == smallest(sample, one, other)
    assert [sample.links[link] in ((one, other), (other, one)) for link in cut.direct] == [True] * len(
        cut.direct
    )
    assert len(cut.direct) == sample.graph.number_of_edges(one, other)


@settings(max_examples=100, deadline=None)
@given(samples(nodes=12, links=30, least=2), st.data())
def test_there_are_as_many_ways_as_the_cut_has_nodes_and_they_share_none(
    sample: Sample, data: st.DataObject
) -> None:
    one, other = data.draw(st.permutations(range(sample.nodes)))[:2]
    cut = minimum_node_cut_between(sample.rows, one, other)
    graph = sample.graph
    between = [node for way in cut.ways for node in way[1:-1]]
    assert len(cut.ways) == len(cut.nodes)
    assert len(between) == len(set(between))
    assert all(len(set(way) & set(cut.nodes)) == 1 for way in cut.ways)
    assert all((way[0], way[-1]) == (one, other) for way in cut.ways)
    assert all(graph.has_edge(*hop) for way in cut.ways for hop in pairwise(way))


@settings(max_examples=150, deadline=None)
@given(samples(nodes=7, links=20, least=2))
def test_the_cut_of_a_whole_network_is_the_smallest_between_any_two(sample: Sample) -> None:
    graph = sample.graph
    apart = [pair for pair in combinations(range(sample.nodes), 2) if not graph.has_edge(*pair)]
    cut = minimum_node_cut(sample.rows)
    if not apart:
        assert cut is None
        return
    assert cut is not None
    assert len(cut) == min(smallest(sample, *pair) for pair in apart)
    graph.remove_nodes_from(cut.tolist())
    assert not nx.is_connected(graph)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(10, 40), st.integers(3, 7))
def test_dense_networks_are_cut_where_networkx_cuts_them(seed: int, nodes: int, degree: int) -> None:
    assume(nodes * degree % 2 == 0)
    graph = nx.random_regular_graph(degree, nodes, seed)
    cut = minimum_node_cut(rows_of(nodes, list(graph.edges())))
    assert cut is not None
    assert len(cut) == nx.node_connectivity(graph)


@with_zoo
def test_every_network_of_the_topology_zoo_is_cut_by_as_few_nodes_as_networkx_needs() -> None:
    differ, looked_at = [], 0
    for sample in topology_zoo():
        cut = minimum_node_cut(sample.rows)
        simple = sample.simple
        assert cut is not None
        if not nx.is_connected(sample.graph):
            assert len(cut) == 0
            continue
        looked_at += 1
        rest = simple.subgraph(set(simple) - set(cut.tolist()))
        if len(cut) != len(nx.minimum_node_cut(simple)) or nx.is_connected(rest):
            differ.append(sample.name)
    assert differ == []
    assert looked_at == 138 - 11


@with_zoo
def test_two_nodes_of_a_topology_zoo_network_are_cut_by_as_few_as_networkx_needs() -> None:
    differ = []
    for sample in topology_zoo():
        simple = sample.simple
        for one, other in ((0, sample.nodes - 1), (1, sample.nodes // 2)):
            if one == other or one not in simple or other not in simple or simple.has_edge(one, other):
                continue
            cut = minimum_node_cut_between(sample.rows, one, other)
            expected = len(nx.minimum_node_cut(simple, one, other)) if nx.has_path(simple, one, other) else 0
            if len(cut.nodes) != expected or not separates(sample, cut.nodes, one, other):
                differ.append((sample.name, one, other))
    assert differ == []
