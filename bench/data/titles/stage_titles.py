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
    train = np.sort(np.concatenate([split.train, split.val]))
    given, own, names = {}, {}, {}
    for part, rows in (("train", train), ("test", split.test)):
        given[part] = {row: words(titles[row]) for row in rows.tolist()}
        own[part] = {row: classes.without(found) if masked else found for row, found in given[part].items()}
        names[part] = split.names(rows)
        for row, found in own[part].items():
            read[row] = found
    counts, known = _counted(given, own, names)
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
    found = {name: {row: words(titles[row]) for row in rows.tolist()} for name, rows in splits.items()}
    names = {name: [labels[row] for row in own] if len(labels) else None for name, own in found.items()}
    return _counted(found, found, names)[0]


def _counted(
    given: Mapping[str, Mapping[int, Words]],
    own: Mapping[str, Mapping[int, Words]],
    names: Mapping[str, Sequence[str] | None],
) -> tuple[dict[str, TitleCounts], set[str]]:
    """Return the counts of each split, and all words of train. own: the words of each row that are used."""
    known = {word for found in own["train"].values() for word in found}
    counts = {}
    for part, rows in given.items():
        classes, used = names[part], own[part]
        pairs = [] if classes is None else zip(rows.values(), classes, strict=True)
        counts[part] = TitleCounts(
            len(rows),
            sum(not found for found in rows.values()),
            None if classes is None else sum(holds(found, name) for found, name in pairs),
            sum(bool(rows[row]) and not found for row, found in used.items()),
            sum(bool(found) and known.isdisjoint(found) for found in used.values()),
        )
    return counts, known


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
