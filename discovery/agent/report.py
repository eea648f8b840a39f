"""The report: everything the readers found, as one Observation (JSON, version 1) of this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from discovery.agent.files import Machine
from discovery.agent.hardware import HostFacts, read_host
from discovery.agent.network import Address, primary_address, read_addresses, read_interfaces
from discovery.agent.packages import read_packages
from discovery.agent.processes import read_traffic
from discovery.agent.programs import software_of
from discovery.agent.storage import read_disks, read_file_systems

SOURCE = "cmdb-agent"
HOST = "host"
"""The ref of the machine itself."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """An Observation, and in words what the machine would not let be seen."""

    observation: dict[str, Any]
    unseen: tuple[str, ...]


def observe(root: Path = Path("/"), *, source: str = SOURCE) -> dict[str, Any]:
    """This machine's inventory as an Observation."""
    return take_inventory(root, source=source).observation


def take_inventory(root: Path = Path("/"), *, source: str = SOURCE, now: datetime | None = None) -> Inventory:
    """The inventory of the machine whose file tree is at `root`, seen at `now`.

    Items and edges come in the same order whenever it is taken, and keys stay the same for as long as the machine does.
    """
    machine = Machine(root)
    seen_at = (now or datetime.now(UTC)).astimezone(UTC)
    host = read_host(machine)
    draft = _Draft(host)
    addresses = read_addresses(machine)
    _put_host(draft, machine, addresses)
    _put_network(draft, machine, addresses)
    _put_storage(draft, machine)
    _put_packages(draft, machine)
    _put_software(draft, machine, addresses)
    stamp = seen_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    observation = {
        "source": source,
        "run": f"{host.key[:80]} {stamp}",
        "scope": f"host {host.key[:200]}",
        "complete": machine.complete,
        "seen_at": stamp,
        "items": list(draft.items.values()),
        "edges": draft.edges,
    }
    return Inventory(observation, tuple(machine.unseen))


@dataclass(slots=True)
class _Draft:
    """An Observation in the making. Refs are short; keys are refs after the host's key."""

    host: HostFacts
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    edges: list[dict[str, Any]] = field(default_factory=list)

    def item(self, ref: str, class_name: str, attributes: Mapping[str, Any], *, shared: bool = False) -> None:
        """Add an item without the attributes that are None. A `shared` one is no part of this machine."""
        key = ref if shared else self.host.key if ref == HOST else f"{self.host.key}/{ref}"
        known = {name: value for name, value in attributes.items() if value is not None}
        self.items.setdefault(ref, {"ref": ref, "class": class_name, "key": key[:400], "attributes": known})

    def edge(self, kind: str, source: str, target: str) -> None:
        """Add an edge that was seen."""
        self.edges.append({"type": kind, "from": source, "to": target, "confidence": "observed"})


def _put_host(draft: _Draft, machine: Machine, addresses: list[Address]) -> None:
    primary = primary_address(machine, addresses)
    interfaces = read_interfaces(machine)
    macs = sorted({i.mac for i in interfaces if i.mac and (i.physical or i.kind == "ethernet")})
    further = {"primary_address": str(primary) if primary else None, "mac_addresses": macs or None}
    draft.item(HOST, draft.host.class_name, {**draft.host.attributes, **further})


def _put_network(draft: _Draft, machine: Machine, addresses: list[Address]) -> None:
    for interface in read_interfaces(machine):
        ref = f"interface/{interface.name}"
        attributes = {
            "name": interface.name,
            "kind": interface.kind,
            "mac": interface.mac,
            "mtu": interface.mtu,
            "speed": interface.speed,
            "admin_state": interface.admin_state,
            "link_state": interface.link_state,
            "port_index": interface.index,
        }
        draft.item(ref, "Interface", attributes)
        draft.edge("PART_OF", ref, HOST)
    for address in addresses:
        if address.is_own:
            ref = f"address/{address.ip}"
            attributes = {
                "name": str(address.ip),
                "address": str(address.ip),
                "prefix_length": address.prefix,
            }
            draft.item(ref, "IpAddress", attributes, shared=True)
            holder = f"interface/{address.interface}"
            draft.edge("HAS_ADDRESS", holder if holder in draft.items else HOST, ref)


def _put_storage(draft: _Draft, machine: Machine) -> None:
    for disk in read_disks(machine):
        ref = f"disk/{disk.name}"
        attributes = {"name": disk.name, "kind": "disk", "size": disk.size, "wwn": disk.wwn}
        draft.item(ref, "Volume", {**attributes, "device": f"/dev/{disk.name}", "description": disk.model})
        draft.edge("PART_OF", ref, HOST)
    for system in read_file_systems(machine):
        ref = f"filesystem{system.mount_point}"
        attributes = {
            "name": system.mount_point,
            "mount_point": system.mount_point,
            "device": system.device,
            "format": system.format,
            "size": system.size,
        }
        draft.item(ref, "FileSystem", attributes)
        draft.edge("PART_OF", ref, HOST)
        for disk_name in system.disks:
            if f"disk/{disk_name}" in draft.items:
                draft.edge("STORED_ON", ref, f"disk/{disk_name}")


def _put_packages(draft: _Draft, machine: Machine) -> None:
    for package in read_packages(machine):
        ref = f"package/{package.name}/{package.architecture}"
        attributes = {
            "name": package.name,
            "product_version": package.version,
            "architecture": package.architecture,
            "package_kind": package.kind,
            "package_url": package.url,
            "size": package.size,
            "vendor": package.vendor,
        }
        draft.item(ref, "SoftwareInstallation", attributes)
        draft.edge("INSTALLED_ON", ref, HOST)


def _put_software(draft: _Draft, machine: Machine, addresses: list[Address]) -> None:
    ignored = frozenset({os.getpid()}) if machine.is_running else frozenset()
    traffic = read_traffic(machine, [address.ip for address in addresses], ignored)
    for instance in traffic.instances:
        ref = f"software/{instance.name}"
        software = software_of(instance.program)
        attributes = {
            "name": instance.name,
            "product": software.product,
            "engine": software.engine,
            "ports": list(instance.ports) or None,
            "process": instance.program,
            "run_as": instance.user,
            "install_path": instance.executable,
        }
        draft.item(ref, software.class_name, attributes)
        draft.edge("RUNS_ON", ref, HOST)
    for client, server in traffic.uses:
        draft.edge("USES", f"software/{client}", f"software/{server}")
    for client, peer in traffic.peers:
        ref = f"address/{peer}"
        draft.item(ref, "IpAddress", {"name": str(peer), "address": str(peer)}, shared=True)
        draft.edge("TALKS_TO", f"software/{client}", ref)
