"""Compares stored results with a published baseline: unpaired, from supports and hits alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench import stats
from bench.baselines import CLASS_METRICS, NO_OUTSIDE_DATA, Baseline, Flag, Number, PublishedResult
from bench.baselines import INCOMPARABLE as FORBIDDING
from bench.comparison import (
    INCOMPARABLE,
    MISSING,
    Comparison,
    Setting,
    counted,
    defined,
    difference,
    judged,
    judged_classes,
)
from bench.kinds.base import PAIRS, get_kind

_MACRO = {"top1_macro": "top1", "top5_macro": "top5"}

SHARES = ("top1", "top5", "accuracy")
"""Metrics of a class that are hits among its test items, so that a count gives them an interval."""

_SUMMARY_SHARES = ("top1_micro", "top5_micro", "f1_micro", "recall_weighted", "exact_match")

OWN_WEIGHTS = {"random", "none"}
"""Weights that have seen no image but the task's."""


def compare_published(setting: Setting, baseline: Baseline, result: PublishedResult) -> list[Comparison]:
    """Return the metrics and the classes of one of our settings beside a published result of its stage.

    A verdict needs the same data and protocol, which the data decide: every class's test support is the
    published one, and the baseline has no flag that says otherwise. The published number has its Wilson
    interval, the difference Newcombe's; our hits are means over seeds. Of pairs of photos see
    `bench.published_pairs`.
    """
    against = " · ".join(
        part for part in (result.backbone, result.method, result.label) if part != "none" and part
    )
    template = replace(setting.row(baseline.name), against=against)
    flags = baseline.flags + result.flags
    obstacle = _flagged(flags) or _outside_data(flags, setting)
    if setting.kind == PAIRS:
        obstacle = obstacle or _pairs_obstacle(setting, result)
    else:
        obstacle = obstacle or _data_obstacle(_OurClasses(setting).support, result)
    return beside(setting, template, result, obstacle)


def beside(
    setting: Setting, template: Comparison, result: PublishedResult, obstacle: str
) -> list[Comparison]:
    """Return one of our settings beside numbers of other items: unpaired, from values and counts alone.

    template: names both sides. obstacle: why the two cannot be judged, or nothing.
    """
    mine = _OurClasses(setting)
    if setting.kind == PAIRS:
        from bench.published_pairs import pair_rows

        rows = pair_rows(template, setting, result, not obstacle)
        return [_finished(row, result.metrics[row.metric], obstacle) for row in rows]
    summary = [_summary_row(template, setting, mine, result, name, obstacle) for name in result.metrics]
    if not result.classes:
        return summary
    told = {key for numbers in result.classes.values() for key in numbers}
    keys = [key for key in CLASS_METRICS if key in told]
    names = [*result.classes, *(name for name in mine.support if name not in result.classes)]
    classes = [
        _class_row(template, mine, result, name, metric, obstacle)
        for name in names
        for metric in keys
        if metric in result.classes.get(name, {}) or (name not in result.classes and metric == keys[0])
    ]
    return summary + judged_classes(classes)


def as_published(setting: Setting, metrics: tuple[str, ...]) -> PublishedResult:
    """Return a setting's means over seeds as the numbers that `beside` stands another beside."""
    own = _OurClasses(setting)
    known = {name: value for name in metrics if (value := setting.mean(name)) is not None}
    n = setting.size
    classes: dict[str, dict[str, Number]] = {}
    for name, count in own.support.items():
        for key in CLASS_METRICS:
            hits, value = own.hits(name, key), own.value(name, key)
            if value is not None and (key in SHARES or setting.kind != "multiclass"):
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

    def __init__(self, setting: Setting) -> None:
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

        Of a metric that is no share of the class's items there are none.
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


def _flagged(flags: tuple[Flag, ...]) -> str:
    return ", ".join(flag.name for flag in flags if flag.name in FORBIDDING)


def _outside_data(flags: tuple[Flag, ...], setting: Setting) -> str:
    """Say that a backbone has seen more than the baseline's data, or nothing."""
    if {flag.name for flag in flags} >= {NO_OUTSIDE_DATA} and {*setting.weights.split("+")} - OWN_WEIGHTS:
        return f"{NO_OUTSIDE_DATA}: ours has {setting.weights} weights"
    return ""


def _pairs_obstacle(setting: Setting, result: PublishedResult) -> str:
    """Say why the test pairs cannot be the same, or nothing."""
    published = {number.n for name, number in result.metrics.items() if name == "accuracy"} - {None}
    if not published:
        return "data: the baseline does not tell how many pairs it scored"
    n = setting.size
    return "" if published == {n} else f"data: {n:,} pairs, published {next(iter(published)):,}"


