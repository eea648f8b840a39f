from __future__ import annotations

import math
import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impact.availability import Solution, availability, joined, log_survival, solve
from impact.closure import Closure
from impact.importance import importances, importances_of
from impact.reduction import Reduction
from tests.closures import Truth, bundle, chances, closure_from, closures, named

compiled_on_first_use = settings(deadline=None)
Drawn = tuple[Closure, Truth, npt.NDArray[np.float64]]


@st.composite
def figured(draw: st.DrawFn) -> Drawn:
    """A closure, its truth, and a figure per node."""
    closure, truth = draw(closures())
    return closure, truth, draw(chances(closure.size))


def close(one: float, other: float) -> bool:
    """Equal but for rounding, also where it is tiny."""
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-300)


@compiled_on_first_use
@given(figured())
def test_a_small_service_is_solved_exactly(drawn: Drawn) -> None:
    closure, truth, q = drawn
    found = availability(closure, q)
    assert found.exact
    assert close(found.least_unavailability, truth.unavailability(q))
    assert found.least_unavailability == found.most_unavailability == found.estimate


def by_cut_sets(
    closure: Closure, q: npt.NDArray[np.float64], target_width: float = 0.0
) -> tuple[Solution, float]:
    reduction = Reduction.of(closure)
    solution = solve(reduction, q, exact_size=0, target_width=target_width, deadline=lambda: False)
    return solution, log_survival(q[reduction.single_points])


@compiled_on_first_use
@given(figured(), st.sampled_from([0.0, 1e-3, 0.5, 1.0]))
def test_the_interval_contains_the_truth(drawn: Drawn, target_width: float) -> None:
    closure, truth, q = drawn
    solution, up = by_cut_sets(closure, q, target_width)
    expected = truth.unavailability(q)
    assert joined(up, solution.least) <= expected * (1 + 1e-9)
    assert joined(up, solution.most) >= expected * (1 - 1e-9)
    assert solution.least <= solution.estimate <= solution.most


@compiled_on_first_use
@given(closures())
def test_the_interval_is_narrow_where_failures_are_rare(drawn: tuple[Closure, Truth]) -> None:
    closure, _ = drawn
    q = np.full(closure.size, 1e-4)
    solution, up = by_cut_sets(closure, q)
    assert joined(up, solution.most) - joined(up, solution.least) <= 2e-3 * joined(up, solution.most)


@compiled_on_first_use
@given(figured(), st.data())
def test_a_more_reliable_ci_never_lowers_availability(drawn: Drawn, data: st.DataObject) -> None:
    closure, _, q = drawn
    better = q.copy()
    better[data.draw(st.integers(0, closure.size - 1))] /= 2
    assert availability(closure, better).estimate <= availability(closure, q).estimate * (1 + 1e-12)


@compiled_on_first_use
@given(figured(), st.data())
def test_needing_fewer_members_never_makes_anything_worse(drawn: Drawn, data: st.DataObject) -> None:
    closure, _, q = drawn
    eased = np.maximum(1, closure.required - data.draw(st.integers(0, 2))).astype(np.int32)
    redundant = Closure(closure.gate_start, eased, closure.member_start, closure.members)
    assert availability(redundant, q).estimate <= availability(closure, q).estimate * (1 + 1e-12)


def test_series_and_parallel_by_hand() -> None:
    closure, truth = named("sabcd", bundle("s", "a", None), bundle("s", "bcd", 2))
    q = np.array([{"s": 1e-5, "a": 1e-4, "b": 1e-3, "c": 2e-3, "d": 3e-3}[name] for name in truth.names])
    two_of_three = 1e-3 * 2e-3 + 1e-3 * 3e-3 + 2e-3 * 3e-3 - 2 * 1e-3 * 2e-3 * 3e-3
    found = availability(closure, q)
    assert found.estimate == pytest.approx(1 - (1 - 1e-5) * (1 - 1e-4) * (1 - two_of_three), rel=1e-12)
    assert (found.single_points, found.gates, found.components) == (2, 1, 1)


def test_tiny_figures_keep_their_digits() -> None:
    closure, _ = named("sab", bundle("s", "ab"))
    found = availability(closure, np.array([0.0, 1e-9, 3e-10]))
    assert found.estimate == pytest.approx(3e-19, rel=1e-12)
    assert found.lower == 1.0


def test_a_shared_host_is_not_counted_twice() -> None:
    closure, truth = named("swvh", bundle("s", "wv"), bundle("w", "h", None), bundle("v", "h", None))
    q = np.array([0.1 if name == "h" else 0.0 for name in truth.names])
    assert availability(closure, q).estimate == pytest.approx(0.1)


def test_gates_without_a_ci_in_common_are_components() -> None:
    closure, _ = named(
        "sabcdef", bundle("s", "ab"), bundle("s", "bc", group="h"), bundle("s", "de", group="i")
    )
    found = availability(closure, np.full(closure.size, 1e-3))
    assert (found.gates, found.components) == (3, 2)


