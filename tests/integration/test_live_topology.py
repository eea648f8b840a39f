"""The live topology equals what a fresh read gives, now and at every past revision."""

from __future__ import annotations

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
