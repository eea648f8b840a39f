"""Baselines: a name on a revision that never moves, with a scope, and a witness of the ledger."""

from __future__ import annotations

import asyncio

import pytest

from cmdb.errors import BadRequest, Conflict, InvalidValue, NotFound
from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.store.baselines import Baseline
from cmdb.store.store import Store

NOON = "2026-11-24T12:00:00.000000Z"


async def three_revisions(store: Store) -> None:
    for n in range(3):
        await store.apply(
            ChangeSet((PutItem("s", {"name": "s", "memory": n}, "Server"),)), Authorship("alice")
        )


async def create(store: Store, name: str, revision: int = 2, **facts: object) -> Baseline:
    options = {"actor": "alice", "recorded_at": NOON, **facts}
    return await store.baselines.create(name, revision, **options)  # type: ignore[arg-type]  # options by name


async def test_a_baseline_is_what_was_named(store: Store) -> None:
    await three_revisions(store)
    made = await create(store, "  Before move ", scope=["b", "a"], root="a", description="d")
    assert made == Baseline("Before move", 2, NOON, "alice", "d", ("a", "b"), "a")
    everything = await create(store, "start", 0)
    assert everything.scope is None
    assert [b.name for b in await store.baselines.list()] == ["start", "Before move"]
    assert await store.baselines.get("Before move") == made


async def test_an_empty_scope_is_not_everything(store: Store) -> None:
    await three_revisions(store)
    assert (await create(store, "nothing", scope=[])).scope == ()


async def test_a_name_is_given_once_also_to_the_same_at_the_same_time(store: Store) -> None:
    await three_revisions(store)
    answers = await asyncio.gather(*(create(store, "mine") for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, Baseline) for answer in answers) == 1
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7
    with pytest.raises(Conflict, match="never moves"):
        await create(store, "mine", 3, actor="bob")


@pytest.mark.parametrize("revision", [4, -1, 2**62])
async def test_only_what_happened_can_be_named(store: Store, revision: int) -> None:
    await three_revisions(store)
    with pytest.raises(BadRequest, match="the last one is 3"):
        await create(store, "future", revision)


@pytest.mark.parametrize("name", ["", " ", "a\0", "\ud800", "x" * 201])
async def test_a_name_can_be_read(store: Store, name: str) -> None:
    with pytest.raises((BadRequest, InvalidValue)):
        await create(store, name, 0)


async def test_the_name_goes_and_the_history_stays(store: Store) -> None:
    await three_revisions(store)
    await create(store, "mine")
    await store.baselines.delete("mine")
    for look in (store.baselines.get, store.baselines.delete):
        with pytest.raises(NotFound):
            await look("mine")
    with pytest.raises(BadRequest):
        await store.baselines.get("\ud800")
    assert await store.head() == 3
    assert (await create(store, "mine", 1)).revision == 1
