"""The ledger's written form: what is stored comes back, and a hash stands for every part of it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import CmdbError
from cmdb.model.change_set import ChangeSet
from cmdb.model.draft import EstateState
from cmdb.model.items import EdgeChange, EdgeFacts, EdgeKey, ItemChange, new_id
from cmdb.model.planning import plan_change_set
from cmdb.store.ledger import (
    GENESIS,
    RevisionRecord,
    StoredChange,
    restore_change,
    revision_hash,
    store_change,
)
from tests.model_estates import CHANGE_SETS, NOW, SMALL

HEADER = RevisionRecord(3, NOW, "alice", "scan", "r1", "a message", "CHG-1", 2, GENESIS, "")
KEY = EdgeKey("RUNS_ON", "a", "b", "g")
CHANGES = (
    StoredChange("a", "Tool", "a", None, '{"name":"a"}', None),
    StoredChange("b", "Tool", "b", "{}", "{}", '[{"type":"RUNS_ON"}]'),
)

STORED = (
    st.text(max_size=5) | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
STORED_FIELDS = st.none() | st.dictionaries(
    st.text(max_size=5), STORED | st.booleans() | st.lists(st.text(max_size=3))
)
EDGE_FACTS = st.none() | st.builds(
    EdgeFacts,
    st.none() | st.just("50%"),
    st.none() | st.just("soft"),
    st.sampled_from(["declared", "observed"]),
)
ITEM_CHANGES = st.builds(
    ItemChange,
    st.just("a"),
    st.text(max_size=5),
    st.text(max_size=5),
    STORED_FIELDS,
    STORED_FIELDS,
    st.lists(st.builds(EdgeChange, st.just(KEY), EDGE_FACTS, EDGE_FACTS), max_size=3).map(tuple),
)


@settings(deadline=None)
@given(ITEM_CHANGES)
def test_what_is_stored_comes_back_to_the_last_type(change: ItemChange) -> None:
    stored = StoredChange.from_properties("a", store_change(change).properties())
    back = restore_change(stored)
    assert back == change
    for before, after in ((back.before, change.before), (back.after, change.after)):
        types = [{name: type(value) for name, value in (fields or {}).items()} for fields in (before, after)]
        assert types[0] == types[1]


@settings(deadline=None)
@given(CHANGE_SETS)
def test_every_plan_can_be_written_down(change_set: ChangeSet) -> None:
    try:
        plan = plan_change_set(EstateState(SMALL), change_set, revision=1, now=NOW)
    except CmdbError:  # what cannot be planned is not written
        return
    assert tuple(restore_change(store_change(change)) for change in plan.changes) == plan.changes


def test_a_header_comes_back() -> None:
    assert RevisionRecord.from_properties(HEADER.properties()) == HEADER
    with pytest.raises(KeyError):
        RevisionRecord.from_properties({"number": 1})


@pytest.mark.parametrize("name", [f.name for f in fields(RevisionRecord) if f.name != "hash"])
def test_the_hash_stands_for_every_part_of_the_header(name: str) -> None:
    value = getattr(HEADER, name)
    changed = {**HEADER.properties(), name: value + 1 if isinstance(value, int) else value + "x"}
    assert revision_hash(changed, CHANGES) != revision_hash(HEADER.properties(), CHANGES)


def test_the_hash_does_not_stand_for_itself() -> None:
    assert revision_hash(replace(HEADER, hash="x").properties(), CHANGES) == revision_hash(
        HEADER.properties(), CHANGES
    )


@pytest.mark.parametrize("name", [f.name for f in fields(StoredChange)])
def test_the_hash_stands_for_every_part_of_every_change(name: str) -> None:
    honest = revision_hash(HEADER.properties(), CHANGES)
    for index, change in enumerate(CHANGES):
        changed = replace(change, **{name: (getattr(change, name) or "") + "x"})
        others = [changed if i == index else other for i, other in enumerate(CHANGES)]
        assert revision_hash(HEADER.properties(), others) != honest


def test_the_hash_stands_for_number_and_order_of_changes() -> None:
    header = HEADER.properties()
    ways = [CHANGES, CHANGES[::-1], CHANGES[:1], (*CHANGES, CHANGES[1]), ()]
    assert len({revision_hash(header, way) for way in ways}) == len(ways)


def test_nothing_and_an_empty_text_are_not_the_same() -> None:
    header = HEADER.properties()
    absent = StoredChange("a", "Tool", "a", None, "{}", None)
    assert revision_hash(header, [absent]) != revision_hash(header, [replace(absent, before="")])
    assert revision_hash(header, [replace(absent, before="x", after="")]) != revision_hash(
        header, [replace(absent, before="", after="x")]
    )


def test_the_hash_is_the_same_on_every_machine() -> None:
    """Changing this breaks every ledger there is."""
    known = "65c51a85c1ee7acd1746c5f7939a84d4e7680b1a9cb9973462e0afb5fdc3b7b3"
    assert revision_hash(HEADER.properties(), CHANGES) == known


def test_ids_are_version_7_and_sort_as_they_are_made() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert all(len(i) == 36 and i[14] == "7" and i[19] in "89ab" for i in ids)
    assert [i[:13] for i in ids] == sorted(i[:13] for i in ids)
