"""A made-up estate in columns, from ten thousand to ten million CIs: what the impact engine and its peers are asked on.

    python -m benchmarks.synthetic 1000000        its figures

Promises: the same columns for the same size and seed; every edge legal by the built-in catalogue and distinct in (type,
source, target, group); every group with more members than it needs. CIs are numbered in an order that tells nothing,
and their ids are in yet another. The columns are numpy's and know nothing of the product.

How it is made. Eight layers from business services down to facilities, of the classes and shares of `CLASSES`. What a
CI needs comes in bundles (`BUNDLES`): one edge, or, for half of them, a group of two to four alternatives (1 of 2,
2 of 3, 1 of 3, 50 % of 4). Classes lie side by side like maps of one organisation: most bundles point to the place
below the dependent, give or take a few, and the members of a group are neighbours; the others go anywhere, to number
floor(N u^skew) of N for a uniform u, so that popularity has a heavy tail: the first takes N^(-1/skew) of them. So what
lies deep in the network or the facilities is reached by almost everything, and so are the directory services. Some
applications depend on each other in rings of two to five; the directory services depend on applications that depend
on them.

Measured (seed 1); "p50 / p99" over 300 CIs, the CI itself counted:

                                                 10,000 CIs          1,000,000 CIs
    edges a CI; of gates with redundancy         3.9; 49 %           3.9; 49 %
    business services                            20                  2,000
    CIs a business service depends on            2,651 / 3,143       25,399 / 31,971
    CIs depending on a virtual machine           22 / 2,939          21 / 178
    CIs depending on a host                      81 / 3,111          73 / 1,452
    CIs depending on the worst hub               9,868               873,281
    gates with redundancy left to a service      4 to 57             3 to 109

(At 10,000 CIs one in a hundred machines serves a directory service, and so everything; at a million hardly any.)
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from benchmarks.synthetic_shape import (
    BUNDLES,
    CLASSES,
    CONFIDENCES,
    LEAST,
    NO_FAILURE,
    PARTNERSHIPS,
    REDUNDANCY,
    REST,
    SOFT_TYPES,
    Bundle,
    Label,
    Required,
    Strength,
)
from cmdb.model.catalogue import builtin_catalogue
from cmdb.model.topology import Topology, TopologyEdge, TopologyItem

Numbers: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class EstateColumns:
    """The estate of `n` CIs and `m` edges; a CI is its number, 0 to n - 1.

    `ids`: uint8[n, 16], UUIDs of version 7. `names`: bytes[n], distinct. `class_codes`: uint16[n] into `class_names`.
    `source` (the dependent), `target` (its dependency): int32[m]; `label`: uint16[m] into `labels`. `unavailability`:
    float64[n], the probability of a CI to be down by itself, 1e-5 to 1e-3.
    """

    seed: int
    ids: npt.NDArray[np.uint8]
    names: npt.NDArray[np.bytes_]
    class_codes: npt.NDArray[np.uint16]
    class_names: tuple[str, ...]
    source: Numbers
    target: Numbers
    label: npt.NDArray[np.uint16]
    labels: tuple[Label, ...]
    unavailability: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.class_codes)

    @property
    def carrying(self) -> npt.NDArray[np.bool_]:
        """bool[m]: which edges carry failure, hard or soft."""
        return np.array([strength is not None for _, strength, *_ in self.labels])[self.label]

    def of_class(self, *names: str) -> Numbers:
        """The numbers of the CIs of exactly these classes, ascending."""
        codes = [self.class_names.index(name) for name in names]
        return np.flatnonzero(np.isin(self.class_codes, codes)).astype(np.int32)

    def id_texts(self, numbers: Numbers | None = None) -> npt.NDArray[np.bytes_]:
        """The ids of these CIs (None: of all) as bytes[., 36], in hexadecimal with dashes."""
        ids = self.ids if numbers is None else self.ids[numbers]
        digits = np.frombuffer(b"0123456789abcdef", np.uint8)
        text = np.full((len(ids), 36), ord("-"), np.uint8)
        places = [place for place in range(36) if place not in (8, 13, 18, 23)]
        text[:, places[0::2]] = digits[ids >> 4]
        text[:, places[1::2]] = digits[ids & 15]
        return text.view("S36")[:, 0]


_NEAREST_ONWARD: Final = 6
"""Beyond the largest ring, so that a ring's edge is never drawn a second time."""
_EPOCH_MS: Final = 1_700_000_000_000
_THREE_YEARS_MS: Final = 3 * 365 * 86_400_000


