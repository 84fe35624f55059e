"""What commands print fits the terminal; what they write elsewhere is as it was."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from bench.commands.main import COMMANDS, cli
from bench.core.errors import BenchError
from tests.grids import answers, attributes, faces, grid, put

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a task of each kind and long names."""
    folder = tmp_path_factory.mktemp("output") / "results"
    methods = {"none": 0.5, "oversample(target=median)+class_weight": 0.7, "focal": 0.5}
    backbones = ("mobilenetv2_035+tfidf", "mobilenet_025")
    grid(folder, methods, (0, 1), backbones, n=80, groups=tuple(f"listing {i // 2}" for i in range(80)))
    put(folder, answers(5, 3, 0.5, 1), method="bad", status="failed", reason="loss became NaN " * 9)
    pairs = faces(80, 20, 1.0, 9)
    put(folder, faces(80, 20, 1.5, 1, pairs), method="cosine", task="faces", kind="verification", stage="all")
    cells = attributes(80, 6, 1.0, 9)
    put(folder, cells, task="multilabel", kind="multilabel", stage="all")
    return folder


def bench(*args: object, **env: str) -> Any:
    """Run a command in this process, with no terminal."""
    variables = {"COLUMNS": None, "NO_COLOR": None, **env}
    runner = CliRunner(env=variables)
    return runner.invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def cell_of(root: Path, task: str) -> str:
    rows = json.loads(bench("results", "--task", task, "--results", root, "--format", "json").stdout)
    return str(next(row["cell"] for row in rows if row["status"] == "ok"))


PRINTED = {
    "results": ["results", "results --task fashion"],
    "show": ["show {fashion}", "show {faces}", "show {multilabel}"],
    "confusion": ["confusion {fashion}"],
    "listings": ["listings {fashion} --by group"],
    "compare": [
        *("compare --task fashion", "compare --task fashion --all", "compare --task faces"),
        "compare --task fashion mobilenet_025/none mobilenet_025/focal",
    ],
    "leaderboard": [
        *("leaderboard --task fashion", "leaderboard --task fashion --effects"),
        *("leaderboard --task faces", "leaderboard --task multilabel"),
    ],
    "list": [
        f"list {what}" for what in ("tasks", "backbones", "methods", "metrics", "settings", "baselines")
    ],
    "plan": ["plan --task fashion --sample tiny"],
    "data": ["data check --task fashion --sample tiny", "data describe --task fashion --sample tiny"],
    "cache": ["cache list"],
    "verify": ["verify"],
}
"""Lines of each command that prints tables; {fashion} is a cell of that task."""

NO_TABLES = {
    *("report", "export", "baseline", "explain", "predict", "help", "completion", "init"),
    # These train or compute features for minutes; their tables go through the same function.
    *("merge", "reproduce", "fewshot", "clean"),
}
"""Commands whose output is no table, or is not tried here; `run` has `tests/commands/test_ending.py`."""


@pytest.mark.parametrize("line", [line for lines in PRINTED.values() for line in lines])
def test_no_line_is_longer_than_the_terminal(
    root: Path, tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_RESULTS", str(root))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    for task in ("fashion", "faces", "multilabel"):
        if f"{{{task}}}" in line:
            line = line.replace(f"{{{task}}}", cell_of(root, task))
    args = line.split()
    for width in ("80", "100"):
        done = bench(*args, COLUMNS=width)
        assert (done.exception is None and done.stdout.strip()) or args[0] == "verify", done.exception
        assert [row for row in done.stdout.split("\n") if cell_len(row) > int(width)] == []


def test_every_command_of_the_readme_is_tried() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^ +|`)bench ([a-z]+)", text, re.MULTILINE))
    assert named and named <= {*PRINTED, *NO_TABLES, "run"}
    assert named <= {*COMMANDS}


def test_piped_text_is_what_it_was(root: Path) -> None:
    """Every column, one line a row, whatever the terminal from which it is piped."""
    done = bench("leaderboard", "--task", "fashion", "--results", root)
    assert "images_per_second" not in done.stdout and "img/s" in done.stdout
    rows = [line for line in done.stdout.split("\n") if line.strip().startswith("1  ")]
    assert len(rows) == 1 and "best" in rows[0] and "Not shown" not in done.stdout


def test_wide_and_columns(root: Path) -> None:
    args = ("leaderboard", "--task", "fashion", "--results", root)
    wide = bench(*args, "--wide", COLUMNS="80").stdout
    assert "img/s" in wide and "Not shown" not in wide
    named = bench(*args, "--columns", "method, seconds", COLUMNS="80").stdout.split("\n")
    assert named[1].split() == ["method", "seconds"]
    csv = bench(*args, "--columns", "method,seconds", "--format", "csv").stdout.split()
    assert csv[0] == "method,seconds"
    error = bench(*args, "--columns", "methd").exception
    assert isinstance(error, BenchError) and "did you mean 'method'?" in str(error)
    error = bench(*args, "--columns", " ,").exception
    assert isinstance(error, BenchError) and "--columns is empty" in str(error)


def test_several_tables_keep_the_named_columns_that_they_have(root: Path) -> None:
    text = bench("show", cell_of(root, "fashion"), "--results", root, "--columns", "class,top1").stdout
    assert "class 0" in text and "Protocol" not in text


def on_a_terminal(*args: str, **env: str) -> str:
    """Run the real command with a terminal of 90 columns as its output."""
    ours, theirs = pty.openpty()
    variables = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    variables |= {"PYTHONPATH": str(ROOT), "TERM": "xterm", **env}
    command = [sys.executable, "-c", _SIZED, *args]
    running = subprocess.Popen(command, stdout=theirs, stdin=theirs, stderr=subprocess.PIPE, env=variables)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:
        # Linux ends a terminal without a writer so.
        pass
    assert running.wait(60) == 0
    os.close(ours)
    return b"".join(parts).decode().replace("\r\n", "\n")


_SIZED = (
    "import fcntl, struct, sys, termios; "
    "fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 90, 0, 0)); "
    "from bench.__main__ import main; main()"
)


def test_a_terminal_is_fitted_and_coloured_unless_it_wants_none(root: Path) -> None:
    args = ("leaderboard", "--task", "fashion", "--results", str(root))
    coloured = on_a_terminal(*args)
    assert "\x1b[1;32mbest" in coloured
    plain = on_a_terminal(*args, NO_COLOR="1")
    assert "\x1b" not in plain and "best" in plain
    assert 80 < max(map(cell_len, plain.split("\n"))) <= 90
    assert max(map(cell_len, on_a_terminal(*args, NO_COLOR="1", COLUMNS="120").split("\n"))) > 90


HELP = [
    *([name] for name in COMMANDS),
    *(["data", name] for name in ("check", "describe", "draw")),
    *(["cache", name] for name in ("list", "verify", "prune")),
    ["baseline", "pin"],
]


@pytest.mark.parametrize("command", [[], *HELP], ids=" ".join)
def test_help_fits_80_columns(command: list[str]) -> None:
    text = bench(*command, "--help", COLUMNS="200").stdout
    assert text.startswith("Usage: ") and [line for line in text.split("\n") if len(line) > 80] == []
