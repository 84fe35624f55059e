"""Progress callbacks of long steps."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the number done, the total, and a description of the step."""


def no_progress(done: int, total: int, what: str) -> None:
    """Ignore progress."""
