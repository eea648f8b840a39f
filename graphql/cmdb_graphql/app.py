"""The service: one ASGI application over one store, and `serve`, which runs it with a Neo4j of its own if need be.

* /graphql: the contract, over HTTP and WebSocket; /graphiql and /static: the API explorer
* /ingest/{format}: reports; /schemas/observation-v1.json: the form of a report
* /healthz, /readyz, /metrics: for those who run it
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import structlog
import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response
from rich.console import Console
from starlette.requests import HTTPConnection

from cmdb.errors import CmdbError, DeadlineExceeded, Forbidden, StoreUnavailable
from cmdb.model.catalogue import builtin_catalogue
from cmdb.settings import Settings
from cmdb.store.local_server import Health, LocalServer
from cmdb.store.store import Store
from cmdb.store.tokens import Tokens
from cmdb_graphql.access import Action
from cmdb_graphql.bulk import bulk_router
from cmdb_graphql.context import Context, Services
from cmdb_graphql.errors import refusal_of
from cmdb_graphql.garbage import tidy
from cmdb_graphql.ingest import ingest_router, refused
from cmdb_graphql.observability import Metrics, RequestMetrics, configure_logging
from cmdb_graphql.schema import BuiltSchema, SchemaRegistry
from cmdb_graphql.static_files import SecurityHeaders, static_router
from cmdb_graphql.transport import GraphQLEndpoint, Profile, SocketLimits, TransportSettings
from impact.warming import compile_kernels

READY_SECONDS = 2.0
HEAL_SECONDS = 5.0
SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter from the event loop: Python's 5 ms are all that a request may wait."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BACKLOG = 2048
FIRST_TOKEN_LIFETIME = timedelta(days=366)
_log: structlog.stdlib.BoundLogger = structlog.get_logger("cmdb.service")


class Service:
    """A service over a store: the application, and what has to be started before it and stopped after it."""

    def __init__(self, services: Services, schemas: SchemaRegistry) -> None:
        self.services = services
        self.schemas = services.schemas = schemas
        self.metrics = Metrics()
        self.endpoint = GraphQLEndpoint(
            lambda: schemas.schema,
            context_getter=self._context,
            authenticate=self._context_of_token,
            still_valid=lambda context: services.authenticator.still_good(context.caller),
            settings=_transport_settings(services.settings),
            observe=self.metrics.observe,
        )
        services.store.connection.on_statement.append(lambda _statement: self.metrics.statements.inc())

    @classmethod
    async def start(cls, services: Services, built: BuiltSchema | None = None) -> Service:
        """Build the schema, unless it was `built` already, and begin to follow the catalogue."""
        store = services.store
        schemas = await SchemaRegistry.start(lambda: store.catalogue, built)
        store.on_catalogue_change(schemas.changed)
        schemas.changed(store.catalogue)
        return cls(services, schemas)

    async def stop(self) -> None:
        """Close sockets and take no more; what was accepted is finished by whoever closes the store."""
        await self.endpoint.stop()
        await self.services.close()
        await self.schemas.stop()

    def app(self) -> SecurityHeaders:
        """The application."""
        app = FastAPI(title="CMDB", docs_url=None, redoc_url=None, openapi_url=None)
        app.router.routes.extend(self.endpoint.routes("/graphql"))
        app.include_router(static_router())
        app.include_router(bulk_router(self._context))
        app.include_router(ingest_router(self._context, self.metrics, self.services.settings.ingest_at_once))
        app.add_api_route("/healthz", _healthy, methods=["GET"])
        app.add_api_route("/readyz", self._ready, methods=["GET"])
        app.add_api_route("/metrics", self._measured, methods=["GET"])
        app.add_middleware(RequestMetrics, metrics=self.metrics)
        return SecurityHeaders(app)

    async def _context(self, connection: HTTPConnection) -> Context:
        return await self._context_of_token(connection.headers.get("authorization"))

    async def _context_of_token(self, token: str | None) -> Context:
        return Context(self.services, await self.services.authenticator.caller(token))

    async def _ready(self) -> Response:
        """200 if a real read is answered in time, else 503."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                head = await self.services.store.head()
        except (CmdbError, TimeoutError) as error:
            body = orjson.dumps(
                {"ready": False, "why": str(error) or f"no answer within {READY_SECONDS:g} s"}
            )
            return Response(body, 503, media_type="application/json")
        return Response(orjson.dumps({"ready": True, "revision": head}), media_type="application/json")

    async def _measured(self, request: Request) -> Response:
        if not self.services.settings.metrics_public:
            try:
                (await self._context(request)).require(Action.READ)
            except CmdbError as error:
                return refused(refusal_of(error, doing="reading metrics"))
        self.metrics.head.set(self.services.store.feed.head)
        self.metrics.sockets.set(self.endpoint.sockets)
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _healthy() -> Response:
    """200 while the process runs."""
    return Response(b'{"healthy":true}', media_type="application/json")


