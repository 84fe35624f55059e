"""Minibatches whose inputs and losses are mixed in pairs: mixup (Zhang et al. 2018, arXiv:1710.09412)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.models.objective import Objective

_MIXES = 3
"""The stream of random numbers, beside those of `bench.models.schedule`."""


@dataclass(frozen=True)
class Mix:
    """How n rows of a minibatch are mixed.

    shares: (n,) float32, what is left of each row; partners: (n,) int64 positions, whose inputs make up the
    rest. Of several minibatches one after the other, positions count from the start of each.
    """

    shares: np.ndarray
    partners: np.ndarray

    def part(self, start: int, stop: int) -> Mix:
        """Return the mix of some of the rows, whole minibatches of them."""
        return Mix(self.shares[start:stop], self.partners[start:stop])

    def inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return (n, ...) mixed inputs: share * own + (1 - share) * partner's, as keras_cv's MixUp does."""
        shares = self.shares.reshape(-1, *(1,) * (inputs.ndim - 1))
        mixed: np.ndarray = shares * inputs + (np.float32(1) - shares) * inputs[self.partners]
        return mixed

    def measure(
        self, objective: Objective, logits: np.ndarray, labels: np.ndarray, places: np.ndarray
    ) -> tuple[float, float, np.ndarray]:
        """Return sums and slope of the loss against both labels of each row, see `Objective`.

        share * loss against its own label + (1 - share) * loss against its partner's, each with the weight of
        the row whose label it is. Of cross entropy that is the loss against mixed labels.
        """
        own = objective(logits.copy(), labels, places, self.shares)
        rest = np.float32(1) - self.shares
        other = objective(logits, labels[self.partners], places[self.partners], rest)
        seen = own[1] + other[1]
        slope = np.zeros_like(own[2])
        for _, weight, part in (own, other):
            slope += np.float32(weight / seen if seen else 0.0) * part
        return own[0] + other[0], seen, slope


def epoch_mix(rows: int, size: int, alpha: float, seed: int, epoch: int) -> Mix:
    """Return how the rows of an epoch (counted from 1) are mixed, minibatch by minibatch of `size` rows.

    Shares are drawn from Beta(alpha, alpha), one for each row, and partners by permuting the minibatch.
    """
    random = np.random.default_rng([_MIXES, seed, epoch])
    shares = random.beta(alpha, alpha, rows).astype(np.float32)
    sizes = [min(size, rows - start) for start in range(0, rows, size)]
    partners = [random.permutation(count) for count in sizes]
    return Mix(shares, np.concatenate([np.empty(0, np.int64), *partners]))
