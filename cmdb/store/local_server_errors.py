"""What can go wrong with the private Neo4j, as one tree; the message says what was seen, where, and the way out.

CmdbError
 +- LocalServerError
     +- DataDirectoryOwned      another live process serves this data directory
     +- DataDirectoryUnusable   it cannot be created, read or written
     +- ForeignStore            it holds a store that this CMDB did not make, or whose password is lost
     +- StoreVersionMismatch    its store was made by a Neo4j that this one cannot open
     +- PortTaken               something else listens on the port
     +- DiskFull                too little room to start, or to go on
     +- JarsUnavailable         Neo4j's jars are not in the cache and could not be fetched
     +- StartFailed             Neo4j ended or stayed silent for a reason not named above
     +- UnsupportedPlatform     the private server needs a POSIX system
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmdb.errors import CmdbError

ELSEWHERE = "or set CMDB_NEO4J_URI to use a Neo4j of your own"


class LocalServerError(CmdbError):
    """The private Neo4j cannot run; the base of all below."""

    code = "LOCAL_SERVER"


class DataDirectoryOwned(LocalServerError):
    """Another process holds the data directory. `pid` is its owner as recorded (0 if it left no record)."""

    code = "LOCAL_SERVER_OWNED"

    def __init__(self, directory: Path, pid: int, host: str, alive: bool) -> None:
        if alive:
            seen = f"is in use by process {pid} on {host}"
        elif pid:
            seen = f"is locked, though its recorded owner, process {pid} on {host}, is not running here"
        else:
            seen = "is locked by a process that left no record"
        super().__init__(
            f"data directory {directory} {seen}; use the service that already runs, stop it first, or start this one "
            "with another --data directory"
        )
        self.directory = directory
        self.pid = pid

    def facts(self) -> Mapping[str, Any]:
        """Directory and owner."""
        return {"directory": str(self.directory), "pid": self.pid}


class DataDirectoryUnusable(LocalServerError):
    """The data directory cannot be created or written."""

    code = "LOCAL_SERVER_DIRECTORY"

    def __init__(self, directory: Path, reason: str) -> None:
        super().__init__(
            f"data directory {directory} cannot be used: {reason}; make it writable for this user, or give another one "
            "with --data"
        )
        self.directory = directory

    def facts(self) -> Mapping[str, Any]:
        """The directory."""
        return {"directory": str(self.directory)}


class ForeignStore(LocalServerError):
    """The store under the data directory is not ours to open."""

    code = "LOCAL_SERVER_FOREIGN_STORE"


class StoreVersionMismatch(LocalServerError):
    """The store was made by Neo4j `found`; this CMDB brings `expected`."""

    code = "LOCAL_SERVER_VERSION"

    def __init__(self, directory: Path, found: str, expected: str, way_out: str) -> None:
        super().__init__(
            f"the store in {directory} was made by Neo4j {found}, this CMDB brings {expected}; {way_out}"
        )
        self.found = found
        self.expected = expected

    def facts(self) -> Mapping[str, Any]:
        """Both versions."""
        return {"found": self.found, "expected": self.expected}


class PortTaken(LocalServerError):
    """Something else listens on the loopback port."""

    code = "LOCAL_SERVER_PORT"

    def __init__(self, port: int) -> None:
        super().__init__(
            f"port {port} on 127.0.0.1 is taken by another program; stop that one, choose another port, or give none, "
            "so that a free one is chosen"
        )
        self.port = port

    def facts(self) -> Mapping[str, Any]:
        """The port."""
        return {"port": self.port}


class DiskFull(LocalServerError):
    """Too little room: `free` and `needed` are in bytes. Neo4j writes nothing more until there is some."""

    code = "LOCAL_SERVER_DISK_FULL"

    def __init__(self, directory: Path, free: int, needed: int) -> None:
        super().__init__(
            f"the disk of {directory} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed; free some space "
            "and try again (nothing acknowledged is lost), or move the directory to a larger disk"
        )
        self.free = free
        self.needed = needed

    def facts(self) -> Mapping[str, Any]:
        """Both sizes, in bytes."""
        return {"free": self.free, "needed": self.needed}


class JarsUnavailable(LocalServerError):
    """Neo4j's jars could not be fetched; what arrived whole is kept, so a later try goes on from there."""

    code = "LOCAL_SERVER_JARS"
    retryable = True

    def __init__(self, missing: int, total: int, cache: Path, reason: str) -> None:
        super().__init__(
            f"{missing} of Neo4j's {total} jars are not in {cache} and could not be fetched: {reason}; the first start "
            f"needs the network (HTTPS_PROXY is honoured): try again when it is there, {ELSEWHERE}"
        )
        self.missing = missing

    def facts(self) -> Mapping[str, Any]:
        """How many are missing."""
        return {"missing": self.missing}


class StartFailed(LocalServerError):
    """Neo4j did not come up; `log` is where it says why."""

    code = "LOCAL_SERVER_START"

    def __init__(self, reason: str, log: Path, excerpt: str = "") -> None:
        ends = f", which ends:\n{excerpt}" if excerpt else ""
        super().__init__(f"Neo4j did not come up: {reason}; see {log}{ends}")
        self.log = log

    def facts(self) -> Mapping[str, Any]:
        """The log file."""
        return {"log": str(self.log)}


class UnsupportedPlatform(LocalServerError):
    """This operating system lacks what the private server needs (file locks and signals)."""

    code = "LOCAL_SERVER_PLATFORM"

    def __init__(self, platform: str) -> None:
        super().__init__(
            f"the private Neo4j runs on Linux and macOS, not on {platform}; start Neo4j yourself (docker-compose.yml "
            "has one) and set CMDB_NEO4J_URI"
        )
