"""A task's examples under one setting: which labels each has, which of them train, what belongs together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bench.cards import TaskCard
from bench.data.corrections import as_given
from bench.data.examples import Examples
from bench.data.rules import SplitPlan, check_sides
from bench.errors import DataError, nearest
from bench.protocol import CARD
from bench.spec import Value

if TYPE_CHECKING:
    import numpy as np

KEYS = (
    *("split", "split_column", "test_fraction", "split_seed"),
    *("pairs", "noise", "noise_rate", "noise_seed", "hide", "hide_rate", "hide_by", "hide_seed"),
)
"""The protocol values that decide what is here, and nothing else does."""


@dataclass(frozen=True)
class Parts:
    """Labels and base split of all n examples, as the card and the protocol say."""

    card: TaskCard
    examples: Examples
    setting: Mapping[str, Value]

    @cached_property
    def given(self) -> tuple[str, ...]:
        """The labels of the data, reviewed if they were; "" for none and for what is not a class."""
        return self._usable(self.examples.columns[self.card.label])

    @cached_property
    def _split_by(self) -> tuple[str, ...]:
        """The labels that the split goes by: those from before a review, or what each row's cells say."""
        columns = self.examples.columns
        if not self.card.label:
            return tuple("".join(map("{:d}".format, row)) for row in self._cells + 1)
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
        """(n,) bool: which examples train; the others test. Neither side need have any."""
        from bench.data.pair_split import side_mask
        from bench.data.splits import train_mask

        if self.card.kind == "verification":
            return side_mask(self.examples, self.setting)
        return train_mask(self.examples, self._split_by, self.plan)

    @cached_property
    def unlisted(self) -> np.ndarray:
        """(n,) bool: which examples are on neither side; of photos of people those of people in no list."""
        import numpy as np

        from bench.data.pair_split import NEITHER, sides

        if self.card.kind == "verification":
            with suppress(DataError):
                unlisted: np.ndarray = sides(self.examples, self.setting) == NEITHER
                return unlisted
        return np.zeros(len(self.examples), bool)

    @cached_property
    def train(self) -> np.ndarray:
        """(n,) bool: which examples train; the others test. Raises DataError where one side is empty."""
        check_sides(self.plan, self.mask.tolist())
        return self.mask

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels that are trained and scored on: the given ones, but for noise planted into train."""
        import numpy as np

        from bench.data.corrupt import Noise, plant

        setting = self.setting
        noise = Noise(
            str(setting["noise"]), float(setting["noise_rate"] or 0.0), int(setting["noise_seed"] or 0)
        )
        labelled = np.array([label != "" for label in self.given], dtype=bool)
        return plant(self.given, np.flatnonzero(self.mask & labelled), noise, self.card.confused)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the k attributes, in the data's order."""
        return self.examples.attributes

    @cached_property
    def table(self) -> np.ndarray:
        """(n, k) int8, each attribute as it is known: 1 yes, 0 no, -1 unknown or hidden on purpose."""
        import numpy as np

        from bench.data.hiding import hide

        setting = self.setting
        rule, by = str(setting["hide"]), str(setting["hide_by"])
        if rule == "none":
            return self._cells
        cells = self._column(by, "hide_by") if rule == "column" else None
        rate, seed = float(setting["hide_rate"] or 0.0), int(setting["hide_seed"] or 0)
        return hide(self._cells, np.flatnonzero(self.mask), rule, rate, seed, cells)

    @cached_property
    def hidden(self) -> np.ndarray:
        """(n, k) int8, the truth of cells that `table` does not know and the data does; -1 elsewhere."""
        import numpy as np

        answers = self.examples.answers
        given = self._cells
        empty = ("",) * len(self.examples)
        told = _as_table([answers.get(name, empty) for name in self.attributes], len(self.examples))
        truth = np.where(given >= 0, given, told)
        return np.where(self.table < 0, truth, np.int8(-1))

    @cached_property
    def _cells(self) -> np.ndarray:
        """(n, k) int8, the attributes as the data gives them."""
        columns = [self.examples.columns[name] for name in self.attributes]
        return _as_table(columns, len(self.examples))

    @cached_property
    def units(self) -> tuple[str, ...] | None:
        """Ids, n of them, of what validation must not part either; None where the rule keeps no groups."""
        return self._ids(self.plan.column) if self.plan.rule == "grouped" else None

    @cached_property
    def groups(self) -> tuple[str, ...] | None:
        """Ids, n of them, of what counts as one in intervals: the card's groups, whatever the split."""
        grouped = self.card.split_rule == "grouped" and self.card.split_column in self.examples.columns
        return self._ids(self.card.split_column) if grouped else self.units

    @property
    def titles(self) -> tuple[str, ...] | None:
        """What the card says are titles, n of them; None where it says nothing, or the data has none."""
        return self.examples.columns.get(self.card.titles) if self.card.titles else None

    def _ids(self, column: str) -> tuple[str, ...]:
        """Return the cells of a column; an empty one is a group of its own."""
        cells = self._column(column, "split_column")
        return tuple(cell or f"item {item}" for cell, item in zip(cells, self.examples.items, strict=True))

    def _column(self, name: str, key: str) -> tuple[str, ...]:
        """Return a column that the protocol names. Raises DataError where the data has none."""
        if name not in self.examples.columns:
            guess = nearest(name, self.examples.columns)
            raise DataError(f"the data has no column {name!r}, which {key} names{guess}")
        return self.examples.columns[name]


def _as_table(columns: Sequence[Sequence[str]], n: int) -> np.ndarray:
    """Return columns of "1", "0" and "" as (n, k) int8 of 1, 0 and -1."""
    import numpy as np

    codes = {"1": 1, "0": 0, "": -1}
    table = np.empty((n, len(columns)), np.int8)
    for place, cells in enumerate(columns):
        table[:, place] = [codes[cell] for cell in cells]
    return table
