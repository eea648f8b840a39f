"""The network among items: which edges join which items, and the answers by id."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import BadRequest
from cmdb.model.columns import Int32s
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge, TopologyItem
from impact.errors import UnknownItems
from impact.network import Network, minimum_cut, needs, network_of, weak_points, weakest_cut
from impact.survivability import survivability
from tests.estates import estates
from tests.topologies import packed


def cabled(*cables: str, **others: str) -> PackedTopology:
    """`a-b` is an edge CONNECTED_TO from a to b; others by type. Items are single letters."""
    edges = [TopologyEdge("CONNECTED_TO", cable[0], cable[-1], strength=None) for cable in cables]
    edges += [
        TopologyEdge(kind, cable[0], cable[-1]) for kind, text in others.items() for cable in text.split()
    ]
    names = sorted({end for edge in edges for end in (edge.source, edge.target)})
    return PackedTopology.build(7, [TopologyItem(name, name, "Switch", "network") for name in names], edges)


OFFICE = cabled("a-b", "b-c", "c-a", "c-d", "d-e", RUNS_ON="x-a x-e")
"""A ring of a, b, c; d and e hang off it one behind the other; x runs on a and e."""


def numbers(letters: str) -> Int32s:
    """Of items of the office."""
    return np.array([OFFICE.known(letter) for letter in letters], np.int32)


def joined(network: Network) -> list[str]:
    """The links as pairs of letters."""
    return ["".join(network.ids[end] for end in ends) for ends in network.rows.ends]


def test_edges_of_the_chosen_types_join_whichever_way_they_run() -> None:
    network = network_of(OFFICE)
    assert network.ids == ("a", "b", "c", "d", "e")
    assert joined(network) == ["ab", "ac", "bc", "cd", "de"]
    assert joined(network_of(OFFICE, {"RUNS_ON"})) == ["ax", "ex"]


def test_edges_that_join_the_same_two_are_one_link_and_all_named() -> None:
    """Both ends of a cable report it; that is no second cable."""
    network = network_of(cabled("a-b", "b-a", "b-b", LINKED_TO="a-b"))
    assert joined(network) == ["ab"]
    assert [(edge.source, edge.target, edge.type) for edge in network.links[0]] == [
        ("a", "b", "CONNECTED_TO"),
        ("a", "b", "LINKED_TO"),
        ("b", "a", "CONNECTED_TO"),
    ]
    assert weak_points(network).bridges == (0,)


def test_a_scope_has_its_items_and_the_links_between_them() -> None:
    network = network_of(OFFICE, within=numbers("abdx"))
    assert network.ids == ("a", "b", "d", "x")
    assert joined(network) == ["ab"]
    assert weak_points(network).connectivity.components == 3
    assert network_of(OFFICE, within=numbers("")).ids == ()


def test_the_worst_weak_points_come_first_with_what_they_cut_off() -> None:
    found = weak_points(network_of(OFFICE))
    assert [found.network.ids[number] for number in found.articulation_points] == ["c", "d"]
    assert [found.cut_off_by(number) for number in found.articulation_points] == [["d", "e"], ["e"]]
    assert [joined(found.network)[link] for link in found.bridges] == ["cd", "de"]
    assert [found.cut_off_by_link(link) for link in found.bridges] == [["d", "e"], ["e"]]


def test_a_cut_by_id_names_items_ways_and_direct_edges() -> None:
    network = network_of(OFFICE)
    cut = minimum_cut(network, "a", "e")
    assert (cut.items, cut.ways, cut.direct) == (("c",), (("a", "c", "d", "e"),), ())
    beside = minimum_cut(network, "b", "a")
    assert beside.items == ("c",)
    assert [(edge.source, edge.target) for edge in beside.direct] == [("a", "b")]


def test_an_item_outside_the_network_has_no_way_to_any_other() -> None:
    assert minimum_cut(network_of(OFFICE), "a", "x").ways == ()
    with pytest.raises(BadRequest, match="cannot be separated from itself"):
        minimum_cut(network_of(OFFICE), "a", "a")


def test_the_weakest_cut_of_a_network_is_named() -> None:
    assert weakest_cut(network_of(OFFICE)) == ("c",)
    assert weakest_cut(network_of(OFFICE, within=numbers("abd"))) == ()
    assert weakest_cut(network_of(OFFICE, within=numbers("abc"))) is None


def test_demands_between_items_are_lost_with_links() -> None:
    network = network_of(OFFICE)
    found = survivability(network.rows, network.demands([("a", "e", 3.0), ("a", "b", 1.0)]))
    assert [joined(network)[failure.links[0]] for failure in found.single().worst] == ["cd", "de"]
    with pytest.raises(BadRequest, match="demands end at x, which the network does not have"):
        network.demands([("a", "x", 1.0)])


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_an_item_needs_is_what_networkx_reaches(data: st.DataObject) -> None:
    plain = data.draw(estates())
    topology = packed(plain)
    if data.draw(st.booleans()):
        later = data.draw(estates())
        topology = topology.with_changes(2, put_items=later.items.values(), put_edges=later.edges())
    item = data.draw(st.sampled_from(sorted(topology.items)))
    directed: nx.DiGraph[str] = nx.DiGraph()
    directed.add_nodes_from(topology.items)
    directed.add_edges_from((e.source, e.target) for e in topology.edges() if e.strength is not None)
    found = [topology.id_of(number) for number in needs(topology, item).tolist()]
    assert sorted(found) == sorted({item, *nx.descendants(directed, item)})
    types = data.draw(st.sets(st.sampled_from(["USES", "RUNS_ON"])))
    inside = network_of(topology, types, within=needs(topology, item))
    there = [e for e in topology.edges(types) if e.source in found and e.target in found]
    assert (inside.ids, inside.links) == (Network.of(found, there).ids, Network.of(found, there).links)
    with pytest.raises(UnknownItems):
        needs(topology, "nobody")
