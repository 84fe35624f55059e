"""Paired comparison of pairs of photos: the people on them are resampled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np

from bench.compare.pairing import DECISIONS, SCORES, Items, Pairing, Resamples
from bench.core.predictions import PairFacts, Predictions
from bench.kinds.verification.metrics import means
from bench.kinds.verification.people_bootstrap import People, PeopleDraws


class PairPairing(Pairing):
    """See `bench.compare.pairing.Pairing`. People are no classes that runs are compared by."""

    COLUMNS = ("partner", "fold", "cut", "photo_a", "photo_b")
    KEYS = ("partner", "fold")

    def partners(self, pred: Predictions) -> tuple[str, ...] | None:
        """See `Pairing`: who is on the second photo."""
        return _pairs(pred).partners

    def named(self, pred: Predictions, items: Items) -> Predictions:
        """See `Pairing`."""
        pairs = replace(_pairs(pred), partners=items.partners or ())
        return replace(super().named(pred, items), pairs=pairs)

    def facts(self, pred: Predictions, columns: np.ndarray) -> Iterable[Any]:
        """See `Pairing`: who is on the second photo, whether it is one person, and the fold."""
        own = _pairs(pred)
        return zip(own.partners, pred.truth.tolist(), own.folds.tolist(), strict=True)

    def item_values(self, pred: Predictions, wanted: Set[str]) -> dict[str, np.ndarray]:
        """See `Pairing`: the pairs' parts of accuracy and ROC area, means over folds."""
        pairs, scores = _pairs(pred), np.ascontiguousarray(pred.scores[:, 0])
        cuts = pairs.cuts
        out = {
            DECISIONS: (scores >= cuts).astype(np.uint64),
            SCORES: scores.view(np.uint32).astype(np.uint64),
        }
        if wanted & {"accuracy", "auc"}:
            found = means(scores, pred.truth, pairs.folds, cuts)
            out |= {name: own.astype(np.float32) for name, own in found.items() if name in wanted}
        return out

    def resamples(self, items: Items, draws: int, seed: int) -> Resamples:
        """See `Pairing`: people."""
        return PeopleDraws(People.of(items.groups or (), items.partners or ()), draws, seed)

    def subgroups(self, pred: Predictions, of_example: Mapping[str, str]) -> list[str]:
        """See `Pairing`: the value that both photos share, or "a / b" in alphabetical order.

        A pair with a photo of unknown value is of an unknown subgroup.
        """
        both = [sorted({of_example[one], of_example[other]}) for one, other in _pairs(pred).photos]
        return [" / ".join(values) if all(values) else "" for values in both]


def _pairs(pred: Predictions) -> PairFacts:
    assert pred.pairs is not None
    return pred.pairs