def _data_obstacle(ours: Mapping[str, int], result: PublishedResult) -> str:
    """Say why the test images cannot be the same, or nothing."""
    theirs = result.support
    if not theirs:
        told = "how many items it scored" if result.classes else "what it scored, class by class"
        return f"data: the baseline does not tell {told}"
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


def _summary_row(
    template: Comparison,
    setting: Setting,
    mine: _OurClasses,
    result: PublishedResult,
    name: str,
    obstacle: str,
) -> Comparison:
    number = result.metrics[name]
    ours, n = setting.mean(name), setting.size
    published = number.n if setting.kind != "multiclass" else sum(result.support.values()) or number.n
    row = replace(template, metric=name, ours=ours, theirs=number.value, n_ours=n, n_theirs=published)
    if name in _MACRO:
        row = _with_macro_intervals(row, mine, result, _MACRO[name])
    elif number.n and (name in _SUMMARY_SHARES or setting.kind == "multiclass"):
        row = _with_intervals(row, number, None if ours is None else ours * n, n, number.n)
    return _finished(row, number, obstacle)


def _class_row(
    template: Comparison, mine: _OurClasses, result: PublishedResult, name: str, metric: str, obstacle: str
) -> Comparison:
    row = replace(template, metric=metric, class_name=name)
    hits, n, published = mine.hits(name, metric), mine.support.get(name), result.support.get(name)
    if n:
        row = replace(row, n_ours=n, ours=mine.value(name, metric))
    if name not in result.classes:
        return replace(row, verdict=MISSING, why=f"{_noun(template)} not in the baseline")
    number = result.classes[name][metric]
    row = replace(row, theirs=number.value, n_theirs=published or number.n)
    if metric in SHARES and (counts := published or number.n):
        row = _with_intervals(row, number, hits, n, counts)
    if not n:
        return replace(row, verdict=MISSING, why=f"{_noun(template)} not scored by the run")
    return _finished(row, number, obstacle, judge=False)


def _noun(row: Comparison) -> str:
    return get_kind(row.kind).class_columns[0].title


def _with_intervals(
    row: Comparison, number: Number, hits: float | None, n: int | None, published: int
) -> Comparison:
    """Add the published number's Wilson interval, and Newcombe's of the difference where we have hits.

    Where only digits were printed, the intervals hold for every value that prints so, and p is of the one
    nearest to ours.
    """
    low, high = number.low * published, number.high * published
    row = replace(
        row, theirs_low=stats.wilson(low, published).low, theirs_high=stats.wilson(high, published).high
    )
    if hits is None or not n:
        return row
    ends = stats.newcombe(hits, n, high, published).low, stats.newcombe(hits, n, low, published).high
    row = replace(row, low=ends[0], high=ends[1])
    nearest = min(max(hits / n * published, low), high)
    why = "published digits only" if low < high else ""
    return replace(row, p=defined(stats.score_test(hits, n, nearest, published)), why=why)


def _with_macro_intervals(
    row: Comparison, mine: _OurClasses, result: PublishedResult, metric: str
) -> Comparison:
    """Add intervals of the published mean over classes and of its difference, if all hits are known."""
    theirs = [numbers[metric].hits if metric in numbers else None for numbers in result.classes.values()]
    ours = [mine.hits(name, metric) for name in mine.support]
    known, ours_known = (
        [hits for hits in theirs if hits is not None],
        [hits for hits in ours if hits is not None],
    )
    supports = list(result.support.values()), list(mine.support.values())
    if not known or len(known) < len(theirs):
        return row
    own = stats.macro_interval(known, supports[0])
    row = replace(row, theirs_low=own.low, theirs_high=own.high)
    if len(ours_known) < len(ours) or len(ours) != len(known):
        return row
    gap = stats.macro_difference(ours_known, supports[1], known, supports[0])
    return replace(row, low=gap.low, high=gap.high)


def _finished(row: Comparison, number: Number, obstacle: str, judge: bool = True) -> Comparison:
    """Finish a row: a difference always; interval, p and verdict where nothing stands in the way."""
    row = replace(row, difference=difference(row.ours, row.theirs))
    if reason := _flagged(number.flags) or obstacle:
        return replace(row, low=None, high=None, p=None, verdict=INCOMPARABLE, why=reason)
    return judged(row) if judge else row
