"""Experiment files: every option has a key, flags win, and flags, file and Python ask for the same cells."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench.api.run
from bench.commands.experiment import arguments, command_line, key_of, options_from, values_from
from bench.commands.options import experiment_params, grid_options
from bench.commands.plan_ import command as plan
from bench.commands.run_ import command as run
from bench.commands.run_ import grid_from
from bench.commands.words import Word
from bench.core.errors import BenchError, StoreError
from bench.core.paths import shipped
from bench.core.protocol import KEYS
from bench.runs.open_task import open_task
from bench.runs.plan import make_plan
from bench.store.experiment_file import read_experiment, store_experiment, write_experiment
from tests.commands.test_main import bench as call

GRID = [
    param
    for param in click.command("grid")(grid_options(lambda: None)).params
    if isinstance(param, click.Option)
]


def parsed(*args: str) -> dict[str, Any]:
    """Return the options that `bench run` reads from a command line."""
    return run.make_context("run", list(args)).params


def file(folder: Path, text: str) -> str:
    path = folder / "experiment.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def example(param: click.Option) -> Any:
    """Return a value of an option, by key, that it accepts and that is not its default."""
    named = {"task": "fashion", "seed": [0, 2], "sets": {"epochs": 7}, "shard": "1/2"}
    named["columns"] = {"split": "fold"}
    if param.name in named:
        return named[param.name]
    if param.is_flag:
        return True
    if isinstance(param.type, Word):
        return param.type.words[0]
    if isinstance(param.type, (click.types.IntParamType, click.IntRange)):
        return 3
    return ["one", "two"] if param.multiple else "/some/where"


@pytest.mark.parametrize("param", GRID, ids=lambda param: str(param.name))
def test_every_option_of_a_grid_has_a_key_in_files_and_an_argument_in_python(
    tmp_path: Path, param: click.Option
) -> None:
    values = {"task": "fashion", key_of(param): example(param)}
    typed = parsed(*arguments(options_from(values, GRID, "test"), GRID))
    assert typed[str(param.name)] not in (None, (), False)
    assert bench.api.run._parsed(None, values) == typed
    if param.name == "allow_code":
        return  # Not in files: see below.
    write_experiment(tmp_path / "e.toml", values)
    trusted = {"allow_code": True} if param.name == "plugins" else {}
    typed |= trusted
    assert parsed(str(tmp_path / "e.toml"), *arguments(trusted, GRID)) == typed
    assert tomllib.loads((tmp_path / "e.toml").read_text()) == values


ARGS = (
    *("--task", "fashion", "--sample", "tiny", "--backbone", "lenet,mobilenet_025", "--weights", "random"),
    *("--method", "none,focal(gamma=1|2)+oversample", "--seed", "0-1", "--set", "epochs=3"),
    *("--set", "lr=1e-4", "--set", "remaining.lr=0.1", "--set", "refit=no", "--set", "input_size=48"),
)
TOML = """
task = "fashion"
sample = "tiny"
backbones = ["lenet", "mobilenet_025"]
weights = "random"
methods = ["none", "focal(gamma=1|2)+oversample"]
seeds = "0-1"

