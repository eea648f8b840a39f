"""The way to Neo4j: one driver, a deadline round every call, a circuit breaker, and driver errors translated.

Nothing above this module sees a driver error. `work` of `Connection.write` runs in the driver's managed transaction and
may run more than once: it must fix ids and times before, and return what it computed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, LiteralString, Self, TypeVar

from neo4j import (
    AsyncDriver,
    AsyncGraphDatabase,
    AsyncManagedTransaction,
    NotificationMinimumSeverity,
    Record,
)
from neo4j.exceptions import (
    AuthError,
    ClientError,
    DriverError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from cmdb.errors import BadRequest, CmdbError, DeadlineExceeded, StoreUnavailable

T = TypeVar("T")

_TIMED_OUT = ("TransactionTimedOut", "TransactionTimedOutClientConfiguration", "LockAcquisitionTimeout")
_BREAKER_OPENS_AFTER = 5
_BREAKER_PAUSE = 1.0


class Connection:
    """A pooled connection to one database. `deadline`: seconds any call may take.

    `on_statement` callbacks hear every statement that is sent, before it is: tests count them, traces time them.
    """

    def __init__(
        self, driver: AsyncDriver, *, database: str = "neo4j", deadline: float = 10.0, cluster: bool = False
    ) -> None:
        self._driver = driver
        # In a cluster another member may answer than took the last write: it is to wait until it has that.
        bookmarks = AsyncGraphDatabase.bookmark_manager() if cluster else None
        self._session = partial(driver.session, database=database, bookmark_manager=bookmarks)
        self._failures = 0
        self._closed_until = 0.0
        self.deadline = deadline
        self.on_statement: list[Callable[[str], None]] = []

    @classmethod
    async def open(
        cls, uri: str, user: str, password: str, *, database: str = "neo4j", deadline: float = 10.0
    ) -> Self:
        """Connect and make sure that somebody answers.

        Raises:
            StoreUnavailable: nobody answers there, or the password is wrong.
        """
        driver = AsyncGraphDatabase.driver(
            uri,
            auth=(user, password),
            connection_acquisition_timeout=deadline,
            connection_timeout=min(deadline, 5.0),
            max_transaction_retry_time=deadline,
            max_connection_pool_size=64,
            notifications_min_severity=NotificationMinimumSeverity.OFF,
        )
        cluster = uri.startswith("neo4j")  # neo4j://, neo4j+s://, neo4j+ssc://: the schemes that route
        connection = cls(driver, database=database, deadline=deadline, cluster=cluster)
        try:
            await connection.read("RETURN 1 AS one", {})
        except CmdbError:
            await driver.close()
            raise
        return connection

    async def close(self) -> None:
        """Close the pool."""
        await self._driver.close()

    async def read(
        self, statement: LiteralString, parameters: Mapping[str, Any], *, deadline: float | None = None
    ) -> list[Record]:
        """Run one reading statement and bring all its rows.

        Raises:
            StoreUnavailable, DeadlineExceeded: no answer, or not in time.
        """

        async def call() -> list[Record]:
            self._tell(statement)
            async with self._session(default_access_mode="READ") as session:
                result = await session.run(statement, dict(parameters))
                return [record async for record in result]

        return await self._guarded(call, deadline or self.deadline)

    async def write(
        self, work: Callable[[AsyncManagedTransaction], Awaitable[T]], *, deadline: float | None = None
    ) -> T:
        """Run `work` in one managed transaction; it may run again after a transient error.

        Raises:
            StoreUnavailable, DeadlineExceeded: no answer, or not in time; the write may have happened all the same.
        """

        async def call() -> T:
            async with self._session() as session:
                return await session.execute_write(work)

        return await self._guarded(call, deadline or self.deadline)

    async def run(
        self,
        statement: LiteralString,
        parameters: Mapping[str, Any] | None = None,
        *,
        deadline: float | None = None,
    ) -> list[Record]:
        """Run one statement outside a managed transaction: schema commands, and writes that may be repeated."""

        async def call() -> list[Record]:
            self._tell(statement)
            async with self._session() as session:
                result = await session.run(statement, dict(parameters or {}))
                return [record async for record in result]

        return await self._guarded(call, deadline or self.deadline)

    async def in_transaction(
        self, transaction: AsyncManagedTransaction, statement: LiteralString, parameters: Mapping[str, Any]
    ) -> list[Record]:
        """Run one statement inside `work`, heard by the callbacks like any other."""
        self._tell(statement)
        result = await transaction.run(statement, dict(parameters))
        return [record async for record in result]

    def _tell(self, statement: LiteralString) -> None:
        for callback in self.on_statement:
            callback(statement)

    async def _guarded(self, call: Callable[[], Awaitable[T]], deadline: float) -> T:
        if self._failures >= _BREAKER_OPENS_AFTER:
            if time.monotonic() < self._closed_until:
                raise StoreUnavailable("Neo4j did not answer several times in a row; try again in a second")
            self._closed_until = (
                time.monotonic() + _BREAKER_PAUSE
            )  # one call a second finds out whether it does
        try:
            async with asyncio.timeout(deadline):
                answer = await call()
        except TimeoutError:
            self._failed()
            raise DeadlineExceeded(f"Neo4j did not answer within {deadline:g} s") from None
        except (Neo4jError, DriverError, OSError) as error:
            raise self._translated(error) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise BadRequest(
                "a lone surrogate or a number beyond 64 bits cannot be looked for; send valid values"
            ) from error
        self._failures = 0
        return answer

    def _failed(self) -> None:
        self._failures += 1
        self._closed_until = time.monotonic() + _BREAKER_PAUSE

    def _translated(self, error: Exception) -> CmdbError:
        code = getattr(error, "code", None) or ""
        if isinstance(error, AuthError):
            return StoreUnavailable(
                "Neo4j refused user and password; check CMDB_NEO4J_USER and CMDB_NEO4J_PASSWORD", 30
            )
        if any(name in code for name in _TIMED_OUT):
            return DeadlineExceeded("Neo4j stopped the statement because it took too long")
        if isinstance(error, ServiceUnavailable | SessionExpired | OSError):
            self._failed()
            return StoreUnavailable("Neo4j cannot be reached")
        if isinstance(error, TransientError):
            return StoreUnavailable("Neo4j is busy with conflicting work; try again")
        if isinstance(error, ClientError):
            return StoreError(code)
        self._failed()
        return StoreUnavailable(f"Neo4j is not well ({code or type(error).__name__}); its log says more", 5)


class StoreError(CmdbError):
    """Neo4j refused a statement of ours: a defect here, never the caller's fault. The cause is chained.

    `neo4j_code` is Neo4j's own, such as "Neo.ClientError.Statement.SyntaxError".
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"Neo4j refused a statement ({code})")
        self.neo4j_code = code
