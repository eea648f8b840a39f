"""Whether the ledger is whole: every number there, every hash right, nothing cut off, nothing rewritten.

A hash chain shows any change but one: who rewrites a revision and every hash after it leaves a chain that fits itself.
So it is also held to what is known from elsewhere: hashes that baselines took, and those given as anchors (a head that
somebody wrote down). Reading is by chunks; what was tampered with may have any shape and is never trusted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cmdb.store.connection import Connection
from cmdb.store.ledger import GENESIS, RevisionRecord, StoredChange, revision_hash

HEAD = """
MATCH (l:Ledger {name: 'ledger'})
RETURN l.last AS last, l.hash AS hash, l.last = 0 OR EXISTS { (:Revision {number: l.last}) } AS there
"""
SIZES = """
MATCH (r:Revision) WHERE r.number > $after AND r.number <= $until
RETURN r.number AS number, COUNT { (r)-[:CHANGED]->() } AS size ORDER BY number LIMIT 1000
"""
REVISIONS = """
MATCH (r:Revision) WHERE r.number > $after AND r.number <= $until
RETURN properties(r) AS revision, elementId(r) AS node ORDER BY r.number
"""
CHANGES = """
MATCH (r:Revision) WHERE r.number > $after AND r.number <= $until
MATCH (r)-[c:CHANGED]->(i)
RETURN elementId(r) AS node, i.id AS item, properties(c) AS change ORDER BY item
"""
TRACES = """
MATCH (r:Revision) WITH max(r.number) AS revision, min(r.number) AS first
OPTIONAL MATCH (i:Item) WITH revision, first, max(i.version) AS version
OPTIONAL MATCH (k:IdempotencyKey) RETURN revision, first, version, max(k.revision) AS answered
"""
ANCHORS = "MATCH (b:Baseline) WHERE b.hash IS NOT NULL RETURN b.name AS name, b.revision AS revision, b.hash AS hash"
CHUNK = 20_000
DEADLINE = 60.0
SETTLE_SECONDS = 5.0
"""For so long something may look wrong that is only a commit becoming visible piece by piece (measured: 1.7 s)."""


@dataclass(frozen=True, slots=True)
class Checked:
    """How far the chain was followed: the last revision that was checked, and its hash."""

    revision: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """The outcome: how many revisions there are, every fault with its place, and the head's hash, to be kept as an
    anchor for the next time. `checked`: how far it came; `complete`: whether that is all."""

    revisions: int
    problems: tuple[str, ...]
    hash: str
    checked: Checked
    complete: bool

    @property
    def ok(self) -> bool:
        """Whether the ledger is whole, as far as it was checked."""
        return not self.problems


BEGINNING = Checked()


@dataclass(slots=True)
class _Walk:
    """Where the chain is followed."""

    previous: str
    next: int
    problems: list[str] = field(default_factory=list)


async def verify_ledger(
    connection: Connection,
    *,
    anchors: Mapping[int, str] | None = None,
    since: Checked = BEGINNING,
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LedgerReport:
    """Walk the chain; `anchors` are hashes of revisions known from elsewhere. Writers are not disturbed.

    A long chain can be walked in steps: each stops at the first chunk's end after `seconds`, and the next one goes on
    `since` where that was. The last, complete step also looks at what a chain that was cut off leaves behind.
    """
    begun = time.monotonic()
    known = {number: [("the anchor given", hash_)] for number, hash_ in (anchors or {}).items()}
    for row in await connection.read(ANCHORS, {}):
        known.setdefault(row["revision"], []).append((f"baseline {row['name']!r}", row["hash"]))
    rows: list[Any] = []

    async def settled() -> bool:
        rows[:] = await connection.read(HEAD, {})
        return not rows or bool(rows[0]["there"])

    await _eventually(settled)
    head = int(rows[0]["last"]) if rows else 0
    walk = _Walk(since.hash, since.revision + 1)
    after = since.revision
    for name, hash_ in known.get(0, ()) if not after else ():
        if hash_ != GENESIS:
            walk.problems.append(f"the ledger does not begin as {name} says")
    while after < head:
        if seconds is not None and after > since.revision and time.monotonic() - begun > seconds:
            checked = Checked(after, walk.previous)
            return LedgerReport(head, tuple(walk.problems), rows[0]["hash"], checked, complete=False)
        until = await _chunk_end(connection, after, head)
        await _check_chunk(connection, walk, after, until, known)
        after = until
        if progress:
            progress(after, head)
    for number, sayers in known.items():
        walk.problems.extend(
            f"revision {number}, which {name} knows, was cut off" for name, _ in sayers if number > head
        )
    if rows and walk.previous != rows[0]["hash"]:
        walk.problems.append(f"the ledger's head hash is not that of revision {head}")
    traces: list[str] = []

    async def none_left() -> bool:
        traces[:] = await _traces(connection)
        return not traces

    await _eventually(none_left)
    walk.problems.extend(traces)
    hash_ = rows[0]["hash"] if rows else GENESIS
    return LedgerReport(head, tuple(walk.problems), hash_, Checked(after, walk.previous), complete=True)


async def _eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds, but no longer than a commit takes to become visible."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        if await holds() or time.monotonic() > until:
            return
        await asyncio.sleep(0.1)


async def _chunk_end(connection: Connection, after: int, head: int) -> int:
    """The last number of a chunk that has about `CHUNK` changes, or one revision."""
    total, end = 0, after
    sizes = await connection.read(SIZES, {"after": after, "until": head})
    for row in sizes:
        total += row["size"]
        if total > CHUNK and end > after:
            return end
        end = row["number"]
    return end if len(sizes) == 1_000 else head


async def _check_chunk(
    connection: Connection,
    walk: _Walk,
    after: int,
    until: int,
    known: Mapping[int, list[tuple[str, str]]],
) -> None:
    bounds = {"after": after, "until": until}
    changes: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for row in await connection.read(CHANGES, bounds, deadline=DEADLINE):
        changes.setdefault(row["node"], []).append((row["item"], row["change"]))
    revisions = await connection.read(REVISIONS, bounds, deadline=DEADLINE)
    await asyncio.to_thread(_check_revisions, walk, until, revisions, changes, known)


def _check_revisions(
    walk: _Walk,
    until: int,
    revisions: Sequence[Any],
    changes: Mapping[str, list[tuple[str, Mapping[str, Any]]]],
    known: Mapping[int, list[tuple[str, str]]],
) -> None:
    for row in revisions:
        number = int(row["revision"]["number"])
        if number < walk.next:
            walk.problems.append(f"revision {number} is there twice")
            continue
        walk.problems.extend(f"revision {missing} is missing" for missing in range(walk.next, number))
        walk.next = number + 1
        walk.problems.extend(_faults(row["revision"], changes.get(row["node"], []), walk.previous))
        walk.previous = str(row["revision"].get("hash"))
        for name, hash_ in known.get(number, ()):
            if hash_ != walk.previous:
                walk.problems.append(
                    f"revision {number} is not the one that {name} knows: the ledger was rewritten"
                )
    walk.problems.extend(f"revision {missing} is missing" for missing in range(walk.next, until + 1))
    walk.next = until + 1


def _faults(
    properties: Mapping[str, Any], changes: list[tuple[str, Mapping[str, Any]]], previous: str
) -> list[str]:
    number = properties["number"]
    try:
        header = RevisionRecord.from_properties(properties)
        stored = [StoredChange.from_properties(item, change) for item, change in changes]
    except KeyError as missing:
        return [f"revision {number} was altered: {missing} is gone from it"]
    faults = []
    if header.previous_hash != previous:
        faults.append(f"revision {number} does not follow its predecessor: the hash it names is another")
    if len(stored) != header.changes_count:
        faults.append(f"revision {number} has {len(stored)} changes, not {header.changes_count}")
    try:
        fits = revision_hash(header.properties(), stored) == header.hash
    except TypeError:  # a value of a type that we never write
        fits = False
    if not fits:
        faults.append(f"revision {number} was altered: its hash does not fit its content")
    return faults


async def _traces(connection: Connection) -> list[str]:
    """What is left of revisions beyond the head. The head is read last: writers only move it up."""
    [row] = await connection.read(TRACES, {}, deadline=DEADLINE)
    rows = await connection.read(HEAD, {})
    head = int(rows[0]["last"]) if rows else 0
    faults = []
    if row["first"] is not None and row["first"] < 1:
        faults.append(f"revision {row['first']} lies before the first")
    if (row["revision"] or 0) > head:
        faults.append(f"revision {row['revision']} lies beyond the ledger's head {head}")
    if (row["version"] or 0) > head:
        faults.append(
            f"an item is of revision {row['version']}, beyond the ledger's head {head}: it was cut off"
        )
    if (row["answered"] or 0) > head:
        faults.append(
            f"a request was answered with revision {row['answered']}, beyond the head {head}: it was cut off"
        )
    return faults
