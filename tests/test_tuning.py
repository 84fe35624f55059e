"""Tuning by the real command, on tasks of every kind: the chosen trial is a cell of its own, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.commands.main import cli
from bench.runs import image_stage
from bench.store.read import TRIALS, Stored
from bench.store.verify import verify
from tests.in_process import InProcess, content

pytest.importorskip("skimage", reason="the extra `handcrafted` is not installed")

GRIDS = {
    "fashion": ("--stage", "top20", "--set", "epochs=4", "--set", "steps=0", "--method", "focal"),
    "multilabel": ("--set", "epochs=4", "--method", "class_weight+asl"),
    "faces": ("--set", "epochs=4", "--method", "whiten(dims=16)+l2+cosine"),
}


@pytest.mark.parametrize("task", GRIDS)
def test_a_tuned_cell_is_its_best_trial(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = InProcess(tmp_path, monkeypatch)
    grid = ("run", "--task", task, "--sample", "tiny", "--backbone", "hog", "--seed", "0", *GRIDS[task])
    (tuned,) = run.bench(*grid, "--quiet", "--tune", "3", results="tuned", cache="cache")
    assert run.code == 0 and tuned.ok and not verify(tuned.folder).findings
    found, rows = tuned.record["choices"]["tuning"], tuned.trials
    assert [row["trial"] for row in rows] == [1, 2, 3] and found["trials"] == 3
    assert found["splits"] == (image_stage.SPLITS if task != "faces" else 1)
    best = rows[found["chosen"] - 1]
    assert best["chosen"] == 1 and sum(row["chosen"] for row in rows) == 1
    assert best[f"val_{found['metric']}"] == found["val"] == max(r[f"val_{found['metric']}"] for r in rows)
    # What was chosen, typed as a cell of its own, gives the same bits.
    values = [word for key in ("lr", "l2", "batch_size") for word in ("--set", f"{key}={best[key]}")]
    typed = [*grid[: grid.index("--method")], "--method", best["method"], *values, "--quiet"]
    (alone,) = run.bench(*typed, results="alone", cache="cache")
    same = {"choices", "cell", "id", TRIALS}
    ours, theirs = ({k: v for k, v in content(one).items() if k not in same} for one in (tuned, alone))
    assert ours == theirs
    _reads_as_tuned(tuned, run)


def _reads_as_tuned(tuned: Stored, run: InProcess) -> None:
    """A trials file that was changed is found out, and so is a record that names another trial."""
    other = tuned.folder.parents[3].with_name("changed") / tuned.folder.relative_to(tuned.folder.parents[3])
    shutil.copytree(tuned.folder, other)
    text = (other / TRIALS).read_text(encoding="utf-8")
    (other / TRIALS).write_text(text.replace(",1,", ",0,", 1), encoding="utf-8")
    assert "trials.csv" in verify(other).problem
    assert (
        cli.main(
            ["show", str(tuned.folder), "--results", str(tuned.folder.parents[3])], standalone_mode=False
        )
        == 0
    )


def test_trials_are_the_same_whatever_shares_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = InProcess(tmp_path, monkeypatch)
    options = "--task fashion --sample tiny --backbone hog --seed 0 --stage top20 --tune 2 --quiet"
    grid = ("run", *options.split(), "--set", "epochs=3", "--set", "val_fraction=0.3")
    monkeypatch.setattr(image_stage, "MIN_VALIDATION", 1)
    together = run.bench(*grid, "--method", "none,oversample+focal", results="together", cache="cache")
    (alone,) = run.bench(*grid, "--method", "none", results="alone", cache="cache")
    (same,) = [one for one in together if one.id == alone.id]
    assert content(same) == content(alone)
    (one,) = [stored for stored in together if stored.id != alone.id]
    assert one.record["choices"]["tuning"]["splits"] == 1 and not verify(one.folder).findings
    shown = [row["lr"] for row in one.trials]
    np.testing.assert_array_equal(shown, [row["lr"] for row in alone.trials])


def test_tpe_gives_the_same_bits_whatever_shares_the_run_and_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra `tune` is not installed")
    run = InProcess(tmp_path, monkeypatch)
    options = "--task fashion --sample tiny --backbone hog --seed 0 --stage top20 --quiet --set epochs=8"
    grid = ("run", *options.split(), "--tune", "10", "--set", "tuner=tpe", "--set", "val_fraction=0.3")
    monkeypatch.setattr(image_stage, "MIN_VALIDATION", 1)
    both = ("--method", "none,focal")
    first = run.bench(*grid, *both, results="killed", cache="cache", kill_after=1)
    assert len(first) == 1
    together = run.bench(*grid, *both, results="killed", cache="cache")
    (alone,) = run.bench(*grid, "--method", "focal", results="alone", cache="cache")
    (same,) = [one for one in together if one.id == alone.id]
    assert content(same) == content(alone) and not verify(same.folder).findings
    found, rows = alone.record["choices"]["tuning"], alone.trials
    assert (found["trials"], found["tuner"], len(rows)) == (10, "tpe", 10) and found["optuna"]
    ended = [row["val_top1_macro"] for row in rows if row["val_top1_macro"] is not None]
    assert rows[0]["val_top1_macro"] == found["val_untuned"] and found["val"] == max(ended)
    assert any(row["reason"].startswith("stopped after 1 epoch,") for row in rows if row["reason"])
