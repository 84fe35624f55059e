"""What `bench data check` and `describe` say of people: few rows, whatever their number."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.data.label_table import ClassCount
from bench.kinds.verification.people import images_table, people_figures
from tests.data.people_folders import list_text, people_folder


def bench(*args: object) -> Any:
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


FIRST = {"what": "figures", "images": "people", "file": "lists", "where": "problems", "width": "sizes"}
"""What a table is, by a column that it alone has."""


def tables(result: Any) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for rows in json.loads(result.stdout):
        titles = [FIRST[key] for key in ("file", "where", "width", "what", "images") if key in rows[0]]
        found[titles[0] if titles else "other"] = rows
    return found


def test_people_are_counted_by_hand() -> None:
    people = [ClassCount("a", 3, 0), ClassCount("b", 0, 1), ClassCount("c", 2, 1), ClassCount("d", 0, 30)]
    figures = dict(people_figures(people))
    assert figures == {
        "people": 4,
        "people with one image (in different pairs only)": 1,
        "people in train": 2,
        "people in test": 3,
        "people in train and in test": 1,
        "images of the median person": 3,
        "images of the largest person": 30,
        "possible pairs of one person in train": 3 + 1,
        "possible pairs of two people in train": 3 * 2,
        "possible pairs of one person in test": 30 * 29 // 2,
        "possible pairs of two people in test": 1 + 30 + 30,
    }
    assert [tuple(row.values()) for row in images_table(people).rows] == [
        ("1", 1, 0, 1),
        ("3", 2, 2, 1),
        ("more than 20", 1, 0, 1),
    ]
    assert people_figures([])[0] == ("people", 0) and not images_table([]).rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven listed people, one in no list, a different pair of identical files, a view that is broken."""
    folder = people_folder(tmp_path / "d", {**{f"P{k}": 2 for k in range(6)}, "Stranger": 3, "Single": 1})
    people = folder / "lfw"
    (people / "P1" / "P1_0002.jpg").write_bytes((people / "P0" / "P0_0002.jpg").read_bytes())
    same = [(f"P{k}", 1, 2) for k in range(4)]
    different = [("P0", 2, "P1", 2), ("P2", 1, "P3", 1), ("P0", 1, "P1", 1), ("P2", 2, "Single", 1)]
    (folder / "pairsDevTrain.txt").write_text(list_text(same, different))
    (folder / "pairsDevTest.txt").write_text(list_text([("P4", 1, 2)], [("P4", 1, "P5", 2)]))
    (folder / "pairs.txt").write_text("2 1\nP0 1 2\nP0 1 P9 2\nP2 1 2\nP2 1 P3 2\n")
    return folder


def test_check_tells_people_lists_and_what_is_wrong(folder: Path) -> None:
    result = bench("data", "check", "--task", "faces", "--data", folder, "--format", "json")
    assert result.return_value == 4, "a list cannot be used"
    found = tables(result)
    figures = {row["what"]: row["count"] for row in found["figures"]}
    assert figures["images that decode"] == 16 and figures["of these of people in no list (not used)"] == 3
    assert (figures["train"], figures["test"]) == (9, 4)
    assert figures["people"] == 7 and figures["people in train and in test"] == 0
    assert figures["of these pictures, with different labels"] == 1
    assert found["lists"] == [
        {"file": "pairsDevTrain.txt", "pairs": 8, "same": 4, "folds": 1, "people": 5, "images": 9},
        {"file": "pairsDevTest.txt", "pairs": 2, "same": 1, "folds": 1, "people": 2, "images": 3},
    ]
    assert not any("class" in row for rows in found.values() for row in rows)
    assert sorted((row["kind"], row["where"]) for row in found["problems"]) == [
        ("identical_different", "pairsDevTrain.txt line 6"),
        ("pair_list", "pairs.txt line 3"),
    ]


def test_check_of_a_view_that_cannot_be_used_still_counts(folder: Path) -> None:
    args = ("data", "check", "--task", "faces", "--data", folder, "--format", "json", "--set", "pairs=view2")
    result = bench(*args)
    assert result.return_value == 4 and "pairs.txt line 3 names the unknown person 'P9'" in result.stderr
    figures = {row["what"]: row["count"] for row in tables(result)["figures"]}
    assert figures["train"] == 16 and figures["test"] == 0


def test_describe_and_its_page(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    args = ("data", "describe", "--task", "faces", "--data", folder, "--format", "json", "--out", out)
    result = bench(*args)
    assert result.exit_code == 0, result.output
    found = tables(result)
    figures = {row["what"]: row["count"] for row in found["figures"]}
    assert figures["of these of people on either side"] == 13 and figures["of these in train"] == 9
    assert [row["people"] for row in found["people"]] == [1, 6] and len(found["lists"]) == 2
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "Bar chart of 7 people by how many images they have" in page and "Listed pairs" in page


def test_a_drawn_sample_is_checked_and_written_and_checked_again(tmp_path: Path) -> None:
    drawn = bench("data", "check", "--task", "faces", "--sample", "tiny", "--format", "json")
    assert drawn.exit_code == 0 and not drawn.return_value, drawn.output
    assert bench("data", "draw", "--task", "faces", "--out", tmp_path / "d").exit_code == 0
    read = bench("data", "check", "--task", "faces", "--data", tmp_path / "d", "--format", "json")
    assert not read.return_value
    for title in ("figures", "people", "sizes"):
        assert tables(drawn)[title] == tables(read)[title]


@pytest.mark.slow
def test_three_thousand_people_are_a_short_table(real_data: Callable[[str], Path]) -> None:
    result = bench("data", "check", "--task", "faces", "--data", real_data("faces"))
    assert not result.return_value and len(result.stdout.splitlines()) < 60
    assert "people in train and in test" in result.stdout
