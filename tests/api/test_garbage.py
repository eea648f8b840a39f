"""What is finished is freed at once, and all objects are walked so that nobody waits for it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from cmdb_graphql import garbage
from cmdb_graphql.context import Context
from impact.simulation import Impact
from tests.api.conftest import Api
from tests.api.test_impact import redundant_shop

IMPACT = """query($down: [ID!]!) {
  impact(down: $down) {
    counts { down } atRisk { name because { code members { name } } path { name } } services { name }
  }
}"""


@pytest.fixture
def unfrozen() -> Iterator[None]:
    """A process that collects as it did before."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.enable()
    gc.unfreeze()


@pytest.mark.usefixtures("unfrozen")
async def test_a_finished_operation_leaves_nothing_for_the_garbage_collector(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[object]] = []
    for kind in (Context, Impact):
        begin = kind.__init__

        def seen(self: object, *args: object, _begin: object = begin, **kwargs: object) -> None:
            made.append(weakref.ref(self))
            _begin(self, *args, **kwargs)  # type: ignore[operator]

        monkeypatch.setattr(kind, "__init__", seen)
    ids = await redundant_shop(api)
    made.clear()
    gc.collect()
    gc.disable()
    await api.data(IMPACT, {"down": [ids["a"]]})
    assert len(made) == 2
    async with asyncio.timeout(10):  # a thread lets go of what it did a moment after it has told of it
        while any(ref() is not None for ref in made):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Cycle:
    """Garbage that only a walk finds, once nobody knows of it."""

    def __init__(self) -> None:
        self.me = self


@pytest.mark.usefixtures("unfrozen")
async def test_who_outlives_a_walk_is_walked_again_in_a_quiet_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(garbage, "ROUND_SECONDS", 0.01)
    monkeypatch.setattr(garbage, "ROUNDS", 2)
    monkeypatch.setattr(garbage, "QUIET_ROUNDS", 3)
    monkeypatch.setattr(garbage, "MUCH", 3)
    garbage.leave_to_tidy()
    in_flight = 1
    loaded = asyncio.get_running_loop().create_future()
    tidying = asyncio.create_task(garbage.tidy(loaded, lambda: in_flight))

    async def gone(ref: weakref.ref[Cycle]) -> None:
        async with asyncio.timeout(30):
            while ref() is not None:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.01)

    try:
        await asyncio.sleep(0.1)
        assert not gc.get_freeze_count()
        loaded.set_result(None)
        await asyncio.sleep(0.1)
        assert gc.get_freeze_count() > 10_000
        young = weakref.ref(Cycle())
        await gone(young)
        lasting = [Cycle() for _ in range(100)]
        old = weakref.ref(lasting[0])
        await asyncio.sleep(0.2)
        del lasting
        await asyncio.sleep(0.2)
        assert old() is not None, "it outlived a walk, and somebody asks"
        in_flight = 0
        await gone(old)
        in_flight = 1
        lasting = [Cycle() for _ in range(100)]
        old = weakref.ref(lasting[0])
        await asyncio.sleep(0.2)
        del lasting
        await asyncio.sleep(0.2)
        assert old() is not None
        monkeypatch.setattr(garbage, "TOO_MUCH", 3)
        await gone(old)
    finally:
        tidying.cancel()
