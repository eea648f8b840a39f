"""Print this machine's Observation as JSON; what could not be seen goes to stderr."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from discovery.agent.report import SOURCE, take_inventory


def main(arguments: list[str]) -> None:
    """The command line of `python -m discovery.agent`."""
    parser = argparse.ArgumentParser(prog="python -m discovery.agent", description=__doc__)
    parser.add_argument("--source", default=SOURCE, help="who reports (%(default)s)")
    parser.add_argument("--root", type=Path, default=Path("/"), help="the root of the file tree to read")
    options = parser.parse_args(arguments)
    inventory = take_inventory(options.root, source=options.source)
    for missing in inventory.unseen:
        print(f"not seen: {missing}", file=sys.stderr)
    json.dump(inventory.observation, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
