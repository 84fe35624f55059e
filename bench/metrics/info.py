"""Facts about a metric: name, range, chance value, and how a bootstrap computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Direction = Literal["higher", "lower"]


class Mean(NamedTuple):
    """A metric as a mean. of: the value of each item. over: items, classes, or a group of classes.

    A bootstrap of such a metric is one matrix product for all runs; other metrics are computed run by run.
    """

    of: str
    over: str


@dataclass(frozen=True)
class MetricInfo:
    """One metric.

    title: its name in tables. kinds: kinds of task that have it. low, high: its range, None for no bound.
    compared: whether runs are compared by it.
    chance: the expected value of uninformative scores, None if it depends on the data (then the trivial row
    shows it). per_class: whether that value is 1 / k, for k classes with test items.
    score_based: whether it depends on more than decisions and top-5 hits. A pinned file of a multiclass task
    holds no scores, so such a metric has no interval in comparisons with it.
    no_bootstrap: why it has no interval at all, "" if it has.
    means: by kind of task, its form as a mean, if it has one. small: by kind, the mean over classes whose
    variance corrects for small classes, which resampling understates; default: `means`.
    on_request: kinds of task whose comparisons leave it out unless the user asks for it.
    of: the count in a summary that is its sample size, one of `bench.metrics.registry.COUNTS`.
    sets: whether it is defined only for prediction sets.
    """

    name: str
    title: str
    summary: str
    direction: Direction = "higher"
    chance: float | None = None
    low: float = 0.0
    high: float | None = 1.0
    kinds: tuple[str, ...] = ("multiclass",)
    compared: bool = True
    per_class: bool = False
    score_based: bool = False
    means: Mapping[str, Mean] = field(default_factory=dict)
    small: Mapping[str, Mean] = field(default_factory=dict)
    no_bootstrap: str = ""
    on_request: tuple[str, ...] = ()
    of: str = "n"
    sets: bool = False

    def chance_of(self, test: Mapping[str, float | None]) -> float | None:
        """Return the expected value of uninformative scores, None if unknown.

        test: a summary of metrics and counts; `classes_scored` is read.
        """
        classes = test.get("classes_scored")
        return 1 / classes if self.per_class and classes else self.chance

    @property
    def best(self) -> float | None:
        """The value of a perfect prediction."""
        return self.high if self.direction == "higher" else self.low

    def better(self, ours: float | None, theirs: float | None) -> bool:
        """Whether `ours` beats `theirs`; an undefined value beats nothing and loses to any defined one.

        >>> loss = MetricInfo("loss", "loss", "", "lower")
        >>> loss.better(0.1, 0.2), loss.better(None, 0.2)
        (True, False)
        """
        if ours is None or theirs is None:
            return ours is not None
        return ours > theirs if self.direction == "higher" else ours < theirs

    def best_place(self, values: Sequence[float | None]) -> int | None:
        """Return the position of the best value, the first of equals; None if none is defined.

        >>> MetricInfo("loss", "loss", "", "lower").best_place([None, 0.2, 0.1, 0.1])
        2
        """
        place: int | None = None
        for index, value in enumerate(values):
            if self.better(value, None if place is None else values[place]):
                place = index
        return place
