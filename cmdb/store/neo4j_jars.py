"""The jars of the private Neo4j: which they are, and how they come into the user's cache, whole or not at all.

`neo4j_jars.lock`, beside this file, lists every jar with its size and SHA-256; nothing else comes onto Neo4j's class
path. The cache is shared by all checkouts and safe against several processes fetching at once (a file lock), a cut-off
download (each jar is renamed into place once its checksum holds; the next try fetches only what is missing) and a
damaged file (a jar of the wrong size is fetched anew). Fetching is one pass over a kept-alive connection pool: about
140 MB, 2 s from a near mirror, where resolving the dependencies at the user's would cost 47 s before the first byte.

`python -m cmdb.store.neo4j_jars 5.26.31` moves the lock to another release, with jgo's pure Python resolver: the one
place where Maven's rules for dependencies are followed, and run by developers only.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from cmdb.store.data_directory import exclusive_lock
from cmdb.store.local_server_errors import DiskFull, JarsUnavailable

NEO4J_VERSION = "5.26.30"
LOCK = Path(__file__).with_name("neo4j_jars.lock")
ROOTS = ("org.neo4j:neo4j", "org.neo4j.app:neo4j-server", "org.neo4j:neo4j-slf4j-provider")
CONNECTIONS = 8
TRIES = 3
TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of the lock: its coordinate (`group:artifact:version[:classifier]`), size in bytes, SHA-256 in hex."""

    coordinate: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name in a Maven repository, and in the cache."""
        _, artifact, version, *classifier = self.coordinate.split(":")
        return "-".join([artifact, version, *classifier]) + ".jar"

    @property
    def path(self) -> PurePosixPath:
        """Where a Maven repository keeps it."""
        group, artifact, version, *_ = self.coordinate.split(":")
        return PurePosixPath(*group.split("."), artifact, version, self.name)


def read_lock(path: Path = LOCK) -> tuple[Jar, ...]:
    """The jars that a lock file lists."""
    lines = (line.split() for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return tuple(Jar(coordinate, int(size), sha256) for coordinate, size, sha256 in lines)


def default_cache() -> Path:
    """The user's cache directory for this program, by the platform's convention."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cmdb"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cmdb"


def provide_jars(
    *,
    cache: Path | None = None,
    repository: str | None = None,
    progress: Console | None = None,
    jars: Sequence[Jar] | None = None,
) -> Path:
    """Make sure that all jars are in the cache, fetching what is missing; returns the directory they are in.

    `cache` and `repository` (the base address of a Maven repository, for networks with a mirror of their own) have
    defaults. With a `progress` console a download shows a bar there. When all is there it costs a millisecond.
    Raises JarsUnavailable and DiskFull.
    """
    wanted = read_lock() if jars is None else jars
    digest = hashlib.sha256("".join(jar.sha256 for jar in wanted).encode()).hexdigest()
    directory = (cache or default_cache()) / f"neo4j-{NEO4J_VERSION}-{digest[:8]}"
    try:
        if not _missing(directory, wanted):
            return directory
        directory.mkdir(parents=True, exist_ok=True)
        with exclusive_lock(directory / ".lock"):
            missing = _missing(
                directory, wanted
            )  # another process may have fetched them while this one waited
            if missing:
                _fetch_all(missing, directory, repository or _central(), progress, len(wanted))
    except OSError as error:
        raise JarsUnavailable(len(wanted), len(wanted), directory, str(error)) from error
    return directory


def _missing(directory: Path, jars: Sequence[Jar]) -> list[Jar]:
    try:
        with os.scandir(directory) as entries:
            sizes = {entry.name: entry.stat().st_size for entry in entries}
    except FileNotFoundError:
        return list(jars)
    return [jar for jar in jars if sizes.get(jar.name) != jar.size]


def _central() -> str:
    # Imported late: only a download needs it, and it costs 0.2 s.
    from jgo.constants import MAVEN_CENTRAL_URL

    return MAVEN_CENTRAL_URL


