"""Tables of prediction sets: of one cell by class, and of the settings of a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.compare.estimates import Contrast
from bench.compare.paired_bootstrap import PairedBootstrap, own_intervals
from bench.core.predictions import Predictions
from bench.core.table import Column, Table
from bench.kinds.multiclass.metrics import per_class, sets
from bench.methods.conformal import alpha_of
from bench.metrics.intervals import wilson
from bench.store.settings import Setting, mean_of
from bench.store.write import Stored

DRAWN = ("coverage", "set_size")
"""The metrics of prediction sets that a bootstrap draws."""

_SIZE = Column("set_size", "set size", "ratio", rank=0, spread=("set_size_low", "set_size_high"))
_COVERAGE = (
    Column("coverage", "coverage", "ratio", rank=0, spread=("coverage_low", "coverage_high")),
    Column("coverage_low", "low", "ratio"),
    Column("coverage_high", "high", "ratio"),
)
_ENDS = (Column("set_size_low", "low", "ratio"), Column("set_size_high", "high", "ratio"))


def sets_by_class(stored: Stored) -> Table:
    """Return coverage and size of a cell's prediction sets: of all test items, and by class.

    Raises FileFault if the predictions cannot be read.
    """
    test, calibration = stored.predictions("test"), stored.calibration()
    kind, overall = stored.record["cell"]["kind"], stored.record["metrics"]["test"]
    counts = _counts(calibration, test)
    whole = own_intervals(kind, test, DRAWN)
    rows: list[dict[str, Any]] = [
        {
            "row": "all",
            "class": "all",
            "calibration": None if counts is None else int(counts.sum()),
            "test_support": len(test.items),
            **{name: overall.get(name) for name in DRAWN},
            **{
                f"{name}_{end}": _finite(getattr(own, end))
                for name, own in whole.items()
                for end in ("low", "high")
            },
        }
    ]
    for index, row in enumerate(per_class(test)):
        ends = wilson(row["covered"], row["test_support"])
        rows.append(
            {
                "row": "class",
                **{key: row[key] for key in ("class", "cut", "test_support", *DRAWN)},
                "calibration": None if counts is None else int(counts[index]),
                "coverage_low": _finite(ends.low),
                "coverage_high": _finite(ends.high),
            }
        )
    columns = [
        Column("row", "row", rank=3),
        Column("class", "class", rank=0),
        Column("calibration", "calibration images", "int"),
        Column("cut", "from probability", "ratio"),
        Column("test_support", "test images", "int"),
        *_COVERAGE,
        _SIZE,
        *_ENDS,
    ]
    return Table("Prediction sets", columns, rows, _notes(stored, test))


def sets_by_setting(settings: Sequence[tuple[str, Setting]], cells: Mapping[str, Stored]) -> Table | None:
    """Return coverage and size of the prediction sets of settings that have some; None without any.

    settings: with their names; all answered the same test items. cells: by id.
    """
    rows, without = [], []
    for name, setting in settings:
        own = [record for record in setting.measured if record.get("cuts") is not None]
        if not own:
            continue
        found = {str(record["id"]): cells[record["id"]].predictions("test") for record in own}
        bootstrap = PairedBootstrap.of(own[0]["cell"]["kind"], found, DRAWN)
        row: dict[str, Any] = {"method": name, "seeds": len(own)}
        for metric in (*DRAWN, "coverage_min_class"):
            row[metric] = mean_of(setting.values("test", metric))
            estimate = bootstrap.estimate(metric, Contrast.mean([*found])) if metric in DRAWN else None
            if estimate is not None:
                row |= {f"{metric}_low": estimate.low, f"{metric}_high": estimate.high}
        rows.append(row)
        lacking = {
            label for pred in found.values() for label in np.array(pred.classes)[_without(pred)].tolist()
        }
        if lacking:
            listed = ", ".join(sorted(lacking))
            without.append(f"{name}: in every set, for want of calibration images: {listed}.")
    if not rows:
        return None
    columns = [
        Column("method", "method", rank=0),
        Column("seeds", "seeds", "int"),
        *_COVERAGE,
        Column("coverage_min_class", "worst class", "ratio"),
        _SIZE,
        *_ENDS,
    ]
    notes = [
        "Coverage: share of test images whose set has the true class; worst class: its lowest value over "
        "classes. Intervals are 95%, over test images and seeds.",
        *without,
    ]
    return Table("Prediction sets", columns, rows, notes)


def _counts(calibration: Mapping[str, Predictions], test: Predictions) -> np.ndarray | None:
    """Return the calibration items of each class, (k,) int64, None if they are not stored."""
    own = next((pred for pred in calibration.values() if pred.cuts is not None), None)
    own = calibration.get("conformal", own)
    return None if own is None else np.bincount(own.truth, minlength=len(test.classes))


def _without(pred: Predictions) -> np.ndarray:
    """Return which classes have no threshold, (k,) bool."""
    assert pred.cuts is not None
    found: np.ndarray = pred.cuts == 0
    return found


def _notes(stored: Stored, test: Predictions) -> list[str]:
    alpha, notes = alpha_of(stored.record["cell"]), []
    if alpha is not None:
        notes.append(
            "A class is in the set of an image from its probability on. At least "
            f"{1 - alpha:g} of the images of a class are expected to have it in their sets, if test images "
            "are drawn like calibration images."
        )
    if (lacking := np.flatnonzero(_without(test)).tolist()) and alpha:
        names = ", ".join(test.classes[place] for place in lacking)
        few = int(np.ceil(1 / alpha - 1 - 1e-9))
        notes.append(f"In every set, having fewer than {few} calibration images: {names}.")
    if empty := int((~sets(test).any(axis=1)).sum()):
        notes.append(f"{empty} of {len(test.items)} sets are empty: no class is likely enough.")
    notes.append("Intervals are 95%: by class Wilson, of all a bootstrap over test images.")
    return notes


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else value
