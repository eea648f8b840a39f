from __future__ import annotations

import pytest

from tests.api.conftest import Api


async def names(api: Api, query: str) -> list[str]:
    data = await api.data(query)
    [page] = data.values()
    return [node["name"] for node in page["nodes"]]


@pytest.fixture(name="estate")
async def five_servers(api: Api) -> Api:
    for name, memory, criticality in (
        ("alpha", 8, "HIGH"),
        ("beta", 32, "LOW"),
        ("gamma", 16, None),
        ("delta", None, "HIGH"),
        ("Epsilon", 16, "VERY_HIGH"),
    ):
        given: dict[str, object] = {"name": name, "hostname": name, "tags": ["all", name[0]]}
        given |= {"memory": memory} if memory else {}
        given |= {"criticality": criticality} if criticality else {}
        await api.create("Server", **given)
    return api


async def test_an_item_is_found_by_id_by_name_and_by_identity(api: Api) -> None:
    server = await api.create("Server", name="web-01", serialNumber="S1", manufacturer="Dell")
    data = await api.data(
        """query Q($id: ID!) {
          a: item(id: $id) { id }
          b: item(class: "Host", name: "web-01") { id }
          c: item(identity: {class: "Server", attributes: {serial_number: "s1", manufacturer: "DELL"}}) { id }
          d: server(name: "web-01") { id }
          e: virtualMachine(id: $id) { id }
          f: item(name: "nobody") { id } }""",
        {"id": server},
    )
    assert [data[key] and data[key]["id"] for key in "abcdef"] == [server] * 4 + [None, None]


async def test_a_name_of_several_items_is_an_error_that_lists_them(api: Api) -> None:
    server = await api.create("Server", name="twin", serialNumber="1", manufacturer="x")
    application = await api.create("Application", name="twin")
    [error] = (await api.answer('{ item(name: "twin") { id } }'))["errors"]
    assert error["extensions"]["code"] == "AMBIGUOUS"
    assert {c["id"] for c in error["extensions"]["candidates"]} == {server, application}


