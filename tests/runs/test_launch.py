"""Workers that die: what is tried again, what is stored, what is said. The worker here trains nothing."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.backbones.names import parts_of
from bench.core.cell import Cell, DataId, MethodSpec, Step
from bench.core.errors import BenchError, StoreError
from bench.core.paths import search_path
from bench.data.task_card import load_card
from bench.runs.launch import WorkOrder, execute
from bench.runs.plan import Job, Plan, Request
from bench.runs.temporary_folders import PREFIX, scratch_folder
from bench.store.write import Store

WORKER = """
import json, os, signal, sys
order = json.loads(sys.stdin.readline())
def emit(**event):
    print(json.dumps(event), flush=True)
log = open({log!r}, "a")
print(json.dumps([order["cells"], order["halved"], os.environ["TMPDIR"]]), file=log, flush=True)
started = sum(1 for _ in open({log!r}))
open(os.path.join(os.environ["TMPDIR"], "__autograph_generated_file.py"), "w").close()
for cell in order["cells"]:
    {script}
    emit(event="cell", id=cell, status="ok", reason=None)
"""
"""Writes down what it is asked, then answers cell by cell, unless the script has it otherwise."""

KILL = "os.kill(os.getpid(), signal.SIGKILL)"


def _cell(backbone: str, method: str) -> Cell:
    steps = MethodSpec((Step(method),), method)
    data = DataId("drawn-tiny", "f" * 64)
    return Cell(
        "fashion",
        1,
        "multiclass",
        "top20",
        "frozen",
        backbone,
        "random",
        steps,
        0,
        (("epochs", 1), ("precision", "float32")),
        data,
    )


CELLS = [_cell(backbone, method) for backbone in ("lenet", "hog") for method in ("focal", "smote", "gce")]
IDS = [cell.id for cell in CELLS]
PLAN = Plan(
    load_card("fashion", search_path("tasks")),
    (
        Job(parts_of("lenet"), "frozen", "random", tuple(CELLS[:3])),
        Job(parts_of("hog"), "frozen", "random", tuple(CELLS[3:])),
    ),
    (),
)

Run = Callable[[str], tuple[list[dict[str, Any]], list[Any]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give what runs the plan with a worker whose script is given; it returns events and what was asked."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))

    def run(script: str) -> tuple[list[dict[str, Any]], list[Any]]:
        log, events = tmp_path / "log", list[dict[str, Any]]()
        monkeypatch.setattr("bench.runs.launch.WORKER", WORKER.format(log=str(log), script=script))
        order = WorkOrder(Request("fashion"), (), tmp_path / "cache", tmp_path / "results", "bench run")
        execute(PLAN, CELLS, order, events.append)
        assert not list(place.iterdir()), "temporary files are left"
        return events, [json.loads(line) for line in log.read_text().splitlines()]

    return run


def _status(events: list[dict[str, Any]]) -> dict[str, str]:
    return {event["id"]: event["status"] for event in events if event["event"] == "cell"}


def test_a_worker_that_is_not_disturbed_is_asked_once(run: Run) -> None:
    events, asked = run("pass")
    assert _status(events) == dict.fromkeys(IDS, "ok")
    assert [one[:2] for one in asked] == [[IDS, False]]


def test_a_job_killed_once_is_tried_again_with_half_in_memory(run: Run) -> None:
    events, asked = run(f"if started == 1 and cell == {IDS[1]!r}: {KILL}")
    assert _status(events) == dict.fromkeys(IDS, "ok")
    assert [one[:2] for one in asked] == [[IDS, False], [IDS[1:], True]]
    [said] = [event["text"] for event in events if event["event"] == "notice"]
    assert said == "the training process was killed: lenet is tried again, with less in memory"


def test_what_a_killed_worker_left_among_the_results_is_gone(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "results" / "fashion" / "lenet" / "focal"
    replaced, half = place / ".tmp-1" / "s0-12345678", place / ".tmp-2"
    leave = f"started == 1 and [os.makedirs(one) for one in ({str(replaced)!r}, {str(half)!r})]"
    events, _ = run(f"if {leave}: {KILL}")
    assert _status(events) == dict.fromkeys(IDS, "ok")
    assert [path.name for path in place.iterdir()] == [replaced.name], "what was being replaced is put back"


def test_the_one_cell_that_kills_its_worker_fails_alone(run: Run, tmp_path: Path) -> None:
    events, asked = run(f"if cell == {IDS[0]!r}: {KILL}")
    assert _status(events) == {**dict.fromkeys(IDS, "ok"), IDS[0]: "oom"}
    assert [one[0] for one in asked] == [IDS, IDS, IDS[:1], IDS[1:2], IDS[2:3], IDS[3:]]
    [stored] = Store(tmp_path / "results").load()[0]
    assert stored.id == IDS[0] and stored.record["status"] == "oom"
    assert "most likely for memory" in stored.record["reason"]


def test_jobs_have_their_attempts_each(run: Run) -> None:
    events, asked = run(f"if (started, cell) in [(1, {IDS[0]!r}), (2, {IDS[4]!r})]: {KILL}")
    assert _status(events) == dict.fromkeys(IDS, "ok")
    assert [one[0] for one in asked] == [IDS, IDS, IDS[4:]]


def test_an_exception_fails_its_job_and_comes_first_in_the_reason(run: Run) -> None:
    """What it wrote afterwards, and how it ended, come later: reasons are cut at their end."""
    fault = "OSError: [Errno 28] No space left on device"
    script = (
        f"if cell == {IDS[0]!r}: emit(event='fault', text={fault!r}, no_memory=False); "
        "print('_run_sta', file=sys.stderr); sys.exit(1)"
    )
    events, asked = run(script)
    assert _status(events) == {**dict.fromkeys(IDS[:3], "failed"), **dict.fromkeys(IDS[3:], "ok")}
    assert [one[0] for one in asked] == [IDS, IDS[3:]]
    reasons = {event["reason"] for event in events if event.get("status") == "failed"}
    assert reasons == {f"{fault} (the training process ended with code 1)"}


def test_a_full_folder_for_temporary_files_is_the_first_thing_said(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorFlow only says that it may not iterate over a tensor."""
    monkeypatch.setattr("bench.runs.temporary_folders.MIN_FREE_BYTES", 2**80)
    events, _ = run("print('OperatorNotAllowedInGraphError', file=sys.stderr); sys.exit(1)")
    full = f"no space is left for temporary files in '{tmp_path / 'tmp'}' (name another folder with TMPDIR)"
    why = f"{full}: OperatorNotAllowedInGraphError (the training process ended with code 1)"
    assert {event["reason"] for event in events if event["event"] == "cell"} == {why}


