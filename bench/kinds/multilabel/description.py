"""Attributes of a data set: how often each is yes, no or unknown."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.core.table import Column, Table
from bench.data.check import DataReport
from bench.data.label_table import AttributeLabels, Labels
from bench.data.labels import Parts
from bench.kinds.multilabel.attribute_tables import attribute_figures, attribute_tables
from bench.report.data.plots import BARS, bars
from bench.report.data.tables import DataView
from bench.report.page import Figure, Section

VALUES = {"yes": 1, "no": 0, "unknown": -1}


def labels(parts: Parts) -> Labels:
    """See `bench.core.shown_facets.Description`."""
    return AttributeLabels(parts.attributes, parts.table)


def without_label(report: DataReport) -> tuple[str, int]:
    """See `bench.core.shown_facets.Description`."""
    return "of these without any known label (kept)", report.unlabelled


def check_figures(report: DataReport) -> list[tuple[str, int]]:
    """See `bench.core.shown_facets.Description`."""
    used = report.labels.table[np.concatenate([*report.splits.values()])]
    return [("attributes", used.shape[1]), ("unknown labels", int((used < 0).sum()))]


def check_tables(report: DataReport) -> list[Table]:
    """Return for each attribute the counts of yes, no and unknown, and of contradicting duplicates."""
    columns = [Column("attribute", "attribute")]
    for side in ("train", "test"):
        columns += (Column(f"{side} {what}", f"{side} {what}", "int") for what in VALUES)
    columns += [Column("conflicts", "duplicates disagree", "int"), Column("note", "note")]
    conflicts = zip(report.duplicates.conflicts, report.near_duplicates.conflicts, strict=True)
    rows = []
    for index, (name, (same, near)) in enumerate(zip(report.examples.attributes, conflicts, strict=True)):
        row: dict[str, object] = {"attribute": name, "conflicts": same + near}
        lacks = []
        for side, own in report.splits.items():
            cells = report.labels.table[own, index]
            counts = {what: int((cells == value).sum()) for what, value in VALUES.items()}
            row |= {f"{side} {what}": count for what, count in counts.items()}
            # It cannot be learned there, or has no AUC.
            missing = [what for what in ("yes", "no") if not counts[what]]
            if missing:
                lacks.append(f"{f'no {missing[0]}' if len(missing) == 1 else 'nothing known'} in {side}")
        rows.append({**row, "note": ", ".join(lacks)})
    return [Table("Attributes", columns, tuple(rows))]


def figures(view: DataView) -> list[tuple[str, Any]]:
    """See `bench.core.shown_facets.Description`."""
    return attribute_figures(view.parts, view.train, view.rows)


def tables(view: DataView) -> list[Table]:
    """See `bench.core.shown_facets.Description`."""
    return attribute_tables(view.parts, view.train, view.rows)


def sections(view: DataView) -> list[Section]:
    """See `bench.core.shown_facets.Description`."""
    found = tables(view)
    shown = found[0].rows[:BARS]
    if not shown:
        return [Section("Attributes", found)]
    names = [str(row["attribute"]) for row in shown]
    counts = {value: [int(row[value]) for row in shown] for value in ("yes", "no", "unknown")}
    unknown = sum(counts["unknown"])
    alt = (
        f"Bar chart of the labels of {len(shown)} of {len(found[0].rows)} attributes: yes, no and unknown. "
        f"{unknown:,} of {sum(map(sum, counts.values())):,} are unknown."
    )
    figure = Figure("attributes", alt, "Hatched: no. Pale: unknown.", bars(names, counts, "images"))
    return [Section("Attributes", [figure, *found])]
