"""Baselines: numbers to compare with, and how to find them (`baselines/<task>/<name>.json`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError, unknown
from bench.spec import Value

if TYPE_CHECKING:
    import numpy as np

    from bench.spec import Predictions

FLAGS = {
    "test-selected": "a choice was made by looking at the test images",
    "leaked": "test images, or copies of them, were trained on",
    "different-data": "measured on data that cannot be had the same way",
    "different-protocol": "split, classes or scoring are not the task's",
    "not-reproducible": "the published number does not follow from what else is published",
    "imputed-test": "labels that were filled in, not observed, are scored as if they were the truth",
    "no-outside-data": "trained on nothing but the task's own data; pretrained weights have seen more",
}
"""What can be wrong with a baseline or with one number of it."""

NO_OUTSIDE_DATA = "no-outside-data"
"""The flag that forbids a verdict on those alone that had more to learn from."""

INCOMPARABLE = ("leaked", "different-data", "different-protocol", "not-reproducible", "imputed-test")
"""Flags that forbid a verdict: better or worse would be about something else than the models."""

CLASS_METRICS = (
    *("top1", "top5", "precision", "recall", "specificity", "gmean", "accuracy", "f1", "auc", "ap"),
)
"""What a published baseline can say of a class or an attribute: keys of the kinds' class columns."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Flag:
    """One thing to know before believing a number. name: key of FLAGS. why: a sentence."""

    name: str
    why: str


