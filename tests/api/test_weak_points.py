from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.api.conftest import Api

WEAK_POINTS = """query Q(
  $types: [String!], $classes: [String!], $within: [ID!], $neededBy: ID, $asOf: AsOf, $offset: Int!
) {
  weakPoints(types: $types, classes: $classes, within: $within, neededBy: $neededBy, asOf: $asOf) {
    revision counts { items links components articulationPoints bridges }
    articulationPoints(first: 2, offset: $offset) { item { name } cutOff parts partSizes separated { name } }
    bridges(first: 2, offset: $offset) { one { name } other { name } edges { type } cutOff separated { name } }
  } }"""
MINIMUM_CUT = """query Q($from: ID!, $to: ID!, $types: [String!], $classes: [String!], $limit: Int! = 5) {
  minimumCut(from: $from, to: $to, types: $types, classes: $classes, limit: $limit) {
    revision connected separable count truncated from { name } to { name }
    items { name } ways { length items { name } } direct { type }
  } }"""


async def office(api: Api) -> dict[str, str]:
    """A ring of three switches a, b, c; d hangs off c by a cable that both report, e off d; the desk is at e and a."""
    ids = {name: await api.create("Switch", name=name) for name in "abcde"}
    ids["desk"] = await api.create("Server", name="desk")
    for source, target in ("ab", "bc", "ca", "cd", "dc", "de"):
        await api.relate("ConnectedTo", ids[source], ids[target])
    await api.relate("ConnectedTo", ids["desk"], ids["e"], group="lines", required="1")
    await api.relate("ConnectedTo", ids["desk"], ids["a"], group="lines", required="1")
    return ids


async def weak(api: Api, **variables: object) -> dict[str, object]:
    """The answer."""
    found: dict[str, object] = (await api.data(WEAK_POINTS, {"offset": 0, **variables}))["weakPoints"]
    return found


async def test_the_switches_alone_have_two_weak_points_and_two_bridges(api: Api) -> None:
    await office(api)
    found = await weak(api, classes=["NetworkDevice"])
    assert found == {
        "revision": 14,
        "counts": {"items": 5, "links": 5, "components": 1, "articulationPoints": 2, "bridges": 2},
        "articulationPoints": [
            {
                "item": {"name": "c"},
                "cutOff": 2,
                "parts": 2,
                "partSizes": [2, 2],
                "separated": [{"name": "d"}, {"name": "e"}],
            },
            {
                "item": {"name": "d"},
                "cutOff": 1,
                "parts": 2,
                "partSizes": [3, 1],
                "separated": [{"name": "e"}],
            },
        ],
        "bridges": [
            {
                "one": {"name": "c"},
                "other": {"name": "d"},
                "edges": [{"type": "CONNECTED_TO"}, {"type": "CONNECTED_TO"}],
                "cutOff": 2,
                "separated": [{"name": "d"}, {"name": "e"}],
            },
            {
                "one": {"name": "d"},
                "other": {"name": "e"},
                "edges": [{"type": "CONNECTED_TO"}],
                "cutOff": 1,
                "separated": [{"name": "e"}],
            },
        ],
    }


async def test_pages_have_counts_of_all(api: Api) -> None:
    await office(api)
    found = await weak(api, classes=["NetworkDevice"], offset=1)
    assert found["counts"]["articulationPoints"] == 2  # type: ignore[index]  # an object
    assert [point["item"]["name"] for point in found["articulationPoints"]] == ["d"]  # type: ignore[attr-defined]  # a list


async def test_a_scope_is_given_by_ids_by_an_item_by_types_and_by_a_moment(api: Api) -> None:
    ids = await office(api)

    async def counts(**variables: object) -> list[int]:
        found = (await weak(api, **variables))["counts"]
        return list(found.values())  # type: ignore[attr-defined]  # an object

    assert await counts() == [6, 7, 1, 0, 0]
    assert await counts(within=[ids["a"], ids["b"], ids["d"]]) == [3, 1, 2, 0, 1]
    assert await counts(neededBy=ids["d"]) == [5, 5, 1, 2, 2]
    assert await counts(neededBy=ids["d"], within=[ids["e"], ids["desk"]]) == [1, 0, 1, 0, 0]
    assert await counts(types=["LINKED_TO"]) == [0, 0, 0, 0, 0]
    assert await counts(asOf={"revision": 8}) == [3, 2, 1, 1, 2]


