"""Comparison of two settings with known answers, paired item by item where the items are equal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bench.compare.estimates import Contrast, Estimate
from bench.compare.paired_bootstrap import FEW_CHANGES, PairedBootstrap
from bench.compare.pairing import pairing_of
from bench.compare.references import Answers, answers_of, pinned_classes
from bench.compare.side import Side
from bench.compare.verdict import (
    FEW_ITEMS,
    INCOMPARABLE,
    SAME,
    Comparison,
    Difference,
    Measurement,
    judge,
    missing,
)
from bench.core.errors import StoreError
from bench.core.plural import counted
from bench.metrics.registry import METRICS, compared

OTHER_ITEMS = "data: other test images are scored"


def compare_runs(
    ours: Side,
    theirs: Side,
    baseline: str,
    against: str = "",
    draws: int | None = None,
    seed: int = 0,
    obstacle: str = "",
    problems: list[str] | None = None,
    metrics: Collection[str] = (),
) -> list[Comparison]:
    """Return the metrics and the classes of one setting beside those of another, seeds paired in order.

    Interval and p are those of `bench.compare.estimates`. baseline, against: see `Side.beside`. obstacle: why
    the two cannot be judged; then, and if their items differ, there are differences without a verdict.
    problems: receives a line for each cell whose predictions cannot be read; its pair of seeds is left out.
    Without it such a cell raises StoreError. metrics: more metrics to compare.
    """
    pairs = list(zip(ours.seeds, theirs.seeds, strict=True))
    answers: Mapping[tuple[int, int], tuple[Answers, Answers]] = {}
    if not obstacle:
        answers = _read(ours, theirs, pairs, problems)
        if not answers:
            why, mean = "no predictions of it can be read", Difference(ours=ours.mean(ours.headline))
            return [missing(ours.beside(baseline, against), ours.headline, mean, why)]
        pairs = list(answers)
        ours = replace(ours, cells={mine: ours.cells[mine] for mine, _ in pairs})
        theirs = replace(theirs, cells={other: theirs.cells[other] for _, other in pairs})
        keys = {side.key for both in answers.values() for side in both}
        obstacle = OTHER_ITEMS if len(keys) > 1 else ""
    sides, stored = ours.beside(baseline, against), stored_differences(ours, theirs, metrics)
    if obstacle:
        return judge(sides, [Measurement(name, None, gap, INCOMPARABLE, obstacle) for name, gap in stored])
    scored = all(side.scored for both in answers.values() for side in both)
    drawn = [metric for metric, _ in stored if scored or not METRICS[metric].score_based]
    named = {f"{which} {seeds[which]}": both[which] for seeds, both in answers.items() for which in (0, 1)}
    predictions = {name: answer.pred for name, answer in named.items()}
    bootstrap = PairedBootstrap.of(ours.kind, predictions, drawn, draws, seed, classes=True)
    contrast = Contrast.paired({i: (f"0 {mine}", f"1 {other}") for i, (mine, other) in enumerate(pairs)})
    whole = [_estimated(metric, gap, bootstrap, contrast, metric in drawn) for metric, gap in stored]
    return judge(sides, whole + _class_rows(ours, theirs, bootstrap, contrast))


def stored_differences(
    ours: Side, theirs: Side, metrics: Collection[str] = ()
) -> list[tuple[str, Difference]]:
    """Return each metric of either setting, as means over seeds, without interval."""
    n_ours, n_theirs = ours.size, theirs.size
    means = [(name, ours.mean(name), theirs.mean(name)) for name in compared(ours.kind, metrics)]
    return [
        (name, Difference(mine, other, n_ours, n_theirs))
        for name, mine, other in means
        if mine is not None or other is not None
    ]


def _estimated(
    metric: str, gap: Difference, bootstrap: PairedBootstrap, contrast: Contrast, drawn: bool
) -> Measurement:
    """Return a metric of a whole stage with interval and p."""
    if gap.value is None:
        return Measurement(metric, None, gap, why="undefined on one side")
    if not drawn:
        return Measurement(metric, None, gap, why="a pinned file holds no scores to draw from")
    if few := few_changed(bootstrap.changed(metric, contrast.pairs)):
        return Measurement(metric, None, gap, SAME, few)
    found = bootstrap.estimate(metric, contrast)
    if found is None:
        return Measurement(metric, None, gap, why=METRICS[metric].no_bootstrap or "no bootstrap draws it")
    return Measurement(metric, None, _with(gap, found))


def _class_rows(
    ours: Side, theirs: Side, bootstrap: PairedBootstrap, contrast: Contrast
) -> list[Measurement]:
    """Return each metric of each class that both settings have."""
    rows = []
    sides = [[{row["class"]: row for row in one["per_class"]} for one in s.results()] for s in (ours, theirs)]
    for metric in pairing_of(ours.kind).CLASSES:
        for index, name in enumerate(bootstrap.items.classes):
            values = [[one[name].get(metric) for one in side] for side in sides]
            n = sides[0][0][name]["test_support"]
            if not n or any(None in side for side in values):
                continue
            mine, other = (sum(side) / len(side) for side in values)
            gap = Difference(mine, other, n, n)
            if few := few_changed(bootstrap.class_changed(metric, index, contrast.pairs), n):
                rows.append(Measurement(metric, name, gap, SAME, few))
            elif n >= FEW_ITEMS and (found := bootstrap.class_estimate(metric, index, contrast)):
                rows.append(Measurement(metric, name, _with(gap, found)))
            else:
                rows.append(Measurement(metric, name, gap))
    return rows


def few_changed(changed: int, n: int = FEW_ITEMS) -> str:
    """Return a note if too few items differ for any test, else "". n: items of a class."""
    if not changed:
        return "same answers"
    if changed < FEW_CHANGES and n >= FEW_ITEMS:
        return f"only {counted(changed, 'item')} answered differently"
    return ""


def _with(gap: Difference, found: Estimate) -> Difference:
    return replace(gap, low=found.low, high=found.high, p=found.p)


def _read(
    ours: Side, theirs: Side, pairs: Sequence[tuple[int, int]], problems: list[str] | None
) -> Mapping[tuple[int, int], tuple[Answers, Answers]]:
    """Return both settings' answers, classes in one order, for the pairs of seeds that can be read."""
    out = {}
    classes = pinned_classes([*ours.cells.values(), *theirs.cells.values()])
    for mine, other in pairs:
        try:
            first = answers_of(ours.cells[mine], classes)
            classes = classes or first.pred.classes
            out[mine, other] = first, answers_of(theirs.cells[other], classes)
        except StoreError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return out
