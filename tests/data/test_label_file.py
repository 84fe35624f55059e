"""Reading label files: both layouts, and everything that can be wrong with them, counted and not lost."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import DataError
from bench.data.examples import Examples
from bench.data.files import DataFolder
from bench.data.label_file import open_label_file
from bench.data.label_rows import read_label_table
from tests.data.folders import encoded, picture


def folder_of(place: Path, table: str | bytes, photos: Sequence[str], name: str = "label.txt") -> Path:
    (place / "images").mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(table.encode() if isinstance(table, str) else table)
    for number, photo in enumerate(photos):
        (place / "images" / photo).write_bytes(encoded(picture(number)))
    return place


def opened(folder: Path, needed: Sequence[str] = ()) -> Examples:
    return open_label_file(folder, folder.parent / "cache", needed)


def kinds(examples: Examples) -> Counter[tuple[str, bool]]:
    return Counter((problem.code, problem.fatal) for problem in examples.problems)


def cells(examples: Examples) -> dict[str, str]:
    """Each item's labels in a row, - for unknown."""
    rows = zip(*(examples.columns[name] for name in examples.attributes), strict=True)
    return {
        item: "".join(cell or "-" for cell in row) for item, row in zip(examples.items, rows, strict=True)
    }


SEED = "a.jpg 1 NA 0 1\nb.jpg NA 0 0 0\nc.jpg 1 1 1 0"


def test_the_layout_of_the_seeds(tmp_path: Path) -> None:
    got = opened(folder_of(tmp_path / "d", SEED, ["a.jpg", "b.jpg", "c.jpg"]))
    assert got.attributes == ("Attr1", "Attr2", "Attr3", "Attr4") and got.source == "label-file"
    assert cells(got) == {"a.jpg": "1-01", "b.jpg": "-000", "c.jpg": "1110"}
    assert got.answers == {} and kinds(got) == {("one_value", False): 1}
    assert "attribute Attr1" in got.problems[0].where and got.images.read(2).shape == (12, 10, 3)


def test_names_without_ending_and_accents_in_either_encoding(tmp_path: Path) -> None:
    table = "id,one\na,1\nb,0\nc.png,1\ncaf\u00e9,0\nd\u00e9j\u00e0.jpg,1\n"
    photos = ["a.jpg", "a.png", "b.AVIF", "c.png", "c.jpg", "cafe\u0301.jpg", "de\u0301ja\u0300.jpg"]
    got = opened(folder_of(tmp_path / "d", table, photos, "labels.csv"))
    assert cells(got) == {"b.AVIF": "0", "c.png": "1", "cafe\u0301.jpg": "0", "de\u0301ja\u0300.jpg": "1"}
    assert kinds(got) == {("ambiguous_image", True): 1, ("no_row", False): 3}
    assert "a could be a.jpg and a.png: give its ending" in str(got.problems[0])


SAME = {
    "label.csv": "image,one,two\na.jpg,1,NA\nb.jpg,,0\n",
    "labels.csv": "a.jpg,1,NA\nb.jpg,nan,0\n",
    "labels.tsv": "\ufefffile\tone\ttwo\r\na\t1.0\tnan\r\nb\tNaN\t0.0\r\n",
    "label.txt": "image_name one two\n\na.jpg   1  na \nimages/b.jpg  NA 0\n",
    "labels.txt": "two;photo;one\nNA;./images/a.jpg;1\n0;b.jpg;\n",
    "label.tsv": 'a.jpg|"1"|NA\nb.jpg||0',
}


@pytest.mark.parametrize("name", SAME)
def test_one_table_written_in_several_ways(tmp_path: Path, name: str) -> None:
    got = opened(folder_of(tmp_path / "d", SAME[name], ["a.jpg", "b.jpg"], name))
    first, second = ("Attr1", "Attr2") if "one" not in SAME[name] else ("one", "two")
    assert got.items == ("a.jpg", "b.jpg")
    assert (got.columns[first], got.columns[second]) == (("1", ""), ("", "0"))
    assert kinds(got) == {("one_value", False): 2}


