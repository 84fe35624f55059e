"""What goes when a cache is pruned, what stays, and what a look at everything finds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bench.core.array_files import write_arrays
from bench.core.errors import BenchError, StoreError
from bench.core.locks import InUse
from bench.data.files import DataFolder
from bench.data.hashing import hash_files
from bench.data.pixels import ensure_pixels
from bench.runs.cache_entries import Entry, find_entries
from bench.runs.cache_upkeep import parse_age, parse_size, prune, verify
from tests.data.test_pixels import made

NOW = time.time()
DAY = 86400.0
PART, TEMPORARY = f"lenet-{'01' * 8}.part", f".{'ab' * 8}.bin-12.bin"
ROOT = Path(__file__).resolve().parents[2]


def _use(entry: Entry, days: float) -> None:
    """Let an entry have been used so many days ago."""
    files = [entry.path] if entry.path.is_file() else list(entry.path.iterdir())
    for file in files:
        os.utime(file, (NOW - days * DAY,) * 2)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with three kinds of entries, used 1 to 4 days ago."""
    place, data = tmp_path / "cache", tmp_path / "data"
    for name in "abc":
        ensure_pixels(made(10, fingerprint=name)[0], (12, 10), "squash", place)
    data.mkdir()
    (data / "x").write_bytes(b"x")
    time.sleep(0.12)
    hash_files(DataFolder(data), ["x"], place)
    for days, entry in enumerate(find_entries(place), 1):
        _use(entry, days)
    return place


def _names(cache: Path) -> list[str]:
    return [entry.path.name for entry in find_entries(cache)]


def test_what_was_used_longest_ago_goes_first(cache: Path) -> None:
    before = find_entries(cache)
    assert [round((NOW - entry.used) / DAY) for entry in before] == [4, 3, 2, 1]
    room = before[2].size + before[3].size
    done = prune(before, room, None)
    assert list(done.removed) == before[:2] and done.stays == room and not done.in_use
    assert _names(cache) == [entry.path.name for entry in before[2:]]


def test_what_is_older_goes_whatever_its_size(cache: Path) -> None:
    before = find_entries(cache)
    assert prune(before, 10**9, NOW - 2.5 * DAY).removed == before[:2]
    assert _names(cache) == [entry.path.name for entry in before[2:]]


def test_both_limits_hold(cache: Path) -> None:
    before = find_entries(cache)
    assert prune(before, before[3].size, NOW - 3.5 * DAY).removed == before[:3]


def test_a_dry_run_removes_nothing(cache: Path) -> None:
    before = find_entries(cache)
    assert prune(before, 0, None, dry_run=True).removed == before
    assert find_entries(cache) == before


def test_what_is_used_anew_is_the_last_to_go(cache: Path) -> None:
    key = ensure_pixels(made(10, fingerprint="b")[0], (12, 10), "squash", cache).key
    assert _names(cache)[-1] == key
    prune(find_entries(cache), 0, NOW - 0.5 * DAY, dry_run=True)
    assert _names(cache)[-1] == key
    assert [entry.path.name for entry in prune(find_entries(cache), 1, None).removed][-1] == key


def test_what_is_open_here_stays(cache: Path) -> None:
    open_ = ensure_pixels(made(10, fingerprint="a")[0], (12, 10), "squash", cache)
    done = prune(find_entries(cache), 0, None)
    assert [entry.path.name for entry in done.in_use] == [open_.key] == _names(cache)
    del open_
    assert len(prune(find_entries(cache), 0, None).removed) == 1 and not _names(cache)


