"""What the tests share: one real Neo4j per session and worker, and a clean graph for each test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from cmdb.model.change_set import Authorship, ChangeSet, PutItem
from cmdb.store.connection import Connection
from cmdb.store.local_server import LocalServer
from cmdb.store.store import Store

ALICE = Authorship(actor="alice")
CLEAR = "MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS"


@dataclass(frozen=True, slots=True)
class Neo4jAddress:
    """Where the session's Neo4j answers, and to whom."""

    uri: str
    user: str
    password: str


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--neo4j`: which Neo4j the tests talk to."""
    parser.addoption("--neo4j", choices=["private", "container"], default="private")


@pytest.fixture(scope="session")
def neo4j_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Neo4jAddress]:
    """A real Neo4j: the given server, a container, or (by default) a private one."""
    if uri := os.environ.get("CMDB_NEO4J_URI"):
        user = os.environ.get("CMDB_NEO4J_USER", "neo4j")
        yield Neo4jAddress(uri, user, os.environ.get("CMDB_NEO4J_PASSWORD", ""))
    elif request.config.getoption("--neo4j") == "container":
        from testcontainers.neo4j import Neo4jContainer

        from cmdb.store.local_server import NEO4J_VERSION

        with Neo4jContainer(f"neo4j:{NEO4J_VERSION}-community") as container:
            yield Neo4jAddress(container.get_connection_url(), container.username, container.password)
    else:
        with LocalServer.start(tmp_path_factory.mktemp("neo4j")) as server:
            with ThreadPoolExecutor(1) as thread:  # where no event loop runs
                thread.submit(asyncio.run, _first_write(server)).result()
            yield Neo4jAddress(server.uri, server.user, server.password)


async def _first_write(server: LocalServer) -> None:
    """A Neo4j that has just started may need longer for its first write than a write may take."""
    store = await Store.open(server.uri, server.user, server.password, deadline=120)
    await store.apply(ChangeSet((PutItem("first", {"name": "first"}, "Server"),)), ALICE)
    await store.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs from outside; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real inputs (../shared/data) are not on this machine")
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def clean_neo4j(neo4j_server: Neo4jAddress) -> Neo4jAddress:
    """The session's Neo4j, emptied (constraints and indexes stay)."""
    connection = await Connection.open(
        neo4j_server.uri, neo4j_server.user, neo4j_server.password, deadline=60
    )
    await connection.run(CLEAR)
    await connection.close()
    return neo4j_server


@pytest_asyncio.fixture(loop_scope="session")
async def store(clean_neo4j: Neo4jAddress) -> AsyncIterator[Store]:
    """An open store on a clean graph with the built-in catalogue."""
    opened = await Store.open(clean_neo4j.uri, clean_neo4j.user, clean_neo4j.password, deadline=60)
    yield opened
    await opened.close()
