from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from bench.core import regular_files
from bench.core.regular_files import Refused
from bench.data.files import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "images" / "1.jpg").write_bytes(b"one")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    return root


def kind(root: Path, name: str) -> str:
    with pytest.raises(Refused) as caught:
        DataFolder(root).read(name)
    return caught.value.code


def test_reads_a_plain_file_and_a_link_that_stays_inside(folder: Path) -> None:
    (folder / "images" / "2.jpg").symlink_to("1.jpg")
    (folder / "more").symlink_to("images")
    for name in ("images/1.jpg", "images/2.jpg", "more/1.jpg"):
        assert DataFolder(folder).read(name) == b"one"


def test_the_folder_itself_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert DataFolder(tmp_path / "link").read("images/1.jpg") == b"one"


def test_nothing_outside_is_read(folder: Path, tmp_path: Path) -> None:
    (folder / "images" / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "images" / "up.jpg").symlink_to("../../secret.jpg")
    (folder / "away").symlink_to(tmp_path)
    (tmp_path / "data-too").mkdir()
    (tmp_path / "data-too" / "x.jpg").write_bytes(b"beside")
    (folder / "beside").symlink_to(tmp_path / "data-too")
    (tmp_path / "data-too" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "data-too" / "deep" / "er" / "x.jpg").write_bytes(b"beside")
    names = ("../secret.jpg", "images/../../secret.jpg", str(tmp_path / "secret.jpg"), "/etc/passwd", "..")
    links = ("images/out.jpg", "images/up.jpg", "away/secret.jpg", "beside/x.jpg", "beside/deep/er/x.jpg")
    for name in (*names, *links):
        assert kind(folder, name) == "outside", name


def test_what_is_no_file_is_refused_without_waiting(folder: Path) -> None:
    os.mkfifo(folder / "images" / "pipe.jpg")
    (folder / "images" / "5.jpg").mkdir()
    (folder / "images" / "link.jpg").symlink_to("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as plug:
        here = Path.cwd()
        os.chdir(folder / "images")  # the path of a socket must be short
        try:
            plug.bind("plug.jpg")
        finally:
            os.chdir(here)
    for name in ("pipe.jpg", "5.jpg", "link.jpg", "plug.jpg"):
        assert kind(folder, f"images/{name}") == "not_a_file", name


def test_a_link_to_a_device_is_refused(folder: Path) -> None:
    (folder / "images" / "zero.jpg").symlink_to("/dev/zero")
    assert kind(folder, "images/zero.jpg") == "outside"
    assert kind(Path("/dev"), "zero") == "not_a_file"


def test_missing_looping_and_impossible_names(folder: Path) -> None:
    (folder / "images" / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "images" / "loop.jpg").symlink_to("loop.jpg")
    assert kind(folder, "images/none.jpg") == "no_file"
    assert kind(folder, "images/gone.jpg") == "no_file"
    assert kind(folder, "images/loop.jpg") == "outside"
    assert kind(folder, "images/nul\0.jpg") == "unreadable"
    assert kind(folder, "images/" + "x" * 300) == "unreadable"


def test_permission_denied_is_a_refusal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(Refused, match="Permission denied") as caught:
        DataFolder(folder).read("images/1.jpg")
    assert caught.value.code == "unreadable"


def test_too_large_a_file_is_refused_by_its_status(folder: Path) -> None:
    with (folder / "images" / "big.jpg").open("wb") as file:
        file.truncate(regular_files.MAX_FILE_BYTES + 1)
    assert kind(folder, "images/big.jpg") == "too_large"
