"""Small grids of stored cells, written through the real store without training anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.kinds.base import get_kind
from bench.models.lanes import Epoch, Trained
from bench.spec import Cell, CellResult, DataId, MethodSpec, PairFacts, Predictions, Step
from bench.store import Store

PROTOCOL = {"epochs": 30, "patience": 8, "input_size": "native", "refit": False}
COUNTS = {"train": 100, "val": 20, "test": 200, "not_scored": 3, "leaked": 1, "quarantined": 2}


def answers(
    n: int, k: int, accuracy: float, seed: int, like: Predictions | None = None, **changes: Any
) -> Predictions:
    """Return probabilities for n items of k classes, right with this chance; on the items of `like`.

    Class sizes and training images have a long tail; the last class has no item.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    shares = 1.0 / np.arange(1, k)
    truth = rng.choice(k - 1, n, p=shares / shares.sum()) if like is None else like.truth
    scores = rng.gamma(1.0, size=(n, k))
    right = rng.random(n) < accuracy
    scores[np.arange(n), truth] += np.where(right, 4.0, 0.0)
    scores /= scores.sum(axis=1, keepdims=True)
    fields: dict[str, Any] = {
        "items": tuple(f"item{i:05d}" for i in range(n)),
        "groups": None,
        "truth": truth.astype(np.int32),
        "scores": scores.astype(np.float32),
        "classes": tuple(f"class {i}" for i in range(k)),
        "train_support": np.array([300 // (i + 1) ** 2 + 1 for i in range(k)], np.int64),
    }
    return Predictions(**{**fields, **changes})


def put(
    root: Path,
    test: Predictions,
    seed: int = 0,
    *,
    method: str = "none",
    backbone: str = "lenet",
    regime: str = "scratch",
    stage: str = "top20",
    task: str = "fashion",
    status: str = "ok",
    reason: str | None = None,
    protocol: Mapping[str, Any] | None = None,
    source: str = "drawn-tiny",
    fingerprint: str = "f" * 64,
    timings: Mapping[str, float] | None = None,
    epochs: int = 5,
    kind: str = "multiclass",
) -> str:
    """Commit a cell with these test predictions to a results folder and return its id."""
    cell = Cell(
        task=task,
        task_version=1,
        kind=kind,
        stage=stage,
        regime=regime,
        backbone=backbone,
        weights="random",
        method=MethodSpec(() if method == "none" else (Step(method),), method),
        seed=seed,
        protocol=tuple(sorted({**PROTOCOL, **(protocol or {})}.items())),
        data=DataId(source, fingerprint),
    )
    result = CellResult(
        cell,
        status,
        reason=reason,
        counts=COUNTS,
        timings={"training": 2.0, "seconds": 3.0, **(timings or {})},
        environment={"python": "3.11.9", "packages": {"numpy": "2.4.0"}},
        command="bench run --task fashion",
    )
    if status != "ok":
        Store(root).commit(result, {})
        return cell.id
    known = get_kind(kind)
    own = known.summary(test)
    done = replace(
        result,
        choices={"best_epoch": 4},
        metrics={
            "test": own,
            "val": own,
            **{name: known.summary(trivial) for name, trivial in known.trivials(test).items()},
        },
        per_class=known.per_class(test),
        curves=known.curves(test),
    )
    history = [Epoch(i + 1, 2.0 / (i + 1), 2.2 / (i + 1), 0.5, 1e-3) for i in range(epochs)]
    Store(root).commit(done, {"val": _first(test, 7), "test": test}, Trained(None, 1, tuple(history)))
    return cell.id


def _first(pred: Predictions, n: int) -> Predictions:
    """Return a part that stands before the test rows in the file, as the validation part does."""
    return replace(pred.take(np.arange(n)), items=tuple(f"val{i}" for i in range(n)))


def faces(
    n: int,
    people: int,
    skill: float,
    seed: int,
    like: Predictions | None = None,
    folds: int = 1,
    **changes: Any,
) -> Predictions:
    """Return scores of n pairs of photos of people, every other one of one person; on those of `like`.

    skill: how far the scores of same and different pairs stand apart. Each fold has its own cut.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    if like is None:
        same = np.arange(n) % 2 == 0
        first = rng.integers(0, people, n)
        second = np.where(same, first, (first + rng.integers(1, people, n)) % people)
        fold = (np.arange(n) * folds // n).astype(np.int32)
        photos = [
            (f"p{a}/{i}a.jpg", f"p{b}/{i}b.jpg") for i, (a, b) in enumerate(zip(first, second, strict=True))
        ]
        groups = tuple(f"person {a}" for a in first)
        partners = tuple(f"person {b}" for b in second)
        truth = same.astype(np.int32)
    else:
        assert like.pairs is not None
        truth, groups, partners = like.truth, like.groups or (), like.pairs.partners
        fold, photos = like.pairs.folds, list(like.pairs.photos)
    scores = rng.normal(size=len(truth)) + skill * truth
    cuts = (skill / 2 + 0.05 * fold).astype(np.float32)
    fields: dict[str, Any] = {
        "items": tuple(f"{a} | {b}" for a, b in photos),
        "groups": groups,
        "truth": truth,
        "scores": scores.astype(np.float32)[:, None],
        "classes": ("same",),
        "train_support": np.array([1000], np.int64),
        "known": np.array([2100], np.int64),
        "pairs": PairFacts(tuple(photos), partners, fold, cuts),
    }
    return Predictions(**{**fields, **changes})


def attributes(
    n: int, k: int, skill: float, seed: int, like: Predictions | None = None, **changes: Any
) -> Predictions:
    """Return probabilities of k attributes for n items, a tenth of the cells unknown, the later ones rarer.

    skill: how far the scores of yes and no stand apart; on the items and the truth of `like`.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    if like is None:
        truth = (rng.random((n, k)) < np.linspace(0.7, 0.2, k)).astype(np.int32)
        truth[rng.random((n, k)) < 0.1] = -1
    else:
        truth = like.truth
    logits = rng.normal(size=(n, k)) + skill * np.where(truth == 1, 1.0, np.where(truth == 0, -1.0, 0.0))
    fields: dict[str, Any] = {
        "items": tuple(f"item{i:05d}" for i in range(n)),
        "groups": None,
        "truth": truth,
        "scores": (1 / (1 + np.exp(-logits))).astype(np.float32),
        "classes": tuple(f"attribute {i}" for i in range(k)),
        "train_support": np.array([100 // (i + 1) for i in range(k)], np.int64),
        "known": np.full(k, 150, np.int64),
    }
    return Predictions(**{**fields, **changes})


def grid(
    root: Path,
    accuracies: Mapping[str, float],
    seeds: Sequence[int] = (0, 1, 2),
    backbones: Sequence[str] = ("lenet",),
    n: int = 200,
    k: int = 8,
    **changes: Any,
) -> dict[tuple[str, str, int], str]:
    """Commit a cell for each backbone, method and seed, all on the same items; return their ids."""
    like = answers(n, k, 0.5, 99)
    given = {key: changes.pop(key) for key in ("classes", "items", "groups") if key in changes}
    out = {}
    for b, backbone in enumerate(backbones):
        for m, (method, accuracy) in enumerate(accuracies.items()):
            for seed in seeds:
                pred = answers(n, k, accuracy, 1000 * b + 100 * m + seed, like, **given)
                out[backbone, method, seed] = put(
                    root, pred, seed, method=method, backbone=backbone, **changes
                )
    return out
