"""`bench compare`: stored results beside a baseline, or any two sides, every difference with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import Word, baselines_option, format_option, results_option
from bench.errors import (
    EXIT_DONE,
    EXIT_NOTHING_MEASURED,
    EXIT_REGRESSION,
    EXIT_SOME_FAILED,
    BenchError,
    unknown,
)
from bench.store import Stored

if TYPE_CHECKING:
    from bench.baselines import Baseline
    from bench.comparison import Comparison
    from bench.report.table import Table


@click.command()
@click.argument("sides", nargs=-1, metavar="[A [B]]")
@click.option("--task", required=True, help="The task whose stored cells are compared.")
@click.option("--baseline", help="Baseline to compare with [the task's published one].")
@click.option(
    "--all", "everything", is_flag=True, help="Every setting, not just each stage's best on validation."
)
@click.option("--no-classes", is_flag=True, help="No row per class.")
@click.option("--class", "classes", multiple=True, help="Only rows of this class; may be given again.")
@click.option(
    "--metric", multiple=True, help="Only these metrics, in rows and as regressions, e.g. top1_macro,top1."
)
@click.option("--verdict", multiple=True, help="Only rows with these verdicts, e.g. worse,better.")
@click.option(
    "--min-support",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Only classes with N test items.",
)
@click.option(
    "--sort",
    type=Word("order", ("size", "difference", "p", "name")),
    default="size",
    show_default=True,
    help="How the rows of a setting are ordered.",
)
@click.option(
    "--fail-on-regression",
    is_flag=False,
    flag_value="",
    metavar="[METRIC,...]",
    help="Exit 3 when a metric, or one of these, is worse beyond its interval. Give it after A and B.",
)
@results_option
@baselines_option
@format_option
def command(
    sides: tuple[str, ...],
    task: str,
    baseline: str | None,
    everything: bool,
    no_classes: bool,
    classes: tuple[str, ...],
    metric: tuple[str, ...],
    verdict: tuple[str, ...],
    min_support: int,
    sort: str,
    fail_on_regression: str | None,
    results: str | None,
    baselines: str | None,
    fmt: str,
) -> int:
    """Compare stored results with a published or a pinned baseline, or A with B.

    A and B: the beginning of a cell's id, BACKBONE/METHOD, a baseline's name (of a pinned one also
    NAME:BACKBONE/METHOD), or a trivial answer. A alone is compared with the baseline.

    Where data or protocol differ, differences are shown and the verdict is `not comparable`; the column `why`
    says what differs. Exit code 4 says that a file could not be read; what could be is compared.
    """
    from bench.commands.loading import check_task, in_one_thread, load_cells, results_root, tell
    from bench.compare import regressions
    from bench.compare_table import narrowed
    from bench.paths import search_path
    from bench.report.render import render
    from bench.stored import sound

    in_one_thread()
    only = _metrics(metric)
    judged_by = _metrics((fail_on_regression or "",)) or only
    verdicts = _verdicts(verdict)
    if len(sides) > 2:
        raise BenchError(f"{len(sides)} sides to compare: give two, or one and a baseline")
    check_task(results_root(results), task)
    folders, faulty = search_path("baselines", baselines), list[str]()
    against = None
    if len(sides) < 2:
        against = _baseline(task, baseline, folders, faulty)
    root, cells, problems = load_cells(results, task)
    measured, damaged = sound(stored for stored in cells if stored.ok)
    tell([*faulty, *problems, *damaged])
    problems += [*faulty, *damaged]
    if not measured and not sides:
        click.echo(
            f"bench: no measured cell of {task} in {root}; `bench run --task {task}` makes some", err=True
        )
        return EXIT_NOTHING_MEASURED
    unread: list[str] = []
    if sides:
        from bench.entrants import Stock, both_sides
        from bench.versus import versus

        named = (*sides, against.name) if against is not None else sides
        ours, theirs = both_sides(Stock(task, root, measured, folders), *named)
        rows = versus(ours, theirs, problems=unread)
        parts = {id(e.baseline): e.baseline for e in (*ours, *theirs) if e.baseline is not None}
        taking_part: Sequence[Baseline] = list(parts.values())
        title, name = f"{task}: {named[0]} against {named[1]}", named[1]
    else:
        from bench.compare import compare

        assert against is not None
        if against.pinned is None and not everything:
            measured = best_of_each_stage(measured)
        rows = compare(measured, against, problems=unread)
        taking_part, title, name = (against,), "", against.name
    tell(unread)
    problems += unread
    shown = narrowed(rows, classes, only, verdicts, min_support)
    _check_classes(classes, rows)
    if no_classes:
        shown = [row for row in shown if row.class_name is None]
    click.echo(render(_table(shown, taking_part, title, fmt in ("csv", "json"), sort), fmt))
    if fail_on_regression is not None:
        pinned = not sides and taking_part[0].pinned is not None
        code = _regression(regressions(rows, judged_by or None), rows, name, str(root), pinned)
        if code != EXIT_DONE:
            return code
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def _metrics(texts: Sequence[str]) -> set[str]:
    """Return the metrics named. Raises BenchError for an unknown one."""
    from bench.baselines import CLASS_METRICS
    from bench.metrics.registry import METRICS

    names = {name.strip() for text in texts for name in text.split(",") if name.strip()}
    for name in sorted(names):
        if name not in METRICS and name not in CLASS_METRICS:
            raise unknown("metric", name, (*METRICS, *CLASS_METRICS))
    return names


def _verdicts(texts: Sequence[str]) -> set[str]:
    from bench.compare_table import NO_VERDICT
    from bench.comparison import VERDICTS

    names = {name.strip() for text in texts for name in text.split(",") if name.strip()}
    for name in sorted(names - {*VERDICTS, NO_VERDICT}):
        raise unknown(
            "verdict", name, (*VERDICTS, NO_VERDICT), f"one of {', '.join((*VERDICTS, NO_VERDICT))}"
        )
    return names


def _check_classes(wanted: Sequence[str], rows: Sequence[Comparison]) -> None:
    known = {row.class_name for row in rows if row.class_name is not None}
    for name in wanted:
        if name not in known:
            raise unknown("class", name, known, f"{len(known)} classes are compared")


def _baseline(task: str, name: str | None, folders: Sequence[Path], faulty: list[str]) -> Baseline:
    from bench.baselines import load_baseline, none_published, published_for

    against = load_baseline(task, name, folders) if name else published_for(task, folders, faulty)
    if against is None:
        raise none_published(task, folders)
    return against


def _table(
    rows: Sequence[Comparison], baselines: Sequence[Baseline], title: str, machines: bool, sort: str
) -> Table:
    from bench.compare_table import compare_table, versus_table

    if title:
        return versus_table(rows, title, baselines, machines, sort)
    return compare_table(rows, baselines[0], every_column=machines, sort=sort)


def _regression(
    worse: Sequence[Comparison], rows: Sequence[Comparison], name: str, root: str, pinned: bool
) -> int:
    """Say on standard error what is worse, or missing, or that nothing was checked; return the exit code."""
    from bench.compare import judgements
    from bench.comparison import MISSING

    if worse:
        listed = "; ".join(f"{row.stage} {row.backbone} {row.method}: {row.what}" for row in worse[:5])
        click.echo(f"bench: {len(worse)} regressions against {name}: {listed}", err=True)
        return EXIT_REGRESSION
    gone = [row for row in rows if row.verdict == MISSING and row.theirs is not None]
    if gone and pinned:
        listed = "; ".join(f"{row.stage} {row.backbone} {row.method}" for row in gone[:5])
        text = f"{len(gone)} settings of {name} have no measured cell: {listed}"
        click.echo(f"bench: {text}", err=True)
        return EXIT_REGRESSION
    if not judgements(rows):
        click.echo(f"bench: nothing in {root} could be judged against {name}", err=True)
        return EXIT_NOTHING_MEASURED
    return EXIT_DONE


def best_of_each_stage(measured: list[Stored]) -> list[Stored]:
    """Return, for each data source and stage, all seeds of the setting that is best on validation."""
    from bench.report.settings import settings_of
    from bench.report.tables import best_setting

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
