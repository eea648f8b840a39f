"""What a failure plainly reaches in a million CIs, asked of Neo4j in Cypher beside the engine; answers are compared."""

from __future__ import annotations

from typing import Final

import numpy as np

from benchmarks.bulk_load import neo4j_with
from benchmarks.cypher_peer import CypherPeer, TimedOut
from benchmarks.engine_peer import EnginePeer
from benchmarks.impact_walks import REPEATED, SIZE, Questions
from benchmarks.packing import packed
from benchmarks.results import Result, quantile
from benchmarks.synthetic import make_estate

NAME: Final = "impact-cypher"
MACHINES: Final = 100


def run() -> list[Result]:
    """Some three minutes, most of them for the import."""
    estate = make_estate(SIZE)
    engine, asked = EnginePeer.of(packed(estate), estate), Questions.about(estate)
    with neo4j_with(estate) as neo4j:
        cypher = CypherPeer.connect(neo4j, estate)
        try:
            return measure(cypher, engine, asked, f"{len(estate):,} CIs")
        finally:
            cypher.close()


def measure(cypher: CypherPeer, engine: EnginePeer, asked: Questions, size: str) -> list[Result]:
    """Cypher at the hub in each of its forms (after one run to warm it), and at a hundred machines."""
    engine.walk([asked.hub])
    walks = [engine.walk([asked.hub]) for _ in range(REPEATED)]
    engine_seconds, reached = quantile([walk.seconds for walk in walks], 0.5), walks[0].reached
    differing, ratios = 0, []
    for machine in asked.machines[:MACHINES]:
        mine, theirs = engine.walk([machine]), cypher.dependents([machine])
        differing += not np.array_equal(mine.reached, theirs.reached)
        ratios.append(theirs.seconds / mine.seconds)
    results = [
        Result.at_least(
            NAME,
            f"a random machine or host of {size}: Cypher against the engine, median, times",
            quantile(ratios, 0.5),
            1,
        )
    ]
    what = f"the worst hub of {size}: Cypher as"
    for form, call in (("one collect", cypher.dependents), ("rows", cypher.rows)):
        try:
            walk = [call([asked.hub]) for _ in range(2)][-1]
        except TimedOut:
            continue  # no figure is better than a made-up one
        differing += not np.array_equal(walk.reached, reached)
        ratio = walk.seconds / engine_seconds
        results.append(Result.at_least(NAME, f"{what} {form} against the engine, times", ratio, 1))
    try:
        counted, seconds = [cypher.count([asked.hub]) for _ in range(2)][-1]
    except TimedOut:
        pass
    else:
        differing += counted != len(reached)
        ratio = seconds / engine_seconds
        results.append(Result.at_least(NAME, f"{what} a count against the engine, times", ratio, 1))
    return [*results, Result.exactly(NAME, "answers that differ from Cypher's", differing, 0)]
