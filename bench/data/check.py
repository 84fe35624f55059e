"""Data check before training: counts, problems, duplicates, leaks, contradicting labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.data.duplicates import (
    Duplicates,
    Labels,
    Leak,
    Twins,
    contradicted,
    disagree,
    find_duplicates,
    find_leaks,
    find_twins,
    identical,
    label_table,
    on_both_sides,
)
from bench.data.examples import Examples, Problem
from bench.data.pair_lists import FILES
from bench.data.pixels import Pixels
from bench.data.titles.stage_titles import TitleCounts, count_parts


@dataclass(frozen=True)
class ClassCount:
    """Usable images of one class."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class AttributeCount:
    """Usable images by their label of one attribute: (yes, no, unknown) in train and in test."""

    name: str
    train: tuple[int, int, int]
    test: tuple[int, int, int]


@dataclass(frozen=True)
class ListCount:
    """Counts of a list of pairs: all pairs, pairs of one person, folds, people, images."""

    file: str
    pairs: int
    same: int
    folds: int
    people: int
    images: int


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


@dataclass(frozen=True)
class LeakedImage:
    """A test image with duplicates in train.

    items: its id, and that of one copy in train; copies: number of copies in train. near: whether the copy is
    only a near duplicate. on: their label, or both if they differ, or the attributes that differ.
    """

    items: tuple[str, str]
    on: str
    near: bool
    copies: int


@dataclass(frozen=True)
class DataReport:
    """Everything `bench data check` prints.

    rows: number of rows read. decoded: of these, with an image that decodes; usable: of those, with a label
    (with attributes, all: rows of unknown labels are kept).
    classes: by falling count; none if there are attributes, which are in the data's order.
    shared_items, shared_groups: ids that are in train and in test; None without groups.
    sizes: images by (height, width). empty_parts: `train` or `test` if it has no usable image.
    people: whether the classes are people. unlisted: images that decode but show people in neither train nor
    test; they are not usable. lists: the data's lists of pairs. titles: counts of titles in train and test,
    if the data has titles. validation: images of train in a published validation part, None without one;
    validation_leaks: those with a duplicate or near duplicate in the rest of train.
    """

    source: str
    fingerprint: str
    rows: int
    decoded: int
    usable: int
    train: int
    test: int
    problems: tuple[Problem, ...]
    classes: tuple[ClassCount, ...]
    attributes: tuple[AttributeCount, ...]
    unlabelled: int
    duplicates: Duplicates
    twins: Twins
    disagreements: tuple[Disagreement, ...]
    leaks: tuple[LeakedImage, ...]
    shared_items: int
    shared_groups: int | None
    sizes: Mapping[tuple[int, int], int]
    empty_parts: tuple[str, ...]
    people: bool = False
    unlisted: int = 0
    lists: tuple[ListCount, ...] = ()
    titles: Mapping[str, TitleCounts] = field(default_factory=dict)
    validation: int | None = None
    validation_leaks: int = 0

    @property
    def single(self) -> tuple[str, ...]:
        """Classes with one usable image."""
        return tuple(count.name for count in self.classes if count.train + count.test == 1)

    @property
    def unknown_to_train(self) -> tuple[str, ...]:
        """Classes of test images that are not in train and so cannot be scored."""
        return tuple(count.name for count in self.classes if count.train == 0 and count.test > 0)

    @property
    def problem_counts(self) -> tuple[tuple[str, bool, int], ...]:
        """(kind, whether the row or image is left out, number), fatal ones first."""
        counts = Counter((problem.kind, problem.fatal) for problem in self.problems)
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
    people: bool = False,
    unlisted: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
    validation: np.ndarray | None = None,
) -> DataReport:
    """Check everything that can be checked without training.

    labels: n class names, "" for none, or the (n, k) table of `examples.attributes`, 1, 0 and -1. train:
    (n,) bool, the others are test. pixels: of the same examples, all decoded. near: (p, 2) near duplicates
    (`bench.data.twins`). groups: n group ids. people: whether the labels are people. unlisted: (n,) bool,
    images in neither train nor test. titles: n titles, None if there are none. validation: (n,) bool, the
    published validation part of train, or None.
    """
    train, table = np.asarray(train, bool), label_table(labels)
    known = (table >= 0).any(axis=1)
    many = isinstance(labels, np.ndarray)
    outside = np.zeros(len(examples), bool) if unlisted is None else unlisted
    usable = np.flatnonzero(pixels.ok & (known | many) & ~outside)
    splits = {"train": usable[train[usable]], "test": usable[~train[usable]]}
    hashes = examples.images.content_hashes()
    twins = find_twins(near, labels, train, usable)
    held = np.zeros(len(examples), bool) if validation is None else validation
    same = [members for members in identical(hashes, usable) if disagree(table, members).any()]
    return DataReport(
        source=examples.source,
        fingerprint=examples.fingerprint,
        rows=len(examples),
        decoded=int(pixels.ok.sum()),
        usable=len(usable),
        train=len(splits["train"]),
        test=len(splits["test"]),
        problems=(*examples.problems, *pixels.problems),
        classes=() if isinstance(labels, np.ndarray) else count_classes(labels, train, usable),
        attributes=_attributes(examples.attributes, table, splits) if many else (),
        unlabelled=int((pixels.ok & ~known).sum()),
        duplicates=find_duplicates(hashes, labels, train, usable),
        twins=twins,
        disagreements=_disagreements(examples, labels, train, same, twins.pairs),
        leaks=tuple(_leaked(examples, labels, leak) for leak in find_leaks(hashes, near, train, usable)),
        shared_items=on_both_sides(examples.items, train, usable),
        shared_groups=None if groups is None else on_both_sides(groups, train, usable),
        sizes=pixels.sizes,
        empty_parts=tuple(name for name, rows in splits.items() if not len(rows)),
        people=people,
        unlisted=int((pixels.ok & outside).sum()),
        lists=count_lists(examples),
        titles={}
        if titles is None
        else count_parts(titles, () if isinstance(labels, np.ndarray) else labels, splits),
        validation=None if validation is None else int(held[splits["train"]].sum()),
        validation_leaks=len(find_leaks(hashes, near, ~held, splits["train"])),
    )


