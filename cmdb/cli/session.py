"""What every command needs: the options all have, a client of the service, and names turned into items."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cmdb.cli.client import Access, Client
from cmdb.cli.terminal import Terminal
from cmdb.settings import DEFAULT_DATA_DIR

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, one value a line.")]
AsOfOption = Annotated[
    str | None,
    typer.Option("--as-of", metavar="WHEN", help="A revision number or a time (RFC 3339); default: now."),
]
ItemName = Annotated[str, typer.Argument(metavar="NAME", help="An id, a name, or Class/name.")]