def test_a_deadline_gives_an_interval_at_once() -> None:
    closure, truth = named("sabc", bundle("s", "ab"), bundle("a", "bc", group="h"))
    q = np.full(closure.size, 1e-2)
    reduction = Reduction.of(closure)
    solution = solve(reduction, q, exact_size=0, deadline=lambda: True)
    assert solution.order == 2
    assert solution.least <= truth.unavailability(np.array([0.0, *q[1:]])) <= solution.most


def test_figures_that_are_no_probabilities_are_refused() -> None:
    closure, _ = named("sa", bundle("s", "a", None))
    with pytest.raises(ValueError, match="from 0 to 1"):
        availability(closure, np.array([0.1, 1.5]))
    with pytest.raises(ValueError, match="2 figures"):
        availability(closure, np.array([0.1]))


def test_many_thousands_of_cut_sets_are_no_matter_of_recursion() -> None:
    leaves = 30_000
    needs = np.arange(5, 5 + leaves, dtype=np.int32)
    closure = Closure(
        np.concatenate([[0, 2, 3, 3, 4, 4], np.full(leaves, 4)]).astype(np.int32),
        np.array([1, 1, leaves, leaves], np.int32),
        np.cumsum([0, 2, 2, leaves, leaves]).astype(np.int32),
        np.concatenate([[1, 2, 3, 4], needs, needs]).astype(np.int32),
    )
    q = np.full(closure.size, 1e-9)
    found = availability(closure, q)
    pairs = 2 * (leaves + 1)  # a leaf, or 1, with 2; a leaf, or 3, with 4
    expected = 1e-9 + pairs * 1e-18
    assert found.least_unavailability <= expected * (1 + 1e-9)
    assert found.most_unavailability >= expected * (1 - 1e-9)
    assert found.relative_width < 1e-3


@pytest.mark.parametrize(
    ("members", "required", "q"),
    [(100, 60, 4.56e-4), (150, 140, 0.01), (200, 195, 0.05), (300, 297, 4.56e-4)],
)
@pytest.mark.parametrize("pair", [0.0, 1e-3])
def test_a_pool_of_any_width_is_solved_exactly(members: int, required: int, q: float, pair: float) -> None:
    """Members that fail by themselves: the truth is a binomial sum. Beside it a pair, whose two fail like `pair`."""
    gates = [(range(1, members + 1), required), (range(members + 1, members + 3), 1)]
    closure = closure_from([gates, *([] for _ in range(members + 2))])
    found = availability(closure, np.array([0.0, *(q for _ in range(members)), pair, pair]))
    pool = math.fsum(
        math.comb(members, down) * q**down * (1 - q) ** (members - down)
        for down in range(members - required + 1, members + 1)
    )
    assert found.exact
    assert found.estimate == pytest.approx(pool + pair**2 - pool * pair**2, rel=1e-9)


def test_what_cannot_be_down_is_never_down_less_than_never() -> None:
    closure, _ = named("sab", bundle("s", "ab"))
    assert math.copysign(1.0, availability(closure, np.zeros(3)).estimate) == 1.0


def pools_on_hosts(hosts: int, pools: int, members: int, required: int, seed: int = 1) -> Closure:
    """A service that needs several pools, whose members are on hosts that the pools share."""
    chance = random.Random(seed)
    first_host = 1 + pools * members
    nodes: list[list[tuple[list[int], int]]] = [
        [(list(range(1 + p * members, 1 + (p + 1) * members)), required) for p in range(pools)]
    ]
    nodes += [[([first_host + chance.randrange(hosts)], 1)] for _ in range(pools * members)]
    nodes += [[] for _ in range(hosts)]
    return closure_from(nodes)


@pytest.mark.parametrize(("hosts", "pools", "members", "required"), [(20, 2, 20, 17), (30, 4, 30, 27)])
def test_pools_that_share_hosts_are_solved_exactly(
    hosts: int, pools: int, members: int, required: int
) -> None:
    closure = pools_on_hosts(hosts, pools, members, required)
    q = np.full(closure.size, 0.01)
    q[0] = 0.0
    found = availability(closure, q)
    assert found.exact
    measures = importances(closure, q)
    rng = np.random.default_rng(1)  # a check by another way: 200,000 states drawn at random
    failed = rng.random((200_000, closure.size)) < 0.01
    on = closure.members[closure.member_start[pools] :]
    assert np.count_nonzero(measures.birnbaum) == 1 + pools * members + len(np.unique(on))
    lost = failed[:, 1 : 1 + pools * members] | failed[:, on]
    down = (lost.reshape(-1, pools, members).sum(axis=2) > members - required).any(axis=1)
    spread = math.sqrt(found.estimate / len(down))
    assert abs(down.mean() - found.estimate) < 5 * spread


def test_redundancy_that_is_not_weighed_is_told() -> None:
    closure = pools_on_hosts(60, 8, 30, 20)
    q = np.full(closure.size, 1e-3)
    found = availability(closure, q, deadline=lambda: True)
    assert not found.exact
    assert not found.weighed
    solution = solve(Reduction.of(closure), q, deadline=lambda: True)
    assert not importances_of(Reduction.of(closure), q, solution).birnbaum[1:].any()
    exact = availability(pools_on_hosts(20, 2, 20, 17), np.full(61, 1e-3))
    assert exact.weighed