def count_lists(examples: Examples) -> tuple[ListCount, ...]:
    """Count the data's lists of pairs."""
    counts = []
    for name, pairs in examples.pair_lists.items():
        images = {*pairs.first, *pairs.second}
        people = {examples.columns["person"][row] for row in images}
        folds = max(pairs.folds) + 1
        counts.append(ListCount(FILES[name], len(pairs), sum(pairs.same), folds, len(people), len(images)))
    return tuple(counts)


def count_classes(labels: Sequence[str], train: np.ndarray, rows: np.ndarray) -> tuple[ClassCount, ...]:
    """Count these rows by class in train and test, largest class first. train: (n,) bool, else test."""
    in_train, in_test = (
        Counter(labels[row] for row in split.tolist()) for split in (rows[train[rows]], rows[~train[rows]])
    )
    names = sorted(in_train | in_test, key=lambda name: (-in_train[name] - in_test[name], name))
    return tuple(ClassCount(name, in_train[name], in_test[name]) for name in names)


def _attributes(
    names: Sequence[str], table: np.ndarray, splits: Mapping[str, np.ndarray]
) -> tuple[AttributeCount, ...]:
    train, test = (table[rows] for rows in splits.values())
    return tuple(
        AttributeCount(name, _counted(train[:, place]), _counted(test[:, place]))
        for place, name in enumerate(names)
    )


def _counted(cells: np.ndarray) -> tuple[int, int, int]:
    yes, no, unknown = (int((cells == value).sum()) for value in (1, 0, -1))
    return yes, no, unknown


def _disagreements(
    examples: Examples,
    labels: Labels,
    train: np.ndarray,
    same: Sequence[Sequence[int]],
    near: np.ndarray,
) -> tuple[Disagreement, ...]:
    """Return one pair for each picture whose copies disagree, and all near duplicates that disagree."""
    table = label_table(labels)
    pairs = []
    for members in same:
        every = [(one, two) for place, one in enumerate(members) for two in members[place + 1 :]]
        pairs.append((next(pair for pair in every if disagree(table, pair).any()), False))
    conflicts = contradicted(table, near).any(axis=1)
    pairs += (((one, two), True) for one, two in near[conflicts].tolist())
    found = []
    for (one, two), nearly in pairs:
        on = _apart(examples, labels, one, two)
        items = (examples.items[one], examples.items[two])
        found.append(Disagreement(items, on, nearly, bool(train[one]) != bool(train[two])))
    return tuple(found)


def _leaked(examples: Examples, labels: Labels, leak: Leak) -> LeakedImage:
    on = _apart(examples, labels, leak.test, leak.train)
    if not isinstance(labels, np.ndarray) and labels[leak.test] == labels[leak.train]:
        on = labels[leak.test]
    return LeakedImage((examples.items[leak.test], examples.items[leak.train]), on, leak.near, leak.copies)


def _apart(examples: Examples, labels: Labels, one: int, two: int) -> str:
    """Return the classes of two images, or the attributes that differ."""
    if not isinstance(labels, np.ndarray):
        return f"{labels[one]} / {labels[two]}"
    places = np.flatnonzero(disagree(labels, (one, two)))
    return ", ".join(examples.attributes[place] for place in places.tolist())
