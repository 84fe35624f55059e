"""Reading folders of people: both layouts, and everything that can be wrong with them."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import DataError
from bench.data import hashing
from bench.data.examples import Examples
from bench.data.person_folders import open_people
from bench.data.sources import SOURCES
from bench.data.synthetic.faces import faces_sample, write_people
from tests.data.folders import encoded, picture
from tests.data.people_folders import list_text, opened, people_folder


def kinds(examples: Examples) -> Counter[tuple[str, bool]]:
    return Counter((problem.code, problem.fatal) for problem in examples.problems)


@pytest.mark.parametrize("inside", ["lfw", "lfw_funneled", "lfw-deepfunneled", "images", "anything", "."])
def test_the_layout_of_lfw_wherever_its_people_are(tmp_path: Path, inside: str) -> None:
    got = opened(people_folder(tmp_path / "d", {"Ann_Lee": 2, "Bo": 1}, inside))
    assert got.items == ("Ann_Lee/Ann_Lee_0001", "Ann_Lee/Ann_Lee_0002", "Bo/Bo_0001")
    assert got.columns == {"person": ("Ann_Lee", "Ann_Lee", "Bo"), "number": ("1", "2", "1")}
    assert got.problems == () and got.pair_lists == {} and got.source == "people"
    assert np.array_equal(
        got.images.read(2), np.asarray(Image.open(tmp_path / "d" / inside / "Bo" / "Bo_0001.jpg"))
    )


def test_the_layout_of_orl_in_the_order_of_numbers(tmp_path: Path) -> None:
    for person in ("s10", "s2", "s1"):
        (tmp_path / "d" / person).mkdir(parents=True)
        for number in (10, 9, 1):
            grey = Image.fromarray(np.full((4, 3), number + int(person[1:]), np.uint8))
            grey.save(tmp_path / "d" / person / f"{number}.pgm")
    (tmp_path / "d" / "README").write_text("faces")
    got = opened(tmp_path / "d")
    assert got.columns["person"] == ("s1",) * 3 + ("s2",) * 3 + ("s10",) * 3
    assert got.columns["number"] == ("1", "9", "10") * 3
    assert got.images.read(8)[0, 0].tolist() == [20, 20, 20]
    assert kinds(got) == {("stray_file", False): 1}


def test_without_numbers_of_their_own_photos_are_numbered_by_their_place(tmp_path: Path) -> None:
    folder = tmp_path / "d" / "Ann"
    folder.mkdir(parents=True)
    for seed, name in enumerate(("beach 2.jpg", "beach 10.jpg", "at home.png")):
        (folder / name).write_bytes(encoded(picture(seed), "PNG" if name.endswith("png") else "JPEG"))
    got = opened(tmp_path / "d")
    assert got.items == ("Ann/at home", "Ann/beach 2", "Ann/beach 10")
    assert got.columns["number"] == ("1", "2", "3")


def test_a_written_sample_reads_as_it_was_drawn(tmp_path: Path) -> None:
    drawn = faces_sample("tiny")
    write_people(drawn, tmp_path / "d")
    got = SOURCES["people"].read(tmp_path / "d", tmp_path / "cache", ("person",), False)
    assert got.items == drawn.items and got.columns == drawn.columns and got.problems == ()
    for index in (0, 37, len(drawn) - 1):
        assert np.array_equal(got.images.read(index), drawn.images.read(index))


def test_strange_files_and_folders_are_counted_and_the_rest_is_kept(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 2})
    people = folder / "lfw"
    for stray in (
        "README",
        "Ann/notes.txt",
        "Ann/Thumbs.db",
        ".DS_Store",
        "Ann/._Ann_0001.jpg",
        "desktop.ini",
    ):
        (people / stray).write_bytes(b"something")
    (people / "Nobody").mkdir()
    (people / "Ann" / "more.jpg").mkdir()
    (people / "Ann" / "Ann_0002.png").write_bytes(encoded(picture(50), "PNG"))
    os.mkfifo(people / "Bo" / "Bo_0003.jpg")
    (people / "Bo" / "Bo_0004.jpg").touch()
    os.truncate(people / "Bo" / "Bo_0004.jpg", 2**30)
    got = opened(folder)
    assert got.columns["person"] == ("Ann", "Ann", "Bo", "Bo")
    assert kinds(got) == {
        ("stray_file", False): 2,
        ("stray_folder", False): 1,
        ("empty_person", False): 1,
        ("duplicate_name", True): 1,
        ("not_a_file", True): 1,
        ("too_large", True): 1,
    }


def test_names_that_cannot_be_told_apart_are_never_one_person(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 1, "Ann ": 1, "  ": 1, "a\x1bb": 1, "a\x07b": 1})
    got = opened(folder)
    assert sorted(got.columns["person"]) == ["Ann", "a\ufffdb"] and kinds(got) == {("unclear_name", True): 3}


def test_links_are_followed_inside_only(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 1, "Bo": 1})
    secret = people_folder(tmp_path / "elsewhere", {"Eve": 2}) / "lfw" / "Eve"
    people = folder / "lfw"
    (people / "Eve").symlink_to(secret)
    (people / "Bo" / "Bo_0002.jpg").symlink_to(secret / "Eve_0001.jpg")
    (people / "Cy").symlink_to(people / "Ann")
    (people / "loop").symlink_to("loop")
    (people / "Bo" / "loop.jpg").symlink_to("loop.jpg")
    got = opened(folder)
    assert got.items == ("Ann/Ann_0001", "Bo/Bo_0001", "Cy/Ann_0001")
    assert kinds(got) == {("outside", True): 3, ("stray_file", False): 1}
    assert len(set(got.images.content_hashes())) == 2


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist or is not a folder"):
        opened(tmp_path / "d")
    (tmp_path / "d" / "lfw").mkdir(parents=True)
    with pytest.raises(DataError, match="no folder with photos of a person; it must hold one folder"):
        opened(tmp_path / "d")
    people_folder(tmp_path / "d", {"Ann": 1}, "one")
    people_folder(tmp_path / "d", {"Bo": 1}, "two")
    with pytest.raises(DataError, match="has people in one/ and in two/; give one of these folders"):
        opened(tmp_path / "d")
    people_folder(tmp_path / "d", {"Cy": 1})
    assert opened(tmp_path / "d").items == ("Cy/Cy_0001",)
    with pytest.raises(DataError, match="has no column 'persona'; did you mean 'person'"):
        open_people(tmp_path / "d", tmp_path / "cache", ("persona",))
    people_folder(tmp_path / "d", {"Dee": 1}, "lfw_funneled")
    with pytest.raises(DataError, match="in lfw/ and in lfw_funneled/"):
        opened(tmp_path / "d")


def test_no_photo_left_is_one_line_with_the_first_reason(tmp_path: Path) -> None:
    (tmp_path / "d" / "Ann").mkdir(parents=True)
    (tmp_path / "d" / "Ann" / "1.jpg").symlink_to(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"no photo can be used \(the first problem: Ann/1.jpg: "):
        opened(tmp_path / "d")


def test_the_fingerprint_knows_photos_names_and_lists(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 2})
    seen = [opened(folder).fingerprint]
    assert opened(folder).fingerprint == seen[0]
    text = list_text([("Ann", 1, 2)], [("Ann", 1, "Bo", 2)])
    for change in (
        lambda: (folder / "pairsDevTrain.txt").write_text(text),
        lambda: (folder / "pairsDevTest.txt").write_text(text),
        lambda: (folder / "pairsDevTest.txt").write_text(text.replace("Bo\t2", "Bo\t1")),
        lambda: (folder / "lfw" / "Ann" / "Ann_0001.jpg").write_bytes(encoded(picture(99))),
        lambda: (folder / "lfw" / "Bo").rename(folder / "lfw" / "Bob"),
    ):
        change()
        seen.append(opened(folder).fingerprint)
    assert len(set(seen)) == len(seen)


def test_the_second_look_hashes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 2, "Bo": 2})
    time.sleep(0.15)  # what has just changed is hashed again
    first = opened(folder)
    monkeypatch.setattr(hashing, "_hash_all", lambda *_: pytest.fail("hashed again"))
    assert opened(folder).fingerprint == first.fingerprint


def test_lists_beside_the_people_are_read_and_those_of_the_folder_given_come_first(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann": 3, "Bo": 2})
    inner, outer = (list_text([("Ann", 1, number)], [("Ann", 1, "Bo", 1)]) for number in (2, 3))
    (folder / "lfw" / "pairsDevTrain.txt").write_text(inner)
    got = opened(folder)
    assert got.pair_lists["view1_train"].second == (1, 3) and got.problems == ()
    (folder / "pairsDevTrain.txt").write_text(outer)
    assert opened(folder).pair_lists["view1_train"].second == (2, 3)


def test_real_lfw(real_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = real_data("faces")
    examples = open_people(folder, tmp_path, ("person",))
    assert len(examples) == 4992 and len(set(examples.columns["person"])) == 3095
    assert {name: len(pairs) for name, pairs in examples.pair_lists.items()} == {
        "view1_train": 2200,
        "view1_test": 1000,
    }
    assert examples.problems == ()
    monkeypatch.setattr("bench.data.hashing._hash_one", _no_file_is_read)
    assert open_people(folder, tmp_path, ("person",)).fingerprint == examples.fingerprint


def _no_file_is_read(_: object, name: str) -> str:
    raise AssertionError(f"{name} is hashed a second time")


def test_real_orl(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    examples = open_people(real_data("faces_orl"), tmp_path, ("person",))
    assert len(examples) == 400 and Counter(examples.columns["person"])["s17"] == 10
    assert examples.items[:2] == ("s1/1", "s1/2") and examples.columns["number"][9] == "10"
    assert examples.images.read(0).shape == (112, 92, 3)


def test_a_table_of_people_gives_their_photos_columns_and_changes_no_identity(tmp_path: Path) -> None:
    folder = people_folder(tmp_path / "d", {"Ann_Lee": 2, "Bo": 1, "Cy": 1})
    before = opened(folder)
    table = "person;gender;number\nBo;m;7\nAnn_Lee;f;8\nZoe;f;9\nBo;f;1\n"
    (folder / "people.csv").write_text(table)
    got = opened(folder)
    assert got.columns == {**before.columns, "gender": ("f", "f", "m", "")}
    assert got.fingerprint == before.fingerprint
    notes = {(problem.where, problem.code) for problem in got.problems}
    assert ("people.csv line 5", "duplicate_name") in notes and ("people.csv", "missing_value") in notes
    # What decides the split is in the fingerprint, so it cannot come from there.
    with pytest.raises(DataError, match="gender"):
        open_people(folder, tmp_path / "cache", ("gender",))


@pytest.mark.parametrize(
    ("content", "why"), [(b"", "is empty"), (b"name,gender\nBo,m\n", "person"), (b"\xff\xfep\x00", "UTF-16")]
)
def test_a_table_of_people_that_is_none_is_one_line(tmp_path: Path, content: bytes, why: str) -> None:
    folder = people_folder(tmp_path / "d", {"Ann_Lee": 2, "Bo": 1})
    (folder / "people.csv").write_bytes(content)
    with pytest.raises(DataError, match=why) as fault:
        opened(folder)
    assert "people.csv" in str(fault.value) and "\n" not in str(fault.value)
