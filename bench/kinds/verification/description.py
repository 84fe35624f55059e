"""People of a data set: how many images each has, on which side of the split, and the listed pairs."""

from __future__ import annotations

from typing import Any

from bench.core.table import Table
from bench.data.check import count_lists
from bench.report.data.people import images_table, lists_table, people_figures
from bench.report.data.plots import bars
from bench.report.data.tables import View
from bench.report.page import Figure, Section

people = True


def figures(view: View) -> list[tuple[str, Any]]:
    """See `bench.core.facets.Description`."""
    rows = view.rows
    used = [("of these of people on either side", len(rows))]
    return [*used, ("of these in train", int(view.train[rows].sum())), *people_figures(view.classes)]


def tables(view: View) -> list[Table]:
    """Return people by how many images they have, and the lists of pairs where there are some."""
    lists = count_lists(view.parts.examples)
    return [images_table(view.classes), *([lists_table(lists)] if lists else [])]


def sections(view: View) -> list[Section]:
    """See `bench.core.facets.Description`."""
    found = tables(view)
    shown = found[0].rows
    if not shown:
        return [Section("People", found)]
    names = [f"{row['images']} images" if row["images"] != "1" else "1 image" for row in shown]
    counts = {side: [int(row[side]) for row in shown] for side in ("train", "test")}
    most = max(shown, key=lambda row: int(row["people"]))
    alt = (
        f"Bar chart of {len(view.classes):,} people by how many images they have. Most frequent: "
        f"{most['images']}, {most['people']:,} people."
    )
    figure = Figure("people", alt, "Hatched: test.", bars(names, counts, "people"))
    return [Section("People", [figure, *found])]
