"""Choice among trials: by validation alone, the default where nothing is better, test touched once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from bench.core.cell import Cell, DataId
from bench.core.predictions import CellResult
from bench.core.protocol import defaults
from bench.methods.grammar import parse_method
from bench.runs.commit import Answer
from bench.runs.stage_run import StageRun, Validated, failure
from bench.runs.trials import trials_of
from bench.runs.tuning import tuned_answers


def cell(method: str = "focal", seed: int = 0, tune: int = 4) -> Cell:
    protocol = {**defaults(), "tune": tune}
    del protocol["tune_seed"]
    if tune == 1:
        del protocol["tune"]
    own = "fashion", 1, "multiclass", "top20", "frozen", "hog", "none", parse_method(method), seed
    return Cell(*own, tuple(sorted(protocol.items())), DataId("drawn-tiny", "f" * 64))


class Run(StageRun):
    """A stage whose validation scores are given, and which counts what is tested."""

    def __init__(self, score: Callable[[Cell], float | None], refuses: str = "") -> None:
        self.score, self.refuses = score, refuses
        self.validated: list[str] = []
        self.tested: list[str] = []
        self.forgotten: list[str] = []

    def groups(self) -> Sequence[Sequence[Cell]]:
        raise AssertionError("the group is given")

    def validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        self.validated += [one.id for one in cells]
        sizes = [one.setting["batch_size"] for one in cells]
        assert sizes == sorted(sizes), "nets of one batch size are neighbours"  # type: ignore[type-var]
        for one in cells:
            score = self.score(one)
            yield one, Validated(score, None if score is not None else "loss became NaN in epoch 1")

    def answers(self, cells: Sequence[Cell]) -> Iterator[Answer]:
        for one in cells:
            self.tested.append(one.id)
            result = CellResult(one, "ok", choices={"best_epoch": 3})
            yield failure(result, self.refuses) if self.refuses else (result, {}, None)

    def forget(self, cell: Cell) -> None:
        self.forgotten.append(cell.id)


def answers(run: Run, *cells: Cell) -> dict[str, Any]:
    return {answer[0].cell.id: answer[0] for answer in tuned_answers(run, cells)}


def test_the_best_trial_on_validation_is_tested_and_no_other() -> None:
    tuned = cell()
    trials = trials_of(tuned)
    scores = dict(zip([one.cell.id for one in trials], (0.5, 0.7, 0.9, 0.8), strict=True))
    run = Run(lambda one: scores[one.id])
    (answer,) = answers(run, tuned).values()
    assert run.tested == [trials[2].cell.id] and sorted(run.validated) == sorted(scores)
    assert [row["chosen"] for row in answer.trials] == [0, 0, 1, 0]
    assert [row["val_top1_macro"] for row in answer.trials] == [0.5, 0.7, 0.9, 0.8]
    assert [row["method"] for row in answer.trials] == [one.cell.method.text for one in trials]
    found = answer.choices["tuning"]
    assert (found["trials"], found["chosen"], found["val"], found["val_untuned"]) == (4, 3, 0.9, 0.5)
    assert found["values"] == dict(trials[2].values) and answer.choices["best_epoch"] == 3
    assert sorted(run.forgotten) == sorted(scores)


def test_of_equal_trials_the_default_setting_is_kept() -> None:
    tuned = cell()
    run = Run(lambda one: 0.5)
    answers(run, tuned)
    assert run.tested == [trials_of(tuned)[0].cell.id]


def test_trials_that_fail_lose_and_the_reason_is_kept() -> None:
    tuned = cell()
    trials = trials_of(tuned)
    run = Run(lambda one: 0.1 if one.id == trials[3].cell.id else None)
    (answer,) = answers(run, tuned).values()
    assert run.tested == [trials[3].cell.id]
    assert [row["reason"] for row in answer.trials[:3]] == ["loss became NaN in epoch 1"] * 3
    assert answer.trials[3]["reason"] is None


def test_a_cell_whose_trials_all_fail_fails_alone() -> None:
    one, other = cell(), cell("none")
    bad = {trial.cell.id for trial in trials_of(one)}
    run = Run(lambda own: None if own.id in bad else 0.5)
    found = answers(run, one, other)
    assert found[one.id].reason == "none of 4 trials could be scored; the first: loss became NaN in epoch 1"
    assert found[other.id].trials and len(run.tested) == 1


def test_a_chosen_trial_that_cannot_be_tested_says_why() -> None:
    found = answers(Run(lambda one: 0.5, refuses="refit: loss became NaN in epoch 2"), cell())
    assert [one.reason for one in found.values()] == ["refit: loss became NaN in epoch 2"]


def test_cells_without_tuning_are_answered_as_before() -> None:
    plain, tuned = cell(tune=1), cell("none")
    run = Run(lambda one: 0.5)
    found = answers(run, plain, tuned)
    assert not found[plain.id].trials and run.tested[0] == plain.id
    assert run.tested[1] == trials_of(tuned)[0].cell.id and plain.id not in run.validated


@pytest.mark.parametrize("count", [2, 9])
def test_two_cells_that_choose_one_trial_are_both_answered(count: int) -> None:
    """`tune=2` and `tune=9` begin with the same trials."""
    one, other = cell(tune=2), cell(tune=count)
    first = {trial.cell.id: place for place, trial in enumerate(trials_of(other))}
    run = Run(lambda own: float(np.float64(1.0 / (1 + abs(first[own.id] - 1)))))
    found = answers(run, one, other) if count != 2 else answers(run, one)
    assert all(answer.choices["tuning"]["chosen"] == 2 for answer in found.values())
    assert len(run.tested) == 1
