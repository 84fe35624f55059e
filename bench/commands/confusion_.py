"""`bench confusion CELL`: the classification report of a stored cell, and its confusion matrix."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import format_option, results_option
from bench.errors import BenchError, StoreError

if TYPE_CHECKING:
    from bench.spec import Predictions
    from bench.store import Stored

PICTURES = (".png", ".svg")


@click.command()
@click.argument("cell")
@click.option("--out", metavar="FILE", help="Draw the matrix into this .png or .svg file.")
@click.option(
    "--digits", type=click.IntRange(1, 6), default=2, show_default=True, help="Decimals of the report."
)
@results_option
@format_option
def command(cell: str, out: str | None, digits: int, results: str | None, fmt: str) -> None:
    """Print precision, recall, F1 and support of each class, and which classes are taken for which.

    CELL is the beginning of a stored cell's id, or its folder. The report is scikit-learn's, with intervals;
    CSV and JSON have every number unrounded.
    """
    from bench.commands.loading import results_root, tell
    from bench.commands.show_ import find, render_all
    from bench.confusion_tables import WIDEST, matrix_table, report_table
    from bench.report.findings import confusion_table
    from bench.report.render import render
    from bench.report.settings import cell_title
    from bench.store import Store

    target = None if out is None else _target(out)
    stored = find(Store(results_root(results)), cell)
    pred = answers_of(stored)
    if target is not None:
        _draw(pred, target)
    whole = fmt in ("csv", "json")
    wide = not whole and len(pred.classes) > WIDEST
    tables = [
        report_table(pred, cell_title(stored.record), None if whole else digits),
        confusion_table(pred) if wide else matrix_table(pred, numbered=not whole),
    ]
    click.echo(render_all([render(table, fmt) for table in tables], fmt))
    if wide:
        tell(
            [f"a matrix of {len(pred.classes)} classes is too wide to print: --format csv or --out FILE.png"]
        )
    if target is not None:
        tell([f"drew the matrix into {target}"])


def answers_of(stored: Stored) -> Predictions:
    """Return the test predictions of a measured cell with one class per item. Raises BenchError else."""
    cell, name = stored.record["cell"], stored.id[:8]
    if not stored.ok:
        raise BenchError(
            f"cell {name} was not measured ({stored.record['status']}); bench show {name} says why"
        )
    if cell["kind"] == "verification":
        raise BenchError(
            f"cell {name} is of task {cell['task']!r}, where pairs of photos are judged, not classes; "
            f"bench show {name} lists who is taken for whom"
        )
    if cell["kind"] != "multiclass":
        raise BenchError(
            f"cell {name} is of task {cell['task']!r}, where an item has many labels and none is taken for "
            f"another; bench show {name} lists its attributes"
        )
    return stored.predictions("test")


def _target(out: str) -> Path:
    """Return the path of the picture. Raises BenchError for another kind of file or a folder not there."""
    path = Path(out).expanduser()
    if path.suffix.lower() not in PICTURES:
        raise BenchError(f"--out {out!r}: the name must end in {' or '.join(PICTURES)}")
    if not path.parent.is_dir():
        raise BenchError(f"--out {out!r}: there is no folder {str(path.parent)!r}")
    return path


def _draw(pred: Predictions, path: Path) -> None:
    from bench.report.findings import confusion_shares
    from bench.report.plots import heat
    from bench.report.theme import LIGHT, drawn

    fmt = path.suffix[1:].lower()
    picture = drawn(heat(confusion_shares(pred), pred.classes), LIGHT, (fmt,))[fmt]
    try:
        path.write_bytes(picture)
    except OSError as error:
        raise StoreError(f"--out {str(path)!r}: cannot be written ({error.strerror or error})") from None
