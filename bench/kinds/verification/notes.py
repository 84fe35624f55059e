"""Notes on results of pairs of photos: test pairs, supervision, differences of seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.core.plural import counted
from bench.metrics.registry import FALSE_ACCEPTS, METRICS
from bench.store.settings import Record, Setting, kind_of

SPREADS = 5
"""Settings whose seeds get a note."""

LEARNS_FROM = {
    "none": "no labels",
    "pairs": "whether pairs are of one person (image-restricted)",
    "identities": "who is who (unrestricted)",
}
"""Labels that a method learns from, by `choices.supervision`."""


def rests_on(record: Record) -> str:
    """Return how many pairs and people a cell was scored on, and how many may pass at each rate."""
    test: Mapping[str, Any] = record["metrics"].get("test", {})
    positives, negatives, people = (test.get(name) for name in ("positives", "negatives", "people"))
    if positives is None or negatives is None or people is None:
        return ""
    folds = test.get("folds") or 1
    inside = f" in {counted(int(folds), 'fold')}" if folds > 1 else ""
    return (
        f"Test: {positives:,} pairs of one person and {negatives:,} of two, of {people:,} people{inside}. "
        + rates(int(negatives))
    )


def rates(negatives: int) -> str:
    """Return how many of so many different pairs may pass at each rate of false accepts.

    >>> rates(500)
    'FAR 1e-1 of 500 different pairs: 50 may pass; 1e-2: 5 may pass; 1e-3: not one may.'
    """
    powers = {of: f"1e-{len(str(of)) - 1}" for of in FALSE_ACCEPTS.values()}
    parts = [
        f"{power}: {negatives // of:,} may pass" if negatives >= of else f"{power}: not one may"
        for of, power in powers.items()
    ]
    parts[0] = parts[0].replace(":", f" of {negatives:,} different pairs:", 1)
    return f"FAR {'; '.join(parts)}."


def supervision(records: Iterable[Record]) -> str:
    """Return a note on the methods' supervision: the restricted setting, LFW's unrestricted one, or none."""
    methods: dict[str, dict[str, None]] = {}
    for record in records:
        name = str(record.get("choices", {}).get("supervision") or "")
        if name:
            methods.setdefault(name, {})[str(record["cell"]["method_text"])] = None
    order = [
        *(name for name in LEARNS_FROM if name in methods),
        *(name for name in methods if name not in LEARNS_FROM),
    ]
    parts = [f"{LEARNS_FROM.get(name, name)}: {', '.join(methods[name])}" for name in order]
    return f"Learns from {'; '.join(parts)}." if parts else ""


def spread(setting: Setting, metric: str) -> str:
    """Return a note on how one setting's seeds differ in a test metric, nothing with fewer than two."""
    values = setting.values("test", metric)
    if len(values) < 2:
        return ""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5
    cell, title = setting.cell, METRICS[metric].title
    name = ", ".join(part for part in (f"{cell['backbone']} {cell['method_text']}", setting.differs) if part)
    ends = f"{_short(min(values))} to {_short(max(values))}"
    return (
        f"{name}: {title} over {counted(len(values), 'seed')} {ends}, standard deviation {_short(deviation)}"
    )


def pair_notes(settings: Sequence[Setting], metric: str = "") -> list[str]:
    """Return a line each about test pairs, supervision, and how seeds differ.

    settings: of pairs. metric: to compare seeds by, the kind's first by default; for the SPREADS
    settings that stand first.
    """
    own = [setting for setting in settings if setting.measured]
    if not own:
        return []
    tests = dict.fromkeys(rests_on(setting.measured[0]) for setting in own)
    metric = metric or kind_of(own[0].records[0]).headline[0]
    lines = [line for setting in own if (line := spread(setting, metric))]
    more = f"; and {len(lines) - SPREADS} more" if len(lines) > SPREADS else ""
    seeds = [f"Seeds: {'; '.join(lines[:SPREADS])}{more}."] if lines else []
    records = [record for setting in own for record in setting.measured]
    return [note for note in (*tests, supervision(records), *seeds) if note]


def fold_line(values: Sequence[float], error: float | None) -> str:
    """Return accuracy fold by fold, with the standard error of their mean."""
    shown = ", ".join(_short(value) for value in values)
    spread = f"; standard error of the mean {error:.4f}" if error is not None else ""
    return f"Accuracy by fold: {shown}{spread}."


def _short(value: float) -> str:
    """Return three decimals.

    >>> _short(0.7125)
    '.713'
    """
    text = f"{value + 1e-12:.3f}"
    return text.removeprefix("0") if text.startswith("0.") else text
