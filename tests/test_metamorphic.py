"""A cell is a function of its identity: options that are not part of it leave every stored bit as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core.cell import MethodSpec
from bench.core.errors import BenchError
from bench.data.task_card import REGIMES
from bench.methods.apply import Resolved, resolve
from bench.store.read import MODEL, Stored
from bench.store.write import Store
from tests.in_process import InProcess, content
from tests.place import Place

pytest.importorskip("tensorflow")


@dataclass(frozen=True)
class Grid:
    """Cells whose bits are compared. others: a method that shares a grid with them."""

    task: str
    regime: str
    methods: tuple[str, ...]
    others: str
    settings: tuple[str, ...] = ()
    seeds: str = "0"

    @property
    def name(self) -> str:
        """Return what the test's id says."""
        return "-".join([self.task, self.regime, self.methods[0], *self.settings])


STAGED = Grid("fashion", "finetune", ("none",), "oversample", ("staged=true",))
QUICK = (
    Grid("fashion", "frozen", ("oversample+mlp(units=4)", "conv(filters=4)"), "class_weight"),
    Grid("fashion", "scratch", ("oversample",), "none"),
    STAGED,
    Grid("multilabel", "frozen", ("self_train", "conv(filters=4)"), "impute(leml)"),
    Grid("faces", "frozen", ("siamese", "whiten+cosine"), "triplet"),
)
SLOW = (
    Grid("fashion", "frozen", ("augment(views=2)", "augment(views=2)+mlp(units=4)"), "smote"),
    Grid("fashion", "scratch", ("augment", "mixup"), "oversample"),
    Grid("fashion", "finetune", ("none", "oversample"), "augment"),
    Grid("fashion", "finetune", ("augment", "crt"), "class_weight", ("staged=true", "refit=true")),
    Grid("marketplace", "frozen", ("gce", "none"), "clean(confident)", ("tune=2",)),
    Grid("marketplace", "scratch", ("none", "class_weight"), "gce"),
    Grid("marketplace", "finetune", ("none", "class_weight"), "gce"),
    Grid("multilabel", "scratch", ("mask", "assume_negative"), "splc"),
    Grid("multilabel", "finetune", ("mask", "assume_negative"), "splc"),
    Grid("faces", "scratch", ("siamese",), "siamese(units=8)", seeds="0-1"),
    Grid("faces", "finetune", ("siamese",), "siamese(units=8)", seeds="0-1"),
)
GRIDS = (*QUICK, *SLOW)
FEW = 10
"""More classes has only the first stage of the fashion sample."""

EPOCHS = {"frozen": 2, "scratch": 1, "finetune": 1}


def test_every_task_and_regime_has_a_grid() -> None:
    from bench.core.paths import shipped

    tasks = {card.parent.name for card in shipped("tasks").glob("*/task.toml")}
    assert {(grid.task, grid.regime) for grid in GRIDS} == {(task, one) for task in tasks for one in REGIMES}


IN_IDENTITY = {
    *(
        "task",
        "data",
        "label",
        "kind",
        "columns",
        "sample",
        "backbone",
        "method",
        "seed",
        "regime",
        "weights",
    ),
    *("sets", "tune"),
}
OUTSIDE = {
    "cache": "test_less_in_memory_changes_nothing",
    "results": "test_less_in_memory_changes_nothing",
    "keep_model": "test_a_kept_model_changes_nothing",
    "tensorboard": "test_a_kept_model_changes_nothing",
    "quiet": "test_a_kept_model_changes_nothing",
    "stage": "test_a_stage_alone_is_what_it_is_beside_the_others",
    "shard": "test_shards_are_the_grid",
    **dict.fromkeys(
        ("experiment", "save", "rerun", "fmt", "wide", "shown_columns", "verbose", "plugins", "allow_code"),
        "test_a_rerun_from_a_file_that_says_more_changes_nothing",
    ),
    "baselines": "test_a_rerun_from_a_file_that_says_more_changes_nothing",
    "tasks": "test_a_rerun_from_a_file_that_says_more_changes_nothing",
    "follow_links": "tests/test_run_command.py",
    **dict.fromkeys(("on", "cpus_per_job", "gpus_per_job"), "tests/test_ray.py"),
}
"""Options of `bench run` that are no part of the identity, and where that is tried."""


