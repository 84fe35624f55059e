"""What goes wrong in one cell takes no other with it, and nothing that was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from bench.core.errors import BenchError, StoreError
from bench.store.read import HISTORY, MODEL, PER_CLASS, PREDICTIONS, RESULT, Stored
from bench.store.write import Store
from tests.in_process import InProcess, content

pytest.importorskip("tensorflow")

FASHION = (
    *("run", "--task", "fashion", "--sample", "tiny", "--regime", "frozen", "--backbone", "lenet"),
    *("--weights", "random", "--stage", "top20", "--seed", "0", "--set", "epochs=2", "--set", "l2=0.01"),
)
FACES = (
    *("run", "--task", "faces", "--sample", "tiny", "--regime", "frozen", "--backbone", "lenet"),
    *("--weights", "random", "--seed", "0"),
)
METHODS = ("--method", "none,class_weight,logit_adjust")


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    return InProcess(tmp_path, monkeypatch)


def _by_method(cells: list[Stored]) -> dict[str, Stored]:
    return {str(stored.record["cell"]["method_text"]): stored for stored in cells}


POSTHOC = "bench.runs.choices.fit_posthoc"
FOLD = "bench.kinds.verification.runner._choose"


def _spoil(monkeypatch: pytest.MonkeyPatch, name: str, method: str, error: Exception) -> None:
    """Let a function raise an error for one method, which its first argument has or is."""
    plain: Callable[..., Any] = resolve_name(name)

    def spoilt(first: Any, *rest: Any, **more: Any) -> Any:
        if getattr(first, "method", first).text == method:
            raise error
        return plain(first, *rest, **more)

    monkeypatch.setattr(name, spoilt)


@pytest.mark.parametrize("error", [ValueError("a\nbug"), BenchError("changed")], ids=repr)
@pytest.mark.parametrize("refit", ["true", "false"])
def test_an_error_in_one_cell_fails_that_cell_alone(
    error: Exception, refit: str, inside: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads are trained together: the others are trained again, to the same bits."""
    args = (*FASHION, *METHODS, "--set", f"refit={refit}")
    plain = _by_method(inside.bench(*args, results="plain", cache="cache"))
    _spoil(monkeypatch, POSTHOC, "class_weight", error)
    cells = _by_method(inside.bench(*args, results="spoilt", cache="cache"))
    assert inside.code == 4
    failed = cells.pop("class_weight")
    assert failed.record["status"] == "failed"
    assert failed.record["reason"] == ("changed" if isinstance(error, BenchError) else "ValueError: a bug")
    assert set(cells) == {"none", "logit_adjust"}
    assert {name: content(one) for name, one in cells.items()} == {
        name: content(plain[name]) for name in cells
    }


