"""Class folders: classes by path, published splits, links, hostile names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.core.errors import DataError
from bench.data.examples import Examples
from bench.data.layout import Layout
from bench.data.sources import open_source
from tests.data.folders import encoded, picture
from tests.data.layouts import as_folders, put, shots


def opened(folder: Path, layout: Layout = Layout(label="class"), **more: bool) -> Examples:  # noqa: B008
    return open_source("folders", folder, "", folder.parent / "cache", (layout.label,), layout=layout, **more)


def photos(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        put(folder / name, encoded(picture(number), "PNG"))
    return folder


def test_nested_folders_are_classes_by_their_path(tmp_path: Path) -> None:
    folder = photos(
        tmp_path / "d", "shoes/boots/a.png", "shoes/b.JPG", "hats/c.webp", "hats/d.AVIF", "e.png", "hats/x.md"
    )
    got = opened(folder)
    assert dict(zip(got.items, got.columns["class"], strict=True)) == {
        "shoes/boots/a.png": "shoes/boots",
        "shoes/b.JPG": "shoes",
        "hats/c.webp": "hats",
        "hats/d.AVIF": "hats",
    }
    assert set(got.columns) == {"class"}
    assert [(one.code, one.where) for one in got.problems] == [("no_class", "e.png")]


def test_folders_of_parts_are_a_published_split(tmp_path: Path) -> None:
    folder = photos(tmp_path / "d", "Train/a/b/1.png", "valid/a/b/2.png", "test/c/3.png", "train/c/4.png")
    got = opened(folder)
    rows = dict(zip(got.items, zip(got.columns["class"], got.columns["split"], strict=True), strict=True))
    assert rows == {
        "Train/a/b/1.png": ("a/b", "train"),
        "valid/a/b/2.png": ("a/b", "val"),
        "test/c/3.png": ("c", "test"),
        "train/c/4.png": ("c", "train"),
    }


def test_a_table_of_people_gives_their_photos_columns(tmp_path: Path) -> None:
    folder, people = photos(tmp_path / "d", "Ann/1.png", "Ann/2.png", "Bo/3.png"), Layout(label="person")
    before = opened(folder, people)
    (folder / "people.csv").write_text("person,age\nBo,7\nAnn,8\n")
    got = opened(folder, people)
    assert dict(zip(got.items, got.columns["age"], strict=True)) == {
        "Ann/1.png": "8",
        "Ann/2.png": "8",
        "Bo/3.png": "7",
    }
    assert got.fingerprint == before.fingerprint
    assert "age" not in opened(folder).columns


@pytest.mark.parametrize(
    "written", ["Jose\u0301|7".encode(), "Jos\u00e9|7".encode(), "Jos\u00e9|7".encode("cp1252")]
)
def test_accented_people_are_found_however_they_are_written(tmp_path: Path, written: bytes) -> None:
    folder = photos(tmp_path / "d", "Jose\u0301/1.png", "Bo/3.png")
    (folder / "people.csv").write_bytes(b"person|age\nBo|8\n" + written)
    got = opened(folder, Layout(label="person"))
    assert sorted(got.columns["age"]) == ["7", "8"]


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["train/1.png", "bus/2.png", "car/3.png"], ["bus", "car", "train"]),
        (["train/1.png", "train/2.png"], ["train"]),
        (["test/1.png", "val/2.png"], ["test", "val"]),
        (["photos/a/1.png", "photos/b/2.png"], ["a", "b"]),
        (["x/train/a/1.png", "x/test/b/2.png"], ["a", "b"]),
    ],
)
def test_words_for_parts_are_classes_where_they_are_no_split(
    names: list[str], classes: list[str], tmp_path: Path
) -> None:
    assert sorted(set(opened(photos(tmp_path / "d", *names)).columns["class"])) == classes


def test_the_label_has_the_cards_name_and_counts_in_the_fingerprint(tmp_path: Path) -> None:
    folder = as_folders(tmp_path / "d", shots(4))
    own, other = opened(folder, Layout(label="kind")), opened(folder)
    assert own.columns["kind"] == other.columns["class"]
    again = opened(folder, Layout(label="kind"))
    assert own.fingerprint == again.fingerprint != other.fingerprint
    with pytest.raises(
        DataError, match="no folders train/ and test/, which the split by column 'split' needs"
    ):
        opened(folder, Layout(label="class", split="split"))


def test_hostile_names_are_made_printable_and_links_stay_inside(tmp_path: Path) -> None:
    outside = photos(tmp_path / "outside", "1.png")
    folder = photos(tmp_path / "d", "a\x1b[2J\nb/1.png", "a\x1c[2J\nb/1.png", "<script>/2.png", ".git/3.png")
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "<script>" / "out.png").symlink_to(outside / "1.png")
    got = opened(folder)
    assert sorted(zip(got.items, got.columns["class"], strict=True)) == [
        ("<script>/2.png", "<script>"),
        ("a�[2J�b/1.png", "a�[2J�b"),
        ("a�[2J�b/1.png (2)", "a�[2J�b"),
    ]
    assert Counter(one.code for one in got.problems) == {"outside": 2}
    followed = opened(folder, follow_links=True)
    assert "link" in followed.columns["class"] and len(followed) == len(got) + 2


def test_a_folder_without_classes_says_what_it_must_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no photo lies in a class folder .*it must hold <class>/<photo>"):
        opened(photos(tmp_path / "d", "1.png", "2.png"))
    with pytest.raises(DataError, match="folders give no column 'seller'"):
        layout = Layout(label="class", group="seller")
        open_source(
            "folders", as_folders(tmp_path / "e", shots(2)), "", tmp_path / "c", layout.needed, layout=layout
        )
