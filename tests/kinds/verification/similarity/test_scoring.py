"""Rules against SciPy, scikit-image and by hand; matchers there and back as arrays."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import cityblock, cosine, euclidean

from bench.core.errors import BenchError
from bench.kinds.verification.similarity.joint_bayes import Covariances, ratio_of
from bench.kinds.verification.similarity.matcher import FORM, Matcher, PhotoMatcher, from_arrays, to_arrays
from bench.kinds.verification.similarity.pixels import PhotoScores, emd, grey, ssim
from bench.kinds.verification.similarity.scoring import (
    Cosine,
    Euclidean,
    Head,
    LikelihoodRatio,
    Manhattan,
    Rule,
    pair_features,
)
from bench.kinds.verification.similarity.transforms import Affine, FeatureSpace, Power, Unit
from bench.training.fits import Hidden
from bench.training.linear_head import LinearHead

D = 6


def _pair(seed: int, m: int = 9, d: int = D) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.random.default_rng(seed).normal(size=(2, m, d)).astype(np.float32)
    return one, other


def test_plain_rules_are_scipys() -> None:
    one, other = _pair(0)
    for rule, distance, start in (
        (Cosine(), cosine, 1.0),
        (Euclidean(), euclidean, 0.0),
        (Manhattan(), cityblock, 0.0),
    ):
        wanted = [start - distance(a, b) for a, b in zip(one, other, strict=True)]
        np.testing.assert_allclose(rule(one, other), wanted, rtol=1e-5)


def test_a_photo_of_nothing_is_like_nothing() -> None:
    assert Cosine()(np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)).tolist() == [0.0]


def _rules() -> list[Rule]:
    rng = np.random.default_rng(4)
    hidden = Hidden(rng.normal(size=(2 * D, 5)).astype(np.float32), rng.normal(size=5).astype(np.float32))
    flat = LinearHead(rng.normal(size=(2 * D, 1)).astype(np.float32), np.ones(1, np.float32))
    deep = LinearHead(rng.normal(size=(5, 1)).astype(np.float32), np.ones(1, np.float32))
    mean, scale = rng.normal(size=2 * D).astype(np.float32), np.full(2 * D, 2.0, np.float32)
    root = rng.normal(size=(D, D))
    ratio = ratio_of(Covariances(np.eye(D), root @ root.T))
    heads = [Head(mean, scale, flat), Head(mean, scale, deep, hidden)]
    return [Cosine(), Euclidean(), Manhattan(), *heads, LikelihoodRatio(rng.normal(size=D), ratio)]


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: type(rule).__name__)
def test_which_photo_is_the_first_is_of_no_account(rule: Rule) -> None:
    one, other = _pair(1)
    np.testing.assert_allclose(rule(one, other), rule(other, one), rtol=1e-4, atol=1e-5)
    assert rule(one, other).dtype == np.float32 and rule(one, other).shape == (9,)


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: type(rule).__name__)
def test_what_is_kept_scores_alike(rule: Rule) -> None:
    rng = np.random.default_rng(2)
    kernels = rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    means = rng.normal(size=4).astype(np.float32), rng.normal(size=5).astype(np.float32)
    plain = Affine((np.zeros(9, np.float32),), (np.ones(9, np.float32),))
    space = FeatureSpace((Power(0.5), plain, Affine(means, kernels), Unit((3, 3))), (3, 3))
    matcher = Matcher(space, rule)
    file = io.BytesIO()
    np.savez(file, **to_arrays(matcher))  # type: ignore[arg-type]
    file.seek(0)
    with np.load(file, allow_pickle=False) as found:
        back = from_arrays(dict(found))
    one, other = _pair(3, d=9)
    np.testing.assert_array_equal(back(one, other), matcher(one, other))


def test_what_is_not_ours_is_not_read() -> None:
    arrays = to_arrays(Matcher(FeatureSpace((), (D,)), _rules()[3]))
    bad = {**arrays, "kernel": np.full((2 * D, 1), np.nan, np.float32)}
    for broken in (
        bad,
        {**arrays, FORM: np.frombuffer(b'{"photos": "x"}', np.uint8)},
        {**arrays, FORM: arrays[FORM][:-3]},
    ):
        with pytest.raises(ValueError):
            from_arrays(broken)
    with pytest.raises(KeyError):
        from_arrays({name: array for name, array in arrays.items() if name != "bias"})


def test_features_of_a_pair_are_its_differences_and_products() -> None:
    one, other = _pair(5)
    np.testing.assert_array_equal(pair_features(one, other), np.hstack([np.abs(one - other), one * other]))


def _photos(m: int, side: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (m, side, side, 3)).astype(np.uint8)


def test_pixels_are_compared_as_the_libraries_do() -> None:
    from PIL import Image
    from scipy.stats import wasserstein_distance
    from skimage import metrics

    photos = _photos(3)
    own = grey(photos)
    theirs: Callable[..., float] = metrics.structural_similarity
    for mine, photo in zip(own, photos, strict=True):
        assert np.abs(mine.astype(int) - np.asarray(Image.fromarray(photo).convert("L"))).max() <= 1
    assert ssim(own[0], own[1]) == pytest.approx(theirs(own[0], own[1], data_range=255))
    assert ssim(own[0], own[0]) == pytest.approx(1.0)
    wanted = wasserstein_distance(own[0].ravel(), own[1].ravel())
    assert emd(own[0], own[1]) == pytest.approx(-wanted, rel=1e-9)
    assert emd(own[0], own[0]) == 0.0
    shifted = np.full((8, 8), 7, np.uint8), np.full((8, 8), 19, np.uint8)
    assert emd(*shifted) == pytest.approx(-12.0)


def test_a_pair_of_photos_is_compared_once() -> None:
    photos, read = _photos(5), []

    def reader(rows: np.ndarray) -> np.ndarray:
        read.append(rows.tolist())
        out: np.ndarray = photos[rows]
        return out

    scores = PhotoScores("emd", reader)
    first, second = np.array([0, 1, 2, 0]), np.array([1, 0, 3, 4])
    found = scores(first, second)
    assert found[0] == found[1]
    np.testing.assert_array_equal(found, PhotoMatcher("emd")(photos[first], photos[second]))
    np.testing.assert_array_equal(scores(second, first), found)
    assert len(read) == 1
    back = from_arrays(to_arrays(PhotoMatcher("emd")))
    np.testing.assert_array_equal(back(photos[first], photos[second]), found)


def test_small_photos_are_compared_by_small_windows() -> None:
    small = grey(_photos(2, 4))
    assert -1 <= ssim(small[0], small[1]) <= 1
    with pytest.raises(BenchError, match="2 along a side"):
        ssim(small[0][:2], small[1][:2])
