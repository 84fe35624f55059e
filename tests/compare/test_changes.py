"""Which items count as changed: whatever moves a metric is never counted as nothing, for any comparison."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.compare.effects import effects
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.stored_cells import read_bootstraps
from bench.compare.verdict import SAME
from bench.core.kind import KINDS, get_kind
from bench.core.predictions import Predictions
from bench.metrics.registry import METRICS, metrics_of
from bench.store.settings import Record
from bench.store.write import Store
from tests.grids import answers, attributes, faces, put

Change = Callable[[Predictions], np.ndarray]

MADE: dict[str, Predictions] = {
    "multiclass": answers(300, 9, 0.6, 1, train_support=np.array([300, 150, 90, 60, 40, 15, 12, 9, 3])),
    "multilabel": attributes(200, 4, 0.6, 1, train_support=np.array([150, 60, 12, 9])),
    "verification": faces(300, 40, 1.0, 1, folds=2),
}
assert set(MADE) == set(KINDS)


def _same_decisions(pred: Predictions) -> np.ndarray:
    """Return other scores that decide all as before: only how sure they are, and their order, changes."""
    dice = np.random.default_rng(7).uniform(0.05, 0.95, pred.scores.shape)
    if pred.pairs is not None:
        made: np.ndarray = pred.pairs.cuts + (pred.scores[:, 0] - pred.pairs.cuts) * dice[:, 0]
        return made[:, None]
    if pred.truth.ndim > 1:
        return 0.5 + (pred.scores - 0.5) * dice
    # The first five places keep their classes in their order, so that top-5 hits stay too.
    ranked = np.sort(pred.scores, axis=1) ** (1 + dice[:, :1])
    places = pred.scores.argsort(axis=1).argsort(axis=1)
    scores: np.ndarray = np.take_along_axis(ranked, places, axis=1)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _wrong_otherwise(pred: Predictions) -> np.ndarray:
    """Return scores with which every wrong answer is another wrong one, as far as there is any."""
    scores = pred.scores.copy()
    if pred.truth.ndim > 1 or pred.pairs is not None:
        return scores[::-1].copy()
    for row in np.flatnonzero(scores.argmax(axis=1) != pred.truth):
        others = [c for c in np.argsort(scores[row]) if c not in (pred.truth[row], scores[row].argmax())]
        first, second = scores[row].argmax(), others[-1]
        scores[row, [first, second]] = scores[row, [second, first]]
    return scores


CHANGES: dict[str, Change] = {"same decisions": _same_decisions, "other wrong answers": _wrong_otherwise}


def _other(pred: Predictions, change: Change) -> Predictions:
    return replace(pred, scores=change(pred).astype(np.float32))


def _shared(root: Path, kind: str, *sides: Predictions) -> tuple[PairedBootstrap, list[str], list[Record]]:
    ids = [
        put(root, side, kind=kind, task=kind, stage="all", method=method)
        for method, side in zip(("none", "focal"), sides, strict=True)
    ]
    cells, _ = Store(root).load(kind)
    (shared,), problems = read_bootstraps(cells, metrics_of(kind), draws=50)
    assert not problems
    return shared, ids, [cell.record for cell in cells]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_moves_a_metric_is_counted(tmp_path: Path, kind: str, change: str) -> None:
    pred = MADE[kind]
    other = _other(pred, CHANGES[change])
    known = get_kind(kind).metrics
    before, after = known.summary(pred), known.summary(other)
    shared, ids, records = _shared(tmp_path, kind, pred, other)
    moved = [
        name
        for name in metrics_of(kind, sets=False)
        if before[name] is not None and before[name] != after[name]
    ]
    for name in moved:
        assert shared.changed(name, [(ids[0], ids[1])]) >= 6, name
    for effect in effects(records, shared, moved):
        assert effect.low is not None or effect.verdict != SAME, effect.metric
    if change == "same decisions":
        # What does not look at scores stays, and is counted as nothing.
        for name in metrics_of(kind, sets=False):
            assert METRICS[name].score_based or name not in moved, name
            if not METRICS[name].score_based and before[name] is not None:
                assert shared.changed(name, [(ids[0], ids[1])]) == 0, name
        assert {name for name in moved if METRICS[name].score_based}


def test_other_scores_of_few_attributes_are_an_effect(tmp_path: Path) -> None:
    pred = MADE["multilabel"]
    shared, ids, records = _shared(tmp_path, "multilabel", pred, _other(pred, _same_decisions))
    assert shared.changed("few_auc", [(ids[0], ids[1])]) == 200
    (effect,) = effects(records, shared, ["few_auc"])
    assert effect.low is not None and effect.p is not None
