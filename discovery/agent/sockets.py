"""Sockets, from /proc/net: who listens, who is connected to whom (kernel: Documentation/networking/proc_net_tcp)."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from discovery.agent.files import Machine
from discovery.agent.network import Ip

ESTABLISHED, UNCONNECTED, LISTEN = "01", "07", "0A"
_WORD = 8
_ENDPOINT = re.compile(r"([0-9A-F]{8}|[0-9A-F]{32}):[0-9A-F]{4}")
_EPHEMERAL = range(32_768, 61_000)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and a port."""

    ip: Ip
    port: int


@dataclass(frozen=True, slots=True)
class Socket:
    """A TCP or UDP socket. `inode` leads to the processes that hold it."""

    protocol: str
    local: Endpoint
    remote: Endpoint
    listening: bool
    inode: int


def read_sockets(machine: Machine) -> list[Socket]:
    """Listening and connected sockets. UDP ones listen if they stand at a port that programs choose themselves."""
    passing = ephemeral_ports(machine)
    return [
        socket
        for protocol in ("tcp", "udp")
        for family in ("", "6")
        for socket in _table(machine, protocol, f"/proc/net/{protocol}{family}")
        if protocol == "tcp" or not socket.listening or socket.local.port not in passing
    ]


def ephemeral_ports(machine: Machine) -> range:
    """The ports that the kernel hands out to outgoing connections."""
    words = (machine.text("/proc/sys/net/ipv4/ip_local_port_range") or "").split()
    if len(words) == 2 and all(word.isdigit() for word in words):
        return range(int(words[0]), int(words[1]) + 1)
    return _EPHEMERAL


def _table(machine: Machine, protocol: str, name: str) -> Iterator[Socket]:
    for line in machine.lines(name)[1:]:
        words = line.split()
        if len(words) < 10 or not words[9].isdigit() or not all(map(_ENDPOINT.fullmatch, words[1:3])):
            continue
        state, inode = words[3], int(words[9])
        listening = state == (LISTEN if protocol == "tcp" else UNCONNECTED)
        if listening or state == ESTABLISHED:
            yield Socket(protocol, _endpoint(words[1]), _endpoint(words[2]), listening, inode)


def _endpoint(text: str) -> Endpoint:
    address, _, port = text.partition(":")
    words = [bytes.fromhex(address[i : i + _WORD]) for i in range(0, len(address), _WORD)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    ip: Ip = ipaddress.ip_address(packed)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return Endpoint(ip, int(port, 16))
