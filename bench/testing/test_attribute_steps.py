"""What every registered step for attributes must do with labels that are partly known."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from bench.core.cell import MethodSpec
from bench.methods.apply import (
    Resolved,
    apply_posthoc,
    fit_posthoc,
    resolve_attributes,
)
from bench.methods.grammar import needs_features, stage_of
from bench.testing.graph import Measured, attribute_loss
from bench.testing.test_steps import BUILDERS, D, K, calibrated_on, of_kind, tiny_head
from bench.training.losses.families import ATTRIBUTES

NEVER, ALWAYS, ONCE = 1, 2, 3
"""Attributes of the tiny problem that are known nowhere, known as yes alone, and known in a single row."""

EMPTY = 4
"""The row of the tiny problem without any known label."""


def _cells(n: int = 18, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, K) of 1, 0 and NaN with all that can be odd about them, and (n, D) features.

    Attribute 0 is known everywhere but in the empty row, so that no row is whole where attribute 1 is asked.
    """
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, D)).astype(np.float32)
    known = (features[:, :K] + rng.normal(size=(n, K)) > 0.2).astype(np.float32)
    known[rng.random((n, K)) < 0.25] = np.nan
    known[:, 0] = features[:, 0] > 0
    known[:, NEVER] = np.nan
    known[:, ALWAYS] = np.where(np.isnan(known[:, ALWAYS]), np.nan, 1.0)
    known[:, ONCE] = np.nan
    known[7, ONCE] = 1.0
    known[EMPTY] = np.nan
    return known, features


def _whole_cells() -> tuple[np.ndarray, np.ndarray]:
    """Return the same with ten rows whose labels are all known."""
    known, features = _cells()
    known[8:] = features[8:, :K] > 0.3
    known[8:, ALWAYS] = 1.0
    return known, features


def _problems(method: MethodSpec) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if method.steps[0].name != "drop_rows":  # which says that it has nothing to work on
        yield _cells()
    yield _whole_cells()


def _check_cells(made: Resolved, known: np.ndarray) -> None:
    rows = made.resampled.rows
    assert rows.dtype == np.int64 and len(rows)
    assert rows.min() >= 0 and rows.max() < len(known)
    assert not len(made.resampled.labels), "no row is made up"
    assert made.targets is not None and made.targets.dtype == np.float32
    assert made.targets.shape == (len(rows), K)
    told = ~np.isnan(known[rows])
    np.testing.assert_array_equal(made.targets[told], known[rows][told])
    given = made.targets[~np.isnan(made.targets)]
    assert ((given >= 0) & (given <= 1)).all()
    if made.fills is not None:
        assert made.fills.dtype == np.float32 and made.fills.shape == known.shape
        assert np.isnan(made.fills[~np.isnan(known)]).all(), "what is known is not estimated"
        guessed = made.fills[~np.isnan(made.fills)]
        assert ((guessed >= 0) & (guessed <= 1)).all()
        # What is trained is what was estimated, as it is or rounded.
        soft, own = made.fills[rows][~told], made.targets[~told]
        np.testing.assert_array_equal(np.isnan(own), np.isnan(soft))
        sure = ~np.isnan(soft)
        assert np.array_equal(own[sure], soft[sure]) or np.array_equal(own[sure], soft[sure] >= 0.5)
    else:
        np.testing.assert_array_equal(np.isnan(made.targets), ~told)
    if made.weights is not None:
        assert made.weights.shape == (2, K) and made.weights.dtype == np.float32
        assert np.isfinite(made.weights).all() and (made.weights >= 0).all() and made.weights.any()
    assert made.seen.shape == (2, K)
    for value in (0, 1):
        np.testing.assert_array_equal(made.seen[value], (known[rows] == value).sum(axis=0))
    assert set(made.loss.params) <= set(ATTRIBUTES[made.loss.family].parameters)
    assert all(np.isfinite(number) for number in made.loss.params.values())
    assert made.loss.link == "sigmoid" and made.loss.offset is None
    json.dumps(made.found, allow_nan=False)


@of_kind("multilabel")
def test_cells_are_filled_where_they_are_unknown_and_the_same_twice(method: MethodSpec) -> None:
    for known, features in _problems(method):
        before, table = known.copy(), features.copy()
        first, again = (resolve_attributes(method, known, features, seed=5) for _ in range(2))
        np.testing.assert_array_equal(known, before)
        np.testing.assert_array_equal(features, table)
        _check_cells(first, known)
        np.testing.assert_array_equal(first.resampled.rows, again.resampled.rows)
        np.testing.assert_array_equal(first.targets, again.targets)
        assert (first.fills is None) == (again.fills is None)
        if first.fills is not None and again.fills is not None:
            np.testing.assert_array_equal(first.fills, again.fills)
        assert first.found == again.found


