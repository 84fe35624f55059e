"""Facet `pairing` of a kind of task: its test items in paired comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from bench.core.kind import Kind, get_kind
from bench.metrics.bootstrap import ItemResamples

if TYPE_CHECKING:
    import numpy as np

    from bench.core.predictions import Predictions

DECISIONS, SCORES = "decisions", "scores"
"""Item values, uint64, that differ where the decisions on an item, or its scores, differ."""


Weighted: TypeAlias = "Callable[[np.ndarray], tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]"
"""Function of (draws, n) weights that returns metrics, (draws,) each, and those of `Pairing.CLASSES`, (draws,
k) each."""


@dataclass(frozen=True, eq=False)
class Items:
    """Test items in one order: by class, then by id; by id alone if items have no class.

    ids: n. groups: n group ids, or None. truth: (n,) int32, or (n, k) as in `Predictions`. classes: k names.
    partners: of pairs, n ids of the second photo's person; the first one's is the group.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...] | None
    truth: np.ndarray
    classes: tuple[str, ...]
    partners: tuple[str, ...] | None = None

    @classmethod
    def of(cls, pairing: Pairing, pred: Predictions) -> tuple[Items, np.ndarray]:
        """Return the items of predictions, and the rows that sort the predictions like them, (n,) int64."""
        import numpy as np

        names = np.unique(np.array(pred.items, dtype=object), return_inverse=True)[1]
        rows = np.lexsort((names, pred.truth) if pairing.BY_CLASS else (names,))
        own = pred.take(rows)
        return cls(own.items, own.groups, own.truth, own.classes, pairing.partners(own)), rows

    @cached_property
    def ends(self) -> np.ndarray:
        """Start of the items of each class, and the end of the last one's: (k + 1,); one class per item."""
        import numpy as np

        ends: np.ndarray = np.searchsorted(self.truth, np.arange(len(self.classes) + 1))
        return ends

    @cached_property
    def counts(self) -> np.ndarray:
        """Items of each class, (k,) int64; one class per item."""
        import numpy as np

        return np.diff(self.ends)


class Resamples(Protocol):
    """Resamples of test items.

    units: items, groups or people, which are resampled. rows: number of resamples.
    """

    @property
    def draws(self) -> int:
        """The number of leading rows whose values follow the metric's distribution."""
        ...

    @property
    def rows(self) -> int:
        """All resamples."""
        ...

    @property
    def units(self) -> int:
        """Number of resampled units."""
        ...

    @property
    def inflation(self) -> float:
        """The factor of `variance` that corrects for few units."""
        ...

    def chunks(self, chunk: int = ...) -> Iterator[np.ndarray]:
        """Yield the count of each item in each resample: (at most `chunk`, n) float32, `rows` in total."""
        ...

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Return the variance of a metric over samples, (...). values: (..., rows)."""
        ...


class Pairing:
    """Test items of a kind, for paired comparisons of two runs; kinds override it.

    The default has only the kind's metrics, each computed resample by resample, and none of a class.

    COLUMNS: columns of predictions.parquet in addition to those of every kind; equal items agree in KEYS.
    CLASSES: the metrics of one class that are compared, as keys of the kind's class columns. BY_CLASS:
    whether each item has one class, its truth, by which items are sorted.
    """

    COLUMNS: tuple[str, ...] = ()
    KEYS: tuple[str, ...] = ()
    CLASSES: tuple[str, ...] = ()
    BY_CLASS = False

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def reordered(self, pred: Predictions, columns: np.ndarray) -> Predictions:
        """Return predictions with their classes in another order. columns: (k,) where each stands now.

        Here as they are, for `facts` keep runs apart that have their classes in another order.
        """
        return pred

    def partners(self, pred: Predictions) -> tuple[str, ...] | None:
        """Return n ids of the second person of an item, or None."""
        return None

    def named(self, pred: Predictions, items: Items) -> Predictions:
        """Return predictions with the names omitted in reading. items: in the same order."""
        return replace(pred, items=items.ids, groups=items.groups)

    def facts(self, pred: Predictions, columns: np.ndarray) -> Iterable[Any]:
        """Return the truth of each item, n values independent of the order of the classes.

        columns: (k,) the order of the classes by name.
        """
        return ((pred.classes, own) for own in pred.truth.tolist())

    def item_values(self, pred: Predictions, wanted: Set[str]) -> dict[str, np.ndarray]:
        """Return the wanted numbers that are defined, (n,) each; see `PairedBootstrap.values`."""
        import numpy as np

        bits = np.ascontiguousarray(pred.scores, np.float32).view(np.uint32).astype(np.uint64)
        decided = np.asarray(self.kind.metrics.decisions(pred)).reshape(len(pred.items), -1)
        odd = odd_numbers([str(column) for column in range(decided.shape[1])])
        return {
            DECISIONS: ((decided.astype(np.int64) + 1).astype(np.uint64) * odd).sum(axis=1),
            SCORES: (bits * odd_numbers(pred.classes)).sum(axis=1),
        }

    def resamples(self, items: Items, draws: int, seed: int) -> Resamples:
        """Return resamples of the items, or of whole groups of them."""
        return ItemResamples(len(items.ids), items.groups, draws, seed)

    def subgroups(self, pred: Predictions, of_example: Mapping[str, str]) -> list[str]:
        """Return the subgroup of each item, "" where it is unknown.

        of_example: the value of a column of the data, by id of the example. Raises KeyError for an example
        that it lacks.
        """
        return [of_example[item] for item in pred.items]

    def weighted(self, pred: Predictions) -> Weighted:
        """Return the function of weights; everything independent of the weights is computed once, here."""
        return lambda weights: (self.kind.metrics.weighted_summary(pred, weights), {})

    def class_marks(self, pred: Predictions, metric: str) -> np.ndarray:
        """Return values that differ where items count differently: (n,) for the own class, or (n, k).

        Raises KeyError for a metric outside CLASSES.
        """
        raise KeyError(metric)

    def class_hits(self, pred: Predictions, metric: str) -> np.ndarray | None:
        """Return the correct items, (n,) of the own class or (n, k) bool; None for a metric without hits."""
        return None


def pairing_of(kind: str) -> Pairing:
    """Return the `Pairing` of a kind of task. Raises BenchError for an unknown kind."""
    found: Pairing = get_kind(kind).pairing
    return found


def odd_numbers(names: Sequence[str]) -> np.ndarray:
    """Return an odd number for each name, (k,) uint64, independent of its position."""
    import hashlib

    import numpy as np

    digests = [hashlib.blake2b(name.encode("utf-8", "backslashreplace"), digest_size=8) for name in names]
    return np.array([int.from_bytes(digest.digest(), "big") | 1 for digest in digests], np.uint64)
