"""How often a component is down by itself: one figure, and what it rests on.

A figure is the steady-state unavailability of the thing *alone*, with everything it depends on up; what its
dependencies add is worked out from the topology elsewhere. The first of these that is there decides:

1. its declared `availability`;
2. its declared `mtbf` and `mttr`: MTTR / (MTBF + MTTR) (steady state of an alternating renewal process; Barlow and
   Proschan, Statistical Theory of Reliability and Life Testing, 1975). If only one is declared, the class gives the
   other;
3. its own recorded outages, where its class has a default to hold them against: the default counts as one more failure
   that was observed beside them, so (class MTTR + down time) / (class MTBF + class MTTR + observed time). That is what
   the posterior means of failure rate and repair time give with conjugate (gamma) priors worth one failure. A short
   history hardly moves the default, a long one replaces it. A default that is a bare availability counts as one
   observed year;
4. the default of its class;
5. nothing: it is assumed perfect by itself, as services and other logical things are.

Without a single outage on record, 3 does not apply: that nobody recorded one does not mean that there was none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from cmdb.model.entries import ReliabilityEntry
from cmdb.model.outages import OutageHistory
from cmdb.model.values import VALUE_TYPES

Basis = Literal[
    "declared_availability", "declared_mtbf_mttr", "outage_history", "class_default", "assumed_perfect"
]
YEAR = 365.0 * 24 * 3600
"""Seconds of observation that a class default without MTBF is worth."""


@dataclass(frozen=True, slots=True)
class ClassDefault:
    """What the catalogue assumes of a class; `declared_by` is the class that says so. Times in seconds.

    `mtbf` and `mttr` are both there, or neither.
    """

    declared_by: str
    unavailability: float
    mtbf: float | None = None
    mttr: float | None = None

    @property
    def weight(self) -> float:
        """For how many seconds of observation it stands."""
        return self.mtbf + self.mttr if self.mtbf is not None and self.mttr is not None else YEAR


def class_default(declared_by: str, entry: ReliabilityEntry) -> ClassDefault:
    """The default that a class's entry gives."""
    if entry.availability is not None:
        return ClassDefault(declared_by, 1.0 - entry.availability)
    normalise = VALUE_TYPES["duration"].normalise
    mtbf, mttr = (float(normalise(text)) / 1_000 for text in (entry.mtbf, entry.mttr))
    return ClassDefault(declared_by, steady_unavailability(mtbf, mttr), mtbf, mttr)


@dataclass(frozen=True, slots=True)
class Declared:
    """What an item says of itself: availability as a share, times in seconds; None: nothing."""

    availability: float | None = None
    mtbf: float | None = None
    mttr: float | None = None

    @property
    def senseless(self) -> tuple[str, ...]:
        """Attributes whose values no figure can rest on; they are treated as if they were absent."""
        found = []
        if self.availability is not None and not 0.0 <= self.availability <= 1.0:
            found.append("availability")
        if self.mtbf is not None and not 0.0 < self.mtbf < math.inf:
            found.append("mtbf")
        if self.mttr is not None and not 0.0 <= self.mttr < math.inf:
            found.append("mttr")
        return tuple(found)


@dataclass(frozen=True, slots=True)
class ComponentFigure:
    """The unavailability of a component by itself, 0 to 1, and what it rests on.

    `default_class`: the class whose default is in it, wholly or in part. `history`: the outages that are in it.
    `mtbf`, `mttr`: the times it was worked out from, in seconds. `ignored`: attributes with senseless values.
    """

    unavailability: float
    basis: Basis
    default_class: str | None = None
    mtbf: float | None = None
    mttr: float | None = None
    history: OutageHistory | None = None
    ignored: tuple[str, ...] = ()


def steady_unavailability(mtbf: float, mttr: float) -> float:
    """The share of time in repair of what fails every `mtbf` of up time and takes `mttr` to restore; `mtbf` > 0."""
    return mttr / (mtbf + mttr)


def component_figure(
    declared: Declared, history: OutageHistory | None, default: ClassDefault | None
) -> ComponentFigure:
    """The figure of one component; see the head of the module for which source decides."""
    ignored = declared.senseless
    availability = declared.availability if "availability" not in ignored else None
    if availability is not None:
        return ComponentFigure(1.0 - availability, "declared_availability", ignored=ignored)
    mtbf = declared.mtbf if "mtbf" not in ignored else None
    mttr = declared.mttr if "mttr" not in ignored else None
    completed_by = None
    if default is not None and (mtbf is None) != (mttr is None):
        mtbf, mttr = (default.mtbf, mttr) if mtbf is None else (mtbf, default.mttr)
        completed_by = default.declared_by
    if mtbf is not None and mttr is not None:
        figure = steady_unavailability(mtbf, mttr)
        return ComponentFigure(figure, "declared_mtbf_mttr", completed_by, mtbf, mttr, ignored=ignored)
    if default is None:
        return ComponentFigure(0.0, "assumed_perfect", ignored=ignored)
    if history is not None and history.observed > 0.0:
        assumed_down = default.unavailability * default.weight
        figure = (assumed_down + history.down) / (default.weight + history.observed)
        return ComponentFigure(
            figure, "outage_history", default.declared_by, default.mtbf, default.mttr, history, ignored
        )
    return ComponentFigure(
        default.unavailability,
        "class_default",
        default.declared_by,
        default.mtbf,
        default.mttr,
        ignored=ignored,
    )
