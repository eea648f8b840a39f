"""Cypher beside the other peers of a failure: what it plainly reaches, asked of a private Neo4j that has the estate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from benchmarks.bulk_load import neo4j_with
from benchmarks.cypher_peer import CypherPeer, TimedOut
from benchmarks.engine_peer import REPEATED, EnginePeer
from benchmarks.results import Result, quantile
from benchmarks.synthetic import EstateColumns

MACHINES: Final = 100


def ask_cypher(
    name: str, estate: EstateColumns, engine: EnginePeer, hub: int, machines: Sequence[int]
) -> list[Result]:
    """The rows of theme `name` about Cypher; some three minutes, most of them for the import."""
    with neo4j_with(estate) as neo4j:
        cypher = CypherPeer.connect(neo4j, estate)
        try:
            return measure(name, cypher, engine, hub, machines[:MACHINES], f"{len(estate):,} CIs")
        finally:
            cypher.close()


def measure(
    name: str, cypher: CypherPeer, engine: EnginePeer, hub: int, machines: Sequence[int], size: str
) -> list[Result]:
    """Cypher at the hub in each of its forms (after one run to warm it), and at the machines."""
    engine.walk([hub])
    walks = [engine.walk([hub]) for _ in range(REPEATED)]
    engine_seconds, reached = quantile([walk.seconds for walk in walks], 0.5), walks[0].reached
    differing, ratios = 0, []
    for machine in machines:
        mine, theirs = engine.walk([machine]), cypher.dependents([machine])
        differing += not np.array_equal(mine.reached, theirs.reached)
        ratios.append(theirs.seconds / mine.seconds)
    results = [
        Result.at_least(
            name,
            f"a random machine or host of {size}: Cypher against the engine, median, times",
            quantile(ratios, 0.5),
            1,
        )
    ]
    what = f"the worst hub of {size}: Cypher as"
    for form, call in (("one collect", cypher.dependents), ("rows", cypher.rows)):
        try:
            walk = [call([hub]) for _ in range(2)][-1]
        except TimedOut:
            continue  # no figure is better than a made-up one
        differing += not np.array_equal(walk.reached, reached)
        ratio = walk.seconds / engine_seconds
        results.append(Result.at_least(name, f"{what} {form} against the engine, times", ratio, 1))
    try:
        counted, seconds = [cypher.count([hub]) for _ in range(2)][-1]
    except TimedOut:
        pass
    else:
        differing += counted != len(reached)
        ratio = seconds / engine_seconds
        results.append(Result.at_least(name, f"{what} a count against the engine, times", ratio, 1))
    return [*results, Result.exactly(name, "answers that differ from Cypher's", differing, 0)]
