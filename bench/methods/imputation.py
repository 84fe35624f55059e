"""Imputation of unknown attribute cells: a no, a constant, or a model's estimate.

Steps of the stage `labels` for tasks with many attributes. Each sees only training
rows and keeps observed cells. An attribute without observed cells stays unknown, and unfilled cells are
masked: the loss leaves them out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.methods import low_rank_imputation
from bench.methods.registry import Filled

REACH = 8
"""Factor of neighbours searched first; all rows are searched only if those do not suffice."""


def assume_negative(
    args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int
) -> Filled:
    """Fill every unknown cell with no, also in attributes without observed cells.

    The usual baseline of learning from positive labels alone (Cole et al. 2021, Multi-label learning from
    single positive labels, arXiv:2106.09708); wrong wherever yes is hidden.
    """
    return filled(targets, np.zeros(targets.shape), hard=True)


def drop_rows(args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int) -> Filled:
    """Drop every row with an unknown cell (listwise deletion).

    found counts the dropped rows and their known cells. Raises BenchError if no row is complete.
    """
    whole = ~np.isnan(targets).any(axis=1)
    if not whole.any():
        raise BenchError(
            f"drop_rows leaves none of {len(targets)} training rows: each has an unknown attribute; "
            "use mask or impute"
        )
    lost = int((~np.isnan(targets[~whole])).sum())
    found = {"dropped_rows": int((~whole).sum()), "kept_rows": int(whole.sum()), "dropped_known_cells": lost}
    return Filled(np.asarray(targets, np.float32), None, np.flatnonzero(whole).astype(np.int64), found)


def impute(args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int) -> Filled:
    """Train unknown cells as an estimate of their probability, or with `hard` as what is likelier.

    by: `mean`, an attribute's share of yes; `mode`, its commoner value (no where both are as common, as
    scikit-learn has it); `knn`, `iterative`, `mf`, `leml`, `fmc`: see the functions. `fills` has the
    probabilities, whether the targets are hard or not. An attribute known with one value only is filled with
    that value by every choice. Raises BenchError where a choice works on features and there are none.
    """
    from threadpoolctl import threadpool_limits

    # One thread, so that sums, and with them the bits of a cell, do not depend on the machine's cores.
    with threadpool_limits(1):
        estimate, found = _imputed(args, targets, features, seed)
    return filled(targets, estimate, args["hard"], found)


def _imputed(
    args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int
) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Return (n, k) estimates and further entries for the record."""
    by, rank, l2 = args["by"], args["rank"], args["l2"]
    means = low_rank_imputation.observed_means(targets)
    if by in ("mean", "mode"):
        guess = np.where(np.isnan(means), np.nan, means > 0.5) if by == "mode" else means
        return np.broadcast_to(guess, targets.shape), {}
    if by == "knn" and args["near"] == "features":
        return nearest_known(targets, _needed(features, "impute(knn)"), args["neighbours"]), {}
    if by in ("knn", "iterative"):
        return _scikit_learn(by, targets, args["neighbours"], seed), {}
    if by == "mf":
        answer = low_rank_imputation.matrix_factorisation(targets, rank, l2, seed)
    elif by == "leml":
        table = _needed(features, "impute(leml)")
        answer = low_rank_imputation.leml(targets, table, rank, l2, args["loss"], args["norm"], seed)
    else:
        answer = low_rank_imputation.feature_completion(
            targets, _needed(features, "impute(fmc)"), rank, l2, seed
        )
    return answer.probabilities, low_rank_imputation.found_of(answer)


def self_train(
    args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int
) -> Filled:
    """Fill each attribute by a logistic regression trained on the rows where it is known: one round.

    form: `soft` trains unknown cells as the probability, `hard` as what is likelier (Lee 2013, Pseudo-label);
    `fills` has the probability in both. Raises BenchError without features.
    """
    from threadpoolctl import threadpool_limits

    table = _needed(features, "self_train")
    with threadpool_limits(1, "blas"):
        answer = low_rank_imputation.by_attribute(targets, table, args["l2"], args["balanced"], seed)
    return filled(targets, answer.probabilities, args["form"] == "hard", low_rank_imputation.found_of(answer))


