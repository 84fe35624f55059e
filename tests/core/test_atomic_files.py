"""Files replaced whole: what is on the disk when, and what an error leaves."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bench.core import atomic_files
from bench.core.atomic_files import replacing


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Return the files that are synced and replaced, in order."""
    found: list[tuple[str, Path]] = []
    replace = os.replace

    def replaced(old: Path, new: Path) -> None:
        found.append(("replace", new))
        replace(old, new)

    monkeypatch.setattr(atomic_files, "sync", lambda path: found.append(("sync", path)))
    monkeypatch.setattr("os.replace", replaced)
    return found


def test_a_durable_file_is_on_the_disk_before_it_gets_its_name_and_its_folder_after(
    tmp_path: Path, steps: list[tuple[str, Path]]
) -> None:
    path = tmp_path / "x.json"
    with replacing(path, durable=True) as fresh:
        fresh.write_text("new")
        assert not steps
    assert steps == [("sync", fresh), ("replace", path), ("sync", tmp_path)] and path.read_text() == "new"


def test_another_one_is_not_waited_for(tmp_path: Path, steps: list[tuple[str, Path]]) -> None:
    with replacing(tmp_path / "x.json"):
        pass
    assert steps == [("replace", tmp_path / "x.json")]


def test_the_new_file_is_there_empty_and_hidden_with_the_permissions_of_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    before = os.umask(0o027)
    try:
        with replacing(path) as fresh:
            assert fresh.read_bytes() == b"" and fresh.parent == tmp_path
            assert fresh.name.startswith(".x.json-") and fresh.suffix == ".json"
            assert stat.S_IMODE(fresh.stat().st_mode) == 0o640
    finally:
        os.umask(before)
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]


def test_a_name_that_is_taken_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / ".x.json-00.json").symlink_to(tmp_path / "mine")
    monkeypatch.setattr("secrets.token_hex", lambda length: "00")
    with pytest.raises(FileExistsError), replacing(tmp_path / "x.json"):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_an_error_leaves_the_older_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("old")
    with pytest.raises(KeyError), replacing(path) as fresh:
        fresh.write_text("new")
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