def test_rows_without_a_photo_are_left_out_and_named(tmp_path: Path) -> None:
    table = "a.jpg 1 0\nb.jpg 1 1\nno.jpg 0 1\n../label.txt 1 1\n"
    folder = folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg", "stray.png"])
    os.remove(folder / "images" / "b.jpg")
    os.mkfifo(folder / "images" / "b.jpg")
    got = opened(folder)
    assert got.items == ("a.jpg",)
    fatal = {(problem.code, problem.where) for problem in got.problems if problem.fatal}
    assert fatal == {
        ("no_image", "label.txt line 3"),
        ("outside", "label.txt line 4"),
        ("not_a_file", "images/b.jpg"),
    }
    assert ("no_row", False) in kinds(got)


def test_a_faulty_label_is_unknown_and_named_with_row_and_value(tmp_path: Path) -> None:
    table = "image,one,two\na,yes,1\nb,2,0\nc,-1,1\nd,0,\ne,1,0\n"
    got = opened(folder_of(tmp_path / "d", table, [f"{name}.jpg" for name in "abcde"], "label.csv"))
    assert got.columns["one"] == ("", "", "", "0", "1")
    bad = [problem for problem in got.problems if problem.code == "bad_label"]
    assert [problem.where for problem in bad] == [f"label.csv line {line}" for line in (2, 3, 4)]
    assert "one is 'yes'" in bad[0].why and not any(problem.fatal for problem in bad)


def test_uneven_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    # The first row is the odd one: what most rows have decides.
    table = "a.jpg 1\nb.jpg 1 0 1\nc.jpg 0 1 1\nd.jpg 0 1 1 0 0\ne.jpg 1 1 0\n"
    photos = [f"{name}.jpg" for name in "abcde"]
    got = opened(folder_of(tmp_path / "d", table, photos))
    assert cells(got) == {"b.jpg": "101", "c.jpg": "011", "e.jpg": "110"}
    uneven = {problem.where: problem.code for problem in got.problems if problem.fatal}
    assert uneven == {"label.txt line 1": "too_few_fields", "label.txt line 4": "too_many_fields"}
    assert kinds(got)[("no_row", False)] == 2
    named = "image,one,two\na,1\nb,1,0\nc,0,1,1\n"
    got = opened(folder_of(tmp_path / "n", named, photos, "label.csv"))
    assert got.items == ("b.jpg",)
    assert {("too_few_fields", True): 1, ("stray_comma", True): 1}.items() <= kinds(got).items()


def test_rows_and_columns_without_a_known_label_are_kept(tmp_path: Path) -> None:
    table = "image,one,none,only\na,1,NA,1\nb,NA,,NA\nc,0,NA,1\n"
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg", "c.jpg"], "label.csv"))
    assert cells(got) == {"a.jpg": "1-1", "b.jpg": "---", "c.jpg": "0-1"}
    assert kinds(got) == {("no_known_label", False): 1, ("all_unknown", False): 1, ("one_value", False): 1}


def test_an_image_listed_twice_loses_nothing_in_silence(tmp_path: Path) -> None:
    table = (
        "image,one,two,who\n"
        "a.jpg,1,0,x\na,1,0,y\n"  # the same
        "b.jpg,1,NA,x\nb.jpg,NA,0,x\n"  # each knows a part
        "c.jpg,1,1,x\nc.jpg,0,1,x\nc.jpg,1,NA,x\n"  # contradicting, and a third row does not decide
    )
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg", "c.jpg"], "label.csv"))
    assert cells(got) == {"a.jpg": "10", "b.jpg": "10", "c.jpg": "-1"}
    assert got.columns["who"] == ("x", "x", "x")
    found = [(problem.code, problem.where) for problem in got.problems if problem.fatal]
    assert found == [
        ("duplicate_image", "label.csv line 3"),
        ("merged_row", "label.csv line 5"),
        ("label_conflict", "label.csv line 7"),
        ("label_conflict", "label.csv line 8"),
    ]
    conflict = next(problem for problem in got.problems if problem.code == "label_conflict")
    assert "another one in label.csv line 6" in conflict.why
    assert len(got.items) + len(found) == 7


