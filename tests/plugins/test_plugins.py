"""Plug-ins: found by entry point, file or module; in the identity of what uses them; faults are one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.backbones.registry import BACKBONES
from bench.core import plugins
from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.core.kind import KINDS, get_kind
from bench.core.paths import search_path
from bench.core.plugins import Plugin
from bench.data.sources import SOURCES
from bench.data.split_rules import RULES
from bench.methods.registry import STEPS
from bench.metrics.registry import METRICS
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan
from bench.runs.reproduce import LocalPaths, request_of
from bench.store.read import Stored, read_cell
from bench.store.write import Store
from bench.training.losses.families import ATTRIBUTES, CLASSES
from tests.commands.test_main import bench as call
from tests.core.test_cell import CELL
from tests.grids import become
from tests.store.test_write import some_predictions, some_result

ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "tests" / "plugins" / "toy" / "toy_remedies.py"
TABLES: tuple[dict[str, Any], ...] = (BACKBONES, KINDS, SOURCES, RULES, STEPS, METRICS, ATTRIBUTES, CLASSES)

STEP = """
from bench.methods.registry import StepInfo, register
register(
    StepInfo(
        name={name!r}, stage="sampling", run={{"sampling": f"{{__name__}}:seen"}}, summary="", paper="2026"
    )
)
"""

CARD = """
name = "toy"
version = 1
kind = "toy_kind"
title = "A task of plug-ins"
source = "toy"
label = "articleType"

[split]
rule = "toy_turns"

[[stage]]
name = "top5"
last = 5

[grid.drawn]
backbones = ["toy_grid"]
methods = ["toy_brier+toy_cooled"]
seeds = "0"
sample = "tiny"

[grid.data]
backbones = ["toy_grid"]
methods = ["none"]
seeds = "0"
"""


@pytest.fixture(autouse=True)
def unchanged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Leave tables, modules and the search for plug-ins as they were."""
    before, modules, sizes = {*plugins.loaded()}, {*sys.modules}, [len(table) for table in TABLES]
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield
    for plugin in {*plugins.loaded()} - before:
        plugins.unload(plugin)
    for name in {*sys.modules} - modules:
        if str(getattr(sys.modules[name], "__file__", "")).startswith((str(tmp_path), str(TOY.parent))):
            del sys.modules[name]
    plugins._files.clear()
    plugins.faults.clear()
    plugins.load_known.cache_clear()
    plugins._imported.cache_clear()
    assert [len(table) for table in TABLES] == sizes


