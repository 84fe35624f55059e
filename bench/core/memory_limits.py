"""Memory limits, which cost speed but do not change results."""

from __future__ import annotations

_halved = False


def halve() -> None:
    """Halve the limits of this process, after another one ran out of memory."""
    global _halved
    _halved = True


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, NumPy or TensorFlow means that it ran out of memory."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def capped(count: int) -> int:
    """Return a limit on batches, heads or bytes in memory: `count`, or half of it, at least 1."""
    return max(1, count // 2) if _halved else count
