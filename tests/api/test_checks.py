from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cmdb_graphql import checks
from tests.api.conftest import Api
from tests.api.test_impact import redundant_shop

QUERY = """query Q($text: String!, $asOf: AsOf, $atLeast: Long) {
  checks(text: $text, asOf: $asOf, atLeast: $atLeast) { revision passed results {
    line text passed outcome examined found findings { code hops found allowed name
      about { name } members { name } path { name }
      shortfall { lower upper least } gate { owner { name } group required size up lost { name } } } } } }"""

TEXT = """# the shop
service 'Ordering' has no single point of failure of class Host

failure of 'a' and 'b' does not take down 'Ordering'
service 'Nobody' survives any 1 failure
"""


async def report(api: Api, text: str, **arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = (await api.data(QUERY, {"text": text, **arguments}))["checks"]
    return found


async def test_assertions_are_answered_line_by_line_with_reasons(api: Api) -> None:
    await redundant_shop(api)
    found = await report(api, TEXT)
    assert not found["passed"]
    holds, fails, unknown = found["results"]
    assert (holds["line"], holds["passed"], holds["outcome"], holds["findings"]) == (2, True, "PASSED", [])
    assert (fails["line"], fails["passed"], fails["outcome"]) == (4, False, "FAILED")
    [finding] = fails["findings"]
    assert finding["code"] == "taken_down"
    assert [item["name"] for item in finding["path"]] == ["Ordering", "shop", "a"]
    assert finding["gate"] == {
        "owner": {"name": "shop"},
        "group": "web",
        "required": 1,
        "size": 2,
        "up": 0,
        "lost": [{"name": "a"}, {"name": "b"}],
    }
    assert (unknown["outcome"], unknown["findings"][0]["code"]) == ("UNKNOWN", "unknown_name")
    assert unknown["findings"][0]["name"] == "Nobody"


async def test_availability_is_that_which_the_figures_of_components_predict(api: Api) -> None:
    service = await api.create("BusinessService", name="Ordering", availability=1.0)
    host = await api.create("Server", name="a", availability=0.99)
    await api.relate("DependsOn", service, host)
    text = "service 'Ordering' is available at least 99 %\nevery service is available at least 99.5 %"
    holds, fails = (await report(api, text))["results"]
    assert (holds["outcome"], fails["outcome"], fails["examined"]) == ("PASSED", "FAILED", 1)
    [finding] = fails["findings"]
    assert (finding["code"], finding["members"]) == ("too_unavailable", [{"name": "a"}])
    assert finding["shortfall"] == pytest.approx({"lower": 0.99, "upper": 0.99, "least": 0.995})


async def test_the_availability_of_the_past_waits_for_no_thread_that_waits_for_it(api: Api) -> None:
    service = await api.create("BusinessService", name="Ordering", availability=0.98)
    changed = "mutation M($id: ID!) { made: updateBusinessService(id: $id, input: {availability: 0.5}) { revision } }"
    now = (await api.data(changed, {"id": service}))["made"]["revision"]
    with ThreadPoolExecutor(1) as only:
        asyncio.get_running_loop().set_default_executor(only)
        found = await report(api, "every service is available at least 90 %", asOf={"revision": now - 1})
        assert (found["passed"], found["results"][0]["examined"]) == (True, 1)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    assert not (await report(api, "every service is available at least 90 %"))["passed"]


async def test_the_past_and_one_s_own_writes_can_be_checked(api: Api) -> None:
    ids = await redundant_shop(api)
    ends = f'from: "{ids["shop"]}", to: "{ids["b"]}", group: "web"'
    cut = await api.data(f"mutation {{ made: unrelateRunsOn({ends}) {{ revision }} }}")
    revision = cut["made"]["revision"]
    line = "every BusinessService has no single point of failure of class Server"
    after = await report(api, line, atLeast=revision)
    assert (after["passed"], after["revision"]) == (False, revision)
    assert after["results"][0]["findings"][0]["members"] == [{"name": "a"}]
    before = await report(api, line, asOf={"revision": revision - 1})
    assert (before["passed"], before["revision"], before["results"][0]["examined"]) == (True, revision - 1, 1)


async def test_what_cannot_be_read_is_refused_with_every_place(api: Api) -> None:
    answer = await api.answer(QUERY, {"text": "up!\n\nservice x is up"})
    extensions = answer["errors"][0]["extensions"]
    assert extensions["code"] == "ASSERTION_INVALID"
    assert [(fault["line"], fault["column"]) for fault in extensions["faults"]] == [(1, 3), (3, 9)]
    assert all(fault["wayOut"] for fault in extensions["faults"])


async def test_limits_and_rights(api: Api) -> None:
    line = "'a' does not depend on 'b'\n"
    assert await api.code(QUERY, {"text": line * (checks.MAX_ASSERTIONS + 1)}) == "BAD_REQUEST"
    assert await api.code(QUERY, {"text": "#" * (checks.MAX_TEXT + 1)}) == "BAD_REQUEST"
    assert await api.code(QUERY, {"text": line}, await api.token("agent")) == "FORBIDDEN"
    assert (await report(api, "# nothing"))["passed"]


async def test_a_check_ends_in_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    await redundant_shop(api)
    monkeypatch.setattr(checks, "DEADLINE_SHARE", 0.0)
    assert await api.code(QUERY, {"text": "every service survives any 1 failure"}) == "DEADLINE_EXCEEDED"
