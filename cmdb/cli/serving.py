"""`cmdb serve`, `agent`, `status`: running the service and the reference agent, and asking how the service is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cmdb.cli.exit_status import ExitStatus, exit_status_of
from cmdb.cli.importing import import_one, import_picture
from cmdb.cli.session import JsonOption, session
from cmdb.cli.terminal import shown
from cmdb.errors import CmdbError
from cmdb.settings import Settings

STATUS = """
query Status {
  viewer { actor role }
  revisions(first: 1) { nodes { number recordedAt actor message } }
  items(first: 1) { totalCount }
  configurationItems(first: 1) { totalCount }
  businessServices(first: 1) { totalCount }
  records(first: 1) { totalCount }
}"""


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen at. Default: CMDB_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen at; 0 takes a free one. Default: CMDB_PORT.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Directory of the private Neo4j and the first admin token. Default: CMDB_DATA."),
    ] = None,
) -> None:
    """Run the service until it is told to stop (Ctrl-C, SIGTERM).

    The first start writes an admin token to DATA/admin-token, readable by you alone. Without CMDB_NEO4J_URI a private
    Neo4j is started in DATA; its very first start downloads it.
    """
    from cmdb_graphql.garbage import leave_to_tidy

    leave_to_tidy()
    from cmdb_graphql.app import serve as run_service

    given = {"host": host, "port": port, "data": data}
    settings = Settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how it is told to stop
        run_service(settings)


def status(json_lines: JsonOption = False) -> None:
    """How the service is: revision, counts, versions, Neo4j, and who you are to it."""
    with session(json_lines) as s:
        answer = s.client.query(STATUS)
        last = answer["revisions"]["nodes"]
        record = {
            "url": s.client.url,
            "revision": answer["_revision"],
            "last_change": last[0] if last else None,
            "counts": {
                "items": answer["items"]["totalCount"],
                "configuration_items": answer["configurationItems"]["totalCount"],
                "business_services": answer["businessServices"]["totalCount"],
                "records": answer["records"]["totalCount"],
            },
            "viewer": answer["viewer"],
            "client_version": version("cmdb"),
            "service": s.client.get("/readyz"),
        }
        s.terminal.answer(record, _status_picture(record))


def _status_picture(record: Mapping[str, Any]) -> Iterator[RenderableType]:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("service", Text(shown(record["url"])))
    for name, value in record["service"].items():
        table.add_row(f"  {shown(name)}", Text(shown(value)))
    table.add_row("client", f"cmdb {record['client_version']}")
    last = record["last_change"]
    when = (
        f"{last['recordedAt'][:19].replace('T', ' ')} by {last['actor']}: {shown(last['message'])}"
        if last
        else "none"
    )
    table.add_row("revision", Text(str(record["revision"])))
    table.add_row("last change", Text(shown(when)))
    counts = record["counts"]
    words = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())
    table.add_row("kept", words)
    viewer = record["viewer"]
    table.add_row("you", Text(f"{shown(viewer['actor'])}, {viewer['role']}"))
    yield table


def agent(
    once: Annotated[bool, typer.Option("--once", help="Report once and stop.")] = False,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=10, help="How long to wait between two reports.")
    ] = 3600.0,
    source: Annotated[
        str, typer.Option(metavar="SOURCE", help="The source it reports as; an agent's token is bound to it.")
    ] = "cmdb-agent",
    json_lines: JsonOption = False,
) -> None:
    """Report this machine's inventory: hardware, system, network, storage, packages, who listens and who talks to whom.

    It needs no rights: what it may not see it leaves out, and says so. Where the service does not answer it tries
    again, unless it is to report once.
    """
    from discovery.agent import DeliveryFailed, run_agent, take_inventory

    with session(json_lines) as s, contextlib.suppress(KeyboardInterrupt):

        def look() -> Mapping[str, Any]:
            inventory = take_inventory(source=source)
            for missing in inventory.unseen:
                s.terminal.note(f"not seen: {missing}")
            return inventory.observation

        def send(observation: Mapping[str, Any]) -> None:
            try:
                record = import_one(s.client, "this machine", json.dumps(observation).encode(), "observation")
            except CmdbError as error:
                if once or exit_status_of(error) is not ExitStatus.UNAVAILABLE:
                    raise
                s.terminal.complain(error.code, str(error), dict(error.facts()))
                raise DeliveryFailed(str(error)) from error
            s.terminal.answer(record, import_picture(record, dry_run=False))
            if record["refused"] and once:
                raise typer.Exit(ExitStatus.REFUSED)

        run_agent(send, interval, once, look=look)
