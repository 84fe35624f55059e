"""`bench baseline pin NAME`: keep a run's own result as a baseline."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.options import baselines_option, results_option


@click.group()
def command() -> None:
    """Pin a run's own result as a baseline (`bench list baselines` shows all)."""


@command.command()
@click.argument("name")
@click.option("--task", required=True, help="The task whose stored cells are pinned.")
@click.option("--source", help="Only cells of this data source, e.g. drawn-small.")
@click.option("--backbone", multiple=True, help="Only these backbones.")
@click.option("--method", multiple=True, help="Only these methods.")
@click.option("--summary", default="", help="A line about what it is.")
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
) -> None:
    """Store the measured cells of a task, answer by answer, as baseline NAME.

    `bench compare --task TASK --baseline NAME --fail-on-regression` then holds later runs against it.
    It is written to --baselines, BENCH_BASELINES or ./baselines.
    """
    import os

    from bench.baselines import check_name
    from bench.commands.loading import load_cells, tell
    from bench.methods.grammar import parse_methods
    from bench.pin import pin as pinned
    from bench.pin import write_baseline

    check_name(name)
    _, cells, problems = load_cells(results, task)
    tell(problems)
    methods = {spec.text for text in method for spec in parse_methods(text)}
    backbones = {part for text in backbone for part in text.split(",")}
    wanted = [
        stored
        for stored in cells
        if (not source or stored.record["cell"]["data"]["source"] == source)
        and (not backbones or stored.record["cell"]["backbone"] in backbones)
        and (not methods or stored.record["cell"]["method_text"] in methods)
    ]
    folder = Path(baselines or os.environ.get("BENCH_BASELINES") or "baselines")
    path = write_baseline(pinned(wanted, name, summary), folder, force)
    measured = sum(stored.ok for stored in wanted)
    click.echo(f"bench: pinned {measured} cells as {name} in {path}", err=True)
