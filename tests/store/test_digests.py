"""A stored cell is what was stored, where it was stored, or it is named and left out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.compare.baselines.pin import pin, write_baseline
from bench.core.errors import BenchError, StoreError
from bench.core.safe_text import from_spreadsheet, spreadsheet
from bench.core.sealed_json import is_sealed, sealed
from bench.store.read import HISTORY, PER_CLASS, PREDICTIONS
from bench.store.write import RESULT, Store, Stored
from tests.core.test_atomic_folders import Model
from tests.core.test_cell import CELL
from tests.grids import answers, grid, put
from tests.store.test_write import HISTORY as EPOCHS
from tests.store.test_write import HOSTILE, some_predictions, some_result


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A results folder of four cells."""
    grid(tmp_path / "results", {"none": 0.5, "focal": 0.8}, seeds=(0, 1), n=60)
    return tmp_path / "results"


def cell(root: Path, method: str = "focal", seed: int = 1) -> Stored:
    """Return one of the stored cells."""
    (found,) = [
        stored
        for stored in Store(root).load()[0]
        if (stored.record["cell"]["method_text"], stored.record["cell"]["seed"]) == (method, seed)
    ]
    return found


def better(folder: Path) -> Path:
    """Write a better score into result.json, as someone with an editor would."""
    path = folder / RESULT
    record = json.loads(path.read_text(encoding="utf-8"))
    score = json.dumps(record["metrics"]["test"]["top1_micro"])
    path.write_text(path.read_text(encoding="utf-8").replace(score, "0.98765"), encoding="utf-8")
    return path


def reordered(folder: Path) -> Path:
    """Lay result.json out anew, nothing changed."""
    path = folder / RESULT
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8"))), encoding="utf-8")
    return path


def swapped_predictions(folder: Path) -> Path:
    """Exchange the predictions with those of another cell, which has as many bytes of them or not."""
    other = next(path for path in sorted(folder.parent.iterdir()) if path != folder)
    one, two = folder / PREDICTIONS, other / PREDICTIONS
    first = one.read_bytes()
    one.write_bytes(two.read_bytes().ljust(len(first), b"\0")[: len(first)])
    return one


def swapped_rows(folder: Path) -> Path:
    """Give a class another score, in as many digits."""
    path = folder / PER_CLASS
    text = path.read_bytes()
    place = text.index(b"0.", text.index(b"class 0")) + 2
    digit = b"1" if text[place : place + 1] != b"1" else b"2"
    path.write_bytes(text[:place] + digit + text[place + 1 :])
    return path


READERS = {
    "results": (),
    "leaderboard": ("--task", "fashion"),
    "compare": ("--task", "fashion", "--all", "--no-classes"),
}


@pytest.mark.parametrize("edit", [better, reordered])
@pytest.mark.parametrize("command", READERS)
def test_an_edited_record_is_named_and_left_out(
    root: Path, command: str, edit: Callable[[Path], Path]
) -> None:
    path = edit(cell(root).folder)
    done = bench(command, *READERS[command], "--results", root, "--format", "json")
    assert done.exception is None and done.return_value == 4, done
    assert f"bench: {path}: changed after it was stored; run the cell again\n" in done.stderr
    assert "0.98765" not in done.stdout and "focal" in done.stdout


