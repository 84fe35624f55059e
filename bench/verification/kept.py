"""Keeps what tells two photos of a person from photos of two, as plain arrays beside a cell's results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.arrays import UNREADABLE, read_arrays, write_arrays
from bench.errors import BenchError, StoreError
from bench.keep import LATER
from bench.methods.grammar import parse_method
from bench.protocol import check
from bench.spec import Cell
from bench.stored import MODEL

VERSION = 1
"""Of the arrays and the facts in the file."""

_FACTS = "facts"
_TEXTS = ("cell", "regime", "backbone", "weights", "method", "preprocess", "engine", "resize")
_NUMBERS = ("cut", "slope", "intercept")


@dataclass(frozen=True, eq=False)
class KeptMatch:
    """All that turns two photos into an answer; of a frozen backbone the weights are named, not kept.

    cell: the cell's full id. weights: as in `bench.spec.Cell`. method: its text. preprocess, engine, resize,
    crop, layers, pool, unit_fields, mirror: as in the protocol. size: (height, width) of photos. cut: the
    score from which on the answer is "same". slope, intercept: of the logistic curve of a score that says how
    often validation pairs with such a score are of one person (Platt 1999); half of these pairs, about, are.
    arrays: what the method keeps.
    """

    cell: str
    regime: str
    backbone: str
    weights: str
    method: str
    preprocess: str
    engine: str
    resize: str
    size: tuple[int, int]
    cut: float
    slope: float
    intercept: float
    arrays: Mapping[str, np.ndarray]
    crop: float = 1.0
    layers: str = ""
    pool: str = "average"
    unit_fields: bool = False
    mirror: bool = False

    def sureness(self, scores: np.ndarray) -> np.ndarray:
        """Return (m,) float64, the probability of one person for each score, by validation pairs."""
        steep = self.slope * scores.astype(np.float64) + self.intercept
        return 0.5 * (1.0 + np.tanh(0.5 * steep))

    def save(self, folder: Path) -> Path:
        """Write the model into a cell's folder, whole or not at all, and return the file.

        Raises StoreError for a folder that cannot be written.
        """
        facts: dict[str, Any] = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS, *LATER)}
        facts |= {"pairs": VERSION, "size": list(self.size)}
        text = json.dumps(facts, ensure_ascii=True, allow_nan=False).encode("ascii")
        return write_arrays(folder / MODEL, {_FACTS: np.frombuffer(text, np.uint8), **self.arrays})


def kept_match(
    cell: Cell,
    size: tuple[int, int],
    arrays: Mapping[str, np.ndarray],
    cut: float,
    scores: np.ndarray,
    same: np.ndarray,
) -> KeptMatch:
    """Return the model of a trained cell. scores, same: of its validation pairs."""
    setting = cell.setting
    slope, intercept = platt(scores, same)
    return KeptMatch(
        cell=cell.id,
        regime=cell.regime,
        backbone=cell.backbone,
        weights=cell.weights,
        method=cell.method.text,
        preprocess=str(setting["preprocess"]),
        engine=str(setting["engine"]),
        resize=str(setting["resize"]),
        size=size,
        cut=cut,
        slope=slope,
        intercept=intercept,
        arrays=arrays,
        **{key: setting.get(key, default) for key, default in LATER.items()},
    )


def platt(scores: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the logistic curve through scores (m,) and what is so (m,), after Platt.

    With his smoothed targets, so that pairs that are told apart without a fault give no infinite slope. Flat,
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
    path = folder / MODEL
    try:
        arrays = read_arrays(path)
        return _read(json.loads(arrays.pop(_FACTS).tobytes().decode("ascii")), arrays)
    except FileNotFoundError:
        raise StoreError(f"{folder} keeps no model: train the cell again with --keep-model") from None
    except (*UNREADABLE, BenchError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise StoreError(f"{path}: not a kept model ({why}); train again with --keep-model") from None


def _read(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> KeptMatch:
    if facts["pairs"] != VERSION:
        raise ValueError(f"version {facts['pairs']}, this messybench reads {VERSION}")
    texts, numbers = ({name: facts[name] for name in names} for names in (_TEXTS, _NUMBERS))
    later: dict[str, Any] = {name: check(name, facts[name], "its facts") for name in LATER}
    if any(type(value) is not str for value in texts.values()):
        raise ValueError("its facts are not text")
    if any(type(value) is not float or not np.isfinite(value) for value in numbers.values()):
        raise ValueError("its cut or its curve is no number")
    height, width = (int(side) for side in facts["size"])
    if not (0 < height < 10_000 and 0 < width < 10_000):
        raise ValueError(f"size {facts['size']}")
    if any(array.dtype.kind not in "fiub" for array in arrays.values()):
        raise ValueError("its arrays hold something else than numbers")
    parse_method(texts["method"])
    return KeptMatch(**texts, **numbers, **later, size=(height, width), arrays=arrays)
