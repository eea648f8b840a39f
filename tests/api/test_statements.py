from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.conftest import Api


async def estate(api: Api, servers: int) -> None:
    operations: list[dict[str, Any]] = []
    for index in range(servers):
        put = {"class": "Server", "fields": {"name": f"s{index:03}"}, "ref": f"s{index}"}
        app = {"class": "Application", "fields": {"name": f"a{index:03}"}, "ref": f"a{index}"}
        operations += [{"putItem": put}, {"putItem": app}]
        for offset in (0, 1):
            edge = {"type": "RUNS_ON", "from": f"ref:a{index}", "to": f"ref:s{(index + offset) % servers}"}
            operations.append({"putEdge": edge})
    await api.data(
        "mutation M($c: ChangeSetInput!) { applyChanges(changeSet: $c) { revision } }",
        {"c": {"operations": operations}},
    )


NESTED = """{ applications(first: %d) { totalCount nodes { name runsOn(first: 2) { totalCount nodes {
  name ... on Server { runs(first: 2) { nodes { name } } } } } } } }"""


async def test_a_page_takes_one_statement_a_field_and_level_whatever_its_size(api: Api) -> None:
    await estate(api, 30)
    counts = []
    for size in (2, 10, 30):
        with api.statements() as seen:
            data = await api.data(NESTED % size)
        assert len(data["applications"]["nodes"]) == size
        assert data["applications"]["nodes"][0]["runsOn"]["totalCount"] == 2
        counts.append(len(seen))
    # The page, its total, and one for each of the two levels of relationships.
    assert counts == [4, 4, 4]


async def test_single_items_of_one_level_are_read_together(api: Api) -> None:
    first, second = await api.create("Server", name="one"), await api.create("Server", name="two")
    with api.statements() as seen:
        await api.data(f'{{ a: item(id: "{first}") {{ name }} b: item(id: "{second}") {{ name }} }}')
    assert len(seen) == 1


async def test_changes_of_a_page_of_revisions_are_read_together(api: Api) -> None:
    for number in range(8):
        await api.create("Server", name=f"s{number}")
    query = "{ revisions(first: %d) { nodes { number changes(first: 3) { id } } } }"
    counts = []
    for size in (2, 8):
        with api.statements() as seen:
            page = (await api.data(query % size))["revisions"]["nodes"]
        assert len(page) == size
        assert all(revision["changes"] for revision in page)
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_changes_of_a_revision_come_by_pages(api: Api) -> None:
    await api.data(
        "mutation M($c: ChangeSetInput!) { applyChanges(changeSet: $c) { revision } }",
        {
            "c": {
                "operations": [
                    {"putItem": {"ref": f"r{n}", "class": "Server", "fields": {"name": f"s{n}"}}}
                    for n in range(5)
                ]
            }
        },
    )
    query = "query Q($after: String) { revisions(first: 1) { nodes { changes(first: 2, after: $after) { id } } } }"
    after, found = None, []
    while True:
        [revision] = (await api.data(query, {"after": after}))["revisions"]["nodes"]
        page = [change["id"] for change in revision["changes"]]
        if not page:
            break
        found += page
        after = page[-1]
    assert len(set(found)) == 5
    assert found == sorted(found)


async def test_values_are_bound_and_never_part_of_a_statement(api: Api) -> None:
    await api.create("Server", name="canary")
    attack = "x' OR true MATCH (n) DETACH DELETE n //"
    with api.statements() as seen:
        await api.data(
            """query Q($v: String!) { servers(filter: {name: {eq: $v}, tags: {has: $v}}) { totalCount }
                 search(text: $v) { nodes { id } } }""",
            {"v": attack},
        )
    assert seen
    assert not [statement for statement in seen if "DETACH" in statement]
    assert (await api.data("{ servers { totalCount } }"))["servers"]["totalCount"] == 1


async def test_no_user_pattern_becomes_a_regular_expression(api: Api) -> None:
    with api.statements() as seen:
        await api.data('{ servers(filter: {name: {contains: "(a+)+$", startsWith: ".*"}}) { totalCount } }')
    assert not [statement for statement in seen if "=~" in statement]


@pytest.mark.parametrize(
    "query",
    [
        '{ servers(first: 10, filter: {hostname: {eq: "x"}}) { nodes { id } } }',
        "{ servers(first: 10, orderBy: {field: NAME}) { nodes { id } } }",
        "{ servers(first: 10, orderBy: {field: ID}) { nodes { id } } }",
        "{ configurationItems(first: 10, filter: {criticality: {eq: HIGH}}) { nodes { id } } }",
        '{ item(class: "Host", name: "x") { id } }',
        '{ item(id: "x") { name ... on Server { runs { totalCount nodes { id } } } } }',
    ],
)
async def test_what_has_an_index_is_read_by_it(api: Api, query: str) -> None:
    await estate(api, 3)
    with api.statements() as seen:
        await api.data(query)
    for statement in seen:
        operators = await plan_of(api, statement)
        assert not [name for name in operators if "AllNodesScan" in name or "NodeByLabelScan" in name], (
            operators
        )
        assert [name for name in operators if "Index" in name or "Argument" in name], operators


async def plan_of(api: Api, statement: str) -> list[str]:
    """The operators of the plan that Neo4j makes for a statement."""
    async with api.store.connection._driver.session() as session:
        summary = await (
            await session.run("EXPLAIN " + statement, dict.fromkeys(_parameters(statement)))
        ).consume()
    pending, names = [summary.plan or {}], list[str]()
    while pending:
        plan = pending.pop()
        names.append(plan["operatorType"])
        pending += plan.get("children", [])
    return names


def _parameters(statement: str) -> set[str]:
    return set(re.findall(r"\$(\w+)", statement))
