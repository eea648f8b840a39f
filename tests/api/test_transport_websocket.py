"""GraphQL over WebSocket against a real server: the protocol, its limits, its tokens, and every malformed frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import strawberry
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cmdb_graphql.limits import Limits
from cmdb_graphql.transport import GraphQLEndpoint, SocketLimits, TransportSettings
from tests.api.toy_service import ADMIN, VIEWER, Desk, ToyContext, endpoint, schema, serving

INIT = {"type": "connection_init", "payload": {"authorization": f"Bearer {ADMIN}"}}


class Socket:
    """Speaks frames; `closed` waits for the end and gives its code and reason."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, frame: object) -> None:
        await self.connection.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def receive(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(await asyncio.wait_for(self.connection.recv(), 5))

    async def init(self, token: str = ADMIN) -> Socket:
        await self.send({"type": "connection_init", "payload": {"authorization": token}})
        assert await self.receive() == {"type": "connection_ack"}
        return self

    async def subscribe(self, query: str, operation_id: str = "1", **payload: object) -> None:
        await self.send({"type": "subscribe", "id": operation_id, "payload": {"query": query, **payload}})

    async def until_last(self, operation_id: str = "1") -> list[Any]:
        """Frames of an operation up to `complete` or `error`."""
        frames = []
        while True:
            frame = await self.receive()
            if frame.get("id") == operation_id:
                frames.append(frame)
                if frame["type"] in ("complete", "error"):
                    return frames

    async def _drain(self) -> None:
        try:
            while True:
                await self.connection.recv()
        except ConnectionClosed:
            return

    async def closed(self) -> tuple[int, str]:
        async with asyncio.timeout(5):
            await self._drain()
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def open_socket(
    address: str, *, origin: str | None = None, subprotocols: Sequence[str] = ("graphql-transport-ws",)
) -> AsyncIterator[Socket]:
    headers = {"origin": origin} if origin else None
    async with connect(
        f"ws://{address}/graphql",
        subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
        additional_headers=headers,
        proxy=None,
    ) as connection:
        yield Socket(connection)


@asynccontextmanager
async def socket_of(served: GraphQLEndpoint[ToyContext]) -> AsyncIterator[Socket]:
    async with serving(served) as address, open_socket(address) as socket:
        yield socket


def settings(**limits: Any) -> TransportSettings:  # noqa: ANN401 - values of SocketLimits
    return TransportSettings(socket=SocketLimits(**limits))


@pytest.fixture
async def service() -> AsyncIterator[str]:
    async with serving(endpoint(Desk())) as address:
        yield address


@pytest.fixture
async def socket(service: str) -> AsyncIterator[Socket]:
    async with open_socket(service) as opened:
        yield await opened.init()


# Operations


async def test_a_query_gives_one_answer_and_completes(socket: Socket) -> None:
    await socket.subscribe("query q($a: Int!) { add(a: $a) }", variables={"a": 4})
    answer, last = await socket.until_last()
    assert answer["payload"]["data"] == {"add": 5}
    assert answer["payload"]["extensions"]["revision"] == 7
    assert answer["payload"]["extensions"]["cost"]["limit"] == 10_000
    assert last == {"id": "1", "type": "complete"}


async def test_a_mutation_runs_and_its_domain_error_has_its_code(socket: Socket) -> None:
    await socket.subscribe('mutation { rename(id: 1, name: "stale") { id } }')
    answer, last = await socket.until_last()
    assert answer["payload"]["errors"][0]["extensions"]["code"] == "STALE_VERSION"
    assert last["type"] == "complete"


async def test_a_subscription_sends_each_event_with_the_revision_and_completes(socket: Socket) -> None:
    await socket.subscribe("subscription { count(to: 3) }")
    frames = await socket.until_last()
    assert [f["payload"]["data"]["count"] for f in frames[:-1]] == [1, 2, 3]
    assert {f["payload"]["extensions"]["revision"] for f in frames[:-1]} == {7}
    assert frames[-1] == {"id": "1", "type": "complete"}


async def test_each_event_is_resolved_with_a_context_of_its_own() -> None:
    contexts: list[ToyContext] = []

    class Telling(ToyContext):
        def for_operation(self) -> Telling:
            fresh = replace(self)
            contexts.append(fresh)
            return fresh

    desk = Desk({ADMIN: Telling("admin", token=ADMIN)})
    async with socket_of(endpoint(desk)) as socket:
        await socket.init()
        await socket.subscribe("subscription { contexts(to: 3) { id } }")
        await socket.until_last()
    assert len(contexts) == 1 + 3, "one for the operation, one an event"


async def test_several_operations_run_at_once(socket: Socket) -> None:
    await socket.subscribe("{ slow(seconds: 0.2) }", "slow")
    await socket.subscribe("{ add(a: 1) }", "fast")
    assert (await socket.receive())["id"] == "fast"
    assert (await socket.until_last("slow"))[0]["payload"]["data"] == {"slow": "done"}


async def test_complete_stops_a_subscription_and_frees_its_id() -> None:
    desk = Desk()
    async with socket_of(endpoint(desk)) as socket:
        await socket.init()
        await socket.subscribe("subscription { count(to: 1000, every: 0.01) }")
        await socket.receive()
        await socket.send({"type": "complete", "id": "1"})
        await socket.subscribe("{ add(a: 1) }")
        frames = await socket.until_last()
        assert frames[-2]["payload"]["data"] == {"add": 2}
        assert desk.cancelled == ["count"]


async def test_closing_the_socket_stops_its_operations() -> None:
    desk = Desk()
    async with serving(endpoint(desk)) as address:
        async with open_socket(address) as socket:
            await socket.init()
            await socket.subscribe("subscription { count(to: 1000, every: 0.01) }", "a")
            await socket.subscribe("{ slow }", "b")
            await socket.receive()
        for _ in range(100):
            if len(desk.cancelled) == 2:
                break
            await asyncio.sleep(0.02)
    assert sorted(desk.cancelled) == ["count", "slow"]


async def test_a_running_subscription_stays_on_its_schema_while_the_next_gets_the_new_one() -> None:
    @strawberry.type
    class Other:
        @strawberry.field
        def added(self) -> str:
            return "here"

    current = [schema]
    async with socket_of(endpoint(Desk(), provider=lambda: current[0])) as socket:
        await socket.init()
        await socket.subscribe("subscription { count(to: 20, every: 0.01) }", "old")
        await socket.receive()
        current[0] = strawberry.Schema(Other)
        await socket.subscribe("{ added }", "new")
        assert len(await socket.until_last("old")) >= 15
        await socket.subscribe("{ item { name } }", "gone")
        assert (await socket.until_last("gone"))[0]["payload"][0]["extensions"][
            "code"
        ] == "GRAPHQL_VALIDATION_FAILED"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { a: count b: count }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { count @skip(if: true) }", "GRAPHQL_VALIDATION_FAILED"),
        ("query q($a: Int!) { add(a: $a) }", "BAD_USER_INPUT"),
        ("subscription q($a: Int!) { count(to: $a) }", "BAD_USER_INPUT"),
        ("{ " + "a " * 30 + "}", "LIMIT_EXCEEDED"),
        ("subscription { gone }", "NOT_FOUND"),
    ],
)
async def test_a_refused_operation_gets_an_error_frame_and_the_socket_lives(
    socket: Socket, query: str, code: str
) -> None:
    await socket.subscribe(query)
    (refusal,) = await socket.until_last()
    assert refusal["type"] == "error"
    assert refusal["payload"][0]["extensions"]["code"] == code
    await socket.subscribe("{ add(a: 1) }")
    assert (await socket.until_last())[0]["type"] == "next"


