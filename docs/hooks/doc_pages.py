"""Commands of the documentation: all that pages show, and the blocks that run from top to bottom.

A block ```sh is run in the page's own folder, after the blocks above it, unless `<!-- not run: REASON -->`
stands above it. A block ```text below it, with `<!-- output -->` above, holds its output; with
`<!-- output: 12 -->` the first 12 lines of it. `python docs/hooks/renew.py` renews these.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

BLOCK = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n+)?^```sh\n(?P<code>.*?)^```$"
    r"(?P<gap>\n+<!-- output(?:: (?P<lines>\d+))? -->\n+```text\n)?(?P<output>(?(gap).*?^```$))",
    re.MULTILINE | re.DOTALL,
)
"""A block of commands, with what it printed."""

COMMAND = re.compile(r"^(?:\$ |exec |-? ?run: )?(?P<line>(?:bench|messybench) .*)$")
SPAN = re.compile(r"(?<!`)`(?P<line>bench [^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A block of commands. why: why it is not run, or empty. output: its output on the page, or None."""

    number: int
    code: str
    why: str
    output: str | None


def runnable() -> list[Path]:
    """Return the pages with blocks that are run."""
    return [DOCS / "get-started.md", *sorted((DOCS / "tutorials").glob("*.md")), DOCS / "ci-gate.md"]


def blocks(text: str) -> list[Block]:
    """Return the blocks of commands of a page, in order."""
    return [
        Block(number, found["code"], found["why"] or "", found["output"][:-3] if found["gap"] else None)
        for number, found in enumerate(BLOCK.finditer(text))
    ]


def pages() -> list[Path]:
    """Return every page of documentation in the repository but the changelog."""
    places = ("*.md", "docs/**/*.md", "tasks/*/README.md", "baselines/README.md", "results/README.md")
    found = {path for place in places for path in ROOT.glob(place)}
    return sorted(found - {ROOT / "CHANGELOG.md"})


def shown(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and words of every command `bench ...` of a page, in code blocks or inline."""
    fenced, lines = False, text.splitlines()
    whole = "", 0
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if fenced or line.startswith("    "):
            start, at = whole
            joined = f"{start} {line.strip()}".strip()
            if joined.endswith("\\"):
                whole = joined[:-1].strip(), at or number
                continue
            whole = "", 0
            if match := COMMAND.match(joined):
                yield at or number, _words(match["line"])
        else:
            for span in SPAN.finditer(line):
                yield number, _words(span["line"])


def _words(line: str) -> list[str]:
    """Return the words of a command up to a comment, a pipe or the end of the command."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in (";", "&&", "&", ">", "<", "|"):
            break
        words.append(word)
    return words
