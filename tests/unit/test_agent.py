"""The reference agent over a machine's files written by hand, and over the machine that the tests run on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from discovery.agent import DeliveryFailed, Inventory, observe, run_agent, take_inventory
from discovery.agent.files import identifier
from discovery.agent.programs import program_of
from discovery.observation import parse_observation

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TCP_HEADER = (
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
)
LISTEN, ESTABLISHED = "0A", "01"
WEB_SERVER, DATABASE, WORKER, SHELL = 100, 200, 300, 400


class Tree:
    """A file tree in which a small web server with its database is written down."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sockets: list[str] = []

    def write(self, name: str, text: str | bytes) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def link(self, name: str, target: str) -> None:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    def socket(self, local: str, remote: str, state: str, inode: int) -> None:
        """Addresses in the kernel's form: an IPv4 address as little-endian hex, a port as hex."""
        self.sockets.append(
            f"   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  0 0 {inode} 1\n"
        )
        self.write("/proc/net/tcp", TCP_HEADER + "".join(self.sockets))

    def process(
        self,
        pid: int,
        arguments: str,
        *,
        parent: int = 1,
        tty: int = 0,
        exe: str = "",
        inodes: tuple[int, ...] = (),
        started: int = 0,
    ) -> None:
        folder = f"/proc/{pid}"
        name = arguments.split()[0].rpartition("/")[2]
        since = f"S {parent} {pid} {pid} {tty} -1" + " 0" * 13 + f" {started * 100}"
        self.write(f"{folder}/stat", f"{pid} ({name[:15]}) {since} 0 0")
        self.write(f"{folder}/cmdline", "\0".join(arguments.split()) + "\0")
        self.write(f"{folder}/status", "Name:\tx\nUid:\t33\t33\t33\t33\n")
        self.link(f"{folder}/exe", exe or arguments.split()[0])
        (self.root / folder.lstrip("/") / "fd").mkdir()
        for number, inode in enumerate(inodes):
            self.link(f"{folder}/fd/{number}", f"socket:[{inode}]")

    def inventory(self) -> Inventory:
        return take_inventory(self.root, now=NOON)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    for name, text in {
        "/proc/sys/kernel/hostname": "web1.example.org\n",
        "/proc/sys/kernel/osrelease": "6.1.0-18-amd64\n",
        "/proc/sys/kernel/arch": "x86_64\n",
        "/proc/uptime": "10000.55 20000.00\n",
        "/proc/stat": "cpu  1 2 3\nbtime 1700000017\n",
        "/proc/cpuinfo": "\n\n".join(
            f"processor\t: {n}\nmodel name\t: Xeon  Gold\nphysical id\t: {n % 2}\ncore id\t: {n // 2}\nflags\t\t: fpu"
            for n in range(4)
        ),
        "/proc/meminfo": "MemTotal:       16384000 kB\nSwapTotal:             0 kB\n",
        "/etc/machine-id": "3d1219c7c4c5404aaa1f6d2a48adfda4\n",
        "/etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n',
        "/etc/debian_version": "12.11\n",
        "/etc/timezone": "Europe/Vienna\n",
        "/etc/passwd": "root:x:0:0::/root:/bin/bash\nwww-data:x:33:33::/:/bin/false\n",
        "/sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
        "/sys/class/dmi/id/product_name": "PowerEdge R640\n",
        "/sys/class/dmi/id/product_serial": "ABC1234\n",
        "/sys/class/dmi/id/product_uuid": "4C4C4544-0042-3010-8056-B4C04F4D3132\n",
        "/sys/class/dmi/id/bios_version": "2.18.1\n",
        "/sys/class/dmi/id/chassis_type": "23\n",
        "/proc/mounts": "/dev/sda2 / ext4 rw 0 0\n"
        "/dev/sda2 /srv/with\\040blank ext4 rw 0 0\n"
        "/dev/mapper/vg-data /data xfs rw 0 0\n"
        "nas:/export /home nfs4 rw 0 0\n"
        "tmpfs /tmp tmpfs rw 0 0\n"
        "/dev/loop0 /snap/core/1 squashfs ro 0 0\n",
        "/proc/filesystems": "nodev\ttmpfs\n\text4\n\txfs\n\tsquashfs\nnodev\tnfs4\n",
        "/sys/block/sda/size": "2000\n",
        "/sys/block/sda/device/model": "PERC H730P\n",
        "/sys/block/sda/device/wwid": "naa.6D0946606E8AEE00\n",
        "/sys/block/sda/sda2/size": "1000\n",
        "/sys/block/sda/sda3/size": "900\n",
        "/sys/block/dm-0/size": "900\n",
        "/sys/block/dm-0/dm/name": "vg-data\n",
        "/sys/block/dm-0/slaves/sda3/size": "900\n",
        "/sys/block/loop0/size": "7\n",
        "/var/lib/dpkg/status": "Package: nginx\nStatus: install ok installed\nInstalled-Size: 10\n"
        "Architecture: amd64\nVersion: 1.22.1-9+deb12u1\nDescription: web server\n more: words\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n",
    }.items():
        tree.write(name, text)
    for name, files in {
        "lo": {"type": "772", "address": "00:00:00:00:00:00", "flags": "0x9", "operstate": "unknown"},
        "eth0": {
            "type": "1",
            "address": "52:54:00:12:34:56",
            "flags": "0x1003",
            "operstate": "up",
            "speed": "10000",
            "mtu": "1500",
            "device/vendor": "0x8086",
        },
        "docker0": {"type": "1", "flags": "0x1003", "operstate": "up", "bridge/bridge_id": "8000"},
        "veth12ab": {"type": "1", "flags": "0x1003", "operstate": "up"},
    }.items():
        for file, text in files.items():
            tree.write(f"/sys/class/net/{name}/{file}", text + "\n")
    tree.write(
        "/proc/net/fib_trie",
        "Main:\n  |-- 10.1.2.3\n     /32 host LOCAL\n  |-- 10.1.2.0\n     /24 link UNICAST\n"
        "  |-- 127.0.0.1\n     /32 host LOCAL\n  |-- 172.17.0.1\n     /32 host LOCAL\n"
        "Local:\n  |-- 10.1.2.3\n     /32 host LOCAL\n",
    )
    tree.write(
        "/proc/net/route",
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0102010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0002010A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
        "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n",
    )
    tree.write(
        "/proc/net/if_inet6",
        "20010db8000000000000000000000001 02 40 00 80     eth0\n"
        "20010db80000000000000000deadbeef 02 40 00 01     eth0\n"
        "fe800000000000005054000000000001 02 40 20 80     eth0\n"
        "00000000000000000000000000000001 01 80 10 80       lo\n",
    )
    any_port, port_80, port_5432 = "00000000:0000", "00000000:0050", "0100007F:1538"
    tree.socket(port_80, any_port, LISTEN, 11)
    tree.socket(port_5432, any_port, LISTEN, 21)
    tree.socket("0100007F:A000", port_5432, ESTABLISHED, 12)  # nginx's worker to postgres
    tree.socket(port_5432, "0100007F:A000", ESTABLISHED, 22)
    tree.socket("0302010A:A001", "0902010A:0CEA", ESTABLISHED, 31)  # a worker to 10.1.2.9:3306
    tree.socket("0302010A:0050", "0502010A:A003", ESTABLISHED, 13)  # somebody's browser
    tree.socket("0302010A:A002", "0902010A:0016", ESTABLISHED, 41)  # somebody's ssh, from a terminal
    nginx, postgres = "/usr/sbin/nginx", "/usr/lib/postgresql/15/bin/postgres"
    tree.process(WEB_SERVER, "nginx: master process", exe=nginx, inodes=(11,))
    tree.process(WEB_SERVER + 1, "nginx: worker process", exe=nginx, parent=WEB_SERVER, inodes=(11, 12, 13))
    tree.process(DATABASE, f"{postgres} -D /data --password=hunter2", inodes=(21,))
    tree.process(DATABASE + 1, "postgres: web web [local] idle", exe=postgres, parent=DATABASE, inodes=(22,))
    tree.process(WORKER, "/usr/bin/python3 -m sync_orders", exe="/usr/bin/python3.11", inodes=(31,))
    tree.process(SHELL, "/usr/bin/ssh db9", tty=34816, inodes=(41,))
    return tree


