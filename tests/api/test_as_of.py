"""Reading the past: every revision of a random history reads as the present did when it was the head."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.api.conftest import Api

EVERYTHING = """query Q($asOf: AsOf) {
  items(first: 60, orderBy: {field: NAME}, asOf: $asOf) { totalCount nodes { id name class version createdAt updatedAt
    attributes lifecycle
    ... on ConfigurationItem { dependsOn(first: 20) { totalCount edges { group required node { name } } }
                               requiredBy(first: 20) { totalCount nodes { name } } } } }
  few: servers(first: 2, filter: {memory: {gte: 16}}, orderBy: {field: MEMORY, direction: DESC}, asOf: $asOf) {
    totalCount nodes { name ... on Server { memory } } }
  related: servers(first: 100, filter: {dependsOn: {some: {name: {contains: "1"}}}}, asOf: $asOf) {
    totalCount nodes { name } }
  without: servers(first: 100, filter: {requiredBy: {none: {name: {contains: "2"}}}}, asOf: $asOf) {
    totalCount nodes { name } }
  nested: servers(first: 100, filter: {dependsOn: {every: {dependsOn: {exists: true}}}}, asOf: $asOf) { nodes { name } }
}"""


async def step(api: Api, rng: random.Random, ids: list[str]) -> None:
    """One revision that does something to up to three servers."""
    operations: list[dict[str, Any]] = []
    choice = rng.random()
    if choice < 0.25 or len(ids) < 4:
        fields = {"name": f"s{rng.randrange(100)}-{len(ids)}", "memory": rng.choice([4, 16, 64])}
        operations = [{"putItem": {"ref": "new", "class": "Server", "fields": fields}}]
    elif choice < 0.5:
        fields = {"memory": rng.choice([None, 4, 16, 64]), "name": f"s{rng.randrange(1000)}"}
        operations = [{"putItem": {"id": rng.choice(ids), "fields": fields}}]
    elif choice < 0.9:
        source, target = rng.sample(ids, 2)
        edge = {"type": "DEPENDS_ON", "from": source, "to": target}
        if rng.random() < 0.5:
            edge |= {"group": "g", "required": str(rng.randrange(1, 3))}
        operations = [{"putEdge": edge}]
    else:
        operations = [{"deleteItem": ids.pop(rng.randrange(len(ids)))}]
    answer = await api.answer(
        "mutation M($c: ChangeSetInput!) { applyChanges(changeSet: $c) { refs { id } } }",
        {"c": {"operations": operations}},
    )
    if "errors" not in answer:
        ids.extend(ref["id"] for ref in answer["data"]["applyChanges"]["refs"])


@pytest.mark.parametrize("seed", [1, 2])
async def test_every_revision_reads_as_it_did_when_it_was_the_head(api: Api, seed: int) -> None:
    rng, ids = random.Random(seed), list[str]()
    seen: dict[int, dict[str, Any]] = {}
    for _ in range(25):
        await step(api, rng, ids)
        answer = await api.answer(EVERYTHING)
        assert "errors" not in answer, answer
        seen[answer["extensions"]["revision"]] = answer["data"]
    assert len(seen) > 15
    for revision in rng.sample(sorted(seen), 8):
        answer = await api.answer(EVERYTHING, {"asOf": {"revision": revision}})
        assert answer.get("data") == seen[revision], answer.get("errors")
        assert answer["extensions"]["revision"] == revision


async def test_pages_of_the_past_give_the_same_whole_whatever_their_size(api: Api) -> None:
    ids = [await api.create("Server", name=f"s{index}", memory=index % 3 + 1) for index in range(7)]
    for index in (1, 3, 5):
        await api.data(
            f'mutation {{ updateServer(id: "{ids[index]}", input: {{memory: 99, name: "x{index}"}}) {{ revision }} }}'
        )
    await api.data(f'mutation {{ deleteServer(id: "{ids[6]}") {{ revision }} }}')
    await api.create("Server", name="s2.5")
    for size in (1, 2, 3, 7):
        names: list[str] = []
        after = None
        while True:
            page = (
                await api.data(
                    f"""query Q($after: String) {{ servers(first: {size}, after: $after, asOf: {{revision: 7}},
                      orderBy: {{field: MEMORY, direction: DESC}}) {{
                      totalCount nodes {{ name }} pageInfo {{ hasNextPage endCursor }} }} }}""",
                    {"after": after},
                )
            )["servers"]
            assert page["totalCount"] == 7
            names += [node["name"] for node in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert names == ["s2", "s5", "s1", "s4", "s0", "s3", "s6"]


async def test_a_past_moment_is_named_by_time_or_by_change(api: Api) -> None:
    host = await api.create("Server", name="web-01", memory=8)
    created = (await api.data("{ revision(number: 1) { recordedAt } }"))["revision"]["recordedAt"]
    await api.data(
        """mutation M($id: ID!) {
          updateServer(id: $id, input: {memory: 16, name: "web-02"}, reason: "CHG-9") { revision } }""",
        {"id": host},
    )
    query = """query Q($asOf: AsOf!) {
      a: server(name: "web-01", asOf: $asOf) { memory version } b: server(name: "web-02", asOf: $asOf) { memory } }"""
    for moment in ({"time": created}, {"beforeChange": "CHG-9"}, {"revision": 1}):
        assert await api.data(query, {"asOf": moment}) == {"a": {"memory": 8, "version": 1}, "b": None}
    assert await api.data(query, {"asOf": {"time": "2000-01-01T00:00:00Z"}}) == {"a": None, "b": None}
    assert await api.code(query, {"asOf": {"beforeChange": "CHG-0"}}) == "NOT_FOUND"
    assert await api.code(query, {"asOf": {"revision": 77}}) == "BAD_REQUEST"


async def test_the_graph_is_walked_as_it_was(api: Api) -> None:
    shop, host = await api.create("Application", name="shop"), await api.create("Server", name="web-01")
    await api.relate("RunsOn", shop, host)
    await api.data(f'mutation {{ deleteServer(id: "{host}") {{ revision }} }}')
    fields = "{ revision items { name distance } }"
    query = f'query Q($asOf: AsOf) {{ dependencies(id: "{shop}", asOf: $asOf) {fields} }}'
    assert (await api.data(query))["dependencies"] == {"revision": 4, "items": []}
    past = await api.data(query, {"asOf": {"revision": 3}})
    assert past["dependencies"] == {"revision": 3, "items": [{"name": "web-01", "distance": 1}]}
    impact = await api.data(
        f'{{ impact(down: ["{host}"], asOf: {{revision: 3}}) {{ revision down {{ name }} }} }}'
    )
    assert impact["impact"] == {"revision": 3, "down": [{"name": "web-01"}, {"name": "shop"}]}


async def test_texts_of_the_past_are_found(api: Api) -> None:
    host = await api.create("Server", name="web-01", hostname="oldname")
    await api.data(
        f'mutation {{ updateServer(id: "{host}", input: {{hostname: "newname"}}) {{ revision }} }}'
    )

    async def found(text: str) -> list[str]:
        nodes = "nodes { ... on Server { hostname } }"
        data = await api.data(f'{{ search(text: "{text}", asOf: {{revision: 1}}) {{ {nodes} }} }}')
        return [node["hostname"] for node in data["search"]["nodes"]]

    assert await found("oldn") == ["oldname"]
    assert await found("newname") == []


async def test_an_identity_is_looked_up_as_it_was(api: Api) -> None:
    query = """query Q($at: AsOf, $attributes: JSON!) {
      item(identity: {class: "Server", attributes: $attributes}, asOf: $at) { name } }"""

    async def named(serial: str, at: int | None) -> str | None:
        variables = {"attributes": {"serial_number": serial, "manufacturer": "dell"}}
        given = variables if at is None else {**variables, "at": {"revision": at}}
        found = (await api.data(query, given))["item"]
        return str(found["name"]) if found else None

    first = await api.create("Server", name="one", serialNumber="S1", manufacturer="Dell")
    await api.create("Server", name="steady", serialNumber="S9", manufacturer="Dell")
    before = await api.store.head()
    change = 'mutation M($id: ID!) { updateServer(id: $id, input: {serialNumber: "S2"}) { revision } }'
    await api.data(change, {"id": first})
    await api.create("Server", name="two", serialNumber="S1", manufacturer="Dell")
    assert [await named(serial, None) for serial in ("S1", "S2", "S9")] == ["two", "one", "steady"]
    assert [await named(serial, before) for serial in ("S1", "S2", "S9")] == ["one", None, "steady"]
    await api.data("mutation M($id: ID!) { deleteServer(id: $id) { revision } }", {"id": first})
    assert await named("S1", before) == "one"
    assert await named("S1", 0) is None
