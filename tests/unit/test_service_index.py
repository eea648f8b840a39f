"""Which services depend on each item, against a walk of the plain topology."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.columns import Int32s
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem
from impact import service_index
from impact.condensation import Condensation
from impact.failure_graph import FailureGraph
from impact.service_index import ServiceIndex
from tests.estates import built, estates
from tests.topologies import graph


def packed(topology: PlainTopology) -> PackedTopology:
    return PackedTopology.build(topology.revision, topology.items.values(), topology.edges())


def numbers(topology: PackedTopology, ids: list[str]) -> Int32s:
    return np.array([topology.known(item) for item in ids], np.int32)


def carrying(topology: PlainTopology | PackedTopology) -> nx.DiGraph[str]:
    """The edges that carry failure, dependent to dependency, by networkx."""
    found: nx.DiGraph[str] = nx.DiGraph()
    found.add_nodes_from(topology.items)
    found.add_edges_from((e.source, e.target) for e in topology.edges() if e.strength is not None)
    return found


def indexed(index: ServiceIndex) -> dict[str, set[str]]:
    topology = index.graph.topology
    found = {}
    for item in topology.items:
        number = topology.known(item)
        services = index.services(number).tolist()
        assert services == sorted(services)
        assert len(services) == index.count_of(number) == index.count[number]
        found[item] = {topology.id_of(service) for service in services}
    return found


def by_walk(topology: PlainTopology | PackedTopology, services: list[str]) -> dict[str, set[str]]:
    needs = carrying(topology)
    return {
        item: {service for service in services if service == item or nx.has_path(needs, service, item)}
        for item in topology.items
    }


def changed(data: st.DataObject, fast: PackedTopology) -> PackedTopology:
    """An overlay: part of the way to another estate."""
    other = data.draw(estates())
    return fast.with_changes(
        2,
        put_items=[i for i in other.items.values() if i.id not in fast.items],
        delete_items=[i for i in fast.items if i not in other.items and data.draw(st.booleans())],
        put_edges=[e for e in other.edges() if data.draw(st.booleans())],
        delete_edges=[e.key for e in fast.edges() if data.draw(st.booleans())],
    )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_services_are_those_that_reach_the_item(data: st.DataObject) -> None:
    topology = packed(data.draw(estates()))
    for step in range(2):
        if step:
            topology = changed(data, topology)
        services = sorted(data.draw(st.sets(st.sampled_from(sorted(topology.items)))))
        index = ServiceIndex.of(FailureGraph.of(topology), numbers(topology, services))
        assert indexed(index) == by_walk(topology, services)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_components_come_after_all_that_depends_on_them(data: st.DataObject) -> None:
    topology = changed(data, packed(data.draw(estates())))
    found = Condensation.of(FailureGraph.of(topology))
    assert sorted(found.order.tolist()) == list(range(topology.size))
    members = [found.order[a:b].tolist() for a, b in zip(found.start[:-1], found.start[1:], strict=True)]
    of = {number: place for place, listed in enumerate(members) for number in listed}
    needs = carrying(topology)
    there = {frozenset(topology.known(i) for i in c) for c in nx.strongly_connected_components(needs)}
    assert there <= {frozenset(listed) for listed in members}
    assert all(of[topology.known(one)] <= of[topology.known(other)] for one, other in needs.edges)


def test_more_services_than_a_block_holds() -> None:
    """1,300 services in three blocks; every third needs one item, every fifth another, which needs the first."""
    names = [f"s{place:04d}" for place in range(1_300)]
    edges = [TopologyEdge("USES", name, "three") for name in names[::3]]
    edges += [TopologyEdge("USES", name, "five") for name in names[::5]]
    edges.append(TopologyEdge("USES", "five", "three"))
    topology = packed(built([*names, "three", "five"], edges))
    index = ServiceIndex.of(FailureGraph.of(topology), numbers(topology, names))
    found = indexed(index)
    assert found["five"] == set(names[::5])
    assert found["three"] == {*names[::3], *names[::5]}
    assert found["s0007"] == {"s0007"}


def test_without_services_nothing_is_touched() -> None:
    topology = packed(graph({"shop": ["db"]}))
    index = ServiceIndex.of(FailureGraph.of(topology), np.empty(0, np.int32))
    assert indexed(index) == {"shop": set(), "db": set()}


def test_following_takes_up_what_changed() -> None:
    topology = packed(graph({"shop": ["db"]}))
    before = ServiceIndex.of(FailureGraph.of(topology), numbers(topology, ["shop"]))
    item = TopologyItem("disk", "disk", "Server")
    later = topology.with_changes(2, put_items=[item], put_edges=[TopologyEdge("USES", "db", "disk")])
    after = before.following(before.graph.following(later), numbers(later, ["shop"]))
    assert after.revision == 2
    assert indexed(after)["disk"] == {"shop"}


def test_following_keeps_the_sets_where_only_facts_about_items_changed() -> None:
    topology = packed(graph({"shop": ["db"]}))
    before = ServiceIndex.of(FailureGraph.of(topology), numbers(topology, ["shop"]))
    item = TopologyItem("db", "renamed", "Server")
    later = topology.with_changes(2, put_items=[item])
    after = before.following(before.graph.following(later), numbers(later, ["shop"]))
    assert after.rows is before.rows
    assert after.revision == 2
    other = after.following(after.graph, numbers(later, ["db"]))
    assert indexed(other) == {"shop": set(), "db": {"db"}}


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_who_unites_sets_does_not_wait_for_those_that_are_never_found(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    topology = packed(graph({"shop": ["db"]}))
    graph_of = FailureGraph.of(topology)
    find = service_index.find_sets

    def failing(*given: Any) -> tuple[int, int]:  # noqa: ANN401 - arrays of all kinds
        if given[-3] == topology.size:  # the last portion
            raise MemoryError("no room")
        return find(*given)

    monkeypatch.setattr(service_index, "find_sets", failing)
    with pytest.raises(MemoryError, match="no room"):
        ServiceIndex.of(graph_of, numbers(topology, ["shop"]), threads=threads)
