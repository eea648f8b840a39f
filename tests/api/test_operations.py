from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from cmdb.errors import Forbidden, StoreUnavailable
from cmdb.settings import Settings
from cmdb.store.store import Store
from cmdb_graphql import ingest as ingest_module
from cmdb_graphql.app import first_token, serving
from cmdb_graphql.ingest import ADMITTED_FACTOR
from cmdb_graphql.observability import configure_logging
from tests.api.conftest import Api
from tests.conftest import Neo4jAddress

REPORT = {"source": "mine", "items": [{"ref": "a", "class": "Server", "attributes": {"name": "web-01"}}]}


async def ingest(
    api: Api, body: bytes, *, path: str = "observation", token: str = "", **headers: str
) -> httpx.Response:
    given = {"authorization": f"Bearer {token or api.admin}", "content-type": "application/json", **headers}
    return await api.http.post(f"/ingest/{path}", content=body, headers=given)


async def test_a_report_is_taken_in_over_http(api: Api) -> None:
    body = json.dumps(REPORT).encode()
    dry = (await ingest(api, body, path="observation?dry_run=true")).json()
    assert (dry["created"], dry["revision"], dry["dry_run"]) == (1, None, True)
    done = await ingest(
        api, gzip.compress(body, mtime=0), path="auto?name=x.json", **{"content-encoding": "gzip"}
    )
    assert done.status_code == 200
    assert {
        key: done.json()[key] for key in ("format", "items", "edges", "created", "refused", "revision")
    } == {
        "format": "observation",
        "items": 1,
        "edges": 0,
        "created": 1,
        "refused": [],
        "revision": 1,
    }


async def test_what_is_refused_of_a_report_is_told_place_by_place(api: Api) -> None:
    broken = {**REPORT, "items": [{"ref": "a", "class": "Spaceship", "attributes": {"name": "x"}}]}
    record = (await ingest(api, json.dumps(broken).encode())).json()
    assert record["revision"] is None
    assert "Spaceship" in record["refused"][0]["why"]
    assert (await ingest(api, b"[1, 2")).json()["refused"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("observation", b"{}", {"authorization": "Bearer nobody"}, 401),
        ("nothing", b"{}", {}, 400),
        ("observation", b"{}", {"content-encoding": "br"}, 415),
        ("observation", b"{}", {"content-encoding": "gzip"}, 400),
        ("observation", gzip.compress(b"{}", mtime=0)[:-3], {"content-encoding": "gzip"}, 400),
        ("observation", gzip.compress(b"0" * 200_000_000, mtime=0), {"content-encoding": "gzip"}, 413),
        ("observation", b"{}", {"content-length": "999999999999"}, 413),
        ("observation?dry_run=perhaps", b"{}", {}, 400),
    ],
)
async def test_requests_that_are_wrong_themselves(
    api: Api, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    response = await ingest(api, body, path=path, **headers)
    assert response.status_code == status, response.text
    assert response.json()["errors"][0]["extensions"]["code"]


async def test_a_stranger_is_refused_before_the_body_is_read(api: Api) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 1_000

    response = await api.http.post("/ingest/observation", content=body())
    assert response.status_code == 401
    assert read <= 1


async def slowly(gate: asyncio.Event) -> AsyncIterator[bytes]:
    yield b" "
    await gate.wait()
    yield json.dumps(REPORT).encode()


async def test_slow_senders_hold_nobody_up_and_too_many_are_told_to_come_again(api: Api) -> None:
    gate = asyncio.Event()
    headers = {"authorization": f"Bearer {api.admin}"}
    allowed = ADMITTED_FACTOR * api.service.services.settings.ingest_at_once

    def slow() -> asyncio.Task[httpx.Response]:
        sending = api.http.post("/ingest/observation", content=slowly(gate), headers=headers)
        return asyncio.create_task(sending)

    slow_ones = [slow() for _ in range(allowed - 1)]
    await asyncio.sleep(0.2)
    assert (await ingest(api, json.dumps(REPORT).encode())).status_code == 200
    slow_ones.append(slow())
    await asyncio.sleep(0.2)
    one_too_many = await ingest(api, json.dumps(REPORT).encode())
    assert (one_too_many.status_code, one_too_many.headers["retry-after"]) == (429, "5")
    gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*slow_ones)} == {200}


