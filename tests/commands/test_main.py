"""The command itself: help, unknown names, output that cannot be written, an interrupt at the very start."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bench.commands.ending import print_ending
from bench.commands.main import cli
from bench.core.cell import Cell, DataId, MethodSpec, Step
from bench.core.errors import BenchError
from bench.store.write import Store
from tests.grids import grid

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two tasks."""
    folder = tmp_path_factory.mktemp("cli") / "results"
    grid(folder, {"none": 0.5, "focal": 0.8}, seeds=(0,), n=60)
    grid(folder, {"none": 0.5}, seeds=(0,), n=60, task="marketplace", stage="all")
    return folder


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def shell(line: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of sh in which $BENCH is the real command."""
    return subprocess.run(
        ["sh", "-c", line.replace("$BENCH", f"'{sys.executable}' -m bench")],
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
        encoding="latin-1",
        timeout=600,
    )


# What is asked for


def every_command(group: click.Group) -> Iterator[click.Command]:
    """Yield the commands of a group and of the groups in it."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield from every_command(command) if isinstance(command, click.Group) else [command]


def test_no_two_options_of_a_command_share_a_name() -> None:
    for command in every_command(cli):
        names = [param.name for param in command.params]
        assert len(names) == len(set(names)), command.name


@pytest.mark.parametrize("group, names", [("", "leaderboard"), ("data", "describe"), ("baseline", "pin")])
def test_a_group_alone_prints_its_help_in_lines(group: str, names: str) -> None:
    done = shell(f"$BENCH {group}")
    assert done.returncode == 2 and not done.stdout
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Usage: ") and any(line.strip().startswith(names) for line in lines)


def test_an_unknown_command_of_a_group_names_those_there_are() -> None:
    done = shell("$BENCH data chekc; $BENCH baseline nosuch")
    first, second = done.stderr.splitlines()
    assert done.returncode == 2
    assert "did you mean 'check'?" in first and all(name in first for name in ("check", "describe", "draw"))
    assert "'nosuch'" in second and "pin" in second


@pytest.mark.parametrize("command", ["results", "compare"])
def test_an_unknown_task_is_called_unknown(root: Path, command: str) -> None:
    named = {"fashoin": "did you mean 'fashion'?", "nosuch": "fashion, marketplace", "..": "'..'"}
    for task, says in named.items():
        error = bench(command, "--task", task, "--results", root).exception
        assert isinstance(error, BenchError) and error.exit_code == 2
        assert "unknown task" in str(error) and says in str(error)


def test_a_task_of_ones_own_is_known_by_its_results(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.5}, seeds=(0,), n=60, task="my own")
    assert bench("results", "--task", "my own", "--results", tmp_path).return_value == 0
    done = bench("results", "--task", "fashion", "--results", tmp_path)
    assert done.return_value == 5 and "no cell of fashion is stored" in done.stderr


@pytest.mark.parametrize(
    "line", ["results", "show abc", "compare --task fashion", "baseline pin x --task fashion"]
)
def test_a_results_folder_that_is_a_file_is_called_one(tmp_path: Path, line: str) -> None:
    (tmp_path / "file").write_text("")
    error = bench(*line.split(), "--results", tmp_path / "file").exception
    assert isinstance(error, BenchError) and "is a file" in str(error)


# Baselines that are faulty, or not to be judged against


