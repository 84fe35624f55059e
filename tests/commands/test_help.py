"""Help: commands in the order of work, one page for each method, lists of settings, completion."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from typing import Any

import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

import bench.methods.steps  # noqa: F401  (fills the registry)
from bench.commands.completion_ import SHELLS
from bench.commands.help_ import example
from bench.commands.main import COMMANDS, GROUPS, cli
from bench.core.errors import BenchError
from bench.core.protocol import KEYS, REGIME_DEFAULTS, defaults
from bench.core.protocol_checks import check_together
from bench.core.stage_values import parse_set
from bench.methods.registry import STEPS
from bench.metrics.registry import METRICS


def run(*args: str, **env: str | None) -> Any:
    runner = CliRunner(env={"COLUMNS": None, **env})
    return runner.invoke(cli, [*args], standalone_mode=False)


def test_commands_stand_in_the_order_of_work() -> None:
    text = run("--help").stdout
    places = [text.index(f"\n{title}:\n") for title in GROUPS]
    assert places == sorted(places) and list(GROUPS)[:4] == ["Explore", "Train", "Evaluate", "Use models"]
    names = [
        line.split()[0] for line in text[places[0] :].split("\n") if line.startswith("  ") and line.strip()
    ]
    assert [name for name in names if name in COMMANDS] == list(COMMANDS)


# The example of `loss` names a loss of Keras, whose import takes long.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "loss")) for name in STEPS]
)
def test_a_method_is_explained_with_an_example_that_can_run(name: str) -> None:
    text = run("help", name).stdout
    info = STEPS[name]
    words = " ".join(text.split())
    assert info.summary in words and f"Helps when {info.helps}." in words and info.paper in words
    for param in info.params:
        assert f"\n{param.name} " in text
    assert all(len(line) <= 80 for line in text.split("\n") if not line.startswith("  bench "))
    assert f"  {example(info)}" in text
    args = shlex.split(example(info))
    done = run("plan", *args[2:], "--sample", "tiny", "--seed", "0", "--format", "json")
    states = {(row["method"], row["state"]) for row in json.loads(done.stdout)}
    assert done.exception is None and {state for _, state in states} == {"to run"}, states


def test_every_method_says_when_it_helps() -> None:
    assert all(info.helps for info in STEPS.values())


@pytest.mark.parametrize("name", [*KEYS, *METRICS, "lenet", "mobilenet_025"])
def test_settings_metrics_and_backbones_are_explained(name: str) -> None:
    text = run("help", name).stdout
    lines = [line for line in text.split("\n") if not line.startswith("  bench ")]
    assert name in lines[0] and all(len(line) <= 80 for line in lines)


def test_help_of_a_command_is_its_own_and_a_name_of_two_things_has_both() -> None:
    assert "--fail-on" in run("help", "data", "check").stdout
    both = run("help", "clean").stdout
    assert both.index("--task") < both.index("Method clean:")
    assert run("help").stdout == run("--help").stdout


@pytest.mark.parametrize("name", KEYS)
def test_the_example_of_a_setting_names_what_it_needs(name: str) -> None:
    words = shlex.split(run("help", name).stdout.split("Example:\n")[-1])
    given = dict(parse_set(words[at + 1]) for at, word in enumerate(words) if word == "--set")
    tuned = {"tune": int(words[words.index("--tune") + 1])} if "--tune" in words else {}
    assert name in given
    check_together({**defaults(), **given, **tuned})


def test_help_of_an_unknown_name_suggests_one() -> None:
    error = run("help", "focl").exception
    assert isinstance(error, BenchError) and "did you mean 'focal'?" in str(error)


def test_the_list_of_settings_has_every_key_with_its_default() -> None:
    rows = json.loads(run("list", "settings", "--format", "json").stdout)
    assert [row["key"] for row in rows] == list(KEYS)
    assert all(row["group"] and row["values"] and row["meaning"] for row in rows)
    epochs = next(row for row in rows if row["key"] == "epochs")
    assert epochs["default"] == f"{KEYS['epochs'].default} (frozen: {REGIME_DEFAULTS['frozen']['epochs']})"
    text = run("list", "settings", COLUMNS="80").stdout
    assert text.startswith("Training\n") and "\nLabel noise\n" in text and "\nHidden labels\n" in text


def test_the_list_of_settings_shows_a_cards_own_values() -> None:
    rows = json.loads(run("list", "settings", "--task", "faces", "--format", "json").stdout)
    own = {row["key"]: row["card"] for row in rows}
    assert (
        own["resize"] == "squash" and own["epochs"] == "scratch: 20, finetune: 5" and own["momentum"] is None
    )
    assert "--set protocol=aligned: " in run("list", "settings", "--task", "faces").stdout


def test_lists_are_narrowed_to_a_kind() -> None:
    names = [
        row["method"]
        for row in json.loads(run("list", "methods", "--kind", "multilabel", "--format", "json").stdout)
    ]
    assert names == ["none", *(name for name, info in STEPS.items() if "multilabel" in info.kinds)]
    rows = json.loads(run("list", "metrics", "--kind", "verification", "--format", "json").stdout)
    assert {row["metric"] for row in rows} == {
        name for name, info in METRICS.items() if "verification" in info.kinds
    }
    for args, says in (
        (("methods", "--kind", "multilable"), "did you mean 'multilabel'?"),
        (("tasks", "--kind", "multilabel"), "--kind is for methods and metrics"),
        (("methods", "--task", "faces"), "--task is for settings"),
    ):
        error = run("list", *args).exception
        assert isinstance(error, BenchError) and says in str(error)


def test_an_unknown_setting_names_the_nearest_and_the_list() -> None:
    error = run("plan", "--task", "fashion", "--set", "epocs=3").exception
    assert (
        str(error) == "unknown protocol key 'epocs'; did you mean 'epochs'? (bench list settings shows all)"
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_are_clicks_own(shell: str) -> None:
    done = run("completion", shell)
    assert done.exception is None and "_BENCH_COMPLETE" in done.stdout and "bench" in done.stdout
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True, timeout=300)


@pytest.mark.parametrize(
    ("typed", "start", "offered"),
    [
        ([], "lea", ["leaderboard"]),
        (["run", "--task"], "fa", ["faces", "fashion"]),
        (["run", "--method"], "none,foc", ["none,focal"]),
        (["plan", "--backbone"], "mobilenet_02", ["mobilenet_025"]),
        (["plan", "--set"], "epo", ["epochs="]),
        (["results", "--format"], "js", ["json"]),
    ],
)
def test_names_are_completed(typed: list[str], start: str, offered: list[str]) -> None:
    bash = get_completion_class("bash")
    assert bash is not None
    found = bash(cli, {}, "bench", "_BENCH_COMPLETE").get_completions(typed, start)
    assert [item.value for item in found] == offered
