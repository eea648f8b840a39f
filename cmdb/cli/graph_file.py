"""`--format` and `--output`: an answer as a graph for other programs, as the service writes it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cmdb.cli.session import Session


class GraphFormat(StrEnum):
    """The contract's `GraphFormat`."""

    GRAPHML = "graphml"
    DOT = "dot"
    MERMAID = "mermaid"
    JSON = "json"


FormatOption = Annotated[
    GraphFormat | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Print a graph for other programs instead: graphml, dot, mermaid or json.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where --format writes. Default: standard output."),
]


def require_format(form: GraphFormat | None, output: Path | None) -> None:
    """Raise a usage error for a file without a format: pictures for the terminal are not written to files."""
    if output is not None and form is None:
        raise typer.BadParameter("give --format too: graphml, dot, mermaid or json", param_hint="--output")


def write_graph(s: Session, text: str, output: Path | None, *, truncated: bool) -> None:
    """Write the text as it came, to the file or to standard output, and note if there is more.

    Raises a usage error for a file that cannot be written.
    """
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        try:
            with output.open("w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
        except OSError as error:
            raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
    if truncated:
        s.terminal.note("there is more than was written: raise --limit")


class BulkForm(StrEnum):
    """The forms of `/bulk/impact`."""

    JSONL = "jsonl"
    ARROW = "arrow"


_MEDIA_TYPES = {
    BulkForm.JSONL: "application/x-ndjson",
    BulkForm.ARROW: "application/vnd.apache.arrow.stream",
}


def write_bulk(s: Session, question: Mapping[str, Any], form: BulkForm, output: Path | None) -> None:
    """Write the whole answer as it comes. Raises a usage error for a file that cannot be written."""
    if output is None and form is BulkForm.ARROW:
        raise typer.BadParameter("give --output: Arrow is not for a terminal", param_hint="--bulk")
    pieces = s.client.stream("/bulk/impact", question, _MEDIA_TYPES[form])
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    try:
        with output.open("wb") as file:
            for piece in pieces:
                file.write(piece)
    except OSError as error:
        raise typer.BadParameter(f"{output}: {error.strerror}", param_hint="--output") from None