@contextmanager
def _elsewhere(code: str, cache: Path) -> Iterator[None]:
    """Run code with this module's names and `cache` in another process until it waits for input."""
    head = "import sys; from tests.runs.test_cache_upkeep import *; cache = Path(sys.argv[1])\n"
    command = [sys.executable, "-c", f"{head}{code}\nprint('ready', flush=True); input()", str(cache)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        yield
        process.kill()


@pytest.mark.parametrize(
    "code",
    [
        "held = ensure_pixels(made(10, fingerprint='a')[0], (12, 10), 'squash', cache)",
        "from bench.core.locks import *\n"
        "held = [take_lock(lock_of(e.path), print) for e in find_entries(cache)]",
    ],
    ids=["reads", "builds"],
)
def test_what_another_process_uses_stays(cache: Path, code: str) -> None:
    ours = {entry.path.name for entry in find_entries(cache)}
    mine = ensure_pixels(made(10, fingerprint="a")[0], (12, 10), "squash", cache).key
    with _elsewhere(code, cache):
        done = prune(find_entries(cache), 0, None)
        stay = {entry.path.name for entry in done.in_use}
        assert mine in stay and set(_names(cache)) == stay <= ours
    # The process was killed: its locks went with it.
    prune(find_entries(cache), 0, None)
    assert not _names(cache)


def test_checkpoints_stay_while_any_net_is_trained(cache: Path) -> None:
    write_arrays(cache / "checkpoints" / f"{'ab' * 32}.npz", {"a": np.zeros(3)}, make_folder=True)
    held = InUse(cache / "checkpoints")
    assert [entry.contents for entry in prune(find_entries(cache), 0, None).in_use] == ["checkpoints"]
    del held
    assert len(prune(find_entries(cache), 0, None).removed) == 1


def test_unfinished_work_and_leftovers_are_listed_and_go(cache: Path) -> None:
    (cache / "features" / PART).mkdir(parents=True)
    (cache / "features" / PART / "features.npy").write_bytes(b"x" * 100)
    (cache / "hashes" / TEMPORARY).write_bytes(b"x")
    states = {entry.path.name: entry.state for entry in find_entries(cache)}
    assert states[PART] == states[TEMPORARY] == "unfinished"
    prune(find_entries(cache), 0, None)
    assert not _names(cache) and not list(cache.glob("*/*.part*"))


def test_links_and_the_files_of_others_are_left_alone(cache: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "pixels.u8").write_bytes(b"x")
    (cache / "pixels" / "link").symlink_to(theirs)
    (cache / "notes.txt").write_text("mine")
    (cache / "hashes" / "list.txt").write_text("mine")
    (cache / "pixels" / "holiday").mkdir()
    (cache / "pixels" / "holiday" / "pixels.u8").write_bytes(b"x")
    (cache / "checkpoints").mkdir()
    (cache / "checkpoints" / "mine.npz").write_bytes(b"x")
    (cache / "other").mkdir()
    (cache / "other" / "pixels.u8").write_bytes(b"x")
    prune(find_entries(cache), 0, None)
    assert (theirs / "pixels.u8").exists() and (cache / "pixels" / "link").is_symlink()
    assert (cache / "notes.txt").exists() and (cache / "other" / "pixels.u8").exists()
    assert (cache / "hashes" / "list.txt").exists() and (cache / "checkpoints" / "mine.npz").exists()
    assert (cache / "pixels" / "holiday" / "pixels.u8").exists()


def test_what_cannot_be_removed_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(StoreError, match=r"cannot be removed \(Permission denied\)"):
        prune(find_entries(cache), 0, None)


def test_verify_finds_what_is_damaged_and_nothing_else(cache: Path) -> None:
    assert [verify(entry, lambda _: None) for entry in find_entries(cache)] == [""] * 4
    for entry in find_entries(cache):
        file = entry.path / "pixels.u8" if entry.path.is_dir() else entry.path
        raw = bytearray(file.read_bytes())
        raw[len(raw) // 2] ^= 4
        file.write_bytes(raw)
    found = {entry.contents: verify(entry, lambda _: None) for entry in find_entries(cache)}
    assert "does not match its digest" in found["pixels"] and "does not match" in found["hashes"]


def test_a_folder_under_anothers_name_is_damaged(cache: Path) -> None:
    first, second = [entry for entry in find_entries(cache) if entry.contents == "pixels"][:2]
    first.path.rename(cache / "aside")
    second.path.rename(first.path)
    (cache / "aside").rename(second.path)
    assert "under another name" in verify(first, lambda _: None)
    assert "under another name" in verify(second, lambda _: None)


@pytest.mark.parametrize(
    "text", ["", "20", "GB", "-1GB", "20 XB", "1e3GB", "nanGB", "20GB5", "9" * 400 + "GB", "٣GB"]
)
def test_a_wrong_size_is_one_line(text: str) -> None:
    with pytest.raises(BenchError, match="write a number and a unit") as caught:
        parse_size(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 days", "1e3d", "infd", "30y", "9" * 400 + "d"])
def test_a_wrong_age_is_one_line(text: str) -> None:
    with pytest.raises(BenchError, match="write hours, days or weeks") as caught:
        parse_age(text)
    assert "\n" not in str(caught.value)


def test_sizes_and_ages() -> None:
    assert [parse_size(text) for text in ("0B", "500mb", " 1.5 GiB ", "2TB")] == [
        0, 500_000_000, 3 * 2**29, 2 * 10**12
    ]  # fmt: skip
    assert [parse_age(text) for text in ("12h", "1.5d", "4w")] == [43200.0, 129600.0, 28 * DAY]


@pytest.fixture
def near(tmp_path: Path) -> Path:
    """A cache with near duplicates, a file of them that was not finished, and what two libraries keep."""
    from bench.data.near_duplicate_cache import ensure_near_duplicates

    place = tmp_path / "cache"
    ensure_near_duplicates(made(10)[0], place)
    (place / "near_duplicates" / f".{'cd' * 8}.bin-34.bin").write_bytes(b"half")
    for name in ("keras/keras.json", "matplotlib/fontlist.json"):
        (place / "libraries" / name).parent.mkdir(parents=True)
        (place / "libraries" / name).write_bytes(b"{}")
    (place / "libraries" / "somebody-elses").mkdir()
    return place


def test_near_duplicates_and_what_libraries_keep_are_listed_verified_and_pruned(near: Path) -> None:
    entries = {(entry.contents, entry.path.name): entry for entry in find_entries(near)}
    [(key, whole)] = [
        (k, e) for k, e in entries.items() if e.contents == "near_duplicates" and e.state == "whole"
    ]
    kept = {key[1] for key, entry in entries.items() if entry.contents == "libraries"}
    assert kept == {"keras", "matplotlib"} and whole.size >= 32
    assert [e.state for e in entries.values() if e.path.name.startswith(".")] == ["unfinished"]
    assert {verify(entry, lambda _: None) for entry in entries.values()} == {""}
    whole.path.write_bytes(b"x" + whole.path.read_bytes()[1:])
    assert verify(whole, lambda _: None) == f"{key[1]} does not match its digest"
    prune(find_entries(near), 0, None)
    assert not find_entries(near) and (near / "libraries" / "somebody-elses").is_dir()


@pytest.mark.parametrize("kind", ["near_duplicates", "hashes"])
def test_a_pipe_in_the_cache_is_not_waited_for(kind: str, tmp_path: Path) -> None:
    from bench.data.cache.sealed import Damaged
    from bench.data.hashing import read_hashes
    from bench.data.near_duplicate_cache import read_near_duplicates

    path = tmp_path / f"{'ab' * 8}.bin"
    os.mkfifo(path)
    with pytest.raises(Damaged, match="a pipe, not a file"):
        (read_near_duplicates if kind == "near_duplicates" else read_hashes)(path)
