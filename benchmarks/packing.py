"""The made-up estate as the product has it: columns of `benchmarks.synthetic` packed into a topology."""

from __future__ import annotations

import numpy as np

from benchmarks.synthetic import EstateColumns
from cmdb.model.catalogue import builtin_catalogue
from cmdb.model.columns import Ids, Texts
from cmdb.model.packed_topology import Columns, Kind, Label, PackedTopology


def packed(estate: EstateColumns, revision: int = 1) -> PackedTopology:
    """The same as `to_plain_topology`, in arrays; seconds for a million CIs.

    CIs are numbered anew: `number_of(id_texts[ci])` is where a CI of the estate went.
    """
    catalogue = builtin_catalogue()
    kinds = [Kind(name, catalogue.item_class(name).layer, "live") for name in estate.class_names]
    labels = [
        Label(kind, group, required, strength, confidence)
        for kind, strength, confidence, group, required in estate.labels
    ]
    columns = Columns.pack(
        Ids.of_array(estate.id_texts()),
        Texts.of_bytes(estate.names.tolist()),
        estate.class_codes.astype(np.uint32),
        kinds,
        estate.source,
        estate.target,
        estate.label.astype(np.uint32),
        labels,
    )
    return PackedTopology.of_columns(revision, columns)
