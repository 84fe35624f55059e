"""Comparison of stored cells with a pinned baseline of equal data and protocol."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bench.compare.baselines.types import Baseline, Pinned, PinnedResult
from bench.compare.paired import compare_runs
from bench.compare.references import pinned_side
from bench.compare.side import Side
from bench.compare.verdict import Comparison, Difference, missing
from bench.core.protocol import defaults

HARMLESS = ("engine",)
"""Protocol keys that choose between implementations of the same computation."""


def compare_pinned(
    setting: Side,
    baseline: Baseline,
    result: PinnedResult,
    draws: int | None,
    seed: int,
    problems: list[str] | None = None,
    metrics: Collection[str] = (),
) -> list[Comparison]:
    """Compare the metrics and the classes of a setting with the pinned result of the same setting.

    Equal seeds are paired. With other data, protocol or items: the difference of the stored metrics, not
    comparable. See `bench.compare.paired`. problems, metrics: see
    `bench.compare.against_baseline.compare`.
    """
    assert baseline.pinned is not None
    seeds = tuple(s for s in setting.seeds if s in result.runs)
    if not seeds:
        why = f"no seed in common (ours {_listed(setting.seeds)}, pinned {_listed(result.runs)})"
        mean = Difference(ours=setting.mean(setting.headline))
        return [missing(setting.beside(baseline.name), setting.headline, mean, why)]
    theirs = pinned_side(baseline.task, baseline.pinned, result)
    ours, theirs = (replace(side, cells={s: side.cells[s] for s in seeds}) for side in (setting, theirs))
    obstacle = _obstacle(setting, baseline.pinned, result)
    return compare_runs(
        ours,
        theirs,
        baseline.name,
        draws=draws,
        seed=seed,
        obstacle=obstacle,
        problems=problems,
        metrics=metrics,
    )


def _obstacle(setting: Side, pinned: Pinned, result: PinnedResult) -> str:
    """Return the differences of data and protocol as text, "" if there are none."""
    if setting.task_version != pinned.task_version:
        return f"task: version {setting.task_version}, pinned version {pinned.task_version}"
    if setting.source != pinned.source:
        return f"data: {setting.source}, pinned on {pinned.source}"
    if setting.fingerprint != pinned.fingerprint:
        return "data: rows or images have changed since"
    # A key added after the pinning had its default value then.
    ours, theirs = ({**defaults(), **protocol} for protocol in (setting.protocol, result.protocol))
    keys = sorted({*ours, *theirs} - {*HARMLESS})
    differing = [
        f"{key} {ours.get(key)}, pinned {theirs.get(key)}" for key in keys if ours.get(key) != theirs.get(key)
    ]
    return f"protocol: {'; '.join(differing)}" if differing else ""


def _listed(seeds: Sequence[int] | Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(seeds)))
