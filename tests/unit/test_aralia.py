"""The Aralia fault trees that take a moment; `make bench ONLY=aralia` does all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.aralia import DATA, Reference, analysed, disagreeing, references

SLOW = {
    "cea9601", "das9601", "das9701", "edf9203", "edf9204", "edfpa14b", "edfpa14o", "edfpa14p", "edfpa14q", "edfpa14r",
    "edfpa15b", "edfpa15o", "edfpa15p", "edfpa15q", "edfpa15r", "jbd9601",
}  # fmt: skip
with_data = pytest.mark.skipif(not DATA.exists(), reason=f"the Aralia fault trees are not at {DATA}")
QUICK = [r for r in references() if r.tree not in SLOW] if DATA.exists() else []


@with_data
@pytest.mark.parametrize("reference", QUICK, ids=lambda reference: reference.tree)
def test_probability_and_cut_sets_are_the_published_ones(reference: Reference) -> None:
    assert reference.agrees(analysed(reference.tree))


@with_data
@pytest.mark.parametrize("reference", QUICK, ids=lambda reference: reference.tree)
def test_importances_are_what_the_tree_does_with_an_event_that_happens_and_one_that_does_not(
    reference: Reference,
) -> None:
    assert disagreeing(analysed(reference.tree)) == 0


@with_data
def test_a_wrong_importance_is_noticed() -> None:
    analysis = analysed("chinese")
    wrong = replace(analysis.importances[0], rrw=analysis.importances[0].rrw * 1.001)
    assert disagreeing(replace(analysis, importances=(wrong, *analysis.importances[1:]))) == 1


@with_data
def test_every_tree_but_the_unsolved_one_has_a_reference() -> None:
    known = [reference.tree for reference in references()]
    assert len(known) == 42
    assert set(known) | {"nus9601"} == {file.stem for file in DATA.glob("*.xml")}
