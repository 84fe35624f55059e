"""Tuned cells beside untuned ones: curves of trials, effect of tuning, orderings of methods."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, NamedTuple

from bench.compare.estimates import Contrast, Estimate
from bench.compare.paired_bootstrap import FEW_CHANGES, PairedBootstrap
from bench.compare.verdict import SAME, called
from bench.core.cell import canonical_json
from bench.metrics.intervals import benjamini_hochberg
from bench.metrics.registry import get_metric
from bench.store.read import FileFault, Stored
from bench.store.settings import Record, pairing_keys

KEYS = ("tune", "tune_seed", "tuner")
"""The protocol keys of tuning."""

HOLDS, UNDECIDED, REVERSED, NEW = "holds", "no longer", "reversed", "new"
"""Fates of the ordering of two methods with tuning, if either budget has a verdict."""


class Budget(NamedTuple):
    """Number of trials of a cell (1: not tuned), and their tuner, "" for random search."""

    trials: int = 1
    tuner: str = ""


UNTUNED = Budget()


def trials_of(cell: Mapping[str, Any]) -> int:
    """Return the number of trials of a cell; 1 if it is not tuned."""
    return int(cell["protocol"].get("tune", 1))


def budget_of(cell: Mapping[str, Any]) -> Budget:
    """Return the tuning budget of a cell."""
    return Budget(trials_of(cell), str(cell["protocol"].get("tuner", "")))


def without_tuning(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return a cell's identity without tuning, seed and method."""
    rest = {key: value for key, value in cell.items() if key not in ("method", "method_text", "seed")}
    return {**rest, "protocol": {key: value for key, value in cell["protocol"].items() if key not in KEYS}}


def expected_best(scores: Sequence[float], n: int, higher: bool = True) -> float:
    """Return the expected best of n trials drawn with replacement from these scores.

    Dodge et al. 2019, Show your work, arXiv:1909.03004: the empirical distribution to the nth power.
    Raises ValueError without scores.

    >>> expected_best([1.0, 2.0], 1), expected_best([1.0, 2.0], 2)
    (1.5, 1.75)
    """
    if not scores or n < 1:
        raise ValueError("an expected best needs a score and a trial")
    ranked = sorted(scores, reverse=not higher)
    size = len(ranked)
    return math.fsum(
        score * ((index / size) ** n - ((index - 1) / size) ** n) for index, score in enumerate(ranked, 1)
    )


@dataclass(frozen=True)
class Tuned:
    """One tuned setting: means over seeds.

    metric: the selection metric, of val, curve, test and gap. val_untuned, val: of the default setting and of
    the chosen trial on validation. curve: trial count -> expected best on validation, of random trials. test:
    of the chosen trial. moved: test minus that of the untuned cells, None where these are not stored. gap:
    val - test. gap_untuned: the same of the default setting. chosen: the values by seed. splits: see
    `bench.runs.stage_run.Validated`.
    """

    cell: Mapping[str, Any]
    metric: str
    budget: Budget
    seeds: int
    splits: int
    validated: int
    val_untuned: float | None
    val: float | None
    curve: Mapping[int, float]
    test: float | None
    moved: Estimate | None
    gap: float | None
    gap_untuned: float | None
    chosen: Mapping[int, Mapping[str, Any]]


def tuned_settings(
    cells: Sequence[Stored], bootstraps: Iterable[PairedBootstrap], metric: str
) -> tuple[list[Tuned], list[str]]:
    """Return each tuned setting, fewest trials first, and a message for each unreadable table of trials.

    bootstraps: of these cells, made for the metric, the kind's selection metric. Cells in none of them could
    not be read, and are left out, like those with an unreadable table.
    """
    shared = {cell: bootstrap for bootstrap in bootstraps for cell in bootstrap.cells}
    measured = [stored for stored in cells if stored.id in shared]
    plain = {_key(stored.record): stored for stored in measured if trials_of(stored.record["cell"]) == 1}
    groups: dict[str, list[tuple[Stored, list[float | None]]]] = {}
    problems = []
    for stored in measured:
        if trials_of(cell := stored.record["cell"]) > 1:
            how = [*budget_of(cell), _seed(cell)]
            key = {**without_tuning(cell), "method": cell["method"], "tune": how}
            try:
                scores = [row.get(f"val_{metric}") for row in stored.trials]
            except FileFault as error:
                problems.append(str(error))
                continue
            groups.setdefault(canonical_json(key), []).append((stored, scores))
    out = []
    for group in groups.values():
        tuned, own = zip(*group, strict=True)
        out.append(_tuned(tuned, own, plain, shared, metric))
    return sorted(out, key=lambda one: one.budget), problems


