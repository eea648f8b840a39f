"""The immutable graph: adjacency, order, structural sharing, and that changing is the same as building anew."""

from __future__ import annotations

import tracemalloc
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmdb.errors import InvalidValue, NotFound
from cmdb.model.topology import PlainTopology, TopologyEdge, TopologyItem, members_needed
from tests.estates import built
from tests.topologies import CLUSTER_OF_CLUSTERS, PAIR


@pytest.mark.parametrize(
    ("required", "members", "needed"),
    [
        (2, 3, 2),
        (0, 3, 0),
        (None, 3, 3),
        ("50%", 3, 2),
        ("50%", 4, 2),
        ("0%", 4, 0),
        ("100%", 7, 7),
        ("33.4%", 3, 2),
        ("33.333333333%", 3, 1),
        ("14%", 50, 7),  # in floating point 0.14 * 50 is a little more than 7, which would round up to 8
        (5, 3, 3),
    ],
)
def test_required_is_a_count_or_a_percentage_rounded_up(
    required: int | str | None, members: int, needed: int
) -> None:
    assert members_needed(required, members) == needed


@pytest.mark.parametrize(
    "required", ["101%", "-5%", "50", "half", "", "%", "5 %", "٥٠%", "1e2%", -1, True, "nan%"]
)
def test_anything_else_as_required_is_refused_and_named(required: int | str) -> None:
    with pytest.raises(InvalidValue, match=r"give a count \(2\) or a percentage of the members") as refusal:
        members_needed(required, 4)
    assert repr(required) in str(refusal.value)


def test_edges_are_found_from_both_ends_in_order() -> None:
    topology = CLUSTER_OF_CLUSTERS.topology
    assert [edge.target for edge in topology.dependencies_of("platform")] == ["north", "south"]
    assert [edge.source for edge in topology.dependents_of("north")] == ["platform"]
    assert (
        topology.dependents_of("app")
        == topology.dependencies_of("n1")
        == topology.dependencies_of("nobody")
        == ()
    )
    assert topology.edge_count == len(list(topology.edges())) == 9


def test_an_edge_is_one_of_its_type_source_target_and_group() -> None:
    edges = [
        TopologyEdge("USES", "a", "b"),
        TopologyEdge("USES", "a", "b", "g"),
        TopologyEdge("USES", "a", "b", ""),
        TopologyEdge("RUNS_ON", "a", "b"),
        TopologyEdge("USES", "a", "b", "g", 1, "soft", "observed"),
    ]
    assert list(built("ab", edges).edges()) == [edges[3], edges[0], edges[2], edges[4]]


def test_a_topology_cannot_be_changed() -> None:
    topology = PAIR.topology
    with pytest.raises(FrozenInstanceError):
        topology.revision = 2  # type: ignore[misc]
    with pytest.raises(TypeError):
        topology.items["x"] = TopologyItem("x", "x", "Server")  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        topology.items["shop"].name = "x"  # type: ignore[misc]


def test_the_next_topology_leaves_this_one_as_it_was() -> None:
    before = PAIR.topology
    kept = PlainTopology.build(1, before.items.values(), before.edges())
    after = before.with_changes(
        2,
        put_items=[TopologyItem("web-3", "web-3", "Server"), TopologyItem("shop", "new shop", "Application")],
        delete_items=["host-2"],
        put_edges=[TopologyEdge("DEPENDS_ON", "shop", "web-3", "g0", 1)],
        delete_edges=[("DEPENDS_ON", "kiosk", "shop", None)],
    )
    assert before == kept
    assert after.revision == 2
    assert after.items["shop"].name == "new shop"
    assert [edge.target for edge in after.dependencies_of("shop")] == ["web-1", "web-2", "web-3"]
    assert after.dependents_of("shop") == after.dependencies_of("web-2") == ()
    assert after.dependents_of("host-1") is before.dependents_of("host-1")


def test_an_item_takes_its_edges_with_it_on_both_sides() -> None:
    after = PAIR.topology.with_changes(2, delete_items=["shop"])
    assert (
        after.dependencies_of("kiosk") == after.dependents_of("web-1") == after.dependents_of("web-2") == ()
    )
    assert after.edge_count == 2


def test_what_is_deleted_and_put_starts_without_its_old_edges() -> None:
    after = PAIR.topology.with_changes(
        2, delete_items=["web-1"], put_items=[TopologyItem("web-1", "web-1", "VirtualMachine")]
    )
    assert after.items["web-1"].class_name == "VirtualMachine"
    assert after.dependencies_of("web-1") == after.dependents_of("web-1") == ()


def test_deleting_what_is_not_there_changes_nothing() -> None:
    after = PAIR.topology.with_changes(
        1,
        delete_items=["nobody"],
        delete_edges=[("USES", "shop", "web-1", None), ("USES", "no", "body", "g")],
    )
    assert after == PAIR.topology


@pytest.mark.parametrize(("source", "target"), [("a", "nobody"), ("nobody", "a")])
def test_an_edge_needs_both_its_ends(source: str, target: str) -> None:
    with pytest.raises(NotFound, match=f"no item 'nobody'; edge USES from {source} to {target} ends there"):
        built("a", [TopologyEdge("USES", source, target)])


edges_of_four = st.builds(
    TopologyEdge,
    type=st.sampled_from(["USES", "RUNS_ON"]),
    source=st.sampled_from("abcd"),
    target=st.sampled_from("abcd"),
    group=st.sampled_from([None, "g"]),
    required=st.sampled_from([None, 1]),
)


@given(
    before=st.lists(edges_of_four, max_size=12),
    put=st.lists(edges_of_four, max_size=6),
    deleted_edges=st.lists(edges_of_four.map(lambda edge: edge.key), max_size=6),
    deleted_items=st.sets(st.sampled_from("abcd")),
)
def test_changing_is_the_same_as_building_anew(
    before: list[TopologyEdge],
    put: list[TopologyEdge],
    deleted_edges: list[tuple[str, str, str, str | None]],
    deleted_items: set[str],
) -> None:
    items = {name: TopologyItem(name, name, "Server") for name in "abcd"}
    edges = {edge.key: edge for edge in before}
    for key in deleted_edges:
        edges.pop(key, None)
    edges = {key: e for key, e in edges.items() if not {e.source, e.target} & deleted_items}
    for edge in put:
        edges[edge.key] = edge
    back = [items[name] for name in deleted_items]
    changed = built("abcd", before).with_changes(
        1, put_items=back, delete_items=deleted_items, put_edges=put, delete_edges=deleted_edges
    )
    assert changed == PlainTopology.build(1, items.values(), edges.values())


def test_memory_stays_lean() -> None:
    """250 MB for 65,000 items and 280,000 edges, measured on a tenth; every id comes as a new string."""
    ids = "0193f2a0-0000-7000-8000-{:012d}".format
    tracemalloc.start()
    try:
        topology = PlainTopology.build(
            1,
            (TopologyItem(ids(i), f"ci-{i}", "Server", "compute", "live") for i in range(6_500)),
            (
                TopologyEdge(
                    "DEPENDS_ON",
                    ids(i % 6_500),
                    ids(i * 7919 % 6_500),
                    f"group {i}" if i % 10 == 0 else str(i % 7),
                )
                for i in range(28_000)
            ),
        )
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert topology.edge_count == 28_000
    assert used < 25e6
