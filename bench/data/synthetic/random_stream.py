"""Random numbers that are the same on every machine and under every version of every library."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

_BLOCK = 34  # 32-bit words per refill: one block of SHAKE-256


class RandomStream:
    """A stream of random integers that depends on its key alone.

    The stream is SHAKE-256 in counter mode. NumPy guarantees its bit streams but not the methods of its
    generators, and importing it takes longer than making all rows of a sample.
    """

    def __init__(self, *key: str | int) -> None:
        self._key = repr(key).encode("utf-8")
        self._blocks = 0
        self._words: list[int] = []

    def _next(self) -> int:
        if not self._words:
            block = self._blocks.to_bytes(8, "little") + self._key
            self._words = list(struct.unpack(f"<{_BLOCK}I", hashlib.shake_256(block).digest(4 * _BLOCK)))
            self._blocks += 1
        return self._words.pop()

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return low + self._next() % (high - low + 1)

    def chance(self, percent: int) -> bool:
        """Return True with a probability of `percent` / 100."""
        return self._next() % 100 < percent

    def choice(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[self._next() % len(options)]

    def weighted(self, weights: Mapping[T, int]) -> T:
        """Return a key with a probability proportional to its integer weight."""
        left = self._next() % sum(weights.values())
        for option, weight in weights.items():
            left -= weight
            if left < 0:
                return option
        raise AssertionError("weights are not negative")

    def shuffle(self, items: list[T]) -> None:
        """Shuffle the list in place (Fisher and Yates)."""
        for last in range(len(items) - 1, 0, -1):
            other = self._next() % (last + 1)
            items[last], items[other] = items[other], items[last]

    def noise(self, count: int) -> bytes:
        """Return `count` random bytes; the other numbers do not depend on it."""
        return hashlib.shake_256(b"noise" + self._key).digest(count)
