"""The language of assertions: what it reads, and what it says of text that it cannot read."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impact.assertions import (
    MOST_FAULTS,
    Assertion,
    AvailableAtLeast,
    Claim,
    DoesNotDependOn,
    Every,
    Named,
    NoSinglePoint,
    Spares,
    Survives,
    TakesDownAtMost,
    parse,
    to_text,
)
from impact.errors import AssertionFault, InvalidAssertions

NINES = Decimal("99.95")
names = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1)
some_names = st.lists(names, min_size=1, max_size=4).map(tuple)
class_names = st.from_regex(r"[A-Z][A-Za-z0-9_]*", fullmatch=True)
every = st.builds(Every, st.none() | class_names)
subjects = st.builds(Named, names) | every
claims = st.one_of(
    st.builds(NoSinglePoint, subjects, st.lists(class_names).map(tuple), st.lists(names).map(tuple)),
    st.builds(Survives, subjects, st.integers(1, 3)),
    st.builds(AvailableAtLeast, subjects, st.decimals("0.0000001", 100, places=7)),
    st.builds(Spares, some_names, some_names),
    st.builds(TakesDownAtMost, some_names, st.integers(0, 10**9), st.none() | every),
    st.builds(DoesNotDependOn, names, subjects),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(claims, max_size=5))
def test_what_is_written_is_read_as_the_same(written: list[Claim]) -> None:
    text = "\n".join(f"{to_text(claim)}  # said {n} times" for n, claim in enumerate(written))
    assert [assertion.claim for assertion in parse(text)] == written
    assert [assertion.line for assertion in parse(text)] == list(range(1, len(written) + 1))


WORDS = (
    "service is available every failure of takes down at most at least no single point except and does Server"
)
pieces = st.sampled_from(
    [
        *WORDS.split(),
        "'a'",
        '"b"',
        "'",
        '"',
        ",",
        "7",
        "99.9",
        "%",
        "99999999999999",
        "#",
        "\n",
        "\t",
        "é",
        "\0",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces).map(" ".join) | st.text())
def test_any_text_is_read_or_refused_with_places_inside_it(text: str) -> None:
    lines = text.split("\n")
    read: tuple[Assertion, ...] = ()
    faults: tuple[AssertionFault, ...] = ()
    try:
        read = parse(text)
    except InvalidAssertions as refused:
        faults = refused.faults
        assert faults
    assert all(assertion.text == lines[assertion.line - 1].strip() for assertion in read)
    assert all(1 <= fault.column <= len(lines[fault.line - 1]) + 1 for fault in faults)


@pytest.mark.parametrize(
    ("line", "claim"),
    [
        ("Every service survives any 2 failures", Survives(Every(None), 2)),
        (
            "every service of class BusinessService survives any 1 failure",
            Survives(Every("BusinessService"), 1),
        ),
        (
            "service 'shop' has no single point of failure of class Server, Pdu or Ups except 'a' and \"b's\"",
            NoSinglePoint(Named("shop"), ("Server", "Pdu", "Ups"), ("a", "b's")),
        ),
        (
            "every BusinessService is available at least 99.95%",
            AvailableAtLeast(Every("BusinessService"), NINES),
        ),
        ("service 'shop' is available at least 100 %", AvailableAtLeast(Named("shop"), Decimal(100))),
        ("failure of 'a', 'b', and 'c' takes down nothing", TakesDownAtMost(("a", "b", "c"), 0)),
        ("failure of 'a' takes down no service", TakesDownAtMost(("a",), 0, Every(None))),
        ("failure of 'a' takes down at most 1 item of class Pdu", TakesDownAtMost(("a",), 1, Every("Pdu"))),
        ("failure of 'a' does not take down 'x' and 'y'", Spares(("a",), ("x", "y"))),
        ("'a' does not depend on any Server", DoesNotDependOn("a", Every("Server"))),
        ("'it''s' does not depend on 'b'\r", DoesNotDependOn("it's", Named("b"))),
    ],
)
def test_forms(line: str, claim: Claim) -> None:
    [assertion] = parse(line)
    assert assertion.claim == claim


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n   # 'more'", "\t\r\n"])
def test_comments_and_empty_lines_assert_nothing(text: str) -> None:
    assert parse(text) == ()


@pytest.mark.parametrize(
    ("line", "column", "fault"),
    [
        ("service shop survives any 1 failure", 9, "expected a name, not shop"),
        ("service 'shop survives any 1 failure", 9, "a quote is opened and not closed"),
        ("service 'shop' survives any 4 failures", 29, "any 4 failures cannot be asked about"),
        ("service 'shop' survives any 1 failure now", 39, "the assertion was complete before: now"),
        ("service 'shop' has no single points", 30, "expected point, not points"),
        ("every server survives any 1 failure", 7, "expected a class, not server"),
        ("failure of 'a' and takes down nothing", 20, "expected a name, not takes"),
        ("failure of 'a' takes down at most 99999999999 items", 35, "the number is too large"),
        ("failure of 'a'", 15, "expected takes or does, not the end of the line"),
        ("service '' survives any 1 failure", 9, "a name is empty"),
        ("service 'shop' survives any 1.5 failures", 29, "expected a whole number, not 1.5"),
        ("service 'shop' is available at least 99.9", 42, "expected %, not the end of the line"),
        ("service 'shop' is available at least 0 %", 38, "expected a percentage, not 0"),
        ("service 'shop' is available at least 100.1 %", 38, "expected a percentage, not 100.1"),
        ("service 'shop' is available at least 9" + "9" * 30, 38, "the number is too long"),
        ("service 'shop' stands", 16, "expected has, survives or is, not stands"),
        ("shop is up", 1, "an assertion begins with"),
        ("service = 1", 9, "'=' means nothing here"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(line: str, column: int, fault: str) -> None:
    with pytest.raises(InvalidAssertions) as refused:
        parse("\n" + line)
    [found] = refused.value.faults
    assert (found.line, found.column) == (2, column)
    assert found.fault.startswith(fault)


def test_all_faults_are_told_at_once_up_to_a_number() -> None:
    with pytest.raises(InvalidAssertions) as refused:
        parse("one\nservice 'a' survives any 1 failure\ntwo")
    assert [fault.line for fault in refused.value.faults] == [1, 3]
    with pytest.raises(InvalidAssertions) as refused:
        parse("wrong\n" * 1_000)
    assert len(refused.value.faults) == MOST_FAULTS
