"""Single points of failure of a service: every CI whose failure alone takes it down, and through what each acts.

Promises: exact by the least fixpoint, cycles included. The service itself counts as one. Each has its *dominating* CI:
the nearest other single point of failure through which it acts, that is, were that one held up, the service would
survive. For one that acts on the service itself, it is the service. So they form a tree with the service on top. Where
a single point of failure is not needed by another one directly, it defeats redundancy: it takes down more members of a
gate than the gate can spare, and the answer says which gate.

How: what single edges reach from the service is certain. Every other candidate, deepest first, is let fail until it
takes down a certain one (then it is one) or comes to rest (then nothing that it took down is one). Dominating CIs are
found by iteration from above as in Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001); since several
single points of failure can also defeat a gate together, each answer is checked by letting the CI fail with the
dominating one held up, and moved up while something outside the latter's part of the tree still falls.

Where CIs of a cycle of dependencies take the service down only together, each would act through each other; these are
said to act on the service itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from impact.closure import Closure, Int32s, memberships, owners
from impact.kernel import kernel

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SinglePoints:
    """`nodes`: the single points of failure, ascending, so the service (0) first. For each, `dominating` (a node; the
    service for itself) and `defeated_gate` (a gate of the closure; -1 where no redundancy is in the way)."""

    nodes: Int32s
    dominating: Int32s
    defeated_gate: Int32s


def single_points(closure: Closure) -> SinglePoints:
    """The single points of failure of the closure's service, with what each acts through."""
    arrays = (closure.gate_start, closure.required, closure.member_start, closure.members)
    found = _find(*arrays)
    nodes = np.flatnonzero(found).astype(np.int32)
    dominating, gates = _dominate(*arrays, found)
    return SinglePoints(nodes, dominating[nodes], gates[nodes])


def find_single_points(closure: Closure) -> Bools:
    """Whether each node is a single point of failure; shape (n,)."""
    return _find(closure.gate_start, closure.required, closure.member_start, closure.members)


@kernel
def _find(gate_start: Int32s, required: Int32s, member_start: Int32s, members: Int32s) -> Bools:
    nodes = len(gate_start) - 1
    owner = owners(gate_start)
    use_start, uses = memberships(nodes, member_start, members)
    found = np.zeros(nodes, np.bool_)
    cleared = np.zeros(nodes, np.bool_)
    stack = np.empty(nodes, np.int32)
    _spread(0, gate_start, required, member_start, members, found, stack)

    order = _breadth_first(gate_start, member_start, members)
    spare = np.empty(len(required), np.int32)
    spare_of = np.full(len(required), -1, np.int32)  # whose failure `spare` was counted for
    fell_with = np.full(nodes, -1, np.int32)
    for place in range(len(order) - 1, 0, -1):
        cause = order[place]
        if found[cause] or cleared[cause]:
            continue
        stack[0] = cause  # as a queue: what has fallen stays in it
        fell_with[cause] = cause
        filled, at = 1, 0
        hit = False
        while at < filled and not hit:
            node = stack[at]
            at += 1
            for use in range(use_start[node], use_start[node + 1]):
                gate = uses[use]
                dependent = owner[gate]
                if fell_with[dependent] == cause:
                    continue
                if spare_of[gate] != cause:
                    spare_of[gate] = cause
                    spare[gate] = member_start[gate + 1] - member_start[gate] - required[gate]
                spare[gate] -= 1
                if spare[gate] < 0:
                    if found[dependent]:
                        hit = True
                        break
                    fell_with[dependent] = cause
                    stack[filled] = dependent
                    filled += 1
        if hit:
            _spread(cause, gate_start, required, member_start, members, found, stack)
        else:
            for at in range(filled):
                cleared[stack[at]] = True
    return found


@kernel
def _spread(
    node: int,
    gate_start: Int32s,
    required: Int32s,
    member_start: Int32s,
    members: Int32s,
    found: Bools,
    stack: Int32s,
) -> None:
    """Mark `node` and all that it needs without alternative."""
    found[node] = True
    stack[0] = node
    depth = 1
    while depth > 0:
        depth -= 1
        at = stack[depth]
        for gate in range(gate_start[at], gate_start[at + 1]):
            if required[gate] < member_start[gate + 1] - member_start[gate]:
                continue
            for place in range(member_start[gate], member_start[gate + 1]):
                member = members[place]
                if not found[member]:
                    found[member] = True
                    stack[depth] = member
                    depth += 1


@kernel
def _breadth_first(gate_start: Int32s, member_start: Int32s, members: Int32s) -> Int32s:
    """The nodes by distance from the service."""
    nodes = len(gate_start) - 1
    order = np.empty(nodes, np.int32)
    seen = np.zeros(nodes, np.bool_)
    order[0], seen[0] = 0, True
    filled, at = 1, 0
    while at < filled:
        node = order[at]
        at += 1
        for place in range(member_start[gate_start[node]], member_start[gate_start[node + 1]]):
            member = members[place]
            if not seen[member]:
                seen[member] = True
                order[filled] = member
                filled += 1
    return order[:filled]


