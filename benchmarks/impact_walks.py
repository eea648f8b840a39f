"""What a failure does to a million CIs: the engine beside networkx, rustworkx, igraph, Cypher; what following costs.

`measure` asks about walks. The questions are the same for the same estate: 1,000 random machines and hosts one by one,
the worst hub, and 50 random CIs at once; every answer is compared with that of each peer, number by number. Peers are
built one after the other and let go, since that of networkx alone takes gigabytes at a million CIs.

The engine does more than its peers, which know no redundancy: its full answer has a state for everything reached. So
that ratios compare the same work, both are shown: the engine's plain walk and its full answer.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from benchmarks.array_walk import ArrayWalk
from benchmarks.engine_peer import REPEATED, EnginePeer
from benchmarks.following import follow
from benchmarks.impact_cypher import ask_cypher
from benchmarks.packing import packed
from benchmarks.peers import IgraphPeer, NetworkxPeer, Peer, RustworkxPeer
from benchmarks.results import Result, quantile
from benchmarks.synthetic import EstateColumns, Numbers, make_estate
from benchmarks.synthetic_figures import HOSTS, MACHINES, worst_hub

NAME: Final = "impact"
SIZE: Final = 1_000_000
RANDOM_FAILURES: Final = 1_000
AT_ONCE: Final = 50


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
class _Answers:
    """The engine's answers, sorted, and its seconds at the hub: for the full answer, and for the plain walk."""

    machines: list[Numbers]
    hub: Numbers
    seconds: float
    walk_seconds: float
    several: Numbers


def run() -> list[Result]:
    """A million CIs, in this process; some six minutes, of which the peers take most."""
    estate = make_estate(SIZE)
    engine = EnginePeer.of(packed(estate), estate)
    asked = Questions.about(estate)
    engine.dependents([asked.hub])  # compiles
    gc.collect()
    gc.freeze()  # a collection that goes through the peers' millions of objects is not the engine's time
    return [
        *measure(estate, engine, asked),
        *paths(engine, asked, f"the worst hub of {SIZE:,} CIs"),
        *follow(NAME, engine.engine, engine.topology),
        *memory(engine),
        *ask_cypher(NAME, estate, engine, asked.hub, asked.machines),
    ]


def measure(estate: EstateColumns, engine: EnginePeer, asked: Questions) -> list[Result]:
    """The rows about answers: the engine's times, its ratios to the peers, and answers that differ (none may)."""
    results, answers = _ask_engine(estate, engine, asked)
    hub = f"the worst hub of {len(estate):,} CIs"
    differing = 0
    for target in TARGETS:
        peer = target.peer.build(estate)
        seconds, wrong = _compare(peer, asked, answers)
        differing += wrong
        results.append(
            Result.at_least(
                NAME,
                f"{hub}: {peer.name} against the engine, times",
                seconds / answers.walk_seconds,
                target.times,
            )
        )
        results.append(
            Result.at_least(
                NAME,
                f"{hub}: {peer.name}, which knows no redundancy, against the engine's states of everything, times",
                seconds / answers.seconds,
                1,
            )
        )
        del peer
        gc.collect()
    results.append(
        Result.exactly(NAME, f"answers at {len(estate):,} CIs that differ from a peer's", differing, 0)
    )
    return results


