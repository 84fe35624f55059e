"""Folders written so that no kill and no power cut leaves half of one, with permissions by the umask."""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.core import atomic_folders as durable
from bench.core.errors import StoreError
from bench.store.write import SCRATCH, Store
from tests.core.test_cell import CELL
from tests.store.test_write import HISTORY, some_predictions, some_result


class Model:
    """A model that is kept: any file of its name."""

    def save(self, folder: Path) -> Path:
        path = folder / "model.npz"
        path.write_bytes(b"numbers")
        return path


@pytest.mark.parametrize(
    ("mask", "folder", "file"), [(0o022, 0o755, 0o644), (0o077, 0o700, 0o600), (0o002, 0o775, 0o664)]
)
def test_a_cell_has_the_permissions_that_the_umask_leaves(
    tmp_path: Path, mask: int, folder: int, file: int
) -> None:
    before = os.umask(mask)
    try:
        cell = Store(tmp_path / "r").commit(some_result(history=HISTORY), {"test": some_predictions()})
    finally:
        os.umask(before)
    assert stat.S_IMODE(cell.stat().st_mode) == folder == stat.S_IMODE(cell.parent.stat().st_mode)
    assert {stat.S_IMODE(path.stat().st_mode) for path in cell.iterdir()} == {file}


def test_every_file_and_folder_is_on_the_disk_before_the_cell_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[tuple[str, str]] = []
    fsync, rename, exchange = os.fsync, os.rename, durable.exchange

    def synced(handle: int) -> None:
        steps.append(("sync", os.readlink(f"/proc/self/fd/{handle}")))
        fsync(handle)

    def renamed(one: Any, other: Any) -> None:
        rename(one, other)
        steps.append(("name", str(other)))

    def exchanged(one: Path, other: Path) -> bool:
        done = exchange(one, other)
        steps.append(("name", str(other)))
        return done

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    monkeypatch.setattr(durable, "exchange", exchanged)
    for again in (False, True):
        steps.clear()
        cell = Store(tmp_path).commit(some_result(history=HISTORY), {"test": some_predictions()}, Model())
        named = steps.index(("name", str(cell)))
        before = [path for what, path in steps[:named] if what == "sync"]
        (work,) = {path for path in before if Path(path).name.startswith(SCRATCH)}
        assert {Path(path).name for path in before if Path(path).parent == Path(work)} == {
            path.name for path in cell.iterdir()
        }
        assert before[-1] == work and ("sync", str(cell.parent)) in steps[named:]
        # The folders above are new the first time.
        above = {str(path) for path in (tmp_path, tmp_path / "fashion", cell.parent.parent)}
        assert again or above <= set(before)


def test_an_exchange_leaves_no_moment_without_the_folder(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not durable.exchange(tmp_path / "new", tmp_path / "old"):
        pytest.skip("names cannot be exchanged here")
    assert (tmp_path / "old" / "new").exists() and (tmp_path / "new" / "old").exists()
    with pytest.raises(FileNotFoundError):
        durable.exchange(tmp_path / "gone", tmp_path / "old")


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(os, "pidfd_open"), reason="Linux of today")
def test_linux_has_the_call_that_exchanges_names() -> None:
    assert durable._renameat2() is not None


@pytest.mark.parametrize("code", [38, 22, 95])
def test_where_names_cannot_be_exchanged_the_cell_is_replaced_in_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: Any) -> int:
        import ctypes

        ctypes.set_errno(code)
        return -1

    monkeypatch.setattr(durable, "_renameat2", lambda: refuse)
    store = Store(tmp_path)
    store.commit(some_result(), {"test": some_predictions()})
    folder = store.commit(some_result(command="again"), {"test": some_predictions()})
    stored = store.find(CELL)
    assert stored is not None and stored.record["command"] == "again"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_second_step_that_fails_puts_the_cell_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.commit(some_result(), {"test": some_predictions()})
    rename, calls = os.rename, []

    def full(one: Any, other: Any) -> None:
        calls.append(one)
        if len(calls) == 3:
            raise OSError(28, os.strerror(28))
        rename(one, other)

    monkeypatch.setattr(durable, "exchange", lambda one, other: False)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(StoreError, match="no space is left"):
        store.commit(some_result(command="again"), {"test": some_predictions()})
    stored = store.find(CELL)
    assert len(calls) == 4 and stored is not None and stored.record["command"] == ""
    assert not list(tmp_path.rglob(f"{SCRATCH}*"))


@pytest.mark.slow
@pytest.mark.parametrize("exchanged", [True, False])
def test_a_kill_at_any_line_leaves_the_old_cell_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanged: bool
) -> None:
    """Kills a commit at each line of the modules that store, and reads what it left."""
    if not exchanged:
        monkeypatch.setattr(durable, "exchange", lambda one, other: False)
    store = Store(tmp_path)
    store.commit(some_result(), {"test": some_predictions()})
    seen = set()
    for line in range(1, 2000):
        if not (killed := _killed_at(line, store)):
            break
        if not exchanged:
            with store.lock("fashion"):
                store.sweep("fashion")
        (cell,), problems = store.load()
        assert not problems and len(cell.predictions().items) == 4
        seen.add(cell.record["command"])
        if cell.record["command"]:
            store.commit(some_result(), {"test": some_predictions()})
    assert not killed and line > 50 and seen == {"", "again"}
    with store.lock("fashion"):
        store.sweep("fashion")
    assert not list(tmp_path.rglob(f"{SCRATCH}*"))


def _killed_at(line: int, store: Store) -> bool:
    """Replace the cell in a process that kills itself at this line; say whether it came so far."""
    files = ("store/write.py", "core/atomic_folders.py", "store/cell_files.py", "store/digests.py")
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = line

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(files):
            return None
        if event == "line":
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        sys.settrace(trace)
        store.commit(some_result(command="again"), {"test": some_predictions()})
    finally:
        os._exit(0)
