"""Ten million CIs and their forty million edges: memory, a start from the snapshot file, and the worst hub.

What is counted as arrays: those of the graph, which are the topology's edges in both directions with their facts, and
the engine's gates and dependents. Ids, names and classes are stated apart, and so is the working memory of a thread.

The snapshot file is written and then read as a service does it: the topology's columns, the engine's arrays, the
checksum of all. It is in the page cache, as it is where it has been written or read lately.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from benchmarks.packing import packed
from benchmarks.results import Result, quantile
from benchmarks.synthetic import make_estate
from cmdb.model.columns import Int32s
from cmdb.model.packed_topology import PackedTopology
from cmdb.store.snapshot import Snapshot, read_snapshot, write_snapshot
from impact.engine import Engine
from impact.failure_kernels import walk

NAME: Final = "impact-large"
SIZE: Final = 10_000_000
GIGABYTE: Final = 1e9
CANDIDATES: Final = 200
REPEATED: Final = 5
READS: Final = 3


def run(size: int = SIZE) -> list[Result]:
    """Some three minutes and 10 GB at most, most of both to make the estate."""
    topology = packed(make_estate(size))
    gc.collect()
    engine = Engine()
    engine.follow(topology)
    results = arrays(engine, topology)
    with TemporaryDirectory(prefix="cmdb-bench-") as folder:
        path = Path(folder) / "topology.snapshot"
        write_snapshot(path, Snapshot(topology, "", "", engine.derived(topology)))
        del engine, topology
        gc.collect()
        seconds = []
        for _ in range(READS):
            begun = time.perf_counter()
            snapshot = read_snapshot(path)
            if snapshot is None:
                raise AssertionError("the snapshot that was just written cannot be read")
            engine = Engine()
            engine.restore(snapshot.topology, snapshot.derived)
            engine.follow(snapshot.topology)
            seconds.append(time.perf_counter() - begun)
            topology = snapshot.topology
            del snapshot
            gc.collect()
    what = f"{size:,} CIs and {topology.edge_count:,} edges"
    loaded = Result.below(NAME, f"load of {what} from a snapshot file, s", quantile(seconds, 0.5), 3)
    return [*results, loaded, *hub(engine, topology)]


def arrays(engine: Engine, topology: PackedTopology) -> list[Result]:
    """What lies in memory."""
    graph, columns = engine.graph(topology), topology.columns
    edges = (columns.out_start, columns.target, columns.label, columns.in_start, columns.in_edge)
    of_graph = sum(array.nbytes for array in edges)
    with engine.workspace() as workspace:
        scratch = sum(array.nbytes for array in workspace.scratch(graph))
    size = f"{topology.size:,} CIs"
    both = of_graph + graph.base.nbytes
    rest = columns.nbytes - of_graph
    return [
        Result.below(NAME, f"graph arrays at {size}, topology and engine, GB", both / GIGABYTE, 1),
        Result.below(NAME, "of these the engine's, GB", graph.base.nbytes / GIGABYTE, 1),
        Result.below(NAME, f"ids, names and classes at {size}, GB", rest / GIGABYTE, 0.5),
        Result.below(NAME, f"working memory of a thread at {size}, GB", scratch / GIGABYTE, 0.4),
    ]


def hub(engine: Engine, topology: PackedTopology) -> list[Result]:
    """The worst of those that most depend on directly and of a sample of all: states of everything, and plainly."""
    degree = np.diff(topology.columns.in_start)
    most = np.argpartition(degree, -CANDIDATES)[-CANDIDATES:]
    sample = np.random.default_rng(1).choice(topology.size, CANDIDATES, replace=False)
    graph, nobody = engine.graph(topology), np.empty(0, np.int32)
    with engine.workspace() as workspace:
        scratch = workspace.scratch(graph)

        def reached(number: int) -> Int32s:
            start = np.array([number], np.int32)
            nodes: Int32s = walk(tuple(graph.arrays), tuple(scratch), start, nobody, False)[0]
            return nodes

        worst = max([*most.tolist(), *sample.tolist()], key=lambda number: len(reached(number)))
        reach, plain = reached(worst), []
        for _ in range(REPEATED):
            begun = time.perf_counter()
            reached(worst)
            plain.append(time.perf_counter() - begun)
    item, full = topology.id_of(worst), []
    for _ in range(REPEATED + 1):
        begun = time.perf_counter()
        impact = engine.simulate_failure(topology, [item])
        full.append(time.perf_counter() - begun)
    what = f"the worst hub of {topology.size:,} CIs"
    differing = len(np.setxor1d(impact.nodes, reach, assume_unique=True))
    return [
        Result.below(NAME, f"{what}, plainly ({len(reach):,} reached), ms", quantile(plain, 0.5) * 1e3, 500),
        Result.below(NAME, f"{what}, states of everything, ms", quantile(full[1:], 0.5) * 1e3, 500),
        Result.exactly(NAME, "CIs that one of the two reached and the other did not", differing, 0),
    ]
