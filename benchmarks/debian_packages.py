"""The Debian package graph as one Observation (JSON, version 1): a real estate with real alternatives.

    python -m benchmarks.debian_packages OUT.json [PACKAGES.jsonl.xz]

Promises: one item per package (class SoftwareProduct), and of `Pre-Depends` and `Depends` one gate per distinct clause,
with versions and qualifiers ignored and names of virtual packages replaced by all that provide them. A clause that
one package meets is a hard edge without a group; one that several meet is a group with `required: 1`, named as written.

How the figures hang together (all asserted in `tests/unit/test_debian_packages.py`):

    279,228  clauses as written in 63,436 packages (8,870 met by more than one package)
         -2  met by no package at all (console-setup-freebsd wants vidcontrol, kbdcontrol): no edge can be drawn
    -14,856  the same set of packages once more for the same dependent (mostly `x (>= 1), x (<< 2)`)
    =264,370 gates: 255,539 hard edges and 8,831 groups
    255,539 + 25,183 members of the groups = 280,722 edges
     -1,530  the same pair of packages once more: 1,437 pairs stand in more than one gate of their dependent
    =279,192 distinct pairs, which is what the data set's README counts as edges

An edge is identified by (type, source, target, group), so the 1,530 are edges of their own. They cannot be spared:
`a or b, and a or c` has no form with a single edge from the dependent to a. (694 of them are members of a group that
the dependent needs anyway: such a group decides nothing, and stays because the package names it.)
"""

from __future__ import annotations

import json
import lzma
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "shared" / "data" / "debian-bookworm-packages" / "packages.jsonl.xz"

_NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)", re.ASCII)

Package = Mapping[str, str]


def read_packages(path: Path = DATA) -> list[Package]:
    """The packages of the index, one JSON object a line."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def clauses(relation: str) -> Iterator[list[str]]:
    """The clauses of a relation field, each as its alternative names, without versions, qualifiers, architectures.

    Source: Debian Policy, section 7.1 (syntax of relationship fields).
    """
    for clause in relation.split(","):
        names = [match[1] for alternative in clause.split("|") if (match := _NAME.match(alternative))]
        if names:
            yield names


def providers(packages: Iterable[Package]) -> dict[str, list[str]]:
    """For each name, the packages that meet it: the one so called first, then those that provide it."""
    found: dict[str, list[str]] = {package["Package"]: [package["Package"]] for package in packages}
    for package in packages:
        for name in (name for names in clauses(package.get("Provides", "")) for name in names):
            found.setdefault(name, []).append(package["Package"])
    return found


def gates(package: Package, met_by: Mapping[str, list[str]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The distinct clauses of a package as (as written, packages that meet it); what nothing meets is left out."""
    seen: set[frozenset[str]] = set()
    for names in clauses(f"{package.get('Pre-Depends', '')},{package.get('Depends', '')}"):
        targets = dict.fromkeys(target for name in names for target in met_by.get(name, ()))
        if targets and frozenset(targets) not in seen:
            seen.add(frozenset(targets))
            yield " | ".join(names), tuple(targets)


def observation(packages: list[Package]) -> dict[str, Any]:
    """The whole index as one complete Observation; refs and keys are package names."""
    met_by = providers(packages)
    return {
        "source": "debian-packages",
        "run": "bookworm-12.15",
        "scope": "bookworm/main/amd64",
        "complete": True,
        "seen_at": "2026-07-11T00:00:00Z",
        "items": [
            {
                "ref": package["Package"],
                "class": "SoftwareProduct",
                "key": package["Package"],
                "attributes": {
                    "name": package["Package"],
                    "vendor": "Debian",
                    "product_version": package["Version"],
                },
            }
            for package in packages
        ],
        "edges": [edge for package in packages for edge in _edges(package, met_by)],
    }


def _edges(package: Package, met_by: Mapping[str, list[str]]) -> Iterator[dict[str, Any]]:
    for written, targets in gates(package, met_by):
        group = {"group": written, "required": 1} if len(targets) > 1 else {}
        for target in targets:
            yield {
                "type": "DEPENDS_ON",
                "from": package["Package"],
                "to": target,
                **group,
                "strength": "hard",
                "confidence": "declared",
            }


def main(arguments: list[str]) -> None:
    """Write the Observation to the file named first, from the packages named second."""
    if not 1 <= len(arguments) <= 2:
        sys.exit("usage: python -m benchmarks.debian_packages OUT.json [PACKAGES.jsonl.xz]")
    made = observation(read_packages(Path(arguments[1]) if len(arguments) > 1 else DATA))
    Path(arguments[0]).write_text(json.dumps(made), encoding="utf-8")
    pairs = len({(edge["from"], edge["to"]) for edge in made["edges"]})
    print(f"{len(made['items']):,} items, {len(made['edges']):,} edges ({pairs:,} distinct pairs)")


if __name__ == "__main__":
    main(sys.argv[1:])
