"""Cells on disk: whole or not at all, readable years later, never lost."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.core.errors import StoreError
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.store.write import RESULT, SCRATCH, Store, Stored, cell_dir, failed, slug
from bench.training.fits import Epoch, Trained
from tests.core.test_cell import CELL
from tests.grids import attributes, put, reseal

HOSTILE = ("a", "=cmd|' /C calc'!A0", 'quote " comma , line\nbreak')


def some_predictions(n: int = 4, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions(
        items=tuple(f"item {number}" for number in range(n)),
        groups=None,
        truth=rng.integers(0, 3, n).astype(np.int32),
        scores=rng.random((n, 3), np.float32),
        classes=HOSTILE,
        train_support=np.array([5, 2, 1]),
    )


def some_result(**changes: Any) -> CellResult:
    rows = tuple({"class": name, "test_support": 1, "top1": 0.1 + 0.2, "auc": None} for name in HOSTILE)
    metrics = {"test": {"top1_micro": 1 / 3, "top5_micro": float("nan")}}
    return replace(CellResult(CELL, "ok", metrics=metrics, per_class=rows), **changes)


EPOCHS = (Epoch(1, 2.0, 1.5, 0.25, 0.01), Epoch(2, float("nan"), None, None, 0.005))
HISTORY = Trained(None, 1, EPOCHS).rows


def test_a_cell_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    test, val = some_predictions(), some_predictions(3, seed=1)
    store.commit(some_result(history=HISTORY), {"val": val, "test": test})
    stored = store.find(CELL)
    assert stored is not None and stored.ok
    for split, part in (("val", val), ("test", test)):
        back = stored.predictions(split)
        assert back.items == part.items and back.groups is None and back.classes == HOSTILE
        np.testing.assert_array_equal(back.truth, part.truth)
        np.testing.assert_array_equal(back.scores, part.scores)
        np.testing.assert_array_equal(back.train_support, part.train_support)
    assert stored.record["metrics"]["test"] == {"top1_micro": 1 / 3, "top5_micro": None}
    assert stored.per_class == [
        {"class": n, "test_support": 1, "top1": 0.1 + 0.2, "auc": None} for n in HOSTILE
    ]
    assert stored.history[0] == {"epoch": 1, "loss": 2.0, "val_loss": 1.5, "val_top1": 0.25, "lr": 0.01}
    assert stored.history[1]["loss"] is None


def test_trials_curves_and_facts_of_attributes_come_back(tmp_path: Path) -> None:
    test = replace(attributes(40, 3, 1.0, 1), cuts=np.array([0.25, 0.5, 0.75], np.float32))
    put(tmp_path, test, kind="multilabel", task="multilabel", scores=(0.5, None, 0.75))
    (stored,), _ = Store(tmp_path).load()
    back = stored.predictions()
    assert test.known is not None and back.known is not None and back.cuts is not None
    np.testing.assert_array_equal(back.known, test.known)
    np.testing.assert_array_equal(back.cuts, [0.25, 0.5, 0.75])
    assert [(row["trial"], row["chosen"], row["val_auc_macro"]) for row in stored.trials] == [
        (1, 0, 0.5),
        (2, 0, None),
        (3, 1, 0.75),
    ]
    assert stored.curves == list(get_kind("multilabel").metrics.curves(test))


@pytest.mark.parametrize("history", [HISTORY, ()], ids=["epochs", "no epoch"])
@pytest.mark.parametrize("drawn", [True, False], ids=["matplotlib", "no matplotlib"])
def test_a_model_has_a_plot_of_its_epochs_where_it_can_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: Any, drawn: bool
) -> None:
    saved: list[int] = []
    monkeypatch.setattr("bench.store.cell_files.find_spec", lambda name: name if drawn else None)
    monkeypatch.setattr(
        "bench.store.loss_curve.save_loss_curve", lambda folder, history: saved.append(len(history))
    )
    model: Any = SimpleNamespace(save=lambda folder: None)
    Store(tmp_path).commit(some_result(history=history), {"test": some_predictions()}, model)
    assert saved == ([2] if drawn and history else [])


def test_groups_survive(tmp_path: Path) -> None:
    part = replace(some_predictions(), groups=("a", "a", "b", "c"))
    Store(tmp_path).commit(some_result(), {"test": part})
    stored = Store(tmp_path).find(CELL)
    assert stored is not None and stored.predictions().groups == part.groups


def test_files_are_strict_json_and_names_are_portable(tmp_path: Path) -> None:
    folder = Store(tmp_path).commit(some_result(history=HISTORY), {"test": some_predictions()})
    json.loads((folder / RESULT).read_text(), parse_constant=lambda name: pytest.fail(f"{name} in {RESULT}"))
    assert {path.name for path in folder.iterdir()} == {
        RESULT,
        "per_class.csv",
        "history.csv",
        "predictions.parquet",
    }
    assert not set(':*?"<>|() ') & set(str(folder.relative_to(tmp_path)))
    assert slug("../../x y:z") == ".._.._x_y_z"


def test_a_failure_is_replaced_by_a_success(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(failed(some_result(), "loss became\nNaN"), {})
    stored = store.find(CELL)
    assert stored is not None and not stored.ok and stored.record["reason"] == "loss became NaN"
    store.commit(some_result(), {"test": some_predictions()})
    stored = store.find(CELL)
    assert stored is not None and stored.ok
    assert not list(tmp_path.rglob(f"{SCRATCH}*"))


@pytest.mark.parametrize(
    ("code", "says"),
    [(errno.ENOSPC, "no space is left"), (errno.EACCES, "not writable"), (errno.EROFS, "read-only")],
)
def test_what_cannot_be_written_is_one_line_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    store = Store(tmp_path)
    store.commit(some_result(history=HISTORY), {"test": some_predictions()})

    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("bench.store.cell_files.write_predictions", refuse)
    with pytest.raises(StoreError, match=says) as error:
        store.commit(some_result(), {"test": some_predictions()})
    assert "\n" not in str(error.value) and "--results" in str(error.value)
    stored = store.find(CELL)
    assert stored is not None and stored.ok and len(stored.predictions().items) == 4
    assert not list(tmp_path.rglob(f"{SCRATCH}*"))


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="a part of its path is a file|a file is in its place"):
        Store(tmp_path / "results").commit(some_result(), {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"format_version": 99}', "newer messybench"),
        ('{"format_version": 1}', "older messybench.*run the cell again"),
        ('{"format_version": 2}', "changed after"),
        ("\xff", "cannot be read|not a result"),
    ],
)
def test_an_unreadable_cell_is_named_and_the_others_are_read(tmp_path: Path, text: str, says: str) -> None:
    store = Store(tmp_path)
    store.commit(some_result(), {"test": some_predictions()})
    other = replace(CELL, seed=7)
    folder = store.commit(some_result(cell=other), {"test": some_predictions()})
    (folder / RESULT).write_bytes(text.encode("latin-1"))
    cells, problems = store.load("fashion")
    assert [stored.id for stored in cells] == [CELL.id]
    assert len(problems) == 1 and str(folder) in problems[0]
    assert re.search(says, problems[0])
    if "newer" in says:
        with pytest.raises(StoreError, match="newer messybench.*--results"):
            store.find(other)
        with pytest.raises(StoreError, match="newer messybench"):
            store.commit(some_result(cell=other), {})
        assert (folder / RESULT).read_bytes() == text.encode("latin-1")
    else:
        assert store.find(other) is None


def test_a_measured_cell_is_never_replaced_by_a_failed_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.commit(some_result(history=HISTORY), {"test": some_predictions()})
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert store.commit(failed(some_result(), "worse"), {}) == folder
    store.commit(failed(some_result(), "killed", "oom"), {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    lost = replace(CELL, seed=9)
    store.commit(failed(some_result(cell=lost), "first"), {})
    store.commit(failed(some_result(cell=lost), "second"), {})
    stored = store.find(lost)
    assert stored is not None and stored.record["reason"] == "second"


def test_a_corrupt_predictions_file_is_one_line(tmp_path: Path) -> None:
    folder = Store(tmp_path).commit(some_result(), {"test": some_predictions()})
    (folder / "predictions.parquet").write_bytes(b"PAR1 nothing")
    reseal(folder)
    stored = Store(tmp_path).find(CELL)
    assert stored is not None
    with pytest.raises(StoreError, match="cannot be read"):
        stored.predictions()


def test_a_second_answer_is_further_and_no_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.commit(some_result(), {"test": some_predictions()})
    second = folder.with_name(f"{folder.name}.2")
    shutil.copytree(folder, second)
    assert store.further_folders() == [second] and store.folders() == [folder, second]
    assert [stored.folder for stored in store.further()[0]] == [second]
    assert [stored.folder for stored in store.load()[0]] == [folder]


def test_loading_an_empty_place_finds_nothing(tmp_path: Path) -> None:
    assert Store(tmp_path / "nowhere").load() == ([], [])


KILLED_WHILE_REPLACING = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    import bench.core.atomic_folders, bench.store.write
    from tests.store.test_write import some_result, some_predictions
    rename = os.rename
    def stop_between(a, b):
        rename(a, b)
        if "s0-" in str(a):
            os.kill(os.getpid(), signal.SIGKILL)
    bench.core.atomic_folders.os.rename = stop_between
    bench.core.atomic_folders.exchange = lambda one, other: False
    bench.store.write.Store(Path(sys.argv[1])).commit(some_result(reason="new"), {"test": some_predictions()})
    """
)


