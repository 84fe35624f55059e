"""Tf-idf rows of titles: words and pairs of neighbours, rare ones weighing more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.backbones.titles_table import MOST_TERMS
from bench.data.titles.words import terms

LENGTH = 20.0
"""Length of every nonzero row. Standardising would weight the rarest words most. At this length rows suit
the learning rate and decay of standardised features, alone and beside them; chosen on validation among 10, 20
and 40."""


def tfidf_rows(words: Sequence[Sequence[str]], train: np.ndarray, most: int = MOST_TERMS) -> np.ndarray:
    """Return (n, d) float32 tf-idf rows of n titles, d at most `most`; 0 where no training title has words.

    words: of every title. train: positions of the titles whose terms are known and counted; labels are not
    used. Rows are scikit-learn's TfidfVectorizer's (tf (1 + ln((1 + t) / (1 + df))), the commonest terms
    of train), LENGTH times as long. A title without any known term is a row of zeros.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = [words[row] for row in train.tolist()]
    if not any(known):
        return np.zeros((len(words), 0), np.float32)
    vectorizer = TfidfVectorizer(analyzer=lambda title: list(terms(title)), max_features=most)
    vectorizer.fit(known)
    rows: np.ndarray = vectorizer.transform(words).astype(np.float32).toarray()
    rows *= np.float32(LENGTH)
    return rows
