from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.check import DataReport, Duplicates, check_data, check_tables, find_duplicates
from bench.data.examples import Examples
from bench.data.kaggle import open_kaggle
from bench.data.pixels import ensure_pixels
from bench.data.reader import FolderImages
from bench.report.table import Table
from tests.data.folders import encoded, kaggle_folder, picture, row


def opened(tmp_path: Path) -> Examples:
    """Six kinds of trouble: a stray comma, a broken image, a rare, an unknown and a doubled class."""
    a, b = encoded(picture(1)), encoded(picture(2, 20, 20))
    lines = [
        row("1", "Shirts", "2012"),
        row("2", "Shirts", "2011"),
        row("3", "Tops", "2011"),
        row("4", "Tops", "2012"),
        row("5", "Shirts", "2012"),
        row("6", "Ties", "2012"),
        row("7", "Socks", "2011"),
        row("8", "Socks", "2011"),
        row("9") + ",more",
    ]
    images = {f"{k}.jpg": encoded(picture(k)) for k in (4, 6, 7, 8)}
    images |= {"1.jpg": a, "2.jpg": a, "3.jpg": b, "5.jpg": b"broken", "9.jpg": a, "8.jpg": images["7.jpg"]}
    folder = kaggle_folder(tmp_path / "d", lines, images)
    return open_kaggle(folder, tmp_path / "cache", ("articleType", "year"))


def report(examples: Examples, tmp_path: Path, train: np.ndarray | None = None) -> DataReport:
    even = np.array([year == "2012" for year in examples.columns["year"]])
    pixels = ensure_pixels(examples, (12, 12), "squash", tmp_path / "cache")
    return check_data(examples, examples.columns["articleType"], even if train is None else train, pixels)


def test_everything_is_counted(tmp_path: Path) -> None:
    got = report(opened(tmp_path), tmp_path)
    assert (got.rows, got.usable, got.train, got.test) == (8, 7, 3, 4)
    assert {(c.name, c.train, c.test) for c in got.classes} == {
        ("Shirts", 1, 1),
        ("Tops", 1, 1),
        ("Ties", 1, 0),
        ("Socks", 0, 2),
    }
    assert got.single == ("Ties",)
    assert got.unknown_to_train == ("Socks",)
    assert got.problem_counts == (("not_an_image", True, 1), ("stray_comma", True, 1))
    assert got.duplicates == Duplicates(groups=2, extra=2, straddling=1, leaked=1, disagreeing=0)
    assert got.sizes == {(12, 10): 6, (20, 20): 1}
    assert got.empty_parts == ()


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_part_is_named(tmp_path: Path, part: str) -> None:
    examples = opened(tmp_path)
    got = report(examples, tmp_path, np.full(len(examples), part == "test"))
    assert got.empty_parts == (part,)
    assert any(f"{part} is empty" in note for note in check_tables(got)[0].notes)


def test_duplicates_by_hand() -> None:
    hashes = ["a", "b", "a", "c", "b", "a", "d"]
    labels = ["x", "x", "y", "x", "x", "x", "x"]
    train = np.array([1, 1, 0, 1, 1, 0, 0], bool)
    everything = find_duplicates(hashes, labels, train, np.arange(7))
    assert everything == Duplicates(groups=2, extra=3, straddling=1, leaked=2, disagreeing=1)
    assert find_duplicates(hashes, labels, train, np.array([0, 1, 3, 6])) == Duplicates(0, 0, 0, 0, 0)


def test_tables_hold_all_of_it(tmp_path: Path) -> None:
    got = report(opened(tmp_path), tmp_path)
    tables = {table.title: table for table in check_tables(got)}
    assert list(tables) == ["Data check", "Problems by kind", "Classes", "Image sizes", "Every problem"]
    figures = {line["what"]: line["count"] for line in tables["Data check"].rows}
    assert figures["test images of classes train does not know"] == 2
    assert figures["test images that train also holds (leak)"] == 1
    notes = {line["class"]: line["note"] for line in tables["Classes"].rows}
    assert notes == {"Shirts": "", "Tops": "", "Ties": "one image", "Socks": "not in train"}
    assert [line["where"] for line in tables["Every problem"].rows] == ["styles.csv line 10", "image 5"]
    for table in tables.values():
        assert_fits(table)


def assert_fits(table: Table) -> None:
    keys = {column.key for column in table.columns}
    assert all(set(line) <= keys for line in table.rows)


def test_a_faultless_set_has_no_problem_tables_and_many_sizes_are_summed(tmp_path: Path) -> None:
    images = {f"{k}.jpg": encoded(picture(k, 10 + k, 10)) for k in range(1, 31)}
    folder = kaggle_folder(tmp_path / "d", [row(str(k)) for k in range(1, 31)], images)
    examples = open_kaggle(folder, tmp_path / "cache", ("articleType", "year"))
    tables = check_tables(report(examples, tmp_path))
    assert [table.title for table in tables] == ["Data check", "Classes", "Image sizes"]
    assert len(tables[2].rows) == 20
    assert tables[2].notes == ("and 10 images of 10 other sizes",)


def test_the_real_subset(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    examples = open_kaggle(real_data("fashion"), tmp_path, ("articleType", "year"))
    some = np.flatnonzero(np.isin(examples.columns["articleType"], ["Ties", "Caps"]))
    assert isinstance(examples.images, FolderImages)
    few = replace(
        examples,
        items=tuple(examples.items[k] for k in some),
        columns={name: tuple(cells[k] for k in some) for name, cells in examples.columns.items()},
        images=replace(
            examples.images,
            names=tuple(examples.images.names[k] for k in some),
            hashes=tuple(examples.images.hashes[k] for k in some),
        ),
    )
    train = np.array([int(year) % 2 == 0 for year in few.columns["year"]])
    pixels = ensure_pixels(few, (32, 32), "squash", tmp_path)
    got = check_data(few, few.columns["articleType"], train, pixels)
    assert got.sizes == {(224, 224): len(some)}
    assert got.unknown_to_train == ("Ties",)
    hashes, everyone = examples.images.content_hashes(), np.arange(len(examples))
    years = examples.columns["year"]
    even = np.array([bool(year) and int(year) % 2 == 0 for year in years])
    twins = find_duplicates(hashes, examples.columns["articleType"], even, everyone)
    assert (twins.extra, twins.straddling, twins.leaked, twins.disagreeing) == (122, 2, 2, 1)


def test_what_the_reader_left_out_is_in_the_report(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1"), row("2")], ["1"])
    os.mkfifo(folder / "images" / "2.jpg")
    examples = open_kaggle(folder, tmp_path / "cache", ("articleType", "year"))
    got = report(examples, tmp_path)
    assert got.problem_counts == (("not_a_file", True, 1),)
