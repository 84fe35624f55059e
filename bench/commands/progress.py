"""Progress on standard error: bars on a terminal, else plain lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from bench.commands.notices import notice, say


class Progress:
    """Display of a worker's events: bars on a terminal, else a line every few seconds."""

    EVERY = 10.0
    """Seconds between two lines about the same step without a terminal."""

    def __init__(self, cells: int, outcome: Callable[[str], str] | None = None) -> None:
        """Count finished cells up to `cells`. outcome: returns a line about a measured cell, by its id."""
        self.cells = cells
        self.outcome = outcome
        self.done = 0
        self.failed: set[str] = set()
        self.bars: Any = None
        self.tasks: dict[str, Any] = {}
        self.last = (0.0, "")
        self.begun: dict[str, tuple[float, int, int]] = {}
        """Start time, first count and last count of each step."""

    @staticmethod
    def say(text: str) -> None:
        """Write one notice line to standard error."""
        say(text)

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            self.bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(compact=True, elapsed_when_finished=True),
                console=Console(stderr=True),
                transient=True,
            )
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
        elif self.outcome is not None and (line := self.outcome(event["id"])):
            self._line(line)
        self.step(self.done, self.cells, "cells")

    def step(self, done: int, total: int, what: str) -> None:
        """Show the progress of a long step."""
        if self.bars is not None:
            if what not in self.tasks:
                self.tasks[what] = self.bars.add_task(what, total=total, rate="")
            rate, _ = self._pace(what, done, total)
            self.bars.update(self.tasks[what], completed=done, total=total, rate=rate)
            return
        rate, left = self._pace(what, done, total)
        now = time.monotonic()
        if done >= total or now - self.last[0] > self.EVERY:
            if self.last[1] != (line := f"{what}: {done} of {total}"):
                self.say(", ".join(part for part in (line, rate, left) if part))
            self.last = (now, line)

    def _pace(self, what: str, done: int, total: int) -> tuple[str, str]:
        """Return the rate of a step since it was first shown, and the time left; empty where unknown."""
        now = time.monotonic()
        since, at, before = self.begun.get(what, (now, done, done))
        if done < before:
            # Another step of the same name has begun.
            since, at = now, done
        self.begun[what] = since, at, done
        if done == at or now - since < 0.5:
            return "", ""
        rate = (done - at) / (now - since)
        left = f"{duration((total - done) / rate)} left" if done < total else ""
        return pace(rate), left

    def _line(self, text: str) -> None:
        if self.bars is not None:
            self.bars.console.print(notice(text), markup=False, highlight=False)
        else:
            self.say(text)


def pace(rate: float) -> str:
    """Return a rate in words.

    >>> pace(1234.5), pace(2.34), pace(0.05)
    ('1,234 a second', '2.3 a second', '3.0 a minute')
    """
    if rate >= 10:
        return f"{rate:,.0f} a second"
    return f"{rate:.1f} a second" if rate >= 1 else f"{60 * rate:.1f} a minute"


def duration(seconds: float) -> str:
    """Return a time in words.

    >>> duration(41.3), duration(75), duration(7300)
    ('41 s', '1 min', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
