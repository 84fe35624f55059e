"""Cells that answered the same test items, and their metrics on shared resamples of these items.

Every cell is drawn on the same resamples, so that any two of them are compared as `bench compare` compares a
run with a pinned one: paired, item by item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bench import stats
from bench.kinds.base import get_kind
from bench.metrics import multiclass
from bench.people import People, PeopleDraws
from bench.spec import Predictions

DRAWS = 2000
"""Bootstrap resamples: the 2.5% quantile then rests on 50 of them."""

MEANS: Mapping[str, tuple[str, str]] = {
    "top1_micro": ("top1", "items"),
    "f1_micro": ("top1", "items"),
    "recall_weighted": ("top1", "items"),
    "top5_micro": ("top5", "items"),
    "log_loss": ("log_loss", "items"),
    "auc_macro": ("auc_macro", "items"),
    "auc_weighted": ("auc_weighted", "items"),
    "top1_macro": ("top1", "classes"),
    "recall_macro": ("top1", "classes"),
    "balanced_accuracy": ("top1", "classes"),
    "top5_macro": ("top5", "classes"),
    "many_top1": ("top1", "many"),
    "medium_top1": ("top1", "medium"),
    "few_top1": ("top1", "few"),
}
"""Metrics of one class per item that are means of a number each item has: of which number, over what. Drawn
by one product of matrices for all cells, where any other metric is drawn cell by cell."""

AREAS = ("auc_macro", "many_auc", "medium_auc", "few_auc")

PAIRED = ("accuracy", "auc")

MEANS_OF: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "multiclass": MEANS,
    "multilabel": {name: (name, "items") for name in AREAS},
    "verification": {name: (name, "items") for name in PAIRED},
}
"""The same by kind of task."""

CHUNK = 256
"""Resamples of people held in memory at once."""

SMALL: Mapping[str, tuple[str, str]] = {"auc_macro": ("placement", "classes")}
"""Metrics whose lack of variance in small classes is judged by another number than they are drawn by."""

BY_SCORES = ("auc", "map", "ap_", "average_precision", "log_loss", "ece", "brier", "eer", "tar_")
"""How the names of metrics begin that look at scores, not at what is decided by them."""


@dataclass(frozen=True, eq=False)
class Items:
    """Test items in one order: by class, then by id; by id alone where an item has many attributes.

    ids: n. groups: n ids of what belongs together, or None. truth: (n,) int32, or (n, k) as in `Predictions`.
    classes: k names. partners: of pairs, n ids of the second photo's person; the first one's is the group.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...] | None
    truth: np.ndarray
    classes: tuple[str, ...]
    partners: tuple[str, ...] | None = None

    @cached_property
    def ends(self) -> np.ndarray:
        """Where the items of each class begin, and where the last one's end: (k + 1,) int64.

        Of items with one class each.
        """
        ends: np.ndarray = np.searchsorted(self.truth, np.arange(len(self.classes) + 1))
        return ends

    @cached_property
    def counts(self) -> np.ndarray:
        """Items of each class, (k,) int64."""
        return np.diff(self.ends)


