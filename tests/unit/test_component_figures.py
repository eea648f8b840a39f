"""The array of all figures is what the figures are one by one."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmdb.model.outages import OutageHistory
from cmdb.model.reliability import ClassDefault, Declared, component_figure
from impact.component_figures import unavailabilities

DEFAULTS = [None, ClassDefault("A", 0.25, 30.0, 10.0), ClassDefault("B", 0.001)]
shares = st.none() | st.sampled_from([-0.1, 0.0, 0.3, 1.0, 1.1])
times = st.none() | st.sampled_from([-5.0, 0.0, 1.0, 7.0, 1e9, math.inf])
components = st.tuples(
    st.integers(0, 2),
    st.none() | st.builds(Declared, shares, times, times),
    st.none() | st.builds(OutageHistory, st.sampled_from([0.0, 50.0]), st.just(1), st.just(20.0)),
)


def column(values: list[float | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


@given(st.lists(components, max_size=20))
def test_all_at_once_are_the_figures_one_by_one(
    listed: list[tuple[int, Declared | None, OutageHistory | None]],
) -> None:
    rows = [index for index, (_, declared, _) in enumerate(listed) if declared is not None]
    said = [declared for _, declared, _ in listed if declared is not None]
    found = unavailabilities(
        np.array([code for code, _, _ in listed], dtype=np.int32),
        DEFAULTS,
        np.array(rows, dtype=np.int64),
        column([d.availability for d in said]),
        column([d.mtbf for d in said]),
        column([d.mttr for d in said]),
        {index: history for index, (_, _, history) in enumerate(listed) if history is not None},
    )
    assert found.tolist() == [
        component_figure(declared or Declared(), history, DEFAULTS[code]).unavailability
        for code, declared, history in listed
    ]
