"""Steps that fill unknown cells: only those, in [0, 1], the same twice, and better than guessing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from bench.core.errors import BenchError
from bench.methods.imputation import assume_negative, drop_rows, impute, nearest_known, self_train
from bench.methods.registry import Filled

IMPUTE: dict[str, Any] = {
    "by": "mean",
    "rank": 8,
    "l2": "cv",
    "neighbours": 20,
    "near": "features",
    "loss": "logistic",
    "norm": "trace",
    "hard": False,
}
SELF: dict[str, Any] = {"form": "soft", "l2": "cv", "balanced": False}
WAYS: dict[str, dict[str, Any]] = {
    **{by: {"by": by} for by in ("mean", "mode", "knn", "iterative", "mf", "leml", "fmc")},
    "knn labels": {"by": "knn", "near": "labels"},
    "leml squared": {"by": "leml", "loss": "squared", "norm": "frobenius"},
    "self_train": {},
    "self_train balanced": {"balanced": True},
}
by_way = pytest.mark.parametrize("way", WAYS)
NAN = float("nan")


def fill(way: str, targets: np.ndarray, features: np.ndarray | None, seed: int = 0, **more: Any) -> Filled:
    args = {**WAYS[way], **more}
    if way.startswith("self_train"):
        args = {"form": "hard" if args.pop("hard", False) else "soft", **args}
        return self_train(SELF | args, targets, features, seed)
    return impute(IMPUTE | args, targets, features, seed)


def estimates(
    way: str, targets: np.ndarray, features: np.ndarray | None, seed: int = 0, **more: Any
) -> np.ndarray:
    fills = fill(way, targets, features, seed, **more).fills
    assert fills is not None
    return fills


def drawn(
    n: int = 600, d: int = 40, k: int = 8, seed: int = 0, signal: float = 4.0, hide: float = 0.3
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return standardised (n, d) features, (n, k) true labels, and these with cells hidden at random.

    Three factors show in the features and make the labels, so that those go together; a fourth is in the
    labels alone.
    """
    rng = np.random.default_rng(seed)
    seen, unseen = rng.normal(size=(n, 3)), rng.normal(size=(n, 1))
    features = seen @ rng.normal(size=(3, d)) + 3.0 * rng.normal(size=(n, d))
    logits = signal * (seen @ rng.normal(size=(3, k)) / 2.0 + 0.7 * unseen @ rng.normal(size=(1, k)))
    truth = (rng.random((n, k)) < 1.0 / (1.0 + np.exp(-logits - rng.uniform(-2, 0, k)))).astype(np.float32)
    hidden = np.where(rng.random((n, k)) < hide, np.float32(np.nan), truth)
    return ((features - features.mean(0)) / features.std(0)).astype(np.float32), truth, hidden


