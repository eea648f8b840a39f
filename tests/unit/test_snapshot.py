"""The snapshot file: what is written comes back, and what is damaged does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmdb.model.packed_topology import PackedTopology
from cmdb.store.snapshot import Snapshot, read_snapshot, write_snapshot
from tests.topologies import DUAL_POWER, packed

TOPOLOGY = packed(DUAL_POWER.topology)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "topology.snapshot"
    write_snapshot(path, Snapshot(TOPOLOGY, "the ledger's hash", "the catalogue's digest"))
    return path


def test_a_topology_comes_back_as_it_was(file: Path) -> None:
    found = read_snapshot(file)
    assert found is not None
    assert (found.ledger, found.catalogue) == ("the ledger's hash", "the catalogue's digest")
    assert found.topology.revision == TOPOLOGY.revision
    assert dict(found.topology.items) == dict(TOPOLOGY.items)
    assert list(found.topology.edges()) == list(TOPOLOGY.edges())
    assert all(found.topology.number_of(item) is not None for item in TOPOLOGY.items)
    assert file.stat().st_mode & 0o077 == 0


def test_an_empty_topology_is_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    write_snapshot(path, Snapshot(PackedTopology.build(0, [], []), "", ""))
    found = read_snapshot(path)
    assert found is not None
    assert (len(found.topology.items), found.topology.edge_count) == (0, 0)


def test_no_byte_can_change_or_be_missing_unnoticed(file: Path) -> None:
    """Only bytes between the arrays mean nothing; with those changed, the same comes back."""
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        found = read_snapshot(file)
        if found is not None:
            assert found.ledger == "the ledger's hash"
            assert list(found.topology.edges()) == list(TOPOLOGY.edges())
    for length in range(0, len(whole) - 1, 11):
        file.write_bytes(whole[:length])
        assert read_snapshot(file) is None
    file.unlink()
    assert read_snapshot(file) is None


def test_a_crash_in_the_middle_leaves_the_former_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("cmdb.store.snapshot.os.fsync", fails)
    with pytest.raises(OSError, match="disk full"):
        write_snapshot(file, Snapshot(PackedTopology.build(9, [], []), "", ""))
    found = read_snapshot(file)
    assert found is not None
    assert found.topology.revision == TOPOLOGY.revision
