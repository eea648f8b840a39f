"""Assertions held to an estate, against what the plain implementation says of all failures one by one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import hypothesis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import PlainTopology, Topology, TopologyItem
from impact import checks
from impact.assertions import parse
from impact.availability import Availability
from impact.checks import Classes, check
from impact.closure import Floats
from impact.engine import Engine
from impact.findings import (
    MOST_FINDINGS,
    MOST_SHOWN,
    BrokenGate,
    CheckResult,
    Finding,
    Outcome,
    Shortfall,
)
from impact.item_names import find_items
from impact.propagation import SERVICE_CLASSES, simulate_failure
from impact.service_needs import ServiceNeeds
from tests.estates import estates
from tests.topologies import DUAL_POWER, gate, graph, packed, soft

CLASSES = Classes(
    {
        "Host": frozenset({"Host", "Server"}),
        "Server": frozenset({"Server"}),
        "BusinessService": frozenset({"BusinessService"}),
        "Robot": frozenset({"Robot"}),
    }.get,
    SERVICE_CLASSES,
)


NONE_FAILS: Mapping[str, float] = {}


def checked(topology: Topology, *lines: str, figures: Mapping[str, float] = NONE_FAILS) -> list[CheckResult]:
    """`figures`: how likely items are down by themselves; those that are not there never are."""
    arrays = topology if isinstance(topology, PackedTopology) else packed(topology)

    def own(needs: ServiceNeeds) -> Floats:
        return np.array([figures.get(item, 0.0) for item in needs.ids])

    return list(check(parse("\n".join(lines)), arrays, Engine(), CLASSES, figures=own))


def finding(topology: Topology, line: str, figures: Mapping[str, float] = NONE_FAILS) -> Finding:
    """The only finding of an assertion that fails."""
    [result] = checked(topology, line, figures=figures)
    assert result.outcome is Outcome.FAILED
    [found] = result.findings
    return found


def down(topology: Topology, *failing: str) -> set[str]:
    return set(simulate_failure(topology, set(failing)).down)


def reached(topology: Topology, start: str) -> set[str]:
    """What `start` depends on, over edges that carry failure."""
    seen, waiting = set[str](), [start]
    while waiting:
        for edge in topology.dependencies_of(waiting.pop()):
            if edge.strength is not None and edge.target not in seen:
                seen.add(edge.target)
                waiting.append(edge.target)
    return seen


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_every_form_holds_exactly_if_the_plain_implementation_says_so(data: st.DataObject) -> None:
    estate = data.draw(estates(most=6))
    x, y, *failing = data.draw(st.lists(st.sampled_from(sorted(estate.items)), min_size=3, max_size=4))
    others = [item for item in sorted(estate.items) if item != x]
    failures = data.draw(st.integers(1, 3))
    fallen = down(estate, *failing)
    alone = {item for item in others if x in down(estate, item)}
    lethal = [
        combination
        for size in range(1, failures + 1)
        for combination in itertools.combinations(others, size)
        if x in down(estate, *combination)
    ]
    after = len(fallen - set(failing))
    listed = ", ".join(f"'{item}'" for item in failing)
    expected = {
        f"service '{x}' has no single point of failure": not alone,
        f"service '{x}' has no single point of failure except '{y}'": not alone - {y},
        f"service '{x}' survives any {failures} failures": not lethal,
        f"failure of {listed} does not take down '{x}', '{y}'": not {x, y} & fallen,
        f"failure of {listed} takes down at most {after} items": True,
        f"failure of {listed} takes down at most {max(after - 1, 0)} items of class Host": after == 0,
        f"'{x}' does not depend on '{y}'": x == y or y not in reached(estate, x),
        f"'{x}' does not depend on anything of class Server": not reached(estate, x) - {x},
    }
    results = checked(estate, *expected)
    assert {result.assertion.text: result.outcome is Outcome.PASSED for result in results} == expected
    first, second, third = results[:3]
    assert {member for found in first.findings for member in found.members} == alone
    assert {member for found in second.findings for member in found.members} == alone - {y}
    smallest = {frozenset(c) for c in lethal if len(c) == min(map(len, lethal))}
    assert {frozenset(found.members) for found in third.findings} <= smallest
    assert third.found == len(smallest)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_every_service_is_each_of_them(data: st.DataObject) -> None:
    estate = data.draw(estates())
    some = data.draw(st.sets(st.sampled_from(sorted(estate.items))))
    services = [TopologyItem(item, item, "BusinessService") for item in sorted(some)]
    mixed = estate.with_changes(1, put_items=services)
    verb = data.draw(st.sampled_from(["has no single point of failure", "survives any 2 failures"]))
    [together] = checked(mixed, f"every BusinessService {verb}")
    apart = checked(mixed, *(f"service '{item}' {verb}" for item in sorted(some)))
    assert together.examined == len(some)
    assert together.found == sum(result.found for result in apart)
    found = [each for result in apart for each in result.findings]
    assert list(together.findings) == found[:MOST_FINDINGS]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_service_is_as_available_as_the_states_in_which_it_is_up_are_likely(data: st.DataObject) -> None:
    estate = data.draw(estates(most=6))
    service = data.draw(st.sampled_from(sorted(estate.items)))
    own = {item: data.draw(st.sampled_from([0.0, 0.01, 0.2, 0.5])) for item in sorted(estate.items)}
    up = math.fsum(
        math.prod(own[item] if item in failing else 1 - own[item] for item in own)
        for size in range(len(own) + 1)
        for failing in itertools.combinations(sorted(own), size)
        if service not in down(estate, *failing)
    )
    lines = [f"service '{service}' is available at least {100 * up + off:.9f} %" for off in (-1e-6, 1e-6)]
    hypothesis.assume(up < 1 - 1e-7 and up > 1e-7)
    below, above = checked(estate, *lines, figures=own)
    assert below.outcome is Outcome.PASSED
    assert above.outcome is Outcome.FAILED
    [found] = above.findings
    assert found.code == "too_unavailable"
    assert found.shortfall is not None
    assert found.shortfall.lower == pytest.approx(up, abs=1e-12)
    assert found.shortfall.upper == pytest.approx(up, abs=1e-12)
    assert all(own[member] for member in found.members)


def test_what_is_not_available_enough_hangs_on_what_fails_most() -> None:
    own = {"cooling": 0.01, "pdu-a": 0.2, "pdu-b": 0.2, "server": 0.001}
    found = finding(POWER, "service 'service' is available at least 99.9 %", figures=own)
    assert set(found.members) == set(own)
    assert found.members[-1] == "server"
    [of_class, of_none] = checked(
        POWER,
        "every BusinessService is available at least 90 %",
        "every Robot is available at least 99.9 %",
        figures=own,
    )
    assert (of_class.outcome, of_class.examined) == (Outcome.PASSED, 1)
    assert (of_none.outcome, of_none.examined) == (Outcome.PASSED, 0)


@pytest.mark.parametrize("nines", ["99.9999999", "99.999999", "99.97", "50", "100"])
def test_an_availability_of_exactly_what_is_asserted_is_enough(nines: str) -> None:
    own = {"pdu-a": 1.0 - float(nines) / 100}
    [result] = checked(
        graph({"shop": ["pdu-a"]}), f"service 'shop' is available at least {nines} %", figures=own
    )
    assert result.outcome is Outcome.PASSED


def test_an_interval_with_the_asserted_availability_inside_decides_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wide = Availability(
        0.001, 0.1, 0.05, exact=False, single_points=1, gates=1, components=1, order=2, weighed=True
    )
    monkeypatch.setattr(checks, "availability_of", lambda *_: wide)
    [result] = checked(POWER, "service 'service' is available at least 99 %")
    assert result.outcome is Outcome.UNKNOWN
    [found] = result.findings
    assert (found.code, found.shortfall) == ("availability_undecided", Shortfall(0.9, 0.999, 0.99))


POWER = DUAL_POWER.topology


def test_a_single_point_behind_redundancy_is_told_with_its_way_and_the_gate_it_defeats() -> None:
    found = finding(POWER, "service 'service' has no single point of failure except 'server'")
    assert found.code == "single_point"
    assert found.members == ("cooling",)
    assert found.path == ("service", "server", "pdu-a", "ups-a", "cooling")
    assert found.hops == 4
    assert found.gate == BrokenGate("server", "g0", required=1, size=2, up=0, lost=("pdu-a", "pdu-b"))


def test_of_a_very_long_way_both_ends_are_told() -> None:
    estate = graph({f"n{number:03}": [f"n{number + 1:03}"] for number in range(300)})
    found = finding(estate, "failure of 'n300' does not take down 'n000'")
    assert (found.hops, len(found.path)) == (300, MOST_SHOWN)
    assert (found.path[0], found.path[-1]) == ("n000", "n300")
    assert finding(estate, "'n000' does not depend on 'n300'").path == found.path


def test_classes_narrow_single_points_down_with_their_subclasses() -> None:
    estate = graph({"shop": ["web"], "web": ["rack"]}, classes={"web": "Server", "rack": "Robot"})
    assert finding(estate, "service 'shop' has no single point of failure of class Host").members == ("web",)
    assert finding(estate, "service 'shop' has no single point of failure of class Robot").members == (
        "rack",
    )


def test_the_smallest_sets_that_take_a_service_down_are_told() -> None:
    estate = graph({"shop": [gate(1, "a", "b", "c"), gate(1, "x", "y")]})
    found = finding(estate, "service 'shop' survives any 3 failures")
    assert (found.code, found.members, found.found, found.allowed) == ("cut_set", ("x", "y"), 1, 3)
    assert checked(estate, "service 'shop' survives any 1 failure")[0].outcome is Outcome.PASSED


def test_items_taken_down_are_counted_without_those_that_fail() -> None:
    found = finding(POWER, "failure of 'ups-a' and 'ups-b' takes down at most 3 items")
    assert (found.found, found.allowed, found.members) == (4, 3, ("pdu-a", "pdu-b", "server", "service"))
    assert finding(POWER, "failure of 'cooling' takes down no service").members == ("service",)
    assert checked(POWER, "failure of 'feed-a' takes down no service")[0].outcome is Outcome.PASSED


def test_a_dependency_is_told_with_the_shortest_way_soft_edges_among_it() -> None:
    estate = graph({"a": [soft("b"), "x"], "b": ["y"], "x": ["p"], "p": ["y"]}, classes={"y": "Robot"})
    assert finding(estate, "'a' does not depend on 'y'").path == ("a", "b", "y")
    assert finding(estate, "'a' does not depend on any Robot").path == ("a", "b", "y")
    assert checked(estate, "'y' does not depend on 'a'")[0].outcome is Outcome.PASSED


def test_names_that_fit_nothing_or_several_and_classes_that_are_not_there_leave_it_open() -> None:
    twins = [TopologyItem(f"id-{n}", "twin", "Server") for n in (1, 2)]
    estate = POWER.with_changes(1, put_items=twins)
    nobody, twin, unknown, known = checked(
        estate,
        "service 'nobody' survives any 1 failure",
        "failure of 'twin' takes down nothing",
        "every Rabbit survives any 1 failure",
        "failure of 'id-2' takes down nothing",
    )
    assert (nobody.outcome, nobody.findings) == (Outcome.UNKNOWN, (Finding("unknown_name", name="nobody"),))
    [ambiguous] = twin.findings
    assert (ambiguous.code, ambiguous.members) == ("ambiguous_name", ("id-1", "id-2"))
    assert unknown.findings == (Finding("unknown_class", name="Rabbit"),)
    assert known.outcome is Outcome.PASSED


def test_a_class_without_items_passes_and_says_that_nothing_was_looked_at() -> None:
    [result] = checked(POWER, "every Robot has no single point of failure")
    assert (result.outcome, result.examined) == (Outcome.PASSED, 0)


def test_more_findings_than_are_given_are_counted() -> None:
    estate = graph({"shop": [f"s{n:02}" for n in range(30)]})
    for line in ("service 'shop' has no single point of failure", "service 'shop' survives any 2 failures"):
        [result] = checked(estate, line)
        assert (result.found, len(result.findings)) == (30, MOST_FINDINGS)


def test_patience_that_ends_ends_the_check() -> None:
    with pytest.raises(TimeoutError):
        check(
            parse("every Server survives any 1 failure"),
            packed(POWER),
            Engine(),
            CLASSES,
            figures=lambda needs: np.zeros(len(needs.ids)),
            patience=_impatient,
        )


def _impatient() -> None:
    raise TimeoutError


class TestNames:
    def estate(self) -> PackedTopology:
        """Names in the base, changed ones, new ones, one that is gone."""
        base = PlainTopology.build(
            1,
            [TopologyItem(f"id-{n}", name, "Server") for n, name in enumerate(("été", "b", "b", "old"))],
            [],
        )
        return packed(base).with_changes(
            2,
            delete_items=["id-2"],
            put_items=[TopologyItem("id-3", "new", "Robot"), TopologyItem("id-4", "b", "Robot")],
        )

    def found(self, *names: str) -> dict[str, list[str]]:
        topology = self.estate()
        return {
            name: [topology.id_of(number) for number in numbers]
            for name, numbers in find_items(topology, names).items()
        }

    def test_names_are_those_of_the_present(self) -> None:
        assert self.found("été", "b", "old", "new", "") == {
            "été": ["id-0"],
            "b": ["id-1", "id-4"],
            "old": [],
            "new": ["id-3"],
            "": [],
        }

    def test_an_id_and_a_name_with_its_class_name_one_item(self) -> None:
        assert self.found("id-1", "Robot/b", "Server/b", "Rabbit/b") == {
            "id-1": ["id-1"],
            "Robot/b": ["id-4"],
            "Server/b": ["id-1"],
            "Rabbit/b": [],
        }

    def test_text_that_no_item_can_have_is_found_nowhere(self) -> None:
        assert self.found("\ud800", "b\0", "x" * 10_000) == {"\ud800": [], "b\0": [], "x" * 10_000: []}
