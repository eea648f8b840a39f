"""The catalogue as a whole: inheritance, and every way in which entries contradict each other, with a way out."""

from __future__ import annotations

from typing import Any

import pytest

from cmdb.errors import CatalogueError, NotFound
from cmdb.model.catalogue import Catalogue, builtin_catalogue, compile_catalogue
from cmdb.model.entries import parse_entry
from cmdb.model.reliability import ClassDefault
from cmdb.model.reserved import RESERVED

Entries = dict[str, Any]
BASE: Entries = {
    "record": {"initial": "new", "states": {"new": {"to": ["done"]}, "done": {}}, "closed": ["done"]},
    "Item": {"description": "Root.", "abstract": True},
    "Box": {
        "extends": "Item",
        "description": "A box.",
        "layer": "storage",
        "attributes": {"serial": {"type": "string"}, "size": {"type": "integer", "default": 3}},
        "identify": [["serial"], {"by": ["name"], "within": "INSIDE"}],
    },
    "Crate": {"extends": "Box", "description": "A crate.", "attributes": {"slats": {"type": "integer"}}},
    "INSIDE": {"from": ["Box"], "to": ["Box"], "inverse": "holds", "cardinality": "many-to-one"},
}


def compiled(**changes: Any) -> Catalogue:  # noqa: ANN401 - raw entries
    raw = {**BASE, **changes}
    return compile_catalogue(
        {name: parse_entry(name, entry) for name, entry in raw.items() if entry is not None}
    )


def box(**changes: Any) -> Entries:  # noqa: ANN401 - raw entries
    return {**BASE["Box"], **changes}


def test_a_class_has_what_its_parents_have() -> None:
    catalogue = compiled()
    crate = catalogue.item_class("Crate")
    assert crate.chain == ("Crate", "Box", "Item")
    assert list(crate.attributes) == ["serial", "size", "slats"]
    assert crate.attributes["serial"].declared_by == "Box"
    assert crate.layer == "storage"
    assert [str(rule) for rule in crate.identity_rules] == ["Box(serial)", "Box(name) within INSIDE"]
    assert catalogue.subclasses("Box") == {"Box", "Crate"}
    assert catalogue.is_a("Crate", "Box")
    assert not catalogue.is_a("Box", "Crate")


def test_a_default_of_reliability_is_inherited_until_a_class_gives_its_own() -> None:
    catalogue = compiled(
        Box=box(reliability={"mtbf": "P99D", "mttr": "1d"}),
        Strongbox={"extends": "Crate", "description": "d", "reliability": {"availability": 1}},
    )
    inherited = catalogue.item_class("Crate").reliability
    assert inherited == catalogue.item_class("Box").reliability
    assert inherited == ClassDefault("Box", 0.01, 99 * 86_400.0, 86_400.0)
    assert catalogue.item_class("Strongbox").reliability == ClassDefault("Strongbox", 0.0)
    assert catalogue.item_class("Item").reliability is None


def test_identity_need_not_be_inherited() -> None:
    entry = {**BASE["Crate"], "inherit_identity": False, "identify": [["slats"]]}
    assert [str(rule) for rule in compiled(Crate=entry).item_class("Crate").identity_rules] == [
        "Crate(slats)"
    ]


def test_edges_may_run_between_subclasses_and_nothing_else() -> None:
    catalogue = compiled(Shelf={"extends": "Item", "description": "A shelf.", "plural": "shelves"})
    inside = catalogue.relationship("INSIDE")
    assert catalogue.allows(inside, "Crate", "Box")
    assert not catalogue.allows(inside, "Box", "Shelf")
    assert [r.name for r in catalogue.outgoing("Crate")] == ["INSIDE"]
    assert not list(catalogue.incoming("Shelf"))
    assert (inside.one_target, inside.one_source) == (True, False)


