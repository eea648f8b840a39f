from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impact.availability import availability
from impact.closure import Closure
from impact.importance import Improvement, importances, improvements
from tests.closures import Truth, bundle, chances, closures, named

compiled_on_first_use = settings(deadline=None)
Drawn = tuple[Closure, Truth, npt.NDArray[np.float64]]


@st.composite
def figured(draw: st.DrawFn) -> Drawn:
    closure, truth = draw(closures())
    return closure, truth, draw(chances(closure.size))


def given_that(truth: Truth, q: npt.NDArray[np.float64], node: int, down: bool) -> float:
    known = q.copy()
    known[node] = float(down)
    return truth.unavailability(known)


@compiled_on_first_use
@given(figured())
def test_measures_are_those_of_conditional_probabilities(drawn: Drawn) -> None:
    closure, truth, q = drawn
    found = importances(closure, q)
    total = truth.unavailability(q)
    assert found.exact
    assert found.unavailability == pytest.approx(total, rel=1e-9)
    for node in range(closure.size):
        down, up = given_that(truth, q, node, True), given_that(truth, q, node, False)
        assert found.birnbaum[node] == pytest.approx(down - up, rel=1e-6, abs=1e-15)
        if total == 0:
            assert found.raw[node] == (math.inf if down > 0 else 1)
            assert (found.rrw[node], found.criticality[node], found.diagnostic[node]) == (1, 0, 0)
            continue
        assert found.criticality[node] == pytest.approx(q[node] * (down - up) / total, rel=1e-6, abs=1e-9)
        assert found.fussell_vesely[node] == pytest.approx(1 - up / total, rel=1e-6, abs=1e-9)
        assert found.diagnostic[node] == pytest.approx(q[node] * down / total, rel=1e-6, abs=1e-9)
        assert found.raw[node] == pytest.approx(down / total, rel=1e-6)
        if up > 1e-6 * total:
            assert found.rrw[node] == pytest.approx(total / up, rel=1e-6)


@compiled_on_first_use
@given(figured())
def test_a_gain_is_what_the_better_ci_brings(drawn: Drawn) -> None:
    closure, truth, q = drawn
    total = truth.unavailability(q)
    for gain in improvements(importances(closure, q), q, most=100):
        better = q.copy()
        better[gain.node] = {
            Improvement.REDUNDANT: q[gain.node] ** 2,
            Improvement.TWICE_AS_RELIABLE: q[gain.node] / 2,
        }[gain.improvement]
        assert gain.availability == pytest.approx(total - truth.unavailability(better), rel=1e-6, abs=1e-12)


@compiled_on_first_use
@given(figured(), st.integers(1, 6))
def test_the_best_improvements_come_first(drawn: Drawn, most: int) -> None:
    closure, _, q = drawn
    measured = importances(closure, q)
    every = [gain.availability for gain in improvements(measured, q, most=100)]
    assert every == sorted(every, reverse=True)
    assert [gain.availability for gain in improvements(measured, q, most)] == every[:most]


def test_the_single_server_is_worth_more_than_either_of_a_pair() -> None:
    closure, truth = named("sabc", bundle("s", "a", None), bundle("s", "bc"))
    q = np.full(4, 1e-3)
    q[0] = 0
    best = improvements(importances(closure, q), q)[0]
    assert (truth.names[best.node], best.improvement) == ("a", Improvement.REDUNDANT)
    assert best.availability == pytest.approx((1e-3 - 1e-6) * (1 - 1e-6))


def test_where_the_availability_is_an_interval_the_measures_are_those_of_its_estimate() -> None:
    pairs = [bundle("s", "abcdefghijklmnopqrtuvwxyz"[i : i + 2], group=f"g{i}") for i in range(24)]
    closure, _ = named("sabcdefghijklmnopqrtuvwxyz", *pairs)
    q = np.full(closure.size, 1e-3)
    measured = importances(closure, q, node_limit=40)
    found = availability(closure, q, node_limit=40)
    assert measured.exact == found.exact
    assert measured.unavailability == pytest.approx(found.estimate)
