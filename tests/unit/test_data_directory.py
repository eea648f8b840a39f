"""Who owns a data directory, what store is in it, and what is done about processes left behind; no Neo4j needed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmdb.store.data_directory import DataDirectory, process_started
from cmdb.store.local_server_errors import (
    DataDirectoryOwned,
    DataDirectoryUnusable,
    DiskFull,
    ForeignStore,
    StoreVersionMismatch,
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[DataDirectory]:
    claimed = DataDirectory.claim(tmp_path / "data")
    yield claimed
    claimed.release()


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def store(directory: DataDirectory, **record: str) -> None:
    (directory.home / "store.json").write_text(json.dumps(record))


def test_a_second_owner_is_told_who_the_first_is(directory: DataDirectory) -> None:
    with pytest.raises(DataDirectoryOwned, match=rf"in use by process {os.getpid()} on .*--data") as caught:
        DataDirectory.claim(directory.home.parent)
    assert caught.value.pid == os.getpid()


def test_an_owner_that_was_killed_is_none(tmp_path: Path) -> None:
    claim = "from pathlib import Path; import sys, time; from cmdb.store.data_directory import DataDirectory"
    script = f"{claim}; d = DataDirectory.claim(Path(sys.argv[1])); print('mine', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"mine\n"
        with pytest.raises(DataDirectoryOwned, match=f"process {owner.pid}"):
            DataDirectory.claim(tmp_path)
        owner.kill()
    DataDirectory.claim(tmp_path).release()


def test_a_lock_whose_recorded_owner_is_another_process_by_now_says_so(
    directory: DataDirectory, sleeper: subprocess.Popen[bytes]
) -> None:
    record = {"pid": sleeper.pid, "started": "long ago", "host": "here"}
    (directory.home / "owner.lock").write_text(json.dumps(record))
    with pytest.raises(
        DataDirectoryOwned, match=f"recorded owner, process {sleeper.pid} on here, is not running"
    ):
        DataDirectory.claim(directory.home.parent)


def test_a_released_directory_can_be_claimed_again(directory: DataDirectory) -> None:
    directory.release()
    directory.release()
    again = DataDirectory.claim(directory.home.parent)
    assert again.home == directory.home
    with pytest.raises(DataDirectoryOwned):
        DataDirectory.claim(directory.home.parent)
    again.release()


def test_a_path_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirectoryUnusable, match=r"file.*: Not a directory; make it writable"):
        DataDirectory.claim(tmp_path / "file")


def test_a_file_system_that_cannot_be_written_is_named(read_only: Path) -> None:
    with pytest.raises(DataDirectoryUnusable, match="Read-only file system"):
        DataDirectory.claim(read_only / "data")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", tmp_path]).returncode
    ):
        pytest.skip("needs the right to mount a read-only file system")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_nobody_else_may_look_inside(directory: DataDirectory) -> None:
    directory.password()
    assert stat.S_IMODE(directory.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory.home / "password").stat().st_mode) == 0o600


def test_the_password_is_random_and_stays(directory: DataDirectory, tmp_path: Path) -> None:
    other = DataDirectory.claim(tmp_path / "other")
    try:
        assert directory.password() == directory.password() != other.password()
        assert len(directory.password()) >= 43
    finally:
        other.release()


def test_a_store_without_its_password_is_not_opened(directory: DataDirectory) -> None:
    store(directory, state="ready", neo4j="5.26.30")
    with pytest.raises(ForeignStore, match=r"password is gone.*backup"):
        directory.password()


def test_a_store_that_was_not_made_here_is_not_touched(directory: DataDirectory) -> None:
    (directory.home / "data" / "databases" / "neo4j").mkdir(parents=True)
    with pytest.raises(ForeignStore, match="was not made here"):
        directory.check_store("5.26.30")


@pytest.mark.parametrize("found", ["5.27.0", "2025.1.0"])
def test_a_store_of_a_newer_neo4j_is_not_opened(directory: DataDirectory, found: str) -> None:
    store(directory, state="ready", neo4j=found)
    with pytest.raises(
        StoreVersionMismatch, match=rf"made by Neo4j {found}, this CMDB brings 5\.26\.30; use the newer"
    ):
        directory.check_store("5.26.30")


def test_a_store_of_an_older_major_version_is_not_opened(directory: DataDirectory) -> None:
    store(directory, state="ready", neo4j="4.4.44")
    with pytest.raises(StoreVersionMismatch, match=r"4\.4\.44.*neo4j-admin database migrate"):
        directory.check_store("5.26.30")


@pytest.mark.parametrize("found", ["5.20.0", "5.26.12", "5.26.30", "5.26.99"])
def test_a_store_of_the_same_line_is_opened(directory: DataDirectory, found: str) -> None:
    store(directory, state="ready", neo4j=found)
    directory.check_store("5.26.30")


def test_a_store_is_new_until_it_is_finished(directory: DataDirectory) -> None:
    directory.begin_store("5.26.30")
    (directory.home / "data").mkdir()
    assert directory.is_new
    directory.finish_store("5.26.30")
    assert not directory.is_new


def test_the_remains_of_a_first_start_that_never_came_up_are_dropped(directory: DataDirectory) -> None:
    directory.begin_store("5.26.30")
    (directory.home / "data" / "databases").mkdir(parents=True)
    directory.check_store("5.26.30")
    directory.begin_store("5.26.30")
    assert not (directory.home / "data").exists()


def test_too_little_room_is_told_in_megabytes(directory: DataDirectory) -> None:
    with pytest.raises(DiskFull, match=r"MB free, 1000000000 MB are needed"):
        directory.check_room(10**15)


def test_a_process_left_behind_is_ended(directory: DataDirectory, sleeper: subprocess.Popen[bytes]) -> None:
    directory.record_server(sleeper.pid)
    assert directory.end_orphan() == sleeper.pid
    assert sleeper.wait(5) < 0
    assert directory.end_orphan() is None


def test_a_process_that_merely_has_the_same_id_is_left_alone(
    directory: DataDirectory, sleeper: subprocess.Popen[bytes]
) -> None:
    record = {"pid": sleeper.pid, "started": f"{process_started(sleeper.pid)}0"}
    (directory.home / "server.json").write_text(json.dumps(record))
    assert directory.end_orphan() is None
    assert sleeper.poll() is None


def test_a_process_that_has_ended_has_no_start(sleeper: subprocess.Popen[bytes]) -> None:
    assert process_started(sleeper.pid) == process_started(sleeper.pid) is not None
    sleeper.kill()
    sleeper.wait()
    assert process_started(sleeper.pid) is None
