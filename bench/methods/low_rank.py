"""Low-rank models of a table of attributes with unknown cells, fitted to the known ones alone.

One model serves all: logits Z = B W Hᵀ + 1 bᵀ, with one row of B for each of n rows of the table.

    B = the rows themselves (identity)     matrix factorisation: every row has its own factors
    B = features                           LEML: factors are a linear function of the features
    B = features beside the identity       factors are pulled towards a linear function of the features
    B = features, H = identity             one model for each attribute, all fitted together

W and H are found together by L-BFGS (SciPy) with gradients by TensorFlow, every unknown scaled by its
curvature at the start.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

Tensor = Any

MOST_STEPS = 300
"""Steps of L-BFGS; on 7,600 rows of 1,280 features about 40 are taken."""


MOST_IN_DOUBLE = 1 << 20
"""Numbers that coordinates keep in double precision; larger tables are single, which takes half the time."""


class KnownCells(NamedTuple):
    """Known cells. values: (n, k) float64 in [0, 1], 0 where unknown. weight: (n, k), 0 where unknown."""

    values: np.ndarray
    weight: np.ndarray


@dataclass(frozen=True)
class Basis:
    """B, the inputs of n rows: `coordinates` (n, q) of the features, or None, and/or one own unit each.

    squares: (p,) the squared length of every column of B.
    """

    coordinates: Any
    own: bool
    rows: int

    @property
    def squares(self) -> np.ndarray:
        """Return (p,) squared lengths of the columns."""
        parts = (
            [] if self.coordinates is None else [np.einsum("nq,nq->q", self.coordinates, self.coordinates)]
        )
        return np.concatenate([*parts, *([np.ones(self.rows)] if self.own else [])])

    def times(self, kernel: Tensor) -> Tensor:
        """Return B @ kernel: (n, r) of (p, r)."""
        import tensorflow as tf

        if self.coordinates is None:
            return kernel
        q = self.coordinates.shape[1]
        # In the coordinates' own precision, as a copy of all of them would take longer than the product.
        part = tf.matmul(self.coordinates, tf.cast(kernel[:q], self.coordinates.dtype))
        return tf.cast(part, tf.float64) + (kernel[q:] if self.own else 0.0)


class Factors(NamedTuple):
    """A fitted model. left: (p, r) W, right: (k, r) H, bias: (k,) b."""

    left: Any
    right: Any
    bias: Any

    def logits(self, basis: Basis) -> Tensor:
        """Return (n, k) Z."""
        import tensorflow as tf

        return tf.matmul(basis.times(self.left), self.right, transpose_b=True) + self.bias


@dataclass(frozen=True)
class FactorisationLoss:
    """Objective to minimise: the sum over known cells of weight x loss, plus l2 x penalty.

    loss: `logistic`, cross entropy in nats with probability sigmoid(z), or `squared`, (z - s)².
    penalty: `sum` |W|² + |H|², whose minimum over all W Hᵀ = M is twice the trace norm of M;
    `product` |W Hᵀ|², that of ridge regression; `left` |W|² with H held where it starts. b is free.
    """

    loss: str
    penalty: str
    l2: float

    def __call__(self, model: Factors, basis: Basis, table: KnownCells) -> Tensor:
        """Return the objective at a model, to differentiate."""
        import tensorflow as tf

        left, right, bias = model
        if self.penalty == "left":
            right = tf.stop_gradient(right)
        penalty = _total(tf.square(left))
        if self.penalty == "sum":
            penalty += _total(tf.square(right))
        elif self.penalty == "product":
            one, other = (tf.matmul(side, side, transpose_a=True) for side in (left, right))
            penalty = _total(one * other)
        return self.cells(Factors(left, right, bias).logits(basis), table) + self.l2 * penalty

    def cells(self, logits: Tensor, table: KnownCells) -> Tensor:
        """Return the weighted sum of losses of known cells."""
        import tensorflow as tf

        if self.loss == "squared":
            losses = tf.square(logits - table.values)
        else:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(table.values, logits)
        return _total(table.weight * losses)

    def answer(self, logits: Tensor) -> np.ndarray:
        """Return (n, k) probabilities of yes, in [0, 1]."""
        from scipy.special import expit

        values = np.asarray(logits)
        out: np.ndarray = np.clip(values, 0.0, 1.0) if self.loss == "squared" else expit(values)
        return out


def _total(table: Tensor) -> Tensor:
    """Return the sum of (n, r) numbers: row by row first, as one large sum rounds by the number of cores."""
    import tensorflow as tf

    return tf.reduce_sum(tf.reduce_sum(table, axis=1))


def coordinates_of(features: np.ndarray) -> np.ndarray:
    """Return (n, q) principal coordinates of features, q <= min(n, d), scaled to mean squared length 1 a row.

    features: (n, d), or (n, ..., d), which is averaged over what lies between. float64, or float32 where
    they are many. A rotation changes no penalised linear model, but here the columns are orthogonal, and
    there are never more of them than rows. Directions in which no row differs from another are left out.
    With the scale the same penalty means the same for 100 features as for 2,000.
    """
    from scipy.linalg import eigh

    table = np.asarray(features, np.float64)
    table = table.mean(axis=tuple(range(1, table.ndim - 1))) if table.ndim > 2 else table
    table = table - table.mean(axis=0)
    n, d = table.shape
    power, turn = eigh(table.T @ table if d <= n else table @ table.T, driver="evd")
    seen = power > 1e-10 * max(float(power.max(initial=0.0)), 1e-300)
    if not seen.any():
        return np.zeros((n, 0))
    turn = turn[:, seen]
    found: np.ndarray = table @ turn if d <= n else turn * np.sqrt(power[seen])
    found *= np.sqrt(n / power[seen].sum())
    return found.astype(np.float32) if found.size > MOST_IN_DOUBLE else found


def fit(
    objective: FactorisationLoss,
    basis: Basis,
    table: KnownCells,
    rank: int,
    tolerance: float = 1e-6,
    start: Factors | None = None,
) -> Factors:
    """Return a minimum of the objective; every attribute of the table must have known cells of both values.

    rank: columns of W and H, at most k; with penalty `left` H is the identity and the rank is k. tolerance:
    steps end where the largest scaled slope falls below it, or the relative decrease below its power 1.5.
    start: where to start; else from the best approximation of that rank to a ridge regression, so that
    nothing is random.
    """
    import tensorflow as tf
    from scipy.optimize import minimize

    start = start or _start(objective, basis, table, rank)
    scales = _scales(objective, basis, table, start)
    ends = np.cumsum([part.size for part in start])[:-1]
    held = replace(
        basis, coordinates=basis.coordinates if basis.coordinates is None else tf.constant(basis.coordinates)
    )
    known = KnownCells(*map(tf.constant, table))

    def unpack(flat: np.ndarray) -> Factors:
        parts = zip(np.split(flat, ends), start, scales, strict=True)
        return Factors(*(part.reshape(old.shape) * scale for part, old, scale in parts))

    def both(flat: np.ndarray) -> tuple[float, np.ndarray]:
        model = Factors(*map(tf.constant, unpack(flat)))
        with tf.GradientTape() as tape:
            tape.watch(model)
            total = objective(model, held, known)
        slopes = tape.gradient(total, model, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return float(total), np.concatenate(
            [np.ravel(slope * scale) for slope, scale in zip(slopes, scales, strict=True)]
        )

    first = np.concatenate([np.ravel(part / scale) for part, scale in zip(start, scales, strict=True)])
    options = {"maxiter": MOST_STEPS, "maxfun": 2 * MOST_STEPS, "ftol": tolerance**1.5, "gtol": tolerance}
    return unpack(minimize(both, first, jac=True, method="L-BFGS-B", options=options).x)


def _rates(objective: FactorisationLoss, table: KnownCells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (k,) of each attribute: the b that fits alone, the curvature there, the known cells' weight."""
    known = table.weight.sum(axis=0)
    rate = (table.weight * table.values).sum(axis=0) / known
    if objective.loss == "squared":
        return rate, np.full(len(rate), 2.0), known
    return np.log(rate) - np.log1p(-rate), rate * (1.0 - rate), known


