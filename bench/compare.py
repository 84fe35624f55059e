"""Compares stored results with a baseline: stored cells in, verdicts out; reads nothing, trains nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from bench.baselines import Baseline
from bench.comparison import BETTER, MISSING, SAME, WORSE, Comparison, Setting, settings_of
from bench.kinds.base import get_kind
from bench.pin import StoredCell


def compare(
    cells: Iterable[StoredCell],
    baseline: Baseline,
    draws: int | None = None,
    seed: int = 0,
    problems: list[str] | None = None,
) -> list[Comparison]:
    """Compare every measured cell of the baseline's task with the baseline.

    Seeds of one setting are taken together. Against a published baseline each of our settings stands
    beside every published result of its stage; against a pinned one, beside the pinned result of the same
    stage, regime, backbone, weights and method. What one side alone has is `missing`.
    draws, seed: of the bootstrap (pinned only); see `bench.duels`. Equal arguments give equal rows.
    problems: is given a line for each cell whose predictions cannot be read, which is then left out. Without
    it such a cell raises StoreError.
    """
    settings = settings_of(cells, baseline.task)
    if baseline.pinned is None:
        return _with_published(settings, baseline)
    return _with_pinned(settings, baseline, draws, seed, problems)


def _with_published(settings: Sequence[Setting], baseline: Baseline) -> list[Comparison]:
    from bench.compare_published import compare_published

    rows: list[Comparison] = []
    for setting in settings:
        results = [result for result in baseline.published if result.stage == setting.stage]
        for result in results:
            rows += compare_published(setting, baseline, result)
        if not results:
            rows.append(_missing(_headline(setting, baseline), "stage not in the baseline"))
    for stage in dict.fromkeys(result.stage for result in baseline.published):
        if stage not in {setting.stage for setting in settings}:
            kind = settings[0].kind if settings else "multiclass"
            metric = get_kind(kind).headline[0]
            blank = Comparison(baseline.task, baseline.name, stage, metric, "", "", MISSING, kind=kind)
            rows.append(_missing(blank, "no measured cell of this stage is stored"))
    return rows


def _with_pinned(
    settings: Sequence[Setting], baseline: Baseline, draws: int | None, seed: int, problems: list[str] | None
) -> list[Comparison]:
    from bench.compare_pinned import compare_pinned

    assert baseline.pinned is not None
    rows: list[Comparison] = []
    pinned = {_key(result): result for result in baseline.pinned.results}
    for setting in settings:
        if (result := pinned.get(_key(setting))) is not None:
            rows += compare_pinned(setting, baseline, result, draws, seed, problems)
        else:
            rows.append(_missing(_headline(setting, baseline), "setting not in the baseline"))
    ours = {_key(setting) for setting in settings}
    for key, result in pinned.items():
        if key not in ours:
            stage = baseline.pinned.stages[result.stage]
            metric = get_kind(stage.kind).headline[0]
            values = [run.metrics.get(metric) for run in result.runs.values()]
            known = [value for value in values if value is not None]
            row = Comparison(
                task=baseline.task,
                baseline=baseline.name,
                kind=stage.kind,
                stage=result.stage,
                metric=metric,
                backbone=result.backbone,
                method=result.method,
                regime=result.regime,
                seeds=tuple(sorted(result.runs)),
                theirs=sum(known) / len(known) if known else None,
                n_theirs=stage.n,
                verdict=MISSING,
            )
            rows.append(_missing(row, "no measured cell of this setting is stored"))
    return rows


def _key(setting: Any) -> tuple[str, ...]:
    return (setting.stage, setting.regime, setting.backbone, setting.weights, setting.method)


def _headline(setting: Setting, baseline: Baseline) -> Comparison:
    return replace(setting.row(baseline.name), ours=setting.mean(setting.headline))


def _missing(row: Comparison, why: str) -> Comparison:
    return replace(row, verdict=MISSING, why=why)


def regressions(
    comparisons: Iterable[Comparison], metrics: Collection[str] | None = None
) -> list[Comparison]:
    """Return the rows that are worse beyond their interval: of all metrics of whole stages, or of these.

    Classes on their own do not count, unless `top1` or `top5` (of a class) is among the metrics named.
    """
    return [
        row
        for row in comparisons
        if row.verdict == WORSE and (row.class_name is None if metrics is None else row.metric in metrics)
    ]


def judgements(comparisons: Iterable[Comparison]) -> int:
    """Return how many rows have a verdict of better, worse or same: 0 means that nothing was checked."""
    return sum(row.verdict in (BETTER, WORSE, SAME) for row in comparisons)
