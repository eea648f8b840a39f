"""Disks from /sys/block and file systems from /proc/mounts, and which lies on which."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from discovery.agent.files import Machine, identifier

NETWORK_FORMATS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "ceph",
        "glusterfs",
        "9p",
        "virtiofs",
        "zfs",
        "lustre",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.ceph",
    ]
)
"""File systems that the kernel lists without a device, and that keep data all the same."""
IMAGES = frozenset(["squashfs", "iso9660", "udf", "erofs"])
"""Formats of mounted images (snaps, discs): not storage."""
PASSING = (
    "/proc/",
    "/sys/",
    "/dev/",
    "/run/",
    "/snap/",
    "/var/lib/docker/",
    "/var/lib/containers/",
    "/var/lib/kubelet/",
)
NO_DISK = ("loop", "ram", "zram", "sr", "fd", "nbd")
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk; `size` in bytes; `wwn` only where it is one that tells disks apart in the world."""

    name: str
    size: int
    model: str | None
    wwn: str | None


@dataclass(frozen=True, slots=True)
class MountedFileSystem:
    """A file system; `size` in bytes, None where it cannot be asked; `disks` are those it lies on."""

    mount_point: str
    device: str
    format: str
    size: int | None
    disks: tuple[str, ...]


def read_disks(machine: Machine) -> list[Disk]:
    """The disks with something in them, by name; no device-mapper or RAID devices, which lie on others."""
    disks = []
    for name in machine.names("/sys/block"):
        folder = f"/sys/block/{name}"
        sectors = machine.text(f"{folder}/size") or "0"
        if (
            name.startswith(NO_DISK)
            or machine.names(f"{folder}/slaves")
            or not sectors.isdigit()
            or sectors == "0"
        ):
            continue
        wwid = machine.text(f"{folder}/device/wwid") or machine.text(f"{folder}/wwid") or ""
        known = wwid.lower().startswith(("naa.", "eui."))
        model = identifier(machine.text(f"{folder}/device/model"))
        disks.append(Disk(name, int(sectors) * 512, model, identifier(wwid.lower()) if known else None))
    return disks


def read_file_systems(machine: Machine) -> list[MountedFileSystem]:
    """Mounted file systems that keep data, by mount point; each device once, at its shortest path."""
    on_devices = {line.strip() for line in machine.lines("/proc/filesystems") if not line.startswith("nodev")}
    kept = (on_devices | NETWORK_FORMATS) - IMAGES
    chosen: dict[str, tuple[str, str]] = {}
    for line in machine.lines("/proc/mounts"):
        words = [_ESCAPE.sub(lambda match: chr(int(match[1], 8)), word) for word in line.split(" ")]
        if len(words) < 4:
            continue
        device, mount_point, kind = words[0], words[1], words[2]
        is_root = mount_point == "/" and kind != "rootfs"
        if is_root or (kind in kept and not mount_point.startswith(PASSING)):
            shortest = chosen.get(device)
            if shortest is None or len(mount_point) < len(shortest[0]):
                chosen[device] = (mount_point, kind)
    by_mount_point = {mount_point: (device, kind) for device, (mount_point, kind) in chosen.items()}
    return [
        MountedFileSystem(
            mount_point, device, kind, _size(machine, mount_point), _disks_under(machine, device)
        )
        for mount_point, (device, kind) in sorted(by_mount_point.items())
    ]


def _size(machine: Machine, mount_point: str) -> int | None:
    if not machine.is_running:
        return None
    try:
        status = os.statvfs(mount_point)
    except OSError:
        return None
    return status.f_blocks * status.f_frsize or None


def _disks_under(machine: Machine, device: str) -> tuple[str, ...]:
    """The disks that a device lies on, through partitions and device mapper."""
    if not device.startswith("/dev/"):
        return ()
    name = device.removeprefix("/dev/")
    blocks = machine.names("/sys/block")
    if name.startswith("mapper/"):
        label = name.removeprefix("mapper/")
        name = next((b for b in blocks if machine.text(f"/sys/block/{b}/dm/name") == label), name)
    found: set[str] = set()
    waiting, seen = [name], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        disk = (
            name
            if name in blocks
            else next((b for b in blocks if machine.exists(f"/sys/block/{b}/{name}")), None)
        )
        if disk is not None:
            below = machine.names(f"/sys/block/{disk}/slaves")
            waiting.extend(below)
            if not below:
                found.add(disk)
    return tuple(sorted(found))
