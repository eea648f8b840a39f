from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmdb.model.topology import TopologyEdge
from impact import few_failures
from impact.closure import Closure
from impact.few_failures import FewFailures
from impact.reduction import Reduction
from tests.closures import Drawn, Truth, bundle, chances, entangled, named, pool, residues

compiled_on_first_use = settings(deadline=None, max_examples=300)


def found(
    residue: Closure, own: npt.NDArray[np.float64], allowed: float, looks: float = math.inf
) -> FewFailures:
    """With triples tried unless the first bound is as narrow as `allowed`, or time is up after so many looks."""
    looked = itertools.count(1)
    few = FewFailures.of(residue, own, lambda least: allowed, lambda: next(looked) > looks)
    assert few is not None
    return few


@compiled_on_first_use
@given(residues())
def test_every_pair_that_takes_the_service_down_is_found(drawn: Drawn) -> None:
    residue, truth, own = drawn
    few = found(residue, own, 1.0)
    nodes = range(1, residue.size)
    expected = {pair for pair in itertools.combinations(nodes, 2) if truth.falls(frozenset(pair))}
    assert sorted(map(tuple, few.pairs.tolist())) == sorted(expected)


@compiled_on_first_use
@given(residues(), st.sampled_from([0.0, 1e-9, 1e-3, 1.0]))
def test_the_truth_is_between_the_bounds(drawn: Drawn, allowed: float) -> None:
    residue, truth, own = drawn
    few = found(residue, own, allowed)
    expected = truth.unavailability(own)
    assert few.least <= expected * (1 + 1e-9)
    assert few.most >= expected * (1 - 1e-9)


@compiled_on_first_use
@given(residues(), st.sampled_from([0.0, 1.0]))
def test_what_no_pair_does_is_bounded_from_above(drawn: Drawn, allowed: float) -> None:
    """Tighter than the bounds as a whole: what these allow is not hidden by what pairs do."""
    residue, truth, own = drawn
    few = found(residue, own, allowed)
    pairs = [frozenset(pair) for pair in few.pairs.tolist()]
    rest = Truth(truth.names, truth.gates)
    rest.__dict__["fatal"] = {f for f in truth.fatal if 0 not in f and not any(pair <= f for pair in pairs)}
    _, of_pairs = few_failures._between(few.pairs, own)
    assert few.most - of_pairs >= rest.unavailability(own) * (1 - 1e-9) - 1e-15 or few.most == 1.0


@compiled_on_first_use
@given(residues(), st.data())
def test_the_upper_bound_holds_where_failures_are_rare(drawn: Drawn, data: st.DataObject) -> None:
    """There a part that was left out of it would show: nothing else in it is as large."""
    residue, truth, _ = drawn
    figure = st.sampled_from([0.0, 1e-5, 1e-2])
    own = np.array([0.0, *(data.draw(figure) for _ in range(residue.size - 1))])
    assert found(residue, own, 0.0).most >= truth.unavailability(own) * (1 - 1e-9)


NEEDS_MORE_THAN_TWO = {
    "two pairs with one in common": [bundle("s", "ab"), bundle("a", "cd"), bundle("b", "de")],
    "a pair and one": [bundle("s", "az"), bundle("a", "cd")],
    "three": [bundle("s", "cde")],
    "two pairs": [bundle("s", "ab"), bundle("a", "cd"), bundle("b", "ef")],
    "two triples": [bundle("s", "ab"), bundle("a", "cde"), bundle("b", "fgh")],
    "a triple and one beside it": [bundle("s", "cdef")],
    "a triple and one beside what it takes down": [bundle("s", "az"), bundle("a", "def")],
    "a triple and a pair": [bundle("s", "ab"), bundle("a", "cd"), bundle("b", "efg")],
    "a triple and a pair with one in common": [bundle("s", "ab"), bundle("a", "cde"), bundle("b", "cf")],
    "two triples with two in common": [bundle("s", "ab"), bundle("a", "cde"), bundle("b", "cdf")],
    "two triples with one in common": [bundle("s", "ab"), bundle("a", "cde"), bundle("b", "cfg")],
    "a triple and a pair beside what it takes down": [
        bundle("s", "ab"),
        bundle("a", "cdef"),
        bundle("b", "gh"),
    ],
    "two pairs through a third gate": [
        bundle("s", "ac"),
        bundle("a", "bd"),
        bundle("b", "ef"),
        bundle("d", "gh"),
    ],
}


@pytest.mark.parametrize("edges", NEEDS_MORE_THAN_TWO.values(), ids=NEEDS_MORE_THAN_TWO)
@pytest.mark.parametrize("allowed", [0.0, 1.0])
def test_what_needs_more_than_two_failures_is_bounded(
    edges: list[list[TopologyEdge]], allowed: float
) -> None:
    names = "".join(sorted({edge.source + edge.target for some in edges for edge in some}))
    names = "s" + "".join(sorted(set(names) - {"s"}))
    closure, truth = named(names, *edges)
    own = np.array([0.0 if name in "sab" else 0.3 if name == "z" else 1e-3 for name in truth.names])
    few = found(closure, own, allowed)
    assert few.least <= truth.unavailability(own) <= few.most * (1 + 1e-9)


