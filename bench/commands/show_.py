"""`bench show CELL`: everything stored of one cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import by_options, format_option, results_option
from bench.commands.output import show_tables
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError, StoreError
from bench.store.write import Stored

if TYPE_CHECKING:
    from bench.core.table import Table
    from bench.runs.cell_data import ColumnValues


@click.command()
@click.argument("cell")
@by_options
@results_option
@format_option
def command(
    cell: str,
    by: str | None,
    results: str | None,
    fmt: str,
    **where: Any,
) -> int:
    """Print everything stored about one cell. CELL is the beginning of its id, or its folder.

    With --by, print its metrics on subgroups of the test items instead, and the gap between the worst and the
    best one. Exit code 4: its classes or epochs could not be read; the rest is shown.
    """
    from bench.commands.loading import report_problems, stored_cell, values_by
    from bench.core.kind import get_kind
    from bench.report.cell_tables import cell_tables
    from bench.store.origin import origin_of

    stored = stored_cell(cell, results)
    if (values := values_by(by, results, **where)) is not None:
        show_tables(_by_subgroup(stored, values, fmt in ("csv", "json")), fmt)
        return EXIT_DONE
    problems: list[str] = []
    rows: dict[str, list[dict[str, Any]]] = {}
    for name in ("per_class", "history", "trials"):
        try:
            rows[name] = getattr(stored, name)
        except StoreError as error:
            rows[name] = []
            problems.append(str(error))
    report_problems(problems)
    whole = fmt in ("csv", "json")
    known = {"answer": stored.answer, "origin": origin_of(stored.folder), "per_class": rows["per_class"]}
    tables = [*cell_tables({**stored.record, **known}, rows["history"], whole, rows["trials"])]
    if stored.record["metrics"]:
        tables += get_kind(stored.record["cell"]["kind"]).tables.extra_tables_of(stored)
    show_tables(tables, fmt)
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def _by_subgroup(stored: Stored, values: ColumnValues, full: bool) -> list[Table]:
    from bench.commands.loading import in_one_thread
    from bench.report.subgroup_tables import gap_table, shown_metrics, subgroup_table
    from bench.store.settings import cell_title

    if not stored.ok:
        raise BenchError(f"cell {stored.name} was not measured: {stored.record['reason']}")
    in_one_thread()
    from bench.compare.subgroups import Subgroups

    kind = stored.record["cell"]["kind"]
    of_example, answers = values.of(stored.record["cell"]), {stored.id: stored.predictions("test")}
    found = Subgroups.of(values.column, kind, answers, of_example, shown_metrics(kind, full))
    title = cell_title({**stored.record, "answer": stored.answer})
    return [subgroup_table(found, [stored.id], title, full), gap_table(found, [stored.id])]
