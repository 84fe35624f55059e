"""How well methods told cells that were hidden from them, beside what these cells are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.metrics.registry import METRICS
from bench.report.settings import Record, settings_of
from bench.report.table import Column, Table
from bench.report.tables import metric_column

PART = "imputed"
"""The part of a cell's predictions and metrics that is about hidden training cells."""

SCORES = ("auc_macro", "f1_macro", "accuracy_macro", "log_loss", "ece")
"""How hidden cells were ranked and decided, and how honest the probabilities are."""

_ATTRIBUTE = (
    Column("class", "attribute"),
    Column("test_support", "hidden", "int"),
    Column("positives", "yes", "int"),
    Column("accuracy", "accuracy", "ratio"),
    Column("f1", "F1", "ratio"),
    Column("auc", "AUC", "ratio"),
    Column("log_loss", METRICS["log_loss"].title, "ratio"),
    Column("ece", METRICS["ece"].title, "ratio"),
)


def imputation_table(records: Sequence[Record]) -> Table | None:
    """Return means over seeds of the scores on hidden training cells, or None where no method filled any."""
    body = []
    for setting in settings_of(records):
        parts = [record["metrics"][PART] for record in setting.records if PART in record["metrics"]]
        if parts:
            body.append(
                {
                    "stage": setting.cell["stage"],
                    "backbone": setting.cell["backbone"],
                    "method": setting.cell["method_text"],
                    "setting": setting.differs,
                    "cells": parts[0].get("cells"),
                    **{name: _mean(parts, name) for name in SCORES},
                }
            )
    if not body:
        return None
    columns = [
        Column("stage", "stage"),
        Column("backbone", "backbone"),
        Column("method", "method"),
        *([Column("setting", "setting")] if any(row["setting"] for row in body) else []),
        Column("cells", "cells", "int"),
        *(metric_column(name) for name in SCORES),
    ]
    notes = ["cells: training cells that were unknown to the method and whose truth is known; no test image."]
    if any(row["auc_macro"] == 0.5 for row in body):
        notes.append("AUC of .5: one value for all cells of an attribute, which ranks nothing.")
    return Table("Hidden training labels as methods told them, mean over seeds", columns, body, notes)


def hidden_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a cell's scores on hidden training cells by attribute. rows: the kind's `per_class` of them."""
    return Table("Hidden training labels as the method told them", _ATTRIBUTE, rows)


def _mean(parts: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [part.get(name) for part in parts]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
