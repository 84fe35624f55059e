"""Protocols of the facets of a kind of task; see `bench.core.shown_facets` for those of tables and pages.

A facet is a module or an object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bench.core.predictions import Predictions
from bench.core.table import Table

if TYPE_CHECKING:
    import numpy as np


class Metrics(Protocol):
    """Metrics of predictions; pure functions."""

    def summary(self, pred: Predictions) -> dict[str, float | None]:
        """Return every overall metric, None where undefined."""
        ...

    def per_class(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return one row per class (attribute, …), None where undefined."""
        ...

    def trivials(self, pred: Predictions) -> dict[str, Predictions]:
        """Return the trivial answers on the same items, by their names in `trivial_notes`."""
        ...

    def curves(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return the points of curves: class, curve (`roc`, `pr`), x, y, cut (threshold); none by default."""
        ...

    def weighted_summary(self, pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return (draws,) values of each metric with a fast bootstrap. weights: (draws, n), of items."""
        ...

    def decisions(self, pred: Predictions) -> np.ndarray:
        """Return the decisions, (n,) or (n, k): a class, or yes or no."""
        ...

    def thresholds(self, pred: Predictions) -> np.ndarray:
        """Return the decision thresholds of scores, float64; empty if classes are ranked."""
        ...


class Packing(Protocol):
    """Predictions as columns of predictions.parquet, beside the common ones."""

    def columns(self, parts: Sequence[Predictions]) -> dict[str, Any]:
        """Return `truth` and the kind's own columns as arrow arrays over all splits."""
        ...

    def predictions(
        self, table: Any, record: Mapping[str, Any], split: str, names: bool = True
    ) -> Predictions:
        """Return the predictions of a split. table: its rows, as an arrow table. Raises ValueError.

        names: whether to read ids of items and groups. Without them, arrays are views of the table's, for
        reading a thousand cells.
        """
        ...


class OwnData(Protocol):
    """Data without a card as a task of the kind. Imports nothing heavy.

    rule: the split rule of data without a published split. unsplit: why published splits and groups are
    ignored, or "". Layouts are `bench.data.layout.Layout`; columns of a table are cells by name.
    """

    rule: str
    unsplit: str

    def of_folders(self, published: bool) -> Any:
        """Return the layout of class folders. published: whether they are split. Raises BenchError."""
        ...

    def of_table(self, labels: Sequence[str]) -> Any:
        """Return the layout of a table with these columns of labels, as far as the labels go."""
        ...

    def classes(self, labels: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """Return the class of each row, "" for an unlabelled row, which is left out."""
        ...

    def note(self, where: str, labels: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
        """Return a note on the labels. where: the start of messages. Raises DataError."""
        ...


class Split(Protocol):
    """The split into training and test set. parts: the examples' labels, `bench.data.labels.Parts`."""

    def train_mask(self, parts: Any) -> np.ndarray:
        """Return (n,) bool: True for train, False for test."""
        ...

    def unlisted(self, parts: Any) -> np.ndarray:
        """Return (n,) bool: the examples in neither train nor test."""
        ...

    def split(
        self,
        parts: Any,
        setting: Mapping[str, Any],
        ok: np.ndarray,
        stage: Any,
        seed: int,
        rehearsal: Any = None,
        near: np.ndarray | None = None,
    ) -> Any:
        """Return the split of one stage. Raises DataError.

        setting: the protocol of its cells; `parts.setting` may be that of another stage with the same labels.
        ok: (n,) bool, the usable images. near: (p, 2) near duplicates.
        """
        ...


class Checks(Protocol):
    """Checks of a plan. Imports nothing heavy."""

    def check_setting(
        self, card: Any, setting: Mapping[str, Any], usual: Mapping[str, Any], examples: Any, regime: str
    ) -> None:
        """Raise BenchError for protocol values that do not apply to the kind or to this data.

        usual: the card's own values. Raises DataError for a missing column or list.
        """
        ...

    def no_class(self, card: Any, stage: str, parts: Any) -> str | None:
        """Return why a stage has no class to train, judged before images are read, or None.

        parts: the examples' labels, `bench.data.labels.Parts`.
        """
        ...

    def saved_model_problem(self, parts: Sequence[Any], setting: Mapping[str, Any]) -> str | None:
        """Return why cells on this backbone have no single model to save, or None.

        parts: `bench.backbones.info.BackboneInfo` of each part.
        """
        ...


class Conditions(Protocol):
    """Conditions under which methods of the kind are comparable. Imports nothing heavy."""

    @property
    def names(self) -> tuple[str, ...]:
        """The conditions of `bench.compare.conditions` on which numbers of the kind depend."""
        ...

    def supervision(self, method: str) -> str:
        """Return a method's value of the condition `supervision` of `bench.compare.conditions`."""
        ...

    def method_with(self, method: str, supervision: str, regime: str) -> str | None:
        """Return the method changed to another supervision, None if there is none."""
        ...


class Runner(Protocol):
    """Training of the cells of one stage."""

    def prepare(self, context: Any, pixels: Any, inputs: Any, nets: Any, job: Any) -> Any:
        """Split the data of one stage's cells and return a `bench.runs.stage_run.StageRun`.

        job: a `bench.runs.plan.Job` with these cells alone. nets: those trained so far, see
        `bench.runs.stage_run.Nets`. The others: see `bench.runs.stage_run.StageRun`.
        """
        ...


class Predictor(Protocol):
    """Predictions of saved models for image files.

    takes_pairs: whether inputs are pairs of images. thresholded: name of an exported model's output of
    thresholded probabilities, "" for a kind whose models cannot be exported.
    """

    takes_pairs: bool
    thresholded: str

    def thresholds(self, head: Any) -> list[float] | None:
        """Return the threshold of each class, None for none. head: a saved model that can be exported."""
        ...

    def predict(
        self,
        stored: Any,
        images: Sequence[str],
        pairs: str | None,
        weights: str | None,
        fmt: str,
        top: int,
        title: str,
        allow_code: bool = False,
    ) -> tuple[Table | str, list[str]]:
        """Return the predictions of a stored cell's model, and a message for each unreadable image.

        fmt: `json` returns the finished text, other formats a table. pairs: a table of pairs of
        images. weights: the file that the cell was run with, if any. top: classes shown for an image.
        allow_code: whether code of an external backbone may run. Raises BenchError, StoreError.
        """
        ...

    def targets(
        self,
        stored: Any,
        images: Sequence[str],
        names: Sequence[str],
        weights: str | None,
        allow_code: bool = False,
    ) -> tuple[list[Any], list[str]]:
        """Return the targets to explain, `bench.inference.explain.Target`, and messages about faults.

        names: the classes to explain; none for the model's answer. Raises BenchError, StoreError.
        """
        ...