def test_every_option_is_part_of_the_identity_or_tried() -> None:
    from bench.commands.run_ import command

    assert {str(param.name) for param in command.params} == IN_IDENTITY | {*OUTSIDE}
    for name, place in OUTSIDE.items():
        if place.endswith(".py"):
            option = {"on": '"--on", "ray"'}.get(name, f"--{name.replace('_', '-')}")
            assert option in Path(__file__).parents[1].joinpath(place).read_text(encoding="utf-8")
        else:
            assert callable(globals()[place])


Bits = dict[str, dict[str, bytes]]


class Runs:
    """A folder in which every grid has run once, as it is, before it runs otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.known: dict[Grid, Bits] = {}
        self.weights = Place(folder).draw_weights()

    def plain(self, grid: Grid, inside: InProcess) -> Bits:
        """Return what the grid's cells are without any option."""
        if grid not in self.known:
            self.known[grid] = bits(inside.bench(*self.args(grid), results=self.fresh(), cache="cache"))
        return self.known[grid]

    def args(self, grid: Grid, methods: Iterable[str] = ()) -> list[str]:
        """Return the command that runs a grid."""
        weights = "random" if grid.regime == "scratch" else str(self.folder / self.weights)
        asked = [part for method in methods or grid.methods for part in ("--method", method)]
        values = [f"epochs={EPOCHS[grid.regime]}", *grid.settings]
        return [
            *("run", "--task", grid.task, "--sample", "tiny", "--regime", grid.regime, "--seed", grid.seeds),
            *("--backbone", "lenet", "--weights", weights, *asked),
            *(part for value in values for part in ("--set", value)),
        ]

    def fresh(self) -> str:
        """Return the name of a folder that is not there yet."""
        self.number += 1
        return f"{self.number}"


def bits(cells: Iterable[Stored]) -> Bits:
    """Return all that cells hold, by their ids."""
    return {stored.id: content(stored) for stored in cells}


def check(found: Bits, plain: Bits) -> None:
    """Check that cells are the plain ones, bit for bit."""
    assert set(found) == set(plain)
    different = {
        name: [key for key in plain[name] if plain[name][key] != found[name].get(key)] for name in plain
    }
    assert {name: keys for name, keys in different.items() if keys} == {}


def only(cells: Bits, wanted: Bits) -> Bits:
    """Return those cells that are among the wanted ones."""
    return {name: one for name, one in cells.items() if name in wanted}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("metamorphic"))


