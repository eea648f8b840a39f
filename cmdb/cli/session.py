"""What every command has: its options in common, a client of the service, and names turned into items."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cmdb.cli.client import Access, Client
from cmdb.cli.records import ItemRecord
from cmdb.cli.terminal import Terminal
from cmdb.errors import BadRequest, NotFound
from cmdb.settings import Settings

ITEM = """
query Item($id: ID, $class: String, $name: String, $asOf: AsOf) {
  item(id: $id, class: $class, name: $name, asOf: $asOf) { id class name lifecycle layer }
}"""
NEAR_NAMES = """
query NearNames($text: String!, $asOf: AsOf) {
  search(text: $text, first: 3, asOf: $asOf) { nodes { class name } }
}"""

AT_LEAST = "query AtLeast($revision: Long!) { edges(first: 1, atLeast: $revision) { revision } }"
CLASSES = "query Classes { catalogue { classes } }"

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_BEFORE = "before:"
_DIGITS = 18
"""Of a revision."""
_CLASS_AND_NAME = re.compile(r"([A-Z][A-Za-z0-9]*)/(.+)", re.DOTALL)

JsonOption = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, one value a line.")]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="WHEN",
        help="A revision number, a time (RFC 3339), or before:ID, just before the first revision whose reason "
        "is that change. Default: now.",
    ),
]
ItemArgument = Annotated[str, typer.Argument(metavar="NAME", help="An id, a name, or Class/name.")]


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one command."""

    client: Client
    terminal: Terminal

    def resolve(self, name: str, as_of: dict[str, Any] | None = None) -> ItemRecord:
        """The item meant by an id, a name or Class/name.

        Raises `NotFound` (with near names, if there are any), and `Refused` AMBIGUOUS with the candidates.
        """
        variables: dict[str, Any] = {"asOf": as_of}
        if _ID.fullmatch(name):
            found = self.client.query(ITEM, variables | {"id": name})["item"]
        else:
            found = self.client.query(ITEM, variables | {"name": name})["item"]
            qualified = _CLASS_AND_NAME.fullmatch(name)
            if found is None and qualified:
                variables |= {"class": qualified[1], "name": qualified[2]}
                found = self.client.query(ITEM, variables)["item"]
        if found is None:
            raise NotFound("item", name, self.near(name, as_of))
        return item_record(found)

    def resolve_for_history(self, name: str) -> ItemRecord:
        """Like `resolve`, but an id is taken as it is, with an empty name: its item may be deleted."""
        try:
            return self.resolve(name)
        except NotFound:
            if not _ID.fullmatch(name):
                raise
            return {"id": name, "class": "", "name": ""}

    def sizes(self, class_name: str) -> frozenset[str]:
        """The attributes of a class that are numbers of bytes: pictures show them in readable units."""
        known = self.client.query(CLASSES)["catalogue"]["classes"].get(class_name, {"attributes": {}})
        return frozenset(name for name, entry in known["attributes"].items() if entry["type"] == "bytes")

    def near(self, name: str, as_of: dict[str, Any] | None) -> str:
        """The way out for a name that fits nothing: similar names, if there are any."""
        nodes = self.client.query(NEAR_NAMES, {"text": name, "asOf": as_of})["search"]["nodes"]
        near = ", ".join(f"{node['class']}/{node['name']}" for node in nodes)
        return f"did you mean {near}?" if near else "look it up with `cmdb find`"


@contextmanager
def session(json_lines: bool) -> Iterator[Session]:
    """A session with the service that the environment names, once it has the revision that is named there, if any."""
    access, revision = Access.from_environment(data_dir=Settings().data), least_revision(os.environ)
    with Client(access) as client:
        if revision is not None:
            client.query(AT_LEAST, {"revision": revision})
        yield Session(client, Terminal(json_lines=json_lines))


def least_revision(environment: Mapping[str, str]) -> int | None:
    """CMDB_AT_LEAST. Raises `BadRequest` for what is no revision."""
    text = environment.get("CMDB_AT_LEAST", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        raise BadRequest(f"CMDB_AT_LEAST is {text[:40]!r}; write the number of a revision")
    return int(text)


def as_of_input(text: str | None) -> dict[str, Any] | None:
    """The GraphQL input for `--as-of`. Raises `BadRequest` for what is no number, time or before:ID."""
    if text is None or text == "now":
        return None
    if text.isdecimal():
        return {"revision": int(text)}
    if re.match(r"\d{4}-\d\d-\d\d", text):
        return {"time": text if "T" in text else f"{text}T00:00:00Z"}
    if text.startswith(_BEFORE) and text != _BEFORE:
        return {"beforeChange": text.removeprefix(_BEFORE)}
    raise BadRequest(
        f"--as-of {text!r} is neither a revision number nor a time such as 2026-11-24T09:30:00Z nor before:ID"
    )


def item_record(node: Mapping[str, Any]) -> ItemRecord:
    """The record of an item that was read with `id class name lifecycle layer`."""
    return {
        "id": node["id"],
        "class": node["class"],
        "name": node["name"],
        "layer": node["layer"],
        "lifecycle": node["lifecycle"].lower(),
    }
