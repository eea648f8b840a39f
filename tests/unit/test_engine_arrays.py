"""The engine's arrays kept in a snapshot file: taken back they answer alike; those of another form are not taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmdb.model.packed_topology import PackedTopology
from cmdb.store.snapshot import Snapshot, read_snapshot, write_snapshot
from impact import engine as engines
from impact.engine import Engine
from impact.failure_graph import Base
from tests.topologies import DUAL_POWER

PLAIN = DUAL_POWER.topology


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    """Written by a process whose engine has followed a topology, read by the next."""
    packed = PackedTopology.build(1, PLAIN.items.values(), PLAIN.edges())
    write_snapshot(tmp_path / "snapshot", Snapshot(packed, "l", "c", Engine().derived(packed)))
    found = read_snapshot(tmp_path / "snapshot")
    assert found is not None
    return found


def made(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is made anew from now on."""
    seen: list[object] = []

    class Counted(Base):
        @classmethod
        def of(cls, *arguments: object) -> Base:
            seen.append(arguments)
            return Base.of(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(engines, "Base", Counted)
    return seen


def test_arrays_from_the_file_answer_as_those_made_anew(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = made(monkeypatch)
    engine = Engine()
    engine.restore(snapshot.topology, snapshot.derived)
    engine.follow(snapshot.topology)
    for item in PLAIN.items:
        answer, other = (e.simulate_failure(snapshot.topology, [item]) for e in (engine, Engine()))
        assert dict(answer.states) == dict(other.states)
    assert len(anew) == len(PLAIN.items), "only the engines without the file made any"


def test_arrays_that_are_not_there_or_do_not_fit_are_made_anew(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    anew = made(monkeypatch)
    some = dict(list(snapshot.derived.items())[1:])
    longer = {name: np.concatenate([array, array]) for name, array in snapshot.derived.items()}
    for count, arrays in enumerate(({}, some, longer), 1):
        engine = Engine()
        engine.restore(snapshot.topology, arrays)
        engine.follow(snapshot.topology)
        assert len(anew) == count
