"""Numbers with their nouns."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "seed"), counted(5312, "test image"), counted(2, "class")
    ('1 seed', '5,312 test images', '2 classes')
    """
    plural = "es" if noun.endswith("s") else "s"
    return f"{n:,} {noun}{'' if n == 1 else plural}"
