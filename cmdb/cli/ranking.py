"""`cmdb ranking`: the whole estate by what the failure of each item alone would take down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.records import RankingRecord
from cmdb.cli.session import AsOfOption, JsonOption, as_of_input, item_record, session
from cmdb.cli.terminal import LAYER_STYLES, plural, shown

RANKING = """
query Ranking($by: RankedBy!, $classes: [String!], $first: Int!, $offset: Int!, $asOf: AsOf) {
  ranking(by: $by, classes: $classes, first: $first, offset: $offset, asOf: $asOf) {
    revision behind count
    nodes { id class name layer lifecycle criticality itemsDown servicesDown servicesTouched }
  }
}"""

_BAR = 24

OffsetOption = Annotated[
    int, typer.Option("--offset", min=0, metavar="N", help="Leave out the first N, for the pages after them.")
]


class By(Enum):
    """What a ranking is by."""

    ITEMS = "items"
    SERVICES = "services"


def ranking(
    by: Annotated[
        By, typer.Option("--by", help="Count the items that would be down, or the services among them.")
    ] = By.ITEMS,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="CLASS", help="Show items of this class and its subclasses only."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, metavar="N", help="Items at most.")] = 20,
    offset: OffsetOption = 0,
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """The items whose failure alone would take down most, redundancy considered; worst first."""
    with session(json_lines) as s:
        variables = {
            "by": by.name,
            "classes": classes,
            "first": limit,
            "offset": offset,
            "asOf": as_of_input(as_of),
        }
        record = ranking_record(s.client.query(RANKING, variables)["ranking"], by, offset)
        s.terminal.answer(record, ranking_picture(record))


def ranking_record(answer: Mapping[str, Any], by: By, offset: int) -> RankingRecord:
    """The record of a GraphQL answer."""
    return {
        "revision": answer["revision"],
        "behind": answer["behind"],
        "by": by.value,
        "count": answer["count"],
        "offset": offset,
        "items": [
            {
                "item": item_record(node),
                "criticality": node["criticality"],
                "items_down": node["itemsDown"],
                "services_down": node["servicesDown"],
                "services_touched": node["servicesTouched"],
            }
            for node in answer["nodes"]
        ],
    }


def ranking_picture(record: RankingRecord) -> Iterator[RenderableType]:
    """How many are ranked in a line, then a table with a bar for what the ranking is by."""
    rows = record["items"]
    said = f"{plural(record['count'], 'item')} by what the failure of each alone takes down"
    yield Text(said, "bold").append_text(true_of(record["revision"], record["behind"]))
    if not rows:
        yield from rows_not_shown(record["count"], record["offset"], 0)
        return
    by_items = record["by"] == "items"
    most = max(row["items_down"] if by_items else row["services_down"] for row in rows)
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "class", "criticality", "items down", "services down", "of touched", ""):
        right = heading in ("items down", "services down", "of touched")
        table.add_column(heading, header_style="dim", overflow="fold", justify="right" if right else "left")
    for row in rows:
        item = row["item"]
        table.add_row(
            Text(shown(item["name"]), style=LAYER_STYLES.get(item.get("layer", ""), "")),
            Text(item["class"], style="dim"),
            shown(row["criticality"]),
            f"{row['items_down']:,}",
            f"{row['services_down']:,}",
            Text(f"{row['services_touched']:,}", style="dim"),
            Text(_bar(row["items_down"] if by_items else row["services_down"], most), style="red"),
        )
    yield table
    yield from rows_not_shown(record["count"], record["offset"], len(rows))


def true_of(revision: int, behind: int) -> Text:
    """The revision that an answer is true of, and how many there have been since."""
    since = f", {plural(behind, 'revision')} behind" if behind else ""
    return Text(f"  (revision {revision}{since})", style="dim")


def rows_not_shown(count: int, offset: int, rows: int) -> Iterator[Text]:
    """What a page of `rows` from `offset` on leaves out of `count`: before it and after it."""
    before, after = min(offset, count), max(count - offset - rows, 0)
    if before:
        yield Text(f"… after the first {before:,}", style="dim")
    if after:
        yield Text(f"… and {after:,} more", style="dim")


def _bar(value: int, most: int) -> str:
    """As long as its share of the most; something for anything."""
    return "█" * max(round(_BAR * value / most), 1) if value else ""
