"""How catalogue names become GraphQL names, and that no two things of one schema get the same one."""

from __future__ import annotations

import re

from cmdb.errors import CatalogueError

_UNFIT = re.compile(r"\W", re.ASCII)


def camel(snake: str) -> str:
    """`serial_number`, `RUNS_ON` -> `serialNumber`, `runsOn`."""
    first, *rest = snake.lower().split("_")
    return first + "".join(word.capitalize() for word in rest)


def pascal(snake: str) -> str:
    """`serial_number`, `RUNS_ON` -> `SerialNumber`, `RunsOn`."""
    return "".join(word.capitalize() for word in snake.lower().split("_"))


def decapitalised(name: str) -> str:
    """`VirtualMachine` -> `virtualMachine`."""
    return name[:1].lower() + name[1:]


def enum_value(value: str) -> str:
    """`very_low` -> `VERY_LOW`; what may not begin a name or stand in one becomes `_`."""
    text = _UNFIT.sub("_", value).upper()
    return "_" + text if text[:1].isdigit() else text


class TakenNames:
    """The names of one kind in one schema, each with what it stands for."""

    def __init__(self, kind: str, taken: dict[str, str] | None = None) -> None:
        self._kind = kind
        self._taken = dict(taken or {})

    def take(self, name: str, entry: str, what: str) -> str:
        """Give out a name. Raises `CatalogueError`, naming `entry`, where it is taken."""
        if name in self._taken:
            raise CatalogueError(
                entry,
                f"the GraphQL {self._kind} {name} of {what} is {self._taken[name]} already",
                "choose another name",
            )
        self._taken[name] = what
        return name
