"""`bench confusion CELL`: classification report and confusion matrix of a stored cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import format_option, results_option
from bench.commands.output import has_room, show_tables
from bench.core.errors import BenchError, StoreError
from bench.core.paths import user_path

if TYPE_CHECKING:
    import numpy as np

    from bench.core.shown_facets import Confusion
    from bench.store.write import Stored

PICTURES = (".png", ".svg")

WIDEST = 30
"""Most classes of a printed matrix; CSV, JSON and the picture take any number."""


@click.command()
@click.argument("cell")
@click.option("--out", metavar="FILE", help="Draw the matrix into this .png or .svg file.")
@click.option(
    "--digits", type=click.IntRange(1, 6), default=2, show_default=True, help="Decimals of the report."
)
@results_option
@format_option
def command(cell: str, out: str | None, digits: int, results: str | None, fmt: str) -> None:
    """Print precision, recall, F1 and support of each class, and the confusion matrix.

    CELL is the beginning of a stored cell's id, or its folder. The report is scikit-learn's, with intervals;
    CSV and JSON are not rounded.
    """
    from bench.commands.loading import report_problems, stored_cell
    from bench.store.settings import cell_title

    target = None if out is None else _target(out)
    stored = stored_cell(cell, results)
    tables_of, pred = confusion_of(stored), stored.predictions("test")
    if target is not None:
        _draw(tables_of.confusion_shares(pred), pred.classes, target)
    whole = fmt in ("csv", "json")
    matrix = tables_of.matrix_table(pred, numbered=not whole)
    wide = not whole and (len(pred.classes) > WIDEST or not has_room(matrix))
    tables = [
        tables_of.report_table(pred, cell_title(stored.record), None if whole else digits),
        tables_of.confusion_table(pred) if wide else matrix,
    ]
    show_tables(tables, fmt)
    if wide:
        report_problems(
            [f"a matrix of {len(pred.classes)} classes is too wide to print: --format csv or --out FILE.png"]
        )
    if target is not None:
        report_problems([f"drew the matrix into {target}"])


def confusion_of(stored: Stored) -> Confusion:
    """Return the confusion tables of a measured cell. Raises BenchError if it has none."""
    from bench.core.kind import get_kind

    cell, name = stored.record["cell"], stored.id[:8]
    if not stored.ok:
        raise BenchError(
            f"cell {name} was not measured ({stored.record['status']}); bench show {name} says why"
        )
    kind = get_kind(cell["kind"])
    if kind.confusion is None:
        where, instead = kind.nouns.no_confusion or ("classes are not exclusive", "shows more")
        raise BenchError(
            f"cell {name} is of task {cell['task']!r}, where {where}; bench show {name} {instead}"
        )
    return kind.confusion


def _target(out: str) -> Path:
    """Return the path of the picture. Raises BenchError for another file type or a missing folder."""
    path = user_path(out)
    if path.suffix.lower() not in PICTURES:
        raise BenchError(f"--out {out!r}: the name must end in {' or '.join(PICTURES)}")
    if not path.parent.is_dir():
        raise BenchError(f"--out {out!r}: there is no folder {str(path.parent)!r}")
    return path


def _draw(shares: np.ndarray, classes: Sequence[str], path: Path) -> None:
    from bench.core.atomic_files import replacing
    from bench.core.plotting import LIGHT, rendered
    from bench.report.plots import heat

    fmt = path.suffix[1:].lower()
    picture = rendered(heat(shares, classes), LIGHT, (fmt,))[fmt]
    try:
        with replacing(path) as fresh:
            fresh.write_bytes(picture)
    except OSError as error:
        raise StoreError(f"--out {str(path)!r}: cannot be written ({error.strerror or error})") from None
