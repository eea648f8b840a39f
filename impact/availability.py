"""How likely a service is down, from how likely each CI that it needs is down by itself.

Promises: an interval that contains the truth for independent failures under the least-fixpoint semantics, cycles
included; where `exact`, both ends are the truth but for rounding. Everything is computed as unavailability, in sums of
positive figures: 1 - 1e-9 has lost its digits before it is used.

How: the single points of failure are a plain product. What is left without them (`impact.reduction`) is solved by one
decision diagram where that stays small. Otherwise by the pairs of failures that take it down, with a bound on all that
more than two do (`impact.few_failures`). Where that is not narrow, as where failures are likely, and the residue is not
large, by its cut sets up to a higher order, as diagrams (`impact.cut_diagram`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from impact.bdd import Bdd
from impact.closure import Closure, Floats, Int32s
from impact.cut_diagram import CutDiagram, members_first
from impact.errors import TooManyNodes
from impact.few_failures import FewFailures
from impact.reduction import Reduction

TARGET_WIDTH, LARGE_WIDTH = 1e-3, 1e-2
"""Of the unavailability, and of that of services with `MANY_NODES`: narrower than any figure of a component is known.
The other takes some tenths of a second at 28,000 CIs, and ten times as long to be as narrow as the first, if it can."""
DIAGRAM_NODES = 4_000_000
EXACT_SIZE = 250
"""Nodes of a residue up to which one decision diagram is tried; beyond, none was small but of wide gates alone."""
EXACT_NODES = 100_000
MANY_NODES = 1_000
"""Nodes of a residue beyond which diagrams of cut sets say no more in the time than pairs and triples do."""
HIGHEST_ORDER = 4
_ANOTHER_ORDER = 10_000
"""Nodes of a diagram after which another order is worth trying: it takes 16 times the nodes and 60 times the time."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Of a service: its unavailability is between `least_unavailability` and `most_unavailability`.

    `estimate`: an unavailability between them; the one that importances are computed at. `single_points`, `gates`,
    `components`: how many single points of failure it has, itself included, how many gates those have that can still
    fail, and in how many parts without a CI in common these fall. `order`: up to how many failures at once were looked
    at; None where exact. `weighed`: whether the estimate, and so the importances, count what redundancy leaves; where
    not, so many must fail at once, in so entangled a way, that only the bounds are known.
    """

    least_unavailability: float
    most_unavailability: float
    estimate: float
    exact: bool
    single_points: int
    gates: int
    components: int
    order: int | None
    weighed: bool

    @property
    def lower(self) -> float:
        """The least availability."""
        return 1.0 - self.most_unavailability

    @property
    def upper(self) -> float:
        """The most availability."""
        return 1.0 - self.least_unavailability

    @property
    def relative_width(self) -> float:
        """The width of the interval as a share of the unavailability; 0 where that is 0."""
        width = self.most_unavailability - self.least_unavailability
        return width / self.most_unavailability if width > 0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The residue solved: how likely it is down (`least`, `most`, `estimate`), and `derivatives` of the estimate by how
    likely each of its nodes is down by itself; float64 per node of the residue, 0 for node 0."""

    least: float
    most: float
    estimate: float
    derivatives: Floats
    order: int | None


def availability(
    closure: Closure | Reduction,
    unavailability: Floats,
    *,
    target_width: float | None = None,
    node_limit: int = DIAGRAM_NODES,
    deadline: Callable[[], bool] | None = None,
) -> Availability:
    """The availability of the closure's service.

    `unavailability`: float64[n], the probability of each node to be down by itself; raises ValueError where one is not
    within 0 and 1. `target_width`: how wide the interval may be, as a share of the unavailability; None: 1e-3, and
    1e-2 where the residue has more than `MANY_NODES` nodes. `node_limit`: of the diagrams, which bounds time and
    memory. `deadline`: asked before each further effort whether time is up; the
    interval is then as wide as it is.
    """
    reduction = closure if isinstance(closure, Reduction) else Reduction.of(closure)
    solution = solve(
        reduction, unavailability, target_width=target_width, node_limit=node_limit, deadline=deadline
    )
    return availability_of(reduction, unavailability, solution)


def availability_of(reduction: Reduction, unavailability: Floats, solution: Solution) -> Availability:
    """The availability that a solution of the residue means; `unavailability` as for `availability`."""
    up = log_survival(unavailability[reduction.single_points])
    components = reduction.components
    return Availability(
        least_unavailability=joined(up, solution.least),
        most_unavailability=joined(up, solution.most),
        estimate=joined(up, solution.estimate),
        exact=solution.order is None,
        single_points=int(reduction.single_points.sum()),
        gates=len(components),
        components=int(components.max()) + 1 if len(components) else 0,
        order=solution.order,
        weighed=solution.order is None or bool(solution.derivatives.any()),
    )


