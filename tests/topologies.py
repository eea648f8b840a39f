"""Named reference topologies with answers worked out by hand, for every test that needs an estate.
 An estate is written as who needs what: `graph({"app": ["db", gate(1, "web-1", "web-2"), soft("mail")]})`.
Ids are names. Answers leave out what is not reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cmdb.model.packed_topology import PackedTopology
from cmdb.model.topology import Confidence, PlainTopology, Strength, Topology, TopologyEdge, TopologyItem


@dataclass(frozen=True, slots=True)
class Need:
    """One gate of a dependent, or a soft dependency."""

    targets: tuple[str, ...]
    required: int | str | None = None
    strength: Strength = "hard"
    confidence: Confidence = "declared"


def gate(required: int | str, *targets: str) -> Need:
    """At least `required` of the targets."""
    return Need(targets, required)


def soft(target: str) -> Need:
    """Wanted, not needed."""
    return Need((target,), strength="soft")


def graph(
    needs: Mapping[str, Sequence[str | Need]], *, classes: Mapping[str, str] | None = None, revision: int = 1
) -> PlainTopology:
    """A topology of everything named; a plain string is a hard dependency; groups are named g0, g1, ..."""
    edges = []
    for source, wanted in needs.items():
        for index, need in enumerate(wanted):
            if isinstance(need, str):
                need = Need((need,))
            group = f"g{index}" if need.required is not None else None
            edges += [
                TopologyEdge(
                    "DEPENDS_ON", source, target, group, need.required, need.strength, need.confidence
                )
                for target in need.targets
            ]
    names = sorted({*needs, *(edge.target for edge in edges)})
    class_of = classes or {}
    items = [TopologyItem(name, name, class_of.get(name, "Server"), "compute", "live") for name in names]
    return PlainTopology.build(revision, items, edges)


def packed(topology: Topology) -> PackedTopology:
    """The same in arrays."""
    return PackedTopology.build(topology.revision, topology.items.values(), topology.edges())


@dataclass(frozen=True, slots=True)
class Answer:
    """When `failed` fail while `pinned` hold, the reached CIs are in `states` (state: ids with spaces)."""

    failed: tuple[str, ...]
    states: Mapping[str, str]
    pinned: frozenset[str] = field(default_factory=frozenset)

    def state_by_id(self) -> dict[str, str]:
        """Every reached CI with its state."""
        return {item: state for state, items in self.states.items() for item in items.split()}


@dataclass(frozen=True, slots=True)
class Reference:
    """A topology and what is true of it."""

    name: str
    topology: PlainTopology
    answers: tuple[Answer, ...]


CHAIN = Reference(
    "chain",
    graph({"service": ["app"], "app": ["db"], "db": ["disk"]}),
    (
        Answer(("disk",), {"down": "disk db app service"}),
        Answer(("app",), {"down": "app service"}),
        Answer((), {}),
        Answer(("disk",), {"down": "disk db"}, pinned=frozenset({"app"})),
    ),
)

PAIR = Reference(  # the shop needs one of two; the kiosk inherits whatever becomes of the shop
    "pair",
    graph({"kiosk": ["shop"], "shop": [gate(1, "web-1", "web-2")], "web-1": ["host-1"], "web-2": ["host-2"]}),
    (
        Answer(("host-1",), {"down": "host-1 web-1", "at_risk": "shop kiosk"}),
        Answer(("host-1", "web-2"), {"down": "host-1 web-1 web-2 shop kiosk"}),
        Answer(("host-1", "host-2"), {"down": "host-1 web-1 host-2 web-2"}, pinned=frozenset({"shop"})),
    ),
)

TWO_OF_FOUR = Reference(
    "two of four",
    graph({"quorum": [gate("50%", "n1", "n2", "n3", "n4")], "client": ["quorum"]}),
    (
        Answer(("n1",), {"down": "n1", "reduced": "quorum", "protected": "client"}),
        Answer(("n1", "n3"), {"down": "n1 n3", "at_risk": "quorum client"}),
        Answer(("n1", "n3", "n4"), {"down": "n1 n3 n4 quorum client"}),
    ),
)

HALF_OF_THREE = Reference(  # half of three, rounded up, is two
    "half of three",
    graph({"quorum": [gate("50%", "n1", "n2", "n3")]}),
    (
        Answer(("n1",), {"down": "n1", "at_risk": "quorum"}),
        Answer(("n1", "n2"), {"down": "n1 n2 quorum"}),
    ),
)

CYCLE = Reference(  # auth and directory need each other: up as long as nothing outside forces them
    "cycle",
    graph({"auth": ["directory"], "directory": ["auth", "disk"], "narcissus": ["narcissus"]}),
    (
        Answer((), {}),
        Answer(("disk",), {"down": "disk directory auth"}),
        Answer(("auth",), {"down": "auth directory"}),
        Answer(("narcissus",), {"down": "narcissus"}),
    ),
)

CYCLE_WITH_SPARES = Reference(  # the ring a <-> b is at risk once each has only the other left
    "cycle with spares",
    graph({"a": [gate(1, "b", "x")], "b": [gate(1, "a", "y")]}),
    (
        Answer(("x",), {"down": "x", "at_risk": "a", "protected": "b"}),
        Answer(("x", "y"), {"down": "x y", "at_risk": "a b"}),
        Answer(("x", "a"), {"down": "x a", "at_risk": "b"}),
        Answer(("x", "a", "y"), {"down": "x a y b"}),
    ),
)

SOFT = Reference(  # mail only degrades the portal; who needs the portal is degraded too, who likes it is not
    "soft",
    graph(
        {
            "portal": [soft("mail"), "db"],
            "desk": ["portal"],
            "fan": [soft("portal")],
            "front": [gate(1, "portal", "spare")],
        }
    ),
    (
        Answer(("mail",), {"down": "mail", "degraded": "portal desk front", "protected": "fan"}),
        Answer(("db",), {"down": "db portal desk", "degraded": "fan", "at_risk": "front"}),
        Answer(("mail",), {"down": "mail"}, pinned=frozenset({"portal"})),
        Answer(
            ("mail", "spare"), {"down": "mail spare", "degraded": "portal desk front", "protected": "fan"}
        ),
    ),
)

SHARED_ALTERNATIVE = Reference(  # a or b, and a or c: one edge per pair could not say this
    "shared alternative",
    graph({"tool": [gate(1, "a", "b"), gate(1, "a", "c")]}),
    (
        Answer(("a",), {"down": "a", "at_risk": "tool"}),
        Answer(("b", "c"), {"down": "b c", "at_risk": "tool"}),
        Answer(("a", "c"), {"down": "a c tool"}),
    ),
)

DUAL_POWER = (
    Reference(  # two feeds, each through its own UPS, but both UPS breathe the air of one cooling unit
        "dual power",
        graph(
            {
                "server": [gate(1, "pdu-a", "pdu-b")],
                "pdu-a": ["ups-a"],
                "pdu-b": ["ups-b"],
                "ups-a": ["feed-a", "cooling"],
                "ups-b": ["feed-b", "cooling"],
                "service": ["server"],
            },
            classes={"service": "BusinessService"},
        ),
        (
            Answer(("feed-a",), {"down": "feed-a ups-a pdu-a", "at_risk": "server service"}),
            Answer(("cooling",), {"down": "cooling ups-a ups-b pdu-a pdu-b server service"}),
        ),
    )
)

CLUSTER_OF_CLUSTERS = Reference(  # one of two sites, each site two of three hosts
    "cluster of clusters",
    graph(
        {
            "platform": [gate(1, "north", "south")],
            "north": [gate(2, "n1", "n2", "n3")],
            "south": [gate(2, "s1", "s2", "s3")],
            "app": ["platform"],
        }
    ),
    (
        Answer(("n1",), {"down": "n1", "at_risk": "north", "protected": "platform app"}),
        Answer(("n1", "s1"), {"down": "n1 s1", "at_risk": "north south platform app"}),
        Answer(("n1", "n2"), {"down": "n1 n2 north", "at_risk": "platform app"}),
        Answer(("n1", "n2", "s1"), {"down": "n1 n2 north s1", "at_risk": "south platform app"}),
        Answer(("n1", "n2", "s1", "s3"), {"down": "n1 n2 north s1 s3 south platform app"}),
    ),
)

CIRCULAR_BLAME = Reference(
    # y falls only because x fell first (x needs v3; y needs two of three and loses f and x), then x's need of
    # y breaks as well. x must be explained by v3, not by y, although y is nearer to f.
    "circular blame",
    graph({"x": ["v3", "y"], "v3": ["v2"], "v2": ["v1"], "v1": ["f"], "y": [gate(2, "f", "x", "w")]}),
    (
        Answer(("f",), {"down": "f v1 v2 v3 x y"}),
        Answer(("f",), {"down": "f", "at_risk": "y x"}, pinned=frozenset({"v1"})),
    ),
)

REFERENCES = (
    CHAIN,
    PAIR,
    TWO_OF_FOUR,
    HALF_OF_THREE,
    CYCLE,
    CYCLE_WITH_SPARES,
    SOFT,
    SHARED_ALTERNATIVE,
    DUAL_POWER,
    CLUSTER_OF_CLUSTERS,
    CIRCULAR_BLAME,
)
