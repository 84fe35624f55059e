"""Joint Bayes: a photo is a person's mean and a deviation, both normal; two photos give a likelihood ratio.

x = m + u + e with u ~ N(0, between), the same on all photos of a person, and e ~ N(0, within), new on each
(Chen et al. 2012, Bayesian face revisited; the two-covariance model of speaker recognition).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.core.errors import BenchError

FLOOR = 1e-6
"""Ridge added to covariances before inversion, as a share of the mean variance."""


class Covariances(NamedTuple):
    """within, between: (d, d) float64, of a photo about its person and of people about their mean."""

    within: np.ndarray
    between: np.ndarray


class Ratio(NamedTuple):
    """The log likelihood ratio r(a, b) = a' own a + b' own b + a' cross b + constant, of centred rows."""

    own: np.ndarray
    cross: np.ndarray
    constant: float


def from_people(rows: np.ndarray, people: np.ndarray, rounds: int) -> Covariances:
    """Estimate both covariances by expectation maximisation.

    rows: (n, d) centred. people: (n,) whose photo each is, any integers. With B between and W within, a
    person with n photos of mean x has u ~ N(B (B + W/n)^-1 x, B - B (B + W/n)^-1 B); both covariances then
    are the mean of what is expected. It starts from the scatter within people and that of their means. Raises
    BenchError where nobody has two photos, or there is one person.
    """
    table = np.asarray(rows, np.float64)
    names, who, counts = np.unique(people, return_inverse=True, return_counts=True)
    who = who.reshape(-1)
    if len(names) < 2 or counts.max() < 2:
        why = "one person alone" if len(names) < 2 else "no person with two photos"
        raise BenchError(f"joint_bayes learns from several photos of several people; training has {why}")
    sums = np.zeros((len(names), table.shape[1]))
    np.add.at(sums, who, table)
    means = sums / counts[:, None]
    floor = _floor(table)
    # What lies about the people's means, and what those are, is all that is needed of the photos.
    scatter = (table - means[who]).T @ (table - means[who])
    found = Covariances(
        scatter / max(len(table) - len(names), 1) + floor, means.T @ means / len(names) + floor
    )
    for _ in range(rounds):
        found = _round(scatter, means, counts, found, floor)
    return found


def _round(
    scatter: np.ndarray, means: np.ndarray, counts: np.ndarray, now: Covariances, floor: np.ndarray
) -> Covariances:
    """Return both covariances after one more round.

    scatter: (d, d) sum over photos of squares about their person's mean. means: (p, d), counts: (p,).
    In the axes where W is the identity and B is diagonal, every step is one of single numbers.
    """
    from scipy.linalg import eigh

    values, axes = eigh(now.between, now.within)
    values, back = np.maximum(values, 0.0), now.within @ axes
    own, shares = means @ axes, counts[:, None] * values
    expected = own * (shares / (shares + 1.0))
    spread = values / (shares + 1.0)
    between = (expected.T @ expected + np.diag(spread.sum(axis=0))) / len(means)
    off = own - expected
    within = axes.T @ scatter @ axes + (off * counts[:, None]).T @ off + np.diag(counts @ spread)
    within /= counts.sum()
    return Covariances(*(_symmetric(back @ one @ back.T) + floor for one in (within, between)))


def from_pairs(rows: np.ndarray, first: np.ndarray, second: np.ndarray) -> Covariances:
    """Estimate both covariances from pairs of one person, in closed form.

    rows: (n, d) centred training photos, whose scatter estimates within + between. first, second:
    (m, d) the photos of the same pairs, whose differences have twice the covariance within. Directions in
    which photos of one person differ more than photos at large count as having none between. Raises
    BenchError without a same pair.
    """
    from scipy.linalg import eigh

    if not len(first):
        raise BenchError("joint_bayes learns from same pairs; training has none")
    table = np.asarray(rows, np.float64)
    apart = np.asarray(first, np.float64) - second
    floor = _floor(table)
    total = table.T @ table / max(len(table), 1) + floor
    within = apart.T @ apart / (2 * len(apart)) + floor
    # In the coordinates where `within` is the identity, `total` is diagonal: what exceeds 1 is between.
    values, vectors = eigh(total, within)
    back = within @ vectors
    return Covariances(within, (back * np.maximum(values - 1.0, 0.0)) @ back.T)


def ratio_of(covariances: Covariances) -> Ratio:
    """Return log N([a b]; 0, one person) - log N([a b]; 0, two people) as a form of a and b.

    The pair's covariance is [[T, B], [B, T]] or [[T, 0], [0, T]], T = within + between; a + b and a - b part
    the first into T + B and T - B.
    """
    within, between = covariances
    total = within + between
    summed, apart = _inverse(total + between), _inverse(within)
    alone = _inverse(total)
    own = -0.5 * (0.5 * (summed + apart) - alone)
    cross = -0.5 * (summed - apart)
    constant = np.linalg.slogdet(total)[1]
    constant -= 0.5 * (np.linalg.slogdet(total + between)[1] + np.linalg.slogdet(within)[1])
    return Ratio(own, cross, float(constant))


def in_parts(ratios: Sequence[Ratio]) -> Ratio:
    """Return the ratio of rows whose parts, side by side, are independent: the sum of their parts' own."""
    from scipy.linalg import block_diag

    own, cross = (
        block_diag(*matrices) for matrices in ([one.own for one in ratios], [one.cross for one in ratios])
    )
    return Ratio(own, cross, sum(one.constant for one in ratios))


def _inverse(matrix: np.ndarray) -> np.ndarray:
    return _symmetric(np.linalg.inv(matrix))


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    answer: np.ndarray = (matrix + matrix.T) / 2
    return answer


def _floor(table: np.ndarray) -> np.ndarray:
    """Return the ridge added to a covariance before inversion."""
    share = FLOOR * max(float(np.square(table).mean()), np.finfo(float).tiny)
    return share * np.eye(table.shape[1])
