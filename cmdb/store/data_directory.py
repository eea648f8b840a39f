"""The private Neo4j's part of a data directory: one owner, one password, and what is known of the store in it.

    DATA/neo4j/             mode 0700; also Neo4j's home directory
        owner.lock          locked by the owner for as long as it lives (the kernel frees it); says who that is
        password            mode 0600
        store.json          {"state": "creating" | "ready", "neo4j": version}
        server.json         {"pid", "started"} of the running Neo4j, to find it again if its owner is killed
        conf/ data/ logs/   Neo4j's own

A process is known by its id and the time it started, since ids are used again. Nothing here starts Neo4j.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cmdb.store.local_server_errors import (
    ELSEWHERE,
    DataDirectoryOwned,
    DataDirectoryUnusable,
    DiskFull,
    ForeignStore,
    StoreVersionMismatch,
)

STOP_SECONDS = 30.0
"""How long a Neo4j without an owner has to stop cleanly before it is killed."""


def process_started(pid: int) -> str | None:
    """A mark of when process `pid` started, the same for as long as it lives; None if there is no such process.

    On Linux clock ticks since boot and the boot's id, which setting the clock does not move; elsewhere what ps says.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"
    seen = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)  # noqa: S607
    return seen.stdout.strip() or None


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold `path` (created if need be) locked against other processes; waits for its turn."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _flock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


def _flock(descriptor: int, *, wait: bool) -> None:
    """Lock; raises BlockingIOError when another holds it and `wait` is false."""
    import fcntl  # not on Windows, where this module must still import

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def make_durable(directory: Path) -> None:
    """Flush every file and directory below `directory` to the disk."""
    for folder, _, files in os.walk(directory, topdown=False):
        for path in [*(Path(folder, file) for file in files), Path(folder)]:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def write_durably(path: Path, text: str) -> None:
    """Replace a file by one with mode 0600, in one step that survives a power cut."""
    temporary = path.with_name(f".{path.name}.new")
    with open(temporary, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    make_durable_entry(path.parent)


def make_durable_entry(directory: Path) -> None:
    """Flush a directory's own entries (names) to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


class DataDirectory:
    """A data directory that this process owns from `claim` to `release`."""

    def __init__(self, home: Path, lock: int) -> None:
        self.home = home
        self._lock = lock

    @classmethod
    def claim(cls, data_dir: Path) -> DataDirectory:
        """Become the owner of `data_dir`, created if need be.

        Raises DataDirectoryOwned while another process is, and DataDirectoryUnusable. An owner that died, in whatever
        way, is none: the kernel gave its lock back.
        """
        home = data_dir.absolute() / "neo4j"
        lock = -1
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(home / "owner.lock", os.O_RDWR | os.O_CREAT, 0o600)
            _flock(lock, wait=False)
            own = {
                "pid": os.getpid(),
                "started": process_started(os.getpid()),
                "host": socket.gethostname(),
            }
            os.ftruncate(lock, 0)
            os.pwrite(lock, json.dumps(own).encode(), 0)
        except BlockingIOError:
            os.close(lock)
            owner = _read_record(home / "owner.lock")
            pid = int(owner.get("pid", 0))
            alive = owner.get("started") is not None and process_started(pid) == owner["started"]
            raise DataDirectoryOwned(data_dir, pid, str(owner.get("host", "?")), alive) from None
        except OSError as error:
            if lock >= 0:
                os.close(lock)
            raise DataDirectoryUnusable(data_dir, error.strerror or str(error)) from error
        return cls(home, lock)

    def release(self) -> None:
        """Give the directory free. Harmless when done twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @property
    def is_new(self) -> bool:
        """Whether no store in it has ever been ready for use."""
        return bool(_read_record(self.home / "store.json").get("state") != "ready")

    def check_store(self, version: str) -> None:
        """Make sure that Neo4j `version` may open what is here; raises StoreVersionMismatch and ForeignStore.

        Neo4j brings a store of an older release of its own major version up to date by itself.
        """
        store = _read_record(self.home / "store.json")
        if not store:
            if (self.home / "data" / "databases").exists():
                raise ForeignStore(
                    f"{self.home / 'data'} holds a Neo4j store and no store.json is beside it: it was not made here; "
                    f"put store.json back if you moved the store, give an empty --data directory, {ELSEWHERE}"
                )
            return
        found, own = (tuple(int(part) for part in v.split(".")[:2]) for v in (str(store["neo4j"]), version))
        if found > own:
            raise StoreVersionMismatch(
                self.home,
                str(store["neo4j"]),
                version,
                "use the newer CMDB that made it, or restore a backup",
            )
        if found[0] < own[0]:
            raise StoreVersionMismatch(
                self.home, str(store["neo4j"]), version, "migrate it with neo4j-admin database migrate first"
            )

    def begin_store(self, version: str) -> None:
        """Make ready for a first start: drop the remains of one that never came up, and note that one is on its way.

        Nothing of value is lost: until `finish_store` no client was told of the server.
        """
        if _read_record(self.home / "store.json").get("state") == "creating":
            shutil.rmtree(self.home / "data", ignore_errors=True)
        write_durably(self.home / "store.json", json.dumps({"state": "creating", "neo4j": version}))
        make_durable_entry(self.home.parent)

    def finish_store(self, version: str) -> None:
        """Note that the store is good and on the disk, whatever happens next."""
        if _read_record(self.home / "store.json") == {"state": "ready", "neo4j": version}:
            return
        make_durable(self.home / "data")
        write_durably(self.home / "store.json", json.dumps({"state": "ready", "neo4j": version}))

    def password(self) -> str:
        """The password of Neo4j's only user; made on the first call, for a store not yet created.

        Raises ForeignStore when there is a store and no password for it.
        """
        path = self.home / "password"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            pass
        if not self.is_new:
            raise ForeignStore(
                f"{path} is gone, and without it the store beside it cannot be opened; put it back from a backup, give "
                f"another --data directory, {ELSEWHERE}"
            )
        password = secrets.token_urlsafe(32)
        write_durably(path, password + "\n")
        return password

    def write_credential(self, user: str, password: str) -> None:
        """Hand the first password to a Neo4j that has not been started yet.

        Written as `neo4j-admin dbms set-initial-password` does (salted SHA-256, iterated), but never on a command line,
        where other users could read it.
        """
        salt = secrets.token_bytes(32)
        digest = hashlib.sha256(salt + password.encode()).digest()
        for _ in range(1023):
            digest = hashlib.sha256(digest).digest()
        folder = self.home / "data" / "dbms"
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / "auth.ini", f"{user}:SHA-256,{digest.hex()},{salt.hex()},1024:\n")

    def check_room(self, needed: int) -> None:
        """Raise DiskFull if fewer than `needed` bytes are free."""
        usage = os.statvfs(self.home)
        free = usage.f_bavail * usage.f_frsize
        if free < needed:
            raise DiskFull(self.home, free, needed)

    def record_server(self, pid: int) -> None:
        """Note which process is Neo4j here."""
        (self.home / "server.json").write_text(json.dumps({"pid": pid, "started": process_started(pid)}))

    def end_orphan(self) -> int | None:
        """End the Neo4j that an earlier owner left running, cleanly if it lets itself be; returns its process id."""
        server = _read_record(self.home / "server.json")
        pid, started = int(server.get("pid", 0)), server.get("started")
        if started is None or process_started(pid) != started:
            return None
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if process_started(pid) != started:
                    return pid
                time.sleep(0.05)
        raise DataDirectoryOwned(self.home.parent, pid, socket.gethostname(), alive=True)
