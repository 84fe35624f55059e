"""`bench run`: which cells it trains again, which test images a setting leaves, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import bench.runs.run_job
from bench.runs.commit import fail
from bench.runs.context import Context
from bench.runs.plan import Job
from bench.store.read import RESULT
from bench.store.write import SCRATCH as LEFTOVER
from tests.in_process import InProcess, content
from tests.place import Place

pytest.importorskip("tensorflow")

FROZEN = (
    *("run", "--task", "fashion", "--sample", "tiny", "--regime", "frozen", "--backbone", "lenet"),
    *("--weights", "random", "--stage", "top20", "--seed", "0", "--set", "epochs=2"),
)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    return InProcess(tmp_path, monkeypatch)


def test_what_failed_is_trained_again_and_what_is_measured_is_not(
    inside: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args, train = (*FROZEN, "--method", "none,class_weight"), bench.runs.run_job.run_job

    def run_some(context: Context, job: Job) -> None:
        weighted = [cell for cell in job.cells if cell.method.text == "class_weight"]
        fail(context, weighted, "the machine was tired")
        train(context, job.only({cell.id for cell in job.cells} - {cell.id for cell in weighted}))

    with monkeypatch.context() as patch:
        patch.setattr("bench.runs.run_job.run_job", run_some)
        first = inside.bench(*args, results="results", cache="cache")
    assert inside.code == 4 and sorted(stored.ok for stored in first) == [False, True]
    out, err = capsys.readouterr()
    assert err.endswith("bench: 1 of 2 cells failed: the machine was tired\n")
    assert out.startswith("fashion top20: ")
    before = {stored.id: (stored.folder / RESULT).read_bytes() for stored in first}
    began = time.monotonic()
    second = inside.bench(*args, "--quiet", results="results", cache="cache")
    out, err = capsys.readouterr()
    assert "bench: 1 of 2 cells to train" in err and "cells failed" not in err and not out
    (fresh,) = [stored for stored in second if stored.record["cell"]["method_text"] == "class_weight"]
    assert 0 < fresh.record["timings"]["seconds"] < time.monotonic() - began
    assert inside.code == 0 and all(stored.ok for stored in second)
    after = {stored.id: (stored.folder / RESULT).read_bytes() for stored in second}
    assert [before[stored.id] == after[stored.id] for stored in first] == [stored.ok for stored in first]
    left = second[0].folder.parent / f"{LEFTOVER}1"
    left.mkdir()
    inside.bench(*args, results="results", cache="cache")
    assert "bench: nothing to do: all 2 cells are stored" in capsys.readouterr().err
    assert not left.exists(), "what a killed run left behind"


def test_a_measured_cell_is_trained_again_where_its_model_is_wanted(inside: InProcess) -> None:
    args = (*FROZEN, "--method", "none")
    inside.bench(*args, results="results", cache="cache")
    [stored] = inside.bench(*args, "--keep-model", results="results", cache="cache")
    assert (stored.folder / "model.npz").is_file()


def test_images_that_are_in_train_too_are_left_out_of_test_where_that_is_set(inside: InProcess) -> None:
    """One of the sample's images is in both parts."""
    items = {}
    for value in ("keep", "drop"):
        args = (*FROZEN, "--method", "none", "--set", f"duplicates={value}")
        [stored] = inside.bench(*args, results=value, cache="cache")
        assert stored.record["counts"]["leaked"] == 1
        items[value] = stored.predictions("test").items
    [left_out] = set(items["keep"]) - set(items["drop"])
    hashes = _hashes(inside.folder / "cache")
    assert set(items["drop"]) < set(items["keep"]) and len(items["drop"]) == len(items["keep"]) - 1
    assert list(hashes.values()).count(hashes[left_out]) == 2


def _hashes(cache: Path) -> dict[str, str]:
    """Return the hash of the content of every image of the sample."""
    from bench.core.paths import search_path
    from bench.data.sources import open_source
    from bench.data.task_card import load_card

    card = load_card("fashion", search_path("tasks"))
    examples = open_source(card.source, None, "tiny", cache, (card.label, card.split_column))
    return dict(zip(examples.items, examples.images.content_hashes(), strict=True))


