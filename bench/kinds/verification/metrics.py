"""Metrics of pairs of photos, each of one person or of two: pure functions from `Predictions` to numbers.

A pair is answered with "same" if its score reaches its cut, which was chosen on the training pairs of the
pair's fold. A same pair answered with "different" is a false reject, a different one answered with "same" a
false accept. What is undefined is None (NaN inside arrays), by these rules:

- Accuracy and ROC area are means over folds, as the mean accuracy of Labeled Faces in the Wild is (Huang et
  al. 2007, University of Massachusetts, technical report 07-49): scores of two folds come from two trainings.
  The area needs both truths in a fold; a fold without is not in the mean. The standard error over folds, the
  standard deviation of their accuracies by the root of their number, needs two folds.
- The equal error rate and the rates of true accepts (TAR) at rates of false accepts (FAR) are read off one
  curve over all folds' scores, as that data set's are drawn: one fold has too few different pairs to say what
  a thousandth of them is. A FAR at which not even one different pair may be accepted is no FAR that was
  measured: the TAR there is undefined.
- Precision, recall and F1 of "same" are of all pairs, each answered by its fold's cut. Precision is undefined
  where nothing is answered with "same", recall where nothing is, F1 where neither.

`summary` and `weighted_summary` read the same sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.core.predictions import PairFacts, Predictions
from bench.metrics import curves as on_curves
from bench.metrics.bootstrap_areas import resampled_areas
from bench.metrics.curves import areas
from bench.metrics.means import mean, plain, ratio
from bench.metrics.rank_sums import attribute_areas
from bench.metrics.registry import FALSE_ACCEPTS, metrics_of

MANY = 64
"""Number of weightings from which areas are computed for all at once, in single precision."""

BLOCK = 1 << 18
"""Weights summed at a time: what fits into a core's cache."""


def facts(pred: Predictions) -> PairFacts:
    """Return the facts of the pairs. Raises ValueError if the parts of the predictions do not fit."""
    n, pairs = len(pred.items), pred.pairs
    if pairs is None or (n and pred.groups is None):
        raise ValueError("these predictions are not of pairs: they name no partners or no people")
    groups = pred.groups or ()
    sizes = {"groups": len(groups), "partners": len(pairs.partners), "photos": len(pairs.photos)}
    shapes = {"scores": pred.scores.shape, "truth": pred.truth.shape, "folds": pairs.folds.shape}
    shapes |= {"cuts": pairs.cuts.shape} | {name: (size,) for name, size in sizes.items()}
    for name, shape in shapes.items():
        if shape != ((n, 1) if name == "scores" else (n,)):
            raise ValueError(f"{n} pairs, but {name} has shape {shape}")
    if n and (pred.truth.min() < 0 or pred.truth.max() > 1):
        raise ValueError(
            f"truth holds {pred.truth.min()}..{pred.truth.max()}, not 1 for same or 0 for different"
        )
    for what, numbers in (("score", pred.scores[:, 0]), ("cut", pairs.cuts)):
        missing = np.flatnonzero(np.isnan(numbers))
        if len(missing):
            raise ValueError(f"the {what} of pair {pred.items[missing[0]]!r} is NaN")
    for item, a, b, same in zip(pred.items, groups, pairs.partners, pred.truth.tolist(), strict=True):
        if (a == b) != bool(same):
            raise ValueError(f"pair {item!r} shows {a!r} and {b!r}, which its truth {same} denies")
    return pairs


def answers(pred: Predictions) -> np.ndarray:
    """Return which pairs are answered with "same", (n,) bool."""
    predicted: np.ndarray = pred.scores[:, 0] >= facts(pred).cuts
    return predicted


def thresholds(pred: Predictions) -> np.ndarray:
    """Return the score from which on each pair is answered with "same", (n, 1) float64."""
    return np.asarray(facts(pred).cuts, np.float64)[:, None]


def decisions(pred: Predictions) -> np.ndarray:
    """Return which pairs are answered with "same", (n, 1) bool."""
    return answers(pred)[:, None]