def test_other_columns_are_kept_and_hide_nothing(tmp_path: Path) -> None:
    table = ",image,shop,one\n0,a,north,1\n1,b,south,0\n"
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg"], "label.csv"), ("shop",))
    assert got.attributes == ("one",) and got.columns["shop"] == ("north", "south")
    assert kinds(got) == {("other_column", False): 1, ("unnamed_column", False): 1}


def test_which_column_is_the_image(tmp_path: Path) -> None:
    tables = (
        "id,image_name,one\n0,a,1\n1,b,0\n",
        "one,id\n1,a\n0,b\n",
        "what,one\na,1\nb,0\n",
        "a,,\nb,1,0\na,0,1\n",  # no names: the first row knows nothing, the last one completes it
    )
    for place, table in enumerate(tables):
        got = opened(folder_of(tmp_path / str(place), table, ["a.jpg", "b.jpg"], "label.csv"))
        assert sorted(got.items) == ["a.jpg", "b.jpg"]
        assert got.attributes == (("one",) if "one" in table else ("Attr1", "Attr2"))


def test_true_values_come_from_a_second_table(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path / "d", "image,one,two\na,1,NA\nb,NA,0\nc,0,1\n", ["a.jpg", "b.jpg", "c.jpg"], "label.csv"
    )
    before = opened(folder).fingerprint
    (folder / "truth.csv").write_text("two,image,more\n1,b,0\n0,a,1\n1,gone,0\n")
    got = opened(folder)
    assert got.answers == {"two": ("0", "1", "")}
    notes = {("unknown_attribute", False): 1, ("no_image", False): 1, ("truth_disagrees", False): 1}
    assert kinds(got) == notes
    assert any(problem.why.startswith("1 known labels") for problem in got.problems)
    assert got.fingerprint != before and opened(folder).fingerprint == got.fingerprint
    (folder / "truth.txt").write_text("a 1 1\n")
    with pytest.raises(DataError, match=r"has truth\.csv and truth\.txt"):
        opened(folder)


def test_the_fingerprint_knows_labels_and_which_columns_are_attributes(tmp_path: Path) -> None:
    one, two = "image,p,q\na,1,0\nb,0,1\n", "image,p,q\na,1,0\nb,0,0\n"
    three = "image,p,q\na,1,0\nb,0,1\nc,0,x\n"
    prints = []
    for place, table in enumerate((one, two, one, three)):
        folder = folder_of(tmp_path / str(place), table, ["a.jpg", "b.jpg"], "labels.csv")
        prints.append(opened(folder).fingerprint)
    assert prints[0] == prints[2] == prints[3] != prints[1]


UNUSABLE: dict[str, tuple[str | bytes, str]] = {
    "no label table": ("", "x.md"),
    "is empty": ("\n \n", "label.txt"),
    "UTF-16": ("a,1".encode("utf-16"), "label.csv"),
    "has several columns 'one'": ("image,one,one\na,1,0\n", "label.csv"),
    "has no column of labels": ("image,shop\na,north\n", "label.csv"),
    "no row of label.txt can be used": ("b.jpg 1 0\n", "label.txt"),
    "has label.txt and labels.csv": ("a 1\n", "labels.csv"),
}


