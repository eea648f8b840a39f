from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cmdb.model.change_set import Authorship, ChangeSet, PutEntries
from cmdb.store.tokens import Role, Tokens
from tests.api.conftest import Api

READS = [
    "{ items { totalCount } }",
    "{ servers { nodes { id } } }",
    '{ server(id: "x") { id } }',
    '{ item(id: "x") { id } }',
    '{ item(name: "x") { id } }',
    '{ item(identity: {class: "Server", attributes: {name: "x"}}) { id } }',
    '{ search(text: "x") { nodes { id } } }',
    '{ history(item: "x") { nodes { change { kind } } } }',
    "{ revisions { nodes { number } } }",
    "{ revision(number: 1) { number } }",
    "{ diff(from: {revision: 0}) { totalCount } }",
    "{ baselines { name } }",
    "{ catalogue { digest } }",
    "{ verifyLedger { ok } }",
    '{ dependencies(id: "x") { truncated } }',
    '{ dependents(id: "x") { truncated } }',
    '{ paths(from: "x", to: "y") { truncated } }',
    "{ edges { hasNextPage } }",
    '{ impact(down: ["x"]) { revision } }',
    "{ impact(down: [], alreadyDownBy: [OUTAGES]) { revision } }",
    '{ serviceAvailability(service: "x") { revision } }',
    "{ ranking { count } }",
    '{ servicesTouched(id: "x") { count } }',
    "{ weakPoints { revision } }",
    '{ minimumCut(from: "x", to: "y") { revision } }',
    '{ checks(text: "every service has no single point of failure") { revision } }',
    '{ componentFigures(ids: ["x"]) { basis } }',
    '{ measuredAvailability(service: "x", from: "2026-01-01T00:00:00Z") { availability } }',
]
WRITES = [
    'mutation { createServer(input: {name: "x"}) { revision } }',
    'mutation { updateServer(id: "x", input: {name: "y"}) { revision } }',
    'mutation { deleteServer(id: "x") { revision } }',
    'mutation { relateRunsOn(from: "x", to: "y") { revision } }',
    'mutation { unrelateRunsOn(from: "x", to: "y") { revision } }',
    "mutation { applyChanges(changeSet: {operations: []}) { revision } }",
    "mutation { undo(revision: 1) { revision } }",
    'mutation { createBaseline(name: "x") { name } }',
    'mutation { deleteBaseline(name: "x") }',
]
ADMINISTRATION = [
    'mutation { applyCatalogue(yaml: "{}") { revision } }',
    'mutation { createToken(name: "x", role: "admin") { token } }',
    'mutation { revokeToken(id: "x") { id } }',
    "{ tokens { id } }",
]
FORBIDDEN: dict[Role, list[str]] = {
    "viewer": WRITES + ADMINISTRATION,
    "editor": ADMINISTRATION,
    "agent": READS + WRITES + ADMINISTRATION,
    "admin": [],
}


@pytest.mark.parametrize("role", ["viewer", "editor", "agent", "admin"])
async def test_a_role_may_do_what_it_may_and_nothing_else(api: Api, role: Role) -> None:
    token = await api.token(role)
    for query in READS + WRITES + ADMINISTRATION:
        answer = await api.answer(query, token=token)
        codes = [error["extensions"]["code"] for error in answer.get("errors", ())]
        assert (codes == ["FORBIDDEN"]) == (query in FORBIDDEN[role]), (role, query, answer)


async def test_everybody_may_ask_who_he_is(api: Api) -> None:
    agent = await api.token("agent", "cmk", name="cmk-agent")
    viewer = (await api.data("{ viewer { actor role sources may } }", token=agent))["viewer"]
    assert viewer == {"actor": "cmk-agent", "role": "agent", "sources": ["cmk"], "may": ["ingest"]}


@pytest.mark.parametrize("token", ["", "nonsense", "cmdb_api_AAAAAAAA_" + "B" * 43 + "_CCCCCC"])
async def test_strangers_get_401_and_are_told_nothing(api: Api, token: str) -> None:
    response = await api.http.post(
        "/graphql",
        json={"query": "{ viewer { actor } }"},
        headers={"authorization": f"Bearer {token}"} if token else {},
    )
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_an_agent_reports_as_its_own_source_only(api: Api) -> None:
    agent = await api.token("agent", "mine")
    ingest = "mutation M($o: JSON!) { ingest(observation: $o) }"

    def observation(source: str) -> dict[str, Any]:
        item = {"ref": "a", "class": "Server", "attributes": {"name": "web-01"}}
        return {"o": {"source": source, "items": [item]}}

    assert await api.code(ingest, observation("other"), agent) == "FORBIDDEN"
    assert (await api.data(ingest, observation("mine"), agent))["ingest"]["created"] == 1
    data = await api.data("{ revisions { nodes { actor source } } }")
    assert data["revisions"]["nodes"] == [{"actor": "agent", "source": "mine"}]