def by_ref(inventory: Inventory) -> dict[str, dict[str, Any]]:
    return {item["ref"]: item for item in inventory.observation["items"]}


def edges(inventory: Inventory, kind: str) -> set[tuple[str, str]]:
    return {(e["from"], e["to"]) for e in inventory.observation["edges"] if e["type"] == kind}


def test_the_machine_itself(tree: Tree) -> None:
    host = by_ref(tree.inventory())["host"]
    assert host == {
        "ref": "host",
        "class": "Server",
        "key": "3d1219c7c4c5404aaa1f6d2a48adfda4",
        "attributes": {
            "name": "web1",
            "hostname": "web1",
            "domain": "example.org",
            "fqdn": "web1.example.org",
            "cpu_count": 4,
            "cpu_model": "Xeon Gold",
            "cpu_sockets": 2,
            "cpu_cores": 4,
            "memory": 16_384_000 * 1024,
            "swap": 0,
            "operating_system": "Debian GNU/Linux",
            "os_version": "12.11",
            "kernel": "6.1.0-18-amd64",
            "architecture": "x86_64",
            "time_zone": "Europe/Vienna",
            "last_boot": "2023-11-14T22:14:00Z",
            "manufacturer": "Dell Inc.",
            "model": "PowerEdge R640",
            "serial_number": "ABC1234",
            "uuid": "4c4c4544-0042-3010-8056-b4c04f4d3132",
            "bios_version": "2.18.1",
            "machine_id": "3d1219c7c4c5404aaa1f6d2a48adfda4",
            "primary_address": "10.1.2.3",
            "mac_addresses": ["52:54:00:12:34:56"],
        },
    }


