"""Running software: processes that listen or talk, put together to instances, and who of them talks to whom.

An instance is what people would restart as one: a process with its children of the same program, and all that share a
listening socket. Command lines are only read to find the program; they may hold passwords and are not reported.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from discovery.agent.files import Machine
from discovery.agent.network import Ip
from discovery.agent.programs import program_of
from discovery.agent.sockets import Socket, ephemeral_ports, read_sockets

PEERS_LIMIT = 500
"""Most other machines told of in one report."""
STEADY_SECONDS = 300
"""What only talks, and does not listen, is told of once it has run this long: commands and jobs come and go."""
_TICKS = 100
"""Clock ticks a second in /proc/<pid>/stat (USER_HZ, which Linux shows as 100 everywhere)."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process; `passing` if it hangs on somebody's terminal or has not run for long."""

    pid: int
    parent: int
    program: str
    executable: str | None
    user: str | None
    passing: bool
    inodes: frozenset[int]


@dataclass(frozen=True, slots=True)
class Instance:
    """Running software. `name` is unique on the machine; `ports` are those it listens at."""

    name: str
    program: str
    executable: str | None
    user: str | None
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Instances, which of them uses which other (by name), and which addresses elsewhere each opened connections to."""

    instances: tuple[Instance, ...]
    uses: tuple[tuple[str, str], ...]
    peers: tuple[tuple[str, Ip], ...]


def read_traffic(machine: Machine, own: Iterable[Ip], ignored: frozenset[int] = frozenset()) -> Traffic:
    """What runs and who talks to whom; `own` are the machine's addresses, `ignored` pids are not looked at."""
    sockets = read_sockets(machine)
    every = list(_processes(machine))
    hidden = {s.inode for s in sockets if s.listening} - {
        inode for process in every for inode in process.inodes
    }
    if hidden:
        machine.miss(f"who holds {len(hidden)} listening sockets (other users' need root)", things=True)
    processes = {process.pid: process for process in every if process.pid not in ignored}
    holders: dict[int, list[int]] = defaultdict(list)
    for process in processes.values():
        for inode in process.inodes:
            holders[inode].append(process.pid)
    owned = [socket for socket in sockets if socket.inode in holders]
    groups = _groups(processes, holders, owned)
    return _traffic(machine, processes, holders, owned, groups, set(own))


def _traffic(
    machine: Machine,
    processes: Mapping[int, Process],
    holders: Mapping[int, list[int]],
    sockets: list[Socket],
    groups: Mapping[int, int],
    own: set[Ip],
) -> Traffic:
    listening: dict[int, set[int]] = defaultdict(set)
    at_port: dict[tuple[str, int], dict[Ip, int]] = defaultdict(dict)
    for socket in sockets:
        if socket.listening:
            group = groups[holders[socket.inode][0]]
            listening[group].add(socket.local.port)
            at_port[socket.protocol, socket.local.port][socket.local.ip] = group
    calls: set[tuple[int, int | Ip]] = set()
    for socket in sockets:
        group = groups[holders[socket.inode][0]]
        if socket.listening or socket.local.port in listening[group]:
            continue
        remote = socket.remote.ip
        if not (remote.is_loopback or remote in own):
            calls.add((group, remote))
            continue
        bound = at_port.get((socket.protocol, socket.remote.port), {})
        server = bound.get(remote, next((g for ip, g in bound.items() if ip.is_unspecified), None))
        if server is not None and server != group:
            calls.add((group, server))
    told = {group for group in set(groups.values()) if listening[group] or not processes[group].passing}
    calls = {(group, other) for group, other in calls if group in told}
    talking = {group for group, _ in calls} | {group for group in told if listening[group]}
    instances = _instances(machine, talking, processes, listening)
    uses = {(instances[a].name, instances[b].name) for a, b in calls if isinstance(b, int)}
    peers = {(instances[a].name, b) for a, b in calls if not isinstance(b, int) and not b.is_link_local}
    if len(peers) > PEERS_LIMIT:
        machine.miss(f"{len(peers) - PEERS_LIMIT} more addresses that were talked to", things=True)
    return Traffic(
        tuple(sorted({i.name: i for i in instances.values()}.values(), key=lambda i: i.name)),
        tuple(sorted(pair for pair in uses if pair[0] != pair[1])),
        tuple(sorted(peers, key=lambda pair: (pair[0], pair[1].version, pair[1].packed))[:PEERS_LIMIT]),
    )