async def test_a_subscription_that_breaks_is_masked_and_logged(socket: Socket) -> None:
    await socket.subscribe("subscription { broken }")
    with capture_logs() as logs:
        first, refusal = await socket.until_last()
    assert first["payload"]["data"] == {"broken": 1}
    assert refusal["payload"][0]["extensions"]["errorId"] == logs[0]["error_id"]
    assert "hunter2" not in json.dumps(refusal)


async def test_a_value_that_json_cannot_hold_is_masked(socket: Socket) -> None:
    await socket.subscribe("{ unwritable }")
    (refusal,) = await socket.until_last()
    assert refusal["payload"][0]["extensions"]["code"] == "INTERNAL"


async def test_the_deadline_holds_for_a_query_and_not_for_a_stream() -> None:
    async with socket_of(endpoint(Desk(), TransportSettings(deadline_seconds=0.2))) as socket:
        await socket.init()
        await socket.subscribe("subscription { count(to: 8, every: 0.05) }", "stream")
        await socket.subscribe("{ slow }", "query")
        assert (await socket.until_last("query"))[0]["payload"][0]["extensions"][
            "code"
        ] == "DEADLINE_EXCEEDED"
        assert (await socket.until_last("stream"))[-1]["type"] == "complete"


async def test_the_viewer_may_not_introspect_here_either(service: str) -> None:
    async with open_socket(service) as socket:
        await socket.init(VIEWER)
        await socket.subscribe("{ __schema { queryType { name } } }")
        assert (await socket.until_last())[0]["payload"][0]["extensions"]["code"] == "INTROSPECTION_DISABLED"


