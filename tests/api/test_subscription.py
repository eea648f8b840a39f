from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from tests.api.conftest import Api

FEED = """subscription S($after: Long, $classes: [String!], $items: [ID!], $actors: [String!]) {
  revisions(after: $after, classes: $classes, items: $items, actors: $actors) {
    cursor revision { number actor } changes { name kind } } }"""


@asynccontextmanager
async def subscribed(address: str, token: str, **variables: object) -> AsyncIterator[ClientConnection]:
    async with connect(f"ws://{address}/graphql", subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": token}}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": FEED, "variables": variables}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield socket


async def event(socket: ClientConnection) -> Mapping[str, Any]:
    async with asyncio.timeout(10):
        frame = json.loads(await socket.recv())
    assert frame["type"] == "next", frame
    found: Mapping[str, Any] = frame["payload"]["data"]["revisions"]
    return found


async def test_revisions_arrive_as_they_are_made_and_from_any_point_on(api: Api, address: str) -> None:
    await api.create("Server", name="one")
    async with subscribed(address, api.admin, after=0) as socket:
        first = await event(socket)
        assert first == {
            "cursor": 1,
            "revision": {"number": 1, "actor": "root"},
            "changes": [{"name": "one", "kind": "created"}],
        }
        await api.create("Server", name="two")
        assert (await event(socket))["changes"] == [{"name": "two", "kind": "created"}]
    await api.create("Server", name="three")
    await api.create("Server", name="four")
    async with subscribed(address, api.admin, after=2) as socket:
        assert [(await event(socket))["cursor"] for _ in range(2)] == [3, 4]


async def test_filters_by_class_item_and_actor(api: Api, address: str) -> None:
    eve = await api.token("editor", name="eve")
    server = await api.create("Server", name="server")
    await api.create("Application", name="application")
    await api.data('mutation { createHypervisor(input: {name: "hypervisor"}) { revision } }', token=eve)
    await api.data(f'mutation {{ updateServer(id: "{server}", input: {{memory: 1}}) {{ revision }} }}')
    async with subscribed(address, api.admin, after=0, classes=["Host"]) as socket:
        assert [(await event(socket))["cursor"] for _ in range(3)] == [1, 3, 4]
    async with subscribed(address, api.admin, after=0, items=[server]) as socket:
        assert [(await event(socket))["cursor"] for _ in range(2)] == [1, 4]
    async with subscribed(address, api.admin, after=0, actors=["eve"]) as socket:
        assert (await event(socket))["cursor"] == 3


async def test_an_agent_may_not_follow(api: Api, address: str) -> None:
    async with subscribed(address, await api.token("agent"), after=0) as socket:
        frame = json.loads(await socket.recv())
    assert frame["type"] == "error"
    assert frame["payload"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_no_event_reaches_a_revoked_token(api: Api, address: str) -> None:
    viewer = await api.token("viewer")
    async with subscribed(address, viewer) as socket:
        await api.data(f'mutation {{ revokeToken(id: "{viewer.split("_")[2]}") {{ id }} }}')
        await asyncio.sleep(1.1)
        await api.create("Server", name="secret")
        with pytest.raises(ConnectionClosedError) as closed:
            await event(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
