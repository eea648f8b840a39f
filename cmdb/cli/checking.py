"""`cmdb check`: assertions about the estate as a gate for pipelines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from cmdb.cli.check_picture import check_picture
from cmdb.cli.client import Refused
from cmdb.cli.exit_status import ExitStatus
from cmdb.cli.records import CheckFindingRecord, CheckRecord
from cmdb.cli.session import AsOfOption, JsonOption, Session, as_of_input, session

CHECKS = """
query Checks($text: String!, $asOf: AsOf) {
  checks(text: $text, asOf: $asOf) {
    revision passed
    results {
      line text outcome examined found
      findings {
        code hops found allowed name shortfall { lower upper least }
        about { id class name }
        members { id class name }
        path { id class name }
        gate { group required size up owner { id class name } lost { id class name } }
      }
    }
  }
}"""

_NAMES = frozenset({"unknown_name", "ambiguous_name", "unknown_class"})


def check(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="One assertion a line, # begins a comment; - is standard input."),
    ] = None,
    expressions: Annotated[
        list[str] | None,
        typer.Option("-e", "--expression", metavar="ASSERTION", help="An assertion; may be repeated."),
    ] = None,
    as_of: AsOfOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Whether assertions hold, such as "service 'Web Shop' survives any 1 failure", and why not.

    The exit status is 0 if all hold, 1 if one does not (or cannot be decided), 2 if one cannot be read, and 3 if all
    that do not hold have a name that fits nothing or several items. All files are checked against one revision.
    """
    texts = list(_texts(files or [], expressions or []))
    if not texts:
        raise typer.BadParameter("name a file, or give an assertion with -e")
    moment = as_of_input(as_of)
    unreadable, records = False, list[CheckRecord]()
    with session(json_lines) as s:
        for file, text in texts:
            try:
                record = _ask(s, file, text, moment)
            except Refused as error:
                if error.code != "ASSERTION_INVALID":
                    raise
                unreadable = True
                _complain(s, file, error)
                continue
            moment = moment or {"revision": record["revision"]}
            records.append(record)
            s.terminal.answer(record, check_picture(record))
    status = ExitStatus.USAGE if unreadable else status_of(records)
    if status is not ExitStatus.OK:
        raise typer.Exit(status)


def status_of(records: list[CheckRecord]) -> ExitStatus:
    """The exit status of checks that could be read."""
    results = [result for record in records for result in record["results"] if result["outcome"] != "passed"]
    if not results:
        return ExitStatus.OK
    misnamed = all(finding["code"] in _NAMES for result in results for finding in result["findings"])
    return ExitStatus.NOT_FOUND if misnamed else ExitStatus.REFUSED


def _texts(files: list[Path], expressions: list[str]) -> Iterator[tuple[str | None, str]]:
    missing = [file for file in files if str(file) != "-" and not file.is_file()]
    if missing:
        raise typer.BadParameter(f"no file {', '.join(map(str, missing))}")
    if expressions:
        yield None, "\n".join(expressions)
    for file in files:
        try:
            content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
            yield str(file), content.decode("utf-8-sig")
        except OSError as error:
            raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise typer.BadParameter(f"{file} is not UTF-8 at byte {error.start}") from None


def _ask(s: Session, file: str | None, text: str, moment: Mapping[str, Any] | None) -> CheckRecord:
    answer = s.client.query(CHECKS, {"text": text, "asOf": moment})["checks"]
    return {
        "file": file,
        "revision": answer["revision"],
        "passed": answer["passed"],
        "results": [
            {
                "line": result["line"],
                "text": result["text"],
                "outcome": result["outcome"].lower(),
                "examined": result["examined"],
                "found": result["found"],
                "findings": [_finding(finding) for finding in result["findings"]],
            }
            for result in answer["results"]
        ],
    }


def _finding(answer: Mapping[str, Any]) -> CheckFindingRecord:
    return {
        "code": answer["code"],
        "about": answer["about"],
        "members": answer["members"],
        "path": answer["path"],
        "hops": answer["hops"],
        "gate": answer["gate"],
        "shortfall": answer["shortfall"],
        "found": answer["found"],
        "allowed": answer["allowed"],
        "name": answer["name"],
    }


def _complain(s: Session, file: str | None, error: Refused) -> None:
    """Tell every fault of a text with its place, as compilers do."""
    facts = {"file": file, **error.facts()}
    if s.terminal.json_lines:
        s.terminal.complain(error.code, str(error), facts)
        return
    for fault in facts.get("faults", ()):
        where = f"{file or '-e'}:{fault['line']}:{fault['column']}"
        s.terminal.complain(error.code, f"{where}: {fault['fault']}; {fault['wayOut']}")
