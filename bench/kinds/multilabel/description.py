"""Attributes of a data set: how often each is yes, no or unknown."""

from __future__ import annotations

from typing import Any

from bench.core.table import Table
from bench.report.data.attributes import attribute_figures, attribute_tables
from bench.report.data.plots import BARS, bars
from bench.report.data.tables import View
from bench.report.page import Figure, Section

people = False


def figures(view: View) -> list[tuple[str, Any]]:
    """See `bench.core.facets.Description`."""
    return attribute_figures(view.parts, view.train, view.rows)


def tables(view: View) -> list[Table]:
    """See `bench.core.facets.Description`."""
    return attribute_tables(view.parts, view.train, view.rows)


def sections(view: View) -> list[Section]:
    """See `bench.core.facets.Description`."""
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
