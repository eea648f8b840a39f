from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impact import cut_diagram
from impact.closure import Closure
from impact.redundancy import Margin, minimal_cut_sets, redundancy_margin
from tests.closures import Truth, bundle, chances, closures, named

compiled_on_first_use = settings(deadline=None)
Drawn = tuple[Closure, Truth, npt.NDArray[np.float64]]


@st.composite
def figured(draw: st.DrawFn) -> Drawn:
    closure, truth = draw(closures())
    return closure, truth, draw(chances(closure.size))


@compiled_on_first_use
@given(figured(), st.integers(1, 4))
def test_cut_sets_are_the_minimal_sets_that_take_the_service_down(drawn: Drawn, order: int) -> None:
    closure, truth, q = drawn
    found = minimal_cut_sets(closure, q, order=order)
    expected = {cut for cut in truth.cut_sets() if len(cut) <= order}
    assert {frozenset(cut.nodes) for cut in found.sets} == expected
    assert len(found.sets) == len(expected)
    assert sum(found.counts) == len(expected)
    assert not found.truncated
    for cut in found.sets:
        assert cut.probability == pytest.approx(np.prod(q[list(cut.nodes)]))


@compiled_on_first_use
@given(figured(), st.integers(1, 5))
def test_a_bounded_answer_has_the_most_likely_ones(drawn: Drawn, most: int) -> None:
    closure, _, q = drawn
    every = minimal_cut_sets(closure, q, order=3)
    some = minimal_cut_sets(closure, q, order=3, most=most)
    assert [cut.probability for cut in some.sets] == pytest.approx(
        [cut.probability for cut in every.sets[:most]]
    )
    assert some.truncated == (len(every.sets) > most)
    assert some.counts == every.counts


@compiled_on_first_use
@given(figured(), st.integers(2, 4))
def test_without_time_for_more_nodes_the_answer_is_of_a_lower_order(drawn: Drawn, order: int) -> None:
    closure, _, q = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cut_diagram, "_FIRST_IN_TIME", 4)
        patient = minimal_cut_sets(closure, q, order=order, seconds=600)
        hasty = minimal_cut_sets(closure, q, order=order, seconds=0)
    assert patient == minimal_cut_sets(closure, q, order=order)
    assert hasty == minimal_cut_sets(closure, q, order=max(1, hasty.complete_order))
    assert hasty.complete_order <= order


def test_a_time_that_is_over_is_said() -> None:
    closure, _ = named("sabcd", bundle("s", "abcd", 2))
    q = np.full(closure.size, 0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cut_diagram, "_FIRST_IN_TIME", 4)
        assert minimal_cut_sets(closure, q, order=4, seconds=0).complete_order == 1


@compiled_on_first_use
@given(closures())
def test_the_margin_is_the_smallest_cut_set_less_one(drawn: tuple[Closure, Truth]) -> None:
    closure, truth = drawn
    sizes = [len(cut) for cut in truth.cut_sets() if cut != {0}]
    expected = (
        Margin(min(sizes) - 1, at_least=False) if sizes and min(sizes) <= 4 else Margin(4, at_least=True)
    )
    assert redundancy_margin(closure) == expected


@pytest.mark.parametrize("required", [1, 2, 3, 4])
def test_a_gate_of_five_survives_what_it_can_spare(required: int) -> None:
    closure, _ = named("sabcde", bundle("s", "abcde", required))
    spare = 5 - required
    assert redundancy_margin(closure) == Margin(spare, at_least=spare == 4)


def test_a_set_that_stands_for_several_is_counted_as_several() -> None:
    closure, truth = named("sabcd", bundle("s", "ab"), bundle("a", "c", None), bundle("b", "d", None))
    found = minimal_cut_sets(closure, np.full(5, 1e-3))
    assert found.counts == (1, 4)
    assert sorted("".join(truth.names[node] for node in cut.nodes) for cut in found.sets) == [
        "ab",
        "ad",
        "bc",
        "cd",
        "s",
    ]


def test_where_the_diagram_has_no_room_lower_orders_are_given_and_the_margin_is_a_bound() -> None:
    closure, _ = named("sabcd", bundle("s", "ab"), bundle("a", "cd", 1, "h"))
    assert minimal_cut_sets(closure, np.full(5, 1e-3), order=3, node_limit=3).complete_order == 1
    assert redundancy_margin(closure, node_limit=3) == Margin(1, at_least=True)


def test_orders_that_cannot_be_are_refused() -> None:
    closure, _ = named("sa", bundle("s", "a", None))
    with pytest.raises(ValueError, match="order 5"):
        minimal_cut_sets(closure, np.zeros(2), order=5)
