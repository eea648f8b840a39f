"""Planning: what holds of every ChangeSet, and each rule of the catalogue by an example."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import CmdbError, IdentityTaken, StaleVersion, ValidationFailed
from cmdb.model.change_set import (
    Authorship,
    ChangeSet,
    DeleteEdge,
    DeleteItem,
    Operation,
    PutEdge,
    PutEntries,
    PutItem,
    check_change_set,
)
from cmdb.model.draft import EstateState
from cmdb.model.identity import rule_keys
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.model.planning import Plan, plan_change_set
from cmdb.model.undoing import take_back
from tests.model_estates import CHANGE_SETS, ENTRIES, NOW, SMALL, apply_changes, snapshot

LATER = "2026-11-24T10:00:00.000000Z"


class Estate:
    """A whole estate in memory, changed by planning alone."""

    def __init__(self) -> None:
        self.state = EstateState(SMALL)
        self.head = 0

    def apply(
        self,
        *operations: Operation,
        expected: Mapping[str, int] | None = None,
        keys: Mapping[str, tuple[str, ...]] | None = None,
        correction: bool = False,
    ) -> Plan:
        change_set = ChangeSet(operations, expected=expected or {}, keys=keys or {})
        plan = plan_change_set(self.state, change_set, revision=self.head + 1, now=NOW, correction=correction)
        self.head += bool(plan.changes)
        return plan

    def problems(self, *operations: Operation, **options: Any) -> dict[str, str]:  # noqa: ANN401 - as for apply
        with pytest.raises(ValidationFailed) as failed:
            self.apply(*operations, **options)
        return {problem.where: problem.code for problem in failed.value.problems}


@pytest.fixture
def estate() -> Estate:
    return Estate()


def machine(item_id: str = "m", **fields: Any) -> PutItem:  # noqa: ANN401 - raw values
    return PutItem(item_id, {"name": item_id, **fields}, "Machine")


def tool(item_id: str = "t", **fields: Any) -> PutItem:  # noqa: ANN401 - raw values
    return PutItem(item_id, {"name": item_id, **fields}, "Tool")


def edge(kind: str, source: str, target: str, group: str = "", **facts: str) -> PutEdge:
    return PutEdge(EdgeKey(kind, source, target, group), EdgeFacts(**facts))


# --- what holds of every ChangeSet ------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.lists(CHANGE_SETS, max_size=12))
def test_a_plan_is_what_it_says_and_one_that_fails_leaves_no_trace(change_sets: list[ChangeSet]) -> None:
    state = EstateState(SMALL)
    for number, change_set in enumerate(change_sets, 1):
        before, copy = snapshot(state), state.copy()
        try:
            plan = plan_change_set(state, change_set, revision=number, now=NOW)
        except CmdbError:
            assert state == copy
            continue
        assert apply_changes(before, plan.changes) == snapshot(state)
        touched = {change.item_id for change in plan.changes}
        for item in state.items.values():
            assert (item.version == number) is (item.id in touched)
        for edges in state.edges.values():
            for key, found in edges.items():
                changed = any(key == e.key for c in plan.changes for e in c.edges)
                assert (found.version == number) is changed
        again = plan_change_set(state.copy(), change_set_again(change_set), revision=number + 1, now=NOW)
        assert not again.changes, "what is so already makes no change"


def change_set_again(change_set: ChangeSet) -> ChangeSet:
    """The puts of a ChangeSet whose items and edges it does not delete itself."""
    gone = {o.id for o in change_set.operations if isinstance(o, DeleteItem)}
    last: dict[object, Operation] = {}
    for operation in change_set.operations:
        if isinstance(operation, PutItem) and operation.id not in gone:
            earlier = last.get(operation.id)
            fields = {**(earlier.fields if isinstance(earlier, PutItem) else {}), **operation.fields}
            class_name = operation.class_name or (
                earlier.class_name if isinstance(earlier, PutItem) else None
            )
            last[operation.id] = PutItem(operation.id, fields, class_name)
        elif isinstance(operation, PutEdge) and not {operation.key.source, operation.key.target} & gone:
            last[operation.key] = operation
        elif isinstance(operation, PutEntries):
            for name, raw in operation.entries.items():
                last[name] = PutEntries({name: raw})
    return ChangeSet(tuple(last.values()))


@settings(max_examples=200, deadline=None)
@given(st.lists(CHANGE_SETS, max_size=12))
def test_keys_have_one_holder_who_is_there_and_has_them(change_sets: list[ChangeSet]) -> None:
    state = EstateState(SMALL)
    for number, change_set in enumerate(change_sets, 1):
        try:
            plan_change_set(state, change_set, revision=number, now=NOW)
        except CmdbError:
            continue
        held = {(key, holder) for key, holder in state.holders.items() if holder is not None}
        assert held == {(key, item) for item, keys in state.held.items() for key in keys}
        for key, holder in held:
            item = state.items[holder]
            assert key in rule_keys(
                state.catalogue, item.class_name, item.fields, state.edges.get(holder, {})
            )
        badges = [item.attributes["badge"] for item in state.items.values() if "badge" in item.attributes]
        assert len(badges) == len(set(badges)), "what is unique is unique, whatever else tells two apart"


@settings(max_examples=300, deadline=None)
@given(st.lists(CHANGE_SETS, min_size=1, max_size=10), st.data())
def test_undoing_the_last_revision_brings_the_state_before_it_back(
    change_sets: list[ChangeSet], data: st.DataObject
) -> None:
    state = EstateState(SMALL)
    for number, change_set in enumerate(change_sets, 1):
        before = snapshot(state)
        try:
            plan = plan_change_set(state, change_set, revision=number, now=NOW)
        except CmdbError:
            continue
        if not plan.changes or not data.draw(st.booleans()):
            continue
        after, entries = snapshot(state), dict(state.catalogue.entries)
        undo = take_back(number, plan.changes, state.catalogue)
        check_change_set(undo, Authorship("alice"))
        undone = plan_change_set(state, undo, revision=number + 100, now=LATER, correction=True)
        assert snapshot(state) == before
        redo = take_back(number + 100, undone.changes, state.catalogue)
        plan_change_set(state, redo, revision=number, now=NOW, correction=True)
        assert snapshot(state) == after
        assert state.catalogue.entries == entries


@settings(max_examples=200, deadline=None)
@given(CHANGE_SETS)
def test_every_problem_can_be_told(change_set: ChangeSet) -> None:
    try:
        plan_change_set(EstateState(SMALL), change_set, revision=1, now=NOW)
    except ValidationFailed as error:
        for problem in error.problems:
            assert problem.where, problem
            assert problem.code.isupper(), problem


# --- items ------------------------------------------------------------------------------------------------------------


def test_a_new_item_gets_defaults_its_first_state_and_computed_values(estate: Estate) -> None:
    [change] = estate.apply(machine()).changes
    assert change.after == {"class": "Machine", "name": "m", "lifecycle": "new", "cores": 2, "double": 4}
    estate.apply(machine("n", cores=None, lifecycle="open"))
    assert estate.state.items["n"].fields == {"class": "Machine", "name": "n", "lifecycle": "open"}


def test_a_computed_value_follows_what_it_is_computed_from_and_cannot_be_set(estate: Estate) -> None:
    estate.apply(machine())
    [change] = estate.apply(PutItem("m", {"cores": 5})).changes
    assert change.after == {"cores": 5, "double": 10}
    estate.apply(PutItem("m", {"cores": None}))
    assert "double" not in estate.state.items["m"].attributes
    assert estate.problems(PutItem("m", {"double": 3})) == {"operations[0].attributes.double": "COMPUTED"}
    assert estate.problems(PutItem("m", {"cores": 2**62})) == {
        "operations[0].attributes.double": "INVALID_VALUE"
    }


def test_all_problems_are_told_at_once_each_in_its_place(estate: Estate) -> None:
    estate.apply(machine())
    assert estate.problems(
        PutItem("m", {"lifecycle": "done", "cores": "many", "nonsense": 1, "name": " "}),
        PutItem("x", {}, "Guest"),
        PutItem("y", {"name": "y"}, "Item"),
        PutItem("z", {"name": "z"}, "Unheard"),
        PutItem("gone", {"name": "z"}),
        PutItem("m", {}, "Machine", "create"),
        DeleteItem("gone"),
        DeleteEdge(EdgeKey("RUNS_ON", "m", "m")),
        edge("RUNS_ON", "m", "m", "", required="2"),
        edge("BELOW", "m", "m"),
        edge("LEADS", "m", "gone"),
    ) == {
        "operations[0].lifecycle": "FORBIDDEN_TRANSITION",
        "operations[0].attributes.cores": "INVALID_VALUE",
        "operations[0].attributes.nonsense": "UNKNOWN_ATTRIBUTE",
        "operations[0].name": "REQUIRED",
        "operations[1].name": "REQUIRED",
        "operations[1].attributes.owner": "REQUIRED",
        "operations[2].class": "UNKNOWN_CLASS",
        "operations[3].class": "UNKNOWN_CLASS",
        "operations[4].id": "NOT_FOUND",
        "operations[5].id": "EXISTS",
        "operations[6].id": "NOT_FOUND",
        "operations[7]": "NOT_FOUND",
        "operations[8]": "EDGE_NOT_ALLOWED",
        "operations[8].required": "INVALID_VALUE",
        "operations[9].type": "UNKNOWN_TYPE",
        "operations[10].to": "NOT_FOUND",
    }


def test_problems_about_hostile_names_can_be_sent_to_anybody(estate: Estate) -> None:
    with pytest.raises(ValidationFailed) as failed:
        estate.apply(
            PutItem("x", {"\ud800" * 100_000: 1, "name": "\ud800"}, "Machine"),
            PutItem("y", {}, "`\\u0060" * 9_999),
        )
    for problem in failed.value.problems:
        problem.where.encode()
        problem.message.encode()
        assert len(problem.where) + len(problem.message) < 4_000


def test_a_transition_must_be_allowed_but_for_a_correction(estate: Estate) -> None:
    estate.apply(machine(lifecycle="open"))
    with pytest.raises(ValidationFailed, match="open -> new is not allowed; allowed: done"):
        estate.apply(PutItem("m", {"lifecycle": "new"}))
    estate.apply(PutItem("m", {"lifecycle": "done"}))
    with pytest.raises(ValidationFailed, match="none: it is final"):
        estate.apply(PutItem("m", {"lifecycle": "open"}))
    with pytest.raises(ValidationFailed, match="may start as new, open, not as done"):
        estate.apply(machine("n", lifecycle="done"))
    estate.apply(PutItem("m", {"lifecycle": "new"}), correction=True)
    assert estate.state.items["m"].lifecycle == "new"


# --- classes ----------------------------------------------------------------------------------------------------------


def test_reclassification_keeps_id_edges_and_keys(estate: Estate) -> None:
    estate.apply(
        PutItem("h", {"name": "h", "serial": "s1"}, "Host"),
        tool(),
        edge("RUNS_ON", "t", "h"),
        keys={"h": ("@scan/1",)},
    )
    [change] = estate.apply(PutItem("h", {"weight": 3}, "Machine")).changes
    assert (change.before, change.after) == ({"class": "Host"}, {"class": "Machine", "weight": 3})
    assert estate.state.held["h"] == {"Host(serial)=s1", "Host(name)=h", "@scan/1"}
    assert estate.state.items["h"].created_at == NOW


def test_reclassification_brings_values_into_the_form_of_the_new_class_or_is_refused(estate: Estate) -> None:
    estate.apply(machine(weight=7))
    estate.apply(PutItem("m", {"owner": "ada@example.org"}, "Guest"))
    assert estate.state.items["m"].attributes["weight"] == "7"
    estate.apply(PutItem("m", {"weight": "heavy"}))
    assert estate.problems(PutItem("m", {"owner": None}, "Machine")) == {
        "operations[0].attributes.weight": "INVALID_VALUE"
    }
    assert estate.problems(PutItem("m", {"weight": None}, "Machine")) == {
        "operations[0].attributes.owner": "UNKNOWN_ATTRIBUTE"
    }
    estate.apply(PutItem("m", {"weight": None, "owner": None}, "Machine"))


@pytest.mark.parametrize("way", [("RUNS_ON", "m", "h"), ("RUNS_ON", "t", "m"), ("OWNED_BY", "h", "t")])
def test_reclassification_cannot_leave_edges_behind_that_are_not_allowed(
    estate: Estate, way: tuple[str, str, str]
) -> None:
    guest = PutItem("m", {"name": "m", "owner": "a@b"}, "Guest")
    estate.apply(guest, tool(), machine("h"), edge(*way))
    name = {"m": "m", "t": "t"}.get(way[1], "t")
    other = "Tool" if name == "m" else "Machine"
    dropped = {"owner": None, "cores": None, "double": None} if name == "m" else {}
    if way == ("RUNS_ON", "t", "m"):
        name, other, dropped = "m", "Tool", {"owner": None, "cores": None, "double": None}
    reclassified = PutItem(name, dropped, other)
    if way == ("RUNS_ON", "m", "h"):
        estate.apply(reclassified)  # a tool may run on a host as well
        return
    with pytest.raises(ValidationFailed, match="delete it in the same ChangeSet"):
        estate.apply(reclassified)
    estate.apply(reclassified, DeleteEdge(EdgeKey(*way)))


# --- edges ------------------------------------------------------------------------------------------------------------


def test_cardinality_holds_at_both_ends_and_edges_may_be_moved(estate: Estate) -> None:
    estate.apply(machine("a"), machine("b"), machine("c"), tool("t"), tool("u"))
    estate.apply(edge("LEADS", "a", "b"), edge("OWNED_BY", "a", "t"), edge("HEADS", "t", "a"))
    assert estate.problems(edge("LEADS", "a", "c")) == {"a.LEADS": "CARDINALITY"}
    assert estate.problems(edge("LEADS", "c", "b")) == {"b.LEADS": "CARDINALITY"}
    assert estate.problems(edge("OWNED_BY", "a", "u")) == {"a.OWNED_BY": "CARDINALITY"}
    assert estate.problems(edge("HEADS", "u", "a")) == {"a.HEADS": "CARDINALITY"}
    estate.apply(edge("OWNED_BY", "b", "t"), edge("HEADS", "t", "b"))
    estate.apply(edge("LEADS", "c", "b"), DeleteEdge(EdgeKey("LEADS", "a", "b")))
    estate.apply(edge("HEADS", "u", "a"), DeleteItem("t"))
    assert estate.problems(edge("LEADS", "a", "c"), edge("LEADS", "a", "a")) == {"a.LEADS": "CARDINALITY"}


def test_one_pair_may_be_joined_in_several_groups(estate: Estate) -> None:
    estate.apply(tool(), machine("a"), machine("b"))
    grouped = [edge("RUNS_ON", "t", target, group, required="1") for target in "ab" for group in ("x", "y")]
    [change] = estate.apply(*grouped, edge("RUNS_ON", "t", "a")).changes
    assert len(change.edges) == 5
    estate.apply(DeleteEdge(EdgeKey("RUNS_ON", "t", "a", "x")))
    assert len(estate.state.edges["t"]) == 4


def test_a_self_edge_goes_with_its_item(estate: Estate) -> None:
    estate.apply(machine(), edge("LEADS", "m", "m"))
    [change] = estate.apply(DeleteItem("m")).changes
    assert change.kind == "deleted"
    assert [e.after for e in change.edges] == [None]
    assert snapshot(estate.state) == ({}, {})


def test_deleting_a_hub_is_a_change_of_everything_that_pointed_at_it(estate: Estate) -> None:
    tools = [tool(f"t{n}") for n in range(5)]
    estate.apply(machine(), *tools, *(edge("RUNS_ON", t.id, "m") for t in tools))
    plan = estate.apply(DeleteItem("m"))
    assert [change.item_id for change in plan.changes] == ["m", *(t.id for t in tools)]
    assert all(estate.state.items[t.id].version == 2 for t in tools)


@pytest.mark.parametrize(
    ("spelt", "stored"), [("007", "7"), ("50.0%", "50%"), ("33.30%", "33.3%"), (" 2 ", "2"), (2, "2")]
)
def test_required_is_spelt_in_one_way(estate: Estate, spelt: Any, stored: str) -> None:  # noqa: ANN401 - raw
    estate.apply(tool(), machine(), edge("RUNS_ON", "t", "m", "g", required=spelt))
    assert estate.state.edges["t"][EdgeKey("RUNS_ON", "t", "m", "g")].facts.required == stored
    assert not estate.apply(edge("RUNS_ON", "t", "m", "g", required=stored)).changes


@pytest.mark.parametrize(
    "facts",
    [{"required": "150%"}, {"required": "-1"}, {"required": "half"}, {"required": "9" * 5_000}, {"required": 10**5_000},
     {"strength": "medium"}, {"confidence": "certain"}, {"confidence": None}, {"required": ["1"]}],
    ids=lambda facts: str(next(iter(facts))),
)  # fmt: skip
def test_facts_of_no_meaning_are_refused(estate: Estate, facts: Any) -> None:  # noqa: ANN401 - raw
    estate.apply(tool(), machine())
    assert list(estate.problems(edge("RUNS_ON", "t", "m", "g", **facts)).values()) == ["INVALID_VALUE"]


@pytest.mark.parametrize("group", ["\ud800", "a\0b", "g" * 513])
def test_a_group_of_no_name_is_refused(estate: Estate, group: str) -> None:
    estate.apply(tool(), machine())
    assert estate.problems(edge("RUNS_ON", "t", "m", group)) == {"operations[0].group": "INVALID_VALUE"}


# --- identity ---------------------------------------------------------------------------------------------------------


def test_what_is_taken_is_taken_and_namesakes_are_no_thieves(estate: Estate) -> None:
    estate.apply(machine("a", name="db", serial="1"))
    with pytest.raises(IdentityTaken) as taken:
        estate.apply(machine("b", name="x", serial="1"))
    assert (taken.value.key, taken.value.holder, taken.value.claimant) == ("Host(serial)=1", "a", "b")
    with pytest.raises(IdentityTaken):
        estate.apply(machine("b", name="db"))
    estate.apply(machine("b", name="db", serial="2"))
    assert estate.state.holders["Host(name)=db"] == "a"


def test_a_unique_value_has_one_owner_even_among_namesakes(estate: Estate) -> None:
    estate.apply(machine("a", serial="1", badge="B7"))
    with pytest.raises(IdentityTaken, match="badge"):
        estate.apply(machine("b", serial="2", badge="b7"))


def test_identities_may_be_swapped_and_handed_on_in_one_go(estate: Estate) -> None:
    estate.apply(machine("a", serial="1"), machine("b", serial="2"))
    estate.apply(PutItem("a", {"serial": "2"}), PutItem("b", {"serial": "1"}))
    assert (estate.state.holders["Host(serial)=1"], estate.state.holders["Host(serial)=2"]) == ("b", "a")
    estate.apply(DeleteItem("a"), machine("c", serial="2"))
    assert estate.state.holders["Host(serial)=2"] == "c"
    assert not estate.state.held["a"]


def test_a_scoped_identity_moves_with_the_edge(estate: Estate) -> None:
    estate.apply(machine("h"), machine("i"), tool("t", name="nginx"), tool("u", name="nginx"))
    estate.apply(edge("RUNS_ON", "t", "h"))
    with pytest.raises(IdentityTaken):
        estate.apply(edge("RUNS_ON", "u", "h"))
    estate.apply(
        DeleteEdge(EdgeKey("RUNS_ON", "t", "h")), edge("RUNS_ON", "t", "i"), edge("RUNS_ON", "u", "h")
    )
    assert estate.state.holders["Tool(name)@RUNS_ON=h|nginx"] == "u"


def test_a_sources_key_cannot_be_shared_and_belongs_to_an_item(estate: Estate) -> None:
    estate.apply(machine("a", serial="1"), keys={"a": ("@scan/1",)})
    with pytest.raises(IdentityTaken):
        estate.apply(machine("b", serial="2"), keys={"b": ("@scan/1",)})
    assert estate.problems(keys={"ghost": ("@scan/2",)}) == {"keys.ghost": "NOT_FOUND"}
    assert not estate.apply(keys={"a": ("@scan/1", "@scan/3")}).changes
    assert estate.state.holders["@scan/3"] == "a"


def test_a_stale_version_stops_everything(estate: Estate) -> None:
    estate.apply(machine())
    with pytest.raises(StaleVersion) as stale:
        estate.apply(PutItem("m", {"cores": 9}), expected={"m": 7})
    assert (stale.value.expected, stale.value.found) == (7, 1)
    estate.apply(PutItem("m", {"cores": 9}), expected={"m": 1, "ghost": 0})
    with pytest.raises(StaleVersion):
        estate.apply(machine("n"), expected={"m": 1})
    assert "n" not in estate.state.items


# --- catalogue --------------------------------------------------------------------------------------------------------


def entries(name: str, **changes: Any) -> PutEntries:  # noqa: ANN401 - raw entries
    return PutEntries({name: {**ENTRIES[name], **changes}})


def with_attributes(name: str, **attributes: Any) -> PutEntries:  # noqa: ANN401 - raw entries
    return entries(name, attributes={**ENTRIES[name]["attributes"], **attributes})


def test_the_same_entries_again_change_nothing(estate: Estate) -> None:
    plan = estate.apply(entries("Tool"))
    assert (plan.changes, plan.catalogue) == ((), None)
    assert estate.state.catalogue is SMALL
    back_and_forth = estate.apply(entries("Tool", description="Other."), entries("Tool"))
    assert (back_and_forth.changes, back_and_forth.catalogue) == ((), None)


def test_a_class_and_its_first_item_may_come_together(estate: Estate) -> None:
    plan = estate.apply(
        PutEntries({"Robot": {"extends": "Machine", "description": "d"}}),
        PutItem("r", {"name": "r"}, "Robot"),
    )
    assert [change.item_id for change in plan.changes] == ["catalogue:Robot", "r"]
    assert plan.catalogue is not None
    assert plan.catalogue.is_a("Robot", "Host")


@pytest.mark.parametrize(
    "change",
    [
        with_attributes("Machine", weight={"type": "boolean"}),
        entries("Machine", attributes={}),
        with_attributes("Machine", colour={"type": "string", "required": True}),
        entries("Machine", abstract=True),
        entries("Machine", extends="Tool", attributes={}),
        PutEntries({"record": {"initial": "old", "states": {"old": {}}}}),
    ],
    ids=["type", "attribute gone", "required", "abstract", "other parent", "state gone"],
)
def test_a_catalogue_change_that_makes_stored_items_invalid_is_refused_with_the_list(
    estate: Estate, change: PutEntries
) -> None:
    estate.apply(machine("m1", weight=7), machine("m2", weight=8))
    with pytest.raises(ValidationFailed, match="m1") as failed:
        estate.apply(change)
    assert {problem.code for problem in failed.value.problems} == {"STORED_ITEM_INVALID"}
    assert "m2" in str(failed.value.problems)


def test_a_migration_in_the_same_change_set_makes_it_hold(estate: Estate) -> None:
    estate.apply(machine(weight=7))
    required = with_attributes("Machine", colour={"type": "string", "required": True})
    estate.apply(required, PutItem("m", {"colour": "red"}))
    estate.apply(
        entries("Machine", attributes={"colour": {"type": "string"}}), PutItem("m", {"weight": None})
    )
    assert estate.state.items["m"].attributes == {"cores": 2, "double": 4, "colour": "red"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (entries("RUNS_ON", **{"from": ["Guest"]}), "STORED_EDGE_INVALID"),
        (entries("RUNS_ON", to=["Guest"]), "STORED_EDGE_INVALID"),
        (entries("RUNS_ON", cardinality="many-to-one"), "CARDINALITY"),
        (entries("RUNS_ON", cardinality="one-to-many"), "CARDINALITY"),
    ],
    ids=["from", "to", "one target", "one source"],
)
def test_a_relationship_type_cannot_be_narrowed_below_its_edges(
    estate: Estate, change: PutEntries, code: str
) -> None:
    estate.apply(tool("t"), tool("u"), machine("a"), machine("b"))
    estate.apply(edge("RUNS_ON", "t", "a"), edge("RUNS_ON", "t", "b"), edge("RUNS_ON", "u", "a"))
    assert set(estate.problems(change).values()) == {code}
    cut = [DeleteEdge(key) for edges in estate.state.edges.values() for key in edges]
    estate.apply(change, *cut)


def test_new_expressions_are_worked_out_for_what_is_stored(estate: Estate) -> None:
    estate.apply(machine("m", cores=3))
    plan = estate.apply(with_attributes("Host", double={"type": "string", "computed": "str(cores) + '!'"}))
    assert [(c.item_id, c.before, c.after) for c in plan.changes if c.item_id == "m"] == [
        ("m", {"double": 6}, {"double": "3!"})
    ]
    without = {k: v for k, v in ENTRIES["Host"]["attributes"].items() if k != "double"}
    estate.apply(entries("Host", attributes=without))
    assert "double" not in estate.state.items["m"].attributes


def test_new_identity_rules_hold_for_what_is_stored(estate: Estate) -> None:
    estate.apply(machine("a", serial="1", weight=5), machine("b", serial="2", weight=5))
    with pytest.raises(IdentityTaken, match="weight"):
        estate.apply(with_attributes("Machine", weight={"type": "integer", "unique": True}))
    estate.apply(PutItem("b", {"weight": 6}))
    estate.apply(with_attributes("Machine", weight={"type": "integer", "unique": True}))
    assert estate.state.holders["Machine.weight=5"] == "a"
    estate.apply(entries("Machine"))
    assert estate.state.holders["Machine.weight=5"] is None


def test_a_broken_entry_is_a_problem_in_its_place(estate: Estate) -> None:
    assert estate.problems(entries("Tool", extends="Nothing")) == {"operations[0].Tool": "CATALOGUE_INVALID"}
    assert estate.problems(PutEntries({"Tool": "no mapping"})) == {"operations[0].Tool": "CATALOGUE_INVALID"}


# --- what may be handed in at all -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change_set", "where"),
    [
        (ChangeSet((PutItem("", {}),)), "operations[0].id"),
        (ChangeSet((PutItem("catalogue:Server", {}, "Machine"),)), "operations[0].id"),
        (ChangeSet((PutItem("a\0b", {}),)), "operations[0].id"),
        (ChangeSet((PutItem("\ud800", {}),)), "operations[0].id"),
        (ChangeSet((PutItem("x" * 65, {}),)), "operations[0].id"),
        (ChangeSet((PutItem(7, {}),)), "operations[0].id"),  # type: ignore[arg-type]
        (ChangeSet((DeleteItem("a b"),)), "operations[0].id"),
        (ChangeSet((edge("LEADS", "a", "ü"),)), "operations[0].to"),
        (ChangeSet((DeleteEdge(EdgeKey("LEADS", "`", "a")),)), "operations[0].from"),
        (ChangeSet((), message="\ud800"), "message"),
        (ChangeSet((), message="x" * 4_001), "message"),
        (ChangeSet((), reason="x" * 501), "reason"),
        (ChangeSet((), reason="a\0b"), "reason"),
        (ChangeSet((), expected={"a\n": 1}), "expected"),
        (ChangeSet((), expected={"a": True}), "expected.a"),
        (ChangeSet((), keys={"a": ("Host(serial)=1",)}), "keys"),
        (ChangeSet((), keys={"a": ("@s/" + "x" * 1_500,)}), "keys"),
        (ChangeSet((), keys={"a": ("@s/\ud800",)}), "keys"),
        (ChangeSet((DeleteItem("a"),) * 20_001), "operations"),
    ],
    ids=range(19),
)
def test_what_neo4j_cannot_take_is_told_before_it_gets_there(change_set: ChangeSet, where: str) -> None:
    with pytest.raises(ValidationFailed) as failed:
        check_change_set(change_set, Authorship("alice"))
    assert [problem.where for problem in failed.value.problems] == [where]
    assert len(str(failed.value)) < 400
    str(failed.value).encode()


def test_an_author_without_sense_is_refused() -> None:
    with pytest.raises(ValidationFailed):
        check_change_set(ChangeSet(()), Authorship("a" * 501, run="\udfff"))
