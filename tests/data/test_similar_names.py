"""Classes that differ only in writing: named, and left as they are."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from bench.commands.main import cli
from bench.data.similar_names import similar_names
from bench.data.survey import DataQuery, survey
from tests.data.folders import encoded, picture
from tests.data.layouts import put


def test_names_that_differ_in_more_than_writing_stay_apart() -> None:
    assert similar_names(["c++", "c#", "1", "10", "a b", "ab c", "shoe", "shoes"]) == []
    assert similar_names(["caf\u00e9", "Tops", "cafe\u0301", "tops ", "cafe"]) == [
        ("caf\u00e9", "cafe\u0301"),
        ("Tops", "tops "),
    ]


def test_the_check_and_the_survey_name_them(tmp_path: Path) -> None:
    names = ["Cat", "Cat", "cat", "dog"]
    for number, label in enumerate(names):
        put(tmp_path / "folders" / label / f"{number}.png", encoded(picture(number), "PNG"))
        put(tmp_path / "table" / f"{number}.png", encoded(picture(number), "PNG"))
    rows = [f"{number}.png,{label}" for number, label in enumerate(names)]
    (tmp_path / "table" / "t.csv").write_text("\n".join(["image,label", *rows]))
    note = "classes that differ only in writing are different classes here: 'Cat' and 'cat'"
    for folder in ("folders", "table"):
        assert note in survey(DataQuery(tmp_path / folder)).notes
    done = CliRunner().invoke(
        cli, ["data", "check", "--data", str(tmp_path / "folders"), "--cache", str(tmp_path / "c")]
    )
    assert "written like 'Cat'" in done.stdout and done.stdout.count("written like") == 1, done.output
