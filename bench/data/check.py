"""Data check before training: counts, problems, duplicates, leaks, contradicting labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.data.duplicates import (
    Duplicates,
    Leak,
    NearDuplicates,
    count_near_duplicates,
    disagree,
    find_duplicates,
    find_leaks,
    identical,
    on_both_sides,
)
from bench.data.examples import Examples, Problem
from bench.data.label_table import Labels, contradicted
from bench.data.pixels import Pixels
from bench.data.titles.stage_titles import TitleCounts, count_parts


@dataclass(frozen=True)
class Disagreement:
    """Two duplicates with different labels.

    items: their ids. on: the classes, or the attributes that differ. near: whether they are only near
    duplicates. straddling: whether one is in train and the other in test.
    """

    items: tuple[str, str]
    on: str
    near: bool
    straddling: bool


@dataclass(frozen=True, eq=False)
class DataReport:
    """Everything `bench data check` prints.

    splits: positions of usable images in `train` and `test`: those that decode, are in a split and have a
    label (with attributes, all: rows of unknown labels are kept). decoded: images that decode; unlabelled: of
    these, without any known label.
    shared_items, shared_groups: ids that are in train and in test; None without groups.
    sizes: images by (height, width). unlisted: images that decode but are in neither train nor test. titles:
    counts of titles in train and test, if the data has titles. validation: images of train in a published
    validation part, None without one; validation_leaks: those with a duplicate or near duplicate in the rest
    of train.
    """

    examples: Examples
    labels: Labels
    splits: Mapping[str, np.ndarray]
    decoded: int
    problems: tuple[Problem, ...]
    unlabelled: int
    duplicates: Duplicates
    near_duplicates: NearDuplicates
    disagreements: tuple[Disagreement, ...]
    leaks: tuple[Leak, ...]
    shared_items: int
    shared_groups: int | None
    sizes: Mapping[tuple[int, int], int]
    unlisted: int = 0
    titles: Mapping[str, TitleCounts] = field(default_factory=dict)
    validation: int | None = None
    validation_leaks: int = 0

    @property
    def empty_parts(self) -> tuple[str, ...]:
        """`train` or `test` if it has no usable image."""
        return tuple(name for name, rows in self.splits.items() if not len(rows))

    @property
    def problem_counts(self) -> tuple[tuple[str, bool, int], ...]:
        """(code, whether the row or image is left out, number), fatal ones first."""
        counts = Counter((problem.code, problem.fatal) for problem in self.problems)
        return tuple(
            (kind, fatal, number)
            for (kind, fatal), number in sorted(
                counts.items(), key=lambda item: (not item[0][1], -item[1], item[0][0])
            )
        )


def check_data(
    examples: Examples,
    labels: Labels,
    train: np.ndarray,
    pixels: Pixels,
    near: np.ndarray,
    groups: Sequence[str] | None = None,
    unlisted: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
    validation: np.ndarray | None = None,
) -> DataReport:
    """Check everything that can be checked without training.

    train: (n,) bool, the others are test. pixels: of the same examples, all decoded. near: (p, 2) near
    duplicates (`bench.data.near_duplicate_cache`). groups: n group ids. unlisted: (n,) bool, images in
    neither train nor test. titles: n titles, None if there are none. validation: (n,) bool, the published
    validation part of train, or None.
    """
    train, table = np.asarray(train, bool), labels.table
    outside = np.zeros(len(examples), bool) if unlisted is None else unlisted
    usable = np.flatnonzero(pixels.ok & labels.usable & ~outside)
    splits = {"train": usable[train[usable]], "test": usable[~train[usable]]}
    hashes = examples.images.content_hashes()
    near_duplicates = count_near_duplicates(near, table, train, usable)
    held = np.zeros(len(examples), bool) if validation is None else validation
    same = [members for members in identical(hashes, usable) if disagree(table, members).any()]
    items = examples.items
    return DataReport(
        examples=examples,
        labels=labels,
        splits=splits,
        decoded=int(pixels.ok.sum()),
        problems=(*examples.problems, *pixels.problems),
        unlabelled=int((pixels.ok & ~(table >= 0).any(axis=1)).sum()),
        duplicates=find_duplicates(hashes, table, train, usable),
        near_duplicates=near_duplicates,
        disagreements=_disagreements(items, labels, train, same, near_duplicates.pairs),
        leaks=tuple(find_leaks(hashes, near, train, usable)),
        shared_items=on_both_sides(items, train, usable),
        shared_groups=None if groups is None else on_both_sides(groups, train, usable),
        sizes=pixels.sizes,
        unlisted=int((pixels.ok & outside).sum()),
        titles={} if titles is None else count_parts(titles, labels.classes, splits),
        validation=None if validation is None else int(held[splits["train"]].sum()),
        validation_leaks=len(find_leaks(hashes, near, ~held, splits["train"])),
    )


def _disagreements(
    items: Sequence[str],
    labels: Labels,
    train: np.ndarray,
    same: Sequence[Sequence[int]],
    near: np.ndarray,
) -> tuple[Disagreement, ...]:
    """Return one pair for each picture whose copies disagree, and all near duplicates that disagree."""
    table, pairs = labels.table, []
    for members in same:
        every = [(one, two) for index, one in enumerate(members) for two in members[index + 1 :]]
        pairs.append((next(pair for pair in every if disagree(table, pair).any()), False))
    conflicts = contradicted(table, near).any(axis=1)
    pairs += (((one, two), True) for one, two in near[conflicts].tolist())
    return tuple(
        Disagreement(
            (items[one], items[two]), labels.differ(one, two), nearly, bool(train[one] != train[two])
        )
        for (one, two), nearly in pairs
    )
