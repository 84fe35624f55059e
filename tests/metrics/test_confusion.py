"""A published confusion matrix, fed through the metrics, gives the table that was printed beside it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import classification_report, confusion_matrix

from bench.kinds.multiclass.metrics import report_rows, summary
from bench.metrics.confusion import confusion
from tests.fakes import from_confusion

MARKETPLACE = np.array(
    [
        [28, 2, 0, 0, 0, 3, 4, 0, 0, 1, 5, 0],
        [2, 19, 1, 0, 2, 7, 2, 0, 2, 1, 0, 0],
        [1, 0, 15, 1, 2, 0, 1, 0, 3, 2, 0, 0],
        [0, 0, 4, 7, 2, 0, 0, 0, 1, 0, 0, 0],
        [0, 1, 1, 1, 22, 0, 1, 1, 3, 0, 4, 0],
        [4, 6, 0, 0, 0, 19, 1, 1, 2, 1, 0, 1],
        [0, 0, 0, 0, 1, 1, 35, 0, 2, 0, 2, 2],
        [1, 0, 0, 0, 2, 0, 0, 6, 0, 0, 0, 4],
        [0, 3, 5, 0, 0, 1, 1, 3, 26, 0, 1, 2],
        [1, 0, 0, 0, 0, 0, 0, 3, 0, 9, 0, 0],
        [4, 0, 1, 0, 1, 0, 3, 0, 3, 0, 26, 0],
        [0, 0, 0, 0, 1, 0, 1, 1, 3, 1, 0, 23],
    ]
)
"""Of a published ResNet on user-uploaded photographs of computer goods, with its printed report below."""

PRINTED = """\
Laptops & Notebooks	0.68	0.65	0.67	43
Desktops	0.61	0.53	0.57	36
Cables & Adaptors	0.56	0.60	0.58	25
Chargers	0.78	0.50	0.61	14
Mouse & Mousepads	0.67	0.65	0.66	34
Monitor Screens	0.61	0.54	0.58	35
Computer Keyboard	0.71	0.81	0.76	43
Hard Disks & Thumbdrives	0.40	0.46	0.43	13
Networking Parts & Accessories	0.58	0.62	0.60	42
Webcams	0.60	0.69	0.64	13
Laptop Bags & Sleeves	0.68	0.68	0.68	38
Printers, Scanners & Copiers	0.72	0.77	0.74	30
accuracy			0.64	366
macro avg	0.63	0.63	0.63	366
weighted avg	0.64	0.64	0.64	366""".splitlines()

CLASSES = tuple(line.split("\t")[0] for line in PRINTED[:12])


def two_digits(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def test_the_printed_report_comes_out_to_the_digit() -> None:
    rows = report_rows(from_confusion(MARKETPLACE, CLASSES))
    lines = [
        "\t".join(
            [
                row["class"],
                *(two_digits(row[key]) for key in ("precision", "recall", "f1")),
                str(row["support"]),
            ]
        )
        for row in rows
    ]
    assert lines == PRINTED


def test_its_accuracy_and_macro_f1_unrounded() -> None:
    found = summary(from_confusion(MARKETPLACE, CLASSES))
    assert found["top1_micro"] == 235 / 366
    assert found["f1_macro"] == pytest.approx(0.626, abs=5e-4)


@given(st.integers(2, 6), st.integers(0, 2**32))
def test_there_and_back(k: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 4, (k, k))
    pred = from_confusion(matrix, tuple("abcdef"[:k]))
    assert np.array_equal(confusion(pred), matrix)
    if len(pred.items):
        assert np.array_equal(
            confusion(pred), confusion_matrix(pred.truth, pred.scores.argmax(axis=1), labels=range(k))
        )


@pytest.mark.parametrize("seed", range(4))
def test_the_report_is_scikit_learns_where_every_class_has_items(seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 5, (4, 4)) + np.eye(4, dtype=int)
    pred = from_confusion(matrix, ("a", "b", "c", "d"))
    theirs = classification_report(
        pred.truth, pred.scores.argmax(axis=1), target_names=pred.classes, output_dict=True, zero_division=0
    )
    for row in report_rows(pred):
        if row["class"] == "accuracy":
            assert row["f1"] == pytest.approx(theirs["accuracy"])
        else:
            expected = theirs[row["class"]]
            assert [row[key] for key in ("precision", "recall", "f1", "support")] == pytest.approx(
                [expected[key] for key in ("precision", "recall", "f1-score", "support")]
            )


def test_training_support_can_be_given() -> None:
    pred = from_confusion(np.eye(2, dtype=int), ("a", "b"), np.array([500, 3]))
    assert summary(pred)["many_top1"] == summary(pred)["few_top1"] == 1.0
