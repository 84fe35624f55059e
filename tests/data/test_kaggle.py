from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import DataError
from bench.data.examples import Examples, ImageError
from bench.data.kaggle import open_kaggle
from tests.data.folders import HEADER, encoded, kaggle_folder, picture, row

NEEDED = ("articleType", "year")


def opened(folder: Path, needed: tuple[str, ...] = NEEDED) -> Examples:
    return open_kaggle(folder, folder.parent / "cache", needed)


def kinds(examples: Examples) -> Counter[tuple[str, bool]]:
    return Counter((problem.code, problem.fatal) for problem in examples.problems)


def test_a_clean_folder(tmp_path: Path) -> None:
    lines = [row("7", "Shirts"), row("3", "Tops", year=""), row("5", "Shirts", "2011")]
    got = opened(kaggle_folder(tmp_path / "d", lines, ["3", "5", "7"]))
    assert got.items == ("7", "3", "5")
    assert got.columns["articleType"] == ("Shirts", "Tops", "Shirts")
    assert got.columns["year"] == ("2012", "", "2011")
    assert set(got.columns) == set(HEADER.split(","))
    assert (got.source, got.problems) == ("kaggle-fashion", ())
    assert len(set(got.images.content_hashes())) == 3
    np.testing.assert_allclose(got.images.read(1).astype(int), picture(3), atol=120)


def test_every_faulty_row_is_left_out_and_named(tmp_path: Path) -> None:
    stray = row("2", title="Shirt, blue") + ", really"
    lines = [
        row("1"),
        stray,
        "3,Men",
        row("1", "Tops"),
        row("4"),
        row("5", kind="  "),
        row(""),
        row("../1"),
        row("/etc/passwd"),
        row("images/1"),
        row("6"),
    ]
    got = opened(kaggle_folder(tmp_path / "d", lines, ["1", "2", "3", "5", "6", "9"]))
    assert got.items == ("1", "6")
    assert got.columns["articleType"] == ("Shirts", "Shirts")
    assert kinds(got) == {
        ("stray_comma", True): 1,
        ("too_few_fields", True): 1,
        ("duplicate_id", True): 1,
        ("no_image", True): 1,
        ("empty_label", True): 1,
        ("empty_id", True): 1,
        ("outside", True): 3,
        ("no_row", False): 1,
    }
    where = {problem.code: problem.where for problem in got.problems}
    assert where["stray_comma"] == "styles.csv line 3"
    assert where["duplicate_id"] == "styles.csv line 5"
    assert where["no_row"] == "images/9.jpg"


def test_files_that_are_no_images_of_the_folder_are_left_out(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [row(item) for item in "123456"], ["1"])
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(encoded(picture()))
    images = folder / "images"
    (images / "2.jpg").symlink_to(secret)
    os.mkfifo(images / "3.jpg")
    (images / "4.jpg").mkdir()
    (images / "5.jpg").symlink_to("missing.jpg")
    (images / "6.jpg").symlink_to("1.jpg")
    got = opened(folder)
    assert got.items == ("1", "6")
    assert {problem.where: problem.code for problem in got.problems} == {
        "images/2.jpg": "outside",
        "images/3.jpg": "not_a_file",
        "images/4.jpg": "not_a_file",
        "images/5.jpg": "no_file",
    }
    assert len(set(got.images.content_hashes())) == 1


def test_an_unreadable_image_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1"), row("2")], ["1", "2"])
    real = os.open

    def guarded(path: str, *rest: int, **more: int) -> int:
        if str(path).endswith("2.jpg"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", guarded)
    got = opened(folder)
    assert got.items == ("1",)
    assert [(p.code, p.where, p.why) for p in got.problems] == [
        ("unreadable", "images/2.jpg", "Permission denied")
    ]


def test_odd_bytes_in_the_table(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [], ["1", "2", "3"])
    lines = [HEADER, row("1", "T\0shirt"), row("2", "Caf\xe9"), row("3", "<script>")]
    (folder / "styles.csv").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode("latin-1"))
    got = opened(folder)
    assert got.columns["articleType"] == ("T\ufffdshirt", "Caf\ufffd", "<script>")
    assert kinds(got) == {("control_character", False): 1, ("undecodable", False): 1}


