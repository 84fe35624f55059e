"""Spaces against scikit-learn and by hand: axes, whitening, lengths, parts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import sleep

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.kinds.verification.match import match_of
from bench.kinds.verification.similarity import transforms as spaces
from bench.kinds.verification.similarity.transforms import (
    EXACT,
    Axes,
    FeatureSpace,
    Fitter,
    at_dims,
    digest,
    most_dims,
    principal_axes,
    standardised,
)
from bench.methods.grammar import parse_method

N, D = 60, 12


def _rows(n: int = N, d: int = D, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + rng.normal(size=d)).astype(np.float32)


def _space(text: str, rows: np.ndarray, widths: tuple[int, ...] | None = None) -> FeatureSpace:
    fitter = Fitter(lambda at: rows[at], widths or (rows.shape[1],))
    return fitter.fit([match_of(parse_method(text)).space], np.arange(len(rows)))[0]


@pytest.mark.parametrize("shape", [(N, D), (10, 40), (30, 3000)])
def test_axes_are_those_of_scikit_learn(shape: tuple[int, int]) -> None:
    from sklearn.decomposition import PCA

    rows = _rows(shape[0], min(shape[1], 40))
    rows = np.tile(rows, (1, -(-shape[1] // rows.shape[1])))[:, : shape[1]]
    rows += np.random.default_rng(1).normal(size=rows.shape).astype(np.float32)
    dims = 7
    found = PCA(dims, svd_solver="full").fit(rows.astype(np.float64))
    mean, axes, variances = principal_axes(rows, dims)
    np.testing.assert_allclose(mean, found.mean_, atol=1e-5)
    np.testing.assert_allclose(variances, found.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(np.abs(axes.T @ found.components_.T), np.eye(dims), atol=1e-5)
    assert (axes[np.abs(axes).argmax(axis=0), np.arange(dims)] > 0).all()


def test_whitening_is_scikit_learns_but_for_signs() -> None:
    from sklearn.decomposition import PCA

    rows, new = _rows(), _rows(5, seed=3)
    wanted = PCA(4, whiten=True, svd_solver="full").fit(rows).transform(new)
    np.testing.assert_allclose(np.abs(_space("whiten(dims=4)", rows)(new)), np.abs(wanted), atol=1e-4)
    covariance = np.cov(_space("whiten(dims=4)", rows)(rows).T)
    np.testing.assert_allclose(covariance, np.eye(4), atol=1e-4)


def test_shrinking_draws_variances_to_their_mean() -> None:
    rows = _rows()
    variances = np.var(_space("pca(dims=4)", rows)(rows), axis=0, ddof=1, dtype=np.float64)
    half = np.var(_space("whiten(dims=4,shrink=0.5)", rows)(rows), axis=0, ddof=1, dtype=np.float64)
    np.testing.assert_allclose(half, variances / (variances / 2 + variances.mean() / 2), rtol=1e-4)
    whole = _space("whiten(dims=4,shrink=1)", rows)(rows)
    np.testing.assert_allclose(
        whole * np.sqrt(variances.mean()), _space("pca(dims=4)", rows)(rows), rtol=1e-3, atol=1e-4
    )


def test_steps_are_taken_in_their_own_order_however_they_are_written() -> None:
    rows = _rows()
    space = _space("l2+center+power", rows)
    rooted = np.sign(rows) * np.sqrt(np.abs(rows))
    own = rooted - rooted.mean(axis=0)
    np.testing.assert_allclose(space(rows), own / np.linalg.norm(own, axis=1, keepdims=True), atol=1e-5)


def test_parts_are_treated_on_their_own() -> None:
    rows, widths = _rows(), (5, 4, 3)
    space = _space("power+whiten(dims=2,by=part)+l2(by=part)", rows, widths)
    assert space.widths == (2, 2, 2)
    parts = [rows[:, :5], rows[:, 5:9], rows[:, 9:]]
    wanted = [_space("power+whiten(dims=2)+l2", part)(part) for part in parts]
    np.testing.assert_allclose(space(rows), np.concatenate(wanted, axis=1), atol=1e-5)


def test_spaces_of_several_sizes_are_those_of_each() -> None:
    rows = _rows()
    steps, fitter = match_of(parse_method("center+whiten+l2")).space, Fitter(lambda at: rows[at], (D,))
    sizes = (2, 6, 4)
    spaces = fitter.fit([at_dims(steps, dims) for dims in sizes], np.arange(N))
    for dims, space in zip(sizes, spaces, strict=True):
        alone = _space(f"center+whiten(dims={dims})+l2", rows)
        np.testing.assert_allclose(space(rows), alone(rows), atol=1e-5)


def test_it_says_how_many_axes_there_are() -> None:
    with pytest.raises(BenchError, match=r"whiten\(dims=20\): 10 training photos give 9 axes at most"):
        _space("whiten(dims=20)", _rows(10, 40))
    with pytest.raises(BenchError, match=r"pca\(dims=13\): 12 features give 12 axes at most"):
        _space("pca(dims=13)", _rows())
    flat = np.zeros((N, D), np.float32)
    flat[:, 0] = np.arange(N)
    with pytest.raises(BenchError, match="vary along fewer axes"):
        _space("whiten(dims=3)", flat)
    assert np.isfinite(_space("whiten(dims=3,shrink=0.1)", flat)(flat)).all()
    parts = match_of(parse_method("pca(by=part)")).space
    assert most_dims(parts, 100, (5, 3)) == 3 and most_dims(parts, 3, (5, 3)) == 2
    assert most_dims(match_of(parse_method("pca")).space, 100, (5, 3)) == 8 and most_dims((), 0, (5,)) == 0


def test_rows_of_zeros_and_constant_features_stay_finite() -> None:
    rows = np.zeros((4, 3), np.float32)
    assert not _space("l2", rows)(rows).any()
    assert not standardised(rows)(rows).any()
    own = standardised(_rows())(_rows())
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(own.std(axis=0), 1, atol=1e-4)


def test_a_large_table_gets_the_axes_of_scikit_learns_full_decomposition() -> None:
    """Beyond EXACT the search is randomised: as good where variances fall, and the same bits again."""
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(0)
    n, d, dims = EXACT + 76, EXACT + 176, 20
    rows = rng.normal(size=(n, 60)).astype(np.float32) * np.arange(1, 61, dtype=np.float32) ** -1.0
    rows = rows @ rng.normal(size=(60, d)).astype(np.float32) + np.float32(3)
    before = rows.copy()
    mean, axes, variances = principal_axes(rows, dims)
    np.testing.assert_array_equal(rows, before)
    full = PCA(dims, svd_solver="full").fit(rows.astype(np.float64))
    np.testing.assert_allclose(mean, full.mean_, atol=1e-4)
    np.testing.assert_allclose(variances, full.explained_variance_, rtol=1e-3)
    np.testing.assert_allclose((axes * full.components_.T).sum(axis=0), 1.0, atol=1e-3)
    for one, other in zip(principal_axes(rows, dims), (mean, axes, variances), strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads_that_want_the_same_axes_share_one_search(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []

    def slow(rows: np.ndarray, dims: int) -> Axes:
        searches.append(dims)
        sleep(0.05)
        return principal_axes(rows, dims)

    monkeypatch.setattr(spaces, "principal_axes", slow)
    rows, steps = _rows(), match_of(parse_method("pca(dims=3)")).space
    fitter = Fitter(lambda at: rows[at], (D,))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fitter.fit([steps], np.arange(N))[0](rows), range(4)))
    assert searches == [3]
    assert all(np.array_equal(one, found[0]) for one in found)


def test_the_oldest_axes_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, steps = _rows(), match_of(parse_method("pca(dims=3)")).space
    fitter = Fitter(lambda at: rows[at], (D,))
    for count in (20, 30):
        fitter.fit([steps], np.arange(count))
    monkeypatch.setattr(spaces, "ROOM", 1)
    fitter.fit([steps], np.arange(40))
    ((key, _),) = fitter.known.items()
    assert key[-1] == digest(np.arange(40))  # type: ignore[index]


def test_axes_are_looked_for_once_and_by_the_photos_they_are_of() -> None:
    rows = _rows()
    fitter = Fitter(lambda at: rows[at], (D,))
    for text in ("whiten(dims=3)", "pca(dims=3)+l2", "whiten(dims=3,shrink=0.5)"):
        fitter.fit([match_of(parse_method(text)).space], np.arange(N))
    assert len(fitter.known) == 1
    steps = match_of(parse_method("pca(dims=3)")).space
    one, other = (fitter.fit([steps], at)[0] for at in (np.arange(N), np.arange(N // 2)))
    assert len(fitter.known) == 2
    assert not np.allclose(one(rows), other(rows))
    np.testing.assert_array_equal(one(rows), _space("pca(dims=3)", rows)(rows))
