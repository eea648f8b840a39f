"""The proof at scale, at a small scale: it compares everything, and one difference is found."""

from __future__ import annotations

from benchmarks import impact_exact
from benchmarks.packing import packed
from benchmarks.synthetic import make_estate, to_plain_topology
from impact.engine import Engine
from impact.propagation import State, simulate_failure


def test_the_engine_differs_nowhere() -> None:
    compared, reached, differing, _ = impact_exact.run(2_000, 60)
    assert (compared.figure, differing.figure) == (60, 0)
    assert reached.met


def test_one_other_state_one_other_distance_and_one_ci_too_few_are_counted() -> None:
    estate = make_estate(1_000)
    topology, failed = packed(estate), [estate.id_texts()[0].decode()]
    answer = Engine().simulate_failure(topology, failed)
    truth = simulate_failure(to_plain_topology(estate), failed)
    states, distances = dict(truth.states), dict(truth.distances)
    assert impact_exact.differences(answer, states, distances) == 0
    one, two, three, *_ = states
    states[one] = State.REDUCED if states[one] is not State.REDUCED else State.DOWN
    distances[two] += 1
    del states[three]
    assert impact_exact.differences(answer, states, distances) == 3
