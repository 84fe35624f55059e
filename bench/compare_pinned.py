"""Compares stored results with a pinned baseline: paired, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bench import stats
from bench.baselines import Baseline, PinnedResult
from bench.comparison import (
    FEW_ITEMS,
    INCOMPARABLE,
    MISSING,
    SAME,
    Comparison,
    Setting,
    counted,
    defined,
    difference,
    judged,
    judged_classes,
)
from bench.errors import StoreError
from bench.paired import FEW_CHANGES, METRICS, Draws, Pair, draw, taken
from bench.pin import by_item, items_hash
from bench.protocol import defaults
from bench.spec import Predictions

if TYPE_CHECKING:
    from bench.baselines import Pinned

SHARES = {"top1_micro": "top1", "top5_micro": "top5"}
"""Metrics that are a share of hits: with one seed they have McNemar's exact p."""

UNDRAWN = ("auc_macro", "log_loss", "ece")
"""Metrics that need the baseline's scores, which a pinned file does not hold: a difference, no verdict."""

HARMLESS = ("engine",)
"""Protocol keys that choose how the same numbers are computed."""


def compare_pinned(
    setting: Setting,
    baseline: Baseline,
    result: PinnedResult,
    draws: int,
    seed: int,
    problems: list[str] | None = None,
) -> list[Comparison]:
    """Return the metrics and the classes of one of our settings beside the pinned result of the same setting.

    Seeds on both sides are paired. With one, top-1 has the exact p of McNemar's test; with several, the
    interval and p are of the nested seed + item bootstrap. Items of a group are drawn together.
    Other data, another protocol or other items: the difference of the stored metrics, not comparable.
    problems: see `bench.compare.compare`.
    """
    assert baseline.pinned is not None
    seeds = tuple(s for s in setting.seeds if s in result.runs)
    template = replace(setting.row(baseline.name), seeds=seeds)
    if not seeds:
        why = f"no seed in common (ours {_listed(setting.seeds)}, pinned {_listed(result.runs)})"
        return [
            replace(template, seeds=setting.seeds, ours=setting.mean("top1_micro"), verdict=MISSING, why=why)
        ]
    setting = replace(setting, cells={s: setting.cells[s] for s in seeds})
    obstacle, mine = _obstacle(setting, baseline.pinned, result), dict[int, Predictions]()
    if not obstacle:
        mine = _answers(setting, problems)
        if not mine:
            why = "no predictions of it can be read"
            return [replace(template, ours=setting.mean("top1_micro"), verdict=MISSING, why=why)]
        seeds = tuple(mine)
        template = replace(template, seeds=seeds)
        setting = replace(setting, cells={s: setting.cells[s] for s in seeds})
    stage = baseline.pinned.stages[setting.stage]
    rows = [_stored_row(template, setting, result, metric, stage.n) for metric in (*METRICS, *UNDRAWN)]
    rows = [row for row in rows if row.ours is not None or row.theirs is not None]
    if any(items_hash(pred) != stage.items for pred in mine.values()):
        obstacle = "data: other test images are scored"
    if obstacle:
        return [replace(row, verdict=INCOMPARABLE, why=obstacle) for row in rows]
    pairs = [Pair(taken(mine[s], by_item(mine[s])), baseline.pinned.predictions(result, s)) for s in seeds]
    judge = _Judge(pairs, _sorted_groups(mine[seeds[0]]), draws, seed)
    rows = [judge.summary(row) if row.metric in METRICS else _undecided(row) for row in rows]
    return rows + judged_classes([judge.class_row(row) for row in _class_rows(template, pairs)])


def _answers(setting: Setting, problems: list[str] | None) -> dict[int, Predictions]:
    """Return the test predictions of every seed, of those that can be read where problems are collected."""
    out = {}
    for seed, cell in setting.cells.items():
        try:
            out[seed] = cell.predictions("test")
        except StoreError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return out


def _stored_row(
    template: Comparison, setting: Setting, result: PinnedResult, metric: str, n_theirs: int
) -> Comparison:
    ours, stored = setting.mean(metric), [result.runs[seed].metrics.get(metric) for seed in setting.seeds]
    values = [value for value in stored if value is not None]
    theirs = sum(values) / len(values) if len(values) == len(stored) else None
    n_ours = int(sum(row["test_support"] for row in setting.results()[0]["per_class"]))
    return replace(
        template,
        metric=metric,
        ours=ours,
        theirs=theirs,
        difference=difference(ours, theirs),
        n_ours=n_ours,
        n_theirs=n_theirs,
    )


