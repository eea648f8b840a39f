"""Fault trees: what is refused, and the figures against all states one by one."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings

from impact.errors import InvalidFaultTree, TooManyNodes
from impact.fault_tree import BasicEvent, FaultTree, Formula, Gate
from impact.fault_tree_analysis import analyse
from tests.fault_trees import EVENTS, all_of, any_of, happens, no, trees


def chance(tree: FaultTree, sure: str | None = None, never: str | None = None) -> float:
    total = 0.0
    for failed in map(frozenset, subsets()):
        if happens(tree, failed):
            p = {name: e.probability for name, e in tree.basic_events.items()}
            p |= {name: value for name, value in ((sure, 1.0), (never, 0.0)) if name is not None}
            total += math.prod(p[name] if name in failed else 1 - p[name] for name in EVENTS)
    return total


def subsets() -> itertools.chain[tuple[str, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(EVENTS, n) for n in range(len(EVENTS) + 1))


@settings(deadline=None, max_examples=30)
@given(trees())
def test_probability_and_cut_sets_are_those_of_all_states(tree: FaultTree) -> None:
    analysis = analyse(tree)
    assert analysis.probability == pytest.approx(chance(tree), abs=1e-12)
    solutions = [frozenset(s) for s in subsets() if happens(tree, frozenset(s))]
    minimal = {s for s in solutions if not any(other < s for other in solutions)}
    assert {frozenset(s) for s in analysis.smallest_cut_sets(100)} == minimal
    assert {frozenset(s) for _, s in analysis.likeliest_cut_sets(100)} == minimal


@settings(deadline=None, max_examples=30)
@given(trees())
def test_importances_are_those_of_conditional_probabilities(tree: FaultTree) -> None:
    analysis = analyse(tree)
    top = chance(tree)
    assert [i.event for i in analysis.importances] == list(EVENTS)
    for i in analysis.importances:
        p, given_event, without = i.probability, chance(tree, sure=i.event), chance(tree, never=i.event)
        assert i.birnbaum == pytest.approx(given_event - without, abs=1e-12)
        if top > 1e-9:
            assert i.criticality == pytest.approx(p * (given_event - without) / top, abs=1e-6)
            assert i.fussell_vesely == pytest.approx(1 - without / top, abs=1e-6)
            assert i.diagnostic == pytest.approx(p * given_event / top, abs=1e-6)
            assert i.raw == pytest.approx(given_event / top, rel=1e-6)
            assert i.rrw == pytest.approx(top / without if without else math.inf, rel=1e-6)


def two_pumps() -> FaultTree:
    """No water: the valve is stuck, or both pumps fail."""
    return FaultTree.build(
        "water",
        [Gate("no water", any_of("valve", "pumps")), Gate("pumps", all_of("p1", "p2"))],
        [BasicEvent("valve", 0.001), BasicEvent("p1", 0.1), BasicEvent("p2", 0.05), BasicEvent("lamp", 0.5)],
    )


def test_the_figures_of_two_pumps_and_a_valve_by_hand() -> None:
    analysis = analyse(two_pumps())
    assert analysis.tree.top == "no water"
    assert analysis.probability == pytest.approx(0.001 + 0.999 * 0.005)
    assert list(analysis.smallest_cut_sets(9)) == [("valve",), ("p1", "p2")]
    [(likeliest, members)] = analysis.likeliest_cut_sets(1)
    assert likeliest == pytest.approx(0.005)
    assert members == ("p1", "p2")
    valve, p1, _, lamp = analysis.importances
    assert valve.raw == pytest.approx(1 / 0.005995)
    assert valve.rrw == pytest.approx(0.005995 / 0.005)
    assert p1.birnbaum == pytest.approx(0.999 * 0.05)
    assert (lamp.birnbaum, lamp.fussell_vesely, lamp.raw, lamp.rrw) == (0, 0, 1, 1)


def test_an_event_without_which_the_top_cannot_happen_has_infinite_reduction_worth() -> None:
    events = [BasicEvent("a", 0.3), BasicEvent("b", 0.7), BasicEvent("c", 0.1)]
    tree = FaultTree.build("t", [Gate("g", all_of("a", any_of("b", "c")))], events)
    worths = [i.rrw for i in analyse(tree).importances]
    assert worths[0] == math.inf
    assert all(map(math.isfinite, worths[1:]))


def test_a_top_event_that_cannot_happen_yet_says_what_would_make_it_possible() -> None:
    tree = FaultTree.build("t", [Gate("g", all_of("a"))], [BasicEvent("a", 0.0), BasicEvent("b", 0.5)])
    a, b = analyse(tree).importances
    assert (a.birnbaum, a.fussell_vesely, a.raw, a.rrw) == (1, 0, math.inf, 1)
    assert (b.birnbaum, b.fussell_vesely, b.raw, b.rrw) == (0, 0, 1, 1)


def test_negations_make_a_tree_incoherent_and_drop_out_of_its_cut_sets() -> None:
    events = [BasicEvent("a", 0.5), BasicEvent("b", 0.25)]
    tree = FaultTree.build("t", [Gate("g", all_of("a", no("b")))], events)
    assert not tree.is_coherent
    analysis = analyse(tree)
    assert list(analysis.smallest_cut_sets(9)) == [("a",)]
    assert analysis.importances[1].birnbaum == -0.5


def test_a_chain_of_many_gates_is_no_matter_of_recursion() -> None:
    gates = [Gate(f"g{n}", any_of(f"g{n + 1}", f"e{n}")) for n in range(2_000)]
    events = [BasicEvent(f"e{n}", 1e-4) for n in range(2_001)]
    tree = FaultTree.build("chain", [*gates, Gate("g2000", any_of("e2000"))], events)
    assert analyse(tree).probability == pytest.approx(-math.expm1(2_001 * math.log1p(-1e-4)), rel=1e-9)


def test_a_tree_that_no_order_makes_small_enough_is_refused() -> None:
    gates = [Gate(f"g{n}", all_of(f"a{n}", f"b{(7 * n + 3) % 20}")) for n in range(20)]
    events = [BasicEvent(f"{kind}{n}", 0.1) for n in range(20) for kind in "ab"]
    tree = FaultTree.build("t", [Gate("top", Formula("xor", tuple(g.name for g in gates))), *gates], events)
    analyse(tree)
    with pytest.raises(TooManyNodes, match="more than 30 nodes"):
        analyse(tree, node_limit=30)


A = BasicEvent("a", 0.1)


@pytest.mark.parametrize(
    ("gates", "events", "top", "said"),
    [
        ([Gate("g", any_of("a")), Gate("a", any_of("g"))], [A], None, "a: is defined twice"),
        ([Gate("g", any_of("x"))], [A], None, "g: uses 'x', which is not defined"),
        ([Gate("g", any_of("h")), Gate("h", any_of("a", no("g")))], [A], "g", r"itself \(g -> h -> g\)"),
        ([Gate("g", any_of("a"))], [BasicEvent("a", 1.5)], None, "a: has probability 1.5"),
        ([Gate("g", any_of("a"))], [BasicEvent("a", math.nan)], None, "a: has probability nan"),
        ([Gate("g", Formula("atleast", ("a",), 2))], [A], None, "g: wants at least 2 of 1"),
        ([Gate("g", Formula("not", ("a", "a")))], [A], None, "g: negates 2 arguments"),
        ([Gate("g", any_of(all_of()))], [A], None, "g: has an empty `and`"),
        ([Gate("g", any_of("a")), Gate("h", any_of("a"))], [A], None, r"2 gates .* \(g, h\)"),
        ([Gate("g", any_of("a"))], [A], "a", "a: is to be the top event and is no gate"),
        ([], [A], None, r"0 gates are used by no other gate \(none\)"),
    ],
)
def test_a_tree_that_contradicts_itself_is_refused(
    gates: list[Gate], events: list[BasicEvent], top: str | None, said: str
) -> None:
    with pytest.raises(InvalidFaultTree, match=said):
        FaultTree.build("t", gates, events, top=top)


def test_formulas_nested_without_end_are_refused() -> None:
    formula = any_of("a")
    for _ in range(5_000):
        formula = no(formula)
    with pytest.raises(InvalidFaultTree, match="more than 100 formulas nested"):
        FaultTree.build("t", [Gate("g", formula)], [A])
