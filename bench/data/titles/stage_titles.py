"""Words of a stage's titles, and how often they contain the name of their own class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.core.cell import Value
from bench.core.errors import DataError
from bench.data.splits import StageSplit
from bench.data.titles.class_words import ClassWords, holds
from bench.data.titles.words import words

Words = tuple[str, ...]


@dataclass(frozen=True)
class TitleCounts:
    """Counts of the titles of one split: all, without words (empty), with their own class name (holding).

    holding: see `class_words.holds`; None if rows have several classes. emptied: titles whose words were all
    masked. unknown: titles whose words are in no training title; 0 for train.
    """

    titles: int
    empty: int
    holding: int | None
    emptied: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class StageTitles:
    """The words of all n titles for a stage's cells; () for rows of other stages.

    masked: whether words of class names were removed. train: positions of the stage's training rows,
    validation included.
    """

    column: str
    masked: bool
    words: tuple[Words, ...]
    train: np.ndarray
    counts: Mapping[str, TitleCounts]

    def to_json(self) -> dict[str, Any]:
        """Return the fields to store as JSON."""
        counts = {name: asdict(found) for name, found in self.counts.items()}
        return {"column": self.column, "masked": self.masked, **counts}


def stage_titles(
    column: str, titles: Sequence[str], split: StageSplit, setting: Mapping[str, Value], stage: str
) -> StageTitles:
    """Return the words of the titles of a stage's rows. column: of the titles. titles: of all n examples.

    Raises DataError if no training title has a word left.
    """
    masked, classes = bool(setting["mask_class_words"]), ClassWords(split.classes)
    read: list[Words] = [()] * len(titles)
    counts: dict[str, TitleCounts] = {}
    train = np.sort(np.concatenate([split.train, split.val]))
    known: set[str] = set()
    for name, rows in (("train", train), ("test", split.test)):
        given = {row: words(titles[row]) for row in rows.tolist()}
        own = {row: classes.without(found) if masked else found for row, found in given.items()}
        for row, found in own.items():
            read[row] = found
        if name == "train":
            known = {word for found in own.values() for word in found}
        holding = None
        names = split.names(rows)
        if names is not None:
            holding = sum(holds(found, label) for found, label in zip(given.values(), names, strict=True))
        counts[name] = TitleCounts(
            len(rows),
            sum(not found for found in given.values()),
            holding,
            sum(bool(given[row]) and not found for row, found in own.items()),
            sum(bool(found) and known.isdisjoint(found) for found in own.values()),
        )
    if not known:
        blank, why = counts["train"], "are empty or without letters and digits"
        if masked and blank.emptied:
            why = "have only words of class names; leave out mask_class_words=true"
        raise DataError(f"stage {stage!r}: all {blank.titles} training titles (column {column!r}) {why}")
    return StageTitles(column, masked, tuple(read), train, counts)


def count_parts(
    titles: Sequence[str], labels: Sequence[str], splits: Mapping[str, np.ndarray]
) -> dict[str, TitleCounts]:
    """Count the unmasked titles of the rows of each split. labels: n class names, () for attributes."""
    out, known = {}, set[str]()
    for name, rows in splits.items():
        found = {row: words(titles[row]) for row in rows.tolist()}
        if name == "train":
            known = {word for own in found.values() for word in own}
        holding = None
        if len(labels):
            holding = sum(holds(own, labels[row]) for row, own in found.items())
        unknown = sum(bool(own) and known.isdisjoint(own) for own in found.values())
        out[name] = TitleCounts(len(rows), sum(not own for own in found.values()), holding, 0, unknown)
    return out


def title_figures(counts: Mapping[str, TitleCounts]) -> list[tuple[str, int]]:
    """Return the counts of each split with titles; zeros are left out, except of class names."""
    out = []
    for name, one in counts.items():
        if one.holding is not None:
            out.append((f"{name} titles that contain their class name (of {one.titles})", one.holding))
        if one.empty:
            out.append((f"{name} titles without any word", one.empty))
        if one.unknown:
            out.append((f"{name} titles without any word of train", one.unknown))
    return out
