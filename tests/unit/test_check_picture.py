"""What `cmdb check` draws of each finding, and the exit status it ends with."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from cmdb.cli.check_picture import check_picture, finding_words
from cmdb.cli.checking import status_of
from cmdb.cli.exit_status import ExitStatus
from cmdb.cli.records import CheckFindingRecord, CheckRecord, CheckResultRecord, ItemRecord


def item(name: str) -> ItemRecord:
    return {"id": f"id-{name}", "class": "Server", "name": name}


def finding(code: str, *members: str, **given: Any) -> CheckFindingRecord:  # noqa: ANN401 - fields of a record
    found: CheckFindingRecord = {
        "code": code,
        "about": item("shop"),
        "members": [item(name) for name in members],
        "path": [],
        "hops": None,
        "gate": None,
        "shortfall": None,
        "found": None,
        "allowed": None,
        "name": None,
    }
    return {**found, **given}  # type: ignore[typeddict-item]


def result(
    outcome: str, *findings: CheckFindingRecord, found: int = 0, examined: int = 1
) -> CheckResultRecord:
    return {
        "line": 7,
        "text": "service 'shop' ...",
        "outcome": outcome,
        "examined": examined,
        "found": found or len(findings),
        "findings": list(findings),
    }


def record(*results: CheckResultRecord) -> CheckRecord:
    passed = all(r["outcome"] == "passed" for r in results)
    return {"file": "promises", "revision": 12, "passed": passed, "results": list(results)}


def drawn(check: CheckRecord) -> list[str]:
    console = Console(width=120, force_terminal=False, color_system=None)
    with console.capture() as capture:
        for part in check_picture(check):
            console.print(part)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (finding("single_point", "rack"), "rack (Server) takes down shop alone"),
        (finding("cut_set", "a", found=0), "a (Server) takes down shop alone: it survives no failure"),
        (
            finding("cut_set", "a", "b", found=1),
            "a (Server), b (Server) together take down shop: it survives any 1 failure",
        ),
        (
            finding("undecided", found=1, allowed=3),
            "shop survives any 1 failure; whether 3, cannot be said within the limits",
        ),
        (
            finding("too_unavailable", "a", shortfall={"lower": 0.9987, "upper": 0.99871, "least": 0.9995}),
            "shop is available 99.870 % to 99.871 %, asserted 99.95 %; most hangs on a (Server)",
        ),
        (
            finding("too_unavailable", shortfall={"lower": 0.99949999, "upper": 0.99949999, "least": 0.9995}),
            "shop is available 99.949999 % to 99.949999 %, asserted 99.95 %",
        ),
        (
            finding("availability_undecided", shortfall={"lower": 0.999998, "upper": 1.0, "least": 0.999999}),
            "shop is available 99.9998 % to 100 %, asserted 99.9999 %: it cannot be told more precisely in time",
        ),
        (finding("taken_down", "a"), "shop goes down with a (Server)"),
        (
            finding("too_many_down", "a", found=5, allowed=0),
            "5 go down, 0 at most may: a (Server) and 4 more",
        ),
        (finding("depends_on", "db"), "shop depends on db (Server)"),
        (finding("unknown_name", name="sh\x1bop"), "nothing is called sh·op; look it up with `cmdb find`"),
        (
            finding("ambiguous_name", "a", found=1, name="a"),
            "1 item is called a: Server/a (id-a); give the id or Class/name",
        ),
        (finding("unknown_class", name="Rabbit"), "the catalogue has no class Rabbit"),
        (finding("told_by_a_newer_service"), "told_by_a_newer_service"),
    ],
)
def test_words(found: CheckFindingRecord, words: str) -> None:
    assert finding_words(found).plain == words


def test_a_check_is_a_line_for_each_assertion_with_reasons_below_and_counts_at_the_end() -> None:
    gate = {
        "owner": item("web"),
        "group": "members",
        "required": 1,
        "size": 2,
        "up": 0,
        "lost": [item("a"), item("b")],
    }
    path = [item(name) for name in ("shop", "web", "a", "rack")]
    single = finding("single_point", "rack", path=path, hops=3, gate=gate)
    check = record(
        result("passed", examined=0),
        result("failed", single, found=3),
        result("unknown", finding("unknown_class")),
    )
    assert drawn(check) == [
        "promises",
        "✓   7  service 'shop' ...  (0 items)",
        "✗   7  service 'shop' ...",
        "       rack (Server) takes down shop alone",
        "         way: shop → web → a → rack",
        "         gate (members): web needs 1 of 2, 0 up; down: a (Server), b (Server)",
        "       … and 2 more",
        "?   7  service 'shop' ...",
        "       the catalogue has no class -",
        "1 assertion holds, 1 does not, 1 cannot be judged  (revision 12)",
    ]


def test_of_a_long_way_both_ends_are_drawn() -> None:
    path = [item(str(number)) for number in range(100)]
    lines = drawn(record(result("failed", finding("depends_on", "99", path=path, hops=400))))
    assert "0 → 1 → 2 → 3 → 4 → 5 → … 389 more … → 94 → 95" in lines[3]


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([], ExitStatus.OK),
        ([result("passed")], ExitStatus.OK),
        ([result("passed"), result("failed", finding("single_point", "a"))], ExitStatus.REFUSED),
        ([result("unknown", finding("undecided"))], ExitStatus.REFUSED),
        ([result("unknown", finding("ambiguous_name")), result("passed")], ExitStatus.NOT_FOUND),
        (
            [result("unknown", finding("unknown_name")), result("failed", finding("taken_down"))],
            ExitStatus.REFUSED,
        ),
    ],
)
def test_the_exit_status_tells_failures_from_names_that_fit_nothing(
    results: list[CheckResultRecord], status: ExitStatus
) -> None:
    assert status_of([record(*results)]) is status
