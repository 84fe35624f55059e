"""Detection and treatment of suspect training labels: confident learning and odd prices.

Out-of-fold probabilities come from plain softmax heads on the features, one per fold, trained together.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.core.errors import BenchError
from bench.methods.prices import FAR, odd_prices
from bench.methods.registry import Labelled
from bench.training.fits import Fit, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.standardize import mean_and_deviation
from bench.training.trainer import train_heads

BATCH, DECAY, EPOCHS, STEPS, RATE = 64, 0.05, 30, 300, 0.025
"""Training of the fold heads under any protocol: EPOCHS epochs, or more until STEPS steps; Adam at
RATE / sqrt(d), since d weights move an answer together. The decay prevents the memorising of labels."""


class Suspects(NamedTuple):
    """Findings of confident learning on n labels.

    suspect: (n,) bool. suggested: (n,) int32, the most probable class of a suspect, the given one of the
    others. score: (n,) float64, probability of the given label, low where it is doubted. probabilities:
    (n, k) float64, each row from heads that were trained without it.
    """

    suspect: np.ndarray
    suggested: np.ndarray
    score: np.ndarray
    probabilities: np.ndarray


def clean(
    args: Mapping[str, Any],
    y: np.ndarray,
    features: np.ndarray | None,
    groups: Sequence[str] | None,
    k: int,
    seed: int,
    prices: Sequence[str] | None = None,
) -> Labelled:
    """Drop, relabel or down-weight rows with a suspect label, by confident learning or by price.

    by: `confident` (Northcutt et al. 2021), or `price`, see `clean_by_price`. action: `drop` leaves suspects
    out, `relabel` gives them the suggested class, `weight` keeps every row as it is and multiplies its loss
    by its score: the out-of-sample probability of its label, which is cleanlab's `self_confidence`. Of a
    class whose rows are all suspect, the one with the highest score stays. Raises BenchError without
    features (or prices) or without cleanlab.
    """
    if args["by"] == "price":
        return clean_by_price(args, y, prices)
    if features is None:
        raise BenchError("clean works on features; this regime has none")
    found = find_suspects(features, y, groups, k, args["folds"], seed)
    rows, counted = np.arange(len(y)), {"suspect": int(found.suspect.sum())}
    if args["action"] == "weight":
        return Labelled(rows, y, found.score.astype(np.float32), counted)
    suspect = found.suspect & ~_last_of_class(found, y, k)
    if args["action"] == "relabel":
        return Labelled(rows, np.where(suspect, found.suggested, y).astype(np.int32), found=counted)
    return Labelled(np.flatnonzero(~suspect), y, found=counted)


def clean_by_price(args: Mapping[str, Any], y: np.ndarray, prices: Sequence[str] | None) -> Labelled:
    """Drop or down-weight rows whose price is far from their class's (`bench.methods.prices`).

    y: (n,) classes. prices: n numbers as text, "" for unknown: such rows stay as they are. action: `drop`
    leaves odd rows out, `weight` multiplies their loss by 3.5 / distance, the price's distance from the
    median in robust deviations: the weight of Huber's estimator (1964). A price suggests no other
    class, so nothing is relabelled. Raises BenchError where no row has a price.
    """
    if prices is None or not any(prices):
        raise BenchError("clean(price) works on prices; no training row of this data has one")
    odd = odd_prices([str(label) for label in y.tolist()], prices)
    rows, counted = np.array([one.row for one in odd], np.int64), {"odd_price": len(odd)}
    if args["action"] == "weight":
        weights = np.ones(len(y), np.float32)
        weights[rows] = [FAR / abs(one.distance) for one in odd]
        return Labelled(np.arange(len(y)), y, weights, counted)
    return Labelled(np.setdiff1d(np.arange(len(y)), rows), y, found=counted)


def find_suspects(
    features: np.ndarray, y: np.ndarray, groups: Sequence[str] | None, k: int, folds: int, seed: int
) -> Suspects:
    """Find the labels that confident learning considers wrong; deterministic in its arguments.

    features: (n, d); they are standardised here. y: (n,) given classes below k. groups: n ids; rows that
    share one are in the same fold, so that no photo confirms another of its listing. seed: of the
    folds and the heads.

    Two rounds: the second heads train without the suspects of the first (on
    5,096 photos of used clothes with a fifth of the labels flipped, F1 .62 became .66).

    A class whose rows are all in one fold (a single row, a single group) cannot be judged: its rows keep
    their label with probability 1, and no other row is suggested to be of it. Raises BenchError where
    cleanlab is not installed or a head cannot be trained.
    """
    y = np.asarray(y, np.int32)
    fold = fold_of(y, groups, k, folds, seed)
    found = confident(y, out_of_sample(features, y, fold, k, seed))
    trusted = ~found.suspect | _last_of_class(found, y, k)
    return found if trusted.all() else confident(y, out_of_sample(features, y, fold, k, seed, trusted))


def confident(y: np.ndarray, probabilities: np.ndarray) -> Suspects:
    """Return cleanlab's findings, given (n, k) out-of-fold probabilities of n rows."""
    find, rate = _cleanlab()
    if len(np.unique(y)) < 2:
        # cleanlab refuses a single class, where no label can be wrong.
        return Suspects(np.zeros(len(y), bool), y, np.ones(len(y)), probabilities)
    with warnings.catch_warnings():
        # cleanlab warns of classes with a single row and rightly skips them.
        warnings.simplefilter("ignore", UserWarning)
        # One process: more are slower at this size, and would fork a process with threads.
        suspect = np.asarray(find(y, probabilities, n_jobs=1), bool)
        score = np.asarray(rate(y, probabilities, method="self_confidence"), np.float64)
    suggested = np.where(suspect, probabilities.argmax(axis=1), y).astype(np.int32)
    return Suspects(suspect, suggested, score, probabilities)