def _groups(
    processes: Mapping[int, Process], holders: Mapping[int, list[int]], sockets: Iterable[Socket]
) -> dict[int, int]:
    """Each process's instance, named by the pid of its first process."""
    leader: dict[int, int] = {}

    def root(pid: int) -> int:
        while leader.get(pid, pid) != pid:
            pid = leader[pid]
        return pid

    for pid, process in processes.items():
        parent = processes.get(process.parent)
        if parent is not None and parent.pid != pid and parent.program == process.program:
            leader[root(pid)] = root(parent.pid)
    for socket in sockets:
        if socket.listening:
            pids = holders[socket.inode]
            for pid in pids[1:]:
                first, second = sorted((root(pids[0]), root(pid)))
                leader[second] = first
    return {pid: root(pid) for pid in processes}


def _instances(
    machine: Machine,
    groups: Iterable[int],
    processes: Mapping[int, Process],
    listening: Mapping[int, set[int]],
) -> dict[int, Instance]:
    """Instances by group. Several listening ones of one program are told apart by the lowest port of each."""
    passing = ephemeral_ports(machine)
    by_program: dict[str, list[int]] = defaultdict(list)
    for group in sorted(groups):
        by_program[processes[group].program].append(group)
    found: dict[int, Instance] = {}
    for program, members in by_program.items():
        several = sum(bool(listening[group]) for group in members) > 1
        for group in members:
            process, ports = processes[group], sorted(listening[group])
            steady = [port for port in ports if port not in passing] or ports
            name = f"{program}:{steady[0]}" if several and steady else program
            found[group] = Instance(name, program, process.executable, process.user, tuple(ports))
    return found


def _processes(machine: Machine) -> Iterable[Process]:
    users = {
        words[2]: words[0] for line in machine.lines("/etc/passwd") if len(words := line.split(":")) >= 3
    }
    uptime = _seconds((machine.text("/proc/uptime") or "").partition(" ")[0])
    for name in sorted(filter(str.isdigit, machine.names("/proc")), key=int):
        process = _process(machine, int(name), users, uptime)
        if process is not None:
            yield process


def _process(machine: Machine, pid: int, users: Mapping[str, str], uptime: float | None) -> Process | None:
    """A process; None for one that has just ended, and for the kernel's own."""
    folder = f"/proc/{pid}"
    status = machine.text(f"{folder}/stat") or ""
    command, _, rest = status.partition("(")[2].rpartition(")")
    words = rest.split()
    if len(words) < 5 or not words[1].isdigit():
        return None
    raw = _arguments(machine, folder)
    executable = machine.link(f"{folder}/exe")
    if executable is None and not raw:
        return None
    uids = (line.split() for line in machine.lines(f"{folder}/status") if line.startswith("Uid:"))
    uid = next((found[1] for found in uids if len(found) > 1), "")
    return Process(
        pid=pid,
        parent=int(words[1]),
        program=program_of(executable, raw, command)[:128],
        executable=executable,
        user=users.get(uid, uid or None),
        passing=words[4] != "0" or _age(words, uptime) < STEADY_SECONDS,
        inodes=frozenset(_inodes(machine, folder)),
    )


def _age(status: Sequence[str], uptime: float | None) -> float:
    """How many seconds a process has run, by what follows the name in its stat file; infinite if that is not known."""
    if uptime is None or len(status) < 20 or not status[19].isdigit():
        return math.inf
    return uptime - int(status[19]) / _TICKS


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _arguments(machine: Machine, folder: str) -> list[str]:
    try:
        raw = machine.path(f"{folder}/cmdline").read_bytes()
    except OSError:
        return []
    return [part.decode("utf-8", "replace") for part in raw.rstrip(b"\0").split(b"\0") if part]


def _inodes(machine: Machine, folder: str) -> Iterable[int]:
    try:
        names = os.listdir(machine.path(f"{folder}/fd"))
    except OSError:
        return
    for name in names:
        target = machine.link(f"{folder}/fd/{name}") or ""
        if target.startswith("socket:[") and target[8:-1].isdigit():
            yield int(target[8:-1])
