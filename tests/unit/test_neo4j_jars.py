"""The jar cache: whole or not at all, whatever happens to a download. A repository on the loopback plays the world."""

from __future__ import annotations

import hashlib
import http.server
import multiprocessing
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmdb.store.local_server_errors import JarsUnavailable
from cmdb.store.neo4j_jars import LOCK, NEO4J_VERSION, ROOTS, Jar, provide_jars, read_lock

CONTENTS = {f"org.example:part{n}:1.{n}": bytes([n]) * (50_000 + n) for n in range(12)}
JARS = tuple(
    Jar(coordinate, len(content), hashlib.sha256(content).hexdigest())
    for coordinate, content in CONTENTS.items()
)


class Repository:
    """Serves CONTENTS and counts the requests; `cut` and `spoilt` name jars to break off, or to send changed."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.cut: set[str] = set()
        self.spoilt: set[str] = set()
        self.by_path = {f"/{jar.path}": (jar, CONTENTS[jar.coordinate]) for jar in JARS}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                jar, content = outer.by_path[self.path]
                outer.asked[jar.name] += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if jar.name in outer.cut:
                    self.wfile.write(content[: len(content) // 2])
                    self.close_connection = True
                elif jar.name in outer.spoilt:
                    self.wfile.write(b"?" * len(content))
                else:
                    self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def repository() -> Iterator[Repository]:
    serving = Repository()
    threading.Thread(target=serving.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield serving
    serving.server.shutdown()
    serving.server.server_close()


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != ".lock"}


WHOLE = {jar.name: CONTENTS[jar.coordinate] for jar in JARS}


def test_the_lock_names_the_roots_at_the_pinned_version() -> None:
    coordinates = {jar.coordinate for jar in read_lock()}
    assert {f"{root}:{NEO4J_VERSION}" for root in ROOTS} <= coordinates


def test_the_lock_names_each_file_once_and_no_address() -> None:
    jars = read_lock()
    assert len({jar.name for jar in jars}) == len(jars) > 200
    assert "://" not in LOCK.read_text()


def test_a_classifier_is_part_of_the_file_name() -> None:
    jar = Jar("io.netty:netty-x:4.1:linux-x86_64", 1, "")
    assert str(jar.path) == "io/netty/netty-x/4.1/netty-x-4.1-linux-x86_64.jar"


def test_all_jars_are_fetched_once_and_then_found(tmp_path: Path, repository: Repository) -> None:
    first = provide_jars(cache=tmp_path, repository=repository.address, jars=JARS)
    assert contents(first) == WHOLE
    assert provide_jars(cache=tmp_path, repository=repository.address, jars=JARS) == first
    assert repository.asked == Counter(jar.name for jar in JARS)


def test_a_cut_off_download_leaves_no_part_and_the_next_try_goes_on(
    tmp_path: Path, repository: Repository
) -> None:
    repository.cut = {JARS[3].name}
    with pytest.raises(JarsUnavailable, match=r"of Neo4j's 12 jars are not in") as caught:
        provide_jars(cache=tmp_path, repository=repository.address, jars=JARS)
    (directory,) = tmp_path.iterdir()
    kept = contents(directory)
    assert kept.items() <= WHOLE.items()
    assert caught.value.missing == len(JARS) - len(kept)
    repository.cut.clear()
    repository.asked.clear()
    assert contents(provide_jars(cache=tmp_path, repository=repository.address, jars=JARS)) == WHOLE
    assert repository.asked == Counter(jar.name for jar in JARS if jar.name not in kept)


def test_a_jar_with_another_checksum_never_enters_the_cache(tmp_path: Path, repository: Repository) -> None:
    repository.spoilt = {JARS[5].name}
    with pytest.raises(JarsUnavailable, match="SHA-256 differs"):
        provide_jars(cache=tmp_path, repository=repository.address, jars=JARS)
    (directory,) = tmp_path.iterdir()
    assert contents(directory).items() <= WHOLE.items()


def test_a_damaged_jar_is_fetched_anew(tmp_path: Path, repository: Repository) -> None:
    directory = provide_jars(cache=tmp_path, repository=repository.address, jars=JARS)
    (directory / JARS[0].name).write_bytes(b"half")
    repository.asked.clear()
    assert contents(provide_jars(cache=tmp_path, repository=repository.address, jars=JARS)) == WHOLE
    assert repository.asked == Counter([JARS[0].name])


def test_two_processes_at_once_fetch_each_jar_once(tmp_path: Path, repository: Repository) -> None:
    arguments = {"cache": tmp_path, "repository": repository.address, "jars": JARS}
    context = multiprocessing.get_context("spawn")
    both = [context.Process(target=provide_jars, kwargs=arguments) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]
    (directory,) = tmp_path.iterdir()
    assert contents(directory) == WHOLE
    assert repository.asked == Counter(jar.name for jar in JARS)


def test_without_a_network_the_error_says_what_is_missing_and_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(JarsUnavailable, match=r"12 of Neo4j's 12 jars .*CMDB_NEO4J_URI"):
            provide_jars(cache=tmp_path, repository=address, jars=JARS)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, repository: Repository) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JarsUnavailable, match="file"):
        provide_jars(cache=tmp_path / "file", repository=repository.address, jars=JARS)
