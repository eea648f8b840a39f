"""How much each CI that a service needs matters to its availability, and what would help most.

Promises: measures after Birnbaum, Lambert and Vesely for every node of a closure, exact where the availability is;
otherwise they are those of its estimate, the sum over the cut sets that were found (`Availability.estimate`). The
probability of a service to be down is linear in that of each of its CIs, so what a better CI would gain is exact in the
same sense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from impact.availability import DIAGRAM_NODES, Solution, joined, log_survival, solve
from impact.closure import Closure, Floats
from impact.reduction import Reduction


@dataclass(frozen=True, slots=True, eq=False)
class Importances:
    """Per node of the closure, float64[n]. U is the unavailability of the service, q that of the node by itself.

    `birnbaum`: dU/dq = U(node down) - U(node up). `criticality`: q * Birnbaum / U, how likely the service, being down,
    hangs on the node. `fussell_vesely`: 1 - U(node up) / U, the share of U that goes away with the node; computed from
    U itself, as here, it is the same number as criticality. `diagnostic`: q * U(node down) / U, how likely the node is
    down when the service is. `raw`, risk achievement worth: U(node down) / U. `rrw`, risk reduction worth:
    U / U(node up), infinite where the service then never fails. Where U is 0, the shares are 0, `rrw` is 1, and `raw`
    infinite if the node can take the service down, else 1.

    `exact`: whether U is, rather than an estimate.
    """

    unavailability: float
    exact: bool
    birnbaum: Floats
    criticality: Floats
    fussell_vesely: Floats
    diagnostic: Floats
    raw: Floats
    rrw: Floats


class Improvement(StrEnum):
    """What can be done for a CI. `REDUNDANT`: a second one beside it, as reliable and independent (q becomes q^2).
    `TWICE_AS_RELIABLE`: q becomes q / 2."""

    REDUNDANT = "redundant"
    TWICE_AS_RELIABLE = "twice_as_reliable"


@dataclass(frozen=True, slots=True)
class Gain:
    """What an improvement of one node would add to the availability of the service."""

    node: int
    improvement: Improvement
    availability: float


def importances(
    closure: Closure | Reduction,
    unavailability: Floats,
    *,
    target_width: float | None = None,
    node_limit: int = DIAGRAM_NODES,
    deadline: Callable[[], bool] | None = None,
) -> Importances:
    """The importance of every node of the closure; arguments as for `impact.availability.availability`."""
    reduction = closure if isinstance(closure, Reduction) else Reduction.of(closure)
    solution = solve(
        reduction, unavailability, target_width=target_width, node_limit=node_limit, deadline=deadline
    )
    return importances_of(reduction, unavailability, solution)


def importances_of(reduction: Reduction, unavailability: Floats, solution: Solution) -> Importances:
    """The importances at the estimate of a solution of the residue; `unavailability` as for `importances`."""
    found = reduction.single_points
    down = joined(log_survival(unavailability[found]), solution.estimate)

    birnbaum = np.zeros(len(unavailability))
    birnbaum[found] = (1.0 - solution.estimate) * _others_up(
        np.zeros(int(found.sum()), np.int64), unavailability[found]
    )
    inside = reduction.part_of > 0
    part = reduction.part_of[inside]
    points_up = float(np.exp(log_survival(unavailability[found])))
    birnbaum[inside] = points_up * solution.derivatives[part] * _others_up(part, unavailability[inside])

    q = unavailability
    without = np.maximum(down - q * birnbaum, 0.0)
    with_failure = np.minimum(down + (1.0 - q) * birnbaum, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        criticality = q * birnbaum / down if down > 0 else np.zeros_like(q)
        diagnostic = q * with_failure / down if down > 0 else np.zeros_like(q)
        raw = with_failure / down if down > 0 else np.where(birnbaum > 0, np.inf, 1.0)
        rrw = down / without if down > 0 else np.ones_like(q)
    return Importances(
        down, solution.order is None, birnbaum, criticality, criticality.copy(), diagnostic, raw, rrw
    )


def improvements(measured: Importances, unavailability: Floats, most: int = 20) -> tuple[Gain, ...]:
    """What would buy most: the `most` improvements of single nodes that add the most availability, best first.

    The service itself (node 0) is among them. Improvements that add nothing are left out.
    """
    q = unavailability
    gains = {
        Improvement.REDUNDANT: measured.birnbaum * q * (1.0 - q),
        Improvement.TWICE_AS_RELIABLE: measured.birnbaum * q / 2,
    }
    ranked = [
        Gain(int(node), improvement, float(gain[node]))
        for improvement, gain in gains.items()
        for node in np.argsort(-gain, kind="stable")[:most]
        if gain[node] > 0
    ]
    return tuple(sorted(ranked, key=lambda gain: (-gain.availability, gain.node, gain.improvement))[:most])


def _others_up(part: np.ndarray[tuple[int], np.dtype[np.integer]], unavailability: Floats) -> Floats:
    """For each node the probability that no other one of its part is down; exact also where some surely are."""
    surely = unavailability >= 1.0
    logs = np.log1p(-np.where(surely, 0.0, unavailability))
    parts = int(part.max()) + 1 if len(part) else 0
    all_logs = np.bincount(part, logs, parts)
    all_surely = np.bincount(part, surely, parts)
    up: Floats = np.where(all_surely[part] - surely > 0, 0.0, np.exp(all_logs[part] - logs))
    return up
