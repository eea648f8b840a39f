"""The command line: all commands but `serve` and `fault-tree` are GraphQL clients of the service they are told of."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from cmdb.cli.administration import catalogue_app, token_app
from cmdb.cli.availability import availability
from cmdb.cli.checking import check
from cmdb.cli.exit_status import ExitStatus, exit_status_of
from cmdb.cli.exporting import export
from cmdb.cli.fault_trees import fault_tree
from cmdb.cli.figures import figures
from cmdb.cli.importing import import_files
from cmdb.cli.looking import dependents, deps, find, get
from cmdb.cli.network import minimum_cut, weak_points
from cmdb.cli.past import audit_app, baseline_app, diff, history, undo
from cmdb.cli.ranking import ranking
from cmdb.cli.serving import agent, serve, status
from cmdb.cli.terminal import Terminal
from cmdb.cli.touched import touched
from cmdb.cli.watching import watch
from cmdb.cli.what_if import impact
from cmdb.errors import CmdbError

app = typer.Typer(
    name="cmdb",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="""What is there, how it hangs together, what changed, and what would happen.

    Commands ask the service at CMDB_URL (default http://127.0.0.1:8000) with the token in CMDB_TOKEN (default: the
    one that `cmdb serve` left in its data directory). They wait until it has the revision in CMDB_AT_LEAST, if there
    is one. A NAME is an id, a name, or Class/name; one that fits several items is an error that lists them. With --json
    answers are JSON on standard output, and errors JSON on standard error.
    """,
)
app.command("serve")(serve)
app.command("status")(status)
app.command("import")(import_files)
app.command("agent")(agent)
app.command("find")(find)
app.command("get")(get)
app.command("deps")(deps)
app.command("dependents")(dependents)
app.command("impact")(impact)
app.command("availability")(availability)
app.command("figures")(figures)
app.command("ranking")(ranking)
app.command("touched")(touched)
app.command("check")(check)
app.command("watch")(watch)
app.command("weak-points")(weak_points)
app.command("minimum-cut")(minimum_cut)
app.command("fault-tree")(fault_tree)
app.command("history")(history)
app.command("diff")(diff)
app.command("undo")(undo)
app.command("export")(export)
app.add_typer(baseline_app, name="baseline")
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(token_app, name="token")
app.add_typer(audit_app, name="audit")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit status; `arguments` are those after the program's name."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                errors="replace"
            )  # a terminal without the signs of a picture still gets the words
    try:
        app(given, prog_name="cmdb")
    except CmdbError as error:
        Terminal(json_lines="--json" in given).complain(error.code, str(error), dict(error.facts()))
        sys.exit(exit_status_of(error))
    except KeyboardInterrupt:
        sys.exit(ExitStatus.INTERRUPTED)
