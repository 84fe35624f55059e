"""Labels of examples in a common form: a class each, or attributes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from bench.core.table import Column


class Labels(Protocol):
    """Labels of n examples, and descriptions of pairs of them.

    leak_title: column title for `shared`. pair_columns: columns of the cells of `pair`.
    """

    leak_title: ClassVar[str]
    pair_columns: ClassVar[tuple[Column, ...]]

    @property
    def table(self) -> np.ndarray:
        """(n, k) integers, a column for each label; -1 for unknown."""
        ...

    @property
    def classes(self) -> Sequence[str]:
        """Names of n classes, "" for none; () for attributes."""
        ...

    @property
    def usable(self) -> np.ndarray:
        """(n,) bool: the examples that are not left out because they lack a label."""
        ...

    def differ(self, one: int, two: int) -> str:
        """Return how the labels of two examples differ."""
        ...

    def shared(self, one: int, two: int) -> str:
        """Return the common label of two examples, or how theirs differ."""
        ...

    def caption(self, one: int, two: int) -> str:
        """Return the labels of two examples as the caption of their pictures."""
        ...

    def pair(self, one: int, two: int) -> Mapping[str, str]:
        """Return the labels of two examples as cells of a table of pairs."""
        ...


@dataclass(frozen=True)
class ClassLabels:
    """One class for each example, "" for none."""

    classes: Sequence[str]
    leak_title: ClassVar[str] = "label, or both"
    pair_columns: ClassVar[tuple[Column, ...]] = (Column("label", "label"), Column("other", "other label"))

    @cached_property
    def table(self) -> np.ndarray:
        """(n, 1) int64: numbers of classes by first occurrence."""
        names = dict.fromkeys(name for name in self.classes if name)
        numbers = {name: number for number, name in enumerate(names)}
        return np.array([numbers.get(name, -1) for name in self.classes], np.int64).reshape(-1, 1)

    @property
    def usable(self) -> np.ndarray:
        """The examples with a class."""
        usable: np.ndarray = self.table[:, 0] >= 0
        return usable

    def differ(self, one: int, two: int) -> str:
        """Return both classes."""
        return f"{self.classes[one]} / {self.classes[two]}"

    def shared(self, one: int, two: int) -> str:
        """Return the class, or both."""
        same = self.classes[one] == self.classes[two]
        return self.classes[one] if same else self.differ(one, two)

    def caption(self, one: int, two: int) -> str:
        """Return the class, or both."""
        return self.shared(one, two)

    def pair(self, one: int, two: int) -> Mapping[str, str]:
        """Return the first one's class, and the second one's if it differs."""
        label, other = self.classes[one], self.classes[two]
        return {"label": label, "other": other if other != label else ""}


@dataclass(frozen=True, eq=False)
class AttributeLabels:
    """k attributes of each example. table: (n, k), 1 yes, 0 no, -1 unknown."""

    names: Sequence[str]
    table: np.ndarray
    classes: tuple[str, ...] = ()
    leak_title: ClassVar[str] = "labels differ"
    pair_columns: ClassVar[tuple[Column, ...]] = (Column("other", "labels differ"),)

    @property
    def usable(self) -> np.ndarray:
        """All examples: rows of unknown labels are kept."""
        return np.ones(len(self.table), bool)

    def differ(self, one: int, two: int) -> str:
        """Return the attributes that differ."""
        (apart,) = contradicted(self.table, np.array([[one, two]]))
        return ", ".join(self.names[place] for place in np.flatnonzero(apart).tolist())

    def shared(self, one: int, two: int) -> str:
        """Return the attributes that differ."""
        return self.differ(one, two)

    def caption(self, one: int, two: int) -> str:
        """Return the attributes that differ, in words."""
        names = self.differ(one, two)
        return f"labels differ: {names}" if names else "no label contradicts"

    def pair(self, one: int, two: int) -> Mapping[str, str]:
        """Return the attributes that differ."""
        return {"other": self.differ(one, two)}


@dataclass(frozen=True)
class ClassCount:
    """Usable images of one class."""

    name: str
    train: int
    test: int


def count_classes(classes: Sequence[str], splits: Mapping[str, np.ndarray]) -> tuple[ClassCount, ...]:
    """Count rows by class, largest class first. classes: n names. splits: rows of `train` and of `test`."""
    train, test = (Counter(classes[row] for row in splits[side].tolist()) for side in ("train", "test"))
    names = sorted(train | test, key=lambda name: (-train[name] - test[name], name))
    return tuple(ClassCount(name, train[name], test[name]) for name in names)


def contradicted(table: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return (p, k) bool: the columns in which the rows of each pair have different known values."""
    one, two = table[pairs[:, 0]], table[pairs[:, 1]]
    answer: np.ndarray = (one >= 0) & (two >= 0) & (one != two)
    return answer