@pytest.mark.parametrize("first", [1, 1_000_000])
async def test_a_sender_that_is_too_slow_is_given_up_however_much_it_sent_before(
    api: Api, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    monkeypatch.setattr(ingest_module, "PATIENCE_SECONDS", 0.2)
    headers = {"authorization": f"Bearer {api.admin}"}

    async def stalls() -> AsyncIterator[bytes]:
        yield b" " * first
        await asyncio.Event().wait()

    async with asyncio.timeout(10):
        response = await api.http.post("/ingest/observation", content=stalls(), headers=headers)
    assert response.status_code == 408
    assert response.json()["errors"][0]["extensions"]["code"] == "REQUEST_TIMEOUT"


async def test_an_agent_is_held_to_its_source_over_http_too(api: Api) -> None:
    agent = await api.token("agent", "other")
    assert (await ingest(api, json.dumps(REPORT).encode(), token=agent)).status_code == 403
    viewer = await api.token("viewer")
    assert (await ingest(api, json.dumps(REPORT).encode(), token=viewer)).status_code == 403


async def test_the_form_of_a_report_is_published(api: Api) -> None:
    schema = (await api.http.get("/schemas/observation-v1.json")).json()
    assert schema["$id"] == "/schemas/observation-v1.json"
    assert {"source", "items", "edges"} <= set(schema["$defs"]["Observation"]["properties"])


async def test_health_and_readiness(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await api.http.get("/healthz")).json() == {"healthy": True}
    assert (await api.http.get("/readyz")).json() == {"ready": True, "revision": 0}

    async def gone() -> int:
        raise StoreUnavailable("Neo4j cannot be reached")

    monkeypatch.setattr(api.store, "head", gone)
    response = await api.http.get("/readyz")
    assert (response.status_code, response.json()["ready"]) == (503, False)

    async def frozen() -> int:
        await asyncio.sleep(60)
        return 0

    monkeypatch.setattr(api.store, "head", frozen)
    started = time.monotonic()
    assert (await api.http.get("/readyz")).status_code == 503
    assert time.monotonic() - started < 3


async def test_metrics_count_and_need_a_token(api: Api) -> None:
    await api.data("{ viewer { actor } }")
    await api.code("{ nothing }")
    assert (await api.http.get("/metrics")).status_code == 401
    agent = await api.token("agent")
    assert (await api.http.get("/metrics", headers={"authorization": f"Bearer {agent}"})).status_code == 403
    text = (await api.http.get("/metrics", headers={"authorization": f"Bearer {api.admin}"})).text
    assert 'cmdb_graphql_operation_seconds_count{code="OK",kind="query"} 1.0' in text
    assert 'cmdb_http_request_seconds_count{method="POST",route="/graphql",status="200"}' in text
    assert "cmdb_store_statements_total" in text
    assert api.admin.split("_")[3] not in text


async def test_every_answer_carries_the_security_headers(api: Api) -> None:
    for path in ("/healthz", "/nowhere", "/metrics", "/graphiql"):
        response = await api.http.get(path)
        assert response.headers["x-content-type-options"] == "nosniff", path
        assert "default-src 'self'" in response.headers["content-security-policy"], path


def test_logs_are_json_and_hold_no_token(capfd: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    plain = "cmdb_api_ABCDEFGH_" + "x" * 43 + "_123456"
    try:
        configure_logging(Settings.model_validate({"log_format": "json"}))
        logging.getLogger("somebody.else").warning("sent %s", plain)
    finally:
        logging.getLogger().handlers[:] = before
    line = json.loads(capfd.readouterr().err.strip().splitlines()[-1])
    assert line["event"] == "sent cmdb_api_ABCDEFGH_..."
    assert line["level"] == "warning"


async def test_the_first_start_writes_an_admin_token_that_only_its_owner_reads(
    api: Api, tmp_path: Path
) -> None:
    tokens = api.service.services.tokens
    [root] = await tokens.list()
    await tokens.touch(root.id)
    assert await first_token(tokens, tmp_path) is None
    await api.store.connection.run("MATCH (t:ApiToken) DELETE t")
    file = await first_token(tokens, tmp_path / "new")
    assert file is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    viewer = await api.data("{ viewer { role } }", token=file.read_text().strip())
    assert viewer["viewer"]["role"] == "admin"


@pytest.fixture(name="process")
def served_process(
    clean_neo4j: Neo4jAddress, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A service in a process of its own: (process, address, admin token)."""
    environment = {
        **os.environ,
        "CMDB_NEO4J_URI": clean_neo4j.uri,
        "CMDB_NEO4J_USER": clean_neo4j.user,
        "CMDB_NEO4J_PASSWORD": clean_neo4j.password,
        "CMDB_DATA": str(tmp_path),
        "CMDB_PORT": "0",
        "CMDB_LOG_FORMAT": "json",
    }
    code = "from cmdb.settings import Settings; from cmdb_graphql.app import serve; serve(Settings())"
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    url = ""
    for line in process.stderr:
        if '"serving"' in line:
            url = json.loads(line)["url"]
            break
    assert url, "the service did not start"
    yield process, url, (tmp_path / "admin-token").read_text().strip()
    process.kill()
    process.wait()
    process.stderr.close()


def test_a_stop_finishes_what_runs_and_loses_nothing_that_was_acknowledged(
    process: tuple[subprocess.Popen[str], str, str], clean_neo4j: Neo4jAddress
) -> None:
    running, url, token = process
    mutation = "mutation M($n: String!) { createServer(input: {name: $n}) { revision } }"

    async def writes() -> list[int]:
        acknowledged: list[int] = []
        async with httpx.AsyncClient(
            base_url=url, headers={"authorization": f"Bearer {token}"}, timeout=30
        ) as http:

            async def one(index: int) -> None:
                try:
                    response = await http.post(
                        "/graphql", json={"query": mutation, "variables": {"n": f"s{index}"}}
                    )
                except httpx.HTTPError:
                    return
                data = response.json().get("data")
                if data and data["createServer"]:
                    acknowledged.append(data["createServer"]["revision"])

            tasks = [asyncio.create_task(one(index)) for index in range(40)]
            while not acknowledged:  # noqa: ASYNC110 - the first of forty answers
                await asyncio.sleep(0.01)
            running.send_signal(signal.SIGTERM)
            await asyncio.gather(*tasks)
        return acknowledged

    acknowledged = asyncio.run(writes())
    assert running.wait(30) == 0
    assert acknowledged
    assert len(set(acknowledged)) == len(acknowledged)

    async def kept() -> int:
        store = await Store.open(clean_neo4j.uri, clean_neo4j.user, clean_neo4j.password)
        try:
            assert (await store.history.verify()).ok
            return await store.head()
        finally:
            await store.close()

    assert asyncio.run(kept()) >= max(acknowledged)


def test_a_stop_says_good_bye_to_open_sockets(process: tuple[subprocess.Popen[str], str, str]) -> None:
    running, url, token = process

    async def good_bye() -> tuple[int | None, str | None]:
        address = url.replace("http", "ws") + "/graphql"
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as client:
            await client.send(
                json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
            )
            assert json.loads(await client.recv()) == {"type": "connection_ack"}
            running.send_signal(signal.SIGTERM)
            await client.wait_closed()
            return client.close_code, client.close_reason

    assert asyncio.run(good_bye()) == (1001, "the service is stopping")
    assert running.wait(30) == 0


def test_a_port_in_use_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings.model_validate({"port": port, "data": tmp_path / "data"})
        with pytest.raises(Forbidden, match=f"cannot listen on 127.0.0.1:{port}.*choose another port"):
            asyncio.run(serving(settings))
    assert not (tmp_path / "data" / "neo4j").exists()
