"""The component figures of a whole estate as one array: what `cmdb.model.reliability` says of each item, at once.

Promises: bit for bit the unavailability that `component_figure` gives. Does not tell what a figure rests on; ask that
function about the few items whose reasons are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from cmdb.model.outages import OutageHistory
from cmdb.model.reliability import ClassDefault, Declared, component_figure

Floats = npt.NDArray[np.float64]


def unavailabilities(
    class_of: npt.NDArray[np.int32],
    defaults: Sequence[ClassDefault | None],
    rows: npt.NDArray[np.int64],
    availability: Floats,
    mtbf_seconds: Floats,
    mttr_seconds: Floats,
    histories: Mapping[int, OutageHistory],
) -> Floats:
    """The unavailability of every item by itself, shape (items,), each 0 to 1.

    `class_of`: for each item a position in `defaults`. `rows`: the items that declare anything, each once; the three
    arrays after it say what, NaN for nothing. `histories`: by item.
    """
    nothing = np.nan
    assumed = np.array([d.unavailability if d else 0.0 for d in defaults], dtype=np.float64)
    class_mtbf = np.array([d.mtbf if d and d.mtbf is not None else nothing for d in defaults])
    class_mttr = np.array([d.mttr if d and d.mttr is not None else nothing for d in defaults])
    figures: Floats = assumed[class_of]
    for item, history in histories.items():
        figures[item] = component_figure(Declared(), history, defaults[class_of[item]]).unavailability

    codes = class_of[rows]
    mtbf = np.where((mtbf_seconds > 0.0) & np.isfinite(mtbf_seconds), mtbf_seconds, nothing)
    mttr = np.where((mttr_seconds >= 0.0) & np.isfinite(mttr_seconds), mttr_seconds, nothing)
    no_mtbf, no_mttr = np.isnan(mtbf), np.isnan(mttr)
    mtbf = np.where(no_mtbf & ~no_mttr, class_mtbf[codes], mtbf)
    mttr = np.where(no_mttr & ~no_mtbf, class_mttr[codes], mttr)
    timed = mttr / (mtbf + mttr)
    figures[rows] = np.where(np.isnan(timed), figures[rows], timed)
    told = (availability >= 0.0) & (availability <= 1.0)
    figures[rows[told]] = 1.0 - availability[told]
    return figures
