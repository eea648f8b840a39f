"""All that one service needs, as arrays: what the questions about one service (availability and its kin) run on.

Promises: nodes are numbered 0 to n-1, 0 is the service, and each is reachable from it over hard edges. A gate belongs
to one node and needs `required` (at least 1, at most all) of its distinct members up; a single edge is a gate 1 of 1.
Down is the least fixpoint of: failed, or some gate has fewer members up than it needs.

Does not: keep soft edges, names, or anything that the service does not need.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from impact.errors import UnknownItems
from impact.gates import CarryingEdges
from impact.kernel import kernel

Int32s = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """Gate g of node v has `gate_start[v] <= g < gate_start[v + 1]`, needs `required[g]` of its members
    `members[member_start[g]:member_start[g + 1]]`. Shapes: n+1, g, g+1, number of memberships; all int32."""

    gate_start: Int32s
    required: Int32s
    member_start: Int32s
    members: Int32s

    @property
    def size(self) -> int:
        """How many nodes it has, with the service."""
        return len(self.gate_start) - 1

    @classmethod
    def of(cls, edges: CarryingEdges, service: str) -> tuple[Closure, list[str]]:
        """What `service` needs in the plain topology, and the id of each node. Raises `UnknownItems`."""
        if service not in edges.topology.items:
            raise UnknownItems([service], edges.topology.revision)
        ids, number = [service], {service: 0}
        gate_start, member_start = [0], [0]
        required: list[int] = []
        members: list[int] = []
        for item in ids:  # grows while it is walked
            for gate in edges.gates(item):
                for member in gate.members:
                    if member not in number:
                        number[member] = len(ids)
                        ids.append(member)
                members.extend(number[member] for member in gate.members)
                required.append(gate.required)
                member_start.append(len(members))
            gate_start.append(len(required))
        return cls(*(np.array(a, dtype=np.int32) for a in (gate_start, required, member_start, members))), ids

    def gate_members(self, gate: int) -> Int32s:
        """The members of one gate."""
        return self.members[self.member_start[gate] : self.member_start[gate + 1]]

    def owners(self) -> Int32s:
        """The node that each gate belongs to."""
        return owners(self.gate_start)


@kernel
def owners(gate_start: Int32s) -> Int32s:
    """The node that each gate belongs to."""
    owner = np.empty(gate_start[-1], np.int32)
    for node in range(len(gate_start) - 1):
        owner[gate_start[node] : gate_start[node + 1]] = node
    return owner


@kernel
def memberships(nodes: int, member_start: Int32s, members: Int32s) -> tuple[Int32s, Int32s]:
    """The gates that each node is a member of, as compressed rows (start, gates)."""
    start = np.zeros(nodes + 1, np.int32)
    for member in members:
        start[member + 1] += 1
    for node in range(nodes):
        start[node + 1] += start[node]
    filled = start[:-1].copy()
    gates = np.empty(len(members), np.int32)
    for gate in range(len(member_start) - 1):
        for place in range(member_start[gate], member_start[gate + 1]):
            member = members[place]
            gates[filled[member]] = gate
            filled[member] += 1
    return start, gates