def filled(
    targets: np.ndarray, estimate: np.ndarray, hard: bool, found: Mapping[str, Any] | None = None
) -> Filled:
    """Put an (n, k) estimate, NaN for none, into unknown cells of (n, k) targets; all rows are kept.

    found: what to add to the counts of filled cells, of cells still unknown and of attributes observed
    nowhere.
    """
    unknown = np.isnan(targets)
    fills = np.where(unknown, np.clip(estimate, 0.0, 1.0), np.nan).astype(np.float32)
    trained = np.where(np.isnan(fills), np.nan, fills >= 0.5) if hard else fills
    counts = {
        "filled_cells": int(np.isfinite(fills).sum()),
        "unknown_cells": int((unknown & np.isnan(fills)).sum()),
        "unknown_attributes": int(unknown.all(axis=0).sum()),
    }
    merged = np.where(unknown, trained, targets).astype(np.float32)
    return Filled(merged, fills, np.arange(len(targets)), {**counts, **(found or {})})


def _needed(features: np.ndarray | None, step: str) -> np.ndarray:
    if features is None:
        raise BenchError(f"{step} works on features; this regime has none")
    return features


def nearest_known(targets: np.ndarray, features: np.ndarray, neighbours: int) -> np.ndarray:
    """Return (n, k) estimates of unknown cells: the mean over the nearest rows that know the attribute.

    NaN in known cells, and where no row knows the attribute. targets: (n, k), NaN for unknown. features:
    (n, d); more axes are averaged over.

    Nearness is Euclidean between features, not between labels as with scikit-learn's KNNImputer: four labels,
    one of them unknown, have eight values, so most distances are ties, while features differ between any two
    photos. Otherwise it is the same rule: each attribute has its own neighbours, fewer where fewer know
    it, all of the same weight.
    """
    from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

    table = np.asarray(features, np.float32)
    table = table.mean(axis=tuple(range(1, table.ndim - 1))) if table.ndim > 2 else table
    known = ~np.isnan(targets)
    out = np.full(targets.shape, np.nan)
    asking = np.flatnonzero(~known.all(axis=1))
    if not len(asking):
        return out
    # One search for all attributes: the neighbours needed nearly always lie within REACH.
    candidates = min(REACH * neighbours, len(table))
    near = NearestNeighbors(n_neighbors=candidates, algorithm="brute").fit(table)
    order = near.kneighbors(table[asking], return_distance=False)
    for column in np.flatnonzero(known.any(axis=0)):
        donors = np.flatnonzero(known[:, column])
        wanted = min(neighbours, len(donors))
        chosen = known[order, column]
        chosen &= np.cumsum(chosen, axis=1) <= wanted
        full = chosen.sum(axis=1) == wanted
        rows, places = asking[full], order[full][chosen[full]].reshape(-1, wanted)
        out[rows, column] = targets[places, column].mean(axis=1, dtype=np.float64)
        rest = asking[~full & ~known[asking, column]]
        if len(rest):
            model = KNeighborsRegressor(n_neighbors=wanted, algorithm="brute")
            model.fit(table[donors], targets[donors, column].astype(np.float64))
            out[rest, column] = model.predict(table[rest])
    out[known] = np.nan
    return out


def _scikit_learn(by: str, targets: np.ndarray, neighbours: int, seed: int) -> np.ndarray:
    """Return (n, k) estimates by the other labels of a row: KNNImputer, or IterativeImputer.

    `iterative` models each attribute by Bayesian ridge regression on the others, in rounds (van Buuren and
    Groothuis-Oudshoorn 2011, mice), kept in [0, 1].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer

    estimate = np.full(targets.shape, np.nan)
    seen = ~np.isnan(targets).all(axis=0)
    if not seen.any():
        return estimate
    if by == "knn":
        imputer = KNNImputer(n_neighbors=neighbours)
    else:
        imputer = IterativeImputer(min_value=0.0, max_value=1.0, random_state=seed)
    with warnings.catch_warnings():
        # Ten rounds are intended; the warning that they did not converge adds nothing.
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimate[:, seen] = imputer.fit_transform(np.asarray(targets[:, seen], np.float64))
    return estimate