def test_image_names_that_would_spoil_a_terminal_are_shown_safely(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1")], ["1"])
    for name in ("a\nb.jpg", "\x1b[2J.jpg", "bad\udcff.jpg", ".hidden"):
        (folder / "images" / name).write_bytes(b"")
    notes = [problem.where for problem in opened(folder).problems]
    assert sorted(notes) == sorted(["images/\ufffd[2J.jpg", "images/a\ufffdb.jpg", "images/bad\ufffd.jpg"])


def test_ids_that_look_odd_but_are_file_names(tmp_path: Path) -> None:
    names = ("a b", "..", "x" * 200, "ünï", "%2e%2e", "-rf")
    images = {f"{name}.jpg": encoded(picture()) for name in names}
    got = opened(kaggle_folder(tmp_path / "d", [row(name) for name in names], images))
    assert got.items == names
    assert got.images.read(1).shape == (12, 10, 3)


def test_fingerprint_holds_rows_and_bytes(tmp_path: Path) -> None:
    def fingerprint(name: str, lines: list[str], images: dict[str, bytes]) -> str:
        return opened(kaggle_folder(tmp_path / name / "d", lines, images)).fingerprint

    lines = [row("1"), row("2")]
    images = {"1.jpg": encoded(picture(1)), "2.jpg": encoded(picture(2))}
    same = fingerprint("a", lines, images)
    assert same == fingerprint("b", lines, images)
    assert same == fingerprint("c", [*lines, row("8")], images | {"9.jpg": b"no row"})
    others = [
        fingerprint("d", lines[::-1], images),
        fingerprint("e", [row("1", title="other"), row("2")], images),
        fingerprint("f", lines, images | {"2.jpg": encoded(picture(3))}),
        fingerprint("g", lines[:1], images),
    ]
    assert len({same, *others}) == 5


def test_an_image_that_changes_afterwards_is_an_error(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1"), row("2")], ["1", "2"])
    got = opened(folder)
    (folder / "images" / "1.jpg").write_bytes(encoded(picture(9)))
    (folder / "images" / "2.jpg").unlink()
    with pytest.raises(DataError, match="changed while it was in use"):
        got.images.read(0)
    with pytest.raises(ImageError, match="^no file"):
        got.images.read(1)


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    def complaint(folder: Path, needed: tuple[str, ...] = NEEDED) -> str:
        with pytest.raises(DataError) as caught:
            opened(folder, needed)
        text = str(caught.value)
        assert "\n" not in text
        return text

    assert "does not exist" in complaint(tmp_path / "none")
    assert "does not exist" in complaint(tmp_path / ("x" * 300))
    (tmp_path / "file").write_text("x")
    assert "not a folder" in complaint(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "styles.csv" in complaint(tmp_path / "empty")
    folder = kaggle_folder(tmp_path / "d", [row("1")], ["1"])
    assert "did you mean 'articleType'" in complaint(folder, ("articletype",))
    assert "no row of styles.csv can be used" in complaint(kaggle_folder(tmp_path / "e", [], ["1"]))
    lost = complaint(kaggle_folder(tmp_path / "f", [row("3")], ["1"]))
    assert "no row of styles.csv can be used" in lost
    assert "there is no images/3.jpg" in lost
    no_id = kaggle_folder(tmp_path / "g", ["1,Tops"], ["1"], header="nr,articleType")
    assert "no column 'id'" in complaint(no_id, ("articleType",))
    for image in (folder / "images").iterdir():
        image.unlink()
    (folder / "images").rmdir()
    assert "images: no such folder" in complaint(folder)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "1.jpg").write_bytes(encoded(picture()))
    (folder / "images").symlink_to(tmp_path / "elsewhere")
    assert "out of the data folder" in complaint(folder)


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1")], ["1"])

    def denied(path: str) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(DataError, match="cannot be listed \\(Permission denied\\)"):
        opened(folder)


def test_the_real_subset(
    real_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = real_data("fashion")
    got = open_kaggle(folder, tmp_path, NEEDED)
    assert len(got) == 9583
    assert got.problems == ()
    assert len(got) - len(set(got.images.content_hashes())) == 122
    assert sum(int(year) % 2 == 0 for year in got.columns["year"] if year) == 1869
    assert got.images.read(0).shape == (224, 224, 3)
    monkeypatch.setattr("bench.data.hashing._hash_one", _no_file_is_read)
    again = open_kaggle(folder, tmp_path, NEEDED)
    assert (again.fingerprint, again.items) == (got.fingerprint, got.items)


def _no_file_is_read(_: object, name: str) -> str:
    raise AssertionError(f"{name} is hashed a second time")


def test_opening_loads_nothing_heavy(tmp_path: Path) -> None:
    folder = kaggle_folder(tmp_path / "d", [row("1")], ["1"])
    script = (
        "import sys; from pathlib import Path; from bench.data.sources import open_source\n"
        "open_source('kaggle-fashion', Path(sys.argv[1]), 'tiny', Path(sys.argv[2]), ('articleType',))\n"
        "print([name for name in ('numpy', 'PIL', 'pandas', 'tensorflow') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[2])
    assert done.stdout.strip() == "[]", done.stderr
