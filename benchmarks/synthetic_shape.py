"""The shape of the made-up estate: its classes with their shares, and what a CI of each class needs.

Pure data for `benchmarks.synthetic`. The types and their strengths are those of the built-in catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Strength: TypeAlias = Literal["hard", "soft"]
Confidence: TypeAlias = Literal["declared", "observed", "inferred"]
Required: TypeAlias = int | str
Label: TypeAlias = tuple[str, Strength | None, Confidence, str | None, Required | None]
"""What an edge says: type, effective strength (None: it carries no failure), confidence, group, required."""


@dataclass(frozen=True, slots=True)
class ItemClass:
    """A class of CIs: its layer, its share of the estate, the beginning of its names, its usual unavailability."""

    name: str
    layer: int
    share: float
    prefix: str
    unavailability: float


LAYERS: Final = (
    "business service",
    "application service",
    "application and instance",
    "database and middleware",
    "virtual machine and container",
    "host",
    "network and storage",
    "facility",
)
REST: Final = "VirtualMachine"
"""The class that takes what the shares of the others leave."""
CLASSES: Final = (
    ItemClass("BusinessService", 0, 0.002, "bs", 1e-5),
    ItemClass("ApplicationService", 1, 0.028, "as", 2e-5),
    ItemClass("Application", 2, 0.10, "app", 2e-4),
    ItemClass("SoftwareInstance", 2, 0.09, "inst", 3e-4),
    ItemClass("WebServer", 2, 0.06, "web", 2e-4),
    ItemClass("Database", 3, 0.05, "db", 1e-4),
    ItemClass("DatabaseInstance", 3, 0.06, "dbi", 3e-4),
    ItemClass("Cache", 3, 0.02, "cache", 3e-4),
    ItemClass("MessageBroker", 3, 0.01, "mq", 2e-4),
    ItemClass("Container", 4, 0.14, "ctr", 5e-4),
    ItemClass("VirtualMachine", 4, 0.157, "vm", 3e-4),
    ItemClass("Cluster", 5, 0.003, "cl", 2e-5),
    ItemClass("Hypervisor", 5, 0.02, "hv", 2e-4),
    ItemClass("Server", 5, 0.06, "srv", 4e-4),
    ItemClass("LoadBalancer", 6, 0.004, "lb", 1e-4),
    ItemClass("Interface", 6, 0.08, "if", 5e-5),
    ItemClass("Volume", 6, 0.05, "vol", 3e-5),
    ItemClass("StorageArray", 6, 0.006, "san", 5e-5),
    ItemClass("Switch", 6, 0.02, "sw", 1e-4),
    ItemClass("Router", 6, 0.002, "rt", 1e-4),
    ItemClass("Firewall", 6, 0.001, "fw", 1e-4),
    ItemClass("Circuit", 6, 0.002, "wan", 5e-4),
    ItemClass("Rack", 7, 0.012, "rack", 1e-5),
    ItemClass("Pdu", 7, 0.012, "pdu", 1e-4),
    ItemClass("Ups", 7, 0.005, "ups", 2e-4),
    ItemClass("PowerFeed", 7, 0.003, "feed", 3e-4),
    ItemClass("CoolingUnit", 7, 0.002, "cool", 5e-4),
    ItemClass("Room", 7, 0.001, "room", 1e-5),
    ItemClass("Generator", 7, 0.001, "gen", 8e-4),
    ItemClass("Site", 7, 0.0002, "site", 1e-5),
)
LEAST: Final = 8
"""Of each class there are so many at least; twice the members of the largest group."""
DIRECTORIES: Final = 4
"""So many application services are directories that applications and machines need; as many as the largest group
has members."""
PARTNERSHIPS: Final = 0.02
"""Share of applications that stand in a ring of mutual dependency."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a CI of class `source` needs of class `target`, `slots` times, each with the probability `chance`.

    `redundant`: the share of such bundles that are groups. `soft`: the share of the others that degrade only.
    `shared`: the share that goes anywhere, with `skew`; the rest goes to the place below, or up to `spread` beside it.
    `first`: only so many targets come into question. `onward`: to one of the next CIs of the same class.
    """

    source: str
    type: str
    target: str
    chance: float = 1.0
    slots: int = 1
    redundant: float = 0.57
    soft: float = 0.0
    shared: float = 0.08
    skew: float = 3.0
    spread: int = 4
    first: int | None = None
    onward: bool = False


BUNDLES: Final = (
    Bundle("BusinessService", "DEPENDS_ON", "ApplicationService", slots=4),
    Bundle("BusinessService", "USES", "ApplicationService", chance=0.5, redundant=0),
    Bundle("ApplicationService", "DEPENDS_ON", "Application", slots=2),
    Bundle("ApplicationService", "HAS_MEMBER", "WebServer", chance=0.6, redundant=0.8, shared=0),
    Bundle("ApplicationService", "ROUTED_THROUGH", "LoadBalancer", chance=0.6),
    Bundle("ApplicationService", "USES", "ApplicationService", chance=0.2, redundant=0, onward=True),
    Bundle("Application", "RUNS_ON", "VirtualMachine"),
    Bundle("Application", "DEPENDS_ON", "Database", chance=0.7, shared=0.2),
    Bundle("Application", "DEPENDS_ON", "Application", chance=0.3, redundant=0.3, onward=True),
    Bundle("Application", "DEPENDS_ON", "ApplicationService", chance=0.5, first=DIRECTORIES, shared=1),
    Bundle("Application", "DEPENDS_ON", "SoftwareInstance"),
    Bundle("Application", "USES", "Cache", chance=0.3, redundant=0),
    Bundle("Application", "USES", "MessageBroker", chance=0.2, redundant=0),
    Bundle("SoftwareInstance", "RUNS_ON", "Container", redundant=0.6),
    Bundle("SoftwareInstance", "DEPENDS_ON", "MessageBroker", chance=0.6, soft=0.2),
    Bundle("SoftwareInstance", "DEPENDS_ON", "Database", chance=0.5, redundant=0.3, soft=0.1),
    Bundle("SoftwareInstance", "USES", "Cache", chance=0.2, redundant=0),
    Bundle("WebServer", "RUNS_ON", "Container"),
    Bundle("WebServer", "DEPENDS_ON", "SoftwareInstance", soft=0.1),
    Bundle("WebServer", "USES", "Cache", chance=0.3, redundant=0),
    Bundle("Database", "DEPENDS_ON", "DatabaseInstance", redundant=0.7),
    Bundle("Database", "STORED_ON", "Volume", chance=0.6),
    Bundle("DatabaseInstance", "RUNS_ON", "VirtualMachine"),
    Bundle("DatabaseInstance", "STORED_ON", "Volume"),
    Bundle("Cache", "RUNS_ON", "VirtualMachine"),
    Bundle("MessageBroker", "RUNS_ON", "VirtualMachine", redundant=0.7),
    Bundle("Container", "RUNS_ON", "VirtualMachine"),
    Bundle("Container", "STORED_ON", "Volume", chance=0.3, soft=0.3),
    Bundle("Container", "MONITORED_BY", "SoftwareInstance", chance=0.2, redundant=0),
    Bundle("VirtualMachine", "RUNS_ON", "Cluster", chance=0.5, redundant=0, shared=0),
    Bundle("VirtualMachine", "RUNS_ON", "Server", chance=0.5, shared=0),
    Bundle("VirtualMachine", "STORED_ON", "Volume", chance=0.6),
    Bundle("VirtualMachine", "CONNECTED_TO", "Interface"),
    Bundle(
        "VirtualMachine", "USES", "ApplicationService", chance=0.1, redundant=0, first=DIRECTORIES, shared=1
    ),
    Bundle("VirtualMachine", "MONITORED_BY", "SoftwareInstance", chance=0.3, redundant=0),
    Bundle("Cluster", "HAS_MEMBER", "Hypervisor", redundant=1),
    Bundle("Hypervisor", "CONNECTED_TO", "Interface", redundant=0.7),
    Bundle("Hypervisor", "POWERED_BY", "Pdu", redundant=0.7),
    Bundle("Hypervisor", "LOCATED_IN", "Rack", redundant=0, shared=0),
    Bundle("Hypervisor", "STORED_ON", "Volume"),
    Bundle("Server", "CONNECTED_TO", "Interface"),
    Bundle("Server", "POWERED_BY", "Pdu", redundant=0.7),
    Bundle("Server", "LOCATED_IN", "Rack", redundant=0, shared=0),
    Bundle("Server", "MONITORED_BY", "SoftwareInstance", chance=0.3, redundant=0),
    Bundle("Server", "STORED_ON", "Volume", chance=0.5),
    Bundle("LoadBalancer", "CONNECTED_TO", "Switch"),
    Bundle("LoadBalancer", "POWERED_BY", "Pdu"),
    Bundle("Interface", "PART_OF", "Switch", redundant=0, shared=0),
    Bundle("Volume", "PART_OF", "StorageArray", redundant=0, shared=0),
    Bundle("Volume", "REPLICATES", "Volume", chance=0.3, redundant=0, onward=True),
    Bundle("StorageArray", "CONNECTED_TO", "Switch"),
    Bundle("StorageArray", "POWERED_BY", "Pdu", redundant=0.7),
    Bundle("StorageArray", "LOCATED_IN", "Rack", redundant=0),
    Bundle("Switch", "CONNECTED_TO", "Router", shared=0.2),
    Bundle("Switch", "POWERED_BY", "Pdu"),
    Bundle("Switch", "LOCATED_IN", "Rack", redundant=0),
    Bundle("Router", "ROUTED_THROUGH", "Firewall", shared=0.4),
    Bundle("Router", "CONNECTED_TO", "Circuit", shared=0.4),
    Bundle("Router", "POWERED_BY", "Pdu"),
    Bundle("Firewall", "POWERED_BY", "Pdu"),
    Bundle("Firewall", "LOCATED_IN", "Rack", redundant=0),
    Bundle("Rack", "LOCATED_IN", "Room", redundant=0, shared=0),
    Bundle("Pdu", "POWERED_BY", "Ups"),
    Bundle("Ups", "POWERED_BY", "PowerFeed", shared=0.05),
    Bundle("Ups", "LOCATED_IN", "Room", redundant=0),
    Bundle("PowerFeed", "POWERED_BY", "Generator", chance=0.4, redundant=0.3, spread=1, shared=0.05),
    Bundle("Room", "LOCATED_IN", "Site", redundant=0, skew=2, shared=0.05),
    Bundle("Room", "COOLED_BY", "CoolingUnit", redundant=1),
    Bundle("CoolingUnit", "POWERED_BY", "PowerFeed"),
)
REDUNDANCY: Final[tuple[tuple[int, Required, float], ...]] = (
    (2, 1, 0.6),
    (3, 2, 0.2),
    (3, 1, 0.08),
    (4, "50%", 0.12),
)
"""(members, required, share) of the groups."""
CONFIDENCES: Final[tuple[tuple[Confidence, float], ...]] = (
    ("declared", 0.85),
    ("observed", 0.12),
    ("inferred", 0.03),
)
NO_FAILURE: Final = frozenset({"MONITORED_BY", "REPLICATES"})
SOFT_TYPES: Final = frozenset({"USES"})
