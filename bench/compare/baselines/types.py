"""Baselines: numbers to compare with, and how to find them (`baselines/<task>/<name>.json`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.compare.baselines.pinning import PinnedRun, PinnedStage, pinning_of
from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.core.kind import KINDS, get_kind
from bench.metrics.registry import METRICS

if TYPE_CHECKING:
    import numpy as np

    from bench.core.predictions import Predictions


FORMAT_VERSION = 1
"""Version of baseline files; files with a higher one are refused."""


FLAGS = {
    "test-selected": "a choice was made by looking at the test images",
    "leaked": "test images, or copies of them, were trained on",
    "different-data": "measured on data that cannot be obtained in the same form",
    "different-protocol": "split, classes or scoring are not the task's",
    "not-reproducible": "the published number does not follow from the other published numbers",
    "imputed-test": "imputed labels are scored as if they were observed",
}
"""Faults of a baseline, or of one number in it."""

INCOMPARABLE = ("leaked", "different-data", "different-protocol", "not-reproducible", "imputed-test")
"""Flags that forbid a verdict, because a difference would not be due to the models."""

CLASS_METRICS = (
    *("top1", "top5", "precision", "recall", "specificity", "gmean", "accuracy", "f1", "auc", "ap"),
)
"""Metrics of a class or an attribute in a published baseline: keys of the kinds' class columns."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Flag:
    """A caveat of a number. name: key of FLAGS. why: a sentence."""

    name: str
    why: str


def forbidding(flags: Iterable[Flag]) -> str:
    """Return the names of the flags that forbid a verdict, "" if there are none."""
    return ", ".join(dict.fromkeys(flag.name for flag in flags if flag.name in INCOMPARABLE))


@dataclass(frozen=True)
class Number:
    """A published number, as precisely as it is known.

    hits, n: counts of a proportion, if known (for our runs, mean hits over seeds). low..high: the range of
    values that round to the printed digits, if only those are known (then `value` is the printed one); both
    equal `value` otherwise. printed: the source's number, if its counts give another one; `note` may explain
    why.
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
    """The numbers of one published model on one stage.

    label: distinguishes the results of one baseline on one stage; may be empty. support: test images (for an
    attribute, observed ones) by class, if known. classes: class -> metric of a class -> number; see
    CLASS_METRICS. conditions: those stated by the file or the result; see `bench.compare.conditions`.
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
    conditions: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The kind of task: the first one that has all these metrics, of stages and of classes."""
        keys_used = {key for numbers in self.classes.values() for key in numbers}

        def has(kind: str) -> bool:
            keys = {column.key for column in get_kind(kind).columns.classes}
            return keys_used <= keys and all(kind in METRICS[name].kinds for name in self.metrics)

        if (found := next(filter(has, KINDS), None)) is None:
            raise BenchError(f"a published result of stage {self.stage} has metrics of several kinds of task")
        return found


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
    """A pinned run of messybench, to compare with item by item."""

    task_version: int
    source: str
    fingerprint: str
    stages: Mapping[str, PinnedStage]
    results: tuple[PinnedResult, ...]

    def truth(self, stage: str) -> np.ndarray:
        """Return the truth of every item of a stage, sorted by id; see `Predictions`."""
        return pinning_of(self.stages[stage].kind).truth(self.stages[stage])

    def predictions(self, result: PinnedResult, seed: int) -> Predictions:
        """Return the predictions of a pinned run, as far as `Pinning` stores them, items sorted by id.

        Item ids are replaced by their positions in that order.
        """
        import numpy as np

        from bench.core.predictions import Predictions

        stage = self.stages[result.stage]
        answers = pinning_of(stage.kind).answers(stage, result.runs[seed])
        return Predictions(
            items=tuple(f"{i:09d}" for i in range(stage.n)),
            truth=self.truth(result.stage),
            classes=stage.classes,
            train_support=np.asarray(stage.train_support, np.int64),
            **{"groups": None, **answers},
        )


@dataclass(frozen=True)
class Baseline:
    """A named set of numbers with their provenance.

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
    """Return the name if it is valid for a file.

    Raises BenchError for a path, a blank or a special character.
    """
    if not _NAME.fullmatch(name) or ".." in name or name.endswith(".json"):
        raise BenchError(
            f"{what} name {name!r}: take at most 64 letters, digits, '-', '_' and '.', no path and no ending"
        )
    return name
