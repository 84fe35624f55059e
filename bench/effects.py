"""What each method adds to `none`: paired over backbones and seeds, on the same test items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench import stats
from bench.comparison import ALPHA, BETTER, SAME, WORSE, defined
from bench.contests import Contest
from bench.kinds.base import get_kind
from bench.metrics.registry import get_metric
from bench.paired import FEW_CHANGES
from bench.report.settings import Record
from bench.spec import canonical_json

NONE = "none"

PLAIN = {"verification": "cosine"}
"""By kind of task, the method that `none` is there another name of."""


@dataclass(frozen=True)
class Effect:
    """How far a method moves one test metric from where `none` leaves it.

    value: mean over backbones of the mean over seeds. low..high: its interval. backbones: how many
    (the same one with another protocol counts again). pairs: cells beside a `none` of their own;
    up: of these, in how many the metric is better than without. q: p among all methods of the board.
    verdict: better, worse, same, or None where nothing can be drawn. base: what the method is beside. kind:
    of the task.
    """

    task: str
    stage: str
    method: str
    metric: str
    value: float
    backbones: int
    pairs: int
    up: int
    low: float | None = None
    high: float | None = None
    p: float | None = None
    q: float | None = None
    verdict: str | None = None
    base: str = NONE
    kind: str = "multiclass"


def base_of(records: Iterable[Record]) -> str:
    """Return the method that others are set beside: `none`, or what it is another name of if that was run."""
    cells = [record["cell"] for record in records]
    if any(cell["method_text"] == NONE for cell in cells):
        return NONE
    return next((PLAIN[cell["kind"]] for cell in cells if cell["kind"] in PLAIN), NONE)


def effect_metrics(kind: str, metric: str) -> list[str]:
    """Return what effects are shown of: the metric, the one choices go by, that of each group of classes."""
    known = get_kind(kind)
    groups = [next(iter(row.columns.values())) for row in known.averages if row.role == "group"]
    return list(dict.fromkeys([metric, known.selection, *groups]))


def effects(records: Sequence[Record], contest: Contest, metrics: Iterable[str]) -> list[Effect]:
    """Return the effect of each method that a contest has beside `none`, for every metric that is defined.

    A pair is two cells that differ in nothing but the method; a cell without its `none` is in no effect. See
    `base_of` for what stands for `none`.
    Seeds are resampled as everywhere, backbones are not: the effect is about those that were run.
    """
    inside = set(contest.cells)
    own = [record for record in records if record["id"] in inside]
    base = base_of(own)
    pairs = _pairs(own, base)
    out: list[Effect] = []
    for metric in metrics:
        rows = [
            row
            for method, bases in pairs.items()
            if (row := _effect(contest, metric, method, bases)) is not None
        ]
        qs = stats.benjamini_hochberg([row.p for row in rows])
        out += [
            _judged(replace(row, q=q, base=base, kind=contest.kind)) for row, q in zip(rows, qs, strict=True)
        ]
    return out


Bases = Mapping[str, Mapping[int, tuple[Record, Record]]]
"""What differs beside method and seed -> seed -> the method's cell and that of `none`."""


def _pairs(
    records: Iterable[Record], base_method: str
) -> dict[str, dict[str, dict[int, tuple[Record, Record]]]]:
    plain: dict[tuple[str, int], Record] = {}
    rest: list[tuple[str, str, int, Record]] = []
    for record in records:
        cell = record["cell"]
        base = canonical_json({k: v for k, v in cell.items() if k not in ("method", "method_text", "seed")})
        seed = int(cell["seed"])
        if cell["method_text"] == base_method:
            plain[base, seed] = record
        else:
            rest.append((cell["method_text"], base, seed, record))
    out: dict[str, dict[str, dict[int, tuple[Record, Record]]]] = {}
    for method, base, seed, record in sorted(rest, key=lambda row: row[:3]):
        if (base, seed) in plain:
            out.setdefault(method, {}).setdefault(base, {})[seed] = (record, plain[base, seed])
    return out


def _effect(contest: Contest, metric: str, method: str, bases: Bases) -> Effect | None:
    gaps = {base: [_gap(metric, *pair) for pair in seeds.values()] for base, seeds in bases.items()}
    known = [gap for row in gaps.values() for gap in row if gap is not None]
    if len(known) < sum(map(len, gaps.values())) or not known:
        return None
    first = next(iter(next(iter(bases.values())).values()))[0]["cell"]
    better = get_metric(metric).better
    effect = Effect(
        task=first["task"],
        stage=first["stage"],
        method=method,
        metric=metric,
        value=float(np.mean([np.mean([gap for gap in row if gap is not None]) for row in gaps.values()])),
        backbones=len(bases),
        pairs=len(known),
        up=sum(better(gap, 0.0) for gap in known),
    )
    ids = {
        base: {seed: (str(a["id"]), str(b["id"])) for seed, (a, b) in seeds.items()}
        for base, seeds in bases.items()
    }
    flat = [pair for seeds in ids.values() for pair in seeds.values()]
    if not {cell for pair in flat for cell in pair} <= contest.drawn(metric).keys():
        return effect
    if contest.changed(metric, flat) < FEW_CHANGES:
        return replace(effect, verdict=SAME)
    drawn = _drawn(contest, metric, ids)
    interval = stats.percentile_interval(drawn)
    low, high, p = defined(interval.low), defined(interval.high), defined(stats.bootstrap_p(drawn))
    return replace(effect, low=low, high=high, p=p)


def _gap(metric: str, ours: Record, none: Record) -> float | None:
    values = [record["metrics"].get("test", {}).get(metric) for record in (ours, none)]
    return None if None in values else float(values[0] - values[1])


def _drawn(contest: Contest, metric: str, bases: Mapping[str, Mapping[int, tuple[str, str]]]) -> np.ndarray:
    """Return the effect on every resample, (draws,).

    A seed splits the data alike for every backbone, so where all have the same seeds these are resampled
    for all of them together; elsewhere each backbone's on their own.
    """
    pairs = [[*seeds.values()] for seeds in bases.values()]
    drawn = contest.differences(metric, [pair for own in pairs for pair in own])
    stacks = np.split(drawn, np.cumsum([len(own) for own in pairs])[:-1])
    if len({tuple(seeds) for seeds in bases.values()}) == 1:
        return stats.nested_means(np.mean(stacks, axis=0), contest.seed + 1)
    means = [stats.nested_means(stack, contest.seed + 1 + i) for i, stack in enumerate(stacks)]
    mean: np.ndarray = np.mean(means, axis=0)
    return mean


def _judged(row: Effect) -> Effect:
    """Return the row with its verdict: an interval without 0, and q at most ALPHA, call it."""
    if row.verdict is not None or row.low is None or row.high is None:
        return row
    if row.low <= 0 <= row.high or (row.q is not None and row.q > ALPHA):
        return replace(row, verdict=SAME)
    up = get_metric(row.metric).direction == "higher"
    return replace(row, verdict=BETTER if (row.low > 0) == up else WORSE)
