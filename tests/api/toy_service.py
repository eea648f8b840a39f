"""A small schema with every kind of field the transports must cope with, and a real server for it.

`Desk` is the toy's reception: it knows two tokens, counts who asks, and can revoke. Nothing here touches Neo4j.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

import strawberry
import uvicorn
from fastapi import FastAPI
from starlette.requests import HTTPConnection
from strawberry.scalars import JSON

from cmdb.errors import NotFound, StaleVersion, StoreUnavailable, Unauthenticated
from cmdb_graphql.operations import Observer, SchemaProvider
from cmdb_graphql.transport import GraphQLEndpoint, TransportSettings

ADMIN = "token-of-admin"
VIEWER = "token-of-viewer"


@dataclass
class ToyContext:
    actor: str
    may_introspect: bool = False
    expires_at: datetime | None = None
    spent: int | None = None
    truncated: bool = False
    token: str = ""
    seen_revision: int = 7
    cancelled: list[str] = field(default_factory=list)

    @property
    async def revision(self) -> int:
        return self.seen_revision

    def for_operation(self) -> Self:
        return replace(self)


FIRST = strawberry.ID("1")
Info = strawberry.Info[ToyContext, None]


@strawberry.type
class Item:
    id: strawberry.ID
    name: str

    @strawberry.field
    async def related(self, first: int = 10) -> list[Item]:
        return [Item(id=strawberry.ID(f"{self.id}.{i}"), name="related") for i in range(min(first, 3))]

    @strawberry.field
    def owner(self) -> Item:
        return Item(id=strawberry.ID("owner"), name="owner")


@strawberry.type
class ItemEdge:
    node: Item
    cursor: str


@strawberry.type
class PageInfo:
    has_next_page: bool


@strawberry.type
class ItemConnection:
    edges: list[ItemEdge]
    page_info: PageInfo
    total_count: int


@strawberry.type
class Query:
    @strawberry.field
    async def item(self, id: strawberry.ID = FIRST) -> Item | None:
        if id == "none":
            raise NotFound("item", id)
        return Item(id=id, name="first")

    @strawberry.field
    def items(self, info: Info, first: int = 50, after: str | None = None) -> ItemConnection:
        if first < 100:
            info.context.spent = first
        edges = [
            ItemEdge(node=Item(id=strawberry.ID(str(i)), name="x"), cursor=str(i))
            for i in range(max(0, first))
        ]
        return ItemConnection(edges=edges, page_info=PageInfo(has_next_page=False), total_count=first)

    @strawberry.field
    def tags(self) -> list[Item]:
        return []

    @strawberry.field
    def echo(self, value: JSON) -> JSON:
        return value

    @strawberry.field
    def add(self, a: int, b: int = 1) -> int:
        return a + b

    @strawberry.field
    def boom(self) -> str | None:
        raise RuntimeError("secret: the database password is hunter2")

    @strawberry.field
    def hole(self) -> str:
        return None  # type: ignore[return-value]

    @strawberry.field
    def unwritable(self) -> JSON:
        return JSON({1, 2, 3})

    @strawberry.field
    def away(self) -> str:
        raise StoreUnavailable("Neo4j does not answer", retry_after=3)

    @strawberry.field
    async def slow(self, info: Info, seconds: float = 60.0) -> str:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            info.context.cancelled.append("slow")
            raise
        return "done"


@strawberry.type
class Mutation:
    @strawberry.mutation
    def rename(self, id: strawberry.ID, name: str) -> Item:
        if name == "stale":
            raise StaleVersion(id, 3, 5)
        return Item(id=id, name=name)

    @strawberry.mutation
    async def slow_write(self) -> str:
        await asyncio.sleep(60)
        return "done"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, info: Info, to: int = 3, every: float = 0.0) -> AsyncGenerator[int, None]:
        try:
            for number in range(1, to + 1):
                await asyncio.sleep(every)
                yield number
        finally:
            info.context.cancelled.append("count")

    @strawberry.subscription
    async def contexts(self, info: Info, to: int = 3) -> AsyncGenerator[Item, None]:
        for number in range(to):
            yield Item(id=strawberry.ID(str(number)), name="event")

    @strawberry.subscription
    async def broken(self) -> AsyncGenerator[int, None]:
        yield 1
        raise RuntimeError("secret: hunter2")

    @strawberry.subscription
    async def gone(self) -> AsyncGenerator[int, None]:
        raise NotFound("feed", "x")
        yield 1


schema = strawberry.Schema(Query, mutation=Mutation, subscription=Subscription)


@dataclass
class Desk:
    """Who may come in. `cancelled` collects what was cut short, over all contexts."""

    callers: dict[str, ToyContext] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    cancelled: list[str] = field(default_factory=list)
    asked: int = 0
    down: bool = False
    patience: float = 0.0

    def __post_init__(self) -> None:
        self.callers.setdefault(ADMIN, ToyContext("admin", may_introspect=True, token=ADMIN))
        self.callers.setdefault(VIEWER, ToyContext("viewer", token=VIEWER))

    async def authenticate(self, token: str | None) -> ToyContext:
        self.asked += 1
        await asyncio.sleep(self.patience)
        if self.down:
            raise StoreUnavailable("Neo4j does not answer", retry_after=3)
        if token is None or token not in self.callers or token in self.revoked:
            raise Unauthenticated("give a token that is good")
        return replace(self.callers[token], cancelled=self.cancelled)

    async def context(self, connection: HTTPConnection) -> ToyContext:
        scheme, _, token = connection.headers.get("authorization", "").partition(" ")
        return await self.authenticate(token if scheme.lower() == "bearer" else None)

    async def still_valid(self, context: ToyContext) -> bool:
        if self.down:
            raise StoreUnavailable("Neo4j does not answer")
        return context.token not in self.revoked


def endpoint(
    desk: Desk,
    settings: TransportSettings | None = None,
    provider: SchemaProvider | None = None,
    observe: Observer | None = None,
) -> GraphQLEndpoint[ToyContext]:
    return GraphQLEndpoint(
        provider or (lambda: schema),
        context_getter=desk.context,
        authenticate=desk.authenticate,
        still_valid=desk.still_valid,
        settings=settings,
        observe=observe,
    )


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@asynccontextmanager
async def serving(served: GraphQLEndpoint[ToyContext]) -> AsyncIterator[str]:
    """A real uvicorn on a free port; gives `127.0.0.1:port`."""
    app = FastAPI()
    app.router.routes.extend(served.routes("/graphql"))
    config = uvicorn.Config(app, port=0, log_level="critical", ws="websockets-sansio", lifespan="off")
    server = _Server(config)
    task = asyncio.create_task(server._serve())
    await server.up.wait()
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"{host}:{port}"
    finally:
        server.should_exit = True
        await task
