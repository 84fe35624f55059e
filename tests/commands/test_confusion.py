"""`bench confusion`: scikit-learn's report with intervals, the matrix as text and as a picture."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import classification_report, confusion_matrix
from statsmodels.stats.proportion import proportion_confint

from bench.commands.confusion_ import WIDEST, command
from bench.core.errors import BenchError, StoreError
from bench.kinds.multiclass.confusion import matrix_table, report_table
from bench.report.render import render
from tests.fakes import from_confusion
from tests.grids import answers, attributes, put
from tests.metrics.test_confusion import CLASSES, MARKETPLACE, PRINTED

HOSTILE = (
    "<script>alert(1)</script>",
    "$x^2$ & co",
    "日本語シャツ",
    "red \x1b[31m",
    "two\nlines",
    "x" * 200,
    "=1+1",
    "accuracy",
)


def bench(*args: object) -> Any:
    return CliRunner().invoke(command, [str(arg) for arg in args], standalone_mode=False)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    put(folder, from_confusion(MARKETPLACE, CLASSES), task="marketplace", stage="all")
    put(folder, answers(200, 8, 0.6, 1, classes=HOSTILE), task="hostile")
    put(folder, answers(300, WIDEST + 1, 0.6, 1), task="wide")
    put(folder, attributes(40, 3, 1.0, 1), task="multilabel", kind="multilabel")
    put(folder, answers(10, 3, 0.5, 1), task="failed", status="failed", reason="no space")
    return folder


def cell(root: Path, task: str) -> str:
    return next((root / task).glob("*/*/s*")).name


def test_the_published_report_comes_out_line_for_line(root: Path) -> None:
    done = bench(cell(root, "marketplace"), "--results", root)
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    start = next(i for i, line in enumerate(lines) if line.startswith("---")) + 1
    for line, printed in zip(lines[start:], PRINTED, strict=False):
        name, *numbers = printed.split("\t")
        assert line.startswith(name)
        shown = [text for text in line.removeprefix(name).split() if text != "–"]
        assert shown[:-2] == [number for number in numbers if number], "intervals stand behind"
        low, high = map(float, shown[-2:])
        assert 0 <= low < high <= 1


@settings(max_examples=20)
@given(st.integers(2, 6), st.integers(0, 2**32), st.integers(1, 5))
def test_it_is_what_scikit_learn_prints(k: int, seed: int, digits: int) -> None:
    rng = np.random.default_rng(seed)
    pred = from_confusion(rng.integers(1, 6, (k, k)), tuple("abcdef"[:k]))
    answered = pred.scores.argmax(axis=1)
    theirs = classification_report(pred.truth, answered, target_names=pred.classes, digits=digits)
    rows = report_table(pred, digits=digits).rows
    ours = [
        [str(row[key]) for key in ("class", "precision", "recall", "f1", "support") if row[key] is not None]
        for row in rows
    ]
    assert [" ".join(row) for row in ours] == [
        " ".join(line.split()) for line in theirs.splitlines()[1:] if line.strip()
    ]
    matrix = confusion_matrix(pred.truth, answered)
    shown = matrix_table(pred).rows
    for row, counts in zip(shown, matrix.tolist(), strict=True):
        assert [row[f"answered {name}"] for name in pred.classes] == counts and row["items"] == sum(counts)
    for row, hits, n in zip(rows, matrix.diagonal(), matrix.sum(axis=1), strict=False):
        low, high = proportion_confint(hits, n, method="wilson")
        # Rounded where it is shown.
        assert float(row["low"]) == pytest.approx(low, abs=10.0**-digits)
        assert float(row["high"]) == pytest.approx(high, abs=10.0**-digits)


def test_groups_widen_the_intervals_of_the_averages() -> None:
    pred = answers(120, 5, 0.6, 2)
    rows = np.repeat(np.arange(120), 5)
    copied = replace(
        pred,
        items=tuple(map(str, range(600))),
        groups=tuple(f"g{row}" for row in rows),
        truth=pred.truth[rows],
        scores=pred.scores[rows],
    )
    grouped, alone = (
        next(row for row in report_table(given, digits=None).rows if row["class"] == "accuracy")
        for given in (copied, replace(copied, groups=None))
    )
    assert grouped["f1"] == alone["f1"]
    assert grouped["high"] - grouped["low"] > 1.5 * (alone["high"] - alone["low"])
    assert any("group" in note for note in report_table(copied).notes)


def test_a_class_without_items_is_undefined_not_zero() -> None:
    rows = report_table(from_confusion(np.array([[3, 1], [0, 0]]), ("a", "b"))).rows
    assert rows[1]["recall"] is None and rows[1]["low"] is None and rows[1]["support"] == 0
    table = render(report_table(from_confusion(np.array([[3, 1], [0, 0]]), ("a", "b"))), "table")
    assert "nan" not in table and "no part in the averages" in table


def test_machines_get_unrounded_numbers_and_tell_classes_from_averages(root: Path) -> None:
    done = bench(cell(root, "hostile"), "--results", root, "--format", "json")
    report, matrix = json.loads(done.stdout)
    assert [row["row"] for row in report] == ["class"] * 8 + ["average"] * 3
    assert [row["class"] for row in report[:8]] == list(HOSTILE)
    assert [row["true"] for row in matrix] == list(HOSTILE)
    for row in matrix:
        assert sum(row[f"answered {name}"] for name in HOSTILE) == row["items"]
    recalls = [row["recall"] for row in report if row["recall"] is not None]
    assert any(len(f"{value}") > 6 for value in recalls)
    done = bench(cell(root, "marketplace"), "--results", root, "--format", "csv")
    parts = done.stdout.split("\n\n")
    rows = list(csv.DictReader(io.StringIO(parts[1])))
    assert np.array([[int(row[f"answered {name}"]) for name in CLASSES] for row in rows]).tolist() == (
        MARKETPLACE.tolist()
    )


@pytest.mark.parametrize("fmt", ["table", "md"])
def test_hostile_names_stay_on_their_line(root: Path, fmt: str) -> None:
    done = bench(cell(root, "hostile"), "--results", root, "--format", fmt)
    assert "\x1b" not in done.stdout
    if fmt == "md":
        assert "<script>" not in done.stdout
    assert all("lines" not in line or "two" in line for line in done.stdout.splitlines())


def test_a_matrix_too_wide_to_print_becomes_its_most_frequent_confusions(root: Path) -> None:
    done = bench(cell(root, "wide"), "--results", root)
    assert "Most frequent confusions" in done.stdout and "Confusion matrix" not in done.stdout
    assert "--format csv" in done.stderr
    whole = json.loads(bench(cell(root, "wide"), "--results", root, "--format", "json").stdout)
    assert len(whole[1]) == WIDEST + 1


def test_the_picture_is_dark_where_the_answers_are(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "matrix.png"
    done = bench(cell(root, "marketplace"), "--results", root, "--out", out)
    assert str(out) in done.stderr and out.read_bytes().startswith(b"\x89PNG")
    picture = np.asarray(Image.open(out).convert("L")).astype(int)
    assert min(picture.shape) > 500
    bench(cell(root, "hostile"), "--results", root, "--out", tmp_path / "hostile.svg")
    text = (tmp_path / "hostile.svg").read_text(encoding="utf-8")
    assert "<script>" not in text and "x" * 60 not in text and "\x1b" not in text


def test_heat_follows_the_shares(tmp_path: Path) -> None:
    """The squares of the picture are as dark as the shares say: the diagonal where all are right."""
    names = ("a", "b", "c")
    for name, matrix in (("right", np.eye(3, dtype=int) * 9), ("wrong", np.eye(3, dtype=int)[::-1] * 9)):
        put(tmp_path / name, from_confusion(matrix, names), task=name)
        bench(cell(tmp_path / name, name), "--results", tmp_path / name, "--out", tmp_path / f"{name}.png")
    right, wrong = (
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("L")).astype(int)
        for name in ("right", "wrong")
    )
    # The map's frame is the same: mirrored left to right, but for the writing, one is the other.
    dark = [np.argwhere(picture < 60) for picture in (right, wrong)]
    slopes = [np.corrcoef(places[:, 0], places[:, 1])[0, 1] for places in dark]
    assert slopes[0] > slopes[1] + 0.5


@pytest.mark.parametrize(
    ("task", "args", "says"),
    [
        ("multilabel", (), "has many labels"),
        ("multilabel", ("--out", "x.jpg"), "must end in .png or .svg"),
        ("multilabel", ("--out", "nowhere/x.png"), "there is no folder"),
        ("failed", (), "was not measured"),
    ],
)
def test_faults_are_one_line(root: Path, task: str, args: tuple[str, ...], says: str) -> None:
    error = bench(cell(root, task), "--results", root, *args).exception
    assert isinstance(error, BenchError) and says in str(error) and "\n" not in str(error)


def test_a_picture_that_cannot_be_written_is_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "taken.png").mkdir()
    error = bench(cell(root, "marketplace"), "--results", root, "--out", tmp_path / "taken.png").exception
    assert isinstance(error, StoreError) and "cannot be written" in str(error)


def test_predictions_that_are_gone_are_one_line(tmp_path: Path) -> None:
    put(tmp_path, answers(20, 3, 0.5, 1))
    next(tmp_path.rglob("predictions.parquet")).unlink()
    error = bench(cell(tmp_path, "fashion"), "--results", tmp_path).exception
    assert isinstance(error, StoreError) and "parquet: is missing; run the cell again" in str(error)
