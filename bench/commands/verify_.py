"""`bench verify [CELL...]`: check stored cells against their digests and their predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import format_option, results_option
from bench.commands.output import show_table
from bench.core.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED

if TYPE_CHECKING:
    from bench.store.verify import Finding


@click.command()
@click.argument("cells", nargs=-1, metavar="[CELL...]")
@click.option("--task", help="Only this task.")
@results_option
@format_option
def command(cells: tuple[str, ...], task: str | None, results: str | None, fmt: str) -> int:
    """Check stored cells: every file against its digest, every number against the predictions.

    CELL is the beginning of an id, or a cell's folder; default: all cells. The table lists each number that
    differs from the one recomputed from the predictions. Exit code 4: a number differs or a cell was changed.
    """
    from bench.commands.loading import find, in_one_thread, load_cells, report_problems
    from bench.core.processor import usable_cores
    from bench.core.table import Column, Table
    from bench.store.verify import verify_all
    from bench.store.write import Store

    in_one_thread()
    root, stored, problems = load_cells(results, task)
    further, unreadable = Store(root).further(task)
    stored, problems = stored + further, problems + unreadable
    if cells:
        problems = []
        stored = list({one.folder: one for one in (find(Store(root), text) for text in cells)}.values())
    if not stored and not problems:
        report_problems([f"nothing is stored in {root}; start with `bench run --task {task or 'fashion'}`"])
        return EXIT_NOTHING_MEASURED
    done = verify_all([one.folder for one in stored], usable_cores())
    problems += [one.problem for one in done if one.problem]
    findings = [finding for one in done for finding in one.findings]
    report_problems(problems)
    machines = fmt in ("csv", "json")
    if findings or machines:
        columns = [Column(key, key) for key in ("cell", "what", "stored", "computed")]
        rows = [_row(finding, machines) for finding in findings]
        show_table(Table("Numbers that differ from the predictions", columns, rows), fmt)
    wrong = len(problems) + sum(bool(one.findings) for one in done)
    right = sum(not one.problem and not one.findings for one in done)
    report_problems([f"{right} cells are unchanged, {wrong} are not"])
    return EXIT_SOME_FAILED if wrong else EXIT_DONE


def _row(finding: Finding, machines: bool) -> dict[str, Any]:
    """Return a row of the table; numbers keep all digits, as they may differ in the last ones."""
    row = dict(vars(finding))
    if not machines:
        row |= {key: str(row[key]) for key in ("stored", "computed") if row[key] is not None}
    return row
