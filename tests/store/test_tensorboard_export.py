"""TensorBoard logs hold what histories hold, and a second writing changes nothing."""

from __future__ import annotations

import csv
import math
import struct
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import BenchError, StoreError
from bench.store import tensorboard_export
from bench.store.tensorboard_export import EVENTS, logs_dir, write_logs
from bench.store.write import Store
from tests.grids import answers, put, reseal

tf = pytest.importorskip("tensorflow")
pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three measured cells of two stages and regimes, one of a single epoch, and a failed one."""
    folder = tmp_path_factory.mktemp("logs") / "results"
    pred = answers(40, 4, 0.5, 0)
    put(folder, pred)
    put(folder, pred, 1, method="focal", regime="frozen", epochs=1)
    put(folder, pred, stage="remaining", regime="finetune", epochs=3)
    put(folder, pred, 2, status="failed", reason="loss became NaN in epoch 1")
    return folder


def _read(path: Path) -> list[Any]:
    """Return the events of a file; TensorFlow's reader checks the sums of every record."""
    return list(tf.compat.v1.train.summary_iterator(str(path)))


def test_every_number_of_every_epoch_is_there_and_nothing_else(root: Path, tmp_path: Path) -> None:
    cells = Store(root).load()[0]
    assert write_logs(cells, tmp_path / "logs" / "deep") == 3
    files = sorted((tmp_path / "logs" / "deep").rglob("*"))
    found = [path for path in files if path.is_file()]
    assert len(found) == 3 and {path.name for path in found} == {EVENTS}
    for stored in cells:
        stage, folder = stored.record["cell"]["stage"], stored.folder
        home = tmp_path / "logs" / "deep" / "fashion" / stage / folder.parent.parent.name / folder.parent.name
        log = home / folder.name / EVENTS
        assert log.exists() == stored.ok
        if not stored.ok:
            continue
        version, *events = _read(log)
        assert version.file_version == "brain.Event:2"
        with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [event.step for event in events] == [int(row["epoch"]) for row in rows]
        for event, row in zip(events, rows, strict=True):
            told = {value.tag: value.simple_value for value in event.summary.value}
            names = ("loss", "val_loss", "val_top1", "lr")
            assert told == {f"epoch/{name}": pytest.approx(float(row[name]), rel=1e-6) for name in names}


def test_epochs_without_validation_have_no_validation_numbers(tmp_path: Path) -> None:
    put(tmp_path / "r", answers(20, 3, 0.5, 0), epochs=2)
    [stored] = Store(tmp_path / "r").load()[0]
    (stored.folder / "history.csv").write_text("epoch,loss,val_loss,val_top1,lr\n1,2.5,,,0.01\n")
    reseal(stored.folder)
    assert write_logs(Store(tmp_path / "r").load()[0], tmp_path / "logs") == 1
    [log] = (tmp_path / "logs").rglob(EVENTS)
    _, event = _read(log)
    assert {value.tag: value.simple_value for value in event.summary.value} == {
        "epoch/loss": 2.5,
        "epoch/lr": pytest.approx(0.01),
    }


def test_an_edited_history_is_one_line_and_a_huge_loss_infinite(tmp_path: Path) -> None:
    put(tmp_path / "r", answers(20, 3, 0.5, 0))
    [stored] = Store(tmp_path / "r").load()[0]
    history = stored.folder / "history.csv"
    for epoch in ("-1", "1.5", ""):
        history.write_text(f"epoch,loss\n{epoch},1.0\n")
        reseal(stored.folder)
        with pytest.raises(StoreError, match="is not an epoch"):
            write_logs(Store(tmp_path / "r").load()[0], tmp_path / "logs")
    history.write_text("epoch,loss,lr\n300,1e300,-1e300\n")
    reseal(stored.folder)
    write_logs(Store(tmp_path / "r").load()[0], tmp_path / "logs")
    [log] = (tmp_path / "logs").rglob(EVENTS)
    event = _read(log)[1]
    assert event.step == 300
    assert [value.simple_value for value in event.summary.value] == [math.inf, -math.inf]


def test_twice_the_same_bytes_and_framed_as_tensorboard_reads_them(root: Path, tmp_path: Path) -> None:
    cells = Store(root).load()[0]
    write_logs(cells, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob(EVENTS)}
    assert len(before) == 3
    write_logs(cells, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob(EVENTS)} == before
    # Records are a length of eight bytes, its sum, the event and its sum.
    for data in before.values():
        place, records = 0, 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            place, records = place + 12 + length + 4, records + 1
        assert place == len(data) and records in (2, 4, 6)
    assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def test_nothing_is_written_for_cells_without_a_history(root: Path, tmp_path: Path) -> None:
    failed = [stored for stored in Store(root).load()[0] if not stored.ok]
    assert len(failed) == 1 and write_logs(failed, tmp_path / "logs") == 0
    assert write_logs([], tmp_path / "logs") == 0
    assert not (tmp_path / "logs").exists()


def test_what_is_no_folder_is_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for text in ("", " ", str(tmp_path / "file")):
        with pytest.raises(BenchError, match="give a folder"):
            logs_dir(text)
    assert logs_dir(str(tmp_path / "new")) == tmp_path / "new"
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write_logs(Store(root).load()[0], tmp_path / "file" / "below")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("found", [None, ModuleSpec("tensorboard", None)])
def test_without_tensorboard_one_line_says_what_to_install(
    found: ModuleSpec | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder called tensorboard in the current one is not the package."""
    monkeypatch.setattr(tensorboard_export, "find_spec", lambda _: found)
    with pytest.raises(BenchError, match=r"pip install 'messybench\[tensorboard\]'"):
        logs_dir(str(tmp_path))