def _start(objective: FactorisationLoss, basis: Basis, table: KnownCells, rank: int) -> Factors:
    """Return where to start: one Newton step of a full-rank model, and of that the largest directions."""
    import tensorflow as tf

    bias, curves, known = _rates(objective, table)
    n, k = table.values.shape
    squares = basis.squares[:, None]
    kernel = tf.zeros((len(squares), k), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        total = objective.cells(basis.times(kernel) + bias, table)
    slope = tape.gradient(total, kernel).numpy()
    ridge = -slope / (squares * curves * known / n + 2.0 * objective.l2)
    if objective.penalty == "left":
        return Factors(ridge, np.eye(k), bias)
    turn = np.linalg.eigh((ridge * squares).T @ ridge)[1][:, ::-1][:, : min(rank, k)]
    left = ridge @ turn
    if objective.penalty == "product":
        return Factors(left, turn, bias)
    # The sum of squares is least where both sides are as long; a side of length 0 would never move.
    lengths = np.linalg.norm(left, axis=0)
    even = np.sqrt(np.maximum(lengths, 1e-3 * max(float(lengths.max(initial=0.0)), 1e-6)))
    return Factors(left / even, turn * even, bias)


def _scales(objective: FactorisationLoss, basis: Basis, table: KnownCells, start: Factors) -> Factors:
    """Return one over the root of the curvature at the start, of every unknown, attributes taken alike.

    Where rows have factors of their own it is that of base rates: at a row's best its few cells are hardly
    curved.
    """
    inner = np.asarray(basis.times(start.left))
    _, curves, known = _rates(objective, table)
    curves = curves * known
    if objective.loss == "logistic" and not basis.own:
        share = objective.answer(inner @ start.right.T + start.bias)
        curves = (table.weight * share * (1.0 - share)).sum(axis=0)
    curve = curves / len(table.values)
    kept, reach = np.square(start.right).sum(axis=0), np.square(inner).sum(axis=0)
    on_left = on_right = np.full(len(kept), 2.0 * objective.l2)
    if objective.penalty == "product":
        on_left, on_right = on_left * kept, on_right * np.square(start.left).sum(axis=0)
    sizes = (
        basis.squares[:, None] * (curve if objective.penalty == "left" else curve.mean() * kept) + on_left,
        np.broadcast_to(curve.mean() * reach + on_right, start.right.shape),
        curves,
    )
    return Factors(*(1.0 / np.sqrt(np.maximum(size, 1e-9)) for size in sizes))
