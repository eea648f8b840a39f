"""The GraphQL endpoint: one URL, HTTP and WebSocket, over a schema that may be swapped while it serves.

    endpoint = GraphQLEndpoint(
        lambda: registry.schema,          # read once an operation
        context_getter=authenticated,     # async (HTTPConnection) -> context; raises cmdb.errors.Unauthenticated
        authenticate=by_token,            # async (token | None) -> context; for WebSocket
        still_valid=token_is_good,        # async (context) -> bool; asked while a socket lives
        settings=TransportSettings(profile=Profile.PRODUCTION),
    )
    app.router.routes.extend(endpoint.routes("/graphql"))
    ...
    await endpoint.stop()                 # before the server closes its connections

No page is served here (GraphiQL is a static page of its own), nothing is uploaded, nothing is batched.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from cmdb_graphql.operations import Observer, OperationContext, Operations, SchemaProvider
from cmdb_graphql.transport_http import ContextGetter, HttpTransport
from cmdb_graphql.transport_settings import Profile, SocketLimits, TransportSettings
from cmdb_graphql.transport_websocket import Authenticator, TokenCheck, WebSocketTransport

__all__ = [
    "GraphQLEndpoint",
    "OperationContext",
    "Profile",
    "SchemaProvider",
    "SocketLimits",
    "TransportSettings",
]

ContextT = TypeVar("ContextT", bound=OperationContext)


class GraphQLEndpoint(Generic[ContextT]):
    """An ASGI application for one URL; `routes` puts it into a Starlette or FastAPI application.

    `observe` is called after each operation with its name, kind, error code and seconds, for metrics.
    """

    def __init__(
        self,
        schema: SchemaProvider,
        *,
        context_getter: ContextGetter[ContextT],
        authenticate: Authenticator[ContextT],
        still_valid: TokenCheck[ContextT],
        settings: TransportSettings | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.settings = settings or TransportSettings()
        self.operations = Operations(
            schema,
            limits=self.settings.limits,
            deadline=self.settings.deadline_seconds,
            introspection_for_all=self.settings.profile is Profile.CONFORMANCE,
            observe=observe,
        )
        self._http = HttpTransport(self.operations, self.settings, context_getter)
        self._websocket = WebSocketTransport(self.operations, self.settings, authenticate, still_valid)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    def routes(self, path: str) -> list[BaseRoute]:
        """The endpoint at `path`: every method (the endpoint itself answers 405), and WebSocket."""
        return [
            Route(path, self, name="graphql", include_in_schema=False),
            WebSocketRoute(path, self, name="graphql-websocket"),
        ]

    @property
    def sockets(self) -> int:
        """Open sockets."""
        return len(self._websocket)

    async def stop(self) -> None:
        """Close all sockets with 1001 and take no more; HTTP goes on, so that running requests can end."""
        await self._websocket.stop()