[settings]
epochs = 3
lr = 1e-4
remaining.lr = 0.1
refit = false
input_size = "48"
"""
PYTHON: dict[str, Any] = {
    "task": "fashion",
    "sample": "tiny",
    "backbones": ("lenet", "mobilenet_025"),
    "weights": "random",
    "methods": ["none", "focal(gamma=1|2)+oversample"],
    "seeds": range(2),
    "settings": {"epochs": 3, "lr": 1e-4, "remaining": {"lr": 0.1}, "refit": False, "input_size": "48"},
}


def ids(options: dict[str, Any], folder: Path) -> list[str]:
    """Return the ids of the cells that the options of `bench run` ask for."""
    grid = grid_from({"rerun": False, **options, "cache": str(folder)})
    card, examples = open_task(grid.request, grid.tasks, grid.cache)
    return [cell.id for cell in make_plan(card, grid.request, examples).cells]


def test_flags_file_and_python_give_the_same_cells(tmp_path: Path) -> None:
    by_flags = ids(parsed(*ARGS), tmp_path)
    python = {key: bench.api.run._plain(value) for key, value in PYTHON.items()}
    assert len(by_flags) == len(set(by_flags)) == 24
    assert ids(parsed(file(tmp_path, TOML)), tmp_path) == by_flags
    assert ids(bench.api.run._parsed(None, python), tmp_path) == by_flags
    write_experiment(tmp_path / "saved.toml", values_from(parsed(*ARGS), experiment_params()))
    assert ids(parsed(str(tmp_path / "saved.toml")), tmp_path) == by_flags
    line = command_line(bench.api.run._parsed(None, python), experiment_params())
    assert line.startswith("bench run --task fashion --sample tiny --backbone lenet ")


def test_flags_win_over_the_file_value_by_value(tmp_path: Path) -> None:
    name = file(tmp_path, TOML)
    options = parsed(name, "--seed", "7", "--method", "none", "--set", "lr=0.5", "--set", "patience=0")
    assert (options["seed"], options["method"]) == ("7", ("none",))
    assert options["backbone"] == ("lenet", "mobilenet_025")
    sets = dict(text.split("=") for text in options["sets"])
    assert sets == {
        "epochs": "3",
        "remaining.lr": "0.1",
        "refit": "false",
        "input_size": "48",
        "lr": "0.5",
        "patience": "0",
    }
    python = bench.api.run._parsed(
        name, {"seeds": 7, "methods": "none", "settings": {"lr": 0.5, "patience": 0}}
    )
    assert python == options


def test_tune_of_a_flag_wins_over_the_files_setting_whatever_their_spelling(tmp_path: Path) -> None:
    options = parsed(file(tmp_path, 'task = "fashion"\nsettings.tune = 3'), "--tune", "4")
    assert (options["tune"], options["sets"]) == (4, ())
    options = parsed(file(tmp_path, 'task = "fashion"\ntune = 3'), "--set", "tune=4")
    assert (options["tune"], options["sets"]) == (None, ("tune=4",))


def test_data_of_a_flag_takes_the_place_of_a_files_sample_and_the_other_way_round(tmp_path: Path) -> None:
    options = parsed(file(tmp_path, TOML), "--data", str(tmp_path))
    assert (options["data"], options["sample"]) == (str(tmp_path), None)
    options = parsed(file(tmp_path, TOML.replace('sample = "tiny"', 'data = "d"')), "--sample", "small")
    assert (options["data"], options["sample"]) == (None, "small")


def test_folders_in_a_file_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.h5").write_text("")
    (tmp_path / "review.csv").write_text("")
    text = 'task = "fashion"\ndata = "d"\nweights = "w.h5"\nsettings.labels = "review.csv"'
    options = parsed(file(tmp_path, text))
    assert (options["data"], options["weights"]) == (str(tmp_path / "d"), str(tmp_path / "w.h5"))
    assert options["sets"] == (f"labels={tmp_path / 'review.csv'}",)
    monkeypatch.chdir(tmp_path)
    typed = ("--task", "fashion", "--data", "d", "--weights", "w.h5", "--set", "labels=review.csv")
    assert values_from(parsed(*typed), experiment_params()) == values_from(options, experiment_params())


def evil(folder: Path) -> Path:
    """Write a module that leaves a trace when it runs."""
    (folder / "evil.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\ndef build(): pass\n")
    return folder / "ran"


@pytest.mark.parametrize(
    "line, own",
    [
        ('plugins = "evil.py"', ("--plugin", "evil.py")),
        ('backbones = ["lenet", "lenet+evil:build"]', ("--backbone", "evil:build")),
        ('methods = "none,loss(function=evil:build)+mixup"', ("--method", "loss(function=evil:build)")),
    ],
)
def test_a_file_runs_code_only_if_the_user_allows_or_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, own: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran, name = evil(tmp_path), file(tmp_path, f'task = "fashion"\n{line}')
    error = call("plan", name, "--cache", str(tmp_path)).exception
    assert isinstance(error, BenchError) and "give --allow-code, if you trust it" in str(error)
    with pytest.raises(BenchError, match="give --allow-code"):
        bench.api.run._parsed(name, {})
    assert not ran.exists()
    assert parsed(name, "--allow-code")["allow_code"] and bench.api.run._parsed(name, {"allow_code": True})
    assert not parsed(name, *own)["allow_code"] and not parsed(*own, name)["allow_code"]


def test_a_file_neither_allows_code_nor_is_saved_with_it(tmp_path: Path) -> None:
    name = file(tmp_path, 'task = "fashion"\nallow_code = true')
    for args in ((name,), (name, "--allow-code")):
        with pytest.raises(BenchError, match=r"a file cannot set allow_code; give --allow-code"):
            parsed(*args)
    assert "allow_code" not in values_from(parsed("--task", "fashion", "--allow-code"), experiment_params())


@pytest.mark.parametrize(
    "key, code, own",
    [
        ("backbones", "evil:build", ("--backbone", "lenet")),
        ("methods", "loss(function=evil:build)", ("--method", "none")),
    ],
)
def test_a_card_runs_code_only_if_the_user_allows_or_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, code: str, own: tuple[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = evil(tmp_path)
    card = (shipped("tasks") / "fashion" / "task.toml").read_text()
    (tmp_path / "cards" / "fashion").mkdir(parents=True)
    card, count = re.subn(rf"(?m)^{key} = \[", f'{key} = ["{code}", ', card)
    assert count
    (tmp_path / "cards" / "fashion" / "task.toml").write_text(card)
    args = (
        "plan",
        "--task",
        "fashion",
        "--sample",
        "tiny",
        "--tasks",
        tmp_path / "cards",
        "--cache",
        tmp_path,
    )
    error = call(*args).exception
    assert isinstance(error, BenchError) and "the card of fashion runs code, 'evil:build'" in str(error)
    assert not ran.exists()
    assert call(*args, *own).exception is None


@pytest.mark.parametrize("command", [("fewshot",), ("clean", "--out", "suspects.csv")], ids=" ".join)
def test_few_shots_and_suspects_run_no_code_of_a_card_and_take_that_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = evil(tmp_path)
    card = (shipped("tasks") / "marketplace" / "task.toml").read_text()
    (tmp_path / "cards" / "marketplace").mkdir(parents=True)
    card = re.sub(r"(?m)^backbones = \[.*$", 'backbones = ["evil:build"]', card)
    (tmp_path / "cards" / "marketplace" / "task.toml").write_text(card)
    place = ("--task", "marketplace", "--sample", "tiny", "--tasks", tmp_path / "cards", "--cache", tmp_path)
    error = call(*command, *place).exception
    assert isinstance(error, BenchError) and "the card of marketplace runs code, 'evil:build'" in str(error)
    assert not ran.exists()
    allowed = call(*command, *place, "--allow-code").exception
    assert isinstance(allowed, BenchError) and "evil:build does not specify its preprocessing" in str(allowed)


@pytest.mark.parametrize(
    "text, says",
    [
        ('task = "fashion"\nmehtods = "none"', "unknown key 'mehtods'; did you mean 'methods'?"),
        ('task = "fashion"\nbackbone = "lenet"', "did you mean 'backbones'?"),
        ('task = "fashion"\nsettings.epohcs = 3', "unknown protocol key 'epohcs'; did you mean 'epochs'?"),
        ('task = "fashion"\nsettings.epochs = "x"', "epochs takes a whole number"),
        ('task = "fashion"\nsettings = 3', "settings must be a table, not 3"),
        ('task = "fashion"\nsettings.a.b.c = 3', "settings.a.b"),
        ('task = "fashion"\nmethods = [1]', "methods[0] must be text, not 1"),
        ('task = "fashion"\nmethods = []', "methods is empty"),
        ('task = "fashion"\nseeds = 1.5', "seeds must be a whole number or text, not 1.5"),
        ('task = "fashion"\nseeds = "x"', "--seed 'x': write whole numbers"),
        ('task = "fashion"\nsample = "huge"', "unknown sample 'huge'"),
        ('task = "fashion"\nkeep_model = "yes"', "keep_model must be true or false, not 'yes'"),
        ('task = "fashion"\nrerun = true', "unknown key 'rerun'"),
        ('task = "fashoin"', "unknown task 'fashoin'; did you mean 'fashion'?"),
        ('task = "fashion', "cannot be read (Unterminated string (at "),
        ("task = 3", "task must be text, not 3"),
        ("", "name a task with --task"),
        ("a" + "[" * 100_000, "cannot be read"),
    ],
)
def test_a_faulty_file_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    error = call("plan", file(tmp_path, text), "--cache", tmp_path).exception
    said = error.format_message() if isinstance(error, click.ClickException) else str(error)
    assert isinstance(error, (BenchError, click.ClickException)) and says in said
    assert "\n" not in said and len(said) < 2500


@pytest.mark.parametrize("name, says", [("fashion", "--task"), ("no.toml", "no such file"), (".", "--task")])
def test_what_is_no_experiment_file_is_one_line(name: str, says: str) -> None:
    error = call("plan", name).exception
    assert isinstance(error, BenchError) and says in str(error)


def test_save_writes_what_the_next_command_reads(tmp_path: Path) -> None:
    name = str(tmp_path / "saved.toml")
    args = ("--task", "fashion", "--sample", "tiny", "--seed", "3", "--cache", str(tmp_path))
    first = call("plan", *args, "--method", "none", "--save", name)
    assert first.return_value == 0 and f"wrote {name}" in first.stderr
    assert call("plan", name).stdout == first.stdout
    changed = call("plan", name, "--save", str(tmp_path / "b.toml"), "--seed", "4")
    assert changed.return_value == 0 and read_experiment(tmp_path / "b.toml")["seeds"] == "4"
    error = call("plan", *args, "--save", str(tmp_path / "none" / "e.toml")).exception
    assert isinstance(error, BenchError) and "cannot be written" in str(error)
    error = call("plan", *args, "--save", str(tmp_path / "e.json")).exception
    assert isinstance(error, BenchError) and "ends in .toml" in str(error)


def test_what_only_a_run_has_survives_a_plan_that_saves(tmp_path: Path) -> None:
    name = file(tmp_path, 'task = "fashion"\nsample = "tiny"\nkeep_model = true')
    assert plan.params != run.params
    done = call("plan", name, "--cache", tmp_path, "--save", str(tmp_path / "b.toml"))
    assert done.return_value == 0 and read_experiment(tmp_path / "b.toml")["keep_model"] is True


def test_a_stored_experiment_is_written_once_and_named_by_its_content(tmp_path: Path) -> None:
    first = store_experiment(tmp_path, "my own", {"task": "my own", "seeds": [1]})
    assert store_experiment(tmp_path, "my own", {"task": "my own", "seeds": [1]}) == first
    assert store_experiment(tmp_path, "my own", {"task": "my own", "seeds": [2]}) != first
    assert first is not None and read_experiment(first) == {"task": "my own", "seeds": [1]}
    assert store_experiment(tmp_path, "my own", {"task": "my own", "data": "/photos\udcff"}) is None
    with pytest.raises(StoreError, match="not UTF-8"):
        write_experiment(tmp_path / "out.toml", {"data": "/photos\udcff"})
    assert not (tmp_path / "out.toml").exists()


_numbers = {
    name: st.integers(1, 50) if key.type is int else st.floats(0.05, 0.9)
    for name, key in KEYS.items()
    if key.type in (int, float) and name in ("epochs", "batch_size", "lr", "crop", "momentum", "noise_seed")
}


@given(st.fixed_dictionaries({}, optional=_numbers), st.text("ab -=,\"'é\\", min_size=1, max_size=9))
def test_values_come_back_from_a_command_line_and_from_toml(settings: dict[str, Any], text: str) -> None:
    params = experiment_params()
    values: dict[str, Any] = {"task": text, "methods": [text, "x"], "settings": settings}
    options = options_from({key: value for key, value in values.items() if value}, params, "test")
    read = parsed(*arguments(options, params))
    back = values_from(read, params)
    assert back["methods"] == [text, "x"] and back["task"] == text
    assert back.get("settings", {}) == settings