@pytest.mark.parametrize("why", UNUSABLE)
def test_what_cannot_be_used_is_one_line(tmp_path: Path, why: str) -> None:
    table, name = UNUSABLE[why]
    folder = folder_of(tmp_path / "d", table, ["a.jpg"], name)
    if "and" in why:
        (folder / "label.txt").write_text("a 1\n")
    with pytest.raises(DataError, match=why) as caught:
        opened(folder)
    assert "\n" not in str(caught.value)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist or is not a folder"):
        opened(tmp_path / "none")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "label.txt").write_text("a 1\n")
    with pytest.raises(DataError, match="images: no such folder"):
        opened(tmp_path / "d")
    folder = folder_of(tmp_path / "e", "image,one\na,1\nb,0\n", ["a.jpg"], "label.csv")
    with pytest.raises(DataError, match="no column 'ones'; did you mean 'one'"):
        opened(folder, ("ones",))
    outside = tmp_path / "secret.txt"
    outside.write_text("a 1\n")
    (folder / "label.csv").unlink()
    (folder / "label.txt").symlink_to(outside)
    with pytest.raises(DataError, match="out of the data folder"):
        opened(folder)


def test_hostile_names_and_bytes(tmp_path: Path) -> None:
    name = "<script>\u202e=1+1"
    table = f'image,"{name}","a, ""b"""\na.jpg,1,0\nb.jpg,\x1b[2J,1\n'.encode()
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg"], "label.csv"))
    assert got.attributes == ("<script>\ufffd=1+1", 'a, "b"')
    assert any(problem.code == "bad_label" and "\x1b" not in problem.why for problem in got.problems)
    latin = "Stück,schön\na.jpg,1\nb.jpg,0\n".encode("cp1252")
    got = opened(folder_of(tmp_path / "e", latin, ["a.jpg", "b.jpg"], "label.csv"))
    assert got.attributes == ("schön",) and ("other_encoding", False) in kinds(got)


@given(st.binary(max_size=200), st.sampled_from(("label.txt", "label.csv")))
@settings(max_examples=150)
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    folder = tmp_path_factory.mktemp("d")
    (folder / name).write_bytes(data)
    try:
        table = read_label_table(DataFolder(folder), name)
    except DataError as error:
        assert "\n" not in str(error)
        return
    assert all(len(row.cells) == len(table.names) for row in table.rows)


WORDS = st.sampled_from(("1", "0", "NA", "", "na", "1.0"))
NAMES = st.lists(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=6), unique=True, min_size=1, max_size=4
)


@given(NAMES, st.data())
@settings(max_examples=60)
def test_a_written_table_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    """The same cells as pandas reads, whatever the attributes are called."""
    import pandas as pd

    from bench.data.tables import printable

    clean = [f"x{printable(name).strip()}" for name in names]
    if len(set(clean)) < len(clean):
        return
    rows = data.draw(st.lists(st.tuples(*(WORDS for _ in clean)), min_size=1, max_size=6))
    out = io.StringIO()
    csv.writer(out).writerows([("image", *clean), *((f"{k}.jpg", *row) for k, row in enumerate(rows))])
    folder = tmp_path_factory.mktemp("d")
    (folder / "label.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    table = read_label_table(DataFolder(folder), "label.csv")
    frame = pd.read_csv(folder / "label.csv", na_values=["na"])
    assert list(table.names) == clean and len(table.rows) == len(frame)
    for place, name in enumerate(clean):
        ours = [row.cells[place] for row in table.rows]
        theirs = frame[name].tolist()
        for cell, value in zip(ours, theirs, strict=True):
            assert (float(cell) == float(value)) if value == value else cell.lower() in ("", "na")


def test_the_seeds_own_data(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    got = open_label_file(real_data("multilabel"), tmp_path, ())
    assert len(got) == 972 and got.attributes == ("Attr1", "Attr2", "Attr3", "Attr4")
    missing = [problem.why for problem in got.problems if problem.code == "no_image"]
    assert [why.split("/")[1] for why in missing] == ["image_489.jpg", "image_624.jpg", "image_875.jpg"]
    assert len(got.problems) == 3
    lines = (real_data("multilabel") / "label.txt").read_text().split("\n")
    by_hand = {fields[0]: fields[1:] for fields in map(str.split, lines)}
    for item, row in cells(got).items():
        assert [{"-": "NA"}.get(cell, cell) for cell in row] == by_hand[item]