@dataclass(frozen=True)
class Number:
    """A published number, as precisely as it is known.

    hits of n: where it is a proportion whose counts are known (of ours, mean hits over seeds).
    low..high: the values it may have had,
    where only digits were printed (then `value` is what was printed); both equal `value` otherwise.
    printed: what the source says, where it differs from what its counts give, `note` may say why.
    """

    value: float
    low: float
    high: float
    hits: float | None = None
    n: int | None = None
    printed: float | None = None
    flags: tuple[Flag, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class PublishedResult:
    """What one published model reached on one stage.

    label: tells apart results of one baseline on one stage; may be empty.
    support: test images (of an attribute: observed ones) by class, without those of which it is not known.
    classes: class -> metric of a class -> number; see CLASS_METRICS.
    """

    stage: str
    label: str
    regime: str
    backbone: str
    method: str
    flags: tuple[Flag, ...]
    metrics: Mapping[str, Number]
    support: Mapping[str, int]
    classes: Mapping[str, Mapping[str, Number]]


@dataclass(frozen=True)
class PinnedStage:
    """What all pinned runs of a stage were scored on, items sorted by id.

    items: `sha256:<hex>` over classes, item ids and their true classes. packed_truth: see `bench.pin`.
    kind: of the task. known: of attributes, observed training cells of each. packed_people: of pairs of
    photos, the number of who is on the first and on the second, of so many people. packed_folds: the fold of
    each pair, of so many.
    """

    classes: tuple[str, ...]
    train_support: tuple[int, ...]
    items: str
    n: int
    packed_truth: str
    kind: str = "multiclass"
    known: tuple[int, ...] | None = None
    people: int = 0
    packed_people: tuple[str, str] = ("", "")
    folds: int = 0
    packed_folds: str = ""


@dataclass(frozen=True)
class PinnedRun:
    """One pinned cell: its id, its test metrics, and what it answered item by item (packed).

    With one class per item these are answers and top-5 hits; with many attributes, scores and their cuts; of
    pairs, scores and the cut of each pair.
    """

    cell: str
    metrics: Mapping[str, float | None]
    packed_answers: str = ""
    packed_top5: str | None = None
    packed_scores: str = ""
    cuts: tuple[float, ...] | None = None
    packed_cuts: str = ""


@dataclass(frozen=True)
class PinnedResult:
    """The pinned cells of one setting, by seed."""

    stage: str
    regime: str
    backbone: str
    weights: str
    method: str
    protocol: Mapping[str, Value]
    runs: Mapping[int, PinnedRun]


@dataclass(frozen=True)
class Pinned:
    """What a run of messybench left to be compared with, item by item."""

    task_version: int
    source: str
    fingerprint: str
    stages: Mapping[str, PinnedStage]
    results: tuple[PinnedResult, ...]

    def truth(self, stage: str) -> np.ndarray:
        """Return what is true of every item of a stage, items sorted by id; see `Predictions`."""
        from bench.pin import unpack, unpack_cells

        of = self.stages[stage]
        if of.kind != "multiclass":
            cells = unpack_cells(of.packed_truth, of.n, len(of.classes))
            return cells[:, 0] if of.kind == "verification" else cells
        return unpack(of.packed_truth, of.n, len(of.classes))

    def predictions(self, result: PinnedResult, seed: int) -> Predictions:
        """Return predictions with the answers and top-5 hits of a pinned run, items sorted by id.

        With one class per item the scores are made up to give these and nothing else, so ROC areas, log loss
        and calibration of them mean nothing; elsewhere they are the run's. Item ids are positions, and so are
        people.
        """
        import numpy as np

        from bench.pin import unpack, unpack_bits, unpack_scores
        from bench.spec import Predictions

        stage, run = self.stages[result.stage], result.runs[seed]
        truth, rows = self.truth(result.stage), np.arange(stage.n)
        if stage.kind == "verification":
            return self._pairs(stage, run, truth)
        if stage.kind != "multiclass":
            return Predictions(
                items=tuple(map(str, range(stage.n))),
                groups=None,
                truth=truth,
                scores=unpack_scores(run.packed_scores, stage.n, len(stage.classes)),
                classes=stage.classes,
                train_support=np.asarray(stage.train_support, np.int64),
                known=None if stage.known is None else np.asarray(stage.known, np.int64),
                cuts=None if run.cuts is None else np.asarray(run.cuts, np.float32),
            )
        answers = unpack(run.packed_answers, stage.n, len(stage.classes))
        scores = np.zeros((stage.n, len(stage.classes)), np.float32)
        if run.packed_top5 is not None:
            scores[rows, truth] = np.where(unpack_bits(run.packed_top5, stage.n), 1, -1)
        scores[rows, answers] = 2
        return Predictions(
            items=tuple(map(str, range(stage.n))),
            groups=None,
            truth=truth,
            scores=scores,
            classes=stage.classes,
            train_support=np.asarray(stage.train_support, np.int64),
        )

    def _pairs(self, stage: PinnedStage, run: PinnedRun, truth: np.ndarray) -> Predictions:
        import numpy as np

        from bench.pin import unpack, unpack_scores
        from bench.spec import PairFacts, Predictions

        first, second = (
            tuple(map(str, unpack(packed, stage.n, stage.people).tolist())) for packed in stage.packed_people
        )
        if [a == b for a, b in zip(first, second, strict=True)] != truth.astype(bool).tolist():
            raise BenchError("a pinned baseline is damaged: its people are not what is true; pin it again")
        return Predictions(
            items=tuple(map(str, range(stage.n))),
            groups=first,
            truth=truth,
            scores=unpack_scores(run.packed_scores, stage.n, 1),
            classes=stage.classes,
            train_support=np.asarray(stage.train_support, np.int64),
            known=None if stage.known is None else np.asarray(stage.known, np.int64),
            pairs=PairFacts(
                photos=tuple((f"{i}a", f"{i}b") for i in range(stage.n)),
                partners=second,
                folds=unpack(stage.packed_folds, stage.n, stage.folds),
                cuts=unpack_scores(run.packed_cuts, stage.n, 1)[:, 0],
            ),
        )


@dataclass(frozen=True)
class Baseline:
    """A named set of numbers with what is known about where they come from.

    type: `published` (then `published` holds results) or `pinned` (then `pinned` does).
    provenance: JSON-like; for published ones topic -> sentence.
    """

    name: str
    task: str
    type: str
    summary: str
    flags: tuple[Flag, ...]
    provenance: Mapping[str, Any]
    published: tuple[PublishedResult, ...] = ()
    pinned: Pinned | None = field(default=None, repr=False)


def check_name(name: str, what: str = "baseline") -> str:
    """Return the name if it can be a file's. Raises BenchError for a path, a blank, or an odd character."""
    if not _NAME.fullmatch(name) or ".." in name or name.endswith(".json"):
        raise BenchError(
            f"{what} name {name!r}: take at most 64 letters, digits, '-', '_' and '.', no path and no ending"
        )
    return name


def find_baselines(folders: Iterable[Path], task: str | None = None) -> dict[tuple[str, str], Path]:
    """Return the file of every (task, name) in the folders; what is found twice is the first folder's."""
    found: dict[tuple[str, str], Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/*.json")):
            if task is None or path.parent.name == task:
                found.setdefault((path.parent.name, path.stem), path)
    return found


def load_baseline(task: str, name: str, folders: Iterable[Path]) -> Baseline:
    """Return a baseline by name. Raises BenchError if there is none (nearest named) or it is faulty."""
    from bench.baseline_files import read_baseline

    found = {key[1]: path for key, path in find_baselines(folders, task).items()}
    if name not in found:
        raise unknown("baseline", name, found, f"task {task} has {', '.join(found) or 'none'}")
    return read_baseline(found[name])


def published_for(task: str, folders: Iterable[Path], problems: list[str] | None = None) -> Baseline | None:
    """Return the task's published baseline that a run can be compared with, the first by name, or None.

    problems: is given a line for each faulty file that is passed over. Without it such a file raises
    BenchError.
    """
    return next(
        (baseline for baseline in _published(task, folders, problems) if not _forbidding(baseline)), None
    )


def none_published(task: str, folders: Iterable[Path]) -> BenchError:
    """Build the error for a task without a published baseline to be judged against: what there is instead."""
    shown = [
        f"{baseline.name} ({', '.join(_forbidding(baseline))})" for baseline in _published(task, folders, [])
    ]
    if not shown:
        return BenchError(
            f"task {task!r} has no published baseline; name one with --baseline (bench list baselines)"
        )
    return BenchError(
        f"task {task!r}: of what is published nothing can be judged against: {', '.join(shown)}; "
        "--baseline NAME shows the numbers side by side all the same"
    )


def _published(task: str, folders: Iterable[Path], problems: list[str] | None) -> Iterator[Baseline]:
    from bench.baseline_files import read_baseline

    for path in find_baselines(folders, task).values():
        try:
            baseline = read_baseline(path)
        except BenchError as error:
            if problems is None:
                raise
            problems.append(str(error))
        else:
            if baseline.type == "published":
                yield baseline


def _forbidding(baseline: Baseline) -> list[str]:
    return [flag.name for flag in baseline.flags if flag.name in INCOMPARABLE]


def list_baselines(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Return a row for each baseline: task, baseline, type, flags, summary. A faulty file says so there."""
    from bench.baseline_files import read_baseline

    rows = []
    for (task, name), path in find_baselines(folders).items():
        try:
            baseline = read_baseline(path)
            rest = {"type": baseline.type, "summary": baseline.summary}
            rest["flags"] = ", ".join(flag.name for flag in baseline.flags)
        except BenchError as error:
            rest = {"type": "faulty", "summary": str(error), "flags": ""}
        rows.append({"task": task, "baseline": name, **rest})
    return rows
