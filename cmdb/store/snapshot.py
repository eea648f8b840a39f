"""The topology in a local file, for a warm start: its columns, the revision they are true of, and what they rest on.

Promises: a file is complete or not there (written beside, flushed, renamed); one that is damaged, of another form, of
another catalogue or of another ledger is not used. Everything in it is in Neo4j too, so it may be deleted at any time.

Form: the magic, length and checksum of a JSON header, the header, then the arrays one after the other, each at a
multiple of 64 bytes. The header has their names, types and lengths, the tables, and a checksum of the arrays.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from cmdb.model.columns import Ids, Texts
from cmdb.model.packed_columns import Columns, Kind, Label
from cmdb.model.packed_topology import PackedTopology

MAGIC = b"CMDBTOP1"
_DERIVED = "derived:"
_ALIGN = 64
_AT_ONCE = 1 << 26


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A topology without overlay; the hash of its revision in the ledger; the digest of the catalogue it rests on."""

    topology: PackedTopology
    ledger: str
    catalogue: str
    derived: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    """What others have worked out from the columns and want back with them, by names of their own; one-dimensional."""


def write_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Replace the file by this snapshot. Raises `OSError` where that is not possible."""
    derived = {_DERIVED + name: array for name, array in snapshot.derived.items()}
    arrays = _arrays(snapshot.topology.columns) | derived
    columns = snapshot.topology.columns
    checksum = 0
    for array in arrays.values():
        checksum = _crc(array, checksum)
    header = orjson.dumps(
        {
            "revision": snapshot.topology.revision,
            "ledger": snapshot.ledger,
            "catalogue": snapshot.catalogue,
            "uuids": columns.ids.uuids,
            "kinds": [tuple(kind) for kind in columns.kinds],
            "labels": [tuple(label) for label in columns.labels],
            "arrays": [[name, array.dtype.str, len(array)] for name, array in arrays.items()],
            "crc32": checksum,
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(MAGIC + len(header).to_bytes(8, "little"))
        file.write(zlib.crc32(header).to_bytes(4, "little") + header)
        for array in arrays.values():
            file.write(bytes(-file.tell() % _ALIGN))
            file.write(_bytes(array))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_snapshot(path: Path) -> Snapshot | None:
    """The snapshot in the file; None if there is none that can be used."""
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return None
            length, sum_of_header = (int.from_bytes(file.read(size), "little") for size in (8, 4))
            if length > path.stat().st_size:
                return None
            text = file.read(length)
            if zlib.crc32(text) != sum_of_header:
                return None
            header = orjson.loads(text)
            arrays: dict[str, npt.NDArray[Any]] = {}
            checksum = 0
            for name, kind, size in header["arrays"]:
                file.seek(-file.tell() % _ALIGN, os.SEEK_CUR)
                array = np.fromfile(file, np.dtype(kind), size)
                if len(array) != size:
                    return None
                checksum = _crc(array, checksum)
                arrays[name] = array
            if checksum != header["crc32"]:
                return None
            return _restored(header, arrays)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _arrays(columns: Columns) -> dict[str, npt.NDArray[Any]]:
    return {
        "ids": columns.ids.keys,
        "order": columns.ids.order,
        "names": columns.names.blob,
        "name_starts": columns.names.starts,
        "kind": columns.kind,
        "out_start": columns.out_start,
        "target": columns.target,
        "label": columns.label,
        "in_start": columns.in_start,
        "in_edge": columns.in_edge,
    }


def _restored(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> Snapshot:
    columns = Columns(
        Ids(arrays["ids"], arrays["order"], header["uuids"]),
        Texts(arrays["names"], arrays["name_starts"]),
        arrays["kind"],
        tuple(Kind(*kind) for kind in header["kinds"]),
        arrays["out_start"],
        arrays["target"],
        arrays["label"],
        tuple(Label(*label) for label in header["labels"]),
        arrays["in_start"],
        arrays["in_edge"],
    )
    topology = PackedTopology.of_columns(header["revision"], columns)
    derived = {
        name.removeprefix(_DERIVED): array for name, array in arrays.items() if name.startswith(_DERIVED)
    }
    return Snapshot(topology, header["ledger"], header["catalogue"], derived)


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    return memoryview(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


def _crc(array: npt.NDArray[Any], before: int) -> int:
    data = _bytes(array)
    for start in range(0, len(data), _AT_ONCE):  # in pieces, so that nobody waits for the interpreter
        before = zlib.crc32(data[start : start + _AT_ONCE], before)
    return before
