"""The questions that can be followed: what takes a service down, and what the failure of some items takes down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from cmdb.model.columns import Int32s
from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import TopologyItem
from cmdb_graphql.errors import Code, Refusal
from cmdb_graphql.watches import Change, Standing
from impact.engine import Engine
from impact.propagation import State
from impact.redundancy import Margin
from impact.service_needs import ServiceNeeds
from impact.simulation import CODES

MARGIN_SECONDS = 10.0
"""For a margin, while other questions that are followed wait; hardly any takes a second."""
MOST_DOWN = 10_000
"""Items that a failure may take down for that to be followed; each is kept as long as it is."""


@dataclass(frozen=True)
class ServiceStanding(Standing):
    """How a service stands, true of `revision`: the items that take it down alone, by their ids, its margin, and one
    more items than that which take it down together."""

    margin: Margin
    single_points: Mapping[str, TopologyItem]
    defeated_by: tuple[TopologyItem, ...] = ()

    @property
    def size(self) -> int:
        """How many items it names."""
        return len(self.single_points) + len(self.defeated_by)

    def equals(self, other: Self) -> bool:
        """Whether nothing differs but the revision, and the example."""
        return self.margin == other.margin and self.single_points.keys() == other.single_points.keys()


@dataclass(frozen=True, slots=True)
class ServiceQuestion:
    """What takes a service down alone, and how many failures does it survive?"""

    service: str

    @property
    def items(self) -> tuple[str, ...]:
        """The service."""
        return (self.service,)

    def find(self, topology: PackedTopology, patience: Callable[[], None]) -> tuple[ServiceStanding, Needed]:
        """How it stands."""
        needs = ServiceNeeds.of(topology, self.service)
        alone = needs.numbers[needs.reduction.single_points]
        items = [topology.item(number) for number in alone.tolist() if number != needs.numbers[0]]
        margin = needs.margin(MARGIN_SECONDS, patience)
        defeating = tuple(topology.item(n) for n in needs.numbers[[*margin.defeated_by]].tolist())
        standing = ServiceStanding(topology.revision, margin, {item.id: item for item in items}, defeating)
        return standing, Needed(np.sort(needs.numbers))


@dataclass(frozen=True, slots=True, eq=False)
class Needed:
    """All that a service needs: only their edges matter to it. `numbers` ascend."""

    numbers: Int32s

    def is_touched_by(self, change: Change) -> bool:
        """Whether one of them has new edges."""
        return _holds(self.numbers, change.sources)


@dataclass(frozen=True)
class FailureStanding(Standing):
    """What goes down when some items fail together, these among it, by id; true of `revision`."""

    down: Mapping[str, TopologyItem]

    @property
    def size(self) -> int:
        """How many items it names."""
        return len(self.down)

    def equals(self, other: Self) -> bool:
        """Whether nothing differs but the revision."""
        return self.down.keys() == other.down.keys()


@dataclass(frozen=True, slots=True)
class FailureQuestion:
    """What goes down when these fail together?"""

    failed: frozenset[str]
    engine: Engine = field(compare=False)

    @property
    def items(self) -> tuple[str, ...]:
        """Those that fail."""
        return tuple(sorted(self.failed))

    def find(self, topology: PackedTopology, patience: Callable[[], None]) -> tuple[FailureStanding, Down]:
        """What goes down; refused where that is more than `MOST_DOWN`."""
        patience()
        impact = self.engine.simulate_failure(topology, self.failed)
        down = impact.nodes[impact.codes == CODES[State.DOWN]]
        if len(down) > MOST_DOWN:
            raise Refusal(
                Code.LIMIT_EXCEEDED,
                f"{len(down):,} items go down; up to {MOST_DOWN:,} can be followed: choose items of which less depends",
                facts={"limit": "watchedItems", "allowed": MOST_DOWN, "seen": len(down)},
            )
        items = [topology.item(number) for number in down.tolist()]
        standing = FailureStanding(topology.revision, {item.id: item for item in items})
        return standing, Down(np.sort(down), standing.down.keys())


@dataclass(frozen=True, slots=True, eq=False)
class Down:
    """What is down: another item can only join it by an edge to one of them. `numbers` ascend."""

    numbers: Int32s
    ids: Set[str]

    def is_touched_by(self, change: Change) -> bool:
        """Whether one of them is down, or depends on something that is."""
        targets = change.targets
        return targets is None or _holds(self.numbers, change.sources) or not self.ids.isdisjoint(targets)


def _holds(numbers: Int32s, some: Set[int]) -> bool:
    """Whether one of `some` is among ascending numbers."""
    if not some:
        return False
    sought = np.fromiter(some, np.int32, len(some))
    places = np.minimum(np.searchsorted(numbers, sought), len(numbers) - 1)
    return bool((numbers[places] == sought).any())
