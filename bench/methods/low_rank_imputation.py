"""Estimates of unknown attributes by the models of `bench.methods.low_rank`, and the choice of a penalty."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bench.methods.low_rank import Basis, FactorisationLoss, Factors, KnownCells, coordinates_of, fit

LOW_RANK_GRID = (30.0, 10.0, 3.0, 1.0, 0.3)
PLAIN_GRID = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)
"""Grids of `l2=cv` for penalties on factors (and on squared loss) and on logistic weights, strong to weak,
until it gets worse. On drawn tables of 300 to 7,600 rows with signal the best was always inside."""

WORSE = 1.002
"""Growth of the held-out loss that counts as worse: it is constant while the penalty leaves nothing."""

HELD_OUT = 5
"""One known cell in so many is held out by `l2=cv`, of each attribute's yes and no alike."""

ROUGH, FINE = 3e-3, 2e-4
"""Tolerances of a fit that is compared with others, and of the one that answers."""


class Completion(NamedTuple):
    """probabilities: (n, k) float64 of yes in every cell, NaN for attributes without a known cell.

    l2: the penalty that was used. chosen: whether it was chosen on held-out cells.
    """

    probabilities: np.ndarray
    l2: float
    chosen: bool


def matrix_factorisation(targets: np.ndarray, rank: int, l2: float | str, seed: int) -> Completion:
    """Estimate by the other labels alone: argmin over P, Q, b of BCE(S | P Qᵀ + b) + l2 |P|² + l2 |Q|².

    The sum of cross entropies is over known cells. b, each attribute's base rate, has no penalty: without it
    a rare attribute would spend rank and penalty on being rare (Koren et al. 2009, Matrix factorization
    techniques for recommender systems, have such biases). targets: (n, k).
    """
    return _estimate(targets, None, True, FactorisationLoss("logistic", "sum", 1.0), rank, l2, seed)


def leml(
    targets: np.ndarray, features: np.ndarray, rank: int, l2: float | str, loss: str, norm: str, seed: int
) -> Completion:
    """Estimate by features through a low rank: argmin over W, H, b of loss(S | X W Hᵀ + b) + l2 penalty.

    Yu et al. 2014, Large-scale multi-label learning with missing labels, arXiv:1307.5101, with b
    without penalty. The sum of losses is over known cells. norm: `trace` is |W|² + |H|², twice the trace norm
    where the rank does not bind, and `frobenius` |W Hᵀ|². With squared loss, frobenius, full rank and nothing
    unknown this is ridge regression. The authors alternate between W and H; both are descended together here,
    to the same stationary points. X is scaled so that its rows have mean squared length 1.
    """
    penalty = {"trace": "sum", "frobenius": "product"}[norm]
    return _estimate(targets, features, False, FactorisationLoss(loss, penalty, 1.0), rank, l2, seed)


def feature_completion(
    targets: np.ndarray, features: np.ndarray, rank: int, l2: float | str, seed: int
) -> Completion:
    """Estimate by the row's other labels and by features: a factorisation whose P is pulled towards X G.

    argmin over P, Q, G, b of BCE(S | P Qᵀ + b) + l2 (|P - X G|² + |G|² + |Q|²), summed over known cells: the
    regression-based latent factor model of Agarwal and Chen 2009 (KDD, doi:10.1145/1557019.1557029) at its
    posterior mode, attributes having no features of their own. A row without a known label is estimated by
    its features; one with many departs from them as far as its labels demand. X as in `leml`.
    """
    return _estimate(targets, features, True, FactorisationLoss("logistic", "sum", 1.0), rank, l2, seed)


def by_attribute(
    targets: np.ndarray, features: np.ndarray, l2: float | str, balanced: bool, seed: int
) -> Completion:
    """Estimate each attribute by a logistic regression on the features of the rows where it is known.

    argmin over w, b of the sum of cross entropies + l2 |w|², for all attributes at once. balanced: known yes
    and no of an attribute weigh the same, which moves its estimates away from its base rate. X as in `leml`.
    """
    weight = None
    if balanced:
        known = ~np.isnan(targets)
        yes = np.where(known, targets, 0.0)
        parts = yes.sum(axis=0), np.maximum(known.sum(axis=0) - yes.sum(axis=0), 0.0)
        half = known.sum(axis=0) / 2.0
        on_yes, on_no = (half / np.maximum(part, 1e-9) for part in parts)
        weight = np.where(known, yes * on_yes + (1.0 - yes) * on_no, 0.0)
    k = targets.shape[1]
    return _estimate(
        targets, features, False, FactorisationLoss("logistic", "left", 1.0), k, l2, seed, weight
    )


