"""Recording of the demo: docs/terminal.svg, the picture in README.md.

Usage: python docs/hooks/terminal.py
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from capture import COLUMNS, Printed, environment, run
from doc_pages import ROOT
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

COMMAND = "bench run --task fashion"

# The fonts of rich's template are fetched from elsewhere.
TEMPLATE = re.sub(r"@font-face \{\{.*?\n    \}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def picture(done: Printed) -> str:
    """Return command and output as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble(("$ ", "bold green"), (COMMAND, "bold")))
    console.print(Text.from_ansi(done.ansi.strip("\n")))
    return console.export_svg(title="messybench", code_format=TEMPLATE, unique_id="messybench")


def main() -> None:
    """Run the demo in a new folder and write the picture."""
    with tempfile.TemporaryDirectory() as scratch:
        done = run(COMMAND, Path(scratch), environment(Path(scratch) / "cache"))
    if done.code:
        sys.exit(done.errors)
    (ROOT / "docs" / "terminal.svg").write_text(picture(done), encoding="utf-8")


if __name__ == "__main__":
    main()