async def test_pings_are_answered_before_and_after_the_acknowledgement(service: str) -> None:
    async with open_socket(service) as socket:
        for payload in ({}, {"payload": None}, {"payload": {"a": 1}}):
            await socket.send({"type": "ping", **payload})
            assert await socket.receive() == {"type": "pong"}
        await socket.init()
        await socket.send({"type": "pong", "payload": {}})
        await socket.send({"type": "ping"})
        assert await socket.receive() == {"type": "pong"}


# Malformed frames

SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }"}}
MALFORMED: dict[str, object] = {
    "array": [],
    "number": "1",
    "null": "null",
    "string": '"x"',
    "true": "true",
    "empty": "",
    "not JSON": "{",
    "two values": "{}{}",
    "NaN": '{"type": NaN}',
    "lone surrogate": '{"type": "\\ud800"}',
    "deep": "[" * 10_000,
    "5,000 digits": '{"type": "ping", "payload": {"a": ' + "9" * 5_000 + "}}",
    "no type": {},
    "type null": {"type": None},
    "type object": {"type": {"a": 1}},
    "type array": {"type": ["ping"]},
    "unknown type": {"type": "start"},
    "long unknown type": {"type": "x\n\x00" * 5_000},
    "server's type": {"type": "next", "id": "1", "payload": {}},
    "ping payload": {"type": "ping", "payload": 1},
    "ping payload array": {"type": "ping", "payload": []},
    "pong payload": {"type": "pong", "payload": "x"},
    "no id": {**SUBSCRIBE, "id": None},
    "dict id": {**SUBSCRIBE, "id": {"a": 1}},
    "number id": {**SUBSCRIBE, "id": 1},
    "empty id": {**SUBSCRIBE, "id": ""},
    "long id": {**SUBSCRIBE, "id": "x" * 129},
    "no payload": {"type": "subscribe", "id": "1"},
    "payload null": {**SUBSCRIBE, "payload": None},
    "payload array": {**SUBSCRIBE, "payload": [{"query": "{a}"}]},
    "payload string": {**SUBSCRIBE, "payload": "{a}"},
    "no query": {**SUBSCRIBE, "payload": {}},
    "query number": {**SUBSCRIBE, "payload": {"query": 1}},
    "query empty": {**SUBSCRIBE, "payload": {"query": ""}},
    "variables array": {**SUBSCRIBE, "payload": {"query": "{a}", "variables": []}},
    "operationName object": {**SUBSCRIBE, "payload": {"query": "{a}", "operationName": {}}},
    "extensions string": {**SUBSCRIBE, "payload": {"query": "{a}", "extensions": "x"}},
    "complete without id": {"type": "complete"},
    "complete dict id": {"type": "complete", "id": {}},
    "binary": b'{"type": "ping"}',
    "binary nonsense": b"\x00\xff",
}


@pytest.mark.parametrize("initialised", [True, False])
async def test_malformed_frames_close_with_4400_and_a_sentence(service: str, initialised: bool) -> None:
    assert len(MALFORMED) >= 13
    for name, frame in MALFORMED.items():
        async with open_socket(service) as socket:
            if initialised:
                await socket.init()
            await socket.send(frame)
            code, reason = await socket.closed()
        early = not initialised and isinstance(frame, dict) and frame.get("type") == "subscribe"
        assert (name, code) == (name, 4401 if early else 4400)
        assert len(reason) > 10
        assert "has no len" not in reason


