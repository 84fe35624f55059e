"""Tables of a data check: counts, problems, leaks, contradicting labels."""

from __future__ import annotations

from bench.core.shown_facets import Description
from bench.core.table import Column, Table
from bench.data.check import DataReport
from bench.data.titles.stage_titles import title_figures

MOST = 20
"""Maximum number of rows of a long table; CSV and JSON have all of them."""


def check_tables(report: DataReport, kind: Description, whole: bool = False) -> list[Table]:
    """Return the report as tables; empty ones are left out.

    kind: what the data's kind says of labels. whole: whether long tables have every row.
    """
    tables = [_summary(report, kind)]
    if report.problems:
        tables.append(_by_kind(report))
    tables += kind.check_tables(report)
    limit = None if whole else MOST
    if report.leaks:
        tables.append(leaks_table(report, limit))
    if report.disagreements:
        tables.append(_disagreements(report, limit))
    tables.append(_sizes(report, limit))
    if report.problems:
        tables.append(_every_problem(report))
    return tables


def _summary(report: DataReport, kind: Description) -> Table:
    same, near = report.duplicates, report.near_duplicates
    figures: list[tuple[str, int]] = [
        ("rows kept by the reader", len(report.examples)),
        ("images that decode", report.decoded),
        kind.without_label(report),
        ("train", len(report.splits["train"])),
    ]
    if report.validation is not None:
        figures.append(("of these in the validation split", report.validation))
    figures.append(("test", len(report.splits["test"])))
    figures += kind.check_figures(report)
    figures += [
        ("images byte-identical to another one", same.extra),
        ("of these pictures, with different labels", same.disagreeing),
        ("pictures in train and in test", same.straddling),
        ("test images also in train (leak)", same.leaked),
        ("pairs of near duplicates, not byte-identical", len(near.pairs)),
        ("of these with different labels", near.disagreeing),
        ("of these in train and in test", near.straddling),
        ("test images with a near duplicate in train (leak)", near.leaked),
        ("items in train and in test", report.shared_items),
    ]
    if report.validation is not None:
        figures.append(("validation images also, or nearly, in train", report.validation_leaks))
    if report.shared_groups is not None:
        figures.append(("groups in train and in test", report.shared_groups))
    figures += title_figures(report.titles)
    notes = [f"{part} is empty: no image can be used for it" for part in report.empty_parts]
    notes.append(f"source {report.examples.source}, fingerprint {report.examples.fingerprint[:16]}")
    columns = (Column("what", "what"), Column("count", "count", "int"))
    return Table(
        "Data check", columns, tuple({"what": what, "count": count} for what, count in figures), tuple(notes)
    )


def _by_kind(report: DataReport) -> Table:
    columns = (
        Column("kind", "problem"),
        Column("left_out", "left out", "bool"),
        Column("count", "count", "int"),
    )
    rows = tuple(
        {"kind": kind, "left_out": fatal, "count": count} for kind, fatal, count in report.problem_counts
    )
    return Table("Problems by kind", columns, rows)


def leaks_table(report: DataReport, limit: int | None = None) -> Table:
    """List the test images with a copy in train, each with one copy. limit: rows, None for all."""
    columns = (
        Column("test", "test image"),
        Column("train", "in train as"),
        Column("how", "how"),
        Column("copies", "copies in train", "int"),
        Column("on", report.labels.leak_title),
    )
    items = report.examples.items
    rows = tuple(
        {
            "test": items[leak.test],
            "train": items[leak.train],
            "how": "near" if leak.near else "bytes",
            "copies": leak.copies,
            "on": report.labels.shared(leak.test, leak.train),
        }
        for leak in report.leaks[:limit]
    )
    rest = len(report.leaks) - len(rows)
    notes = (f"and {rest} more (bench data check --leaks lists all)",) if rest else ()
    return Table("Test images also in train", columns, rows, notes)


def _disagreements(report: DataReport, limit: int | None) -> Table:
    columns = (
        Column("one", "image"),
        Column("two", "same picture"),
        Column("how", "how"),
        Column("on", "labels differ"),
        Column("sides", "sides"),
    )
    rows = tuple(
        {
            "one": pair.items[0],
            "two": pair.items[1],
            "how": "near" if pair.near else "bytes",
            "on": pair.on,
            "sides": "train and test" if pair.straddling else "",
        }
        for pair in report.disagreements[:limit]
    )
    rest = len(report.disagreements) - len(rows)
    return Table("Labels that disagree", columns, rows, (f"and {rest} more pairs",) if rest > 0 else ())


def _sizes(report: DataReport, limit: int | None) -> Table:
    columns = (
        Column("width", "width", "int"),
        Column("height", "height", "int"),
        Column("count", "images", "int"),
    )
    ordered = sorted(report.sizes.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple(
        {"width": width, "height": height, "count": count} for (height, width), count in ordered[:limit]
    )
    others = ordered[len(rows) :]
    rest = sum(count for _, count in others)
    notes = (f"and {rest} images of {len(others)} other sizes",) if rest else ()
    return Table("Image sizes", columns, rows, notes)


def _every_problem(report: DataReport) -> Table:
    columns = (
        Column("kind", "problem"),
        Column("where", "where"),
        Column("why", "why"),
        Column("left_out", "left out", "bool"),
    )
    rows = tuple(
        {"kind": problem.code, "where": problem.where, "why": problem.why, "left_out": problem.fatal}
        for problem in report.problems
    )
    return Table("Every problem", columns, rows)
