"""A private, real Neo4j for those who have none: started, kept alive and stopped with the service that uses it.

    with LocalServer.start(Path("data")) as server:
        driver = AsyncGraphDatabase.driver(server.uri, auth=(server.user, server.password))

Promises: Bolt on the loopback address only, with a random password in a 0600 file; no outside address is contacted but
the Maven repository at the very first start; one owner per data directory; Neo4j ends with its owner, however that
ends; once `start` has returned, the store survives kill -9 of either side and a cut of the power; `ensure_running`
heals it on the same port. It is the Neo4j that runs anywhere else: neither format nor durability is weakened.

Does not: run on Windows, serve Neo4j Browser (HTTP is off), or watch by itself: the service calls `ensure_running`.
Methods block, for seconds where Neo4j starts; in async code call them with `asyncio.to_thread`.
"""

from __future__ import annotations

import asyncio
import enum
import random
import socket
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from neo4j import AsyncGraphDatabase
from neo4j.exceptions import AuthError, DriverError, Neo4jError
from rich.console import Console

from cmdb.store.data_directory import DataDirectory
from cmdb.store.local_server_errors import (
    ELSEWHERE,
    DataDirectoryOwned,
    DataDirectoryUnusable,
    DiskFull,
    ForeignStore,
    JarsUnavailable,
    LocalServerError,
    PortTaken,
    StartFailed,
    StoreVersionMismatch,
    UnsupportedPlatform,
)
from cmdb.store.neo4j_jars import NEO4J_VERSION, provide_jars
from cmdb.store.neo4j_process import Neo4jProcess

__all__ = [
    "NEO4J_VERSION",
    "DataDirectoryOwned",
    "DataDirectoryUnusable",
    "DiskFull",
    "ForeignStore",
    "Health",
    "JarsUnavailable",
    "LocalServer",
    "LocalServerError",
    "PortTaken",
    "StartFailed",
    "StoreVersionMismatch",
    "UnsupportedPlatform",
]

USER = "neo4j"
DATABASE = "neo4j"
START_SECONDS = 120.0
PROBE_SECONDS = 5.0
ROOM_FOR_NEW_STORE = 128 * 2**20
ROOM_TO_GO_ON = 48 * 2**20
# Outside the range that Linux and macOS give to outgoing connections: while Neo4j restarts, nobody is handed its port.
PORTS = range(20_000, 32_000)

PING = "CALL db.ping() YIELD success RETURN success"
"""A transaction in the database itself: it fails after a critical error, when the process still accepts connections."""


class Health(enum.Enum):
    """How the server is, as one real transaction finds it."""

    WELL = "well"
    GONE = "gone"
    """There is no process: `ensure_running` starts it again."""
    BROKEN = "broken"
    """The process lives, but its database refuses all work until a restart (after a full disk, for one)."""
    SILENT = "silent"
    """It does not answer in time: overloaded, or frozen. Waiting may help; `restart` does."""


