"""kill -9 in the middle of writes, round after round: nothing acknowledged is lost, nothing is half there or twice.

    python -m tests.faults.kill_rounds --kind service --rounds 20

A child process writes with several writers at once and says what it sends and what was acknowledged. At a random
moment the child, or Neo4j below it, is killed. Then: each acknowledged revision is there under its number with its
content; each request, sent once more under its key, counts once; the chain is whole; the graph is what the ledger says.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cmdb.errors import CmdbError, StoreUnavailable
from cmdb.model.change_set import Authorship, ChangeSet, DeleteItem, Operation, PutEdge, PutItem
from cmdb.model.items import EdgeFacts, EdgeKey
from cmdb.store.local_server import LocalServer
from cmdb.store.store import Store
from tests.faults.replay import differences

Kind = Literal["service", "neo4j"]
ROOT = Path(__file__).parents[2]
WRITERS = 8
KEPT = 3
"""How many pairs of items each writer leaves alone before it deletes the oldest."""
AUTHOR = Authorship(actor="writer")
READY_SECONDS = 30.0
"""Within these a killed Neo4j must answer again (on a machine with nothing else to do)."""


@dataclass(slots=True)
class Report:
    """What the rounds found. `unasked`: committed, though the acknowledgement was lost with the process.

    `recovery_seconds`: the longest time that a killed Neo4j took until it answered again.
    """

    kind: Kind
    rounds: int = 0
    sent: int = 0
    acknowledged: int = 0
    unasked: int = 0
    recovery_seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, half there, or there twice."""
        return not self.problems

    def __str__(self) -> str:
        told = (
            f"{self.kind}: {self.rounds} rounds, {self.sent} sent, {self.acknowledged} acknowledged, "
            f"{self.unasked} committed without an acknowledgement, recovery {self.recovery_seconds:.1f} s at most, "
        )
        return told + ("nothing lost, half there or there twice" if self.ok else "\n".join(self.problems))


def request(tag: str, writer: int, n: int) -> ChangeSet:
    """The nth ChangeSet of a writer: two items with an edge, an update, and the deletion of an item that others use."""

    def name(what: str, number: int) -> str:
        return f"{what}-{tag}-{writer}-{number}"

    server, app, counter = name("server", n), name("app", n), name("counter", 0)
    operations: list[Operation] = [
        PutItem(
            server, {"name": server, "serial_number": server, "manufacturer": "Dell"}, "Server", "create"
        ),
        PutItem(app, {"name": app, "description": "x" * 200}, "Application", "create"),
        PutItem(counter, {"name": counter, "memory": n}, "Server"),
        PutEdge(EdgeKey("RUNS_ON", app, server, "pair"), EdgeFacts(required="1")),
        PutEdge(EdgeKey("RUNS_ON", app, counter, "pair"), EdgeFacts(required="1")),
    ]
    if n:
        operations.append(PutEdge(EdgeKey("DEPENDS_ON", app, name("app", n - 1))))
    if n >= KEPT:
        operations.append(DeleteItem(name("server", n - KEPT)))
        operations.append(DeleteItem(name("app", n - KEPT)))
    return ChangeSet(tuple(operations), message=key_of(tag, writer, n))


def key_of(tag: str, writer: int, n: int) -> str:
    """The idempotency key of a request, which is its message too."""
    return f"{tag}/{writer}/{n}"


# --- the child ------------------------------------------------------------------------------------------------------


async def write_until_told(tag: str) -> None:
    """Write with all writers until standard input ends; print `sent KEY` before and `done KEY REVISION` after each."""
    logging.getLogger("neo4j").setLevel(
        logging.CRITICAL
    )  # that a killed Neo4j does not answer is no news here
    store = await Store.open(os.environ["URI"], "neo4j", os.environ["PASSWORD"], deadline=10)
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))

    async def write(writer: int) -> None:
        n = 0
        while not ending.done():
            key = key_of(tag, writer, n)
            print("sent", key, flush=True)
            revision = await apply_at_last(store, request(tag, writer, n), key)
            print("done", key, revision, flush=True)
            n += 1

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    await store.close()


async def apply_at_last(store: Store, change_set: ChangeSet, key: str) -> int | None:
    """Apply under a key, again and again while Neo4j cannot be reached: what a careful client does."""
    while True:
        try:
            return (await store.apply(change_set, AUTHOR, idempotency_key=key)).revision
        except StoreUnavailable as error:
            await asyncio.sleep(min(error.retry_after, 0.5))


# --- the parent -----------------------------------------------------------------------------------------------------


