"""Frames hold what is stored, and nothing is rounded on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.frame import load_classes, load_predictions, load_results
from bench.store import RESULT, Store
from tests.test_spec import CELL
from tests.test_store import HOSTILE, some_predictions, some_result


@pytest.fixture
def results(tmp_path: Path) -> Path:
    Store(tmp_path).commit(some_result(), {"test": some_predictions()})
    return tmp_path


def test_results_classes_and_predictions_come_back_unrounded(results: Path) -> None:
    (row,) = load_results(results, "fashion").to_dict("records")
    assert (row["cell"], row["method"], row["seed"], row["status"]) == (CELL.id8, "focal", 0, "ok")
    assert row["top1_micro"] == 1 / 3
    classes = load_classes(results)
    assert list(classes["class"]) == list(HOSTILE) and set(classes["top1"]) == {0.1 + 0.2}
    assert set(classes["cell"]) == {CELL.id8}
    items, part = load_predictions(results, CELL.id8), some_predictions()
    assert list(items["item"]) == list(part.items)
    assert list(items["truth"]) == [HOSTILE[index] for index in part.truth]
    assert items[f"score {HOSTILE[1]}"].tolist() == part.scores[:, 1].tolist()


def test_no_cell_and_a_damaged_one_are_one_line(results: Path) -> None:
    with pytest.raises(StoreError, match="0 cells"):
        load_predictions(results, "zzz")
    next(results.rglob(RESULT)).write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        load_results(results)


def test_an_empty_folder_is_an_empty_frame(tmp_path: Path) -> None:
    assert load_results(tmp_path).empty and load_classes(tmp_path).empty
