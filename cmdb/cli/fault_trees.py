"""`cmdb fault-tree`: a fault tree in a file, computed here; no service is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.records import EventImportanceRecord, FaultTreeRecord
from cmdb.cli.session import JsonOption
from cmdb.cli.terminal import Terminal, plural, shown
from cmdb.errors import BadRequest

if TYPE_CHECKING:
    from impact.fault_tree_analysis import Analysis

_EVENTS_SHOWN = 20


def fault_tree(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Open-PSA MEF (XML).")],
    top: Annotated[
        str | None,
        typer.Option(
            "--top", metavar="GATE", help="The gate in question. Default: the one that no other uses."
        ),
    ] = None,
    cut_sets: Annotated[
        int,
        typer.Option("--cut-sets", min=0, max=100_000, metavar="N", help="List the N likeliest cut sets."),
    ] = 10,
    order: Annotated[
        int | None,
        typer.Option("--order", min=1, metavar="K", help="Count and list only cut sets of at most K events."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Draw all events, not only those that matter most.")
    ] = False,
    json_lines: JsonOption = False,
) -> None:
    """What a fault tree says: probability of its top event, minimal cut sets, and how much each event matters.

    Everything is exact. The events are sorted by Fussell-Vesely importance, the cut sets by probability. The service is
    not needed.
    """
    from impact.fault_tree_analysis import analyse
    from impact.mef import import_fault_tree

    try:
        document = file.read_bytes()
    except OSError as error:
        raise BadRequest(f"{file} cannot be read: {error.strerror}") from None
    record = fault_tree_record(analyse(import_fault_tree(document, top=top), order=order), cut_sets)
    Terminal(json_lines=json_lines).answer(
        record, fault_tree_picture(record, rows=None if everything else _EVENTS_SHOWN)
    )


def fault_tree_record(analysis: Analysis, cut_sets: int) -> FaultTreeRecord:
    """The record of an analysis, with so many of the likeliest cut sets. What is infinite is null."""
    tree = analysis.tree
    events: list[EventImportanceRecord] = [
        {
            "event": i.event,
            "label": tree.basic_events[i.event].label,
            "probability": i.probability,
            "birnbaum": i.birnbaum,
            "criticality": i.criticality,
            "fussell_vesely": i.fussell_vesely,
            "diagnostic": i.diagnostic,
            "raw": _finite(i.raw),
            "rrw": _finite(i.rrw),
        }
        for i in sorted(analysis.importances, key=lambda i: (-i.fussell_vesely, -i.birnbaum))
    ]
    return {
        "name": tree.name,
        "top": tree.top,
        "label": tree.gates[tree.top].label,
        "gates": len(tree.gates),
        "coherent": tree.is_coherent,
        "probability": analysis.probability,
        "cut_sets": {
            "total": analysis.cut_sets.total,
            "by_order": list(analysis.cut_sets.by_order),
            "up_to_order": analysis.cut_sets.order,
            "likeliest": [
                {"probability": chance, "events": list(events)}
                for chance, events in analysis.likeliest_cut_sets(cut_sets)
            ],
        },
        "events": events,
    }


def fault_tree_picture(record: FaultTreeRecord, *, rows: int | None) -> Iterator[RenderableType]:
    """The figures, then the events that matter most (all of them if `rows` is None), then the listed cut sets."""
    kind = "coherent" if record["coherent"] else "with negations"
    label = f"  {shown(record['label'])}" if record["label"] else ""
    yield Text.assemble((shown(record["name"]), "bold"), label)
    counts = f"{plural(record['gates'], 'gate')}, {plural(len(record['events']), 'basic event')}, {kind}"
    yield Text(f"top event {shown(record['top'])}; {counts}", style="dim")
    yield Text.assemble("probability       ", (f"{record['probability']:.6g}", "bold"))
    sets = record["cut_sets"]
    bound = f" of at most {plural(sets['up_to_order'], 'event')}" if sets["up_to_order"] is not None else ""
    by_order = ", ".join(f"{number:,} of {order}" for order, number in enumerate(sets["by_order"]) if number)
    yield Text.assemble(
        "minimal cut sets  ", (f"{sets['total']:,}", "bold"), bound, f"  ({by_order or 'none'})"
    )
    yield _events(record["events"][:rows])
    if rows is not None and len(record["events"]) > rows:
        yield Text(f"… {plural(len(record['events']) - rows, 'more event')}: --all shows them", style="dim")
    if sets["likeliest"]:
        listed = Table(box=None, header_style="dim", pad_edge=False)
        listed.add_column("likeliest cut sets", justify="right")
        listed.add_column("events")
        for cut_set in sets["likeliest"]:
            listed.add_row(f"{cut_set['probability']:.4g}", Text(", ".join(map(shown, cut_set["events"]))))
        yield listed


def _events(events: list[EventImportanceRecord]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("event")
    for heading in ("p", "Fussell-Vesely", "Birnbaum", "criticality", "diagnostic", "RAW", "RRW"):
        table.add_column(heading, justify="right")
    for e in events:
        shares = (e["fussell_vesely"], e["birnbaum"], e["criticality"], e["diagnostic"])
        table.add_row(
            Text(shown(e["event"])),
            f"{e['probability']:.4g}",
            *(f"{share:.4g}" for share in shares),
            *("∞" if worth is None else f"{worth:.4g}" for worth in (e["raw"], e["rrw"])),
        )
    return table


def _finite(worth: float) -> float | None:
    return worth if math.isfinite(worth) else None
