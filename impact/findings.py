"""What a check answers: the outcome of each assertion, and what speaks against it.

Facts only, a code with ids and figures, never sentences: clients word them. `impact.checks` finds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, TypeAlias

from impact.assertions import Assertion

MOST_FINDINGS = 20
"""Findings that are given of one assertion; how many there are is counted."""
MOST_MEMBERS = 50
"""Items that one finding lists."""
MOST_SHOWN = 100
"""Items of a path that are given."""

FindingCode: TypeAlias = Literal[
    "single_point",  # `members`, one item, takes `about` down alone
    "cut_set",  # `members` together take `about` down; `allowed` failures were to be survived
    "undecided",  # `about` survives `found` failures; whether `allowed`, the engine cannot say within its limits
    "too_unavailable",  # the availability of `about`, see `shortfall`, is too low; `members` matter most to it
    "availability_undecided",  # the interval that it is proved to lie in has the asserted one inside
    "taken_down",  # what was to fail takes `about` down
    "too_many_down",  # what was to fail takes `found` items down, `allowed` at most were to be; `members`: some
    "depends_on",  # `about` depends on `members`, one item
    "unknown_name",  # nothing is called `name`
    "ambiguous_name",  # `members` are called `name`
    "unknown_class",  # the catalogue has no class `name`
]


class Outcome(StrEnum):
    """What became of an assertion."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class BrokenGate:
    """Redundancy that gave way: `owner` needs `required` of the `size` members of a group and has `up` of them left.
    `lost`: members that are down, `MOST_MEMBERS` at most."""

    owner: str
    group: str | None
    required: int
    size: int
    up: int
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shortfall:
    """An availability that is proved to lie from `lower` to `upper`, where `least` was asserted; shares of 1."""

    lower: float
    upper: float
    least: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason. Items are ids.

    `path`: from `about` to what fails (or what it depends on), `hops` long; of a very long one its two ends. `gate`:
    the first on it that had spares and too few of them.
    """

    code: FindingCode
    about: str | None = None
    members: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    hops: int | None = None
    gate: BrokenGate | None = None
    shortfall: Shortfall | None = None
    found: int | None = None
    allowed: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`examined`: how many items the assertion was about, 0 where a class has none. `found`: of `findings` there are
    so many, of which at most `MOST_FINDINGS` are given."""

    assertion: Assertion
    outcome: Outcome
    examined: int
    found: int
    findings: tuple[Finding, ...]
