"""Unpaired comparison of pairs of photos with published numbers, people resampled on our side only.

Published numbers are an accuracy over pairs, or its mean over folds with a standard error. The first has
Wilson's interval, which assumes independent pairs and so is rather too short; the second Student's, with
folds - 1 degrees of freedom, as each fold has its own people. Two of our settings on different pairs are
compared likewise, people resampled on both sides. The squares of both sides' interval lengths are added (Zou
and Donner 2008, Statistics in Medicine 27:1693); Newcombe's interval is the case of two Wilson intervals.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.compare.estimates import Contrast
from bench.compare.paired import stored_differences
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.published import beside_number
from bench.compare.verdict import Difference, Measurement
from bench.metrics import intervals
from bench.metrics.intervals import Interval

if TYPE_CHECKING:
    from bench.compare.baselines.types import PublishedResult
    from bench.compare.side import Side

ACCURACY, ERROR = "accuracy", "accuracy_fold_se"


def obstacle(setting: Side, result: PublishedResult) -> str:
    """See `Published`: the numbers of pairs must be equal."""
    published = {number.n for name, number in result.metrics.items() if name == "accuracy"} - {None}
    if not published:
        return "data: the baseline does not state how many pairs it scored"
    n = setting.size
    return "" if published == {n} else f"data: {n:,} pairs, published {next(iter(published)):,}"


def rows(setting: Side, result: PublishedResult, obstacle: str) -> list[Measurement]:
    """See `Published`: the accuracy has intervals.

    The standard error over folds is in the interval of the accuracy, and no row.
    """
    out = []
    for name, number in result.metrics.items():
        if name == ERROR:
            continue
        ours, n, tests, why = setting.mean(name), setting.size, dict[str, float | None](), ""
        if name == ACCURACY and ours is not None:
            tests, why = _intervals(ours, setting, result, not obstacle)
        gap = Difference(ours, number.value, n, number.n, **tests)
        out.append(beside_number(name, None, gap, number, obstacle, why))
    return out


def _intervals(
    ours: float, setting: Side, result: PublishedResult, judged: bool
) -> tuple[dict[str, float | None], str]:
    """Return the interval of the published accuracy, that of the difference where it is judged, and why."""
    theirs, why = _theirs(result)
    ends = {"theirs_low": intervals.defined(theirs.low), "theirs_high": intervals.defined(theirs.high)}
    if not judged or None in ends.values():
        return ends, why
    gap = _squares(ours, own_interval(setting, ACCURACY), result.metrics[ACCURACY].value, theirs)
    return ends | {"low": intervals.defined(gap.low), "high": intervals.defined(gap.high)}, why


def _squares(ours: float, own: Interval, theirs: float, other: Interval) -> Interval:
    """Return the interval of ours - theirs of two sides that are apart, each with its interval."""
    gap = ours - theirs
    return Interval(
        gap - math.hypot(ours - own.low, other.high - theirs),
        gap + math.hypot(own.high - ours, theirs - other.low),
    )


def unpaired(ours: Side, theirs: Side, metrics: Collection[str]) -> list[Measurement]:
    """See `Published`.

    People on both sides' pairs make the intervals rather too long, for then the two go up and down together.
    """
    out = []
    for metric, gap in stored_differences(ours, theirs, metrics):
        if gap.ours is not None and gap.theirs is not None:
            own, other = (own_interval(setting, metric) for setting in (ours, theirs))
            low, high = map(intervals.defined, _squares(gap.ours, own, gap.theirs, other))
            gap = replace(gap, low=low, high=high)
        out.append(Measurement(metric, None, gap))
    return out


def own_interval(setting: Side, metric: str) -> Interval:
    """Return the interval of a metric of a setting, people and seeds resampled."""
    predictions = {str(seed): cell.predictions("test") for seed, cell in setting.cells.items()}
    drawn = PairedBootstrap.of(setting.kind, predictions, [metric])
    found = drawn.estimate(metric, Contrast.mean(predictions))
    if found is None or found.low is None or found.high is None:
        return intervals.UNDEFINED
    return Interval(found.low, found.high)


def _theirs(result: PublishedResult) -> tuple[Interval, str]:
    """Return the interval of the published accuracy, undefined where nothing gives one, and what to know."""
    number, error = result.metrics[ACCURACY], result.metrics.get(ERROR)
    if error is not None and error.n and error.n > 1:
        half = error.high * intervals.student_quantile(error.n - 1)
        return Interval(number.low - half, number.high + half), ""
    if number.n:
        ends = [intervals.wilson(end * number.n, number.n) for end in (number.low, number.high)]
        return Interval(ends[0].low, ends[1].high), "their interval takes pairs for independent"
    return intervals.UNDEFINED, ""
