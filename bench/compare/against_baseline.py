"""Comparison of stored cells with a baseline; reads nothing and trains nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bench.compare.baselines.types import Baseline
from bench.compare.side import Side, sides_of
from bench.compare.verdict import BETTER, SAME, WORSE, Comparison, Difference, Sides, missing
from bench.core.kind import get_kind
from bench.store.read import StoredCell


def compare(
    cells: Iterable[StoredCell],
    baseline: Baseline,
    draws: int | None = None,
    seed: int = 0,
    problems: list[str] | None = None,
    declared: Mapping[str, str] | None = None,
    metrics: Collection[str] = (),
) -> list[Comparison]:
    """Compare every measured cell of the baseline's task with the baseline.

    The seeds of a setting are averaged. Each setting is compared with every published result of its stage, or
    with the pinned result of the same stage, regime, backbone, weights and method. Numbers that only one side
    has are `missing`. draws, seed: of the bootstrap (pinned only); see `bench.compare.paired_bootstrap`.
    Equal arguments give equal rows. problems: receives a line for each cell whose predictions cannot be read;
    the cell is left out. Without it such a cell raises StoreError. declared: conditions of the cells that are
    not recorded; see `bench.compare.conditions`. metrics: more metrics to compare with pinned runs.
    """
    settings = sides_of(cells, baseline.task, declared)
    if baseline.pinned is None:
        return _with_published(settings, baseline)
    return _with_pinned(settings, baseline, draws, seed, problems, metrics)


def _with_published(settings: Sequence[Side], baseline: Baseline) -> list[Comparison]:
    from bench.compare.published import compare_published

    rows: list[Comparison] = []
    for setting in settings:
        results = [result for result in baseline.published if result.stage == setting.stage]
        for result in results:
            rows += compare_published(setting, baseline, result)
        if not results:
            rows.append(_alone(setting, baseline, "stage not in the baseline"))
    stages = {setting.stage for setting in settings}
    for result in baseline.published:
        if (stage := result.stage) not in stages:
            stages.add(stage)
            kind = settings[0].kind if settings else result.kind
            sides = Sides(baseline.task, kind, baseline.name, stage)
            why = "no measured cell of this stage is stored"
            rows.append(missing(sides, get_kind(kind).headline[0], Difference(), why))
    return rows


def _with_pinned(
    settings: Sequence[Side],
    baseline: Baseline,
    draws: int | None,
    seed: int,
    problems: list[str] | None,
    metrics: Collection[str],
) -> list[Comparison]:
    from bench.compare.pinned import compare_pinned

    assert baseline.pinned is not None
    rows: list[Comparison] = []
    pinned = {_key(result): result for result in baseline.pinned.results}
    for setting in settings:
        if (result := pinned.get(_key(setting))) is not None:
            rows += compare_pinned(setting, baseline, result, draws, seed, problems, metrics)
        else:
            rows.append(_alone(setting, baseline, "setting not in the baseline"))
    ours = {_key(setting) for setting in settings}
    for key, result in pinned.items():
        if key not in ours:
            stage = baseline.pinned.stages[result.stage]
            metric = get_kind(stage.kind).headline[0]
            values = [run.metrics.get(metric) for run in result.runs.values()]
            known = [value for value in values if value is not None]
            sides = Sides(
                task=baseline.task,
                kind=stage.kind,
                baseline=baseline.name,
                stage=result.stage,
                backbone=result.backbone,
                method=result.method,
                regime=result.regime,
                seeds=tuple(sorted(result.runs)),
            )
            theirs = Difference(theirs=sum(known) / len(known) if known else None, n_theirs=stage.n)
            rows.append(missing(sides, metric, theirs, "no measured cell of this setting is stored"))
    return rows


def _key(setting: Any) -> tuple[str, ...]:
    return (setting.stage, setting.regime, setting.backbone, setting.weights, setting.method)


def _alone(setting: Side, baseline: Baseline, why: str) -> Comparison:
    mean = Difference(ours=setting.mean(setting.headline))
    return missing(setting.beside(baseline.name), setting.headline, mean, why)


def regressions(
    comparisons: Iterable[Comparison], metrics: Collection[str] | None = None
) -> list[Comparison]:
    """Return the rows with the verdict worse: of all metrics of whole stages, or of these metrics.

    Single classes count only if `top1` or `top5` (of a class) is among the metrics.
    """
    return [
        row
        for row in comparisons
        if row.verdict.name == WORSE
        and (row.class_name is None if metrics is None else row.metric in metrics)
    ]


def judgements(comparisons: Iterable[Comparison]) -> int:
    """Return the number of rows with a verdict of better, worse or same: 0 if nothing was checked."""
    return sum(row.verdict.name in (BETTER, WORSE, SAME) for row in comparisons)
