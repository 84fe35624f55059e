"""Chance for every kind: shuffled labels are said to be chance wherever results are shown, real ones not."""

from __future__ import annotations

import csv
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.compare.leaderboard import BEST, NOT_BETTER, boards
from bench.compare.stored_cells import read_bootstraps
from bench.compare.warnings import warnings
from bench.core.predictions import Predictions
from bench.kinds.verification.stage_checks import pair_signal
from bench.metrics.registry import METRICS
from bench.report.leaderboard_tables import leaderboard_table
from bench.runs.signal_check import signal_check
from bench.store.write import Store
from tests.grids import answers, attributes, faces, put

KINDS: dict[str, tuple[str, str, Any]] = {
    "multiclass": ("fashion", "top1_micro", lambda skill, seed, like: answers(300, 9, skill, seed, like)),
    "multilabel": (
        "multilabel",
        "auc_macro",
        lambda skill, seed, like: attributes(200, 3, skill, seed, like),
    ),
    "verification": ("faces", "accuracy", lambda skill, seed, like: faces(300, 40, skill, seed, like)),
}


def _grid(root: Path, kind: str, skill: float, methods: tuple[str, ...] = ("none", "focal")) -> None:
    task, _, make = KINDS[kind]
    like: Predictions = make(0.0, 99, None)
    for place, method in enumerate(methods):
        for seed in (0, 1):
            pred = make(skill, 10 * place + seed, like)
            put(root, pred, seed, kind=kind, task=task, stage="all", method=method)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_without_information_are_chance_and_never_best(tmp_path: Path, kind: str) -> None:
    task, metric, _ = KINDS[kind]
    _grid(tmp_path, kind, 0.0)
    cells, _ = Store(tmp_path).load(task)
    lines = warnings(cells)
    assert any(line.startswith("chance in all: no method beats it; of 2 settings none") for line in lines)
    # With attributes the trivial answer has what chance has, and is not said twice.
    said = any(line.startswith("trivial answer in all: no method beats it") for line in lines)
    assert said is (kind != "multilabel")
    found, _ = read_bootstraps(cells, [metric])
    (board,) = boards([cell.record for cell in cells], found, metric)
    for row in board.rows:
        trivial = max(record["metrics"][name][metric] for record in row.setting.records[:1]
                      for name in record["metrics"] if name not in ("test", "val", "train")
                      and record["metrics"][name].get(metric) is not None)  # fmt: skip
        assert row.value is not None and (row.standing == BEST) <= (row.value > trivial)
    if kind == "multiclass":
        assert {row.standing for row in board.rows} == {NOT_BETTER}
        text = " ".join(leaderboard_table([board]).notes)
        assert f"{NOT_BETTER}: an answer that ignores the image does as well or better." in text
        assert "Ranked by test" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_real_signal_is_not_said_to_be_chance(tmp_path: Path, kind: str) -> None:
    task, metric, _ = KINDS[kind]
    _grid(tmp_path, kind, 0.9 if kind == "multiclass" else 2.0)
    cells, _ = Store(tmp_path).load(task)
    lines = warnings(cells)
    assert not any("no method beats it" in line or line.startswith("trivial") for line in lines)
    assert any(line.startswith("chance in all: of 2 settings all have a 95% interval") for line in lines)
    found, _ = read_bootstraps(cells, [metric])
    (board,) = boards([cell.record for cell in cells], found, metric)
    assert board.rows[0].standing == BEST


def test_a_setting_below_the_trivial_answer_is_named_beside_one_above(tmp_path: Path) -> None:
    like = answers(300, 9, 0.0, 99)
    put(tmp_path, answers(300, 9, 0.9, 1, like), method="none")
    put(tmp_path, answers(300, 9, 0.0, 2, like), method="focal")
    cells, _ = Store(tmp_path).load("fashion")
    (line,) = [line for line in warnings(cells) if line.startswith("trivial answer") and "top-1 of" in line]
    assert re.search(
        r"of 2 settings 1 are not better than the top-1 of `trivial` on test, 0\.\d+: lenet focal", line
    )
    assert "lenet none" not in line


def test_chance_of_a_mean_over_classes_is_one_by_their_number() -> None:
    assert METRICS["top1_macro"].chance_of({"classes_scored": 8}) == 1 / 8
    assert METRICS["top1_macro"].chance_of({}) is None
    assert METRICS["auc_macro"].chance_of({"classes_scored": 8}) == 0.5
    assert METRICS["top1_micro"].chance_of({"classes_scored": 8}) is None


