"""Interfaces and addresses, from /sys/class/net, /proc/net/fib_trie, /proc/net/route and /proc/net/if_inet6."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from discovery.agent.files import Machine, assignments, identifier

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

PASSING = ("veth", "cali", "lxc", "ifb", "tap", "vnet", "dummy")
"""Interfaces that come and go with containers and virtual machines; they are not told of."""
INNER = ("docker", "br-", "virbr", "cni", "podman", "lxcbr", "lxdbr", "flannel", "nerdctl")
"""Interfaces towards containers: their addresses are the same on many machines, so they identify nothing."""
KINDS = {"wlan": "wireless", "bridge": "bridge", "bond": "bond", "vlan": "vlan", "vxlan": "tunnel"}
KINDS |= {"wireguard": "tunnel", "gre": "tunnel", "ppp": "tunnel", "macvlan": "virtual"}
LOOPBACK_TYPE, ETHERNET_TYPE, TUN_TYPE = "772", "1", "65534"
_TEMPORARY, _DEPRECATED = 0x01, 0x20
_HEX = re.compile(r"(0x)?[0-9a-fA-F]{1,8}")
_DOTTED = re.compile(r"(\d{1,2}|[01]\d\d|2[0-4]\d|25[0-5])(\.(\d{1,2}|1\d\d|2[0-4]\d|25[0-5])){3}")
_INET6 = re.compile(r"([0-9a-f]{32}) [0-9a-f]+ ([0-9a-f]+) [0-9a-f]+ ([0-9a-f]+) +(\S+)")


@dataclass(frozen=True, slots=True)
class Address:
    """An address of the machine; `prefix` is the length of its network part, `interface` empty if unknown."""

    ip: Ip
    prefix: int
    interface: str

    @property
    def is_own(self) -> bool:
        """Whether it is this machine's alone, so that it can be an item."""
        return not (
            self.ip.is_loopback
            or self.ip.is_link_local
            or self.ip.is_unspecified
            or self.interface.startswith(INNER)
        )


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface. `speed` is in bits per second."""

    name: str
    kind: str
    mac: str | None
    mtu: int | None
    speed: int | None
    admin_state: str
    link_state: str
    index: int | None
    physical: bool


def read_interfaces(machine: Machine) -> list[Interface]:
    """The interfaces, by name, without those that come and go."""
    names = [name for name in machine.names("/sys/class/net") if not name.startswith(PASSING)]
    return [_interface(machine, name) for name in names if machine.exists(f"/sys/class/net/{name}/type")]


def _interface(machine: Machine, name: str) -> Interface:
    folder = f"/sys/class/net/{name}"
    mac = identifier(machine.text(f"{folder}/address"))
    flags = machine.text(f"{folder}/flags") or "0"
    state = machine.text(f"{folder}/operstate") or "unknown"
    link_states = {
        "up": "up",
        "down": "down",
        "dormant": "dormant",
        "lowerlayerdown": "down",
        "notpresent": "down",
    }
    kind = _kind(machine, name)
    return Interface(
        name=name,
        kind=kind,
        mac=mac if mac and mac.count(":") == 5 and kind != "loopback" else None,
        mtu=_number(machine.text(f"{folder}/mtu")),
        speed=(_number(machine.text(f"{folder}/speed")) or 0) * 1_000_000 or None,
        admin_state="up" if _HEX.fullmatch(flags) and int(flags, 16) & 1 else "down",
        link_state=link_states.get(state, "unknown"),
        index=_number(machine.text(f"{folder}/ifindex")),
        physical=machine.exists(f"{folder}/device"),
    )


def _kind(machine: Machine, name: str) -> str:
    folder = f"/sys/class/net/{name}"
    number = machine.text(f"{folder}/type")
    device_type = dict(assignments(machine.lines(f"{folder}/uevent"))).get("DEVTYPE", "")
    if number == LOOPBACK_TYPE:
        return "loopback"
    if machine.exists(f"{folder}/wireless"):
        return "wireless"
    if device_type in KINDS:
        return KINDS[device_type]
    if machine.exists(f"{folder}/bridge"):
        return "bridge"
    if machine.exists(f"{folder}/bonding"):
        return "bond"
    if number == TUN_TYPE or machine.exists(f"{folder}/tun_flags"):
        return "tunnel"
    if number == ETHERNET_TYPE:
        return "ethernet" if machine.exists(f"{folder}/device") else "virtual"
    return "other"


def read_addresses(machine: Machine) -> list[Address]:
    """The machine's addresses, IPv4 first; temporary ones (RFC 8981) change by the day and are left out."""
    return [*_addresses_4(machine), *_addresses_6(machine)]


def _addresses_4(machine: Machine) -> list[Address]:
    found: set[ipaddress.IPv4Address] = set()
    last = ""
    for line in machine.lines("/proc/net/fib_trie"):
        words = line.split()
        if words[:1] == ["|--"] and len(words) == 2:
            last = words[1] if _DOTTED.fullmatch(words[1]) else ""
        elif words == ["/32", "host", "LOCAL"] and last:
            found.add(ipaddress.IPv4Address(last))
    networks = _connected_networks(machine)
    addresses = []
    for ip in sorted(found):
        inside = [(network, name) for network, name in networks if ip in network]
        network, name = max(inside, key=lambda pair: pair[0].prefixlen, default=(None, ""))
        if ip.is_loopback:
            addresses.append(Address(ip, 8, "lo"))
        else:
            addresses.append(Address(ip, network.prefixlen if network else 32, name))
    return addresses


def _connected_networks(machine: Machine) -> list[tuple[ipaddress.IPv4Network, str]]:
    networks = []
    for interface, destination, gateway, mask in _routes(machine):
        length = bin(mask).count("1")
        if not gateway and destination and mask == (2**32 - 1) ^ (2 ** (32 - length) - 1):
            networks.append((ipaddress.IPv4Network((destination & mask, length)), interface))
    return networks


def _routes(machine: Machine) -> list[tuple[str, int, int, int]]:
    """Interface, destination, gateway and mask of each IPv4 route."""
    routes = []
    for line in machine.lines("/proc/net/route")[1:]:
        words = line.split()
        if len(words) >= 8 and all(len(words[i]) == 8 and _HEX.fullmatch(words[i]) for i in (1, 2, 7)):
            destination, gateway, mask = (_little_endian(words[i]) for i in (1, 2, 7))
            routes.append((words[0], destination, gateway, mask))
    return routes


def _little_endian(text: str) -> int:
    return int.from_bytes(bytes.fromhex(text), "little")


def _addresses_6(machine: Machine) -> list[Address]:
    addresses = []
    for line in machine.lines("/proc/net/if_inet6"):
        match = _INET6.fullmatch(line.strip())
        if match and not int(match[3], 16) & (_TEMPORARY | _DEPRECATED):
            ip = ipaddress.IPv6Address(int(match[1], 16))
            addresses.append(Address(ip, min(int(match[2], 16), 128), match[4]))
    return sorted(addresses, key=lambda address: (address.ip, address.interface))


def primary_address(machine: Machine, addresses: list[Address]) -> Ip | None:
    """The address of the interface with the default route; otherwise the first of the machine's own."""
    defaults = [name for name, destination, gateway, _ in _routes(machine) if not destination and gateway]
    own = [address for address in addresses if address.is_own]
    preferred = [address for address in own if address.interface in defaults[:1]]
    return next((address.ip for address in [*preferred, *own]), None)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