class _Child:
    """A writing process, and what it said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.sent: list[str] = []
        self.done: dict[str, int] = {}
        self.listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, server: LocalServer, tag: str) -> _Child:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.kill_rounds", "--write", tag,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, "URI": server.uri, "PASSWORD": server.password},
            )
        )  # fmt: skip

    async def _listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if not line.endswith(b"\n"):
                return  # cut off by the kill: not acknowledged
            match line.decode().split():
                case ["sent", key]:
                    self.sent.append(key)
                case ["done", key, revision]:
                    self.done[key] = int(revision)

    async def has_done(self, more: int, seconds: float = 120.0) -> None:
        """Wait until so many more requests were acknowledged."""
        wanted = len(self.done) + more
        async with asyncio.timeout(seconds):
            while len(self.done) < wanted and not self.listening.done():  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.02)

    async def end(self) -> int:
        """Let it finish what it does, and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return await self._gone()

    async def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self._gone()

    async def _gone(self) -> int:
        async with asyncio.timeout(120):
            await self.listening
            return await self.process.wait()


async def run_rounds(kind: Kind, rounds: int, *, seed: int | None = None) -> Report:
    """Run rounds on a Neo4j of their own; the report says what was found."""
    report = Report(kind)
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="kill-rounds-") as folder:
        server = await asyncio.to_thread(LocalServer.start, Path(folder))
        try:
            for number in range(rounds):
                await _round(server, kind, f"{kind}{number}", dice, report)
                report.rounds += 1
        finally:
            await asyncio.to_thread(server.stop)
    return report


async def _round(server: LocalServer, kind: Kind, tag: str, dice: random.Random, report: Report) -> None:
    child = await _Child.start(server, tag)
    try:
        await child.has_done(1)
        await asyncio.sleep(dice.uniform(0.1, 1.5))
        if kind == "service":
            await child.kill()
        else:
            os.kill(server.pid, signal.SIGKILL)
            started = time.monotonic()
            await asyncio.to_thread(server.ensure_running)
            report.recovery_seconds = max(report.recovery_seconds, time.monotonic() - started)
            await child.has_done(WRITERS)
            if status := await child.end():
                report.problems.append(f"{tag}: the writing process ended with status {status}")
    finally:
        await child.kill()
    report.sent += len(child.sent)
    report.acknowledged += len(child.done)
    store = await Store.open(server.uri, server.user, server.password, deadline=60)
    try:
        await _check(store, tag, child, report)
    finally:
        await store.close()


async def _check(store: Store, tag: str, child: _Child, report: Report) -> None:
    problems = report.problems
    committed = {
        r.message: r.number for r in await store.history.revisions(limit=1_000_000, actor=AUTHOR.actor)
    }
    for key, revision in child.done.items():
        if committed.get(key) != revision:
            problems.append(f"{tag}: {key} was acknowledged as {revision}, and is {committed.get(key)}: lost")
    if not child.done:
        problems.append(f"{tag}: nothing was acknowledged, so nothing was tried")
    report.unasked += sum(key in committed for key in child.sent if key not in child.done)
    problems.extend(f"{tag}: before retries: {fault}" for fault in await differences(store))
    for key in child.sent:
        _, writer, n = key.split("/")
        try:
            answer = await store.apply(request(tag, int(writer), int(n)), AUTHOR, idempotency_key=key)
        except CmdbError as error:
            problems.append(f"{tag}: {key} sent again: {error}")
            continue
        if key in committed and answer.revision != committed[key]:
            problems.append(f"{tag}: {key} sent again is {answer.revision}, not {committed[key]}: twice")
        missing = {o.id for o in request(tag, int(writer), int(n)).operations if isinstance(o, PutItem)}
        if missing - {change.item_id for change in answer.changes}:
            problems.append(f"{tag}: {key} has not the content that was sent: half")
    messages = [r.message for r in await store.history.revisions(limit=1_000_000, actor=AUTHOR.actor)]
    problems.extend(f"{tag}: {key} is there twice" for key in {m for m in messages if messages.count(m) > 1})
    problems.extend(f"{tag}: {fault}" for fault in (await store.history.verify()).problems)
    problems.extend(f"{tag}: after retries: {fault}" for fault in await differences(store))


def main() -> int:
    """The command line: rounds of one kind or of both; exit status 1 if anything was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=["service", "neo4j", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--write", metavar="TAG", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        asyncio.run(write_until_told(options.write))
        return 0
    kinds: tuple[Kind, ...] = ("service", "neo4j") if options.kind == "both" else (options.kind,)
    reports = [asyncio.run(run_rounds(kind, options.rounds, seed=options.seed)) for kind in kinds]
    for report in reports:
        print(report)
    return 0 if all(report.ok for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
