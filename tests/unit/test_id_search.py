"""Ids are found as the topology finds them, whatever they look like and whatever has become of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyItem
from impact.id_search import UNKNOWN, numbers_of

UUIDS = st.uuids(allow_nil=True).map(str)
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6)
ANYTHING = UUIDS | WORDS | st.just("") | st.just("a" * 40) | st.just("\0") | UUIDS.map(str.upper)
NIL = "00000000-0000-0000-0000-000000000000"


def items(ids: set[str]) -> list[TopologyItem]:
    return [TopologyItem(item_id, "name", "Server") for item_id in sorted(ids)]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_as_the_topology_finds_them(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([UUIDS, WORDS]))
    ids, new = data.draw(st.sets(kind, max_size=12)), data.draw(st.sets(kind, max_size=4))
    topology = PackedTopology.build(1, items(ids), [])
    some = st.sets(st.sampled_from(sorted(ids | new))) if ids | new else st.just(set())
    gone, back = data.draw(some), data.draw(some)
    topology = topology.with_changes(2, put_items=items(new))
    topology = topology.with_changes(3, delete_items=gone).with_changes(4, put_items=items(back))
    asked = sorted(ids | new | data.draw(st.sets(ANYTHING, max_size=6)))
    numbers, unknown = numbers_of(topology, asked)
    expected = [topology.number_of(item_id) for item_id in asked]
    assert numbers.tolist() == [UNKNOWN if number is None else number for number in expected]
    assert unknown == [item_id for item_id, number in zip(asked, expected, strict=True) if number is None]


def test_what_no_column_can_hold_is_not_taken_for_the_id_of_zeros() -> None:
    topology = PackedTopology.build(1, items({NIL, "6f1c1f9e-8a55-4c2e-9a0c-6b1f5a1b7f10"}), [])
    numbers, unknown = numbers_of(topology, ["", NIL, "no uuid"])
    assert unknown == ["", "no uuid"]
    assert numbers[1] == topology.number_of(NIL) is not None