def make_estate(size: int, seed: int = 1) -> EstateColumns:
    """The estate of `size` CIs (1,000 to 20,000,000) for a seed; raises ValueError for another size.

    Takes some 70 bytes a CI and 12 an edge when done, about twice that meanwhile.
    """
    if not 1_000 <= size <= 20_000_000:
        raise ValueError(f"an estate of {size} CIs cannot be made; 1,000 to 20,000,000 can")
    rng = np.random.default_rng([seed, size])
    counts = class_counts(size)
    starts = dict(zip(counts, np.cumsum([0, *counts.values()]).tolist(), strict=False))
    number = rng.permutation(size).astype(np.int32)
    labels: dict[Label, int] = {}
    drawn = [*_drawn_bundles(counts, labels, rng), _rings(counts["Application"], labels, rng)]
    source = np.concatenate([number[starts[edges.source] + edges.sources] for edges in drawn])
    target = np.concatenate([number[starts[edges.target] + edges.targets] for edges in drawn])
    label = np.concatenate([edges.labels for edges in drawn])
    del drawn
    codes = np.empty(size, np.uint16)
    codes[number] = np.repeat(np.arange(len(counts), dtype=np.uint16), list(counts.values()))
    return EstateColumns(
        seed=seed,
        ids=_ids(size, rng),
        names=_names(counts, number),
        class_codes=codes,
        class_names=tuple(counts),
        source=source,
        target=target,
        label=label,
        labels=tuple(labels),
        unavailability=_unavailability(codes, rng),
    )


def class_counts(size: int) -> dict[str, int]:
    """How many CIs of each class an estate of that size has, in the order of `CLASSES`."""
    counts = {c.name: max(LEAST, round(c.share * size)) for c in CLASSES}
    counts[REST] += size - sum(counts.values())
    return counts


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Edges between two classes, their ends counted within the class."""

    source: str
    target: str
    sources: Numbers
    targets: Numbers
    labels: npt.NDArray[np.uint16]


def _drawn_bundles(
    counts: dict[str, int], labels: dict[Label, int], rng: np.random.Generator
) -> Iterator[_Drawn]:
    groups = dict.fromkeys(counts, 0)
    for bundle in BUNDLES:
        single = np.empty(0, np.int64)  # pairs of ends that an earlier slot has joined without a group
        for _ in range(bundle.slots):
            codes = _label_codes(bundle, f"g{groups[bundle.source]}", labels)
            groups[bundle.source] += bundle.redundant > 0
            sources, targets, kinds, confidences = _draw(bundle, counts, rng)
            if bundle.slots > 1:
                pairs = sources.astype(np.int64) * counts[bundle.target] + targets
                alone = kinds < _GROUPS_FROM
                fresh = ~(alone & np.isin(pairs, single))
                single = np.concatenate([single, pairs[alone]])
                sources, targets = sources[fresh], targets[fresh]
                kinds, confidences = kinds[fresh], confidences[fresh]
            yield _Drawn(bundle.source, bundle.target, sources, targets, codes[kinds, confidences])


_GROUPS_FROM: Final = 2
_MEMBERS: Final = np.array([1, 1, *(members for members, _, _ in REDUNDANCY)])
"""Members by kind of bundle: a hard edge, a soft edge, then the groups."""


def _label_codes(bundle: Bundle, group: str, labels: dict[Label, int]) -> npt.NDArray[np.uint16]:
    """uint16[kinds, confidences]: the codes of all labels that this bundle may have; new ones are entered."""
    usual: Strength | None = "soft" if bundle.type in SOFT_TYPES else "hard"
    if bundle.type in NO_FAILURE:
        usual = None
    kinds: list[tuple[Strength | None, str | None, Required | None]] = [(usual, None, None)]
    kinds.append(("soft" if bundle.soft else usual, None, None))
    kinds += [(usual, group, required) if bundle.redundant else kinds[0] for _, required, _ in REDUNDANCY]
    return np.array(
        [
            [
                labels.setdefault((bundle.type, strength, confidence, name, required), len(labels))
                for confidence, _ in CONFIDENCES
            ]
            for strength, name, required in kinds
        ],
        np.uint16,
    )


def _draw(
    bundle: Bundle, counts: dict[str, int], rng: np.random.Generator
) -> tuple[Numbers, Numbers, npt.NDArray[np.int8], npt.NDArray[np.int8]]:
    """(source, target, kind, confidence) of each edge of one slot of a bundle."""
    there, candidates = counts[bundle.source], bundle.first or counts[bundle.target]
    dependents = np.flatnonzero(rng.random(there, np.float32) < bundle.chance).astype(np.int32)
    places = _targets(bundle, dependents, there, candidates, rng)
    if bundle.onward:
        dependents, places = dependents[places < candidates], places[places < candidates]
    shares = [
        (1 - bundle.redundant) * (1 - bundle.soft),
        (1 - bundle.redundant) * bundle.soft,
        *(bundle.redundant * share for _, _, share in REDUNDANCY),
    ]
    kinds = _chosen(shares, len(dependents), rng)
    confidences = _chosen([share for _, share in CONFIDENCES], len(dependents), rng)
    members = _MEMBERS[kinds]
    # The how-manieth member of its bundle each edge is: 0 0 1 0 0 1 2 ...
    first = np.cumsum(members) - members
    member = np.arange(members.sum()) - np.repeat(first, members)
    targets = (np.repeat(places, members) + member) % candidates
    return (
        np.repeat(dependents, members),
        targets.astype(np.int32),
        np.repeat(kinds, members),
        np.repeat(confidences, members),
    )


def _targets(
    bundle: Bundle, dependents: Numbers, there: int, candidates: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The first target of each dependent's bundle."""
    if bundle.onward:
        return dependents + rng.integers(
            _NEAREST_ONWARD, _NEAREST_ONWARD + bundle.spread + 1, len(dependents)
        )
    below = dependents.astype(np.int64) * candidates // there
    below += rng.integers(-bundle.spread, bundle.spread + 1, len(below))
    below %= candidates
    anywhere = rng.random(len(below), np.float32) < bundle.shared
    below[anywhere] = (candidates * rng.random(np.count_nonzero(anywhere)) ** bundle.skew).astype(np.int64)
    return below


