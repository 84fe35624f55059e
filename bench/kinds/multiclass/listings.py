"""Predictions of whole listings: the answers to several photos of one thing combined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.compare.paired_bootstrap import own_intervals
from bench.core.errors import BenchError
from bench.core.predictions import Predictions
from bench.core.table import Column, Table
from bench.kinds.multiclass.metrics import summary
from bench.metrics import scores as on_scores

RULES = ("mean", "max", "vote")
"""Rules for a listing's class: mean log-probability of its photos, highest probability of any photo, or the
most frequent answer. The mean log-probability breaks ties of the last two."""

METRICS: Mapping[str, str] = {"top1": "top1_micro", "f1": "f1_macro"}
"""The columns of the table, and the metrics in them."""


@dataclass(frozen=True)
class Listings:
    """The answers to listings. by_rule: rule -> predictions with an item for each listing.

    left_out: listings whose photos carry different labels, which have no truth. several: how many of the
    others have more than one photo. photos: of the others in all.
    """

    by_rule: Mapping[str, Predictions]
    left_out: int
    several: int
    photos: int


def listing_level(pred: Predictions, listings: Sequence[str]) -> Listings:
    """Return the answers of each rule of RULES to every listing.

    pred: of photos, one class each. listings: n ids, a photo's own where it stands alone. Listings come in
    the order of their first photos, whose groups are theirs. A listing's scores are places, k for the class
    it is given, k - 1 for the next, so that single precision loses no tie; of classes alike in everything the
    first is given. A probability counts as at least the eps of single precision, as in the log loss. Raises
    BenchError where the scores are no probabilities, ValueError for ids that do not fit.
    """
    on_scores.check(pred)
    n, k = pred.scores.shape
    if len(listings) != n:
        raise ValueError(f"{len(listings)} listing ids for {n} items")
    if not on_scores.are_probabilities(pred.scores):
        raise BenchError(
            "the scores of this cell are no probabilities, which photos of a listing are joined by"
        )
    numbers = {name: number for number, name in enumerate(dict.fromkeys(listings))}
    names, m = tuple(numbers), len(numbers)
    member = np.array([numbers[name] for name in listings], np.int64)
    first, photos = np.unique(member, return_index=True, return_counts=True)[1:]
    mean, highest, votes = np.zeros((m, k)), np.zeros((m, k)), np.zeros((m, k))
    floor = np.finfo(pred.scores.dtype).eps
    np.add.at(mean, member, np.log(pred.scores.clip(floor, 1).astype(np.float64)))
    mean /= photos[:, None]
    np.maximum.at(highest, member, pred.scores)
    np.add.at(votes, (member, pred.scores.argmax(axis=1)), 1)
    low, high = np.full(m, k), np.full(m, -1)
    np.minimum.at(low, member, pred.truth)
    np.maximum.at(high, member, pred.truth)
    rows = np.flatnonzero(low == high)
    groups = None if pred.groups is None else tuple(pred.groups[row] for row in first[rows].tolist())
    items, truth = tuple(names[row] for row in rows.tolist()), low[rows].astype(np.int32)
    own = replace(pred, items=items, groups=groups, truth=truth)
    keys = {"mean": mean, "max": highest, "vote": votes}
    return Listings(
        by_rule={rule: replace(own, scores=_places(keys[rule][rows], mean[rows])) for rule in RULES},
        left_out=m - len(rows),
        several=int((photos[rows] > 1).sum()),
        photos=int(photos[rows].sum()),
    )


def _places(key: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """Return (m, k) float32: in each row k where the key is highest, down to 1; equals by the tie's value."""
    m, k = key.shape
    earlier = np.broadcast_to(-np.arange(k), (m, k))
    places = np.empty((m, k), np.float32)
    np.put_along_axis(
        places, np.lexsort((earlier, tie, key), axis=1), np.arange(1, k + 1, dtype=np.float32), 1
    )
    return places


def listing_table(pred: Predictions, listings: Sequence[str], title: str, what: str = "listing") -> Table:
    """Return a row for the photos and one for the listings under each rule, with intervals.

    Groups are resampled, listings where there are no groups. what: noun for a listing. Raises BenchError
    where there is no listing whose photos agree, and as `listing_level` does.
    """
    found = listing_level(pred, listings)
    if not next(iter(found.by_rule.values())).items:
        raise BenchError(f"no {what} has photos of one class alone: nothing can be scored")
    alone = pred if pred.groups is not None else replace(pred, groups=tuple(listings))
    rows = [_row("photo", "", alone), *(_row(what, rule, own) for rule, own in found.by_rule.items())]
    columns = (
        Column("of", "of each"),
        Column("rule", "rule"),
        Column("items", "items", "int"),
        Column("top1", "top-1", "ratio"),
        Column("top1_low", "low", "ratio"),
        Column("top1_high", "high", "ratio"),
        Column("f1", "F1 macro", "ratio"),
        Column("f1_low", "low", "ratio"),
        Column("f1_high", "high", "ratio"),
    )
    total = len(next(iter(found.by_rule.values())).items)
    notes = [
        f"{found.several} of {total} {what}s have several photos; {found.photos / total:.1f} on average.",
        "mean: of the log-probabilities; max: the highest probability of any photo; vote: what most photos "
        "are answered with. Equals go by the mean.",
        f"low, high: 95% of the bootstrap over {'groups' if pred.groups is not None else f'{what}s'}.",
    ]
    if found.left_out:
        notes.insert(1, f"{found.left_out} {what}s are left out: their photos are of different classes.")
    return Table(title, columns, rows, notes)


def _row(what: str, rule: str, pred: Predictions) -> dict[str, Any]:
    overall, drawn = summary(pred), own_intervals("multiclass", pred, METRICS.values())
    row: dict[str, Any] = {"of": what, "rule": rule, "items": len(pred.items)}
    for column, metric in METRICS.items():
        ends = drawn[metric]
        row |= {column: overall[metric], f"{column}_low": ends.low, f"{column}_high": ends.high}
    return row
