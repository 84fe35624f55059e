"""`bench compare`: differences to a baseline, or between any two runs, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from bench.commands.comparing import baseline_of, compared, compared_by, comparison_of, metrics_of
from bench.commands.notices import say
from bench.commands.options import baselines_option, by_options, format_option, results_option
from bench.commands.output import show_table, show_tables
from bench.commands.words import Word
from bench.core.errors import (
    EXIT_DONE,
    EXIT_NOTHING_MEASURED,
    EXIT_REGRESSION,
    EXIT_SOME_FAILED,
    BenchError,
    unknown,
)
from bench.store.write import Store, Stored

if TYPE_CHECKING:
    from bench.compare.baselines.types import Baseline
    from bench.compare.verdict import Comparison


@click.command()
@click.argument("sides", nargs=-1, metavar="[A [B]]")
@click.option("--task", required=True, help="The task whose stored cells are compared.")
@click.option("--baseline", help="Baseline to compare with [the task's published one].")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Compare every setting, not just each stage's best on validation.",
)
@click.option("--no-classes", is_flag=True, help="Leave out the rows for single classes.")
@click.option("--class", "classes", multiple=True, help="Only rows of this class; may be repeated.")
@click.option(
    "--metric", multiple=True, help="Only these metrics, for rows and regressions, e.g. top1_macro,top1."
)
@click.option("--verdict", multiple=True, help="Only rows with these verdicts, e.g. worse,better.")
@click.option(
    "--min-support",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Only classes with at least N test items.",
)
@click.option(
    "--sort",
    type=Word("order", ("size", "difference", "p", "name")),
    default="size",
    show_default=True,
    help="Order of the rows of a setting.",
)
@click.option(
    "--condition",
    multiple=True,
    metavar="NAME=VALUE",
    help="Condition of your runs that is not recorded: alignment=none|funneled|deep-funneled|landmarks.",
)
@click.option(
    "--fail-on-regression",
    is_flag=False,
    flag_value="",
    metavar="[METRIC,...]",
    help="Exit with 3 if a metric (or one of these) is significantly worse. Place it after A and B.",
)
@by_options
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
    condition: tuple[str, ...],
    fail_on_regression: str | None,
    by: str | None,
    results: str | None,
    baselines: str | None,
    fmt: str,
    **where: Any,
) -> int:
    """Compare stored results with a published or a pinned baseline, or A with B.

    A and B: the beginning of a cell's id (3fa9c1d2.2: its second answer; see `bench merge`), BACKBONE/METHOD,
    a baseline's name (for a pinned one also NAME:BACKBONE/METHOD), or a trivial answer. A alone is compared
    with the baseline. With --by, A and B are compared on subgroups of the test items, and the gaps of both
    are shown.

    If data, protocol or a baseline's conditions (supervision, outside data, alignment) differ, the verdict is
    `not comparable`, and the column `why` names the difference. Exit code 4: a file could not be read; the
    others are compared.
    """
    from bench.commands.loading import (
        check_task,
        in_one_thread,
        load_cells,
        report_problems,
        results_root,
        values_by,
    )
    from bench.compare.against_baseline import regressions
    from bench.compare.conditions import declared
    from bench.compare.resolve import Stock
    from bench.core.paths import search_path
    from bench.report.comparison_tables import narrowed
    from bench.store.read import readable_cells

    in_one_thread()
    only = metrics_of(metric)
    judged_by = metrics_of((fail_on_regression or "",)) or only
    asked = only | judged_by
    verdicts, conditions = _verdicts(verdict), declared(condition)
    if len(sides) > 2:
        raise BenchError(f"{len(sides)} runs to compare: give two, or one and a baseline")
    values = values_by(by, results, **where)
    if values is not None:
        if len(sides) < 2:
            raise BenchError("--by compares two runs on their test items: name both, A and B")
        if everything or classes or fail_on_regression is not None:
            raise BenchError("--by goes with neither --all, --class nor --fail-on-regression: leave them out")
    check_task(results_root(results), task)
    folders, faulty = search_path("baselines", baselines), list[str]()
    against = None
    if len(sides) < 2:
        against = baseline_of(task, baseline, folders, faulty)
    root, cells, problems = load_cells(results, task)
    by_item = values is not None
    measured, damaged = readable_cells((stored for stored in cells if stored.ok), answers=by_item)
    report_problems([*faulty, *problems, *damaged])
    problems += [*faulty, *damaged]
    if not measured and not sides:
        say(f"no measured cell of {task} in {root}; start with `bench run --task {task}`")
        return EXIT_NOTHING_MEASURED
    others: list[Stored] = []
    if sides:
        others, faults = Store(root).further(task)
        others, wrong = readable_cells((stored for stored in others if stored.ok), answers=by_item)
        report_problems([*faults, *wrong])
        problems += [*faults, *wrong]
    stock = Stock(task, root, measured, folders, conditions, others)
    if values is not None:
        full = fmt in ("csv", "json")
        tables = compared_by(stock, sides, values, only, full, verdicts, min_support)
        show_table(tables[0], fmt) if full else show_tables(tables, fmt)
        return EXIT_SOME_FAILED if problems else EXIT_DONE
    found = compared(stock, sides, against, everything, asked)
    rows, used = found.rows, found.baselines
    report_problems(found.problems)
    problems += found.problems
    shown = narrowed(rows, classes, only, verdicts, min_support)
    _check_classes(classes, rows)
    if no_classes:
        shown = [row for row in shown if row.class_name is None]
    show_table(comparison_of(replace(found, rows=shown), fmt in ("csv", "json"), sort), fmt)
    _name_processors(measured, rows, used)
    if fail_on_regression is not None:
        pinned = not sides and used[0].pinned is not None
        code = _regression(regressions(rows, judged_by or None), rows, found.name, str(root), pinned)
        if code != EXIT_DONE:
            return code
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def _name_processors(
    measured: Sequence[Stored], rows: Sequence[Comparison], baselines: Sequence[Baseline]
) -> None:
    """Warn on standard error if nets are compared with pinned ones from another processor."""
    from bench.core.processor import other_processors

    sides = [row.sides for row in rows]
    compared = {(own.regime, own.backbone, own.method) for own in sides if own.regime != "frozen"}
    cells = [stored.record for stored in measured]
    ours = [
        record.get("environment") or {}
        for record in cells
        if tuple(record["cell"][key] for key in ("regime", "backbone", "method_text")) in compared
    ]
    for baseline in baselines:
        theirs = baseline.provenance.get("environments", []) if baseline.pinned is not None else []
        records = [one for one in theirs if isinstance(one, dict)]
        if ours and records and (text := other_processors(ours, records, baseline.name)):
            say(text)


def _verdicts(texts: Sequence[str]) -> set[str]:
    from bench.compare.verdict import VERDICTS
    from bench.report.comparison_tables import NO_VERDICT

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


def _regression(
    worse: Sequence[Comparison], rows: Sequence[Comparison], name: str, root: str, pinned: bool
) -> int:
    """Report regressions and missing settings on standard error; return the exit code."""
    from bench.compare.against_baseline import judgements
    from bench.compare.verdict import MISSING

    if worse:
        listed = "; ".join(f"{_side(row)}: {row.what}" for row in worse[:5])
        say(f"{len(worse)} regressions against {name}: {listed}")
        return EXIT_REGRESSION
    gone = [row for row in rows if row.verdict.name == MISSING and row.difference.theirs is not None]
    if gone and pinned:
        listed = "; ".join(map(_side, gone[:5]))
        say(f"{len(gone)} settings of {name} have no measured cell: {listed}")
        return EXIT_REGRESSION
    if not judgements(rows):
        say(f"nothing in {root} can be compared with {name}")
        return EXIT_NOTHING_MEASURED
    return EXIT_DONE


def _side(row: Comparison) -> str:
    return f"{row.sides.stage} {row.sides.backbone} {row.sides.method}"