def test_compare_says_that_what_is_published_cannot_be_judged(root: Path) -> None:
    error = bench("compare", "--task", "marketplace", "--results", root).exception
    assert isinstance(error, BenchError) and "seed-004-resnet (different-data" in str(error)
    done = bench("compare", "--task", "marketplace", "--results", root, "--baseline", "seed-004-resnet")
    assert done.return_value == 0 and "not comparable" in done.stdout


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A baselines folder whose first file is faulty."""
    path = tmp_path / "baselines" / "fashion" / "aaa.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    return path


def test_compare_passes_over_a_faulty_baseline(root: Path, faulty: Path) -> None:
    done = bench("compare", "--task", "fashion", "--results", root, "--baselines", faulty.parent.parent)
    assert done.return_value == 4 and "seed-003-resnet50" in done.stdout
    assert str(faulty) in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("what", ["tasks", "baselines"])
def test_a_faulty_file_is_named_and_the_others_are_listed(tmp_path: Path, what: str) -> None:
    name = {"tasks": "task.toml", "baselines": "aaa.json"}[what]
    path = tmp_path / "mine" / name
    path.parent.mkdir()
    path.write_text(f'{{"format_version": {"9" * 400}}}')
    done = bench("list", what, f"--{what}", tmp_path)
    assert done.return_value == 4 and "fashion" in done.stdout
    assert str(path) in done.stderr and done.stderr.count("\n") == 1 and str(path) not in done.stdout


def cells_of(root: Path, task: str) -> tuple[Cell, ...]:
    """Return the cells of a results folder."""
    out = []
    for stored in Store(root).load(task)[0]:
        identity = stored.record["cell"]
        names = ("task", "task_version", "kind", "stage", "regime", "backbone", "weights", "seed")
        steps = tuple(Step(name, tuple(args.items())) for name, args in identity["method"])
        out.append(
            Cell(
                **{name: identity[name] for name in names},
                method=MethodSpec(steps, identity["method_text"]),
                protocol=tuple(sorted(identity["protocol"].items())),
                data=DataId(**identity["data"]),
            )
        )
    return tuple(out)


def test_a_run_prints_its_tables_without_a_faulty_baseline(
    root: Path, faulty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    print_ending(Store(root), cells_of(root, "fashion"), None, "table")
    right, _ = capsys.readouterr()
    print_ending(Store(root), cells_of(root, "fashion"), str(faulty.parent.parent), "table")
    out, err = capsys.readouterr()
    assert out.split("Next:")[0] == right.split("Next:")[0] and "seed-003-resnet50" in out
    assert f"bench compare --task fashion --baselines {faulty.parent.parent}" in out
    assert str(faulty) in err and err.count("\n") == 1


def test_a_run_prints_its_tables_without_damaged_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(tmp_path, {"none": 0.5}, seeds=(0,), n=60)
    (path,) = tmp_path.rglob("per_class.csv")
    path.write_text("abc".ljust(path.stat().st_size))
    print_ending(Store(tmp_path), cells_of(tmp_path, "fashion"), None, "md")
    out, err = capsys.readouterr()
    assert "Mean over seeds" in out and "class 0" not in out
    assert str(path) in err and err.count("\n") == 1


# Where it is printed


@pytest.mark.parametrize(
    "args", ["show '{}'", "'{}'", "run --task '{}'", "run --'{}'", "list '{}'", "report --out /proc/'{}'"]
)
def test_control_characters_of_an_argument_are_shown_as_escapes(args: str) -> None:
    done = shell(f"$BENCH {args.format(chr(27) + '[2Ja' + chr(7) + 'b' + chr(13) + chr(10) + 'c')}")
    assert done.returncode != 0 and "bench: " in done.stderr
    text = done.stdout + done.stderr
    assert all(char == "\n" or char.isprintable() for char in text) and done.stderr.count("\n") == 1
    assert "Traceback" not in text


def test_every_line_to_the_terminal_goes_through_one_place() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "bench").rglob("*.py")}
    found = sorted(path.name for path, text in sources.items() if re.search(r"\berr=True", text))
    # main.py prints the help of a command without arguments so, in lines.
    assert found == ["main.py", "notices.py"]


@pytest.mark.parametrize("encoding", ["latin-1", "latin-1:strict", "iso8859-7"])
def test_what_the_terminal_cannot_show_is_replaced(tmp_path: Path, encoding: str) -> None:
    ids = grid(tmp_path, {"none": 0.5}, seeds=(0,), n=60, k=3, classes=("Kurtas \N{SNOWMAN}", "Ü", "c"))
    (cell,) = ids.values()
    for args in ("results", f"show {cell[:8]}"):
        done = shell(f"$BENCH {args}", PYTHONIOENCODING=encoding, BENCH_RESULTS=str(tmp_path))
        assert done.returncode == 0 and not done.stderr
    assert "Kurtas ?" in done.stdout
    assert ("Ü" in done.stdout) == encoding.startswith("latin-1")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("args", ["results", "--help"])
def test_a_full_disk_is_one_line(root: Path, args: str, unbuffered: str) -> None:
    done = shell(f"$BENCH {args} >/dev/full", PYTHONUNBUFFERED=unbuffered, BENCH_RESULTS=str(root))
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["bench: standard output cannot be written (No space left on device)"]


def test_a_closed_output_is_one_line(root: Path) -> None:
    done = shell("$BENCH results >&-", BENCH_RESULTS=str(root))
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["bench: standard output is closed: nothing can be printed"]


def test_a_reader_that_leaves_is_no_fault(root: Path) -> None:
    done = shell("$BENCH results | true", BENCH_RESULTS=str(root))
    assert not done.stderr


# Ctrl-C


CONSOLE_SCRIPT = "import sys; from bench.__main__ import main; sys.exit(main())"


@pytest.mark.parametrize("way", [("-m", "bench"), ("-c", CONSOLE_SCRIPT)], ids=["module", "script"])
@pytest.mark.parametrize("module", ["click", "signal"])
def test_an_interrupt_while_the_command_is_imported_is_quiet(
    tmp_path: Path, way: tuple[str, ...], module: str
) -> None:
    # What is imported in the module's place interrupts the process as Ctrl-C does.
    code = "import os\nos.kill(os.getpid(), 2)\nraise SystemExit('was not interrupted')\n"
    (tmp_path / f"{module}.py").write_text(code)
    done = subprocess.run(
        [sys.executable, *way, "results"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert done.returncode == 130 and not done.stdout
    assert "Traceback" not in done.stderr
