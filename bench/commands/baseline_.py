"""`bench baseline pin NAME`: pin stored cells as a baseline."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.notices import say
from bench.commands.options import baselines_option, results_option
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED


@click.group()
def command() -> None:
    """Pin stored cells as a baseline (`bench list baselines` shows all)."""


@command.command()
@click.argument("name")
@click.option("--task", required=True, help="The task whose stored cells are pinned.")
@click.option("--source", help="Only cells of this data source, e.g. drawn-small.")
@click.option("--backbone", multiple=True, help="Only these backbones.")
@click.option("--method", multiple=True, help="Only these methods.")
@click.option("--summary", default="", help="A line that describes the baseline.")
@click.option("--force", is_flag=True, help="Replace a pinned baseline of this name.")
@results_option
@baselines_option
def pin(
    name: str,
    task: str,
    source: str | None,
    backbone: tuple[str, ...],
    method: tuple[str, ...],
    summary: str,
    force: bool,
    results: str | None,
    baselines: str | None,
) -> int:
    """Store the measured cells of a task, with all predictions, as baseline NAME.

    `bench compare --task TASK --baseline NAME --fail-on-regression` then compares later runs with it. It is
    written to --baselines, BENCH_BASELINES or ./baselines. Exit code 4: a stored cell could not be read; the
    others are pinned.
    """
    import os

    from bench.commands.loading import load_cells, report_problems
    from bench.compare.baselines.pin import pin as pinned
    from bench.compare.baselines.pin import write_baseline
    from bench.compare.baselines.types import check_name
    from bench.methods.grammar import parse_methods
    from bench.store.read import readable_cells

    check_name(name)
    _, cells, problems = load_cells(results, task)
    methods = {spec.text for text in method for spec in parse_methods(text)}
    backbones = {name for text in backbone for name in text.split(",")}
    wanted = [
        stored
        for stored in cells
        if (not source or stored.record["cell"]["data"]["source"] == source)
        and (not backbones or stored.record["cell"]["backbone"] in backbones)
        and (not methods or stored.record["cell"]["method_text"] in methods)
    ]
    wanted, damaged = readable_cells(wanted, answers=True)
    problems += damaged
    report_problems(problems)
    folder = Path(baselines or os.environ.get("BENCH_BASELINES") or "baselines")
    path = write_baseline(pinned(wanted, name, summary), folder, force)
    measured = sum(stored.ok for stored in wanted)
    say(f"pinned {measured} cells as {name} in {path}")
    return EXIT_SOME_FAILED if problems else EXIT_DONE
