"""The names of classes among the words of titles: where a title gives its class away, and how to stop it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from bench.text.words import words

LONGEST_RUN = 4
"""Neighbouring words that are read as one at most: `t shirt`, `flip flops`."""

SHORTEST = 3
"""Letters that a singular has at least: `tie`, but not `a` of `as`."""


@lru_cache(maxsize=65_536)
def forms(word: str) -> frozenset[str]:
    """Return a word and what may be its singulars, by English endings; two words are one if they share some.

    >>> sorted(forms("scarves")), sorted(forms("dresses"))
    (['scarf', 'scarfe', 'scarv', 'scarve', 'scarves'], ['dress', 'dresse', 'dresses'])
    """
    found = {word}
    for ending, others in (("ves", ("f", "fe")), ("ies", ("y",)), ("es", ("",)), ("s", ("",))):
        stem = word.removesuffix(ending)
        if stem != word and not (ending == "s" and stem.endswith("s")):
            found.update(stem + other for other in others if len(stem + other) >= SHORTEST)
    return frozenset(found)


def _shortest(word: str) -> str:
    return min(forms(word), key=lambda form: (len(form), form))


def _runs(found: Sequence[str]) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Yield start, end and forms of every run of up to LONGEST_RUN neighbours, read as one word."""
    for start in range(len(found)):
        for end in range(start + 1, min(start + LONGEST_RUN, len(found)) + 1):
            run = found[start:end]
            glued = forms("".join(run))
            # "Sports Shoes" may be glued of its singulars, too.
            yield start, end, glued | forms("".join(map(_shortest, run)))


def places(found: Sequence[str], wanted: frozenset[str]) -> frozenset[int]:
    """Return which words of a title are, or are part of, one of the words that are looked for."""
    return frozenset(
        place for start, end, glued in _runs(found) if glued & wanted for place in range(start, end)
    )


@dataclass(frozen=True)
class ClassWords:
    """The words of the names of a stage's classes."""

    names: tuple[str, ...]

    @cached_property
    def all(self) -> frozenset[str]:
        """Every word of every name in all its forms, and neighbouring ones glued."""
        return frozenset(form for name in self.names for _, _, glued in _runs(words(name)) for form in glued)

    def without(self, found: Sequence[str]) -> tuple[str, ...]:
        """Return the words of a title that are no class's, nor part of one: `T-shirt` goes for `Tshirts`.

        >>> ClassWords(("Tshirts", "Casual Shoes")).without(("puma", "t", "shirt", "shoe", "casual", "red"))
        ('puma', 'red')
        """
        taken = places(found, self.all)
        return tuple(word for place, word in enumerate(found) if place not in taken)


def holds(found: Sequence[str], name: str) -> bool:
    """Tell whether a title has every word of a class's name, in any order, singular or plural, or glued.

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
