"""`cmdb history`, `diff`, `undo`, `baseline`, `audit`: what the ledger says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.change_picture import diff_picture, history_picture
from cmdb.cli.exit_status import ExitStatus
from cmdb.cli.importing import progress_bar
from cmdb.cli.records import ChangeRecord, DiffRecord, EventRecord, HistoryRecord
from cmdb.cli.session import AsOfOption, ItemArgument, JsonOption, Session, as_of_input, session
from cmdb.cli.terminal import plural, shown

_CHANGE = """
fragment Change on ItemChange {
  id class name kind
  fields { field before after }
  edges {
    type target targetName group
    before { required strength confidence }
    after { required strength confidence }
  }
}"""
HISTORY = (
    """
query History($item: ID!, $first: Int!, $after: String) {
  history(item: $item, first: $first, after: $after) {
    nodes { revision { number recordedAt actor source run message reason } change { ...Change } }
    pageInfo { hasNextPage endCursor }
  }
}"""
    + _CHANGE
)
DIFF = (
    """
query Diff($from: PointInHistory!, $to: PointInHistory, $scope: [ID!], $first: Int!, $after: String) {
  diff(from: $from, to: $to, scope: $scope, first: $first, after: $after) {
    fromRevision toRevision
    nodes { ...Change }
    pageInfo { hasNextPage endCursor }
  }
}"""
    + _CHANGE
)
UNDO = (
    """
mutation Undo($revision: Long!, $dryRun: Boolean!) {
  undo(revision: $revision, dryRun: $dryRun) { revision changes { ...Change } }
}"""
    + _CHANGE
)
_BASELINE = "fragment Facts on Baseline { name revision recordedAt actor description root size }"
BASELINES = "query Baselines { baselines { ...Facts } }" + _BASELINE
CREATE_BASELINE = (
    """
