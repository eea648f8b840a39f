"""The watchdog: its child never outlives the owner, whichever of them is killed. A shell plays Neo4j."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmdb.store import neo4j_watchdog
from cmdb.store.data_directory import process_started

CHILD = ["sh", "-c", "trap 'echo stopped; exit 3' TERM; echo running; while :; do sleep 0.05; done"]
COMMAND = [sys.executable, "-I", "-S", neo4j_watchdog.__file__]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def watchdog(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([*COMMAND, log, *CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def child_of(watchdog: subprocess.Popen[bytes]) -> int:
    assert watchdog.stdout is not None
    return int(watchdog.stdout.readline())


def await_text(log: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while not log.exists() or text not in log.read_text():
        assert time.monotonic() < deadline, f"{text!r} is not in {log}"
        time.sleep(0.02)


def test_closing_the_pipe_stops_the_child_cleanly(watchdog: subprocess.Popen[bytes], log: Path) -> None:
    child = child_of(watchdog)
    await_text(log, "running")
    assert watchdog.stdin is not None
    watchdog.stdin.close()
    assert watchdog.wait(10) == 3
    assert log.read_text() == "running\nstopped\n"
    assert process_started(child) is None


def test_killing_the_owner_stops_the_child_cleanly(log: Path) -> None:
    script = "import subprocess, sys; subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE).wait()"
    with subprocess.Popen(
        [sys.executable, "-c", script, *COMMAND, log, *CHILD], stdout=subprocess.PIPE
    ) as owner:
        child = child_of(owner)
        await_text(log, "running")
        owner.kill()
    await_text(log, "stopped")
    assert process_started(child) is None


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death"
)
def test_killing_the_watchdog_stops_the_child_cleanly(watchdog: subprocess.Popen[bytes], log: Path) -> None:
    child = child_of(watchdog)
    await_text(log, "running")
    watchdog.kill()
    await_text(log, "stopped")
    for _ in range(100):
        if process_started(child) is None:
            break
        time.sleep(0.05)
    assert process_started(child) is None


def test_a_killed_child_ends_the_watchdog_with_its_signal(watchdog: subprocess.Popen[bytes]) -> None:
    os.kill(child_of(watchdog), signal.SIGKILL)
    assert watchdog.wait(10) == 128 + signal.SIGKILL


def test_a_program_that_cannot_be_run_is_named_in_the_log(log: Path, tmp_path: Path) -> None:
    absent = tmp_path / "java"
    done = subprocess.run([*COMMAND, log, absent], stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stdout) == (127, b"")
    assert f"{absent} could not be run" in log.read_text()
