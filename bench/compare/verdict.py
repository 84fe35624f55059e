"""Comparison of two sides in one metric, and its verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.core.kind import get_kind
from bench.core.plural import counted
from bench.metrics.intervals import benjamini_hochberg
from bench.metrics.registry import METRICS

BETTER, WORSE, SAME = "better", "worse", "same"
INCOMPARABLE, MISSING = "not comparable", "missing"
VERDICTS = (BETTER, WORSE, SAME, INCOMPARABLE, MISSING)

FEW_ITEMS = 10
"""A class with fewer test images is too small to judge: its interval is nearly the whole range."""

ALPHA = 0.05

_TITLES = {
    "top1_micro": "micro top-1",
    "top1_macro": "macro top-1",
    "top5_micro": "micro top-5",
    "top5_macro": "macro top-5",
}


@dataclass(frozen=True)
class Sides:
    """Our setting and the other side of a comparison.

    kind: of the task. setting: values that distinguish ours from others of the same name. seeds: ours,
    averaged. against: the baseline's result, if it has several for the stage.
    """

    task: str
    kind: str
    baseline: str
    stage: str
    backbone: str = ""
    method: str = ""
    regime: str = ""
    setting: str = ""
    seeds: tuple[int, ...] = ()
    against: str = ""


@dataclass(frozen=True)
class Difference:
    """Our number, theirs, and their difference; None if undefined.

    theirs_low..theirs_high: interval of their number. low..high: interval of ours - theirs. p: under no
    difference. n_ours, n_theirs: test images.
    """

    ours: float | None = None
    theirs: float | None = None
    n_ours: int | None = None
    n_theirs: int | None = None
    theirs_low: float | None = None
    theirs_high: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def value(self) -> float | None:
        """Ours - theirs."""
        return None if self.ours is None or self.theirs is None else self.ours - self.theirs

    @property
    def swapped(self) -> Difference:
        """The difference with its sides exchanged, without `theirs_low` and `theirs_high`."""
        return Difference(
            ours=self.theirs,
            theirs=self.ours,
            n_ours=self.n_theirs,
            n_theirs=self.n_ours,
            low=None if self.high is None else -self.high,
            high=None if self.low is None else -self.low,
            p=self.p,
        )


@dataclass(frozen=True)
class Verdict:
    """Verdict on a difference.

    name: one of VERDICTS, or None for a difference that cannot be judged. why: the reason. q: p among all
    classes (Benjamini-Hochberg). comparable_run: the command of a comparable run, if there is one; see
    `bench.compare.conditions`.
    """

    name: str | None
    why: str = ""
    q: float | None = None
    comparable_run: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two sides in one metric.

    metric: a registered one, or one of the class `class_name`: a key of the kind's class columns, `top1`,
    `f1`, ...
    """

    sides: Sides
    metric: str
    class_name: str | None
    difference: Difference
    verdict: Verdict

    @property
    def what(self) -> str:
        """Name of the compared number."""
        if self.class_name is None:
            return _TITLES.get(self.metric) or METRICS[self.metric].title
        columns = get_kind(self.sides.kind).columns.classes
        title = next((column.title for column in columns if column.key == self.metric), self.metric)
        return f"{columns[0].title} {self.class_name} {title}"

    @property
    def size(self) -> int:
        """Number of test images, of the side with more."""
        return max(self.difference.n_ours or 0, self.difference.n_theirs or 0)


class Measurement(NamedTuple):
    """A difference in one metric before it is judged.

    verdict: set if it needs no test. why: the reason, or a remark on the interval.
    """

    metric: str
    class_name: str | None
    difference: Difference
    verdict: str | None = None
    why: str = ""

    @property
    def fewest(self) -> int:
        """Number of test images, of the side with fewer."""
        return min(self.difference.n_ours or 0, self.difference.n_theirs or 0)


def missing(sides: Sides, metric: str, found: Difference, why: str) -> Comparison:
    """Return the row of a number that only one side has."""
    return Comparison(sides, metric, None, found, Verdict(MISSING, why))


def judge(sides: Sides, rows: Iterable[Measurement], comparable_run: str = "") -> list[Comparison]:
    """Return the rows with their verdicts; one that has a verdict keeps it.

    Better or worse needs an interval of the difference that excludes 0 and, if there is a p, p <= .05. For a
    class it is q, over the tests of one metric on all classes with at least FEW_ITEMS test images.
    """
    rows = list(rows)
    qs = _corrected(rows)
    return [
        Comparison(
            sides,
            row.metric,
            row.class_name,
            row.difference,
            _verdict(row, qs.get(index), comparable_run),
        )
        for index, row in enumerate(rows)
    ]


def called(metric: str, low: float, high: float, p: float | None) -> str:
    """Return the verdict of a difference's interval and p, or q: BETTER, WORSE or SAME."""
    if low <= 0 <= high or (p is not None and p > ALPHA):
        return SAME
    info = METRICS.get(metric)
    up = info is None or info.direction == "higher"
    return BETTER if (low > 0) == up else WORSE


def _corrected(rows: Sequence[Measurement]) -> dict[int, float | None]:
    """Return the q of the tested classes, by position."""
    tested: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        if row.class_name is not None and row.verdict is None and row.fewest >= FEW_ITEMS:
            tested.setdefault(row.metric, []).append(place)
    return {
        place: q
        for places in tested.values()
        for place, q in zip(
            places, benjamini_hochberg([rows[place].difference.p for place in places]), strict=True
        )
    }


def _verdict(row: Measurement, q: float | None, comparable_run: str) -> Verdict:
    found = row.difference
    if row.verdict is not None:
        return Verdict(row.verdict, row.why, None, comparable_run)
    if row.class_name is not None and row.fewest < FEW_ITEMS:
        small = f"too small to call: {counted(row.fewest, 'test image')}"
        return Verdict(None, f"{row.why}; {small}" if row.why else small, None, comparable_run)
    if found.low is None or found.high is None:
        return Verdict(None, row.why or "no interval", q, comparable_run)
    chance = found.p if row.class_name is None else q
    return Verdict(called(row.metric, found.low, found.high, chance), row.why, q, comparable_run)
