"""Synthetic label noise, to measure methods that detect or tolerate wrong labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.core.errors import DataError


@dataclass(frozen=True)
class Noise:
    """Label noise.

    rule: `none`, `uniform` (any other class), `pair` (the next class by name, Han et al. 2018) or
    `confusion` (a class that the task's card lists as confused with this one; without any, another class).
    rate: share of the rows. seed: of rows and new labels.
    """

    rule: str = "none"
    rate: float = 0.0
    seed: int = 0


def add_noise(
    labels: Sequence[str], rows: np.ndarray, noise: Noise, alike: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return the labels, with another class for exactly round(rate * len(rows)) of the rows.

    labels: n class names. rows: positions that may change, all labelled. alike: confused classes by class.
    New labels are classes of the rows. Raises DataError if there is only one class.
    """
    number = round(noise.rate * len(rows))
    if noise.rule == "none" or not number:
        return tuple(labels)
    classes = sorted({labels[row] for row in rows.tolist()})
    if len(classes) < 2:
        raise DataError(f"noise={noise.rule} needs two classes; the training set has {len(classes)}")
    following = dict(zip(classes, (*classes[1:], classes[0]), strict=True))
    rng = np.random.default_rng(noise.seed)
    out = list(labels)
    for row in rng.permutation(rows)[:number].tolist():
        own = labels[row]
        others = [name for name in classes if name != own]
        if noise.rule == "pair":
            others = [following[own]]
        elif noise.rule == "confusion":
            others = [name for name in alike.get(own, ()) if name in following and name != own] or others
        out[row] = others[int(rng.integers(len(others)))]
    return tuple(out)
