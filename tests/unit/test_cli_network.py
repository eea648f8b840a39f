"""The pictures of weak points and minimum cuts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rich.console import Console, RenderableType

from cmdb.cli.network import minimum_cut_picture, weak_points_picture
from cmdb.cli.records import EdgeRecord, ItemRecord, MinimumCutRecord, WeakPointsRecord


def drawn(parts: Iterable[RenderableType], width: int = 120) -> list[str]:
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return [line.rstrip() for line in capture.get().splitlines()]


def switch(name: str) -> ItemRecord:
    return {"id": f"id-{name}", "class": "Switch", "name": name, "layer": "network", "lifecycle": "live"}


def cable(one: str, other: str) -> EdgeRecord:
    return {
        "type": "CONNECTED_TO",
        "source": f"id-{one}",
        "target": f"id-{other}",
        "group": None,
        "required": None,
        "strength": "hard",
    }


OFFICE: WeakPointsRecord = {
    "revision": 12,
    "counts": {"items": 9, "links": 8, "components": 1, "articulation_points": 2, "bridges": 7},
    "articulation_points": [
        {
            "item": switch("core"),
            "cut_off": 5,
            "parts": 6,
            "part_sizes": [3, 1, 1, 1, 1, 1],
            "separated": [switch(f"ap-{n}") for n in range(1, 6)],
        }
    ],
    "bridges": [
        {
            "one": switch("core"),
            "other": switch("ap-1"),
            "edges": [cable("core", "ap-1"), cable("ap-1", "core")],
            "cut_off": 1,
            "separated": [switch("ap-1")],
        }
    ],
}
CUT: MinimumCutRecord = {
    "revision": 12,
    "from": switch("a"),
    "to": switch("e"),
    "connected": True,
    "separable": True,
    "count": 1,
    "truncated": False,
    "items": [switch("core")],
    "ways": [{"length": 3, "items": [switch("a"), switch("core"), switch("e")]}],
    "direct": [],
}


def test_a_weak_point_is_shown_with_the_parts_it_leaves_and_what_it_cuts_off() -> None:
    lines = drawn(weak_points_picture(OFFICE))
    assert lines[0] == "9 items, 8 links: all connected  (revision 12)"
    assert lines[2] == "2 articulation points: lost alone, they cut off others"
    assert re.sub(" +", " ", lines[4]) == "core Switch 5 3 + 1 + 1 + 1 + … ap-1, ap-2, ap-3, … 2 more"
    assert lines[5] == "… and 1 more"


def test_a_bridge_is_shown_with_its_edges_named_once() -> None:
    lines = drawn(weak_points_picture(OFFICE))
    assert lines[7] == "7 bridges: links without another way round"
    assert re.sub(" +", " ", lines[9]) == "core – ap-1 connected to 1 ap-1"
    assert lines[10] == "… and 6 more"


def test_a_network_without_weak_points_is_praised() -> None:
    calm: WeakPointsRecord = {
        "revision": 3,
        "counts": {"items": 6, "links": 6, "components": 2, "articulation_points": 0, "bridges": 0},
        "articulation_points": [],
        "bridges": [],
    }
    assert drawn(weak_points_picture(calm)) == [
        "6 items, 6 links: 2 parts, no way between them  (revision 3)",
        "Nothing alone holds parts of it together.",
    ]


def test_a_network_of_nothing_is_no_network() -> None:
    nothing: WeakPointsRecord = {
        "revision": 3,
        "counts": {"items": 0, "links": 0, "components": 0, "articulation_points": 0, "bridges": 0},
        "articulation_points": [],
        "bridges": [],
    }
    assert drawn(weak_points_picture(nothing)) == [
        "Nothing is joined by these types of relationships.  (revision 3)"
    ]


def test_a_cut_is_shown_with_the_ways_through_it() -> None:
    assert drawn(minimum_cut_picture(CUT)) == [
        "The loss of 1 item separates a and e:  (revision 12)",
        "  core  Switch",
        "",
        "1 way",
        "  a – core – e",
    ]


def test_a_direct_link_is_said() -> None:
    joined: MinimumCutRecord = {**CUT, "separable": False, "direct": [cable("a", "e")]}
    assert drawn(minimum_cut_picture(joined))[:3] == [
        "The loss of 1 item leaves only the direct link between a and e:  (revision 12)",
        "  core  Switch",
        "They are joined directly as well (connected to).",
    ]
    alone: MinimumCutRecord = {**joined, "count": 0, "items": [], "ways": []}
    assert drawn(minimum_cut_picture(alone))[0] == ("Nothing but a direct link joins a and e.  (revision 12)")


def test_no_way_and_more_than_was_looked_for_are_said() -> None:
    apart: MinimumCutRecord = {**CUT, "connected": False, "count": 0, "items": [], "ways": []}
    assert drawn(minimum_cut_picture(apart)) == ["There is no way between a and e.  (revision 12)"]
    many: MinimumCutRecord = {**CUT, "truncated": True, "separable": False, "count": 100, "items": []}
    lines = drawn(minimum_cut_picture(many))
    assert lines[0] == "It takes more than 100 items to separate a and e.  (revision 12)"
    assert lines[-1] == "… and 99 more"


def test_a_long_way_is_cut_and_that_is_said() -> None:
    long: MinimumCutRecord = {**CUT, "ways": [{**CUT["ways"][0], "length": 1_003}]}
    assert drawn(minimum_cut_picture(long))[-1] == "  a – core – e – … 1,000 more"
