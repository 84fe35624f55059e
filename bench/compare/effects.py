"""Effect of each method relative to `none`, paired over backbones and seeds on the same test items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from bench.compare.estimates import Contrast
from bench.compare.paired_bootstrap import FEW_CHANGES, PairedBootstrap
from bench.compare.tuning import UNTUNED, Budget, budget_of
from bench.compare.verdict import SAME, called
from bench.core.cell import canonical_json
from bench.core.kind import get_kind
from bench.metrics import intervals
from bench.metrics.registry import get_metric
from bench.store.settings import Record, pairing_keys

NONE = "none"


@dataclass(frozen=True)
class Effect:
    """Difference of one test metric between a method and `none`.

    value: mean over backbones of the mean over seeds. low..high: its interval. backbones: their number (the
    same one with another protocol counts again). pairs: number of cells with a matching `none`; up: number of
    these pairs that improve the metric. q: p among all methods of the board. verdict: better, worse, same, or
    None without a bootstrap. base: the method compared with. budget: of both.
    """

    task: str
    kind: str
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
    budget: Budget = UNTUNED


def base_of(records: Iterable[Record]) -> str:
    """Return the method to compare with: `none`, or the kind's plain method if only that was run."""
    cells = [record["cell"] for record in records]
    if any(cell["method_text"] == NONE for cell in cells):
        return NONE
    return get_kind(cells[0]["kind"]).plain_method if cells else NONE


def effect_metrics(kind: str, metric: str) -> list[str]:
    """Return the metrics to show effects for: this one, the selection metric, one per group of classes."""
    known = get_kind(kind)
    groups = [next(iter(row.columns.values())) for row in known.columns.averages if row.role == "group"]
    return list(dict.fromkeys([metric, known.selection, *groups]))


def effects(records: Sequence[Record], bootstrap: PairedBootstrap, metrics: Iterable[str]) -> list[Effect]:
    """Return the effect of each method relative to `none`, for every metric that is defined.

    A pair is two cells that differ only in the method; a cell without its `none` is ignored. Tuned cells have
    separate effects, for each budget. See `base_of` for the method that replaces `none`. Seeds are resampled;
    backbones are fixed: the effect holds for these backbones only.
    """
    inside = set(bootstrap.cells)
    own = [record for record in records if record["id"] in inside]
    base = base_of(own)
    pairs = _pairs(own, base)
    out: list[Effect] = []
    for metric, budget in product(metrics, sorted({one for one, _ in pairs})):
        rows = [
            replace(row, budget=budget)
            for (one, method), bases in pairs.items()
            if one == budget and (row := _effect(bootstrap, metric, method, bases)) is not None
        ]
        qs = intervals.benjamini_hochberg([row.p for row in rows])
        out += [_judged(replace(row, q=q, base=base)) for row, q in zip(rows, qs, strict=True)]
    return out


Bases = Mapping[str, Mapping[int, tuple[Record, Record]]]
"""Identity without method and seed -> seed -> the method's cell and that of `none`."""


def _pairs(
    records: Sequence[Record], base_method: str
) -> dict[tuple[Budget, str], dict[str, dict[int, tuple[Record, Record]]]]:
    """Return the pairs by budget and method, then by the rest of the identity, then by seed."""
    plain: dict[tuple[str, int], Record] = {}
    rest: list[tuple[str, str, int, Budget, Record]] = []
    keys = pairing_keys(records)
    for record in records:
        cell, base = record["cell"], keys[record["id"]]
        seed = int(cell["seed"])
        if cell["method_text"] == base_method:
            plain[base, seed] = record
        else:
            rest.append((cell["method_text"], base, seed, budget_of(cell), record))
    out: dict[tuple[Budget, str], dict[str, dict[int, tuple[Record, Record]]]] = {}
    for method, base, seed, budget, record in sorted(rest, key=lambda row: row[:3]):
        if (base, seed) in plain:
            # Two versions of a method's plug-in are kept apart.
            own = canonical_json([base, record["cell"].get("plugins", {})])
            out.setdefault((budget, method), {}).setdefault(own, {})[seed] = (record, plain[base, seed])
    return out


def _effect(bootstrap: PairedBootstrap, metric: str, method: str, bases: Bases) -> Effect | None:
    gaps = {base: [_gap(metric, *pair) for pair in seeds.values()] for base, seeds in bases.items()}
    known = [gap for row in gaps.values() for gap in row if gap is not None]
    if len(known) < sum(map(len, gaps.values())) or not known:
        return None
    first = next(iter(next(iter(bases.values())).values()))[0]["cell"]
    better = get_metric(metric).better
    effect = Effect(
        task=first["task"],
        kind=bootstrap.kind,
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
    contrast = Contrast.paired(*ids.values())
    if not contrast.cells <= bootstrap.drawn(metric).keys():
        return effect
    if bootstrap.changed(metric, contrast.pairs) < FEW_CHANGES:
        return replace(effect, verdict=SAME)
    found = bootstrap.estimate(metric, contrast)
    assert found is not None
    return replace(effect, low=found.low, high=found.high, p=found.p)


def _gap(metric: str, ours: Record, none: Record) -> float | None:
    values = [record["metrics"].get("test", {}).get(metric) for record in (ours, none)]
    return None if None in values else float(values[0] - values[1])


def _judged(row: Effect) -> Effect:
    """Return the row with its verdict, which needs an interval without 0 and q at most ALPHA."""
    if row.verdict is not None or row.low is None or row.high is None:
        return row
    return replace(row, verdict=called(row.metric, row.low, row.high, row.q))
