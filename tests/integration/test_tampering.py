"""A ledger that tells of tampering: whatever is done to it by somebody who has the database is named with its place."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio

from cmdb.model.change_set import Authorship, ChangeSet, DeleteItem, PutItem
from cmdb.store import verification
from cmdb.store.ledger import RevisionRecord, StoredChange, revision_hash
from cmdb.store.store import Store

ALICE = Authorship(actor="alice")
HUB_IN_4 = "MATCH (r:Revision {number: 4})-[c:CHANGED]->(:Item {id: 'hub'}) "
FOUR = "MATCH (r:Revision {number: 4}) "
GENESIS = "0" * 64


@pytest_asyncio.fixture(loop_scope="session")
async def ten(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with ten revisions: one creates, eight update two items each, one deletes, with a key."""
    monkeypatch.setattr(verification, "SETTLE_SECONDS", 0.3)

    def put(item_id: str, **fields: object) -> PutItem:
        return PutItem(item_id, {"name": item_id, **fields}, "Server")

    await store.apply(ChangeSet((put("hub"), put("spare"), put("gone")), "first"), ALICE)
    for n in range(2, 10):
        both = (put("hub", memory=n), put("spare", memory=n))
        await store.apply(ChangeSet(both, reason=f"CHG-{n}"), ALICE)
    await store.apply(ChangeSet((DeleteItem("gone"),)), ALICE, idempotency_key="k")
    assert (await store.history.verify()).problems == ()
    return store


TAMPERINGS: dict[str, tuple[str, str]] = {
    "a field flipped": (HUB_IN_4 + "SET c.after = '{\"memory\":99}'", "revision 4 was altered"),
    "who did it": (FOUR + "SET r.actor = 'mallory'", "revision 4 was altered"),
    "when": (FOUR + "SET r.recorded_at = '2020-01-01T00:00:00.000000Z'", "revision 4 was altered"),
    "the reason taken away": (FOUR + "REMOVE r.reason", "revision 4 was altered: 'reason' is gone"),
    "a type changed": (FOUR + "SET r.changes_count = '2'", "revision 4 was altered"),
    "another item": (
        HUB_IN_4 + "MATCH (o:Tombstone) CREATE (r)-[d:CHANGED]->(o) SET d = properties(c) DELETE c",
        "revision 4 was altered",
    ),
    "a change taken away": (HUB_IN_4 + "DELETE c", "revision 4 has 1 changes, not 2"),
    "a change added": (
        HUB_IN_4 + "MATCH (o:Tombstone) CREATE (r)-[d:CHANGED]->(o) SET d = properties(c)",
        "revision 4 has 3 changes, not 2",
    ),
    "a change without sense": (HUB_IN_4 + "SET c = {}", "revision 4 was altered: 'class' is gone"),
    "a deletion hidden": (
        "MATCH (:Revision {number: 10})-[c:CHANGED]->(:Tombstone) DELETE c",
        "revision 10 has 0 changes, not 1",
    ),
    "a revision taken out": (FOUR + "DETACH DELETE r", "revision 4 is missing"),
    "two swapped": (
        FOUR + "MATCH (b:Revision {number: 5}) SET r.number = -1 SET b.number = 4 SET r.number = 5",
        "revision 4 was altered",
    ),
    "their changes swapped": (
        HUB_IN_4 + "MATCH (:Revision {number: 5})-[d:CHANGED]->(:Item {id: 'hub'}) "
        "WITH c, d, c.after AS kept SET c.after = d.after SET d.after = kept",
        "revision 4 was altered",
    ),
    "renumbered": ("MATCH (r:Revision {number: 10}) SET r.number = 11", "revision 10 is missing"),
    "one before the first": ("CREATE (:Revision {number: 0})", "revision 0 lies before the first"),
    "one beyond the head": (
        "CREATE (:Revision {number: 11})",
        "revision 11 lies beyond the ledger's head 10",
    ),
    "the head moved back": ("MATCH (l:Ledger) SET l.last = 9", "revision 10 lies beyond the ledger's head 9"),
    "the head moved on": ("MATCH (l:Ledger) SET l.last = 11", "revision 11 is missing"),
    "the head's hash": ("MATCH (l:Ledger) SET l.hash = '0'", "head hash is not that of revision 10"),
    "the ledger gone": ("MATCH (l:Ledger) DELETE l", "lies beyond the ledger's head 0"),
    "the end cut off": (
        "MATCH (r:Revision {number: 9}) MATCH (l:Ledger) SET l.last = 9, l.hash = r.hash "
        "WITH r MATCH (x:Revision {number: 10}) DETACH DELETE x",
        "a request was answered with revision 10, beyond the head 9",
    ),
    "more cut off": (
        "MATCH (r:Revision {number: 5}) MATCH (l:Ledger) SET l.last = 5, l.hash = r.hash "
        "WITH r MATCH (x:Revision) WHERE x.number > 5 DETACH DELETE x",
        "an item is of revision 9, beyond the ledger's head 5",
    ),
    "everything cut off": (
        "MATCH (l:Ledger) SET l.last = 0, l.hash = '"
        + GENESIS
        + "' WITH l MATCH (x:Revision) DETACH DELETE x",
        "beyond the ledger's head 0",
    ),
}


