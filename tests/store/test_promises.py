"""A full or forbidden disk, several runs at once: one line each, and nothing that was stored is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import StoreError
from bench.store.write import SCRATCH, Store
from tests.core.test_atomic_folders import Model
from tests.core.test_cell import CELL
from tests.place import Place
from tests.store.test_write import HISTORY, some_predictions, some_result

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A results folder with one cell."""
    store = Store(tmp_path / "results")
    store.commit(some_result(command="old", history=HISTORY), {"test": some_predictions()})
    return store


def assert_as_before(store: Store) -> None:
    """The cell is as it was, and nothing lies around."""
    (cell,), problems = store.load()
    assert not problems and cell.record["command"] == "old" and len(cell.predictions().items) == 4
    assert not list(store.root.rglob(f"{SCRATCH}*"))


def again(store: Store, n: int = 4) -> None:
    store.commit(some_result(command="new", history=HISTORY), {"test": some_predictions(n)}, Model())


FAULTS = {
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "quota is used up",
    errno.EROFS: "read-only",
    errno.EACCES: "not writable",
    errno.EIO: "Input/output error",
}


@pytest.mark.parametrize(
    ("step", "code"),
    [*((step, errno.ENOSPC) for step in ("open", "fsync", "rename")), *(("mkdir", code) for code in FAULTS)],
)
def test_a_disk_that_refuses_at_any_step_costs_one_line(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    """Lets a step work so often, then refuses it, until it is no longer asked for."""
    real = getattr(os, step)
    for allowed in range(30):
        calls: list[str] = []

        def refuse(*args: Any, calls: list[str] = calls, allowed: int = allowed, **kwargs: Any) -> Any:
            if str(store.root) in (path := _path(args[0])):
                calls.append(path)
                if len(calls) > allowed:
                    raise OSError(code, os.strerror(code), path)
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, step, refuse)
            try:
                again(store)
            except StoreError as error:
                assert FAULTS[code] in str(error) and "\n" not in str(error) and "--results" in str(error)
            else:
                assert step == "open" or len(calls) <= allowed
                break
        # What cannot be opened cannot be removed either; the next run does it.
        with store.lock("fashion"):
            if step == "open":
                store.sweep("fashion")
        if not _replaced(store):
            assert_as_before(store)
    assert allowed > 0 and _replaced(store)


def _path(given: Any) -> str:
    return os.readlink(f"/proc/self/fd/{given}") if isinstance(given, int) else os.fspath(given)


def _replaced(store: Store) -> bool:
    (cell,), problems = store.load()
    assert not problems
    return bool(cell.record["command"] == "new")


@pytest.mark.parametrize("most", [0, 100, 1000, 3000])
def test_a_file_that_may_not_grow_costs_one_line(store: Store, most: int) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        with pytest.raises(StoreError, match="too large") as error:
            again(store, 5000)
        assert "\n" not in str(error.value)

    in_a_process_of_its_own(limited)
    assert_as_before(store)


def in_a_process_of_its_own(do: Callable[[], object]) -> None:
    """Run a function in a fork, whose limits and user nobody else has; fail where it fails."""
    child = os.fork()
    if child:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        return
    code = 1
    try:
        do()
        code = 0
    finally:
        os._exit(code)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="messybench-shared-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_reads_everything_and_writes_nothing(shared: Path) -> None:
    store = Store(shared / "results")
    before = os.umask(0o022)
    try:
        store.commit(some_result(command="old", history=HISTORY), {"test": some_predictions()})
    finally:
        os.umask(before)

    def as_nobody() -> None:
        os.setgid(65534)
        os.setuid(65534)
        assert_as_before(store)
        with pytest.raises(StoreError, match=r"it is not writable; choose another") as error:
            again(store)
        assert "\n" not in str(error.value)
        with pytest.raises(StoreError, match="it is not writable"), store.lock("fashion"):
            pass

    in_a_process_of_its_own(as_nobody)
    assert_as_before(store)
    (store.root / "fashion").chmod(0o700)

    def shut_out() -> None:
        os.setuid(65534)
        assert store.load() == ([], [])

    in_a_process_of_its_own(shut_out)


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from bench.store.write import Store
    from tests.store.test_write import HISTORY, some_predictions, some_result
    store = Store(Path(sys.argv[1]))
    for number in range(25):
        store.commit(some_result(command=sys.argv[2], history=HISTORY), {"test": some_predictions()})
    """
)


@pytest.mark.parametrize("writers", [2, 4])
def test_several_that_replace_one_cell_at_once_never_leave_it_torn(store: Store, writers: int) -> None:
    """Without the lock that runs hold, as two would whose file system keeps no locks."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(store.root), str(number)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for number in range(writers)
    ]
    seen, looks = set(), 0
    while any(one.poll() is None for one in running):
        stored = store.find(CELL)
        assert stored is not None, store.load()
        seen.add(stored.record["command"])
        looks += 1
    assert [one.wait() for one in running] == [0] * writers
    assert looks > 10 and len(seen) > 1
    (cell,), problems = store.load()
    assert not problems and len(cell.predictions().items) == 4
    assert not list(store.root.rglob(f"{SCRATCH}*"))


@pytest.mark.slow
def test_four_runs_of_one_grid_at_once_train_each_cell_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    grid = ("--task", "fashion", "--sample", "tiny", "--backbone", "lenet", "--method", "none,focal")
    args = ("run", *grid, "--seed", "0-1", "--set", "epochs=2", "--quiet")
    running = [place.start(*args) for _ in range(4)]
    said = [one.communicate(timeout=600) for one in running]
    assert [one.returncode for one in running] == [0] * 4, said
    cells, problems = place.store.load()
    trained = [line for _, err in said for line in err.splitlines() if " cells to train" in line]
    assert not problems and all(cell.ok for cell in cells)
    assert len(cells) == 8
    # "bench: 8 of 8 cells to train, 1 backbone"
    assert sum(int(line.split()[1]) for line in trained) == len(cells), trained
    assert not list(place.store.root.rglob(f"{SCRATCH}*"))
