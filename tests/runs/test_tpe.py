"""Trials chosen by TPE with successive halving: by the seed and the cell's own scores alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.core.protocol import check
from bench.core.protocol_checks import check_together
from bench.methods.grammar import parse_method
from bench.runs import trials as trials_module
from bench.runs.halving import at_rung, going_on, shares
from bench.runs.trials import check_tuning, trials_of
from tests.runs.test_tuning import Run, answers, cell

pytest.importorskip("optuna", reason="the extra `tune` is not installed")

from bench.runs.tpe import ROUND, TpeTuner


def tpe(method: str = "none", seed: int = 0, tune: int = 24, **settings: Any) -> Cell:
    from dataclasses import replace

    one = cell(method, seed, tune)
    protocol = {**one.setting, "l2": 0.001, "epochs": 32, "tuner": "tpe", **settings}
    return replace(one, protocol=tuple(sorted(protocol.items())))


def near(one: Cell) -> float:
    """Score a cell: the best learning rate is .004, and more epochs are better."""
    rate, epochs = float(one.setting["lr"] or 0), int(one.setting["epochs"] or 0)
    return 1.0 / (1.0 + abs(math.log(rate / 0.004))) + 0.001 * epochs


def test_the_first_round_is_that_of_random_search() -> None:
    tuned = tpe("focal")
    first = TpeTuner(tuned).ask()
    assert [one.cell.id for one in first] == [one.cell.id for one in trials_of(tuned)[:ROUND]]
    assert len(TpeTuner(tpe(tune=3)).ask()) == 3


def test_later_rounds_follow_the_scores() -> None:
    (answer,) = answers(Run(near), tpe()).values()
    assert len(answer.trials) == 24 and answer.choices["tuning"]["tuner"] == "tpe"
    far = [abs(math.log(row["lr"] / 0.004)) for row in answer.trials]
    assert sum(far[ROUND:]) / len(far[ROUND:]) < 0.7 * sum(far[1:ROUND]) / len(far[1:ROUND])
    found = answer.choices["tuning"]
    assert found["val"] == max(row["val_top1_macro"] or 0.0 for row in answer.trials)
    assert answer.trials[found["chosen"] - 1]["chosen"] == 1


def test_trials_depend_on_the_seed_and_the_own_scores_alone() -> None:
    one, other = tpe(), tpe("focal")
    alone, again = answers(Run(near), one)[one.id], answers(Run(near), one)[one.id]
    beside = answers(Run(near), other, one)[one.id]
    assert alone == again == beside
    (drawn,) = answers(Run(near), tpe(tune_seed=1)).values()
    assert [row["lr"] for row in drawn.trials] != [row["lr"] for row in alone.trials]


def test_few_trials_are_trained_to_the_end_and_one_is_tested() -> None:
    run = Run(near)
    (answer,) = answers(run, tpe()).values()
    ended = [row for row in answer.trials if row["val_top1_macro"] is not None]
    stopped = [row for row in answer.trials if row["val_top1_macro"] is None]
    assert ended[0]["trial"] == 1 and len(ended) < 10 and len(run.tested) == 1
    assert {row["reason"].split(",")[0] for row in stopped} == {
        "stopped after 2 epochs",
        "stopped after 8 epochs",
    }
    assert len({*run.validated}) == len(run.validated) and {*run.forgotten} == {*run.validated}


def test_trials_that_fail_keep_their_reason() -> None:
    run = Run(lambda one: None if one.setting["batch_size"] == 128 else near(one))
    (answer,) = answers(run, tpe()).values()
    bad = [row for row in answer.trials if row["batch_size"] == 128]
    assert bad and {row["reason"] for row in bad} == {"loss became NaN in epoch 1"}
    (failed,) = answers(Run(lambda one: None), tpe()).values()
    assert failed.reason.startswith("none of 24 trials could be scored; the first: loss became NaN")


def test_a_rung_is_the_same_cell_with_fewer_epochs() -> None:
    one = tpe()
    assert [at_rung(one, share).setting["epochs"] for share in shares(halving=True)] == [2, 8, 32]
    assert at_rung(one, 1) == one and at_rung(tpe(steps=100), 16).setting["steps"] == 7
    # One epoch cannot be halved: nobody is stopped.
    (answer,) = answers(Run(near), tpe(tune=6, epochs=1)).values()
    assert all(row["val_top1_macro"] is not None for row in answer.trials)


@pytest.mark.parametrize(
    ("scores", "before", "higher", "places"),
    [
        ([0.1, 0.4, 0.3, 0.2], [], True, [1]),
        ([0.1, 0.4, 0.3, 0.2], [], False, [0]),
        ([0.1, 0.2], [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], True, []),
        ([0.5, 0.5, None], [], True, [0, 1]),
        ([None, None], [], True, []),
    ],
)
def test_one_in_four_goes_on(
    scores: list[float | None], before: list[float], higher: bool, places: list[int]
) -> None:
    assert going_on(scores, before, higher) == places


def test_bad_input_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BenchError, match="unknown value of tuner 'tpa'; did you mean 'tpe'"):
        check("tuner", "tpa", "--set tuner")
    with pytest.raises(BenchError, match="--set tuner is for --tune N with several trials"):
        check_together({**tpe().setting, "tune": 1, "tune_seed": 0})
    monkeypatch.setattr(trials_module, "find_spec", lambda name: None)
    with pytest.raises(
        BenchError, match=r"tuner=tpe needs Optuna.*pip install 'messybench\[tune\]'"
    ) as error:
        check_tuning(tpe().setting, [parse_method("none")], "multiclass", "frozen")
    assert "\n" not in str(error.value)