def _chosen(shares: Sequence[float], size: int, rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """int8[size]: numbers of shares, each as often as its share says."""
    bounds = np.cumsum(shares)[:-1].astype(np.float32)
    return np.searchsorted(bounds, rng.random(size, np.float32), "right").astype(np.int8)


def _rings(applications: int, labels: dict[Label, int], rng: np.random.Generator) -> _Drawn:
    """Applications that depend on each other in a circle: two of them in half the rings, five at most."""
    codes = _label_codes(Bundle("Application", "DEPENDS_ON", "Application", redundant=0), "", labels)
    rings = int(applications * PARTNERSHIPS / 3)
    first = 6 * np.sort(rng.choice(applications // 6, rings, replace=False)).astype(np.int32)
    size = np.array([2, 3, 4, 5])[_chosen([0.5, 0.25, 0.15, 0.1], rings, rng)]
    member = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    base = np.repeat(first, size)
    following = (member + 1) % np.repeat(size, size)
    return _Drawn(
        "Application",
        "Application",
        (base + member).astype(np.int32),
        (base + following).astype(np.int32),
        np.full(len(base), codes[0, 0], np.uint16),
    )


def _ids(size: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """uint8[size, 16]: UUIDs of version 7 (RFC 9562, section 5.7), made in a random order within three years."""
    ids = rng.integers(0, 256, (size, 16), np.uint8)
    moments = (_EPOCH_MS + rng.integers(0, _THREE_YEARS_MS, size)).astype(">u8")
    ids[:, :6] = moments.view(np.uint8).reshape(size, 8)[:, 2:]
    ids[:, 6] = ids[:, 6] & 0x0F | 0x70
    ids[:, 8] = ids[:, 8] & 0x3F | 0x80
    return ids


def _names(counts: dict[str, int], number: Numbers) -> npt.NDArray[np.bytes_]:
    """bytes[size]: the class's prefix and a running number, such as vm-0001234."""
    digits = len(str(len(number)))
    width = max(len(c.prefix) for c in CLASSES) + 1 + digits
    text = np.zeros((len(number), width), np.uint8)
    start = 0
    for item_class in CLASSES:
        count = counts[item_class.name]
        rows = text[start : start + count]
        prefix = f"{item_class.prefix}-".encode()
        rows[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
        running = np.arange(count)
        for place in range(len(prefix) + digits - 1, len(prefix) - 1, -1):
            rows[:, place] = ord("0") + running % 10
            running //= 10
        start += count
    names = np.empty(len(number), f"S{width}")
    names[number] = text.view(f"S{width}")[:, 0]
    return names


def _unavailability(codes: npt.NDArray[np.uint16], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Within a factor of three of the class's figure, log-uniformly; 1e-5 to 1e-3."""
    usual = np.array([c.unavailability for c in CLASSES])[codes]
    return np.clip(usual * 3.0 ** rng.uniform(-1, 1, len(codes)), 1e-5, 1e-3)


def to_plain_topology(estate: EstateColumns, revision: int = 1) -> Topology:
    """The same as the product's plain `Topology`, for the oracle; some 2 kB a CI, so not for millions."""
    layers = [builtin_catalogue().item_class(name).layer for name in estate.class_names]
    ids = [text.decode() for text in estate.id_texts().tolist()]
    items = (
        TopologyItem(item_id, name.decode(), estate.class_names[code], layers[code], "live")
        for item_id, name, code in zip(ids, estate.names.tolist(), estate.class_codes.tolist(), strict=True)
    )
    edges = (
        TopologyEdge(kind, ids[source], ids[target], group, required, strength, confidence)
        for source, target, (kind, strength, confidence, group, required) in zip(
            estate.source.tolist(),
            estate.target.tolist(),
            (estate.labels[code] for code in estate.label.tolist()),
            strict=True,
        )
    )
    return Topology.build(revision, items, edges)


def main(arguments: Sequence[str]) -> None:
    """Print the figures of an estate: its size, and a seed if another than 1 is wanted."""
    from benchmarks.synthetic_figures import figures  # which needs this module

    begun = time.perf_counter()
    estate = make_estate(*(int(argument) for argument in arguments))
    shown = Table("made in", f"{time.perf_counter() - begun:.2f} s", box=None)
    for what, figure in figures(estate):
        shown.add_row(what, figure)
    Console().print(shown)


if __name__ == "__main__":
    main(sys.argv[1:])
