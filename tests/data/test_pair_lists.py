"""Reading lists of pairs: what they may look like, and every fault by file and line."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import DataError
from bench.data.examples import Examples
from bench.data.pair_lists import BadList, parse_pairs, which_pairs
from bench.data.person_folders import open_people
from tests.data.people_folders import list_text, opened, people_folder

NAMES = st.text("abcXYZ_-'é", min_size=1, max_size=8)


@given(
    data=st.data(),
    folds=st.integers(1, 3),
    size=st.integers(1, 4),
    mark=st.sampled_from(["\t", " ", "  ", "\t "]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    bom=st.booleans(),
    rest=st.sampled_from(["", "{}", "{}{}  {}"]),
)
def test_any_list_comes_back_however_it_is_written(
    data: st.DataObject, folds: int, size: int, mark: str, end: str, bom: bool, rest: str
) -> None:
    wanted, lines = [], [f"{folds}{mark}{size}" if folds > 1 else f"{size}"]
    for fold in range(folds):
        for same in [True] * size + [False] * size:
            one, two = data.draw(st.lists(NAMES, min_size=2, max_size=2, unique=True))
            i, j = data.draw(st.lists(st.integers(0, 9999), min_size=2, max_size=2, unique=True))
            wanted.append(((one, i), (one if same else two, j), same, fold))
            fields = [one, str(i), str(j)] if same else [one, str(i), two, str(j)]
            lines.append(mark.join(fields))
    text = end.join(lines) + rest.replace("{}", end)
    raw = (b"\xef\xbb\xbf" if bom else b"") + text.encode()
    got = parse_pairs(raw)
    assert [(pair.first, pair.second, pair.same, pair.fold) for pair in got] == wanted
    assert [pair.line for pair in got] == list(range(2, len(wanted) + 2))


def test_names_with_blanks_are_parted_by_tabs() -> None:
    pairs = parse_pairs(b"1\nAnn van Lee\t1\t2\nAnn van Lee\t1\tBo Ek\t3\n")
    assert pairs[0].first == ("Ann van Lee", 1) and pairs[1].second == ("Bo Ek", 3)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 1, "must be the number of pairs"),
        ("Ann\t1\t2\n", 1, "must be the number of pairs of each kind (300), or folds and pairs"),
        ("-1\n", 1, "not '-1'"),
        ("1 2 3\n", 1, "not '1 2 3'"),
        ("99999999999999999999\n", 1, "must be the number of pairs"),
        ("٣\n", 1, "must be the number of pairs"),
        ("0\n", 1, "declares no pairs"),
        ("2\nA 1 2\nA 1 B 1\n", 1, "declares 2 same and 2 different pairs, but 2 lines follow"),
        ("1\nA 1 2\nA 1 B 1\nA 1 B 2\n", 1, "but 3 lines follow"),
        ("2\t1\nA 1 2\nA 1 B 1\n", 1, "declares 2 folds of 1 same and 1 different"),
        ("1\nA 1 B 1\nA 1 2\n", 2, "must be a same pair: name i j, not 'A 1 B 1'"),
        ("1\nA 1 2\nA 1 2\n", 3, "must be a different pair: name i other j"),
        ("1\nA 1 2\n\nA 1 B 2\n", 1, "3 lines follow"),
        ("2\nA 1 2\n\nA 1 B 2\nA 2 B 2\n", 3, "but is blank"),
        ("1\nA 1 two\nA 1 B 1\n", 2, "'two' is not an image number"),
        ("1\nA 1 2\nA 1 B -1\n", 3, "'-1' is not an image number"),
        ("1\nA 1 1.0\nA 1 B 1\n", 2, "is not an image number"),
        ("1\nA\t\t2\nA 1 B 1\n", 2, "must be a same pair"),
        ("1\nA 1 1\nA 1 B 1\n", 2, "pairs image 1 of 'A' with itself"),
        ("1\nA 1 01\nA 1 B 1\n", 2, "with itself"),
        ("1\nA 1 2\nA 1 A 1\n", 3, "with itself"),
        ("1\nA 1 2\nA 1 A 2\n", 3, "is a different pair, but both images are of 'A'"),
        ("1\nA 1 2\nA\x1b[2J 1 B\n", 3, "A\ufffd[2J"),
    ],
)
def test_every_fault_is_told_by_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(BadList, match=re.escape(says)) as fault:
        parse_pairs(text.encode())
    assert fault.value.line == line and "\n" not in str(fault.value)


def test_utf16_is_told() -> None:
    with pytest.raises(BadList, match="UTF-16"):
        parse_pairs("1\n".encode("utf-16"))


def with_list(folder: Path, same: tuple[object, ...], different: tuple[object, ...]) -> Examples:
    text = list_text([same], [different])
    for file in ("pairsDevTrain.txt", "pairsDevTest.txt"):
        (folder / file).write_text(text, encoding="utf-8")
    return opened(folder)


@pytest.mark.parametrize(
    ("same", "different", "says"),
    [
        (
            ("Ann", 1, 3),
            ("Ann", 1, "Bo", 1),
            "line 2 names image 3 of 'Ann', which is missing (the person has 2",
        ),
        (
            ("Ann", 1, 2),
            ("Ann", 1, "Boo", 1),
            "line 3 names the unknown person 'Boo'; did you mean",
        ),
        (("Ann", 0, 2), ("Ann", 1, "Bo", 1), "line 2 names image 0 of 'Ann'"),
        (("Cy", 1, 2), ("Ann", 1, "Bo", 1), "line 2 names image 2 of 'Cy', which cannot be used: a pipe"),
        (
            ("Dee", 1, 2),
            ("Ann", 1, "Bo", 1),
            "line 2 names image 1 of 'Dee', which could be Dee/Dee_0001 and",
        ),
    ],
)
def test_a_photo_that_is_not_there_stops_its_view_and_no_other(
    tmp_path: Path, same: tuple[object, ...], different: tuple[object, ...], says: str
) -> None:
    import os

    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 1, "Cy": 1, "Dee": 2})
    os.mkfifo(folder / "lfw" / "Cy" / "Cy_0002.jpg")
    (folder / "lfw" / "Dee" / "Dee_1.jpg").write_bytes((folder / "lfw" / "Bo" / "Bo_0001.jpg").read_bytes())
    examples = with_list(folder, same, different)
    assert examples.pair_lists == {}
    told = [problem for problem in examples.problems if problem.code == "pair_list"]
    assert len(told) == 2 and all(problem.fatal for problem in told)
    for asked in ("auto", "view1"):
        with pytest.raises(DataError, match=re.escape(f"pairsDevTrain.txt {says}")):
            which_pairs(examples, asked)
    assert which_pairs(examples, "made") == "made"


def test_a_person_whose_only_image_cannot_be_read_is_not_unknown(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 1})
    (folder / "lfw" / "Bo" / "Bo_0001.jpg").unlink()
    (folder / "lfw" / "Bo" / "Bo_0001.jpg").symlink_to(tmp_path / "away.jpg")
    with pytest.raises(DataError, match="names image 1 of 'Bo', which cannot be used: "):
        which_pairs(with_list(folder, ("Ann", 1, 2), ("Ann", 1, "Bo", 1)), "auto")


def test_accents_are_found_in_either_form(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {unicodedata.normalize("NFD", "Zoë"): 2, "Bo": 1})
    examples = with_list(folder, (unicodedata.normalize("NFC", "Zoë"), 1, 2), ("Bo", 1, "Zoë", 1))
    assert examples.problems == () and len(examples.pair_lists["view1_train"]) == 2


def test_names_that_are_no_utf8_are_found(tmp_path: Path) -> None:
    name = b"Zo\xeb".decode("utf-8", "surrogateescape")
    try:
        folder = people_folder(tmp_path / "d", {name: 2, "Bo": 1})
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    (folder / "pairsDevTrain.txt").write_bytes(b"1\nZo\xeb 1 2\nZo\xeb 1 Bo 1\n")
    examples = opened(folder)
    assert len(examples.pair_lists["view1_train"]) == 2 and examples.columns["person"][1] == "Zo\ufffd"


def test_odd_pairs_are_kept_and_noted(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 2})
    people = folder / "lfw"
    (people / "Bo" / "Bo_0001.jpg").write_bytes((people / "Ann" / "Ann_0001.jpg").read_bytes())
    text = list_text([("Ann", 1, 2), ("Ann", 2, 1)], [("Ann", 1, "Bo", 1), ("Bo", 2, "Ann", 1)])
    (folder / "pairsDevTrain.txt").write_text(text)
    examples = opened(folder)
    assert len(examples.pair_lists["view1_train"]) == 4
    assert [(problem.code, problem.where, problem.fatal) for problem in examples.problems] == [
        ("duplicate_pair", "pairsDevTrain.txt line 3", False),
        ("identical_different", "pairsDevTrain.txt line 4", False),
    ]


def test_which_view_a_folder_gives(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 2})
    fold = list_text([("Ann", 1, 2)], [("Ann", 1, "Bo", 1)]).split("\n", 1)[1]
    assert which_pairs(opened(folder), "auto") == "made"
    for view, file in (("view1", "pairsDevTrain.txt"), ("view2", "pairs.txt")):
        with pytest.raises(DataError, match=f"pairs={view} needs {file}, which is missing"):
            which_pairs(opened(folder), view)
    (folder / "pairs.txt").write_text("2 1\n" + fold * 2)
    assert which_pairs(opened(folder), "view2") == "view2" and which_pairs(opened(folder), "auto") == "made"
    assert opened(folder).pair_lists["view2"].folds == (0, 0, 1, 1)
    (folder / "pairsDevTrain.txt").write_text("1\n" + fold)
    with pytest.raises(DataError, match=r"needs pairsDevTest.txt"):
        which_pairs(opened(folder), "auto")
    (folder / "pairsDevTest.txt").write_text("2 1\n" + fold * 2)
    with pytest.raises(DataError, match=r"pairsDevTest.txt line 1 has 2 folds"):
        which_pairs(opened(folder), "auto")
    (folder / "pairsDevTest.txt").write_text("1\n" + fold)
    assert which_pairs(opened(folder), "auto") == "view1"
    (folder / "pairs.txt").write_text("1\n" + fold)
    with pytest.raises(DataError, match=r"pairs.txt line 1 has one fold"):
        which_pairs(opened(folder), "view2")


def test_a_list_that_is_no_file_is_told(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 2})
    (folder / "pairs.txt").mkdir()
    (folder / "pairsDevTrain.txt").symlink_to("/etc/hostname")
    (folder / "pairsDevTest.txt").write_text("1\nAnn 1 2\nAnn 1 Bo 1\n")
    examples = opened(folder)
    with pytest.raises(DataError, match=r"pairs.txt a folder, not a file"):
        which_pairs(examples, "view2")
    with pytest.raises(DataError, match=r"pairsDevTrain.txt a link out of"):
        which_pairs(examples, "auto")


def test_real_lists_read_as_a_second_reader_reads_them(
    real_data: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = real_data("faces")
    examples = open_people(folder, tmp_path, ("person",))
    place = {
        key: index
        for index, key in enumerate(zip(examples.columns["person"], examples.columns["number"], strict=True))
    }
    for name, file in (("view1_train", "pairsDevTrain.txt"), ("view1_test", "pairsDevTest.txt")):
        rows = [line.split("\t") for line in (folder / file).read_text().splitlines()[1:]]
        wanted = [
            (place[row[0], row[1]], place[row[-2] if len(row) == 4 else row[0], row[-1]]) for row in rows
        ]
        got = examples.pair_lists[name]
        assert list(zip(got.first, got.second, strict=True)) == wanted
        assert list(got.same) == [len(row) == 3 for row in rows] and set(got.folds) == {0}
