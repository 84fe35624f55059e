"""Compares stored results with a pinned baseline: paired, item by item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bench import stats
from bench.baselines import Baseline, PinnedResult
from bench.comparison import (
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
from bench.metrics import multiclass
from bench.pin import by_item, items_hash
from bench.spec import Predictions

if TYPE_CHECKING:
    from bench.baselines import Pinned

DRAWN = (
    "top1_micro",
    "top1_macro",
    "top5_micro",
    "top5_macro",
    "f1_macro",
    "many_top1",
    "medium_top1",
    "few_top1",
)
"""Metrics that are compared with an interval: all that follow from answers and top-5 hits."""

SHARES = {"top1_micro": "top1", "top5_micro": "top5"}
"""Metrics that are a share of hits: with one seed they have McNemar's exact p."""

UNDRAWN = ("auc_macro", "log_loss", "ece")
"""Metrics that need the baseline's scores, which a pinned file does not hold: a difference, no verdict."""

FEW_CHANGES = 6
"""With fewer items answered differently no test can tell: 5 of 5 in one direction have p = .0625."""

HARMLESS = ("engine",)
"""Protocol keys that choose how the same numbers are computed."""

_WEIGHTS_AT_ONCE = 1 << 23


@dataclass(frozen=True)
class Paired:
    """One seed's predictions on both sides, items in the same order."""

    ours: Predictions
    theirs: Predictions

    @cached_property
    def hits(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Who hit which item, ours and theirs, (n,) bool each: `top1`, and `top5` where it is defined."""
        ours, theirs = multiclass.hits(self.ours), multiclass.hits(self.theirs)
        sides = zip(("top1", "top5"), ours, theirs, strict=True)
        return {name: (a, b) for name, a, b in sides if a is not None and b is not None}

    def changed(self) -> np.ndarray:
        """Return which items are answered differently, in the answer or in the top five: (n,) bool."""
        changed: np.ndarray = self.ours.scores.argmax(axis=1) != self.theirs.scores.argmax(axis=1)
        for ours, theirs in self.hits.values():
            changed |= ours != theirs
        return changed


def compare_pinned(
    setting: Setting, baseline: Baseline, result: PinnedResult, draws: int, seed: int
) -> list[Comparison]:
    """Return the metrics and the classes of one of our settings beside the pinned result of the same setting.

    Seeds on both sides are paired. With one, top-1 has the exact p of McNemar's test; with several, the
    interval and p are of the nested seed + item bootstrap. Items of a group are drawn together.
    Other data, another protocol or other items: the difference of the stored metrics, not comparable.
    """
    assert baseline.pinned is not None
    seeds = tuple(s for s in setting.seeds if s in result.runs)
    template = Comparison(
        task=setting.task,
        baseline=baseline.name,
        stage=setting.stage,
        metric="top1_micro",
        backbone=setting.backbone,
        method=setting.method,
        regime=setting.regime,
        seeds=seeds,
        verdict=None,
    )
    if not seeds:
        why = f"no seed in common (ours {_listed(setting.seeds)}, pinned {_listed(result.runs)})"
        return [
            replace(template, seeds=setting.seeds, ours=setting.mean("top1_micro"), verdict=MISSING, why=why)
        ]
    setting = replace(setting, cells={s: setting.cells[s] for s in seeds})
    stage = baseline.pinned.stages[setting.stage]
    rows = [_stored_row(template, setting, result, metric, stage.n) for metric in (*DRAWN, *UNDRAWN)]
    rows = [row for row in rows if row.ours is not None or row.theirs is not None]
    obstacle = _obstacle(setting, baseline.pinned, result)
    if not obstacle:
        mine = {s: cell.predictions("test") for s, cell in setting.cells.items()}
        if any(items_hash(pred) != stage.items for pred in mine.values()):
            obstacle = "data: other test images are scored"
    if obstacle:
        return [replace(row, verdict=INCOMPARABLE, why=obstacle) for row in rows]
    order = by_item(mine[seeds[0]])
    groups = mine[seeds[0]].groups
    pairs = [Paired(_sorted(mine[s]), baseline.pinned.predictions(result, s)) for s in seeds]
    draw = _Draws(pairs, None if groups is None else [groups[i] for i in order], draws, seed)
    rows = [draw.decide(row) if row.metric in DRAWN else _undecided(row) for row in rows]
    return rows + judged_classes([draw.decide_class(row) for row in _class_rows(template, pairs)])


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
    keys = sorted({*setting.protocol, *result.protocol} - {*HARMLESS})
    differing = [
        f"{key} {setting.protocol.get(key)}, pinned {result.protocol.get(key)}"
        for key in keys
        if setting.protocol.get(key) != result.protocol.get(key)
    ]
    return f"protocol: {'; '.join(differing)}" if differing else ""


def _class_rows(template: Comparison, pairs: Sequence[Paired]) -> list[Comparison]:
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


class _Draws:
    """The resampled differences of every metric and class, all on the same resamples of the items."""

    def __init__(self, pairs: Sequence[Paired], groups: Sequence[str] | None, draws: int, seed: int) -> None:
        self.pairs, self.seed = pairs, seed
        self.truth = pairs[0].ours.truth
        self.classes = {name: i for i, name in enumerate(pairs[0].ours.classes)}
        self.changed = np.any([pair.changed() for pair in pairs], axis=0)
        # (n, seeds): 1 where we alone hit, -1 where they alone did.
        self.gaps: dict[str, np.ndarray] = {
            metric: np.stack([np.subtract(*pair.hits[metric], dtype=np.float32) for pair in pairs], axis=1)
            for metric in pairs[0].hits
        }
        self.metrics: Mapping[str, np.ndarray] = {}
        self.by_class: Mapping[tuple[str, int], np.ndarray] = {}
        if self.changed.sum() >= FEW_CHANGES:
            self._draw(groups, draws)

    def _draw(self, groups: Sequence[str] | None, draws: int) -> None:
        """Fill `metrics`, name -> (seeds, draws), and `by_class`, (metric, class) -> (seeds, draws)."""
        n = len(self.truth)
        metrics: dict[str, list[np.ndarray]] = {name: [] for name in DRAWN}
        by_class: dict[tuple[str, int], list[np.ndarray]] = {}
        columns = [(index, np.flatnonzero(self.truth == index)) for index in self.classes.values()]
        for weights in stats.bootstrap_chunks(n, draws, self.seed, groups, max(1, _WEIGHTS_AT_ONCE // n)):
            sides = [
                (
                    multiclass.weighted_summary(pair.ours, weights),
                    multiclass.weighted_summary(pair.theirs, weights),
                )
                for pair in self.pairs
            ]
            for name, parts in metrics.items():
                parts.append(np.stack([ours[name] - theirs[name] for ours, theirs in sides]))
            for index, items in columns:
                if self.changed[items].sum() < FEW_CHANGES:
                    continue
                part = weights[:, items]
                with np.errstate(invalid="ignore"):
                    for metric, gap in self.gaps.items():
                        mean = (part @ gap[items]) / part.sum(axis=1, keepdims=True)
                        by_class.setdefault((metric, index), []).append(mean.T)
        self.metrics = {name: np.concatenate(parts, axis=1) for name, parts in metrics.items()}
        self.by_class = {key: np.concatenate(parts, axis=1) for key, parts in by_class.items()}

    def decide(self, row: Comparison) -> Comparison:
        """Return a summary row with interval, p and verdict."""
        if row.difference is None:
            return _undecided(row, "undefined on one side")
        everything = np.ones(len(self.truth), bool)
        return judged(self._decide(row, self.metrics.get(row.metric), everything, SHARES.get(row.metric)))

    def decide_class(self, row: Comparison) -> Comparison:
        """Return a class row with interval and p; its verdict waits for the other classes."""
        index = self.classes[str(row.class_name)]
        return self._decide(row, self.by_class.get((row.metric, index)), self.truth == index, row.metric)

    def _decide(
        self, row: Comparison, drawn: np.ndarray | None, items: np.ndarray, hits: str | None
    ) -> Comparison:
        """Add interval and p. hits: `top1` or `top5` where the metric is a share of hits among `items`."""
        changes = int((self.changed & items).sum())
        if not changes:
            return replace(row, verdict=SAME, why="same answers")
        if changes < FEW_CHANGES or drawn is None:
            return replace(row, verdict=SAME, why=f"only {counted(changes, 'item')} answered differently")
        values = stats.nested_means(drawn, self.seed + 1)
        interval = stats.percentile_interval(values)
        p = stats.bootstrap_p(values)
        if len(self.pairs) == 1 and hits is not None:
            gap = self.gaps[hits][items, 0]
            p = stats.mcnemar(int((gap > 0).sum()), int((gap < 0).sum()))
        return replace(row, low=defined(interval.low), high=defined(interval.high), p=defined(p))


def _undecided(row: Comparison, why: str = "a pinned file holds no scores to draw from") -> Comparison:
    return replace(row, verdict=None, why=why)


def _sorted(pred: Predictions) -> Predictions:
    """Return the predictions with their items sorted by id."""
    order = by_item(pred)
    return replace(
        pred,
        items=tuple(pred.items[i] for i in order),
        groups=None,
        truth=pred.truth[order],
        scores=pred.scores[order],
    )


def _listed(seeds: Sequence[int] | Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(seeds)))