def test_where_names_cannot_be_exchanged_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit(some_result(), {"test": some_predictions()})
    root = Path(__file__).resolve().parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_REPLACING, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert killed.returncode == -9
    assert store.find(CELL) is None
    with store.lock("fashion"):
        store.sweep("fashion")
    stored = store.find(CELL)
    assert stored is not None and stored.ok and len(stored.predictions().items) == 4
    assert not list(tmp_path.rglob(f"{SCRATCH}*"))


def test_what_a_killed_run_left_goes_when_nobody_writes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    left = tmp_path / "fashion" / "lenet" / "none" / f"{SCRATCH}1"
    left.mkdir(parents=True)
    program = (
        "import sys; from pathlib import Path; from bench.store.write import Store\n"
        "Store(Path(sys.argv[1])).sweep_if_free('fashion')"
    )
    with store.lock("fashion"):
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=600)
    assert left.exists()
    store.sweep_if_free("fashion")
    assert not left.exists()


def test_the_lock_keeps_a_second_run_waiting(tmp_path: Path) -> None:
    store, waited = Store(tmp_path), []
    with store.lock("fashion"):
        program = (
            "import sys; from pathlib import Path; from bench.store.write import Store\n"
            "say = lambda: print('waiting', flush=True)\n"
            "with Store(Path(sys.argv[1])).lock('fashion', say): print('mine')"
        )
        root = Path(__file__).resolve().parents[2]
        second = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        assert second.stdout is not None
        waited.append(second.stdout.readline().strip())
        assert second.poll() is None
    assert waited == ["waiting"]
    assert second.communicate(timeout=600)[0].strip() == "mine"


def test_cell_dir_tells_settings_apart() -> None:
    assert cell_dir(Path("r"), CELL) == Path(f"r/fashion/mobilenet_025/focal/s0-{CELL.id8}")
    assert isinstance(Stored(Path("r"), {"id": "x", "status": "ok"}).id, str)
