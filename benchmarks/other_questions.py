"""What else people ask the service: one question of every kind, about items drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from benchmarks.service import Client
from cmdb_graphql.bulk import ARROW, JSON_LINES

DOCUMENTS: Final = {
    "page of items": """query($id: ID!) {
      item(id: $id) { name attributes } configurationItems(first: 100) { nodes { id name class lifecycle attributes } }
    }""",
    "search": """query($name: String!) { search(text: $name) { nodes { id name class } } }""",
    "dependents": """query($id: ID!) {
      dependents(id: $id, limit: 200) {
        truncated items { id name distance } edges { type from to } export(format: DOT)
      }
    }""",
    "impact with all that it says": """query($id: ID!, $other: ID!) {
      impact(down: [$id, $other]) {
        counts { down degraded atRisk } concerned { services customers teams owners agreements }
        down(first: 20) { id name because { code group members { id } } path { id name } }
        services(first: 20) { id name state } customers(first: 10) { id name } teams(first: 10) { id name }
        owners(first: 10) { id name } agreements(first: 10) { id name }
      }
    }""",
    "impact as a record": """query($id: ID!) { impact(down: [$id]) { record(explain: true) } }""",
    "impact as a drawing": """query($id: ID!) {
      impact(down: [$id]) { export(format: MERMAID) { text truncated } }
    }""",
    "impact as it was": """query($id: ID!) {
      impact(down: [$id], asOf: { revision: 1 }) { revision counts { down degraded } down { id name } }
    }""",
    "impact upon the records": """query($id: ID!) {
      impact(down: [$id], alreadyDownBy: [OUTAGES, CHANGES, INCIDENTS]) { alreadyDownByCount counts { down } }
    }""",
    "ranking": """query { ranking { behind count nodes { id name itemsDown servicesDown } } }""",
    "services touched": """query($id: ID!) { servicesTouched(id: $id) { count services { id name } } }""",
    "availability": """query($service: ID!) {
      serviceAvailability(service: $service) {
        needs singlePointsOfFailure { item { id name } } redundancyMargin { failures atLeast } predicted { lower upper }
        cutSets { counts } components(first: 10) { item { id name } }
      }
    }""",
    "checks": """query($check: String!) { checks(text: $check) { passed results { outcome found } } }""",
    "weak points": """query($service: ID!) {
      weakPoints(neededBy: $service) { counts { articulationPoints bridges } articulationPoints { item { id } } }
    }""",
    "revisions": """query { revisions { nodes { number actor reason } } }""",
}


@dataclass(frozen=True, slots=True)
class OtherQuestions:
    """Items by their ids: of every class, and of business services."""

    items: Sequence[str]
    services: Sequence[str]

    @property
    def kinds(self) -> list[str]:
        """What can be asked."""
        return [*DOCUMENTS, *self._bulk]

    def ask(self, client: Client, kind: str, chance: random.Random) -> None:
        """Ask one question; the answer is let go. Raises `ServiceFailed`."""
        if kind in self._bulk:
            self._bulk[kind](client, chance.choice(self.items))
        else:
            client.query(DOCUMENTS[kind], self.variables(kind, chance))

    @property
    def _bulk(self) -> dict[str, Callable[[Client, str], bytes]]:
        def download(client: Client, item: str, form: str) -> bytes:
            return client.download("/bulk/impact", orjson.dumps({"down": [item]}), form)

        return {
            "impact in bulk as Arrow": lambda client, item: download(client, item, ARROW),
            "impact in bulk as JSON lines": lambda client, item: download(client, item, JSON_LINES),
        }

    def variables(self, kind: str, chance: random.Random) -> dict[str, Any]:
        """Those that its document declares."""
        service = chance.choice(self.services)
        drawn = {
            "id": chance.choice(self.items),
            "other": chance.choice(self.items),
            "service": service,
            "name": f"vm-{chance.randrange(1_000):07}",
            "check": f"service '{service}' has no single point of failure",
        }
        return {name: value for name, value in drawn.items() if f"${name}:" in DOCUMENTS[kind]}
