"""Reading small files of a machine: absent and forbidden ones are no error, but forbidden ones are remembered."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

READ_LIMIT = 16 * 1024 * 1024

JUNK = frozenset(
    [
        "default string",
        "to be filled by o.e.m.",
        "not specified",
        "not applicable",
        "not available",
        "system serial number",
        "system product name",
        "system manufacturer",
        "chassis serial number",
        "base board serial number",
        "03000200-0400-0500-0006-000700080009",
        "none",
        "n/a",
        "na",
        "unknown",
        "invalid",
        "oem",
        "o.e.m.",
        "0123456789",
        "123456789",
        "1234567890",
        "xxxxxxxxxx",
    ]
)
"""What makers write where a value should be; folded to lower case."""


class Machine:
    """The file tree of one machine; `unseen` collects what it would not let be read, in words.

    `complete` is False once whole things may be among that, and not only facts about them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unseen: dict[str, None] = {}
        self.complete = True

    @property
    def is_running(self) -> bool:
        """Whether it is the machine this process runs on, so that programs and system calls can be asked too."""
        return self.root == Path("/")

    def path(self, name: str) -> Path:
        """A path inside the tree."""
        return self.root / name.lstrip("/")

    def text(self, name: str, what: str = "") -> str | None:
        """A file's text without the blanks around it; None if it cannot be had. `what` names it if it is forbidden."""
        try:
            with self.path(name).open("rb") as file:
                return file.read(READ_LIMIT).decode("utf-8", "replace").strip().replace("\0", " ")
        except PermissionError:
            if what:
                self.miss(f"{what} (needs root)")
        except (OSError, ValueError):
            pass
        return None

    def lines(self, name: str) -> list[str]:
        """A file's lines; none if it cannot be read."""
        return (self.text(name) or "").splitlines()

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; none if it cannot be read."""
        try:
            return sorted(os.listdir(self.path(folder)))
        except OSError:
            return []

    def link(self, name: str) -> str | None:
        """Where a symbolic link leads, as written; None if it cannot be had."""
        try:
            return os.readlink(self.path(name))
        except OSError:
            return None

    def exists(self, name: str) -> bool:
        """Whether there is such a file or folder."""
        try:
            return self.path(name).exists()
        except OSError:
            return False

    def miss(self, what: str, *, things: bool = False) -> None:
        """Remember that something could not be seen; `things`: not only facts, but things that should be reported."""
        self.unseen[what] = None
        self.complete = self.complete and not things


def identifier(value: str | None) -> str | None:
    """A value that can tell things apart; None for what makers leave in its place."""
    if value is None:
        return None
    cleaned = " ".join(value.split())
    if cleaned.lower() in JUNK or not re.sub(r"[0fx.:\s-]", "", cleaned.lower()):
        return None
    return cleaned


def assignments(lines: list[str], separator: str = "=") -> Iterator[tuple[str, str]]:
    """`NAME=value` lines as pairs; quotes round a value are taken off."""
    for line in lines:
        name, found, value = line.partition(separator)
        if found and not name.lstrip().startswith("#"):
            yield name.strip(), value.strip().strip("\"'")
