"""Tables of photos: CSV, TSV, Parquet and CelebA's list, with any columns."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import DataError
from bench.data.examples import Examples
from bench.data.layout import Layout
from bench.data.sources import open_source
from tests.data.folders import encoded, picture
from tests.data.layouts import put

LABEL = Layout(label="label")


def opened(data: Path, layout: Layout = LABEL) -> Examples:
    return open_source("table", data, "", data.parent / "cache", layout.needed, layout=layout)


def photo(number: int) -> bytes:
    return encoded(picture(number), "PNG")


def table(path: Path, *rows: Sequence[str], photos: Sequence[str] = ()) -> Path:
    """Write a CSV file and photos below its folder; return the folder."""
    for number, name in enumerate(photos):
        put(path.parent / name, photo(number))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path.parent


def by_item(got: Examples, column: str = "label") -> dict[str, str]:
    return dict(zip(got.items, got.columns[column], strict=True))


def kinds(got: Examples) -> dict[str, int]:
    return dict(Counter(one.code for one in got.problems))


def test_photos_are_found_by_path_by_name_and_without_ending(tmp_path: Path) -> None:
    rows = [
        ["label", "path"],
        ["a", "x/1.png"],
        ["b", "./x/2"],
        ["c", "3"],
        ["d", "y\\4.png"],
        ["e", "5.png"],
    ]
    names = ["x/1.png", "x/2.png", "x/deep/3.jpeg", "y/4.png", "t/5.png"]
    assert by_item(opened(table(tmp_path / "d" / "t.csv", *rows, photos=names))) == {
        "x/1.png": "a",
        "x/2.png": "b",
        "x/deep/3.jpeg": "c",
        "y/4.png": "d",
        "t/5.png": "e",
    }


def test_accented_names_match_in_either_encoding(tmp_path: Path) -> None:
    rows = [["label", "path"], ["a", "x/caf\u00e9.png"], ["b", "ne\u0301"], ["c", "o\u0301.png"]]
    names = ["x/cafe\u0301.png", "y/n\u00e9.png", "o\u0301.png", "\u00f3.png"]
    got = opened(table(tmp_path / "d" / "t.csv", *rows, photos=names))
    assert by_item(got) == {names[0]: "a", names[1]: "b", names[2]: "c"} and kinds(got) == {"no_row": 1}


def test_a_column_that_is_there_twice_is_refused_unless_both_are_equal(tmp_path: Path) -> None:
    rows = [["path", "label", "x", "x"], ["1.png", "a", "3", "3"], ["2.png", "b", "4", "4"]]
    got = opened(table(tmp_path / "d" / "t.csv", *rows, photos=["1.png", "2.png"]))
    assert by_item(got, "x") == {"1.png": "3", "2.png": "4"}
    rows[0][2:] = ["label", "label"]
    with pytest.raises(DataError, match="has several columns 'label'; keep one"):
        opened(table(tmp_path / "d" / "t.csv", *rows))


def test_rows_that_cannot_be_used_are_named_and_left_out(tmp_path: Path) -> None:
    rows = [
        ["image", "label", "part"],
        ["1.png", "a", "train"],
        ["2.png", "", "train"],
        ["3.png", "a", ""],
        ["no.png", "a", "test"],
        ["../../etc/passwd", "a", "test"],
        ["/etc/passwd", "a", "test"],
        ["C:/x.png", "a", "test"],
        ["twice.png", "a", "test"],
        ["1.png", "a", "train"],
        ["1.png", "b", "train"],
        ["1.png", "a", "test"],
    ]
    names = ["1.png", "2.png", "3.png", "u/twice.png", "v/twice.png"]
    folder = table(tmp_path / "d" / "t.csv", *rows, photos=names)
    got = opened(folder, Layout(label="label", split="part"))
    # A photo in train and in test is a leak to be counted, not a row to lose.
    assert by_item(got, "part") == {"1.png": "train", "1.png (test)": "test"}
    assert kinds(got) == {
        "empty_label": 1,
        "no_part": 1,
        "no_image": 1,
        "outside": 3,
        "ambiguous_image": 1,
        "duplicate_image": 1,
        "label_conflict": 1,
        "no_row": 4,
    }
    where = {one.code: one.where for one in got.problems}
    assert where["label_conflict"] == "t.csv line 11" and where["no_image"] == "t.csv line 5"


def test_a_column_may_say_the_price_and_the_person(tmp_path: Path) -> None:
    rows = [["image", "who", "Preis"], ["1.png", "Ann", "S$1,250.50"], ["2.png", "Bob", "free"]]
    folder = table(tmp_path / "d" / "t.csv", *rows, photos=["1.png", "2.png"])
    got = opened(folder, Layout(label="person", person="who", price="Preis"))
    assert by_item(got, "person") == {"1.png": "Ann", "2.png": "Bob"}
    assert by_item(got, "price") == {"1.png": "1250.50", "2.png": ""}


def test_the_label_counts_in_the_fingerprint_and_places_do_not(tmp_path: Path) -> None:
    rows = [["image", "label", "shape"], ["p/1.png", "a", "x"], ["p/2.png", "b", "x"]]
    one = table(tmp_path / "d" / "t.csv", *rows, photos=["p/1.png", "p/2.png"])
    moved = [[cell.replace("p/", "q/") for cell in row] for row in rows]
    two = table(tmp_path / "e" / "u.csv", *moved, photos=["q/1.png", "q/2.png"])
    assert opened(one).fingerprint == opened(two).fingerprint == opened(one / "t.csv").fingerprint
    assert opened(one, Layout(label="shape")).fingerprint != opened(one).fingerprint
    assert opened(one, Layout(label="label", group="shape")).fingerprint != opened(one).fingerprint


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        (Layout(label="lable"), "t.csv has no column 'lable'; did you mean 'label'?"),
        (Layout(label="label", split="splt"), "t.csv has no column 'splt'; did you mean 'split'?"),
        (Layout(label="label", image="imag"), "t.csv: has no column 'imag'; did you mean 'image'?"),
        (Layout(label="label", price="cost"), "t.csv has no column 'cost'"),
        (Layout(label="label", file="u.csv"), "has no table 'u.csv'; did you mean 't.csv'?"),
        (Layout(attributes=()), "t.csv has no column of labels, 1 for yes and 0 for no"),
    ],
)
def test_a_column_that_is_not_there_is_answered_with_the_nearest(
    layout: Layout, says: str, tmp_path: Path
) -> None:
    folder = table(
        tmp_path / "d" / "t.csv", ["image", "label", "split"], ["1.png", "a", "x"], photos=["1.png"]
    )
    with pytest.raises(DataError, match=re.escape(says)):
        opened(folder, layout)


def test_tables_of_parts_are_one_table_and_others_are_several(tmp_path: Path) -> None:
    folder = table(
        tmp_path / "d" / "train.csv", ["image", "label"], ["1.png", "a"], photos=["1.png", "2.png"]
    )
    table(folder / "test.csv", ["label", "image"], ["b", "2.png"])
    got = opened(folder)
    assert by_item(got) == {"1.png": "a", "2.png": "b"} and by_item(got, "split") == {
        "1.png": "train",
        "2.png": "test",
    }
    table(folder / "more.csv", ["label", "image"], ["b", "2.png"])
    with pytest.raises(
        DataError, match=r"has several tables \(more.csv, test.csv, train.csv\); name one: --data"
    ):
        opened(folder)


def test_metadata_in_the_folders_of_parts_is_the_split(tmp_path: Path) -> None:
    """Hugging Face's image folders with `metadata.csv` have no folders of classes."""
    folder = tmp_path / "d"
    for number, part in enumerate(("train", "validation")):
        rows = [["file_name", "label"], ["1.png", "a"], ["2.png", "b"]]
        table(folder / part / "metadata.csv", *rows)
        put(folder / part / "1.png", photo(2 * number))
        put(folder / part / "2.png", photo(2 * number + 1))
    got = opened(folder)
    assert Counter(zip(got.columns["split"], got.columns["label"], strict=True)) == {
        (part, label): 1 for part in ("train", "val") for label in "ab"
    }