def installed(site: Path, name: str, point: str, version: str = "1.2") -> str:
    """Write what pip writes of an installed package: its name and its entry point; return the folder."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[messybench]\n{point}\n")
    return str(site)


def module(folder: Path, name: str, step: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(STEP.format(name=step) + more)
    return path


def planned(**changes: Any) -> Plan:
    request = Request(
        **{"task": "fashion", "sample": "tiny", "backbones": ("lenet",), "seeds": "0", **changes}
    )
    card, examples = open_task(request, [ROOT / "tasks", Path.cwd() / "tasks"], Path.cwd() / "cache")
    return make_plan(card, request, examples)


def identities(plan: Plan) -> list[dict[str, Any]]:
    return [cell.identity().get("plugins", {}) for cell in plan.cells]


# In the identity


def test_a_cell_without_plugins_keeps_its_identity() -> None:
    assert "plugins" not in CELL.identity()
    with_one = replace(CELL, plugins=(Plugin("toy", "1.2", "abc", "/somewhere.py"),))
    assert with_one.identity()["plugins"] == {"toy": {"version": "1.2", "source": "abc"}}
    elsewhere = replace(CELL, plugins=(Plugin("toy", "1.2", "abc", ""),))
    assert with_one.id == elsewhere.id != CELL.id
    assert {field for field in Cell.__dataclass_fields__ if field == "plugins"}


def test_only_cells_that_use_something_of_a_plugin_name_it() -> None:
    plain = planned(methods=("none",))
    plan = planned(methods=("none", "toy_twice", "toy_brier+oversample"), plugins=(str(TOY),))
    source = plugins.digest([TOY])
    by_method = {cell.method.text: cell.identity().get("plugins") for cell in plan.cells}
    toy = {"toy_remedies": {"version": "", "source": source}}
    assert by_method == {"none": None, "toy_twice": toy, "oversample+toy_brier": toy}
    assert {cell.id for cell in plain.cells} <= {cell.id for cell in plan.cells}
    assert identities(planned(backbones=("toy_grid",), weights="random", methods=("none",))) == [toy, toy]
    assert identities(planned(settings={"split": "toy_turns"}, methods=("none",))) == [toy, toy]


def test_kind_source_and_split_rule_of_a_card_count() -> None:
    folder = Path.cwd() / "tasks" / "toy"
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(CARD)
    plan = planned(task="toy", sample=None, plugins=(str(TOY),), backbones=("lenet",), methods=("none",))
    assert [*identities(plan)[0]] == ["toy_remedies"] and plan.cells[0].kind == "toy_kind"
    assert plan.cells[0].data.source == "drawn-toy-tiny"


def test_another_source_is_another_cell_and_a_changed_file_is_loaded_again(tmp_path: Path) -> None:
    path = module(tmp_path / "a", "own", "own_step")
    first = planned(methods=("own_step",), plugins=(str(path),))
    assert planned(methods=("own_step",), plugins=(str(path),)).cells == first.cells
    module(tmp_path / "a", "own", "own_step", "# changed\n__version__ = '2'\n")
    second = planned(methods=("own_step",), plugins=(str(path),))
    assert identities(second)[0]["own"]["version"] == "2" and second.cells[0].id != first.cells[0].id
    module(tmp_path / "a", "own", "other_step")
    with pytest.raises(BenchError, match="unknown method step 'own_step'"):
        planned(methods=("own_step",), plugins=(str(path),))


def stored_cell(tmp_path: Path, change: Any = lambda record: None) -> Stored | str | None:
    """Store a cell that names a plug-in, its record changed."""
    result = some_result()
    cell = replace(result.cell, plugins=(Plugin("own", "1", "abc"),))
    store = Store(tmp_path / "results")
    folder = store.commit(replace(result, cell=cell), {"test": some_predictions()})
    return read_cell(become(folder, change))


def test_a_record_of_plugins_is_checked_and_read(tmp_path: Path) -> None:
    stored = stored_cell(tmp_path)
    assert isinstance(stored, Stored)
    assert stored.record["cell"]["plugins"] == {"own": {"version": "1", "source": "abc"}}
    wrongs: list[Any] = [
        [],
        {"own": "1"},
        {"own": {"version": 1, "source": "abc"}},
        {"own": {"version": "1"}},
    ]
    for wrong in wrongs:
        fault = stored_cell(tmp_path, lambda record, wrong=wrong: record["cell"].update(plugins=wrong))
        assert isinstance(fault, str) and "cell.plugins" in fault


def test_a_stored_command_is_no_reason_to_run_a_plugin(tmp_path: Path) -> None:
    """The cell may be a stranger's."""
    module(tmp_path, "own", "own_step", "raise SystemExit('it was run')\n")
    stored = stored_cell(tmp_path)
    assert isinstance(stored, Stored)
    place, options = LocalPaths(search_path("tasks")), {"plugins": ("own.py",), "data": str(tmp_path)}
    with pytest.raises(BenchError, match="was run with the plug-in own: name it with --plugin FILE.py"):
        request_of(stored, place, options)
    named = request_of(stored, replace(place, plugins=("own.py",)), options)
    assert named.plugins == ("own.py",)


def test_reproduce_runs_no_loss_that_only_the_cell_names(tmp_path: Path) -> None:
    """The cell may be a stranger's."""
    stored = stored_cell(tmp_path)
    assert isinstance(stored, Stored)
    cell = {**stored.record["cell"], "plugins": {}, "method_text": "loss(function=evil:soft)"}
    stored = replace(stored, record={**stored.record, "cell": cell})
    place, options = LocalPaths(search_path("tasks"), data=tmp_path), {"data": str(tmp_path), "task": "toy"}
    with pytest.raises(BenchError, match="the cell's method runs evil:soft: --allow-code runs it"):
        request_of(stored, place, options)
    allowed = request_of(stored, replace(place, allow_code=True), options)
    assert allowed.methods == ("loss(function=evil:soft)",)


# Found


