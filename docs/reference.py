"""The reference pages in `docs/reference/`, written from the code they describe; run it after changing any of that.

    python docs/reference.py            # write the pages
    python docs/reference.py --check    # exit status 1, and a line per page, where a page is not what it should be

Sources: the built-in catalogue, the settings, the error trees, the limits, the command line. Nothing is written here by
hand but headings and connecting sentences.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from typer.core import TyperArgument, TyperGroup, TyperOption

import cmdb.errors
import cmdb_graphql.errors
import cmdb_graphql.limits
import cmdb_graphql.transport_settings
from cmdb.cli import app
from cmdb.cli.client import DEFAULT_URL
from cmdb.cli.exit_status import ExitStatus
from cmdb.errors import CmdbError
from cmdb.model.catalogue import (
    Attribute,
    Catalogue,
    IdentityRule,
    ItemClass,
    RelationshipType,
    builtin_catalogue,
)
from cmdb.model.reliability import ClassDefault
from cmdb.settings import Settings
from cmdb_graphql.names import camel

FOLDER = Path(__file__).resolve().parent / "reference"
_MADE = "<!-- Made by docs/reference.py; do not edit. -->"


def main(arguments: Sequence[str]) -> int:
    """Write or check the pages; returns the exit status."""
    pages = {name: f"{_MADE}\n{text.rstrip()}\n" for name, text in make_pages().items()}
    if "--check" not in arguments:
        FOLDER.mkdir(exist_ok=True)
        for name, text in pages.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    stale = [name for name, text in pages.items() if _read(FOLDER / name) != text]
    stale += [file.name for file in FOLDER.glob("*.md") if file.name not in pages]
    for name in stale:
        sys.stderr.write(
            f"docs/reference/{name} is not in step with the code; run `python docs/reference.py`\n"
        )
    return 1 if stale else 0


def make_pages() -> dict[str, str]:
    """All pages by file name."""
    catalogue = builtin_catalogue()
    return {
        "README.md": _index(),
        "classes.md": _classes(catalogue),
        "relationships.md": _relationships(catalogue),
        "lifecycles.md": _lifecycles(catalogue),
        "graphql.md": _graphql(),
        "command-line.md": _command_line(),
        "settings.md": _settings(),
    }


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


def _index() -> str:
    return """# Reference

Made from the code by `python docs/reference.py`; `make check` fails where a page is not in step.

