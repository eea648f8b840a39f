"""The made-up estate of the benchmarks: the same each time, legal, well-formed, and read alike by all peers."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict

import numpy as np
import pytest

from benchmarks.array_walk import ArrayWalk
from benchmarks.packing import packed
from benchmarks.synthetic import EstateColumns, class_counts, make_estate, to_plain_topology
from benchmarks.synthetic_figures import HardEdges, worst_hub
from benchmarks.synthetic_shape import CLASSES, LAYERS, Label
from cmdb.model.catalogue import builtin_catalogue
from cmdb.model.topology import members_needed
from impact.traversal import dependencies, dependents

SIZE = 2_000
COLUMNS = ("ids", "names", "class_codes", "source", "target", "label", "unavailability")


@pytest.fixture(scope="module")
def estate() -> EstateColumns:
    return make_estate(SIZE)


def test_the_same_size_and_seed_give_the_same_columns(estate: EstateColumns) -> None:
    again = make_estate(SIZE)
    assert all(np.array_equal(getattr(estate, name), getattr(again, name)) for name in COLUMNS)
    assert (estate.labels, estate.class_names) == (again.labels, again.class_names)


def test_another_seed_gives_other_columns(estate: EstateColumns) -> None:
    other = make_estate(SIZE, seed=2)
    assert not any(np.array_equal(getattr(estate, name), getattr(other, name)) for name in COLUMNS)


@pytest.mark.parametrize("size", [999, 20_000_001])
def test_a_size_that_makes_no_estate_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=str(size)):
        make_estate(size)


def test_the_columns_have_the_stated_types_and_lengths(estate: EstateColumns) -> None:
    edges = len(estate.source)
    found = {name: (getattr(estate, name).shape, getattr(estate, name).dtype.str[1:]) for name in COLUMNS}
    assert found == {
        "ids": ((SIZE, 16), "u1"),
        "names": ((SIZE,), "S10"),
        "class_codes": ((SIZE,), "u2"),
        "source": ((edges,), "i4"),
        "target": ((edges,), "i4"),
        "label": ((edges,), "u2"),
        "unavailability": ((SIZE,), "f8"),
    }
    assert 3.4 * SIZE < edges < 4.2 * SIZE
    assert 1e-5 <= estate.unavailability.min() <= estate.unavailability.max() <= 1e-3


def test_ids_are_distinct_uuids_of_version_7(estate: EstateColumns) -> None:
    texts = [text.decode() for text in estate.id_texts().tolist()]
    parsed = [uuid.UUID(text) for text in texts]
    assert [str(value) for value in parsed] == texts
    assert {(value.version, value.variant) for value in parsed} == {(7, uuid.RFC_4122)}
    assert [value.bytes for value in parsed] == [row.tobytes() for row in estate.ids]
    assert len(set(texts)) == SIZE


def test_names_are_distinct_and_say_the_class(estate: EstateColumns) -> None:
    prefixes = {c.name: c.prefix for c in CLASSES}
    names = [name.decode() for name in estate.names.tolist()]
    classes = [estate.class_names[code] for code in estate.class_codes]
    assert len(set(names)) == SIZE
    assert all(name.startswith(f"{prefixes[owner]}-") for name, owner in zip(names, classes, strict=True))


def test_neither_numbers_nor_ids_follow_the_layers(estate: EstateColumns) -> None:
    layers = np.array([c.layer for c in CLASSES])[estate.class_codes]
    by_id = np.argsort(estate.id_texts())
    for column in (np.arange(SIZE), by_id):
        assert abs(np.corrcoef(column, layers)[0, 1]) < 0.1
    assert abs(np.corrcoef(np.arange(SIZE), by_id)[0, 1]) < 0.1


def test_each_class_and_layer_has_its_share() -> None:
    size = 100_000
    counts = class_counts(size)
    found = Counter(make_estate(size).class_codes.tolist())
    assert [found[code] for code in range(len(CLASSES))] == list(counts.values())
    assert sum(counts.values()) == size
    for layer in range(len(LAYERS)):
        wanted = sum(c.share for c in CLASSES if c.layer == layer)
        assert sum(counts[c.name] for c in CLASSES if c.layer == layer) == pytest.approx(
            wanted * size, rel=0.01, abs=30
        )


def test_every_edge_is_legal_by_the_catalogue(estate: EstateColumns) -> None:
    catalogue = builtin_catalogue()
    kinds = {
        (estate.labels[label][:2], estate.class_names[source], estate.class_names[target])
        for label, source, target in zip(
            estate.label.tolist(),
            estate.class_codes[estate.source].tolist(),
            estate.class_codes[estate.target].tolist(),
            strict=True,
        )
    }
    for (kind, strength), source, target in kinds:
        relationship = catalogue.relationship(kind)
        assert catalogue.allows(relationship, source, target), (kind, source, target)
        usual = None if relationship.dependency == "none" else relationship.dependency
        assert strength == usual or (usual, strength) == ("hard", "soft"), (kind, strength)


def test_a_type_with_one_target_has_one(estate: EstateColumns) -> None:
    catalogue = builtin_catalogue()
    one = np.array([catalogue.relationship(kind).one_target for kind, *_ in estate.labels])[estate.label]
    kinds = [estate.labels[label][0] for label in estate.label[one].tolist()]
    seen = Counter(zip(estate.source[one].tolist(), kinds, strict=True))
    assert seen
    assert set(seen.values()) == {1}


def test_no_edge_is_there_twice_and_none_leads_to_itself(estate: EstateColumns) -> None:
    keys = [
        (source, target, estate.labels[label][0], estate.labels[label][3])
        for source, target, label in zip(
            estate.source.tolist(), estate.target.tolist(), estate.label.tolist(), strict=True
        )
    ]
    assert len(set(keys)) == len(keys)
    assert not np.any(estate.source == estate.target)


def test_every_group_agrees_with_itself_and_has_a_member_to_spare(estate: EstateColumns) -> None:
    groups = defaultdict(list)
    for source, target, label in zip(
        estate.source.tolist(), estate.target.tolist(), estate.label.tolist(), strict=True
    ):
        kind, strength, confidence, group, required = estate.labels[label]
        if group is None:
            assert required is None
        else:
            groups[source, group].append((target, (kind, strength, confidence, required)))
    forms: Counter[tuple[int | str | None, int]] = Counter()
    for edges in groups.values():
        members = {target for target, _ in edges}
        [(_, strength, _, required)] = {facts for _, facts in edges}
        assert strength == "hard"
        assert len(members) == len(edges)
        assert 1 <= members_needed(required, len(members)) < len(members)
        forms[required, len(members)] += 1
    assert set(forms) == {(1, 2), (2, 3), (1, 3), ("50%", 4)}
    assert {group for _, group in groups} <= {f"g{number}" for number in range(8)}


def test_about_half_of_the_gates_are_redundant(estate: EstateColumns) -> None:
    hard = [(s, estate.labels[c]) for s, c in zip(estate.source.tolist(), estate.label.tolist(), strict=True)]
    alone = sum(label[1] == "hard" and label[3] is None for _, label in hard)
    groups = len({(source, label[3]) for source, label in hard if label[3] is not None})
    assert 0.4 < groups / (groups + alone) < 0.6


def test_applications_depend_on_each_other_in_rings(estate: EstateColumns) -> None:
    applications = set(estate.of_class("Application").tolist())
    edges = {
        (source, target)
        for source, target in zip(estate.source.tolist(), estate.target.tolist(), strict=True)
        if source in applications and target in applications
    }
    assert any((target, source) in edges for source, target in edges)


def test_a_hub_is_reached_by_almost_everything_and_a_machine_by_few() -> None:
    size = 20_000
    estate = make_estate(size)
    up = ArrayWalk.build(estate)
    _, reached = worst_hub(estate, up, ArrayWalk.build_reversed(estate))
    machines = estate.of_class("VirtualMachine")[:200].tolist()
    assert reached > 0.8 * size
    assert np.median([len(up.dependents([machine]).reached) for machine in machines]) < 100


def test_the_plain_topology_has_the_same_items_and_edges(estate: EstateColumns) -> None:
    topology = to_plain_topology(estate)
    ids = [text.decode() for text in estate.id_texts().tolist()]
    assert {i.id: (i.name, i.class_name) for i in topology.items.values()} == {
        item_id: (name.decode(), estate.class_names[code])
        for item_id, name, code in zip(ids, estate.names.tolist(), estate.class_codes, strict=True)
    }
    assert Counter(
        (e.source, e.target, e.type, e.strength, e.confidence, e.group, e.required) for e in topology.edges()
    ) == Counter(
        (ids[source], ids[target], *estate.labels[label])
        for source, target, label in zip(
            estate.source.tolist(), estate.target.tolist(), estate.label.tolist(), strict=True
        )
    )


def test_the_array_walk_finds_what_the_plain_traversal_finds(estate: EstateColumns) -> None:
    topology = packed(estate)
    carrying = {kind for kind, strength, *_ in estate.labels if strength is not None}
    ids = [text.decode() for text in estate.id_texts().tolist()]
    up, down = ArrayWalk.build(estate), ArrayWalk.build_reversed(estate)
    for number in range(0, SIZE, 97):
        for walk, plain in ((up, dependents), (down, dependencies)):
            found = {ids[reached] for reached in walk.dependents([number]).reached}
            wanted = plain(topology, ids[number], types=carrying, limit=SIZE).distances
            assert found == {ids[number], *wanted}


def test_of_several_starts_the_array_walk_gives_the_union(estate: EstateColumns) -> None:
    up = ArrayWalk.build(estate)
    starts = estate.of_class("Server", "Interface")[:5].tolist()
    together = up.dependents(starts).reached
    assert together.tolist() == sorted(set().union(*(up.dependents([s]).reached.tolist() for s in starts)))


def test_gates_left_counts_redundant_gates_that_the_single_edges_do_not_meet() -> None:
    """Service 0 needs 1 alone, and 1 of {1, 2}, and 2 of {1, 2, 3}; 1 needs 1 of {2, 3}."""
    estate = _drawn(
        [(0, 1, None, None), (0, 1, "g0", 1), (0, 2, "g0", 1)]
        + [(0, member, "g1", 2) for member in (1, 2, 3)]
        + [(1, 2, "g0", 1), (1, 3, "g0", 1)]
    )
    assert HardEdges.build(estate).gates_left(0) == 2


def _drawn(edges: list[tuple[int, int, str | None, int | None]]) -> EstateColumns:
    facts: list[Label] = [
        ("DEPENDS_ON", "hard", "declared", group, required) for _, _, group, required in edges
    ]
    labels = tuple(dict.fromkeys(facts))
    size = 1 + max(max(source, target) for source, target, _, _ in edges)
    return EstateColumns(
        seed=0,
        ids=np.zeros((size, 16), np.uint8),
        names=np.zeros(size, "S1"),
        class_codes=np.zeros(size, np.uint16),
        class_names=("Application",),
        source=np.array([source for source, *_ in edges], np.int32),
        target=np.array([target for _, target, *_ in edges], np.int32),
        label=np.array([labels.index(label) for label in facts], np.uint16),
        labels=labels,
        unavailability=np.full(size, 1e-4),
    )


def test_the_estate_in_arrays_is_the_plain_one(estate: EstateColumns) -> None:
    plain, arrays = to_plain_topology(estate, 7), packed(estate, 7)
    assert arrays.revision == plain.revision
    assert dict(arrays.items) == dict(plain.items)
    assert set(arrays.edges()) == set(plain.edges())
    assert arrays.edge_count == plain.edge_count
    assert list(arrays.ids_from("")) == sorted(plain.items)
