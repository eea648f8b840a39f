"""Composition: changes that follow each other, as one, are the difference between the states at both ends."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import CmdbError
from cmdb.model.change_set import ChangeSet
from cmdb.model.composition import compose, compose_backwards
from cmdb.model.draft import EstateState
from cmdb.model.items import EdgeChange, EdgeFacts, EdgeKey, ItemChange
from cmdb.model.planning import plan_change_set
from cmdb.model.values import same_value
from tests.model_estates import CHANGE_SETS, NOW, SMALL, Snapshot, apply_changes, snapshot

KEY = EdgeKey("RUNS_ON", "a", "b")
HARD, SOFT = EdgeFacts(strength="hard"), EdgeFacts(strength="soft")


def play(change_sets: list[ChangeSet]) -> tuple[list[Snapshot], list[tuple[ItemChange, ...]]]:
    """The snapshots before, between and after the ChangeSets that hold, and what each changed."""
    state = EstateState(SMALL)
    snapshots, changes = [snapshot(state)], []
    for number, change_set in enumerate(change_sets, 1):
        try:
            plan = plan_change_set(state, change_set, revision=number, now=NOW)
        except CmdbError:
            continue
        snapshots.append(snapshot(state))
        changes.append(tuple(c for c in plan.changes if not c.item_id.startswith("catalogue:")))
    return snapshots, changes


@settings(max_examples=300, deadline=None)
@given(st.lists(CHANGE_SETS, max_size=12), st.data())
def test_the_composition_of_changes_is_the_difference_of_the_states(
    change_sets: list[ChangeSet], data: st.DataObject
) -> None:
    snapshots, changes = play(change_sets)
    start = data.draw(st.integers(0, len(changes)))
    end = data.draw(st.integers(start, len(changes)))
    between = [change for some in changes[start:end] for change in some]
    net = compose(between)
    assert apply_changes(snapshots[start], net.values()) == snapshots[end]
    assert apply_changes(snapshots[end], compose_backwards(between).values()) == snapshots[start]
    for change in net.values():
        assert (
            not change.before
            or not change.after
            or all(
                name not in change.after or not same_value(value, change.after[name])
                for name, value in change.before.items()
            )
        ), "a field that is as it was does not show"
        assert all(edge.before != edge.after for edge in change.edges)


@settings(deadline=None)
@given(st.lists(CHANGE_SETS, max_size=12), st.data())
def test_composing_in_parts_is_composing_the_whole(change_sets: list[ChangeSet], data: st.DataObject) -> None:
    _, changes = play(change_sets)
    flat = [change for some in changes for change in some]
    cut = data.draw(st.integers(0, len(flat)))
    parts = [*compose(flat[:cut]).values(), *compose(flat[cut:]).values()]
    assert {c.item_id: (c.before, c.after, c.edges) for c in compose(parts).values()} == {
        c.item_id: (c.before, c.after, c.edges) for c in compose(flat).values()
    }


@settings(deadline=None)
@given(st.lists(CHANGE_SETS, max_size=8))
def test_reversing_twice_changes_nothing_but_what_names_an_item(change_sets: list[ChangeSet]) -> None:
    for change in (change for some in play(change_sets)[1] for change in some):
        back = change.reversed()
        assert back.reversed().before == change.before
        assert back.reversed().edges == change.edges
        assert {change.kind, back.kind} in ({"created", "deleted"}, {"updated"})


def test_what_is_made_and_unmade_does_not_show() -> None:
    made = ItemChange("a", "Tool", "a", None, {"name": "a"})
    assert compose([made, made.reversed()]) == {}
    drawn = ItemChange("a", "Tool", "a", {}, {}, (EdgeChange(KEY, None, HARD),))
    assert compose([drawn, drawn.reversed()]) == {}


def test_an_edge_changed_twice_shows_its_ends() -> None:
    first = ItemChange("a", "Tool", "a", {}, {}, (EdgeChange(KEY, None, HARD),))
    second = ItemChange("a", "Tool", "a", {}, {}, (EdgeChange(KEY, HARD, SOFT),))
    assert compose([first, second])["a"].edges == (EdgeChange(KEY, None, SOFT),)


def test_a_type_that_changes_is_a_change() -> None:
    one = ItemChange("a", "Tool", "a", {"n": 1}, {"n": "x"})
    two = ItemChange("a", "Tool", "a", {"n": "x"}, {"n": 1.0})
    assert compose([one, two])["a"].after == {"n": 1.0}
    assert compose([one, ItemChange("a", "Tool", "a", {"n": "x"}, {"n": True})])["a"].before == {"n": 1}


def test_deleted_and_made_anew_is_an_update_of_what_differs() -> None:
    deleted = ItemChange("a", "Tool", "old", {"name": "old", "size": 1, "kept": 2}, None)
    made = ItemChange("a", "Tool", "new", None, {"name": "new", "kept": 2})
    net = compose([deleted, made])["a"]
    assert (net.before, net.after) == ({"name": "old", "size": 1}, {"name": "new"})


def test_a_reversed_change_is_named_as_the_item_was_before() -> None:
    change = ItemChange(
        "a", "Guest", "new", {"name": "old", "class": "Host"}, {"name": "new", "class": "Guest"}
    )
    assert (change.reversed().name, change.reversed().class_name) == ("old", "Host")
