"""Writes a page: one HTML file that needs nothing beside it, and its plots as files of their own.

Everything that is text goes through jinja2's escaping; the page's own policy forbids it any request and any
script but the one it was written with.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from bench.errors import StoreError
from bench.report.page import Figure, Gallery, Page, Picture, Points, Words
from bench.report.render import MISSING, shown
from bench.report.table import Column, Table
from bench.report.text import visible
from bench.report.theme import DARK, LIGHT, drawn
from bench.spec import finite

INDEX = "index.html"
PLOTS = "plots"

TEMPLATES = Path(__file__).resolve().parent / "templates"

_KINDS = {Words: "words", Points: "points", Table: "table", Figure: "figure", Gallery: "gallery"}


def write_page(page: Page, folder: Path) -> Path:
    """Write `index.html` and `plots/*.png, *.svg` into a folder, made if need be; return the page's path.

    The page itself is written last and whole, over an older one. Raises StoreError (one line) for a folder
    that cannot be written.
    """
    try:
        (folder / PLOTS).mkdir(parents=True, exist_ok=True)
        work = folder / f".{INDEX}.tmp"
        work.write_text(render_page(page, folder / PLOTS), encoding="utf-8", newline="")
        os.replace(work, folder / INDEX)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"report folder {str(folder)!r}: {why}; choose another with --out DIR") from None
    return folder / INDEX


def render_page(page: Page, plots: Path) -> str:
    """Return the page as HTML text; its plots are drawn, and written into the folder `plots`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["visible"] = lambda text: visible(str(text))
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return environment.get_template("report.html.jinja").render(
        page=page,
        # Ours, and the only text that is not escaped; the policy names the hash of just these two.
        style=style,
        script=script,
        policy=_policy(style, script),
        kind=lambda block: _KINDS[type(block)],
        cells=_cells,
        figure=lambda figure: _figure(figure, plots),
        picture=_picture,
        number=_is_number,
    )


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    ours = f"style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'"
    return f"default-src 'none'; img-src data:; {ours}; base-uri 'none'; form-action 'none'"


def _is_number(column: Column) -> bool:
    return column.kind not in ("text", "bool")


def _cells(table: Table) -> list[list[dict[str, Any]]]:
    """Return what each cell shows and, for a number, the unrounded value that rows are sorted by."""
    return [[_cell(column, row) for column in table.columns] for row in table.rows]


def _cell(column: Column, row: Mapping[str, Any]) -> dict[str, Any]:
    value: Any = row.get(column.key)
    value = finite(value.item() if hasattr(value, "item") else value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"{value:,.0f}" if number and column.kind == "int" else shown(column, value)
    return {"text": visible(text), "sort": repr(value) if number else None, "empty": text == MISSING}


def _figure(figure: Figure, plots: Path) -> dict[str, str]:
    """Draw a figure for both kinds of screen, write its files, and return what the page needs of it."""
    files = drawn(figure.draw, LIGHT, ("svg", "png"))
    for fmt, data in files.items():
        (plots / f"{figure.name}.{fmt}").write_bytes(data)
    dark = drawn(figure.draw, DARK, ("svg",))["svg"]
    links = {fmt: f"{PLOTS}/{figure.name}.{fmt}" for fmt in files}
    return {"light": _data_uri("svg+xml", files["svg"]), "dark": _data_uri("svg+xml", dark), **links}


def _picture(picture: Picture) -> str:
    return "" if picture.image is None else _data_uri("jpeg", picture.image)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
