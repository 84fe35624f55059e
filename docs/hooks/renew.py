"""Renewal of the outputs that pages show.

Usage: python docs/hooks/renew.py [PAGE...]

The blocks ```sh of a page are run in a new folder, and the block ```text after each gets its output.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from capture import environment, run
from doc_pages import BLOCK, ROOT, runnable


def renewed(text: str, folder: Path, cache: Path) -> str:
    """Return a page with new outputs of its commands, run in a folder. Raises SystemExit where one fails."""
    parts, end = [], 0
    for found in BLOCK.finditer(text):
        if found["why"]:
            continue
        done = run(found["code"], folder, environment(cache))
        if done.code:
            sys.exit(f"exit {done.code} from\n{found['code']}\n{done.errors}")
        if found["gap"]:
            most = int(found["lines"] or len(done.lines))
            shown = [*done.lines[:most], *(["..."] if len(done.lines) > most else [])]
            parts += [text[end : found.start("output")], "\n".join(shown), "\n```"]
            end = found.end()
    return "".join([*parts, text[end:]])


def main(names: list[str]) -> None:
    """Renew the pages named, or all."""
    for path in [ROOT / name for name in names] or runnable():
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "reader"
            folder.mkdir()
            text = path.read_text(encoding="utf-8")
            path.write_text(renewed(text, folder, Path(scratch) / "cache"), encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main(sys.argv[1:])
