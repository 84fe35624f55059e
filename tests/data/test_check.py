from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from bench.commands.main import cli
from bench.core.errors import EXIT_DONE, EXIT_FOUND, EXIT_SOME_FAILED
from bench.core.table import Table
from bench.data.check import DataReport, Disagreement, check_data
from bench.data.duplicates import Duplicates, disagree, find_duplicates, on_both_sides
from bench.data.examples import Examples
from bench.data.kaggle import open_kaggle
from bench.data.label_file import open_label_file
from bench.data.label_table import AttributeLabels, ClassLabels, contradicted, count_classes
from bench.data.near_duplicate_cache import ensure_near_duplicates
from bench.data.near_duplicates import SIDE
from bench.data.pixels import ensure_pixels
from bench.data.reader import FolderImages
from bench.data.synthetic.marketplace import marketplace_sample
from bench.data.synthetic.multilabel import multilabel_sample
from bench.kinds.multiclass import description as classes
from bench.kinds.multilabel import description as attributes
from bench.report.data.check_tables import check_tables
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
    pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", tmp_path / "cache")
    return check_data(
        examples,
        ClassLabels(examples.columns["articleType"]),
        even if train is None else train,
        pixels,
        ensure_near_duplicates(examples, tmp_path / "cache"),
    )


def test_everything_is_counted(tmp_path: Path) -> None:
    got = report(opened(tmp_path), tmp_path)
    assert (len(got.examples), *map(len, got.splits.values())) == (8, 3, 4)
    counts = count_classes(got.labels.classes, got.splits)
    assert {(c.name, c.train, c.test) for c in counts} == {
        ("Shirts", 1, 1),
        ("Tops", 1, 1),
        ("Ties", 1, 0),
        ("Socks", 0, 2),
    }
    assert got.problem_counts == (("not_an_image", True, 1), ("stray_comma", True, 1))
    assert got.duplicates == Duplicates(
        groups=2, extra=2, straddling=1, leaked=1, disagreeing=0, conflicts=(0,)
    )
    assert got.sizes == {(12, 10): 6, (20, 20): 1}
    assert got.empty_parts == ()
    assert (len(got.near_duplicates.pairs), got.shared_items, got.shared_groups) == (0, 0, None)
    assert not got.disagreements and got.unlabelled == 0


@pytest.mark.parametrize("part", ["train", "test"])
def test_an_empty_part_is_named(tmp_path: Path, part: str) -> None:
    examples = opened(tmp_path)
    got = report(examples, tmp_path, np.full(len(examples), part == "test"))
    assert got.empty_parts == (part,)
    assert any(f"{part} is empty" in note for note in check_tables(got, classes)[0].notes)


def test_duplicates_by_hand() -> None:
    hashes = ["a", "b", "a", "c", "b", "a", "d"]
    labels = ClassLabels(["x", "x", "y", "x", "x", "x", "x"]).table
    train = np.array([1, 1, 0, 1, 1, 0, 0], bool)
    everything = find_duplicates(hashes, labels, train, np.arange(7))
    assert everything == Duplicates(groups=2, extra=3, straddling=1, leaked=2, disagreeing=1, conflicts=(1,))
    assert find_duplicates(hashes, labels, train, np.array([0, 1, 3, 6])) == Duplicates(0, 0, 0, 0, 0, (0,))


def test_tables_hold_all_of_it(tmp_path: Path) -> None:
    got = report(opened(tmp_path), tmp_path)
    tables = {table.title: table for table in check_tables(got, classes)}
    assert list(tables) == [
        *("Data check", "Problems by kind", "Classes", "Test images also in train"),
        *("Image sizes", "Every problem"),
    ]
    figures = {line["what"]: line["count"] for line in tables["Data check"].rows}
    assert figures["test images of classes not in train"] == 2
    assert figures["test images also in train (leak)"] == 1
    assert figures["test images with a near duplicate in train (leak)"] == 0
    assert list(tables["Test images also in train"].rows) == [
        {"test": "2", "train": "1", "how": "bytes", "copies": 1, "on": "Shirts"}
    ]
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
    got = report(examples, tmp_path)
    tables = check_tables(got, classes)
    assert [table.title for table in tables] == ["Data check", "Classes", "Image sizes"]
    assert len(tables[2].rows) == 20 < len(check_tables(got, classes, whole=True)[2].rows) == 30
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
    pixels = ensure_pixels(few, (SIDE, SIDE), "squash", tmp_path)
    labels = ClassLabels(few.columns["articleType"])
    got = check_data(few, labels, train, pixels, np.empty((0, 2), np.int64))
    assert got.sizes == {(224, 224): len(some)}
    notes = {line["class"]: line["note"] for line in classes.check_tables(got)[0].rows}
    assert [name for name, note in notes.items() if note == "not in train"] == ["Ties"]
    hashes, everyone = examples.images.content_hashes(), np.arange(len(examples))
    years = examples.columns["year"]
    even = np.array([bool(year) and int(year) % 2 == 0 for year in years])
    table = ClassLabels(examples.columns["articleType"]).table
    copies = find_duplicates(hashes, table, even, everyone)
    assert (copies.extra, copies.straddling, copies.leaked, copies.disagreeing) == (122, 2, 2, 1)


