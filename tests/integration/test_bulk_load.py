"""The benchmarks' estate in Neo4j by offline import: read as if the write path had written it, and written on."""

from __future__ import annotations

from benchmarks.array_walk import ArrayWalk
from benchmarks.bulk_load import neo4j_with
from benchmarks.cypher_peer import CypherPeer
from benchmarks.synthetic import make_estate, to_plain_topology
from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.store.store import Store
from cmdb.store.topology import LiveTopology


async def test_an_imported_estate_is_read_written_on_and_walked_by_cypher() -> None:
    """One test of three facts, because each Neo4j takes seconds to start."""
    estate = make_estate(1_000)
    item = estate.id_texts()[0].decode()
    with neo4j_with(estate, heap="512m") as server:
        store = await Store.open(server.uri, server.user, server.password, deadline=60)
        try:
            loaded, plain = await LiveTopology(store).at_head(), to_plain_topology(estate)
            assert dict(loaded.items) == dict(plain.items)
            assert set(loaded.edges()) == set(plain.edges())

            renamed = ChangeSet((PutItem(item, {"name": "renamed"}, intent="update"),), "a change")
            applied = await store.apply(renamed, Authorship(actor="alice"))
            assert applied.revision == 2
            assert (await LiveTopology(store).at_head()).items[item].name == "renamed"
        finally:
            await store.close()

        cypher, walk = CypherPeer.connect(server, estate), ArrayWalk.build(estate)
        for failed in ([0], [1, 2, 3], estate.of_class("Switch")[:5].tolist()):
            reached = walk.dependents(failed).reached.tolist()
            assert cypher.dependents(failed).reached.tolist() == reached
            assert cypher.rows(failed).reached.tolist() == reached
            if len(failed) == 1:  # from several starts Neo4j counts what it reaches from each
                assert cypher.count(failed)[0] == len(reached)
        cypher.close()
