"""The service under test: a real store, the real application, and a client per role."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn

from cmdb.cli import main
from cmdb.model.catalogue import builtin_catalogue
from cmdb.settings import Settings
from cmdb.store.history import HEAD
from cmdb.store.store import Store
from cmdb.store.tokens import Role
from cmdb_graphql.app import Service
from cmdb_graphql.context import Services
from cmdb_graphql.schema import BuiltSchema


@dataclass
class Api:
    """A service, and what a test says to it. Calls go as the admin unless another token is given."""

    service: Service
    http: httpx.AsyncClient
    admin: str
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.service.services.store

    async def post(
        self, query: str, variables: Mapping[str, Any] | None = None, token: str | None = None
    ) -> httpx.Response:
        return await self.http.post(
            "/graphql",
            json={"query": query, "variables": dict(variables or {})},
            headers={"authorization": f"Bearer {token or self.admin}"},
        )

    async def answer(
        self, query: str, variables: Mapping[str, Any] | None = None, token: str | None = None
    ) -> dict[str, Any]:
        """The whole answer, errors and all."""
        body: dict[str, Any] = (await self.post(query, variables, token)).json()
        return body

    async def data(
        self, query: str, variables: Mapping[str, Any] | None = None, token: str | None = None
    ) -> dict[str, Any]:
        """The data of an answer without errors."""
        body = await self.answer(query, variables, token)
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    async def code(
        self, query: str, variables: Mapping[str, Any] | None = None, token: str | None = None
    ) -> str:
        """The code of the first error."""
        body = await self.answer(query, variables, token)
        assert body.get("errors"), body
        return str(body["errors"][0]["extensions"]["code"])

    async def create(self, class_name: str, /, **fields: object) -> str:
        """A new item by its typed mutation; the id."""
        mutation = (
            f"mutation M($input: {class_name}CreateInput!) "
            f"{{ made: create{class_name}(input: $input) {{ item {{ id }} }} }}"
        )
        made = await self.data(mutation, {"input": fields})
        return str(made["made"]["item"]["id"])

    async def relate(self, kind: str, source: str, target: str, **facts: object) -> int:
        """A new edge by its typed mutation; the revision."""
        given = "".join(
            f", {k}: {v if k in ('strength', 'confidence') else json.dumps(v)}" for k, v in facts.items()
        )
        mutation = (
            f'mutation {{ made: relate{kind}(from: "{source}", to: "{target}"{given}) {{ revision }} }}'
        )
        return int((await self.data(mutation))["made"]["revision"])

    async def token(self, role: Role, *sources: str, name: str | None = None) -> str:
        """A good token of a role."""
        key = name or role
        if key not in self.tokens:
            _, plain = await self.service.services.tokens.create(
                key,
                role,
                created_by="test",
                sources=sources or (("agent-source",) if role == "agent" else ()),
            )
            self.tokens[key] = plain
        return self.tokens[key]

    @contextmanager
    def statements(self) -> Iterator[list[str]]:
        """Every statement that reads or writes items meanwhile; not those that follow ledger, catalogue and tokens."""
        seen: list[str] = []
        listeners = self.store.connection.on_statement

        def hear(statement: str) -> None:
            others = ("(l:Ledger", "CatalogueEntry", "ApiToken", "IdempotencyKey")
            if statement != HEAD and not any(word in statement for word in others):
                seen.append(statement)

        listeners.append(hear)
        try:
            yield seen
        finally:
            listeners.remove(hear)


@pytest.fixture(scope="session")
def builtin_schema() -> BuiltSchema:
    """The schema of the built-in catalogue, built once."""
    return BuiltSchema.of(builtin_catalogue())


@pytest_asyncio.fixture(loop_scope="session")
async def api(store: Store, builtin_schema: BuiltSchema, tmp_path: Path) -> AsyncIterator[Api]:
    """The service over a clean store, with an admin's token."""
    patient = {"request_deadline": 60, "data": tmp_path / "data"}  # for a busy machine
    settings = Settings.model_validate(patient)
    service = await Service.start(Services(store, settings), builtin_schema)
    _, admin = await service.services.tokens.create("root", "admin", created_by="test")
    transport = httpx.ASGITransport(service.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://cmdb", timeout=60) as http:
        yield Api(service, http, admin)
    await service.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def address(api: Api) -> AsyncIterator[str]:
    """The same service behind a real socket; `host:port`."""
    server = uvicorn.Server(
        uvicorn.Config(api.service.app(), port=0, log_config=None, ws="websockets-sansio", lifespan="off")
    )
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}"
    server.should_exit = True
    await task


@pytest.fixture(scope="session")
def project_root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture
def cmdb(
    api: Api, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Awaitable[list[str]]]:
    """The command line as an admin uses it on that socket: arguments in, the lines it printed out; it must succeed."""
    monkeypatch.setenv("CMDB_URL", f"http://{address}")
    monkeypatch.setenv("CMDB_TOKEN", api.admin)

    async def run(*arguments: str) -> list[str]:
        with pytest.raises(SystemExit) as ended:
            await asyncio.to_thread(main, arguments)
        printed = capsys.readouterr()
        assert ended.value.code == 0, printed.err
        return printed.out.splitlines()

    return run