def test_an_installed_plugin_is_found_by_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(TOY.parent))
    monkeypatch.syspath_prepend(installed(tmp_path / "site", "messybench-toy", "toy = toy_remedies"))
    plan = planned(methods=("toy_twice",))
    assert identities(plan)[0] == {"toy": {"version": "1.2", "source": plugins.digest([TOY])}}
    assert plugins.owner_of("metric", "toy_luck") == plugins.owner_of("kind", "toy_kind")
    assert get_kind("toy_kind").name == "toy_kind" and not plugins.faults
    done = call("list", "methods", "--format", "csv")
    lines = {line.split(",")[0]: line.rpartition(",")[2] for line in done.stdout.splitlines()}
    assert (lines["toy_twice"], lines["focal"]) == ("toy 1.2", "messybench") and done.return_value == 0
    assert "toy" in call("list", "plugins").stdout


def test_nobody_looks_for_plugins_whose_names_are_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path / "site", "broken", "broken = no_such_module"))
    assert planned(methods=("none", "focal")).cells and not plugins.faults
    assert call("list", "methods").return_value == 4


def test_a_module_that_the_user_imported_is_known_to_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path / "src", "mine", "my_step")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    __import__("mine")
    assert plugins.registered_here() == ("mine",)
    seen: list[Request] = []

    def execute(plan: Plan, missing: Any, orders: Any, on_event: Any) -> None:
        seen.append(Request.from_json(orders.request.to_json()))

    monkeypatch.setattr("bench.runs.launch.execute", execute)
    found = bench.run("fashion", sample="tiny", methods="my_step", backbones="lenet", seeds=0, progress=False)
    assert [request.plugins for request in seen] == [("mine",)] and not found.cells
    before = [cell.id for cell in planned(methods=("my_step",)).cells]
    # As in another process: nothing is imported yet.
    for plugin in plugins.loaded():
        if plugin.name == "mine":
            plugins.unload(plugin)
    del sys.modules["mine"]
    assert [cell.id for cell in planned(methods=("my_step",), plugins=("mine",)).cells] == before


def test_a_step_of_a_notebook_is_refused_in_one_line() -> None:
    exec(STEP.format(name="cell_step"), {"__name__": "__main__"})
    with pytest.raises(BenchError) as raised:
        bench.run("fashion", sample="tiny", methods="cell_step", backbones="lenet", seeds=0, progress=False)
    assert "cell_step: registered in a notebook or script" in str(raised.value)
    assert "--plugin FILE.py" in str(raised.value) and "\n" not in str(raised.value)
    assert planned(methods=("none",)).cells


# Faults


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("broken.py", "import no_such_module", "No module named 'no_such_module'"),
        ("broken.py", "1 +", "SyntaxError"),
        (
            "broken.py",
            STEP.format(name="new") + STEP.format(name="focal"),
            "step 'focal' is registered twice",
        ),
        ("broken.py", "raise SystemExit(0)", "cannot be loaded (SystemExit"),
        ("broken.py", STEP.format(name="none"), "'none' cannot be a step's name"),
        ("broken.py", STEP.format(name="a b\x1b["), "cannot be a step's name"),
        (
            "broken.py",
            STEP.format(name="new").replace('stage="', 'stage="no'),
            "step 'new' has an unknown stage 'no",
        ),
        ("broken.py", "raise SystemError('a\\nb')", "SystemError: a b"),
        ("json.py", "", "a module json exists already; rename the file"),
        ("not-a-name.py", "", "its name is not a module name"),
        ("nosuch/none.py", None, "No such file"),
        ("no_such_module", None, "No module named 'no_such_module'"),
    ],
)
def test_a_faulty_file_is_one_line_and_nothing_of_it_stays(
    tmp_path: Path, name: str, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    for place in (name, str(tmp_path / name)) if name.endswith(".py") else (name,):
        with pytest.raises(BenchError) as raised:
            planned(plugins=(place,))
        assert says in str(raised.value) and "\n" not in str(raised.value)
    assert "new" not in STEPS and "broken" not in sys.modules


def test_a_plugin_that_comes_first_takes_no_name_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "first.py").write_text(STEP.format(name="focal"))
    code = "from bench.core.plugins import load\ntry: load('first.py')\nexcept Exception as e: print(e)"
    command = [sys.executable, "-c", code]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert "step 'focal' is registered twice" in done.stdout


