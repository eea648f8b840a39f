"""What it costs the engine to take up a change: the topology's next overlay and the engine's, until a question sees it.

Promises: measured as the service does it, change after change, each of which adds an edge to a CI of its own; first on
a bare base, so that the overlay that a service has after a thousand changes has been grown, not made. Every answer
is compared: the CI that a change made dependent has to be in the failure set of what it depends on.
"""

from __future__ import annotations

import time

import numpy as np

from benchmarks.results import Result, quantile
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge
from impact.engine import Engine

CHANGES = 1_000
"""So many lie in the overlay before it is measured; it is merged at some fifteen thousand in a million."""
MEASURED = 200


def follow(name: str, engine: Engine, topology: PackedTopology) -> list[Result]:
    """The rows; the engine follows another topology afterwards."""
    rng = np.random.default_rng(1)
    pairs = rng.choice(len(topology.columns.ids), (CHANGES + MEASURED, 2), replace=False)
    seconds, visible, missed = [], [], 0
    for place, (source, target) in enumerate(pairs.tolist()):
        edge = TopologyEdge("DEPENDS_ON", topology.id_of(source), topology.id_of(target))
        begun = time.perf_counter()
        topology = topology.with_changes(topology.revision + 1, put_edges=[edge])
        engine.follow(topology)
        followed = time.perf_counter()
        if place < CHANGES:
            continue
        impact = engine.simulate_failure(topology, [edge.target])
        visible.append(time.perf_counter() - begun)
        seconds.append(followed - begun)
        missed += edge.source not in impact.down
    after = f"after {CHANGES:,} others"
    return [
        Result.below(
            name, f"one change {after}, commit to visible, p50, ms", quantile(seconds, 0.5) * 1e3, 1
        ),
        Result.below(
            name, f"one change {after}, commit to visible, p99, ms", quantile(seconds, 0.99) * 1e3, 2
        ),
        Result.below(name, "with the first answer that has it, p50, ms", quantile(visible, 0.5) * 1e3, 2),
        Result.exactly(name, "changes that the next answer did not have", missed, 0),
    ]
