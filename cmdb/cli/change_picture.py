"""Pictures of change: one item's history as a timeline, the difference of two revisions as a coloured list."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Literal

from rich.console import RenderableType
from rich.text import Text

from cmdb.cli.records import ChangeRecord, DiffRecord, EdgeChangeRecord, HistoryRecord
from cmdb.cli.terminal import plural, shown, shown_bytes

_KINDS = {"created": ("+", "green"), "updated": ("~", "yellow"), "deleted": ("-", "red")}
_VALUE_LENGTH = 80
_SIDES: tuple[Literal["before"], Literal["after"]] = ("before", "after")


def history_picture(history: HistoryRecord, *, sizes: Set[str] = frozenset()) -> Iterator[RenderableType]:
    """The timeline, newest first: when, who, why, and each field `before → after`; `sizes` are fields in bytes."""
    item = history["item"]
    yield Text.assemble((shown(item["name"]), "bold"), (f"  {item['class']}  {item['id']}", "dim"))
    for event in history["events"]:
        kind = event["change"]["kind"]
        _, style = _KINDS.get(kind, ("·", ""))
        line = Text.assemble(
            ("● ", style), (f"{event['revision']:>6}", "bold"), f"  {_moment(event['recorded_at'])}  "
        )
        line.append(kind, style=style)
        line.append(f" by {shown(event['actor'])}")
        if event["source"]:
            line.append(f", source {shown(event['source'])}", style="dim")
        yield _one_line(line)
        if event["run"]:
            yield _one_line(Text.assemble(("│         ", "dim"), (shown(event["run"]), "italic")))
        elif event["message"] or event["reason"]:
            reason = f" [{shown(event['reason'])}]" if event["reason"] else ""
            yield Text.assemble(("│         ", "dim"), (f"“{shown(event['message'])}”{reason}", "italic"))
        for change in _change_lines(event["change"], sizes, created_in_full=False):
            yield _one_line(Text("│         ", style="dim").append_text(change))
    if not history["events"]:
        yield Text("Nothing is recorded.", style="dim")
    if history["more"]:
        yield Text("… older changes: --limit N shows more", style="dim")


def diff_picture(diff: DiffRecord) -> Iterator[RenderableType]:
    """What differs: + created, - deleted, ~ changed, each with its fields and edges."""
    for change in diff["changes"]:
        sign, style = _KINDS.get(change["kind"], ("·", ""))
        named = f"{sign} {change['class']}/{shown(change['name'])}"
        yield Text.assemble((named, f"bold {style}"), (f"  {change['id']}", "dim"))
        for line in _change_lines(change, frozenset(), created_in_full=True):
            yield Text("    ").append_text(line)
    counts = {kind: sum(c["kind"] == kind for c in diff["changes"]) for kind in _KINDS}
    summary = ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number) or "no difference"
    yield Text(f"{summary} between revisions {diff['from']} and {diff['to']}", style="dim")
    if diff["more"]:
        yield Text("… there are more: --limit N shows them", style="yellow")


def _change_lines(change: ChangeRecord, sizes: Set[str], *, created_in_full: bool) -> Iterator[Text]:
    fields = change["fields"]
    if change["kind"] == "created" and not created_in_full:
        named = ", ".join(f["field"] for f in fields[:8]) + (", …" if len(fields) > 8 else "")
        yield Text(
            f"with {plural(len(fields), 'value')}: {named}" if fields else "without values", style="dim"
        )
    else:
        width = max((len(f["field"]) for f in fields), default=0)
        for f in fields:
            line = Text(f"{f['field']:<{width}}  ", style="bold")
            before, after = (shown_bytes(f[s]) if f["field"] in sizes else f[s] for s in _SIDES)
            line.append(_short(before), style="red")
            line.append(" → ", style="dim")
            line.append(_short(after), style="green")
            yield line
    for edge in change["edges"]:
        yield _edge_line(edge)


def _edge_line(edge: EdgeChangeRecord) -> Text:
    kind = "created" if edge["before"] is None else "deleted" if edge["after"] is None else "updated"
    sign, style = _KINDS[kind]
    target = shown(edge["target_name"] or edge["target"])
    line = Text(f"{sign} {edge['type']} → {target}", style=style)
    if edge["group"]:
        line.append(f"  [{shown(edge['group'])}]", style="cyan")
    before, after = edge["before"] or {}, edge["after"] or {}
    if kind == "updated":
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                line.append(f"  {name} {_short(before.get(name))} → {_short(after.get(name))}")
    return line


def _short(value: object) -> str:
    text = shown(value)
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 1]}…"


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _moment(instant: str) -> str:
    return f"{instant[:10]} {instant[11:19]}"