* [Classes](classes.md): what the CMDB can keep, with attributes and identity rules
* [Relationship types](relationships.md): how things hang together, and which of it carries failure
* [Lifecycles](lifecycles.md): the states of things and records
* [GraphQL](graphql.md): error codes and limits (the schema itself is `graphql/schema.graphql`)
* [Command line](command-line.md): commands, options, exit statuses
* [Settings](settings.md): the environment variables
"""


def _classes(catalogue: Catalogue) -> str:
    by_layer: dict[str, list[ItemClass]] = defaultdict(list)
    for item_class in catalogue.classes.values():
        by_layer[item_class.layer].append(item_class)
    parts = [
        f"# Classes\n\n{len(catalogue.classes)} built-in classes, by layer. Besides its attributes every item "
        "has `id`, `name`, `class`, `lifecycle`, `version`, `created_at` and `updated_at`. A class has what its "
        "parent has; the tables show what it adds. To add your own: "
        "[the catalogue guide](../guides/catalogue.md)."
    ]
    for layer, classes in sorted(by_layer.items()):
        parts.append(f"## {layer}")
        parts.extend(_class_section(item_class) for item_class in sorted(classes, key=lambda c: c.name))
    return "\n\n".join(parts)


def _class_section(item_class: ItemClass) -> str:
    kind = "abstract, " if item_class.abstract else ""
    chain = " < ".join(f"[{name}](#{name.lower()})" for name in item_class.chain[1:])
    life = item_class.lifecycle.name
    lines = [
        f"### {item_class.name}\n",
        item_class.description,
        f"\n{kind}{f'extends {chain}' if chain else 'the root'}; lifecycle [{life}](lifecycles.md#{life}); "
        f"in GraphQL a list is `{camel(item_class.plural)}`.",
    ]
    own = [a for a in item_class.attributes.values() if a.declared_by == item_class.name]
    if own:
        lines.append("\n" + _table(("attribute", "type", "facts", "meaning"), map(_attribute_row, own)))
    if item_class.identity_rules:
        rules = "; ".join(map(_rule, item_class.identity_rules))
        lines.append(f"\nRecognised by, strongest first: {rules}.")
    default = item_class.reliability
    if default is not None and default.declared_by == item_class.name:
        lines.append(f"\n{_reliability(default)}")
    return "\n".join(lines)


def _reliability(default: ClassDefault) -> str:
    """What is assumed of a class, in words."""
    share = f"down {100 * default.unavailability:.2g} % of the time"
    if default.mtbf is None or default.mttr is None:
        return f"Assumed of each by itself: {share}."
    days, hours = default.mtbf / 86_400, default.mttr / 3_600
    restored = f"{hours:,.3g} h" if hours >= 1 else f"{60 * hours:.3g} min"
    return f"Assumed of each by itself: MTBF {days:,.6g} days, MTTR {restored}; {share}."


def _rule(rule: IdentityRule) -> str:
    attributes = ", ".join(f"`{attribute}`" for attribute in rule.attributes)
    return f"{attributes} inside one target of `{rule.within}`" if rule.within else attributes


def _attribute_row(attribute: Attribute) -> tuple[str, str, str, str]:
    entry = attribute.entry
    kind = f"list of {entry.type}" if entry.list else entry.type
    if entry.values:
        kind += ": " + ", ".join(entry.values)
    words = ("required", "recommended", "unique", "indexed", "searched", "secret")
    facts = [word for word in words if getattr(entry, word)]
    if entry.default is not None:
        facts.append(f"default `{entry.default}`")
    if entry.computed:
        facts.append(f"computed `{entry.computed}`")
    meaning = entry.description + (f" In {entry.unit}." if entry.unit else "")
    return f"`{attribute.name}`", kind, ", ".join(facts), meaning


def _relationships(catalogue: Catalogue) -> str:
    rows = (_relationship_row(relationship) for _, relationship in sorted(catalogue.relationships.items()))
    return (
        "# Relationship types\n\nAn edge runs from the dependent to what it depends on. *Failure* says how the "
        "failure of the target reaches the source: **hard** takes it down, **soft** degrades it, – does not touch "
        "it. A class named under *from* and *to* stands for its subclasses too.\n\n"
        + _table(("type", "from", "to", "failure", "how many", "on the target", "meaning"), rows)
    )


def _relationship_row(relationship: RelationshipType) -> tuple[str, ...]:
    failure = "–" if relationship.dependency == "none" else f"**{relationship.dependency}**"
    return (
        f"`{relationship.name}`",
        ", ".join(relationship.source),
        ", ".join(relationship.target),
        failure,
        relationship.cardinality,
        f"`{relationship.inverse}`",
        relationship.description,
    )


def _lifecycles(catalogue: Catalogue) -> str:
    parts = [
        "# Lifecycles\n\nThe states an item may be in and where each may lead. Any other transition is refused, "
        "with the allowed ones in the answer."
    ]
    for name, lifecycle in sorted(catalogue.lifecycles.items()):
        users = sorted(
            c.name for c in catalogue.classes.values() if c.lifecycle.name == name and not c.abstract
        )
        rows = (
            (
                f"`{state}`",
                lifecycle.titles[state].get("en", state),
                ", ".join(f"`{s}`" for s in targets),
                _state_facts(state, lifecycle.starts, lifecycle.closed),
            )
            for state, targets in lifecycle.transitions.items()
        )
        parts.append(
            f"## {name}\n\nStarts in `{lifecycle.initial}`. Used by {', '.join(users) or 'no built-in class'}.\n\n"
            + _table(("state", "title", "leads to", ""), rows)
        )
    return "\n\n".join(parts)


def _state_facts(state: str, starts: frozenset[str], closed: frozenset[str]) -> str:
    words = (("may be the first", starts), ("closed", closed))
    return ", ".join(word for word, states in words if state in states)


def _graphql() -> str:
    limits = cmdb_graphql.limits
    transport = cmdb_graphql.transport_settings
    table = next(
        p for p in inspect.cleandoc(str(cmdb_graphql.errors.__doc__)).split("\n\n") if p.startswith("| code")
    )
    sections = (
        ("Limits of a document", "Counted before validation, over the expanded operation.", limits, "Limits"),
        ("Limits of HTTP", "Sizes in bytes, times in seconds.", transport, "TransportSettings"),
        ("Limits of a WebSocket", "Sizes in bytes, times in seconds.", transport, "SocketLimits"),
    )
    return "\n\n".join(
        [
            "# GraphQL: error codes and limits\n\nThe schema of the built-in catalogue is "
            "`graphql/schema.graphql`. Every answer has the revision it is true of in `extensions.revision`, and "
            "its cost in `extensions.cost`.",
            "## Error codes\n\nEvery error has `message` and `extensions.code`. Codes are added to, never "
            "renamed. The HTTP status holds for an operation that was refused as a whole.\n\n" + table,
            "Codes that a field raises beside the rest of the data:\n\n"
            + _table(("code", "when", "a repeat can help"), sorted(_error_rows(CmdbError))),
            *(
                f"## {title}\n\n{intro}\n\n"
                + _table(("limit", "default", "meaning"), _limit_rows(module, name))
                for title, intro, module, name in sections
            ),
        ]
    )


def _error_rows(base: type[CmdbError]) -> Iterator[tuple[str, str, str]]:
    for error in base.__subclasses__():
        if error.__module__ == cmdb.errors.__name__:
            first_sentence = inspect.cleandoc(str(error.__doc__)).replace("\n", " ")
            yield f"`{error.code}`", first_sentence, "yes" if error.retryable else ""
            yield from _error_rows(error)


def _limit_rows(module: ModuleType, class_name: str) -> Iterator[tuple[str, str, str]]:
    """Fields of a settings dataclass that are plain figures, with the docstring below each."""
    owner: Any = getattr(module, class_name)
    said = _field_docstrings(module, class_name)
    for field in dataclass_fields(owner):
        if isinstance(field.default, int | float):
            yield f"`{field.name}`", f"{field.default:,}", said.get(field.name, "")


def _field_docstrings(module: ModuleType, class_name: str) -> Mapping[str, str]:
    tree = ast.parse(inspect.getsource(module))
    (body,) = (n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == class_name)
    said: dict[str, str] = {}
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
        ):
            text = ast.literal_eval(below.value)
            said[field.target.id] = inspect.cleandoc(text).replace("\n", " ")
    return said


def _command_line() -> str:
    root = typer.main.get_command(app)
    statuses = ((str(int(status)), status.explained) for status in ExitStatus)
    return "\n\n".join(
        [
            "# Command line\n\n" + inspect.cleandoc(root.help or ""),
            "## Exit status\n\n" + _table(("status", "meaning"), statuses),
            "## Commands",
            *_command_sections(root, "cmdb"),
        ]
    )


def _command_sections(command: Any, path: str) -> Iterator[str]:  # noqa: ANN401 - Typer hides Click's classes
    if isinstance(command, TyperGroup):
        for name, child in command.commands.items():
            yield from _command_sections(child, f"{path} {name}")
        return
    arguments = " ".join(_usage(p) for p in command.params if isinstance(p, TyperArgument))
    section = f"### `{path}{' ' + arguments if arguments else ''}`\n\n{inspect.cleandoc(command.help or '')}"
    explained = [
        (f"`{_usage(p)}`", p.help or "") for p in command.params if isinstance(p, TyperArgument) and p.help
    ]
    options = [p for p in command.params if isinstance(p, TyperOption) and p.name != "help" and not p.hidden]
    rows = [*explained, *map(_option_row, options)]
    yield section + ("\n\n" + _table(("", "meaning"), rows) if rows else "")


def _usage(argument: TyperArgument) -> str:
    name = argument.metavar or (argument.name or "").upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _option_row(option: TyperOption) -> tuple[str, str]:
    flags = ", ".join((*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {option.metavar or (option.name or '').upper()}"
    shown = option.default if isinstance(option.default, str | int) and not option.is_flag else None
    default = f" Default: {getattr(shown, 'value', shown)}." if shown is not None else ""
    required = " Required." if option.required else ""
    return f"`{flags}{value}`", (option.help or "") + default + required


def _settings() -> str:
    client = (
        ("`CMDB_URL`", f"`{DEFAULT_URL}`", "Where the command line finds the service."),
        (
            "`CMDB_TOKEN`",
            "",
            "Its token. Without it: the file `admin-token` in `CMDB_DATA`, for a service on this host.",
        ),
        (
            "`CMDB_AT_LEAST`",
            "",
            "A revision that answers must have, such as that of a write at another service; it is waited for.",
        ),
    )
    prefix = Settings.model_config.get("env_prefix", "")
    service = (
        (f"`{prefix}{name.upper()}`", _default(field), field.description or "")
        for name, field in Settings.model_fields.items()
    )
    headings = ("variable", "default", "meaning")
    return (
        "# Settings\n\nEnvironment variables, read once at start.\n\n"
        f"## The service\n\n{_table(headings, service)}\n\n## The command line\n\n{_table(headings, client)}"
    )


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the user's data directory"
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return f"`{value}`" if value not in (None, "", ()) else ""


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cell: Callable[[str], str] = lambda text: text.replace("|", "\\|").replace("\n", " ")  # noqa: E731
    lines = [f"| {' | '.join(headings)} |", "|" + "---|" * len(headings)]
    lines += [f"| {' | '.join(map(cell, row))} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