def test_an_exception_for_want_of_memory_is_tried_again(run: Run) -> None:
    script = (
        "if not order['halved']: emit(event='fault', text='MemoryError: 5 GiB', no_memory=True); sys.exit(1)"
    )
    events, asked = run(script)
    assert _status(events) == dict.fromkeys(IDS, "ok")
    assert [one[1] for one in asked] == [False, True]


def test_a_crash_says_the_signal_and_the_last_line(run: Run) -> None:
    crash = (
        "print('free(): invalid pointer', file=sys.stderr, flush=True); os.kill(os.getpid(), signal.SIGABRT)"
    )
    events, _ = run(f"if cell == {IDS[5]!r}: {crash}")
    assert _status(events) == {**dict.fromkeys(IDS, "ok"), IDS[5]: "failed"}
    assert events[-1]["reason"] == "free(): invalid pointer (the training process died of SIGABRT)"


def test_a_worker_that_answers_nothing_is_not_waited_for(run: Run) -> None:
    with pytest.raises(BenchError, match="6 cells have no result"):
        run("break")


def test_a_child_of_a_worker_that_stays_keeps_no_run_from_ending(run: Run) -> None:
    """It holds the worker's standard error open, which a thread reads."""
    run("subprocess = __import__('subprocess'); subprocess.Popen(['sleep', '5'], stdout=subprocess.DEVNULL)")
    assert [thread for thread in threading.enumerate() if not thread.daemon] == [threading.main_thread()]


def test_a_worker_that_writes_much_is_not_held_up(run: Run) -> None:
    events, _ = run("print('x' * 200_000, file=sys.stderr)")
    assert _status(events) == dict.fromkeys(IDS, "ok")


def test_workers_have_a_temporary_folder_of_their_own(run: Run, tmp_path: Path) -> None:
    _, asked = run(f"if started < 3 and cell == {IDS[0]!r}: {KILL}")
    folders = [Path(one[2]) for one in asked]
    assert len(set(folders)) == len(folders) == 6
    assert {folder.parent for folder in folders} == {tmp_path / "tmp"}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_what_killed_runs_left_is_swept(temporary: Path) -> None:
    left = temporary / f"{PREFIX}dead"
    left.mkdir()
    (left / "__autograph_generated_file1.py").touch()
    Path(f"{left}.lock").touch()
    with scratch_folder() as folder:
        assert [path.name for path in sorted(temporary.iterdir())] == [folder.name, f"{folder.name}.lock"]
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(temporary.iterdir())


def test_what_is_in_use_or_not_ours_stays(temporary: Path) -> None:
    kept = temporary / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (temporary / f"{PREFIX}link").symlink_to(kept)
    (temporary / f"{PREFIX}link.lock").touch()
    (temporary / f"{PREFIX}follow.lock").symlink_to(kept / "file")
    (temporary / f"{PREFIX}unlocked").mkdir()
    with scratch_folder() as one, scratch_folder() as other:
        assert one.is_dir() and other.is_dir() and one != other
    assert (kept / "file").exists()
    assert (temporary / f"{PREFIX}unlocked").is_dir() and (temporary / f"{PREFIX}follow.lock").is_symlink()


def test_a_full_folder_for_temporary_files_is_one_line(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tempfile.mkstemp", full)
    said = r"No space left on device; name another with TMPDIR=DIR"
    with pytest.raises(StoreError, match=said), scratch_folder():
        pass
