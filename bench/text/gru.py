"""Titles as rows of word numbers, and the net that reads them word by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.models.titles_table import GRU_UNITS

MOST_WORDS = 8192
"""Words that have a number of their own, at most."""

LONGEST = 32
"""Words of a title that are read, at most."""

EMBEDDED = 64
"""Numbers that stand for a word."""

SEEN = 2
"""How often training titles must have a word for it to have a number: the others teach what "unknown" is."""


def word_numbers(words: Sequence[Sequence[str]], train: np.ndarray) -> tuple[np.ndarray, int]:
    """Return (n, t) int32 of n titles, and how many numbers there are: 0 for no word, 1 for an unknown one.

    words: of every title. train: positions of the titles whose words are known, of which there is one at
    least; labels are not looked at. t is the length of the longest of them, up to LONGEST.
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


def build_gru(length: int, numbers: int, seed: int) -> Any:
    """Build the net: a keras.Model from (n, length) int32 word numbers to (n, GRU_UNITS), drawn by the seed.

    Places without a word are skipped; a title without any gives zeros.
    """
    import keras
    from keras import layers

    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            layers.Embedding(numbers, EMBEDDED, mask_zero=True, name="embedding"),
            layers.GRU(GRU_UNITS, name="gru"),
        ],
        name="gru",
    )
