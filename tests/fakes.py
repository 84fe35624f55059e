"""Stored cells made up in memory, for tests of what reads results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.core.cell import Cell, DataId, MethodSpec, Step
from bench.core.predictions import Predictions
from bench.kinds.multiclass import metrics as multiclass


@dataclass(frozen=True)
class FakeStored:
    """What `bench.store.write.Stored` offers, without a file."""

    result: Mapping[str, Any]
    test: Predictions = field(repr=False)

    def predictions(self, split: str = "test") -> Predictions:
        """Return the test predictions."""
        assert split == "test"
        return self.test


def stored(
    test: Predictions,
    seed: int = 0,
    *,
    task: str = "fashion",
    stage: str = "top20",
    backbone: str = "lenet",
    method: str = "none",
    source: str = "drawn-small",
    fingerprint: str = "f" * 64,
    version: int = 1,
    status: str = "ok",
    protocol: Mapping[str, Any] | None = None,
    regime: str = "scratch",
    weights: str = "random",
) -> FakeStored:
    """Return a stored cell with these test predictions, its metrics and rows computed from them."""
    settings = {"engine": "tensorflow", "epochs": 30, **(protocol or {})}
    cell = Cell(
        task=task,
        task_version=version,
        kind="multiclass",
        stage=stage,
        regime=regime,
        backbone=backbone,
        weights=weights,
        method=MethodSpec(() if method == "none" else (Step(method),), method),
        seed=seed,
        protocol=tuple(sorted(settings.items())),
        data=DataId(source, fingerprint),
    )
    result = {
        "id": cell.id,
        "cell": {**cell.identity(), "method_text": method},
        "status": status,
        "reason": None if status == "ok" else "loss became NaN in epoch 3",
        "metrics": {"test": multiclass.summary(test)} if status == "ok" else {},
        "per_class": list(multiclass.per_class(test)) if status == "ok" else [],
        "environment": {"python": "3.11"},
        "command": "bench run --task fashion",
    }
    return FakeStored(result, test)


def predictions(
    truth: ArrayLike, answers: ArrayLike, k: int, top5: ArrayLike | None = None, **changes: Any
) -> Predictions:
    """Return predictions with these answers, and with these top-5 hits where the answer is wrong."""
    truth_, answers_ = np.asarray(truth, np.int32), np.asarray(answers)
    rows = np.arange(len(truth_))
    scores = np.zeros((len(truth_), k), np.float32)
    scores[rows, truth_] = np.where(top5, 1, -1) if top5 is not None else 1
    scores[rows, answers_] = 2
    fields: dict[str, Any] = {
        "items": tuple(f"item{i:05d}" for i in rows),
        "groups": None,
        "truth": truth_,
        "scores": scores,
        "classes": tuple(f"class {i}" for i in range(k)),
        "train_support": np.full(k, 50),
    }
    return Predictions(**{**fields, **changes})


def noisy(
    n: int, k: int, accuracy: float, seed: int, like: Predictions | None = None, **changes: Any
) -> Predictions:
    """Return predictions of n items over k classes, right with this chance; on the items of `like`."""
    rng = np.random.Generator(np.random.PCG64(seed))
    truth = rng.integers(0, k, n) if like is None else like.truth
    wrong = (truth + rng.integers(1, k, n)) % k
    answers = np.where(rng.random(n) < accuracy, truth, wrong)
    return predictions(truth, answers, k, rng.random(n) < 0.7, **changes)


def keras_rules(lr: float, momentum: float) -> dict[str, Any]:
    """Return Keras's own optimizers by our names."""
    import keras

    return {
        "adam": keras.optimizers.Adam(lr),
        "sgd": keras.optimizers.SGD(lr, momentum=momentum),
        "rmsprop": keras.optimizers.RMSprop(lr),
        "adagrad": keras.optimizers.Adagrad(lr),
        "adadelta": keras.optimizers.Adadelta(lr),
    }


def from_confusion(
    matrix: np.ndarray, classes: tuple[str, ...], train_support: np.ndarray | None = None
) -> Predictions:
    """Return predictions with this confusion matrix, (k, k), rows true: 1 for the answer and 0 elsewhere."""
    k = len(classes)
    truth, answers = np.divmod(np.repeat(np.arange(k * k), matrix.ravel()), k)
    return Predictions(
        items=tuple(str(i) for i in range(len(truth))),
        groups=None,
        truth=truth.astype(np.int32),
        scores=np.eye(k, dtype=np.float32)[answers],
        classes=classes,
        train_support=np.zeros(k, np.int64) if train_support is None else train_support,
    )
