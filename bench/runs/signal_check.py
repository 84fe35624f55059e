"""Permutation test of the labels on frozen features.

Heads are trained on the real labels and on random permutations of them, and scored out of fold. Under the
null hypothesis the scores are exchangeable (Ojala and Garriga 2010, Permutation tests for studying classifier
performance, JMLR 11). Only training rows are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metrics.curves import roc_areas

PERMUTATIONS = 199
"""Number of permutations; the smallest p-value is 1 / 200."""

FOLDS = 5
MAX_ROWS = 2000
"""Maximum number of rows, for a test in seconds."""

MAX_LABELS = 20
"""Maximum number of classes or attributes tested: the most balanced ones."""

_COLUMNS = 2048
"""Label columns scored at a time."""


@dataclass(frozen=True)
class Signal:
    """Result of a permutation test.

    auc: mean ROC AUC over attributes, out of fold, of the real labels. chance_mean, chance_high: mean and 95%
    quantile over permutations. p: share of all label vectors, the real one included, that score at least as
    well as the real one. by_attribute: name -> AUC and p, empty for pairs. rows, permutations: numbers used.
    """

    auc: float
    chance_mean: float
    chance_high: float
    p: float
    by_attribute: Mapping[str, Mapping[str, float]]
    rows: int
    permutations: int

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data."""
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
    """Test whether features predict attributes better than permuted ones; None if nothing can be tested.

    features: (n, d) float32, standardised. known: (n, k) 1, 0 and NaN, or one-hot classes. units: n ids; only
    the first row of each is used, because permuting the labels of copies independently would inflate the
    signal. Heads are ridge regressions with penalty n on centred labels, unknown ones at 0: one factorisation
    serves all labels of a fold. Rows of labels are permuted whole, unknown ones included.
    """
    rng = np.random.default_rng(seed)
    first: dict[str, int] = {}
    for row, unit in enumerate(units):
        first.setdefault(unit, row)
    rows = np.sort(rng.permutation(np.array(list(first.values()), np.int64))[:MAX_ROWS])
    x, y = np.asarray(features[rows], np.float32), known[rows]
    tested = _tested(y)
    if not len(tested) or len(rows) < FOLDS:
        return None
    y = y[:, tested]
    orders = [np.arange(len(y)), *(rng.permutation(len(y)) for _ in range(permutations))]
    centred = np.nan_to_num(y - np.nanmean(y, axis=0)).astype(np.float32)
    known_as, folds = np.where(np.isnan(y), -1, y).astype(np.int32), _folds(x, rng)
    found, block = [], max(1, _COLUMNS // len(tested))
    for start in range(0, len(orders), block):
        some = orders[start : start + block]
        scores = _out_of_fold(folds, np.concatenate([centred[order] for order in some], axis=1))
        truth = np.concatenate([known_as[order] for order in some], axis=1)
        found.append(roc_areas(scores, truth))
    by_order = np.concatenate(found, axis=-1).reshape(len(orders), len(tested))
    p = (by_order >= by_order[0] - 1e-12).mean(axis=0)
    by_attribute = {
        names[c]: {"auc": float(by_order[0, place]), "p": float(p[place])}
        for place, c in enumerate(tested.tolist())
    }
    return summarise(by_order.mean(axis=1), by_attribute, len(rows), permutations)


def summarise(
    scores: np.ndarray, by_attribute: Mapping[str, Mapping[str, float]], rows: int, permutations: int
) -> Signal:
    """Return the result. scores: (1 + permutations,), the real labels first."""
    return Signal(
        auc=float(scores[0]),
        chance_mean=float(scores[1:].mean()),
        chance_high=float(np.quantile(scores[1:], 0.95)),
        p=float((scores >= scores[0] - 1e-12).mean()),
        by_attribute=by_attribute,
        rows=rows,
        permutations=permutations,
    )


def _tested(y: np.ndarray) -> np.ndarray:
    """Return the sorted columns with at least FOLDS positives and FOLDS negatives."""
    rarer = np.minimum((y == 1).sum(axis=0), (y == 0).sum(axis=0))
    most = np.argsort(-rarer, kind="stable")[:MAX_LABELS]
    return np.sort(most[rarer[most] >= FOLDS])


Fold = tuple[np.ndarray, np.ndarray]
"""Test rows of a fold, (n,) bool, and the hat matrix from the other labels to their scores."""


def _folds(x: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    folds, out = rng.permutation(len(x)) % FOLDS, []
    for fold in range(FOLDS):
        test = folds == fold
        train, count = x[~test], np.float32((~test).sum())
        # The smaller system: primal (features) or dual (rows).
        if train.shape[1] <= len(train):
            gram = train.T @ train + count * np.eye(train.shape[1], dtype=np.float32)
            hat = np.linalg.solve(gram, x[test].T).T @ train.T
        else:
            gram = train @ train.T + count * np.eye(len(train), dtype=np.float32)
            hat = np.linalg.solve(gram, train @ x[test].T).T
        out.append((test, hat))
    return out


def _out_of_fold(folds: Sequence[Fold], labels: np.ndarray) -> np.ndarray:
    """Return (n, m) out-of-fold scores for m columns of labels."""
    scores = np.empty(labels.shape, np.float32)
    for test, hat in folds:
        scores[test] = hat @ labels[~test]
    return scores
