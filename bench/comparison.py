"""One row of a comparison, our cells grouped into settings, and how a verdict is reached."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from bench.kinds.base import get_kind
from bench.metrics.registry import METRICS
from bench.pin import StoredCell
from bench.report import settings as reported
from bench.spec import Value
from bench.stats import Interval, benjamini_hochberg, nested_interval

BETTER, WORSE, SAME = "better", "worse", "same"
INCOMPARABLE, MISSING = "not comparable", "missing"
VERDICTS = (BETTER, WORSE, SAME, INCOMPARABLE, MISSING)

FEW_ITEMS = 10
"""A class with fewer test images is too small to call: its interval is nearly the whole range."""

ALPHA = 0.05

DRAWS = 2000
"""Resamples of the people on our side, where the other side is published."""

_TITLES = {
    "top1_micro": "micro top-1",
    "top1_macro": "macro top-1",
    "top5_micro": "micro top-5",
    "top5_macro": "macro top-5",
}


@dataclass(frozen=True)
class Comparison:
    """One number of ours beside the baseline's.

    metric: a registered metric, or one of the class `class_name`: a key of the kind's class columns, `top1`,
    `f1`, ... kind: of the task. setting: what tells ours from others of the same name.
    seeds: ours, of whose values `ours` is the mean. against: which of the baseline's results,
    where it has several for the stage. theirs_low..theirs_high: interval of the baseline's own number.
    low..high: of the difference ours - theirs. p: of no difference; q: the same among all classes
    (Benjamini-Hochberg).
    n_ours, n_theirs: test images. None stands for what does not exist or is undefined.
    verdict: one of VERDICTS, or None where there is a difference but no ground to judge it; why: says so,
    or what stands in the way.
    """

    task: str
    baseline: str
    stage: str
    metric: str
    backbone: str
    method: str
    verdict: str | None
    why: str = ""
    class_name: str | None = None
    regime: str = ""
    setting: str = ""
    seeds: tuple[int, ...] = ()
    against: str = ""
    ours: float | None = None
    theirs: float | None = None
    theirs_low: float | None = None
    theirs_high: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None
    n_ours: int | None = None
    n_theirs: int | None = None
    kind: str = "multiclass"

    @property
    def what(self) -> str:
        """What is compared, in words."""
        if self.class_name is None:
            return _TITLES.get(self.metric) or METRICS[self.metric].title
        columns = get_kind(self.kind).class_columns
        title = next((column.title for column in columns if column.key == self.metric), self.metric)
        return f"{columns[0].title} {self.class_name} {title}"

    @property
    def size(self) -> int:
        """Test images behind the number, of whichever side has more."""
        return max(self.n_ours or 0, self.n_theirs or 0)


@dataclass(frozen=True)
class Setting:
    """Measured cells that differ in nothing but the seed, by seed in rising order.

    kind: of the task. differs: the values that tell it from others of its name, "epochs=5"; mostly empty.
    """

    task: str
    task_version: int
    kind: str
    stage: str
    regime: str
    backbone: str
    weights: str
    method: str
    protocol: Mapping[str, Value]
    source: str
    fingerprint: str
    differs: str
    cells: Mapping[int, StoredCell]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, rising."""
        return tuple(self.cells)

    def row(self, baseline: str) -> Comparison:
        """Return a row that names this setting and the baseline, on `headline`, without numbers."""
        return Comparison(
            task=self.task,
            kind=self.kind,
            baseline=baseline,
            stage=self.stage,
            metric=self.headline,
            backbone=self.backbone,
            method=self.method,
            regime=self.regime,
            setting=self.differs,
            seeds=self.seeds,
            verdict=None,
        )

    @property
    def headline(self) -> str:
        """The metric that tells most."""
        return get_kind(self.kind).headline[0]

    @property
    def size(self) -> int:
        """Test items of the first seed."""
        first = self.results()[0]
        n = first["metrics"].get("test", {}).get("n")
        return int(sum(row["test_support"] for row in first["per_class"]) if n is None else n)

    def results(self) -> list[Mapping[str, Any]]:
        """Return the record of every cell."""
        return [cell.result for cell in self.cells.values()]

    @cached_property
    def people_intervals(self) -> Mapping[str, Interval]:
        """The nested seed + people bootstrap interval of each metric of pairs of photos."""
        from bench.paired_photos import draw_values

        drawn = draw_values([cell.predictions("test") for cell in self.cells.values()], DRAWS, 0)
        return {name: nested_interval(values, 1) for name, values in drawn.items()}

    def mean(self, metric: str) -> float | None:
        """Return the mean test metric over seeds, None if it is undefined for one of them."""
        values = [result["metrics"].get("test", {}).get(metric) for result in self.results()]
        return None if None in values else math.fsum(values) / len(values)


