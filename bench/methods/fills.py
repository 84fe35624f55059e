"""What unknown cells of attributes are taken for: nothing but no, a guess, or a model's estimate.

Steps of the stage `labels` for tasks with many attributes. Each sees the training rows it is given and
nothing else; observed cells stay as they are. An attribute that was observed nowhere stays unknown, and
unknown cells that no step fills are masked: the loss leaves them out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.methods import completion
from bench.methods.registry import Filled


def assume_negative(
    args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int
) -> Filled:
    """Take every unknown cell for a no, attributes that were observed nowhere as well.

    The usual baseline of learning from positive labels alone (Cole et al. 2021, Multi-label learning from
    single positive labels, arXiv:2106.09708); wrong wherever yes is hidden.
    """
    return filled(targets, np.zeros(targets.shape), hard=True)


def drop_rows(args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int) -> Filled:
    """Leave out every row with an unknown cell, known ones and all: what listwise deletion loses.

    found tells how many rows went, and how many known cells with them. Raises BenchError where no row is
    whole.
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
    with threadpool_limits(1, "blas"):
        estimate, found = _imputed(args, targets, features, seed)
    return filled(targets, estimate, args["hard"], found)


def _imputed(
    args: Mapping[str, Any], targets: np.ndarray, features: np.ndarray | None, seed: int
) -> tuple[np.ndarray, Mapping[str, Any]]:
    """Return (n, k) estimates and what goes into the record beside the counts."""
    by, rank, l2 = args["by"], args["rank"], args["l2"]
    means = completion.observed_means(targets)
    if by in ("mean", "mode"):
        guess = np.where(np.isnan(means), np.nan, means > 0.5) if by == "mode" else means
        return np.broadcast_to(guess, targets.shape), {}
    if by == "knn" and args["near"] == "features":
        from bench.methods.neighbours import nearest_known

        return nearest_known(targets, _needed(features, "impute(knn)"), args["neighbours"]), {}
    if by in ("knn", "iterative"):
        return _scikit_learn(by, targets, args["neighbours"], seed), {}
    if by == "mf":
        answer = completion.matrix_factorisation(targets, rank, l2, seed)
    elif by == "leml":
        table = _needed(features, "impute(leml)")
        answer = completion.leml(targets, table, rank, l2, args["loss"], args["norm"], seed)
    else:
        answer = completion.feature_completion(targets, _needed(features, "impute(fmc)"), rank, l2, seed)
    return answer.probabilities, completion.found_of(answer)


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
        answer = completion.by_attribute(targets, table, args["l2"], args["balanced"], seed)
    return filled(targets, answer.probabilities, args["form"] == "hard", completion.found_of(answer))


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
        # Ten rounds are what it is given; that they did not settle to the last digit is no news.
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimate[:, seen] = imputer.fit_transform(np.asarray(targets[:, seen], np.float64))
    return estimate