def _transport_settings(settings: Settings) -> TransportSettings:
    return TransportSettings(
        profile=Profile(settings.graphql_profile),
        deadline_seconds=settings.request_deadline,
        allowed_origins=frozenset(settings.allowed_origins),
    )


Started = Callable[[str, Service], Awaitable[None]]
"""Told the address of the service once it answers."""


@asynccontextmanager
async def running_store(settings: Settings, progress: Console | None = None) -> AsyncIterator[Store]:
    """The store that the settings name; a private Neo4j is started for it, watched, and stopped after it."""
    if settings.neo4j_uri:
        store = await Store.open(
            settings.neo4j_uri,
            settings.neo4j_user,
            settings.password(),
            database=settings.neo4j_database,
            deadline=settings.neo4j_deadline,
        )
        try:
            yield store
        finally:
            await store.close()
        return
    server = await asyncio.to_thread(
        LocalServer.start, settings.data, heap=settings.neo4j_heap, progress=progress
    )
    try:
        store = await Store.open(server.uri, server.user, server.password, deadline=settings.neo4j_deadline)
        healing = asyncio.create_task(_heal(server), name="heal")
        try:
            yield store
        finally:
            await store.close()
            healing.cancel()
            await asyncio.gather(healing, return_exceptions=True)
    finally:
        await asyncio.to_thread(server.stop)


async def _heal(server: LocalServer) -> None:
    """Start the private Neo4j again whenever it is gone."""
    while True:
        await asyncio.sleep(HEAL_SECONDS)
        try:
            if await asyncio.to_thread(server.health) in (Health.GONE, Health.BROKEN):
                _log.warning("neo4j_gone", doing="starting it again")
                await asyncio.to_thread(server.ensure_running)
        except CmdbError as error:
            _log.error("neo4j_not_started", error=str(error))


async def first_token(tokens: Tokens, data: Path) -> Path | None:
    """On the first start nobody could make a token: make one for the admin, in a file that only its owner reads.

    The same where no admin's token is good any more, or the file was lost before its token was ever used.
    Returns the file, or None where an admin has a token.
    """
    file = data / "admin-token"
    now = datetime.now(UTC)
    good = [token for token in await tokens.list() if token.role == "admin" and token.is_good(now)]
    if any(token.last_used_at for token in good) or (good and file.exists()):
        return None
    _, plain = await tokens.create("admin", "admin", created_by="first start", lifetime=FIRST_TOKEN_LIFETIME)
    await asyncio.to_thread(_write_secret, file, plain + "\n")
    return file


def _write_secret(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)


def serve(settings: Settings) -> None:
    """Run the service in this process until it is told to stop; see `serving`."""
    sys.setswitchinterval(SWITCH_SECONDS)
    with suppress(asyncio.CancelledError):  # told to stop while it was starting
        uvloop.run(serving(settings, progress=Console(stderr=True)))


