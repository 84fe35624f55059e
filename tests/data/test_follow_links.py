"""`--follow-links`: photos and folders that are links out of the data folder, read and checked like any."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.core.errors import DataError
from bench.core.regular_files import Refused
from bench.data.examples import Examples, ImageError
from bench.data.files import DataFolder
from bench.data.sources import SOURCES, open_source
from tests.data.folders import encoded, picture, png_header_only
from tests.data.layouts import as_csv, as_folders, shots


@pytest.fixture(params=sorted(SOURCES))
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def write(source: str, folder: Path) -> None:
    """Write a data folder of the source."""
    if SOURCES[source].sample:
        SOURCES[source].write(SOURCES[source].draw("tiny"), folder)
    elif source == "folders":
        as_folders(folder, shots(4))
    else:
        as_csv(folder, shots(4))


def linked(folder: Path, elsewhere: Path) -> None:
    """Move every folder of a data folder elsewhere, and leave links."""
    elsewhere.mkdir()
    for inner in [path for path in folder.iterdir() if path.is_dir()]:
        inner.rename(elsewhere / inner.name)
        inner.symlink_to(elsewhere / inner.name)


def opened(source: str, folder: Path, follow_links: bool) -> Examples:
    return open_source(source, folder, "tiny", folder.parent / "cache", (), follow_links)


def test_links_out_of_the_folder_are_followed_only_when_asked(source: str, tmp_path: Path) -> None:
    """What is read is then what it would be without links, its fingerprint above all."""
    write(source, tmp_path / "data")
    plain = opened(source, tmp_path / "data", False)
    pixels = plain.images.read(3).tobytes()
    linked(tmp_path / "data", tmp_path / "elsewhere")
    with pytest.raises(DataError):
        opened(source, tmp_path / "data", False)
    got = opened(source, tmp_path / "data", True)
    assert (got.items, got.fingerprint, got.problems) == (plain.items, plain.fingerprint, plain.problems)
    assert got.images.read(3).tobytes() == pixels


def test_single_photos_may_be_links(tmp_path: Path) -> None:
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), tmp_path / "data")
    plain = opened("kaggle-fashion", tmp_path / "data", False)
    photo = tmp_path / "data" / "images" / f"{plain.items[0]}.jpg"
    photo.rename(tmp_path / "away.jpg")
    photo.symlink_to(tmp_path / "away.jpg")
    got = opened("kaggle-fashion", tmp_path / "data", False)
    assert got.items == plain.items[1:]
    assert "--follow-links" in next(problem.why for problem in got.problems if problem.code == "outside")
    assert opened("kaggle-fashion", tmp_path / "data", True).fingerprint == plain.fingerprint


def test_what_a_link_leads_to_is_checked_like_any_file(tmp_path: Path) -> None:
    """Pipes, devices, huge files, loops and folders; names that climb out by themselves stay refused."""
    (tmp_path / "data").mkdir()
    away = tmp_path / "away"
    away.mkdir()
    (tmp_path / "data" / "images").symlink_to(away)
    os.mkfifo(away / "pipe.jpg")
    (away / "zero.jpg").symlink_to("/dev/zero")
    (away / "folder.jpg").mkdir()
    (away / "loop.jpg").symlink_to("loop.jpg")
    (away / "gone.jpg").symlink_to("nowhere")
    with (away / "huge.jpg").open("wb") as file:
        file.truncate(2**30)
    (away / "fine.jpg").write_bytes(b"fine")
    folder = DataFolder(tmp_path / "data", follow_links=True)
    assert folder.read("images/fine.jpg") == b"fine"
    refused = {
        "images/pipe.jpg": "not_a_file",
        "images/zero.jpg": "not_a_file",
        "images/folder.jpg": "not_a_file",
        "images/loop.jpg": "outside",
        "images/gone.jpg": "no_file",
        "images/huge.jpg": "too_large",
        "images/../../away/fine.jpg": "outside",
        "../away/fine.jpg": "outside",
        str(away / "fine.jpg"): "outside",
    }
    for name, kind in refused.items():
        with pytest.raises(Refused) as caught:
            folder.read(name)
        assert caught.value.code == kind, name


def test_a_bomb_behind_a_link_is_refused_by_its_header(tmp_path: Path) -> None:
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), tmp_path / "data")
    linked(tmp_path / "data", tmp_path / "elsewhere")
    photo = sorted((tmp_path / "elsewhere" / "images").iterdir())[0]
    photo.write_bytes(png_header_only(60_000, 60_000))
    got = opened("kaggle-fashion", tmp_path / "data", True)
    with pytest.raises(ImageError, match="too many pixels"):
        got.images.read(got.items.index(photo.stem))


def test_a_link_that_is_turned_elsewhere_while_the_data_is_in_use_is_noticed(tmp_path: Path) -> None:
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), tmp_path / "data")
    linked(tmp_path / "data", tmp_path / "elsewhere")
    got = opened("kaggle-fashion", tmp_path / "data", True)
    other = tmp_path / "other"
    other.mkdir()
    for item in got.items:
        (other / f"{item}.jpg").write_bytes(encoded(picture(int(item))))
    (tmp_path / "data" / "images").unlink()
    (tmp_path / "data" / "images").symlink_to(other)
    with pytest.raises(DataError, match="changed while it was in use"):
        got.images.read(0)
