"""Escaping of text from data, for terminals, Markdown and spreadsheets."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that act on a terminal or are invisible: control, format (with bidirectional overrides),
lone surrogates, private use, unassigned, line and paragraph separators."""

MARKDOWN = re.compile(r"[\\`*\[\]|$~]|(?<![^\W_])_|_(?![^\W_])")
"""Markup inside a Markdown table cell; an underscore between letters is not."""

NARROW = re.compile(r"[\x20-\u02ff\u2010-\u2027]*")
"""Text of one-column characters, recognised without a table of widths."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Escape every character that a terminal would act on or not show.

    >>> print(visible("Tops\x1b[2J\nnew"))
    Tops\x1b[2J\nnew
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if unicodedata.category(char) in UNPRINTABLE else char for char in text)


def markdown(text: str) -> str:
    r"""Escape HTML and markup for a Markdown table cell.

    >>> print(markdown("a|b <img> class_weight *x*"))
    a\|b &lt;img&gt; class_weight \*x\*
    """
    shown = MARKDOWN.sub(r"\\\g<0>", visible(text.replace("\r\n", "\n").replace("\n", " ")))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def spreadsheet(text: str) -> str:
    """Put an apostrophe before a formula, so that no spreadsheet runs it.

    >>> spreadsheet("=1+1"), spreadsheet("Tops")
    ("'=1+1", 'Tops')
    """
    # A lone surrogate cannot be written as UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if _is_formula(text) else text


def csv_cell(value: Any) -> Any:
    """Return a value for a CSV cell: empty for None, numbers unchanged, text safe for spreadsheets."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int | float) else spreadsheet(str(value))


def from_spreadsheet(text: str) -> str:
    """Undo `spreadsheet`.

    >>> [from_spreadsheet(spreadsheet(text)) for text in ("=1+1", "'=1+1", "'s", "Tops")]
    ['=1+1', "'=1+1", "'s", 'Tops']
    """
    return text[1:] if text.startswith("'") and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    """Whether the text is a formula after leading apostrophes, which keeps `spreadsheet` reversible."""
    return text.lstrip("'").startswith(FORMULA_STARTS)


class PackedText:
    """Alignment of characters of zero or two columns in a layout that counts characters.

    `pack` replaces each character, with its combining marks, by one private-use character per column;
    `unpack` restores them in the finished layout. The result does not depend on the character-width library
    that tabulate may find.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._back: dict[int, str] = {}

    def pack(self, text: str) -> str:
        """Return text with one character per column. The text must be `visible`."""
        if NARROW.fullmatch(text):
            return text
        return "".join(self._stand_in(*cluster) for cluster in _clusters(text))

    def unpack(self, text: str) -> str:
        """Return the finished layout with all packed characters restored."""
        return text.translate(self._back)

    def _stand_in(self, cluster: str, width: int) -> str:
        if len(cluster) == width:
            return cluster
        if cluster not in self._known:
            first = 0xF0000 + len(self._back)
            self._known[cluster] = "".join(chr(first + i) for i in range(width))
            self._back |= {first + i: cluster if i == 0 else "" for i in range(width)}
        return self._known[cluster]


def _clusters(text: str) -> list[tuple[str, int]]:
    """Split into characters with their combining marks and their widths in columns."""
    from rich.cells import get_character_cell_size

    out: list[tuple[str, int]] = []
    for char in text:
        width = get_character_cell_size(char)
        if width:
            out.append((char, width))
        elif out:
            base, columns = out[-1]
            out[-1] = (base + char, columns)
        else:
            out += [(part, 1) for part in _escape(char)]
    return out


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
