"""Where the command line writes: answers on standard output, everything else on standard error.

Nothing that comes from the CMDB reaches the terminal as a control sequence: `shown` replaces control and
bidirectional characters, and answers are drawn as `Text`, never as markup.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_PAGE_WIDTH = 120
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

STATE_STYLES = {
    "down": ("●", "bold red"),
    "degraded": ("◐", "yellow"),
    "at_risk": ("◔", "magenta"),
    "reduced": ("◕", "cyan"),
    "protected": ("○", "green"),
    "up": ("○", "green"),
}
"""Sign and style of an impact state; the sign tells it apart without colour."""

LAYER_STYLES = {
    "business": "bold blue",
    "application": "cyan",
    "compute": "green",
    "cloud": "green",
    "network": "magenta",
    "storage": "yellow",
    "facility": "red",
}
"""Colour of a layer's name in trees and lists."""


def shown(value: object) -> str:
    """A value in one printable line: JSON for lists and objects, `-` for nothing, no control characters."""
    if value is None or value == "":
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join("·" if unicodedata.category(c) in _UNPRINTABLE else c for c in text)


def shown_bytes(value: object) -> object:
    """A number of bytes in the largest unit that it is a whole number of; anything else as it is."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return value
    unit = 0
    while value % 1024 == 0 and unit + 1 < len(_SIZES):
        value, unit = value // 1024, unit + 1
    return f"{value:,} {_SIZES[unit]}"


def state_text(state: str) -> Text:
    """An impact state as sign and word."""
    sign, style = STATE_STYLES.get(state, ("·", ""))
    return Text(f"{sign} {state.replace('_', ' ')}", style=style)


def survival(failures: int, *, at_least: bool) -> str:
    """What a redundancy margin means, as a verb with its object."""
    if not failures:
        return "does not survive every single failure"
    if at_least:
        return f"survives any {failures} or more further failures"
    return f"survives any {plural(failures, 'further failure')}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 item`, `2 items`; thousands apart."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def plain_table(title: str | None, headings: Sequence[str], style: str = "bold") -> Table:
    """A table without lines under a title, if it has one, whose columns fold what is too long."""
    table = Table(title=title, title_justify="left", title_style=style, box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, header_style="dim", overflow="fold")
    return table


def picture_console() -> Console:
    """A console for pictures on standard output; where that is no terminal it is as wide as a page."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PAGE_WIDTH)


class Terminal:
    """The two streams of one command. With `json_lines`, answers are JSON, one value a line."""

    def __init__(self, *, json_lines: bool = False) -> None:
        self.json_lines = json_lines
        self._out = picture_console()
        self.notes = Console(stderr=True, highlight=False)

    def answer(self, record: object, picture: Iterable[RenderableType]) -> None:
        """Print the record as JSON, or the picture drawn of it. `picture` is not drawn when JSON is wanted."""
        if self.json_lines:
            sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
            sys.stdout.flush()
            return
        for part in picture:
            self._out.print(part)

    def note(self, text: str | Text) -> None:
        """Tell something that is not the answer; on standard error, and not at all with JSON."""
        if not self.json_lines:
            self.notes.print(Text(text) if isinstance(text, str) else text)

    def complain(self, code: str, message: str, facts: dict[str, Any] | None = None) -> None:
        """Tell an error on standard error, in the form that the answer would have had."""
        if self.json_lines:
            error = {"error": {"code": code, "message": message, **(facts or {})}}
            sys.stderr.write(json.dumps(error, ensure_ascii=False, default=str) + "\n")
            return
        self.notes.print(Text.assemble(("error: ", "bold red"), shown(message)), soft_wrap=True)
