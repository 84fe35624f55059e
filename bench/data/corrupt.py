"""Wrong labels planted on purpose, so that what finds or survives them can be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.errors import DataError


@dataclass(frozen=True)
class Noise:
    """Which labels are planted wrong.

    kind: `none`, `uniform` (any other class), `pair` (the next class by name, Han et al. 2018) or
    `confusion` (a class that is taken for this one, as the task's card says; any other class where it says
    nothing). rate: share of the rows. seed: which rows, and what they become.
    """

    kind: str = "none"
    rate: float = 0.0
    seed: int = 0


def plant(
    labels: Sequence[str], rows: np.ndarray, noise: Noise, alike: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    """Return the labels with exactly round(rate * len(rows)) of the rows given another class.

    labels: n class names. rows: positions that may be hit, all of them labelled. alike: which classes a
    class is taken for. Only classes that the rows hold are planted. Raises DataError where there is but
    one class.
    """
    number = round(noise.rate * len(rows))
    if noise.kind == "none" or not number:
        return tuple(labels)
    classes = sorted({labels[row] for row in rows.tolist()})
    if len(classes) < 2:
        raise DataError(f"noise={noise.kind}: the training part has {len(classes)} class; nothing to confuse")
    following = dict(zip(classes, (*classes[1:], classes[0]), strict=True))
    rng = np.random.default_rng(noise.seed)
    out = list(labels)
    for row in rng.permutation(rows)[:number].tolist():
        own = labels[row]
        others = [name for name in classes if name != own]
        if noise.kind == "pair":
            others = [following[own]]
        elif noise.kind == "confusion":
            others = [name for name in alike.get(own, ()) if name in following and name != own] or others
        out[row] = others[int(rng.integers(len(others)))]
    return tuple(out)
