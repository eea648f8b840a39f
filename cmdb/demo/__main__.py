"""`make demo`: a service of its own, the demo estate, this machine's inventory, three answers; then it serves.

    python -m cmdb.demo [DIRECTORY]      # data in DIRECTORY, `.demo` without it
    DEMO_EXIT=1 python -m cmdb.demo      # stop after the answers

Everything goes the way it goes in earnest: the service is `cmdb serve` in a process of its own, what is loaded goes
through `/ingest`, what is asked through GraphQL. The exit status is 0 only if all went well and the answers are what
the estate was built to give. Run again it finds everything loaded and changes nothing. A Neo4j that the environment
names is left alone: the demo uses a private one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from cmdb.cli.client import Access, Client
from cmdb.cli.session import Session
from cmdb.cli.terminal import Terminal, picture_console
from cmdb.demo.loading import load_estate, report_this_machine
from cmdb.demo.questions import WrongAnswer, ask_change, ask_failure, ask_history
from cmdb.demo.service import DemoService, ServiceFailed
from cmdb.errors import CmdbError


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run the demo; returns the exit status."""
    directory = Path(arguments[0] if arguments else ".demo")
    console = picture_console()
    try:
        return _run(directory, console, stop_after_answers=environment.get("DEMO_EXIT", "") not in ("", "0"))
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 0
    except ServiceFailed as error:
        console.print(Text.assemble(("The service did not start: ", "bold red"), str(error)))
    except WrongAnswer as error:
        console.print(Text.assemble(("This answer is wrong: ", "bold red"), str(error)))
    except (CmdbError, OSError) as error:
        console.print(Text.assemble(("error: ", "bold red"), str(error)))
    return 1


def _run(directory: Path, console: Console, *, stop_after_answers: bool) -> int:
    with DemoService.start(directory, console) as service:
        access = Access(service.url, service.token)
        with Client(access) as client:
            load_estate(client, console)
            report_this_machine(client, console)
            session = Session(client, Terminal())
            for number, ask in enumerate((ask_failure, ask_change, ask_history), 1):
                console.print()
                title, pictures = ask(session)
                console.print(Rule(Text(f" {number}. {title} ", style="bold"), align="left"))
                for picture in pictures:
                    console.print(picture)
        console.print(Rule(style="dim"))
        _tell_where(service, console, directory)
        if stop_after_answers:
            return 0
        console.print("It serves until Ctrl-C.", style="dim")
        return service.wait()


def _tell_where(service: DemoService, console: Console, directory: Path) -> None:
    console.print(Text.assemble("API explorer  ", (f"{service.url}/graphiql", "bold cyan underline")))
    console.print(Text.assemble("Token         ", (service.token, "bold")), soft_wrap=True)
    console.print("Ask yourself, in another terminal:", style="dim")
    console.print(
        f"  export CMDB_URL={service.url} CMDB_TOKEN=$(cat {directory / 'admin-token'})", soft_wrap=True
    )
    program = str(Path(sys.executable).with_name("cmdb")).removeprefix(f"{Path.cwd()}/")
    for command in (
        'find "web shop"',
        "dependents muc-flash-2",
        "impact --down muc-hv-prod-01 --down muc-feed-a",
    ):
        console.print(f"  {program} {command}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
