"""`bench show CELL`: one stored cell whole."""

from __future__ import annotations

import click

from bench.commands.options import format_option, results_option
from bench.errors import BenchError
from bench.store import Store, Stored


@click.command()
@click.argument("cell")
@results_option
@format_option
def command(cell: str, results: str | None, fmt: str) -> None:
    """Print one stored cell whole. CELL is the beginning of its id, or its folder."""
    from bench.paths import results_dir
    from bench.report.cells import cell_tables
    from bench.report.render import render

    stored = find(Store(results_dir(results)), cell)
    click.echo(render_all([render(table, fmt) for table in cell_tables(stored.result, stored.history)], fmt))


def find(store: Store, text: str) -> Stored:
    """Return the one stored cell that the text names. Raises BenchError for none or several."""
    wanted = text.rstrip("/").rsplit("-", 1)[-1].lower()
    cells, _ = store.load()
    found = [stored for stored in cells if wanted and stored.id.startswith(wanted)]
    if not found:
        raise BenchError(f"no stored cell begins with {text!r} in {store.root} (bench results lists them)")
    if len(found) > 1:
        names = ", ".join(stored.id[: len(wanted) + 4] for stored in found[:5])
        raise BenchError(f"{text!r} begins {len(found)} cells ({names}, ...): give more of the id")
    return found[0]


def render_all(parts: list[str], fmt: str) -> str:
    """Join rendered tables: one JSON list of them, or the texts a blank line apart."""
    return "[" + ",\n".join(parts) + "]" if fmt == "json" else "\n\n".join(parts)
