"""What a run tells while it runs, on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import click


class Progress:
    """Turns a worker's events into bars (terminal) or a line every few seconds (elsewhere)."""

    EVERY = 10.0
    """Seconds between two lines about the same step where there is no terminal."""

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.done = 0
        self.failed: set[str] = set()
        self.bars: Any = None
        self.tasks: dict[str, Any] = {}
        self.last = (0.0, "")

    @staticmethod
    def say(text: str) -> None:
        """Write one notice line to standard error."""
        click.echo(f"bench: {text}", err=True)

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress as Bars

            self.bars = Bars(console=Console(stderr=True), transient=True)
            self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def on_event(self, event: dict[str, Any]) -> None:
        """Show one event of a worker."""
        if event["event"] == "notice":
            self._line(event["text"])
        elif event["event"] == "cell":
            self._cell(event)
        elif event["event"] == "progress":
            self.step(event["done"], event["total"], event["what"])

    def _cell(self, event: dict[str, Any]) -> None:
        self.done += 1
        if event["status"] != "ok":
            self.failed.add(event["id"])
            self._line(f"cell {event['id'][:8]} {event['status']}: {event['reason']}")
        self.step(self.done, self.cells, "cells")

    def step(self, done: int, total: int, what: str) -> None:
        """Show how far a long step has come."""
        if self.bars is not None:
            if what not in self.tasks:
                self.tasks[what] = self.bars.add_task(what, total=total)
            self.bars.update(self.tasks[what], completed=done, total=total)
            return
        now = time.monotonic()
        if done >= total or now - self.last[0] > self.EVERY:
            if self.last[1] != (line := f"{what}: {done} of {total}"):
                self.say(line)
            self.last = (now, line)

    def _line(self, text: str) -> None:
        if self.bars is not None:
            self.bars.console.print(f"bench: {text}", markup=False, highlight=False)
        else:
            self.say(text)
