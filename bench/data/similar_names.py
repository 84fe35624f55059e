"""Names of classes that differ only in writing: one class may have been written in two ways."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[\s_-]+")


def similar_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the groups of names that differ only in case, spaces, hyphens or Unicode's forms, in order.

    >>> similar_names(["T-shirt", "hat", "t shirt", "TShirt", "hats"])
    [('T-shirt', 't shirt', 'TShirt')]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        groups.setdefault(_SEPARATORS.sub("", folded), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]
