"""`cmdb impact`: what the failure of some items together would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from cmdb.cli.graph_file import FormatOption, OutputOption, require_format, write_graph
from cmdb.cli.impact_picture import impact_picture
from cmdb.cli.records import AffectedRecord, FactRecord, ImpactRecord, ServiceRecord
from cmdb.cli.session import AsOfOption, JsonOption, Session, as_of_input, item_record, session

IMPACT = """
query Impact(
  $down: [ID!]!, $pinned: [ID!], $types: [String!], $confidence: Confidence!, $asOf: AsOf, $offset: Int!
) {
  impact(down: $down, pinned: $pinned, types: $types, minimumConfidence: $confidence, asOf: $asOf) {
    revision
    failed { id class name layer lifecycle }
    counts { down degraded atRisk reduced protected }
    services(first: 100, offset: $offset) { id }
    record(explain: true)
  }
}"""
MORE_SERVICES = """
query MoreServices(
  $down: [ID!]!, $pinned: [ID!], $types: [String!], $confidence: Confidence!, $asOf: AsOf, $offset: Int!
) {
  impact(down: $down, pinned: $pinned, types: $types, minimumConfidence: $confidence, asOf: $asOf) {
    services(first: 100, offset: $offset) { id }
  }
}"""
IMPACT_AS_GRAPH = """
query ImpactAsGraph(
  $down: [ID!]!, $pinned: [ID!], $types: [String!], $confidence: Confidence!, $asOf: AsOf
  $format: GraphFormat!, $limit: Int!
) {
  impact(down: $down, pinned: $pinned, types: $types, minimumConfidence: $confidence, asOf: $asOf) {
    export(format: $format, limit: $limit) { text truncated }
  }
}"""

_PAGE = 100


def impact(
    down: Annotated[
        list[str], typer.Option("--down", metavar="NAME", help="What fails; repeat it for several at once.")
    ],
    pinned: Annotated[
        list[str] | None,
        typer.Option("--pin", metavar="NAME", help="What stays up whatever happens; may be repeated."),
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", metavar="TYPE", help="Let failure travel over these relationship types only."),
    ] = None,
    confidence: Annotated[
        str,
        typer.Option(metavar="LEAST", help="Leave out less certain edges: declared, observed or inferred."),
    ] = "inferred",
    everything: Annotated[
        bool, typer.Option("--all", help="Draw all items, not the first of each state.")
    ] = False,
    as_of: AsOfOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=1, max=10_000, metavar="N", help="Items at most that --format writes."),
    ] = 1000,
    json_lines: JsonOption = False,
) -> None:
    """What would be down, degraded or at risk if these items failed together, and why.

    The verdict comes first, then the services, then the items by state, each with the gates that gave way.
    """
    require_format(form, output)
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        failing = [s.resolve(name, moment)["id"] for name in down]
        staying = [s.resolve(name, moment)["id"] for name in pinned or ()]
        if form is not None:
            question = _question(failing, staying, types, confidence, moment)
            variables = {**question, "format": form.upper(), "limit": limit}
            written = s.client.query(IMPACT_AS_GRAPH, variables)["impact"]["export"]
            write_graph(s, written["text"], output, truncated=written["truncated"])
            return
        record = ask_impact(s, failing, pinned=staying, types=types, confidence=confidence, as_of=moment)
        s.terminal.answer(record, impact_picture(record, rows=None if everything else 15))


def ask_impact(
    s: Session,
    down: Sequence[str],
    *,
    pinned: Sequence[str] = (),
    types: Sequence[str] | None = None,
    confidence: str = "inferred",
    as_of: Mapping[str, Any] | None = None,
) -> ImpactRecord:
    """The whole answer for items given by id, with the reasons of every item that is worse than reduced."""
    variables = _question(down, pinned, types, confidence, as_of)
    answer = s.client.query(IMPACT, {**variables, "offset": 0})["impact"]
    services = [service["id"] for service in answer["services"]]
    while services and len(services) % _PAGE == 0:
        more = s.client.query(MORE_SERVICES, {**variables, "offset": len(services)})["impact"]["services"]
        if not more:
            break
        services += [service["id"] for service in more]
    answer["failed"].sort(key=lambda item: variables["down"].index(item["id"]))
    return impact_record(answer, services)


def _question(
    down: Sequence[str],
    pinned: Sequence[str],
    types: Sequence[str] | None,
    confidence: str,
    as_of: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "down": list(down),
        "pinned": list(pinned) or None,
        "types": types,
        "confidence": confidence.upper(),
        "asOf": as_of,
    }


def impact_record(answer: Mapping[str, Any], services: Sequence[str]) -> ImpactRecord:
    """The record of a GraphQL answer, whose `record` field has everything in columns."""
    columns = answer["record"]
    names = dict(zip(columns["ids"], columns["names"], strict=True))
    classes = dict(zip(columns["ids"], columns["classes"], strict=True))
    states = dict(zip(columns["ids"], columns["states"], strict=True))
    explained = {e["id"]: [_fact(fact, names) for fact in e["facts"]] for e in columns["explanations"]}
    affected: dict[str, list[AffectedRecord]] = {"down": [], "degraded": [], "at_risk": []}
    for position, item in enumerate(columns["ids"]):
        if states[item] in affected:
            affected[states[item]].append(
                {
                    "id": item,
                    "class": classes[item],
                    "name": names[item],
                    "layer": columns["layers"][position] or "",
                    "because": explained[item],
                }
            )
    counts = answer["counts"]
    return {
        "revision": answer["revision"],
        "failed": [item_record(item) for item in answer["failed"]],
        "counts": {
            "down": counts["down"],
            "degraded": counts["degraded"],
            "at_risk": counts["atRisk"],
            "reduced": counts["reduced"],
            "protected": counts["protected"],
        },
        "down": affected["down"],
        "degraded": affected["degraded"],
        "at_risk": affected["at_risk"],
        "services": [_service(item, classes, names, states, explained) for item in services],
    }


def _service(
    item: str,
    classes: Mapping[str, str],
    names: Mapping[str, str],
    states: Mapping[str, str],
    explained: Mapping[str, list[FactRecord]],
) -> ServiceRecord:
    return {
        "id": item,
        "class": classes[item],
        "name": names[item],
        "state": states[item],
        "because": explained[item],
    }


def _fact(fact: Mapping[str, Any], names: Mapping[str, str]) -> FactRecord:
    return {
        "code": fact["code"],
        "group": fact.get("group"),
        "required": fact.get("required"),
        "up": fact.get("up"),
        "members": [
            {"id": m["id"], "name": names.get(m["id"], m["id"]), "state": m["state"]}
            for m in fact.get("members", ())
        ],
    }
