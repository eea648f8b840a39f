"""`python -m impact.warming`: compile the kernels that questions need, once, so that no question waits for it.

Done when the project is installed, and by the service when it starts: with the results on disk it takes a second.
"""

from __future__ import annotations

from uuid import UUID

import numpy as np

from cmdb.model.columns import Ids
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyEdge, TopologyItem
from impact.availability import availability
from impact.cut_diagram import CutDiagram
from impact.engine import Engine
from impact.few_failures import FewFailures
from impact.importance import importances
from impact.ranking import Ranking
from impact.redundancy import cut_sets_of_diagrams, minimal_cut_sets
from impact.service_needs import ServiceNeeds


def compile_kernels() -> None:
    """Ask one question of each kind about a service on two servers in one rack."""
    names = ("shop", "a", "b", "rack", "c", "d")
    edges = [
        *(TopologyEdge("DEPENDS_ON", "shop", host, "hosts", 1) for host in ("a", "b")),
        *(TopologyEdge("DEPENDS_ON", "shop", host, "more", 1) for host in ("b", "c", "d")),
        TopologyEdge("LOCATED_IN", "a", "rack"),
        TopologyEdge("USES", "a", "rack", strength="soft"),
    ]
    topology = PackedTopology.build(1, [TopologyItem(name, name, "Server") for name in names], edges)
    engine = Engine()
    answer = engine.simulate_failure(topology, ["rack"], pinned={"b"})
    # What only some answers need, and takes a while to import, comes now too.
    from impact.bulk import to_arrow, to_json_lines
    from impact.interchange import to_networkx
    from impact.row_texts import take_ids

    list(to_arrow(answer))
    list(to_json_lines(answer))
    take_ids(Ids.of([str(UUID(int=1))]), np.zeros(1, np.int32))
    to_networkx(topology)
    flags = np.zeros(topology.size, np.uint8)
    engine.ways_to(topology, topology.known("rack")).of(np.array([topology.known("shop")], np.int32))
    Ranking.of(engine.graph(topology), flags)
    needs = ServiceNeeds.of(topology, "shop")
    unavailability = np.full(len(needs.numbers), 0.01)
    availability(needs.reduction, unavailability)
    importances(needs.reduction, unavailability)
    own = needs.reduction.own_unavailability(unavailability)
    FewFailures.of(needs.reduction.residue, own)
    minimal_cut_sets(needs.reduction, unavailability, order=4)
    list(cut_sets_of_diagrams(needs.reduction, [2]))
    CutDiagram.of(needs.reduction, 2, own).bounds()
    if not needs.margin().failures or needs.single_points:
        raise AssertionError("the kernels give wrong answers on this machine")


if __name__ == "__main__":
    compile_kernels()
