"""Figures and outages read from a real Neo4j: whose outage it was, now and as of a revision, one by one and in bulk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

import cmdb.store.neighbours
import cmdb.store.reliability
from cmdb.model.change_set import Authorship, ChangeSet, DeleteEdge, Operation, PutEdge, PutItem
from cmdb.model.items import EdgeKey, Item
from cmdb.model.outages import OutageHistory
from cmdb.model.reliability import ComponentFigure
from cmdb.model.spans import Span
from cmdb.store.as_of import Views
from cmdb.store.reading import EstateReader, PresentReader
from cmdb.store.reliability import Hidden, read_figures, read_many_figures, read_service_outages
from cmdb.store.store import Store
from cmdb.store.topology import LiveTopology

ALICE = Authorship(actor="alice")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def item(class_name: str, item_id: str, **fields: Any) -> PutItem:  # noqa: ANN401 - raw values
    return PutItem(item_id, {"name": item_id, **fields}, class_name)


def outage(item_id: str, day: int, hours: float | None, **fields: Any) -> PutItem:  # noqa: ANN401 - raw values
    start = datetime(2026, 5, day, tzinfo=UTC)
    ended = {"ended_at": start + hours * HOUR, "lifecycle": "ended"} if hours is not None else {}
    return item("Outage", item_id, number=item_id, started_at=start, **ended, **fields)


def edge(kind: str, source: str, target: str) -> PutEdge:
    return PutEdge(EdgeKey(kind, source, target))


ESTATE: tuple[Operation, ...] = (
    item("BusinessService", "shop", availability_target=0.999),
    item("Server", "told", availability=0.98, mtbf="P1D", mttr="PT1H"),
    item("Server", "timed", mtbf="99h", mttr="1h"),
    item("Server", "half", mttr="PT16H"),
    item("Server", "odd", availability=3, mtbf="-P1D"),
    item("Server", "silent"),
    item("Server", "shaky", in_service_since="2026-05-11"),
    item("Server", "blamed"),
    item("BusinessService", "service"),
    item("Person", "bob"),
    outage("first", 1, 2, kind="planned"),
    outage("own", 12, 3),
    outage("again", 13, None),
    outage("passed-on", 14, 5),
    outage("slow", 15, 7, kind="degradation"),
    outage("untimed", 16, None, lifecycle="ended"),
    edge("AFFECTS", "first", "shop"),
    edge("AFFECTS", "own", "shaky"),
    edge("AFFECTS", "own", "shop"),
    edge("AFFECTS", "slow", "shop"),
    edge("AFFECTS", "slow", "shaky"),
    edge("AFFECTS", "untimed", "shop"),
    edge("AFFECTS", "passed-on", "shop"),
    edge("AFFECTS", "passed-on", "shaky"),
    edge("CAUSED_BY", "passed-on", "blamed"),
)
IDS = ("shop", "told", "timed", "half", "odd", "silent", "shaky", "blamed", "service", "bob", "nobody")


def as_it_is(seen: Item) -> Item:
    return seen


@pytest_asyncio.fixture(loop_scope="session")
async def estate(store: Store) -> Store:
    store.connection.deadline = 60  # patience for a busy machine
    await store.apply(ChangeSet(ESTATE), ALICE)
    return store


def present(store: Store) -> PresentReader:
    return PresentReader(store.connection, lambda: store.catalogue)


async def figures(
    store: Store, reader: EstateReader | None = None, ids: Sequence[str] = IDS
) -> dict[str, ComponentFigure]:
    found = await read_figures(reader or present(store), store.catalogue, ids, NOW, as_it_is)
    return {item_id: figure for item_id, (_, figure) in found.items()}


async def test_each_figure_rests_on_the_strongest_that_is_known(estate: Store) -> None:
    found = await figures(estate)
    assert {item_id: figure.basis for item_id, figure in found.items()} == {
        "shop": "assumed_perfect",
        "told": "declared_availability",
        "timed": "declared_mtbf_mttr",
        "half": "declared_mtbf_mttr",
        "odd": "class_default",
        "silent": "class_default",
        "shaky": "outage_history",
        "blamed": "outage_history",
        "service": "assumed_perfect",
        "bob": "assumed_perfect",
    }
    assert math.isclose(found["told"].unavailability, 0.02)
    assert found["timed"].unavailability == 0.01
    assert (found["half"].mtbf, found["half"].mttr) == (730 * 86_400.0, 16 * 3600.0)
    assert found["odd"].ignored == ("availability", "mtbf")


async def test_an_outage_is_that_of_what_caused_it_and_else_of_what_it_affects(estate: Store) -> None:
    found = await figures(estate)
    # In service since 11 May: 21 days until the 1st of June, in which `own` is the only outage without another cause.
    assert found["shaky"].history == OutageHistory(21 * 86_400.0, 1, 3 * 3600.0)
    # Known to the CMDB only since the test began, after NOW: observed from its first outage on.
    assert found["blamed"].history == OutageHistory(18 * 86_400.0, 1, 5 * 3600.0)


async def many_figures(
    store: Store, reader: EstateReader, hidden: Hidden = lambda class_name: frozenset()
) -> dict[str, ComponentFigure]:
    """Of all items there are; `first`, an outage, is no component."""
    ids = [*IDS[:-1], "first"]
    classes = {item_id: item.class_name for item_id, item in (await reader.items(ids)).items()}
    asked = {item_id: classes[item_id] for item_id in ids}
    recorded = {"shop", "shaky", "blamed", "elsewhere"}
    found = await read_many_figures(reader, store.catalogue, asked, NOW, as_it_is, hidden, recorded)
    return dict(zip(ids, found, strict=True))


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
async def test_many_figures_are_the_same_now_and_in_the_past(
    estate: Store, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(cmdb.store.reliability, "VALUES_AT_ONCE", at_once)
    monkeypatch.setattr(cmdb.store.reliability, "ITEMS_AT_ONCE", at_once)
    then = await estate.head()
    ids = [*IDS, "first"]
    before = await figures(estate, ids=ids)
    assert await many_figures(estate, present(estate)) == before
    await estate.apply(
        ChangeSet(
            (
                PutItem("told", {"availability": None, "mtbf": "P2D"}),
                PutItem("silent", {"availability": 0.5}),
                PutItem("shaky", {"availability": 0.25}),
            )
        ),
        ALICE,
    )
    past = Views(estate, present(estate), LiveTopology(estate)).reader(then)
    assert await many_figures(estate, past) == before
    now = await many_figures(estate, present(estate))
    assert now == await figures(estate, ids=ids) != before


async def test_many_figures_rest_on_nothing_that_the_caller_may_not_see(estate: Store) -> None:
    def hidden(class_name: str) -> frozenset[str]:
        return frozenset({"availability"} if class_name == "Server" else ())

    found = await many_figures(estate, present(estate), hidden)
    assert (found["told"].basis, found["told"].unavailability) == ("declared_mtbf_mttr", 1 / 25)
    assert found["odd"].ignored == ("mtbf",)


async def test_an_empty_estate_has_nothing_to_say(store: Store) -> None:
    assert await figures(store) == {}


async def test_figures_of_the_past_are_those_of_then(estate: Store) -> None:
    before, then = await figures(estate), await estate.head()
    await estate.apply(
        ChangeSet(
            (
                PutItem("told", {"availability": 0.5}),
                PutItem("silent", {"mtbf": "1d", "mttr": "1d"}),
                PutItem("own", {"ended_at": "2026-05-20T00:00:00Z"}),
                DeleteEdge(EdgeKey("CAUSED_BY", "passed-on", "blamed")),
            )
        ),
        ALICE,
    )
    after = await figures(estate)
    assert after["told"].unavailability == after["silent"].unavailability == 0.5
    assert after["blamed"].basis == "class_default"
    assert after["shaky"].unavailability > before["shaky"].unavailability
    topologies = LiveTopology(estate)
    past = Views(estate, present(estate), topologies).reader(then)
    assert await figures(estate, past) == before


async def test_many_outages_of_one_thing_are_all_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cmdb.store.neighbours, "FETCH", 20)
    store.connection.deadline = 60
    start = datetime(2026, 1, 1, tzinfo=UTC)
    records = [
        item(
            "Outage",
            f"o{n:04}",
            number=f"o{n}",
            started_at=start + n * HOUR,
            ended_at=start + (n + 0.5) * HOUR,
        )
        for n in range(45)
    ]
    edges = [edge("AFFECTS", f"o{n:04}", "host") for n in range(45)]
    await store.apply(ChangeSet((item("Server", "host"), *records, *edges)), ALICE)
    history = (await figures(store, ids=["host"]))["host"].history
    assert history is not None
    assert (history.outages, history.down) == (45, 45 * 1800.0)


async def test_outages_of_services_are_those_that_touch_the_period(estate: Store) -> None:
    period = Span(datetime(2026, 5, 12, 1, tzinfo=UTC), datetime(2026, 5, 15, tzinfo=UTC))
    asked = ["shop", "service"]
    found = await read_service_outages(present(estate), estate.catalogue, asked, period, as_it_is)
    assert sorted(outage.id for outage in found["shop"].outages) == ["own", "passed-on"]
    assert (found["shop"].unusable, found["service"].outages) == ({}, ())
    later = Span(period.start, NOW)
    found = await read_service_outages(present(estate), estate.catalogue, asked, later, as_it_is)
    assert sorted(outage.id for outage in found["shop"].outages) == ["own", "passed-on", "slow"]
    assert found["shop"].unusable == {"untimed": "untimed"}