# The permutation test


def test_classes_are_permuted_like_attributes() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 30, 600)
    x = rng.normal(size=(600, 12)).astype(np.float32)
    told = x.copy()
    told[np.arange(600), labels % 12] += 3.0
    one_hot = (labels[:, None] == np.arange(30)).astype(np.float32)
    names, units = [f"c{i}" for i in range(30)], [str(i) for i in range(600)]
    real, none = (signal_check(features, one_hot, names, units, 99) for features in (told, x))
    assert real is not None and none is not None
    assert real.p == 0.01 and none.p > 0.05
    assert len(real.by_attribute) == 20


def test_pairs_are_tested_by_dealing_photos_out() -> None:
    rng = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 5)
    own = rng.normal(size=(40, 8))
    x = (own[person] + 0.5 * rng.normal(size=(200, 8))).astype(np.float32)
    first, second = rng.integers(0, 200, (2, 3000))
    apart = first != second
    first, second = first[apart], second[apart]
    same = person[first] == person[second]
    real = pair_signal(x, first, second, same, 99)
    assert real is not None and real.p == 0.01 and real.auc > 0.9 and real.by_attribute == {}
    ps = []
    for seed in range(40):
        shuffled = np.random.default_rng(seed).permutation(person)
        # One photo is in half of the same pairs: that alone must be no signal.
        often = shuffled[first] == shuffled[second]
        found = pair_signal(x, first, second, often, 39, seed)
        assert found is not None
        ps.append(found.p)
    assert 3 <= sum(p <= 0.25 for p in ps) <= 18 and 10 <= sum(p <= 0.5 for p in ps) <= 30
    assert pair_signal(x, first, second, np.ones(len(first), bool)) is None


# Through the command


def _bench(*args: object) -> Any:
    done = CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)
    assert done.exception is None, done.exception
    return done


def _drawn(root: Path, task: str, shuffled: bool) -> Path:
    """Return a drawn data folder, with what is true dealt out to the images at random if shuffled."""
    # The tiny sample is too small for its signal to be seen in intervals.
    sample = "tiny" if shuffled else "small"
    _bench("data", "draw", "--task", task, "--sample", sample, "--out", root)
    dice = random.Random(5)
    if not shuffled:
        return root
    if task == "faces":
        photos = sorted(root.glob("*/*.png"))
        contents = [photo.read_bytes() for photo in photos]
        dice.shuffle(contents)
        for photo, content in zip(photos, contents, strict=True):
            photo.write_bytes(content)
        return root
    (table,) = [root / name for name in ("styles.csv", "labels.csv") if (root / name).exists()]
    with table.open(newline="") as file:
        head, *rows = csv.reader(file)
    # Fashion parts by year and scores by class: images change places, rows stay as they are.
    names = [row[0] for row in rows]
    dice.shuffle(names)
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([head, *([name, *row[1:]] for name, row in zip(names, rows, strict=True))])
    return root


@pytest.mark.parametrize("shuffled", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("task", "method"), [("fashion", "none"), ("multilabel", "none"), ("faces", "cosine")]
)
def test_run_leaderboard_and_report_say_whether_labels_were_shuffled(
    tmp_path: Path, task: str, method: str, shuffled: bool
) -> None:
    data, results = _drawn(tmp_path / "data", task, shuffled), tmp_path / "results"
    line = ["run", "--task", task, "--data", data, "--backbone", "grey", "--method", method, "--seed", "0-1"]
    run = _bench(*line, "--results", results, "--cache", tmp_path / "cache").stdout
    board = _bench("leaderboard", "--task", task, "--results", results).stdout
    page = tmp_path / "page"
    _bench("report", "--results", results, "--out", page, "--data", data)
    report = (page / "index.html").read_text()
    for text in (run, board, report):
        words = " ".join(text.split())
        assert ("no method beats it" in words) is shuffled, words[:3000]
        if text is run and not shuffled:
            # The end of a run has warnings alone, and signal is none.
            continue
        assert "signal in " in words
        found = [float(p) for p in re.findall(r"p = (\.?\d?\.?\d+)[:;]", words)]
        assert found and (min(found) > 0.05) is shuffled, found
    assert "None found." not in report or not shuffled
    rows = json.loads(_bench("leaderboard", "--task", task, "--results", results, "--format", "json").stdout)
    assert shuffled or rows[0]["standing"] == BEST