async def serving(
    settings: Settings, *, started: Started | None = None, progress: Console | None = None
) -> None:
    """Run the service until it is told to stop (SIGINT, SIGTERM), then finish what was acknowledged.

    Raises:
        CmdbError, LocalServerError: it cannot start; the message says why and what to do.
    """
    configure_logging(settings)
    with _listen(settings) as listener, stop_signals(_cancel_this_task()):
        # Takes as long as Neo4j's start, beside which it runs.
        building = asyncio.create_task(asyncio.to_thread(lambda: BuiltSchema.of(builtin_catalogue())))
        async with running_store(settings, progress) as store:
            services = Services(store, settings)
            services.topologies.start()
            services.figures.start()
            warming = asyncio.create_task(_warm(services), name="warm")  # takes longer than all that follows
            try:
                await _serve(services, await building, warming, listener, started)
            finally:
                warming.cancel()
                await services.close()


async def _serve(
    services: Services,
    built: BuiltSchema,
    warming: asyncio.Task[None],
    listener: socket.socket,
    started: Started | None,
) -> None:
    """Serve while `warming` goes on, which ends with it."""
    service = await Service.start(services, built)
    tidying = asyncio.create_task(tidy(warming, lambda: service.metrics.in_flight), name="tidy")
    try:
        file = await first_token(services.tokens, services.settings.data)
        if file is not None:
            _log.info("admin_token_written", file=str(file))
        await _run(service, services.settings, listener, started)
    finally:
        warming.cancel()
        tidying.cancel()
        await asyncio.gather(warming, tidying, return_exceptions=True)
        await service.stop()


async def _warm(services: Services) -> None:
    """Load the topology, then what questions about it need, then what a first write needs: somebody may ask already."""
    with suppress(CmdbError):  # whoever loads it tries again, and tells
        await services.topologies.at_head()
    await asyncio.to_thread(compile_kernels)
    with suppress(StoreUnavailable, DeadlineExceeded):  # then the first write takes longer
        await services.store.plan_ahead()


@contextmanager
def stop_signals(stop: Callable[[], object]) -> Iterator[None]:
    """While this lasts, SIGINT and SIGTERM call `stop` in the event loop, and do nothing else."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _cancel_this_task() -> Callable[[], object]:
    task = asyncio.current_task()
    return task.cancel if task is not None else lambda: None


class _Server(uvicorn.Server):
    """uvicorn, but with our signals and our good-byes.

    It would raise a stop signal once more when it has stopped, which would end us before the store is closed; and
    close WebSockets with 1012 before we can say 1001.
    """

    def __init__(self, config: uvicorn.Config, before_shutdown: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._before_shutdown = before_shutdown

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what is ours first."""
        await self._before_shutdown()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave the signals to us."""
        yield

    def stop(self) -> None:
        """Take no more; told twice, do not wait for what is running."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _listen(settings: Settings) -> socket.socket:
    """The socket to serve at: taken before anything is started, so that a port in use is told at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise Forbidden(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}); choose another port, or stop who "
            "has it"
        ) from None


async def _run(
    service: Service, settings: Settings, listener: socket.socket, started: Started | None
) -> None:
    server = _Server(
        uvicorn.Config(
            service.app(),
            http="h11",  # bounds the size of headers, which httptools does not
            log_config=None,
            access_log=False,
            server_header=False,
            ws="websockets-sansio",
            ws_max_size=SocketLimits().message_bytes,
            timeout_graceful_shutdown=int(settings.shutdown_seconds),
        ),
        before_shutdown=service.endpoint.stop,
    )
    announcing = asyncio.create_task(_announce(server, service, listener, started))
    try:
        with stop_signals(server.stop):
            await server.serve([listener])
    finally:
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)


async def _announce(
    server: uvicorn.Server, service: Service, listener: socket.socket, started: Started | None
) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.02)
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    _log.info("serving", url=url)
    if started is not None:
        await started(url, service)
