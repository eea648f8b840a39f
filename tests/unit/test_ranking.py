"""What the failure of each item alone takes down, against the plain implementation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.columns import Int32s
from cmdb.model.packed_columns import Kind
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import PlainTopology, TopologyEdge
from impact import ranking
from impact.failure_graph import FailureGraph
from impact.failure_kernels import Marks
from impact.gates import Carrying
from impact.propagation import simulate_failure
from impact.ranking import Ranking
from tests.estates import built, estates
from tests.topologies import PAIR, Need, gate, graph

SERVICE = "BusinessService"


def is_service(kind: Kind) -> bool:
    return kind.class_name == SERVICE


def services_of(topology: PackedTopology) -> Marks:
    return topology.flags(np.arange(topology.size, dtype=np.int32), is_service).astype(np.uint8)


def packed(topology: PlainTopology) -> PackedTopology:
    return PackedTopology.build(topology.revision, topology.items.values(), topology.edges())


def ranked(topology: PackedTopology, carrying: Carrying | None = None) -> Ranking:
    return Ranking.of(FailureGraph.of(topology, carrying), services_of(topology))


def figures(found: Ranking) -> dict[str, tuple[int, int]]:
    """By id, the items and services that go down."""
    topology = found.graph.topology
    numbers = {item: topology.known(item) for item in topology.items}
    return {item: (int(found.items[n]), int(found.services[n])) for item, n in numbers.items()}


def by_plain(topology: PlainTopology) -> dict[str, tuple[int, int]]:
    found = {}
    for item in topology.items:
        down = simulate_failure(topology, {item}).down
        found[item] = (len(down), sum(topology.items[i].class_name == SERVICE for i in down))
    return found


def names(found: Ranking, numbers: Int32s) -> list[str]:
    return [found.graph.topology.id_of(number) for number in numbers.tolist()]


@st.composite
def estates_with_services(draw: st.DrawFn) -> PlainTopology:
    """Small estates some of whose items are services."""
    topology = draw(estates())
    services = draw(st.sets(st.sampled_from(sorted(topology.items))))
    items = [
        replace(item, class_name=SERVICE) if item.id in services else item for item in topology.items.values()
    ]
    return PlainTopology.build(1, items, topology.edges())


@settings(max_examples=300, deadline=None)
@given(estates_with_services())
def test_counts_are_those_of_the_plain_implementation(topology: PlainTopology) -> None:
    assert figures(ranked(packed(topology))) == by_plain(topology)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=10, max_size=10), st.sets(st.integers(0, 9), max_size=3))
def test_what_hangs_in_trees_and_circles_is_counted_as_if_it_were_walked(
    above: list[int], doubled: set[int]
) -> None:
    """Each item is needed by one other, itself at times; a few by a second one, which makes them roots."""
    edges = [TopologyEdge("USES", f"n{top}", f"n{item}") for item, top in enumerate(above)]
    edges += [TopologyEdge("USES", f"n{(item + 3) % 10}", f"n{item}") for item in doubled]
    topology = built([f"n{item}" for item in range(10)], edges)
    assert figures(ranked(packed(topology))) == by_plain(topology)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_following_changes_is_as_good_as_counting_anew(data: st.DataObject) -> None:
    """Items and edges come and go, some become services; now and then the topology gets a new base."""
    plain = data.draw(estates_with_services())
    fast = packed(plain)
    graph_ = FailureGraph.of(fast)
    found = Ranking.of(graph_, services_of(fast))
    for revision in range(2, 6):
        other = data.draw(estates_with_services())
        step = {
            "put_items": [
                i for i in other.items.values() if i.id not in plain.items or data.draw(st.booleans())
            ],
            "delete_items": [i for i in plain.items if i not in other.items and data.draw(st.booleans())],
            "put_edges": [e for e in other.edges() if data.draw(st.booleans())],
            "delete_edges": [e.key for e in plain.edges() if data.draw(st.booleans())],
        }
        plain = plain.with_changes(revision, **step)  # type: ignore[arg-type]
        fast = fast.with_changes(revision, **step)  # type: ignore[arg-type]
        if data.draw(st.integers(0, 4)) == 0:
            fast = fast.compacted()
        graph_ = graph_.following(fast)
        if data.draw(st.integers(0, 3)):  # else it is skipped, and the next step follows two changes at once
            found = found.following(graph_, services_of(fast), few=1.0)
            assert found.revision == revision
            assert figures(found) == by_plain(plain)


def test_following_counts_only_what_can_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    before = packed(graph({"shop": ["db"], "db": ["disk"], "mail": ["relay"]}))
    after = before.with_changes(2, put_edges=[TopologyEdge("USES", "mail", "disk")])
    found = ranked(before)
    counted: list[str] = []

    def count(graph: FailureGraph, nodes: Int32s, *rest: object) -> None:
        counted.extend(graph.topology.id_of(number) for number in nodes.tolist())

    monkeypatch.setattr(ranking, "_count", count)
    found.following(found.graph.following(after), services_of(after), few=1.0)
    assert sorted(counted) == ["disk", "mail", "relay"]


def test_only_edges_of_the_question_count() -> None:
    topology = packed(graph({"shop": ["db"], "db": ["disk"]}))
    assert set(figures(ranked(topology, Carrying(relationship_types=frozenset({"USES"})))).values()) == {
        (1, 0)
    }


def test_the_order_is_by_one_count_then_by_the_other_then_by_id() -> None:
    needs: dict[str, list[str | Need]] = {
        "s": ["x"],
        "t": ["x"],
        "b": ["y"],
        "c": ["y"],
        "d": ["y"],
        "a": [gate(1, "x", "y")],
    }
    found = ranked(packed(graph(needs, classes={"s": SERVICE, "t": SERVICE})))
    by_items, count = found.top(4)
    assert (names(found, by_items), count) == (["y", "x", "s", "t"], 8)
    by_services, _ = found.top(4, by="services")
    assert names(found, by_services) == ["x", "s", "t", "y"]
    assert names(found, found.top(2, 4)[0]) == ["a", "b"]


def test_a_page_of_some_kinds_and_the_rank_among_all() -> None:
    found = ranked(packed(graph({"s": ["x"], "t": ["x"], "u": ["t"]}, classes={"s": SERVICE, "t": SERVICE})))
    page, count = found.top(10, wanted=is_service)
    assert (names(found, page), count) == (["t", "s"], 2)
    number = found.graph.topology.known
    assert [found.rank_of(number(item)) for item in "xtsu"] == [1, 2, 3, 4]
    assert found.rank_of(number("u"), by="services") == 4


def test_new_items_stand_in_the_order_of_ids_and_gone_ones_in_none() -> None:
    before = packed(PAIR.topology)
    items = [replace(PAIR.topology.items["shop"], id=name, name=name) for name in ("aaa", "m", "zzz")]
    after = before.with_changes(2, put_items=items, delete_items=["shop", "kiosk", "host-1", "host-2"])
    assert names(ranked(after), ranked(after).order("items")) == ["aaa", "m", "web-1", "web-2", "zzz"]
