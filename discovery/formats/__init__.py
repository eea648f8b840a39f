"""Every format in which a report may come, each one module with the same two verbs, and one line in the registry.

To add a format: write `discovery/formats/<name>.py` with `recognises` and `parse`, and add it to `FORMATS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cmdb.errors import BadRequest
from discovery.formats import observation_json
from discovery.observation import Observation

HEAD = 65_536
"""How many bytes of a report a format may look at to recognise it."""


class Format(Protocol):
    """What a format's module offers."""

    def recognises(self, head: bytes, name: str) -> bool:
        """Whether a report that begins with `head` (at most `HEAD` bytes), in a file `name`, is of the format."""
        ...

    def parse(self, body: bytes) -> Observation:
        """The Observation in `body`.

        Raises:
            ValidationFailed: it is not of the format; every problem with its place.
        """
        ...


FORMATS: Mapping[str, Format] = {
    "observation": observation_json,
}
"""The formats by their names in `/ingest/{format}` and `cmdb import --format`, in the order in which they are tried."""


def recognise(body: bytes, name: str = "") -> str:
    """The name of the format of a report, judged by its content (and by the name of its file, where a format cares).

    Raises:
        BadRequest: no format knows it.
    """
    head = body[:HEAD]
    for format_name, reader in FORMATS.items():
        if reader.recognises(head, name):
            return format_name
    raise BadRequest(f"no format recognises {name or 'the report'}; name one of {', '.join(FORMATS)}")


def parse(body: bytes, format_name: str) -> Observation:
    """The Observation in a report of that format.

    Raises:
        BadRequest: there is no such format.
        ValidationFailed: the report is not of that format; every problem with its place.
    """
    reader = FORMATS.get(format_name)
    if reader is None:
        raise BadRequest(f"no format {format_name[:40]!r}; name one of {', '.join(FORMATS)}")
    return reader.parse(body)
