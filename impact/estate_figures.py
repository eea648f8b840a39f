"""What is known of every item of an estate at one revision: its ranking and the services it touches."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from cmdb.model.catalogue import Catalogue
from cmdb.model.packed_topology import PackedTopology
from impact.failure_graph import FailureGraph
from impact.failure_kernels import Marks
from impact.propagation import SERVICE_CLASSES
from impact.ranking import Ranking
from impact.service_index import ServiceIndex


@dataclass(frozen=True, slots=True, eq=False)
class EstateFigures:
    """Both true of the same revision; services are the items of `classes`."""

    classes: frozenset[str]
    ranking: Ranking
    index: ServiceIndex

    @classmethod
    def of(cls, graph: FailureGraph, classes: Set[str], *, threads: int = 1) -> EstateFigures:
        """Seconds for a million items."""
        names = frozenset(classes)
        service = service_flags(graph.topology, names)
        return cls(
            names,
            Ranking.of(graph, service, threads=threads),
            ServiceIndex.of(graph, np.flatnonzero(service).astype(np.int32), threads=threads),
        )

    def following(self, graph: FailureGraph, classes: Set[str], *, threads: int = 1) -> EstateFigures:
        """The figures of another graph; what cannot differ is kept."""
        names = frozenset(classes)
        service = service_flags(graph.topology, names)
        return EstateFigures(
            names,
            self.ranking.following(graph, service, threads=threads),
            self.index.following(graph, np.flatnonzero(service).astype(np.int32), threads=threads),
        )

    @property
    def topology(self) -> PackedTopology:
        """What they are true of."""
        return self.ranking.graph.topology


def service_flags(topology: PackedTopology, classes: Set[str]) -> Marks:
    """uint8 per number: whether the item is of one of these classes."""
    numbers = np.arange(topology.size, dtype=np.int32)
    return topology.flags(numbers, lambda kind: kind.class_name in classes).astype(np.uint8)


def service_classes(catalogue: Catalogue) -> frozenset[str]:
    """The classes of services, with their subclasses."""
    found = [
        name for base in SERVICE_CLASSES if base in catalogue.classes for name in catalogue.subclasses(base)
    ]
    return frozenset(found)
