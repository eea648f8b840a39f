"""The limiter against towers of fragments, each of which spreads the next one twice: 2**60 fields from 60 fragments.

Measured is what a request waits until it is refused: parsing within limits, and the walk. The peer is a pair of
limiters that walk a fragment at each spread (Strawberry's for depth and aliases) on a tower small enough for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import strawberry
from graphql import parse, validate
from strawberry.extensions import max_aliases, query_depth_limiter

from benchmarks.results import Result, quantile
from cmdb_graphql.limits import LimitExceeded, Limits, measure, parse_within

NAME = "limiter"
FLOORS = 60
PEER_FLOORS = 12
TIMES = 200


def run() -> list[Result]:
    """Measure in this process; no store is involved."""
    limits = Limits()
    tall, small = tower(FLOORS), tower(PEER_FLOORS)

    def refuse() -> None:
        try:
            measure(parse_within(tall, limits), limits)
        except LimitExceeded:
            return
        raise AssertionError(f"a tower of {FLOORS} fragments was let through")

    def ours() -> None:
        try:
            measure(parse_within(small, limits), limits)
        except LimitExceeded:
            return

    schema = strawberry.Schema(_Query)._schema
    rules = [query_depth_limiter.create_validator(1_000, None), max_aliases.create_validator(1_000)]
    document = parse(small)
    refused = _times(refuse, TIMES)
    ratio = quantile(_times(lambda: validate(schema, document, rules), 3), 0.5) / quantile(
        _times(ours, TIMES), 0.5
    )
    return [
        Result.below(
            NAME, f"tower of {FLOORS} fragments refused, p99, ms", quantile(refused, 0.99) * 1e3, 20
        ),
        Result.at_least(
            NAME, f"limiters that walk each spread, tower of {PEER_FLOORS}, against ours, times", ratio, 1
        ),
    ]


@strawberry.type
class _Query:
    tag: str


def tower(floors: int) -> str:
    """A document whose fragment i spreads fragment i+1 twice."""
    fragments = (f"fragment f{i} on Query {{ ...f{i + 1} ...f{i + 1} }}" for i in range(floors))
    return f"query Tower {{ ...f0 }} {' '.join(fragments)} fragment f{floors} on Query {{ tag }}"


def _times(work: Callable[[], object], times: int) -> list[float]:
    work()
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return taken
