"""`bench compare`: stored results beside a baseline, every difference with its interval."""

from __future__ import annotations

import click

from bench.commands.options import baselines_option, format_option, results_option
from bench.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_REGRESSION, EXIT_SOME_FAILED
from bench.store import Stored


@click.command()
@click.option("--task", required=True, help="The task whose stored cells are compared.")
@click.option("--baseline", help="Baseline to compare with [the task's published one].")
@click.option(
    "--all", "everything", is_flag=True, help="Every setting, not just each stage's best on validation."
)
@click.option("--no-classes", is_flag=True, help="No row per class.")
@click.option("--fail-on-regression", is_flag=True, help="Exit 3 when a metric is worse beyond its interval.")
@click.option(
    "--metric", multiple=True, help="Only these metrics can be a regression, e.g. top1_macro [all of them]."
)
@results_option
@baselines_option
@format_option
def command(
    task: str,
    baseline: str | None,
    everything: bool,
    no_classes: bool,
    fail_on_regression: bool,
    metric: tuple[str, ...],
    results: str | None,
    baselines: str | None,
    fmt: str,
) -> int:
    """Compare stored results with a published or a pinned baseline.

    Where data or protocol differ from the baseline's, differences are shown and the verdict is
    `not comparable`; the column `why` says what differs. Exit code 4 says that a file could not be read; what
    could be is compared.
    """
    from bench.baselines import load_baseline, none_published, published_for
    from bench.commands.loading import check_task, load_cells, results_root, tell
    from bench.compare import MISSING, compare, compare_table, judgements, regressions
    from bench.metrics.registry import get_metric
    from bench.paths import search_path
    from bench.report.render import render
    from bench.stored import sound

    names = {name.strip() for text in metric for name in text.split(",")}
    for name in names - {"top1", "top5"}:
        get_metric(name)
    check_task(results_root(results), task)
    folders, faulty = search_path("baselines", baselines), list[str]()
    against = load_baseline(task, baseline, folders) if baseline else published_for(task, folders, faulty)
    tell(faulty)
    if against is None:
        raise none_published(task, folders)
    root, cells, problems = load_cells(results, task)
    measured, damaged = sound(stored for stored in cells if stored.ok)
    tell([*problems, *damaged])
    problems += [*faulty, *damaged]
    if not measured:
        click.echo(
            f"bench: no measured cell of {task} in {root}; `bench run --task {task}` makes some", err=True
        )
        return EXIT_NOTHING_MEASURED
    if against.pinned is None and not everything:
        measured = best_of_each_stage(measured)
    unread: list[str] = []
    rows = compare(measured, against, problems=unread)
    tell(unread)
    problems += unread
    every_column = fmt in ("csv", "json")
    click.echo(render(compare_table(rows, against, classes=not no_classes, every_column=every_column), fmt))
    if fail_on_regression:
        worse = regressions(rows, names or None)
        if worse:
            listed = "; ".join(f"{row.stage} {row.backbone} {row.method}: {row.what}" for row in worse[:5])
            click.echo(f"bench: {len(worse)} regressions against {against.name}: {listed}", err=True)
            return EXIT_REGRESSION
        gone = [row for row in rows if row.verdict == MISSING and row.theirs is not None]
        if gone and against.pinned:
            listed = "; ".join(f"{row.stage} {row.backbone} {row.method}" for row in gone[:5])
            text = f"{len(gone)} settings of {against.name} have no measured cell: {listed}"
            click.echo(f"bench: {text}", err=True)
            return EXIT_REGRESSION
        if not judgements(rows):
            click.echo(f"bench: nothing in {root} could be judged against {against.name}", err=True)
            return EXIT_NOTHING_MEASURED
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def best_of_each_stage(measured: list[Stored]) -> list[Stored]:
    """Return, for each data source and stage, all seeds of the setting that is best on validation."""
    from bench.report.tables import best_setting, settings_of

    kept: list[Stored] = []
    parts: dict[tuple[str, str], list[Stored]] = {}
    for stored in measured:
        cell = stored.record["cell"]
        parts.setdefault((cell["data"]["fingerprint"], cell["stage"]), []).append(stored)
    for part in parts.values():
        records = [stored.record for stored in part]
        best = best_setting(records)
        (setting,) = [
            found for found in settings_of(records) if best in {record["id"] for record in found.records}
        ]
        ids = {record["id"] for record in setting.records}
        kept += [stored for stored in part if stored.id in ids]
    return kept