CELEBA = """3
Smiling Male  Young
1.jpg -1  1 -1
2.jpg  1 -1 -1
3.jpg  1  1
4.jpg  1  1 -1
"""


def test_celebas_list_has_its_attributes_and_its_split(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    for number in range(1, 5):
        put(folder / "img_align_celeba" / f"{number}.jpg", encoded(picture(number)))
    (folder / "list_attr_celeba.txt").write_text(CELEBA)
    (folder / "list_eval_partition.txt").write_text("1.jpg 0\n2.jpg 1\n3.jpg 1\n4.jpg 2\n")
    got = opened(folder, Layout(attributes=("Smiling", "Male", "Young"), split="split"))
    rows = zip(*(got.columns[name] for name in (*got.attributes, "split")), strict=True)
    assert dict(zip(got.items, rows, strict=True)) == {
        "img_align_celeba/1.jpg": ("0", "1", "0", "train"),
        "img_align_celeba/2.jpg": ("1", "0", "0", "val"),
        "img_align_celeba/4.jpg": ("1", "1", "0", "test"),
    }
    assert kinds(got) == {"too_few_fields": 1, "no_row": 1, "one_value": 1}
    assert opened(folder, Layout(attributes=())).attributes == ("Smiling", "Male")


def test_minus_one_is_unknown_beside_zeros(tmp_path: Path) -> None:
    rows = [["image", "wet", "cold"], ["1.png", "1", "-1"], ["2.png", "yes", "0"], ["3.png", "maybe", "NA"]]
    got = opened(
        table(tmp_path / "d" / "t.csv", *rows, photos=["1.png", "2.png", "3.png"]),
        Layout(attributes=("wet", "cold")),
    )
    cells = zip(got.columns["wet"], got.columns["cold"], strict=True)
    assert dict(zip(got.items, cells, strict=True)) == {
        "1.png": ("1", ""),
        "2.png": ("1", "0"),
        "3.png": ("", ""),
    }
    assert kinds(got) == {"bad_label": 1, "one_value": 2}


def parquet(path: Path, columns: dict[str, Any], group: int = 2, metadata: bytes = b"") -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.table(columns)
    if metadata:
        made = made.replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(made, path, row_group_size=group)
    return path.parent


NAMES = b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}}}'


