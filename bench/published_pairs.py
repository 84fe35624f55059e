"""Our numbers of pairs of photos beside published ones: unpaired, people resampled on our side alone.

What is published of pairs is an accuracy of so many pairs, or its mean over folds with a standard error. The
first has Wilson's interval, which takes pairs for independent and so is rather too short; the second
Student's, of folds - 1 degrees of freedom, each fold having people of its own. Two of our own settings on
other pairs stand beside each other likewise, people resampled on both sides. The two sides' intervals are
added up in squares (Zou and Donner 2008, Statistics in Medicine 27:1693), of which Newcombe's is the case
with two of Wilson's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bench import stats
from bench.compare_runs import stored_rows
from bench.comparison import Comparison, defined, judged
from bench.stats import Interval

if TYPE_CHECKING:
    from bench.baselines import PublishedResult
    from bench.comparison import Setting

ACCURACY, ERROR = "accuracy", "accuracy_fold_se"


def pair_rows(
    template: Comparison, setting: Setting, result: PublishedResult, judge: bool
) -> Iterator[Comparison]:
    """Yield a row for each published metric of pairs, the accuracy with intervals; the verdict is left open.

    template: names both sides. judge: whether the difference is to have an interval. The standard error over
    folds is in the interval of the accuracy, and no row.
    """
    for name, number in result.metrics.items():
        if name == ERROR:
            continue
        ours, n = setting.mean(name), setting.size
        row = replace(template, metric=name, ours=ours, theirs=number.value, n_ours=n, n_theirs=number.n)
        if name == ACCURACY and ours is not None:
            row = _with_intervals(row, setting, result, judge)
        yield row


def _with_intervals(row: Comparison, setting: Setting, result: PublishedResult, judge: bool) -> Comparison:
    theirs, why = _theirs(result)
    row = replace(row, theirs_low=defined(theirs.low), theirs_high=defined(theirs.high), why=why)
    if not judge or None in (row.theirs_low, row.theirs_high):
        return row
    assert row.ours is not None and row.theirs is not None
    assert row.theirs_low is not None and row.theirs_high is not None
    other = Interval(row.theirs_low, row.theirs_high)
    gap = _squares(row.ours, setting.people_intervals[ACCURACY], row.theirs, other)
    return replace(row, low=defined(gap.low), high=defined(gap.high))


def _squares(ours: float, own: Interval, theirs: float, other: Interval) -> Interval:
    """Return the interval of ours - theirs of two sides that are apart, each with its interval."""
    gap = ours - theirs
    return Interval(
        gap - math.hypot(ours - own.low, other.high - theirs),
        gap + math.hypot(own.high - ours, theirs - other.low),
    )


def unpaired_rows(template: Comparison, ours: Setting, theirs: Setting, why: str) -> list[Comparison]:
    """Return a row for each metric of two of our settings that were scored on other pairs, judged.

    template: names both sides. why: what the rows say of that. People on both sides' pairs make the intervals
    rather too long, for then the two go up and down together.
    """
    rows = []
    for row in stored_rows(template, ours, theirs):
        own, other = (side.people_intervals[row.metric] for side in (ours, theirs))
        if row.ours is not None and row.theirs is not None:
            gap = _squares(row.ours, own, row.theirs, other)
            row = replace(row, low=defined(gap.low), high=defined(gap.high))
        rows.append(judged(replace(row, why=why)))
    return rows


def _theirs(result: PublishedResult) -> tuple[Interval, str]:
    """Return the interval of the published accuracy, undefined where nothing gives one, and what to know."""
    number, error = result.metrics[ACCURACY], result.metrics.get(ERROR)
    if error is not None and error.n and error.n > 1:
        half = error.high * math.sqrt(stats.student_factor(error.n - 1)) * stats.normal_quantile()
        return Interval(number.low - half, number.high + half), ""
    if number.n:
        ends = [stats.wilson(end * number.n, number.n) for end in (number.low, number.high)]
        return Interval(ends[0].low, ends[1].high), "their interval takes pairs for independent"
    return stats.UNDEFINED, ""
