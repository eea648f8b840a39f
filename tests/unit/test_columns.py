"""Ids and texts in columns, and the orders that packing rests on."""

from __future__ import annotations

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmdb.model.columns import Ids, Texts
from cmdb.model.packed_columns import _stably

alike = st.builds(lambda high, low: str(UUID(int=high << 64 | low)), st.integers(0, 3), st.integers(0, 9))
"""UUIDs of which many have the same first half."""
other = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(st.lists(alike, unique=True) | st.lists(other, unique=True) | st.lists(alike | other, unique=True))
def test_ids_come_out_as_they_went_in_and_are_found(ids: list[str]) -> None:
    column = Ids.of(ids)
    assert list(column) == ids
    assert [column.find(text) for text in ids] == list(range(len(ids)))
    assert [ids[number] for number in column.order] == sorted(ids, key=lambda text: text.encode())
    assert column.find("nobody's") is None


@given(st.lists(alike, unique=True) | st.lists(other, unique=True), st.randoms())
def test_ids_in_another_order_are_those_of_that_order(ids: list[str], chance: object) -> None:
    order = np.arange(len(ids), dtype=np.int32)
    chance.shuffle(order)  # type: ignore[attr-defined]
    place = np.empty_like(order)
    place[order] = np.arange(len(ids), dtype=np.int32)
    moved, made = Ids.of(ids).arranged(order, place), Ids.of([ids[number] for number in order])
    assert list(moved) == list(made)
    assert moved.order.tolist() == made.order.tolist()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_texts_come_out_as_they_went_in(texts: list[str]) -> None:
    assert list(Texts.of(texts)) == texts


def test_text_of_36_letters_is_no_uuid() -> None:
    ids = ["x" * 36, str(UUID(int=1))]
    assert list(Ids.of(ids)) == ids
    assert not Ids.of(ids).uuids


@given(st.lists(st.integers(0, 2**31 - 1)) | st.lists(st.integers(0, 3)))
def test_sorting_by_numbers_keeps_the_order_of_equals(numbers: list[int]) -> None:
    array = np.array(numbers, np.int32)
    assert _stably(array).tolist() == np.argsort(array, kind="stable").tolist()


@pytest.mark.parametrize("size", [0, 1])
def test_hardly_any_ids(size: int) -> None:
    ids = [str(UUID(int=7))][:size]
    assert list(Ids.of(ids)) == ids