@pytest.fixture
def inside(runs: Runs, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(runs.folder, monkeypatch)


every_grid = pytest.mark.parametrize(
    "grid",
    [*QUICK, *(pytest.param(grid, marks=pytest.mark.slow) for grid in SLOW)],
    ids=[grid.name for grid in GRIDS],
)


@every_grid
def test_a_kept_model_changes_nothing(grid: Grid, runs: Runs, inside: InProcess) -> None:
    plain = runs.plain(grid, inside)
    options = ("--keep-model", "--quiet", "--tensorboard", str(runs.folder / runs.fresh()))
    cells = inside.bench(*runs.args(grid), *options, results=runs.fresh(), cache="cache")
    assert all((stored.folder / MODEL).is_file() for stored in cells)
    check(bits(cells), plain)


@every_grid
def test_other_cells_in_another_order_change_nothing(grid: Grid, runs: Runs, inside: InProcess) -> None:
    """Frozen ones have cells of another seed before them too."""
    plain, methods = runs.plain(grid, inside), (grid.others, *grid.methods[::-1])
    more = ("--seed", "7,0") if grid.regime == "frozen" else ()
    cells = inside.bench(*runs.args(grid, methods), *more, results=runs.fresh(), cache="cache")
    assert len(cells) > len(plain)
    check(only(bits(cells), plain), plain)


@pytest.mark.parametrize("grid", QUICK, ids=lambda grid: grid.name)
def test_a_killed_run_goes_on_as_if_it_had_not_been(grid: Grid, runs: Runs, inside: InProcess) -> None:
    """The one that goes on keeps models, which the killed one did not.

    Where there are two stages, it is killed between them. After every cell: see the slow test.
    """
    plain, results = runs.plain(grid, inside), runs.fresh()
    half = len(plain) // 2
    cells = inside.bench(*runs.args(grid), results=results, cache=runs.fresh(), kill_after=half)
    assert len(cells) == half
    cells = inside.bench(*runs.args(grid), "--keep-model", results=results, cache="cache")
    assert all((stored.folder / MODEL).is_file() for stored in cells)
    check(bits(cells), plain)


@pytest.mark.parametrize("stages", [(), ("--stage", "remaining")], ids=["both stages", "the later stage"])
def test_a_net_that_fails_in_the_first_stage_fails_no_other_method(
    stages: tuple[str, ...], runs: Runs, inside: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = runs.plain(STAGED, inside)

    def refuse(method: MethodSpec, labels: np.ndarray, inputs: object, classes: int, *rest: Any) -> Resolved:
        if method.text == STAGED.others and classes > FEW:
            raise BenchError("too many classes")
        return resolve(method, labels, None, classes, *rest)

    monkeypatch.setattr("bench.runs.image_stage.ImageStage.resolver", staticmethod(refuse))
    args = (*runs.args(STAGED, (STAGED.others, *STAGED.methods)), *stages)
    cells = inside.bench(*args, results=runs.fresh(), cache="cache")
    why = {stored.record["cell"]["stage"]: stored.record["reason"] for stored in cells if not stored.ok}
    assert why.pop("remaining") == "stage top20, which remaining starts from: too many classes"
    assert why == ({} if stages else {"top20": "too many classes"})
    sound = bits(stored for stored in cells if stored.ok)
    check(sound, only(plain, sound))
    assert len(sound) == len(cells) - len(why) - 1 > 0


@pytest.mark.parametrize(
    "grid", [grid for grid in QUICK if grid.regime == "frozen"], ids=lambda grid: grid.name
)
def test_less_in_memory_changes_nothing(
    grid: Grid, runs: Runs, inside: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = runs.plain(grid, inside)
    monkeypatch.setattr("bench.core.memory_limits._halved", True)
    check(bits(inside.bench(*runs.args(grid), results=runs.fresh(), cache=runs.fresh())), plain)


@pytest.mark.slow
@pytest.mark.parametrize("grid", QUICK, ids=lambda grid: grid.name)
def test_a_rerun_from_a_file_that_says_more_changes_nothing(
    grid: Grid, runs: Runs, inside: InProcess
) -> None:
    plain, results = runs.plain(grid, inside), runs.fresh()
    saved, unused = runs.folder / f"{results}.toml", runs.folder / "unused.py"
    unused.write_text('"""A plug-in of which nothing is asked."""\n', encoding="utf-8")
    inside.bench(*runs.args(grid), "--save", str(saved), results=results, cache="cache")
    options = (
        *("--rerun", "--verbose", "--wide", "--format", "json", "--columns", "method", "--allow-code"),
        *("--plugin", str(unused), "--baselines", str(runs.folder), "--tasks", str(runs.folder)),
    )
    check(bits(inside.bench("run", str(saved), *options, results=results, cache="cache")), plain)


@pytest.mark.slow
@pytest.mark.parametrize("grid", QUICK, ids=lambda grid: grid.name)
def test_shards_are_the_grid(grid: Grid, runs: Runs, inside: InProcess) -> None:
    plain, results = runs.plain(grid, inside), runs.fresh()
    for shard in ("2/2", "1/2"):
        options = ("--shard", shard, "--quiet")
        cells = inside.bench(*runs.args(grid), *options, results=results, cache=runs.fresh())
    check(bits(cells), plain)


@pytest.mark.slow
@every_grid
def test_a_cell_alone_is_what_it_is_in_its_grid(grid: Grid, runs: Runs, inside: InProcess) -> None:
    plain = runs.plain(grid, inside)
    for method in grid.methods:
        cells = bits(inside.bench(*runs.args(grid, [method]), results=runs.fresh(), cache="cache"))
        check(cells, only(plain, cells))


@pytest.mark.slow
@every_grid
def test_a_stage_alone_is_what_it_is_beside_the_others(grid: Grid, runs: Runs, inside: InProcess) -> None:
    from bench.core.paths import search_path
    from bench.data.task_card import load_card

    plain, results = runs.plain(grid, inside), runs.fresh()
    for stage in load_card(grid.task, search_path("tasks")).stages[::-1]:
        cells = inside.bench(*runs.args(grid), "--stage", stage.name, results=results, cache="cache")
    check(bits(cells), plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "keep"),
    [*((grid, ()) for grid in GRIDS), *((grid, ("--keep-model",)) for grid in QUICK)],
    ids=lambda one: one.name if isinstance(one, Grid) else " ".join(one),
)
def test_a_run_killed_after_any_cell_goes_on(
    grid: Grid, keep: tuple[str, ...], runs: Runs, inside: InProcess
) -> None:
    plain = runs.plain(grid, inside)
    for count in range(1, len(plain)):
        results, cache = runs.fresh(), runs.fresh()
        args = (*runs.args(grid), *keep)
        assert len(inside.bench(*args, results=results, cache=cache, kill_after=count)) == count
        check(bits(inside.bench(*args, results=results, cache=cache)), plain)


@pytest.mark.slow
@every_grid
def test_a_worker_for_every_cell_changes_nothing(grid: Grid, runs: Runs, inside: InProcess) -> None:
    plain, inside.restart = runs.plain(grid, inside), True
    args = runs.args(grid, [*grid.methods, grid.others])
    cells = bits(inside.bench(*args, results=runs.fresh(), cache=runs.fresh()))
    check(only(cells, plain), plain)


CORES: dict[str, tuple[int | None, dict[str, str]]] = {
    "one core": (1, {}),
    "one thread": (
        None,
        {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"},
    ),
    "many threads": (
        None,
        {"OMP_NUM_THREADS": "7", "TF_NUM_INTRAOP_THREADS": "7", "TF_NUM_INTEROP_THREADS": "3"},
    ),
}


ALL_CORES = """
import json, sys
from pathlib import Path
import pytest
from tests.in_process import InProcess

folder, orders = Path(sys.argv[1]), json.loads(sys.argv[2])
with pytest.MonkeyPatch.context() as patch:
    inside = InProcess(folder, patch)
    for name, args in orders.items():
        inside.bench(*args, results=f"results-{name}", cache=f"cache-{name}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("cores", CORES)
def test_the_number_of_cores_changes_nothing(cores: str, runs: Runs, inside: InProcess) -> None:
    """In a process of its own, which imports TensorFlow once for all grids, with cold caches."""
    grids = GRIDS if cores == "one core" else QUICK
    plain = {grid.name: runs.plain(grid, inside) for grid in grids}
    count, variables = CORES[cores]
    place = Place(runs.folder / runs.fresh())
    place.folder.mkdir()
    orders = json.dumps({grid.name: [*runs.args(grid), "--quiet"] for grid in grids})
    allowed = os.sched_getaffinity(0)
    if count is not None:
        os.sched_setaffinity(0, set(sorted(allowed)[:count]))
    try:
        command = [sys.executable, "-c", ALL_CORES, str(place.folder), orders]
        subprocess.run(command, env={**place.env, **variables}, check=True, timeout=1800)
    finally:
        os.sched_setaffinity(0, allowed)
    for name, wanted in plain.items():
        check(bits(Store(place.folder / f"results-{name}").load()[0]), wanted)
