"""What is wrong or odd about a data set, said before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.examples import Examples, Problem
from bench.data.pixels import Pixels
from bench.report.table import Column, Table


@dataclass(frozen=True)
class ClassCount:
    """Usable images of one class."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class Duplicates:
    """Usable images that are byte for byte another one.

    groups: how many pictures are there more than once. extra: images that could go without losing a
    picture. straddling: pictures that are in train and in test. leaked: test images that train also
    holds. disagreeing: pictures whose images carry different labels.
    """

    groups: int
    extra: int
    straddling: int
    leaked: int
    disagreeing: int


@dataclass(frozen=True)
class DataReport:
    """Everything `bench data check` prints.

    rows: that the source kept. decoded: of these, with an image that decodes; usable: of those, with a label.
    classes: by falling count.
    sizes: images by (height, width). empty_parts: `train` or `test` where no usable image is in it.
    """

    source: str
    fingerprint: str
    rows: int
    decoded: int
    usable: int
    train: int
    test: int
    problems: tuple[Problem, ...]
    classes: tuple[ClassCount, ...]
    duplicates: Duplicates
    sizes: Mapping[tuple[int, int], int]
    empty_parts: tuple[str, ...]

    @property
    def single(self) -> tuple[str, ...]:
        """Classes with one usable image."""
        return tuple(count.name for count in self.classes if count.train + count.test == 1)

    @property
    def unknown_to_train(self) -> tuple[str, ...]:
        """Classes of test images that train does not hold: they cannot be scored."""
        return tuple(count.name for count in self.classes if count.train == 0 and count.test > 0)

    @property
    def problem_counts(self) -> tuple[tuple[str, bool, int], ...]:
        """(kind, whether it costs the row or image, how many), the costly ones first."""
        counts = Counter((problem.kind, problem.fatal) for problem in self.problems)
        return tuple(
            (kind, fatal, number)
            for (kind, fatal), number in sorted(
                counts.items(), key=lambda item: (not item[0][1], -item[1], item[0][0])
            )
        )


def check_data(examples: Examples, labels: Sequence[str], train: np.ndarray, pixels: Pixels) -> DataReport:
    """Look at everything that can be known without training.

    labels: n class names, "" for none. train: (n,) bool, the others are test. pixels: of the same examples;
    making them has decoded every image.
    """
    train = np.asarray(train, bool)
    labelled = np.array([label != "" for label in labels], dtype=bool)
    train_rows, test_rows = (np.flatnonzero(pixels.ok & labelled & part).tolist() for part in (train, ~train))
    in_train = Counter(labels[row] for row in train_rows)
    in_test = Counter(labels[row] for row in test_rows)
    names = sorted(in_train | in_test, key=lambda name: (-in_train[name] - in_test[name], name))
    parts = {"train": len(train_rows), "test": len(test_rows)}
    return DataReport(
        source=examples.source,
        fingerprint=examples.fingerprint,
        rows=len(examples),
        decoded=int(pixels.ok.sum()),
        usable=sum(parts.values()),
        train=parts["train"],
        test=parts["test"],
        problems=(*examples.problems, *pixels.problems),
        classes=tuple(ClassCount(name, in_train[name], in_test[name]) for name in names),
        duplicates=find_duplicates(
            examples.images.content_hashes(), labels, train, np.flatnonzero(pixels.ok & labelled)
        ),
        sizes=pixels.sizes,
        empty_parts=tuple(part for part, number in parts.items() if number == 0),
    )


def find_duplicates(
    hashes: Sequence[str], labels: Sequence[str], train: np.ndarray, rows: np.ndarray
) -> Duplicates:
    """Compare the content hashes of the given rows. train: (n,) bool, the others are test."""
    same: dict[str, list[int]] = {}
    for row in rows:
        same.setdefault(hashes[row], []).append(int(row))
    groups = [members for members in same.values() if len(members) > 1]
    in_train = [sum(bool(train[row]) for row in members) for members in groups]
    return Duplicates(
        groups=len(groups),
        extra=sum(len(members) - 1 for members in groups),
        straddling=sum(0 < mine < len(members) for mine, members in zip(in_train, groups, strict=True)),
        leaked=sum(len(members) - mine for mine, members in zip(in_train, groups, strict=True) if mine),
        disagreeing=sum(len({labels[row] for row in members}) > 1 for members in groups),
    )


def check_tables(report: DataReport) -> list[Table]:
    """Return the report as tables: summary, problems by kind, classes, image sizes, every problem."""
    tables = [_summary(report)]
    if report.problems:
        tables.append(_by_kind(report))
    tables += [_classes(report), _sizes(report)]
    if report.problems:
        tables.append(_every_problem(report))
    return tables


def _summary(report: DataReport) -> Table:
    twins = report.duplicates
    figures = (
        ("rows kept by the reader", report.rows),
        ("images that decode", report.decoded),
        ("of these without a label (not a class)", report.decoded - report.usable),
        ("train", report.train),
        ("test", report.test),
        ("classes", len(report.classes)),
        ("classes with one image", len(report.single)),
        ("classes train does not know", len(report.unknown_to_train)),
        ("test images of classes train does not know", sum(c.test for c in report.classes if c.train == 0)),
        ("images byte-identical to another one", twins.extra),
        ("of these pictures, with different labels", twins.disagreeing),
        ("pictures in train and in test", twins.straddling),
        ("test images that train also holds (leak)", twins.leaked),
    )
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
