"""Progress of a run in a notebook: one output with bars and messages, redrawn in place."""

from __future__ import annotations

import sys
import time
from html import escape
from importlib import import_module
from typing import Any

from bench.commands.notices import notice
from bench.commands.progress import Progress


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    # Nothing is imported: a kernel has IPython already.
    ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return ipython is not None and hasattr(ipython, "kernel")


class Notebook:
    """Output of one run in a notebook."""

    EVERY = 0.2
    """Minimum seconds between two updates of a bar."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.bars: dict[str, tuple[int, int]] = {}
        self.handle: Any = None
        self.drawn = 0.0

    def say(self, text: str) -> None:
        """Add a line."""
        self.lines.append(notice(text))
        self.draw()

    def step(self, done: int, total: int, what: str) -> None:
        """Move a bar."""
        self.bars[what] = done, total
        if done >= total or time.monotonic() - self.drawn > self.EVERY:
            self.draw()

    def end(self) -> None:
        """Remove the bars; the lines stay."""
        self.bars.clear()
        self.draw()

    def draw(self) -> None:
        """Redraw lines and bars in place."""
        # Not a requirement of messybench: only a notebook's kernel gets here, and it has IPython.
        shown = import_module("IPython.display")
        self.drawn = time.monotonic()
        output = shown.HTML(self.html())
        if self.handle is None:
            self.handle = shown.display(output, display_id=True)
        else:
            self.handle.update(output)

    def html(self) -> str:
        """Return lines and bars as HTML; every text in it is escaped."""
        bars = [
            f'<div><progress value="{done}" max="{total}"></progress> {escape(what)}: {done} of {total}</div>'
            for what, (done, total) in self.bars.items()
        ]
        return f"<pre>{escape(chr(10).join(self.lines))}</pre>{''.join(bars)}"


class NotebookProgress(Progress):
    """Display of a worker's events in a notebook."""

    def __init__(self, cells: int, notebook: Notebook) -> None:
        super().__init__(cells)
        self.notebook = notebook

    def __enter__(self) -> NotebookProgress:
        return self

    def __exit__(self, *error: object) -> None:
        self.notebook.end()

    def step(self, done: int, total: int, what: str) -> None:
        """Show the progress of a long step."""
        self.notebook.step(done, total, what)

    def _line(self, text: str) -> None:
        self.notebook.say(text)
