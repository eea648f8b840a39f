"""Pictures of walks: what a CI depends on, or what depends on it, as a tree with layers and lifecycle states.

Each item is drawn once in full, at the first place it is reached; where it is reached again it is named with `↑`.
So a tree has as many lines as the walk has edges, however entangled the estate is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text
from rich.tree import Tree

from cmdb.cli.records import EdgeRecord, ItemRecord, WalkRecord
from cmdb.cli.terminal import LAYER_STYLES, plural, shown, state_text

_CALM = {"live", None}


def walk_picture(walk: WalkRecord, states: Mapping[str, str] | None = None) -> Iterator[RenderableType]:
    """The tree of a walk and a line that sums it up; `states` adds an impact state per item id."""
    items = {item["id"]: item for item in (walk["start"], *walk["items"])}
    downwards = walk["direction"] == "dependencies"
    near, far = ("source", "target") if downwards else ("target", "source")
    below: dict[str, list[EdgeRecord]] = defaultdict(list)
    for edge in walk["edges"]:
        below[edge[near]].append(edge)  # type: ignore[literal-required]  # one of its two ends

    root = Tree(_label(walk["start"], None, states or {}), guide_style="dim")
    drawn = {walk["start"]["id"]}
    level = [(walk["start"]["id"], root)]
    while level:  # breadth first, so that every item is drawn where it is nearest to the start
        following = []
        for item_id, branch in level:
            for gate, edges in _gates(below[item_id], items, far, grouped=downwards):
                twig = branch if gate is None else branch.add(gate)
                for edge in edges:
                    other = items[edge[far]]  # type: ignore[literal-required]  # one of its two ends
                    again = other["id"] in drawn
                    more_above = again and bool(below[other["id"]])
                    leaf = twig.add(_label(other, edge, states or {}, again=more_above, group=gate is None))
                    if not again:
                        drawn.add(other["id"])
                        following.append((other["id"], leaf))
        level = following
    yield root
    yield _summary(walk)


def _gates(
    edges: Sequence[EdgeRecord], items: Mapping[str, ItemRecord], far: str, *, grouped: bool
) -> Iterator[tuple[Text | None, list[EdgeRecord]]]:
    """The edges of one item in drawing order; with `grouped`, each redundancy group under a line of its own."""
    known = [edge for edge in edges if edge[far] in items]  # type: ignore[literal-required]  # one of its two ends
    known.sort(key=lambda e: (e["group"] or "", e["type"], items[e[far]]["name"]))  # type: ignore[literal-required]
    for group, members in groupby(known, key=lambda e: e["group"] or ""):
        listed = list(members)
        if not group or not grouped or len(listed) == 1:
            yield None, listed
        else:
            needed = listed[0]["required"] or "all"
            yield Text(f"{shown(group)}: needs {needed} of {len(listed)}", style="cyan"), listed


def _label(
    item: ItemRecord,
    edge: EdgeRecord | None,
    states: Mapping[str, str],
    *,
    again: bool = False,
    group: bool = True,
) -> Text:
    label = Text()
    if edge is not None:
        label.append(edge["type"].lower().replace("_", " ") + " ", style="dim")
    layer = item.get("layer", "")
    label.append(shown(item["name"]), style=LAYER_STYLES.get(layer, "bold"))
    label.append(f"  {item['class']}", style="dim")
    if layer:
        label.append(f" · {layer}", style="dim")
    lifecycle = item.get("lifecycle")
    if lifecycle not in _CALM:
        label.append(f" · {lifecycle}", style="yellow")
    if edge is not None and edge["group"] and group:
        label.append(f"  [{shown(edge['group'])}: needs {edge['required'] or 'all'}]", style="cyan")
    if edge is not None and edge["strength"] == "soft":
        label.append("  (soft)", style="dim")
    if item["id"] in states:
        label.append("  ").append_text(state_text(states[item["id"]]))
    if again:
        label.append("  ↑", style="dim")
    return label


def _summary(walk: WalkRecord) -> Text:
    word = "dependency" if walk["direction"] == "dependencies" else "dependent"
    many = "dependencies" if walk["direction"] == "dependencies" else "dependents"
    text = Text(f"{plural(len(walk['items']), word, many)}, revision {walk['revision']}", style="dim")
    if walk["truncated"]:
        text.append("; there are more: ask deeper or for fewer types", style="yellow")
    return text
