"""Every loss of attributes against an independent computation, its slope against finite differences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_expit

from bench.testing.graph import attribute_loss
from bench.training.losses import specs as attributes
from bench.training.losses.families import ATTRIBUTES

DEFAULTS: dict[str, dict[str, float]] = {
    "bce": {},
    "focal": {"gamma": 2.0, "alpha": 1.0},
    "asl": {"gamma_pos": 0.0, "gamma_neg": 4.0, "clip": 0.05},
    "large_loss_reject": {"rate": 0.002},
    "large_loss_correct": {"rate": 0.002},
    "large_loss_permanent": {"rate": 0.002},
    "splc": {"tau": 0.6, "change_epoch": 2, "margin": 1.0, "gamma": 2.0},
}

CASES: list[tuple[str, dict[str, float], int]] = [
    ("bce", {}, 0),
    ("bce", {}, 7),
    ("focal", {}, 1),
    ("focal", {"gamma": 0.5, "alpha": 0.25}, 1),
    ("focal", {"gamma": 0.0}, 0),
    ("asl", {}, 1),
    ("asl", {"gamma_pos": 1.0, "gamma_neg": 2.0, "clip": 0.2}, 0),
    ("asl", {"gamma_pos": 0.5, "gamma_neg": 0.5, "clip": 0.0}, 3),
    ("asl", {"gamma_pos": 0.0, "gamma_neg": 0.0, "clip": 0.1}, 3),
    ("large_loss_reject", {"rate": 0.1}, 0),
    ("large_loss_reject", {"rate": 0.1}, 1),
    ("large_loss_reject", {"rate": 0.1}, 4),
    ("large_loss_reject", {}, 40),
    ("large_loss_correct", {"rate": 0.1}, 0),
    ("large_loss_correct", {"rate": 0.1}, 3),
    ("large_loss_correct", {"rate": 0.3}, 90),
    ("large_loss_permanent", {"rate": 0.5}, 0),
    ("splc", {}, 0),
    ("splc", {}, 1),
    ("splc", {}, 2),
    ("splc", {"tau": 0.3, "change_epoch": 5.0, "margin": 0.5, "gamma": 1.0}, 5),
    ("splc", {"margin": 0.0, "gamma": 0.0}, 3),
]


def _batch(n: int = 12, k: int = 5, seed: int = 0, soft: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Logits and targets of which some are unknown and, if asked for, some neither yes nor no."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, (n, k)).astype(np.float32)
    if soft:
        targets[rng.random((n, k)) < 0.3] = 0.3
        targets[rng.random((n, k)) < 0.1] = 1.0 - 1e-6
    targets[rng.random((n, k)) < 0.4] = np.nan
    return rng.normal(scale=3.0, size=(n, k)), targets


def _measure(
    family: str, logits: np.ndarray, targets: np.ndarray, params: dict[str, float], epoch: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return attribute_loss(family, logits, targets, params, epoch)


def _yes(family: str, z: float, numbers: dict[str, float], epoch: int, known: bool) -> float:
    """Return what a yes costs, from the papers' formulae, in double precision."""
    if family == "splc" and epoch:
        z -= numbers["margin"] if known else 0.0
        return -float(expit(-z) ** numbers["gamma"] * log_expit(z))
    if family == "focal":
        return -float(numbers["alpha"] * expit(-z) ** numbers["gamma"] * log_expit(z))
    if family == "asl":
        return -float(expit(-z) ** numbers["gamma_pos"] * log_expit(z))
    return -float(log_expit(z))


def _no(family: str, z: float, numbers: dict[str, float], epoch: int) -> float:
    if family == "splc" and epoch:
        return -float(expit(z) ** numbers["gamma"] * log_expit(-z))
    if family == "focal":
        return -float(numbers["alpha"] * expit(z) ** numbers["gamma"] * log_expit(-z))
    if family == "asl":
        p, log_left = float(expit(z)), float(log_expit(-z))
        if numbers["clip"]:
            p = max(p - numbers["clip"], 0.0)
            log_left = math.log1p(-p)
        return -float(p ** numbers["gamma_neg"]) * log_left
    return -float(log_expit(-z))


