"""Installed packages, from the database of dpkg or apk, or from rpm."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from discovery.agent.files import Machine
from discovery.agent.hardware import os_release

RPM_SECONDS = 60
_RPM_FORMAT = r"%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SIZE}\t%{VENDOR}\n"


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package; `size` in bytes; `url` is its package URL (purl)."""

    name: str
    version: str
    architecture: str
    kind: str
    url: str
    size: int | None = None
    vendor: str | None = None


def read_packages(machine: Machine) -> list[Package]:
    """The installed packages, by name. Where several versions of one lie side by side, each bears its version."""
    distribution = os_release(machine).get("ID", "linux")
    packages = [*_dpkg(machine, distribution), *_apk(machine, distribution)]
    if not packages and machine.is_running and shutil.which("rpm"):
        packages = list(_rpm(machine, distribution))
    if not packages:
        machine.miss("packages (no database of dpkg, rpm or apk)", things=True)
    return sorted(_told_apart(packages), key=lambda package: (package.name, package.architecture))


def _dpkg(machine: Machine, distribution: str) -> Iterator[Package]:
    for entry in _paragraphs(machine, "/var/lib/dpkg/status"):
        installed = entry.get("Status", "").endswith(" installed")
        if installed and entry.get("Package") and entry.get("Version"):
            size = entry.get("Installed-Size", "")
            name, version, architecture = entry["Package"], entry["Version"], entry.get("Architecture", "all")
            yield Package(
                name,
                version,
                architecture,
                "deb",
                _url("deb", distribution, name, version, architecture),
                int(size) * 1024 if size.isdigit() else None,
            )


def _apk(machine: Machine, distribution: str) -> Iterator[Package]:
    for entry in _paragraphs(machine, "/lib/apk/db/installed"):
        if entry.get("P") and entry.get("V"):
            name, version, architecture = entry["P"], entry["V"], entry.get("A", "noarch")
            size = entry.get("I", "")
            url = _url("apk", distribution, name, version, architecture)
            yield Package(name, version, architecture, "apk", url, int(size) if size.isdigit() else None)


def _paragraphs(machine: Machine, name: str) -> Iterator[dict[str, str]]:
    """Paragraphs of `Field: value` lines; what continues a field is left out."""
    for paragraph in (machine.text(name) or "").split("\n\n"):
        fields: dict[str, str] = {}
        for line in paragraph.splitlines():
            field, colon, value = line.partition(":")
            if colon and not line[:1].isspace():
                fields.setdefault(field, value.strip())
        yield fields


def _rpm(machine: Machine, distribution: str) -> Iterator[Package]:
    command = [shutil.which("rpm") or "rpm", "-qa", "--queryformat", _RPM_FORMAT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RPM_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        machine.miss("packages (rpm did not answer)", things=True)
        return
    for line in done.stdout.splitlines():
        words = line.split("\t")
        if len(words) == 6 and words[0] != "gpg-pubkey":
            name, epoch, version, architecture, size, vendor = words
            full = version if epoch in ("0", "(none)") else f"{epoch}:{version}"
            yield Package(
                name,
                full,
                architecture,
                "rpm",
                _url("rpm", distribution, name, full, architecture),
                int(size) if size.isdigit() else None,
                vendor if vendor != "(none)" else None,
            )


def _url(kind: str, distribution: str, name: str, version: str, architecture: str) -> str:
    """The package URL (github.com/package-url/purl-spec)."""
    return f"pkg:{kind}/{quote(distribution)}/{quote(name)}@{quote(version)}?arch={quote(architecture)}"


def _told_apart(packages: list[Package]) -> list[Package]:
    count: dict[tuple[str, str], int] = {}
    for package in packages:
        count[package.name, package.architecture] = count.get((package.name, package.architecture), 0) + 1
    named = {}
    for package in packages:
        name = package.name
        if count[package.name, package.architecture] > 1:
            name = f"{package.name}-{package.version}"
        named[name, package.architecture] = Package(
            name,
            package.version,
            package.architecture,
            package.kind,
            package.url,
            package.size,
            package.vendor,
        )
    return list(named.values())
