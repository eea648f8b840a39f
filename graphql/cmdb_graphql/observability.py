"""Logs and metrics of a service process: structured, and without anything that must stay secret.

A log line never holds a token, a password, variables or a body: nothing in the service logs them, and `_redacted`
makes sure of what looks like a token all the same. Metrics live in a registry of their own, so that several services
may run in one process, as they do in tests.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cmdb.settings import Settings
from cmdb_graphql.operations import OperationRecord

_TOKEN = re.compile(r"cmdb_(api|agent)_([0-9A-Za-z]{8})_[0-9A-Za-z_]{43,}")
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS"))
_ROUTES = frozenset(("graphql", "graphiql", "static", "ingest", "schemas", "healthz", "readyz", "metrics"))


def configure_logging(settings: Settings) -> None:
    """Set up structlog, and the loggers of libraries, once per process."""
    level = getattr(logging, settings.log_level.upper())
    shared: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Callable[..., Any]] = (
        [structlog.processors.format_exc_info, _redacted, structlog.processors.JSONRenderer()]
        if settings.log_format == "json"
        else [structlog.processors.format_exc_info, _redacted, structlog.dev.ConsoleRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("neo4j", "uvicorn", "asyncio"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _redacted(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and "cmdb_" in value:
            event[key] = _TOKEN.sub(r"cmdb_\1_\2_...", value)
    return event


class Metrics:
    """What `/metrics` tells; one for a service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self.operations = Histogram(
            "cmdb_graphql_operation_seconds",
            "GraphQL operations.",
            ["kind", "code"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.requests = Histogram(
            "cmdb_http_request_seconds",
            "HTTP requests.",
            ["route", "method", "status"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.statements = Counter("cmdb_store_statements", "Statements sent to Neo4j.", registry=registry)
        self.reports = Counter(
            "cmdb_ingest_reports", "Reports taken in.", ["format", "outcome"], registry=registry
        )
        self.head = Gauge(
            "cmdb_ledger_revision",
            "The last revision of the ledger that this process knows.",
            registry=registry,
        )
        self.sockets = Gauge("cmdb_graphql_sockets", "Open WebSockets.", registry=registry)
        self.in_flight = 0
        """How many HTTP requests are being answered."""
        Gauge(
            "cmdb_http_requests_in_flight", "HTTP requests being answered.", registry=registry
        ).set_function(lambda: self.in_flight)

    def observe(self, record: OperationRecord) -> None:
        """Count a GraphQL operation."""
        self.operations.labels(record.kind, record.code or "OK").observe(record.seconds)

    def text(self) -> bytes:
        """In the format that Prometheus reads."""
        return generate_latest(self.registry)


class RequestMetrics:
    """ASGI middleware: times HTTP requests, by the first part of known paths only, so that labels stay few."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        self._metrics.in_flight += 1

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._metrics.in_flight -= 1
            first = scope["path"].split("/")[1]
            route = "/" + first if first in _ROUTES else "other"
            labels = (route, scope["method"] if scope["method"] in _METHODS else "other", str(status))
            self._metrics.requests.labels(*labels).observe(time.perf_counter() - started)