def _by_hand(
    family: str, logits: np.ndarray, targets: np.ndarray, params: dict[str, float], epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return losses and shares, cell by cell."""
    numbers = DEFAULTS[family] | params
    loss, share = np.zeros(logits.shape), np.zeros(logits.shape)
    unknown = [(i, j) for i, j in np.ndindex(*logits.shape) if np.isnan(targets[i, j])]
    guesses = epoch > 0 and family.startswith(("large_loss", "splc"))
    largest: set[tuple[int, int]] = set()
    if guesses and family.startswith("large_loss"):
        k = min(math.ceil(round(numbers["rate"] * (epoch - 1) * len(unknown), 6)), len(unknown))
        largest = set(sorted(unknown, key=lambda cell: -_no(family, float(logits[cell]), numbers, epoch))[:k])
    for i, j in np.ndindex(*logits.shape):
        cell, z, t = (i, j), float(logits[i, j]), float(targets[i, j])
        known = not math.isnan(t)
        if not known:
            if not guesses:
                continue
            t = 0.0
            if cell in largest and family == "large_loss_correct":
                t = 1.0
            if family == "splc" and epoch >= numbers["change_epoch"] and expit(z) > numbers["tau"]:
                t = 1.0
        share[cell] = 1.0
        if cell in largest and family == "large_loss_reject":
            continue
        loss[cell] = t * _yes(family, z, numbers, epoch, known) if t else 0.0
        loss[cell] += (1 - t) * _no(family, z, numbers, epoch) if t < 1 else 0.0
    return loss, share


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize(("family", "params", "epoch"), CASES)
def test_family_is_its_formula(family: str, params: dict[str, float], epoch: int, soft: bool) -> None:
    logits, targets = _batch(soft=soft)
    loss, _, share = _measure(family, logits, targets, params, epoch)
    expected, expected_share = _by_hand(family, logits, targets, params, epoch)
    np.testing.assert_allclose(loss, expected, rtol=2e-5, atol=2e-6)
    assert np.array_equal(share, expected_share) and share.dtype == np.float32


@pytest.mark.parametrize(("family", "params", "epoch"), CASES)
def test_single_precision_is_near_enough_however_large_the_logits(
    family: str, params: dict[str, float], epoch: int
) -> None:
    rng = np.random.default_rng(1)
    logits = np.concatenate([rng.uniform(-80, 80, 120), rng.normal(size=80), [80, -80, 80, -80, 0.0]])
    targets = np.where(rng.random(205) < 0.3, np.nan, rng.integers(0, 2, 205)).astype(np.float32)
    targets[200:204] = [1, 1, 0, 0]
    z, t = logits.reshape(41, 5).astype(np.float32), targets.reshape(41, 5)
    loss, slope, _ = _measure(family, z, t, params, epoch)
    assert loss.dtype == slope.dtype == np.float32
    expected, _ = _by_hand(family, z.astype(float), t, params, epoch)
    np.testing.assert_allclose(loss, expected, rtol=2e-5, atol=2e-6)


def test_every_family_is_covered() -> None:
    assert {family for family, _, _ in CASES} == set(ATTRIBUTES) == set(DEFAULTS)
    assert {family: set(numbers) for family, numbers in DEFAULTS.items()} == {
        name: set(family.parameters) for name, family in ATTRIBUTES.items()
    }


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize(("family", "params", "epoch"), CASES)
def test_slope_against_finite_differences(
    family: str, params: dict[str, float], epoch: int, soft: bool
) -> None:
    logits, targets = _batch(soft=soft, seed=3)
    _, slope, _ = _measure(family, logits, targets, params, epoch)
    # Cells have nothing to do with each other but their order, which stays when all move alike.
    # Those of losses in double precision, naively, cell by cell.
    up, down = (_by_hand(family, logits + step, targets, params, epoch)[0] for step in (1e-5, -1e-5))
    np.testing.assert_allclose(slope, (up - down) / 2e-5, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("size", [0.0, 60.0, 1e4])
@pytest.mark.parametrize(("family", "params", "epoch"), CASES)
def test_extreme_logits_stay_finite(family: str, params: dict[str, float], epoch: int, size: float) -> None:
    logits = np.array([[size, -size, size], [-size, size, -size]], np.float32)
    for targets in ([[1, 1, np.nan], [0, 0, np.nan]], [[0.5, 0.2, np.nan], [0.0, 1.0, np.nan]]):
        loss, slope, _ = _measure(family, logits, np.array(targets, np.float32), params, epoch)
        assert np.isfinite(loss).all() and loss.dtype == np.float32
        assert np.isfinite(slope).all() and slope.dtype == np.float32


@pytest.mark.parametrize("family", list(ATTRIBUTES))
def test_what_is_unknown_counts_nothing_on_rows_that_are_not_trained_on(family: str) -> None:
    logits, targets = _batch(seed=5)
    loss, slope, share = _measure(family, logits, targets, {}, 0)
    unknown = np.isnan(targets)
    assert unknown.any() and not loss[unknown].any() and not slope[unknown].any()
    assert np.array_equal(share, (~unknown).astype(np.float32))
    if family.startswith(("large_loss", "splc")):
        for ours, plain in zip((loss, slope), _measure("bce", logits, targets, {}, 0), strict=False):
            assert np.array_equal(ours, plain)


@pytest.mark.parametrize("family", ["bce", "focal", "asl"])
def test_a_masked_cell_changes_no_other(family: str) -> None:
    logits, targets = _batch(seed=6)
    known = ~np.isnan(targets)
    whole = np.where(known, targets, 1.0).astype(np.float32)
    masked, full = (_measure(family, logits, t, {}, 1) for t in (targets, whole))
    for with_unknown, without in zip(masked, full, strict=True):
        assert np.array_equal(with_unknown[known], without[known])


@pytest.mark.parametrize("family", [name for name in ATTRIBUTES if name.startswith(("large", "splc"))])
def test_no_observed_label_is_ever_changed(family: str) -> None:
    """Not even where more cells are asked for than are unknown, and the observed ones look all wrong."""
    rng = np.random.default_rng(7)
    targets = rng.integers(0, 2, (8, 6)).astype(np.float32)
    targets[0] = np.nan
    logits = np.where(targets == 1, -9.0, 9.0) + rng.normal(size=(8, 6))
    numbers = {"rate": 1.0, "margin": 0.0, "gamma": 0.0, "tau": 0.5}
    params = {name: value for name, value in numbers.items() if name in ATTRIBUTES[family].parameters}
    args = (family, logits, targets, params, 50)
    if ATTRIBUTES[family].memory:
        past = np.zeros((8, 6), np.float32)
        loss, slope, share = attribute_loss(*args, past)
        assert past[0].all() and not past[1:].any()
    else:
        loss, slope, share = attribute_loss(*args)
    plain = _measure("bce", logits, targets, {}, 1)
    for ours, theirs in zip((loss, slope, share), plain, strict=True):
        np.testing.assert_allclose(ours[1:], theirs[1:], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["reject", "correct"])
def test_large_losses_grow_by_the_rate_and_ties_go_to_the_first(form: str) -> None:
    targets, logits = np.full((5, 4), np.nan, np.float32), np.zeros((5, 4))
    for epoch in range(1, 9):
        _, slope, share = _measure(f"large_loss_{form}", logits, targets, {"rate": 0.15}, epoch)
        as_no = (slope == 0.5).ravel()
        chosen = min(3 * (epoch - 1), 20)
        assert as_no.tolist() == [False] * chosen + [True] * (20 - chosen), f"epoch {epoch}"
        assert share.all()


def test_a_rate_that_binary_fractions_overshoot_chooses_no_cell_more() -> None:
    targets, logits = np.full((1, 10), np.nan, np.float32), np.arange(10.0)[None]
    loss, _, _ = _measure("large_loss_reject", logits, targets, {"rate": 0.1}, 4)
    assert 0.1 * 3 * 10 > 3
    assert np.flatnonzero(loss == 0).tolist() == [7, 8, 9]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.01, 0.4), st.integers(2, 6))
def test_permanent_corrections_by_a_plain_simulation(seed: int, rate: float, epochs: int) -> None:
    rng = np.random.default_rng(seed)
    _, targets = _batch(n=7, k=3, seed=seed)
    past = np.zeros((7, 3), np.float32)
    yes: set[tuple[int, int]] = set()
    for epoch in range(1, epochs + 1):
        for rows in ([5, 0, 3], [1, 2, 6, 4]):
            logits = rng.normal(size=(len(rows), 3))
            memory = past[rows]
            loss, slope, share = attribute_loss(
                "large_loss_permanent", logits, targets[rows], {"rate": rate}, epoch, memory
            )
            past[rows] = memory
            unknown = [(i, j) for i, j in np.ndindex(*logits.shape) if np.isnan(targets[rows[i], j])]
            if epoch > 1:
                left = sorted((c for c in unknown if (rows[c[0]], c[1]) not in yes), key=lambda c: -logits[c])
                wanted = math.ceil(round(rate * len(unknown), 9))
                yes |= {(rows[i], j) for i, j in left[:wanted]}
            for i, j in np.ndindex(*logits.shape):
                t = targets[rows[i], j]
                if np.isnan(t):
                    t = 1.0 if (rows[i], j) in yes else 0.0
                assert loss[i, j] == pytest.approx(-log_expit(logits[i, j] * (2 * t - 1)), rel=1e-4, abs=1e-6)
                assert slope[i, j] == pytest.approx(expit(logits[i, j]) - t, rel=1e-4, abs=1e-6)
            assert share.all()
    assert {(int(i), int(j)) for i, j in np.argwhere(past)} == yes


def test_large_loss_is_the_papers_batch_loss() -> None:
    """Kim et al. 2022: a mean over all cells; the unknown ones with the largest losses are changed."""
    logits, targets = _batch(n=20, k=4, seed=9)
    targets[targets == 0] = np.nan
    assumed = -log_expit(np.where(targets == 1, logits, -logits))
    unknown = np.isnan(targets)
    border = np.sort(assumed[unknown])[::-1][math.ceil(0.2 * unknown.sum()) - 1]
    large = unknown & (assumed >= border)
    for form, expected in (
        ("reject", np.where(large, 0.0, assumed)),
        ("correct", np.where(large, -log_expit(logits), assumed)),
    ):
        loss, _, share = _measure(f"large_loss_{form}", logits, targets, {"rate": 0.05}, 5)
        assert (loss * share).sum() / share.sum() == pytest.approx(expected.mean())


def test_gamma_zero_is_cross_entropy() -> None:
    logits, targets = _batch(soft=True)
    plain = _measure("bce", logits, targets, {}, 1)
    for family, params in (
        ("focal", {"gamma": 0.0}),
        ("asl", {"gamma_pos": 0.0, "gamma_neg": 0.0, "clip": 0.0}),
    ):
        for ours, theirs in zip(_measure(family, logits, targets, params, 1), plain, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_asl_without_asymmetry_is_focal() -> None:
    logits, targets = _batch(soft=True)
    params = {"gamma_pos": 2.0, "gamma_neg": 2.0, "clip": 0.0}
    for ours, theirs in zip(
        _measure("asl", logits, targets, params, 1), _measure("focal", logits, targets, {}, 1), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_asl_forgives_an_easy_no_entirely() -> None:
    z = np.log(np.array([[0.049, 0.051]]) / (1 - np.array([[0.049, 0.051]])))
    loss, slope, share = _measure("asl", z, np.zeros((1, 2), np.float32), {"gamma_neg": 0.0}, 1)
    assert loss[0, 0] == slope[0, 0] == 0.0 < slope[0, 1] and loss[0, 1] > 0.0
    assert share.all()


def test_steps_hand_their_arguments_on() -> None:
    counts = np.ones((2, 4), np.int64)
    asl = {"gamma_pos": 1.0, "gamma_neg": 3.0, "clip": 0.1}
    splc = {"tau": 0.7, "change_epoch": 4, "margin": 0.5, "gamma": 1.0}
    steps: list[tuple[Any, dict[str, Any], str, dict[str, Any]]] = [
        (attributes.asl, asl, "asl", asl),
        (attributes.splc, splc, "splc", splc),
    ]
    for form in ("reject", "correct", "permanent"):
        args = {"form": form, "rate": 0.01}
        steps.append((attributes.large_loss, args, f"large_loss_{form}", {"rate": 0.01}))
    for step, args, family, params in steps:
        spec = step(args, counts)
        assert (spec.family, dict(spec.params), spec.link) == (family, params, "sigmoid")
        assert set(spec.params) == set(ATTRIBUTES[spec.family].parameters)