def _obstacle(setting: Setting, pinned: Pinned, result: PinnedResult) -> str:
    """Say what differs between the two sides' data and protocol, or nothing."""
    if setting.task_version != pinned.task_version:
        return f"task: version {setting.task_version}, pinned version {pinned.task_version}"
    if setting.source != pinned.source:
        return f"data: {setting.source}, pinned on {pinned.source}"
    if setting.fingerprint != pinned.fingerprint:
        return "data: rows or images have changed since"
    # A key that came after the pinning was at its default then: that is what defaults of new keys are for.
    ours, theirs = ({**defaults(), **protocol} for protocol in (setting.protocol, result.protocol))
    keys = sorted({*ours, *theirs} - {*HARMLESS})
    differing = [
        f"{key} {ours.get(key)}, pinned {theirs.get(key)}" for key in keys if ours.get(key) != theirs.get(key)
    ]
    return f"protocol: {'; '.join(differing)}" if differing else ""


def _class_rows(template: Comparison, pairs: Sequence[Pair]) -> list[Comparison]:
    """Return a row for each class with test items and each of top-1 and top-5, without interval."""
    rows = []
    truth, classes = pairs[0].ours.truth, pairs[0].ours.classes
    for metric in pairs[0].hits:
        ours, theirs = (np.mean([pair.hits[metric][side] for pair in pairs], axis=0) for side in (0, 1))
        for index, name in enumerate(classes):
            of_class = truth == index
            if n := int(of_class.sum()):
                mine, other = float(ours[of_class].mean()), float(theirs[of_class].mean())
                row = replace(template, metric=metric, class_name=name, n_ours=n, n_theirs=n)
                rows.append(replace(row, ours=mine, theirs=other, difference=mine - other))
    return rows


class _Judge:
    """Gives rows their interval and p from the paired predictions of all seeds."""

    def __init__(self, pairs: Sequence[Pair], groups: Sequence[str] | None, draws: int, seed: int) -> None:
        self.pairs, self.seed = pairs, seed
        self.truth = pairs[0].ours.truth
        self.classes = {name: i for i, name in enumerate(pairs[0].ours.classes)}
        self.changed = np.any([pair.changed() for pair in pairs], axis=0)
        enough = self.changed.sum() >= FEW_CHANGES
        self.draws = draw(pairs, self.changed, groups, draws, seed) if enough else Draws({}, {})

    def summary(self, row: Comparison) -> Comparison:
        """Return a row of the whole stage with interval, p and verdict."""
        if row.difference is None:
            return _undecided(row, "undefined on one side")
        drawn = self.draws.metrics.get(row.metric)
        return judged(self._decided(row, drawn, np.ones(len(self.truth), bool), SHARES.get(row.metric)))

    def class_row(self, row: Comparison) -> Comparison:
        """Return a row of a class with interval and p; its verdict waits for the other classes."""
        index = self.classes[str(row.class_name)]
        return self._decided(
            row, self.draws.classes.get((row.metric, index)), self.truth == index, row.metric
        )

    def _decided(
        self, row: Comparison, drawn: np.ndarray | None, items: np.ndarray, hits: str | None
    ) -> Comparison:
        """Add interval and p. hits: `top1` or `top5` where the metric is a share of hits among `items`."""
        changes = int((self.changed & items).sum())
        if not changes:
            return replace(row, verdict=SAME, why="same answers")
        if row.class_name is not None and items.sum() < FEW_ITEMS:
            return row
        if changes < FEW_CHANGES or drawn is None:
            return replace(row, verdict=SAME, why=f"only {counted(changes, 'item')} answered differently")
        values = stats.nested_means(drawn, self.seed + 1)
        interval, p = stats.percentile_interval(values), stats.bootstrap_p(values)
        if len(self.pairs) == 1 and hits is not None:
            gap = self.pairs[0].gap(hits)[items]
            p = stats.mcnemar(int((gap > 0).sum()), int((gap < 0).sum()))
        return replace(row, low=defined(interval.low), high=defined(interval.high), p=defined(p))


def _undecided(row: Comparison, why: str = "a pinned file holds no scores to draw from") -> Comparison:
    return replace(row, verdict=None, why=why)


def _sorted_groups(pred: Predictions) -> list[str] | None:
    return None if pred.groups is None else [pred.groups[i] for i in by_item(pred)]


def _listed(seeds: Sequence[int] | Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(seeds)))
