"""Class names in titles: detection and masking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from bench.data.titles.words import words

MAX_RUN = 4
"""Maximum number of consecutive words that form one: `t shirt`, `flip flops`."""

MIN_LETTERS = 3
"""Minimum length of a singular: `tie`, but not `a` of `as`."""


@lru_cache(maxsize=65_536)
def forms(word: str) -> frozenset[str]:
    """Return a word and its possible singulars, by English endings; words that share a form are equal.

    >>> sorted(forms("scarves")), sorted(forms("dresses"))
    (['scarf', 'scarfe', 'scarv', 'scarve', 'scarves'], ['dress', 'dresse', 'dresses'])
    """
    found = {word}
    for ending, others in (("ves", ("f", "fe")), ("ies", ("y",)), ("es", ("",)), ("s", ("",))):
        stem = word.removesuffix(ending)
        if stem != word and not (ending == "s" and stem.endswith("s")):
            found.update(stem + other for other in others if len(stem + other) >= MIN_LETTERS)
    return frozenset(found)


def _shortest(word: str) -> str:
    return min(forms(word), key=lambda form: (len(form), form))


def _runs(found: Sequence[str]) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Yield start, end and forms of every run of up to MAX_RUN neighbours, joined into one word."""
    for start in range(len(found)):
        for end in range(start + 1, min(start + MAX_RUN, len(found)) + 1):
            run = found[start:end]
            glued = forms("".join(run))
            # "Sports Shoes" may also be joined from its singulars.
            yield start, end, glued | forms("".join(map(_shortest, run)))


def places(found: Sequence[str], wanted: frozenset[str]) -> frozenset[int]:
    """Return the positions of a title's words that are, or are part of, a wanted word."""
    return frozenset(
        place for start, end, glued in _runs(found) if glued & wanted for place in range(start, end)
    )


@dataclass(frozen=True)
class ClassWords:
    """The words of a stage's class names."""

    names: tuple[str, ...]

    @cached_property
    def all(self) -> frozenset[str]:
        """All words of all names in all forms, joined neighbours included."""
        return frozenset(form for name in self.names for _, _, glued in _runs(words(name)) for form in glued)

    def without(self, found: Sequence[str]) -> tuple[str, ...]:
        """Return a title's words without those of class names: `T-shirt` is removed for `Tshirts`.

        >>> ClassWords(("Tshirts", "Casual Shoes")).without(("puma", "t", "shirt", "shoe", "casual", "red"))
        ('puma', 'red')
        """
        taken = places(found, self.all)
        return tuple(word for index, word in enumerate(found) if index not in taken)


def holds(found: Sequence[str], name: str) -> bool:
    """Return whether a title has every word of a class name, in any order, singular or plural, or joined.

    >>> holds(words("ADIDAS Shoe, casual"), "Casual Shoes"), holds(words("Nike Shoes"), "Casual Shoes")
    (True, False)
    """
    own = words(name)
    if not own:
        return False
    runs = [glued for _, _, glued in _runs(found)]
    whole = forms("".join(own)) | forms("".join(map(_shortest, own)))
    if any(glued & whole for glued in runs):
        return True
    return all(any(glued & forms(word) for glued in runs) for word in own)