@pytest.mark.parametrize("edit", [swapped_predictions, swapped_rows])
def test_an_edited_file_is_named_where_it_is_read(
    root: Path, tmp_path: Path, edit: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bench.report.html.rendered", lambda draw, theme, formats: dict.fromkeys(formats, b"")
    )
    bad = cell(root)
    write_baseline(pin(Store(root).load()[0], "mine"), tmp_path / "b")
    path = edit(bad.folder)
    base = ("--results", root)
    against = ("--task", "fashion", "--baseline", "mine", "--baselines", tmp_path / "b")
    commands = {
        ("report", "--out", tmp_path / "page", *base): 4,
        ("baseline", "pin", "new", "--task", "fashion", "--baselines", tmp_path / "b", *base): 4,
        ("verify", *base): 4,
        ("compare", *against, *base): 4,
    }
    if edit is swapped_predictions:
        commands[("leaderboard", "--task", "fashion", *base)] = 4
    else:
        commands[("show", bad.id[:8], *base)] = 4
        commands[("export", "--out", tmp_path / "all.csv", *base)] = 4
    for command, code in commands.items():
        done = bench(*command)
        assert done.exception is None and done.return_value == code, (command, done)
        (line,) = [line for line in done.stderr.splitlines() if str(path) in line]
        assert "it was changed after it was stored" in line
    pinned = json.loads((tmp_path / "b" / "fashion" / "new.json").read_text(encoding="utf-8"))
    assert {seed for result in pinned["results"] for seed in result["seeds"]} == {"0", "1"}
    assert sum(len(result["seeds"]) for result in pinned["results"]) == 3


def test_commands_of_one_cell_say_that_it_was_changed(root: Path) -> None:
    bad = cell(root)
    path = swapped_predictions(bad.folder)
    error = bench("confusion", bad.id[:8], "--results", root).exception
    assert isinstance(error, StoreError) and str(path) in str(error)
    path = better(bad.folder)
    out = ("--out", root / "out")
    commands: dict[str, tuple[object, ...]] = {
        **dict.fromkeys(("confusion", "show", "reproduce", "verify", "listings"), ()),
        "predict": ("x.jpg",),
        "explain": ("x.jpg", *out),
        "export-model": ("--format", "keras", *out),
        "compare": ("trivial", "--task", "fashion"),
    }
    for command, more in commands.items():
        done = bench(command, bad.id[:8], *more, "--results", root)
        assert isinstance(done.exception, BenchError), command
        assert f"{path}: changed" in f"{done.stderr}{done.exception}", command
    assert not (root / "out").exists()


def test_a_cell_in_the_folder_of_another_is_named(root: Path) -> None:
    one, two = cell(root, seed=0).folder, cell(root, seed=1).folder
    aside = root.parent / "aside"
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    done = bench("results", "--results", root, "--format", "json")
    assert done.return_value == 4 and len(json.loads(done.stdout)) == 2
    assert (
        f"{one / RESULT}: belongs to another cell; move it to fashion/lenet/focal/{two.name}" in done.stderr
    )
    assert f"{two / RESULT}: belongs to another cell" in done.stderr and done.stderr.count("\n") == 2


@pytest.mark.parametrize("part", [-1, -2, -3])
def test_a_copy_in_another_folder_counts_once(root: Path, part: int) -> None:
    folder = cell(root).folder
    place = list(folder.parts[-3:])
    place[part] = {-1: f"{folder.name}-copy", -2: "none", -3: "resnet50"}[part]
    shutil.copytree(folder, root.joinpath("fashion", *place), dirs_exist_ok=True)
    cells, problems = Store(root).load()
    assert len(cells) == 4 and len(problems) == 1 and "belongs to another cell" in problems[0]


def test_a_file_that_was_not_stored_with_the_cell_is_not_read(root: Path) -> None:
    stored = cell(root)
    (stored.folder / "model.npz").write_bytes(b"of someone else")
    (stored.folder / "notes.txt").write_text("mine")
    assert bench("verify", "--results", root).return_value == 4  # validation of `grid` is made up
    assert len(Store(root).load()[0]) == 4
    error = bench("predict", stored.id[:8], "x.jpg", "--results", root).exception
    assert isinstance(error, StoreError) and "--keep-model" in str(error)


