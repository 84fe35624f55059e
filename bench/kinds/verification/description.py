"""People of a data set: how many images each has, on which side of the split, and the listed pairs."""

from __future__ import annotations

from typing import Any

from bench.core.table import Table
from bench.data.check import DataReport
from bench.data.label_table import ClassCount, ClassLabels, Labels, count_classes
from bench.data.labels import Parts
from bench.kinds.verification.people import images_table, lists_table, people_figures
from bench.report.data.plots import bars
from bench.report.data.tables import DataView
from bench.report.page import Figure, Section


def labels(parts: Parts) -> Labels:
    """See `bench.core.shown_facets.Description`."""
    return ClassLabels(parts.given)


def without_label(report: DataReport) -> tuple[str, int]:
    """See `bench.core.shown_facets.Description`."""
    return "of these of people in no list (not used)", report.unlisted


def check_figures(report: DataReport) -> list[tuple[str, int]]:
    """See `bench.core.shown_facets.Description`."""
    return people_figures(count_classes(report.labels.classes, report.splits))


def check_tables(report: DataReport) -> list[Table]:
    """Return people by how many images they have, and the lists of pairs where there are some."""
    people = count_classes(report.labels.classes, report.splits)
    return [images_table(people), *lists_table(report.examples)]


def figures(view: DataView) -> list[tuple[str, Any]]:
    """See `bench.core.shown_facets.Description`."""
    rows = view.rows
    used = [("of these of people on either side", len(rows))]
    return [*used, ("of these in train", int(view.train[rows].sum())), *people_figures(_people(view))]


def tables(view: DataView) -> list[Table]:
    """Return people by how many images they have, and the lists of pairs where there are some."""
    return [images_table(_people(view)), *lists_table(view.parts.examples)]


def sections(view: DataView) -> list[Section]:
    """See `bench.core.shown_facets.Description`."""
    found = tables(view)
    shown = found[0].rows
    if not shown:
        return [Section("People", found)]
    names = [f"{row['images']} images" if row["images"] != "1" else "1 image" for row in shown]
    counts = {side: [int(row[side]) for row in shown] for side in ("train", "test")}
    most = max(shown, key=lambda row: int(row["people"]))
    alt = (
        f"Bar chart of {len(_people(view)):,} people by how many images they have. Most frequent: "
        f"{most['images']}, {most['people']:,} people."
    )
    figure = Figure("people", alt, "Hatched: test.", bars(names, counts, "people"))
    return [Section("People", [figure, *found])]


def _people(view: DataView) -> tuple[ClassCount, ...]:
    return count_classes(view.labels.classes, view.splits)
