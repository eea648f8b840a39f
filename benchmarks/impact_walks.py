"""What a failure plainly reaches in a made-up estate: the engine beside networkx, rustworkx, igraph and Cypher.

`measure` takes the engine as one function and gives the rows of `impact.md`'s table about walks. The questions are the
same for the same estate: 1,000 random machines and hosts one by one, the worst hub, and 50 random CIs at once. Every
answer of the engine is compared with that of each peer, number by number. Peers are built one after the other and let
go, since that of networkx alone takes gigabytes at a million CIs.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

import numpy as np

from benchmarks.array_walk import ArrayWalk
from benchmarks.cypher_peer import CypherPeer, TimedOut
from benchmarks.peers import IgraphPeer, NetworkxPeer, Peer, RustworkxPeer
from benchmarks.results import Result, quantile
from benchmarks.synthetic import EstateColumns, Numbers
from benchmarks.synthetic_figures import HOSTS, MACHINES, worst_hub

NAME: Final = "impact-walks"
RANDOM_FAILURES: Final = 1_000
AT_ONCE: Final = 50
REPEATED: Final = 5
"""So many times the engine is asked a question of which the median is kept; a peer, which takes longer, three times."""

Ask: TypeAlias = Callable[[Sequence[int]], Numbers]
"""The engine: numbers of failed CIs in, numbers of all that plainly depend on them out, in any order, they included."""


class PeerType(Protocol):
    """A peer before it is built."""

    name: str

    def build(self, estate: EstateColumns) -> Peer:
        """The peer with its graph of the estate."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """How many times faster than a peer the engine has to be at the worst hub."""

    peer: PeerType
    times: float


TARGETS: Final = (Target(NetworkxPeer, 150), Target(RustworkxPeer, 10), Target(IgraphPeer, 1))


@dataclass(frozen=True, slots=True)
class Questions:
    """Which CIs fail: each of `machines` alone, `hub` alone, `several` together. `reached`: what the hub reaches."""

    machines: tuple[int, ...]
    hub: int
    reached: int
    several: tuple[int, ...]

    @classmethod
    def about(cls, estate: EstateColumns) -> Questions:
        """Drawn with the estate's seed."""
        rng = np.random.default_rng([estate.seed, len(estate)])
        candidates = estate.of_class(*MACHINES, *HOSTS)
        machines = rng.choice(candidates, min(RANDOM_FAILURES, len(candidates)), replace=False)
        several = rng.choice(len(estate), AT_ONCE, replace=False)
        hub, reached = worst_hub(estate, ArrayWalk.build(estate), ArrayWalk.build_reversed(estate))
        return cls(tuple(machines.tolist()), hub, reached, tuple(several.tolist()))


@dataclass(frozen=True, slots=True)
class _Engine:
    """The engine's answers, sorted, and its seconds."""

    machines: list[Numbers]
    machine_seconds: list[float]
    hub: Numbers
    hub_seconds: float
    several: Numbers
    several_seconds: float


def measure(estate: EstateColumns, ask: Ask, cypher: CypherPeer | None = None) -> list[Result]:
    """The rows about walks: the engine's times, its ratios to the peers, and answers that differ (none may).

    `ask` is the engine on the same estate, compiled and warm or not: it is asked once before it is timed. `cypher` is
    asked too if there is one; at a million CIs it is given a minute for each form.
    """
    asked = Questions.about(estate)
    engine = _ask_engine(ask, asked)
    size = f"{len(estate):,} CIs"
    hub = f"the worst hub of {size} ({asked.reached:,} reached)"
    p99 = quantile(engine.machine_seconds, 0.99) * 1e6
    results = [
        Result.below(NAME, f"all that a random machine or host of {size} reaches, p99, us", p99, 50),
        Result.below(NAME, f"{hub}, ms", engine.hub_seconds * 1e3, 75),
        Result.below(NAME, f"{AT_ONCE} CIs of {size} at once, ms", engine.several_seconds * 1e3, 50),
    ]
    differing = 0
    for target in TARGETS:
        peer = target.peer.build(estate)
        seconds, wrong = _compare(peer, asked, engine)
        differing += wrong
        goal = f"{hub}: {peer.name} against the engine, times"
        results.append(Result.at_least(NAME, goal, seconds / engine.hub_seconds, target.times))
        del peer
        gc.collect()
    results.append(Result.exactly(NAME, f"answers at {size} that differ from a peer's", differing, 0))
    if cypher is not None:
        results += _cypher_rows(cypher, asked, engine, hub)
    return results


def _ask_engine(ask: Ask, asked: Questions) -> _Engine:
    ask([asked.hub])
    machines, seconds = [], []
    for machine in asked.machines:
        answer, taken = _timed(ask, [machine], 1)
        machines.append(np.sort(answer))
        seconds.append(taken)
    hub, hub_seconds = _timed(ask, [asked.hub], REPEATED)
    several, several_seconds = _timed(ask, asked.several, REPEATED)
    return _Engine(machines, seconds, np.sort(hub), hub_seconds, np.sort(several), several_seconds)


def _timed(ask: Ask, failed: Sequence[int], times: int) -> tuple[Numbers, float]:
    """The answer, and the median of its seconds."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = ask(failed)
        seconds.append(time.perf_counter() - begun)
    return answer, quantile(seconds, 0.5)


def _compare(peer: Peer, asked: Questions, engine: _Engine) -> tuple[float, int]:
    """The peer's median seconds at the hub, and how many of the engine's answers differ from its."""
    walks = [peer.dependents([asked.hub]) for _ in range(3)]
    differing = int(not np.array_equal(walks[0].reached, engine.hub))
    differing += not np.array_equal(peer.dependents(asked.several).reached, engine.several)
    for machine, answer in zip(asked.machines, engine.machines, strict=True):
        differing += not np.array_equal(peer.dependents([machine]).reached, answer)
    return quantile([walk.seconds for walk in walks], 0.5), differing


def _cypher_rows(cypher: CypherPeer, asked: Questions, engine: _Engine, hub: str) -> list[Result]:
    """Cypher at the hub in each of its forms (after one run to warm it), and at a hundred machines."""
    differing = 0
    for machine, answer in list(zip(asked.machines, engine.machines, strict=True))[:100]:
        differing += not np.array_equal(cypher.dependents([machine]).reached, answer)
    results = []
    for form, call in (("one collect", cypher.dependents), ("rows", cypher.rows)):
        try:
            walk = [call([asked.hub]) for _ in range(2)][-1]
        except TimedOut:
            continue  # no figure is better than a made-up one
        differing += not np.array_equal(walk.reached, engine.hub)
        goal = f"{hub}: Cypher as {form} against the engine, times"
        results.append(Result.at_least(NAME, goal, walk.seconds / engine.hub_seconds, 1))
    try:
        counted, seconds = [cypher.count([asked.hub]) for _ in range(2)][-1]
    except TimedOut:
        pass
    else:
        differing += counted != len(engine.hub)
        goal = f"{hub}: Cypher as a count against the engine, times"
        results.append(Result.at_least(NAME, goal, seconds / engine.hub_seconds, 1))
    return [*results, Result.exactly(NAME, "answers that differ from Cypher's", differing, 0)]