@pytest.mark.parametrize("payload", [1, [], "x", True, {"authorization": 1}, {"authorization": [ADMIN]}])
async def test_malformed_init_payloads_close_with_4400(service: str, payload: object) -> None:
    async with open_socket(service) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert (await socket.closed())[0] == 4400


async def test_text_that_is_not_utf8_is_refused_by_the_protocol_below(service: str) -> None:
    async with open_socket(service) as socket:
        await socket.connection.send(b"\xff\xfe", text=True)
        assert (await socket.closed())[0] == 1007


async def test_a_frame_too_large_closes_with_1009(socket: Socket) -> None:
    await socket.send({"type": "ping", "payload": {"a": "x" * 65_536}})
    assert (await socket.closed())[0] == 1009


async def test_a_stranger_closing_at_any_moment_leaves_nothing_behind() -> None:
    served = endpoint(Desk(patience=0.05))
    async with serving(served) as address:
        for frames in ([], [INIT], [INIT, SUBSCRIBE]):
            async with open_socket(address) as socket:
                for frame in frames:
                    await socket.send(frame)
                socket.connection.transport.abort()
        for _ in range(100):
            if served.sockets == 0:
                break
            await asyncio.sleep(0.02)
        assert served.sockets == 0
        async with open_socket(address) as socket:
            await socket.init()


# Protocol order and limits


async def test_operations_before_the_acknowledgement_close_with_4401(service: str) -> None:
    async with open_socket(service) as socket:
        await socket.send(SUBSCRIBE)
        assert (await socket.closed())[0] == 4401


async def test_a_second_init_closes_with_4429(service: str) -> None:
    async with open_socket(service) as socket:
        await socket.init()
        await socket.send(INIT)
        assert (await socket.closed())[0] == 4429


async def test_an_id_in_use_closes_with_4409(socket: Socket) -> None:
    await socket.subscribe("{ slow }")
    await socket.subscribe("{ slow }")
    assert await socket.closed() == (4409, "Subscriber for 1 already exists")


@pytest.mark.parametrize("patience", [0.0, 5.0])
async def test_no_accepted_init_in_time_closes_with_4408(patience: float) -> None:
    async with socket_of(endpoint(Desk(patience=patience), settings(init_seconds=0.1))) as socket:
        if patience:
            await socket.send(INIT)
        assert (await socket.closed())[0] == 4408


async def test_one_operation_too_many_gets_an_error_frame_and_a_freed_slot_serves_again(
    socket: Socket,
) -> None:
    for i in range(20):
        await socket.subscribe("{ slow }", str(i))
    await socket.subscribe("{ add(a: 1) }", "20")
    (refusal,) = await socket.until_last("20")
    assert refusal["payload"][0]["extensions"] == {
        "code": "LIMIT_EXCEEDED", "limit": "operations", "allowed": 20, "seen": 21,
    }  # fmt: skip
    await socket.send({"type": "complete", "id": "0"})
    await socket.subscribe("{ add(a: 1) }", "20")
    assert (await socket.until_last("20"))[0]["payload"]["data"] == {"add": 2}


async def test_one_socket_of_a_caller_too_many_closes_with_4429_and_others_are_served() -> None:
    served = endpoint(Desk(), settings(sockets_per_actor=2))
    async with serving(served) as address:
        async with open_socket(address) as one, open_socket(address) as two, open_socket(address) as three:
            await one.init()
            await two.init()
            await three.send(INIT)
            assert (await three.closed())[0] == 4429
            async with open_socket(address) as other:
                await other.init(VIEWER)
        async with open_socket(address) as again:
            await again.init()


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",), ("graphql-ws", "soap")])
async def test_only_the_one_subprotocol_is_spoken(service: str, subprotocols: tuple[str, ...]) -> None:
    async with open_socket(service, subprotocols=subprotocols) as socket:
        assert socket.connection.subprotocol is None
        assert (await socket.closed())[0] == 4406


