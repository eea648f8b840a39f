"""Catalogue entries as people write them: what is read, what is refused, and that no word turns into something else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import CatalogueError
from cmdb.model.catalogue import builtin_catalogue
from cmdb.model.entries import ClassEntry, LifecycleEntry, RelationshipEntry, entry_record, parse_entry
from cmdb.model.entry_text import parse_entries

THING: dict[str, Any] = {"extends": "Item", "description": "A thing."}


def test_the_spelling_of_a_name_tells_the_kind() -> None:
    assert isinstance(parse_entry("Thing", THING), ClassEntry)
    edge = {"from": ["Item"], "to": ["Item"], "inverse": "held_by"}
    assert isinstance(parse_entry("HOLDS", edge), RelationshipEntry)
    assert isinstance(parse_entry("thing", {"initial": "new", "states": {"new": {}}}), LifecycleEntry)


def test_what_is_written_again_is_what_was_read() -> None:
    for name, entry in builtin_catalogue().entries.items():
        assert parse_entry(name, entry_record(entry)) == entry


@pytest.mark.parametrize(
    "name",
    [
        "",
        "thing_",
        "Thing_Two",
        "_X",
        "9Lives",
        "X",
        "Thing`",
        "A\\u0060B",
        "Ding\u0301",
        "Thing\n",
        "a" * 65,
        "T" + "a" * 64,
    ],
)
def test_a_name_of_no_spelling_is_refused(name: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        parse_entry(name, THING)
    assert len(str(refused.value)) < 300
    assert refused.value.way_out


@pytest.mark.parametrize(
    ("name", "raw", "fault"),
    [
        ("Thing", None, "entry: "),
        ("Thing", {**THING, "colour": "red"}, "colour: Extra inputs"),
        ("Thing", {"extends": "Item"}, "description: Field required"),
        ("Thing", {**THING, "attributes": {"Size": {"type": "integer"}}}, "attributes.Size"),
        ("Thing", {**THING, "attributes": {"size`": {"type": "integer"}}}, "attributes.size`"),
        (
            "Thing",
            {**THING, "attributes": {"a": {"type": "enum", "values": ["Red"]}}},
            "attributes.a.values.0",
        ),
        ("Thing", {**THING, "identify": [[]]}, "identify"),
        ("Thing", {**THING, "identify": [{"by": [], "within": "HOLDS"}]}, "identify"),
        ("Thing", {**THING, "title": {"fr": "Chose"}}, "title"),
        ("Thing", {**THING, "description": "a\0b"}, "NUL"),
        ("Thing", {**THING, "description": "\ud800"}, "surrogate"),
        ("Thing", {**THING, "attributes": {"a": {"type": "number", "default": float("nan")}}}, "NaN"),
        ("Thing", {**THING, "attributes": {"a": {"type": "json", "default": 2**64}}}, "64 bits"),
        ("Thing", {**THING, "attributes": {"a": {"type": "json", "default": b""}}}, "expected JSON"),
        ("Thing", {**THING, "description": "x" * 300_000}, "too long"),
        ("Thing", {**THING, "reliability": {}}, "give either availability, or mtbf and mttr"),
        ("Thing", {**THING, "reliability": {"mtbf": "P1D"}}, "give either"),
        ("Thing", {**THING, "reliability": {"availability": 0.9, "mtbf": "P1D", "mttr": "PT1H"}}, "either"),
        ("Thing", {**THING, "reliability": {"availability": 1.01}}, "reliability.availability"),
        ("Thing", {**THING, "reliability": {"availability": True}}, "reliability.availability"),
        ("Thing", {**THING, "reliability": {"mtbf": "P2Y", "mttr": "PT1H"}}, "expected a duration"),
        ("Thing", {**THING, "reliability": {"mtbf": "PT0S", "mttr": "PT1H"}}, "no time at all"),
        ("Thing", {**THING, "reliability": {"mtbf": "P1D", "mttr": "-PT1H"}}, "negative"),
        ("Thing", {**THING, "reliability": {"mtbf": "P1D", "mttr": 3}}, "reliability.mttr"),
        ("HOLDS", {"from": [], "to": ["Item"], "inverse": "held_by"}, "from: "),
        ("HOLDS", {"from": ["Item"], "to": ["Item"], "inverse": "HeldBy"}, "inverse: "),
        ("HOLDS", {"from": ["Item"], "to": ["Item"], "inverse": "h", "cardinality": "many"}, "cardinality: "),
        ("thing", {"initial": "new", "states": {}}, "states: "),
        ("thing", {"initial": "New one", "states": {"New one": {}}}, "states"),
    ],
)
def test_a_wrong_entry_is_named_with_its_field(name: str, raw: object, fault: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        parse_entry(name, raw)
    assert refused.value.entry == name
    assert fault in refused.value.fault


def test_an_endless_entry_is_refused() -> None:
    raw: dict[str, Any] = dict(THING)
    raw["attributes"] = {"a": {"type": "json", "default": raw}}
    with pytest.raises(CatalogueError, match="deep"):
        parse_entry("Thing", raw)


@pytest.mark.parametrize(
    "word",
    [
        "no",
        "yes",
        "on",
        "Off",
        "2026-11-24",
        "22:22",
        "0o17",
        "017",
        "1_000",
        "0x1F",
        "=",
        "<<",
        ".5",
        ".inf",
        ".nan",
        "+1",
        "1.",
        "NULL",
        "True",
    ],
)
def test_words_of_yaml_stay_words(word: str) -> None:
    text = "Thing: {extends: Item, description: " + word + "}"
    assert entry_record(parse_entries(text)["Thing"])["description"] == word


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("7", 7), ("-0.5", -0.5), ("1e3", 1000.0), ("[a, 1]", ["a", 1]), ("'7'", "7")],
)
def test_json_in_yaml_keeps_its_type(word: str, value: object) -> None:
    text = "Thing: {extends: Item, description: d, attributes: {a: {type: json, default: " + word + "}}}"
    entry = parse_entries(text)["Thing"]
    assert isinstance(entry, ClassEntry)
    assert entry.attributes["a"].default == value
    assert type(entry.attributes["a"].default) is type(value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: &x {b: 1}\nc: *x", "aliases are not allowed (line 2)"),
        ("Thing: {}\nThing: {}", "'Thing' twice (line 2)"),
        ("Thing:\n  extends: Item\n  extends: Host", "'extends' twice (line 3)"),
        ("1: {}", "keys are words; quote 1"),
        ("? [a]\n: b", "keys are words"),
        ("Thing: !!python/object/apply:os.system ['true']", "constructor"),
        ("Thing: !!timestamp 2026-11-24", "constructor"),
        ("Thing: !!binary aGk=", "constructor"),
        ("Thing: !!set {a}", "constructor"),
        ("Thing: !!bool maybe", "maybe"),
        ("Thing: !!int ''", "not readable"),
        ("Thing: [", "not readable"),
        ("Thing: " + "[" * 20_000, "not readable"),
        ("Thing: " + "9" * 5_000, "not readable"),
        ("a: 1\n---\nb: 2", "not readable"),
        ("Thing: \0", "not readable"),
        ("- Thing", "not a mapping"),
        ("", "not a mapping"),
    ],
)
def test_yaml_that_is_more_than_json_is_refused_at_its_place(text: str, fault: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        parse_entries(text, "mine.yaml")
    assert refused.value.entry == "mine.yaml"
    assert fault in refused.value.fault


def test_a_bomb_of_aliases_is_no_bomb() -> None:
    levels = "\n".join(f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 10))
    with pytest.raises(CatalogueError, match="aliases"):
        parse_entries("a0: &a0 [x]\n" + levels)


@settings(deadline=None)
@given(st.text("Tabc:[]{}&*!?-#|>'\"%@`,. \n\t0123", max_size=60))
def test_any_text_is_entries_or_an_error_about_it(text: str) -> None:
    try:
        entries = parse_entries(text)
    except CatalogueError:
        return
    assert all(entry_record(entry) for entry in entries.values())
