"""Encodings of titles: tf-idf by hand, what training titles alone decide, word numbers, a net that learns."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from bench.backbones.tfidf import ROW_NORM, tfidf_rows
from bench.data.titles.words import terms, words
from tests.cells import cell_of

TITLES = (
    "red shirt",
    "red shoe",
    "blue shirt shirt",
    "",
    "green hat red",
    "\u7ea2\u8272",
    "red",
    "never seen",
)
WORDS = [words(title) for title in TITLES]
TRAIN = np.array([0, 1, 2, 3])


def by_hand(title: str) -> np.ndarray:
    """Return a title's row by the textbook, terms of the training titles in order of the alphabet."""
    known = [Counter(terms(words(TITLES[row]))) for row in TRAIN.tolist()]
    vocabulary = sorted({term for one in known for term in one})
    counts = Counter(terms(words(title)))
    idf = {t: math.log((1 + len(known)) / (1 + sum(t in one for one in known))) + 1 for t in vocabulary}
    row = np.array([counts[term] * idf[term] for term in vocabulary])
    return row / np.linalg.norm(row) if row.any() else row


def test_rows_are_the_textbooks() -> None:
    rows = tfidf_rows(WORDS, TRAIN)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows / ROW_NORM, [by_hand(title) for title in TITLES], atol=1e-6)


def test_titles_that_do_not_train_decide_nothing() -> None:
    others = [words(title) if row in TRAIN else () for row, title in enumerate(TITLES)]
    np.testing.assert_array_equal(tfidf_rows(others, TRAIN)[TRAIN], tfidf_rows(WORDS, TRAIN)[TRAIN])


def test_rows_are_bounded_and_keep_the_commonest_terms() -> None:
    rows = tfidf_rows(WORDS, TRAIN, max_features=2)
    assert rows.shape == (len(TITLES), 2)
    # "shirt" is there three times and "red" twice: titles with neither are zero.
    assert [bool(row.any()) for row in rows] == [True, True, True, False, True, False, True, False]


def test_titles_without_words_have_no_columns() -> None:
    assert tfidf_rows([(), ("a",)], np.array([0])).shape == (2, 0)
    assert tfidf_rows([("same",)] * 3, np.arange(3)).tolist() == [[ROW_NORM]] * 3


def test_word_numbers_are_of_training_words_seen_twice() -> None:
    pytest.importorskip("tensorflow")
    from bench.backbones.gru import token_ids

    numbers, count = token_ids(WORDS, TRAIN)
    assert numbers.dtype == np.int32 and numbers.shape == (len(TITLES), 3) and count == 4
    red, shirt = numbers[0, :2]
    assert {red, shirt} == {2, 3}, "0 is no word and 1 an unknown one"
    assert numbers[1].tolist() == [red, 1, 0] and numbers[2].tolist() == [1, shirt, shirt]
    assert numbers[3].tolist() == [0, 0, 0] and numbers[4].tolist() == [1, 1, red]
    assert numbers[5].tolist() == [1, 1, 0], "words of another script are words, and unknown"
    alone, of = token_ids([("once",), ("other",)], np.array([0]))
    assert alone.tolist() == [[2], [1]] and of == 3, "where nothing appears twice, once must do"


def test_a_gru_tells_titles_apart_by_the_order_of_words() -> None:
    """Which bags of words, and tf-idf of single ones, could not."""
    pytest.importorskip("tensorflow")
    from bench.backbones.title_inputs import word_inputs
    from bench.core.protocol import defaults
    from bench.data.splits import StageSplit
    from bench.data.titles.stage_titles import stage_titles
    from bench.runs.trainers import NetTrainer

    rng = np.random.default_rng(0)
    pairs = [("shirt", "dress"), ("dress", "shirt")]
    truth = rng.integers(0, 2, 240).astype(np.int32)
    titles = [f"{pairs[label][0]} by {pairs[label][1]}" for label in truth]
    rows = np.arange(240)
    split = StageSplit(("a", "b"), truth, rows[:160], rows[160:200], rows[200:], 0, None)
    setting = {**defaults(), "epochs": 30, "batch_size": 16, "lr": 0.01, "l2": 1e-4}
    told = stage_titles("title", titles, split, setting, "all")

    def answers() -> np.ndarray:
        trainer = NetTrainer(word_inputs(told), split, setting, lambda *_: None)
        ((fitted, _),) = trainer.fit([(cell_of(seed=3, setting=setting), split)])
        assert fitted.head is not None and fitted.embed is not None
        return fitted.head.logits(fitted.embed(split.test))

    first = answers()
    assert (first.argmax(axis=1) == truth[split.test]).all()
    np.testing.assert_array_equal(first, answers())
