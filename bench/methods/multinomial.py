"""Multinomial logistic regression, to convergence: few rows, or few features."""

from __future__ import annotations

import numpy as np

LIMITS = {"gtol": 1e-4, "ftol": 1e-12, "maxiter": 1000}
"""When L-BFGS has converged; gradients are of sums of cross entropies, not of means."""


def fit_multinomial(
    inputs: np.ndarray,
    truth: np.ndarray,
    k: int,
    penalty: np.ndarray,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel (d, k) and bias (k,) of a linear head.

    They minimise sum(w * cross entropy) + sum(penalty * kernel^2) / 2. inputs: (n, d) float64. truth: (n,)
    classes below k, each of which has a row. penalty: (d, 1) or (d, k), above 0; the bias has none. weights:
    (n,), or None for all ones.
    """
    from scipy.optimize import minimize

    size, places = inputs.shape[1], np.arange(len(inputs))
    share = np.ones(len(inputs)) if weights is None else weights

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = flat[:-k].reshape(size, k), flat[-k:]
        logits = inputs @ kernel + bias
        logits -= logits.max(axis=1, keepdims=True)
        slope = np.exp(logits)
        total = slope.sum(axis=1)
        lost = share @ (np.log(total) - logits[places, truth]) + (penalty * kernel**2).sum() / 2
        slope /= total[:, None]
        slope[places, truth] -= 1.0
        slope *= share[:, None]
        return lost, np.concatenate([(inputs.T @ slope + penalty * kernel).ravel(), slope.sum(axis=0)])

    start = np.zeros((size + 1) * k)
    best: np.ndarray = minimize(loss, start, jac=True, method="L-BFGS-B", options=LIMITS).x
    return best[:-k].reshape(size, k), best[-k:]
