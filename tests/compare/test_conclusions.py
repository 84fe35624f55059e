"""Sentences about the stored cells of a stage: the choice, its score, and which effects are beyond chance."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compare.conclusions import concluding_metrics, conclusion, conclusions
from bench.compare.effects import Effect, effects
from bench.compare.leaderboard import Board, boards
from bench.compare.stored_cells import read_bootstraps
from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.store.write import Store
from tests.grids import answers, attributes, faces, grid, put


def sentences(root: Path) -> list[list[str]]:
    cells, _ = Store(root).load()
    found, _ = read_bootstraps(cells, concluding_metrics(cells[0].record["cell"]["kind"]), draws=400)
    records = [stored.record for stored in cells]
    ranked = boards(records, found, get_kind(records[0]["cell"]["kind"]).selection)
    return [conclusions(board, effects_of(board)) for board in ranked]


def effects_of(board: Board) -> list[Effect]:
    return effects(board.records, board.bootstrap, concluding_metrics(board.bootstrap.kind))


def test_the_choice_its_place_and_the_effects_are_said(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.5, "class_weight": 0.85, "logit_adjust": 0.2}, n=300)
    (lines,) = sentences(tmp_path)
    number = r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]"
    choice = (
        rf"Validation chooses lenet class_weight: top-1 macro {number} and top-1 {number} on test "
        r"\(95% intervals, 3 seeds\)\."
    )
    assert re.fullmatch(choice, lines[0])
    assert lines[1] == "It is also the first of 4 settings by top-1 macro on test."
    effect = r"\([+-]0\.\d{3}\)"
    for line, title in zip(lines[2:], ("top-1 macro", "top-1"), strict=True):
        wanted = (
            rf"class_weight {effect} improves {title} relative to none; logit_adjust {effect} worsens it; "
            rf"the effect of focal {effect} is not beyond chance\."
        )
        assert re.fullmatch(wanted, line), line


def test_numbers_are_those_of_the_stored_cells(tmp_path: Path) -> None:
    ids = grid(tmp_path, {"none": 0.5, "class_weight": 0.85}, n=300)
    by_id = {stored.id: stored.record["metrics"]["test"] for stored in Store(tmp_path).load()[0]}
    mean = {
        method: np.mean([by_id[ids["lenet", method, seed]]["top1_macro"] for seed in (0, 1, 2)])
        for method in ("none", "class_weight")
    }
    (lines,) = sentences(tmp_path)
    assert f"top-1 macro {mean['class_weight']:.3f} [" in lines[0]
    assert f"class_weight ({mean['class_weight'] - mean['none']:+.3f}) improves top-1 macro" in lines[2]


def test_without_a_real_difference_nothing_is_beyond_chance(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.6, "focal": 0.6, "class_weight": 0.6}, n=200)
    (lines,) = sentences(tmp_path)
    for line, title in zip(lines[2:], ("top-1 macro", "top-1"), strict=True):
        assert line.startswith(f"No method's effect on {title} is beyond chance: ")
        assert "focal (" in line and "class_weight (" in line


@pytest.mark.parametrize("first, beyond", [(0.65, ", not beyond chance."), (0.95, ", beyond chance.")])
def test_a_choice_that_is_not_first_on_test_is_placed(tmp_path: Path, first: float, beyond: str) -> None:
    like = answers(300, 6, 0.5, 99)
    for seed in range(3):
        on_val = answers(60, 6, 0.9, 7)
        put(tmp_path, answers(300, 6, 0.6, seed, like), seed, method="focal", val=on_val)
        put(tmp_path, answers(300, 6, first, 10 + seed, like), seed, val=answers(60, 6, 0.3, 8))
    (lines,) = sentences(tmp_path)
    assert lines[0].startswith("Validation chooses lenet focal: ")
    assert lines[1].startswith("It is number 2 of 2 settings by top-1 macro on test: lenet none is 0.")
    assert lines[1].endswith(beyond)


def test_a_choice_no_better_than_an_answer_without_the_image(tmp_path: Path) -> None:
    like = attributes(150, 4, 0.5, 0)
    for method in ("none", "focal"):
        pred = attributes(150, 4, 0.0, 3, like)
        # One score for all items ranks nothing: the area is one half, that of the trivial answers.
        flat = Predictions(**{**vars(pred), "scores": np.full_like(pred.scores, 0.5)})
        put(tmp_path, flat, method=method, kind="multilabel", task="multilabel", stage="all")
    (lines,) = sentences(tmp_path)
    assert "It is not better than an answer that ignores the image: AUC macro 0.500." in lines


def test_five_answers_that_differ_are_not_beyond_chance_below_the_trivial_answer_either(
    tmp_path: Path,
) -> None:
    like = answers(200, 4, 0.5, 1)
    scores = np.tile(np.array([[0.7, 0.2, 0.1, 0.0]], np.float32), (200, 1))
    put(tmp_path, replace(like, scores=scores), val=answers(60, 4, 0.2, 2))
    fewer = scores.copy()
    fewer[np.flatnonzero(like.truth == 0)[:5]] = np.array([0.2, 0.7, 0.1, 0.0], np.float32)
    put(tmp_path, replace(like, scores=fewer), method="focal", val=answers(60, 4, 0.9, 3))
    (lines,) = sentences(tmp_path)
    assert lines[0].startswith("Validation chooses lenet focal") and lines[1].endswith(", not beyond chance.")
    assert "is not better than an answer that ignores the image" in lines[2]


def test_one_setting_has_no_rank_and_no_effect(tmp_path: Path) -> None:
    put(tmp_path, answers(80, 5, 0.6, 1))
    (lines,) = sentences(tmp_path)
    assert len(lines) == 1 and lines[0].startswith("The only setting is lenet none: top-1 macro 0.")
    assert lines[0].endswith("1 seed).")


def test_methods_without_a_counterpart_have_no_effect(tmp_path: Path) -> None:
    put(tmp_path, answers(80, 5, 0.6, 1), method="focal")
    put(tmp_path, answers(80, 5, 0.6, 1), backbone="mobilenet_025")
    (lines,) = sentences(tmp_path)
    assert lines[-1] == "No method was run beside the same setting without it, so effects are unknown."


def test_settings_of_one_name_show_their_regime(tmp_path: Path) -> None:
    like = answers(80, 5, 0.5, 99)
    put(tmp_path, answers(80, 5, 0.6, 1, like), backbone="mobilenet_025", regime="frozen")
    put(tmp_path, answers(80, 5, 0.9, 2, like), backbone="mobilenet_025", regime="finetune")
    (lines,) = sentences(tmp_path)
    assert lines[0].startswith("Validation chooses mobilenet_025 none, finetune: ")


Make = Callable[..., Any]


@pytest.mark.parametrize(
    "make, kind, task, first",
    [(attributes, "multilabel", "multilabel", "AUC macro"), (faces, "verification", "faces", "AUC")],
)
def test_every_kind_has_conclusions(tmp_path: Path, make: Make, kind: str, task: str, first: str) -> None:
    like = make(200, 12, 0.5, 0)
    for method, skill in (("none", 0.3), ("focal", 2.0)):
        for seed in (0, 1):
            pred = make(200, 12, skill, 5 + seed, like)
            put(tmp_path, pred, seed, method=method, kind=kind, task=task, stage="all")
    (lines,) = sentences(tmp_path)
    assert lines[0].startswith(f"Validation chooses lenet focal: {first} 0.")
    assert any(
        line.startswith("focal (+0.") and f"improves {first} relative to none" in line for line in lines
    )
    assert json.dumps(lines, ensure_ascii=True)


def one_sentence(root: Path) -> str:
    """Return the conclusion of the one board of a results folder."""
    cells, _ = Store(root).load()
    metric = concluding_metrics(cells[0].record["cell"]["kind"])[0]
    found, _ = read_bootstraps(cells, [metric], draws=400)
    [board] = boards([stored.record for stored in cells], found, metric)
    return conclusion(board, effects(board.records, board.bootstrap, [metric]))


def test_one_sentence_is_on_methods_or_else_on_the_choice(tmp_path: Path) -> None:
    grid(tmp_path / "methods", {"none": 0.5, "class_weight": 0.9}, n=200)
    text = one_sentence(tmp_path / "methods")
    assert re.fullmatch(r"class_weight \(\+0\.\d+\) improves top-1 macro relative to none\.", text)
    like = answers(200, 5, 0.5, 99)
    for seed, backbone in enumerate(("lenet", "vgg16")):
        put(tmp_path / "backbones", answers(200, 5, 0.3 + 0.5 * seed, seed, like), backbone=backbone)
    text = one_sentence(tmp_path / "backbones")
    assert text.startswith("Validation chooses vgg16 none. It is also the first of 2 settings by top-1 macro")
    grid(tmp_path / "one", {"none": 0.5}, n=60)
    assert one_sentence(tmp_path / "one").startswith("Only one setting was run, so there is nothing to comp")
