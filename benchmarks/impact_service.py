"""The service on a million CIs: how long it takes to start, and what it answers to a crowd while others write.

Promises: the service is a process of its own, asked over HTTP, with a Neo4j into which the estate was imported. Sixteen
clients ask what random CIs' failures do while twenty ChangeSets a second are written; they share the machine with the
service, but stand back for it. Of the answers a sample is checked: the topology is rebuilt as of the answer's revision,
from the estate and the changes acknowledged up to there, and the plain implementation is asked the same. Then a second
service is started on the same Neo4j, and what is written at one is asked for at the other.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson

from benchmarks.bulk_load import neo4j_with
from benchmarks.other_questions import OtherQuestions
from benchmarks.packing import packed
from benchmarks.results import Result, quantile
from benchmarks.service import WATCHED, Client, RunningService, ServiceFailed, running_service
from benchmarks.synthetic import EstateColumns, make_estate
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge
from cmdb.store.local_server import LocalServer
from cmdb_graphql.bulk import ARROW, JSON_LINES
from impact.engine import Engine
from impact.propagation import State, simulate_failure

NAME: Final = "impact-service"
SIZE: Final = 1_000_000
CLIENTS, WRITES_A_SECOND = 16, 20
SECONDS, WARM_UP_SECONDS = 30.0, 3.0
CLIENTS_NICE: Final = 10
OTHERS: Final = 0.1
"""Of the questions that a watched service is asked, so many are of other kinds."""
CHECKED: Final = 500
MOST_CHECKED: Final = 20_000
"""Answers that reach more are left out of the sample: the plain implementation takes minutes for them."""
LARGE: Final = 10_000
"""Items that an answer in bulk should have, of so many candidates; and how often it is asked for."""
CANDIDATES, ASKED = 20_000, 30
HOPS: Final = 50
"""So many changes are followed from one service to another."""
SNAPSHOT_SECONDS, FIRST_ANSWER_SECONDS = 60.0, 120.0
IMPACT: Final = """
query Impact($id: ID!) {
  impact(down: [$id]) {
    revision counts { down degraded atRisk reduced protected }
    down(first: 20) { id distance } degraded(first: 10) { id distance } atRisk(first: 10) { id distance }
  }
}"""
APPLY: Final = (
    "mutation Apply($changeSet: ChangeSetInput!) { applyChanges(changeSet: $changeSet) { revision } }"
)
FAILURE_SET: Final = """
query FailureSet($id: ID!, $atLeast: Long) {
  impact(down: [$id], atLeast: $atLeast) { revision down(first: 100) { id } }
}"""
PAGES: Final = {"down": (State.DOWN, 20), "degraded": (State.DEGRADED, 10), "atRisk": (State.AT_RISK, 10)}


def run() -> list[Result]:
    """Some five minutes, most of them for the import and its indexes."""
    estate = make_estate(SIZE)
    ids = [text.decode() for text in estate.id_texts().tolist()]
    with neo4j_with(estate) as neo4j, TemporaryDirectory(prefix="cmdb-bench-") as folder:
        data = Path(folder) / "one"
        data.mkdir()
        results = starts(neo4j, data, ids[0])
        applications = [ids[number] for number in estate.of_class("Application").tolist()]
        with running_service(neo4j, data=data) as service:
            first_answer(service, ids[0])
            results += bulk(service, estate, ids)
            results += crowd(service, estate, ids, applications)
            results += replicas(neo4j, service, Path(folder) / "two", applications)
        services = [ids[number] for number in estate.of_class("BusinessService").tolist()]
        with running_service(neo4j, data=data, module=WATCHED) as service:
            first_answer(service, ids[0])
            results += steps(service, ids, applications, OtherQuestions(ids, services))
    return results


def starts(neo4j: LocalServer, data: Path, item: str) -> list[Result]:
    """From the start of the process to its first answer: once from Neo4j, then from the snapshot file it has left."""
    with running_service(neo4j, data=data) as service:  # makes indexes, which is not what a start costs
        first_answer(service, item)
        _wait_for(data / "topology.snapshot")
    (data / "topology.snapshot").unlink()
    bare, from_neo4j = _start(neo4j, data, item, keep=True)
    _, from_file = _start(neo4j, data, item, keep=False)
    size = f"{SIZE:,} CIs"
    return [
        Result.below(NAME, f"start with {size} from Neo4j, process to first answer, s", from_neo4j, 15),
        Result.below(
            NAME, f"start with {size} from the snapshot file, process to first answer, s", from_file, 5
        ),
        Result.below(NAME, "of either, until it answers at all, s", bare, 5),
    ]


def _start(neo4j: LocalServer, data: Path, item: str, *, keep: bool) -> tuple[float, float]:
    """Seconds until the service is there, and until it has answered; `keep`: wait until it has left its snapshot."""
    begun = time.perf_counter()
    with running_service(neo4j, data=data) as service:
        there = time.perf_counter() - begun
        first_answer(service, item)
        answered = time.perf_counter() - begun
        if keep:
            _wait_for(data / "topology.snapshot")
    return there, answered


def first_answer(service: RunningService, item: str) -> None:
    """Ask until there is an answer: a request is given up after ten seconds, also if the service is not ready yet."""
    until = time.monotonic() + FIRST_ANSWER_SECONDS
    while True:
        client = service.client()
        try:
            client.query(IMPACT, {"id": item})
            return
        except ServiceFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        finally:
            client.close()


def _wait_for(file: Path) -> None:
    until = time.monotonic() + SNAPSHOT_SECONDS
    while not file.exists():
        if time.monotonic() > until:
            raise TimeoutError(f"the service has not written {file.name} within {SNAPSHOT_SECONDS:g} s")
        time.sleep(0.05)


# --- a large answer ---------------------------------------------------------------------------------------------------


def bulk(service: RunningService, estate: EstateColumns, ids: Sequence[str]) -> list[Result]:
    """Of a failure that reaches some ten thousand items: all of them, from the question to the last byte."""
    topology, engine = packed(estate), Engine()
    chosen = random.Random(3).sample(ids, CANDIDATES)
    sizes = {item: len(engine.simulate_failure(topology, [item]).nodes) for item in chosen}
    item = min(sizes, key=lambda item: abs(sizes[item] - LARGE))
    client = service.client()
    results = []
    for form, accept in (("Arrow", ARROW), ("JSON lines", JSON_LINES)):
        seconds = []
        for _ in range(ASKED):
            begun = time.perf_counter()
            size = len(client.download("/bulk/impact", orjson.dumps({"down": [item]}), accept))
            seconds.append(time.perf_counter() - begun)
        goal = (
            f"{sizes[item]:,} items in bulk as {form} ({size / 1e6:.1f} MB), question to last byte, p50, ms"
        )
        results.append(Result.below(NAME, goal, quantile(seconds, 0.5) * 1e3, 10))
    client.close()
    return results


# --- a crowd of clients -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Load:
    """What clients and the writer have seen."""

    taken: list[float] = field(default_factory=list)
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    changes: list[tuple[int, TopologyEdge, bool]] = field(default_factory=list)
    """Revision, edge, and whether it was put or cut; in the order in which they were acknowledged."""
    refusals: list[str] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of other questions by their kind, how long each took."""