@dataclass(eq=False)
class Contest:
    """Measured cells of one stage that answered the same items; cells are named by their ids.

    values: number -> cell -> (n,), one for each item. One class per item: `top1`, `top5`, `log_loss`,
    `auc_macro`, `auc_weighted` and `placement`, float32 (see `bench.outcomes`). Many attributes per item:
    those of AREAS, and `decisions` and `scores`, uint64 that differ where these do. Pairs: those of PAIRED,
    and the same two.
    supports: cell -> (k,) training images of each class, by which classes are many, medium or few.
    """

    kind: str
    items: Items
    draws: int = DRAWS
    seed: int = 0
    cells: list[str] = field(default_factory=list)
    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    supports: dict[str, np.ndarray] = field(default_factory=dict)
    _drawn: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    _observed: dict[str, dict[str, float]] = field(default_factory=dict)
    _over: dict[tuple[str, str], tuple[dict[str, np.ndarray], dict[str, float]]] = field(default_factory=dict)
    _members: dict[tuple[str, bytes], np.ndarray] = field(default_factory=dict)
    _weights: np.ndarray | None = None

    def add(self, cell: str, values: Mapping[str, np.ndarray], support: np.ndarray) -> None:
        """Take in a cell: numbers of its items and support of its classes, in the order of `items`."""
        self.cells.append(cell)
        self.supports[cell] = support
        for number, own in values.items():
            self.values.setdefault(number, {})[cell] = own

    def add_drawn(self, cell: str, pred: Predictions, metrics: Sequence[str]) -> None:
        """Draw metrics that are no means of items' numbers from a cell's predictions, items in our order."""
        draw = get_kind(self.kind).weighted_summary
        once = draw(pred, np.ones((1, len(pred.items)), np.float32))
        known = [metric for metric in metrics if metric in once and np.isfinite(once[metric][0])]
        if not known:
            return
        if self._weights is None:
            self._weights = np.concatenate(list(self._resamples()))
        drawn = draw(pred, self._weights)
        for metric in known:
            self._drawn.setdefault(metric, {})[cell] = drawn[metric]
            self._observed.setdefault(metric, {})[cell] = float(once[metric][0])

    def drawn(self, metric: str) -> Mapping[str, np.ndarray]:
        """Return a metric of each cell on every resample, (draws,); without cells where it is undefined.

        Of pairs the resamples are all those of `bench.people`. Empty for a metric that is not drawn, as the
        calibration error.
        """
        number, over = self._mean(metric)
        if metric not in self._drawn and number:
            if (number, over) not in self._over:
                self._draw_means(number)
            self._drawn[metric], self._observed[metric] = self._over[number, over]
        return self._drawn.get(metric, {})

    def observed(self, metric: str, cell: str) -> float:
        """Return a metric of a cell that `drawn` has, on the items as they are."""
        self.drawn(metric)
        return self._observed[metric][cell]

    def spread(self, metric: str, cells: Sequence[str]) -> np.ndarray:
        """Return what `drawn` gives of cells, (cells, draws), with the variance it should have."""
        drawn = self.drawn(metric)
        values = np.stack([drawn[cell] for cell in cells])
        observed = np.array([self.observed(metric, cell) for cell in cells])
        return self._completed(metric, values, observed, cells)

    def differences(self, metric: str, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Return ours - theirs of pairs of cells on every resample, (pairs, draws), spread likewise."""
        drawn, ours, theirs = self.drawn(metric), [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        values = np.stack([drawn[a] for a in ours]) - np.stack([drawn[b] for b in theirs])
        gaps = np.array([self.observed(metric, a) - self.observed(metric, b) for a, b in pairs])
        return self._completed(metric, values, gaps, ours, theirs)

    def changed(self, metric: str, pairs: Iterable[tuple[str, str]]) -> int:
        """Return how many items count otherwise in a metric, in any of these pairs of cells; n if not known.

        Of a metric that is no mean of items' numbers, those whose answer is right on one side alone; of many
        attributes, those with another decision, or with another score where the metric looks at scores.
        """
        number = MEANS.get(metric, ("top1", ""))[0]
        if self.kind != "multiclass":
            number = "scores" if metric.startswith(BY_SCORES) else "decisions"
        if number not in self.values:
            return len(self.items.ids)
        own = self.values[number]
        differ = [own[ours] != own[theirs] for ours, theirs in pairs]
        return int(np.any(differ, axis=0).sum())

    @cached_property
    def _people(self) -> PeopleDraws | None:
        """How people are drawn, where items are pairs of them."""
        if self.items.partners is None:
            return None
        return PeopleDraws(People.of(self.items.groups or (), self.items.partners), self.draws, self.seed)

    def _resamples(self) -> Iterator[np.ndarray]:
        if self._people is not None:
            return self._people.chunks(CHUNK)
        return stats.bootstrap_chunks(len(self.items.ids), self.draws, self.seed, self.items.groups)

    def _mean(self, metric: str) -> tuple[str, str]:
        number, over = MEANS_OF.get(self.kind, {}).get(metric, ("", ""))
        return (number, over) if number in self.values else ("", "")

    def _draw_means(self, number: str) -> None:
        """Draw the means of a number over everything they are taken over: one pass serves all of them."""
        values = self.values[number]
        overs = {over for known, over in MEANS_OF[self.kind].values() if known == number}
        numbers = np.stack(list(values.values()), axis=1)
        among = {
            over: np.stack([self._among(over, cell) for cell in values], axis=1) for over in overs - {"items"}
        }

        def average(weights: np.ndarray) -> dict[str, np.ndarray]:
            out = self._over_classes(weights, numbers, among) if among else {}
            if "items" in overs:
                out["items"] = (weights @ numbers) / weights.sum(axis=1, dtype=np.float64)[:, None]
            return out

        once = average(np.ones((1, len(numbers)), np.float32))
        # A row for each cell, which is what everything else reads.
        rows = self.draws if self._people is None else self._people.rows
        drawn = {over: np.empty((len(values), rows)) for over in overs}
        start = 0
        for weights in self._resamples():
            for over, part in average(weights).items():
                drawn[over][:, start : start + len(weights)] = part.T
            start += len(weights)
        for over in overs:
            known = [(i, cell) for i, cell in enumerate(values) if np.isfinite(once[over][0, i])]
            self._over[number, over] = (
                {cell: drawn[over][i] for i, cell in known},
                {cell: float(once[over][0, i]) for i, cell in known},
            )

    def _among(self, over: str, cell: str) -> np.ndarray:
        """Return which classes a mean over all of them, or over a group, is made of: (k,) bool."""
        support = self.supports[cell]
        key = (over, support.tobytes())
        if key not in self._members:
            among: np.ndarray = self.items.counts > 0
            if over not in ("items", "classes"):
                among = among & np.array([multiclass.group_of(int(n)) == over for n in support])
            self._members[key] = among
        return self._members[key]

    def _over_classes(
        self, weights: np.ndarray, numbers: np.ndarray, among: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return (draws, cells) means over classes; a class that a resample lacks is not in its mean.

        weights: (draws, n). numbers: (n, cells). among: (k, cells) bool, the classes of each cell's mean.
        """
        shape = (len(weights), numbers.shape[1])
        # Cells with the same training images, which most are, share one column.
        inside = {
            over: table[:, :1] if (table == table[:, :1]).all() else table for over, table in among.items()
        }
        total = {over: np.zeros(shape) for over in among}
        count = {over: np.zeros((len(weights), table.shape[1])) for over, table in inside.items()}
        ends = self.items.ends
        # Kept from class to class: new memory takes longer than what is worked out in it.
        sums, mean = np.empty(shape, np.result_type(weights, numbers)), np.empty(shape)
        for c in np.flatnonzero(self.items.counts):
            part = weights[:, ends[c] : ends[c + 1]]
            size = part.sum(axis=1, dtype=np.float64)[:, None]
            np.matmul(part, numbers[ends[c] : ends[c + 1]], out=sums)
            np.multiply(sums, 1 / np.where(size > 0, size, 1.0), out=mean)
            for over, table in inside.items():
                if table[c].any():
                    total[over] += mean if table[c].all() else mean * table[c]
                    count[over] += (size > 0) & table[c]
        return {
            over: np.divide(total[over], count[over], out=np.full(shape, np.nan), where=count[over] > 0)
            for over in among
        }

    def _completed(
        self,
        metric: str,
        drawn: np.ndarray,
        observed: np.ndarray,
        ours: Sequence[str],
        theirs: Sequence[str] | None = None,
    ) -> np.ndarray:
        """Return drawn values, (rows, draws), spread by `stats.completed` if they are means over classes.

        Those of pairs are spread as `bench.people` says. A class of n items lacks v / n^2, where v is the
        variance of an item's number about its class's mean, pooled over all classes; F1 and precision are
        judged by top-1, ROC areas by placements.
        """
        if self._people is not None:
            return self._people.spread(drawn, observed)
        other = ("top1", "classes" if metric.endswith("_macro") else "items")
        number, over = SMALL.get(metric) or MEANS.get(metric, other)
        if self.kind != "multiclass" or over == "items" or number not in self.values:
            return drawn
        own, counts = self.values[number], self.items.counts
        gaps = np.stack([own[cell] for cell in ours]).astype(np.float64)
        if theirs is not None:
            gaps -= np.stack([own[cell] for cell in theirs])
        pooled = stats.within_classes(gaps, counts[counts > 0], each=number == "placement")
        sizes = [counts[self._among(over, cell)].astype(np.float64) for cell in ours]
        shares = np.array([(1.0 / size**2).sum() / len(size) ** 2 for size in sizes])
        return stats.completed(drawn, observed, pooled * shares)
