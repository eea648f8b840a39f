"""Component figures: which source decides, what senseless values do, how history is held against the class."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmdb.model.catalogue import builtin_catalogue
from cmdb.model.outages import OutageHistory
from cmdb.model.reliability import YEAR, ClassDefault, ComponentFigure, Declared, component_figure

HOUR = 3600.0
DEFAULT = ClassDefault("Server", 1 / 100, 99 * HOUR, HOUR)
SHARE = ClassDefault("Bucket", 0.001)
HISTORY = OutageHistory(300 * HOUR, 2, 7 * HOUR)

seconds = st.none() | st.floats(-1e6, 1e9) | st.sampled_from([0.0, -1.0, math.inf])
declarations = st.builds(
    Declared, st.none() | st.floats(-0.5, 1.5) | st.sampled_from([0.0, 1.0]), seconds, seconds
)
histories = st.none() | st.builds(
    lambda observed, share: OutageHistory(observed, 1, observed * share), st.floats(1, 1e9), st.floats(0, 1)
)
defaults = st.sampled_from([None, DEFAULT, SHARE])


@given(declarations, histories, defaults)
def test_a_figure_is_a_share_whatever_it_is_made_of(
    declared: Declared, history: OutageHistory | None, default: ClassDefault | None
) -> None:
    figure = component_figure(declared, history, default)
    assert 0.0 <= figure.unavailability <= 1.0
    assert set(figure.ignored) <= {"availability", "mtbf", "mttr"}


@pytest.mark.parametrize(
    ("declared", "history", "default", "basis", "unavailability"),
    [
        (Declared(0.9, 50 * HOUR, HOUR), HISTORY, DEFAULT, "declared_availability", 0.1),
        (Declared(None, 49 * HOUR, HOUR), HISTORY, DEFAULT, "declared_mtbf_mttr", 0.02),
        (Declared(), HISTORY, DEFAULT, "outage_history", (1 + 7) / (100 + 300)),
        (Declared(), None, DEFAULT, "class_default", 0.01),
        (Declared(), HISTORY, None, "assumed_perfect", 0.0),
        (Declared(), None, None, "assumed_perfect", 0.0),
    ],
)
def test_the_strongest_source_decides(
    declared: Declared,
    history: OutageHistory | None,
    default: ClassDefault | None,
    basis: str,
    unavailability: float,
) -> None:
    figure = component_figure(declared, history, default)
    assert figure.basis == basis
    assert figure.unavailability == pytest.approx(unavailability, rel=1e-12)


def test_bounds_are_values_like_any_other() -> None:
    assert component_figure(Declared(1.0), None, DEFAULT) == ComponentFigure(0.0, "declared_availability")
    assert component_figure(Declared(0.0), None, DEFAULT).unavailability == 1.0
    assert component_figure(Declared(None, HOUR, 0.0), None, DEFAULT).unavailability == 0.0


def test_what_is_missing_of_mtbf_and_mttr_comes_from_the_class_and_is_marked() -> None:
    slow = component_figure(Declared(mttr=33 * HOUR), HISTORY, DEFAULT)
    assert (slow.basis, slow.default_class) == ("declared_mtbf_mttr", "Server")
    assert slow.unavailability == pytest.approx(33 / (33 + 99))
    good = component_figure(Declared(mtbf=999 * HOUR), None, DEFAULT)
    assert good.unavailability == pytest.approx(1 / 1000)
    assert good.default_class == "Server"
    both = component_figure(Declared(mtbf=HOUR, mttr=HOUR), None, DEFAULT)
    assert both.default_class is None


def test_half_a_declaration_that_nothing_completes_says_nothing() -> None:
    assert component_figure(Declared(mtbf=HOUR), None, SHARE).basis == "class_default"
    assert component_figure(Declared(mttr=HOUR), None, None).basis == "assumed_perfect"


@pytest.mark.parametrize(
    ("declared", "ignored"),
    [
        (Declared(availability=1.0001), ("availability",)),
        (Declared(availability=-0.1), ("availability",)),
        (Declared(availability=math.nan), ("availability",)),
        (Declared(mtbf=0.0, mttr=-1.0), ("mtbf", "mttr")),
        (Declared(mtbf=math.inf, mttr=math.inf), ("mtbf", "mttr")),
    ],
)
def test_senseless_values_are_as_if_absent_and_named(declared: Declared, ignored: tuple[str, ...]) -> None:
    figure = component_figure(declared, None, DEFAULT)
    assert figure.ignored == ignored
    assert (figure.basis, figure.unavailability) == ("class_default", 0.01)


@given(st.floats(0, 1), st.floats(HOUR, 1000 * YEAR), st.sampled_from([DEFAULT, SHARE]))
def test_history_lies_between_the_default_and_what_was_seen_and_nearer_to_it_the_longer(
    share: float, observed: float, default: ClassDefault
) -> None:
    def figure(time: float) -> float:
        return component_figure(Declared(), OutageHistory(time, 1, share * time), default).unavailability

    short, long = figure(observed), figure(10 * observed)
    low, high = sorted((share, default.unavailability))
    assert low - 1e-12 <= short <= high + 1e-12
    assert abs(long - share) <= abs(short - share) + 1e-12


def test_a_default_without_mtbf_weighs_a_year() -> None:
    figure = component_figure(Declared(), OutageHistory(YEAR, 1, 0.003 * YEAR), SHARE)
    assert figure.unavailability == pytest.approx(0.002)


def test_physical_things_have_defaults_and_logical_ones_are_perfect() -> None:
    classes = builtin_catalogue().classes
    for name in (
        "Server",
        "Switch",
        "Ups",
        "Pdu",
        "CoolingUnit",
        "StorageArray",
        "DatabaseInstance",
        "Circuit",
    ):
        default = classes[name].reliability
        assert default is not None, name
        assert 1e-6 < default.unavailability < 0.02, name
    for name in (
        "BusinessService",
        "ApplicationService",
        "IpAddress",
        "Person",
        "Incident",
        "SoftwareProduct",
    ):
        assert classes[name].reliability is None, name
