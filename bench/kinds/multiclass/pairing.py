"""Paired comparison of items with one class each."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace
from typing import Any

import numpy as np

from bench.compare.pairing import DECISIONS, SCORES, Pairing, Weighted, odd_numbers
from bench.core.predictions import Predictions
from bench.kinds.multiclass import metrics
from bench.metrics import scores as on_scores
from bench.metrics.rank_sums import placements


class ClassPairing(Pairing):
    """See `bench.compare.pairing.Pairing`."""

    CLASSES = ("top1", "top5")
    BY_CLASS = True

    def reordered(self, pred: Predictions, columns: np.ndarray) -> Predictions:
        """See `Pairing`."""
        return replace(
            pred,
            truth=np.argsort(columns)[pred.truth].astype(np.int32),
            scores=pred.scores[:, columns],
            classes=tuple(pred.classes[column] for column in columns.tolist()),
            train_support=pred.train_support[columns],
            cuts=None if pred.cuts is None else pred.cuts[columns],
        )

    def facts(self, pred: Predictions, columns: np.ndarray) -> Iterable[Any]:
        """See `Pairing`: the names of the classes."""
        return (pred.classes[own] for own in pred.truth.tolist())

    def item_values(self, pred: Predictions, wanted: Set[str]) -> dict[str, np.ndarray]:
        """See `Pairing`: hits, losses, and the items' parts of ROC areas."""
        scores, truth = pred.scores, pred.truth
        answers = scores.argmax(axis=1)
        out = {"top1": (answers == truth).astype(np.float32)}
        if DECISIONS in wanted:
            out[DECISIONS] = odd_numbers(pred.classes)[answers]
        if SCORES in wanted:
            bits = np.ascontiguousarray(scores).view(np.uint32).astype(np.uint64)
            out[SCORES] = (bits * odd_numbers(pred.classes)).sum(axis=1)
        if "top5" in wanted and scores.shape[1] > 5:
            out["top5"] = (on_scores.ranks(scores, truth) < 5).astype(np.float32)
        if pred.cuts is not None and "coverage" in wanted:
            out["coverage"] = metrics.covered(pred).astype(np.float32)
        if pred.cuts is not None and "set_size" in wanted:
            out["set_size"] = metrics.sets(pred).sum(axis=1).astype(np.float32)
        if "log_loss" in wanted and on_scores.are_probabilities(scores):
            own = scores[np.arange(len(truth)), truth].clip(np.finfo(scores.dtype).eps, 1)
            out["log_loss"] = -np.log(own)
        areas = wanted & {"auc_macro", "auc_weighted"}
        if areas and (found := placements(scores, truth)) is not None:
            out["placement"] = found.own.astype(np.float32)
            out |= {name: getattr(found, name.removeprefix("auc_")).astype(np.float32) for name in areas}
        return out

    def weighted(self, pred: Predictions) -> Weighted:
        """See `Pairing`; a derived kind uses its own metrics."""
        count, own = metrics.counter(pred), self.kind.metrics

        def under(weights: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
            counts = count(weights)
            classes = {"top1": counts.recall, **({"top5": counts.recall5} if len(pred.classes) > 5 else {})}
            if own is not metrics:
                return own.weighted_summary(pred, weights), classes
            return metrics.of_counts(counts, pred.train_support), classes

        return under

    def class_marks(self, pred: Predictions, metric: str) -> np.ndarray:
        """See `Pairing`."""
        hits = self.class_hits(pred, metric)
        assert hits is not None
        return hits

    def class_hits(self, pred: Predictions, metric: str) -> np.ndarray | None:
        """See `Pairing`."""
        return on_scores.hits(pred)[self.CLASSES.index(metric)]
