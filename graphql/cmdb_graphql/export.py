"""`python -m cmdb_graphql.export [--check]`: write graphql/schema.graphql for the built-in catalogue, or compare it.

Exit status 1: with `--check`, the file is not what the code says.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cmdb.model.catalogue import builtin_catalogue
from cmdb_graphql.schema import build_schema

FILE = Path(__file__).resolve().parents[1] / "schema.graphql"
HEADER = "# Written by `python -m cmdb_graphql.export` from the built-in catalogue; do not edit.\n\n"


def sdl() -> str:
    """The schema of the built-in catalogue in the schema definition language."""
    return HEADER + build_schema(builtin_catalogue()).as_str() + "\n"


def main(arguments: list[str]) -> int:
    """Write or check the file."""
    text = sdl()
    if "--check" not in arguments:
        FILE.write_text(text, encoding="utf-8")
        return 0
    if FILE.is_file() and FILE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{FILE.name} is not what the code says; run `python -m cmdb_graphql.export`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
