"""Makes text from data safe to print: on a terminal, in Markdown, in a spreadsheet."""

from __future__ import annotations

import re
import unicodedata

UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that move the cursor, colour, reverse the line, or show nothing: control, format (the
bidirectional overrides among them), lone surrogates, private use, unassigned, line and paragraph marks."""

MARKDOWN = re.compile(r"[\\`*\[\]|$~]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown may read as markup inside a table cell. An underscore between letters is left alone."""

NARROW = re.compile(r"[\x20-\u02ff\u2010-\u2027]*")
"""Text of characters one column wide each, known without a table of widths."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str) -> str:
    r"""Show every character that a terminal would act on, or not show, as its escape.

    >>> print(visible("Tops\x1b[2J\nnew"))
    Tops\x1b[2J\nnew
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) if unicodedata.category(char) in UNPRINTABLE else char for char in text)


def markdown(text: str) -> str:
    r"""Return the text so that it stands in a Markdown table cell as it is, HTML and markup included.

    >>> print(markdown("a|b <img> class_weight *x*"))
    a\|b &lt;img&gt; class_weight \*x\*
    """
    shown = MARKDOWN.sub(r"\\\g<0>", visible(text.replace("\r\n", "\n").replace("\n", " ")))
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def spreadsheet(text: str) -> str:
    """Return the text so that no spreadsheet runs it as a formula: an apostrophe goes before one.

    >>> spreadsheet("=1+1"), spreadsheet("Tops")
    ("'=1+1", 'Tops')
    """
    # A lone surrogate cannot be written as UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


class Layout:
    """Lets a layout that counts characters line up text whose characters are none or two columns wide.

    `pack` replaces each character with its marks by as many private-use characters as it takes columns;
    `unpack` puts them back once the table is laid out. The result is the same whether or not tabulate
    finds a library of character widths.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._back: dict[int, str] = {}

    def pack(self, text: str) -> str:
        """Return text of one character per column. The text must be `visible`."""
        if NARROW.fullmatch(text):
            return text
        return "".join(self._stand_in(*cluster) for cluster in _clusters(text))

    def unpack(self, text: str) -> str:
        """Return the laid out text with everything packed put back."""
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
    """Split into characters, each with the marks that stand on it, and the columns they take."""
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
