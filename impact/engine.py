"""The engine: one per process, it keeps the arrays of the topologies that are asked about, and working memory.

Promises: any number of threads may ask at once; a question sees one topology from beginning to end. A graph is made
when it is first needed and follows its topology from then on; `follow` does that for the present before anybody asks.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Set
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from cmdb.model.packed_columns import Columns
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import Confidence
from impact.failure_graph import Base, FailureGraph, Workspace
from impact.gates import Carrying
from impact.simulation import Impact, simulate_on
from impact.ways import Ways

KEPT_GRAPHS = 8
"""Graphs of other questions (types, confidence, the past) that are kept."""
KEPT_BASES = 4
EVERYTHING = Carrying()
"""The usual question: whatever its confidence, whatever its type."""


class Engine:
    """Graphs and workspaces for questions about any topology."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graphs: OrderedDict[tuple[int, Carrying], FailureGraph] = OrderedDict()
        self._bases: OrderedDict[tuple[int, Carrying], Base] = OrderedDict()
        self._present: FailureGraph | None = None
        self._idle: list[Workspace] = []

    def follow(self, topology: PackedTopology) -> None:
        """This is the present from now on. Cheap where it was made from the present until now by a small change."""
        present = self._present
        if present is None or present.topology.columns is not topology.columns:
            self._present = self.graph(topology)
        else:
            self._present = present.following(topology)

    def warm(self, topology: PackedTopology) -> None:
        """Make what questions about a topology will need, before it is the present."""
        self.graph(topology)

    def derived(self, topology: PackedTopology) -> dict[str, npt.NDArray[np.int32]]:
        """The arrays of the usual question, to be kept beside the topology's; `restore` takes them back."""
        return self._base(topology.columns, EVERYTHING).derived()

    def restore(self, topology: PackedTopology, arrays: Mapping[str, npt.NDArray[np.int32]]) -> None:
        """Take these instead of making them anew; what is not there, or of another form, is made when it is needed."""
        base = Base.restored(topology.columns, EVERYTHING, arrays)
        if base is not None:
            self._keep(base)

    def graph(self, topology: PackedTopology, carrying: Carrying | None = None) -> FailureGraph:
        """The failure graph of a topology for one kind of question."""
        wanted = carrying or EVERYTHING
        present = self._present if wanted is EVERYTHING or wanted == EVERYTHING else None
        if present is not None and present.topology is topology:
            return present
        key = (id(topology), wanted)
        with self._lock:
            found = self._graphs.get(key)
            if found is not None and found.topology is topology:
                self._graphs.move_to_end(key)
                return found
        if present is not None and present.base.columns is topology.columns:
            made = present.following(topology)
        else:
            made = FailureGraph.of(topology, base=self._base(topology.columns, wanted))
        with self._lock:
            self._graphs[key] = made
            while len(self._graphs) > KEPT_GRAPHS:
                self._graphs.popitem(last=False)
        return made

    def _base(self, columns: Columns, carrying: Carrying) -> Base:
        key = (id(columns), carrying)
        with self._lock:
            found = self._bases.get(key)
        if found is not None and found.columns is columns:
            return found
        made = Base.of(columns, carrying)
        self._keep(made)
        return made

    def _keep(self, base: Base) -> None:
        with self._lock:
            self._bases[id(base.columns), base.carrying] = base
            while len(self._bases) > KEPT_BASES:
                self._bases.popitem(last=False)

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """Working memory of one's own for a while. After an error it is not used again: it may not be clean."""
        workspace = self._free()
        yield workspace
        self._idle.append(workspace)

    def _free(self) -> Workspace:
        try:
            return self._idle.pop()  # what two threads do to a list at once, they do one after the other
        except IndexError:
            return Workspace()

    def simulate_failure(
        self,
        topology: PackedTopology,
        down: Collection[str],
        *,
        pinned: Set[str] = frozenset(),
        minimum_confidence: Confidence = "inferred",
        relationship_types: Set[str] | None = None,
    ) -> Impact:
        """What `impact.propagation.simulate_failure` says, with the same arguments and errors."""
        if minimum_confidence == "inferred" and relationship_types is None:
            carrying = EVERYTHING
        else:
            carrying = Carrying.of(minimum_confidence, relationship_types)
        graph = self.graph(topology, carrying)
        # Not the context manager: that would be a tenth of the time of a small answer.
        workspace = self._free()
        impact = simulate_on(graph, workspace, set(down), pinned)
        self._idle.append(workspace)
        return impact

    def ways_to(self, topology: PackedTopology, item: int) -> Ways:
        """How far what depends on the item of this number is from it, and over what; see `impact.ways`."""
        with self.workspace() as workspace:
            return Ways.to(self.graph(topology), workspace, item)
