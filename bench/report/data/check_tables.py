"""Tables of a data check: counts, problems, leaks, contradicting labels."""

from __future__ import annotations

from bench.core.table import Column, Table
from bench.data.check import AttributeCount, DataReport
from bench.data.titles.stage_titles import title_figures
from bench.report.data.people import images_table, lists_table, people_figures

MOST = 20
"""Most rows of a long table; CSV and JSON have all of them."""


def check_tables(report: DataReport, whole: bool = False) -> list[Table]:
    """Return the report as tables; empty ones are left out. whole: whether long tables have every row."""
    tables = [_summary(report)]
    if report.problems:
        tables.append(_by_kind(report))
    if report.people:
        tables += [images_table(report.classes), *([lists_table(report.lists)] if report.lists else [])]
    else:
        tables.append(_attributes(report) if report.attributes else _classes(report))
    most = None if whole else MOST
    if report.leaks:
        tables.append(leaks_table(report, most))
    if report.disagreements:
        tables.append(_disagreements(report, most))
    tables.append(_sizes(report, most))
    if report.problems:
        tables.append(_every_problem(report))
    return tables


def _summary(report: DataReport) -> Table:
    same, near = report.duplicates, report.twins
    figures: list[tuple[str, int]] = [
        ("rows kept by the reader", report.rows),
        ("images that decode", report.decoded),
    ]
    if report.attributes:
        figures.append(("of these without any known label (kept)", report.unlabelled))
    elif report.people:
        figures.append(("of these of people in no list (not used)", report.unlisted))
    else:
        figures.append(("of these without a label (not a class)", report.unlabelled))
    figures.append(("train", report.train))
    if report.validation is not None:
        figures.append(("of these in the validation part", report.validation))
    figures.append(("test", report.test))
    if report.attributes:
        unknown = sum(count.train[2] + count.test[2] for count in report.attributes)
        figures += [("attributes", len(report.attributes)), ("unknown labels", unknown)]
    elif report.people:
        figures += people_figures(report.classes)
    else:
        unseen = sum(count.test for count in report.classes if count.train == 0)
        figures += [
            ("classes", len(report.classes)),
            ("classes with one image", len(report.single)),
            ("classes not in train", len(report.unknown_to_train)),
            ("test images of classes not in train", unseen),
        ]
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
    notes.append(f"source {report.source}, fingerprint {report.fingerprint[:16]}")
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


def _classes(report: DataReport) -> Table:
    columns = (
        Column("class", "class"),
        Column("train", "train", "int"),
        Column("test", "test", "int"),
        Column("note", "note"),
    )
    single, unseen = set(report.single), set(report.unknown_to_train)
    rows = []
    for count in report.classes:
        notes = [
            text for text, names in (("one image", single), ("not in train", unseen)) if count.name in names
        ]
        rows.append({"class": count.name, "train": count.train, "test": count.test, "note": ", ".join(notes)})
    return Table("Classes", columns, tuple(rows))


def _attributes(report: DataReport) -> Table:
    """Return for each attribute the counts of yes, no and unknown, and of contradicting duplicates."""
    columns = [Column("attribute", "attribute")]
    for part in ("train", "test"):
        columns += (Column(f"{part} {what}", f"{part} {what}", "int") for what in ("yes", "no", "unknown"))
    columns += [Column("torn", "twins disagree", "int"), Column("note", "note")]
    conflicts = zip(report.duplicates.conflicts, report.twins.conflicts, strict=True)
    rows = []
    for count, (same, near) in zip(report.attributes, conflicts, strict=True):
        row: dict[str, object] = {"attribute": count.name, "torn": same + near, "note": _note(count)}
        for part, numbers in (("train", count.train), ("test", count.test)):
            row |= zip((f"{part} yes", f"{part} no", f"{part} unknown"), numbers, strict=True)
        rows.append(row)
    return Table("Attributes", columns, tuple(rows))


def _note(count: AttributeCount) -> str:
    """Return which split lacks a yes or a no: it cannot be learned there, or has no AUC."""
    lacks = []
    for part, (yes, no, _) in (("train", count.train), ("test", count.test)):
        if not yes and not no:
            lacks.append(f"nothing known in {part}")
        elif not yes or not no:
            lacks.append(f"no {'yes' if not yes else 'no'} in {part}")
    return ", ".join(lacks)


def leaks_table(report: DataReport, most: int | None = None) -> Table:
    """List the test images with a copy in train, each with one copy. most: rows, None for all."""
    columns = (
        Column("test", "test image"),
        Column("train", "in train as"),
        Column("how", "how"),
        Column("copies", "copies in train", "int"),
        Column("on", "labels differ" if report.attributes else "label, or both"),
    )
    rows = tuple(
        {
            "test": leak.items[0],
            "train": leak.items[1],
            "how": "near" if leak.near else "bytes",
            "copies": leak.copies,
            "on": leak.on,
        }
        for leak in report.leaks[:most]
    )
    rest = len(report.leaks) - len(rows)
    notes = (f"and {rest} more (bench data check --leaks lists all)",) if rest else ()
    return Table("Test images also in train", columns, rows, notes)


def _disagreements(report: DataReport, most: int | None) -> Table:
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
        for pair in report.disagreements[:most]
    )
    rest = len(report.disagreements) - len(rows)
    return Table("Labels that disagree", columns, rows, (f"and {rest} more pairs",) if rest > 0 else ())


def _sizes(report: DataReport, most: int | None) -> Table:
    columns = (
        Column("width", "width", "int"),
        Column("height", "height", "int"),
        Column("count", "images", "int"),
    )
    ordered = sorted(report.sizes.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple(
        {"width": width, "height": height, "count": count} for (height, width), count in ordered[:most]
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
        {"kind": problem.kind, "where": problem.where, "why": problem.why, "left_out": problem.fatal}
        for problem in report.problems
    )
    return Table("Every problem", columns, rows)