def test_faults_of_installed_plugins_are_named_and_the_others_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path / "src", "good", "good_step")
    module(tmp_path / "src", "bad", "focal")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    site = tmp_path / "site"
    for name, point in (
        ("one", "twin = good"),
        ("two", "twin = bad"),
        ("three", "bad = bad"),
        ("four", "gone = no_such_module"),
        ("five", "good = good"),
    ):
        path = installed(site, name, point)
    monkeypatch.syspath_prepend(path)
    done = call("list", "methods")
    assert done.return_value == 4 and "good_step" in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 4 and all(line.startswith("bench: ") for line in lines)
    text = done.stderr
    assert "two plug-ins are named 'twin': one 1.2 is left out; uninstall it or two 1.2" in text
    assert "plug-in 'bad' cannot be loaded (ValueError: step 'focal' is registered twice)" in text
    assert "plug-in 'gone' cannot be loaded (ModuleNotFoundError: No module named 'no_such_module')" in text
    assert "it is left out: repair or uninstall four 1.2" in text


def test_the_variable_names_plugins_of_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = module(tmp_path / "a", "own", "own_step")
    monkeypatch.setenv(plugins.VARIABLE, os.pathsep.join([str(path), str(tmp_path / "none.py")]))
    assert planned(methods=("own_step",)).cells
    assert len(plugins.faults) == 1 and "BENCH_PLUGINS names it" in plugins.faults[0]


def test_what_a_plugin_imports_first_stays_the_packages_own() -> None:
    code = (
        f"from bench.core import plugins\nplugins.load({str(TOY)!r})\nimport bench.methods.grammar\n"
        "[things] = plugins.loaded().values()\nprint(len(things), *(name for _, name in things))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("9 ") and "focal" not in done.stdout and "top1" not in done.stdout


def test_looking_for_plugins_imports_nothing_that_takes_long() -> None:
    code = (
        "import sys, bench.commands.main\nfrom bench.core import plugins\nbefore = set(sys.modules)\n"
        "plugins.load_known()\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [], done.stdout


# The whole way


@pytest.mark.slow
def test_the_toy_distribution_is_installed_and_run(tmp_path: Path) -> None:
    site = tmp_path / "site"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    copy = tmp_path / "toy"
    copy.mkdir()
    for path in TOY.parent.glob("*.*"):
        (copy / path.name).write_bytes(path.read_bytes())
    subprocess.run([*pip, "--target", str(site), str(copy)], check=True)
    folder = tmp_path / "tasks" / "toy"
    folder.mkdir(parents=True)
    (folder / "task.toml").write_text(CARD)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)]),
        "BENCH_TASKS": str(folder.parent),
        "BENCH_RESULTS": str(tmp_path / "results"),
    }
    for args, says in (
        (["list", "backbones", "--format", "csv"], "toy 1.2"),
        (["run", "--task", "toy", "--weights", "random", "--set", "epochs=3"], "toy_brier+toy_cooled"),
        (["results"], "ok"),
    ):
        command = [sys.executable, "-m", "bench", *args]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert says in done.stdout


def suites(folder: Path, plugin: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the contract suites on a plug-in, as its author does."""
    options = ("--pyargs", "bench.testing", "--plugin", str(plugin), "-q", "-p", "no:cacheprovider")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_contract_suites_are_run_on_a_plugin_alone(tmp_path: Path) -> None:
    done = suites(tmp_path, TOY)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = suites(tmp_path, TOY, "--collect-only").stdout
    assert "toy_brier" in listed and "toy_grid" in listed and "toy_turns" in listed and "toy_kind" in listed
    assert "toy_luck" in listed and "focal" not in listed and "lenet" not in listed
    bad = TOY.read_text().replace("head.kernel / t", "head.kernel / np.float32(0)")
    (tmp_path / "bad.py").write_text(bad.replace("toy_", "bad_"))
    failed = suites(tmp_path, tmp_path / "bad.py", "-k", "bad_cooled and nan")
    assert failed.returncode == 1 and "bad_cooled" in failed.stdout
    nothing = suites(tmp_path, tmp_path / "nosuch.py")
    assert nothing.returncode == 4 and "No such file" in nothing.stderr and "Traceback" not in nothing.stderr