@pytest.mark.parametrize("kind", TAMPERINGS)
async def test_every_tampering_is_named_with_its_place(ten: Store, kind: str) -> None:
    statement, told = TAMPERINGS[kind]
    await ten.connection.run(statement)
    report = await ten.history.verify()
    assert not report.ok
    assert any(told in problem for problem in report.problems), report.problems


async def test_a_ledger_rewritten_with_fitting_hashes_is_told_by_a_baseline_and_by_an_anchor(
    ten: Store,
) -> None:
    honest = await ten.history.verify()
    await ten.baselines.create("audit", 7, actor="alice", recorded_at="2026-11-24T00:00:00.000000Z")
    await rewrite_from(ten, 4)
    report = await ten.history.verify()
    fault = "revision 7 is not the one that baseline 'audit' knows: the ledger was rewritten"
    assert report.problems == (fault,)
    report = await ten.history.verify(anchors={10: honest.hash})
    assert (
        "revision 10 is not the one that the anchor given knows: the ledger was rewritten" in report.problems
    )
    await ten.connection.run("MATCH (b:Baseline) DELETE b")
    assert (await ten.history.verify()).ok, "without a witness a chain that fits itself is all there is"
    report = await ten.history.verify(anchors={11: honest.hash, 0: GENESIS})
    assert report.problems == ("revision 11, which the anchor given knows, was cut off",)
    report = await ten.history.verify(anchors={0: honest.hash})
    assert report.problems == ("the ledger does not begin as the anchor given says",)


async def rewrite_from(store: Store, number: int) -> None:
    """What somebody would do who has the database and knows how hashes are made."""
    connection = store.connection
    await connection.run(HUB_IN_4 + "SET c.after = '{\"memory\":99}'")
    content = """
    MATCH (r:Revision {number: $n})-[c:CHANGED]->(i)
    RETURN properties(r) AS revision, i.id AS id, properties(c) AS change ORDER BY id
    """
    previous = (await store.history.revision(number)).previous_hash
    for n in range(number, await store.head() + 1):
        rows = await connection.read(content, {"n": n})
        header = RevisionRecord.from_properties(
            {**rows[0]["revision"], "previous_hash": previous}
        ).properties()
        changes = [StoredChange.from_properties(row["id"], row["change"]) for row in rows]
        hash_ = revision_hash(header, changes)
        forged = {"n": n, "previous": previous, "hash": hash_}
        await connection.run(
            "MATCH (r:Revision {number: $n}) SET r.previous_hash = $previous, r.hash = $hash", forged
        )
        previous = hash_
    await connection.run("MATCH (l:Ledger) SET l.hash = $hash", {"hash": previous})


async def test_a_ledger_is_whole_while_it_is_written(store: Store) -> None:
    await store.apply(ChangeSet((PutItem("a", {"name": "a"}, "Server"),)), ALICE)
    told: list[tuple[int, int]] = []

    async def write() -> None:
        for n in range(40):
            await store.apply(ChangeSet((PutItem("a", {"memory": n}),)), ALICE)
        many = (PutItem(f"s{n}", {"name": f"s{n}"}, "Server") for n in range(4_000))  # visible piece by piece
        await store.apply(ChangeSet(tuple(many)), ALICE)

    writing = asyncio.create_task(write())
    while not writing.done():
        report = await store.history.verify(lambda done, head: told.append((done, head)))
        assert report.problems == ()
    await writing
    assert told
