"""What the machine is: its make, processor, memory, operating system, and whether it is virtual or a container."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from discovery.agent.files import Machine, assignments, identifier

DMI = "/sys/class/dmi/id"
CLASS_BY_CHASSIS = {
    **dict.fromkeys(("3", "4", "5", "6", "7", "8", "9", "10", "13", "14", "15", "16", "24"), "Workstation"),
    **dict.fromkeys(("30", "31", "32", "34", "35", "36"), "Workstation"),
    **dict.fromkeys(("17", "22", "23", "25", "28", "29"), "Server"),
}
"""The class by the chassis type of SMBIOS (DMTF DSP0134, section 7.4.1)."""
VIRTUAL = re.compile(
    r"kvm|qemu|vmware|virtualbox|bochs|xen|openstack|amazon ec2|google compute|virtual machine|firecracker|"
    r"parallels|bhyve|hvm domu|alibaba cloud|digitalocean|cloud hypervisor",
    re.IGNORECASE,
)
"""Makers and products of virtual hardware."""
_CONTAINER_ID = re.compile(r"(?:docker|containers|libpod|kubepods|crio|cri-containerd)[^\s]*?([0-9a-f]{64})")
_NO_NAME = ("localhost", "localhost.localdomain", "(none)", "")


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The machine as an item: its class, a key that stays with it, and its attributes."""

    class_name: str
    key: str
    attributes: dict[str, Any]


def read_host(machine: Machine) -> HostFacts:
    """What the machine is."""
    container = _container_id(machine)
    attributes = {**_names(machine), **_processor(machine), **_memory(machine), **_system(machine)}
    if container is None:
        attributes |= _board(machine)
        if machine_id := identifier(machine.text("/etc/machine-id")):
            attributes["machine_id"] = machine_id
    else:
        attributes["container_id"] = container
    class_name = _class(machine, attributes) if container is None else "Container"
    identities = (container, attributes.get("machine_id"), attributes.get("uuid"), attributes.get("hostname"))
    key = next((identity for identity in identities if identity), "unknown")
    attributes.setdefault("name", attributes.get("hostname") or f"host {key[:12]}")
    return HostFacts(class_name, key, attributes)


def _names(machine: Machine) -> dict[str, Any]:
    full = machine.text("/proc/sys/kernel/hostname") or machine.text("/etc/hostname") or ""
    if full.lower() in _NO_NAME:
        return {}
    hostname, _, domain = full.partition(".")
    names = {"name": hostname, "hostname": hostname}
    return {**names, "domain": domain, "fqdn": full} if domain else names


def _board(machine: Machine) -> dict[str, Any]:
    wanted = {
        "manufacturer": ("sys_vendor", ""),
        "model": ("product_name", ""),
        "serial_number": ("product_serial", "the machine's serial number"),
        "uuid": ("product_uuid", "the machine's UUID"),
        "bios_version": ("bios_version", ""),
    }
    found = {name: identifier(machine.text(f"{DMI}/{file}", what)) for name, (file, what) in wanted.items()}
    if found["uuid"]:
        found["uuid"] = found["uuid"].lower()
    if not machine.exists(DMI):
        machine.miss("maker, model and serial number (the machine shows no DMI table)")
    return {name: value for name, value in found.items() if value}


def _class(machine: Machine, attributes: dict[str, Any]) -> str:
    make = f"{attributes.get('manufacturer', '')} {attributes.get('model', '')}"
    if VIRTUAL.search(make) or "hypervisor" in (_cpu(machine).get("flags") or "").split():
        return "VirtualMachine"
    return CLASS_BY_CHASSIS.get(machine.text(f"{DMI}/chassis_type") or "", "Host")


def _cpu(machine: Machine) -> dict[str, str]:
    """The first processor's entry of /proc/cpuinfo."""
    first = (machine.text("/proc/cpuinfo") or "").split("\n\n")[0]
    return dict(assignments(first.splitlines(), ":"))


def _processor(machine: Machine) -> dict[str, Any]:
    entries = [
        dict(assignments(entry.splitlines(), ":"))
        for entry in (machine.text("/proc/cpuinfo") or "").split("\n\n")
    ]
    processors = [entry for entry in entries if "processor" in entry]
    if not processors:
        return {}
    facts: dict[str, Any] = {"cpu_count": len(processors)}
    if model := processors[0].get("model name"):
        facts["cpu_model"] = " ".join(model.split())
    if all("physical id" in entry and "core id" in entry for entry in processors):
        facts["cpu_sockets"] = len({entry["physical id"] for entry in processors})
        facts["cpu_cores"] = len({(entry["physical id"], entry["core id"]) for entry in processors})
    return facts


def _memory(machine: Machine) -> dict[str, Any]:
    sizes = dict(assignments(machine.lines("/proc/meminfo"), ":"))
    facts = {"memory": sizes.get("MemTotal", ""), "swap": sizes.get("SwapTotal", "")}
    return {
        name: int(size.split()[0]) * 1024
        for name, size in facts.items()
        if size and size.split()[0].isdigit()
    }


def _system(machine: Machine) -> dict[str, Any]:
    release = os_release(machine)
    facts: dict[str, Any] = {
        "operating_system": release.get("NAME"),
        "os_version": machine.text("/etc/debian_version") if release.get("ID") == "debian" else None,
        "kernel": machine.text("/proc/sys/kernel/osrelease"),
        "architecture": machine.text("/proc/sys/kernel/arch"),
        "time_zone": _time_zone(machine),
        "last_boot": _last_boot(machine),
    }
    facts["os_version"] = facts["os_version"] or release.get("VERSION_ID")
    if machine.is_running:
        running = os.uname()
        facts["kernel"] = facts["kernel"] or running.release
        facts["architecture"] = facts["architecture"] or running.machine
    return {name: value for name, value in facts.items() if value}


def os_release(machine: Machine) -> dict[str, str]:
    """The fields of os-release (freedesktop.org, os-release(5))."""
    lines = machine.lines("/etc/os-release") or machine.lines("/usr/lib/os-release")
    return dict(assignments(lines))


def _time_zone(machine: Machine) -> str | None:
    if zone := machine.text("/etc/timezone"):
        return zone
    link = machine.link("/etc/localtime") or ""
    return link.partition("zoneinfo/")[2] or None


def _last_boot(machine: Machine) -> str | None:
    """To the minute: the kernel computes it anew, and it wanders by a second when the clock is set."""
    for line in machine.lines("/proc/stat"):
        if line.startswith("btime ") and line[6:].isdigit():
            booted = datetime.fromtimestamp((int(line[6:]) + 30) // 60 * 60, UTC)
            return booted.strftime("%Y-%m-%dT%H:%M:%SZ")
    return None


def _container_id(machine: Machine) -> str | None:
    """The runtime's identifier of the container this is; its host name where the runtime does not tell; else None."""
    for name in ("/proc/1/cgroup", "/proc/self/cgroup", "/proc/self/mountinfo"):
        if found := _CONTAINER_ID.search(machine.text(name) or ""):
            return found[1]
    if machine.exists("/.dockerenv") or machine.exists("/run/.containerenv"):
        return machine.text("/proc/sys/kernel/hostname")
    return None
