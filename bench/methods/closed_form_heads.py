"""Linear heads fitted to training features in closed form or to convergence, without epochs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.backbones.tfidf import ROW_NORM
from bench.training.linear_head import LinearHead
from bench.training.standardize import mean_and_deviation

NEVER = -1e6
"""Logit of a class without training rows: its probability is 0 beside any other's."""


def ncm(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Replace the head by the nearest class mean; what the head learned is not used.

    features: (n, d) of the training rows as the head sees them, y: (n,) their classes. With m the mean of a
    class's rows, `euclidean` is -|x - m|^2 + |x|^2 = 2 m x - |m|^2, where |x|^2 is the same for every class
    and changes no softmax; `cosine` is m x / |m|, the cosine times |x|, which changes no order of classes.
    Both are divided by what they grow by with the number of features, d and its root, so that a softmax of
    many features is not all 0 and 1; the order of classes stays. These are no calibrated probabilities.
    """
    width, k = head.kernel.shape
    sizes = np.bincount(y, minlength=k)
    means = np.zeros((k, width))
    for label in np.flatnonzero(sizes).tolist():
        means[label] = features[y == label].mean(axis=0, dtype=np.float64)
    squares = (means**2).sum(axis=1)
    if args["by"] == "cosine":
        kernel = means / np.sqrt(np.where(squares > 0, squares, 1.0) * width)[:, None]
        bias = np.zeros(k)
    else:
        kernel, bias = 2.0 * means / width, -squares / width
    bias = np.where(sizes > 0, bias, NEVER)
    return LinearHead(kernel.T.astype(np.float32), bias.astype(np.float32)), {}


def lda(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Replace the head by linear discriminant analysis; what the head learned is not used.

    features: (n, d) of the training rows as the head sees them, y: (n,) their classes. With m the mean of a
    class's rows and S = (1 - shrink) W + shrink (tr W / d) I, W being the covariance within classes, the
    logits are x S^-1 m - m S^-1 m / 2 + prior ln P(class), P being the classes' shares of the rows (Friedman
    1989, Regularized discriminant analysis). A class without rows is never answered.
    """
    width, k = head.kernel.shape
    present, truth, sizes = np.unique(y, return_inverse=True, return_counts=True)
    rows = features.astype(np.float64)
    centre = rows.mean(axis=0)
    rows -= centre
    means = np.stack([rows[truth == place].mean(axis=0) for place in range(len(present))])
    directions = _against_scatter(rows - means[truth], float(args["shrink"]), means.T)
    own = -0.5 * (means.T * directions).sum(axis=0) + float(args["prior"]) * np.log(sizes / sizes.sum())
    kernel, bias = np.zeros((width, k)), np.full(k, NEVER)
    kernel[:, present], bias[present] = directions, own - centre @ directions
    return LinearHead(kernel.astype(np.float32), bias.astype(np.float32)), {}


def _against_scatter(rows: np.ndarray, shrink: float, columns: np.ndarray) -> np.ndarray:
    """Return S^-1 columns, S = (1 - shrink) R'R / n + shrink (tr R'R / n d) I.

    rows: R, (n, d). columns: (d, k). With more features than rows, S is never made: by the identity of
    Woodbury, S^-1 = (I - R' (R R' + ridge I)^-1 R) / floor, ridge = n floor / (1 - shrink), with an n x n
    matrix in place of a d x d one.
    """
    from scipy.linalg import solve
    from sklearn.covariance import empirical_covariance, shrunk_covariance

    n, d = rows.shape
    floor = shrink * float(np.square(rows).mean())
    if not floor:
        # Without variance within classes, all directions have equal weight.
        return columns
    if d <= n:
        scatter = shrunk_covariance(empirical_covariance(rows, assume_centered=True), shrink)
        return np.asarray(solve(scatter, columns, assume_a="pos"))
    if shrink == 1.0:
        return columns / floor
    gram = rows @ rows.T
    gram[np.diag_indices(n)] += n * floor / (1.0 - shrink)
    return np.asarray((columns - rows.T @ solve(gram, rows @ columns, assume_a="pos")) / floor)


def naive_bayes(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Replace the head by multinomial naive Bayes; what the head learned is not used.

    features: (n, d) tf-idf rows of the training titles, ROW_NORM times as long as they are counted; y: (n,)
    their classes. The logits are ln P(class) + x ln P(term | class), P(term | class) being the class's share
    of the term with `alpha` added to every count (McCallum and Nigam 1998). A class without rows is never
    answered.
    """
    from sklearn.naive_bayes import MultinomialNB

    width, k = head.kernel.shape
    # Counts cannot be negative; rows of titles never are.
    rows = np.maximum(features, 0.0).astype(np.float64) / ROW_NORM
    model = MultinomialNB(alpha=float(args["alpha"]), fit_prior=args["prior"] == "counts").fit(rows, y)
    kernel, bias = np.zeros((width, k)), np.full(k, NEVER)
    kernel[:, model.classes_] = model.feature_log_prob_.T / ROW_NORM
    bias[model.classes_] = model.class_log_prior_
    return LinearHead(kernel.astype(np.float32), bias.astype(np.float32)), {}


def crt(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Retrain the head with balanced classes; the trained head is not used.

    features, y: as in `ncm`. The paper starts from fresh weights and draws class-balanced batches for a few
    epochs. What these minimise in expectation, the mean over classes of each class's mean cross entropy, is
    minimised here itself, to convergence, plus l2 |kernel|^2 / 2 of features standardised on these rows: so
    that no random batch and no number of epochs matters. Kernel and bias include the standardisation.
    """
    width, k = head.kernel.shape
    present, truth, sizes = np.unique(y, return_inverse=True, return_counts=True)
    kernel, bias = np.zeros((width, k)), np.full(k, NEVER)
    bias[present] = 0.0
    if len(present) > 1:
        mean, scale = mean_and_deviation(features)
        # The loss is a sum over rows, so the penalty grows with the weights.
        weights = len(y) / (len(present) * sizes[truth])
        own, shift = logistic_regression(
            (features - mean) / scale, truth, float(args["l2"]) * len(y), weights
        )
        kernel[:, present] = own / scale[:, None]
        bias[present] = shift - (mean / scale) @ own
    return LinearHead(kernel.astype(np.float32), bias.astype(np.float32)), {}


def logistic_regression(
    inputs: np.ndarray, truth: np.ndarray, l2: float, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel (d, k) and bias (k,) of multinomial logistic regression, k at least 2.

    They minimise sum(weights * cross entropy) + l2 |kernel|^2 / 2; the bias has no penalty. inputs: (n, d)
    float64. truth: (n,) classes 0 to k - 1, each with at least one row. weights: (n,), or None for all ones.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    two = int(truth.max()) == 1
    # Of two classes scikit-learn penalises the difference of the columns, whose square is twice their sum's.
    model = LogisticRegression(C=(2.0 if two else 1.0) / l2, tol=1e-4 / len(truth), max_iter=1000)
    with warnings.catch_warnings():
        # The last digits of a loss can be too rough for the tolerance asked for.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(inputs, truth, weights)
    kernel, bias = model.coef_.T, model.intercept_
    if two:
        kernel, bias = (np.concatenate([-part / 2.0, part / 2.0], axis=-1) for part in (kernel, bias))
    return kernel, bias