mutation CreateBaseline($name: String!, $asOf: AsOf, $root: ID, $description: String) {
  createBaseline(name: $name, asOf: $asOf, root: $root, description: $description) { ...Facts }
}"""
    + _BASELINE
)
DELETE_BASELINE = "mutation DeleteBaseline($name: String!) { deleteBaseline(name: $name) }"
VERIFY_LEDGER = """
query VerifyLedger($anchors: [LedgerAnchor!], $after: String) {
  verifyLedger(anchors: $anchors, after: $after) { ok revisions checked complete cursor problems hash }
}"""

PAGE = 100
LimitOption = Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show at most so many.")]

baseline_app = typer.Typer(
    no_args_is_help=True, help="Names for moments in history: of everything, or of a service."
)
audit_app = typer.Typer(no_args_is_help=True, help="Checks that the past is still as it was written.")


def history(name: ItemArgument, limit: LimitOption = 20, json_lines: JsonOption = False) -> None:
    """What became of one item and its outgoing edges, newest first.

    An id also finds an item that was deleted.
    """
    with session(json_lines) as s:
        record = read_history(s, name, limit)
        sizes = frozenset() if json_lines else s.sizes(record["item"]["class"])
        s.terminal.answer(record, history_picture(record, sizes=sizes))


def read_history(s: Session, name: str, limit: int) -> HistoryRecord:
    """The history of an item by any of its names."""
    found = s.resolve_for_history(name)
    nodes, more = _pages(s, HISTORY, "history", {"item": found["id"]}, limit)
    events = [_event(node) for node in nodes]
    if events and not found["name"]:  # deleted: its last change still knows what it was
        change = events[0]["change"]
        found = {"id": found["id"], "class": change["class"], "name": change["name"]}
    return {"item": found, "events": events, "more": more}


def diff(
    start: Annotated[
        str, typer.Argument(metavar="A", help="A revision number, a time, or a baseline's name.")
    ],
    end: Annotated[str, typer.Argument(metavar="B", help="The same, or `now`.")] = "now",
    scope: Annotated[
        list[str] | None, typer.Option("--scope", metavar="NAME", help="Of this item only; may be repeated.")
    ] = None,
    limit: LimitOption = 500,
    json_lines: JsonOption = False,
) -> None:
    """What differs between two moments: the net changes from A to B."""
    with session(json_lines) as s:
        variables: dict[str, Any] = {
            "from": _point(start) or {"revision": s.client.query("{ viewer { actor } }")["_revision"]},
            "to": _point(end),
            "scope": [s.resolve(name)["id"] for name in scope] if scope else None,
        }
        ends: dict[str, Any] = {}
        nodes, more = _pages(s, DIFF, "diff", variables, limit, ends)
        record: DiffRecord = {
            "from": ends["fromRevision"],
            "to": ends["toRevision"],
            "changes": [_change(node) for node in nodes],
            "more": more,
        }
        s.terminal.answer(record, diff_picture(record))


def undo(
    revision: Annotated[int, typer.Argument(metavar="REVISION", min=1, help="The number of the revision.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would happen; write nothing.")
    ] = False,
    json_lines: JsonOption = False,
) -> None:
    """Take back one revision, as a new revision that does the opposite.

    Refused where somebody changed the same things since.
    """
    with session(json_lines) as s:
        answer = s.client.query(UNDO, {"revision": revision, "dryRun": dry_run})["undo"]
        changes = [_change(node) for node in answer["changes"]]
        record = {"undone": revision, "revision": answer["revision"], "changes": changes}
        s.terminal.answer(record, _undo_picture(revision, answer["revision"], changes, dry_run=dry_run))


@baseline_app.command("create")
def create_baseline(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the moment is called from now on.")],
    at: AsOfOption = None,
    scope: Annotated[
        str | None, typer.Option("--scope", metavar="ITEM", help="Only this item and all it depends on.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it stands for.")] = None,
    json_lines: JsonOption = False,
) -> None:
    """Give a moment a name."""
    with session(json_lines) as s:
        moment = as_of_input(at)
        root = s.resolve(scope, moment)["id"] if scope else None
        variables = {"name": name, "asOf": moment, "root": root, "description": description}
        created = s.client.query(CREATE_BASELINE, variables)["createBaseline"]
        s.terminal.answer(created, [_baseline_table([created])])


@baseline_app.command("list")
def list_baselines(json_lines: JsonOption = False) -> None:
    """All baselines, oldest revision first."""
    with session(json_lines) as s:
        found = s.client.query(BASELINES)["baselines"]
        s.terminal.answer(
            found, [_baseline_table(found) if found else Text("There is no baseline.", style="dim")]
        )


@baseline_app.command("delete")
def delete_baseline(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The baseline's name.")],
    json_lines: JsonOption = False,
) -> None:
    """Forget a name. Nothing else is lost: the revisions stay."""
    with session(json_lines) as s:
        s.client.query(DELETE_BASELINE, {"name": name})
        s.terminal.answer({"deleted": name}, [Text(f"Baseline {shown(name)} is deleted.")])


@audit_app.command("ledger")
def audit_ledger(
    anchor: Annotated[
        list[str] | None,
        typer.Option("--anchor", metavar="REVISION:HASH", help="A hash that an earlier audit printed."),
    ] = None,
    json_lines: JsonOption = False,
) -> None:
    """Recompute the hash chain of all revisions, and hold it to the hashes of earlier audits.

    Exit status 1 if anything was altered, taken out or put in; it says where.
    """
    anchors = [_anchor(text) for text in anchor or ()]
    with session(json_lines) as s:
        report = _verified(s, anchors)
        s.terminal.answer(report, _audit_picture(report))
        if not report["ok"]:
            raise typer.Exit(ExitStatus.REFUSED)


def _anchor(text: str) -> dict[str, Any]:
    number, colon, hash_ = text.partition(":")
    if not (number.isdecimal() and number.isascii() and colon and hash_):
        raise typer.BadParameter(f"{text[:80]!r}: give REVISION:HASH, as an earlier audit printed it")
    return {"revision": int(number), "hash": hash_}


def _verified(s: Session, anchors: list[dict[str, Any]]) -> dict[str, Any]:
    """Walk the ledger step by step; all steps in one."""
    problems: list[str] = []
    after: str | None = None
    with progress_bar(s.terminal) as progress:
        task = progress.add_task("revisions", total=None)
        while True:
            step = s.client.query(VERIFY_LEDGER, {"anchors": anchors, "after": after})["verifyLedger"]
            problems += step["problems"]
            progress.update(task, completed=step["checked"], total=step["revisions"])
            if step["complete"]:
                break
            after = step["cursor"]
    unique = list(dict.fromkeys(problems))
    return {"ok": not unique, "revisions": step["revisions"], "problems": unique, "hash": step["hash"]}


def _audit_picture(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    if report["ok"]:
        yield Text(f"✓ {plural(report['revisions'], 'revision')}, the chain is whole", style="green")
        yield Text(f"  anchor of the next audit: {report['revisions']}:{report['hash']}", style="dim")
        return
    yield Text(f"✗ the chain of {plural(report['revisions'], 'revision')} is broken", style="bold red")
    for problem in report["problems"]:
        yield Text(f"  {shown(problem)}")


def _undo_picture(
    undone: int, revision: int | None, changes: list[ChangeRecord], *, dry_run: bool
) -> Iterator[RenderableType]:
    if dry_run:
        yield Text(f"Undoing revision {undone} would do this (nothing is written):", style="yellow")
    elif revision is None:
        yield Text(f"Revision {undone} is undone already: nothing to change.")
    else:
        yield Text(f"Revision {undone} is undone by revision {revision}.", style="green")
    if changes:
        yield from list(diff_picture({"from": undone, "to": undone - 1, "changes": changes, "more": False}))[
            :-1
        ]


def _baseline_table(baselines: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "revision", "of", "made", "by", "description"):
        table.add_column(heading, header_style="dim", justify="right" if heading == "revision" else "left")
    for found in baselines:
        of = "everything" if found["size"] is None else plural(found["size"], "item")
        cells = (
            found["name"],
            str(found["revision"]),
            of,
            found["recordedAt"][:16].replace("T", " "),
            found["actor"],
        )
        table.add_row(*(Text(shown(cell)) for cell in (*cells, found["description"])))
    return table


def _pages(
    s: Session,
    document: str,
    field: str,
    variables: Mapping[str, Any],
    limit: int,
    head: dict[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], bool]:
    """The first `limit` nodes of a connection, page by page, and whether there are more; `head` takes the last page."""
    nodes: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = s.client.query(
            document, {**variables, "first": min(PAGE, limit - len(nodes)), "after": after}
        )[field]
        nodes += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if head is not None:
            head.update(page)
        if not page["pageInfo"]["hasNextPage"] or len(nodes) >= limit:
            return nodes, page["pageInfo"]["hasNextPage"]


def _point(text: str) -> dict[str, Any] | None:
    """The GraphQL input for one end of a diff; None for now."""
    if text == "now":
        return None
    if text.isdecimal():
        return {"revision": int(text)}
    if re.match(r"\d{4}-\d\d-\d\d(T|$)", text):
        return {"time": text if "T" in text else f"{text}T00:00:00Z"}
    return {"baseline": text}


def _event(node: Mapping[str, Any]) -> EventRecord:
    revision = node["revision"]
    return {
        "revision": revision["number"],
        "recorded_at": revision["recordedAt"],
        "actor": revision["actor"],
        "source": revision["source"],
        "run": revision["run"],
        "message": revision["message"],
        "reason": revision["reason"],
        "change": _change(node["change"]),
    }


def _change(node: Mapping[str, Any]) -> ChangeRecord:
    return {
        "id": node["id"],
        "class": node["class"],
        "name": node["name"],
        "kind": node["kind"],
        "fields": node["fields"],
        "edges": [
            {
                "type": edge["type"],
                "target": edge["target"],
                "target_name": edge["targetName"],
                "group": edge["group"],
                "before": edge["before"],
                "after": edge["after"],
            }
            for edge in node["edges"]
        ],
    }
