"""Whether labels say anything about the images at all: a permutation test on frozen features.

Heads are trained on the labels as they are and on labels dealt out to the images at random, all at once, and
judged on rows that they have not seen. If the real labels carry nothing that these features show, their score
is one draw among the others (Ojala and Garriga 2010, Permutation tests for studying classifier performance,
JMLR 11). Only the training part is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metrics.curves import areas

PERMUTATIONS = 199
"""With so many no p is below 1 / 200."""

FOLDS = 5
MOST_ROWS = 2000
"""Rows that are looked at, at most: enough to see any signal that a benchmark could, in seconds."""


@dataclass(frozen=True)
class Signal:
    """What a permutation test found.

    auc: mean over attributes of the ROC area of the real labels, out of fold. chance_mean, chance_high: of
    permuted labels, the mean and the 95% quantile. p: how often permuted labels score as well as the real
    ones, the real ones counted. by_attribute: name -> area and p. rows, permutations: how much it rests on.
    """

    auc: float
    chance_mean: float
    chance_high: float
    p: float
    by_attribute: Mapping[str, Mapping[str, float]]
    rows: int
    permutations: int

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "auc": self.auc,
            "chance_mean": self.chance_mean,
            "chance_high": self.chance_high,
            "p": self.p,
            "attributes": {name: dict(found) for name, found in self.by_attribute.items()},
            "rows": self.rows,
            "permutations": self.permutations,
        }


def signal_check(
    features: np.ndarray,
    known: np.ndarray,
    names: Sequence[str],
    units: Sequence[str],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Signal | None:
    """Test whether features tell attributes better than permuted ones; None where nothing can be tested.

    features: (n, d) float32, standardised. known: (n, k) 1, 0 and NaN. units: n ids; of rows that share one
    the first is looked at: dealt out row by row, the labels of copies would vary less than real ones do, and
    chance would look like a signal. Heads are ridge regressions with penalty n on centred labels, unknown
    cells at 0: one factorisation serves all labels of a fold. What a row knows of its attributes is permuted
    whole, unknown cells included, so that real and permuted labels differ in nothing but where they stand.
    """
    rng = np.random.default_rng(seed)
    first: dict[str, int] = {}
    for row, unit in enumerate(units):
        first.setdefault(unit, row)
    rows = np.sort(rng.permutation(np.array(list(first.values()), np.int64))[:MOST_ROWS])
    x, y = np.asarray(features[rows], np.float32), known[rows]
    tested = [c for c in range(y.shape[1]) if _both(y[:, c])]
    if not tested or len(rows) < FOLDS:
        return None
    y = y[:, tested]
    orders = [np.arange(len(y)), *(rng.permutation(len(y)) for _ in range(permutations))]
    centred = np.nan_to_num(y - np.nanmean(y, axis=0)).astype(np.float32)
    labels = np.concatenate([centred[order] for order in orders], axis=1)
    scores = _out_of_fold(x, labels, rng)
    truth = np.concatenate([y[order] for order in orders], axis=1)
    told = np.where(np.isnan(truth), -1, truth).astype(np.int32)
    found = areas(scores, told, np.ones((1, len(told)), np.float32))[0].reshape(len(orders), len(tested))
    means = found.mean(axis=1)
    p = (found >= found[0] - 1e-12).mean(axis=0)
    return Signal(
        auc=float(means[0]),
        chance_mean=float(means[1:].mean()),
        chance_high=float(np.quantile(means[1:], 0.95)),
        p=float((means >= means[0] - 1e-12).mean()),
        by_attribute={
            names[c]: {"auc": float(found[0, place]), "p": float(p[place])} for place, c in enumerate(tested)
        },
        rows=len(rows),
        permutations=permutations,
    )


def _both(column: np.ndarray) -> bool:
    """Say whether an attribute is known as yes and as no, each often enough to be in every other fold."""
    return bool(min((column == 1).sum(), (column == 0).sum()) >= FOLDS)


def _out_of_fold(x: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (n, m) scores of every row for all m columns of labels by heads that have not seen it."""
    folds = rng.permutation(len(x)) % FOLDS
    scores = np.empty(labels.shape, np.float32)
    for fold in range(FOLDS):
        test, train = folds == fold, folds != fold
        own, count = x[train], np.float32(train.sum())
        # The smaller of the two systems: by features, or by rows.
        if own.shape[1] <= len(own):
            gram = own.T @ own + count * np.eye(own.shape[1], dtype=np.float32)
            kernel = np.linalg.solve(gram, own.T @ labels[train])
        else:
            gram = own @ own.T + count * np.eye(len(own), dtype=np.float32)
            kernel = own.T @ np.linalg.solve(gram, labels[train])
        scores[test] = x[test] @ kernel
    return scores