def solve(
    reduction: Reduction,
    unavailability: Floats,
    *,
    target_width: float | None = None,
    node_limit: int = DIAGRAM_NODES,
    deadline: Callable[[], bool] | None = None,
    exact_size: int = EXACT_SIZE,
) -> Solution:
    """Solve the residue as well as is asked for; arguments as for `availability`.

    `exact_size`: nodes of a residue up to which the exact way is tried.
    """
    if not (
        len(unavailability) == reduction.closure.size
        and np.all((unavailability >= 0) & (unavailability <= 1))
    ):
        raise ValueError(f"unavailability needs {reduction.closure.size} figures from 0 to 1")
    own = reduction.own_unavailability(unavailability)
    residue = reduction.residue
    if target_width is None:
        target_width = TARGET_WIDTH if residue.size <= MANY_NODES else LARGE_WIDTH
    if residue.size == 1:
        return Solution(0.0, 0.0, 0.0, np.zeros(1), None)
    if residue.size <= exact_size and (exact := _exactly(residue, own, node_limit)) is not None:
        return exact
    up = log_survival(unavailability[reduction.single_points])
    few = FewFailures.of(
        residue,
        own,
        lambda least: target_width * joined(up, least) * math.exp(-up),
        deadline or (lambda: False),
    )
    best = Solution(0.0, 1.0, 0.0, np.zeros(residue.size), 0)
    if few is not None:
        estimate = min(max(few.weight, few.least), few.most)
        best = Solution(few.least, few.most, estimate, few.derivatives, few.order)
        if residue.size > MANY_NODES or _narrow(best, up, target_width) or (deadline and deadline()):
            return best
    elif residue.size > exact_size and (exact := _exactly(residue, own, node_limit)) is not None:
        return exact  # gates too wide for pairs, and little else
    limit = node_limit
    for order in range(1, HIGHEST_ORDER + 1):
        if order == 1 and (few is not None or deadline is None):
            continue  # it says little, but at once
        try:
            diagram = CutDiagram.of(reduction, order, own, node_limit=limit)
        except TooManyNodes:
            break
        best = _better(best, diagram, order)
        if _narrow(best, up, target_width) or (deadline is not None and deadline()):
            break
        if order > 1 and len(diagram.nodes) > _ANOTHER_ORDER:
            break
    return best


def _narrow(solution: Solution, up: float, target_width: float) -> bool:
    most = joined(up, solution.most)
    return most - joined(up, solution.least) <= target_width * most


def _better(best: Solution, diagram: CutDiagram, order: int) -> Solution:
    low, high = diagram.bounds()
    least, most = max(best.least, low), min(best.most, high)
    derivatives = np.zeros_like(best.derivatives)
    derivatives[diagram.node_of] = diagram.derivatives()
    derivatives[0] = 0.0
    return Solution(least, most, min(max(diagram.weight(), least), most), derivatives, order)


def _exactly(residue: Closure, own: Floats, node_limit: int) -> Solution | None:
    """By a decision diagram of what takes node 0 down; None where it has more nodes than that or `EXACT_NODES`."""
    evaluation = members_first(residue.gate_start, residue.member_start, residue.members)
    for tested in (evaluation[::-1], beside_what_they_need(residue, evaluation)):
        variable_of = np.empty(residue.size, np.int32)
        variable_of[tested] = np.arange(len(tested))
        bdd = Bdd(residue.size, node_limit=min(node_limit, EXACT_NODES))
        try:
            down = failure_functions(bdd, residue, evaluation, variable_of)
        except TooManyNodes:
            continue
        probability, derivatives = bdd.birnbaum(down[0], own[tested])
        of_node = derivatives[variable_of]
        of_node[0] = 0.0
        return Solution(probability, probability, probability, of_node, None)
    return None


def beside_what_they_need(residue: Closure, evaluation: Int32s) -> Int32s:
    """Another order to test nodes in: each next to something that it needs without alternative, so the members of
    several pools next to the host that they share. `evaluation`: all nodes, members first."""
    beside = np.arange(residue.size)
    for node in evaluation[evaluation > 0].tolist():
        for gate in range(residue.gate_start[node], residue.gate_start[node + 1]):
            members = residue.gate_members(gate)
            if len(members) == residue.required[gate]:
                beside[node] = beside[members].min()
    place = np.empty(residue.size, np.int32)
    place[evaluation] = np.arange(residue.size)
    ordered: Int32s = np.lexsort((place, -beside)).astype(np.int32)
    return ordered


def failure_functions(bdd: Bdd, residue: Closure, evaluation: Int32s, variable_of: Int32s) -> list[int]:
    """For each node the function of what takes it down: the least fixpoint, from nothing down."""
    down = [bdd.variable(variable) for variable in variable_of.tolist()]
    down[0] = bdd.FALSE
    gates = [
        [
            (len(members) - int(residue.required[gate]) + 1, members.tolist())
            for gate in range(residue.gate_start[node], residue.gate_start[node + 1])
            for members in (residue.gate_members(gate),)
        ]
        for node in range(residue.size)
    ]
    changed = True
    while changed:
        changed = False
        for node in evaluation.tolist():
            function = down[node]
            for enough, members in gates[node]:
                # What is tested last is put together first, or all of it would be copied again for each member.
                tested = sorted((down[member] for member in members), key=bdd.first_variable)
                broken = bdd.at_least(enough, tested)
                function = bdd.disjunction(function, broken)
            if function != down[node]:
                down[node], changed = function, True
    return down


def log_survival(unavailability: Floats) -> float:
    """The logarithm of the probability that none of these is down by itself."""
    with np.errstate(divide="ignore"):
        return float(np.sum(np.log1p(-unavailability)))


def joined(log_up: float, also_down: float) -> float:
    """The probability of not (up with this logarithm of its probability, and not `also_down`)."""
    if also_down >= 1.0:
        return 1.0
    return 0.0 - math.expm1(log_up + math.log1p(-also_down))
