"""Frames hold what is stored, unrounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import StoreError
from bench.report.frames import classes_frame, predictions_frame, results_frame
from bench.store.read import PREDICTIONS
from bench.store.write import Store, Stored
from tests.core.test_cell import CELL
from tests.store.test_write import HOSTILE, some_predictions, some_result


@pytest.fixture
def cells(tmp_path: Path) -> list[Stored]:
    Store(tmp_path).commit(some_result(), {"test": some_predictions()})
    return Store(tmp_path).load()[0]


def test_results_classes_and_predictions_come_back_unrounded(cells: list[Stored]) -> None:
    (row,) = results_frame(cells).to_dict("records")
    assert (row["cell"], row["method"], row["seed"], row["status"]) == (CELL.id8, "focal", 0, "ok")
    assert row["top1_micro"] == 1 / 3
    classes = classes_frame(cells)
    assert list(classes["class"]) == list(HOSTILE) and set(classes["top1"]) == {0.1 + 0.2}
    assert set(classes["cell"]) == {CELL.id8}
    items, part = predictions_frame(cells[0]), some_predictions()
    assert list(items["item"]) == list(part.items)
    assert list(items["truth"]) == [HOSTILE[index] for index in part.truth]
    assert items[f"score {HOSTILE[1]}"].tolist() == part.scores[:, 1].tolist()


def test_a_damaged_file_is_one_line(cells: list[Stored]) -> None:
    (cells[0].folder / PREDICTIONS).write_text("{")
    with pytest.raises(StoreError, match="changed after it was stored"):
        predictions_frame(cells[0])


def test_no_cell_is_an_empty_frame() -> None:
    assert results_frame([]).empty and classes_frame([]).empty