SCRATCH = (
    *(
        "run",
        "--task",
        "fashion",
        "--sample",
        "tiny",
        "--backbone",
        "lenet",
        "--stage",
        "top20",
        "--seed",
        "0",
    ),
    *("--method", "none", "--set", "patience=0"),
)
LONG = (*SCRATCH, "--set", "epochs=100000")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    (tmp_path / "tmp").mkdir()
    place.env["TMPDIR"] = str(tmp_path / "tmp")
    return place


def _worker(place: Place) -> tuple[subprocess.Popen[str], int]:
    """Start a run that lasts, and return it with the id of its worker once that trains."""
    running = place.start(*LONG)
    assert running.stderr is not None
    if not any("training" in line for line in running.stderr):
        raise AssertionError("it did not begin to train")
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text(encoding="ascii")
    [worker] = map(int, children.split())
    return running, worker


def _gone(worker: int) -> bool:
    """Wait for the end of a process that would go on training for hours."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{worker}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            return True
        if state.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)], ids=lambda one: one.name
)
def test_a_signal_ends_the_run_and_its_worker_with_one_line(place: Place, number: signal.Signals) -> None:
    running, worker = _worker(place)
    running.send_signal(number)
    assert _gone(worker)
    _, err = running.communicate(timeout=600)
    assert running.returncode == 128 + number
    said = f"bench: stopped by {number.name}; stored cells are kept, and the same command resumes"
    assert err.splitlines()[-1] == said and "Traceback" not in err
    assert not list((place.folder / "tmp").iterdir()) and not place.store.load()[0]


@pytest.mark.slow
def test_a_worker_ends_when_its_parent_is_killed_and_the_next_run_sweeps(place: Place) -> None:
    running, worker = _worker(place)
    running.kill()
    running.communicate()
    assert _gone(worker)
    assert list((place.folder / "tmp").iterdir())
    place.bench(*SCRATCH, "--set", "epochs=1")
    assert not list((place.folder / "tmp").iterdir())


@pytest.mark.slow
def test_a_killed_worker_is_replaced(place: Place) -> None:
    """By one that trains the same bits, of which `tests.test_metamorphic` makes sure."""
    running, worker = _worker(place)
    os.kill(worker, signal.SIGKILL)
    assert _gone(worker)
    end, again = time.monotonic() + 300, 0
    while time.monotonic() < end and not again:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text(encoding="ascii")
        again = next((int(one) for one in children.split() if int(one) != worker), 0)
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=600)
    assert (
        again and "bench: the training process was killed: lenet is tried again, with less in memory" in err
    )


@pytest.mark.slow
def test_nohup_stays_nohup(place: Place) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        running, _ = _worker(place)
    finally:
        signal.signal(signal.SIGHUP, before)
    running.send_signal(signal.SIGHUP)
    time.sleep(1)
    assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=600)


def test_links_out_of_the_data_folder_change_no_bit_where_they_are_followed(
    inside: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option reaches the worker, is part of the stored command and of no identity."""
    from bench.commands.reproduce_ import options_of
    from bench.core.errors import DataError
    from bench.data.sources import SOURCES

    real, data = inside.folder / "real", inside.folder / "data"
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), real)
    data.mkdir()
    (data / "styles.csv").write_bytes((real / "styles.csv").read_bytes())
    (data / "images").symlink_to(real / "images")
    args = [*(part for part in FROZEN if part not in ("--sample", "tiny")), "--method", "none"]
    [plain] = inside.bench(*args, "--data", str(real), results="plain", cache="cache")
    with pytest.raises(DataError, match="--follow-links"):
        inside.bench(*args, "--data", str(data), results="linked", cache="cache2")
    linked = ("--data", str(data), "--follow-links")
    [stored] = inside.bench(*args, *linked, results="linked", cache="cache2")
    assert stored.id == plain.id and content(stored) == content(plain)
    assert options_of(f"bench run --task fashion --data {data} --follow-links")["follow_links"]
