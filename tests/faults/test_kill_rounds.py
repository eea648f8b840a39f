"""A few rounds of kill -9 in every run of the tests; many by `python -m tests.faults.kill_rounds`."""

from __future__ import annotations

import pytest

from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.store.store import Store
from tests.faults.kill_rounds import Kind, run_rounds
from tests.faults.replay import differences

ROUNDS = 2


@pytest.mark.parametrize("kind", ["service", "neo4j"])
async def test_kill_rounds_lose_nothing_halve_nothing_and_double_nothing(kind: Kind) -> None:
    report = await run_rounds(kind, ROUNDS)
    assert report.ok, report
    assert report.rounds == ROUNDS
    assert report.acknowledged > 2 * ROUNDS


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("MATCH (i:Item {id: 'a'}) SET i.memory = 8", "item a"),
        ("MATCH (i:Item {id: 'a'}) SET i.version = 7", "version of a"),
        ("MATCH (i:Item {id: 'a'}) REMOVE i:Server", "labels of a"),
        ("MATCH (i:Item {id: 'a'}) REMOVE i:Item", "item a is not there"),
        ("MATCH (i:Item {id: 'a'}) WITH i {.*, id: 'x'} AS copy CREATE (x:Item) SET x = copy", "item x is there"),
        ("MATCH (a:Item {id: 'a'}) MATCH (b:Item {id: 'b'}) CREATE (a)-[:DEPENDS_ON {group: ''}]->(b)", "edges of a"),
        ("MATCH (k:IdentityKey) WITH k LIMIT 1 DETACH DELETE k", "identity keys"),
        ("CREATE (:Tombstone {id: 'ghost'})", "tombstones"),
    ],
    ids=range(8),
)  # fmt: skip
async def test_the_comparison_sees_what_is_not_as_the_ledger_says(
    store: Store, damage: str, told: str
) -> None:
    items = (
        PutItem(i, {"name": i, "memory": 7, "serial_number": i, "manufacturer": "d"}, "Server") for i in "ab"
    )
    await store.apply(ChangeSet(tuple(items)), Authorship("alice"))
    assert await differences(store) == []
    await store.connection.run(damage)
    assert any(difference.startswith(told) for difference in await differences(store))
