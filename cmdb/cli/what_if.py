"""`cmdb impact`: what the failure of some items together would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from cmdb.cli.graph_file import (
    BulkForm,
    FormatOption,
    OutputOption,
    require_format,
    write_bulk,
    write_graph,
)
from cmdb.cli.impact_picture import impact_picture
from cmdb.cli.impact_records import AffectedRecord, FactRecord, ImpactRecord, PartyRecord
from cmdb.cli.service_time import SERVICE_TIME, failure_time, service_time_record
from cmdb.cli.session import AsOfOption, JsonOption, Session, as_of_input, item_record, session

_ASKED = """(
  $down: [ID!]!, $already: [ID!], $records: [DownRecord!], $pinned: [ID!], $types: [String!],
  $confidence: Confidence!, $asOf: AsOf%s
) {
  impact(
    down: $down, alreadyDown: $already, alreadyDownBy: $records, pinned: $pinned, types: $types,
    minimumConfidence: $confidence, asOf: $asOf
  ) { %s }
}"""
_REASONS = "because { code group required up members { id name state } }"
_SERVICE, _PARTY = f"{{ id class name state {_REASONS} }}", "{ id class name worst items }"
LISTED = {
    "services": _SERVICE,
    "customers": _PARTY,
    "teams": _PARTY,
    "owners": _PARTY,
    "agreements": _PARTY,
}
"""Whom it concerns: lists of which all is told, page by page."""
_VERDICT = f"""
    revision added
    failed {{ id class name layer lifecycle }}
    alreadyDownByCount
    alreadyDownBy(first: 100) {{ id class name itemCount items(first: 10) {{ id class name }} }}
    counts {{ down degraded atRisk reduced protected }}
    {" ".join(f"{field}(first: 20) {shown}" for field, shown in LISTED.items())}
    concerned {{ services customers teams owners agreements }}
    """
IMPACT = "query Impact" + _ASKED % ("", _VERDICT)
TIMED_IMPACT = "query TimedImpact" + _ASKED % (
    ", $from: DateTime!, $to: DateTime!",
    _VERDICT + SERVICE_TIME,
)
MORE = {
    field: "query More" + _ASKED % (", $offset: Int!", f"{field}(first: 50, offset: $offset) {shown}")
    for field, shown in LISTED.items()
}
ALL_AFFECTED = "query AllAffected" + _ASKED % ("", "record(explain: true)")
_FIRST = f"(first: 25) {{ id class name layer {_REASONS} path {{ id }} }}"
FIRST_AFFECTED = "query FirstAffected" + _ASKED % ("", f"down{_FIRST} degraded{_FIRST} atRisk{_FIRST}")
FIRST_SAVED = "query FirstSaved" + _ASKED % ("", f"reduced{_FIRST} protected{_FIRST}")
"""Beside the one above: together they would cost more than one operation may."""
IMPACT_AS_GRAPH = "query ImpactAsGraph" + _ASKED % (
    ", $format: GraphFormat!, $limit: Int!",
    "export(format: $format, limit: $limit) { text truncated }",
)

_MOST_EXPLAINED = 10_000
"""Items in an answer up to which all of them are explained; of a larger one the first 25 of each state are."""


def impact(
    down: Annotated[
        list[str] | None,
        typer.Option("--down", metavar="NAME", help="What fails; repeat it for several at once."),
    ] = None,
    already_down: Annotated[
        list[str] | None,
        typer.Option(
            "--already-down", metavar="NAME", help="What is down before that; tells what the failure adds."
        ),
    ] = None,
    already_down_by: Annotated[
        list[DownBy] | None,
        typer.Option(
            "--already-down-by",
            metavar="RECORDS",
            help="What these records say is down is so before that: outages, changes, incidents or all; "
            "without --down: what is down now.",
        ),
    ] = None,
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
        bool,
        typer.Option(
            "--all", help="Draw all items, not the first of each state; reduced and protected ones too."
        ),
    ] = False,
    begins: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="TIME",
            help="When the failure begins (RFC 3339, or now, the default): tells the service time lost.",
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="When it is over; or give --lasting.")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--lasting", metavar="LONG", help="How long it lasts, such as 4h or 90m.")
    ] = None,
    as_of: AsOfOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    bulk: Annotated[
        BulkForm | None,
        typer.Option(
            "--bulk",
            metavar="FORM",
            help="Write every item reached, for machines: jsonl or arrow (see --output).",
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option("--limit", min=1, max=10_000, metavar="N", help="Items at most that --format writes."),
    ] = 1000,
    json_lines: JsonOption = False,
) -> None:
    """What would be down, degraded or at risk if these items failed together, and why.

    The verdict comes first, then the services, then the items by state, each with the gates that gave way.
    """
    if bulk is None:
        require_format(form, output)
    elif form is not None:
        raise typer.BadParameter("--bulk and --format exclude each other", param_hint="--bulk")
    if not down and not already_down and not already_down_by:
        raise typer.BadParameter("name at least one item that fails", param_hint="--down")
    during = failure_time(begins, until, lasting)
    if during is not None and (bulk is not None or form is not None):
        raise typer.BadParameter("service time is not part of --bulk and --format", param_hint="--from")
    with session(json_lines) as s:
        moment = as_of_input(as_of)

        def ids(names: Sequence[str] | None) -> list[str]:
            return [s.resolve(name, moment)["id"] for name in names or ()]

        records = record_kinds(already_down_by or ())
        question = Asked(ids(down), ids(already_down), ids(pinned), types, confidence, moment, records)
        if bulk is not None:
            write_bulk(s, question.bulk(), bulk, output)
        elif form is not None:
            variables = {**question.variables(), "format": form.upper(), "limit": limit}
            written = s.client.query(IMPACT_AS_GRAPH, variables)["impact"]["export"]
            write_graph(s, written["text"], output, truncated=written["truncated"])
        else:
            record = ask_impact(s, question, during)
            s.terminal.answer(record, impact_picture(record, rows=None if everything else 15))


class DownBy(StrEnum):
    """`--already-down-by`."""

    OUTAGES = "outages"
    CHANGES = "changes"
    INCIDENTS = "incidents"
    ALL = "all"


def record_kinds(asked: Sequence[DownBy]) -> list[str]:
    """The kinds of records that are meant, as GraphQL names them."""
    return [kind.name for kind in DownBy if kind is not DownBy.ALL and (kind in asked or DownBy.ALL in asked)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a failure; items by id."""

    down: Sequence[str]
    already_down: Sequence[str] = ()
    pinned: Sequence[str] = ()
    types: Sequence[str] | None = None
    confidence: str = "inferred"
    as_of: Mapping[str, Any] | None = None
    already_down_by: Sequence[str] = ()

    def variables(self) -> dict[str, Any]:
        """For the documents above."""
        return {
            "down": list(self.down),
            "already": list(self.already_down) or None,
            "records": list(self.already_down_by) or None,
            "pinned": list(self.pinned) or None,
            "types": self.types,
            "confidence": self.confidence.upper(),
            "asOf": self.as_of,
        }

    def bulk(self) -> dict[str, Any]:
        """For `/bulk/impact`."""
        return {
            "down": list(self.down),
            "alreadyDown": list(self.already_down),
            "alreadyDownBy": list(self.already_down_by),
            "pinned": list(self.pinned),
            "types": self.types,
            "minimumConfidence": self.confidence.upper(),
            "asOf": self.as_of,
        }


