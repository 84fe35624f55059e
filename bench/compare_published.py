"""Compares stored results with a published baseline: unpaired, from supports and hits alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench import stats
from bench.baselines import INCOMPARABLE as FORBIDDING
from bench.baselines import Baseline, Flag, Number, PublishedResult
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

_MACRO = {"top1_macro": "top1", "top5_macro": "top5"}


def compare_published(setting: Setting, baseline: Baseline, result: PublishedResult) -> list[Comparison]:
    """Return the metrics and the classes of one of our settings beside a published result of its stage.

    A verdict needs the same data and protocol, which the data decide: every class's test support is the
    published one, and the baseline has no flag that says otherwise. The published number has its Wilson
    interval, the difference Newcombe's; our hits are means over seeds.
    """
    against = " · ".join(
        part for part in (result.backbone, result.method, result.label) if part != "none" and part
    )
    template = replace(setting.row(baseline.name), against=against)
    mine = _OurClasses(setting)
    obstacle = _flagged(baseline.flags + result.flags) or _data_obstacle(mine.support, result.support)
    summary = [_summary_row(template, setting, mine, result, name, obstacle) for name in result.metrics]
    if not result.support:
        return summary
    names = [*result.support, *(name for name in mine.support if name not in result.support)]
    classes = [
        _class_row(template, mine, result, name, metric, obstacle)
        for name in names
        for metric in ("top1", "top5")
        if metric in result.classes.get(name, {}) or (name not in result.support and metric == "top1")
    ]
    return summary + judged_classes(classes)


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
        """Return the mean hits of a class, None where the metric is undefined (top-5 of five classes)."""
        values: list[Any] = [seed.get(name, {}).get(f"{metric}_hits") for seed in self.rows]
        return None if None in values else math.fsum(values) / len(values)


def _flagged(flags: tuple[Flag, ...]) -> str:
    return ", ".join(flag.name for flag in flags if flag.name in FORBIDDING)


def _data_obstacle(ours: Mapping[str, int], theirs: Mapping[str, int]) -> str:
    """Say why the test images cannot be the same, or nothing."""
    if not theirs:
        return "data: the baseline lists no classes"
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
    ours, n, published = (
        setting.mean(name),
        sum(mine.support.values()),
        sum(result.support.values()) or number.n,
    )
    row = replace(template, metric=name, ours=ours, theirs=number.value, n_ours=n, n_theirs=published)
    if name in _MACRO:
        row = _with_macro_intervals(row, mine, result, _MACRO[name])
    elif number.n:
        row = _with_intervals(row, number, None if ours is None else ours * n, n, number.n)
    return _finished(row, number, obstacle)


def _class_row(
    template: Comparison, mine: _OurClasses, result: PublishedResult, name: str, metric: str, obstacle: str
) -> Comparison:
    row = replace(template, metric=metric, class_name=name)
    hits, n, published = mine.hits(name, metric), mine.support.get(name), result.support.get(name)
    if n:
        row = replace(row, n_ours=n, ours=None if hits is None else hits / n)
    if not published:
        return replace(row, verdict=MISSING, why="class not in the baseline")
    number = result.classes[name][metric]
    row = _with_intervals(replace(row, theirs=number.value, n_theirs=published), number, hits, n, published)
    if not n:
        return replace(row, verdict=MISSING, why="class not scored by the run")
    return _finished(row, number, obstacle, judge=False)


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