async def test_a_token_is_kept_as_a_digest_and_shown_once(api: Api) -> None:
    data = await api.data(
        'mutation { createToken(name: "ci", role: "editor", days: 7) { token details { id prefix role expiresAt } } }'
    )
    plain = data["createToken"]["token"]
    assert plain.startswith(data["createToken"]["details"]["prefix"] + "_")
    assert (await api.data("{ viewer { actor role } }", token=plain))["viewer"] == {
        "actor": "ci",
        "role": "editor",
    }
    rows = await api.store.connection.read("MATCH (n) RETURN properties(n) AS p", {})
    secret = plain.split("_")[3]
    assert not [row for row in rows if secret in str(row["p"])]
    listed = (await api.data("{ tokens { name prefix } }"))["tokens"]
    assert {"name": "ci", "prefix": data["createToken"]["details"]["prefix"]} in listed
    too_long = 'mutation { createToken(name: "x", role: "viewer", days: 400) { token } }'
    assert await api.code(too_long) == "BAD_REQUEST"


async def test_a_revoked_token_is_refused_within_a_second_also_by_another_process(api: Api) -> None:
    viewer = await api.token("viewer")
    assert (await api.post("{ viewer { actor } }", token=viewer)).status_code == 200
    elsewhere = Tokens(api.store.connection)
    found = await elsewhere.verify(viewer)
    assert found is not None
    await elsewhere.revoke(found.id)
    started = time.monotonic()
    while (await api.post("{ viewer { actor } }", token=viewer)).status_code == 200:
        assert time.monotonic() - started < 1.5
        await asyncio.sleep(0.05)
    assert (await api.post("{ viewer { actor } }", token=viewer)).status_code == 401


async def test_revoking_here_is_felt_here_at_once(api: Api) -> None:
    viewer = await api.token("viewer")
    await api.data("{ viewer { actor } }", token=viewer)
    token_id = viewer.split("_")[2]
    data = await api.data(f'mutation {{ revokeToken(id: "{token_id}") {{ revokedAt }} }}')
    assert data["revokeToken"]["revokedAt"]
    assert (await api.post("{ viewer { actor } }", token=viewer)).status_code == 401
    assert await api.code('mutation { revokeToken(id: "never") { id } }') == "NOT_FOUND"


async def test_an_expired_token_is_refused_and_the_last_use_is_noted(api: Api) -> None:
    tokens = api.service.services.tokens
    _, short = await tokens.create("short", "viewer", created_by="test", lifetime=timedelta(milliseconds=1))
    await asyncio.sleep(0.01)
    assert (await api.post("{ viewer { actor } }", token=short)).status_code == 401
    viewer = await api.token("viewer")
    await api.data("{ viewer { actor } }", token=viewer)
    for _ in range(100):
        used = [t.last_used_at for t in await tokens.list() if t.name == "viewer"]
        if used[0]:
            break
        await asyncio.sleep(0.02)
    assert used[0]
    assert used[0] <= datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


SAFE = {
    "Safe": {
        "extends": "Server",
        "description": "Has a secret.",
        "attributes": {
            "pin": {"type": "string", "secret": True, "description": "Secret."},
            "hint": {"type": "string", "description": "No secret."},
        },
    }
}


async def test_secret_attributes_leave_no_trace_without_the_right_to_see_them(api: Api) -> None:
    await api.store.apply(ChangeSet((PutEntries(SAFE),)), Authorship("test"))
    await api.service.schemas.current()
    safe = await api.create("Safe", name="vault", pin="sesame", hint="open")
    await api.data(
        f'mutation {{ updateSafe(id: "{safe}", input: {{pin: "sesame2", hint: "shut"}}) {{ revision }} }}'
    )
    viewer, editor = await api.token("viewer"), await api.token("editor")
    queries = [
        '{ safe(name: "vault") { hint pin attributes } }',
        "{ safes { nodes { hint pin attributes } } }",
        "{ safes(asOf: {revision: 2}) { nodes { hint pin attributes } } }",
        f'{{ history(item: "{safe}") {{ nodes {{ change {{ fields {{ field before after }} }} }} }} }}',
        "{ diff(from: {revision: 1}) { nodes { fields { field before after } } } }",
        "{ revision(number: 2) { changes { fields { field before after } } } }",
        '{ search(text: "sesame") { nodes { id attributes } } }',
        '{ search(text: "vault") { nodes { id attributes } } }',
    ]
    for query in queries:
        assert "sesame" not in (await api.post(query, token=viewer)).text, query
    fields = "{ item { attributes } changes { fields { after } } }"
    shown = f'mutation {{ updateSafe(id: "{safe}", input: {{hint: "ajar"}}) {fields} }}'
    assert "sesame" not in (await api.post(shown, token=editor)).text
    assert "sesame2" in (await api.post(queries[0])).text
    for query in (
        '{ safes(filter: {pin: {eq: "sesame2"}}) { totalCount } }',
        "{ safes(filter: {not: {pin: {exists: true}}}) { totalCount } }",
        "{ safes(orderBy: {field: PIN}) { totalCount } }",
        '{ item(identity: {class: "Safe", attributes: {pin: "sesame2"}}) { id } }',
    ):
        assert await api.code(query, token=viewer) == "FORBIDDEN", query
    assert (await api.data('{ safes(filter: {pin: {eq: "sesame2"}}) { totalCount } }'))["safes"][
        "totalCount"
    ] == 1
