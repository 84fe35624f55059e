"""A stage's titles: what is read, what is counted, and what cannot be trained on."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.data.titles.stage_titles import StageTitles, TitleCounts, count_parts, stage_titles, title_figures
from bench.kinds.multilabel.split import AttributeSplit

TITLES = [
    "Red Shirt",
    "Blue Shirts",
    "",
    "Hat",
    "Hat \U0001f3a9",
    "a shirt",
    "!!",
    "wool hats",
    "kurta",
    "Shirt",
]
TRUTH = np.array([0, 0, 0, 1, 1, 0, 1, 1, -1, 1], np.int32)


def _split(
    classes: tuple[str, ...] = ("Shirts", "Hats"),
    truth: np.ndarray = TRUTH,
    form: type[StageSplit] = StageSplit,
) -> StageSplit:
    return form(classes, truth, np.array([0, 2, 3]), np.array([1]), np.array([4, 5, 6, 7, 9]), 0, None)


def _read(masked: bool = False, titles: list[str] = TITLES, **split: object) -> StageTitles:
    setting = {**defaults(), "mask_class_words": masked}
    return stage_titles("productDisplayName", titles, _split(**split), setting, "all")  # type: ignore[arg-type]


def test_titles_are_read_and_counted() -> None:
    found = _read()
    assert found.words[0] == ("red", "shirt") and found.words[8] == (), "a row of no stage is not read"
    assert found.train.tolist() == [0, 1, 2, 3]
    # "Shirt" is the ninth row's title, and not its class; "a" is no training word, but "shirt" beside it is.
    assert found.counts == {
        "train": TitleCounts(4, empty=1, holding=3),
        "test": TitleCounts(5, empty=1, holding=3, unknown=1),
    }
    assert found.to_json()["test"] == {"titles": 5, "empty": 1, "holding": 3, "emptied": 0, "unknown": 1}


def test_class_words_are_taken_out_and_what_they_leave_is_counted() -> None:
    found = _read(masked=True)
    assert found.words[0] == ("red",) and found.words[7] == ("wool",)
    train, test = found.counts["train"], found.counts["test"]
    assert (train.holding, train.emptied, train.empty) == (3, 1, 1), "as they were before"
    assert (test.holding, test.emptied, test.unknown) == (3, 1, 3)


def test_attributes_have_no_one_class_to_name() -> None:
    assert _read(truth=np.ones((10, 2), np.int32), form=AttributeSplit).counts["train"].holding is None


@pytest.mark.parametrize(
    ("titles", "masked", "says"),
    [
        (
            [""] * 10,
            False,
            "all 4 training titles .column 'productDisplayName'. are empty or without letters",
        ),
        (["?!", " ", "", "--", *["word"] * 6], False, "are empty or without letters"),
        (["Shirt", "Hats", "shirts", "HAT", *["word"] * 6], True, "leave out mask_class_words=true"),
    ],
)
def test_a_stage_whose_training_titles_say_nothing_is_one_line(
    titles: list[str], masked: bool, says: str
) -> None:
    with pytest.raises(DataError, match=says) as caught:
        _read(masked, titles)
    assert "\n" not in str(caught.value)


def test_the_data_check_counts_all_titles() -> None:
    labels = ["Shirts", "Shirts", "Shirts", "Hats", "Hats", "Shirts", "Hats", "Hats", "Kurtas", "Hats"]
    rows = {"train": np.arange(4), "test": np.arange(4, 10)}
    counts = count_parts(TITLES, labels, rows)
    assert counts["train"] == TitleCounts(4, 1, 3) and counts["test"] == TitleCounts(6, 1, 4, unknown=2)
    assert ("train titles without any word", 1) in title_figures(counts)
    assert ("test titles that contain their class name (of 6)", 4) in title_figures(counts)
    assert count_parts(TITLES, (), rows)["test"].holding is None
    assert title_figures({}) == []
