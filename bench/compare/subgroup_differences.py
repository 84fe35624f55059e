"""Two runs compared on subgroups of the same test items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.compare.estimates import Contrast
from bench.compare.paired import few_changed
from bench.compare.references import answers_of, pinned_classes
from bench.compare.side import Side
from bench.compare.subgroups import Subgroup, Subgroups
from bench.compare.two_runs import paired_seeds
from bench.compare.verdict import SAME, Comparison, Difference, Measurement, judge
from bench.core.errors import BenchError
from bench.metrics.registry import METRICS


def subgroup_differences(
    ours: Side,
    theirs: Side,
    against: str,
    column: str,
    of_example: Mapping[str, str],
    metrics: Sequence[str],
    draws: int | None = None,
) -> tuple[list[Comparison], Subgroups, tuple[list[str], list[str]]]:
    """Return the differences on the test set and on each subgroup, the subgroups, and both sides' cells.

    Seeds are paired in order. `class_name` of a row is the subgroup, "" for items without a value. against:
    the name of the other side. Raises BenchError if the two did not answer the same items, StoreError for
    predictions that cannot be read.
    """
    if ours.kind != theirs.kind:
        raise BenchError(f"--by: {against} is of another kind of task")
    ours, theirs = paired_seeds(ours, theirs)
    classes = pinned_classes([*ours.cells.values(), *theirs.cells.values()])
    classes = classes or answers_of(next(iter(ours.cells.values()))).pred.classes
    answers = [
        {seed: answers_of(cell, classes) for seed, cell in one.cells.items()} for one in (ours, theirs)
    ]
    if len({one.key for side in answers for one in side.values()}) > 1:
        raise BenchError(f"--by: {against} answered other test items: name a run on the same ones")
    scored = all(one.scored for side in answers for one in side.values())
    asked = [name for name in metrics if scored or not METRICS[name].score_based]
    named = {f"{index} {seed}": one.pred for index, side in enumerate(answers) for seed, one in side.items()}
    found = Subgroups.of(column, ours.kind, named, of_example, asked, *(() if draws is None else (draws,)))
    cells = [f"0 {seed}" for seed in answers[0]], [f"1 {seed}" for seed in answers[1]]
    rows = []
    for group in (found.whole, *found.groups):
        name = None if group is found.whole else group.value
        rows += [_measured(group, name, metric, *cells) for metric in asked]
    return judge(ours.beside(against, against), rows), found, cells


def _measured(
    group: Subgroup, name: str | None, metric: str, ours: Sequence[str], theirs: Sequence[str]
) -> Measurement:
    gap = Difference(group.mean(metric, ours), group.mean(metric, theirs), group.items, group.items)
    if gap.value is None:
        return Measurement(metric, name, gap, why="undefined on one side")
    if group.bootstrap is None or group.few(metric, ours):
        return Measurement(metric, name, gap)
    pairs = dict(enumerate(zip(ours, theirs, strict=True)))
    contrast = Contrast.paired(pairs)
    if few := few_changed(group.bootstrap.changed(metric, contrast.pairs), group.items):
        return Measurement(metric, name, gap, SAME, few)
    found = group.bootstrap.estimate(metric, contrast)
    if found is None or found.low is None:
        return Measurement(metric, name, gap, why=METRICS[metric].no_bootstrap or "no bootstrap draws it")
    return Measurement(
        metric,
        name,
        Difference(gap.ours, gap.theirs, group.items, group.items, low=found.low, high=found.high, p=found.p),
    )
