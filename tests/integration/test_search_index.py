"""The full-text index is kept beside the commits; a search must see every commit all the same."""

from __future__ import annotations

from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.model.items import new_id
from cmdb.store.reading import PresentReader
from cmdb.store.store import Store

ALICE = Authorship(actor="alice")
KIND = """
SHOW INDEXES YIELD name, options WHERE name = 'item_search'
RETURN options.indexConfig['fulltext.eventually_consistent'] AS beside_commits
"""


async def test_what_is_acknowledged_is_found_at_once(store: Store) -> None:
    reader = PresentReader(store.connection, lambda: store.catalogue)
    for number in range(40):
        item = PutItem(new_id(), {"name": f"needle{number}"}, "Application", intent="create")
        await store.apply(ChangeSet((item,)), ALICE)
        found = await reader.search(f"needle{number}", (), 5)
        assert [hit.id for hit, _ in found] == [item.id]


async def test_commits_do_not_wait_for_the_search_index(store: Store) -> None:
    [row] = await store.connection.read(KIND, {})
    assert row["beside_commits"] is True
