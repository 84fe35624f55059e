"""Titles as rows of word numbers, and the net that reads them word by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.backbones.precision import built_in, single_outputs
from bench.backbones.titles_table import GRU_UNITS

MOST_WORDS = 8192
"""Largest number of words in the vocabulary."""

LONGEST = 32
"""Largest number of words read of a title."""

EMBEDDED = 64
"""Length of a word's embedding."""

SEEN = 2
"""Training titles a word must occur in for a number of its own; the rest train "unknown"."""


def word_numbers(words: Sequence[Sequence[str]], train: np.ndarray) -> tuple[np.ndarray, int]:
    """Return (n, t) int32 of n titles, and how many numbers there are: 0 for no word, 1 for an unknown one.

    words: of every title. train: positions of the titles whose words are known, at least one; labels
    are not used. t is the length of the longest of them, up to LONGEST.
    """
    from keras.layers import TextVectorization

    known = [words[row] for row in train.tolist()]
    counts = Counter(word for title in known for word in title)
    often = {word for word, count in counts.items() if count >= SEEN} or set(counts)
    length = min(max(map(len, known)), LONGEST)
    numbers = TextVectorization(
        max_tokens=MOST_WORDS, standardize=None, split="whitespace", output_sequence_length=length
    )
    numbers.adapt([" ".join(word for word in title if word in often) for title in known])
    found = [np.asarray(numbers(np.array([" ".join(title) for title in words], object)))]
    return np.concatenate(found).astype(np.int32), len(numbers.get_vocabulary())


def build_gru(length: int, numbers: int, precision: str, seed: int) -> Any:
    """Build the net: a keras.Model from (n, length) int32 word numbers to (n, GRU_UNITS), drawn by the seed.

    precision: what it computes in, see `bench.backbones.precision.built_in`; its answers are float32.
    Places without a word are skipped; a title without any gives zeros.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    with built_in(precision):
        net = keras.Sequential(
            [
                keras.Input((length,), dtype="int32"),
                layers.Embedding(numbers, EMBEDDED, mask_zero=True, name="embedding"),
                layers.GRU(GRU_UNITS, name="gru"),
            ],
            name="gru",
        )
        return single_outputs(net)
