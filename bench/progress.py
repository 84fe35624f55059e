"""How long steps say how far they have come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with how much is done, of how much, and what is being done."""


def in_silence(done: int, total: int, what: str) -> None:
    """Tell nobody."""
