"""Reading folders of listings: both layouts, and everything that can be wrong with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.examples import Examples
from bench.data.listings import open_listings
from bench.data.synthetic.marketplace import SIZES, TRUTH, marketplace_sample, write_listings
from tests.data.folders import encoded, picture

NEEDED = ("category", "group")


def folder_of(place: Path, table: str | bytes, photos: Sequence[str], name: str = "listings.csv") -> Path:
    (place / "images").mkdir(parents=True)
    (place / name).write_bytes(table.encode() if isinstance(table, str) else table)
    for number, photo in enumerate(photos):
        (place / "images" / photo).write_bytes(encoded(picture(number)))
    return place


def opened(folder: Path) -> Examples:
    return open_listings(folder, folder.parent / "cache", NEEDED)


def kinds(examples: Examples) -> Counter[tuple[str, bool]]:
    return Counter((problem.code, problem.fatal) for problem in examples.problems)


def test_a_table_with_one_photo_per_row(tmp_path: Path) -> None:
    table = "image,sender_id,label,kids\na,7,Hat,False\nb,,Shoes,True\nc,7,Hat,False\n"
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.PNG", "c.jpeg"], "images.csv"))
    assert got.items == ("a", "b", "c")
    assert got.columns["category"] == ("Hat", "Shoes", "Hat")
    assert got.columns["sender"] == got.columns["group"] == ("7", "", "7")
    assert got.columns["kids"] == ("False", "True", "False")
    assert got.problems == () and got.source == "listings"
    assert got.images.read(1).shape == (12, 10, 3)


def test_several_photos_of_one_listing_in_one_row_in_columns_and_in_rows(tmp_path: Path) -> None:
    table = (
        "id,category,price,image,image2\n"
        "l1,Hat,10,a.jpg;b.jpg,\n"
        'l2,Bag,"S$1,200.50",c.jpg,d.jpg\n'
        "l3,Hat,free,e.jpg,\n"
        "l3,Bag,,f.jpg,\n"
    )
    got = opened(folder_of(tmp_path / "d", table, [f"{name}.jpg" for name in "abcdef"]))
    assert got.items == tuple("abcdef")
    assert got.columns["listing"] == ("l1", "l1", "l2", "l2", "l3", "l3")
    assert got.columns["group"] == got.columns["listing"]
    assert got.columns["price"] == ("10", "10", "1200.50", "1200.50", "", "")
    assert kinds(got) == {("bad_price", False): 1, ("listing_disagrees", False): 1}


def test_without_a_column_of_photos_the_id_is_the_photo(tmp_path: Path) -> None:
    got = opened(folder_of(tmp_path / "d", "id,category\nx,Hat\ny,Bag\n", ["x.jpg", "y.jpg"]))
    assert got.items == got.columns["listing"] == ("x", "y")


def test_every_faulty_row_is_left_out_and_named(tmp_path: Path) -> None:
    table = (
        "image,category\na,Hat\na,Hat\na.jpg,Bag\nnothing,Hat\n../secret,Hat\nb,\nb,Hat,more\n,Hat\nc,Bag\n"
    )
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg", "c.jpg"]))
    assert got.items == ("a", "c")
    assert kinds(got) == {
        ("duplicate_image", True): 1,
        ("label_conflict", True): 1,
        ("no_image", True): 2,
        ("outside", True): 1,
        ("empty_label", True): 1,
        ("stray_comma", True): 1,
        ("no_row", False): 1,
    }


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf"])
def test_separators_and_byte_order_marks(tmp_path: Path, mark: str, before: bytes) -> None:
    lines = [
        ("image", "category", "price"),
        ("a", "Hat, woollen" if mark != "," else "Hat", "3"),
        ("b", "Bag", "4"),
    ]
    table = before + "\r\n".join(mark.join(line) for line in lines).encode()
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg"]))
    assert got.items == ("a", "b")
    assert got.columns["category"][0].startswith("Hat")
    assert [problem.code for problem in got.problems] == ([] if mark == "," else ["other_delimiter"])


def test_another_encoding_keeps_its_letters_and_is_noted(tmp_path: Path) -> None:
    table = "image,category\na,Möbel\nb,Kleid\n".encode("cp1252")
    got = opened(folder_of(tmp_path / "d", table, ["a.jpg", "b.jpg"]))
    assert got.columns["category"] == ("Möbel", "Kleid")
    assert kinds(got) == {("other_encoding", False): 1}


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    for name, files in (
        ("Hat", ["1.jpg", "2.JPG"]),
        ("Bag", ["1.jpg", "note.txt"]),
        ("Empty", []),
        (".git", ["x.jpg"]),
    ):
        (tmp_path / "d" / name).mkdir(parents=True)
        for file in files:
            (tmp_path / "d" / name / file).write_bytes(encoded(picture(len(name))))
    os.symlink("/etc", tmp_path / "d" / "etc")
    got = opened(tmp_path / "d")
    assert got.items == ("Bag/1.jpg", "Hat/1.jpg", "Hat/2.JPG")
    assert got.columns["category"] == ("Bag", "Hat", "Hat")
    assert set(got.columns["group"]) == {""}
    assert kinds(got) == {("empty_class", False): 1, ("outside", True): 1}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("image,price\na,3\n", "no column category"),
        ("category,price\nHat,3\n", "neither a column id nor a column image"),
        ("image,category\nzzz,Hat\n", "no photo can be used.*line 2"),
        ("", "is empty"),
    ],
)
def test_a_table_that_cannot_be_used_is_one_line(tmp_path: Path, table: str, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        opened(folder_of(tmp_path / "d", table, ["a.jpg"]))
    assert "\n" not in str(caught.value)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist or is not a folder"):
        opened(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no photo can be used"):
        opened(tmp_path / "empty")
    two = folder_of(tmp_path / "two", "image,category\n", [], "a.csv")
    (two / "b.csv").write_text("x")
    with pytest.raises(DataError, match=r"several tables \(a.csv, b.csv\)"):
        opened(two)


def test_the_drawn_sample_written_out_is_read_back(tmp_path: Path) -> None:
    drawn = marketplace_sample("tiny")
    write_listings(drawn, tmp_path / "d")
    got = opened(tmp_path / "d")
    assert got.items == drawn.items and got.problems == ()
    for name, cells in drawn.columns.items():
        assert got.columns[name] == cells
    difference = got.images.read(3).astype(int) - drawn.images.read(3)
    assert np.abs(difference).mean() < 12


@pytest.mark.parametrize("size", SIZES)
def test_the_drawn_sample_is_what_it_says(size: str) -> None:
    examples = marketplace_sample(size)
    assert marketplace_sample(size) == examples
    columns = examples.columns
    listings = set(columns["listing"])
    assert len(listings) == SIZES[size][0]
    shown = [true for true in columns[TRUTH] if true]
    assert len(set(shown)) == 12 == len(set(columns["category"]))
    wrong = sum(
        true not in ("", given) for true, given in zip(columns[TRUTH], columns["category"], strict=True)
    )
    assert 0.05 < wrong / len(examples) < 0.25
    assert 0 < columns[TRUTH].count("") < len(examples) / 8
    by_listing = {
        key: {c for c, own in zip(columns["category"], columns["listing"], strict=True) if own == key}
        for key in listings
    }
    assert all(len(given) == 1 for given in by_listing.values())
    assert max(Counter(columns["listing"]).values()) == 4
    image = examples.images.read(0)
    assert image.shape == (64, 64, 3) and image.dtype == np.uint8


def test_prices_follow_what_a_thing_is() -> None:
    columns = marketplace_sample("small").columns
    rows = zip(columns["price"], columns[TRUTH], columns["category"], strict=True)
    prices = [(float(price), true, given) for price, true, given in rows if price and true]
    bags = np.median([price for price, true, _ in prices if true == "Bag"])
    shirts = np.median([price for price, true, _ in prices if true == "T-Shirt"])
    assert bags > 4 * shirts
    strange = [price for price, true, given in prices if true == "T-Shirt" and given != "T-Shirt"]
    assert np.median(strange) < 2 * shirts


def test_folders_of_a_published_split_are_no_classes(tmp_path: Path) -> None:
    for name in ("train/a/1.jpg", "validation/a/2.jpg", "train/3.jpg"):
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_bytes(encoded(picture(1)))
    with pytest.raises(
        DataError, match="train, validation are parts of a published split, not classes: leave out"
    ):
        opened(tmp_path / "d")
