"""What can be set on the GraphQL transports, and the two profiles. Pure data; who reads the environment fills it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from cmdb_graphql.limits import Limits


class Profile(StrEnum):
    """How much of GraphQL over HTTP is offered.

    `PRODUCTION` (the default): POST only; introspection and suggestions of names only for roles that may introspect.
    `CONFORMANCE`: GET for queries too, introspection and suggestions for everybody; passes all `graphql-http` audits.
    The audits need both, a scan by `graphql-cop` wants both off, so there are two.
    """

    PRODUCTION = "production"
    CONFORMANCE = "conformance"


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What one WebSocket, and one caller's sockets, may do. Sizes in bytes, times in seconds."""

    init_seconds: float = 5.0
    """From the handshake until `connection_init` has been accepted; then 4408."""
    operations: int = 20
    """Operations running at once on a socket."""
    sockets_per_actor: int = 20
    """Sockets of one caller in this process; one more is closed with 4429."""
    message_bytes: int = 65_536
    """The largest frame; more closes with 1009. Set the server's own limit (`ws_max_size` of uvicorn) no higher."""
    recheck_seconds: float = 1.0
    """An event is sent only if the token was found good no longer ago than this."""
    idle_recheck_seconds: float = 15.0
    """How often the token of a socket without events is looked at."""


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """Everything the endpoint is told at start. Sizes in bytes, times in seconds."""

    profile: Profile = Profile.PRODUCTION
    limits: Limits = field(default_factory=Limits)
    deadline_seconds: float = 10.0
    """For authentication, for a query or mutation, for the start of a subscription, for each of its events."""
    body_bytes: int = 262_144
    """The largest body; checked by Content-Length and while reading, before it is decoded."""
    body_seconds: float = 30.0
    """From the first look at the body to its last byte."""
    allowed_origins: frozenset[str] = frozenset()
    """Origins (`https://cmdb.example`) whose pages may open a WebSocket, beside the service's own."""
    socket: SocketLimits = field(default_factory=SocketLimits)
