"""Titles as token ids, and a GRU over their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.backbones.precision import dtype_policy, float32_outputs
from bench.backbones.titles_table import GRU_UNITS

VOCABULARY_SIZE = 8192
"""Maximum number of words in the vocabulary."""

MAX_LENGTH = 32
"""Maximum number of words per title."""

EMBEDDING_DIM = 64

MIN_COUNT = 2
"""Training titles that must contain a word; rarer words train the "unknown" token."""


def token_ids(words: Sequence[Sequence[str]], train: np.ndarray) -> tuple[np.ndarray, int]:
    """Return (n, t) int32 token ids of n titles, and the vocabulary size: 0 is padding, 1 is unknown.

    words: of every title. train: positions of the training titles, which make the vocabulary; at least one.
    t is the length of the longest of them, up to MAX_LENGTH.
    """
    from keras.layers import TextVectorization

    known = [words[row] for row in train.tolist()]
    counts = Counter(word for title in known for word in title)
    often = {word for word, count in counts.items() if count >= MIN_COUNT} or set(counts)
    length = min(max(map(len, known)), MAX_LENGTH)
    numbers = TextVectorization(
        max_tokens=VOCABULARY_SIZE, standardize=None, split="whitespace", output_sequence_length=length
    )
    numbers.adapt([" ".join(word for word in title if word in often) for title in known])
    found = [np.asarray(numbers(np.array([" ".join(title) for title in words], object)))]
    return np.concatenate(found).astype(np.int32), len(numbers.get_vocabulary())


def build_gru(length: int, numbers: int, precision: str, seed: int) -> Any:
    """Build a keras.Model from (n, length) int32 token ids to (n, GRU_UNITS) float32.

    numbers: vocabulary size. precision: see `bench.backbones.precision.dtype_policy`. Padding is masked; a
    title without words gives zeros.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    with dtype_policy(precision):
        net = keras.Sequential(
            [
                keras.Input((length,), dtype="int32"),
                layers.Embedding(numbers, EMBEDDING_DIM, mask_zero=True, name="embedding"),
                layers.GRU(GRU_UNITS, name="gru"),
            ],
            name="gru",
        )
        return float32_outputs(net)