@settings(deadline=None, max_examples=150)
@given(
    entangled(),
    st.sampled_from([0.0, 1e-9]),
    st.sampled_from([3, 2_000_000]),
    st.sampled_from([1, 2, 4, math.inf]),
)
def test_what_takes_four_failures_or_more_is_bounded(
    drawn: Drawn, allowed: float, at_a_time: int, looks: float
) -> None:
    residue, truth, own = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_failures, "MOST_TRIPLES", at_a_time)
        patch.setattr(few_failures, "TRIED_AT_ONCE", 2)
        few = found(residue, own, allowed, looks)
    expected = truth.unavailability(own)
    assert few.least <= expected * (1 + 1e-9)
    assert few.most >= expected * (1 - 1e-9)


@pytest.mark.parametrize("allowed", [float("nan"), float("-inf"), -1.0, float("inf")])
def test_the_search_ends_whatever_width_is_allowed(allowed: float) -> None:
    """No number: none is asked for (0) of a service that is certainly down (its survival as e to minus infinity)."""
    closure, truth = named("sabcdef", bundle("s", "ab"), bundle("a", "cd"), bundle("b", "ef"))
    own = np.array([0.0, *(0.1 for _ in range(closure.size - 1))])
    few = found(closure, own, allowed)
    assert few.least <= truth.unavailability(own) <= few.most


@compiled_on_first_use
@given(residues())
def test_what_three_do_is_bounded_to_leading_order_where_triples_are_tried(drawn: Drawn) -> None:
    residue, truth, _ = drawn
    own = np.full(residue.size, 1e-5)
    own[0] = 0.0
    few = found(residue, own, 0.0)
    expected = truth.unavailability(own)
    assert few.most - expected <= 1e-2 * expected + 1e-16


@compiled_on_first_use
@given(residues(), chances(8))
def test_triples_that_take_the_service_down_are_in_both_bounds(
    drawn: Drawn, figures: npt.NDArray[np.float64]
) -> None:
    """What they add is no more than what is down without a pair, and to leading order as much."""
    residue, truth, _ = drawn
    rare = np.append(0.0, figures[: residue.size - 1] * 1e-3)
    few = found(residue, rare, 0.0)
    pairs = [frozenset(pair) for pair in few.pairs.tolist()]
    assert all(truth.falls(frozenset(triple)) for triple in few.triples.tolist())
    assert not any(pair <= frozenset(triple) for pair in pairs for triple in few.triples.tolist())
    rest = Truth(truth.names, truth.gates)
    rest.__dict__["fatal"] = {f for f in truth.fatal if 0 not in f and not any(pair <= f for pair in pairs)}
    of_pairs, _ = few_failures._between(few.pairs, rare)
    beside = few.least - of_pairs
    expected = rest.unavailability(rare)
    assert beside <= expected * (1 + 1e-9) + 1e-18
    threes = sum(rare[list(triple)].prod() for triple in few.triples.tolist())
    assert beside >= 0.9 * threes - 1e-18


def test_the_derivatives_are_those_of_the_sum_over_pairs() -> None:
    closure, _ = named("sabc", bundle("s", "ab"), bundle("s", "bc", group="h"))
    own = np.array([0.0, 0.1, 0.2, 0.3])
    few = found(Reduction.of(closure).residue, own, 1.0)
    assert few.weight == pytest.approx(0.1 * 0.2 + 0.2 * 0.3)
    assert few.derivatives.tolist() == pytest.approx([0.0, 0.2, 0.4, 0.2])


def test_more_triples_than_are_tried_count_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    closure, truth = named("sabcdef", bundle("s", "abcdef", 4))
    own = np.full(closure.size, 0.01)
    own[0] = 0.0
    all_tried = found(closure, own, 0.0)
    monkeypatch.setattr(few_failures, "MOST_TRIPLES", 3)
    some_tried = found(closure, own, 0.0)
    assert some_tried.most >= all_tried.most >= truth.unavailability(own)


def test_the_likeliest_triples_are_tried_first_and_those_without_time_count_in_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(few_failures, "TRIED_AT_ONCE", 1)
    closure, truth = named("sabcdefgh", bundle("s", "abcdefgh", 5))
    own = np.array([0.0, *10.0 ** np.arange(-8, 0)])
    widths = [found(closure, own, 0.0, looks).most for looks in (0, 1, 2, 3, 20, math.inf)]
    untried, one, two, three, many, every = (width - truth.unavailability(own) for width in widths)
    assert untried > one > two > three > many > every >= 0
    assert three < untried / 2


def test_a_gate_wider_than_a_word_is_left_to_others() -> None:
    assert FewFailures.of(pool(65, 64), np.full(66, 1e-3)) is None
