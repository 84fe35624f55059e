"""The default of frozen heads beside scikit-learn's logistic regression: same features, same split.

    BENCH_DATA=... KERAS_HOME=... python -m benchmarks.defaults
    BENCH_DATA=... KERAS_HOME=... python -m benchmarks.defaults --validate --set l2=0.001,0.003,0.01,0.03

Method `none` (of pairs: `pair_logistic`) by the default protocol, mean of the seeds, against
`LogisticRegressionCV`: its C is chosen from seven on the validation part of the same seed, then it is fitted
on training and validation rows together; features are standardised. Scores are of the test part: top-1 micro
and macro; AUC over attributes; AUC of pairs. The standard error is that of scikit-learn's score, resampling
test items, or what belongs together (sender), 500 times. The goal: no score of ours is more than one standard
error lower.

Features of `efficientnet_lite0` come from WEIGHTS_OWN/efficientnet_lite0.keras, read by plain Keras here: the
package has no such backbone. Without the file its rows are left out, which a line says.

--validate looks at no test item: it prints validation scores of our heads alone, for each value of a protocol
key. That is how the default was chosen.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.inputs import Inputs, PrecomputedFeatures
from bench.core.cell import Cell
from bench.core.environment import quiet
from bench.core.kind import get_kind
from bench.core.paths import search_path
from bench.core.predictions import Predictions
from bench.core.stage_values import parse_set
from bench.data.pixels import Pixels
from bench.kinds.verification.frozen import FrozenPairs
from bench.kinds.verification.similarity.pair_heads import PairTable
from bench.runs.context import Context
from bench.runs.open_task import open_task
from bench.runs.plan import Job, Request, make_plan
from bench.runs.run_job import prepare_inputs, prepare_pixels

TASKS = {
    "fashion": ("fashion", {}),
    "marketplace": ("marketplace", {}),
    "multilabel": ("fashion", {"source": "fashion"}),
    "faces": ("faces", {}),
    "wardrobe": ("marketplace", {}),
}
"""The data folder of each task, and what is set: the published attributes have no signal, so those made of
the fashion photos are taken. `wardrobe` is the card of docs/own-task.md."""

OUTSIDE = "efficientnet_lite0"
FEATURES = ("mobilenet_025", "mobilenetv2_035", OUTSIDE)
CS = np.logspace(-4, 2, 7)
METRICS = {
    "multiclass": ("top1_micro", "top1_macro"),
    "multilabel": ("auc_macro",),
    "verification": ("auc",),
}


@dataclass(frozen=True)
class Place:
    """One stage of one task on one set of features. outside: the model that gives them, or None."""

    context: Context
    job: Job
    stage: str
    cells: Sequence[Cell]
    outside: Path | None = None

    @property
    def features(self) -> str:
        """Of which backbone the features are."""
        return self.job.backbone if self.outside is None else OUTSIDE

    @property
    def name(self) -> str:
        """As the table has it."""
        return f"{self.cells[0].task} {self.stage}"


def own_card(folder: Path) -> Path:
    """Write the card of docs/own-task.md, as it stands there; return the folder of tasks that it is in."""
    text = (Path(__file__).parent.parent / "docs" / "own-task.md").read_text(encoding="utf-8")
    card = text.split("```toml\n")[1].split("```")[0]
    (folder / "tasks" / "wardrobe").mkdir(parents=True)
    (folder / "tasks" / "wardrobe" / "task.toml").write_text(card, encoding="utf-8")
    return folder / "tasks"


def places(
    tasks: Sequence[str], features: Sequence[str], seeds: str, cache: Path, sets: dict[str, Any]
) -> Iterator[Place]:
    """Yield every stage of the tasks on every set of features."""
    data = Path(os.environ["BENCH_DATA"])
    model = Path(os.environ.get("WEIGHTS_OWN", "")) / f"{OUTSIDE}.keras"
    names = [name for name in features if name != OUTSIDE]
    if OUTSIDE in features and not model.is_file():
        print(f"{OUTSIDE} left out: no {model.name} in WEIGHTS_OWN", file=sys.stderr)
    elif OUTSIDE in features:
        yield from (
            replace(place, outside=model)
            for place in places(tasks, names[:1] or FEATURES[:1], seeds, cache, sets)
        )
    for task in tasks if names else ():
        folder, own = TASKS[task]
        method = "pair_logistic" if task == "faces" else "none"
        request = Request(task, data / folder, None, tuple(names), (method,), seeds, settings={**own, **sets})
        card, examples = open_task(request, search_path("tasks"), cache)
        context = Context(card, examples, cache, cache, "", lambda *_, **__: None)
        for job in make_plan(card, request, examples).jobs:
            for stage in card.stages:
                yield Place(
                    context, job, stage.name, [cell for cell in job.cells if cell.stage == stage.name]
                )


def outside_features(path: Path, pixels: Pixels, cache: Path) -> np.ndarray:
    """Return the (n, d) float32 features of a Keras model that takes pixels from 0 to 255, cached."""
    import keras

    kept = cache / f"{path.stem}-{pixels.key[:16]}.npy"
    if kept.exists():
        whole: np.ndarray = np.load(kept)
        return whole
    model = keras.saving.load_model(path, compile=False)
    out = np.zeros((len(pixels), model.output_shape[-1]), np.float32)
    for rows, images in pixels.batches(64):
        out[rows] = np.asarray(model(images.astype(np.float32), training=False))
    np.save(kept, out)
    return out


def ours(place: Place, validate: bool) -> tuple[list[Predictions], Any, Any]:
    """Return our answers for each seed, on validation or test, and what they were trained with."""
    context, job, cells = place.context, place.job, list(place.cells)
    if validate:
        cells = [replace(cell, protocol=tuple({**cell.setting, "refit": False}.items())) for cell in cells]
    pixels = prepare_pixels(context, job)
    inputs: Inputs | None = None if place.outside else prepare_inputs(context, job)
    if place.outside is not None:
        inputs = PrecomputedFeatures(outside_features(place.outside, pixels, context.cache))
    part = "val" if validate else "test"
    job = replace(job, cells=tuple(cells))
    run: Any = get_kind(cells[0].kind).runner.prepare(context, pixels, inputs, {}, job)
    answers = []
    for group in run.groups():
        for result, parts, _ in run.answers(group):
            assert result.reason is None, result.reason
            answers.append(parts[part])
    return answers, run.trainer, run.splits


def theirs(place: Place, trainer: Any, split: Any, known: Predictions) -> Predictions:
    """Return what scikit-learn answers on the test part of one seed."""
    if isinstance(trainer, FrozenPairs):
        fold = split.folds[0]
        every = fold.all_train
        rows = np.unique(
            np.concatenate([side for one in (every, fold.test) for side in (one.first, one.second)])
        )
        table = PairTable([trainer.preparer.features(rows)], False, _at(every, rows))
        x, y = table.blocks[0], every.same.astype(int)
        held = set(zip(fold.val.first.tolist(), fold.val.second.tolist(), strict=True))
        is_val = np.array(
            [pair in held for pair in zip(every.first.tolist(), every.second.tolist(), strict=True)]
        )
        test = PairTable([trainer.preparer.features(rows)], False, _at(fold.test, rows)).blocks[0]
        return replace(known, scores=logistic(x, y, is_val, test)[:, 1:].astype(np.float32))
    rows = np.sort(np.concatenate([split.train, split.val]))
    is_val = np.isin(rows, split.val)
    x, test = (np.asarray(trainer.features[part], np.float32) for part in (rows, split.test))
    truth = trainer.truth[rows]
    scores = np.zeros(known.scores.shape, np.float32)
    if truth.ndim == 1:
        found = np.unique(truth)
        scores[:, found] = logistic(x, truth, is_val, test)
        return replace(known, scores=scores)
    for column in range(truth.shape[1]):
        some = ~np.isnan(truth[:, column])
        labels = truth[some, column].astype(int)
        if len(np.unique(labels)) == 2:
            scores[:, column] = logistic(x[some], labels, is_val[some], test)[:, 1]
    return replace(known, scores=scores)


def logistic(x: np.ndarray, y: np.ndarray, is_val: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Return (m, k) probabilities of the classes in y. C is chosen on the validation rows."""
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(x)
    x, test = scaler.transform(x), scaler.transform(test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(np.unique(y[~is_val])) == len(np.unique(y)) and is_val.any():
            fold = [(np.flatnonzero(~is_val), np.flatnonzero(is_val))]
            model = LogisticRegressionCV(
                Cs=CS, cv=fold, max_iter=300, tol=1e-3, use_legacy_attributes=False, scoring="accuracy"
            ).fit(x, y)
        else:
            model = LogisticRegression(max_iter=300, tol=1e-3).fit(x, y)
    out: np.ndarray = model.predict_proba(test)
    return out


def _at(pairs: Any, rows: np.ndarray) -> Any:
    from bench.kinds.verification.prepare import placed

    return placed(pairs, rows)


def standard_error(kind: str, pred: Predictions, metric: str) -> float:
    """Return the deviation of a score over resampled test items, or groups of them."""
    rng = np.random.default_rng(0)
    groups = (
        np.arange(len(pred.items))
        if pred.groups is None or kind == "verification"
        else np.unique(pred.groups, return_inverse=True)[1]
    )
    drawn = [
        np.bincount(rng.integers(0, groups.max() + 1, groups.max() + 1), minlength=groups.max() + 1)[groups]
        for _ in range(500)
    ]
    return float(
        np.nanstd(get_kind(kind).metrics.weighted_summary(pred, np.array(drawn, np.float64))[metric])
    )


def compare(place: Place) -> bool:
    """Print one row for each metric; tell whether ours holds."""
    began = time.process_time()
    answers, trainer, splits = ours(place, validate=False)
    middle, kind, held = time.process_time(), place.cells[0].kind, True
    others = [
        theirs(place, trainer, splits[cell.seed], pred)
        for cell, pred in zip(place.cells, answers, strict=True)
    ]
    ended = time.process_time()
    for metric in METRICS[kind]:
        mine, other = (
            np.mean([get_kind(kind).metrics.summary(pred)[metric] for pred in side])
            for side in (answers, others)
        )
        error = standard_error(kind, others[0], metric)
        good = float(mine) >= float(other) - error
        held &= bool(good)
        print(
            f"| {place.name} | {place.features} | {metric} | {mine:.3f} | {other:.3f} | {error:.3f} | "
            f"{mine - other:+.3f} | {'yes' if good else 'no'} | {middle - began:.0f} | "
            f"{ended - middle:.0f} |",
            flush=True,
        )
    return held


def main() -> None:
    """Print the table, or validation scores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--features", default=",".join(FEATURES))
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--validate", action="store_true")
    parser.add_argument(
        "--set", dest="sets", action="append", default=[], help="key=value, or key=value,value,..."
    )
    parser.add_argument("--cache", type=Path)
    asked = parser.parse_args()
    if not os.environ.get("BENCH_DATA"):
        sys.exit(
            "set BENCH_DATA to a folder with fashion/, marketplace/ and faces/, KERAS_HOME to the weights"
        )
    quiet()
    with tempfile.TemporaryDirectory() as name:
        cache = asked.cache or Path(name)
        os.environ["BENCH_TASKS"] = str(own_card(Path(name)))
        variants: list[dict[str, Any]] = [{}]
        for text in asked.sets:
            key, _, values = text.partition("=")
            variants = [
                {**one, **dict([parse_set(f"{key}={value}")])}
                for one in variants
                for value in values.split(",")
            ]
        if not asked.validate:
            print("| task | features | score | ours | scikit-learn | ± | difference | holds | s | s |")
            print("|:--|:--|:--|--:|--:|--:|--:|:--|--:|--:|")
        held = True
        for sets in variants:
            for place in places(asked.tasks.split(","), asked.features.split(","), asked.seeds, cache, sets):
                if not asked.validate:
                    held &= compare(place)
                    continue
                began = time.process_time()
                answers, _, _ = ours(place, validate=True)
                scores = [
                    [get_kind(place.cells[0].kind).metrics.summary(pred)[metric] for pred in answers]
                    for metric in METRICS[place.cells[0].kind]
                ]
                loss = np.mean([log_loss(pred) for pred in answers])
                shown = " ".join(f"{np.mean(np.array(one, float)):.4f}" for one in scores)
                print(
                    f"{place.name:20} {place.features:32} {sets} {shown} loss {loss:.4f} "
                    f"{time.process_time() - began:.0f} s",
                    flush=True,
                )
    sys.exit(0 if held else 1)


def log_loss(pred: Predictions) -> float:
    """Return the mean negative logarithm of what was given to the truth."""
    scores, truth = np.clip(pred.scores.astype(np.float64), 1e-7, 1 - 1e-7), pred.truth
    if truth.ndim == 1 and scores.shape[1] > 1:
        return float(-np.log(scores[np.arange(len(truth)), truth]).mean())
    truth = truth.reshape(scores.shape)
    known = truth >= 0
    return float(-np.log(np.where(truth == 1, scores, 1 - scores))[known].mean())


if __name__ == "__main__":
    main()
