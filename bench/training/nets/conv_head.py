"""A small convolutional head on the feature maps of a frozen backbone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from bench.data.cache.rows import Array

from bench.core.errors import BenchError

BLOCK = 64 * 2**20
"""Bytes of maps in memory at a time to compute mean and deviation (one map at least)."""

_FILTERS = re.compile(r"[1-9][0-9]{0,3}(?:-[1-9][0-9]{0,3}){0,7}")


def parse_filters(text: str) -> tuple[int, ...]:
    """Parse the number of filters of each layer, from the backbone on.

    >>> parse_filters("64-32")
    (64, 32)

    Raises BenchError for anything but 1 to 8 whole numbers from 1 to 9999 joined by `-`.
    """
    if _FILTERS.fullmatch(text) is None:
        raise BenchError(
            f"filters are up to 8 numbers from 1 to 9999 joined by '-', like 64-32, not {text!r}"
        )
    return tuple(int(number) for number in text.split("-"))


def build_conv(shape: tuple[int, int, int], filters: tuple[int, ...], seed: int = 0) -> Any:
    """Build the head without its last, linear layer: a keras.Model from (n, *shape) maps to (n, filters[-1]).

    shape: (height, width, channels) of a map. Each entry of filters is a 3x3 convolution with ReLU that
    keeps height and width; the last one's maps are averaged over positions. Weights are drawn from seed.
    """
    import keras

    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input(shape)
    for count in filters:
        x = keras.layers.Conv2D(count, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="conv")


def standardising(mean: np.ndarray, deviation: np.ndarray) -> Callable[[Any], Any]:
    """Return the function that standardises (b, h, w, c) maps by channel, inside a graph or not."""
    return lambda batch: (batch - mean) / deviation


def channel_scale(maps: Array, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each channel over the maps at these rows: (c,) float32 both.

    maps: (n, h, w, c) float32, a few read at a time. rows: (m,) positions, at least one. The deviation of a
    constant channel is 1.
    """
    import numpy as np

    from bench.training.standardize import mean_and_deviation_of

    size = max(1, BLOCK // (maps[0].size * 8))
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    count = len(rows) * maps.shape[1] * maps.shape[2]
    mean, deviation = mean_and_deviation_of(lambda: (maps[part] for part in parts), count)
    return mean.astype(np.float32), deviation.astype(np.float32)
