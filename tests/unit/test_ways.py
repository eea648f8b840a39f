from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem
from impact.engine import Engine
from impact.propagation import simulate_failure
from tests.estates import estates


def as_services(plain: PlainTopology, names: str) -> tuple[list[TopologyItem], list[TopologyEdge]]:
    """The same estate, some of whose items are services."""
    items = [
        TopologyItem(name, name, "BusinessService" if name in names else "Server") for name in plain.items
    ]
    return items, list(plain.edges())


@settings(deadline=None)
@given(estates(), st.sets(st.sampled_from("abcdefg")), st.booleans(), st.data())
def test_every_service_has_a_shortest_way_to_the_item(
    plain: PlainTopology, services: set[str], overlaid: bool, data: st.DataObject
) -> None:
    items, edges = as_services(plain, "".join(services))
    topology = PackedTopology.build(1, items, [] if overlaid else edges)
    if overlaid:
        topology = topology.with_changes(2, put_edges=edges)
    item = data.draw(st.sampled_from(sorted(plain.items)))
    number = topology.known(item)
    ways = Engine().ways_to(topology, number)
    reached = simulate_failure(plain, {item}).distances
    assert {
        topology.id_of(n): d for n, d in zip(ways.nodes.tolist(), ways.distances.tolist(), strict=True)
    } == (reached)
    asked = [topology.known(name) for name in reached if name in services]
    found = dict(zip(map(topology.id_of, asked), ways.of(np.array(asked, np.int32)), strict=True))
    assert {name: len(way) - 1 for name, way in found.items()} == {
        name: hops for name, hops in reached.items() if name in services
    }
    carrying = {(edge.source, edge.target) for edge in edges if edge.strength is not None}
    for name, way in found.items():
        ids = [topology.id_of(n) for n in way]
        assert (ids[0], ids[-1]) == (name, item)
        assert set(itertools.pairwise(ids)) <= carrying


def test_a_chain_longer_than_the_levels_that_are_kept_has_its_distance() -> None:
    names = [f"n{place}" for place in range(400)]
    items = [TopologyItem(name, name, "Server") for name in names[:-1]]
    items.append(TopologyItem(names[-1], names[-1], "BusinessService"))
    edges = [TopologyEdge("USES", above, below) for below, above in itertools.pairwise(names)]
    topology = PackedTopology.build(1, items, edges)
    ways = Engine().ways_to(topology, topology.known("n1"))
    assert ways.distances.tolist() == [*range(399)]
    [way] = ways.of(np.array([topology.known("n399")], np.int32))
    assert [topology.id_of(n) for n in way] == names[:0:-1]
    with pytest.raises(KeyError):
        ways.of(np.array([topology.known("n0")], np.int32))
