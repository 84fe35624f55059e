"""Labels, base split and groups of a task's examples under one protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bench.core.cell import Value
from bench.core.errors import DataError, nearest
from bench.core.kind import get_kind
from bench.core.protocol import CARD
from bench.data.corrections import as_given
from bench.data.examples import Examples
from bench.data.split_rules import COLUMN, SplitPlan, check_sides, published_parts
from bench.data.task_card import TaskCard

if TYPE_CHECKING:
    import numpy as np

KEYS = (
    *("split", "split_column", "test_fraction", "split_seed"),
    *("pairs", "noise", "noise_rate", "noise_seed", "hide", "hide_rate", "hide_by", "hide_seed"),
)
"""All protocol keys that affect this module."""


@dataclass(frozen=True)
class Parts:
    """Labels and base split of all n examples, by card and protocol."""

    card: TaskCard
    examples: Examples
    setting: Mapping[str, Value]

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The labels of the data, or reviewed ones; "" for none and for labels that are not classes."""
        return self._usable(self.examples.columns[self.card.label])

    @cached_property
    def before_review(self) -> tuple[str, ...]:
        """The labels before any review; the split uses them."""
        columns = self.examples.columns
        return self._usable(columns.get(as_given(self.card.label), columns[self.card.label]))

    def _usable(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        unusable = set(self.card.not_classes)
        return tuple("" if label in unusable else label for label in labels) if unusable else labels

    @cached_property
    def plan(self) -> SplitPlan:
        """The split rule."""
        setting = self.setting
        own = setting["split"] == CARD
        column = setting["split_column"]
        return SplitPlan(
            self.card.split_rule if own else str(setting["split"]),
            self.card.split_column if column == CARD else str(column),
            float(setting["test_fraction"] or 0.0),
            int(setting["split_seed"] or 0),
        )

    @cached_property
    def mask(self) -> np.ndarray:
        """(n,) bool: True for train, False for test; either may be empty."""
        mask: np.ndarray = get_kind(self.card.kind).split.train_mask(self)
        return mask

    @cached_property
    def validation(self) -> np.ndarray | None:
        """(n,) bool: the published validation set, a part of train; None if the seed draws it."""
        import numpy as np

        if self.plan.rule != COLUMN:
            return None
        cells = self._column(self.plan.column, "split_column")
        val = np.array([part == "val" for part in published_parts(self.plan.column, cells)], dtype=bool)
        return val if val.any() else None

    @cached_property
    def unlisted(self) -> np.ndarray:
        """(n,) bool: examples in neither train nor test."""
        unlisted: np.ndarray = get_kind(self.card.kind).split.unlisted(self)
        return unlisted

    @cached_property
    def train(self) -> np.ndarray:
        """(n,) bool: True for train, False for test. Raises DataError if either is empty."""
        check_sides(self.plan, self.mask.tolist())
        return self.mask

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels to train and score on: the given ones, plus synthetic noise in train."""
        import numpy as np

        from bench.data.label_noise import Noise, add_noise

        setting = self.setting
        noise = Noise(
            str(setting["noise"]), float(setting["noise_rate"] or 0.0), int(setting["noise_seed"] or 0)
        )
        labelled = np.array([label != "" for label in self.given], dtype=bool)
        return add_noise(self.given, np.flatnonzero(self.mask & labelled), noise, self.card.confused)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the k attributes, in the data's order."""
        return self.examples.attributes

    @cached_property
    def table(self) -> np.ndarray:
        """(n, k) int8, the attributes: 1 yes, 0 no, -1 unknown or hidden by the protocol."""
        import numpy as np

        from bench.data.missing_labels import hide

        setting = self.setting
        rule, by = str(setting["hide"]), str(setting["hide_by"])
        if rule == "none":
            return self.cells
        cells = self._column(by, "hide_by") if rule == "column" else None
        rate, seed = float(setting["hide_rate"] or 0.0), int(setting["hide_seed"] or 0)
        return hide(self.cells, np.flatnonzero(self.mask), rule, rate, seed, cells)

    @cached_property
    def hidden(self) -> np.ndarray:
        """(n, k) int8, the truth of labels unknown in `table` but known in the data; -1 elsewhere."""
        import numpy as np

        answers = self.examples.answers
        given = self.cells
        empty = ("",) * len(self.examples)
        true = _as_table([answers.get(name, empty) for name in self.attributes], len(self.examples))
        truth = np.where(given >= 0, given, true)
        return np.where(self.table < 0, truth, np.int8(-1))

    @cached_property
    def cells(self) -> np.ndarray:
        """(n, k) int8, the attributes in the data."""
        columns = [self.examples.columns[name] for name in self.attributes]
        return _as_table(columns, len(self.examples))

    @cached_property
    def units(self) -> tuple[str, ...] | None:
        """N ids of groups that validation keeps together; None if the split rule has no groups."""
        if self.plan.rule == COLUMN and self.card.split_group in self.examples.columns:
            return self._ids(self.card.split_group)
        return self._ids(self.plan.column) if self.plan.rule == "grouped" else None

    @cached_property
    def groups(self) -> tuple[str, ...] | None:
        """N ids of the units that intervals resample: the card's groups, whatever the split."""
        column = self.card.group
        return self._ids(column) if column in self.examples.columns else self.units

    @property
    def titles(self) -> tuple[str, ...] | None:
        """The n titles; None if the card names no column of titles or the data lacks it."""
        return self.examples.columns.get(self.card.titles) if self.card.titles else None

    def _ids(self, column: str) -> tuple[str, ...]:
        """Return the cells of a column; an empty one is a group of its own."""
        cells = self._column(column, "split_column")
        return tuple(cell or f"item {item}" for cell, item in zip(cells, self.examples.items, strict=True))

    def _column(self, name: str, key: str) -> tuple[str, ...]:
        """Return a column named in the protocol. Raises DataError if the data lacks it."""
        if name not in self.examples.columns:
            guess = nearest(name, self.examples.columns)
            raise DataError(f"{key}: the data has no column {name!r}{guess}")
        return self.examples.columns[name]


def nobody(parts: Parts) -> np.ndarray:
    """Return (n,) bool, all False: every example is in train or test."""
    import numpy as np

    return np.zeros(len(parts.examples), bool)


def _as_table(columns: Sequence[Sequence[str]], n: int) -> np.ndarray:
    """Return columns of "1", "0" and "" as (n, k) int8 of 1, 0 and -1."""
    import numpy as np

    codes = {"1": 1, "0": 0, "": -1}
    table = np.empty((n, len(columns)), np.int8)
    for index, cells in enumerate(columns):
        table[:, index] = [codes[cell] for cell in cells]
    return table