def best_cut(scores: np.ndarray, same: np.ndarray) -> float:
    """Return the score from which on "same" is answered, by which most of these pairs are answered right.

    scores: (m,), taken in single precision, as they are stored. same: (m,) bool. The cut stands midway
    between two neighbouring scores; of cuts that are equally good, the middle one, of two middle ones the
    lower. Where "same" for all pairs is best, the cut is the lowest score; where "different" is, the next
    number above the highest. Raises ValueError without pairs and for a score that is not finite.
    """
    own = np.asarray(scores, np.float32)
    if not len(own) or not np.isfinite(own).all():
        raise ValueError("a cut needs pairs, all of them with a finite score")
    order = np.argsort(own, kind="stable")
    own, yes = own[order], np.asarray(same, bool)[order]
    starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]]))
    # With a cut below place i, the different pairs before it and the same pairs from it on are right.
    right = np.concatenate([[0], np.cumsum(~yes)]) + yes.sum() - np.concatenate([[0], np.cumsum(yes)])
    places = np.append(starts, len(own))
    best = places[right[places] == right[places].max()]
    place = int(best[(len(best) - 1) // 2])
    if place == 0:
        return float(own[0])
    if place == len(own):
        return float(np.nextafter(own[-1], np.float32(np.inf)))
    below, above = own[place - 1], own[place]
    middle = np.float32((float(below) + float(above)) / 2)
    # Between two neighbours in single precision is nothing.
    return float(middle if middle > below else above)


def summary(pred: Predictions) -> dict[str, float | None]:
    """Return every metric registered for pairs and five counts, None where undefined.

    The counts are `n` (pairs), `positives` (same), `negatives` (different), `people` (on them) and `folds`.
    Raises ValueError if the parts of the predictions do not fit.
    """
    pairs = facts(pred)
    ones = np.ones((1, len(pred.items)), np.int64)
    values: dict[str, float | None] = {
        name: plain(drawn[0]) for name, drawn in weighted_summary(pred, ones).items()
    }
    positives = int(pred.truth.sum())
    return {name: values[name] for name in metrics_of("verification")} | {
        "n": len(pred.items),
        "positives": positives,
        "negatives": len(pred.items) - positives,
        "people": len({*(pred.groups or ()), *pairs.partners}),
        "folds": len(np.unique(pairs.folds)),
    }


def weighted_summary(pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return all metrics under many weightings of the pairs.

    weights: (draws, n), not negative; how often each pair is there. Row d gives what `summary` gives of
    predictions in which pair i stands weights[d, i] times. Each value is (draws,) float64, NaN where
    undefined; areas of MANY draws are right to six digits. Raises ValueError if the weights do not fit.
    """
    pairs, predicted, yes = facts(pred), answers(pred), pred.truth == 1
    if weights.ndim != 2 or weights.shape[1] != len(yes):
        raise ValueError(f"weights are {weights.shape}, but there are {len(yes)} pairs")
    inside = pairs.folds[:, None] == np.unique(pairs.folds)
    cells = np.hstack(
        [inside, inside & (predicted == yes)[:, None], np.stack([yes, predicted, yes & predicted], axis=1)]
    )
    sums = weights.astype(np.float64) @ cells.astype(np.float64)
    k = inside.shape[1]
    seen, right, (same, accepted, hits) = sums[:, :k], sums[:, k : 2 * k], sums[:, 2 * k :].T
    accuracies = ratio(right, seen)
    find = areas if len(weights) < MANY else resampled_areas
    scores = np.broadcast_to(pred.scores, inside.shape)
    auc = find(scores, np.where(inside, yes[:, None], -1), weights)[0]
    return {
        "accuracy": mean(accuracies, seen > 0),
        "accuracy_fold_se": _standard_error(accuracies),
        "auc": mean(auc, ~np.isnan(auc)),
        **_points(pred.scores[:, 0], yes, weights),
        "precision": ratio(hits, accepted),
        "recall": ratio(hits, same),
        "f1": ratio(2 * hits, same + accepted),
        "fmr": ratio(accepted - hits, weights.sum(axis=1) - same),
        "fnmr": ratio(same - hits, same),
    }


def means(
    scores: np.ndarray, truth: np.ndarray, folds: np.ndarray, cuts: np.ndarray
) -> dict[str, np.ndarray]:
    """Return, by metric, (n,) numbers whose mean is `accuracy` or `auc`; without one that is undefined.

    scores, truth, folds, cuts: (n,). Weighted by how often a resample has a pair, the mean of the numbers is
    to first order the metric of the resample; see `bench.metrics.rank_sums`.
    """
    inside = folds[:, None] == np.unique(folds)
    areas_of = attribute_areas(
        np.broadcast_to(scores[:, None], inside.shape),
        np.where(inside, truth[:, None], -1),
        {"auc": np.ones(inside.shape[1], bool)},
    )
    if not len(truth):
        return areas_of
    right = (scores >= cuts) == (truth == 1)
    sizes = inside.sum(axis=0)
    accuracies = (inside & right[:, None]).sum(axis=0) / sizes
    gaps = np.where(inside, right[:, None] - accuracies, 0.0) / sizes
    return {"accuracy": accuracies.mean() + len(truth) * gaps.mean(axis=1), **areas_of}


def _standard_error(values: np.ndarray) -> np.ndarray:
    """Return the standard error of the mean over columns, (draws,), NaN with fewer than two defined."""
    known = ~np.isnan(values)
    count = known.sum(axis=1).astype(np.float64)
    gaps = np.where(known, values - mean(values, known)[:, None], 0.0)
    error: np.ndarray = np.sqrt(ratio((gaps**2).sum(axis=1), count * (count - 1)))
    return error


def _points(scores: np.ndarray, yes: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return values read off the ROC curve of all pairs, (draws,) each: `eer`, and the TAR of FALSE_ACCEPTS.

    scores, yes: (n,). The equal error rate is where the curve, its points joined by straight lines, has as
    high a share of false accepts as of false rejects. A TAR is that of the last point whose FAR is not above
    the one asked for.
    """
    out = {name: np.full(len(weights), np.nan) for name in ("eer", *FALSE_ACCEPTS)}
    order = np.argsort(-scores, kind="stable")
    own, is_yes = scores[order], yes[order]
    # Equal scores are one step; before the first nothing is accepted.
    ends = np.append(np.flatnonzero(own[1:] != own[:-1]), len(own) - 1) if len(own) else np.arange(0)
    sides = []
    for chosen in (is_yes, ~is_yes):
        upto = np.concatenate([[0], np.cumsum(chosen)[ends]])
        sides.append((order[chosen], upto))
    size = max(8, BLOCK // max(len(own), 1))
    for first in range(0, len(weights) if len(own) else 0, size):
        drawn = slice(first, first + size)
        part = np.ascontiguousarray(weights[drawn].T, dtype=np.float64)
        curve = []
        for rows, upto in sides:
            sums = np.zeros((len(rows) + 1, part.shape[1]))
            np.cumsum(part[rows], axis=0, out=sums[1:])
            curve.append((sums, upto))
        for name, values in _read_off(*curve).items():
            out[name][drawn] = values
    return out


Sums = tuple[np.ndarray, np.ndarray]
"""(m + 1, draws) sums over the first pairs of a side, and (steps + 1,) how many of them each step accepts."""


def _read_off(accepts: Sums, false: Sums) -> dict[str, np.ndarray]:
    """Return the numbers of `_points` of one block. accepts, false: of same pairs, of different ones."""
    columns, steps = np.arange(accepts[0].shape[1]), len(accepts[1])
    positives, negatives = accepts[0][-1], false[0][-1]

    def at(side: Sums, step: np.ndarray) -> np.ndarray:
        sums, upto = side
        out: np.ndarray = sums[upto[step], columns]
        return out

    tar = {}
    for name, of in FALSE_ACCEPTS.items():
        allowed = negatives / of
        last = _last(lambda step: at(false, step) <= allowed, steps, len(columns))  # noqa: B023
        tar[name] = np.where(negatives >= of, ratio(at(accepts, last), positives), np.nan)

    def gap(step: np.ndarray) -> np.ndarray:
        """False accepts less false rejects, as shares: from -1 to 1 along the curve."""
        out: np.ndarray = ratio(at(false, step), negatives) + ratio(at(accepts, step), positives)
        return out - 1

    before = _last(lambda step: gap(step) < 0, steps, len(columns))
    after = np.minimum(before + 1, steps - 1)
    way = ratio(-gap(before), gap(after) - gap(before))
    low, high = (ratio(at(false, step), negatives) for step in (before, after))
    return {"eer": low + way * (high - low), **tar}


def _last(holds: Callable[[np.ndarray], np.ndarray], steps: int, draws: int) -> np.ndarray:
    """Return the last step, (draws,), for which something holds that holds at first and, once not, never."""
    low, high = np.zeros(draws, np.int64), np.full(draws, steps, np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        yes = holds(middle)
        low, high = np.where(yes, middle, low), np.where(yes, high, middle)
    return low


def per_class(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return a row for each person on the pairs, those with most wrong answers first, None where undefined.

    Keys: class (who), test_support (pairs with this person), same, different (of those), accuracy, errors,
    false_accepts, false_rejects, confused_with (who was most surely mistaken for this person, by how far the
    score lies above the cut; "" where nobody was). A different pair is in the rows of both people.
    """
    pairs, predicted, yes = facts(pred), answers(pred), pred.truth == 1
    margin = pred.scores[:, 0].astype(np.float64) - pairs.cuts
    rows: dict[str, dict[str, Any]] = {}
    worst: dict[str, float] = {}
    people = zip(pred.groups or (), pairs.partners, strict=True)
    for place, (a, b) in enumerate(people):
        for who, other in {a: b, b: a}.items():
            row = rows.setdefault(who, dict.fromkeys(_COUNTED, 0) | {"confused_with": ""})
            row["same" if yes[place] else "different"] += 1
            if predicted[place] == yes[place]:
                continue
            row["false_rejects" if yes[place] else "false_accepts"] += 1
            if not yes[place] and margin[place] > worst.get(who, -np.inf):
                worst[who], row["confused_with"] = float(margin[place]), other
    out = []
    for who, row in rows.items():
        support, errors = row["same"] + row["different"], row["false_accepts"] + row["false_rejects"]
        out.append(
            {
                "class": who,
                "test_support": support,
                "same": row["same"],
                "different": row["different"],
                "accuracy": (support - errors) / support,
                "errors": errors,
                "false_accepts": row["false_accepts"],
                "false_rejects": row["false_rejects"],
                "confused_with": row["confused_with"],
            }
        )
    return tuple(sorted(out, key=lambda row: (-row["errors"], -row["test_support"], row["class"])))


_COUNTED = ("same", "different", "false_accepts", "false_rejects")


def constant(pred: Predictions) -> Predictions:
    """Return the trivial answer on the same pairs: the majority truth of training pairs.

    Where as many are same as different, or none is known, "same".
    """
    pairs, known = facts(pred), 0 if pred.known is None else int(pred.known.sum())
    same = 2 * int(pred.train_support.sum()) >= known
    cuts = np.full(len(pred.items), 0.0 if same else 1.0, np.float32)
    return replace(pred, scores=np.zeros((len(pred.items), 1), np.float32), pairs=replace(pairs, cuts=cuts))


def trivials(pred: Predictions) -> dict[str, Predictions]:
    """Return the trivial answer, see `constant`."""
    return {"constant": constant(pred)}


def curves(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return the ROC curve of all pairs, see `bench.metrics.curves.curves`."""
    found = on_curves.curves(replace(pred, truth=pred.truth[:, None]))
    return tuple(row for row in found if row["curve"] == "roc")
