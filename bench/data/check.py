"""What is wrong or odd about a data set, said before anything is trained on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.data.duplicates import (
    Duplicates,
    Labels,
    Twins,
    contradicted,
    disagree,
    find_duplicates,
    find_twins,
    identical,
    label_table,
    on_both_sides,
)
from bench.data.examples import Examples, Problem
from bench.data.pair_files import FILES
from bench.data.pixels import Pixels
from bench.text.titles import TitleCounts, count_parts


@dataclass(frozen=True)
class ClassCount:
    """Usable images of one class."""

    name: str
    train: int
    test: int


@dataclass(frozen=True)
class AttributeCount:
    """Usable images by what is known of one attribute: (yes, no, unknown) in each part."""

    name: str
    train: tuple[int, int, int]
    test: tuple[int, int, int]


@dataclass(frozen=True)
class ListCount:
    """A list of pairs by its file: pairs, those of one person, folds, and the people and images on them."""

    file: str
    pairs: int
    same: int
    folds: int
    people: int
    images: int


@dataclass(frozen=True)
class Disagreement:
    """Two images that show the same picture and carry different labels.

    items: their ids. on: the classes, or the attributes that differ. near: whether they are only nearly the
    same. straddling: whether one trains and the other tests.
    """

    items: tuple[str, str]
    on: str
    near: bool
    straddling: bool


@dataclass(frozen=True)
class DataReport:
    """Everything `bench data check` prints.

    rows: that the source kept. decoded: of these, with an image that decodes; usable: of those, with a label
    (with attributes, all: a row of unknown labels is kept).
    classes: by falling count; none where there are attributes, which come in the data's order.
    shared_items, shared_groups: ids that are in train and in test; None where rows are not grouped.
    sizes: images by (height, width). empty_parts: `train` or `test` where no usable image is in it.
    people: whether the classes are people. unlisted: images that decode and are of people on neither side;
    they are not usable. lists: the lists of pairs that the data has. titles: counts of the titles of train
    and of test, where there are some.
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
    shared_items: int
    shared_groups: int | None
    sizes: Mapping[tuple[int, int], int]
    empty_parts: tuple[str, ...]
    people: bool = False
    unlisted: int = 0
    lists: tuple[ListCount, ...] = ()
    titles: Mapping[str, TitleCounts] = field(default_factory=dict)

    @property
    def single(self) -> tuple[str, ...]:
        """Classes with one usable image."""
        return tuple(count.name for count in self.classes if count.train + count.test == 1)

    @property
    def unknown_to_train(self) -> tuple[str, ...]:
        """Classes of test images that train does not hold: they cannot be scored."""
        return tuple(count.name for count in self.classes if count.train == 0 and count.test > 0)

    @property
    def problem_counts(self) -> tuple[tuple[str, bool, int], ...]:
        """(kind, whether it costs the row or image, how many), the costly ones first."""
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
    groups: Sequence[str] | None = None,
    people: bool = False,
    unlisted: np.ndarray | None = None,
    titles: Sequence[str] | None = None,
) -> DataReport:
    """Look at everything that can be known without training.

    labels: n class names, "" for none, or the (n, k) table of `examples.attributes`, 1, 0 and -1. train:
    (n,) bool, the others are test. pixels: of the same examples, at `near.SIDE`; making them has decoded
    every image. groups: n ids of what belongs together. people: whether the labels are people. unlisted:
    (n,) bool, images that are on neither side. titles: n titles, or None where there are none.
    """
    train, table = np.asarray(train, bool), label_table(labels)
    known = (table >= 0).any(axis=1)
    many = isinstance(labels, np.ndarray)
    outside = np.zeros(len(examples), bool) if unlisted is None else unlisted
    usable = np.flatnonzero(pixels.ok & (known | many) & ~outside)
    parts = {"train": usable[train[usable]], "test": usable[~train[usable]]}
    hashes = examples.images.content_hashes()
    twins = find_twins(pixels, hashes, labels, train, usable)
    same = [members for members in identical(hashes, usable) if disagree(table, members).any()]
    return DataReport(
        source=examples.source,
        fingerprint=examples.fingerprint,
        rows=len(examples),
        decoded=int(pixels.ok.sum()),
        usable=len(usable),
        train=len(parts["train"]),
        test=len(parts["test"]),
        problems=(*examples.problems, *pixels.problems),
        classes=() if isinstance(labels, np.ndarray) else count_classes(labels, train, usable),
        attributes=_attributes(examples.attributes, table, parts) if many else (),
        unlabelled=int((pixels.ok & ~known).sum()),
        duplicates=find_duplicates(hashes, labels, train, usable),
        twins=twins,
        disagreements=_disagreements(examples, labels, train, same, twins.pairs),
        shared_items=on_both_sides(examples.items, train, usable),
        shared_groups=None if groups is None else on_both_sides(groups, train, usable),
        sizes=pixels.sizes,
        empty_parts=tuple(part for part, rows in parts.items() if not len(rows)),
        people=people,
        unlisted=int((pixels.ok & outside).sum()),
        lists=count_lists(examples),
        titles={}
        if titles is None
        else count_parts(titles, () if isinstance(labels, np.ndarray) else labels, parts),
    )


def count_lists(examples: Examples) -> tuple[ListCount, ...]:
    """Return what the data's lists of pairs hold."""
    counts = []
    for name, pairs in examples.pair_lists.items():
        images = {*pairs.first, *pairs.second}
        people = {examples.columns["person"][row] for row in images}
        folds = max(pairs.folds) + 1
        counts.append(ListCount(FILES[name], len(pairs), sum(pairs.same), folds, len(people), len(images)))
    return tuple(counts)


def count_classes(labels: Sequence[str], train: np.ndarray, rows: np.ndarray) -> tuple[ClassCount, ...]:
    """Count these rows by class and side, the largest class first. train: (n,) bool, the others are test."""
    in_train, in_test = (
        Counter(labels[row] for row in part.tolist()) for part in (rows[train[rows]], rows[~train[rows]])
    )
    names = sorted(in_train | in_test, key=lambda name: (-in_train[name] - in_test[name], name))
    return tuple(ClassCount(name, in_train[name], in_test[name]) for name in names)


def _attributes(
    names: Sequence[str], table: np.ndarray, parts: Mapping[str, np.ndarray]
) -> tuple[AttributeCount, ...]:
    train, test = (table[rows] for rows in parts.values())
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
    """Return a pair for each picture whose images disagree, and every near pair that does."""
    table = label_table(labels)
    pairs = []
    for members in same:
        every = [(one, two) for place, one in enumerate(members) for two in members[place + 1 :]]
        pairs.append((next(pair for pair in every if disagree(table, pair).any()), False))
    torn = contradicted(table, near).any(axis=1)
    pairs += (((one, two), True) for one, two in near[torn].tolist())
    found = []
    for (one, two), nearly in pairs:
        on = f"{labels[one]} / {labels[two]}"
        if isinstance(labels, np.ndarray):
            places = np.flatnonzero(disagree(table, (one, two)))
            on = ", ".join(examples.attributes[place] for place in places.tolist())
        items = (examples.items[one], examples.items[two])
        found.append(Disagreement(items, on, nearly, bool(train[one]) != bool(train[two])))
    return tuple(found)