def scores(fills: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return accuracy over all filled cells, and the mean AUC of the attributes."""
    at = ~np.isnan(fills)
    aucs = [roc_auc_score(truth[m, j], fills[m, j]) for j, m in enumerate(at.T)]
    return float(np.mean((fills[at] >= 0.5) == truth[at])), float(np.mean(aucs))


def check(made: Filled, targets: np.ndarray) -> None:
    unknown = np.isnan(targets)
    assert made.targets.dtype == np.float32 and made.targets.shape == targets.shape
    assert made.fills is not None and made.fills.dtype == np.float32
    np.testing.assert_array_equal(made.targets[~unknown], targets[~unknown])
    assert np.isnan(made.fills[~unknown]).all()
    empty = unknown.all(axis=0)
    np.testing.assert_array_equal(np.isnan(made.fills), ~unknown | empty)
    np.testing.assert_array_equal(np.isnan(made.targets), np.broadcast_to(empty, unknown.shape))
    there = made.fills[~np.isnan(made.fills)]
    assert (there >= 0.0).all() and (there <= 1.0).all()
    np.testing.assert_array_equal(made.rows, np.arange(len(targets)))
    assert made.rows.dtype == np.int64
    assert made.found["filled_cells"] == len(there)
    assert made.found["unknown_cells"] == int(empty.sum()) * len(targets)
    assert made.found["unknown_attributes"] == int(empty.sum())


CELLS = st.sampled_from([0.0, 1.0, 0.25, NAN, NAN])
TABLES = st.tuples(st.integers(1, 9), st.integers(1, 5)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=CELLS)
)


@by_way
@settings(max_examples=12, deadline=None)
@given(targets=TABLES)
def test_only_unknown_cells_are_filled_whatever_is_unknown(way: str, targets: np.ndarray) -> None:
    features = np.random.default_rng(1).normal(size=(len(targets), 3)).astype(np.float32)
    check(fill(way, targets, features), targets)


@by_way
def test_rows_and_attributes_without_anything_and_with_one_value(way: str) -> None:
    features, _, targets = drawn(n=80)
    targets[:5], targets[:, 0] = np.nan, np.nan
    targets[5:, 1], targets[5:, 2] = 1.0, 0.0
    targets[70:, 1:3] = np.nan
    made = fill(way, targets, features)
    check(made, targets)
    assert made.fills is not None
    np.testing.assert_allclose(made.fills[:5, 1:3], [[1.0, 0.0]] * 5, atol=1e-4)
    np.testing.assert_allclose(made.fills[70:, 1:3], [[1.0, 0.0]] * 10, atol=1e-4)


@pytest.mark.parametrize("way", ["knn", "mf", "leml", "leml squared", "fmc", "self_train"])
def test_an_attribute_with_one_value_changes_nothing_for_the_others(way: str) -> None:
    features, _, targets = drawn(n=150)
    wider = np.concatenate([targets, np.where(np.isnan(targets[:, :2]), np.nan, [[1.0, 0.0]])], axis=1)
    both = [estimates(way, table.astype(np.float32), features) for table in (targets, wider)]
    np.testing.assert_array_equal(both[1][:, :-2], both[0])


@by_way
def test_nothing_is_known_and_nothing_is_unknown(way: str) -> None:
    features, truth, _ = drawn(n=30)
    nothing = np.full_like(truth, np.nan)
    made = fill(way, nothing, features)
    check(made, nothing)
    whole = fill(way, truth, features)
    check(whole, truth)
    assert whole.found["filled_cells"] == 0


@pytest.mark.parametrize("way", ["mf", "leml", "self_train"])
def test_the_only_known_cell_between_yes_and_no_is_not_held_out(way: str) -> None:
    """Without it the attribute would have one value, and no finite base rate."""
    targets = np.zeros((60, 2), np.float32)
    targets[:, 1] = np.arange(60) % 2
    targets[7, 0], targets[50:, 0] = 0.25, np.nan
    for seed in range(8):
        made = fill(way, targets, drawn(n=60)[0], seed)
        check(made, targets)
        assert "l2" in made.found


@by_way
def test_hard_trains_on_what_is_likelier_and_keeps_the_estimate(way: str) -> None:
    features, _, targets = drawn(n=120)
    soft, hard = (fill(way, targets, features, hard=hard) for hard in (False, True))
    np.testing.assert_array_equal(soft.fills, hard.fills)
    unknown = np.isnan(targets)
    np.testing.assert_array_equal(soft.targets[unknown], np.asarray(soft.fills)[unknown])
    np.testing.assert_array_equal(hard.targets[unknown], np.asarray(soft.fills)[unknown] >= 0.5)


@by_way
def test_the_same_twice_and_nothing_given_is_changed(way: str) -> None:
    features, _, targets = drawn(n=120)
    before = features.copy(), targets.copy()
    one, other = fill(way, targets, features, seed=3), fill(way, targets, features, seed=3)
    np.testing.assert_array_equal(one.fills, other.fills)
    np.testing.assert_array_equal(features, before[0])
    np.testing.assert_array_equal(targets, before[1])
    assert one.found == other.found


@by_way
def test_rows_in_another_order_have_the_same_estimates(way: str) -> None:
    features, _, targets = drawn(n=150)
    order = np.random.default_rng(5).permutation(len(targets))
    # Which cells `cv` holds out goes by position, so the penalty is given; nearness in labels has ties.
    options: dict[str, Any] = {} if way == "knn labels" else {"l2": 1.0}
    if way == "knn labels":
        targets = targets + np.random.default_rng(6).uniform(0, 1e-3, targets.shape).astype(np.float32)
        targets = np.clip(targets, 0.0, 1.0)
    one = estimates(way, targets, features, **options)
    other = estimates(way, targets[order], features[order], **options)
    np.testing.assert_allclose(other, one[order], atol=2e-3)


@by_way
def test_labels_that_are_noise_are_not_known_afterwards(way: str) -> None:
    rng = np.random.default_rng(2)
    truth = (rng.random((800, 6)) < 0.4).astype(np.float32)
    targets = np.where(rng.random(truth.shape) < 0.3, np.float32(np.nan), truth)
    features = rng.normal(size=(800, 20)).astype(np.float32)
    fills = estimates(way, targets, features)
    # 6 attributes of about 240 hidden cells: the mean AUC of a guess has deviation .015.
    assert abs(scores(fills, truth)[1] - 0.5) < 0.06


def test_models_that_see_features_beat_the_mean() -> None:
    margins: dict[str, list[np.ndarray]] = {}
    for seed in range(3):
        features, truth, targets = drawn(seed=seed)
        base = scores(estimates("mean", targets, features), truth)
        for way in ("mf", "leml", "leml squared", "fmc", "self_train"):
            ours = scores(estimates(way, targets, features), truth)
            margins.setdefault(way, []).append(np.subtract(ours, base))
    accuracy, auc = ({way: np.min(m, axis=0)[i] for way, m in margins.items()} for i in (0, 1))
    with_features = ("leml", "leml squared", "fmc", "self_train")
    # Measured, worst of three tables: .106 to .142 in accuracy, .29 to .33 in AUC; mf .069 and .25.
    assert min(accuracy[way] for way in with_features) > 0.09, accuracy
    assert min(auc[way] for way in with_features) > 0.27, auc
    assert accuracy["mf"] > 0.05 and auc["mf"] > 0.22
    # Labels of the same row tell what features do not.
    assert accuracy["fmc"] > max(accuracy["leml"], accuracy["self_train"], accuracy["mf"]) + 0.02


def test_labels_of_the_same_row_help_where_features_say_nothing() -> None:
    features, truth, targets = drawn(signal=6.0)
    blind = np.random.default_rng(9).normal(size=features.shape).astype(np.float32)
    for way in ("mf", "fmc", "iterative", "knn labels"):
        assert scores(estimates(way, targets, blind), truth)[1] > 0.65, way
    for way in ("self_train", "leml"):
        assert scores(estimates(way, targets, blind), truth)[1] < 0.6, way


def test_self_training_of_an_attribute_ignores_the_others() -> None:
    features, _, targets = drawn(n=200)
    other = targets.copy()
    other[:, 1:] = 1.0 - other[:, 1:]
    one, two = (estimates("self_train", t, features, l2=0.3) for t in (targets, other))
    np.testing.assert_allclose(one[:, 0], two[:, 0], atol=2e-3)
    assert np.nanmax(np.abs(one[:, 1:] - two[:, 1:])) > 0.2


def test_a_chosen_penalty_is_told_and_a_given_one_is_used() -> None:
    features, _, targets = drawn()
    chosen = fill("leml", targets, features)
    assert chosen.found["l2"] in (0.3, 1.0, 3.0, 10.0)
    given_it = fill("leml", targets, features, l2=float(chosen.found["l2"]))
    assert "l2" not in given_it.found
    np.testing.assert_allclose(given_it.targets, chosen.targets, atol=0.02)
    strong = estimates("leml", targets, features, l2=1e4)
    np.testing.assert_allclose(strong, estimates("mean", targets, None), atol=1e-3)


def test_more_penalty_is_chosen_where_features_say_nothing() -> None:
    features, _, targets = drawn()
    blind = np.random.default_rng(9).normal(size=features.shape).astype(np.float32)
    assert fill("self_train", targets, blind).found["l2"] > fill("self_train", targets, features).found["l2"]


def test_mean_and_mode_are_those_of_scikit_learn() -> None:
    _, _, targets = drawn()
    unknown = np.isnan(targets)
    for way, strategy in (("mean", "mean"), ("mode", "most_frequent")):
        theirs = SimpleImputer(strategy=strategy).fit_transform(targets)
        np.testing.assert_allclose(fill(way, targets, None).targets[unknown], theirs[unknown], atol=1e-6)
    tie = np.array([[1.0], [0.0], [NAN]], np.float32)
    assert (
        estimates("mode", tie, None)[2]
        == 0.0
        == SimpleImputer(strategy="most_frequent").fit_transform(tie)[2]
    )


def test_neighbours_in_features_against_scikit_learn() -> None:
    features, _, targets = drawn(n=300)
    targets[10:, 3] = np.nan  # fewer donors than neighbours
    fills = estimates("knn", targets, features, neighbours=12)
    np.testing.assert_array_equal(np.isnan(nearest_known(targets, features, 12)), ~np.isnan(targets))
    for column in range(targets.shape[1]):
        unknown = np.isnan(targets[:, column])
        donors = np.flatnonzero(~unknown)
        near = NearestNeighbors(n_neighbors=min(12, len(donors))).fit(features[donors])
        rows = donors[near.kneighbors(features[unknown], return_distance=False)]
        np.testing.assert_allclose(fills[unknown, column], targets[rows, column].mean(axis=1), atol=1e-6)


def test_neighbours_of_a_rare_label_are_found_beyond_the_first_ones(monkeypatch: Any) -> None:
    features, _, targets = drawn(n=300, hide=0.9)
    whole = estimates("knn", targets, features, neighbours=3)
    monkeypatch.setattr("bench.methods.imputation.REACH", 1000)
    np.testing.assert_array_equal(estimates("knn", targets, features, neighbours=3), whole)


def test_neighbours_in_labels_are_those_of_scikit_learn() -> None:
    _, _, targets = drawn(n=120)
    theirs = KNNImputer(n_neighbors=7).fit_transform(targets)
    unknown = np.isnan(targets)
    made = fill("knn labels", targets, None, neighbours=7)
    np.testing.assert_allclose(made.targets[unknown], theirs[unknown], atol=1e-6)


def test_balanced_self_training_says_yes_more_often_to_what_is_rare() -> None:
    features, truth, targets = drawn()
    rare = np.flatnonzero(truth.mean(axis=0) < 0.4)
    plain, even = (estimates(w, targets, features) for w in ("self_train", "self_train balanced"))
    assert len(rare) and (np.nanmean(even[:, rare], axis=0) > np.nanmean(plain[:, rare], axis=0) + 0.02).all()


def test_unpooled_features_are_averaged() -> None:
    features, _, targets = drawn(n=120)
    maps = np.repeat(features[:, None, None], 4, axis=1).reshape(len(features), 2, 2, -1)
    for way in ("knn", "leml"):
        np.testing.assert_allclose(
            estimates(way, targets, maps), estimates(way, targets, features), atol=1e-3
        )


def test_features_that_are_all_the_same_say_nothing() -> None:
    _, truth, targets = drawn(n=200)
    flat = np.ones((200, 5), np.float32)
    for way in ("leml", "self_train"):
        np.testing.assert_allclose(estimates(way, targets, flat), estimates("mean", targets, None), atol=1e-3)
    assert scores(estimates("fmc", targets, flat), truth)[1] > 0.55


@pytest.mark.parametrize("way", ["knn", "leml", "fmc", "self_train"])
def test_what_needs_features_says_so(way: str) -> None:
    with pytest.raises(BenchError, match="works on features; this regime has none"):
        fill(way, drawn(n=20)[2], None)


@pytest.mark.parametrize("way", ["mean", "mode", "knn labels", "iterative", "mf"])
def test_the_others_need_none(way: str) -> None:
    targets = drawn(n=40)[2]
    check(fill(way, targets, None), targets)


def test_assumed_negatives() -> None:
    targets = np.array([[1, NAN, NAN], [NAN, 0, NAN]], np.float32)
    made = assume_negative({}, targets, None, 0)
    np.testing.assert_array_equal(made.targets, [[1, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(np.asarray(made.fills), [[NAN, 0, 0], [0, NAN, 0]])
    assert made.found == {"filled_cells": 4, "unknown_cells": 0, "unknown_attributes": 1}


def test_dropped_rows_are_counted_with_what_was_known_of_them() -> None:
    targets = np.array([[1, 0], [NAN, 1], [0, 0], [NAN, NAN]], np.float32)
    made = drop_rows({}, targets, None, 0)
    assert made.rows.tolist() == [0, 2] and made.rows.dtype == np.int64 and made.fills is None
    np.testing.assert_array_equal(made.targets, targets)
    assert made.found == {"dropped_rows": 2, "kept_rows": 2, "dropped_known_cells": 1}


def test_dropping_every_row_is_an_error() -> None:
    with pytest.raises(BenchError, match="leaves none of 2 training rows: each has an unknown attribute"):
        drop_rows({}, np.array([[1, NAN], [NAN, 1]], np.float32), None, 0)
