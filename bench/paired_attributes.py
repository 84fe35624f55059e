"""The paired bootstrap where items have many attributes: through what the kind itself draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench import stats
from bench.kinds.base import Kind, get_kind
from bench.metrics.multilabel import answers, weighted_parts
from bench.paired import FEW_CHANGES, Draws
from bench.spec import Predictions

_WEIGHTS_AT_ONCE = 1 << 24
"""Of one block of resamples: the longer its rows, the less each step through the items costs."""


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

    def differences(self, weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return ours - theirs of every metric under (draws, n) weights, and of each attribute in the means.

        Shapes (draws,) and (draws, k), see `bench.metrics.multilabel.weighted_parts`.
        """
        ours, theirs = (weighted_parts(side, weights) for side in (self.ours, self.theirs))
        whole, own = ({name: a[name] - b[name] for name in a} for a, b in zip(ours, theirs, strict=True))
        return whole, own


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
    metrics: dict[str, list[np.ndarray]] = {}
    own: dict[str, list[np.ndarray]] = {}
    # Blocks of one size: a short last one would cost almost as much.
    blocks = math.ceil(draws * n / _WEIGHTS_AT_ONCE)
    chunk = math.ceil(draws / blocks)
    for weights in stats.bootstrap_chunks(n, draws, seed, groups, chunk=chunk):
        drawn = [pair.differences(weights) for pair in pairs]
        for into, side in ((metrics, 0), (own, 1)):
            for name in drawn[0][side]:
                into.setdefault(name, []).append(np.stack([one[side][name] for one in drawn]))
    whole = {name: np.concatenate(parts, axis=1) for name, parts in own.items() if name in names.values()}
    return Draws(
        {name: np.concatenate(parts, axis=1) for name, parts in metrics.items()},
        {
            (column, int(c)): np.ascontiguousarray(whole[name][..., c])
            for column, name in names.items()
            for c in np.flatnonzero(rescored >= FEW_CHANGES)
        },
    )