def ask_impact(s: Session, question: Asked, during: tuple[str, str] | None = None) -> ImpactRecord:
    """The answer with the reasons of what is reached; of a very large one, of the first in each state.

    `during`: from when to when the failure lasts, where the service time it takes is to be told too.
    """
    variables = question.variables()
    if during is None:
        answer = s.client.query(IMPACT, variables)["impact"]
    else:
        timed = {**variables, "from": during[0], "to": during[1]}
        answer = s.client.query(TIMED_IMPACT, timed)["impact"]
    # What is asked from here on is about the same failure at the same revision, whatever is written meanwhile.
    failed = {item["id"] for item in answer["failed"]}
    variables |= {
        "already": sorted(failed.difference(question.down)) or None,
        "records": None,
        "asOf": {"revision": answer["revision"]},
    }
    for field, document in MORE.items():
        while len(answer[field]) < answer["concerned"][field]:
            more = s.client.query(document, {**variables, "offset": len(answer[field])})["impact"][field]
            if not more:
                break
            answer[field] += more
    named = {item: place for place, item in enumerate([*question.down, *question.already_down])}
    answer["failed"].sort(key=lambda item: named.get(item["id"], len(named)))
    affected: dict[str, list[AffectedRecord]] = {state: [] for state in _STATES}
    if sum(answer["counts"].values()) > _MOST_EXPLAINED:
        first = s.client.query(FIRST_AFFECTED, variables)["impact"]
        affected = _first_affected({**first, **s.client.query(FIRST_SAVED, variables)["impact"]})
    elif failed:
        affected = all_affected(s.client.query(ALL_AFFECTED, variables)["impact"]["record"])
    record = impact_record(answer, affected)
    if question.already_down_by:
        record["already_down_by_count"] = answer["alreadyDownByCount"]
        record["already_down_by"] = [
            {
                "id": told["id"],
                "class": told["class"],
                "name": told["name"],
                "item_count": told["itemCount"],
                "items": told["items"],
            }
            for told in answer["alreadyDownBy"]
        ]
        record["failed_by_records"] = [item for item in record["failed"] if item["id"] not in named]
    if during is not None:
        record["service_time"] = service_time_record(answer["serviceTime"])
    return record


