"""The demo's three questions: a failure with redundancy, a change's impact, one CI's history; with pictures.

Each answer is held to what the estate was built to show; `WrongAnswer` says where it is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from cmdb.cli.change_picture import history_picture
from cmdb.cli.impact_picture import impact_picture
from cmdb.cli.impact_records import ImpactRecord
from cmdb.cli.looking import ask_walk
from cmdb.cli.past import read_history
from cmdb.cli.session import Session
from cmdb.cli.terminal import shown
from cmdb.cli.trees import walk_picture
from cmdb.cli.what_if import Asked, ask_impact
from cmdb.demo.estate import demo_questions

CHANGE = """
query DemoChange($name: String!) {
  change(name: $name) { id attributes lifecycle }
}"""

_HISTORY_EVENTS = 50
_ROWS = 6


class WrongAnswer(Exception):
    """An answer is not what the estate was built to give."""


Answer = tuple[str, Iterator[RenderableType]]
"""The question, and the picture of its answer."""


def ask_failure(session: Session) -> Answer:
    """A power feed fails: redundancy keeps the services up, at a risk that is named."""
    question = demo_questions()["failure"]
    ids = _ids(session, question["down"])
    impact = ask_impact(session, Asked(ids))
    if not impact["at_risk"]:
        raise WrongAnswer("nothing is at risk when a power feed fails")
    down = [service["name"] for service in impact["services"] if service["state"] == "down"]
    if down:
        raise WrongAnswer(f"redundant power feeds do not keep {', '.join(down)} up")
    if not any(impact["counts"][state] for state in ("reduced", "protected")):
        raise WrongAnswer("redundancy protects nothing")
    return question["title"], _failure_picture(session, question, ids[0], impact)


def _failure_picture(
    session: Session, question: Mapping[str, Any], feed: str, impact: ImpactRecord
) -> Iterator[RenderableType]:
    yield Text(question["expect"], style="italic dim")
    yield Text()
    walk = ask_walk(session, "dependents", feed, {"depth": 2, "types": None, "layers": None, "asOf": None})
    states = {
        item["id"]: state
        for state, items in (
            ("down", impact["down"]),
            ("degraded", impact["degraded"]),
            ("at_risk", impact["at_risk"]),
        )
        for item in items
    }
    yield from walk_picture(walk, states)
    yield Text()
    yield from impact_picture(impact, rows=_ROWS)


def ask_change(session: Session) -> Answer:
    """A planned change takes a storage array out: what its outage would take down, and what not."""
    question = demo_questions()["change"]
    change = session.client.query(CHANGE, {"name": question["record"]["name"]})["change"]
    if change is None:
        raise WrongAnswer(f"there is no change {question['record']['name']}")
    impact = ask_impact(session, Asked(_ids(session, question["affects"])), _window(change))
    states = {service["state"] for service in impact["services"]}
    if "down" not in states or states == {"down"}:
        raise WrongAnswer(
            f"of the services some should be down and some not; their states are {sorted(states)}"
        )
    return question["title"], _change_picture(question, change, impact)


def _change_picture(
    question: Mapping[str, Any], change: Mapping[str, Any], impact: ImpactRecord
) -> Iterator[RenderableType]:
    yield Text(question["expect"], style="italic dim")
    attributes, window = change["attributes"], _window(change)
    line = Text.assemble((question["record"]["name"], "bold"), f"  {change['lifecycle'].lower()}")
    if window is not None:
        line.append(f", planned {' to '.join(time[:16].replace('T', ' ') for time in window)}", style="dim")
    yield line
    for name in ("summary", "implementation_plan"):
        if name in attributes:
            yield Text(shown(attributes[name]))
    yield Text()
    yield from impact_picture(impact, rows=_ROWS)


def _window(change: Mapping[str, Any]) -> tuple[str, str] | None:
    """From when to when it is planned, if that is known."""
    start, end = (change["attributes"].get(name) for name in ("planned_start", "planned_end"))
    return (start, end) if start and end else None


def ask_history(session: Session) -> Answer:
    """What became of one machine in a year."""
    question = demo_questions()["history"]
    item = question["item"]
    history = read_history(session, f"{item['class']}/{item['name']}", _HISTORY_EVENTS)
    updated = [event for event in history["events"] if event["change"]["kind"] == "updated"]
    fields = {field["field"] for event in updated for field in event["change"]["fields"]}
    if "memory" not in fields:
        raise WrongAnswer(
            f"the history of {item['name']} does not know of its memory; it has {sorted(fields)}"
        )
    return question["title"], history_picture(history, sizes=session.sizes(item["class"]))


def _ids(session: Session, items: Sequence[Mapping[str, str]]) -> list[str]:
    return [session.resolve(f"{item['class']}/{item['name']}")["id"] for item in items]
