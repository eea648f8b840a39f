"""What is left of a closure once its single points of failure are taken to be up: the redundancy that can still fail.

Promises: the service is up exactly if all its single points of failure are, and the service of the *residue* is. The
residue is a closure again, far smaller. Its node 0 stands for the service and all single points of failure and does not
fail by itself; every other node stands for one CI or for several in series (a CI that only one other needs, without
alternative, is as good as a part of it), and is down by itself as soon as one of them is. Gates that can no longer fail
are gone; what a node needs without alternative is one gate; no two gates of node 0 are the same.

This holds for every probability; it depends on the structure alone, so one reduction serves all questions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from impact.closure import Closure, Floats, Int32s, owners
from impact.kernel import kernel
from impact.single_points import Bools, find_single_points


@dataclass(frozen=True, eq=False)
class Reduction:
    """`single_points`: bool[n]. `residue`: the closure that is left. `part_of`: int32[n], the node of the residue that
    each node of the closure is part of; 0 for the single points of failure, -1 for what no longer matters."""

    closure: Closure
    single_points: Bools
    residue: Closure
    part_of: Int32s

    @classmethod
    def of(cls, closure: Closure) -> Reduction:
        """Reduce a closure."""
        found = find_single_points(closure)
        kept = np.arange(closure.size, dtype=np.int32)
        kept[found] = 0
        residue, part_of = _merge(closure, kept)
        while True:
            smaller, number = _merge(residue, _hosts(*_arrays(residue)))
            if smaller.size == residue.size:
                break
            part_of = np.where(part_of < 0, part_of, number[part_of]).astype(np.int32)
            residue = smaller
        return cls(closure, found, residue, part_of)

    def own_unavailability(self, unavailability: Floats) -> Floats:
        """The probability that each node of the residue is down by itself; 0 for node 0."""
        inside = self.part_of > 0
        with np.errstate(divide="ignore"):
            survival = np.log1p(-unavailability[inside])
        own: Floats = -np.expm1(np.bincount(self.part_of[inside], survival, self.residue.size))
        return own

    def parts(self) -> Iterator[Int32s]:
        """The nodes of the closure that make up each node of the residue, node 0 with the single points of failure."""
        order = np.argsort(self.part_of, kind="stable").astype(np.int32)
        ends = np.searchsorted(self.part_of[order], np.arange(self.residue.size + 1))
        for node in range(self.residue.size):
            yield order[ends[node] : ends[node + 1]]

    @cached_property
    def components(self) -> Int32s:
        """int32 per gate of node 0: gates with different numbers share no node; numbered from 0."""
        residue = self.residue
        return _components(*_arrays(residue))


def _arrays(closure: Closure) -> tuple[Int32s, Int32s, Int32s, Int32s]:
    return closure.gate_start, closure.required, closure.member_start, closure.members


def _merge(closure: Closure, host: Int32s) -> tuple[Closure, Int32s]:
    """Make each node part of its host; the new closure and the number there of each node, -1 if it is not reached."""
    *arrays, number = _merged(*_arrays(closure), host)
    return _without_repeats(Closure(*arrays)), number


def _without_repeats(closure: Closure) -> Closure:
    """Keep one of the gates of node 0 that have the same members and demand: the same instance pair serves many."""
    last = int(closure.gate_start[1])
    distinct: dict[tuple[int, bytes], int] = {}
    for gate in range(last):
        distinct.setdefault(
            (int(closure.required[gate]), np.sort(closure.gate_members(gate)).tobytes()), gate
        )
    if len(distinct) == last:
        return closure
    keep = np.ones(len(closure.required), np.bool_)
    keep[:last] = False
    keep[list(distinct.values())] = True
    sizes = np.diff(closure.member_start)
    return Closure(
        np.concatenate([closure.gate_start[:1], closure.gate_start[1:] - (last - len(distinct))]).astype(
            np.int32
        ),
        closure.required[keep],
        np.concatenate([[0], np.cumsum(sizes[keep])]).astype(np.int32),
        closure.members[np.repeat(keep, sizes)],
    )


@kernel
def _merged(
    gate_start: Int32s, required: Int32s, member_start: Int32s, members: Int32s, host: Int32s
) -> tuple[Int32s, Int32s, Int32s, Int32s, Int32s]:
    """The closure in which each node is part of its host: what is in one host is up while that is asked about.

    A gate among the parts of a host, or of host 0, has these members up for sure: in the least fixpoint a node does not
    fall because of itself, and host 0 is taken to be up.
    """
    nodes = len(gate_start) - 1
    first = np.full(nodes, -1, np.int32)  # the parts of each host as a list
    following = np.full(nodes, -1, np.int32)
    for node in range(nodes - 1, -1, -1):
        following[node] = first[host[node]]
        first[host[node]] = node
    number = np.full(nodes, -1, np.int32)
    queue = np.empty(nodes, np.int32)
    new_gate_start = np.zeros(nodes + 1, np.int32)
    new_required = np.empty(len(required), np.int32)
    new_member_start = np.zeros(len(required) + nodes + 1, np.int32)
    new_members = np.empty(len(members), np.int32)
    seen_in = np.full(nodes, -1, np.int32)
    queue[0] = 0
    number[0] = 0
    reached, at, gates, filled = 1, 0, 0, 0
    while at < reached:
        here = queue[at]
        for series in range(2):  # what is needed without alternative is put together, behind the others
            opened = filled
            part = first[here]
            while part >= 0:
                for gate in range(gate_start[part], gate_start[part + 1]):
                    size = member_start[gate + 1] - member_start[gate]
                    if (required[gate] == size) != (series == 1):
                        continue
                    needed = required[gate]
                    if series == 0:
                        for place in range(member_start[gate], member_start[gate + 1]):
                            there = host[members[place]]
                            if there == 0 or there == here:
                                needed -= 1
                        if needed <= 0:
                            continue
                        opened = filled
                    for place in range(member_start[gate], member_start[gate + 1]):
                        there = host[members[place]]
                        if there == 0 or there == here or (series == 1 and seen_in[there] == at):
                            continue
                        if series == 1:
                            seen_in[there] = at
                        if number[there] < 0:
                            number[there] = reached
                            queue[reached] = there
                            reached += 1
                        new_members[filled] = number[there]
                        filled += 1
                    if series == 0:
                        new_required[gates] = needed
                        gates += 1
                        new_member_start[gates] = filled
                part = following[part]
            if series == 1 and filled > opened:
                new_required[gates] = filled - opened
                gates += 1
                new_member_start[gates] = filled
        at += 1
        new_gate_start[at] = gates
    of_node = np.empty(nodes, np.int32)
    for node in range(nodes):
        of_node[node] = number[host[node]]
    return (
        new_gate_start[: reached + 1],
        new_required[:gates],
        new_member_start[: gates + 1],
        new_members[:filled],
        of_node,
    )


@kernel
def _hosts(gate_start: Int32s, required: Int32s, member_start: Int32s, members: Int32s) -> Int32s:
    """The node that each is as good as a part of: the only one that needs it, if it does so without alternative."""
    nodes = len(gate_start) - 1
    user = np.full(nodes, -1, np.int32)
    for node in range(nodes):
        for gate in range(gate_start[node], gate_start[node + 1]):
            alone = required[gate] == member_start[gate + 1] - member_start[gate]
            for place in range(member_start[gate], member_start[gate + 1]):
                member = members[place]
                user[member] = node if alone and user[member] == -1 and node > 0 else -2
    host = np.arange(nodes).astype(np.int32)
    trail = np.empty(nodes, np.int32)
    settled = np.zeros(nodes, np.bool_)
    for node in range(nodes):
        length, at = 0, node
        while not settled[at] and user[at] >= 0 and length < nodes:
            settled[at] = True
            trail[length] = at
            length += 1
            at = user[at]
        settled[at] = True
        for place in range(length):
            host[trail[place]] = host[at]
    return host


@kernel
def _components(gate_start: Int32s, required: Int32s, member_start: Int32s, members: Int32s) -> Int32s:
    nodes = len(gate_start) - 1
    leader = np.arange(nodes).astype(np.int32)
    owner = owners(gate_start)
    for gate in range(len(required)):
        one = owner[gate] if owner[gate] > 0 else members[member_start[gate]]
        for place in range(member_start[gate], member_start[gate + 1]):
            other = members[place]
            while leader[one] != one:
                leader[one] = leader[leader[one]]
                one = leader[one]
            while leader[other] != other:
                leader[other] = leader[leader[other]]
                other = leader[other]
            leader[other] = one
    numbers = np.full(nodes, -1, np.int32)
    component = np.empty(gate_start[1], np.int32)
    known = 0
    for gate in range(gate_start[1]):
        node = members[member_start[gate]]
        while leader[node] != node:
            node = leader[node]
        if numbers[node] < 0:
            numbers[node] = known
            known += 1
        component[gate] = numbers[node]
    return component