class LocalServer:
    """A running Neo4j that this process owns.

    `uri`, `user` and `password` are what a driver needs. Methods may be called from any thread; those that start and
    stop wait for each other.
    """

    user = USER
    database = DATABASE

    def __init__(self, directory: DataDirectory, jars: Path, port: int, password: str, heap: str) -> None:
        self.port = port
        self.password = password
        self.uri = f"bolt://127.0.0.1:{port}"
        self._directory = directory
        self._jars = jars
        self._heap = heap
        self._process: Neo4jProcess | None = None
        self._changing = threading.RLock()
        self._stopped = False

    @classmethod
    def start(
        cls,
        data_dir: Path,
        *,
        port: int | None = None,
        heap: str = "512m",
        progress: Console | None = None,
        cache: Path | None = None,
        repository: str | None = None,
    ) -> Self:
        """Start Neo4j on the store in `data_dir`, made if there is none, and return when it answers.

        Without a `port` a free one is chosen. `heap` is the JVM's, as "512m" or "2g"; some 200 MB come on top. The very
        first start on a machine fetches the jars into `cache` (the user's by default) from `repository` (Maven Central
        by default), with a bar on the `progress` console. Raises a LocalServerError of the kind that fits.
        """
        if sys.platform == "win32":
            raise UnsupportedPlatform(sys.platform)
        if port is not None and not _is_free(port):
            raise PortTaken(port)
        directory = DataDirectory.claim(data_dir)
        try:
            directory.check_store(NEO4J_VERSION)
            jars = provide_jars(cache=cache, repository=repository, progress=progress)
            server = cls(directory, jars, port or _free_port(), directory.password(), heap)
            server._launch()
        except BaseException:
            directory.release()
            raise
        return server

    def stop(self) -> None:
        """Stop Neo4j cleanly (running transactions get 10 s) and give the data directory free; may be repeated."""
        with self._changing:
            self._stopped = True
            self._end()
            self._directory.release()

    def health(self, seconds: float = PROBE_SECONDS) -> Health:
        """Find out, within `seconds`, whether the server does its work."""
        process = self._process
        if process is None or process.exit_status() is not None:
            return Health.GONE
        try:
            _wait_for(self._ping(seconds))
        except TimeoutError:
            return Health.SILENT
        except (DriverError, Neo4jError, OSError):
            # A moment for the watchdog to notice that Neo4j died just now.
            return Health.BROKEN if process.exit_status(0.5) is None else Health.GONE
        return Health.WELL

    def ensure_running(self) -> bool:
        """Start Neo4j again, on the same port, if it is gone or broken; returns whether it did.

        Neo4j recovers every acknowledged transaction by itself. Raises DiskFull while there is no room to go on, and
        whatever a start may raise; call it again later then. A server that is silent is left alone.
        """
        with self._changing:
            if self._stopped or self.health() in (Health.WELL, Health.SILENT):
                return False
            self.restart()
            return True

    def restart(self) -> None:
        """Stop Neo4j, at once by force if it is silent, and start it again on the same port."""
        with self._changing:
            if self._process is not None and self.health() is Health.SILENT:
                self._process.kill()
            self._end()
            self._launch()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def home(self) -> Path:
        """Neo4j's home directory, with its logs."""
        return self._directory.home

    @property
    def pid(self) -> int:
        """Neo4j's process id, another one after each restart; 0 while there is none."""
        process = self._process
        return process.pid if process is not None else 0

    def _launch(self) -> None:
        """Bring Neo4j up and wait until it answers; leaves no process behind if it does not."""
        directory = self._directory
        directory.end_orphan()
        directory.check_room(ROOM_FOR_NEW_STORE if directory.is_new else ROOM_TO_GO_ON)
        if not _is_free(self.port):
            raise PortTaken(self.port)
        try:
            if directory.is_new:
                directory.begin_store(NEO4J_VERSION)
                directory.write_credential(USER, self.password)
            self._process = Neo4jProcess.spawn(
                home=self.home, jars=self._jars, port=self.port, heap=self._heap
            )
            directory.record_server(self._process.pid)
            self._await_answer(self._process)
            directory.finish_store(NEO4J_VERSION)
        except OSError as error:
            self._end()
            raise DataDirectoryUnusable(self.home, str(error)) from error
        except BaseException:
            self._end()
            raise

    def _await_answer(self, process: Neo4jProcess) -> None:
        deadline = time.monotonic() + START_SECONDS
        seen = "it has not started to listen"
        while time.monotonic() < deadline:
            status = process.exit_status()
            if status is not None:
                raise self._why(process, f"it ended with status {status}")
            # Its own word first: whoever else may answer on the port is not told the password.
            if "Started." in process.output:
                try:
                    _wait_for(self._ping(PROBE_SECONDS))
                except AuthError as error:
                    raise ForeignStore(
                        f"the store in {self.home} refuses the password in {self.home / 'password'}: one of the two is "
                        f"from elsewhere; put the right ones together, give another --data directory, {ELSEWHERE}"
                    ) from error
                except (DriverError, Neo4jError, OSError, TimeoutError) as error:
                    seen = str(error) or type(error).__name__
                else:
                    return
            time.sleep(0.05)
        raise self._why(process, f"it did not answer within {START_SECONDS:.0f} s ({seen})")

    def _why(self, process: Neo4jProcess, reason: str) -> LocalServerError:
        """The error that fits what Neo4j printed before it ended."""
        output = process.output
        if "Address already in use" in output or "BindException" in output:
            return PortTaken(self.port)
        if "store_lock" in output:
            return ForeignStore(
                f"another Neo4j has the store in {self.home / 'data'} open (its store_lock is held); stop that one, "
                f"give another --data directory, {ELSEWHERE}"
            )
        try:
            self._directory.check_room(ROOM_TO_GO_ON)
        except DiskFull as full:
            return full
        return StartFailed(reason, process.log, "\n".join(output.splitlines()[-12:]))

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end()
            self._directory.end_orphan()  # where the watchdog was killed too

    async def _ping(self, seconds: float) -> None:
        auth = (USER, self.password)
        async with (
            asyncio.timeout(seconds),
            AsyncGraphDatabase.driver(self.uri, auth=auth, connection_timeout=seconds) as driver,
            driver.session(database=DATABASE) as session,
        ):
            # One try: a managed transaction would try again for longer than anybody wants to wait here.
            await (await session.run(PING)).consume()


def _wait_for(work: Coroutine[None, None, None]) -> None:
    """Run a coroutine to its end from any thread, also from one whose event loop is running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def _is_free(port: int) -> bool:
    """Whether a server could listen on the loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    return next(port for port in random.sample(PORTS, len(PORTS)) if _is_free(port))
