"""The picture of a check: a line for each assertion, below it what speaks against it, in the end how many hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from cmdb.cli.records import BrokenGateRecord, CheckFindingRecord, CheckRecord, CheckResultRecord, ItemRecord
from cmdb.cli.terminal import plural, shown

SIGNS = {"passed": ("✓", "green"), "failed": ("✗", "bold red"), "unknown": ("?", "bold yellow")}
"""Sign and style of an outcome."""

_NAMES_SHOWN = 6
_HOPS_SHOWN = 12


def check_picture(record: CheckRecord) -> Iterator[RenderableType]:
    """One file, or what was given with `-e`."""
    if record["file"] is not None:
        yield Text(shown(record["file"]), style="bold")
    for result in record["results"]:
        yield from _result(result)
    yield _summary(record)


def _result(result: CheckResultRecord) -> Iterator[RenderableType]:
    sign, style = SIGNS[result["outcome"]]
    line = Text.assemble((f"{sign} ", style), (f"{result['line']:>3}  ", "dim"), shown(result["text"]))
    if result["examined"] != 1 and not (result["outcome"] == "unknown" and result["examined"] == 0):
        line.append(
            f"  ({plural(result['examined'], 'item')})", style="dim" if result["examined"] else "yellow"
        )
    yield line
    for finding in result["findings"]:
        words = [finding_words(finding)]
        if finding["path"]:
            words.append(_way(finding))
        if finding["gate"] is not None:
            words.append(_gate(finding["gate"]))
        yield Padding(words[0], (0, 0, 0, 7))
        for more in words[1:]:
            yield Padding(more, (0, 0, 0, 9))
    left = result["found"] - len(result["findings"])
    if left > 0:
        yield Padding(Text(f"… and {left:,} more", style="dim"), (0, 0, 0, 7))


def finding_words(finding: CheckFindingRecord) -> Text:
    """What speaks against an assertion, in words."""
    code, members, about = finding["code"], finding["members"], finding["about"]
    whom = Text(shown(about["name"]) if about is not None else "", style="bold")
    match code:
        case "single_point":
            return Text.assemble(_names(members), " takes down ", whom, " alone")
        case "cut_set" if len(members) == 1:
            return Text.assemble(_names(members), " takes down ", whom, " alone: it survives no failure")
        case "cut_set":
            survived = plural(finding["found"] or 0, "failure")
            return Text.assemble(
                _names(members), " together take down ", whom, f": it survives any {survived}"
            )
        case "undecided":
            survived = plural(finding["found"] or 0, "failure")
            text = f" survives any {survived}; whether {finding['allowed']}, cannot be said within the limits"
            return Text.assemble(whom, text)
        case "too_unavailable" | "availability_undecided" if finding["shortfall"] is not None:
            low, least = finding["shortfall"], finding["shortfall"]["least"]
            between = f"{_percent(low['lower'], least)} to {_percent(low['upper'], least)}"
            between += f", asserted {_asserted(least)} %"
            if code == "availability_undecided":
                return Text.assemble(
                    whom, f" is available {between}: it cannot be told more precisely in time"
                )
            matters = Text.assemble("; most hangs on ", _names(members)) if members else Text()
            return Text.assemble(whom, f" is available {between}", matters)
        case "taken_down":
            return Text.assemble(whom, " goes down with ", _names(members))
        case "too_many_down":
            text = f"{plural(finding['found'] or 0, 'goes', 'go')} down, {finding['allowed']:,} at most may: "
            return Text.assemble(text, _names(members, finding["found"]))
        case "depends_on":
            return Text.assemble(whom, " depends on ", _names(members))
        case "unknown_name":
            return Text(f"nothing is called {shown(finding['name'])}; look it up with `cmdb find`")
        case "ambiguous_name":
            called = (
                f"{plural(finding['found'] or 0, 'item is', 'items are')} called {shown(finding['name'])}: "
            )
            listed = ", ".join(f"{shown(m['class'])}/{shown(m['name'])} ({m['id']})" for m in members)
            return Text(f"{called}{listed}; give the id or Class/name")
        case "unknown_class":
            return Text(f"the catalogue has no class {shown(finding['name'])}")
    return Text(shown(code))


def _percent(share: float, least: float) -> str:
    """An availability with so many digits that it is told from the asserted one, and from 100 %."""
    asserted, text = Decimal(_asserted(least)), "100"
    for digits in range(3, 13):
        text = f"{share * 100:.{digits}f}" if share < 1 else "100"
        if Decimal(text) != asserted and (Decimal(text) < 100 or share >= 1):
            break
    return f"{text} %"


def _asserted(least: float) -> str:
    return f"{least * 100:.12g}"


def _way(finding: CheckFindingRecord) -> Text:
    """The way from what goes down to what fails; of a long one both ends."""
    path, hops = finding["path"], finding["hops"] or 0
    names = [shown(item["name"]) for item in path]
    if hops + 1 > _HOPS_SHOWN:
        half = _HOPS_SHOWN // 2
        names = [*names[:half], f"… {hops + 1 - 2 * half} more …", *names[-half:]]
    return Text("way: " + " → ".join(names), style="dim")


def _gate(gate: BrokenGateRecord) -> Text:
    group = f" ({shown(gate['group'])})" if gate["group"] else ""
    owner, needed = shown(gate["owner"]["name"]), f"{gate['required']} of {gate['size']}"
    text = f"gate{group}: {owner} needs {needed}, {gate['up']} up; down: "
    return Text.assemble((text, "dim"), _names(gate["lost"], gate["size"] - gate["up"]))


def _names(items: Sequence[ItemRecord], total: int | None = None) -> Text:
    text = Text(", ").join(
        Text.assemble((shown(item["name"]), "bold"), (f" ({shown(item['class'])})", "dim"))
        for item in items[:_NAMES_SHOWN]
    )
    left = (len(items) if total is None else total) - min(len(items), _NAMES_SHOWN)
    if left > 0:
        text.append(f" and {left:,} more", style="dim")
    return text


def _summary(record: CheckRecord) -> Text:
    outcomes = [result["outcome"] for result in record["results"]]
    passed, failed, unknown = (outcomes.count(outcome) for outcome in SIGNS)
    parts = [f"{plural(passed, 'assertion holds', 'assertions hold')}"]
    if failed:
        parts.append(f"{failed:,} {'does' if failed == 1 else 'do'} not")
    if unknown:
        parts.append(f"{unknown:,} cannot be judged")
    style = "green" if record["passed"] else "bold red" if failed else "bold yellow"
    return Text.assemble((", ".join(parts), style), (f"  (revision {record['revision']})", "dim"))
