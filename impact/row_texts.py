"""Ids and names of chosen rows out of the columns of an estate, by kernels: for answers of many thousand rows.

Each row lies anywhere in the columns, so those of some rows further on are fetched while one is copied.
"""

from __future__ import annotations

import numpy as np

from cmdb.model.columns import Bytes, Ids, Int32s, Int64s, Texts
from impact.kernel import kernel, prefetch

AHEAD = 8
"""Rows."""
UUID = 36
"""Characters of one."""
_DASH = 45
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def take_ids(ids: Ids, rows: Int32s) -> Bytes:
    """The ids of these rows as UTF-8, filled up with zeros to the longest: uint8[n, longest]."""
    if not ids.uuids:
        keys = np.ascontiguousarray(ids.keys[rows])
        return keys.view(np.uint8).reshape(len(rows), -1)
    texts = np.empty((len(rows), UUID), np.uint8)
    _write_uuids(_frozen(ids.keys.view(np.uint8)), rows, texts)
    return texts


def take_texts(texts: Texts, rows: Int32s) -> Texts:
    """The texts of these rows, in their order."""
    starts = np.zeros(len(rows) + 1, np.int64)
    blob = _frozen(texts.blob)
    _add_lengths(blob, texts.starts, rows, starts)
    taken = np.empty(starts[-1], np.uint8)
    _copy_texts(blob, texts.starts, rows, starts, taken)
    return Texts(taken, starts)


def _frozen(array: Bytes) -> Bytes:
    """One that cannot be written to: some columns are such, and for both a kernel would be compiled twice."""
    view = array.view()
    view.flags.writeable = False
    return view


@kernel
def _write_uuids(keys: Bytes, rows: Int32s, texts: Bytes) -> None:
    """`keys`: 16 bytes for each item."""
    for row in range(len(rows)):
        if row + AHEAD < len(rows):
            prefetch(keys, np.int64(rows[row + AHEAD]) * 16)
        key, text = keys[np.int64(rows[row]) * 16 :][:16], texts[row]
        at = 0
        for place in range(16):
            if place in (4, 6, 8, 10):
                text[at] = _DASH
                at += 1
            text[at] = _DIGITS[key[place] >> 4]
            text[at + 1] = _DIGITS[key[place] & 15]
            at += 2


@kernel
def _add_lengths(blob: Bytes, starts: Int64s, rows: Int32s, ends: Int64s) -> None:
    """Where each text is to end, one after the other; they themselves are on their way into the cache then."""
    at = 0
    for row in range(len(rows)):
        begin, end = starts[rows[row]], starts[rows[row] + 1]
        prefetch(blob, begin)
        at += end - begin
        ends[row + 1] = at


@kernel
def _copy_texts(blob: Bytes, starts: Int64s, rows: Int32s, places: Int64s, taken: Bytes) -> None:
    for row in range(len(rows)):
        begin, end = starts[rows[row]], starts[rows[row] + 1]
        text, room = blob[begin:end], taken[places[row] : places[row + 1]]
        for place in range(len(text)):
            room[place] = text[place]
