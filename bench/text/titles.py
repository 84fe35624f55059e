"""A stage's titles as its cells read them, and what they give away: the names of their own classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.data.splits import StageSplit
from bench.errors import DataError
from bench.spec import Value
from bench.text.class_words import ClassWords, holds
from bench.text.words import words

Words = tuple[str, ...]


@dataclass(frozen=True)
class TitleCounts:
    """Of the titles of one part: how many there are, have no word, and hold their own class's name.

    holding: every word of it, singular or plural, glued or not; None where rows have no one class. emptied:
    how many had no word but those of class names, which were taken out. unknown: how many have words, and
    none that a training title has; of training titles 0.
    """

    titles: int
    empty: int
    holding: int | None
    emptied: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class StageTitles:
    """The words of all n titles as the stage's cells read them; () for rows of other stages.

    masked: whether the words of class names were taken out. train: positions of the stage's training rows,
    validation included.
    """

    column: str
    masked: bool
    words: tuple[Words, ...]
    train: np.ndarray
    counts: Mapping[str, TitleCounts]

    def to_json(self) -> dict[str, Any]:
        """Return what is worth storing as JSON data."""
        counts = {part: asdict(found) for part, found in self.counts.items()}
        return {"column": self.column, "masked": self.masked, **counts}


def stage_titles(
    column: str, titles: Sequence[str], split: StageSplit, setting: Mapping[str, Value], stage: str
) -> StageTitles:
    """Read the titles of a stage's rows. column: where they are from. titles: of all n examples.

    Raises DataError where no training title has a word left.
    """
    masked, classes = bool(setting["mask_class_words"]), ClassWords(split.classes)
    read: list[Words] = [()] * len(titles)
    counts: dict[str, TitleCounts] = {}
    train = np.sort(np.concatenate([split.train, split.val]))
    known: set[str] = set()
    for part, rows in (("train", train), ("test", split.test)):
        given = {row: words(titles[row]) for row in rows.tolist()}
        own = {row: classes.without(found) if masked else found for row, found in given.items()}
        for row, found in own.items():
            read[row] = found
        if part == "train":
            known = {word for found in own.values() for word in found}
        holding = None
        if split.truth.ndim == 1:
            names = split.classes
            holding = sum(holds(found, names[split.truth[row]]) for row, found in given.items())
        counts[part] = TitleCounts(
            len(rows),
            sum(not found for found in given.values()),
            holding,
            sum(bool(given[row]) and not found for row, found in own.items()),
            sum(bool(found) and known.isdisjoint(found) for found in own.values()),
        )
    if not known:
        blank, why = counts["train"], "are empty or without letters and digits"
        if masked and blank.emptied:
            why = "have no word that is not a class name's; leave mask_class_words=true out"
        raise DataError(f"stage {stage!r}: all {blank.titles} training titles (column {column!r}) {why}")
    return StageTitles(column, masked, tuple(read), train, counts)


def count_parts(
    titles: Sequence[str], labels: Sequence[str], parts: Mapping[str, np.ndarray]
) -> dict[str, TitleCounts]:
    """Count the titles at the rows of each part, as they are given.

    labels: n class names, or none at all where there are attributes.
    """
    out, known = {}, set[str]()
    for part, rows in parts.items():
        found = {row: words(titles[row]) for row in rows.tolist()}
        if part == "train":
            known = {word for own in found.values() for word in own}
        holding = None
        if len(labels):
            holding = sum(holds(own, labels[row]) for row, own in found.items())
        unknown = sum(bool(own) and known.isdisjoint(own) for own in found.values())
        out[part] = TitleCounts(len(rows), sum(not own for own in found.values()), holding, 0, unknown)
    return out


def title_figures(counts: Mapping[str, TitleCounts]) -> list[tuple[str, int]]:
    """Return the counts of each part in words; what no title does is left out, but for class names."""
    out = []
    for part, one in counts.items():
        if one.holding is not None:
            out.append((f"{part} titles that hold their own class name (of {one.titles})", one.holding))
        if one.empty:
            out.append((f"{part} titles without any word", one.empty))
        if one.unknown:
            out.append((f"{part} titles without any word that train has", one.unknown))
    return out