@pytest.mark.parametrize(
    ("changes", "entry", "fault"),
    [
        ({"Box": box(extends="Container")}, "Box", "extends Container, which is not a class"),
        ({"Box": box(extends="Crate")}, "Box", "extends itself through Box < Crate < Box"),
        ({"Item": None}, "Box", "extends Item, which is not a class"),
        ({"Other": {"description": "A second root."}}, "Other", "extends nothing"),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"size": {"type": "text"}}}},
            "Crate.size",
            "Box has it already",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"version": {"type": "text"}}}},
            "Crate.version",
            "reserved",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"a": {"type": "colour"}}}},
            "Crate.a",
            "unknown type 'colour'",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"a": {"type": "enum"}}}},
            "Crate.a",
            "an enum needs `values`",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"a": {"type": "string", "values": ["b"]}}}},
            "Crate.a",
            "an enum needs",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"a": {"type": "enum", "values": ["b", "b"]}}}},
            "Crate.a",
            "listed twice",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"a": {"type": "integer", "default": "many"}}}},
            "Crate.a",
            "bad default",
        ),
        (
            {
                "Crate": {
                    **BASE["Crate"],
                    "attributes": {"a": {"type": "enum", "values": ["b"], "default": "c"}},
                }
            },
            "Crate.a",
            "bad default",
        ),
        (
            {
                "Crate": {
                    **BASE["Crate"],
                    "attributes": {"a": {"type": "integer", "list": True, "default": 7}},
                }
            },
            "Crate.a",
            "bad default",
        ),
        (
            {
                "Crate": {
                    **BASE["Crate"],
                    "attributes": {"a": {"type": "integer", "computed": "size + weight"}},
                }
            },
            "Crate.a",
            "names ['weight']",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"a": {"type": "integer", "computed": "size +"}}}},
            "Crate.a",
            "is no expression",
        ),
        (
            {
                "Crate": {
                    **BASE["Crate"],
                    "attributes": {"a": {"type": "integer", "computed": "size", "required": True}},
                }
            },
            "Crate.a",
            "cannot be required",
        ),
        (
            {
                "Crate": {
                    **BASE["Crate"],
                    "attributes": {"a": {"type": "string", "secret": True, "unique": True}},
                }
            },
            "Crate.a",
            "secret",
        ),
        (
            {
                "Crate": {
                    **BASE["Crate"],
                    "attributes": {"a": {"type": "string", "secret": True, "indexed": True}},
                }
            },
            "Crate.a",
            "secret",
        ),
        (
            {
                "Crate": {
                    **BASE["Crate"],
                    "attributes": {"a": {"type": "string", "secret": True}},
                    "identify": [["serial", "a"]],
                }
            },
            "Crate",
            "names the secret ['a']",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"inside": {"type": "text"}}}},
            "INSIDE",
            "field inside on Crate clashes with the attribute inside",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"holds": {"type": "text"}}}},
            "INSIDE",
            "field holds on Crate clashes",
        ),
        (
            {"Crate": {**BASE["Crate"], "attributes": {"ip4": {"type": "ip"}, "ip_4": {"type": "ip"}}}},
            "Crate.ip_4",
            "clashes with the attribute ip4",
        ),
        (
            {"KEPT_IN": {"from": ["Crate"], "to": ["Box"], "inverse": "holds"}},
            "KEPT_IN",
            "field holds on Box clashes with INSIDE",
        ),
        (
            {"LABELS": {"from": ["Box"], "to": ["Box"], "inverse": "marked_by"}},
            "LABELS",
            "field labels on Box clashes with a reserved name",
        ),
        ({"Box": box(identify=[["colour"]])}, "Box", "names no attribute ['colour']"),
        ({"Box": box(identify=[{"by": ["name"], "within": "BELOW"}])}, "Box", "no type BELOW"),
        ({"Box": box(lifecycle="hardware")}, "Box", "lifecycle hardware does not exist"),
        ({"record": None}, "Item", "lifecycle record does not exist"),
        ({"record": {"initial": "new", "states": {"old": {}}}}, "record", "unknown states new"),
        (
            {"record": {"initial": "new", "states": {"new": {"to": ["gone"]}}}},
            "record",
            "unknown states gone",
        ),
        (
            {"record": {"initial": "new", "closed": ["shut"], "states": {"new": {}}}},
            "record",
            "unknown states shut",
        ),
        ({"INSIDE": {**BASE["INSIDE"], "to": ["Shelf"]}}, "INSIDE", "Shelf is not a class"),
        (
            {"Boxes": {"extends": "Item", "description": "d", "plural": "boxes"}},
            "Boxes",
            "its plural boxes is Box's",
        ),
        ({"Revision": {"extends": "Item", "description": "d"}}, "Revision", "reserved for the store"),
        ({"Tombstone": {"extends": "Item", "description": "d"}}, "Tombstone", "reserved for the store"),
        (
            {"REPORTED": {"from": ["Box"], "to": ["Box"], "inverse": "reports"}},
            "REPORTED",
            "reserved for the store",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_contradiction_is_named_with_its_entry_and_a_way_out(
    changes: Entries, entry: str, fault: str
) -> None:
    with pytest.raises(CatalogueError) as refused:
        compiled(**changes)
    assert refused.value.entry == entry
    assert fault in refused.value.fault
    assert refused.value.way_out
    assert refused.value.facts()["wayOut"] == refused.value.way_out


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_what_every_item_has_cannot_be_declared_again(name: str) -> None:
    with pytest.raises(CatalogueError, match="reserved"):
        compiled(Crate={**BASE["Crate"], "attributes": {name: {"type": "string"}}})


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_without_end_is_refused_before_it_costs_anything(backwards: bool) -> None:
    chain = {
        f"Link{n}": {"extends": f"Link{n - 1}" if n else "Item", "description": "d"} for n in range(3_000)
    }
    with pytest.raises(CatalogueError, match="ancestors"):
        compiled(**dict(reversed(chain.items())) if backwards else chain)


def test_extending_leaves_the_old_catalogue_as_it_was() -> None:
    old = compiled()
    new = old.extended({"Barrel": parse_entry("Barrel", {"extends": "Box", "description": "Round."})})
    assert "Barrel" in new.classes
    assert "Barrel" not in old.classes
    assert old.subclasses("Box") == {"Box", "Crate"}


def test_equal_entries_have_equal_digests_in_whatever_order() -> None:
    entries = {name: parse_entry(name, raw) for name, raw in BASE.items()}
    reordered = dict(reversed(entries.items()))
    assert compile_catalogue(entries).digest == compile_catalogue(reordered).digest
    assert compile_catalogue(entries).digest != compiled(Box=box(description="Another.")).digest


def test_unknown_names_are_not_found_and_not_echoed_at_length() -> None:
    catalogue = builtin_catalogue()
    for look_up in (catalogue.item_class, catalogue.relationship, catalogue.subclasses):
        with pytest.raises(NotFound) as missing:
            look_up("X`]->() DETACH DELETE n //" * 1_000)
        assert len(str(missing.value)) < 300