@kernel
def _fall(
    cause: int,
    held: int,
    absorbing: bool,
    gate_start: Int32s,
    required: Int32s,
    member_start: Int32s,
    owner: Int32s,
    use_start: Int32s,
    uses: Int32s,
    found: Bools,
    fell_in: Int32s,
    spare: Int32s,
    counted_in: Int32s,
    run: int,
    fallen: Int32s,
    through: Int32s,
) -> int:
    """Let `cause` fail with `held` (a node, or -1) held up; `fallen[:answer]` is what falls, in order, each through
    the gate `through`. If `absorbing`, other single points of failure fall without consequence."""
    fallen[0], fell_in[cause] = cause, run
    filled, at = 1, 0
    while at < filled:
        node = fallen[at]
        at += 1
        if absorbing and found[node] and node != cause:
            continue
        for use in range(use_start[node], use_start[node + 1]):
            gate = uses[use]
            dependent = owner[gate]
            if fell_in[dependent] == run or dependent == held:
                continue
            if counted_in[gate] != run:
                counted_in[gate] = run
                spare[gate] = member_start[gate + 1] - member_start[gate] - required[gate]
            spare[gate] -= 1
            if spare[gate] < 0:
                fell_in[dependent] = run
                fallen[filled], through[filled] = dependent, gate
                filled += 1
    return filled


@kernel
def _dominate(
    gate_start: Int32s, required: Int32s, member_start: Int32s, members: Int32s, found: Bools
) -> tuple[Int32s, Int32s]:
    """The dominating node and the defeated gate of each node in `found`; -1 for the others."""
    nodes = len(gate_start) - 1
    owner = owners(gate_start)
    use_start, uses = memberships(nodes, member_start, members)
    fell_in = np.full(nodes, -1, np.int32)
    spare = np.empty(len(required), np.int32)
    counted_in = np.full(len(required), -1, np.int32)
    fallen = np.empty(nodes + 1, np.int32)
    through = np.empty(nodes + 1, np.int32)
    run = 0

    # Which single points of failure each takes down first, and through which gates.
    defeated = np.full(nodes, -1, np.int32)
    hit_start = np.zeros(nodes + 1, np.int64)
    hits = np.empty(max(16, nodes), np.int32)
    filled = 0
    for node in range(nodes):
        hit_start[node] = filled
        if not found[node] or node == 0:
            continue
        direct = False
        run += 1
        count = _fall(
            node, -1, True, gate_start, required, member_start, owner, use_start, uses, found,
            fell_in, spare, counted_in, run, fallen, through,
        )  # fmt: skip
        for at in range(1, count):
            other = fallen[at]
            if not found[other]:
                continue
            gate = through[at]
            if required[gate] == member_start[gate + 1] - member_start[gate]:
                direct = True
            elif defeated[node] < 0:
                defeated[node] = gate
            if filled == len(hits):
                longer = np.empty(2 * filled, np.int32)
                longer[:filled] = hits
                hits = longer
            hits[filled] = other
            filled += 1
        if direct:
            defeated[node] = -1
    hit_start[nodes] = filled

    # Those that reach the service from one to the next, nearest first.
    back_start = np.zeros(nodes + 1, np.int64)
    for at in range(filled):
        back_start[hits[at] + 1] += 1
    for node in range(nodes):
        back_start[node + 1] += back_start[node]
    place = back_start[:-1].copy()
    back = np.empty(filled, np.int32)
    for node in range(nodes):
        for at in range(hit_start[node], hit_start[node + 1]):
            back[place[hits[at]]] = node
            place[hits[at]] += 1
    order = np.empty(nodes, np.int32)
    seen = np.zeros(nodes, np.bool_)
    order[0], seen[0] = 0, True
    ordered, at = 1, 0
    while at < ordered:
        node = order[at]
        at += 1
        for k in range(back_start[node], back_start[node + 1]):
            if not seen[back[k]]:
                seen[back[k]] = True
                order[ordered] = back[k]
                ordered += 1

    rank = np.full(nodes, nodes, np.int32)  # a dominating node always has the smaller one
    for position in range(ordered):
        rank[order[position]] = position
    dominating = np.full(nodes, -1, np.int32)
    dominating[0] = 0
    for node in range(nodes):
        if found[node] and not seen[node]:
            dominating[node] = 0
    changed = True
    while changed:
        changed = False
        for position in range(1, ordered):
            node = order[position]
            over = -1
            several = hit_start[node + 1] - hit_start[node] > 1
            for at in range(hit_start[node], hit_start[node + 1]):
                other = hits[at]
                if dominating[other] >= 0:
                    over = other if over < 0 else _meet(over, other, dominating, rank)
            while several and over != 0:
                run += 1
                count = _fall(
                    node, over, False, gate_start, required, member_start, owner, use_start, uses, found,
                    fell_in, spare, counted_in, run, fallen, through,
                )  # fmt: skip
                higher = over
                for at in range(1, count):
                    other = fallen[at]
                    if found[other] and dominating[other] >= 0:
                        higher = _meet(over, other, dominating, rank)
                        if higher != over:
                            break
                if higher == over:
                    break
                over = higher
            if dominating[node] != over:
                dominating[node] = over
                changed = True
    return dominating, defeated


@kernel
def _meet(one: int, other: int, dominating: Int32s, rank: Int32s) -> int:
    """The nearest node over both."""
    while one != other:
        if rank[one] > rank[other]:
            one = dominating[one]
        else:
            other = dominating[other]
    return one