def test_a_results_folder_may_be_moved_copied_and_linked(root: Path, tmp_path: Path) -> None:
    before = bench("results", "--results", root, "--format", "json").stdout
    shutil.copytree(root, tmp_path / "elsewhere" / "copied")
    (tmp_path / "linked").symlink_to(root)
    for place in (
        tmp_path / "elsewhere" / "copied",
        tmp_path / "linked",
        root.parent / "x" / ".." / "results",
    ):
        (root.parent / "x").mkdir(exist_ok=True)
        done = bench("results", "--results", place, "--format", "json")
        assert done.return_value == 0 and done.stdout == before
    root.rename(tmp_path / "moved")
    done = bench("results", "--results", tmp_path / "moved", "--format", "json")
    assert done.return_value == 0 and done.stdout == before


def test_the_clock_says_nothing_about_a_cell(root: Path) -> None:
    for path in root.rglob("*"):
        os.utime(path, (0, 0))
    put(root, answers(60, 8, 0.9, 5), 2)
    done = bench("results", "--results", root, "--format", "json")
    assert done.return_value == 0 and len(json.loads(done.stdout)) == 5


# A power cut: what a file system may make of files that were not yet on the disk.

CUTS: dict[str, Callable[[bytes], bytes | None]] = {
    "gone": lambda data: None,
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "half": lambda data: data[: len(data) // 2],
    "a block": lambda data: data[: len(data) - (len(data) % 512 or 1)],
    "all but a byte": lambda data: data[:-1],
    "zeros at the end": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "zeros": lambda data: bytes(len(data)),
    "longer": lambda data: data + b"\0",
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", [RESULT, PER_CLASS, HISTORY, PREDICTIONS, "curves.csv", "model.npz"])
def test_a_power_cut_leaves_no_cell_that_is_read_as_whole(tmp_path: Path, name: str, cut: str) -> None:
    store = Store(tmp_path)
    curves = ({"class": HOSTILE[0], "curve": "roc", "x": 0.0, "y": 0.5, "cut": None},)
    folder = store.commit(some_result(curves=curves, history=EPOCHS), {"test": some_predictions()}, Model())
    data = CUTS[cut]((folder / name).read_bytes())
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)
    cells, problems = store.load()
    if cells:
        # As long as it was: it is noticed where it is read.
        (stored,) = cells
        assert not problems and cut.startswith("zeros") and name != RESULT
        with pytest.raises(StoreError, match="it was changed after it was stored"):
            stored.read(name)
    else:
        assert len(problems) == 1 and str(folder / name) in problems[0] and "\n" not in problems[0]
        assert store.find(CELL) is None
    done = bench("verify", "--results", tmp_path)
    assert done.exception is None and done.return_value == 4 and str(folder / name) in done.stderr


def test_every_truncation_of_a_record_is_noticed(tmp_path: Path) -> None:
    path = Store(tmp_path).commit(some_result(), {"test": some_predictions()}) / RESULT
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        cells, problems = Store(tmp_path).load()
        assert not cells and len(problems) == 1


def test_every_bit_of_a_record_counts() -> None:
    content = sealed({"a": 1, "b": "é \ud800", "digest of": [0.5, None]})
    assert is_sealed(content) and json.loads(content)["b"] == "é \ud800"
    for place in range(len(content)):
        for bit in range(8):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            assert not is_sealed(bytes(changed))


# What a spreadsheet would run.


def test_no_stored_table_holds_a_formula_and_names_come_back(tmp_path: Path) -> None:
    names = ("=HYPERLINK(1)", "'=x", "''+x", "@sum(A1)", "-2", "'s", "plain")
    rows = tuple({"class": name, "group": "+many", "test_support": 1, "auc": -0.5} for name in names)
    folder = Store(tmp_path).commit(some_result(per_class=rows), {"test": some_predictions()})
    text = (folder / PER_CLASS).read_text(encoding="utf-8")
    assert "'=HYPERLINK(1),'+many,1,-0.5" in text and "\n=" not in text
    (stored,), _ = Store(tmp_path).load()
    assert [row["class"] for row in stored.per_class] == list(names)
    assert {row["group"] for row in stored.per_class} == {"+many"}
    assert [from_spreadsheet(spreadsheet(name)) for name in names] == list(names)
