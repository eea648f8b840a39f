"""Large answers in columns and lines: everything that a failure reaches, for machines.

Promises: every reached CI once, with the same eight fields in both forms: id, name, class, layer, lifecycle,
criticality, state, distance; what the answer is true of, its counts and what failed come first. No order is promised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from cmdb.model.columns import Int32s
from cmdb.model.packed_columns import Kind, kind_of
from impact.failure_kernels import Marks
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
    yield orjson.dumps({"impact": {**head_of(impact), **more}}) + b"\n"
    middles: dict[tuple[int, int], bytes] = {}
    tails = [b',"state":' + orjson.dumps(state.value) + b',"distance":' for state in STATES]
    topology = impact.topology
    for nodes, codes, distances, in_base in _pieces(impact):
        if in_base:
            columns = topology.columns
            ids = columns.ids.texts(nodes).tolist()
            names = list(columns.names.take(nodes))
            kinds = columns.kind[nodes].tolist()
            table: Any = columns.kinds
        else:
            items = [topology.item(number) for number in nodes.tolist()]
            ids = [orjson.dumps(item.id)[1:-1] for item in items]
            names = [item.name for item in items]
            table = [kind_of(item) for item in items]
            kinds = list(range(len(items)))
            middles.clear()
        lines = []
        for item_id, name, kind, code, distance in zip(
            ids, names, kinds, codes.tolist(), distances.tolist(), strict=True
        ):
            middle = middles.get((kind, code))
            if middle is None:
                middle = middles[kind, code] = _kind_text(table[kind]) + tails[code]
            lines.append(b'{"id":"%b","name":%b%b%d}\n' % (item_id, orjson.dumps(name), middle, distance))
        if not in_base:
            middles.clear()
        yield b"".join(lines)


def _kind_text(kind: Kind) -> bytes:
    values = (kind.class_name, kind.layer, kind.lifecycle, kind.criticality)
    return b"," + orjson.dumps(dict(zip(FIELDS, values, strict=True)))[1:-1]


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


def _batch(
    impact: Impact, schema: pa.Schema, nodes: Int32s, codes: Marks, distances: Int32s, in_base: bool
) -> pa.RecordBatch:
    topology = impact.topology
    if in_base:
        columns = topology.columns
        texts = columns.ids.texts(nodes)
        if columns.ids.uuids:
            starts = np.arange(len(nodes) + 1, dtype=np.int32) * 36
            ids = pa.StringArray.from_buffers(len(nodes), pa.py_buffer(starts), pa.py_buffer(texts.tobytes()))
        else:
            ids = pa.array([text.decode() for text in texts.tolist()], pa.string())
        taken = columns.names.take(nodes)
        starts = taken.starts.astype(np.int32)
        names = pa.StringArray.from_buffers(
            len(nodes), pa.py_buffer(starts), pa.py_buffer(taken.blob.tobytes())
        )
        kinds, places = columns.kinds, columns.kind[nodes].astype(np.int32)
    else:
        items = [topology.item(number) for number in nodes.tolist()]
        ids, names = (
            pa.array([i.id for i in items], pa.string()),
            pa.array([i.name for i in items], pa.string()),
        )
        kinds, places = tuple(kind_of(item) for item in items), np.arange(len(items), dtype=np.int32)
    facts = [_words([kind[field] for kind in kinds], places) for field in range(len(FIELDS))]
    states = _words([state.value for state in STATES], codes.astype(np.int32))
    return pa.RecordBatch.from_arrays([ids, names, *facts, states, pa.array(distances)], schema=schema)


def _words(table: list[str | None], places: Int32s) -> pa.DictionaryArray:
    """Each row's word of a table; a word that is None is null in its rows."""
    known: dict[str, int] = {}
    codes = np.array([-1 if word is None else known.setdefault(word, len(known)) for word in table], np.int32)
    rows = codes[places]
    return pa.DictionaryArray.from_arrays(pa.array(rows, mask=rows < 0), pa.array(list(known), pa.string()))
