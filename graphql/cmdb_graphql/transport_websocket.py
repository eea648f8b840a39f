"""GraphQL over WebSocket: the subprotocol `graphql-transport-ws`, and no other.

Promise: every frame is checked before it is used, and a wrong one closes the socket with a code and a sentence; a
socket sends nothing for a caller whose token has ended (at once when it expires, within `recheck_seconds` when it is
revoked); each operation and each event runs under the same limits, deadline and error form as over HTTP, with a
context of its own.

| code | why |
|---|---|
| 1001 | the service is stopping |
| 1009 | a frame is too large |
| 1011 | our fault; the log has it |
| 1013 | the token cannot be checked at the moment; try again |
| 4400 | a frame is malformed; the reason says how |
| 4401 | an operation before the acknowledgement; no token or a bad one; the token has ended |
| 4403 | the caller lacks the right to connect |
| 4406 | the client does not offer the subprotocol |
| 4408 | no `connection_init` in time |
| 4409 | an operation of that id is running |
| 4429 | a second `connection_init`, or too many sockets of one caller |

A handshake with a foreign `Origin` (or `null`) is answered with HTTP 403. The token comes in the payload of
`connection_init` as `authorization`, with or without `Bearer`.
Protocol: github.com/enisdenjo/graphql-ws, PROTOCOL.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final, Generic, TypeAlias, TypeVar

import orjson
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send
from strawberry.http.websocket_origin import is_same_origin, normalize_allowed_origins, normalize_origin

from cmdb_graphql.errors import Code, ErrorRecord, Refusal, refusal_of
from cmdb_graphql.json_body import decode_json
from cmdb_graphql.limits import LimitExceeded
from cmdb_graphql.operations import OperationContext, Operations, Request
from cmdb_graphql.transport_settings import SocketLimits, TransportSettings

ContextT = TypeVar("ContextT", bound=OperationContext)
Authenticator: TypeAlias = Callable[[str | None], Awaitable[ContextT]]
"""From the token of `connection_init` to a context. Raises `cmdb.errors.Unauthenticated`."""
TokenCheck: TypeAlias = Callable[[ContextT], Awaitable[bool]]
"""Whether the token behind a context is still good."""

SUBPROTOCOL: Final = "graphql-transport-ws"
_MAX_REASON_BYTES: Final = 123  # RFC 6455, section 5.5
_MAX_ID: Final = 128
_REFUSED_AT_INIT: Final[Mapping[str, int]] = {
    Code.UNAUTHENTICATED: 4401,
    Code.FORBIDDEN: 4403,
    Code.UNAVAILABLE: 1013,
    Code.DEADLINE_EXCEEDED: 1013,
}


class _Close(Exception):
    """The socket has to be closed, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WebSocketTransport(Generic[ContextT]):
    """The WebSocket half of the endpoint: an ASGI application for one URL, and the census of its sockets."""

    def __init__(
        self,
        operations: Operations,
        settings: TransportSettings,
        authenticate: Authenticator[ContextT],
        still_valid: TokenCheck[ContextT],
    ) -> None:
        self.operations = operations
        self.limits = settings.socket
        self.authenticate = authenticate
        self.still_valid = still_valid
        self.sockets_of: Counter[str] = Counter()
        self._allowed_origins = normalize_allowed_origins(settings.allowed_origins)
        self._sockets: dict[_Socket[ContextT], asyncio.Task[Any]] = {}
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until either side closes it."""
        await receive()  # websocket.connect
        if self._stopping or not self._origin_allowed(Headers(scope=scope)):
            await send({"type": "websocket.close"})  # before the accept: HTTP 403
            return
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            await send({"type": "websocket.accept"})
            await send(
                {"type": "websocket.close", "code": 4406, "reason": f"only {SUBPROTOCOL} is spoken here"}
            )
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        socket = _Socket(self, receive, send)
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._sockets[socket] = task
        try:
            await socket.serve()
        finally:
            del self._sockets[socket]

    async def stop(self, *, seconds: float = 5.0) -> None:
        """Close every socket with 1001, take no more, and wait for their ends, at most `seconds`."""
        self._stopping = True
        for socket in self._sockets:
            socket.end(1001, "the service is stopping")
        if self._sockets:
            await asyncio.wait(set(self._sockets.values()), timeout=seconds)

    def __len__(self) -> int:
        return len(self._sockets)

    def _origin_allowed(self, headers: Headers) -> bool:
        """Browsers always send `Origin` and let any page open a socket; other clients send none."""
        origins = headers.getlist("origin")
        if not origins:
            return True
        origin = normalize_origin(origins[0]) if len(origins) == 1 else None
        if origin is None:
            return False
        return origin in self._allowed_origins or is_same_origin(origin, headers.get("host"))


class _Socket(Generic[ContextT]):
    """One accepted socket."""

    def __init__(self, transport: WebSocketTransport[ContextT], receive: Receive, send: Send) -> None:
        self._transport = transport
        self._limits: SocketLimits = transport.limits
        self._receive = receive
        self._send_raw = send
        self._sending = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[_Close | None] = self._loop.create_future()
        self._init_received = False
        self._context: ContextT | None = None
        self._checked_at = 0.0
        self._running: dict[str, asyncio.Task[None]] = {}
        self._handlers: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "connection_init": self._on_connection_init,
            "ping": self._on_ping,
            "pong": self._on_pong,
            "subscribe": self._on_subscribe,
            "complete": self._on_complete,
        }

    def end(self, code: int, reason: str) -> None:
        """Have the socket closed, unless it is already ending."""
        if not self._ended.done():
            self._ended.set_result(_Close(code, reason))

    async def serve(self) -> None:
        """Read frames until the end, whoever brings it about; leaves no task behind."""
        timer = self._loop.call_later(self._limits.init_seconds, self._init_is_late)
        background = [asyncio.ensure_future(self._read()), asyncio.ensure_future(self._watch_token())]
        try:
            close = await self._ended
            if close is not None:
                await self._send_close(close)
        finally:
            timer.cancel()
            if self._context is not None:
                self._transport.sockets_of[self._context.actor] -= 1
            tasks = [*background, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _init_is_late(self) -> None:
        if self._context is None:
            self.end(
                4408, f"no connection_init that could be accepted within {self._limits.init_seconds:g} s"
            )

    # Reading

    async def _read(self) -> None:
        try:
            while True:
                message = await self._receive()
                if message["type"] == "websocket.disconnect":
                    if not self._ended.done():
                        self._ended.set_result(None)
                    return
                await self._on_frame(message.get("text"))
        except _Close as close:
            self.end(close.code, close.reason)
        except Exception as error:
            refusal_of(error, doing="reading a WebSocket")
            self.end(1011, "internal error")

    async def _on_frame(self, text: str | None) -> None:
        if text is None:
            raise _Close(4400, "binary frames are not supported; send JSON as text")
        raw = text.encode("utf-8", "surrogatepass")
        if len(raw) > self._limits.message_bytes:
            raise _Close(1009, f"a frame has more than {self._limits.message_bytes} bytes")
        try:
            frame = decode_json(raw, what="the frame")
        except Refusal as refusal:
            raise _Close(4400, refusal.message) from None
        if not isinstance(frame, dict):
            raise _Close(4400, "a frame must be a JSON object")
        kind = frame.get("type")
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            raise _Close(4400, f"unknown frame type {kind!r:.60}; known are {', '.join(self._handlers)}")
        await handler(frame)

    async def _on_connection_init(self, frame: dict[str, Any]) -> None:
        payload = _object_payload(frame)
        if self._init_received:
            raise _Close(4429, "connection_init was sent twice")
        self._init_received = True
        token = payload.get("authorization")
        if token is not None and not isinstance(token, str):
            raise _Close(4400, "`authorization` in the payload must be a string")
        if token is not None and token[:7].lower() == "bearer ":
            token = token[7:].strip()
        try:
            context = await self._transport.authenticate(token)
        except Exception as error:
            refusal = refusal_of(error, doing="authenticating a WebSocket")
            raise _Close(_REFUSED_AT_INIT.get(refusal.code, 1011), refusal.message) from None
        census, allowed = self._transport.sockets_of, self._limits.sockets_per_actor
        if census[context.actor] >= allowed:
            raise _Close(4429, f"{allowed} sockets of one caller are allowed; close another first")
        census[context.actor] += 1
        self._context = context
        self._checked_at = self._loop.time()
        await self._send({"type": "connection_ack"})

    async def _on_ping(self, frame: dict[str, Any]) -> None:
        _object_payload(frame)
        await self._send({"type": "pong"})

    async def _on_pong(self, frame: dict[str, Any]) -> None:
        _object_payload(frame)

    async def _on_subscribe(self, frame: dict[str, Any]) -> None:
        if self._context is None:
            raise _Close(4401, "Unauthorized: send connection_init and wait for connection_ack")
        operation_id = _operation_id(frame)
        try:
            request = Request.of(frame.get("payload"))
        except Refusal as refusal:
            raise _Close(4400, f"subscribe payload: {refusal.message}") from None
        if operation_id in self._running:
            raise _Close(4409, f"Subscriber for {operation_id} already exists")
        allowed = self._limits.operations
        if len(self._running) >= allowed:
            too_many = LimitExceeded("operations", allowed, len(self._running) + 1, where=" on one socket")
            await self._send_errors(operation_id, too_many.errors)
            return
        task = asyncio.ensure_future(self._operate(operation_id, request, self._context))
        self._running[operation_id] = task

    async def _on_complete(self, frame: dict[str, Any]) -> None:
        task = self._running.pop(_operation_id(frame), None)
        if task is not None:
            task.cancel()

    # Operating

    async def _operate(self, operation_id: str, request: Request, caller: ContextT) -> None:
        """Run one operation to its last frame."""
        operations = self._transport.operations
        last: dict[str, Any] = {"id": operation_id, "type": "complete"}
        try:
            context = caller.for_operation()
            operation = operations.prepare(request, context)
            if operation.kind is OperationType.SUBSCRIPTION:
                async with aclosing(operations.subscribe(operation, context)) as answers:
                    async for answer in answers:
                        await self._deliver(operation_id, answer.body, caller)
            else:
                answer = await operations.run(operation, context)
                if answer.refusal is not None:
                    raise answer.refusal
                await self._deliver(operation_id, answer.body, caller)
        except _Close as close:
            self.end(close.code, close.reason)
            return
        except Exception as error:
            refusal = refusal_of(error, doing="serving GraphQL over WebSocket")
            last = {"id": operation_id, "type": "error", "payload": refusal.errors}
        finally:
            if self._running.get(operation_id) is asyncio.current_task():
                del self._running[
                    operation_id
                ]  # before the last frame: the client may use the id again after it
        await self._send(last)

    async def _deliver(self, operation_id: str, body: dict[str, Any], caller: ContextT) -> None:
        if self._loop.time() - self._checked_at >= self._limits.recheck_seconds or _expired(caller):
            await self._check_token(caller)
        await self._send({"id": operation_id, "type": "next", "payload": body})

    async def _check_token(self, caller: ContextT) -> None:
        """Raises `_Close` if the token is no longer good, or nobody can say so in time."""
        started = self._loop.time()
        try:
            async with asyncio.timeout(self._limits.init_seconds):
                good = not _expired(caller) and await self._transport.still_valid(caller)
        except Exception as error:
            refusal_of(error, doing="checking the token of a WebSocket")
            raise _Close(1013, "the token cannot be checked at the moment; try again") from None
        if not good:
            raise _Close(4401, "the token has ended; connect again with a new one")
        self._checked_at = started

    async def _watch_token(self) -> None:
        """Close the socket when its token expires, or has been revoked while nothing was sent."""
        while True:
            wait = self._limits.idle_recheck_seconds
            caller = self._context
            if caller is not None and caller.expires_at is not None:
                wait = min(wait, max(0.0, (caller.expires_at - datetime.now(UTC)).total_seconds()))
            await asyncio.sleep(min(wait, self._limits.init_seconds) if caller is None else wait)
            if caller is not None:
                try:
                    await self._check_token(caller)
                except _Close as close:
                    self.end(close.code, close.reason)
                    return

    # Sending

    async def _send_errors(self, operation_id: str, errors: list[ErrorRecord]) -> None:
        await self._send({"id": operation_id, "type": "error", "payload": errors})

    async def _send(self, frame: dict[str, Any]) -> None:
        text = orjson.dumps(frame).decode()
        async with self._sending:
            if self._ended.done():
                return
            try:
                await self._send_raw({"type": "websocket.send", "text": text})
            except (OSError, RuntimeError):  # gone, or closed by the server for a fault of the protocol below
                if not self._ended.done():
                    self._ended.set_result(None)

    async def _send_close(self, close: _Close) -> None:
        printable = "".join(c if c.isprintable() else " " for c in close.reason)
        reason = printable.encode("utf-8", "replace")[:_MAX_REASON_BYTES].decode("utf-8", "ignore")
        async with self._sending:
            try:
                await self._send_raw({"type": "websocket.close", "code": close.code, "reason": reason})
            except (OSError, RuntimeError):  # gone already
                return


def _object_payload(frame: dict[str, Any]) -> dict[str, Any]:
    payload = frame.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise _Close(4400, f"the payload of {frame['type']} must be an object")
    return payload or {}


def _operation_id(frame: dict[str, Any]) -> str:
    operation_id = frame.get("id")
    if not isinstance(operation_id, str) or not 0 < len(operation_id) <= _MAX_ID:
        raise _Close(4400, f"the id of {frame['type']} must be a string of 1 to {_MAX_ID} characters")
    return operation_id


def _expired(caller: OperationContext) -> bool:
    return caller.expires_at is not None and caller.expires_at <= datetime.now(UTC)
