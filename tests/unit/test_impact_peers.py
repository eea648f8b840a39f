"""The peers of the impact benchmarks answer alike, and a wrong engine is found out by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("igraph")
pytest.importorskip("rustworkx")

from benchmarks import following
from benchmarks.array_walk import ArrayWalk, Walk
from benchmarks.engine_peer import EnginePeer
from benchmarks.following import follow
from benchmarks.impact_walks import Questions, measure
from benchmarks.packing import packed
from benchmarks.peers import STATES, IgraphPeer, NetworkxPeer, PlainImplementation, RustworkxPeer
from benchmarks.synthetic import EstateColumns, make_estate, to_plain_topology
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


class Forgetful(EnginePeer):
    """An engine that leaves out one CI of whatever it reaches."""

    def dependents(self, failed: Sequence[int]) -> Walk:
        walk = super().dependents(failed)
        return Walk(walk.reached[:-1], walk.seconds)


def test_an_engine_that_is_right_differs_nowhere(small: EstateColumns) -> None:
    results = measure(small, EnginePeer.of(packed(small), small), Questions.about(small))
    assert [row.figure for row in results if "differ" in row.goal] == [0, 0]


def test_an_engine_that_forgets_one_ci_is_found_out(small: EstateColumns) -> None:
    results = measure(small, Forgetful.of(packed(small), small), Questions.about(small))
    assert not any(row.met for row in results if "differ" in row.goal)


def test_paths_to_services_lead_from_hop_to_hop_and_a_wrong_one_is_counted(small: EstateColumns) -> None:
    engine, asked = EnginePeer.of(packed(small), small), Questions.about(small)
    ways = engine.service_ways(asked.hub)
    assert len(ways.services) > 10
    assert set(engine.number[ways.along[ways.start[1:] - 1]].tolist()) == {asked.hub}
    assert engine.broken(ways) == 0
    wrong = ways.along.copy()
    begin = int(ways.start[np.argmax(ways.distances)])
    wrong[begin + 1] = wrong[begin + 2]
    assert engine.broken(replace(ways, along=wrong)) == 1
    assert engine.broken(replace(ways, services=ways.services[::-1].copy())) > 1


def test_a_change_is_followed_and_seen(small: EstateColumns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "CHANGES", 100)
    engine = EnginePeer.of(packed(small), small)
    [row] = [row for row in follow("impact", engine.engine, engine.topology) if "did not have" in row.goal]
    assert row.met