def impact_record(
    answer: Mapping[str, Any],
    affected: Mapping[str, list[AffectedRecord]],
) -> ImpactRecord:
    """The record of GraphQL answers."""
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
        "added": answer["added"],
        "truncated": any(len(affected[state]) < counts[field] for state, field in _STATES.items()),
        "down": affected["down"],
        "degraded": affected["degraded"],
        "at_risk": affected["at_risk"],
        "reduced": affected["reduced"],
        "protected": affected["protected"],
        "services": [
            {
                "id": service["id"],
                "class": service["class"],
                "name": service["name"],
                "state": service["state"].lower(),
                "because": [_typed_fact(fact) for fact in service["because"]],
            }
            for service in answer["services"]
        ],
        "customers": [_party(party) for party in answer["customers"]],
        "teams": [_party(party) for party in answer["teams"]],
        "owners": [_party(party) for party in answer["owners"]],
        "agreements": [_party(party) for party in answer["agreements"]],
        "concerned": answer["concerned"],
    }


_STATES = {
    "down": "down",
    "degraded": "degraded",
    "at_risk": "atRisk",
    "reduced": "reduced",
    "protected": "protected",
}
"""The states of what is reached, worst first, with the fields that list them."""


def all_affected(columns: Mapping[str, Any]) -> dict[str, list[AffectedRecord]]:
    """Everything that is reached, of an answer's `record`, which has it in columns."""
    names = dict(zip(columns["ids"], columns["names"], strict=True))
    explained = {explanation["id"]: explanation for explanation in columns["explanations"]}
    affected: dict[str, list[AffectedRecord]] = {state: [] for state in _STATES}
    for position, item in enumerate(columns["ids"]):
        if columns["states"][position] in affected:
            affected[columns["states"][position]].append(
                {
                    "id": item,
                    "class": columns["classes"][position],
                    "name": names[item],
                    "layer": columns["layers"][position] or "",
                    "because": [_fact(fact, names) for fact in explained[item]["facts"]],
                    "path": explained[item]["path"],
                }
            )
    return affected


def _first_affected(answer: Mapping[str, Any]) -> dict[str, list[AffectedRecord]]:
    return {
        state: [
            {
                "id": item["id"],
                "class": item["class"],
                "name": item["name"],
                "layer": item["layer"] or "",
                "because": [_typed_fact(fact) for fact in item["because"]],
                "path": [step["id"] for step in item["path"]],
            }
            for item in answer[field]
        ]
        for state, field in _STATES.items()
    }


def _party(party: Mapping[str, Any]) -> PartyRecord:
    return {
        "id": party["id"],
        "class": party["class"],
        "name": party["name"],
        "worst": party["worst"].lower(),
        "items": party["items"],
    }


def _typed_fact(fact: Mapping[str, Any]) -> FactRecord:
    members = [{**member, "state": member["state"].lower()} for member in fact["members"]]
    return _fact({**fact, "members": members}, {member["id"]: member["name"] for member in members})


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