def settings_of(cells: Iterable[StoredCell], task: str) -> list[Setting]:
    """Group a task's measured cells, keeping the order in which settings first appear."""
    by_id = {
        cell.result["id"]: cell
        for cell in cells
        if cell.result["cell"]["task"] == task and cell.result["status"] == "ok"
    }
    out = []
    for group in reported.settings_of([cell.result for cell in by_id.values()]):
        identity = group.cell
        same = ("task", "task_version", "kind", "stage", "regime", "backbone", "weights", "protocol")
        by_seed = sorted((int(record["cell"]["seed"]), str(record["id"])) for record in group.records)
        setting = Setting(
            **{name: identity[name] for name in same},
            method=identity["method_text"],
            source=identity["data"]["source"],
            fingerprint=identity["data"]["fingerprint"],
            differs=group.differs,
            cells={seed: by_id[key] for seed, key in by_seed},
        )
        out.append(setting)
    return out


def difference(ours: float | None, theirs: float | None) -> float | None:
    """Return ours - theirs, None if either is undefined."""
    return None if ours is None or theirs is None else ours - theirs


def defined(value: float) -> float | None:
    """Return the value, None for NaN."""
    return None if math.isnan(value) else value


def judged(row: Comparison) -> Comparison:
    """Return the row with the verdict its interval and p allow; one that has a verdict keeps it.

    Better or worse needs an interval of the difference without 0 and, where there is a p, p <= .05 too
    (of a class: q, among all classes); a class of fewer than FEW_ITEMS test images is not called.
    """
    if row.verdict is not None:
        return row
    if row.class_name is not None and (small := min(row.n_ours or 0, row.n_theirs or 0)) < FEW_ITEMS:
        return replace(
            row, verdict=None, why=_joined(row.why, f"too small to call: {counted(small, 'test image')}")
        )
    if row.low is None or row.high is None:
        return replace(row, verdict=None, why=row.why or "no interval")
    chance = row.q if row.class_name is not None else row.p
    if row.low <= 0 <= row.high or (chance is not None and chance > ALPHA):
        return replace(row, verdict=SAME)
    metric = METRICS.get(row.metric)
    up = metric is None or metric.direction == "higher"
    return replace(row, verdict=BETTER if (row.low > 0) == up else WORSE)


def judged_classes(rows: Sequence[Comparison]) -> list[Comparison]:
    """Return class rows of one setting with q-values and verdicts; rows that have a verdict keep it.

    The tests counted together are those of one metric over the classes large enough to call.
    """
    out = list(rows)
    for metric in dict.fromkeys(row.metric for row in rows):
        open_rows = [i for i, row in enumerate(rows) if row.metric == metric and row.verdict is None]
        tested = [i for i in open_rows if min(rows[i].n_ours or 0, rows[i].n_theirs or 0) >= FEW_ITEMS]
        for i, q in zip(tested, benjamini_hochberg([rows[i].p for i in tested]), strict=True):
            out[i] = replace(out[i], q=q)
        for i in open_rows:
            out[i] = judged(out[i])
    return out


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "seed"), counted(5312, "test image"), counted(2, "class")
    ('1 seed', '5,312 test images', '2 classes')
    """
    plural = "es" if noun.endswith("s") else "s"
    return f"{n:,} {noun}{'' if n == 1 else plural}"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
