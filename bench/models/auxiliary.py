"""Targets that a lane's rows are trained as besides their class, by heads that answer nothing afterwards.

What a head and its auxiliary ones share, a hidden layer or a net, learns from all of them (Caruana 1997,
Multitask learning, Machine Learning 28).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.methods.registry import LossSpec
from bench.models.mixing import Mix, measure_mixed
from bench.models.objective import ClassObjective
from bench.models.schedule import initial_kernel

SIDE = 200
"""Added to a target's number, it gives the stream that its head's initial weights are drawn from."""


@dataclass(frozen=True)
class Targets:
    """Auxiliary columns of all n examples as classes.

    names: of t columns. labels: (n, t) int32, -1 for unknown. sizes: how many classes each column has.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    sizes: tuple[int, ...]

    def found(self, rows: np.ndarray) -> dict[str, int]:
        """Return for the record how many classes each column has, and how many of these rows say one."""
        known = (self.labels[rows] >= 0).sum(axis=0).tolist()
        classes = {f"{name}_classes": size for name, size in zip(self.names, self.sizes, strict=True)}
        return classes | {f"{name}_known": count for name, count in zip(self.names, known, strict=True)}


@dataclass(frozen=True)
class Auxiliary:
    """What one lane's rows are trained as besides. labels: (m, t) int32 of its training rows, -1 for unknown.

    sizes: classes of each of the t targets. main: what the loss of the rows' own class is multiplied by;
    weight: what that of each target is.
    """

    labels: np.ndarray
    sizes: tuple[int, ...]
    main: float
    weight: float


def read_targets(columns: Mapping[str, Sequence[str]], rows: np.ndarray) -> Targets:
    """Return auxiliary columns as targets. rows: the training part, whose values are the classes.

    Cells that are empty are unknown, and so are values that no row of the training part has. A column with
    fewer than two values there is left out: nothing could be learned from it.
    """
    names, labels, sizes = [], [], []
    for column, cells in columns.items():
        told = [cell.strip() for cell in cells]
        values = sorted({told[row] for row in rows.tolist()} - {""})
        classes = {value: place for place, value in enumerate(values)}
        if len(classes) > 1:
            names.append(column)
            labels.append(np.array([classes.get(cell, -1) for cell in told], np.int32))
            sizes.append(len(classes))
    whole = np.stack(labels, axis=1) if labels else np.empty((0, 0), np.int32)
    return Targets(tuple(names), whole, tuple(sizes))


def auxiliary_of(
    targets: Targets, rows: np.ndarray, chosen: np.ndarray, shared: tuple[float, float]
) -> Auxiliary:
    """Return what a lane's rows are trained as besides.

    rows: (n,) a cell's training rows among all examples. chosen: (m,) the lane's rows as positions among
    these and made up ones after them, of which nothing is known. shared: what the losses are multiplied by.
    """
    real = chosen < len(rows)
    labels = targets.labels[rows[np.where(real, chosen, 0)]]
    return Auxiliary(np.where(real[:, None], labels, -1).astype(np.int32), targets.sizes, *shared)


class SideObjective:
    """The auxiliary targets of one lane: the mean cross entropy of each over the rows that know it."""

    def __init__(self, auxiliary: Auxiliary) -> None:
        self.main, self.weight = np.float32(auxiliary.main), np.float32(auxiliary.weight)
        self.parts, start = [], 0
        for labels, size in zip(auxiliary.labels.T, auxiliary.sizes, strict=True):
            known = ClassObjective(LossSpec(), None, (labels >= 0).astype(np.float32))
            self.parts.append((slice(start, start + size), np.maximum(labels, 0), known))
            start += size

    def slope(self, logits: np.ndarray, places: np.ndarray, mix: Mix | None = None) -> np.ndarray:
        """Return the (n, c) slope of weight * the sum of the targets' losses over a minibatch.

        logits: (n, c) of all targets side by side. places: (n,) the rows' positions among the lane's training
        rows. mix: how the minibatch is mixed; labels mix as the class does.
        """
        out = np.empty_like(logits)
        for columns, labels, objective in self.parts:
            own = logits[:, columns].copy()
            if mix is None:
                slope = objective(own, labels[places], places)[2]
            else:
                pair = mix.shares, labels[mix.others], mix.others
                slope = measure_mixed(objective, own, labels[places], places, *pair)[2]
            out[:, columns] = self.weight * slope
        return out


def side_kernel(seed: int, width: int, sizes: Sequence[int]) -> np.ndarray:
    """Draw the (width, c) float32 kernels of all targets, side by side, each from a stream of its own."""
    kernels = [initial_kernel(seed, width, size, SIDE + place) for place, size in enumerate(sizes)]
    return np.concatenate(kernels, axis=1)
