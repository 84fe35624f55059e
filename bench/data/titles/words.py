"""Tokenisation of titles in any script."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

MAX_LETTERS = 64
"""Maximum length of a word; longer ones are hostile data."""

MAX_WORDS = 256
"""Maximum number of words in a title."""

_ALONE = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Kana and Han, which are written without blanks: each character is a word."""

_JOINERS = "\u200c\u200d"
"""Zero-width joiners inside words."""


def words(title: str) -> tuple[str, ...]:
    r"""Return the words of a title, case-folded and normalised (NFKC).

    A word is a run of letters, combining marks and digits; vowel signs, as in Hindi, belong to their letters
    (a regular expression's \w would separate them). Kana, Han and emoji are words one by one; all other
    characters separate words.

    >>> words("Puma Men's T-shirt") + words("\u0915\u0941\u0930\u094d\u0924\u093e \u4e0a\u8863")
    ('puma', 'men', 's', 't', 'shirt', '\u0915\u0941\u0930\u094d\u0924\u093e', '\u4e0a', '\u8863')
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", title).casefold())
    found: list[str] = []
    run: list[str] = []
    for letter in folded:
        category = unicodedata.category(letter)
        alone = (category in ("So", "Sk") and ord(letter) > 0x7F) or _ALONE.match(letter) is not None
        if not alone and (category[0] in "LN" or (run and (category[0] == "M" or letter in _JOINERS))):
            if letter not in _JOINERS:
                run.append(letter)
            continue
        if run:
            found.append("".join(run)[:MAX_LETTERS])
            run = []
        if alone:
            found.append(letter)
    if run:
        found.append("".join(run)[:MAX_LETTERS])
    return tuple(found[:MAX_WORDS])


def terms(found: Sequence[str]) -> Iterator[str]:
    """Yield the words of a title, then its pairs of neighbouring words, joined by a blank."""
    yield from found
    for one, other in pairwise(found):
        yield f"{one} {other}"
