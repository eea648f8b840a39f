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

from cmdb.model.columns import Bytes, Ids, Int32s, Texts
from cmdb.model.packed_columns import Kind, kind_of
from cmdb.model.packed_topology import PackedTopology
from impact.failure_kernels import Marks
from impact.json_lines import DIGITS, ESCAPED, write_lines
from impact.propagation import State
from impact.row_texts import take_ids, take_texts
from impact.simulation import STATES, Impact

FIELDS = ("class", "layer", "lifecycle", "criticality")
AT_ONCE = 20_000
"""Rows of one piece: some megabytes, some milliseconds."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


def head_of(impact: Impact) -> dict[str, Any]:
    """What the whole answer is about: `{revision, counts: {state: number}, failed: [id]}`."""
    counts = {state.value: impact.counts[state] for state in State if state is not State.UP}
    return {"revision": impact.revision, "counts": counts, "failed": list(impact.failed)}


def to_arrow(impact: Impact, more: Mapping[str, Any] = NOTHING) -> Iterator[memoryview]:
    """An Arrow IPC stream in pieces; the head, with `more` keys, is JSON in the schema's metadata under `impact`."""
    schema = _SCHEMA.with_metadata({"impact": orjson.dumps({**head_of(impact), **more})})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for piece in _pieces(impact):
            writer.write_batch(_batch(impact, schema, *piece))
    # A stream is small beside the estate (some 100 bytes a row), and one buffer is not copied again.
    yield memoryview(sink.getvalue())


def to_json_lines(impact: Impact, more: Mapping[str, Any] = NOTHING) -> Iterator[memoryview]:
    """The head, with `more` keys, as one line, then a line for each CI, in pieces of many lines."""
    before = orjson.dumps({"impact": {**head_of(impact), **more}}) + b"\n"
    for nodes, codes, distances, in_base in _pieces(impact):
        rows = _rows(impact.topology, nodes, in_base)
        pairs = rows.places * len(STATES) + codes
        used = np.flatnonzero(np.bincount(pairs))
        middles = [_middle(rows.kinds[p // len(STATES)], STATES[p % len(STATES)]) for p in used.tolist()]
        middle_of = np.searchsorted(used, pairs).astype(np.int32)
        yield _lines(before, rows, middles, middle_of, distances)
        before = b""
    if before:
        yield memoryview(before)


def _lines(
    head: bytes, rows: _Rows, middles: Sequence[bytes], middle_of: Int32s, distances: Int32s
) -> memoryview:
    """The head, and a line for each row after it."""
    lengths = np.fromiter(map(len, middles), np.int64, len(middles))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    fixed = len(_BEFORE) + len(_BETWEEN) + len(_AFTER) + DIGITS
    room = ESCAPED * (rows.ids.size + len(rows.names.blob)) + int(lengths[middle_of].sum())
    lines = np.empty(len(head) + room + fixed * len(rows.ids), np.uint8)  # hardly any of it is touched
    lines[: len(head)] = np.frombuffer(head, np.uint8)
    texts = (rows.names.blob, rows.names.starts, _writable(b"".join(middles)), starts)
    used = write_lines(_BEFORE, rows.ids, _BETWEEN, *texts, middle_of, distances, _AFTER, lines[len(head) :])
    return lines[: len(head) + used].data


def _writable(text: bytes) -> Bytes:
    """As an array like all others: of what cannot be written to, kernels are compiled again."""
    return np.frombuffer(bytearray(text), np.uint8)


_BEFORE, _BETWEEN, _AFTER = map(_writable, (b'{"id":"', b'","name":"', b"}\n"))


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
    """Ids (UTF-8, filled up with zeros) and names of some CIs, and which of `kinds` each is of."""

    ids: Bytes
    names: Texts
    kinds: Sequence[Kind]
    places: Int32s


def _rows(topology: PackedTopology, nodes: Int32s, in_base: bool) -> _Rows:
    columns = topology.columns
    ids, names, kinds, rows = columns.ids, columns.names, columns.kinds, nodes
    places = columns.kind[nodes].astype(np.int32) if in_base else np.arange(len(nodes), dtype=np.int32)
    if not in_base:
        items = [topology.item(number) for number in nodes.tolist()]
        ids, names = Ids.of([item.id for item in items]), Texts.of([item.name for item in items])
        kinds, rows = tuple(kind_of(item) for item in items), places
    return _Rows(take_ids(ids, rows), take_texts(names, rows), kinds, places)


def _strings(starts: npt.NDArray[np.integer], text: Bytes) -> pa.StringArray:
    return pa.StringArray.from_buffers(
        len(starts) - 1, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(text)
    )


def _ids(ids: Bytes) -> pa.StringArray:
    """Without what fills them up. No id has a zero inside."""
    lengths = np.count_nonzero(ids, axis=1)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    text = ids.reshape(-1)
    return _strings(starts, text if starts[-1] == len(text) else text[text != 0])


def _batch(
    impact: Impact, schema: pa.Schema, nodes: Int32s, codes: Marks, distances: Int32s, in_base: bool
) -> pa.RecordBatch:
    texts, called, kinds, places = _rows(impact.topology, nodes, in_base)
    ids, names = _ids(texts), _strings(called.starts, called.blob)
    facts = [_words([kind[field] for kind in kinds], places) for field in range(len(FIELDS))]
    states = _words([state.value for state in STATES], codes.astype(np.int32))
    return pa.RecordBatch.from_arrays([ids, names, *facts, states, pa.array(distances)], schema=schema)


def _words(table: list[str | None], places: Int32s) -> pa.DictionaryArray:
    """Each row's word of a table; a word that is None is null in its rows."""
    known: dict[str, int] = {}
    codes = np.array([-1 if word is None else known.setdefault(word, len(known)) for word in table], np.int32)
    rows = codes[places]
    return pa.DictionaryArray.from_arrays(pa.array(rows, mask=rows < 0), pa.array(list(known), pa.string()))
