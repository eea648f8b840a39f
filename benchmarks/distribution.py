"""A whole distribution: every package of Debian 12 and what it depends on, sent to the service and asked about.

One report of 63,436 items and 280,722 edges (`benchmarks.debian_packages` says how they are counted) is posted to the
service on an empty store. Measured: the time to the answer, the most memory the service had, the same report again, and
how many packages are really down when one is taken away, which has to be right to the last package.
"""

from __future__ import annotations

import time
from typing import Any

import orjson

from benchmarks.debian_packages import observation, read_packages
from benchmarks.results import Result
from benchmarks.service import Client, ServiceFailed, running_service

NAME = "import"
DOWN = {"perl": 8_302, "systemd": 135, "dbus": 561, "nginx": 45, "exim4-daemon-light": 1}
"""Packages that are down when this one is, itself counted, as the data set's README gives them."""

FIND = 'query Find($name: String!) { item(class: "SoftwareProduct", name: $name) { id } }'
IMPACT = "query Impact($id: ID!) { impact(down: [$id]) { counts { down } } }"


def run() -> list[Result]:
    """Measure on a private Neo4j that the service starts itself."""
    report = orjson.dumps(observation(read_packages()))
    with running_service() as service:
        client = service.client()
        answer, seconds = _import(client, report)
        if answer["refused"] or answer["created"] != answer["items"]:
            raise ServiceFailed(
                f"the import went wrong: {answer['created']} created, {answer['refused'][:3]}"
            )
        memory = service.peak_memory
        again, repeated = _import(client, report)
        if again["revision"] is not None or again["unchanged"] != again["items"]:
            raise ServiceFailed(f"the same report again made revision {again['revision']}")
        size = f"{answer['items']:,} items and {answer['edges']:,} edges"
        return [
            Result.below(NAME, f"import of {size}, s", seconds, 240),
            Result.below(NAME, f"memory of the service after importing {size}, most, MB", memory, 1_500),
            Result.below(NAME, "the same report again, of which nothing is new, s", repeated, 120),
            *(
                Result.exactly(NAME, f"packages down without {name}", down(client, name), wanted)
                for name, wanted in DOWN.items()
            ),
        ]


def _import(client: Client, report: bytes) -> tuple[dict[str, Any], float]:
    begun = time.perf_counter()
    answer = client.post("/ingest/auto?name=debian.json", report)
    return answer, time.perf_counter() - begun


def down(client: Client, package: str) -> int:
    """How many packages are down if that one is."""
    found = client.query(FIND, {"name": package})["item"]
    return int(client.query(IMPACT, {"id": found["id"]})["impact"]["counts"]["down"])