@of_kind("multilabel")
def test_without_features_it_does_the_same_or_says_that_it_needs_them(method: MethodSpec) -> None:
    if needs_features(method) and stage_of(method.steps[0]) not in BUILDERS:
        return
    known, features = _whole_cells()
    bare, given = (resolve_attributes(method, known, table, seed=5) for table in (None, features))
    np.testing.assert_array_equal(bare.targets, given.targets)


@of_kind("multilabel")
def test_its_mean_loss_over_cells_is_finite_and_falls_along_its_slope(method: MethodSpec) -> None:
    for known, features in _problems(method):
        made = resolve_attributes(method, known, features, seed=5)
        rows = made.resampled.rows
        objective = Measured(made.loss, made.weights, rows=len(rows), targets=made.targets, attributes=True)
        places = np.arange(len(rows))
        targets = objective.labels(places, known[rows])
        np.testing.assert_array_equal(targets, made.targets)
        logits = tiny_head().logits(features[rows])
        for epoch in (1, 2, 50):
            objective.epoch = epoch
            lost, seen, slope = objective(logits, targets, places)
            assert np.isfinite(lost) and lost >= 0 and np.isfinite(seen) and seen > 0
            assert slope.shape == (len(rows), K) and slope.dtype == np.float32
            assert np.isfinite(slope).all()
            _share_is_sound(made, logits, targets, epoch)
        # As validation sees it: nothing but what is known counts.
        lost, seen, slope = objective(logits, known[rows])
        assert np.isfinite(lost) and (slope[np.isnan(known[rows])] == 0).all()
        for wild in (-80.0, 80.0):
            far = np.full_like(logits, wild)
            lost, _, slope = objective(far, targets, places)
            assert np.isfinite(lost) and np.isfinite(slope).all()
        step = np.float32(1e-2) * slope_of(objective, logits, known[rows])
        down, up = (objective(logits + sign * step, known[rows])[0] for sign in (-1, 1))
        assert down <= up


def slope_of(objective: Measured, logits: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the slope at these logits, made so long that it tells."""
    slope: np.ndarray = objective(logits, known)[2]
    return slope / max(float(np.abs(slope).max()), 1e-12)


def _share_is_sound(made: Resolved, logits: np.ndarray, targets: np.ndarray, epoch: int) -> None:
    name, past = made.loss.family, np.zeros(targets.shape, np.float32)
    answer = attribute_loss(name, logits, targets, made.loss.params, epoch, past)
    loss, slope, share = answer
    for array in answer:
        assert array.shape == targets.shape and np.isfinite(array).all()
    assert (loss >= 0).all() and (share >= 0).all() and (share <= 1).all()
    assert (loss[share == 0] == 0).all() and (slope[share == 0] == 0).all()
    assert (share[~np.isnan(targets)] == 1).all(), "what is known always counts"


@of_kind("multilabel")
def test_what_is_done_after_training_is_chosen_on_validation_and_done_again(method: MethodSpec) -> None:
    known, features = _whole_cells()
    made = resolve_attributes(method, known, features, seed=5)
    valid, inputs = _cells(40, seed=3)
    rows = calibrated_on(inputs, valid)
    fitted = method, tiny_head(), inputs, valid, made.seen, lambda: (features, known), rows
    (head, choices), (same, same_choices) = fit_posthoc(*fitted), fit_posthoc(*fitted)
    stored = json.loads(json.dumps(choices, allow_nan=False))
    assert choices == same_choices == stored
    assert (head.cuts is not None) == any(step.name == "threshold" for step in method.steps)
    again, kept = apply_posthoc(method, tiny_head(), stored, made.seen, lambda: (features, known), rows)
    assert kept == stored
    for one in (head, same, again):
        assert np.isfinite(one.logits(inputs)).all()
        if head.cuts is not None:
            assert one.cuts is not None and one.cuts.shape == (K,) and one.cuts.dtype == np.float32
            assert ((one.cuts >= 0) & (one.cuts <= 1)).all()
            np.testing.assert_array_equal(one.cuts, head.cuts)
            assert one.cuts[NEVER] == one.cuts[ALWAYS] == 0.5, "nothing can be chosen there"
