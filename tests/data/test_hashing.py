from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.core.regular_files import Refused
from bench.data import hashing
from bench.data.files import DataFolder
from bench.data.hashing import Hashes, hash_files
from tests.calls import count_calls

ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, count: int) -> list[str]:
    """Write files that were changed long enough ago to be remembered."""
    folder.mkdir()
    names = [f"{k}.bin" for k in range(count)]
    for name in names:
        (folder / name).write_bytes(name.encode() * 50)
    time.sleep(0.12)
    return names


def wanted(folder: Path, names: list[str]) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names whose bytes are read."""
    seen: list[str] = []
    real = hashing._hash_one

    def noted(folder: DataFolder, name: str) -> str | Refused:
        seen.append(name)
        return real(folder, name)

    monkeypatch.setattr(hashing, "_hash_one", noted)
    return seen


def test_second_call_reads_nothing(tmp_path: Path, hashed: list[str]) -> None:
    names = make(tmp_path / "data", 300)
    first = hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache")
    assert first.found == wanted(tmp_path / "data", names)
    assert sorted(hashed) == sorted(names)
    hashed.clear()
    assert hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache") == first
    assert hash_files(DataFolder(tmp_path / "data"), names[::-7], tmp_path / "cache").found == {
        name: first.found[name] for name in names[::-7]
    }
    assert hashed == []


def test_a_changed_file_is_noticed(tmp_path: Path, hashed: list[str]) -> None:
    names = make(tmp_path / "data", 5)
    hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache")
    hashed.clear()
    changed = tmp_path / "data" / "3.bin"
    before = changed.stat()
    changed.write_bytes(changed.read_bytes()[::-1])
    os.utime(changed, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changed.stat().st_size == before.st_size
    assert hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache").found == wanted(
        tmp_path / "data", names
    )
    assert hashed == ["3.bin"]


def test_a_file_changed_a_moment_ago_is_not_remembered(
    tmp_path: Path, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = make(tmp_path / "data", 2)
    monkeypatch.setattr(hashing, "_SETTLED_NS", 10**15)
    hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache")
    hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache")
    assert len(hashed) == 4


def test_refusals_do_not_stop_the_others(tmp_path: Path) -> None:
    names = make(tmp_path / "data", 2)
    os.mkfifo(tmp_path / "data" / "pipe")
    (tmp_path / "data" / "out").symlink_to("/etc/passwd")
    (tmp_path / "data" / "up").symlink_to("/etc")
    got = hash_files(
        DataFolder(tmp_path / "data"),
        [*names, "pipe", "out", "none", "up/passwd", "../x"],
        tmp_path / "cache",
    )
    assert list(got.found) == names
    assert {name: why.code for name, why in got.refused.items()} == {
        "pipe": "not_a_file",
        "out": "outside",
        "none": "no_file",
        "up/passwd": "outside",
        "../x": "outside",
    }


def test_odd_times_and_names(tmp_path: Path) -> None:
    names = make(tmp_path / "data", 1)
    for name in ("new\nline", "b\udcff", "ünï"):
        (tmp_path / "data" / name).write_bytes(name.encode("utf-8", "surrogateescape"))
        names.append(name)
    os.utime(tmp_path / "data" / "0.bin", ns=(0, 2**63 + 10**9))
    time.sleep(0.12)
    for _ in range(2):
        assert hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache").found == wanted(
            tmp_path / "data", names
        )


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "folder"])
def test_a_damaged_cache_is_rebuilt(tmp_path: Path, damage: str) -> None:
    names = make(tmp_path / "data", 4)
    first = hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache")
    (file,) = (tmp_path / "cache" / "hashes").iterdir()
    raw = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        flipped = raw[:200] + bytes([raw[200] ^ 1]) + raw[201:]
        file.write_bytes({"empty": b"", "cut": raw[:-3], "flipped": flipped, "text": b"{}" * 40}[damage])
    assert hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache") == first
    if damage != "folder":
        assert file.read_bytes() == raw


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    names = make(tmp_path / "data", 3)
    (tmp_path / "cache").write_text("a file in its place")
    assert hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache").found == wanted(
        tmp_path / "data", names
    )


def test_no_files_at_all(tmp_path: Path) -> None:
    assert hash_files(DataFolder(tmp_path), [], tmp_path / "cache") == Hashes({}, {})


def test_processes_at_once_leave_a_whole_cache(tmp_path: Path, hashed: list[str]) -> None:
    names = make(tmp_path / "data", 400)
    script = (
        "import sys; from pathlib import Path; from bench.data.hashing import hash_files\n"
        "from bench.data.files import DataFolder\n"
        "root, cache = map(Path, sys.argv[1:]); names = [f'{k}.bin' for k in range(400)]\n"
        "print(len(hash_files(DataFolder(root), names, cache).found))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "data"), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)]
    assert [process.communicate()[0].strip() for process in running] == ["400"] * 3
    assert len(list((tmp_path / "cache" / "hashes").iterdir())) == 1
    hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache")
    assert hashed == []


def test_asking_again_costs_little_more_than_asking_the_disk(tmp_path: Path, hashed: list[str]) -> None:
    """80 ms for 10,000 files on a quiet machine: some eight calls each, and no byte is read."""
    names = make(tmp_path / "data", 500)
    hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache")
    hashed.clear()
    calls = count_calls(lambda: hash_files(DataFolder(tmp_path / "data"), names, tmp_path / "cache"))
    assert hashed == [] and calls < 12 * len(names)
