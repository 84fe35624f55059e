"""The convolutional head is what it says, learns end to end, and reads maps a few at a time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.training.fits import Fit, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.nets import conv_head as conv
from bench.training.nets.conv_head import build_conv, channel_scale, parse_filters, standardising


@given(st.lists(st.integers(1, 9999), min_size=1, max_size=8))
def test_filters_are_read_as_they_are_written(numbers: list[int]) -> None:
    assert parse_filters("-".join(map(str, numbers))) == tuple(numbers)


@pytest.mark.parametrize(
    "text", ["", "0", "64-", "-64", "064", "64,32", "6 4", "1e3", "10000", "-".join("1" * 9), "６４"]
)
def test_other_filters_are_one_clear_line(text: str) -> None:
    with pytest.raises(BenchError, match="like 64-32, not") as caught:
        parse_filters(text)
    assert "\n" not in str(caught.value)


def _by_hand(maps: np.ndarray, weights: list[np.ndarray]) -> np.ndarray:
    """Convolve with loops over the kernel alone, in float64."""
    x = maps.astype(np.float64)
    for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        height, width = x.shape[1:3]
        x = bias + sum(
            padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3)
        )
        x = np.maximum(x, 0.0)
    return x.mean(axis=(1, 2))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("shape", "filters"), [((4, 5, 3), (6, 2)), ((1, 1, 7), (3,))])
def test_head_is_convolutions_and_an_average(shape: tuple[int, int, int], filters: tuple[int, ...]) -> None:
    net = build_conv(shape, filters, seed=3)
    maps = np.random.default_rng(0).normal(size=(8, *shape)).astype(np.float32)
    found = np.asarray(net(maps))
    assert found.shape == (8, filters[-1]) and (found > 0).any()
    np.testing.assert_allclose(found, _by_hand(maps, net.get_weights()), atol=1e-5)


def test_weights_are_drawn_from_the_seed() -> None:
    first, again, other = (build_conv((4, 4, 3), (5, 2), seed).get_weights() for seed in (1, 1, 2))
    for one, two, three in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.ndim == 1 or not np.array_equal(one, three)


@pytest.mark.parametrize("block", [1, 10**9])
def test_channels_are_scaled_by_the_rows_that_are_given(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv, "BLOCK", block)
    rng = np.random.default_rng(0)
    maps = (rng.normal(size=(20, 3, 4, 5)) * [1, 10, 0.1, 1e-3, 0] + [0, 5, -1, 1000, 3]).astype(np.float32)
    rows = np.array([3, 1, 4, 15, 9, 2, 6])
    maps[[0, 19]] = np.nan
    mean, deviation = channel_scale(maps, rows)
    cells = maps[rows].reshape(-1, 5).astype(np.float64)
    np.testing.assert_allclose(mean, cells.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(deviation[:4], cells.std(axis=0)[:4], rtol=1e-5)
    assert deviation[4] == 1.0
    scaled = standardising(*channel_scale(maps, rows))(maps[rows]).reshape(-1, 5)
    np.testing.assert_allclose(scaled[:, :3].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled[:, :3].std(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(scaled[:, 4], 0)


def test_scaling_needs_the_memory_of_a_few_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv, "BLOCK", 2**18)
    maps = np.lib.format.open_memmap(tmp_path / "maps.npy", "w+", np.float32, (400, 8, 8, 64))
    maps[:] = 1.0
    maps = np.load(tmp_path / "maps.npy", mmap_mode="r")
    tracemalloc.start()
    channel_scale(maps, np.arange(400))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**21 < maps.nbytes / 3


def _corners() -> tuple[np.ndarray, np.ndarray]:
    """Two channels, lit in one place or, by class, in two: averages over places are the same."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120).astype(np.int32)
    maps = rng.normal(0.0, 0.05, (120, 4, 4, 2)).astype(np.float32)
    for row, label in zip(maps, y, strict=True):
        places = rng.permutation(16)[:2]
        row.reshape(16, 2)[places[0], 0] += 1.0
        row.reshape(16, 2)[places[0 if label else 1], 1] += 1.0
    return maps, y


def test_head_learns_what_averaging_loses() -> None:
    from bench.training.nets.train import train_nets

    maps, y = _corners()
    rows = np.arange(80)
    fit = Fit(rows, np.arange(80, 120), LossSpec(), None, seed=0, epochs=60)
    ((trained, embed),) = train_nets(
        lambda seed: build_conv((4, 4, 2), (16, 8), seed),
        maps,
        standardising(*channel_scale(maps, rows)),
        y,
        2,
        [fit],
        TrainSetting(batch_size=20, lr=0.01, patience=0),
    )
    assert trained.head is not None
    answers = trained.head.logits(embed(fit.val_rows)).argmax(axis=1)
    assert np.mean(answers == y[fit.val_rows]) > 0.9
    pooled = maps.mean(axis=(1, 2))
    means = np.stack([pooled[rows][y[rows] == label].mean(axis=0) for label in (0, 1)])
    nearest = np.square(pooled[80:, None] - means).sum(axis=2).argmin(axis=1)
    assert np.mean(nearest == y[80:]) < 0.75
