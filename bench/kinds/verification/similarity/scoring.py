"""Rules that compare two photos in their space: one score per pair, higher for more similar ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bench.kinds.verification.similarity.joint_bayes import Ratio
from bench.kinds.verification.similarity.transforms import unit
from bench.training.fits import Hidden
from bench.training.linear_head import LinearHead


class Rule(Protocol):
    """Compares rows of the space, pair by pair; a(x, y) = a(y, x)."""

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32 for (m, k) float32 rows of either photo."""
        ...


@dataclass(frozen=True)
class Cosine:
    """The cosine of the angle between both; 0 where one is all zeros."""

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, see `Rule`."""
        out: np.ndarray = np.einsum("ij,ij->i", unit(first), unit(second)).astype(np.float32)
        return out


@dataclass(frozen=True)
class Euclidean:
    """Minus the Euclidean distance."""

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, see `Rule`."""
        out: np.ndarray = -np.linalg.norm(first - second, axis=1)
        return out.astype(np.float32)


@dataclass(frozen=True)
class Manhattan:
    """Minus the sum of absolute differences."""

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, see `Rule`."""
        out: np.ndarray = -np.abs(first - second).sum(axis=1, dtype=np.float64)
        return out.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Head:
    """The logit of a head on features of the pair, standardised with mean and scale (2k,)."""

    mean: np.ndarray
    scale: np.ndarray
    last: LinearHead
    hidden: Hidden | None = None

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, see `Rule`."""
        inputs = (pair_features(first, second) - self.mean) / self.scale
        if self.hidden is not None:
            inputs = self.hidden(inputs)
        return self.last.logits(inputs)[:, 0].astype(np.float32)


@dataclass(frozen=True, eq=False)
class LikelihoodRatio:
    """The log likelihood ratio of one person against two, of rows about this mean (k,)."""

    mean: np.ndarray
    ratio: Ratio

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, see `Rule`."""
        one, other = first.astype(np.float64) - self.mean, second.astype(np.float64) - self.mean
        own, cross, constant = self.ratio
        scores: np.ndarray = (
            _form(one, own, one) + _form(other, own, other) + _form(one, cross, other) + constant
        )
        return scores.astype(np.float32)


def pair_features(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return |a - b| and a * b side by side, which do not know which photo is the first: (m, 2k) float32."""
    k = first.shape[1]
    out = np.empty((len(first), 2 * k), np.float32)
    np.subtract(first, second, out=out[:, :k])
    np.abs(out[:, :k], out=out[:, :k])
    np.multiply(first, second, out=out[:, k:])
    return out


def _form(one: np.ndarray, matrix: np.ndarray, other: np.ndarray) -> np.ndarray:
    out: np.ndarray = np.einsum("ij,ij->i", one @ matrix, other)
    return out
