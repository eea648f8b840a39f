"""The Aralia fault trees: 43 real trees with shared events, every figure compared with what is published.

A tree counts as exact when its probability has the published digits and its minimal cut sets are as many. nus9601 is
unsolved: nobody has published its figures, and it is left out. Three published rows are wrong, as two independent
engines found; `TRUE_FIGURES` has what they agree on. The time is that of everything: reading the file, the diagram, the
probability, all importances of all events, counting the cut sets.
"""

from __future__ import annotations

import csv
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Result
from impact.fault_tree_analysis import Analysis, analyse
from impact.mef import import_fault_tree

NAME = "aralia"
DATA = Path(__file__).parents[2] / "shared" / "data" / "aralia"
THREADS = 2
EVENTS = 20
UNSOLVED = "nus9601"
TRUE_FIGURES = {
    "jbd9601": (14_007, 7.55091e-01),
    "edf9206": (7_159_688_704, 8.61500e-12),
    "das9204": (16_704, 2.16942e-11),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """What is known of a tree: minimal cut sets (the largest are published with three digits), and the probability."""

    tree: str
    cut_sets: int
    probability: float

    def agrees(self, analysis: Analysis) -> bool:
        """Whether the figures are these, the probability to the six digits that are published."""
        same = math.isclose(analysis.probability, self.probability, rel_tol=5.1e-6)
        return same and analysis.cut_sets.total == self.cut_sets


def references() -> list[Reference]:
    """All trees whose figures are known, in the order of the published table."""
    with (DATA / "reference.tsv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["tree"] != UNSOLVED]
    published = {row["tree"]: (int(float(row["mcs"])), float(row["prob"])) for row in rows}
    return [Reference(tree, *figures) for tree, figures in (published | TRUE_FIGURES).items()]


def analysed(tree: str) -> Analysis:
    """Everything about one tree."""
    return analyse(import_fault_tree((DATA / f"{tree}.xml").read_bytes()))


def disagreeing(analysis: Analysis) -> int:
    """Of `EVENTS` events at most, spread over the tree, how many have an importance that is not what follows from the
    tree's probabilities when the event surely happens, and when it surely does not.
    """
    bdd, root, p = analysis.diagram.bdd, analysis.diagram.root, analysis.diagram.chances
    place = {event: variable for variable, event in enumerate(analysis.diagram.events)}
    top, wrong = analysis.probability, 0
    for importance in analysis.importances[:: max(1, -(-len(analysis.importances) // EVENTS))]:
        variable = place[importance.event]
        supposed = p.copy()
        supposed[variable] = 1.0
        with_event = bdd.probability(root, supposed)
        supposed[variable] = 0.0
        without = bdd.probability(root, supposed)
        own = float(p[variable])
        expected = (
            (importance.birnbaum, with_event - without),
            (importance.criticality, own * (with_event - without) / top),
            (importance.fussell_vesely, 1.0 - without / top),
            (importance.diagnostic, own * with_event / top),
            (importance.raw, with_event / top),
            (importance.rrw, top / without if without else math.inf),
        )
        # Differences of nearly the same probabilities have lost digits on either side.
        wrong += any(not math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in expected)
    return wrong


def run() -> list[Result]:
    """Each tree once, the largest first, on two threads; the smallest is done before, so that kernels are compiled.

    Then once more, not timed, to hold importances against the tree.
    """
    analysed("chinese")
    trees = sorted(references(), key=lambda tree: -(DATA / f"{tree.tree}.xml").stat().st_size)
    begun = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        exact = sum(pool.map(lambda reference: reference.agrees(analysed(reference.tree)), trees))
    seconds = time.perf_counter() - begun
    with ThreadPoolExecutor(THREADS) as pool:
        wrong = sum(pool.map(lambda reference: disagreeing(analysed(reference.tree)), trees))
    return [
        Result.exactly(NAME, "Aralia: trees exact (probability, cut-set count)", exact, 42),
        Result.below(NAME, f"Aralia: all importances included, s together on {THREADS} threads", seconds, 15),
        Result.exactly(
            NAME, f"of {EVENTS} events of each tree: those with an importance that is not so", wrong, 0
        ),
    ]
