"""The ranking of the estate and the services an item touches, asked through the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.api.conftest import Api

RANKING = """query Q($by: RankedBy! = ITEMS, $classes: [String!], $offset: Int! = 0, $asOf: AsOf, $atLeast: Long) {
  ranking(by: $by, classes: $classes, first: 3, offset: $offset, asOf: $asOf, atLeast: $atLeast) {
    revision behind count nodes { name itemsDown servicesDown servicesTouched }
  } }"""
TOUCHED = """query Q($id: ID!, $asOf: AsOf, $first: Int! = 5) {
  servicesTouched(id: $id, asOf: $asOf, first: $first) { revision behind count services { name } } }"""


async def shops(api: Api) -> dict[str, str]:
    """Two shops: one on a single server, one on either of two; both on the first of these."""
    ids = {name: await api.create("BusinessService", name=name) for name in ("shop", "kiosk")}
    ids |= {name: await api.create("Server", name=name) for name in ("a", "b")}
    await api.relate("DependsOn", ids["shop"], ids["a"])
    for server in "ab":
        await api.relate("DependsOn", ids["kiosk"], ids[server], group="either", required="1")
    return ids


async def ranked(api: Api, **variables: object) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(RANKING, variables))["ranking"]
    return found


def rows(found: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    return [(n["name"], n["itemsDown"], n["servicesDown"], n["servicesTouched"]) for n in found["nodes"]]


async def test_items_are_ranked_by_what_their_failure_alone_takes_down(api: Api) -> None:
    await shops(api)
    found = await ranked(api)
    assert (found["revision"], found["behind"], found["count"]) == (7, 0, 4)
    assert rows(found)[0] == ("a", 2, 1, 2)
    by_services = await ranked(api, by="SERVICES", classes=["Server"])
    assert rows(by_services) == [("a", 2, 1, 2), ("b", 1, 0, 1)]
    assert rows(await ranked(api, classes=["Server"], offset=1)) == [("b", 1, 0, 1)]


async def test_a_change_is_taken_up_and_waited_for_where_that_is_asked(api: Api) -> None:
    ids = await shops(api)
    await ranked(api)
    await api.relate("DependsOn", ids["shop"], ids["b"])
    found = await ranked(api, atLeast=8, classes=["Server"])
    assert (found["revision"], found["behind"]) == (8, 0)
    assert rows(found) == [("a", 2, 1, 2), ("b", 2, 1, 2)]


async def test_without_that_the_answer_says_how_far_behind_it_is_until_it_has_caught_up(api: Api) -> None:
    ids = await shops(api)
    await ranked(api)
    await api.relate("DependsOn", ids["shop"], ids["b"])
    async with asyncio.timeout(30):
        while (found := await ranked(api))["behind"]:
            assert found["revision"] + found["behind"] == 8
            await asyncio.sleep(0.05)
    assert found["revision"] == 8


async def test_the_past_is_ranked_as_it_was(api: Api) -> None:
    await shops(api)
    found = await ranked(api, asOf={"revision": 4}, classes=["Server"])
    assert (found["revision"], rows(found)) == (4, [("a", 1, 0, 0), ("b", 1, 0, 0)])
    assert rows(await ranked(api, classes=["Server"])) == [("a", 2, 1, 2), ("b", 1, 0, 1)]


async def test_services_touched_are_those_that_depend_on_the_item_whatever_redundancy_saves(api: Api) -> None:
    ids = await shops(api)
    found = (await api.data(TOUCHED, {"id": ids["b"]}))["servicesTouched"]
    assert found == {"revision": 7, "behind": 0, "count": 1, "services": [{"name": "kiosk"}]}
    found = (await api.data(TOUCHED, {"id": ids["a"], "first": 1}))["servicesTouched"]
    assert (found["count"], len(found["services"])) == (2, 1)
    found = (await api.data(TOUCHED, {"id": ids["a"], "asOf": {"revision": 4}}))["servicesTouched"]
    assert (found["revision"], found["count"]) == (4, 0)


async def test_each_service_touched_has_a_chain_of_dependencies_to_the_item(api: Api) -> None:
    ids = await shops(api)
    query = """query T($id: ID!, $first: Int, $asOf: AsOf) { servicesTouched(id: $id, first: $first, asOf: $asOf) {
      services { name } paths { service { name } distance path { name } } } }"""
    await api.create("Server", name="unrelated")
    rack = await api.create("Rack", name="rack")
    await api.relate("LocatedIn", ids["a"], rack)
    found = (await api.data(query, {"id": rack, "asOf": {"revision": 10}}))["servicesTouched"]
    assert [path["service"] for path in found["paths"]] == found["services"]
    chains = {path["service"]["name"]: [hop["name"] for hop in path["path"]] for path in found["paths"]}
    assert chains == {"shop": ["shop", "a", "rack"], "kiosk": ["kiosk", "a", "rack"]}
    assert {path["distance"] for path in found["paths"]} == {2}
    found = (await api.data(query, {"id": rack, "first": 0, "asOf": {"revision": 10}}))["servicesTouched"]
    assert found == {"services": [], "paths": []}


async def test_an_item_that_is_newer_than_the_figures_is_known(api: Api) -> None:
    await shops(api)
    await ranked(api)
    new = await api.create("BusinessService", name="new")
    found = (await api.data(TOUCHED, {"id": new}))["servicesTouched"]
    assert found["services"] == [{"name": "new"}]


async def test_what_cannot_be_answered_is_refused(api: Api) -> None:
    await shops(api)
    nobody = "0190a000-0000-7000-8000-000000000000"
    assert await api.code(RANKING, {"offset": -1}) == "BAD_REQUEST"
    assert await api.code(RANKING, {"classes": ["Nonsense"]}) == "NOT_FOUND"
    assert await api.code(TOUCHED, {"id": nobody}) == "NOT_FOUND"


async def test_who_may_not_read_gets_nothing(api: Api) -> None:
    ids = await shops(api)
    agent = await api.token("agent")
    for query, variables in ((RANKING, {}), (TOUCHED, {"id": ids["a"]})):
        answer = await api.answer(query, variables, agent)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_command_line_draws_the_ranking(
    api: Api, cmdb: Callable[..., Awaitable[list[str]]]
) -> None:
    await shops(api)
    lines = await cmdb("ranking", "--class", "Server", "--limit", "1")
    assert lines[0] == "2 items by what the failure of each alone takes down  (revision 7)"
    assert lines[2].split() == ["a", "Server", "-", "2", "1", "2", "█" * 24]
    assert lines[3] == "… and 1 more"
    [record] = await cmdb("ranking", "--by", "services", "--json")
    assert '"services_touched": 2' in record
