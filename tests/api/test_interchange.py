from __future__ import annotations

import json

import networkx as nx

from tests.api.conftest import Api

EXPORT = """query Q($id: ID!, $format: GraphFormat!, $limit: Int! = 10, $asOf: AsOf) {
  dependencies(id: $id, limit: $limit, asOf: $asOf) { revision truncated export(format: $format) } }"""


async def two_servers(api: Api) -> dict[str, str]:
    """An application with a hostile name that needs one of two servers."""
    ids = {
        "shop": await api.create("Application", name='shop"]<b>'),
        "a": await api.create("Server", name="a"),
        "b": await api.create("Server", name="b"),
    }
    for host in "ab":
        await api.relate("RunsOn", ids["shop"], ids[host], group="web", required="1")
    return ids


async def test_a_neighbourhood_is_written_in_every_format_with_its_revision(api: Api) -> None:
    ids = await two_servers(api)
    texts = {}
    for form in ("GRAPHML", "DOT", "MERMAID", "JSON"):
        found = (await api.data(EXPORT, {"id": ids["shop"], "format": form}))["dependencies"]
        assert (found["revision"], found["truncated"]) == (5, False)
        texts[form] = found["export"]

    graph = nx.parse_graphml(texts["GRAPHML"])
    assert set(graph.nodes) == set(ids.values())
    assert graph.graph["revision"] == 5
    assert graph.edges[ids["shop"], ids["a"]]["gate_members"] == 2

    written = json.loads(texts["JSON"])
    assert [node["name"] for node in written["nodes"]] == ['shop"]<b>', "a", "b"]
    assert written["graph"]["revision"] == 5

    assert f'"{ids["shop"]}" -> "{ids["a"]}"' in texts["DOT"]
    assert 'label="shop\\"]<b>' in texts["DOT"]
    assert 'n0["shop#34;#93;#60;b#62;<br/>Application"]' in texts["MERMAID"]
    assert 'n0 -->|"1 of 2"| n1' in texts["MERMAID"]


async def test_a_cut_neighbourhood_says_so_and_still_knows_its_gate(api: Api) -> None:
    ids = await two_servers(api)
    found = (await api.data(EXPORT, {"id": ids["shop"], "format": "JSON", "limit": 1}))["dependencies"]
    written = json.loads(found["export"])
    assert found["truncated"]
    assert written["graph"]["truncated"]
    assert [edge["gate_members"] for edge in written["edges"]] == [2]


async def test_a_neighbourhood_of_the_past_is_written_as_it_was(api: Api) -> None:
    ids = await two_servers(api)
    variables = {"id": ids["shop"], "format": "JSON", "asOf": {"revision": 4}}
    written = json.loads((await api.data(EXPORT, variables))["dependencies"]["export"])
    assert written["graph"]["revision"] == 4
    assert len(written["edges"]) == 1


async def test_who_may_not_read_gets_no_export(api: Api) -> None:
    ids = await two_servers(api)
    variables = {"id": ids["shop"], "format": "DOT"}
    answer = await api.answer(EXPORT, variables, await api.token("agent"))
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


IMPACT = """query Q($down: [ID!]!, $format: GraphFormat!, $states: [ImpactState!], $limit: Int! = 10) {
  impact(down: $down) { export(format: $format, states: $states, limit: $limit) { text truncated } } }"""


async def test_an_impact_is_written_with_its_states(api: Api) -> None:
    ids = await two_servers(api)
    variables = {"down": [ids["a"]], "format": "JSON"}
    export = (await api.data(IMPACT, variables))["impact"]["export"]
    written = json.loads(export["text"])
    assert {node["id"]: node["state"] for node in written["nodes"]} == {
        ids["a"]: "down",
        ids["shop"]: "at_risk",
    }
    assert [edge["gate_members"] for edge in written["edges"]] == [2]
    chosen = (await api.data(IMPACT, variables | {"states": ["DOWN"]}))["impact"]["export"]
    assert [node["id"] for node in json.loads(chosen["text"])["nodes"]] == [ids["a"]]
    assert (await api.data(IMPACT, variables | {"limit": 1}))["impact"]["export"]["truncated"]
    assert await api.code(IMPACT, variables | {"limit": 0}) == "BAD_REQUEST"
