"""The service as users run it: a process of its own, started for a benchmark and spoken to over HTTP.

The client is `http.client`, one connection a thread: it costs a tenth of a millisecond a request, so that what is
measured is the service.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import orjson

from cmdb.store.local_server import LocalServer

START_SECONDS = 120.0


class ServiceFailed(RuntimeError):
    """The service did not start, or answered with an error; a benchmark of it has no figure."""


@dataclass(frozen=True, slots=True)
class RunningService:
    """Where it answers, the admin's token, and its process."""

    url: str
    token: str
    pid: int
    data: Path

    @property
    def peak_memory(self) -> float:
        """The most memory the process ever had resident, in megabytes (10^6 bytes). Linux only."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024 / 1e6

    def client(self) -> Client:
        """A connection of one's own."""
        return Client(self.url, self.token)


class Client:
    """One connection, kept open; not for several threads."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=900)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The data that a GraphQL document is answered with.

        Raises:
            ServiceFailed: the answer holds an error.
        """
        answer = self.post("/graphql", orjson.dumps({"query": document, "variables": variables}))
        data: dict[str, Any] = answer["data"]
        return data

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """The JSON that a POST is answered with.

        Raises:
            ServiceFailed: there is no JSON, or an error in it.
        """
        self._connection.request("POST", path, body, self._headers)
        response = self._connection.getresponse()
        text = response.read()
        if not response.headers.get("content-type", "").startswith(
            ("application/json", "application/graphql")
        ):
            raise ServiceFailed(f"POST {path}: {response.status}, {text[:200]!r}")
        answer = dict(orjson.loads(text))
        if answer.get("errors"):
            raise ServiceFailed(f"POST {path}: {answer['errors'][0]}")
        return answer

    def download(self, path: str, body: bytes, accept: str) -> bytes:
        """All that a POST is answered with.

        Raises:
            ServiceFailed: it is refused.
        """
        self._connection.request("POST", path, body, {**self._headers, "accept": accept})
        response = self._connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise ServiceFailed(f"POST {path}: {response.status}, {text[:200]!r}")
        return text

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


PLAIN = ("-m", "cmdb.cli", "serve")
WATCHED = ("-m", "benchmarks.watched_service")
"""The service with a watch on its event loop; `RunningService.data` has what it found."""


@contextmanager
def running_service(
    neo4j: LocalServer | None = None, *, data: Path | None = None, module: Sequence[str] = PLAIN
) -> Iterator[RunningService]:
    """The service, on that Neo4j (which may hold an estate already) or on one that it starts; stopped afterwards.

    `data` is its directory, which stays; without it one of its own is made.
    """
    with ExitStack() as stack:
        folder = data or Path(stack.enter_context(TemporaryDirectory(prefix="cmdb-bench-")))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CMDB_")}
        if neo4j is not None:
            given = {"URI": neo4j.uri, "USER": neo4j.user, "PASSWORD": neo4j.password}
            environment |= {f"CMDB_NEO4J_{name}": value for name, value in given.items()}
        command = [sys.executable, *module, "--port", "0", "--data", str(folder)]
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            url = _address(process)
            threading.Thread(target=_drain, args=(process,), daemon=True).start()
            yield RunningService(url, (folder / "admin-token").read_text().strip(), process.pid, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _address(process: subprocess.Popen[str]) -> str:
    """The address that the service logs once it answers."""
    if process.stdout is None:
        raise ServiceFailed("the service's log is not readable")
    seen: list[str] = []
    overdue = threading.Timer(START_SECONDS, process.kill)
    overdue.start()
    try:
        for line in process.stdout:
            seen.append(line)
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("event") == "serving":
                return str(record["url"])
    finally:
        overdue.cancel()
    raise ServiceFailed("the service did not start: " + "".join(seen[-12:]))


def _drain(process: subprocess.Popen[str]) -> None:
    """Read the log on, so that the service never waits for a full pipe."""
    for _ in process.stdout or ():
        pass
