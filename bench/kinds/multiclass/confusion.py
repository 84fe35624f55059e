"""Tables of one cell: scikit-learn's classification report, and the confusion matrix."""

from __future__ import annotations

from typing import Any

from bench.compare.paired_bootstrap import own_intervals
from bench.core.predictions import Predictions
from bench.core.table import Column, Table
from bench.kinds.multiclass.findings import confusion_shares, confusion_table
from bench.kinds.multiclass.listings import listing_table
from bench.kinds.multiclass.metrics import report_rows
from bench.metrics import intervals as stats
from bench.metrics.confusion import confusion

__all__ = ["confusion_shares", "confusion_table", "listing_table", "matrix_table", "report_table"]

DIGITS = 2
"""Decimals of the printed report."""

_SHARES = ("precision", "recall", "f1", "low", "high")


def report_table(pred: Predictions, title: str = "", digits: int | None = DIGITS) -> Table:
    """Return the classification report: the classes, then `accuracy`, `macro avg` and `weighted avg`.

    digits: decimals, as scikit-learn prints it; None leaves the numbers whole and adds the column `row`,
    which separates a class from an average of that name. low, high: 95% intervals of recall, a class's by
    Wilson, the averages' by the bootstrap. What is undefined is empty, where scikit-learn prints 0.
    """
    rows = [dict(row) for row in report_rows(pred)]
    drawn = own_intervals("multiclass", pred, ("top1_micro", "top1_macro"))
    matrix = confusion(pred)
    hits, support = matrix.diagonal().tolist(), matrix.sum(axis=1).tolist()
    ends = [stats.wilson(own, n) for own, n in zip(hits, support, strict=True)]
    ends += [drawn["top1_micro"], drawn["top1_macro"], drawn["top1_micro"]]
    for index, (row, interval) in enumerate(zip(rows, ends, strict=True)):
        row |= {"low": interval.low, "high": interval.high}
        row["row"] = "class" if index < len(support) else "average"
        if digits is not None:
            row |= {key: _rounded(row[key], digits) for key in _SHARES}
    columns = [
        *([Column("row", "row")] if digits is None else []),
        Column("class", "class"),
        Column("precision", "precision", "ratio"),
        Column("recall", "recall", "ratio"),
        Column("f1", "f1-score", "ratio"),
        Column("support", "support", "int"),
        Column("low", "recall low", "ratio"),
        Column("high", "recall high", "ratio"),
    ]
    return Table(title, columns, rows, _notes(pred))


def _rounded(value: float | None, digits: int) -> str | None:
    """Return a number with so many decimals, and nothing for NaN."""
    return None if value is None or value != value else f"{value:.{digits}f}"


def _notes(pred: Predictions) -> tuple[str, ...]:
    notes = [
        "recall low, high: 95%; of a class Wilson's interval, of accuracy and the averages the bootstrap."
    ]
    if pred.groups is not None:
        notes.append(
            "Of these only the bootstrap counts the photos of one group (a sender, a listing) as one."
        )
    if (confusion(pred).sum(axis=1) == 0).any():
        notes.append("A class without a test item has no recall and no part in the averages.")
    return tuple(notes)


def matrix_table(pred: Predictions, numbered: bool = True) -> Table:
    """Return the confusion matrix: a row for each true class, a column for each answer.

    numbered: name the columns by the numbers that stand before the rows' names, as a terminal needs it.
    """
    counts = confusion(pred)
    names = pred.classes
    body: list[dict[str, Any]] = []
    for index, (name, row) in enumerate(zip(names, counts.tolist(), strict=True), 1):
        answers = {f"answered {answer}": n for answer, n in zip(names, row, strict=True)}
        body.append({"number": index, "true": name, **answers, "items": sum(row)})
    columns = [
        *([Column("number", "no.", "int")] if numbered else []),
        Column("true", "true class"),
        *(
            Column(f"answered {name}", str(index) if numbered else name, "int")
            for index, name in enumerate(names, 1)
        ),
        Column("items", "items", "int"),
    ]
    notes = ("Rows are true classes, columns the answers by their numbers.",) if numbered else ()
    return Table("Confusion matrix", columns, body, notes)
