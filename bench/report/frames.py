"""Stored cells as pandas data frames: the numbers that the commands print, unrounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bench.core.errors import unknown
from bench.store.read import SPLITS
from bench.store.settings import kind_of
from bench.store.write import Stored

if TYPE_CHECKING:
    import pandas as pd

    from bench.core.table import Table


def table_frame(table: Table) -> pd.DataFrame:
    """Return the rows of a table, its columns by key."""
    return _frame([column.key for column in table.columns], list(table.rows))


def results_frame(cells: Sequence[Stored]) -> pd.DataFrame:
    """Return one row per cell: its identity, metrics, counts, seconds, reason of failure."""
    from bench.report.result_tables import results_table

    return table_frame(results_table([stored.record for stored in cells], full=True))


def classes_frame(cells: Sequence[Stored]) -> pd.DataFrame:
    """Return one row per class of every measured cell, with its id, stage, backbone, method and seed.

    Raises FileFault for a file that cannot be read.
    """
    rows = []
    for stored in cells:
        cell = stored.record["cell"]
        names = {key: cell[key] for key in ("task", "stage", "regime", "backbone", "seed")}
        rows += [
            {"cell": stored.id[:8], **names, "method": cell["method_text"], **row} for row in stored.per_class
        ]
    return _frame(None, rows)


def predictions_frame(stored: Stored, split: str = "test") -> pd.DataFrame:
    """Return one row per item of a cell: item, true class, predicted class, and a score per class.

    Tasks with many attributes: for each, the truth (1, 0, none where unknown), the prediction and the score.
    Pairs of photos: photos, people, whether they show one person, whether the answer is "same", score,
    threshold (`cut`) and fold. split: `test`, `val` or `imputed`. Raises BenchError for another one,
    FileFault for a file that cannot be read.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS, f"one of {', '.join(SPLITS)}")
    pred = stored.predictions(split)
    columns: dict[str, Any] = {"item": pred.items, **kind_of(stored.record).tables.answers(pred)}
    frame = _frame(None, [])
    for name, values in columns.items():
        frame[name] = values
    return frame


def _frame(columns: list[str] | None, rows: Sequence[Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)
