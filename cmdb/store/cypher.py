"""How catalogue names get into Cypher: by look-up, spelling check and backticks; values never do, they are bound.

A statement is a constant with `<<slots>>`. `fill` puts names and clauses into the slots; a name passes `quoted`, which
refuses everything but letters, digits and underscores (doubled backticks are no protection: `\\u0060` beats them).
"""

from __future__ import annotations

import re

from cmdb.errors import CatalogueError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_SLOT = re.compile(r"<<(\w+)>>")


def quoted(name: str) -> str:
    """A label, relationship type or property key, ready for Cypher.

    Raises:
        CatalogueError: the name is not one that a catalogue can have.
    """
    if not _NAME.fullmatch(name):
        raise CatalogueError(repr(name)[:80], "is no name for Neo4j", "use letters, digits and underscores")
    return "`" + name + "`"


def fill(template: str, **slots: str) -> str:
    """The template with every `<<slot>>` filled; slots hold quoted names and clauses made of them, never values."""
    return _SLOT.sub(lambda match: slots[match[1]], template)


class Bindings:
    """Parameters of one statement; each value gets a name of its own."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def bind(self, value: object) -> str:
        """The placeholder (`$p3`) for a value."""
        name = "p" + str(len(self.values))
        self.values[name] = value
        return "$" + name
