"""HTML writer of pages: one self-contained file, and its plots as separate files.

Jinja2 escapes all text; the page's content security policy forbids requests and any script but its own.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2

from bench.core.atomic_files import replacing
from bench.core.errors import StoreError
from bench.core.plotting import DARK, LIGHT, recoloured, rendered
from bench.core.safe_text import visible
from bench.core.table import Column, Table
from bench.report.page import Figure, Gallery, Highlights, Page, Picture, Points, Section, Words
from bench.report.render import MISSING, NUMBERS, plain, shown

INDEX = "index.html"
PLOTS = "plots"

TEMPLATES = Path(__file__).resolve().parent / "templates"

_BLOCKS = {
    Words: "words",
    Points: "points",
    Highlights: "answer",
    Table: "table",
    Figure: "figure",
    Gallery: "gallery",
}


def write_page(page: Page, folder: Path) -> Path:
    """Write `index.html` and `plots/*.png, *.svg` into a folder, made if missing; return the page's path.

    The page is written last and whole, replacing an older one. Raises StoreError (one line) for a folder that
    cannot be written.
    """
    try:
        (folder / PLOTS).mkdir(parents=True, exist_ok=True)
        text = render_page(page, folder / PLOTS)
        with replacing(folder / INDEX) as work:
            work.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"report folder {str(folder)!r}: {why}; choose another with --out DIR") from None
    return folder / INDEX


def render_page(page: Page, plots: Path) -> str:
    """Return the page as HTML text and write its plots into the folder `plots`."""
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
        # The only text that is not escaped; the policy allows exactly these two by hash.
        style=style,
        script=script,
        policy=_policy(style, script),
        block_type=lambda block: _BLOCKS[type(block)],
        layout=_layout,
        ids=_ids(page.sections),
        figure=lambda figure: _figure(figure, plots),
        picture=_picture,
        number=_is_number,
    )


def _policy(style: str, script: str) -> str:
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    ours = f"style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'"
    return f"default-src 'none'; img-src data:; {ours}; base-uri 'none'; form-action 'none'"


def _is_number(column: Column) -> bool:
    return column.type in NUMBERS


def _ids(sections: Sequence[Section], before: str = "s") -> dict[str, str]:
    """Return the id of the first section of each title."""
    out: dict[str, str] = {}
    for index, section in enumerate(sections, 1):
        own = f"{before}{index}"
        for title, name in {section.title: own, **_ids(section.sections, f"{own}-")}.items():
            out.setdefault(title, name)
    return out


@dataclass(frozen=True)
class _Cell:
    """Text of a cell and, in a column with intervals, of its interval. sort: the unrounded number."""

    text: str
    spread: str | None
    sort: str | None
    empty: bool
    number: bool


@dataclass(frozen=True)
class _Row:
    cells: Sequence[_Cell]
    marked: bool


@dataclass(frozen=True)
class _Layout:
    """Layout of a table on a page. groups: headings of neighbouring columns, with their spans."""

    columns: Sequence[Column]
    groups: Sequence[tuple[str, int]]
    rows: Sequence[_Row]


def _layout(table: Table) -> _Layout:
    within = {key for column in table.columns for key in column.spread}
    columns = [column for column in table.columns if column.key not in within]
    groups = [(name, len(list(own))) for name, own in groupby(columns, lambda column: column.group)]
    spreads = [[_spread(column, row) for row in table.rows] for column in columns]
    # A column without any interval needs no room for one.
    spread_out = [any(own) for own in spreads]
    rows = [
        _Row(
            [
                _cell(column, row, own[index] if some else None)
                for column, own, some in zip(columns, spreads, spread_out, strict=True)
            ],
            bool(table.marked and row.get(table.marked)),
        )
        for index, row in enumerate(table.rows)
    ]
    return _Layout(columns, groups if any(name for name, _ in groups) else (), rows)


def _spread(column: Column, row: Mapping[str, Any]) -> str:
    """Return the interval or standard deviation beside a value, empty where it is undefined."""
    ends = [shown(column, plain(row.get(key))) for key in column.spread]
    if not ends or MISSING in ends:
        return ""
    # A difference's interval has signs, a standard deviation has none.
    return f"±{ends[0].lstrip('+')}" if len(ends) == 1 else f"[{', '.join(ends)}]"


def _cell(column: Column, row: Mapping[str, Any], spread: str | None) -> _Cell:
    value = plain(row.get(column.key))
    number = isinstance(value, int | float) and not isinstance(value, bool)
    text = f"{value:,.0f}" if number and column.type == "int" else shown(column, value)
    return _Cell(visible(text), spread, repr(value) if number else None, text == MISSING, _is_number(column))


def _figure(figure: Figure, plots: Path) -> dict[str, str]:
    """Draw a figure for screens light and dark, wide and narrow; write its files; return links and images."""
    files = rendered(figure.draw, LIGHT, ("svg", "png"))
    for fmt, data in files.items():
        with replacing(plots / f"{figure.name}.{fmt}") as fresh:
            fresh.write_bytes(data)
    images = {"light": files["svg"]}
    if figure.vector:
        images["small"] = rendered(figure.draw, LIGHT.narrow, ("svg",))["svg"]
        images |= {
            dark: recoloured(images[light], LIGHT, DARK)
            for light, dark in (("light", "dark"), ("small", "small_dark"))
        }
    else:
        images["dark"] = rendered(figure.draw, DARK, ("svg",))["svg"]
    links = {fmt: f"{PLOTS}/{figure.name}.{fmt}" for fmt in files}
    return {**{key: _data_uri("svg+xml", data) for key, data in images.items()}, **links}


def _picture(picture: Picture) -> str:
    return "" if picture.image is None else _data_uri("jpeg", picture.image)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
