"""The live topology equals what a fresh read gives, now and at every past revision."""

from __future__ import annotations

from typing import Any

import pytest

from cmdb.errors import StoreUnavailable
from cmdb.model.change_set import Authorship, ChangeSet, DeleteItem, PutEdge, PutItem
from cmdb.model.items import EdgeFacts, EdgeKey, new_id
from cmdb.model.topology import Topology
from cmdb.store.store import Store
from cmdb.store.topology import LiveTopology

ALICE = Authorship(actor="alice")


def contents(topology: Topology) -> tuple[set[object], set[object]]:
    return set(topology.items.values()), set(topology.edges())


async def test_the_topology_follows_writes_and_can_be_asked_about_every_revision(store: Store) -> None:
    live = LiveTopology(store)
    server, app = new_id(), new_id()
    edge = EdgeKey("RUNS_ON", app, server, "hosts")
    steps = [
        ChangeSet((PutItem(server, {"name": "web-1"}, "Server"),)),
        ChangeSet((PutItem(app, {"name": "shop"}, "Application"), PutEdge(edge, EdgeFacts(required="50%")))),
        ChangeSet((PutItem(server, {"name": "web-one", "lifecycle": "maintenance"}),)),
        ChangeSet((PutEdge(edge, EdgeFacts(required="1", strength="soft")),)),
        ChangeSet((DeleteItem(server),)),
    ]
    seen = [contents(await live.at_head())]
    for step in steps:
        await store.apply(step, ALICE)
        seen.append(contents(await live.at_head()))
        assert contents(await LiveTopology(store).at_head()) == seen[-1]
    for revision, expected in enumerate(seen):
        topology = await live.at(revision)
        assert topology.revision == revision
        assert contents(topology) == expected
    assert [len(items) for items, _ in seen] == [0, 1, 2, 2, 2, 1]
    assert [len(edges) for _, edges in seen] == [0, 0, 1, 1, 1, 0]


async def test_a_load_that_the_store_breaks_off_ends_with_an_error_of_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not with a group of errors: whoever follows the ledger tries again after the former only."""
    server, app = new_id(), new_id()
    edge = PutEdge(EdgeKey("RUNS_ON", app, server), EdgeFacts())
    items = (PutItem(server, {"name": "web-1"}, "Server"), PutItem(app, {"name": "shop"}, "Application"))
    await store.apply(ChangeSet((*items, edge)), ALICE)
    read = store.connection.read

    async def broken(statement: str, *given: Any, **more: Any) -> Any:  # noqa: ANN401 - as `read`
        if "UNWIND range" in statement:
            raise StoreUnavailable("Neo4j cannot be reached")
        return await read(statement, *given, **more)

    live = LiveTopology(store)
    with monkeypatch.context() as patch:
        patch.setattr(store.connection, "read", broken)
        with pytest.raises(StoreUnavailable):
            await live.at_head()
    assert (await live.at_head()).edge_count == 1


async def test_relationships_of_others_in_the_database_are_passed_over(store: Store) -> None:
    await store.connection.run('CREATE (:Foreign)-[:`is "no" name`]->(:Foreign)')
    assert (await LiveTopology(store).at_head()).edge_count == 0
