"""A data check as tables: what is there, what is wrong with it, and what would leak."""

from __future__ import annotations

from bench.data.check import AttributeCount, DataReport
from bench.data.describe_people import images_table, lists_table, people_figures
from bench.report.table import Column, Table
from bench.text.titles import title_figures


def check_tables(report: DataReport) -> list[Table]:
    """Return the report as tables.

    Summary, problems by kind, classes, attributes, or people by their images and lists of pairs, labels that
    disagree, image sizes, every problem; those that would be empty are left out.
    """
    tables = [_summary(report)]
    if report.problems:
        tables.append(_by_kind(report))
    if report.people:
        tables += [images_table(report.classes), *([lists_table(report.lists)] if report.lists else [])]
    else:
        tables.append(_attributes(report) if report.attributes else _classes(report))
    if report.disagreements:
        tables.append(_disagreements(report))
    tables.append(_sizes(report))
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
    figures += [("train", report.train), ("test", report.test)]
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
            ("classes train does not know", len(report.unknown_to_train)),
            ("test images of classes train does not know", unseen),
        ]
    figures += [
        ("images byte-identical to another one", same.extra),
        ("of these pictures, with different labels", same.disagreeing),
        ("pictures in train and in test", same.straddling),
        ("test images that train also holds (leak)", same.leaked),
        ("pairs of near twins, not byte-identical", len(near.pairs)),
        ("of these with different labels", near.disagreeing),
        ("of these in train and in test", near.straddling),
        ("items in train and in test", report.shared_items),
    ]
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
    """Count yes, no and unknown, and pictures whose images contradict each other, for each attribute."""
    columns = [Column("attribute", "attribute")]
    for part in ("train", "test"):
        columns += (Column(f"{part} {what}", f"{part} {what}", "int") for what in ("yes", "no", "unknown"))
    columns += [Column("torn", "twins disagree", "int"), Column("note", "note")]
    torn = zip(report.duplicates.torn, report.twins.torn, strict=True)
    rows = []
    for count, (same, near) in zip(report.attributes, torn, strict=True):
        row: dict[str, object] = {"attribute": count.name, "torn": same + near, "note": _note(count)}
        for part, numbers in (("train", count.train), ("test", count.test)):
            row |= zip((f"{part} yes", f"{part} no", f"{part} unknown"), numbers, strict=True)
        rows.append(row)
    return Table("Attributes", columns, tuple(rows))


def _note(count: AttributeCount) -> str:
    """Say which part lacks a yes or a no: there it cannot be learned, or has no AUC."""
    lacks = []
    for part, (yes, no, _) in (("train", count.train), ("test", count.test)):
        if not yes and not no:
            lacks.append(f"nothing known in {part}")
        elif not yes or not no:
            lacks.append(f"no {'yes' if not yes else 'no'} in {part}")
    return ", ".join(lacks)


def _disagreements(report: DataReport, most: int = 20) -> Table:
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
    rest = len(report.disagreements) - most
    return Table("Labels that disagree", columns, rows, (f"and {rest} more pairs",) if rest > 0 else ())


def _sizes(report: DataReport, most: int = 20) -> Table:
    columns = (
        Column("width", "width", "int"),
        Column("height", "height", "int"),
        Column("count", "images", "int"),
    )
    ordered = sorted(report.sizes.items(), key=lambda item: (-item[1], item[0]))
    rows = tuple(
        {"width": width, "height": height, "count": count} for (height, width), count in ordered[:most]
    )
    rest = sum(count for _, count in ordered[most:])
    notes = (f"and {rest} images of {len(ordered) - most} other sizes",) if rest else ()
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
