"""What benchmarks keep: rows of one theme replace only their own, and the README shows what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import figures, results
from benchmarks.registry import NAMES
from benchmarks.results import Conditions, Result, command, quantile


@pytest.fixture
def empty_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "LATEST", tmp_path / "latest.json")
    monkeypatch.setattr(results, "CONDITIONS", tmp_path / "conditions.json")


@pytest.mark.usefixtures("empty_results")
def test_a_theme_measured_again_replaces_its_own_rows_and_no_others() -> None:
    order = ("one", "two")
    results.keep([Result.below("two", "time, s", 3, 5)], Conditions.now("two"), order)
    results.keep([Result.below("one", "time, s", 9, 5)], Conditions.now("one"), order)
    results.keep([Result.below("two", "time, s", 4, 5)], Conditions.now("two"), order)
    kept = [(row.command, row.figure, row.met) for row in results.read_results()]
    assert kept == [(command("one"), 9, False), (command("two"), 4, True)]
    assert list(results.read_conditions()) == ["one", "two"]


def test_a_figure_is_judged_as_measured_and_kept_with_three_digits() -> None:
    missed = Result.below("one", "time, s", 5.0004, 5)
    assert (missed.figure, missed.met) == (5.0, False)
    assert Result.at_least("one", "rate", 12_345.6, 400).figure == 12_300


def test_quantiles_are_of_the_nearest_rank() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([7.0], 0.99)) == (50, 99, 7)


def test_the_readme_shows_the_results_kept() -> None:
    text = figures.README.read_text(encoding="utf-8")
    assert figures.section() in text, "run `make bench`, or python -m benchmarks.figures"


def test_every_result_kept_says_how_to_measure_it_again() -> None:
    assert {row.command for row in results.read_results()} <= {command(name) for name in NAMES}