def _fetch_all(
    missing: Sequence[Jar], directory: Path, repository: str, progress: Console | None, total: int
) -> None:
    needed = sum(jar.size for jar in missing)
    usage = os.statvfs(directory)
    if usage.f_bavail * usage.f_frsize < needed:
        raise DiskFull(directory, usage.f_bavail * usage.f_frsize, needed)
    for leftover in directory.glob("*.part"):
        leftover.unlink()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=progress or Console(quiet=True),
        disable=progress is None,
    )
    stop = threading.Event()
    with (
        bar,
        httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=True) as client,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):
        task = bar.add_task(f"Neo4j {NEO4J_VERSION}, first start only", total=needed)
        count = lambda size: bar.advance(task, size)  # noqa: E731 - one expression, one use
        largest_first = sorted(missing, key=lambda jar: -jar.size)
        fetches = [
            pool.submit(_fetch, client, repository, jar, directory, count, stop) for jar in largest_first
        ]
        done, _ = wait(fetches, return_when=FIRST_EXCEPTION)
        failure = next((error for fetch in done if (error := fetch.exception())), None)
        if failure is not None:
            stop.set()
            pool.shutdown(cancel_futures=True)
    if isinstance(failure, (httpx.HTTPError, ValueError)):
        raise JarsUnavailable(len(_missing(directory, missing)), total, directory, str(failure)) from failure
    if failure is not None:
        raise failure


def _fetch(
    client: httpx.Client,
    repository: str,
    jar: Jar,
    directory: Path,
    count: Callable[[int], None],
    stop: threading.Event,
) -> None:
    """Fetch one jar into place, trying again where that may help; raises what the last try failed with."""
    address = f"{repository.rstrip('/')}/{jar.path}"
    for attempt in range(1, TRIES + 1):
        received = 0
        partial = directory / f"{jar.name}.part"
        digest = hashlib.sha256()
        try:
            with client.stream("GET", address) as response, open(partial, "wb") as file:
                response.raise_for_status()
                for chunk in response.iter_bytes():
                    received += len(chunk)
                    if stop.is_set() or received > jar.size:
                        break
                    digest.update(chunk)
                    file.write(chunk)
                    count(len(chunk))
                file.flush()
                os.fsync(file.fileno())
            if stop.is_set():
                return
            if digest.hexdigest() != jar.sha256:
                raise ValueError(f"{address} is not the file that {LOCK.name} names (SHA-256 differs)")
        except (httpx.HTTPError, ValueError) as error:
            count(-min(received, jar.size))
            if attempt == TRIES or stop.is_set():
                raise
            if (
                isinstance(error, httpx.HTTPStatusError)
                and error.response.status_code == httpx.codes.NOT_FOUND
            ):
                raise
            time.sleep(0.5 * attempt)
        else:
            partial.replace(directory / jar.name)
            return
        finally:
            partial.unlink(missing_ok=True)


def resolve(version: str, cache: Path) -> tuple[Jar, ...]:
    """Resolve and fetch the jars of a Neo4j release with jgo, into `cache`; for making a lock."""
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=cache)
    roots = [context.create_dependency(f"{root}:{version}") for root in ROOTS]
    inputs, transitive = context.resolver.resolve(roots)
    jars = []
    for dependency in [*inputs, *transitive]:
        artifact = dependency.artifact
        content = artifact.resolve().read_bytes()
        parts = [artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier]
        coordinate = ":".join(part for part in parts if part)
        jars.append(Jar(coordinate, len(content), hashlib.sha256(content).hexdigest()))
    return tuple(sorted(jars, key=lambda jar: jar.coordinate))


def write_lock(version: str, jars: Sequence[Jar], path: Path = LOCK) -> None:
    """Write a lock file that `read_lock` reads."""
    head = f"# Neo4j {version}: coordinate, size in bytes, SHA-256. Made by python -m cmdb.store.neo4j_jars {version}\n"
    path.write_text(head + "".join(f"{jar.coordinate} {jar.size} {jar.sha256}\n" for jar in jars))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        write_lock(sys.argv[1], resolve(sys.argv[1], Path(scratch)))
    print(f"{LOCK} is for Neo4j {sys.argv[1]} now; set NEO4J_VERSION in {__file__} to the same")
