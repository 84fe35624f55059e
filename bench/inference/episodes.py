"""Few-shot episodes: sampling, learners and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.cache.rows import Array
from bench.methods.closed_form_heads import logistic_regression

PLAIN, L2, CENTRED, CENTRED_L2 = "as they are", "l2", "centred", "centred, l2"

Learn = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""support (way, shot, d), queries (m, d) float64 -> (m,) index of each query's class in the support."""


@dataclass(frozen=True)
class Episodes:
    """The classes and images of e episodes.

    classes: (e, way) indices of classes; support: (e, way, shot) and queries: (e, way, q) positions of
    images. A smaller shot uses the first images of `support`.
    """

    classes: np.ndarray
    support: np.ndarray
    queries: np.ndarray


def draw_episodes(
    units: Sequence[Sequence[np.ndarray]], way: int, shot: int, queries: int, count: int, seed: int
) -> Episodes:
    """Draw episodes: random classes, then random images of each, without replacement.

    units: for each class, the positions of images by group (a listing, a single image). An episode has at
    most one image of a unit, so that support and queries of a class share none. Every class needs shot +
    queries units. Queries are drawn first: they and the first images of the support do not depend on `shot`;
    the first episodes do not depend on `count`.
    """
    drawn = Episodes(
        np.empty((count, way), np.int64),
        np.empty((count, way, shot), np.int64),
        np.empty((count, way, queries), np.int64),
    )
    for number in range(count):
        # A seed list is padded with 0, as for the split of classes; so episodes count from 1.
        random = np.random.Generator(np.random.PCG64([seed, number + 1]))
        drawn.classes[number] = random.permutation(len(units))[:way]
        for index, label in enumerate(drawn.classes[number].tolist()):
            own = units[label]
            order, picks = random.permutation(len(own)), random.random(len(own))
            rows = [own[unit][int(picks[unit] * len(own[unit]))] for unit in order[: queries + shot]]
            drawn.queries[number, index] = rows[:queries]
            drawn.support[number, index] = rows[queries:]
    return drawn


def nearest_mean(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Predict the class of the nearest mean, by Euclidean distance (Snell et al. 2017, arXiv:1703.05175)."""
    # |x - m|^2 minus |x|^2, which is the same for every class, is |m|^2 - 2 m x.
    means = support.mean(axis=1)
    answers: np.ndarray = ((means**2).sum(axis=1) - 2.0 * queries @ means.T).argmin(axis=1)
    return answers


def nearest_direction(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Predict the class whose mean has the highest cosine with the query."""
    answers: np.ndarray = (queries @ unit_length(support.mean(axis=1)).T).argmax(axis=1)
    return answers


def logistic(support: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Predict by multinomial logistic regression on the support (Tian et al. 2020, arXiv:2003.11539)."""
    kernel, bias = logistic_head(support)
    answers: np.ndarray = (queries @ kernel + bias).argmax(axis=1)
    return answers


def logistic_head(support: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel (d, way) and bias (way,) fitted to a support of (way, shot, d).

    Minimises the sum of cross entropies plus |kernel|^2 / 2, without a penalty on the bias. The kernel is a
    sum of support rows, so it is fitted in their span.
    """
    way, shot, width = support.shape
    left, values, right = np.linalg.svd(support.reshape(way * shot, width), full_matrices=False)
    kernel, bias = logistic_regression(left * values, np.repeat(np.arange(way), shot), 1.0)
    return right.T @ kernel, bias


@dataclass(frozen=True)
class Learner:
    """A row of the table. features: their transformation; distance: of prototypes, "" for others."""

    method: str
    features: str
    distance: str
    learn: Learn


LEARNERS = (
    Learner("prototypes", PLAIN, "euclidean", nearest_mean),
    Learner("prototypes", PLAIN, "cosine", nearest_direction),
    Learner("prototypes", L2, "euclidean", nearest_mean),
    Learner("prototypes", CENTRED, "cosine", nearest_direction),
    Learner("prototypes", CENTRED_L2, "euclidean", nearest_mean),
    Learner("logistic", PLAIN, "", logistic),
    Learner("logistic", L2, "", logistic),
)
"""Centring does not change Euclidean distances, so that row is left out. Nearest means on features as they
are, l2, and centred, l2 are UN, L2N and CL2N of SimpleShot (Wang et al. 2019, arXiv:1911.04623)."""


def transformed(features: np.ndarray, how: str, centre: np.ndarray) -> np.ndarray:
    """Return (n, d) float64 features, centred by the (d,) centre and L2-normalised as `how` says."""
    out = np.asarray(features, np.float64)
    if how in (CENTRED, CENTRED_L2):
        out = out - centre
    return unit_length(out) if how in (L2, CENTRED_L2) else out


def unit_length(rows: np.ndarray) -> np.ndarray:
    """L2-normalise rows (n, d); rows of zeros stay zero."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    out: np.ndarray = rows / np.where(lengths > 0, lengths, 1.0)
    return out


def score_episodes(
    features: Array,
    centre: np.ndarray,
    episodes: Episodes,
    shots: Sequence[int],
    learners: Sequence[Learner] = LEARNERS,
) -> Iterator[np.ndarray]:
    """Yield the numbers of right answers of each episode: (shots, learners) int64.

    features: (n, d) of all images, in memory or in the cache. centre: (d,), the mean of features of other
    classes. All learners and shots answer the same queries.
    """
    way, queries = episodes.queries.shape[1:]
    truth = np.repeat(np.arange(way), queries)
    for support, asked in zip(episodes.support, episodes.queries, strict=True):
        given = np.asarray(features[support.ravel()]), np.asarray(features[asked.ravel()])
        right = np.empty((len(shots), len(learners)), np.int64)
        ready = {
            how: [transformed(rows, how, centre) for rows in given]
            for how in dict.fromkeys(learner.features for learner in learners)
        }
        for column, learner in enumerate(learners):
            known, unknown = ready[learner.features]
            known = known.reshape(*support.shape, -1)
            for row, shot in enumerate(shots):
                right[row, column] = (learner.learn(known[:, :shot], unknown) == truth).sum()
        yield right