def _ask_engine(estate: EstateColumns, engine: EnginePeer, asked: Questions) -> tuple[list[Result], _Answers]:
    machines = [engine.dependents([machine]) for machine in asked.machines]
    plain = [engine.walk([machine]).seconds for machine in asked.machines]
    hub = [engine.dependents([asked.hub]) for _ in range(REPEATED)]
    walks = [engine.walk([asked.hub]) for _ in range(REPEATED)]
    several = [engine.dependents(asked.several) for _ in range(REPEATED)]
    answers = _Answers(
        [walk.reached for walk in machines],
        hub[0].reached,
        quantile([walk.seconds for walk in hub], 0.5),
        quantile([walk.seconds for walk in walks], 0.5),
        several[0].reached,
    )
    size, seconds = f"{len(estate):,} CIs", [walk.seconds for walk in machines]
    what = f"states of all that a random machine or host of {size} reaches"
    reached = np.array([len(walk.reached) for walk in machines])
    by_reach = (
        f"({int(np.quantile(reached, 0.5))} CIs in the median, {int(np.quantile(reached, 0.99)):,} at p99)"
    )
    differing = sum(not np.array_equal(walk.reached, answers.hub) for walk in walks)
    return [
        Result.below(NAME, f"{what} {by_reach}, id to answer, p50, us", quantile(seconds, 0.5) * 1e6, 50),
        Result.below(NAME, f"{what}, id to answer, p99, us", quantile(seconds, 0.99) * 1e6, 50),
        Result.below(
            NAME, "the same without states, number to numbers, p99, us", quantile(plain, 0.99) * 1e6, 50
        ),
        Result.below(
            NAME,
            f"states of everything, the worst hub of {size} ({asked.reached:,} reached), ms",
            answers.seconds * 1e3,
            75,
        ),
        Result.below(
            NAME,
            f"states of everything, {AT_ONCE} CIs of {size} at once, ms",
            quantile([walk.seconds for walk in several], 0.5) * 1e3,
            50,
        ),
        Result.exactly(NAME, "plain walks that differ from the full answer", differing, 0),
    ], answers


def _compare(peer: Peer, asked: Questions, answers: _Answers) -> tuple[float, int]:
    """The peer's median seconds at the hub, and how many of the engine's answers differ from its."""
    walks = [peer.dependents([asked.hub]) for _ in range(3)]
    differing = int(not np.array_equal(walks[0].reached, answers.hub))
    differing += not np.array_equal(peer.dependents(asked.several).reached, answers.several)
    for machine, answer in zip(asked.machines, answers.machines, strict=True):
        differing += not np.array_equal(peer.dependents([machine]).reached, answer)
    return quantile([walk.seconds for walk in walks], 0.5), differing


def paths(engine: EnginePeer, asked: Questions, hub: str) -> list[Result]:
    """Distance and path to every service against the plain walk; asked in turns, so that both see the same machine."""
    plain, with_paths = [], []
    for _ in range(REPEATED):
        plain.append(engine.walk([asked.hub]).seconds)
        begun = time.perf_counter()
        found = engine.service_ways(asked.hub)
        with_paths.append(time.perf_counter() - begun)
    ratio = quantile(with_paths, 0.5) / quantile(plain, 0.5)
    what = f"{hub} with distance and path to each of {len(found.services):,} services, times its plain walk"
    return [
        Result.below(NAME, what, ratio, 1.5),
        Result.exactly(NAME, "paths of those that do not lead from hop to hop", engine.broken(found), 0),
    ]


def memory(engine: EnginePeer) -> list[Result]:
    """What the arrays take, by what is in them."""
    graph, size = engine.engine.graph(engine.topology), engine.topology.size
    columns, edges = engine.topology.columns, engine.topology.edge_count
    text = (
        columns.ids.keys.nbytes
        + columns.ids.order.nbytes
        + columns.names.blob.nbytes
        + columns.names.starts.nbytes
    )
    topology = columns.nbytes - text
    with engine.engine.workspace() as workspace:
        scratch = sum(array.nbytes for array in workspace.scratch(graph))
    both = topology + graph.base.nbytes
    of = f"{edges / size:.1f} edges a CI"
    return [
        Result.below(NAME, f"arrays of topology and engine, bytes a CI with its {of}", both / size, 120),
        Result.below(NAME, "the same, bytes an edge", both / edges, 32),
        Result.below(NAME, "ids and names, bytes a CI", text / size, 48),
        Result.below(NAME, "working memory of a thread, bytes a CI", scratch / size, 40),
    ]