def crowd(
    service: RunningService, estate: EstateColumns, ids: Sequence[str], applications: Sequence[str]
) -> list[Result]:
    """The load, the time of its answers, and what was wrong."""
    loads = [_load(service, ids, applications, seconds) for seconds in (WARM_UP_SECONDS, SECONDS)]
    load = loads[-1]
    wrong, checked = _check(packed(estate), loads, random.Random(1))
    writes = len(load.changes) / SECONDS
    return [
        Result.at_least(
            NAME, f"impact questions a second, {CLIENTS} clients", len(load.taken) / SECONDS, 100
        ),
        Result.below(NAME, "time of one of them, p50, ms", quantile(load.taken, 0.5) * 1e3, 100),
        Result.below(NAME, "time of one of them, p99, ms", quantile(load.taken, 0.99) * 1e3, 500),
        Result.at_least(NAME, "ChangeSets a second written meanwhile", writes, WRITES_A_SECOND * 0.9),
        Result.exactly(NAME, "questions and writes refused", len(load.refusals), 0),
        Result.exactly(NAME, f"wrong answers of {checked} checked at their revision", wrong, 0),
    ]


def steps(
    service: RunningService, ids: Sequence[str], applications: Sequence[str], others: OtherQuestions
) -> list[Result]:
    """How long single steps held the event loop of a watched service: under the same load, and with others in it."""
    results = []
    for what, among, seconds in (
        ("", None, SECONDS + 0.5),  # other changes than before, which are there already
        (", every other question among the load", others, SECONDS + 1.5),
    ):
        _load(service, ids, applications, WARM_UP_SECONDS + seconds % 1, among)
        load = _load(service, ids, applications, seconds, among)
        lag = _lag(service)
        _tell(lag)
        results += [
            Result.below(NAME, f"event loop held{what}, longest step, ms", lag["most"] * 1e3, 5),
            Result.below(NAME, f"steps of more than 5 ms{what}, of {lag['steps']:,}", lag["held"], 1),
        ]
        if among:
            results.append(
                Result.exactly(NAME, "questions and writes of that refused", len(load.refusals), 0)
            )
            for kind, taken in sorted(load.others.items()):
                print(
                    f"{kind}: {len(taken)} asked, {quantile(taken, 0.5):.2f} s at p50, {max(taken):.2f} at most"
                )
            print(*Counter(load.refusals).most_common(10), sep="\n")
    return results


