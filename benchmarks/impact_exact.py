"""A thousand random failures in a million CIs: the engine's whole answer against that of the plain implementation.

Promises: compared are the state and the distance of every CI that either of the two reaches; one count of differences
says whether they are equal to the last. The failures are random CIs of every class, hubs among them, and each
twentieth is of two to five CIs at once; none is left out. The plain implementation has a topology of its own, in
dictionaries, so that nothing of the engine's arrays can mislead both.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from benchmarks.packing import packed
from benchmarks.results import Result
from benchmarks.synthetic import make_estate, to_plain_topology
from cmdb.model.packed_topology import PackedTopology
from impact.engine import Engine
from impact.propagation import State, simulate_failure
from impact.simulation import STATES, Impact

NAME: Final = "impact-exact"
SIZE: Final = 1_000_000
FAILURES: Final = 1_000


def run(size: int = SIZE, failures: int = FAILURES) -> list[Result]:
    """A few minutes and some four gigabytes, nearly all of both for the plain implementation."""
    estate = make_estate(size)
    topology, plain = packed(estate), to_plain_topology(estate)
    del estate
    gc.collect()
    gc.freeze()  # the plain topology's millions of objects are not looked at again and again
    engine = Engine()
    engine.follow(topology)
    engine.simulate_failure(topology, [topology.id_of(0)])  # compiles
    compared, differing, cis = 0, 0, 0
    fast = slow = 0.0
    for failed in _failures(topology, failures):
        begun = time.perf_counter()
        answer = engine.simulate_failure(topology, failed)
        answered = time.perf_counter()
        truth = simulate_failure(plain, failed)
        slow += time.perf_counter() - answered
        fast += answered - begun
        compared += 1
        cis += len(truth.states)
        differing += differences(answer, truth.states, truth.distances)
    gc.unfreeze()
    what = f"random failures at {size:,} CIs"
    return [
        Result.exactly(NAME, f"{what} compared with the plain implementation", compared, failures),
        Result.at_least(NAME, "CIs that they reached, thousands", cis / 1_000, failures / 1_000),
        Result.exactly(NAME, "states and distances of those that differ", differing, 0),
        Result.at_least(NAME, "plain implementation against the engine, times", slow / fast, 100),
    ]


def differences(answer: Impact, states: Mapping[str, State], distances: Mapping[str, int]) -> int:
    """How many CIs have another state or distance in the plain answer, or are in one of the two only."""
    reached = zip(
        answer.nodes.tolist(),
        answer.codes.tolist(),
        answer.distances_of(np.arange(len(answer.nodes))).tolist(),
        strict=True,
    )
    mine = {answer.topology.id_of(number): (STATES[code], hops) for number, code, hops in reached}
    plain = {item: (state, distances[item]) for item, state in states.items()}
    return sum(mine.get(item) != plain.get(item) for item in mine.keys() | plain.keys())


def _failures(topology: PackedTopology, count: int) -> Iterator[list[str]]:
    rng = np.random.default_rng(topology.size)
    for place in range(count):
        several = int(rng.integers(2, 6)) if place % 20 == 19 else 1
        numbers = rng.choice(topology.size, several, replace=False)
        yield [topology.id_of(number) for number in numbers.tolist()]
