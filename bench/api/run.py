"""`bench.run`: a grid from Python, by the options and the code of `bench run`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from bench.api.models import is_model, saved_model
from bench.api.notebook import Notebook, NotebookProgress, in_notebook
from bench.api.results import Results
from bench.commands.experiment import arguments, options_from
from bench.commands.options import experiment_params
from bench.commands.progress import Progress
from bench.commands.run_ import command, grid_from
from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.core.paths import cache_dir, search_path
from bench.core.plugins import faults, registered_here
from bench.runs.grid import Reporter, run_grid

NAME = "bench.run"


def run(
    task: str | None = None,
    *,
    experiment: str | Path | None = None,
    data: str | Path | None = None,
    backbones: Any = None,
    methods: str | Iterable[str] | None = None,
    seeds: int | str | Iterable[int] | None = None,
    stages: str | Iterable[str] | None = None,
    regime: str | None = None,
    weights: str | Path | None = None,
    settings: Mapping[str, Value | Mapping[str, Value]] | None = None,
    sample: str | None = None,
    results: str | Path | None = None,
    cache: str | Path | None = None,
    rerun: bool = False,
    on: str | None = None,
    cpus_per_job: float = 1,
    gpus_per_job: float = 0,
    progress: bool = True,
    **options: Any,
) -> Results:
    """Train the missing cells of a grid, as `bench run` does, and return the results of all its cells.

    A cell has the same identity and id however it is requested, so stored cells are not trained again. Cells
    train in separate processes; this one imports neither TensorFlow nor Keras.

    Args:
        task: The task, see `bench list tasks`; default: one made from the data.
        experiment: An experiment file (TOML); the other arguments override it.
        data: The data folder; default: the task's synthetic sample.
        backbones: Names, files or Keras models, one or several; default: the card's. A model is saved in the
            cache, and its cells are those of that file.
        methods: Methods, such as "none" or "focal(gamma=2)+oversample"; default: the card's.
        seeds: A number, a text such as "0-2", or numbers; default: the card's.
        stages: Stages of the task; default: all.
        regime: frozen, finetune or scratch; default: the backbone's.
        weights: imagenet, random or a file; default: imagenet; for scratch, random.
        settings: Protocol values by key, {"epochs": 5}; those of one stage in a nested table,
            {"remaining": {"epochs": 5}}, or as "remaining.epochs".
        sample: Size of the synthetic sample: tiny or small; default: the card's.
        results: The results folder; default: BENCH_RESULTS or `results`.
        cache: The cache of pixels and features; default: BENCH_CACHE.
        rerun: Whether stored cells are trained again.
        on: Where cells train: "ray" starts Ray on this machine, "HOST:PORT" or "ray://HOST:PORT" is a
            cluster; default: this machine without Ray.
        cpus_per_job: CPUs that a task of Ray reserves.
        gpus_per_job: GPUs that a task of Ray reserves.
        progress: Whether progress and messages are shown: on standard error, or below a notebook's cell.
        **options: Every other option of `bench run` that describes a grid, by its name with underscores:
            tune=16, label="COLUMN", shard="1/4", follow_links=True, keep_model=True, tasks=DIR,
            plugins=["FILE.py"].

    Raises:
        BenchError: The grid cannot be planned: an unknown name, an invalid value, unreadable data. The
            message is one line, and suggests the nearest name.
        NothingMeasured: None of the combinations can run.
    """
    given = {
        "task": task,
        "data": data,
        "backbones": _named(backbones, cache),
        "methods": methods,
        "seeds": seeds,
        "stages": stages,
        "regime": regime,
        "weights": weights,
        "settings": settings,
        "sample": sample,
        "results": results,
        "cache": cache,
        **options,
    }
    values = {key: _plain(value) for key, value in given.items() if value is not None}
    if own := [*_many(values.get("plugins")), *registered_here()]:
        values["plugins"] = list(dict.fromkeys(own))
    parsed = _parsed(None if experiment is None else str(experiment), values)
    where = {"on": on, "cpus_per_job": cpus_per_job, "gpus_per_job": gpus_per_job}
    grid = grid_from({**parsed, "rerun": rerun, **where})
    reporter = _reporter(progress)
    done = run_grid(grid, reporter)
    for line in (done.failures(), *faults):
        if line:
            reporter.say(line)
    return Results(
        grid.results,
        done.cells(),
        grid.request.data,
        tuple(f"{skip.backbone} x {skip.method}: {skip.reason}" for skip in done.plan.skipped),
        grid.cache,
        grid.tasks,
        search_path("baselines", parsed["baselines"]),
    )


def _parsed(experiment: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of `bench run` for these values, read as the command reads its own."""
    params = experiment_params()
    words = [] if experiment is None else [experiment]
    words += arguments(options_from(values, params, NAME), params)
    try:
        return command.make_context("run", words).params
    except click.ClickException as error:
        raise BenchError(f"{NAME}: {' '.join(error.format_message().split())}") from None


def _named(backbones: Any, cache: str | Path | None) -> Any:
    """Return backbones with each Keras model as the file that it is saved in."""
    if is_model(backbones):
        backbones = [backbones]
    if isinstance(backbones, (str, os.PathLike)) or not isinstance(backbones, Iterable):
        return backbones
    place = cache_dir(None if cache is None else str(cache)).absolute()
    return [str(saved_model(one, place)) if is_model(one) else one for one in backbones]


def _many(value: Any) -> list[Any]:
    """Return an argument that may be one text as a list."""
    return [value] if isinstance(value, str) else list(value or ())


def _plain(value: Any) -> Any:
    """Return a value as TOML holds it: paths as text, sequences as lists, NumPy's numbers as Python's."""
    # NumPy's own come first: some are subclasses of Python's.
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {key: _plain(own) for key, own in value.items()}
    many = isinstance(value, Iterable) and not isinstance(value, str)
    return [_plain(own) for own in value] if many else value


def _reporter(progress: bool) -> Reporter:
    if not progress:
        return Reporter(lambda text: None, Silent)
    if in_notebook():
        notebook = Notebook()
        return Reporter(notebook.say, lambda cells: NotebookProgress(cells, notebook))
    return Reporter(Progress.say, Progress)


class Silent:
    """A display that shows nothing."""

    def __init__(self, cells: int) -> None:
        self.cells = cells

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def on_event(self, event: dict[str, Any]) -> None:
        """Ignore an event."""