@pytest.mark.parametrize(
    ("file", "text", "class_name"),
    [
        ("/sys/class/dmi/id/chassis_type", "10", "Workstation"),
        ("/sys/class/dmi/id/chassis_type", "1", "Host"),
        ("/sys/class/dmi/id/sys_vendor", "QEMU", "VirtualMachine"),
        ("/sys/class/dmi/id/product_name", "VMware Virtual Platform", "VirtualMachine"),
        ("/proc/cpuinfo", "processor : 0\nflags : fpu hypervisor\n", "VirtualMachine"),
    ],
)
def test_the_class_follows_from_the_hardware(tree: Tree, file: str, text: str, class_name: str) -> None:
    tree.write(file, text)
    assert by_ref(tree.inventory())["host"]["class"] == class_name


def test_a_container_is_known_by_its_runtimes_identifier_and_not_by_its_images_machine_id(tree: Tree) -> None:
    container = "0123456789abcdef" * 4
    tree.write(
        "/proc/self/mountinfo", f"1 2 8:1 /var/lib/docker/containers/{container}/hostname /etc/hostname\n"
    )
    host = by_ref(tree.inventory())["host"]
    assert (host["class"], host["key"]) == ("Container", container)
    assert host["attributes"]["container_id"] == container
    assert "machine_id" not in host["attributes"]
    assert "serial_number" not in host["attributes"]


