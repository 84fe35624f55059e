"""`bench show CELL`: everything stored of one cell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import by_options, format_option, results_option
from bench.commands.output import show_tables
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError, StoreError
from bench.store.write import Store, Stored

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
    data: str | None,
    follow_links: bool,
    tasks: str | None,
    cache: str | None,
    results: str | None,
    fmt: str,
) -> int:
    """Print everything stored about one cell. CELL is the beginning of its id, or its folder.

    With --by, print its metrics on subgroups of the test items instead, and the gap between the worst and the
    best one. Exit code 4: its classes or epochs could not be read; the rest is shown.
    """
    from bench.commands.loading import place_of, report_problems, results_root, values_by
    from bench.core.kind import get_kind
    from bench.report.cell_tables import cell_tables
    from bench.store.origin import origin_of

    stored = find(Store(results_root(results)), cell)
    if by is not None or data is not None:
        place = place_of(data, follow_links, results, tasks, cache)
        show_tables(_by_subgroup(stored, values_by(by, place), fmt in ("csv", "json")), fmt)
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


def find(store: Store, text: str) -> Stored:
    """Return the stored cell of this name. Raises BenchError if none, an unreadable one or several match.

    A number after the id, "3fa9c1d2.2", names a further answer of the cell.
    """
    wanted, _, number = text.rstrip("/").rsplit("-", 1)[-1].lower().partition(".")
    cells, problems = store.further() if number else store.load()
    named = [stored for stored in cells if str(stored.answer) == (number or "1")]
    found = [stored for stored in named if wanted and stored.id.startswith(wanted)]
    if not found:
        folder = re.compile(rf"/s[^/]*-{re.escape(wanted[:8])}[^/]*/[^/]*: ")
        for problem in problems:
            if wanted and folder.search(problem):
                raise StoreError(problem)
        if "/" in text:
            raise BenchError(f"no cell of {str(store.root)!r} is in {text!r}: name its --results folder")
        raise BenchError(f"no stored cell begins with {text!r} in {store.root} (bench results lists them)")
    if len(found) > 1:
        names = ", ".join(stored.id[: len(wanted) + 4] for stored in found[:5])
        raise BenchError(f"{text!r} matches {len(found)} cells ({names}, ...): give more of the id")
    return found[0]
