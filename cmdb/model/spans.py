"""Spans of time, and what sets of them have in common: time that several cover counts once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

NOTHING = timedelta()


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The time from `start` up to, not including, `end`; both aware."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start


def unite(spans: Iterable[Span]) -> list[Span]:
    """The same time in spans that neither overlap nor touch, in order."""
    united: list[Span] = []
    for span in sorted(spans):
        if span.start >= span.end:
            continue
        if united and span.start <= united[-1].end:
            united[-1] = Span(united[-1].start, max(united[-1].end, span.end))
        else:
            united.append(span)
    return united


def total(spans: Iterable[Span]) -> timedelta:
    """How long spans are together; time that several share counts once."""
    return sum((span.length for span in unite(spans)), NOTHING)


def shared(some: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """The time that lies in both, in spans that do not overlap, in order."""
    found: list[Span] = []
    left, right = unite(some), unite(others)
    i = j = 0
    while i < len(left) and j < len(right):
        both = Span(max(left[i].start, right[j].start), min(left[i].end, right[j].end))
        if both.start < both.end:
            found.append(both)
        if left[i].end <= right[j].end:
            i += 1
        else:
            j += 1
    return found
