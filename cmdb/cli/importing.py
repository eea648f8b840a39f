"""`cmdb import`: bringing in what files say."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from cmdb.cli.client import Client, Refused
from cmdb.cli.exit_status import ExitStatus
from cmdb.cli.records import ImportRecord, RefusalRecord
from cmdb.cli.session import JsonOption, session
from cmdb.cli.terminal import Terminal, plural, shown
from cmdb.errors import BadRequest

_REFUSALS_SHOWN = 10
_OF_THE_FILE = frozenset(
    {
        "BAD_REQUEST",
        "VALIDATION_FAILED",
        "INVALID_VALUE",
        "BODY_TOO_LARGE",
        "UNSUPPORTED_MEDIA_TYPE",
        "CONFLICT",
        "IDENTITY_TAKEN",
    }
)
"""Codes that say something of one file; after any other the rest need not be tried."""


def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files; `-` is standard input.")],
    format_name: Annotated[
        str,
        typer.Option("--format", metavar="FORMAT", help="The files' format; auto: recognised by content."),
    ] = "auto",
    source: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Report it as this source, not as the one the file names."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would happen; write nothing.")
    ] = False,
    json_lines: JsonOption = False,
) -> None:
    """Take in files: inventories, exports, Observations.

    One answer a file, in the order given. A file is taken whole or not at all; the exit status is 1 if one was refused.
    """
    missing = [file for file in files if str(file) != "-" and not file.is_file()]
    if missing:
        raise typer.BadParameter(f"no file {', '.join(map(str, missing))}")
    with session(json_lines) as s, progress_bar(s.terminal) as progress:
        task = progress.add_task("", total=len(files))
        refused = False
        for file in files:
            progress.update(task, description=shown(file.name))
            record = import_one(s.client, str(file), _read(file), format_name, source=source, dry_run=dry_run)
            refused = refused or bool(record["refused"])
            s.terminal.answer(record, import_picture(record, dry_run=dry_run))
            progress.advance(task)
    if refused:
        raise typer.Exit(ExitStatus.REFUSED)


def import_one(
    client: Client,
    file: str,
    content: bytes,
    format_name: str,
    *,
    source: str | None = None,
    dry_run: bool = False,
) -> ImportRecord:
    """Send one file's content; a refusal of the file is part of the answer, any other is raised."""
    parameters = {"name": Path(file).name} | ({"source": source} if source else {})
    if dry_run:
        parameters["dry_run"] = "true"
    try:
        answer = client.ingest(format_name, content, parameters, "application/octet-stream")
    except Refused as error:
        if error.code not in _OF_THE_FILE:
            raise
        return _record(
            file, {"format": None if format_name == "auto" else format_name, "refused": _refusals(error)}
        )
    return _record(file, answer)


def import_picture(record: ImportRecord, *, dry_run: bool) -> Iterator[RenderableType]:
    """One line of counts a file, and a line for each thing refused."""
    refused = record["refused"]
    line = Text.assemble(
        ("✗ " if refused else "✓ ", "red" if refused else "green"), (shown(record["file"]), "bold")
    )
    line.append(f"  {record['format'] or 'unknown format'}", style="dim")
    line.append(f"  {plural(record['items'], 'item')}, {plural(record['edges'], 'edge')}: ")
    counts = (
        (record["created"], "created"),
        (record["changed"], "changed"),
        (record["unchanged"], "unchanged"),
    )
    line.append(", ".join(f"{number:,} {word}" for number, word in counts if number) or "nothing taken")
    if refused:
        line.append(f", {len(refused):,} refused", style="red")
    if dry_run:
        line.append("  (dry run: nothing written)", style="yellow")
    elif record["revision"] is not None:
        line.append(f"  revision {record['revision']}", style="dim")
    yield line
    for refusal in refused[:_REFUSALS_SHOWN]:
        yield Text.assemble(("    " + shown(refusal["where"]), "bold"), f": {shown(refusal['why'])}")
    if len(refused) > _REFUSALS_SHOWN:
        yield Text(f"    … and {len(refused) - _REFUSALS_SHOWN:,} more; --json shows them", style="dim")


def progress_bar(terminal: Terminal) -> Progress:
    """A bar on standard error: what is being done, how much of it, how long it takes; nothing where nobody looks."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=terminal.notes,
        transient=True,
        disable=terminal.json_lines or not terminal.notes.is_terminal,
    )


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadRequest(f"cannot read {file}: {error.strerror}") from None


def _refusals(error: Refused) -> list[RefusalRecord]:
    problems = error.facts().get("problems")
    if isinstance(problems, list) and problems:
        return [{"where": str(p.get("where", "")), "why": str(p.get("message", ""))} for p in problems]
    return [{"where": "file", "why": str(error)}]


def _record(file: str, answer: Mapping[str, Any]) -> ImportRecord:
    return {
        "file": file,
        "format": answer.get("format"),
        "items": answer.get("items", 0),
        "edges": answer.get("edges", 0),
        "created": answer.get("created", 0),
        "changed": answer.get("changed", 0),
        "unchanged": answer.get("unchanged", 0),
        "refused": [{"where": str(r["where"]), "why": str(r["why"])} for r in answer.get("refused", ())],
        "revision": answer.get("revision"),
    }
