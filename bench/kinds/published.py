"""Unpaired comparison of classes and attributes with published numbers, from supports and hits."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from bench.compare.baselines.types import CLASS_METRICS, Number, PublishedResult
from bench.compare.published import beside_number
from bench.compare.side import Side
from bench.compare.verdict import MISSING, Difference, Measurement
from bench.core.kind import get_kind
from bench.core.plural import counted
from bench.metrics import intervals
from bench.metrics.registry import METRICS, compared

_MACRO = {"top1_macro": "top1", "top5_macro": "top5"}

SHARES = ("top1", "top5", "accuracy")
"""Metrics of a class that are hits among its test items, so that a count gives them an interval."""

_SUMMARY_SHARES = ("top1_micro", "top5_micro", "f1_micro", "recall_weighted", "exact_match")


def obstacle(setting: Side, result: PublishedResult) -> str:
    """See `Published`: every class's test support is to be the published one."""
    ours, theirs = _OurClasses(setting).support, result.support
    if not theirs:
        unknown = "how many items it scored" if result.classes else "what it scored, class by class"
        return f"data: the baseline does not state {unknown}"
    if ours == theirs:
        return ""
    total, published = sum(ours.values()), sum(theirs.values())
    if total != published:
        return f"data: {total:,} of {published:,} test images"
    differing = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    name = differing[0]
    return (
        f"data: {counted(len(differing), 'class')} with other test support "
        f"({name}: {ours.get(name, 0):,}, published {theirs.get(name, 0):,})"
    )


def rows(setting: Side, result: PublishedResult, obstacle: str) -> list[Measurement]:
    """See `Published`.

    The published number has its Wilson interval, the difference Newcombe's; our hits are means over seeds.
    """
    mine = _OurClasses(setting)
    summary = [_summary_row(setting, mine, result, name, obstacle) for name in result.metrics]
    shown = {key for numbers in result.classes.values() for key in numbers}
    keys = [key for key in CLASS_METRICS if key in shown]
    names = [*result.classes, *(name for name in mine.support if name not in result.classes)]
    noun = get_kind(setting.kind).columns.classes[0].title
    classes = [
        _class_row(noun, mine, result, name, metric, obstacle)
        for name in names
        for metric in keys
        if metric in result.classes.get(name, {}) or (name not in result.classes and metric == keys[0])
    ]
    return summary + classes


def unpaired(ours: Side, theirs: Side, metrics: Collection[str]) -> list[Measurement]:
    """See `Published`: a difference of two samples."""
    return rows(ours, _as_published(theirs, compared(theirs.kind, metrics)), "")


def _as_published(setting: Side, metrics: tuple[str, ...]) -> PublishedResult:
    """Return a setting's means over seeds as the numbers that `rows` stands another beside."""
    own, kind = _OurClasses(setting), get_kind(setting.kind)
    known = {name: value for name in metrics if (value := setting.mean(name)) is not None}
    n = setting.size
    classes: dict[str, dict[str, Number]] = {}
    for name, count in own.support.items():
        for key in CLASS_METRICS:
            hits, value = own.hits(name, key), own.value(name, key)
            if value is not None and (key in SHARES or not kind.label_column):
                classes.setdefault(name, {})[key] = Number(value, value, value, hits, count)
    return PublishedResult(
        stage=setting.stage,
        label=setting.differs,
        regime=setting.regime,
        backbone=setting.backbone,
        method=setting.method,
        flags=(),
        metrics={
            name: Number(value, value, value, n=n if name in _SUMMARY_SHARES else None)
            for name, value in known.items()
        },
        support=own.support,
        classes=classes,
    )


class _OurClasses:
    """Supports and mean hits over seeds of the classes that have test images."""

    def __init__(self, setting: Side) -> None:
        rows = [{row["class"]: row for row in result["per_class"]} for result in setting.results()]
        self.rows = rows
        self.support: dict[str, int] = {
            name: row["test_support"]
            for name, row in rows[0].items()
            if row["test_support"]
            and all(other.get(name, {}).get("test_support") == row["test_support"] for other in rows)
        }

    def hits(self, name: str, metric: str) -> float | None:
        """Return the mean hits of a class, None where the metric is undefined (top-5 of five classes).

        None, too, for a metric that is not a share of the class's items.
        """
        keys = ("tp", "tn") if metric == "accuracy" else (f"{metric}_hits",)
        values: list[Any] = [row.get(key) for row in self._rows(name) for key in keys]
        return None if None in values else math.fsum(values) / len(self.rows)

    def value(self, name: str, metric: str) -> float | None:
        """Return the mean of a metric of a class, None where it is undefined."""
        hits, n = self.hits(name, metric), self.support.get(name)
        if hits is not None and n:
            return hits / n
        values: list[Any] = [row.get(metric) for row in self._rows(name)]
        return None if None in values else math.fsum(values) / len(values)

    def _rows(self, name: str) -> list[Mapping[str, Any]]:
        return [seed.get(name, {}) for seed in self.rows]


