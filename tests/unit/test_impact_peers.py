"""The peers of the impact benchmarks answer alike, and a wrong engine is found out by them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("igraph")
pytest.importorskip("rustworkx")

from benchmarks.array_walk import ArrayWalk
from benchmarks.impact_walks import Questions, measure
from benchmarks.peers import STATES, IgraphPeer, NetworkxPeer, PlainImplementation, RustworkxPeer
from benchmarks.synthetic import EstateColumns, Numbers, make_estate, to_plain_topology
from impact.propagation import State


@pytest.fixture(scope="module")
def estate() -> EstateColumns:
    return make_estate(2_000)


@pytest.fixture(scope="module")
def small() -> EstateColumns:
    return make_estate(1_000)


@pytest.mark.parametrize("peer_type", [NetworkxPeer, RustworkxPeer, IgraphPeer])
def test_each_peer_reaches_what_the_array_walk_reaches(
    estate: EstateColumns, peer_type: type[NetworkxPeer | RustworkxPeer | IgraphPeer]
) -> None:
    walk, peer = ArrayWalk.build(estate), peer_type.build(estate)
    asked = [[number] for number in range(0, 2_000, 61)] + [list(range(50)), [7, 7, 1_999]]
    for failed in asked:
        reached = peer.dependents(failed).reached
        assert reached.dtype == np.int32
        assert reached.tolist() == walk.dependents(failed).reached.tolist()


def test_the_plain_implementation_touches_only_what_is_reached_and_all_of_it(estate: EstateColumns) -> None:
    walk = ArrayWalk.build(estate)
    plain = PlainImplementation(estate, to_plain_topology(estate))
    up, down = STATES.index(State.UP), STATES.index(State.DOWN)
    for number in range(0, 2_000, 211):
        states, _ = plain.states([number])
        assert states[number] == down
        assert np.flatnonzero(states != up).tolist() == walk.dependents([number]).reached.tolist()


def test_the_questions_are_the_same_for_the_same_estate(estate: EstateColumns) -> None:
    asked = Questions.about(estate)
    assert asked == Questions.about(make_estate(2_000))
    assert len(asked.several) == len(set(asked.several)) == 50
    assert len(ArrayWalk.build(estate).dependents([asked.hub]).reached) == asked.reached


def test_an_engine_that_is_right_differs_nowhere(small: EstateColumns) -> None:
    walk = ArrayWalk.build(small)
    results = measure(small, lambda failed: walk.dependents(failed).reached[::-1])
    [row] = [result for result in results if "differ" in result.goal]
    assert (row.figure, row.met) == (0, True)


def test_an_engine_that_forgets_one_ci_is_found_out(small: EstateColumns) -> None:
    walk = ArrayWalk.build(small)
    forgotten = Questions.about(small).hub

    def ask(failed: Sequence[int]) -> Numbers:
        reached: Numbers = np.setdiff1d(walk.dependents(failed).reached, [forgotten]).astype(np.int32)
        return reached

    [row] = [result for result in measure(small, ask) if "differ" in result.goal]
    assert not row.met
