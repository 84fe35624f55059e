"""Stored results as pandas frames, for notebooks: the same numbers that the commands print, unrounded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.spec import PairFacts, Predictions
from bench.store import Store, Stored

if TYPE_CHECKING:
    import pandas as pd


def load_results(results: str | Path = "results", task: str | None = None) -> pd.DataFrame:
    """Return one row per stored cell: what it is, every metric and count, seconds, reason of a failure.

    Raises StoreError that names the first file of the folder that cannot be read.
    """
    from bench.report.tables import results_table

    table = results_table([stored.record for stored in _stored(results, task)], full=True)
    return _frame([column.key for column in table.columns], list(table.rows))


def load_classes(results: str | Path = "results", task: str | None = None) -> pd.DataFrame:
    """Return one row per class of every measured cell, with the cell's id, stage, backbone, method, seed."""
    rows = []
    for stored in _stored(results, task):
        cell = stored.record["cell"]
        names = {key: cell[key] for key in ("task", "stage", "regime", "backbone", "seed")}
        rows += [
            {"cell": stored.id[:8], **names, "method": cell["method_text"], **row} for row in stored.per_class
        ]
    return _frame(None, rows)


def load_predictions(results: str | Path, cell: str, split: str = "test") -> pd.DataFrame:
    """Return one row per item of a cell: item, true class, predicted class, and a score per class.

    Of a task with many attributes: for each, what is true (1, 0, none where not known), what is predicted and
    the score. Of pairs of photos: the photos, who is on them, whether they show one person and were said to,
    score, cut and fold. cell: the cell's id or its beginning. Raises StoreError if not exactly one cell has
    it.
    """
    found = [stored for stored in _stored(results, None) if stored.id.startswith(cell)]
    if len(found) != 1:
        raise StoreError(f"{len(found)} cells in {str(results)!r} begin with {cell!r}, not one")
    from bench.metrics.multilabel import answers

    part = found[0].predictions(split)
    names = part.classes
    columns: dict[str, Any] = {"item": part.items}
    if part.pairs is not None:
        columns |= _pair_columns(part, part.pairs)
        names = ()
    elif part.truth.ndim == 1:
        columns["truth"] = [names[index] for index in part.truth]
        columns["predicted"] = [names[index] for index in part.scores.argmax(axis=1)]
    else:
        yes = answers(part)
        for index, name in enumerate(names):
            columns[f"truth {name}"] = [None if cell < 0 else int(cell) for cell in part.truth[:, index]]
            columns[f"predicted {name}"] = yes[:, index].astype(int)
    columns |= {f"score {name}": part.scores[:, index] for index, name in enumerate(names)}
    frame = _frame(None, [])
    for name, values in columns.items():
        frame[name] = values
    return frame


def _pair_columns(part: Predictions, pairs: PairFacts) -> dict[str, Any]:
    from bench.metrics.verification import answers

    return {
        "photo_a": [photos[0] for photos in pairs.photos],
        "photo_b": [photos[1] for photos in pairs.photos],
        "person_a": part.groups,
        "person_b": pairs.partners,
        "same": part.truth.astype(bool),
        "predicted": answers(part),
        "score": part.scores[:, 0],
        "cut": pairs.cuts,
        "fold": pairs.folds,
    }


def _stored(results: str | Path, task: str | None) -> list[Stored]:
    cells, problems = Store(Path(results)).load(task)
    if problems:
        raise StoreError(problems[0])
    return cells


def _frame(columns: list[str] | None, rows: list[Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)
