"""`cmdb figures`: how often items are down by themselves, and what each figure rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from cmdb.cli.records import FigureRecord, FiguresRecord
from cmdb.cli.service_time import length_text
from cmdb.cli.session import AsOfOption, JsonOption, as_of_input, session
from cmdb.cli.terminal import plain_table, plural, shown

FIGURES = """
query Figures($ids: [ID!]!, $asOf: AsOf) {
  componentFigures(ids: $ids, asOf: $asOf) {
    id class name unavailability basis defaultClass mtbf mttr
    history { observed outages down }
    ignored
  }
}"""

_BASES = {
    "declared_availability": "its availability",
    "declared_mtbf_mttr": "its MTBF and MTTR",
    "outage_history": "its outages",
    "class_default": "the default of its class",
    "assumed_perfect": "nothing: assumed perfect",
}


def figures(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Ids, names, or Class/name.")],
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """How often items are down by themselves, with everything they depend on up, and what that rests on."""
    with session(json_lines) as s:
        moment = as_of_input(as_of)
        ids = [s.resolve(name, moment)["id"] for name in names]
        answer = s.client.query(FIGURES, {"ids": ids, "asOf": moment})
        record = figures_record(answer["componentFigures"], answer["_revision"])
        s.terminal.answer(record, figures_picture(record))


def figures_record(answer: Sequence[Mapping[str, Any]], revision: int) -> FiguresRecord:
    """The record of a GraphQL answer."""
    return {
        "revision": revision,
        "figures": [
            {
                "id": figure["id"],
                "class": figure["class"],
                "name": figure["name"],
                "unavailability": figure["unavailability"],
                "basis": figure["basis"].lower(),
                "default_class": figure["defaultClass"],
                "mtbf": figure["mtbf"],
                "mttr": figure["mttr"],
                "history": figure["history"],
                "ignored": figure["ignored"],
            }
            for figure in answer
        ],
    }


def figures_picture(record: FiguresRecord) -> Iterator[RenderableType]:
    """A table with a row for each item, in the order in which they were named."""
    table = plain_table(
        f"Component figures (revision {record['revision']})",
        ("name", "class", "down alone", "rests on", "worked out from"),
    )
    for figure in record["figures"]:
        table.add_row(
            shown(figure["name"]),
            Text(figure["class"], style="dim"),
            f"{figure['unavailability']:.2e}",
            _BASES.get(figure["basis"], figure["basis"]),
            Text("\n").join(map(Text, _grounds(figure))),
        )
    yield table


def _grounds(figure: FigureRecord) -> Iterator[str]:
    if figure["basis"] == "declared_availability":
        yield f"available {(1 - figure['unavailability']) * 100:.12g} % of the time"
    times = [
        f"{name} {length_text(length)}"
        for name, length in (("MTBF", figure["mtbf"]), ("MTTR", figure["mttr"]))
        if length is not None
    ]
    if times:
        yield ", ".join(times)
    if figure["default_class"] is not None:
        yield f"default of {shown(figure['default_class'])}"
    history = figure["history"]
    if history is not None:
        down, observed = length_text(history["down"]), length_text(history["observed"])
        yield f"{plural(history['outages'], 'outage')}, {down} down in {observed}"
    if figure["ignored"]:
        yield f"makes no sense, ignored: {', '.join(map(shown, figure['ignored']))}"