def _load(
    service: RunningService,
    ids: Sequence[str],
    applications: Sequence[str],
    seconds: float,
    others: OtherQuestions | None = None,
) -> Load:
    """With `others` every tenth question is one of theirs."""
    load, started = Load(), time.perf_counter()
    (service.data / "lag.reset").touch()

    def ask(number: int) -> None:
        _stand_back()
        chance, client = random.Random(f"{number} {seconds}"), service.client()
        while time.perf_counter() < started + seconds:
            item = chance.choice(ids)
            if others and chance.random() < OTHERS:
                kind = chance.choice(others.kinds)
                with _told(load, kind):
                    begun = time.perf_counter()
                    others.ask(client, kind, chance)
                    load.others[kind].append(time.perf_counter() - begun)
                continue
            with _told(load, "impact"):
                begun = time.perf_counter()
                answer = client.query(IMPACT, {"id": item})["impact"]
                load.taken.append(time.perf_counter() - begun)
                load.answers.append((item, answer))
        client.close()

    def write() -> None:
        _stand_back()
        chance, client = random.Random(seconds), service.client()
        there: list[TopologyEdge] = []
        for beat in range(int(seconds * WRITES_A_SECOND)):
            time.sleep(max(0.0, started + beat / WRITES_A_SECOND - time.perf_counter()))
            put = len(there) < 10 or chance.random() < 0.6
            if put:
                one, other = chance.sample(applications, 2)
                edge = TopologyEdge("DEPENDS_ON", one, other, "bench", 1)
            else:
                edge = there.pop(chance.randrange(len(there)))
            with _told(load, "write"):
                revision = _apply(client, edge, put)
                load.changes.append((revision, edge, put))
                if put:
                    there.append(edge)
        client.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    threads.append(threading.Thread(target=write))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def _stand_back() -> None:
    """Clients would be on other machines: here this thread gets a core when nobody else wants it."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), CLIENTS_NICE)


@contextmanager
def _told(load: Load, what: str) -> Iterator[None]:
    """What goes wrong is counted, and the next is tried."""
    try:
        yield
    except Exception as error:
        load.refusals.append(f"{what}: {error!r}")


def _apply(client: Client, edge: TopologyEdge, put: bool) -> int:
    key = {"type": edge.type, "from": edge.source, "to": edge.target, "group": edge.group}
    required = None if edge.required is None else str(edge.required)
    operation = {"putEdge": {**key, "required": required}} if put else {"deleteEdge": key}
    answer = client.query(APPLY, {"changeSet": {"operations": [operation]}})
    return int(answer["applyChanges"]["revision"])


def _lag(service: RunningService) -> dict[str, Any]:
    time.sleep(0.3)
    record: dict[str, Any] = orjson.loads((service.data / "lag.json").read_bytes())
    return record


def _tell(lag: dict[str, Any]) -> None:
    """On the terminal, for whoever wants to know what held the loop."""
    for hold in lag["longest"]:
        print(
            f"held {hold['seconds'] * 1e3:.1f} ms, of which {hold['cpu'] * 1e3:.1f} ms running, by {hold['whom']}\n"
            f"{hold['stack']}"
        )


def _check(base: PackedTopology, loads: Sequence[Load], chance: random.Random) -> tuple[int, int]:
    """(wrong, checked): a sample of the last load's answers against the plain implementation."""
    changes = [change for load in loads for change in load.changes]
    small = [
        (item, answer) for item, answer in loads[-1].answers if sum(answer["counts"].values()) <= MOST_CHECKED
    ]
    sample = chance.sample(small, min(CHECKED, len(small)))
    sample.sort(key=lambda asked: int(asked[1]["revision"]))
    topology, wrong, place = base, 0, 0
    for item, answer in sample:
        while place < len(changes) and changes[place][0] <= answer["revision"]:
            revision, edge, put = changes[place]
            if put:
                topology = topology.with_changes(revision, put_edges=[edge])
            else:
                topology = topology.with_changes(revision, delete_edges=[edge.key])
            place += 1
        wrong += answer != _expected(topology, item, answer["revision"])
    return wrong, len(sample)


