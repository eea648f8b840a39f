"""Large answers in columns and lines: everything that a failure reaches, for machines.

Promises: every reached CI once, with the same eight fields in both forms: id, name, class, layer, lifecycle,
criticality, state, distance; what the answer is true of, its counts and what failed come first. No order is promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from cmdb.model.columns import Int32s, Texts
from cmdb.model.packed_columns import Kind, kind_of
from cmdb.model.packed_topology import PackedTopology
from impact.failure_kernels import Marks
from impact.json_lines import DIGITS, ESCAPED, write_lines
from impact.propagation import State
from impact.simulation import STATES, Impact

FIELDS = ("class", "layer", "lifecycle", "criticality")
AT_ONCE = 20_000
"""Rows of one piece: some megabytes, some milliseconds."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


def head_of(impact: Impact) -> dict[str, Any]:
    """What the whole answer is about: `{revision, counts: {state: number}, failed: [id]}`."""
    counts = {state.value: impact.counts[state] for state in State if state is not State.UP}
    return {"revision": impact.revision, "counts": counts, "failed": list(impact.failed)}


def to_arrow(impact: Impact, more: Mapping[str, Any] = NOTHING) -> Iterator[bytes]:
    """An Arrow IPC stream in pieces; the head, with `more` keys, is JSON in the schema's metadata under `impact`."""
    schema = _SCHEMA.with_metadata({"impact": orjson.dumps({**head_of(impact), **more})})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for piece in _pieces(impact):
            writer.write_batch(_batch(impact, schema, *piece))
    # A stream is small beside the estate (some 100 bytes a row), and one buffer is not copied again.
    yield sink.getvalue().to_pybytes()


def to_json_lines(impact: Impact, more: Mapping[str, Any] = NOTHING) -> Iterator[bytes]:
    """The head, with `more` keys, as one line, then a line for each CI, in pieces of many lines."""
    before = orjson.dumps({"impact": {**head_of(impact), **more}}) + b"\n"
    for nodes, codes, distances, in_base in _pieces(impact):
        rows = _rows(impact.topology, nodes, in_base)
        pairs = rows.places * len(STATES) + codes
        used = np.flatnonzero(np.bincount(pairs))
        middles = [_middle(rows.kinds[p // len(STATES)], STATES[p % len(STATES)]) for p in used.tolist()]
        yield before + _lines(rows, middles, np.searchsorted(used, pairs).astype(np.int32), distances)
        before = b""
    if before:
        yield before


def _lines(rows: _Rows, middles: Sequence[bytes], middle_of: Int32s, distances: Int32s) -> bytes:
    ids = np.ascontiguousarray(rows.ids).view(np.uint8).reshape(len(rows.ids), -1)
    lengths = np.fromiter(map(len, middles), np.int64, len(middles))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    fixed = len(_BEFORE) + len(_BETWEEN) + len(_AFTER) + DIGITS
    room = ESCAPED * (ids.size + len(rows.names.blob)) + int(lengths[middle_of].sum()) + fixed * len(ids)
    lines = np.empty(room, np.uint8)  # hardly any of it is touched
    # Of what cannot be written to, kernels are compiled again.
    names = np.require(rows.names.blob, requirements="W")
    texts = (names, rows.names.starts, np.frombuffer(bytearray(b"".join(middles)), np.uint8), starts)
    used = write_lines(_BEFORE, ids, _BETWEEN, *texts, middle_of, distances, _AFTER, lines)
    return lines[:used].tobytes()


_BEFORE, _BETWEEN, _AFTER = (
    np.frombuffer(bytearray(text), np.uint8) for text in (b'{"id":"', b'","name":"', b"}\n")
)


def _middle(kind: Kind, state: State) -> bytes:
    """What is between a name and a distance."""
    values = dict(zip(FIELDS, (kind.class_name, kind.layer, kind.lifecycle, kind.criticality), strict=True))
    return b'",' + orjson.dumps({**values, "state": state.value})[1:-1] + b',"distance":'


def _pieces(impact: Impact) -> Iterator[tuple[Int32s, Marks, Int32s, bool]]:
    """Nodes, states, distances, and whether all of them are as in the base of the topology."""
    distances = np.zeros(len(impact.nodes), np.int32)
    distances[impact.levels[1:]] = 1
    distances = np.cumsum(distances, dtype=np.int32)
    changed = np.fromiter(impact.topology.changed, np.int32)
    apart = np.isin(impact.nodes, changed) if len(changed) else np.zeros(len(impact.nodes), bool)
    for in_base in (True, False):
        places = np.flatnonzero(apart != in_base)
        for begin in range(0, len(places), AT_ONCE):
            piece = places[begin : begin + AT_ONCE]
            yield impact.nodes[piece], impact.codes[piece], distances[piece], in_base


_WORD = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("name", pa.string()),
        *(pa.field(name, _WORD) for name in (*FIELDS, "state")),
        pa.field("distance", pa.int32()),
    ]
)


class _Rows(NamedTuple):
    """Ids (`S<longest>`, UTF-8) and names of some CIs, and which of `kinds` each is of."""

    ids: npt.NDArray[np.bytes_]
    names: Texts
    kinds: Sequence[Kind]
    places: Int32s


def _rows(topology: PackedTopology, nodes: Int32s, in_base: bool) -> _Rows:
    if not in_base:
        items = [topology.item(number) for number in nodes.tolist()]
        return _Rows(
            np.array([item.id.encode() for item in items], np.bytes_),
            Texts.of([item.name for item in items]),
            [kind_of(item) for item in items],
            np.arange(len(items), dtype=np.int32),
        )
    columns = topology.columns
    ids, names = columns.ids.texts(nodes), columns.names.take(nodes)
    return _Rows(ids, names, columns.kinds, columns.kind[nodes].astype(np.int32))


def _strings(count: int, starts: npt.NDArray[np.integer], text: bytes) -> pa.StringArray:
    return pa.StringArray.from_buffers(count, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(text))


def _ids(ids: npt.NDArray[np.bytes_], uuids: bool) -> pa.StringArray:
    if uuids:
        return _strings(len(ids), np.arange(len(ids) + 1) * ids.itemsize, ids.tobytes())
    return pa.array([text.decode() for text in ids.tolist()], pa.string())


def _batch(
    impact: Impact, schema: pa.Schema, nodes: Int32s, codes: Marks, distances: Int32s, in_base: bool
) -> pa.RecordBatch:
    texts, called, kinds, places = _rows(impact.topology, nodes, in_base)
    ids = _ids(texts, in_base and impact.topology.columns.ids.uuids)
    names = _strings(len(nodes), called.starts, called.blob.tobytes())
    facts = [_words([kind[field] for kind in kinds], places) for field in range(len(FIELDS))]
    states = _words([state.value for state in STATES], codes.astype(np.int32))
    return pa.RecordBatch.from_arrays([ids, names, *facts, states, pa.array(distances)], schema=schema)


def _words(table: list[str | None], places: Int32s) -> pa.DictionaryArray:
    """Each row's word of a table; a word that is None is null in its rows."""
    known: dict[str, int] = {}
    codes = np.array([-1 if word is None else known.setdefault(word, len(known)) for word in table], np.int32)
    rows = codes[places]
    return pa.DictionaryArray.from_arrays(pa.array(rows, mask=rows < 0), pa.array(list(known), pa.string()))
