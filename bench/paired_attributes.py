"""The paired bootstrap where items have many attributes: through what the kind itself draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bench import stats
from bench.kinds.base import Kind, get_kind
from bench.metrics.multilabel import answers
from bench.paired import FEW_CHANGES, Draws
from bench.spec import Predictions

_WEIGHTS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class AttributePair:
    """One seed's predictions on both sides, items and attributes in the same order. kind: its name."""

    ours: Predictions
    theirs: Predictions
    kind: str = "multilabel"

    @cached_property
    def seen(self) -> np.ndarray:
        """Which cells are scored, (n, k) bool."""
        seen: np.ndarray = self.ours.truth >= 0
        return seen

    @cached_property
    def right(self) -> tuple[np.ndarray, np.ndarray]:
        """Which scored cells each side answers right, (n, k) bool each."""
        yes = self.ours.truth == 1
        ours, theirs = ((answers(side) == yes) & self.seen for side in (self.ours, self.theirs))
        return ours, theirs

    def gap(self, attribute: int | None) -> np.ndarray:
        """Return 1 where we alone are right, -1 where they alone are, else 0: (n,) float32.

        attribute: which one's answers; None: all of an item's, each of which must be right.
        """
        if attribute is None:
            ours, theirs = ((right | ~self.seen).all(axis=1) for right in self.right)
        else:
            ours, theirs = (right[:, attribute] for right in self.right)
        gap: np.ndarray = np.subtract(ours, theirs, dtype=np.float32)
        return gap

    def changed(self) -> np.ndarray:
        """Return which cells are answered differently, (n, k) bool."""
        changed: np.ndarray = self.right[0] != self.right[1]
        return changed

    def rescored(self) -> np.ndarray:
        """Return which scored cells have another score, (n, k) bool."""
        rescored: np.ndarray = (self.ours.scores != self.theirs.scores) & self.seen
        return rescored

    def differences(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return ours - theirs of every metric the kind draws under (draws, n) weights: (draws,) each."""
        draw = get_kind(self.kind).weighted_summary
        # Each takes most of its time where a second thread can run.
        with ThreadPoolExecutor(2) as pool:
            ours, theirs = pool.map(lambda side: draw(side, weights), (self.ours, self.theirs))
        return {name: ours[name] - theirs[name] for name in ours}

    def only(self, attribute: int) -> tuple[AttributePair, np.ndarray]:
        """Return the pair of one attribute's scored items, and which these are."""
        rows = np.flatnonzero(self.seen[:, attribute])
        ours, theirs = (one_attribute(side, rows, attribute) for side in (self.ours, self.theirs))
        return AttributePair(ours, theirs, self.kind), rows


def one_attribute(pred: Predictions, rows: np.ndarray, attribute: int) -> Predictions:
    """Return the predictions of one attribute for these items, without their groups."""
    column = slice(attribute, attribute + 1)
    return replace(
        pred,
        items=tuple(pred.items[row] for row in rows),
        groups=None,
        truth=pred.truth[rows, column],
        scores=pred.scores[rows, column],
        classes=pred.classes[column],
        train_support=pred.train_support[column],
        known=None if pred.known is None else pred.known[column],
        cuts=None if pred.cuts is None else pred.cuts[column],
    )


def class_metrics(kind: Kind) -> dict[str, str]:
    """Return the metrics of one attribute that are compared, each with the mean over attributes it makes.

    With one attribute that mean is the attribute's own, which is how it is drawn.
    """
    macro = max((row.columns for row in kind.averages if row.role == "average"), key=len)
    return {column: metric for column, metric in macro.items() if metric in kind.headline}


def draw_attributes(
    pairs: Sequence[AttributePair], groups: Sequence[str] | None, draws: int, seed: int
) -> Draws:
    """Resample the items, whole groups where there are groups, and return the differences of every seed.

    pairs: one per seed, all of the same items in the same order. Attributes are drawn in which FEW_CHANGES
    scores or more differ.
    """
    n, names = len(pairs[0].ours.items), class_metrics(get_kind(pairs[0].kind))
    rescored = np.any([pair.rescored() for pair in pairs], axis=0).sum(axis=0)
    singles = {int(c): [pair.only(int(c)) for pair in pairs] for c in np.flatnonzero(rescored >= FEW_CHANGES)}
    metrics: dict[str, list[np.ndarray]] = {}
    classes: dict[tuple[str, int], list[np.ndarray]] = {}
    chunk = max(1, _WEIGHTS_AT_ONCE // n)
    for weights in stats.bootstrap_chunks(n, draws, seed, groups, chunk=chunk):
        for name, values in _by_seed([pair.differences(weights) for pair in pairs]).items():
            metrics.setdefault(name, []).append(values)
        for c, single in singles.items():
            drawn = _by_seed([pair.differences(weights[:, rows]) for pair, rows in single])
            for column, name in names.items():
                classes.setdefault((column, c), []).append(drawn[name])
    return Draws(
        {name: np.concatenate(parts, axis=1) for name, parts in metrics.items()},
        {key: np.concatenate(parts, axis=1) for key, parts in classes.items()},
    )


def _by_seed(differences: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([own[name] for own in differences]) for name in differences[0]}