def test_shards_of_hugging_face_give_classes_by_name_and_the_split(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    for number, (part, labels) in enumerate(
        {
            "train-00000-of-00002": [0, 1, 1],
            "train-00001-of-00002": [0],
            "test-00000-of-00001": [1, -1],
        }.items()
    ):
        images = [{"bytes": photo(10 * number + row), "path": "image.png"} for row in range(len(labels))]
        parquet(folder / "data" / f"{part}.parquet", {"image": images, "label": labels}, metadata=NAMES)
    got = opened(folder)
    assert by_item(got) == {
        "data/train-00000-of-00002.parquet:1": "cat",
        "data/train-00000-of-00002.parquet:2": "dog",
        "data/train-00000-of-00002.parquet:3": "dog",
        "data/train-00001-of-00002.parquet:1": "cat",
        "data/test-00000-of-00001.parquet:1": "dog",
    }
    assert Counter(got.columns["split"]) == {"train": 4, "test": 1}
    assert kinds(got) == {"empty_label": 1}


def test_cells_of_any_type_are_text_and_images_keep_their_names(tmp_path: Path) -> None:
    columns = {
        "picture": [{"bytes": photo(row), "path": f"{row}.png"} for row in range(3)],
        "label": ["a\x1b", "b", None],
        "size": [1.0, 2.5, float("nan")],
        "wet": [True, False, None],
        "words": [["x"], [], None],
    }
    got = opened(parquet(tmp_path / "d" / "t.parquet", columns))
    assert by_item(got) == {"0.png": "a�", "1.png": "b"}
    assert by_item(got, "size") == {"0.png": "1", "1.png": "2.5"}
    assert by_item(got, "wet") == {"0.png": "true", "1.png": "false"}
    assert kinds(got) == {"other_column": 1, "empty_label": 1}


def test_images_are_read_in_any_order_a_few_rows_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from bench.data import parquet as reader
    from bench.data.images import decode

    data = [photo(row) for row in range(23)]
    names = [f"{row}.png" for row in range(23)]
    images = [{"bytes": own, "path": name} for own, name in zip(data, names, strict=True)]
    got = opened(parquet(tmp_path / "d" / "t.parquet", {"image": images, "label": ["a"] * 23}, group=9))
    monkeypatch.setattr(reader, "_BATCH", 2)
    monkeypatch.setattr(reader, "_KEPT_BYTES", 3 * len(data[0]))
    rng = np.random.default_rng(0)
    for index in (*got.images.stored_order(), *rng.permutation(23).tolist()):  # type: ignore[attr-defined]
        np.testing.assert_array_equal(got.images.read(index), decode(data[names.index(got.items[index])]))


def test_a_shard_that_is_cut_short_or_broken_is_one_line(tmp_path: Path) -> None:
    images = [encoded(picture(row, 90, 80), "PNG") for row in range(30)]
    columns = {"image": images, "label": ["a", "b"] * 15}
    folder = parquet(tmp_path / "d" / "train-0.parquet", columns)
    parquet(tmp_path / "d" / "train-1.parquet", columns)
    assert len(opened(folder)) == 60
    whole = (folder / "train-1.parquet").read_bytes()
    # Cut short; and with all of its end, as a download that lost a piece.
    for bad in (whole[:-100], whole[: len(whole) // 2], b"", whole[:4] + bytes(4000) + whole[4004:]):
        (folder / "train-1.parquet").write_bytes(bad)
        with pytest.raises(
            DataError,
            match=r"train-1\.parquet: cannot be read as Parquet; are its [\d,]+ bytes the whole file\?",
        ):
            opened(folder)


def test_a_shard_that_changes_in_between_is_noticed(tmp_path: Path) -> None:
    columns = {"image": [photo(0), photo(1)], "label": ["a", "b"]}
    folder = parquet(tmp_path / "d" / "t.parquet", columns)
    got = opened(folder)
    parquet(tmp_path / "d" / "t.parquet", {**columns, "image": [photo(2), photo(3)]})
    with pytest.raises(DataError, match="changed while it was in use"):
        got.images.read(0)


def test_rows_without_bytes_and_paths_in_parquet(tmp_path: Path) -> None:
    put(tmp_path / "d" / "x" / "1.png", photo(1))
    folder = parquet(tmp_path / "d" / "t.parquet", {"image": [photo(0), None, b""], "label": ["a", "b", "c"]})
    assert by_item(opened(folder)) == {"t.parquet:1": "a"} and kinds(opened(folder)) == {"no_image": 2}
    parquet(tmp_path / "d" / "t.parquet", {"file": ["x/1.png", "x/2.png"], "label": ["a", "b"]})
    assert by_item(opened(folder)) == {"x/1.png": "a"}
