"""A task's examples under one setting: which label each has, which of them train, what belongs together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bench.cards import TaskCard
from bench.data.corrections import as_given
from bench.data.examples import Examples
from bench.data.rules import SplitPlan, check_sides
from bench.spec import Value

if TYPE_CHECKING:
    import numpy as np

KEYS = ("split", "split_column", "test_fraction", "split_seed", "noise", "noise_rate", "noise_seed")
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
        """The labels that the split goes by: those from before a review."""
        columns = self.examples.columns
        return self._usable(columns.get(as_given(self.card.label), columns[self.card.label]))

    def _usable(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        unusable = set(self.card.not_classes)
        return tuple("" if label in unusable else label for label in labels) if unusable else labels

    @cached_property
    def plan(self) -> SplitPlan:
        """The split rule."""
        setting = self.setting
        own = setting["split"] == "card"
        column = setting["split_column"]
        return SplitPlan(
            self.card.split_rule if own else str(setting["split"]),
            self.card.split_column if column == "card" else str(column),
            float(setting["test_fraction"] or 0.0),
            int(setting["split_seed"] or 0),
        )

    @cached_property
    def mask(self) -> np.ndarray:
        """(n,) bool: which examples train; the others test. Neither side need have any."""
        from bench.data.splits import train_mask

        return train_mask(self.examples, self._split_by, self.plan)

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

    @cached_property
    def units(self) -> tuple[str, ...] | None:
        """Ids, n of them, of what validation must not part either; None where the rule keeps no groups."""
        return self._ids(self.plan.column) if self.plan.rule == "grouped" else None

    @cached_property
    def groups(self) -> tuple[str, ...] | None:
        """Ids, n of them, of what counts as one in intervals: the card's groups, whatever the split."""
        grouped = self.card.split_rule == "grouped" and self.card.split_column in self.examples.columns
        return self._ids(self.card.split_column) if grouped else self.units

    def _ids(self, column: str) -> tuple[str, ...]:
        """Return the cells of a column; an empty one is a group of its own."""
        cells = self.examples.columns[column]
        return tuple(cell or f"item {item}" for cell, item in zip(cells, self.examples.items, strict=True))