def _summary_row(
    setting: Side, mine: _OurClasses, result: PublishedResult, name: str, obstacle: str
) -> Measurement:
    number = result.metrics[name]
    ours, n, tests, why = setting.mean(name), setting.size, dict[str, float | None](), ""
    # Where each item has one class, the classes' items are all items, and a metric from 0 to 1 is a share.
    one, info = get_kind(setting.kind).label_column, METRICS[name]
    share = name in _SUMMARY_SHARES or (one and (info.low, info.high) == (0.0, 1.0))
    published = (sum(result.support.values()) if one else 0) or number.n
    if name in _MACRO:
        tests = _macro_intervals(mine, result, _MACRO[name])
    elif number.n and share:
        tests, why = _intervals(number, None if ours is None else ours * n, n, number.n)
    gap = Difference(ours, number.value, n, published, **tests)
    return beside_number(name, None, gap, number, obstacle, why)


def _class_row(
    noun: str, mine: _OurClasses, result: PublishedResult, name: str, metric: str, obstacle: str
) -> Measurement:
    n = mine.support.get(name)
    ours = mine.value(name, metric) if n else None
    if name not in result.classes:
        gap = Difference(ours, n_ours=n)
        return Measurement(metric, name, gap, MISSING, f"{noun} not in the baseline")
    number, tests, why = result.classes[name][metric], dict[str, float | None](), ""
    published = result.support.get(name) or number.n
    if metric in SHARES and published:
        tests, why = _intervals(number, mine.hits(name, metric), n, published)
    gap = Difference(ours, number.value, n, published, **tests)
    if not n:
        return Measurement(metric, name, gap, MISSING, f"{noun} not scored by the run")
    return beside_number(metric, name, gap, number, obstacle, why)


def _intervals(
    number: Number, hits: float | None, n: int | None, published: int
) -> tuple[dict[str, float | None], str]:
    """Return the published number's Wilson interval, and Newcombe's of the difference where we have hits.

    Where only digits were printed, the intervals hold for every value that prints so, and p is of the one
    nearest to ours; a note says so.
    """
    low, high = number.low * published, number.high * published
    theirs: dict[str, float | None] = {
        "theirs_low": intervals.wilson(low, published).low,
        "theirs_high": intervals.wilson(high, published).high,
    }
    if hits is None or not n:
        return theirs, ""
    nearest = min(max(hits / n * published, low), high)
    gap = {
        "low": intervals.newcombe(hits, n, high, published).low,
        "high": intervals.newcombe(hits, n, low, published).high,
        "p": intervals.defined(intervals.score_test(hits, n, nearest, published)),
    }
    return theirs | gap, "published digits only" if low < high else ""


def _macro_intervals(mine: _OurClasses, result: PublishedResult, metric: str) -> dict[str, float | None]:
    """Return intervals of the published mean over classes and of its difference, if all hits are known."""
    theirs = [numbers[metric].hits if metric in numbers else None for numbers in result.classes.values()]
    ours = [mine.hits(name, metric) for name in mine.support]
    known, ours_known = (
        [hits for hits in theirs if hits is not None],
        [hits for hits in ours if hits is not None],
    )
    supports = list(result.support.values()), list(mine.support.values())
    if not known or len(known) < len(theirs):
        return {}
    own = intervals.macro_interval(known, supports[0])
    out: dict[str, float | None] = {"theirs_low": own.low, "theirs_high": own.high}
    if len(ours_known) < len(ours) or len(ours) != len(known):
        return out
    gap = intervals.macro_difference(ours_known, supports[1], known, supports[0])
    return out | {"low": gap.low, "high": gap.high}
