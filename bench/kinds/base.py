"""What every kind of task must say about its predictions, and the table of kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from bench.errors import unknown
from bench.report.table import Column
from bench.spec import Predictions

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Average:
    """One row below a table of classes: which overall metric stands in which of its columns.

    role: `average`, or `group` for an average over some of the classes, those whose row has `name` as its
    `group`. trivial: whether the trivial answer's value is shown too.
    """

    name: str
    columns: Mapping[str, str]
    role: str = "average"
    trivial: bool = False


class Kind(Protocol):
    """Turns predictions into numbers, and says which of them matter. Planning reads only the properties."""

    @property
    def name(self) -> str:
        """What task cards call it."""
        ...

    @property
    def headline(self) -> Sequence[str]:
        """The metrics that tables of results show, most telling first."""
        ...

    @property
    def selection(self) -> str:
        """The metric that every choice on validation goes by."""
        ...

    @property
    def class_columns(self) -> Sequence[Column]:
        """What a table of classes shows of `per_class` rows; the first is the class's name."""
        ...

    @property
    def averages(self) -> Sequence[Average]:
        """The rows below the classes."""
        ...

    @property
    def trivial_names(self) -> Sequence[str]:
        """The answers that look at no image, as results and tables call them, the first one foremost."""
        ...

    def summary(self, pred: Predictions) -> dict[str, float | None]:
        """Return every overall metric, None where undefined."""
        ...

    def per_class(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return one row per class (attribute, …), None where undefined."""
        ...

    def trivials(self, pred: Predictions) -> dict[str, Predictions]:
        """Return the answers that look at no image, on the same items, by the names in `trivial_names`."""
        ...

    def curves(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return points of curves: class, curve (`roc`, `pr`), x, y, cut; none where a kind keeps none."""
        ...

    def weighted_summary(self, pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return, for (draws, n) item weights, (draws,) of each metric that a bootstrap can draw fast."""
        ...


PAIRS = "verification"
"""The kind of tasks whose items are pairs of photos."""

KINDS: dict[str, str] = {
    "multiclass": "bench.kinds.multiclass:Multiclass",
    "multilabel": "bench.kinds.multilabel:Multilabel",
    "verification": "bench.kinds.verification:Verification",
}
"""Where each kind's class lives, as "module:class", imported when it is first asked for."""


def get_kind(name: str) -> Kind:
    """Return a kind by name. Raises BenchError naming the nearest one if there is none."""
    if name not in KINDS:
        raise unknown("kind", name, KINDS)
    module, _, attribute = KINDS[name].partition(":")
    kind: Kind = getattr(import_module(module), attribute)()
    return kind
