"""Tf-idf rows of titles: unigrams and bigrams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.backbones.titles_table import MAX_FEATURES
from bench.data.titles.words import terms

ROW_NORM = 20.0
"""Euclidean norm of every nonzero row. Standardising would give the rarest words the most weight. This norm
suits the learning rate and decay of standardised features; chosen on validation among 10, 20 and 40."""


def tfidf_rows(
    words: Sequence[Sequence[str]], train: np.ndarray, max_features: int = MAX_FEATURES
) -> np.ndarray:
    """Return (n, d) float32 tf-idf rows of n titles, d <= `max_features`; 0 if no training title has words.

    words: of every title. train: positions of the titles to fit on. Rows are those of scikit-learn's
    TfidfVectorizer (tf (1 + ln((1 + t) / (1 + df))), the most frequent terms of train) times ROW_NORM. A
    title without any known term is a row of zeros.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    known = [words[row] for row in train.tolist()]
    if not any(known):
        return np.zeros((len(words), 0), np.float32)
    vectorizer = TfidfVectorizer(analyzer=lambda title: list(terms(title)), max_features=max_features)
    vectorizer.fit(known)
    rows: np.ndarray = vectorizer.transform(words).astype(np.float32).toarray()
    rows *= np.float32(ROW_NORM)
    return rows
