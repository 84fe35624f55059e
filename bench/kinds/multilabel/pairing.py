"""Paired comparison of items with many attributes."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from typing import Any

import numpy as np

from bench.compare.pairing import DECISIONS, SCORES, Pairing, Weighted, odd_numbers
from bench.core.predictions import Predictions
from bench.kinds.multilabel import metrics
from bench.metrics import calibration
from bench.metrics.groups import group_of
from bench.metrics.rank_sums import attribute_areas, attribute_parts
from bench.metrics.registry import METRICS

_MEANS = {
    "gmean": "gmean_macro",
    "accuracy": "accuracy_macro",
    "f1": "f1_macro",
    "auc": "auc_macro",
    "ap": "map",
}
_AREAS = ("auc_macro", "many_auc", "medium_auc", "few_auc")


class AttributePairing(Pairing):
    """See `bench.compare.pairing.Pairing`."""

    CLASSES = tuple(_MEANS)

    def reordered(self, pred: Predictions, columns: np.ndarray) -> Predictions:
        """See `Pairing`."""
        return replace(
            pred,
            truth=pred.truth[:, columns],
            scores=pred.scores[:, columns],
            classes=tuple(pred.classes[column] for column in columns.tolist()),
            train_support=pred.train_support[columns],
            known=None if pred.known is None else pred.known[columns],
            cuts=None if pred.cuts is None else pred.cuts[columns],
        )

    def facts(self, pred: Predictions, columns: np.ndarray) -> Iterable[Any]:
        """See `Pairing`: yes, no or unknown of each attribute."""
        return map(tuple, pred.truth[:, columns].tolist())

    def item_values(self, pred: Predictions, wanted: Set[str]) -> dict[str, np.ndarray]:
        """See `Pairing`: the items' parts of ROC areas and log loss; unscored cells add nothing."""
        scores, truth, n = pred.scores, pred.truth, len(pred.truth)
        odd, seen = odd_numbers(pred.classes), truth >= 0
        bits = np.where(seen, np.ascontiguousarray(scores).view(np.uint32), 0).astype(np.uint64)
        out = {
            DECISIONS: (metrics.answers(pred) * odd).sum(axis=1),
            SCORES: (bits * odd).sum(axis=1),
        }
        groups = np.array([f"{group_of(int(count))}_auc" for count in pred.train_support])
        among = {name: (groups == name) | (name == "auc_macro") for name in _AREAS if name in wanted}
        out |= (
            {name: own.astype(np.float32) for name, own in attribute_areas(scores, truth, among).items()}
            if (among)
            else {}
        )
        if "exact_match" in wanted and (scored := seen.any(axis=1)).any():
            right = ((metrics.answers(pred) == (truth == 1)) | ~seen).all(axis=1)
            share = right[scored].mean()
            gaps = np.where(scored, right - share, 0.0)
            own = right if scored.all() else share + n * gaps / scored.sum()
            out["exact_match"] = own.astype(np.float32)
        if "auc_micro" in wanted:
            areas, parts = attribute_parts(scores.reshape(-1, 1), truth.reshape(-1, 1))
            if not np.isnan(areas[0]):
                out["auc_micro"] = (areas[0] + n * parts.reshape(n, -1).sum(axis=1)).astype(np.float32)
        if "log_loss" in wanted:
            whole = calibration.log_loss(scores[seen], truth[seen] == 1)
            if whole is not None:
                losses = np.zeros(truth.shape)
                losses[seen] = calibration.losses(scores[seen], truth[seen] == 1) - whole
                out["log_loss"] = (whole + n * losses.sum(axis=1) / seen.sum()).astype(np.float32)
        return out

    def weighted(self, pred: Predictions) -> Weighted:
        """See `Pairing`: means over attributes come from the attributes' own values.

        A derived kind uses its own metrics.
        """
        own = self.kind.metrics

        def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
            whole, parts = metrics.weighted_parts(pred, weights)
            if own is not metrics:
                whole = own.weighted_summary(pred, weights)
            return whole, {metric: parts[mean] for metric, mean in _MEANS.items()}

        return under

    def class_marks(self, pred: Predictions, metric: str) -> np.ndarray:
        """See `Pairing`."""
        if METRICS[_MEANS[metric]].score_based:
            marks: np.ndarray = np.where(pred.truth >= 0, pred.scores, 0)
            return marks
        return metrics.answers(pred)

    def class_hits(self, pred: Predictions, metric: str) -> np.ndarray | None:
        """See `Pairing`."""
        if metric != "accuracy":
            return None
        hits: np.ndarray = (metrics.answers(pred) == (pred.truth == 1)) & (pred.truth >= 0)
        return hits