async def test_attributes_come_in_their_readable_forms(api: Api) -> None:
    await api.create(
        "Server",
        name="web-01",
        memory=17_179_869_184,
        mtbf="90d",
        lastBoot="2026-11-24T10:00:00+01:00",
        purchasedOn="2026-01-02",
        annualCost="EUR 1250.50",
        criticality="VERY_HIGH",
        availability=0.999,
        lifecycle="MAINTENANCE",
    )
    data = await api.data(
        """{ server(name: "web-01") { class labels layer lifecycle memory mtbf lastBoot purchasedOn annualCost
             criticality availability attributes } }"""
    )
    server = data["server"]
    attributes = server.pop("attributes")
    assert server == {
        "class": "Server",
        "labels": ["Server", "Host", "ConfigurationItem", "Item"],
        "layer": "compute",
        "lifecycle": "MAINTENANCE",
        "memory": 17_179_869_184,
        "mtbf": "PT2160H",
        "lastBoot": "2026-11-24T09:00:00.000000Z",
        "purchasedOn": "2026-01-02",
        "annualCost": "EUR 1250.5",
        "criticality": "VERY_HIGH",
        "availability": 0.999,
    }
    assert attributes["mtbf"] == "PT2160H"
    assert attributes["criticality"] == "very_high"


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("{}", "Epsilon alpha beta delta gamma"),
        ('{name: {eq: "beta"}}', "beta"),
        ('{name: {in: ["beta", "gamma", "x"]}}', "beta gamma"),
        ('{name: {contains: "ta"}}', "beta delta"),
        ('{name: {startsWith: "e"}}', ""),
        ("{memory: {gt: 8, lte: 16}}", "Epsilon gamma"),
        ("{memory: {exists: false}}", "delta"),
        ("{memory: {ne: 16}}", "alpha beta delta"),
        ("{criticality: {in: [HIGH, VERY_HIGH]}}", "Epsilon alpha delta"),
        ("{not: {criticality: {eq: HIGH}}}", "Epsilon beta gamma"),
        ("{or: [{memory: {eq: 8}}, {memory: {exists: false}}]}", "alpha delta"),
        ('{and: [{memory: {gte: 16}}, {not: {name: {eq: "beta"}}}]}', "Epsilon gamma"),
        ('{tags: {has: "d"}}', "delta"),
        ("{lifecycle: {eq: LIVE}}", "Epsilon alpha beta delta gamma"),
        ('{isA: ["Server"], class: {eq: "Hypervisor"}}', ""),
        ('{hostname: {gt: "b", lt: "e"}}', "beta delta"),
    ],
)
async def test_filters_find_what_they_say(estate: Api, condition: str, found: str) -> None:
    assert await names(estate, f"{{ servers(filter: {condition}) {{ nodes {{ name }} }} }}") == found.split()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("{field: NAME}", "Epsilon alpha beta delta gamma"),
        ("{field: NAME, direction: DESC}", "gamma delta beta alpha Epsilon"),
        ("{field: MEMORY}", "alpha gamma Epsilon beta delta"),
        ("{field: MEMORY, direction: DESC}", "beta gamma Epsilon alpha delta"),
        ("{field: CREATED_AT}", "alpha beta gamma delta Epsilon"),
    ],
)
async def test_pages_of_any_size_give_the_same_whole(estate: Api, order: str, expected: str) -> None:
    for size in (1, 2, 3, 5):
        seen, after = [], None
        while True:
            data = await estate.data(
                f"""query Q($after: String) {{ servers(orderBy: {order}, first: {size}, after: $after) {{
                  totalCount pageInfo {{ hasNextPage endCursor }} edges {{ cursor node {{ name }} }} }} }}""",
                {"after": after},
            )
            page = data["servers"]
            assert page["totalCount"] == 5
            seen += [edge["node"]["name"] for edge in page["edges"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
            assert after == page["edges"][-1]["cursor"]
        assert seen == expected.split()


async def test_relationships_are_pages_on_both_sides_with_the_facts_of_edges(api: Api) -> None:
    shop = await api.create("Application", name="shop")
    hosts = [await api.create("Server", name=f"web-{i}") for i in range(3)]
    for host in hosts:
        await api.relate("RunsOn", shop, host, group="web", required="2", confidence="OBSERVED")
    data = await api.data(
        """{ application(name: "shop") { runsOn(first: 2) { totalCount pageInfo { hasNextPage endCursor }
               edges { group required strength confidence node { name class } } } }
             server(name: "web-1") { runs { totalCount nodes {
               name ... on Application { runsOn { totalCount } } } } } }"""
    )
    page = data["application"]["runsOn"]
    assert page["totalCount"] == 3
    assert page["pageInfo"]["hasNextPage"]
    facts = {"group": "web", "required": "2", "strength": "HARD", "confidence": "OBSERVED"}
    assert page["edges"] == [{**facts, "node": {"name": f"web-{i}", "class": "Server"}} for i in range(2)]
    assert data["server"]["runs"] == {
        "totalCount": 1,
        "nodes": [{"name": "shop", "runsOn": {"totalCount": 3}}],
    }
    rest = await api.data(
        'query Q($after: String) { application(name: "shop") { runsOn(after: $after) { nodes { name } } } }',
        {"after": page["pageInfo"]["endCursor"]},
    )
    assert rest["application"]["runsOn"]["nodes"] == [{"name": "web-2"}]


async def test_filters_reach_related_items(api: Api) -> None:
    shop, wiki, idle = [await api.create("Application", name=n) for n in ("shop", "wiki", "idle")]
    big = await api.create("Server", name="big", memory=64)
    small = await api.create("Server", name="small", memory=4)
    await api.relate("RunsOn", shop, big)
    await api.relate("RunsOn", shop, small)
    await api.relate("RunsOn", wiki, small)
    assert idle

    async def found(condition: str) -> list[str]:
        return await names(api, f"{{ applications(filter: {condition}) {{ nodes {{ name }} }} }}")

    assert await found('{runsOn: {some: {name: {eq: "big"}}}}') == ["shop"]
    assert await found('{runsOn: {none: {name: {eq: "big"}}}}') == ["idle", "wiki"]
    assert await found('{runsOn: {every: {name: {eq: "small"}}}}') == ["idle", "wiki"]
    assert await found("{runsOn: {exists: false}}") == ["idle"]
    assert await found('{not: {runsOn: {some: {name: {eq: "small"}}}}}') == ["idle"]
    runs = '{runs: {some: {runsOn: {some: {name: {eq: "big"}}}}}}'
    nested = f"{{ servers(filter: {runs}) {{ nodes {{ name }} }} }}"
    assert await api.answer(nested)  # an inverse field of ConfigurationItem need not know runsOn
    data = await api.data(
        '{ application(name: "shop") { runsOn(filter: {name: {contains: "mal"}}) { totalCount nodes { name } } } }'
    )
    assert data["application"]["runsOn"] == {"totalCount": 1, "nodes": [{"name": "small"}]}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ servers(first: -1) { nodes { id } } }", "BAD_REQUEST"),
        ("{ servers(first: 101) { nodes { id } } }", "LIMIT_EXCEEDED"),
        ('{ servers(after: "zzz") { nodes { id } } }', "BAD_REQUEST"),
        ('{ item(id: "a", name: "b") { id } }', "BAD_REQUEST"),
        ('{ item(class: "Nothing", name: "b") { id } }', "NOT_FOUND"),
        ('{ items(filter: {isA: ["x`) DETACH DELETE n //"]}) { totalCount } }', "NOT_FOUND"),
        ('{ item(identity: {class: "Server", attributes: {kernel: "x"}}) { id } }', "BAD_REQUEST"),
    ],
)
async def test_arguments_that_make_no_sense_are_refused(api: Api, query: str, code: str) -> None:
    assert await api.code(query) == code


async def test_a_cursor_of_another_order_is_refused(estate: Api) -> None:
    data = await estate.data("{ servers(first: 1) { pageInfo { endCursor } } }")
    cursor = data["servers"]["pageInfo"]["endCursor"]
    query = f'{{ servers(after: "{cursor}", orderBy: {{field: MEMORY}}) {{ nodes {{ id }} }} }}'
    assert await estate.code(query) == "BAD_REQUEST"


async def test_every_answer_names_its_revision(api: Api) -> None:
    assert (await api.answer("{ servers { revision } }"))["extensions"]["revision"] == 0
    await api.create("Server", name="one")
    answer = await api.answer("{ servers { revision totalCount } }")
    assert answer["extensions"]["revision"] == 1
    assert answer["data"]["servers"] == {"revision": 1, "totalCount": 1}
