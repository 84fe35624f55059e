"""Compares stored results with a pinned baseline: what of its protocol and data must be the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.baselines import Baseline, Pinned, PinnedResult
from bench.compare_runs import compare_runs
from bench.comparison import MISSING, Comparison, Setting
from bench.protocol import defaults
from bench.sides import pinned_setting

HARMLESS = ("engine",)
"""Protocol keys that choose how the same numbers are computed."""


def compare_pinned(
    setting: Setting,
    baseline: Baseline,
    result: PinnedResult,
    draws: int | None,
    seed: int,
    problems: list[str] | None = None,
) -> list[Comparison]:
    """Return the metrics and the classes of one of our settings beside the pinned result of the same setting.

    Equal seeds are paired. Other data, another protocol or other items: the difference of the stored metrics,
    not comparable. See `bench.compare_runs`. problems: see `bench.compare.compare`.
    """
    assert baseline.pinned is not None
    seeds = tuple(s for s in setting.seeds if s in result.runs)
    template = replace(setting.row(baseline.name), seeds=seeds)
    if not seeds:
        why = f"no seed in common (ours {_listed(setting.seeds)}, pinned {_listed(result.runs)})"
        mean = setting.mean(setting.headline)
        return [replace(template, seeds=setting.seeds, ours=mean, verdict=MISSING, why=why)]
    theirs = pinned_setting(baseline.task, baseline.pinned, result)
    ours, theirs = (replace(side, cells={s: side.cells[s] for s in seeds}) for side in (setting, theirs))
    obstacle = _obstacle(setting, baseline.pinned, result)
    return compare_runs(ours, theirs, template, draws, seed, obstacle, problems)


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


def _listed(seeds: Sequence[int] | Mapping[int, object]) -> str:
    return ", ".join(map(str, sorted(seeds)))
