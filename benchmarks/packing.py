"""The made-up estate as the topology in arrays that the product runs on: seconds for ten million CIs."""

from __future__ import annotations

import numpy as np

from benchmarks.synthetic import EstateColumns, Numbers
from cmdb.model.catalogue import builtin_catalogue
from cmdb.model.columns import Bytes, Ids, Texts
from cmdb.model.packed_columns import Columns, Kind, Label
from cmdb.model.packed_topology import PackedTopology


def packed(estate: EstateColumns, revision: int = 1) -> PackedTopology:
    """The same as `benchmarks.synthetic.to_plain_topology` gives, in arrays and without overlay.

    CIs are numbered anew, for locality: `number_of` finds the one with an id of the estate.
    """
    return PackedTopology.of_columns(revision, packed_columns(estate))


def packed_columns(estate: EstateColumns) -> Columns:
    """Its base."""
    catalogue = builtin_catalogue()
    kinds = [
        Kind(name, catalogue.item_class(name).layer, catalogue.item_class(name).lifecycle.initial)
        for name in estate.class_names
    ]
    labels = [
        Label(kind, group, required, strength, confidence)
        for kind, strength, confidence, group, required in estate.labels
    ]
    return Columns.pack(
        _ids(estate),
        _texts(estate),
        estate.class_codes,
        kinds,
        estate.source,
        estate.target,
        estate.label,
        labels,
    )


def estate_numbers(topology: PackedTopology, estate: EstateColumns) -> Numbers:
    """int32: the estate's number of each CI of its topology."""
    numbers: Numbers = np.empty(len(estate), np.int32)
    numbers[topology.columns.ids.order] = _ids(estate).order
    return numbers


def _ids(estate: EstateColumns) -> Ids:
    return Ids.of_keys(np.ascontiguousarray(estate.ids).reshape(-1).view("S16"), uuids=True)


def _texts(estate: EstateColumns) -> Texts:
    """Names end where numpy fills them up with NUL, which none of them has inside."""
    width = estate.names.dtype.itemsize
    characters: Bytes = np.ascontiguousarray(estate.names).view(np.uint8).reshape(-1, width)
    there = characters != 0
    starts = np.zeros(len(estate) + 1, np.int64)
    np.cumsum(np.count_nonzero(there, axis=1), out=starts[1:])
    return Texts(characters[there], starts)
