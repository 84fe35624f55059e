"""Tables of imputed labels, scored by their hidden truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.core.table import Column, Table
from bench.kinds.multilabel.packing import IMPUTED
from bench.metrics.registry import METRICS
from bench.report.result_tables import metric_column
from bench.store.settings import Record, settings_of

SCORES = ("auc_macro", "f1_macro", "accuracy_macro", "log_loss", "ece")
"""Metrics of imputed labels: ranking, decisions, calibration."""

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


def imputation_tables(records: Sequence[Record]) -> list[Table]:
    """Return mean scores over seeds on hidden training labels as a table; none if no method imputed any."""
    body = []
    for setting in settings_of(records):
        seeds = [record["metrics"][IMPUTED] for record in setting.records if IMPUTED in record["metrics"]]
        if seeds:
            body.append(
                {
                    "stage": setting.cell["stage"],
                    "backbone": setting.cell["backbone"],
                    "method": setting.cell["method_text"],
                    "setting": setting.differs,
                    "cells": seeds[0].get("cells"),
                    **{name: _mean(seeds, name) for name in SCORES},
                }
            )
    if not body:
        return []
    columns = [
        Column("stage", "stage"),
        Column("backbone", "backbone"),
        Column("method", "method"),
        *([Column("setting", "setting")] if any(row["setting"] for row in body) else []),
        Column("cells", "cells", "int"),
        *(metric_column(name) for name in SCORES),
    ]
    notes = ["cells: training labels hidden from the method, whose truth is known; no test image."]
    if any(row["auc_macro"] == 0.5 for row in body):
        notes.append("AUC of .5: one value for all labels of an attribute, which ranks nothing.")
    return [Table("Imputed training labels, mean over seeds", columns, body, notes)]


def hidden_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a cell's scores on hidden training labels by attribute. rows: their `per_class` rows."""
    return Table("Imputed training labels", _ATTRIBUTE, rows)


def _mean(seeds: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [metrics.get(name) for metrics in seeds]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None
