"""Unpaired comparison: stored cells with a published baseline or with numbers of other items."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from bench.compare.baselines.types import Baseline, Number, PublishedResult, forbidding
from bench.compare.conditions import caveat, comparable_run, conditions_of, disagreement
from bench.compare.side import Side
from bench.compare.verdict import (
    BETTER,
    INCOMPARABLE,
    SAME,
    WORSE,
    Comparison,
    Difference,
    Measurement,
    judge,
)
from bench.core.kind import get_kind


class Published(Protocol):
    """Facet `published` of a kind: unpaired comparison from values and counts."""

    def obstacle(self, setting: Side, result: PublishedResult) -> str:
        """Return why the test items cannot be those of a published result, "" if they can."""
        ...

    def rows(self, setting: Side, result: PublishedResult, obstacle: str) -> list[Measurement]:
        """Compare a setting's numbers with published ones. obstacle: why they cannot be judged, or ""."""
        ...

    def unpaired(self, ours: Side, theirs: Side, metrics: Collection[str]) -> list[Measurement]:
        """Return the numbers of two settings that were scored on different items.

        metrics: more metrics to compare.
        """
        ...


def published_of(kind: str) -> Published:
    """Return the `Published` of a kind of task. Raises BenchError for an unknown kind."""
    found: Published = get_kind(kind).published
    return found


def compare_published(
    setting: Side, baseline: Baseline, result: PublishedResult, against: str = ""
) -> list[Comparison]:
    """Compare the metrics and the classes of a setting with a published result of its stage.

    A verdict needs the same data and protocol (see `Published.obstacle`), a baseline without a flag that
    forbids it, and the conditions that the baseline states (see `bench.compare.conditions`). against: name of
    the result instead of its backbone, method and label. A condition of the kind that the baseline leaves out
    is met, and `why` names it beside verdicts on the whole stage.
    """
    named = " · ".join(
        part for part in (result.backbone, result.method, result.label) if part != "none" and part
    )
    sides = setting.beside(baseline.name, against or named)
    facet, run = published_of(setting.kind), ""
    obstacle = forbidding(baseline.flags + result.flags) or facet.obstacle(setting, result)
    # A trivial answer has no backbone; it is a reference under any conditions.
    if (
        not obstacle
        and setting.backbone
        and (obstacle := disagreement(result.conditions, conditions_of(setting)))
    ):
        run = comparable_run(setting, result.conditions)
    rows = judge(sides, facet.rows(setting, result, obstacle), run)
    left_out = caveat(setting.kind, result.conditions) if setting.backbone else ""
    return [_with_caveat(row, left_out) for row in rows] if left_out else rows


def _with_caveat(row: Comparison, left_out: str) -> Comparison:
    if row.class_name is not None or row.verdict.name not in (BETTER, WORSE, SAME):
        return row
    return replace(
        row, verdict=replace(row.verdict, why="; ".join(filter(None, (row.verdict.why, left_out))))
    )


def beside_number(
    metric: str, class_name: str | None, found: Difference, number: Number, obstacle: str, why: str = ""
) -> Measurement:
    """Return a difference to a published number, without interval and p if a verdict is forbidden."""
    if reason := forbidding(number.flags) or obstacle:
        shown = replace(found, low=None, high=None, p=None)
        return Measurement(metric, class_name, shown, INCOMPARABLE, reason)
    return Measurement(metric, class_name, found, None, why)