@pytest.mark.parametrize(
    "junk", ["To Be Filled By O.E.M.", "Default string", "None", "0", "00000000", "", "  "]
)
def test_what_makers_leave_in_place_of_a_number_is_none(tree: Tree, junk: str) -> None:
    tree.write("/sys/class/dmi/id/product_serial", junk)
    tree.write("/sys/class/dmi/id/product_uuid", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF")
    attributes = by_ref(tree.inventory())["host"]["attributes"]
    assert "serial_number" not in attributes
    assert "uuid" not in attributes
    assert identifier("ABC 1234") == "ABC 1234"


def test_a_host_called_localhost_does_not_share_its_name_with_all_others(tree: Tree) -> None:
    tree.write("/proc/sys/kernel/hostname", "localhost")
    attributes = by_ref(tree.inventory())["host"]["attributes"]
    assert "hostname" not in attributes
    assert attributes["name"] == "host 3d1219c7c4c5"


def test_interfaces_and_their_addresses(tree: Tree) -> None:
    inventory = tree.inventory()
    items = by_ref(inventory)
    assert {ref for ref in items if ref.startswith("interface/")} == {
        "interface/lo",
        "interface/eth0",
        "interface/docker0",
    }
    assert items["interface/eth0"]["attributes"] == {
        "name": "eth0",
        "kind": "ethernet",
        "mac": "52:54:00:12:34:56",
        "mtu": 1500,
        "speed": 10_000_000_000,
        "admin_state": "up",
        "link_state": "up",
    }
    assert items["interface/docker0"]["attributes"]["kind"] == "bridge"
    assert edges(inventory, "HAS_ADDRESS") == {
        ("interface/eth0", "address/10.1.2.3"),
        ("interface/eth0", "address/2001:db8::1"),
    }
    assert items["address/10.1.2.3"]["attributes"]["prefix_length"] == 24
    assert ("interface/eth0", "host") in edges(inventory, "PART_OF")


def test_file_systems_and_the_disks_they_lie_on(tree: Tree) -> None:
    inventory = tree.inventory()
    items = by_ref(inventory)
    assert [ref for ref in items if ref.startswith("filesystem")] == [
        "filesystem/",
        "filesystem/data",
        "filesystem/home",
    ]
    assert items["filesystem/home"]["attributes"]["device"] == "nas:/export"
    assert items["disk/sda"]["attributes"] == {
        "name": "sda",
        "kind": "disk",
        "size": 2000 * 512,
        "wwn": "naa.6d0946606e8aee00",
        "device": "/dev/sda",
        "description": "PERC H730P",
    }
    assert edges(inventory, "STORED_ON") == {("filesystem/", "disk/sda"), ("filesystem/data", "disk/sda")}


def test_packages_of_dpkg(tree: Tree) -> None:
    inventory = tree.inventory()
    packages = [item for item in inventory.observation["items"] if item["class"] == "SoftwareInstallation"]
    assert packages == [
        {
            "ref": "package/nginx/amd64",
            "class": "SoftwareInstallation",
            "key": "3d1219c7c4c5404aaa1f6d2a48adfda4/package/nginx/amd64",
            "attributes": {
                "name": "nginx",
                "product_version": "1.22.1-9+deb12u1",
                "architecture": "amd64",
                "package_kind": "deb",
                "package_url": "pkg:deb/debian/nginx@1.22.1-9%2Bdeb12u1?arch=amd64",
                "size": 10_240,
            },
        }
    ]
    assert edges(inventory, "INSTALLED_ON") == {("package/nginx/amd64", "host")}


def test_packages_of_apk(tree: Tree) -> None:
    tree.write("/var/lib/dpkg/status", "")
    tree.write(
        "/lib/apk/db/installed", "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\nI:634880\nF:lib\n\nP:busybox\nV:1\n"
    )
    found = {ref: item for ref, item in by_ref(tree.inventory()).items() if ref.startswith("package/")}
    assert found["package/musl/x86_64"]["attributes"]["size"] == 634_880
    assert "package/busybox/noarch" in found


def test_versions_of_a_package_side_by_side_are_told_apart(tree: Tree) -> None:
    entry = "Package: linux\nStatus: install ok installed\nArchitecture: amd64\nVersion: {}\n"
    tree.write("/var/lib/dpkg/status", f"{entry.format(1)}\n{entry.format(2)}")
    names = [
        i["attributes"]["name"]
        for i in by_ref(tree.inventory()).values()
        if "package_kind" in i["attributes"]
    ]
    assert names == ["linux-1", "linux-2"]


def test_running_software_and_who_talks_to_whom(tree: Tree) -> None:
    inventory = tree.inventory()
    items = by_ref(inventory)
    assert {ref: items[ref]["class"] for ref in items if ref.startswith("software/")} == {
        "software/nginx": "WebServer",
        "software/postgres": "DatabaseInstance",
        "software/sync_orders": "SoftwareInstance",
    }
    assert items["software/nginx"]["attributes"] == {
        "name": "nginx",
        "product": "nginx",
        "ports": [80],
        "process": "nginx",
        "run_as": "www-data",
        "install_path": "/usr/sbin/nginx",
    }
    assert edges(inventory, "USES") == {("software/nginx", "software/postgres")}
    assert edges(inventory, "TALKS_TO") == {("software/sync_orders", "address/10.1.2.9")}
    assert {edge["confidence"] for edge in inventory.observation["edges"]} == {"observed"}


def test_a_client_that_has_just_begun_is_not_told_of(tree: Tree) -> None:
    tree.socket("0302010A:A009", "0802010A:01BB", ESTABLISHED, 71)
    tree.process(700, "/usr/bin/curl https://10.1.2.8", inodes=(71,), started=9_999)
    assert "software/curl" not in by_ref(tree.inventory())
    tree.socket("0302010A:A009", "0802010A:01BB", ESTABLISHED, 72)
    tree.process(701, "/usr/bin/collector", inodes=(72,), started=9_000)
    assert "software/collector" in by_ref(tree.inventory())


def test_two_servers_of_one_program_are_told_apart_by_their_ports(tree: Tree) -> None:
    tree.socket("00000000:1539", "00000000:0000", LISTEN, 23)
    tree.process(500, "/usr/lib/postgresql/15/bin/postgres -p 5433", inodes=(23,))
    items = by_ref(tree.inventory())
    assert items["software/postgres:5432"]["attributes"]["ports"] == [5432]
    assert items["software/postgres:5433"]["attributes"]["ports"] == [5433]


def test_workers_that_share_a_socket_are_one_instance_whoever_started_them(tree: Tree) -> None:
    tree.socket("00000000:1F90", "00000000:0000", LISTEN, 61)
    tree.process(600, "/usr/bin/python3 -m uvicorn app:app", inodes=(61,))
    tree.process(601, "/usr/bin/python3 -c spawn", parent=600, inodes=(61,))
    found = [i for ref, i in by_ref(tree.inventory()).items() if i["attributes"].get("ports") == [8080]]
    assert [i["attributes"]["name"] for i in found] == ["uvicorn"]


def test_command_lines_with_their_passwords_are_not_reported(tree: Tree) -> None:
    assert "hunter2" not in json.dumps(tree.inventory().observation)


def test_what_may_not_be_seen_is_said(tree: Tree) -> None:
    assert tree.inventory().unseen == ()
    assert tree.inventory().observation["complete"] is True
    tree.socket("00000000:1F91", "00000000:0000", LISTEN, 99)
    inventory = tree.inventory()
    assert inventory.unseen == ("who holds 1 listening sockets (other users' need root)",)
    assert inventory.observation["complete"] is False


def test_an_empty_tree_is_a_host_of_which_little_is_known(tmp_path: Path) -> None:
    inventory = take_inventory(tmp_path, now=NOON)
    assert [item["class"] for item in inventory.observation["items"]] == ["Host"]
    assert len(inventory.unseen) == 2


@pytest.mark.parametrize("seed", range(12))
def test_spoilt_files_raise_nothing(tree: Tree, seed: int) -> None:
    chance = random.Random(seed)
    for path in sorted(p for p in tree.root.rglob("*") if p.is_file() and not p.is_symlink()):
        text = bytearray(path.read_bytes())
        spoilt = [b"\xff\x00 garbage : = ( \n" * 3, bytes(text[: len(text) // 2]), bytes(reversed(text))]
        for _ in range(3):
            text[chance.randrange(len(text) or 1) : 0] = chance.randbytes(2)
        path.write_bytes(chance.choice([*spoilt, bytes(text)]))
    observed = parse_observation(json.dumps(tree.inventory().observation).encode())
    assert observed.items, "at least the host itself is told of"


def test_the_same_machine_gives_the_same_report(tree: Tree) -> None:
    first, later = tree.inventory(), take_inventory(tree.root, now=datetime(2026, 11, 25, tzinfo=UTC))
    assert first.observation["items"] == later.observation["items"]
    assert first.observation["edges"] == later.observation["edges"]
    assert later.observation["seen_at"] == "2026-11-25T00:00:00Z"


def test_the_report_is_an_observation(tree: Tree) -> None:
    observed = parse_observation(json.dumps(tree.inventory().observation).encode())
    assert len(observed.items) == len(tree.inventory().observation["items"])


def test_the_machine_the_tests_run_on_can_be_taken() -> None:
    observation = observe()
    observed = parse_observation(json.dumps(observation).encode())
    host = observed.items[0]
    assert host.ref == "host"
    assert host.attributes["memory"] > 0
    comes_and_goes = (
        "software/",
        "address/",
        "filesystem/",
    )  # other tests start servers and mount disks meanwhile
    steady = [i["ref"] for i in observe()["items"] if not i["ref"].startswith(comes_and_goes)]
    assert [i.ref for i in observed.items if not i.ref.startswith(comes_and_goes)] == steady


def test_the_agent_needs_nothing_but_the_standard_library() -> None:
    script = (
        "import sys, discovery.agent, discovery.agent.__main__\n"
        "ours = {'discovery'}\n"
        "names = {name.partition('.')[0] for name in sys.modules} - ours\n"
        "print(sorted(n for n in names if n not in sys.stdlib_module_names and not n.startswith('__')))\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("executable", "arguments", "name"),
    [
        ("/usr/sbin/sshd", ["sshd: /usr/sbin/sshd -D [listener]"], "sshd"),
        (None, ["postgres: checkpointer"], "postgres"),
        (None, ["/usr/sbin/cron", "-f"], "cron"),
        (None, [], "kworker"),
        ("/usr/sbin/nginx (deleted)", ["/usr/sbin/nginx"], "nginx"),
        ("/usr/bin/python3.11", ["python3", "-m", "http.server", "8000"], "http.server"),
        ("/usr/bin/python3.11", ["python3", "-X", "dev", "/opt/billing/main.py"], "billing"),
        ("/usr/bin/python3.11", ["python3", "/usr/bin/supervisord", "-n"], "supervisord"),
        ("/usr/bin/python3.11", ["python3", "-c", "print(1)"], "python"),
        ("/usr/bin/node", ["node", "/srv/shop/server.js"], "shop"),
        ("/usr/lib/jvm/bin/java", ["java", "-Xmx1g", "-jar", "/opt/jenkins.war.jar"], "jenkins.war"),
        ("/usr/lib/jvm/bin/java", ["java", "-cp", "a:b", "org.example.Main"], "Main"),
        ("/usr/lib/jvm/bin/java", ["java", "-cp", "x", "org.neo4j.server.CommunityEntryPoint"], "neo4j"),
        ("/usr/bin/bash", ["/bin/bash", "/opt/run.sh"], "run"),
        ("/usr/lib/erlang/bin/beam.smp", ["beam.smp", "-s", "rabbit"], "rabbitmq"),
    ],
)
def test_a_process_is_called_by_the_program_it_runs(
    executable: str | None, arguments: list[str], name: str
) -> None:
    assert program_of(executable, arguments, "kworker") == name


class Recorder:
    """Takes reports, or fails as often as told; stops the agent after the last."""

    def __init__(self, failures: int = 0, reports: int = 1) -> None:
        self.failures, self.reports = failures, reports
        self.taken: list[Mapping[str, Any]] = []
        self.stop = threading.Event()

    def __call__(self, observation: Mapping[str, Any]) -> None:
        if self.failures:
            self.failures -= 1
            raise DeliveryFailed("the service is away")
        self.taken.append(observation)
        if len(self.taken) == self.reports:
            self.stop.set()


def test_the_agent_reports_once() -> None:
    recorder = Recorder(reports=9)
    run_agent(recorder, once=True, look=lambda: {"seen": 1})
    assert recorder.taken == [{"seen": 1}]
    with pytest.raises(DeliveryFailed, match="away"):
        run_agent(Recorder(failures=1), once=True, look=lambda: {})


def test_the_agent_reports_at_its_interval_and_sends_what_it_sees_after_a_failure() -> None:
    recorder, looks = Recorder(failures=2, reports=3), iter(range(100))
    run_agent(recorder, 0.001, look=lambda: {"look": next(looks)}, stop=recorder.stop, jitter=lambda: 0.0)
    assert [report["look"] for report in recorder.taken] == [2, 3, 4]
