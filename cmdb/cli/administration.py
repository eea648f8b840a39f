"""`cmdb catalogue`, `token`: what the CMDB can keep, and who may do what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from cmdb.cli.session import JsonOption, session
from cmdb.cli.terminal import shown
from cmdb.errors import NotFound

ENTRIES = "query Entries { catalogue { digest entries } }"
APPLY_CATALOGUE = """
mutation ApplyCatalogue($yaml: String!, $dryRun: Boolean!) {
  applyCatalogue(yaml: $yaml, dryRun: $dryRun) { revision changes { name kind } }
}"""
_DETAILS = """
fragment Facts on ApiToken { id prefix name role sources createdAt createdBy expiresAt lastUsedAt revokedAt }"""
TOKENS = "query Tokens { tokens { ...Facts } }" + _DETAILS
CREATE_TOKEN = (
    """
mutation CreateToken($name: String!, $role: String!, $sources: [String!], $days: Int!) {
  createToken(name: $name, role: $role, sources: $sources, days: $days) { token details { ...Facts } }
}"""
    + _DETAILS
)
REVOKE_TOKEN = "mutation RevokeToken($id: ID!) { revokeToken(id: $id) { ...Facts } }" + _DETAILS

catalogue_app = typer.Typer(no_args_is_help=True, help="Classes, relationship types and lifecycles.")
token_app = typer.Typer(no_args_is_help=True, help="API tokens. Admins only.")


@catalogue_app.command("show")
def show_catalogue(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One entry. Default: all.")] = None,
    json_lines: JsonOption = False,
) -> None:
    """Print entries in the form in which they are written (YAML)."""
    with session(json_lines) as s:
        entries = s.client.query(ENTRIES)["catalogue"]["entries"]
        if name is not None:
            if name not in entries:
                raise NotFound("catalogue entry", name, "`cmdb catalogue show` prints them all")
            entries = {name: entries[name]}
        text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120)
        s.terminal.answer(entries, [Syntax(text, "yaml", theme="ansi_dark", background_color="default")])


@catalogue_app.command("apply")
def apply_catalogue(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A YAML file of entries.", exists=True, dir_okay=False)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check it; write nothing.")] = False,
    json_lines: JsonOption = False,
) -> None:
    """Add entries, or replace those of the same name.

    Refused as a whole where an entry is wrong or stored items would become invalid. The GraphQL schema follows a moment
    later.
    """
    text = file.read_text(encoding="utf-8")
    with session(json_lines) as s:
        answer = s.client.query(APPLY_CATALOGUE, {"yaml": text, "dryRun": dry_run})["applyCatalogue"]
        changed = [f"{change['kind']} {change['name']}" for change in answer["changes"]]
        record = {
            "file": str(file),
            "revision": answer["revision"],
            "dry_run": dry_run,
            "changes": answer["changes"],
        }
        if dry_run:
            line = Text(
                f"Nothing is written; it would be: {', '.join(changed) or 'no change'}.", style="yellow"
            )
        elif answer["revision"] is None:
            line = Text(f"{shown(str(file))} changes nothing.")
        else:
            line = Text(
                f"{shown(str(file))} is in force: revision {answer['revision']}, {', '.join(changed)}.",
                style="green",
            )
        s.terminal.answer(record, [line])


@token_app.command("create")
def create_token(
    role: Annotated[str, typer.Option(help="viewer, editor, agent or admin.")],
    name: Annotated[str, typer.Option(help="Who it is for: the actor in the ledger.")],
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="What an agent's token may report for; may be repeated."),
    ] = None,
    expires: Annotated[
        int, typer.Option(metavar="DAYS", min=1, max=366, help="For how many days it is good.")
    ] = 90,
    json_lines: JsonOption = False,
) -> None:
    """Make a token. It is shown this once."""
    with session(json_lines) as s:
        variables = {"name": name, "role": role, "sources": source, "days": expires}
        made = s.client.query(CREATE_TOKEN, variables)["createToken"]
        record = {"token": made["token"], **_token_record(made["details"])}
        until = record["expires_at"][:10]
        note = Text(f"Keep it: it is not shown again. {role} {shown(name)}, good until {until}.", style="dim")
        s.terminal.answer(record, [Text(made["token"], no_wrap=True, overflow="ignore"), note])


@token_app.command("list")
def list_tokens(json_lines: JsonOption = False) -> None:
    """All tokens, without their secrets; the ended ones too."""
    with session(json_lines) as s:
        tokens = [_token_record(token) for token in s.client.query(TOKENS)["tokens"]]
        s.terminal.answer(tokens, [_token_table(tokens)])


@token_app.command("revoke")
def revoke_token(
    token_id: Annotated[
        str, typer.Argument(metavar="ID", help="The token's id, as `cmdb token list` shows it.")
    ],
    json_lines: JsonOption = False,
) -> None:
    """End a token now."""
    with session(json_lines) as s:
        record = _token_record(s.client.query(REVOKE_TOKEN, {"id": token_id})["revokeToken"])
        s.terminal.answer(record, [Text(f"The token {record['id']} of {shown(record['name'])} is revoked.")])


def _token_record(token: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": token["id"],
        "prefix": token["prefix"],
        "name": token["name"],
        "role": token["role"],
        "sources": token["sources"],
        "created_at": token["createdAt"],
        "created_by": token["createdBy"],
        "expires_at": token["expiresAt"],
        "last_used_at": token["lastUsedAt"],
        "revoked_at": token["revokedAt"],
    }


def _token_table(tokens: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "name", "role", "sources", "expires", "last used", ""):
        table.add_column(heading, header_style="dim", no_wrap=heading == "id")
    for token in tokens:
        used = (token["last_used_at"] or "never")[:16].replace("T", " ")
        ended = Text("revoked", style="red") if token["revoked_at"] else Text()
        sources = shown(", ".join(token["sources"]))
        cells = (token["id"], shown(token["name"]), token["role"], sources, token["expires_at"][:10], used)
        table.add_row(*map(Text, cells), ended)
    return table
