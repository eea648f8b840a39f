"""What the demo loads: the estate as it was reported over a year, and the machine that it runs on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cmdb.cli.client import Client
from cmdb.demo.estate import demo_observation, demo_observations
from cmdb.errors import BadRequest

COUNT = "query Count { configurationItems(first: 1) { totalCount } }"


def load_estate(client: Client, console: Console) -> None:
    """The estate, step by step where there is nothing yet, else as it is at the end: then all of it is unchanged."""
    empty = client.query(COUNT)["configurationItems"]["totalCount"] == 0
    with console.status("Working out the demo estate ..."):
        observations = demo_observations() if empty else [demo_observation()]
    created = changed = unchanged = 0
    bar = Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        task = bar.add_task("Loading the demo estate", total=len(observations))
        for observation in observations:
            answer = _send(client, observation)
            created += answer["created"]
            changed += answer["changed"]
            unchanged = answer["unchanged"]
            bar.advance(task)
        seconds = bar.tasks[0].elapsed or 0.0
    if created or changed:
        console.print(
            f"[green]✓[/] The demo estate is loaded: {created:,} items created, {changed:,} changed in "
            f"{len(observations)} reports [dim]({seconds:.1f} s)[/]"
        )
    else:
        console.print(
            f"[green]✓[/] The demo estate is there: {unchanged:,} items unchanged [dim]({seconds:.1f} s)[/]"
        )


def report_this_machine(client: Client, console: Console) -> None:
    """The reference agent's report of this machine, sent as any agent sends it."""
    from discovery.agent import observe

    with console.status("Taking the inventory of this machine ..."):
        observation = observe()
        answer = _send(client, observation)
    console.print(
        f"[green]✓[/] This machine reported itself: {answer['items']:,} items, {answer['edges']:,} edges; "
        f"{answer['created']:,} created, {answer['changed']:,} changed"
    )


def _send(client: Client, observation: Mapping[str, Any]) -> dict[str, Any]:
    body = json.dumps(observation).encode()
    answer = client.ingest("observation", body, {"name": "demo.json"}, "application/json")
    if answer["refused"]:
        first = answer["refused"][0]
        raise BadRequest(
            f"{len(answer['refused'])} things of the report {observation['run']!r} were refused; the first, at "
            f"{first['where']}: {first['why']}"
        )
    return answer
