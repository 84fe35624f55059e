"""Permutation test on frozen features: whether labels relate to the images at all.

Heads are trained on the real labels and on randomly permuted ones, all at once, and scored out of fold.
Without a relation, the score of the real labels is one draw among the others (Ojala and Garriga 2010,
Permutation tests for studying classifier performance, JMLR 11). Only training rows are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.metrics.curves import roc_areas

PERMUTATIONS = 199
"""Number of permutations: no p is below 1 / 200."""

FOLDS = 5
MOST_ROWS = 2000
"""Largest number of rows used: enough for any signal that matters, in seconds."""

MOST_LABELS = 20
"""Classes or attributes that are tested, at most: those whose rarer answer is most frequent."""

_COLUMNS = 2048
"""Columns of labels scored at a time."""


@dataclass(frozen=True)
class Signal:
    """Result of a permutation test.

    auc: mean over attributes of the ROC area of the real labels, out of fold. chance_mean, chance_high: of
    permuted labels, the mean and the 95% quantile. p: how often permuted labels score as well as the real
    ones, the real ones counted. by_attribute: name -> area and p, none of pairs of photos. rows,
    permutations: how much it rests on.
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

    features: (n, d) float32, standardised. known: (n, k) 1, 0 and NaN; of one class per item, a column for
    each class. units: n ids; of rows that share one the first is looked at: dealt out row by row, the labels
    of copies would vary less than real ones do, and chance would look like a signal. Heads are ridge
    regressions with penalty n on centred labels, unknown cells at 0: one factorisation serves all labels of a
    fold. What a row knows of its attributes is permuted whole, unknown cells included, so that real and
    permuted labels differ in nothing but where they stand.
    """
    rng = np.random.default_rng(seed)
    first: dict[str, int] = {}
    for row, unit in enumerate(units):
        first.setdefault(unit, row)
    rows = np.sort(rng.permutation(np.array(list(first.values()), np.int64))[:MOST_ROWS])
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
    """Return the result. scores: (1 + permutations,), of the real labels first."""
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
    """Return the columns known as yes and as no, each often enough to be in every other fold, rising."""
    rarer = np.minimum((y == 1).sum(axis=0), (y == 0).sum(axis=0))
    most = np.argsort(-rarer, kind="stable")[:MOST_LABELS]
    return np.sort(most[rarer[most] >= FOLDS])


Fold = tuple[np.ndarray, np.ndarray]
"""Which rows a fold tests, (n,) bool, and what maps labels of the others to their scores."""


def _folds(x: np.ndarray, rng: np.random.Generator) -> list[Fold]:
    folds, out = rng.permutation(len(x)) % FOLDS, []
    for fold in range(FOLDS):
        test = folds == fold
        own, count = x[~test], np.float32((~test).sum())
        # The smaller of the two systems: by features, or by rows.
        if own.shape[1] <= len(own):
            gram = own.T @ own + count * np.eye(own.shape[1], dtype=np.float32)
            hat = np.linalg.solve(gram, x[test].T).T @ own.T
        else:
            gram = own @ own.T + count * np.eye(len(own), dtype=np.float32)
            hat = np.linalg.solve(gram, own @ x[test].T).T
        out.append((test, hat))
    return out


def _out_of_fold(folds: Sequence[Fold], labels: np.ndarray) -> np.ndarray:
    """Return (n, m) scores of every row for all m columns of labels by heads that have not seen it."""
    scores = np.empty(labels.shape, np.float32)
    for test, hat in folds:
        scores[test] = hat @ labels[~test]
    return scores