def observed_means(targets: np.ndarray) -> np.ndarray:
    """Return (k,) float64 means of the known cells, NaN for attributes without one."""
    known = ~np.isnan(targets)
    sums = np.where(known, targets, 0.0).sum(axis=0, dtype=np.float64)
    counts = known.sum(axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _estimate(
    targets: np.ndarray,
    features: np.ndarray | None,
    own: bool,
    objective: FactorisationLoss,
    rank: int,
    l2: float | str,
    seed: int,
    weight: np.ndarray | None = None,
) -> Completion:
    """Fit the attributes that have known cells of both values; the others are estimated by their mean."""
    means = observed_means(targets)
    mixed = np.flatnonzero((means > 0.0) & (means < 1.0))
    probabilities = np.broadcast_to(means, targets.shape).copy()
    grid = LOW_RANK_GRID if objective.penalty == "sum" or objective.loss == "squared" else PLAIN_GRID
    if not len(mixed):
        return Completion(probabilities, grid[2] if isinstance(l2, str) else l2, False)
    known = ~np.isnan(targets[:, mixed])
    table = KnownCells(
        np.where(known, targets[:, mixed], 0.0).astype(np.float64),
        known.astype(np.float64) if weight is None else weight[:, mixed],
    )
    basis = Basis(None if features is None else coordinates_of(features), own, len(targets))
    start, chosen = None, False
    if isinstance(l2, str):
        l2, start = _chosen(objective, basis, table, rank, grid, seed)
        chosen = start is not None
    objective = replace(objective, l2=l2)
    model = fit(objective, basis, table, rank, FINE, start)
    probabilities[:, mixed] = objective.answer(model.logits(basis))
    return Completion(probabilities, l2, chosen)


def _chosen(
    objective: FactorisationLoss,
    basis: Basis,
    table: KnownCells,
    rank: int,
    grid: tuple[float, ...],
    seed: int,
) -> tuple[float, Factors | None]:
    """Return the penalty of the grid that estimates held-out known cells best, and the model that did.

    Where no cell can be held out, the middle of the grid and None.
    """
    held = _held_out(table, seed)
    if not held.any():
        return grid[len(grid) // 2], None
    shown = KnownCells(np.where(held, 0.0, table.values), np.where(held, 0.0, table.weight))
    judged = KnownCells(table.values, np.where(held, table.weight, 0.0))
    best: tuple[float, Factors | None] = grid[0], None
    lowest = np.inf
    for l2 in grid:
        tried = replace(objective, l2=l2)
        # Warm start, but not with factors: those that a strong penalty removed would stay at zero.
        warm = best[1] if objective.penalty == "left" else None
        model = fit(tried, basis, shown, rank, ROUGH, warm)
        cost = float(tried.cells(model.logits(basis), judged))
        if cost > lowest * WORSE:
            break
        if cost < lowest:
            best, lowest = (l2, model), cost
    return best


def _held_out(table: KnownCells, seed: int) -> np.ndarray:
    """Return (n, k) bool: known cells to hold out; every attribute keeps known cells of both values."""
    rng = np.random.default_rng(seed)
    held = np.zeros(table.values.shape, bool)
    for column, (values, weight) in enumerate(zip(table.values.T, table.weight.T, strict=True)):
        for side in (values == 1.0, values == 0.0):
            rows = np.flatnonzero(side & (weight > 0.0))
            held[rng.permutation(rows)[: len(rows) // HELD_OUT], column] = True
    return held


def found_of(estimate: Completion) -> dict[str, Any]:
    """Return an estimate's entries for the record: the penalty if it was chosen."""
    return {"l2": estimate.l2} if estimate.chosen else {}
