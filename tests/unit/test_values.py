"""Normal forms: one per value, stable under a round trip through what clients read, and nothing hostile gets one."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.errors import InvalidValue
from cmdb.model.catalogue import Attribute
from cmdb.model.entries import AttributeEntry
from cmdb.model.values import (
    INT64,
    VALUE_TYPES,
    canonical_identifier,
    check_json,
    clean_text,
    format_duration,
    format_instant,
    parse_instant,
    same_value,
)

ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=8,
)
DIGITS = st.integers(0, 10**14).map(str)
SPELT: dict[str, st.SearchStrategy[Any]] = {
    "string": ANY_TEXT | st.integers() | st.floats(),
    "text": ANY_TEXT,
    "integer": st.integers() | st.floats() | st.integers().map(str),
    "number": st.floats() | st.integers() | st.floats().map(str),
    "boolean": st.sampled_from(["yes", "No", "ON", "off", "1", "0", 1, 0, True, False, "maybe"]),
    "date": st.dates() | st.dates().map(str) | st.datetimes(),
    "datetime": st.datetimes(timezones=st.none() | st.timezones()) | st.datetimes().map(datetime.isoformat),
    "duration": st.floats()
    | st.integers()
    | st.builds("{}{}".format, DIGITS, st.sampled_from(["ms", "s", "h", "w"]))
    | st.builds(
        "{}P{}W{}DT{}H{}M{}.5S".format, st.sampled_from(["", "-"]), DIGITS, DIGITS, DIGITS, DIGITS, DIGITS
    ),
    "enum": ANY_TEXT,
    "url": st.builds(
        "{}:{}{}{}".format,
        st.sampled_from(["http", "HTTPS", "x", "Mailto", "urn"]),
        st.sampled_from(["", "/", "//", "////"]),
        st.sampled_from(["Example.ORG", "u:P@Host:80", "[::1]:5", "", "a b"]),
        ANY_TEXT,
    ),
    "email": st.emails() | st.builds("{}@{}".format, ANY_TEXT, ANY_TEXT),
    "ip": st.ip_addresses().map(str)
    | st.ip_addresses().map("{}/24".format)
    | st.ip_addresses(v=6).map("{}%eth0".format),
    "cidr": st.builds("{}/{}".format, st.ip_addresses(), st.integers(0, 130)),
    "mac": st.binary(min_size=6, max_size=6).map(bytes.hex)
    | st.binary(min_size=6, max_size=6).map(lambda b: b.hex("-")),
    "version": st.from_regex(r"v*[0-9.]{1,6}[a-z+-]{0,4}", fullmatch=True) | st.floats(),
    "bytes": st.integers()
    | st.builds("{}{}".format, st.decimals(0, 10**14), st.sampled_from(["", "kB", "MiB", " GB", "e", "i"])),
    "money": st.builds("{} {}".format, st.sampled_from(["EUR", "usd"]), st.decimals(-(10**20), 10**20))
    | st.fixed_dictionaries(
        {"currency": st.just("EUR"), "amount": st.integers() | st.decimals(0, 10**12, places=3)}
    ),
    "json": ANYTHING,
}
HOSTILE: list[Any] = [
    "nul\0byte",
    "lone \ud800 surrogate",
    2**63,
    -(2**63) - 1,
    10**5_000,
    float("nan"),
    float("inf"),
    -math.inf,
    "x" * 20_000_000,
    b"bytes",
    object(),
    {1: "key is no string"},
    {"set"},
    {"nested": {"nan": math.nan}},
    {"big": 2**70},
    ["\udfff"],
    None,
    (lambda: None),
]


@pytest.mark.parametrize("name", VALUE_TYPES)
def test_every_type_has_spellings_to_try(name: str) -> None:
    assert name in SPELT


@pytest.mark.parametrize("name", VALUE_TYPES)
@settings(deadline=None)
@given(st.data())
def test_the_normal_form_survives_what_clients_read(name: str, data: st.DataObject) -> None:
    kind = VALUE_TYPES[name]
    raw = data.draw(SPELT[name] | ANYTHING)
    try:
        stored = kind.normalise(raw)
    except InvalidValue:
        return
    assert type(stored) in (str, int, float, bool)
    assert same_value(kind.normalise(kind.present(stored)), stored)
    if isinstance(stored, str):
        stored.encode()
        assert "\0" not in stored
    elif not isinstance(stored, bool):
        assert stored in INT64 if isinstance(stored, int) else math.isfinite(stored)


@pytest.mark.parametrize("name", VALUE_TYPES)
@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_are_refused_or_tamed_and_nothing_else(name: str, raw: object) -> None:
    kind = VALUE_TYPES[name]
    if (name, raw) in (("json", None), ("number", 2**63), ("number", -(2**63) - 1)):
        stored = kind.normalise(raw)
        assert same_value(kind.normalise(kind.present(stored)), stored)
        return
    with pytest.raises(InvalidValue) as refused:
        kind.normalise(raw)
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("name", "raw", "stored"),
    [
        ("string", "  padded\x07 ", "padded"),
        ("string", 42, "42"),
        ("string", "e\x01\u0301", "é"),
        ("integer", " +7 ", 7),
        ("integer", 3.0, 3),
        ("number", "-0.0", 0.0),
        ("boolean", "Off", False),
        ("date", "20261124", "2026-11-24"),
        ("date", datetime(2026, 11, 24, 9, tzinfo=UTC), "2026-11-24"),
        ("datetime", "2026-11-24T09:30:00+02:00", "2026-11-24T07:30:00.000000Z"),
        ("datetime", "0999-01-01", "0999-01-01T00:00:00.000000Z"),
        ("duration", 1.001, 1_001),
        ("duration", "PT1H30M", 5_400_000),
        ("duration", "-P1DT0.5S", -86_400_500),
        ("duration", "90m", 5_400_000),
        ("url", "HTTP://User:Pa@EXAMPLE.org:80/A?B#C", "http://User:Pa@example.org:80/A?B#C"),
        ("url", "x:////y", "x:////y"),
        ("email", "Ada@EXAMPLE.Org", "Ada@example.org"),
        ("ip", "2001:DB8::0:1/64", "2001:db8::1"),
        ("cidr", "10.1.2.3/16", "10.1.0.0/16"),
        ("mac", "52-54.00:12 34-AB", "52:54:00:12:34:ab"),
        ("version", "v1.2", "1.2"),
        ("bytes", "16 GiB", 16 * 2**30),
        ("bytes", "1.5MB", 1_500_000),
        ("money", "12.50 EUR", "EUR 12.5"),
        ("money", "EUR -0.00", "EUR 0"),
        ("money", {"amount": 1000, "currency": "CHF"}, "CHF 1000"),
        ("json", {"b": [1, None], "a": "\0\x01"[1:]}, '{"a":"\\u0001","b":[1,null]}'),
    ],
)
def test_spellings_of_one_value_have_one_normal_form(name: str, raw: object, stored: object) -> None:
    assert same_value(VALUE_TYPES[name].normalise(raw), stored)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("integer", True),
        ("integer", 1.5),
        ("number", "1" * 65),
        ("number", 10**400),
        ("boolean", 1.0),
        ("date", "24.11.2026"),
        ("datetime", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5)))),
        ("duration", "P"),
        ("duration", "1 fortnight"),
        ("duration", 2**60),
        ("url", "java\x01script:alert(1)"),
        ("url", "DATA:text/html,x"),
        ("url", "http://[::1"),
        ("url", "no scheme"),
        ("email", "two@at@signs"),
        ("ip", "300.1.1.1"),
        ("mac", "52:54:00:12:34"),
        ("bytes", -1),
        ("bytes", "1.5"),
        ("money", "12.50"),
        ("money", "EUR 1.2.3"),
        ("money", "EUR 1234567890123456789.5"),
        ("json", {"a": {1: 2}}),
    ],
)
def test_what_has_no_normal_form_is_refused(name: str, raw: object) -> None:
    with pytest.raises(InvalidValue):
        VALUE_TYPES[name].normalise(raw)


def test_json_is_not_nested_without_end() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidValue, match="64 deep"):
        check_json(deep)


def test_a_text_may_be_longer_than_a_string() -> None:
    assert len(str(VALUE_TYPES["text"].normalise("x" * 20_000))) == 20_000
    with pytest.raises(InvalidValue, match="20000 bytes"):
        VALUE_TYPES["string"].normalise("x" * 20_000)
    with pytest.raises(InvalidValue, match="60000 bytes"):
        clean_text("界" * 20_000, 16_384)


@settings(deadline=None)
@given(st.integers(INT64.start, INT64.stop - 1))
def test_durations_are_read_as_they_are_written(milliseconds: int) -> None:
    assert VALUE_TYPES["duration"].normalise(format_duration(milliseconds)) == milliseconds


@settings(deadline=None)
@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_instants_sort_as_they_flow(a: datetime, b: datetime) -> None:
    assert (format_instant(a) < format_instant(b)) == (a < b)
    assert parse_instant(format_instant(a)) == a


def attribute(kind: str, **facts: object) -> Attribute:
    return Attribute("a", AttributeEntry.model_validate({"type": kind, **facts}), VALUE_TYPES[kind], "Thing")


def test_lists_have_one_type_and_an_end() -> None:
    ports = attribute("integer", list=True)
    assert ports.normalise(["1", 2.0, 3]) == [1, 2, 3]
    for raw in (7, "12", [1, None], [1, [2]], list(range(1_001))):
        with pytest.raises(InvalidValue):
            ports.normalise(raw)


def test_lists_are_as_long_as_a_text_at_most() -> None:
    with pytest.raises(InvalidValue, match="1048576"):
        attribute("string", list=True).normalise(["x" * 16_000] * 100)


@pytest.mark.parametrize("facts", [{"indexed": True}, {"unique": True}])
def test_indexed_values_are_short_enough_for_an_index(facts: dict[str, bool]) -> None:
    assert attribute("string", **facts).normalise("x" * 500)
    with pytest.raises(InvalidValue, match="index"):
        attribute("string", **facts).normalise("界" * 3_000)
    macs = [f"52:54:00:00:{n // 256:02x}:{n % 256:02x}" for n in range(600)]
    with pytest.raises(InvalidValue, match="index"):
        attribute("mac", list=True, indexed=True).normalise(macs)


def test_enums_name_what_would_do() -> None:
    with pytest.raises(InvalidValue, match="'blue' is not one of red, green"):
        attribute("enum", values=("red", "green")).normalise("blue")


@settings(deadline=None)
@given(ANY_TEXT)
def test_identifiers_differ_neither_by_case_nor_by_blanks(text: str) -> None:
    assert canonical_identifier(f"  {text} {text}".upper()) == canonical_identifier(
        f"{text}   {text}\n".upper()
    )
    assert canonical_identifier(text.lower()) == canonical_identifier(text.lower().casefold())


def test_one_is_neither_true_nor_one_point_nought() -> None:
    assert not same_value(1, True)
    assert not same_value(1, 1.0)
    assert not same_value([1], [True])
    assert same_value(["a"], ["a"])
    assert same_value(None, None)
    assert json.loads(str(VALUE_TYPES["json"].normalise({"a": 1}))) == {"a": 1}