async def test_two_items_are_separated_by_the_fewest_others(api: Api) -> None:
    ids = await office(api)
    cut = (await api.data(MINIMUM_CUT, {"from": ids["desk"], "to": ids["c"]}))["minimumCut"]
    assert cut == {
        "revision": 14,
        "connected": True,
        "separable": True,
        "count": 2,
        "truncated": False,
        "from": {"name": "desk"},
        "to": {"name": "c"},
        "items": [{"name": "a"}, {"name": "e"}],
        "ways": [
            {"length": 3, "items": [{"name": "desk"}, {"name": "a"}, {"name": "c"}]},
            {"length": 4, "items": [{"name": "desk"}, {"name": "e"}, {"name": "d"}, {"name": "c"}]},
        ],
        "direct": [],
    }


async def test_a_direct_link_remains_and_a_limit_is_said(api: Api) -> None:
    ids = await office(api)
    beside = (await api.data(MINIMUM_CUT, {"from": ids["a"], "to": ids["c"]}))["minimumCut"]
    assert (beside["separable"], beside["count"], beside["direct"]) == (False, 2, [{"type": "CONNECTED_TO"}])
    cut = (await api.data(MINIMUM_CUT, {"from": ids["desk"], "to": ids["c"], "limit": 1}))["minimumCut"]
    assert (cut["truncated"], cut["separable"], cut["count"], cut["items"]) == (True, False, 1, [])


async def test_the_ends_need_not_be_of_the_classes_that_ways_lead_over(api: Api) -> None:
    ids = await office(api)
    to_desk = {"from": ids["e"], "to": ids["a"], "classes": ["Switch"]}
    cut = (await api.data(MINIMUM_CUT, to_desk))["minimumCut"]
    assert [item["name"] for item in cut["items"]] == ["d"]
    from_desk = {"from": ids["desk"], "to": ids["c"], "classes": ["Switch"]}
    assert (await api.data(MINIMUM_CUT, from_desk))["minimumCut"]["count"] == 2


async def test_unknown_names_and_senseless_questions_are_refused(api: Api) -> None:
    ids = await office(api)
    nobody = "0190a000-0000-7000-8000-000000000000"
    ask = {"offset": 0}
    assert await api.code(WEAK_POINTS, {**ask, "within": [nobody]}) == "NOT_FOUND"
    assert await api.code(WEAK_POINTS, {**ask, "neededBy": nobody}) == "NOT_FOUND"
    assert await api.code(WEAK_POINTS, {**ask, "types": ["NOPE"]}) == "NOT_FOUND"
    assert await api.code(WEAK_POINTS, {"offset": -1}) == "BAD_REQUEST"
    assert await api.code(WEAK_POINTS, {**ask, "within": [nobody] * 1_001}) == "BAD_REQUEST"
    assert await api.code(MINIMUM_CUT, {"from": ids["a"], "to": nobody}) == "NOT_FOUND"
    assert await api.code(MINIMUM_CUT, {"from": ids["a"], "to": ids["a"]}) == "BAD_REQUEST"
    assert await api.code(MINIMUM_CUT, {"from": ids["a"], "to": ids["b"], "limit": 1001}) == "BAD_REQUEST"


async def test_who_may_not_read_gets_nothing(api: Api) -> None:
    ids = await office(api)
    agent = await api.token("agent")
    for query, variables in (
        (WEAK_POINTS, {"offset": 0}),
        (MINIMUM_CUT, {"from": ids["a"], "to": ids["b"]}),
    ):
        answer = await api.answer(query, variables, agent)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_the_command_line_draws_the_answers(
    api: Api, cmdb: Callable[..., Awaitable[list[str]]]
) -> None:
    await office(api)
    lines = await cmdb("weak-points", "--of", "d", "--limit", "1")
    assert lines[0] == "5 items, 5 links: all connected  (revision 14)"
    assert lines[4].split() == ["c", "Switch", "2", "2", "+", "2", "d,", "e"]
    assert lines[5] == "… and 1 more"
    lines = await cmdb("minimum-cut", "desk", "Switch/c", "--class", "Switch")
    assert lines[0] == "The loss of 2 items separates desk and c:  (revision 14)"
    assert lines[-1] == "  desk – e – d – c"
    [record] = await cmdb("minimum-cut", "a", "c", "--json")
    assert '"separable": false' in record
