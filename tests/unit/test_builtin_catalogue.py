"""The built-in catalogue holds what `model.md` promises, in two languages, and its state machines can be walked."""

from __future__ import annotations

import pytest

from cmdb.model.catalogue import Catalogue, builtin_catalogue

PROMISED_CLASSES = [
    "BusinessService",
    "ServiceOffering",
    "BusinessProcess",
    "ApplicationService",
    "Application",
    "SoftwareInstance",
    "WebServer",
    "DatabaseInstance",
    "MessageBroker",
    "Cache",
    "Database",
    "Api",
    "Queue",
    "ScheduledJob",
    "Host",
    "Server",
    "VirtualMachine",
    "Container",
    "Workstation",
    "MobileDevice",
    "Hypervisor",
    "Cluster",
    "KubernetesCluster",
    "Namespace",
    "Workload",
    "Pod",
    "CloudInstance",
    "Printer",
    "NetworkDevice",
    "Switch",
    "Router",
    "Firewall",
    "LoadBalancer",
    "AccessPoint",
    "Interface",
    "IpAddress",
    "Subnet",
    "Vlan",
    "Circuit",
    "StorageArray",
    "Volume",
    "FileSystem",
    "Bucket",
    "Site",
    "Room",
    "Rack",
    "PowerFeed",
    "Pdu",
    "Ups",
    "CoolingUnit",
    "CloudAccount",
    "Region",
    "CloudResource",
    "SoftwareProduct",
    "SoftwareInstallation",
    "Component",
    "Certificate",
    "Organisation",
    "Customer",
    "Supplier",
    "Team",
    "Person",
    "ServiceLevelAgreement",
    "ServiceLevelTarget",
    "Contract",
    "ServiceCalendar",
    "ChangeWindow",
    "Blackout",
    "Incident",
    "ServiceRequest",
    "Problem",
    "KnownError",
    "Change",
    "Release",
    "Outage",
]
PROMISED_RELATIONSHIPS = [
    "DEPENDS_ON",
    "RUNS_ON",
    "HOSTED_BY",
    "USES",
    "HAS_MEMBER",
    "STORED_ON",
    "POWERED_BY",
    "COOLED_BY",
    "CONNECTED_TO",
    "ROUTED_THROUGH",
    "PART_OF",
    "LOCATED_IN",
    "INSTALLED_ON",
    "INSTANCE_OF",
    "EXPOSES",
    "PROVIDES",
    "OWNED_BY",
    "SUPPORTED_BY",
    "SUBSCRIBED_BY",
    "GOVERNED_BY",
    "SUPPLIED_BY",
    "BACKS_UP",
    "AFFECTS",
    "CAUSED_BY",
    "RESOLVES",
    "IMPLEMENTS",
    "PART_OF_RELEASE",
    "REQUESTED_BY",
    "ASSIGNED_TO",
    "APPROVED_BY",
]
LAYERS = {
    "business",
    "application",
    "compute",
    "network",
    "storage",
    "facility",
    "cloud",
    "software",
    "party",
    "agreement",
    "record",
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return builtin_catalogue()


def test_holds_every_promised_class_and_relationship_type(catalogue: Catalogue) -> None:
    assert set(PROMISED_CLASSES) - catalogue.classes.keys() == set()
    assert set(PROMISED_RELATIONSHIPS) - catalogue.relationships.keys() == set()


@pytest.mark.parametrize(
    ("class_name", "ancestor"),
    [
        ("Server", "Host"),
        ("Hypervisor", "Server"),
        ("CloudInstance", "VirtualMachine"),
        ("Container", "Host"),
        ("WebServer", "SoftwareInstance"),
        ("KubernetesCluster", "Cluster"),
        ("Switch", "NetworkDevice"),
        ("Customer", "Organisation"),
        ("Change", "Record"),
        ("Host", "ConfigurationItem"),
    ],
)
def test_classes_inherit(catalogue: Catalogue, class_name: str, ancestor: str) -> None:
    assert catalogue.is_a(class_name, ancestor)


def test_records_parties_and_agreements_are_no_configuration_items(catalogue: Catalogue) -> None:
    for class_name in ("Record", "Party", "Agreement"):
        assert not any(catalogue.is_a(c, "ConfigurationItem") for c in catalogue.subclasses(class_name))


def test_everything_people_see_is_titled_in_both_languages(catalogue: Catalogue) -> None:
    titled = [(c.name, c.title) for c in catalogue.classes.values()]
    titled += [(r.name, r.title) for r in catalogue.relationships.values()]
    titled += [(f"{r.name} inverse", r.inverse_title) for r in catalogue.relationships.values()]
    titled += [
        (f"{m.name}.{s}", title) for m in catalogue.lifecycles.values() for s, title in m.titles.items()
    ]
    assert [name for name, title in titled if not (title.get("en") and title.get("zh"))] == []
    attributes = {
        f"{a.declared_by}.{a.name}": a.entry
        for c in catalogue.classes.values()
        for a in c.attributes.values()
    }
    assert [
        name for name, entry in attributes.items() if not (entry.title.get("zh") and entry.description)
    ] == []


def test_layers_are_the_known_ones(catalogue: Catalogue) -> None:
    assert {c.layer for c in catalogue.classes.values()} <= LAYERS


def test_every_concrete_class_can_be_identified(catalogue: Catalogue) -> None:
    assert [c.name for c in catalogue.classes.values() if not c.abstract and not c.identity_rules] == []


def test_what_lives_inside_a_host_is_identified_inside_it(catalogue: Catalogue) -> None:
    inside = {
        "SoftwareInstance": "RUNS_ON",
        "Interface": "PART_OF",
        "FileSystem": "PART_OF",
        "SoftwareInstallation": "INSTALLED_ON",
        "Pod": "PART_OF",
        "Workload": "PART_OF",
        "Container": "RUNS_ON",
    }
    for class_name, relationship in inside.items():
        assert relationship in {rule.within for rule in catalogue.classes[class_name].identity_rules}


@pytest.mark.parametrize("class_name", ["Container", "MobileDevice"])
def test_names_of_containers_and_telephones_identify_nothing_outside_their_host(
    catalogue: Catalogue, class_name: str
) -> None:
    rules = catalogue.classes[class_name].identity_rules
    assert not any(rule.attributes == ("name",) and rule.within is None for rule in rules)


def test_depending_carries_failure_and_owning_does_not(catalogue: Catalogue) -> None:
    kinds = {name: catalogue.relationships[name].dependency for name in catalogue.relationships}
    assert {kinds[n] for n in ("DEPENDS_ON", "RUNS_ON", "HAS_MEMBER", "POWERED_BY", "LOCATED_IN")} == {"hard"}
    assert kinds["USES"] == "soft"
    assert {kinds[n] for n in ("OWNED_BY", "AFFECTS", "LINKED_TO", "SUBSCRIBED_BY", "BACKS_UP")} == {"none"}


def test_every_state_can_be_entered_and_every_life_can_end(catalogue: Catalogue) -> None:
    for machine in catalogue.lifecycles.values():
        reached = set(machine.starts)
        grown = True
        while grown:
            further = {t for state in reached for t in machine.transitions[state]} - reached
            reached |= further
            grown = bool(further)
        assert reached == set(machine.transitions), machine.name
        ends = set(machine.closed)
        grown = True
        while grown:
            before = {s for s, targets in machine.transitions.items() if set(targets) & ends} - ends
            ends |= before
            grown = bool(before)
        assert ends == set(machine.transitions), machine.name
