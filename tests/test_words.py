"""English of package and documentation: no phrase of the list, and headers that name what modules hold."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from doc_pages import pages

BENCH = Path(__file__).resolve().parents[1] / "bench"
GLOSSARY = BENCH.parent / "docs" / "glossary.md"

DONE = (
    "backbones",
    "commands",
    "compare",
    "core",
    "data",
    "inference",
    "kinds",
    "methods",
    "metrics",
    "report",
    "runs",
    "store",
    "training",
)
"""Packages to check; add one when its words are done."""

PHRASES = (
    r"\b(is|are|was|were) told\b",
    r"\btold (apart|from|by|what|of)\b",
    r"\bof (which|whom)\b",
    r"\bbesides\b",
    r"\bbefalls?\b",
    r"\bby and by\b",
    r"\bgo(es|ne)? on (with|from|where)\b",
    r"\btaken for\b",
    r"\btells? (of|what|which|whether|how|apart)\b",
    r"\bsaid\b",
    r"\bwhat .{1,40} (is|are) (for|called|made of)\b",
    r"\bthere (whole )?or not\b",
    r"\b(is|are|was|were) had\b",
    r"\bcan(not)? be had\b",
    r"(?<!\")\b(torn|told|(?-i:lanes?)|duels?|contests?|entrants?|versus|leans?|honest\w*)\b",
    r"\bdrawn samples?\b",
    r"\bkept (models?|heads?|nets?)\b",
    r"\b(training|test) parts?\b",
    r"\blooks? at no image\b",
    r"\bis no (number|count|file|gap|baseline)\b",
    r"\bsays? against\b",
    r"\bis there twice\b",
    r"\bso many (changed|views)\b",
    r"\bas ever\b",
    r"\bstands? on\b",
    r"\bdoes not look\b",
    r"\bmeans nothing\b",
    r"\bwithout (a )?meaning where\b",
    r"\bwhy (there is|it has) none\b",
    r"\bof its own in any case\b",
    r"\b(models?|nets?|backbones?) from outside\b",
    r"\blooking for images that look\b",
    r"\bwould no longer\b",
    r"\bwith the face of\b",
    r"\banew\b",
    r"\bhand-?made\b",
    r"\btwins?\b",
    r"\b(wins?|won) back\b",
    r"\bby the clock\b",
    r"\bseconds of the processor\b",
    r"\btells? the story\b",
    r"\btell .{1,30} apart\b",
    r"\bwhat becomes of\b",
    r"\bis there already\b",
)
"""Phrases that no engineer would say to a colleague, and private words for which the field has its own."""

HEADER = re.compile(
    r"(What|Which|Whether|Who|How|Where|When|Why|Tells?|Says?|Finds?|Makes?|Turns?|Reads?|Writes?|Draws?"
    r"|Checks?(?! of)|Computes?|Decodes?)\b"
)
"""First words of a header that does not name its contents."""


def modules() -> list[Path]:
    """Return the modules to check."""
    return [path for name in DONE for path in sorted((BENCH / name).rglob("*.py"))]


def faults(text: str) -> list[str]:
    """Return the lines with a phrase of the list."""
    pattern = re.compile("|".join(PHRASES), re.IGNORECASE)
    lines = enumerate(text.splitlines(), 1)
    return [f"{number}: {line.strip()}" for number, line in lines if pattern.search(line)]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(BENCH)))
def test_no_phrase_of_the_list_and_a_header_that_is_a_noun(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert faults(text) == []
    header = ast.get_docstring(ast.parse(text)) or ""
    assert header and not HEADER.match(header), header


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(BENCH.parent)))
def test_no_phrase_of_the_list_in_the_documentation(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


def test_the_list_finds_what_it_is_for() -> None:
    text = '"""What a fit is told."""\nsaid = 1\n# None was drawn; the drawn sample.\nplain = 2\n'
    assert [line.partition(":")[0] for line in faults(text)] == ["1", "2", "3"]
    assert HEADER.match("Reads a file.") and not HEADER.match("Reader of files.")


def test_the_glossary_has_at_most_twelve_words_each_once() -> None:
    rows = re.findall(r"^\| (?!word|---)([^|]+) \|", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    assert 0 < len(rows) <= 12 and len(set(rows)) == len(rows)
