"""Observation JSON, version 1: what is taken, what is refused and with which place; and the registry of formats."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import discovery
from cmdb.errors import BadRequest, ValidationFailed
from discovery.formats import FORMATS, parse, recognise
from discovery.observation import (
    Observation,
    ObservationLimits,
    ObservedEdge,
    ObservedItem,
    parse_observation,
    schema_text,
)

HOST = {"ref": "a", "class": "Server", "key": "k1", "attributes": {"name": "db1", "memory": 17_179_869_184}}
GUEST = {"ref": "b", "class": "DatabaseInstance", "attributes": {"name": "postgres", "ports": [5432]}}
RUNS_ON = {"type": "RUNS_ON", "from": "b", "to": "a"}


def report(**changes: object) -> dict[str, Any]:
    return {"source": "lab", "items": [HOST, GUEST], "edges": [RUNS_ON], **changes}


def read(document: object, limits: ObservationLimits | None = None) -> Observation:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_observation(body, limits) if limits else parse_observation(body)


def problems(document: object, limits: ObservationLimits | None = None) -> dict[str, str]:
    with pytest.raises(ValidationFailed) as refused:
        read(document, limits)
    return {problem.where: problem.message for problem in refused.value.problems}


def test_the_example_of_the_contract_is_read_as_it_is_written() -> None:
    observed = read(
        {
            "source": "netbox",
            "run": "r7",
            "scope": "site/vienna",
            "complete": True,
            "seen_at": "2026-11-24T10:00:00+01:00",
            "items": [HOST, GUEST],
            "edges": [
                {
                    "type": "DEPENDS_ON",
                    "from": "a",
                    "to": "b",
                    "group": "db",
                    "required": 1,
                    "strength": "hard",
                    "confidence": "declared",
                }
            ],
        }
    )
    assert observed.seen_at == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert (observed.source, observed.run, observed.scope, observed.complete) == (
        "netbox",
        "r7",
        "site/vienna",
        True,
    )
    assert observed.items[0] == ObservedItem("a", "Server", "k1", {"name": "db1", "memory": 17_179_869_184})
    assert observed.edges == (ObservedEdge("DEPENDS_ON", "a", "b", "db", 1, "hard", "declared"),)


def test_what_is_not_said_has_its_documented_default() -> None:
    observed = read({"source": "lab"})
    assert (observed.run, observed.scope, observed.complete, observed.seen_at) == ("", "", False, None)
    assert (observed.items, observed.edges) == ((), ())
    edge = read(report()).edges[0]
    assert (edge.group, edge.required, edge.strength, edge.confidence) == ("", None, None, "declared")


@pytest.mark.parametrize("required", [0, 2, "50%", "3"])
def test_required_is_a_count_or_a_share(required: int | str) -> None:
    edge = {**RUNS_ON, "group": "g", "required": required}
    assert read(report(edges=[edge])).edges[0].required == required


def test_every_problem_is_told_with_its_place_and_all_at_once() -> None:
    found = problems(
        report(
            items=[
                {"ref": "a", "class": "Server", "attributes": {}, "colour": "red"},
                {"ref": "b", "class": 7},
                {"class": "Server"},
            ],
            edges=[
                {"type": "RUNS_ON", "from": "b", "to": "a", "required": 1.5},
                {"type": "RUNS_ON", "from": "b"},
            ],
        )
    )
    assert list(found) == ["items[0]", "items[1].class", "items[2]", "edges[0].required", "edges[1]"]
    assert "colour" in found["items[0]"]


def test_a_ref_twice_and_a_ref_that_leads_nowhere_are_told() -> None:
    found = problems(report(items=[HOST, HOST], edges=[RUNS_ON]))
    assert "items[0]" in found["items[1].ref"]
    assert "'b'" in found["edges[0].from"]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "report"),
        (b"[]", "report"),
        (b"null", "report"),
        (b'{"source":"x"', "report"),
        (b'{"source":"x"} {}', "report"),
        (b'{"source":"x","items":{}}', "items"),
        (b'{"source":7}', "source"),
        (b'{"source":"  "}', "source"),
        (b'{"source":"a\\u0000b"}', "source"),
        (b'{"source":""}', "source"),
        (b'{"items":[]}', "report"),
        (b'{"source":"x","surprise":1}', "report"),
        (b'{"source":"x","complete":"yes"}', "complete"),
        (b'{"source":"x","seen_at":"yesterday"}', "seen_at"),
        (b'{"source":"x","seen_at":"2026-11-24T10:00:00"}', "seen_at"),
        (b'{"source":"x","items":[{"ref":"a","class":"Server","attributes":{"memory":NaN}}]}', "report"),
        (b'{"source":"x","items":[{"ref":"a","class":"Server","attributes":{"memory":Infinity}}]}', "report"),
        (
            b'{"source":"x","items":[{"ref":"a","class":"Server","attributes":{"m":1e400}}]}',
            "items[0].attributes[...]",
        ),
        (b'{"source":"x","items":[{"ref":"a","class":"Server","key":"\\ud800"}]}', "report"),
        (b'{"source":"x","items":[{"ref":"a","class":"Server","key":"\xff"}]}', "items[0]"),
        (b'{"source":"x","items":[{"ref":"a","class":"Server","key":"k\\u0000"}]}', "items[0].key"),
        (b'{"source":"\xff"}', "report"),
    ],
)
def test_malformed_reports_are_refused_with_the_place(body: bytes, where: str) -> None:
    found = problems(body)
    assert [place for place in found if place.startswith(where)], found


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_tower_of_brackets_is_refused_and_not_climbed(opening: bytes) -> None:
    head = b'{"source":"x","items":[{"ref":"a","class":"Server","attributes":{"name":'
    assert "nested" in "".join(problems(head + opening * 200_000).values())


def test_a_value_may_nest_as_deep_as_the_limit_and_no_deeper() -> None:
    def nested(depth: int) -> list[Any]:
        return [nested(depth - 1)] if depth > 1 else []

    limits = ObservationLimits(depth=5)
    item = {"ref": "a", "class": "Server", "attributes": {"tags": nested(5)}}
    assert read(report(items=[item], edges=[]), limits).items
    item = {"ref": "a", "class": "Server", "attributes": {"tags": nested(6)}}
    assert list(problems(report(items=[item], edges=[]), limits)) == ["items[0].attributes.tags"]


def test_sizes_and_counts_are_limited() -> None:
    assert list(problems(report(), ObservationLimits(body=10))) == ["report"]
    assert list(problems(report(), ObservationLimits(items=1, edges=0))) == ["items", "edges"]
    assert list(problems(report(), ObservationLimits(attributes=1))) == [
        "items[0].attributes",
        "items[1].attributes",
    ]
    long_key = {"ref": "a", "class": "Server", "key": "ü" * 300, "attributes": {}}
    assert list(problems(report(items=[long_key], edges=[]))) == ["items[0].key"]
    long_ref = {"ref": "r" * 513, "class": "Server"}
    assert list(problems(report(items=[long_ref], edges=[]))) == ["items[0].ref"]


def test_reading_stops_after_enough_problems() -> None:
    bad = [{"ref": str(n), "class": 1} for n in range(1_000)]
    assert len(problems(report(items=bad, edges=[]), ObservationLimits(problems=20))) == 20
    lost = [{"type": "RUNS_ON", "from": str(n), "to": "x"} for n in range(1_000)]
    assert len(problems(report(edges=lost), ObservationLimits(problems=20))) == 20


def test_texts_are_brought_into_their_normal_form() -> None:
    observed = read(
        {"source": " cafe\u0301 ", "items": [{"ref": "a", "class": "Server", "key": " k\u0007 "}]}
    )
    assert observed.source == "café"
    assert observed.items[0].key == "k"


def test_whole_numbers_keep_all_their_digits() -> None:
    item = {"ref": "a", "class": "Server", "attributes": {"memory": 2**63 + 1}}
    assert read(report(items=[item], edges=[])).items[0].attributes["memory"] == 2**63 + 1


def test_the_published_schema_is_in_step() -> None:
    stored = Path(discovery.__file__).parent / "schemas" / "observation-v1.json"
    assert stored.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m discovery.observation > discovery/schemas/observation-v1.json"
    )


def test_the_format_is_recognised_by_its_content() -> None:
    body = json.dumps(report()).encode()
    assert recognise(body, "whatever.txt") == "observation"
    assert recognise(b"\xef\xbb\xbf \n" + body) == "observation"
    items_first = json.dumps({"items": [HOST] * 5_000, "source": "lab"}).encode()
    assert recognise(items_first) == "observation"
    assert parse(b"\xef\xbb\xbf" + body, "observation") == read(report())


@pytest.mark.parametrize(
    "body",
    [b"", b"<xml/>", b"[]", b'{"kind":"List","items":[]}', b'{"bomFormat":"CycloneDX"}', b"{}", b"\0\1\2"],
)
def test_what_no_format_recognises_is_refused_with_the_names_there_are(body: bytes) -> None:
    with pytest.raises(BadRequest, match="observation"):
        recognise(body, "x")


def test_an_unknown_format_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(BadRequest, match="observation"):
        parse(b"{}", "nonsense")
    assert set(FORMATS) >= {"observation"}
