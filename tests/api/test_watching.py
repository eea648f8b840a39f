from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from cmdb.cli.client import Access, Client, Refused
from cmdb.model.packed_topology import PackedTopology
from cmdb_graphql import watches as watches_module
from cmdb_graphql.standing_questions import Needed, ServiceQuestion, ServiceStanding
from tests.api.conftest import Api
from tests.api.test_impact import redundant_shop

WATCH = """subscription W($service: ID!) { serviceWatch(service: $service) {
  revision margin { failures atLeast defeatedBy { name } } singlePoints entered { name } left { name } truncated } }"""


@asynccontextmanager
async def watching(api: Api, address: str, service: str, token: str = "") -> AsyncIterator[ClientConnection]:
    """A socket that has subscribed, of a service that follows its ledger."""
    async with connect(f"ws://{address}/graphql", subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        payload = {"authorization": token or api.admin}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        subscribe = {"query": WATCH, "variables": {"service": service}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": subscribe}))
        yield socket


async def frame(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(60):
        found: dict[str, Any] = json.loads(await socket.recv())
    return found


async def event(socket: ClientConnection) -> Mapping[str, Any]:
    received = await frame(socket)
    assert received["type"] == "next", received
    found: Mapping[str, Any] = received["payload"]["data"]["serviceWatch"]
    return found


def names(items: list[Mapping[str, str]]) -> set[str]:
    return {item["name"] for item in items}


@pytest.fixture
async def following(api: Api) -> Api:
    """The service follows its ledger, as a served one does."""
    api.service.services.topologies.start()
    return api


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The revisions of the topologies that a service was computed on."""
    seen: list[int] = []
    find = ServiceQuestion.find

    def counted(
        question: ServiceQuestion, topology: PackedTopology, patience: Callable[[], None]
    ) -> tuple[ServiceStanding, Needed]:
        seen.append(topology.revision)
        return find(question, topology, patience)

    monkeypatch.setattr(ServiceQuestion, "find", counted)
    return seen


async def until_watched(api: Api) -> None:
    """Until somebody watches a service."""
    async with asyncio.timeout(60):
        while not len(api.service.services.watches):  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # nothing tells of it


async def second_server(api: Api, ids: Mapping[str, str], *, there: bool) -> int:
    """Relate or unrelate the server that makes the shop redundant."""
    if there:
        return await api.relate("RunsOn", ids["shop"], ids["b"], group="web", required="1")
    ends = f'from: "{ids["shop"]}", to: "{ids["b"]}", group: "web"'
    return int(
        (await api.data(f"mutation {{ made: unrelateRunsOn({ends}) {{ revision }} }}"))["made"]["revision"]
    )


async def test_the_present_comes_first_then_every_change(following: Api, address: str) -> None:
    ids = await redundant_shop(following)
    async with watching(following, address, ids["shop"]) as socket:
        first = await event(socket)
        assert (first["margin"]["failures"], first["margin"]["atLeast"]) == (1, False)
        assert names(first["margin"]["defeatedBy"]) == {"a", "b"}
        assert (first["singlePoints"], first["entered"], first["left"]) == (0, [], [])
        revision = await second_server(following, ids, there=False)
        second = await event(socket)
        assert second["margin"] == {"failures": 0, "atLeast": False, "defeatedBy": [{"name": "a"}]}
        assert (names(second["entered"]), second["left"], second["revision"]) == ({"a"}, [], revision)
        await second_server(following, ids, there=True)
        third = await event(socket)
        assert (third["margin"]["failures"], third["entered"], names(third["left"])) == (1, [], {"a"})


async def test_changes_elsewhere_are_not_told_and_not_computed(
    following: Api, address: str, computed: list[int]
) -> None:
    ids = await redundant_shop(following)
    async with watching(following, address, ids["service"]) as socket:
        first = await event(socket)
        assert names(first["entered"]) == {"shop"}
        other = await following.create("Application", name="other")
        await following.relate("RunsOn", other, ids["a"])
        last = await second_server(following, ids, there=False)
        assert names((await event(socket))["entered"]) == {"a"}
    assert len(computed) == 2
    assert computed[-1] == last


async def test_a_burst_ends_in_the_right_state(following: Api, address: str) -> None:
    ids = await redundant_shop(following)
    async with watching(following, address, ids["service"]) as socket:
        points = names((await event(socket))["entered"])
        for round_ in range(50):
            last = await second_server(following, ids, there=bool(round_ % 2))
        last = await second_server(following, ids, there=False)
        while True:
            received = await event(socket)
            points = (points - names(received["left"])) | names(received["entered"])
            assert len(points) == received["singlePoints"]
            if received["revision"] == last:
                break
        assert points == {"shop", "a"}
        assert received["margin"]["failures"] == 0


async def test_two_subscribers_share_one_computation(
    following: Api, address: str, computed: list[int]
) -> None:
    ids = await redundant_shop(following)
    watches = following.service.services.watches
    async with (
        watching(following, address, ids["service"]) as one,
        watching(following, address, ids["service"]) as other,
    ):
        assert (await event(one))["entered"] == (await event(other))["entered"]
        assert len(watches) == 1
        await second_server(following, ids, there=False)
        assert names((await event(one))["entered"]) == names((await event(other))["entered"]) == {"a"}
    assert len(computed) == 2
    async with asyncio.timeout(10):
        while len(watches):  # noqa: ASYNC110 - a socket's end is told to nobody
            await asyncio.sleep(0.01)


async def test_a_topology_on_another_base_changes_nothing_and_is_followed(
    following: Api, address: str
) -> None:
    ids = await redundant_shop(following)
    topologies = following.service.services.topologies
    async with watching(following, address, ids["service"]) as socket:
        await event(socket)
        merged = (await topologies.at_head()).compacted()
        topologies._make_current(merged)
        await second_server(following, ids, there=False)
        assert names((await event(socket))["entered"]) == {"a"}


async def test_a_deleted_service_ends_its_watch(following: Api, address: str) -> None:
    ids = await redundant_shop(following)
    async with watching(following, address, ids["service"]) as socket:
        await event(socket)
        await following.data(f'mutation {{ deleteBusinessService(id: "{ids["service"]}") {{ revision }} }}')
        received = await frame(socket)
    assert received["type"] == "error"
    assert received["payload"][0]["extensions"]["code"] == "NOT_FOUND"
    assert "gone" in received["payload"][0]["message"]


async def test_unknown_services_too_many_and_strangers_are_refused(
    following: Api, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await redundant_shop(following)
    monkeypatch.setattr(watches_module, "MOST_WATCHED", 1)
    agent = await following.token("agent")
    async with watching(following, address, ids["service"]) as socket:
        await event(socket)
        for service, token, code in (
            ("nobody", "", "NOT_FOUND"),
            (ids["shop"], "", "LIMIT_EXCEEDED"),
            (ids["service"], agent, "FORBIDDEN"),
        ):
            async with watching(following, address, service, token) as refused:
                received = await frame(refused)
            assert received["type"] == "error"
            assert received["payload"][0]["extensions"]["code"] == code


async def test_the_command_line_tells_every_change(
    following: Api, cmdb: Callable[..., Awaitable[list[str]]]
) -> None:
    ids = await redundant_shop(following)
    watching = asyncio.ensure_future(cmdb("watch", "shop", "--events", "2", "--json"))
    await until_watched(following)
    revision = await second_server(following, ids, there=False)
    first, second = map(json.loads, await watching)
    assert (first["single_points"], first["survives"], first["survives_at_least"]) == (0, 1, False)
    assert (second["revision"], second["survives"], names(second["entered"])) == (revision, 0, {"a"})
    assert second["service"]["id"] == ids["shop"]


async def test_the_command_line_draws_how_a_service_stands(
    following: Api, cmdb: Callable[..., Awaitable[list[str]]]
) -> None:
    ids = await redundant_shop(following)
    revision = await second_server(following, ids, there=False)
    lines = await cmdb("watch", "shop", "--events", "1")
    told = f"revision {revision}  shop: 1 single point of failure; it does not survive every single failure"
    assert [line.rstrip() for line in lines] == [told, "    a  Server"]


async def test_the_client_says_why_it_may_not_watch(following: Api, address: str) -> None:
    ids = await redundant_shop(following)
    with Client(Access(f"http://{address}", "cmdb_nobody")) as client, pytest.raises(Refused) as refused:
        await asyncio.to_thread(lambda: next(client.subscribe(WATCH, {"service": ids["shop"]})))
    assert refused.value.code == "UNAUTHENTICATED"
    assert "CMDB_TOKEN" in str(refused.value)


FAILURE = """subscription F($down: [ID!]!) { failureWatch(down: $down) {
  revision down services entered { name } left { name } } }"""


@asynccontextmanager
async def watching_failure(
    api: Api, address: str, *down: str, token: str = ""
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """The frames of a socket that follows what these take down."""
    async with connect(f"ws://{address}/graphql", subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]
        payload = {"authorization": token or api.admin}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        subscribe = {"query": FAILURE, "variables": {"down": down}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": subscribe}))

        async def frames() -> AsyncIterator[dict[str, Any]]:
            while True:
                yield await frame(socket)

        yield frames()


async def test_what_a_failure_takes_down_is_told_and_every_change_of_it(following: Api, address: str) -> None:
    ids = await redundant_shop(following)
    async with watching_failure(following, address, ids["a"]) as frames:
        first = (await anext(frames))["payload"]["data"]["failureWatch"]
        assert (first["down"], first["services"], names(first["entered"])) == (1, 0, {"a"})
        revision = await second_server(following, ids, there=False)
        second = (await anext(frames))["payload"]["data"]["failureWatch"]
        assert names(second["entered"]) == {"shop", "Ordering"}
        assert (second["revision"], second["down"], second["services"], second["left"]) == (
            revision,
            3,
            1,
            [],
        )
        await second_server(following, ids, there=True)
        third = (await anext(frames))["payload"]["data"]["failureWatch"]
        assert (third["down"], names(third["left"]), third["entered"]) == (1, {"shop", "Ordering"}, [])


async def test_who_may_not_read_and_questions_that_are_none_are_refused(following: Api, address: str) -> None:
    ids = await redundant_shop(following)
    agent = await following.token("agent")
    for down, token, code in (
        ((ids["a"],), agent, "FORBIDDEN"),
        ((), "", "BAD_REQUEST"),
        (tuple(f"{n}" for n in range(101)), "", "BAD_REQUEST"),
        ((ids["a"], "nobody"), "", "NOT_FOUND"),
    ):
        async with watching_failure(following, address, *down, token=token) as frames:
            received = await anext(frames)
        assert received["type"] == "error"
        assert received["payload"][0]["extensions"]["code"] == code


async def test_the_command_line_tells_what_a_failure_takes_down(
    following: Api, cmdb: Callable[..., Awaitable[list[str]]]
) -> None:
    ids = await redundant_shop(following)
    lines = await cmdb("watch", "a", "--failure", "--with", "b", "--events", "1")
    assert lines[0].endswith("failure of a, b: 4 items down, 1 service among them")
    assert {line.split()[0] for line in lines[1:]} == {"a", "b", "shop", "Ordering"}
    watching = asyncio.ensure_future(cmdb("watch", "a", "--failure", "--events", "2", "--json"))
    await until_watched(following)
    revision = await second_server(following, ids, there=False)
    first, second = map(json.loads, await watching)
    assert (first["down"], first["services"], names(first["failed"])) == (1, 0, {"a"})
    assert (second["revision"], second["down"], names(second["entered"])) == (
        revision,
        3,
        {"shop", "Ordering"},
    )
