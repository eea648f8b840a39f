"""The GraphQL client that every command is: one service, one token, typed refusals.

Promises: an answer is returned only if it is whole; the first error of an answer is raised as `Refused` with the
service's code and facts. Reads are not repeated here and writes neither: the person at the terminal decides.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from cmdb.errors import BadRequest, CmdbError, StoreUnavailable

DEFAULT_URL = "http://127.0.0.1:8000"
_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 120.0
_INGEST_SECONDS = 900.0
_TOKEN_LENGTH = 8_192
_EVENT_BYTES = 64 * 2**20
_PROTOCOL = Subprotocol("graphql-transport-ws")
_REFUSED = (4401, 4403)
"""Codes with which the service closes a socket whose token is not good (any more)."""


class Refused(CmdbError):
    """The service answered with an error; `code` is its `extensions.code`, the facts are the rest of `extensions`."""

    def __init__(self, code: str, message: str, facts: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # the class's is a constant; here each answer has its own
        self._facts = dict(facts)

    def facts(self) -> Mapping[str, Any]:
        """What the service told beside code and message."""
        return self._facts


@dataclass(frozen=True, slots=True)
class Access:
    """Where the service is, and the token to show it; `token` is None where none was found."""

    url: str
    token: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, *, data_dir: Path) -> Access:
        """CMDB_URL and CMDB_TOKEN; without the latter the admin token that `cmdb serve` left in the data directory.

        The file is used for a service on this machine only: a token is not shown to another host unasked.
        """
        url = environment.get("CMDB_URL", "").strip().rstrip("/") or DEFAULT_URL
        try:
            host = httpx.URL(url).host
        except httpx.InvalidURL as error:
            raise BadRequest(f"CMDB_URL is {url!r}: {error}; write http://host:port") from None
        if not url.startswith(("http://", "https://")) or not host:
            raise BadRequest(f"CMDB_URL is {url!r}; write http://host:port")
        token = environment.get("CMDB_TOKEN", "").strip() or None
        if token is None and host in ("127.0.0.1", "localhost", "::1"):
            token = _stored_token(data_dir / "admin-token")
        return cls(url, token)


def _stored_token(file: Path) -> str | None:
    try:
        with file.open(encoding="ascii") as stream:
            return stream.read(_TOKEN_LENGTH).strip() or None
    except (OSError, UnicodeDecodeError):
        return None  # the service will say that a token is missing, and how to give one


class Client:
    """A connection to one service; use it in a `with` block."""

    def __init__(self, access: Access, *, transport: httpx.BaseTransport | None = None) -> None:
        headers = {"accept": "application/graphql-response+json, application/json"}
        if access.token:
            headers["authorization"] = f"Bearer {access.token}"
        self.url = access.url
        self._token = access.token
        self._http = httpx.Client(
            base_url=access.url,
            headers=headers,
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The `data` of an answer, with the answer's revision added as `_revision`.

        Raises `Refused`, or `StoreUnavailable` where the service cannot be reached.
        """
        body = self._send(
            self._http.build_request(
                "POST", "/graphql", json={"query": document, "variables": dict(variables or {})}
            )
        )
        _raise_errors(body)
        data = body.get("data")
        if not isinstance(data, dict):
            raise Refused("INTERNAL", f"{self.url}/graphql answered without data; is this a CMDB?", {})
        return {**data, "_revision": body.get("extensions", {}).get("revision")}

    def ingest(
        self,
        format_name: str,
        content: bytes | Iterator[bytes],
        parameters: Mapping[str, str],
        content_type: str,
    ) -> dict[str, Any]:
        """The answer of `/ingest/{format}` to one file's bytes. Raises like `query`."""
        request = self._http.build_request(
            "POST",
            f"/ingest/{format_name}",
            content=content,
            params=dict(parameters),
            headers={"content-type": content_type},
            timeout=httpx.Timeout(_INGEST_SECONDS, connect=_CONNECT_SECONDS),
        )
        body = self._send(request)
        _raise_errors(body)
        return body

    def stream(self, path: str, question: Mapping[str, Any], accept: str) -> Iterator[bytes]:
        """The body of the answer to a question, in pieces as they come. Raises like `query`."""
        request = self._http.build_request("POST", path, json=dict(question), headers={"accept": accept})
        try:
            response = self._http.send(request, stream=True)
            try:
                if response.status_code != 200:
                    response.read()
                    _raise_errors(response.json())
                    raise Refused("INTERNAL", f"{self.url}{path} answered status {response.status_code}", {})
                yield from response.iter_bytes()
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"{self.url}{path} broke off: {error}; ask again") from None
        except ValueError:
            raise Refused(
                "INTERNAL", f"{self.url}{path} answered without JSON; is this a CMDB?", {}
            ) from None

    def subscribe(self, document: str, variables: Mapping[str, Any]) -> Generator[dict[str, Any]]:
        """The `data` of each event of a subscription, for as long as it is asked for more. Raises like `query`."""
        address = "ws" + self.url.removeprefix("http") + "/graphql"
        try:
            with connect(
                address, subprotocols=[_PROTOCOL], open_timeout=_CONNECT_SECONDS, max_size=_EVENT_BYTES
            ) as socket:
                given = {"authorization": self._token} if self._token else {}
                socket.send(json.dumps({"type": "connection_init", "payload": given}))
                for text in socket:
                    frame = json.loads(text)
                    payload = frame.get("payload")
                    if frame["type"] == "connection_ack":
                        asked = {"query": document, "variables": dict(variables)}
                        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": asked}))
                    elif frame["type"] == "ping":
                        socket.send(json.dumps({"type": "pong"}))
                    elif frame["type"] == "next":
                        _raise_errors(payload)
                        yield payload["data"]
                    elif frame["type"] == "error":
                        _raise_errors({"errors": payload})
                    elif frame["type"] == "complete":
                        return
                raise StoreUnavailable(f"{self.url} has stopped; ask again when it is back")
        except ConnectionClosed as error:
            closing = error.rcvd
            if closing is not None and closing.code in _REFUSED:
                raise Refused("UNAUTHENTICATED", _with_way_out(closing.reason), {}) from None
            why = closing.reason if closing is not None else str(error)
            raise StoreUnavailable(f"{self.url} closed the subscription ({why}); ask again") from None
        except (OSError, TimeoutError, WebSocketException) as error:
            raise StoreUnavailable(
                f"no subscriptions at {self.url} ({error}); start a service with `cmdb serve`, or set CMDB_URL"
            ) from None

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path of the service. Raises like `query`."""
        body = self._send(self._http.build_request("GET", path))
        _raise_errors(body)
        return body

    def _send(self, request: httpx.Request) -> dict[str, Any]:
        path = request.url.path
        try:
            response = self._http.send(request)
        except httpx.TimeoutException:
            raise StoreUnavailable(f"{self.url} did not answer in time; is it busy or stopped?") from None
        except httpx.HTTPError as error:
            raise StoreUnavailable(
                f"no service at {self.url} ({error}); start one with `cmdb serve`, or set CMDB_URL"
            ) from None
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Refused(
                "UNAVAILABLE" if response.status_code in (502, 503, 504) else "INTERNAL",
                f"{self.url}{path} answered status {response.status_code} without a JSON object; is this a CMDB?",
                {"status": response.status_code},
            )
        return body


def _raise_errors(body: Mapping[str, Any]) -> None:
    errors = body.get("errors")
    if not isinstance(errors, list) or not errors:
        return
    first: dict[str, Any] = errors[0] if isinstance(errors[0], dict) else {"message": str(errors[0])}
    facts: dict[str, Any] = dict(first.get("extensions") or {})
    code = str(facts.pop("code", "INTERNAL"))
    message = str(first.get("message", "no message"))
    raise Refused(code, _with_way_out(message) if code == "UNAUTHENTICATED" else message, facts)


def _with_way_out(message: str) -> str:
    return f"{message}; set CMDB_TOKEN (the first start of the service wrote one to DATA/admin-token)"
