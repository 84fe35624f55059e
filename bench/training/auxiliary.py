"""Auxiliary targets of multitask learning: more columns to learn, each with a head that training discards.

The layers below all heads, a hidden layer or a net, learn from every target (Caruana 1997, Multitask
learning, Machine Learning 28).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.training.fits import Auxiliary
from bench.training.objective import mean, sides
from bench.training.schedule import initial_kernel

SIDE = 200
"""Layer number of the first target's head in `initial_kernel`; those of the other targets follow."""


@dataclass(frozen=True)
class Targets:
    """Auxiliary columns of all n examples as classes.

    names: of t columns. labels: (n, t) int32, -1 for unknown. sizes: how many classes each column has.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    sizes: tuple[int, ...]

    def found(self, rows: np.ndarray) -> dict[str, int]:
        """Return the number of classes of each column and of rows with a known one, for the record."""
        known = (self.labels[rows] >= 0).sum(axis=0).tolist()
        classes = {f"{name}_classes": size for name, size in zip(self.names, self.sizes, strict=True)}
        return classes | {f"{name}_known": count for name, count in zip(self.names, known, strict=True)}


def read_targets(columns: Mapping[str, Sequence[str]], rows: np.ndarray) -> Targets:
    """Return auxiliary columns as targets. rows: the training rows, whose values are the classes.

    Empty cells are unknown, and so are values that no training row has. A column with fewer than two values
    there is left out, since it teaches nothing.
    """
    names, labels, sizes = [], [], []
    for column, cells in columns.items():
        stripped = [cell.strip() for cell in cells]
        values = sorted({stripped[row] for row in rows.tolist()} - {""})
        classes = {value: place for place, value in enumerate(values)}
        if len(classes) > 1:
            names.append(column)
            labels.append(np.array([classes.get(cell, -1) for cell in stripped], np.int32))
            sizes.append(len(classes))
    whole = np.stack(labels, axis=1) if labels else np.empty((0, 0), np.int32)
    return Targets(tuple(names), whole, tuple(sizes))


def auxiliary_of(
    targets: Targets, rows: np.ndarray, chosen: np.ndarray, shared: tuple[float, float]
) -> Auxiliary:
    """Return the auxiliary targets of a fit's rows.

    rows: (n,) a cell's training rows among all examples. chosen: (m,) the fit's rows as positions among
    these, or among the synthetic ones after them, whose targets are unknown. shared: factors of the losses.
    """
    real = chosen < len(rows)
    labels = targets.labels[rows[np.where(real, chosen, 0)]]
    return Auxiliary(np.where(real[:, None], labels, -1).astype(np.int32), targets.sizes, *shared)


def side_kernel(seed: int, width: int, sizes: Sequence[int]) -> np.ndarray:
    """Draw the (width, c) float32 kernels of all targets, side by side, each from its own random stream."""
    kernels = [initial_kernel(seed, width, size, SIDE + place) for place, size in enumerate(sizes)]
    return np.concatenate(kernels, axis=1)


def auxiliary_loss(logits: Any, sizes: Sequence[int], rows: Mapping[str, Any]) -> Any:
    """Return the sum over auxiliary targets of each one's mean cross entropy over the rows that know it.

    logits: (n, sum(sizes)), the targets' side by side; labels mix as the class does.
    """
    from keras import ops

    from bench.training.losses.classes import softmax

    total, start = 0.0, 0
    for place, size in enumerate(sizes):
        own, lost, seen = logits[:, start : start + size], 0.0, 0.0
        for name, kept in sides(rows):
            labels = rows[name + "aside"][:, place]
            known = ops.cast(labels >= 0, "float32")
            weight = known if kept is None else kept * known
            lost, seen = lost + ops.sum(weight * softmax(own, ops.maximum(labels, 0))), seen + ops.sum(weight)
        total, start = total + mean(lost, seen), start + size
    return total
