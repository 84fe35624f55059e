"""Trials of a tuned cell: the same for every method and seed; without tuning they are in no identity."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.core.cell import Cell, Value
from bench.core.errors import BenchError
from bench.core.paths import search_path
from bench.core.search import Search
from bench.data.examples import Examples
from bench.data.task_card import load_card
from bench.methods.registry import STEPS
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan
from bench.runs.trials import SHARED, trials_of, tuning_notes


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    request = Request("fashion", sample="tiny")
    return open_task(request, search_path("tasks"), tmp_path_factory.mktemp("cache"))[1]


def plan(examples: Examples, method: str = "none", seeds: str = "0", **given: Value) -> Plan:
    settings = dict(given)
    regime = str(settings.pop("regime", "frozen"))
    request = Request(
        "fashion",
        sample="tiny",
        backbones=("mobilenet_025",),
        methods=(method,),
        seeds=seeds,
        stages=("top20",),
        regime=regime,
        settings=settings,
    )
    return make_plan(load_card("fashion", search_path("tasks")), request, examples)


def cells(examples: Examples, method: str = "none", seeds: str = "0", **settings: Value) -> tuple[Cell, ...]:
    return plan(examples, method, seeds, **settings).cells


def test_one_trial_is_the_untuned_cell_itself(examples: Examples) -> None:
    (plain,), (one,) = cells(examples), cells(examples, tune=1)
    assert one.id == plain.id and not {"tune", "tune_seed"} & {*plain.setting}
    others = cells(examples, tune=4), cells(examples, tune=5), cells(examples, tune=4, tune_seed=1)
    assert len({plain.id, *(cell.id for (cell,) in others)}) == 4


def test_the_first_trial_is_the_default_setting(examples: Examples) -> None:
    for method in ("none", "focal", "oversample+class_weight", "smote+focal+mlp(units=8)"):
        (plain,), (tuned,) = cells(examples, method), cells(examples, method, tune=4)
        trials = trials_of(tuned)
        assert trials[0].cell.id == plain.id and len(trials) == 4
        assert len({trial.cell.id for trial in trials}) == 4


def test_more_trials_begin_with_the_same_ones(examples: Examples) -> None:
    few, many = (trials_of(cells(examples, "focal", tune=count)[0]) for count in (4, 16))
    assert [one.cell.id for one in few] == [one.cell.id for one in many[:4]]
    other = trials_of(cells(examples, "focal", tune=4, tune_seed=1)[0])
    assert [one.values for one in other[1:]] != [one.values for one in few[1:]]


def test_methods_and_seeds_try_the_same_values(examples: Examples) -> None:
    tuned = cells(examples, "none,focal,smote+focal", "0-1", tune=8)
    shared = {
        tuple(tuple(trial.values[name] for name in SHARED) for trial in trials_of(cell)) for cell in tuned
    }
    assert len(shared) == 1
    gammas = {
        tuple(trial.values["focal.gamma"] for trial in trials_of(cell))
        for cell in tuned
        if "focal" in cell.method.text
    }
    assert len(gammas) == 1 and len({*gammas.pop()}) == 8


def test_a_trial_is_a_cell_that_can_be_typed(examples: Examples) -> None:
    (tuned,) = cells(examples, "focal", tune=3)
    for trial in trials_of(tuned):
        own = {name: trial.cell.setting[name] for name in SHARED}
        (typed,) = cells(examples, trial.cell.method.text, "0", **own)
        assert typed.id == trial.cell.id


@pytest.mark.parametrize(
    ("method", "settings", "why"),
    [
        ("none", {"lr": 0.0}, "--tune 4: the search space of lr holds one value, 0"),
        ("none", {"staged": True, "regime": "finetune"}, "--tune 4: with staged=true a stage begins with"),
        ("none", {"tune": 1, "tune_seed": 2}, "--set tune_seed is for --tune N"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    examples: Examples, method: str, settings: dict[str, Value], why: str
) -> None:
    with pytest.raises(BenchError, match=why) as error:
        cells(examples, method, "0", **{"tune": 4, **settings})
    assert "\n" not in str(error.value)


def test_a_step_that_declares_one_value_is_refused(
    examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = STEPS["focal"]
    only = replace(info.params[0], search=Search(2.0, 2.0))
    monkeypatch.setitem(STEPS, "focal", replace(info, params=(only, *info.params[1:])))
    with pytest.raises(BenchError, match="the search space of focal's gamma holds one value, 2"):
        cells(examples, "focal", tune=2)
    assert cells(examples, "focal")


def test_batches_of_one_row_are_searched_upwards(examples: Examples) -> None:
    (tuned,) = cells(examples, "none", tune=16, batch_size=1)
    assert {trial.values["batch_size"] for trial in trials_of(tuned)} == {1, 2}


def test_a_plan_says_what_tuning_nets_costs(examples: Examples) -> None:
    nets = cells(examples, "none,focal", regime="scratch", tune=4)
    assert tuning_notes(nets) == [
        "--tune 4 trains 5 nets for each of 2 cells (scratch): about 5 times as long"
    ]
    if find_spec("optuna") is not None:
        halved = cells(examples, "none", regime="scratch", tune=64, tuner="tpe")
        (note,) = tuning_notes(halved)
        assert note.endswith("about 14 times as long")
    assert not tuning_notes(cells(examples, tune=4)) and not tuning_notes(cells(examples, regime="scratch"))


def test_options_name_trials(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from bench.commands.main import cli

    for args, why in (
        (("--tune", "0"), "--tune 0: tune is at least 1, not 0"),
        (("--tune", "-3"), "--tune -3: tune is at least 1, not -3"),
        (("--tune", "100000"), "--tune 100000: tune is at most 1000, not 100000"),
        (("--tune", "4", "--set", "tune=4"), "--tune and --set tune are the same"),
    ):
        with pytest.raises(BenchError, match=why):
            command = ["plan", "--task", "fashion", "--cache", str(tmp_path), *args]
            CliRunner().invoke(cli, command, standalone_mode=False, catch_exceptions=False)
