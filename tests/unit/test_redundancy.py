from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impact import cut_diagram, effects, path_sets
from impact.closure import Closure
from impact.redundancy import Margin, minimal_cut_sets, redundancy_margin
from tests.closures import Drawn, Truth, bundle, chances, closures, named

compiled_on_first_use = settings(deadline=None)


@st.composite
def figured(draw: st.DrawFn) -> Drawn:
    closure, truth = draw(closures())
    return closure, truth, draw(chances(closure.size))


@contextmanager
def by_search() -> Iterator[None]:
    """As where path sets do not tell soon how many failures it takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path_sets, "MOST_WORK", 0)
        yield


@contextmanager
def by_diagram() -> Iterator[None]:
    """As where a gate with spares has too many members for the search, too."""
    with by_search(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(effects, "WIDEST_GATE", 1)
        patch.setattr(cut_diagram, "_FIRST_IN_TIME", 4)
        yield


WAYS = pytest.mark.parametrize("way", [by_search, by_diagram])
Way = Callable[[], AbstractContextManager[None]]


@WAYS
@compiled_on_first_use
@given(figured(), st.integers(1, 4))
def test_cut_sets_are_the_minimal_sets_that_take_the_service_down(way: Way, drawn: Drawn, order: int) -> None:
    closure, truth, q = drawn
    with way():
        found = minimal_cut_sets(closure, q, order=order)
    expected = {cut for cut in truth.cut_sets() if len(cut) <= order}
    assert {frozenset(cut.nodes) for cut in found.sets} == expected
    assert len(found.sets) == len(expected)
    assert sum(found.counts) == len(expected)
    assert not found.truncated
    for cut in found.sets:
        assert cut.probability == pytest.approx(np.prod(q[list(cut.nodes)]))


@WAYS
@compiled_on_first_use
@given(figured(), st.integers(1, 5))
def test_a_bounded_answer_has_the_most_likely_ones(way: Way, drawn: Drawn, most: int) -> None:
    closure, _, q = drawn
    with way():
        every = minimal_cut_sets(closure, q, order=3)
        some = minimal_cut_sets(closure, q, order=3, most=most)
    assert [cut.probability for cut in some.sets] == pytest.approx(
        [cut.probability for cut in every.sets[:most]]
    )
    assert some.truncated == (len(every.sets) > most)
    assert some.counts == every.counts


@WAYS
@compiled_on_first_use
@given(figured(), st.integers(2, 4))
def test_without_time_for_more_the_answer_is_of_a_lower_order(way: Way, drawn: Drawn, order: int) -> None:
    closure, _, q = drawn
    with way():
        patient = minimal_cut_sets(closure, q, order=order, seconds=600)
        hasty = minimal_cut_sets(closure, q, order=order, seconds=0)
    assert patient == minimal_cut_sets(closure, q, order=order)
    assert hasty == minimal_cut_sets(closure, q, order=max(1, hasty.complete_order))
    assert hasty.complete_order <= order


def test_a_time_that_is_over_is_said() -> None:
    closure, _ = named("sabcd", bundle("s", "abcd", 2))
    q = np.full(closure.size, 0.1)
    assert minimal_cut_sets(closure, q, order=4, seconds=0).complete_order == 2  # pairs come before the time
    assert redundancy_margin(closure, seconds=0) == Margin(2, at_least=True)  # the truth: exactly 2
    with by_diagram():
        assert minimal_cut_sets(closure, q, order=4, seconds=0).complete_order == 1


@pytest.mark.parametrize("way", [nullcontext, by_search, by_diagram])
@compiled_on_first_use
@given(closures())
def test_the_margin_is_the_smallest_cut_set_less_one(way: Way, drawn: tuple[Closure, Truth]) -> None:
    closure, truth = drawn
    sizes = [len(cut) for cut in truth.cut_sets() if cut != {0}]
    expected = (
        Margin(min(sizes) - 1, at_least=False) if sizes and min(sizes) <= 4 else Margin(4, at_least=True)
    )
    with way():
        margin = redundancy_margin(closure)
    assert margin == expected
    assert len(margin.defeated_by) == (0 if margin.at_least else margin.failures + 1)
    assert margin.at_least or truth.falls(frozenset(margin.defeated_by) - {0})


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
    with by_diagram():
        assert minimal_cut_sets(closure, np.full(5, 1e-3), order=3, node_limit=3).complete_order == 1
        assert redundancy_margin(closure, node_limit=3) == Margin(1, at_least=True)


def test_orders_that_cannot_be_are_refused() -> None:
    closure, _ = named("sa", bundle("s", "a", None))
    with pytest.raises(ValueError, match="order 5"):
        minimal_cut_sets(closure, np.zeros(2), order=5)