def _expected(topology: PackedTopology, item: str, revision: int) -> dict[str, Any]:
    impact = simulate_failure(topology, [item])
    counts = {
        name: len(impact.in_state(state))
        for name, state in (
            ("down", State.DOWN),
            ("degraded", State.DEGRADED),
            ("atRisk", State.AT_RISK),
            ("reduced", State.REDUCED),
            ("protected", State.PROTECTED),
        )
    }
    expected: dict[str, Any] = {"revision": revision, "counts": counts}
    for name, (state, first) in PAGES.items():
        found = [i for i, s in impact.states.items() if s is state][:first]
        expected[name] = [{"id": i, "distance": impact.distances[i]} for i in found]
    return expected


# --- a second service -------------------------------------------------------------------------------------------------


def replicas(
    neo4j: LocalServer, service: RunningService, data: Path, applications: Sequence[str]
) -> list[Result]:
    """What is written at one service is asked for at another, by its revision, as soon as it is acknowledged."""
    data.mkdir()
    for name in ("admin-token", "topology.snapshot"):
        shutil.copy(service.data / name, data / name)
    chance, seconds, missed = random.Random(2), [], 0
    with running_service(neo4j, data=data) as other:
        writer, reader = service.client(), other.client()
        first_answer(other, applications[0])
        for _ in range(HOPS):
            one, two = chance.sample(applications, 2)
            time.sleep(chance.random() / 10)  # at any moment of the other's round
            revision = _apply(writer, TopologyEdge("DEPENDS_ON", one, two), put=True)
            begun = time.perf_counter()
            answer = reader.query(FAILURE_SET, {"id": two, "atLeast": revision})["impact"]
            seconds.append(time.perf_counter() - begun)
            shown = {item["id"] for item in answer["down"]}
            missed += answer["revision"] < revision or (one not in shown and len(shown) < 100)
    return [
        Result.below(NAME, "a change visible at another service, p50, ms", quantile(seconds, 0.5) * 1e3, 100),
        Result.below(
            NAME, "a change visible at another service, p99, ms", quantile(seconds, 0.99) * 1e3, 100
        ),
        Result.exactly(NAME, "answers that did not have it", missed, 0),
    ]