def fold_of(y: np.ndarray, groups: Sequence[str] | None, k: int, folds: int, seed: int) -> np.ndarray:
    """Share rows out among folds, groups whole, every class as evenly as that allows: (n,) int64.

    Groups are taken in random order, the large ones first; each goes to the fold that has least of its
    classes, then to the smallest. Without groups, a class of fewer rows than folds is in a fold per row.

    >>> fold_of(np.array([0, 0, 1, 1]), ["a", "a", "b", "c"], k=2, folds=2, seed=0)[:2].tolist()
    [0, 0]
    """
    numbers: dict[str, int] = {}
    ids = np.arange(len(y))
    if groups is not None:
        ids = np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.int64)
    shares = np.zeros((ids.max(initial=-1) + 1, k))
    np.add.at(shares, (ids, y), 1.0)
    order = np.random.default_rng(seed).permutation(len(shares))
    order = order[np.argsort(-shares[order].sum(axis=1), kind="stable")]
    held, home = np.zeros((folds, k)), np.zeros(len(shares), np.int64)
    totals = np.maximum(shares.sum(axis=0), 1.0)
    for group in order:
        own = np.flatnonzero(shares[group])
        crowd = held[:, own] / totals[own] @ shares[group, own]
        home[group] = np.lexsort((held.sum(axis=1), crowd))[0]
        held[home[group]] += shares[group]
    return home[ids]


def out_of_sample(
    features: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    k: int,
    seed: int,
    trusted: np.ndarray | None = None,
) -> np.ndarray:
    """Return (n, k) float64 probabilities of each row from a head trained on the other folds.

    fold: (n,) fold of every row. trusted: (n,) bool, rows that may be trained on, or None for all. For
    classes in a single fold see `find_suspects`. Raises BenchError where a head cannot be
    trained.
    """
    probabilities = np.zeros((len(y), k))
    spread = [label for label in range(k) if len(np.unique(fold[y == label])) > 1]
    known = np.isin(y, spread)
    probabilities[~known, y[~known]] = 1.0
    if len(spread) < 2:
        probabilities[known, y[known]] = 1.0
        return probabilities
    rows, number = np.flatnonzero(known), np.searchsorted(spread, y).astype(np.int32)
    table, parts = _standardised(features), np.unique(fold[known])
    learns = np.ones(len(rows), bool) if trusted is None else trusted[rows]
    epochs = max(EPOCHS, math.ceil(STEPS / math.ceil(len(rows) / BATCH)))
    setting = TrainSetting(BATCH, RATE / math.sqrt(max(table.shape[1], 1)), l2=DECAY, patience=0)
    heads = [
        Fit(rows[(fold[rows] != part) & learns], rows[:0], LossSpec(), None, seed, epochs)
        for part in parts.tolist()
    ]
    for part, trained in zip(parts, train_heads(table, number, len(spread), heads, setting), strict=True):
        if trained.head is None:
            raise BenchError(f"clean: the head of a fold could not be trained: {trained.failed}")
        held = rows[fold[rows] == part]
        logits = trained.head.logits(table[held]).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities[np.ix_(held, spread)] = powers / powers.sum(axis=1, keepdims=True)
    return probabilities


def _cleanlab() -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return cleanlab's `find_label_issues` and `get_label_quality_scores`."""
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        raise BenchError(
            "clean needs cleanlab, which is not installed: pip install 'messybench[clean]'"
        ) from None
    return find_label_issues, get_label_quality_scores


def _last_of_class(found: Suspects, y: np.ndarray, k: int) -> np.ndarray:
    """Return (n,) bool: the most probable row of every class whose rows are all suspect."""
    last = np.zeros(len(y), bool)
    for label in np.flatnonzero(np.bincount(y, minlength=k)):
        rows = np.flatnonzero(y == label)
        if found.suspect[rows].all():
            last[rows[found.score[rows].argmax()]] = True
    return last


def _standardised(features: np.ndarray) -> np.ndarray:
    """Return (n, d) float32 features with mean 0 and deviation 1 in every column that varies."""
    table = np.asarray(features, np.float32)
    mean, scale = mean_and_deviation(table)
    out: np.ndarray = (table - mean.astype(np.float32)) / scale.astype(np.float32)
    return out
