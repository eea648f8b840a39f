"""The demo's service: `cmdb serve` as a child process, with a private Neo4j in the demo's directory."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console

from cmdb.store.neo4j_jars import provide_jars

PORT = 8000
START_SECONDS = 180.0
STOP_SECONDS = 40.0
_LOG_LINES = 8
_CANNOT_LISTEN = "cannot listen"
_OURS = "CMDB_"
"""Settings in the environment mean another service; the demo has its own."""


class ServiceFailed(Exception):
    """The child ended, or does not answer; the message has the end of its log."""


class DemoService:
    """A running service: where it is and an admin's token."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path, directory: Path) -> None:
        self.url = url
        self._process = process
        self._log = log
        self._directory = directory

    @classmethod
    def start(cls, directory: Path, console: Console) -> Self:
        """Start it and wait until it answers.

        Raises `ServiceFailed`, and `JarsUnavailable` or `DiskFull` where Neo4j cannot be had.
        """
        provide_jars(progress=console)  # here, so that the first download shows its bar in this terminal
        directory.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        with console.status("Starting the service and its Neo4j ..."):
            service = cls._launch(directory, PORT if _is_free(PORT) else 0)
        seconds = time.monotonic() - started
        console.print(f"[green]✓[/] The service is up at {service.url} [dim]({seconds:.1f} s)[/]")
        return service

    @classmethod
    def _launch(cls, directory: Path, port: int) -> Self:
        """A child that answers, at `port` or, where somebody else was faster, at any other."""
        log = directory / "service.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "cmdb.cli", "serve", "--data", str(directory), "--port", str(port)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
            )
        service = cls(process, "", log, directory)
        try:
            service.url = service._await_address()
        except ServiceFailed as error:
            service.stop()
            if port and _CANNOT_LISTEN in str(error):
                return cls._launch(directory, 0)
            raise
        except BaseException:
            service.stop()
            raise
        return service

    @property
    def token(self) -> str:
        """The admin token that the first start left."""
        try:
            return (self._directory / "admin-token").read_text().strip()
        except OSError as error:
            raise ServiceFailed(
                f"there is no token in {self._directory}/admin-token ({error.strerror}); remove {self._directory} and "
                "run the demo again"
            ) from None

    def wait(self) -> int:
        """Wait until it ends by itself; that is a failure, with Ctrl-C it does not come so far."""
        status = self._process.wait()
        raise ServiceFailed(f"it ended with status {status}; its log is {self._log}")

    def stop(self) -> None:
        """Stop it, cleanly if it lets itself be."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _await_address(self) -> str:
        """The address that the child itself tells; another service may answer at the one it was to have."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for line in self._log.read_text(errors="replace").splitlines():
                if '"serving"' in line and line.endswith("}"):
                    return str(json.loads(line)["url"])
            if self._process.poll() is not None:
                raise ServiceFailed(f"{self._last_words()}\n(the whole log: {self._log})")
            time.sleep(0.1)
        raise ServiceFailed(f"no answer within {START_SECONDS:g} s; {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-_LOG_LINES:]) or "its log is empty"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
