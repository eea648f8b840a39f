"""What the engine refuses.

ImpactError
 +- UnknownItems           ids that the topology of this revision does not have
 +- ContradictoryScenario  an item that is to fail and is pinned as not affected
 +- TooManyNodes           a decision diagram outgrew its limit
 +- InvalidFaultTree       a fault tree that contradicts itself, or a file that is none
 +- InvalidAssertions      a text of assertions that cannot be read: all faults at once
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cmdb.errors import CmdbError


class ImpactError(CmdbError):
    """The base of this package's errors; never raised itself."""


class UnknownItems(ImpactError):
    """Ids that the topology does not have: never known, or not at that revision."""

    code = "NOT_FOUND"

    def __init__(self, ids: Iterable[str], revision: int) -> None:
        self.ids = tuple(sorted(set(ids)))
        self.revision = revision
        super().__init__(
            f"no item with id {_shown(self.ids)} in the topology of revision {revision}; "
            "look the id up first, or ask as of a revision in which the item exists"
        )

    def facts(self) -> Mapping[str, Any]:
        """The unknown ids and the revision they were looked for in."""
        return {"kind": "item", "ids": list(self.ids), "revision": self.revision}


class ContradictoryScenario(ImpactError):
    """Items that the question lets fail and at the same time pins as not affected."""

    code = "BAD_REQUEST"

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(sorted(set(ids)))
        super().__init__(
            f"{_shown(self.ids)} is to fail and pinned as not affected; take it out of one of the two lists"
        )

    def facts(self) -> Mapping[str, Any]:
        """The ids that stand in both lists."""
        return {"ids": list(self.ids)}


class TooManyNodes(ImpactError):
    """A decision diagram outgrew its limit: the function, or what is made on the way to it, is too large."""

    code = "LIMIT_EXCEEDED"

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(
            f"the decision diagram has more than {limit:,} nodes; raise the limit, order the variables so that "
            "those that act together are neighbours, or ask for bounds instead of the exact figure"
        )

    def facts(self) -> Mapping[str, Any]:
        """Which limit was passed, and what it allows."""
        return {"limit": "diagramNodes", "allowed": self.limit}


class InvalidFaultTree(ImpactError):
    """A fault tree that contradicts itself, or text that is no fault tree. `where`: a gate, an event, a line."""

    code = "BAD_REQUEST"

    def __init__(self, where: str, fault: str, way_out: str) -> None:
        super().__init__(f"{where}: {fault}; {way_out}")
        self.where = where
        self.fault = fault
        self.way_out = way_out

    def facts(self) -> Mapping[str, Any]:
        """See `CmdbError.facts`."""
        return {"where": self.where, "fault": self.fault, "wayOut": self.way_out}


@dataclass(frozen=True, slots=True)
class AssertionFault:
    """Why a line cannot be read. Line and column count from 1."""

    line: int
    column: int
    fault: str
    way_out: str


class InvalidAssertions(ImpactError):
    """A text of assertions that cannot be read; `faults` has the first of each line, in their order."""

    code = "ASSERTION_INVALID"

    def __init__(self, faults: Sequence[AssertionFault]) -> None:
        self.faults = tuple(faults)
        shown = "; ".join(f"line {f.line}, column {f.column}: {f.fault}; {f.way_out}" for f in faults[:3])
        more = f"; and {len(faults) - 3} more" if len(faults) > 3 else ""
        super().__init__(shown + more)

    def facts(self) -> Mapping[str, Any]:
        """Every fault with its place."""
        return {
            "faults": [
                {"line": f.line, "column": f.column, "fault": f.fault, "wayOut": f.way_out}
                for f in self.faults
            ]
        }


def _shown(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
    return ", ".join(ids[:5]) + more
