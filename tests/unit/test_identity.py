"""Identity keys: how they are spelt, when a shared one means one thing, and when two things only share a name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import InvalidValue
from cmdb.model.identity import contradicts, rule_keys, source_key
from cmdb.model.items import EdgeKey
from tests.model_estates import SMALL, catalogue_of

NAME, SERIAL = "Host(name)=db", "Host(serial)="


def test_keys_are_spelt_by_rule_and_the_strongest_comes_first() -> None:
    fields = {"class": "Machine", "name": " Web  1", "serial": "S|1%", "badge": "B7"}
    assert rule_keys(SMALL, "Machine", fields, ()) == (
        "Host(serial)=s%7C1%25",
        "Host(name)=web 1",
        "Host.badge=b7",
    )


def test_a_rule_without_all_its_values_makes_no_key() -> None:
    assert rule_keys(SMALL, "Host", {"name": "", "badge": ""}, ()) == ()


def test_a_scoped_rule_makes_a_key_per_target() -> None:
    edges = [
        EdgeKey("RUNS_ON", "t", "h2"),
        EdgeKey("RUNS_ON", "t", "h1"),
        EdgeKey("RUNS_ON", "t", "h1", "g"),
        EdgeKey("OWNED_BY", "t", "x"),
    ]
    assert rule_keys(SMALL, "Tool", {"name": "nginx"}, edges) == (
        "Tool(name)@RUNS_ON=h1|nginx",
        "Tool(name)@RUNS_ON=h2|nginx",
    )
    assert rule_keys(SMALL, "Tool", {"name": "nginx"}, ()) == ()


@pytest.mark.parametrize(
    "fields", [{"name": "a", "serial": "x" * 513}, {"name": "a", "badge": "ΐ" * 300}, {"name": "%" * 300}]
)
def test_values_too_long_to_identify_anything_are_refused(fields: dict[str, str]) -> None:
    with pytest.raises(InvalidValue, match="512"):
        rule_keys(SMALL, "Host", fields, ())


@settings(deadline=None)
@given(
    st.lists(st.text(max_size=6), min_size=2, max_size=2),
    st.lists(st.text(max_size=6), min_size=2, max_size=2),
)
def test_no_two_pairs_of_values_share_a_key(one: list[str], two: list[str]) -> None:
    pair = catalogue_of(
        Pair={
            "extends": "Item",
            "description": "d",
            "attributes": {"a": {"type": "string"}, "b": {"type": "string"}},
            "identify": [["a", "b"]],
        }
    )
    keys = [rule_keys(pair, "Pair", {"a": a, "b": b}, ()) for a, b in (one, two)]
    same = [" ".join(text.casefold().split()) for text in one] == [
        " ".join(text.casefold().split()) for text in two
    ]
    if keys[0] and keys[1]:
        assert (keys[0] == keys[1]) is same


def test_namesakes_are_told_apart_by_a_stronger_rule_only() -> None:
    assert contradicts((NAME,), (SERIAL + "1", NAME), {SERIAL + "2", NAME})
    assert not contradicts((NAME,), (SERIAL + "1", NAME), {NAME})
    assert not contradicts((NAME,), (NAME,), {SERIAL + "2", NAME})
    assert not contradicts((SERIAL + "1",), (SERIAL + "1", NAME), {SERIAL + "1", "Host(name)=other"})
    assert not contradicts((NAME,), (SERIAL + "1", NAME), {SERIAL + "1", NAME})


def test_two_places_of_one_thing_are_no_contradiction() -> None:
    inside, name = "Tool(name)@RUNS_ON=", "Tool(label)=x"
    assert not contradicts((name,), (inside + "h1|n", name), {inside + "h1|n", inside + "h2|n", name})
    assert contradicts((name,), (inside + "h1|n", name), {inside + "h2|n", inside + "h3|n", name})


@pytest.mark.parametrize("key", ["@scanner/42", "Host.badge=b7"])
def test_keys_of_sources_and_unique_values_belong_to_one_whatever_else_is_known(key: str) -> None:
    assert not contradicts((key,), (SERIAL + "1", key), {SERIAL + "2", key})
    assert contradicts((NAME,), (SERIAL + "1", key, NAME), {SERIAL + "2", key, NAME})
    assert not contradicts((NAME,), (key, NAME), {key.replace("b7", "b8").replace("42", "43"), NAME})


@settings(deadline=None)
@given(
    st.text(max_size=8), st.text(min_size=1, max_size=8), st.text(max_size=8), st.text(min_size=1, max_size=8)
)
def test_no_two_sources_share_a_key(source: str, key: str, other_source: str, other_key: str) -> None:
    if "\0" in key + other_key:
        return
    same = (source, key) == (other_source, other_key)
    assert (source_key(source, key) == source_key(other_source, other_key)) is same


@pytest.mark.parametrize("native", ["", "x" * 513, "a\0b"])
def test_a_native_key_has_bounds(native: str) -> None:
    with pytest.raises(InvalidValue):
        source_key("scanner", native)