def test_an_error_in_one_cell_of_pairs_fails_that_cell_alone(
    inside: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = (*FACES, "--method", "cosine,whiten+cosine")
    plain = _by_method(inside.bench(*args, results="plain", cache="cache"))
    _spoil(monkeypatch, FOLD, "cosine", ValueError("a bug"))
    cells = _by_method(inside.bench(*args, results="spoilt", cache="cache"))
    assert inside.code == 4
    assert cells["cosine"].record["reason"] == "ValueError: a bug"
    assert content(cells["whiten+cosine"]) == content(plain["whiten+cosine"])


def test_memory_that_is_used_up_fails_no_cell(inside: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command tries again with less in memory."""
    _spoil(monkeypatch, POSTHOC, "class_weight", MemoryError())
    with pytest.raises(MemoryError):
        inside.bench(*FASHION, *METHODS, results="results", cache="cache")
    assert not Store(inside.folder / "results").load()[0]


def test_a_disk_that_is_full_fails_no_cell(inside: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("results folder: no space is left")

    monkeypatch.setattr("bench.runs.run_job.commit", full)
    with pytest.raises(StoreError, match="no space is left"):
        inside.bench(*FASHION, *METHODS, results="results", cache="cache")
    assert not Store(inside.folder / "results").load()[0]


def test_a_damaged_cell_that_was_measured_is_not_replaced_by_a_failure(
    inside: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = (*FASHION, "--method", "none")
    [stored] = inside.bench(*args, results="results", cache="cache")
    record = stored.folder / RESULT
    record.write_bytes(record.read_bytes().replace(b'"epochs": 2', b'"epochs": 3'))
    before = {path.name: path.read_bytes() for path in stored.folder.iterdir()}
    assert PREDICTIONS in before
    with monkeypatch.context() as patch:
        _spoil(patch, POSTHOC, "none", BenchError("the machine was tired"))
        with pytest.raises(AssertionError):
            inside.bench(*args, results="results", cache="cache")
    said = capsys.readouterr().err
    assert "the machine was tired" in said and "their stored results are kept" in said
    assert before == {path.name: path.read_bytes() for path in stored.folder.iterdir()}
    [again] = inside.bench(*args, results="results", cache="cache")
    assert content(again) == content(stored)


def _flip(path: Path) -> None:
    """Change the last byte of a file, so that its size stays."""
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def test_a_stored_cell_whose_files_were_changed_is_named_and_trained_again(
    inside: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that prints no table reads them, too, and leaves the other cells as they are."""
    args = (*FASHION, *METHODS)
    cells = _by_method(inside.bench(*args, results="results", cache="cache"))
    whole, weighted = {name: content(one) for name, one in cells.items()}, cells["class_weight"].folder
    kept = {name: (one.folder / RESULT).read_bytes() for name, one in cells.items() if one.folder != weighted}
    for name in (PREDICTIONS, PER_CLASS, HISTORY):
        _flip(weighted / name)
        capsys.readouterr()
        inside.bench("plan", *args[1:], "--format", "json", results="results", cache="cache")
        states = {row["method"]: row["state"] for row in json.loads(capsys.readouterr().out)}
        assert states == {**dict.fromkeys(cells, "stored"), "class_weight": "to run again (damaged)"}
        again = inside.bench(*args, "--quiet", results="results", cache="cache")
        said = capsys.readouterr().err
        assert f"{weighted / name}: cannot be read (it was changed after it was stored)" in said
        assert "--rerun" not in said and "1 of 3 cells to train" in said and inside.code == 0
        assert {method: content(one) for method, one in _by_method(again).items()} == whole
    assert {name: (cells[name].folder / RESULT).read_bytes() for name in kept} == kept


def test_a_run_that_cannot_read_a_baseline_names_it_and_its_exit_code_says_so(
    inside: InProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    args = (*FASHION, "--method", "none")
    inside.bench(*args, "--quiet", results="results", cache="cache")
    path = inside.folder / "baselines/fashion/paper.json"
    path.parent.mkdir(parents=True)
    path.write_text("{", encoding="utf-8")
    inside.bench(*args, "--baselines", str(path.parents[1]), results="results", cache="cache")
    said = capsys.readouterr()
    assert inside.code == 4 and str(path) in said.err and "fashion top20: " in said.out


def test_a_cell_whose_files_were_changed_and_that_fails_now_is_kept_and_the_exit_code_says_so(
    inside: InProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args = (*FASHION, "--method", "none")
    [stored] = inside.bench(*args, "--keep-model", results="results", cache="cache")
    _flip(stored.folder / MODEL)
    inside.bench(*args, results="results", cache="cache")
    assert "nothing to do: all 1 cells" in capsys.readouterr().err, "no model is asked for"
    _flip(stored.folder / PREDICTIONS)
    before = {path.name: path.read_bytes() for path in stored.folder.iterdir()}
    _spoil(monkeypatch, POSTHOC, "none", BenchError("the machine was tired"))
    inside.bench(*args, results="results", cache="cache")
    said = capsys.readouterr().err
    assert inside.code == 4 and "the machine was tired" in said and "their stored results are kept" in said
    assert f"{stored.folder / PREDICTIONS}: cannot be read" in said
    assert before == {path.name: path.read_bytes() for path in stored.folder.iterdir()}


def test_a_damaged_failure_is_replaced_by_the_next_one(
    inside: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = (*FASHION, "--method", "none")
    _spoil(monkeypatch, POSTHOC, "none", BenchError("the machine was tired"))
    [stored] = inside.bench(*args, results="results", cache="cache")
    record = stored.folder / RESULT
    record.write_bytes(b"{}")
    [again] = inside.bench(*args, results="results", cache="cache")
    assert again.record["reason"] == "the machine was tired"
