"""Small grids of stored cells, written through the real store without training anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.cell import Cell, DataId, MethodSpec, Step
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, PairFacts, Predictions
from bench.core.sealed_json import DIGEST, seal
from bench.store.digests import FILES, file_facts, identity_digest
from bench.store.write import RESULT, Store
from bench.training.fits import Epoch, Trained

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
    weights: str = "random",
    val: Predictions | None = None,
    scores: Sequence[float | None] = (),
) -> str:
    """Commit a cell with these test predictions to a results folder and return its id.

    scores: of its trials on validation, where it is tuned; the first best one is chosen.

    Without `val` the metrics of validation are those of test, whatever the few predictions stored for it.
    """
    cell = Cell(
        task=task,
        task_version=1,
        kind=kind,
        stage=stage,
        regime=regime,
        backbone=backbone,
        weights=weights,
        method=MethodSpec(() if method == "none" else (Step(method),), method),
        seed=seed,
        protocol=tuple(sorted({**PROTOCOL, **(protocol or {}), **_tune(scores)}.items())),
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
    own = known.metrics.summary(test)
    done = replace(
        result,
        choices={"best_epoch": 4, **_choice(scores, known.selection)},
        trials=_trials(scores, known.selection),
        metrics={
            "test": own,
            "val": own if val is None else known.metrics.summary(val),
            **{
                name: known.metrics.summary(trivial) for name, trivial in known.metrics.trivials(test).items()
            },
        },
        per_class=known.metrics.per_class(test),
        curves=known.metrics.curves(test),
    )
    history = [Epoch(i + 1, 2.0 / (i + 1), 2.2 / (i + 1), 0.5, 1e-3) for i in range(epochs)]
    if val is not None:
        done = replace(done, counts={**COUNTS, "val": len(val.items), "test": len(test.items)})
    parts = {"val": _first(test, 7) if val is None else val, "test": test}
    done = replace(done, history=Trained(None, 1, tuple(history)).rows)
    Store(root).commit(done, parts)
    return cell.id


def _tune(scores: Sequence[float | None]) -> dict[str, int]:
    return {"tune": len(scores)} if scores else {}


def _choice(scores: Sequence[float | None], metric: str) -> dict[str, Any]:
    """Return the record of a choice among trials with these scores."""
    if not scores:
        return {}
    best = max(score for score in scores if score is not None)
    values = {"lr": 0.001 * (scores.index(best) + 1), "l2": "auto"}
    found = {"trials": len(scores), "chosen": scores.index(best) + 1, "metric": metric, "splits": 1}
    return {"tuning": {**found, "val": best, "val_untuned": scores[0], "values": values}}


def _trials(scores: Sequence[float | None], metric: str) -> tuple[dict[str, Any], ...]:
    known = [score for score in scores if score is not None]
    chosen = scores.index(max(known)) if known else None
    return tuple(
        {
            "trial": number + 1,
            "method": "none",
            "lr": 0.001 * (number + 1),
            "l2": "auto",
            "batch_size": 64,
            f"val_{metric}": score,
            "chosen": int(number == chosen),
            "reason": None if score is not None else "loss became NaN in epoch 1",
        }
        for number, score in enumerate(scores)
    )


def reseal(folder: Path, change: Callable[[dict[str, Any]], object] = dict) -> Path:
    """Give a cell the digests of what its files hold now, its record changed; return the record's path.

    Only so do tests get past the digests to what checks the content.
    """
    path = folder / RESULT
    record = json.loads(path.read_text(encoding="utf-8"))
    del record[DIGEST]
    record[FILES] = file_facts(file for file in folder.iterdir() if file != path)
    change(record)
    path.write_bytes(seal(json.dumps(record, indent=1)))
    return path


def become(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change what a stored cell is a result of, with the id and the folder that go with it; return those."""

    def and_id(record: dict[str, Any]) -> None:
        change(record)
        record["id"] = identity_digest(record["cell"])

    record = json.loads(reseal(folder, and_id).read_text(encoding="utf-8"))
    return folder.rename(folder.with_name(f"s{record['cell']['seed']}-{record['id'][:8]}"))


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