async def test_the_subprotocol_is_chosen_among_others(service: str) -> None:
    async with open_socket(service, subprotocols=("graphql-ws", "graphql-transport-ws")) as socket:
        assert socket.connection.subprotocol == "graphql-transport-ws"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://", "x", "https://["]
)
async def test_foreign_origins_are_403(service: str, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with open_socket(service, origin=origin):
            pass
    assert caught.value.response.status_code == 403


async def test_the_own_origin_and_listed_ones_are_accepted() -> None:
    served = endpoint(Desk(), TransportSettings(allowed_origins=frozenset({"https://Friend.example:443/"})))
    async with serving(served) as address:
        for origin in (f"http://{address}", f"https://{address}", "https://friend.example"):
            async with open_socket(address, origin=origin) as socket:
                await socket.init()
                assert socket.connection.response is not None
                assert socket.connection.response.status_code == 101


# Tokens


@pytest.mark.parametrize(
    "payload", [None, {}, {"authorization": None}, {"authorization": "wrong"}, {"authorization": "Bearer "}]
)
async def test_no_token_or_a_bad_one_closes_with_4401(service: str, payload: object) -> None:
    async with open_socket(service) as socket:
        await socket.send({"type": "connection_init", "payload": payload})
        assert await socket.closed() == (4401, "give a token that is good")


async def test_a_reception_without_its_store_closes_with_1013() -> None:
    async with socket_of(endpoint(Desk(down=True))) as socket:
        await socket.send(INIT)
        assert (await socket.closed())[0] == 1013


async def test_a_socket_closes_when_its_token_expires() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=0.4)
    desk = Desk({ADMIN: ToyContext("admin", token=ADMIN, expires_at=soon)})
    async with socket_of(endpoint(desk)) as socket:
        await socket.init()
        await socket.subscribe("subscription { count(to: 1000, every: 0.05) }")
        code, reason = await socket.closed()
    assert code == 4401
    assert "ended" in reason
    assert timedelta(0) <= datetime.now(UTC) - soon < timedelta(seconds=1)


async def test_an_expired_token_gets_no_event_even_if_the_clock_is_the_only_witness() -> None:
    desk = Desk(
        {ADMIN: ToyContext("admin", token=ADMIN, expires_at=datetime.now(UTC) - timedelta(seconds=1))}
    )
    async with socket_of(endpoint(desk, settings(init_seconds=60, idle_recheck_seconds=60))) as socket:
        await socket.init()
        await socket.subscribe("{ add(a: 1) }")
        assert (await socket.closed())[0] == 4401


async def test_no_event_is_sent_once_a_token_is_revoked() -> None:
    desk = Desk()
    async with socket_of(endpoint(desk, settings(recheck_seconds=0.0))) as socket:
        await socket.init()
        await socket.subscribe("subscription { count(to: 1000, every: 0.02) }")
        await socket.receive()
        desk.revoked.add(ADMIN)
        assert (await socket.closed())[0] == 4401


async def test_an_idle_socket_of_a_revoked_token_is_found() -> None:
    desk = Desk()
    async with socket_of(endpoint(desk, settings(idle_recheck_seconds=0.1, init_seconds=0.2))) as socket:
        await socket.init()
        desk.revoked.add(ADMIN)
        assert (await socket.closed())[0] == 4401


async def test_a_token_that_cannot_be_checked_closes_with_1013() -> None:
    desk = Desk()
    async with socket_of(endpoint(desk, settings(recheck_seconds=0.0))) as socket:
        await socket.init()
        desk.down = True
        await socket.subscribe("{ add(a: 1) }")
        assert (await socket.closed())[0] == 1013


# The end


async def test_stop_closes_all_with_1001_and_takes_no_more() -> None:
    desk = Desk()
    served = endpoint(desk)
    async with serving(served) as address, open_socket(address) as one, open_socket(address) as two:
        await one.init()
        await one.subscribe("subscription { count(to: 1000, every: 0.01) }")
        await one.receive()
        await served.stop()
        assert served.sockets == 0
        assert await one.closed() == (1001, "the service is stopping")
        assert (await two.closed())[0] == 1001
        assert desk.cancelled == ["count"]
        with pytest.raises(InvalidStatus):
            async with open_socket(address):
                pass


async def test_the_same_limits_hold_as_over_http() -> None:
    strict = TransportSettings(limits=Limits(cost=5))
    async with socket_of(endpoint(Desk(), strict)) as socket:
        await socket.init()
        await socket.subscribe("{ items(first: 6) { totalCount } }")
        (refusal,) = await socket.until_last()
        assert refusal["payload"][0]["extensions"] == {
            "code": "LIMIT_EXCEEDED", "limit": "cost", "allowed": 5, "seen": 6,
        }  # fmt: skip