def _tuned(
    group: Sequence[Stored],
    scores: Sequence[Sequence[float | None]],
    plain: Mapping[tuple[str, int], Stored],
    shared: Mapping[str, PairedBootstrap],
    metric: str,
) -> Tuned:
    cell, higher = group[0].record["cell"], get_metric(metric).direction == "higher"
    known = [[score for score in own if score is not None] for own in scores]
    counts = [2**power for power in range(trials_of(cell).bit_length()) if 2**power <= trials_of(cell)]
    counts = sorted({*counts, trials_of(cell)})
    found = [stored.record["choices"]["tuning"] for stored in group]
    test = _mean([stored.record["metrics"]["test"].get(metric) for stored in group])
    val, first = _mean([one["val"] for one in found]), _mean([one["val_untuned"] for one in found])
    pairs = {
        int(stored.record["cell"]["seed"]): (stored.id, plain[key].id)
        for stored in group
        if (key := _key(stored.record)) in plain
    }
    moved, before = None, None
    if len(pairs) == len(group):
        bootstrap = shared.get(group[0].id)
        ids = {cell for pair in pairs.values() for cell in pair}
        before = _mean([plain[_key(s.record)].record["metrics"]["test"].get(metric) for s in group])
        if bootstrap is not None and ids <= set(bootstrap.cells):
            moved = bootstrap.estimate(metric, Contrast.paired(pairs))
    return Tuned(
        cell=cell,
        metric=metric,
        budget=budget_of(cell),
        seeds=len(group),
        splits=max(int(one["splits"]) for one in found),
        validated=min(int(stored.record["counts"].get("val") or 0) for stored in group),
        val_untuned=first,
        val=val,
        curve={
            n: math.fsum(expected_best(own, n, higher) for own in known) / len(known)
            for n in counts
            if all(known) and not budget_of(cell).tuner
        },
        test=test,
        moved=moved,
        gap=None if val is None or test is None else val - test,
        gap_untuned=None if first is None or before is None else first - before,
        chosen={
            int(stored.record["cell"]["seed"]): one["values"]
            for stored, one in zip(group, found, strict=True)
        },
    )


def _key(record: Record) -> tuple[str, int]:
    """Return the key that a cell shares with its tuned versions: everything but the keys of tuning."""
    cell = record["cell"]
    return canonical_json({**without_tuning(cell), "method": cell["method"]}), int(cell["seed"])


def _seed(cell: Mapping[str, Any]) -> int:
    return int(cell["protocol"].get("tune_seed", 0))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


@dataclass(frozen=True)
class Ordering:
    """Difference of two methods in a metric at one budget; verdict: of the first one."""

    ours: str
    theirs: str
    budget: Budget
    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    verdict: str | None = None


def orderings(records: Sequence[Record], bootstrap: PairedBootstrap, metric: str) -> list[Ordering]:
    """Return the difference of every two methods at every budget that both have.

    Means over the backbones and seeds that both methods share at all budgets. A verdict needs an interval
    without 0 and q <= ALPHA (Benjamini-Hochberg over the pairs of one budget).
    """
    inside = set(bootstrap.cells)
    found: dict[tuple[Budget, str], dict[tuple[str, int], str]] = {}
    keys = pairing_keys(records, KEYS)
    for record in records:
        if record["id"] in inside and record["status"] == "ok":
            cell = record["cell"]
            place = keys[record["id"]], int(cell["seed"])
            found.setdefault((budget_of(cell), cell["method_text"]), {})[place] = str(record["id"])
    budgets = sorted({budget for budget, _ in found})
    methods = list(dict.fromkeys(method for _, method in found))
    out = []
    for budget in budgets:
        rows = []
        for ours, theirs in combinations(methods, 2):
            sides = [found.get((one, method), {}) for one in budgets for method in (ours, theirs)]
            shared = sorted(set.intersection(*(set(side) for side in sides)))
            if shared:
                pair = found[budget, ours], found[budget, theirs]
                rows.append(_ordering(bootstrap, metric, (ours, theirs), budget, pair, shared))
        known = [row for row in rows if row is not None]
        qs = benjamini_hochberg([row.p for row in known])
        out += [
            row
            if row.verdict is not None or row.low is None or row.high is None
            else replace(row, verdict=called(metric, row.low, row.high, q))
            for row, q in zip(known, qs, strict=True)
        ]
    return out


def _ordering(
    bootstrap: PairedBootstrap,
    metric: str,
    names: tuple[str, str],
    budget: Budget,
    sides: tuple[Mapping[tuple[str, int], str], Mapping[tuple[str, int], str]],
    shared: Sequence[tuple[str, int]],
) -> Ordering | None:
    groups: dict[str, dict[int, tuple[str, str]]] = {}
    for base, seed in shared:
        groups.setdefault(base, {})[seed] = sides[0][base, seed], sides[1][base, seed]
    contrast = Contrast.paired(*groups.values())
    found = bootstrap.estimate(metric, contrast)
    if found is None:
        return None
    row = Ordering(*names, budget, found.value, found.low, found.high, found.p)
    return replace(row, p=None, verdict=SAME) if found.changed < FEW_CHANGES else row


def fate(before: Ordering, after: Ordering) -> str | None:
    """Return the fate of an ordering with another budget, None if it has no verdict at either."""
    if before.verdict in (SAME, None):
        return None if after.verdict in (SAME, None) else NEW
    if after.verdict in (SAME, None):
        return UNDECIDED
    return HOLDS if after.verdict == before.verdict else REVERSED
