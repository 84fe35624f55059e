"""Memory limits, which cost speed but do not change results."""

from __future__ import annotations

_halved = False


def halve() -> None:
    """Halve the limits of this process, after another one ran out of memory."""
    global _halved
    _halved = True


def used_up(error: BaseException) -> bool:
    """Whether an error of Python, NumPy or TensorFlow means that memory is used up."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def at_a_time(count: int) -> int:
    """Return the number of batches, heads or bytes to hold at a time: `count`, or half, at least 1."""
    return max(1, count // 2) if _halved else count
