"""`bench show CELL`: one stored cell whole."""

from __future__ import annotations

import re
from typing import Any

import click

from bench.commands.options import format_option, results_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError, StoreError
from bench.store import RESULT, Store, Stored


@click.command()
@click.argument("cell")
@results_option
@format_option
def command(cell: str, results: str | None, fmt: str) -> int:
    """Print one stored cell whole. CELL is the beginning of its id, or its folder.

    Exit code 4 says that its classes or epochs are missing or cannot be read; the rest is shown.
    """
    from bench.commands.loading import results_root, tell
    from bench.kinds.base import get_kind
    from bench.report.cells import cell_tables
    from bench.report.imputation import PART, hidden_table
    from bench.report.render import render

    stored = find(Store(results_root(results)), cell)
    problems = [stored.missing_rows] if stored.missing_rows else []
    rows: dict[str, list[dict[str, Any]]] = {}
    for part in ("per_class", "history"):
        try:
            rows[part] = getattr(stored, part)
        except StoreError as error:
            rows[part] = []
            problems.append(str(error))
    tell(problems)
    whole = fmt in ("csv", "json")
    tables = [*cell_tables({**stored.record, "per_class": rows["per_class"]}, rows["history"], whole)]
    if PART in stored.record["metrics"]:
        kind = get_kind(stored.record["cell"]["kind"])
        tables.append(hidden_table(kind.per_class(stored.predictions(PART))))
    click.echo(render_all([render(table, fmt) for table in tables], fmt))
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def find(store: Store, text: str) -> Stored:
    """Return the one stored cell that the text names. Raises BenchError for none, unreadable, or several."""
    wanted = text.rstrip("/").rsplit("-", 1)[-1].lower()
    cells, problems = store.load()
    found = [stored for stored in cells if wanted and stored.id.startswith(wanted)]
    if not found:
        folder = re.compile(rf"/s[^/]*-{re.escape(wanted[:8])}[^/]*/{re.escape(RESULT)}: ")
        for problem in problems:
            if wanted and folder.search(problem):
                raise StoreError(problem)
        if "/" in text:
            raise BenchError(
                f"no cell of {str(store.root)!r} is stored in {text!r}: name its --results folder"
            )
        raise BenchError(f"no stored cell begins with {text!r} in {store.root} (bench results lists them)")
    if len(found) > 1:
        names = ", ".join(stored.id[: len(wanted) + 4] for stored in found[:5])
        raise BenchError(f"{text!r} begins {len(found)} cells ({names}, ...): give more of the id")
    return found[0]


def render_all(parts: list[str], fmt: str) -> str:
    """Join rendered tables: one JSON list of them, or the texts a blank line apart."""
    return "[" + ",\n".join(parts) + "]" if fmt == "json" else "\n\n".join(parts)
