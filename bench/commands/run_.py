"""`bench run`: plan a grid, train its missing cells, print the rankings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.commands.ending import check_run_columns, print_ending
from bench.commands.experiment import command_line
from bench.commands.experiment_argument import (
    experiment_argument,
    experiment_of,
    save_experiment,
    save_option,
)
from bench.commands.option_values import cluster_from, request_from, shard_from
from bench.commands.options import cluster_options, experiment_params, format_option, run_options
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED

if TYPE_CHECKING:
    from bench.data.examples import Examples
    from bench.runs.grid import GridRun, Reporter
    from bench.runs.plan import Plan


@click.command()
@experiment_argument
@run_options
@format_option
@cluster_options
@click.option("--rerun", is_flag=True, help="Train stored cells again.")
@click.option("--quiet", is_flag=True, help="Print no tables.")
@click.option("-v", "--verbose", is_flag=True, help="Log each step and its reason.")
@save_option
def command(fmt: str, quiet: bool, verbose: bool, save: str | None, **options: Any) -> int:
    """Train the missing cells of a grid of backbones x methods x seeds, then print the rankings.

    Stored cells are not trained again unless they are damaged, so an interrupted run resumes where it
    stopped. FILE.toml holds options by name; the command line overrides it. Each run stores such a file
    beside its results. Exit code 4: a cell failed, or a file could not be read.
    """
    from bench.commands.progress import Progress
    from bench.runs.grid import run_grid

    grid = grid_from(options)
    save_experiment(save, options)
    done = run_grid(grid, _reporter(grid, verbose, options, None if quiet else fmt))
    read = quiet or print_ending(done.store, done.plan.cells, options["baselines"], fmt, options["results"])
    if failures := done.failures():
        Progress.say(failures)
    code = done.exit_code()
    return code if read or code != EXIT_DONE else EXIT_SOME_FAILED


def _reporter(grid: GridRun, verbose: bool, options: dict[str, Any], fmt: str | None) -> Reporter:
    """Return the receiver of messages. fmt: of the tables to come, None for none."""
    from bench.commands.progress import Progress
    from bench.commands.verbose import Explanation
    from bench.core.kind import get_kind
    from bench.runs.grid import Reporter

    explanation = Explanation(Progress.say, grid, options) if verbose else None

    def planned(plan: Plan, examples: Examples) -> None:
        if fmt is not None:
            check_run_columns(get_kind(plan.card.kind), fmt)
        if explanation is not None:
            explanation.of_plan(plan, examples)

    if explanation is None:
        return Reporter(Progress.say, Progress, planned)
    of_cell = explanation.of_cell
    return Reporter(Progress.say, lambda cells: Progress(cells, of_cell), planned)


def grid_from(options: dict[str, Any]) -> GridRun:
    """Return the grid of the values of `run_options`, and of `rerun`. Raises BenchError or DataError."""
    from bench.core.paths import cache_dir, results_dir, search_path
    from bench.runs.grid import GridRun
    from bench.store.tensorboard_export import logs_dir

    return GridRun(
        request_from(options),
        search_path("tasks", options["tasks"]),
        cache_dir(options["cache"]).resolve(),
        results_dir(options["results"]).resolve(),
        command_line(options, experiment_params()),
        experiment_of(options),
        shard_from(options),
        options["rerun"],
        options["keep_model"],
        None if options["tensorboard"] is None else logs_dir(options["tensorboard"]),
        cluster_from(options),
    )