def test_what_the_reader_left_out_is_in_the_report(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1"), row("2")], ["1"])
    os.mkfifo(folder / "images" / "2.jpg")
    examples = open_kaggle(folder, tmp_path / "cache", ("articleType", "year"))
    got = report(examples, tmp_path)
    assert got.problem_counts == (("not_a_file", True, 1),)


def labelled(tmp_path: Path) -> Examples:
    """Seven photos: a and b the same bytes, c nearly those, f and g the same and at one; d without labels."""
    own = multilabel_sample("tiny").images.read(2)
    same, near, other = encoded(own, quality=95), encoded(own, quality=85), encoded(picture(9))
    photos = {"a": same, "b": same, "c": near, "d": encoded(picture(5)), "e": encoded(picture(6))}
    photos |= {"f": other, "g": other}
    folder = tmp_path / "d"
    (folder / "images").mkdir(parents=True)
    for name, data in photos.items():
        (folder / "images" / f"{name}.jpg").write_bytes(data)
    rows = ["a,1,NA,0", "b,1,0,1", "c,0,0,NA", "d,NA,NA,NA", "e,0,0,1", "f,1,0,NA", "g,NA,0,1", "h,1,1,1"]
    (folder / "label.csv").write_text("\n".join(["image,one,two,three", *rows]) + "\n")
    return open_label_file(folder, tmp_path / "cache", ())


def table_of(examples: Examples) -> np.ndarray:
    cells = [[int(cell or -1) for cell in examples.columns[name]] for name in examples.attributes]
    return np.array(cells, np.int8).T


def test_attributes_are_counted_and_contradictions_named(tmp_path: Path) -> None:
    examples = labelled(tmp_path)
    pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", tmp_path / "cache")
    train = np.array([True, False, True, True, False, True, True])
    near = ensure_near_duplicates(examples, tmp_path / "cache")
    labels = AttributeLabels(examples.attributes, table_of(examples))
    got = check_data(examples, labels, train, pixels, near, ("p", "q", "p", "r", "r", "s", "t"))
    assert (len(got.examples), got.decoded, *map(len, got.splits.values()), got.unlabelled) == (7, 7, 5, 2, 1)
    assert got.duplicates == Duplicates(2, 2, 1, 1, disagreeing=1, conflicts=(0, 0, 1))
    assert got.near_duplicates.pairs.tolist() == [[0, 2], [1, 2]]
    assert (
        got.near_duplicates.straddling,
        got.near_duplicates.disagreeing,
        got.near_duplicates.conflicts,
    ) == (1, 2, (2, 0, 0))
    assert got.disagreements == (
        Disagreement(("a.jpg", "b.jpg"), "three", near=False, straddling=True),
        Disagreement(("a.jpg", "c.jpg"), "one", near=True, straddling=False),
        Disagreement(("b.jpg", "c.jpg"), "one", near=True, straddling=True),
    )
    assert (got.shared_items, got.shared_groups) == (0, 1), "r is on both sides"
    assert got.problem_counts == (
        ("no_image", True, 1),
        ("no_known_label", False, 1),
        ("one_value", False, 1),
    )
    tables = {table.title: table for table in check_tables(got, attributes)}
    assert list(tables)[2:5] == ["Attributes", "Test images also in train", "Labels that disagree"]
    assert tables["Test images also in train"].rows == (
        {"test": "b.jpg", "train": "a.jpg", "how": "bytes", "copies": 2, "on": "three"},
    )
    figures = {line["what"]: line["count"] for line in tables["Data check"].rows}
    assert figures["unknown labels"] == 7 and figures["groups in train and in test"] == 1
    assert figures["of these without any known label (kept)"] == 1
    rows = {line["attribute"]: line for line in tables["Attributes"].rows}
    counted = [
        [rows[name][f"{side} {what}"] for side in got.splits for what in attributes.VALUES] for name in rows
    ]
    assert counted == [[2, 1, 2, 1, 1, 0], [0, 3, 2, 0, 2, 0], [1, 1, 3, 2, 0, 0]]
    assert [rows[name]["note"] for name in ("one", "two", "three")] == [
        "",
        "no yes in train, no yes in test",
        "no no in test",
    ]
    assert [rows[name]["conflicts"] for name in ("one", "two", "three")] == [2, 0, 1]
    for table in tables.values():
        assert_fits(table)


CELLS = arrays(np.int8, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(-1, 1).map(np.int8))


@given(CELLS, st.data())
@settings(max_examples=100)
def test_duplicates_against_sets(table: np.ndarray, data: st.DataObject) -> None:
    n = len(table)
    hashes = data.draw(st.lists(st.sampled_from("abc"), min_size=n, max_size=n))
    train = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    got = find_duplicates(hashes, table, train, np.arange(n))
    groups = [rows for rows in ([k for k in range(n) if hashes[k] == one] for one in "abc") if len(rows) > 1]
    conflicts = [
        [len({int(table[row, column]) for row in rows} - {-1}) > 1 for column in (0, 1)] for rows in groups
    ]
    assert got.groups == len(groups) and got.extra == sum(len(rows) - 1 for rows in groups)
    assert got.conflicts == tuple(sum(row[column] for row in conflicts) for column in (0, 1))
    assert got.disagreeing == sum(any(row) for row in conflicts)
    both = {one for k, one in enumerate(hashes) if train[k]} & {
        one for k, one in enumerate(hashes) if not train[k]
    }
    assert got.straddling == on_both_sides(hashes, train, np.arange(n)) == len(both)
    assert got.leaked == sum(hashes[k] in both for k in range(n) if not train[k])
    pairs = np.array([(i, j) for i in range(n) for j in range(i + 1, n)], np.int64).reshape(-1, 2)
    for pair, answer in zip(pairs, contradicted(table, pairs), strict=True):
        assert np.array_equal(disagree(table, pair), answer)


def test_repeating_rare_combinations_before_the_split_is_caught() -> None:
    """What seed 001 did: rows repeated until label combinations are equally frequent, then a random fifth."""
    examples = multilabel_sample("small")
    combinations = list(zip(*examples.answers.values(), strict=True))
    by_combination = [
        np.flatnonzero([own == one for own in combinations]) for one in sorted(set(combinations))
    ]
    most = max(map(len, by_combination))
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.resize(rng.permutation(own), most) for own in by_combination])
    hashes, labels = examples.images.content_hashes(), table_of(examples)[rows]
    test = rng.permutation(len(rows))[: len(rows) // 5]
    train = ~np.isin(np.arange(len(rows)), test)
    everyone = np.arange(len(rows))
    got = find_duplicates([hashes[row] for row in rows], labels, train, everyone)
    assert got.leaked / len(test) > 0.8
    assert on_both_sides([examples.items[row] for row in rows], train, everyone) > 200
    # The split first, and the rows of train repeated after it: nothing leaks but the pictures listed twice.
    side = rng.random(900) < 0.8
    assert find_duplicates(hashes, table_of(examples), side, np.arange(900)).leaked <= 6
    assert on_both_sides(examples.items, side, np.arange(900)) == 0


def test_the_seeds_own_data(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Seven pairs of byte-identical photos, of which four contradict each other."""
    examples = open_label_file(real_data("multilabel"), tmp_path, ())
    hashes, train = examples.images.content_hashes(), np.ones(972, bool)
    got = find_duplicates(hashes, table_of(examples), train, np.arange(972))
    assert (got.groups, got.extra, got.disagreeing, got.conflicts) == (7, 7, 4, (0, 2, 1, 1))


def test_the_command_draws_checks_and_describes(tmp_path: Path) -> None:
    folder, cache = tmp_path / "drawn", tmp_path / "cache"

    def bench(*args: object) -> Result:
        texts = [str(arg) for arg in ("data", *args)]
        return CliRunner().invoke(cli, texts, standalone_mode=False)

    assert bench("draw", "--task", "multilabel", "--out", folder).exception is None
    where = ("--task", "multilabel", "--data", folder, "--cache", cache, "--format", "json")
    done = bench("check", *where)
    assert done.return_value == EXIT_DONE, "what is unknown costs no row"
    rows = [row for table in json.loads(done.stdout) for row in table]
    counts = {row["what"]: row["count"] for row in rows if "what" in row}
    drawn = multilabel_sample("tiny")
    assert (counts["rows kept by the reader"], counts["train"], counts["test"]) == (100, 80, 20)
    assert counts["unknown labels"] == sum(drawn.columns[name].count("") for name in drawn.attributes)
    assert counts["images byte-identical to another one"] == 2
    assert counts["of these pictures, with different labels"] == 1
    (folder / "images" / drawn.items[0]).unlink()
    assert bench("check", *where).return_value == EXIT_SOME_FAILED
    hidden = bench("describe", *where, "--set", "hide=random", "--set", "hide_rate=0.5")
    rows = [row for table in json.loads(hidden.stdout) for row in table]
    shares = {row["attribute"]: row for row in rows if "missing" in row}
    assert list(shares) == list(drawn.attributes)
    assert all(row["missing"] > 0.4 and row["truth"] is not None for row in shares.values())
    assert "hide=random needs hide_rate" in str(bench("check", *where, "--set", "hide=random").exception)


def test_the_fashion_source_of_the_same_card(tmp_path: Path) -> None:
    args = ("--task", "multilabel", "--sample", "tiny", "--set", "source=fashion", "--format", "json")
    done = CliRunner().invoke(cli, ["data", "check", *args, "--cache", str(tmp_path)], standalone_mode=False)
    names = [row["attribute"] for table in json.loads(done.stdout) for row in table if "attribute" in row]
    assert "gender: Men" in names and "season: Fall" in names and done.return_value == EXIT_DONE


def planted(tmp_path: Path) -> Path:
    """Thirty photos of train, of which 24 are in test again: 80% of the size, mirrored, or cropped."""
    drawn = marketplace_sample("small").images
    images: dict[str, bytes] = {}
    rows: list[str] = []
    for k in range(30):
        own = Image.fromarray(drawn.read(k)).resize((160, 200), Image.Resampling.BICUBIC)
        copy = (
            own.resize((128, 160)),
            own.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
            own.crop((6, 8, 154, 192)),
        )[k % 3]
        images |= {f"{k + 1}.jpg": encoded(np.asarray(own)), f"{k + 101}.jpg": encoded(np.asarray(copy))}
        rows += [row(str(k + 1), "Shirts", "2012"), row(str(k + 101), "Shirts", "2011" if k < 24 else "2012")]
    return kaggle_folder(tmp_path / "d", rows, images)


def test_leaks_are_listed_whole_and_can_fail_a_check(tmp_path: Path) -> None:
    def bench(*args: object) -> Result:
        whole = ("data", "check", "--cache", tmp_path / "cache", *args)
        return CliRunner().invoke(cli, [str(arg) for arg in whole], standalone_mode=False)

    where = ("--task", "fashion", "--data", planted(tmp_path))
    listed = bench(*where, "--leaks", "--format", "csv")
    lines = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert listed.return_value == EXIT_DONE
    assert [(int(line["test"]) - 100, line["how"], line["copies"]) for line in lines] == [
        (int(line["train"]), "near", "1") for line in lines
    ]
    assert 20 < len(lines) <= 24
    shown = bench(*where, "--fail-on", "leaks")
    assert shown.return_value == EXIT_FOUND == 1
    assert f"and {len(lines) - 20} more" in shown.stdout
    tables = json.loads(bench(*where, "--format", "json").stdout)
    assert [len(table) for table in tables if "copies" in table[0]] == [len(lines)]
    clean = bench("--task", "marketplace", "--sample", "tiny", "--fail-on", "leaks", "--leaks")
    assert clean.return_value == EXIT_DONE and "(no rows)" in clean.stdout
    assert "leaks" in str(bench(*where, "--fail-on", "leak").exception)
