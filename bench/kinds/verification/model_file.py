"""Saved models of pairs of photos: plain arrays beside a cell's results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.cell import Cell
from bench.methods.grammar import parse_method
from bench.store.model_file import SavedModel, fields_of, read_fields, read_model, write_model

VERSION = 1
"""Of the arrays and the facts in the file."""

_NUMBERS = ("cut", "slope", "intercept")


@dataclass(frozen=True, eq=False, kw_only=True)
class KeptMatch(SavedModel):
    """Model that compares two photos.

    method: its text. cut: the score from which on the answer is "same". slope, intercept: of the logistic
    curve of a score that says how often validation pairs with such a score are of one person (Platt 1999);
    half of these pairs, about, are. arrays: what the method keeps.
    """

    method: str
    cut: float
    slope: float
    intercept: float
    arrays: Mapping[str, np.ndarray]

    def sureness(self, scores: np.ndarray) -> np.ndarray:
        """Return (m,) float64, the probability of one person for each score, by validation pairs."""
        steep = self.slope * scores.astype(np.float64) + self.intercept
        return 0.5 * (1.0 + np.tanh(0.5 * steep))

    def save(self, folder: Path) -> Path:
        """Write the model into a cell's folder, whole or not at all, and return the file.

        Raises StoreError for a folder that cannot be written.
        """
        own = {name: getattr(self, name) for name in ("method", *_NUMBERS)}
        return write_model(folder, {**self.facts, **own, "pairs": VERSION}, self.arrays)


def kept_match(
    cell: Cell,
    size: tuple[int, int],
    arrays: Mapping[str, np.ndarray],
    cut: float,
    scores: np.ndarray,
    same: np.ndarray,
) -> KeptMatch:
    """Return the model of a trained cell. scores, same: of its validation pairs."""
    slope, intercept = platt(scores, same)
    return KeptMatch(
        **fields_of(cell, size),
        method=cell.method.text,
        cut=cut,
        slope=slope,
        intercept=intercept,
        arrays=arrays,
    )


def platt(scores: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the logistic curve through scores (m,) and what is so (m,), after Platt.

    With his smoothed targets, so that perfectly separated pairs give no infinite slope. Flat,
    at the share of same pairs, where all scores are equal.
    """
    from sklearn.linear_model import LogisticRegression

    yes, no = int(same.sum()), int((~same).sum())
    high, low = (yes + 1) / (yes + 2), 1 / (no + 2)
    spread = float(scores.std())
    if spread == 0.0 or not yes or not no:
        share = (yes + 1) / (yes + no + 2)
        return 0.0, float(np.log(share / (1 - share)))
    centre = float(scores.mean())
    inputs = np.repeat(((scores - centre) / spread)[:, None], 2, axis=0)
    labels = np.tile([1, 0], len(scores))
    target = np.where(same, high, low)
    weights = np.stack([target, 1 - target], axis=1).ravel()
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(inputs, labels, weights)
    slope = float(fitted.coef_[0, 0]) / spread
    return slope, float(fitted.intercept_[0]) - slope * centre


def load_match(folder: Path) -> KeptMatch:
    """Read the model in a cell's folder.

    Raises StoreError (one line) where none was kept, and for a file that is not one of ours.
    """
    return read_model(folder, _match)


def _match(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> KeptMatch:
    if facts["pairs"] != VERSION:
        raise ValueError(f"version {facts['pairs']}, this messybench reads {VERSION}")
    numbers = {name: facts[name] for name in _NUMBERS}
    if type(facts["method"]) is not str:
        raise ValueError("its facts are not text")
    if any(type(value) is not float or not np.isfinite(value) for value in numbers.values()):
        raise ValueError("its cut or its curve is not a number")
    if any(array.dtype.kind not in "fiub" for array in arrays.values()):
        raise ValueError("its arrays hold something else than numbers")
    parse_method(facts["method"], stored=True)
    return KeptMatch(**read_fields(facts), **numbers, method=facts["method"], arrays=arrays)
