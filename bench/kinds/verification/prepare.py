"""Preparation of a frozen cell before any epoch: photos, pairs, the fitted space."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench.backbones.inputs import Inputs
from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.kinds.verification.arrays import Fold, PairArrays
from bench.kinds.verification.match import TRAINED, MatchShape, Scorer, match_of
from bench.kinds.verification.similarity.joint_bayes import from_pairs, from_people, in_parts, ratio_of
from bench.kinds.verification.similarity.matcher import Matcher
from bench.kinds.verification.similarity.mining import mined_pairs
from bench.kinds.verification.similarity.scoring import Cosine, Euclidean, LikelihoodRatio, Manhattan, Rule
from bench.kinds.verification.similarity.transforms import (
    FeatureSpace,
    Fitter,
    asks_for_dims,
    at_dims,
    digest,
    most_dims,
    parts_of,
)
from bench.training.fits import Trained
from bench.training.validation_scores import auc

AUTO_DIMS = (32, 64, 128, 256)
"""Numbers of axes that dims=auto tries."""

USUAL_DIMS = 128
"""Largest number of axes of dims=auto without validation pairs."""

BLOCK = 2048
"""Pairs scored at a time."""

PLAIN: dict[str, Rule] = {"cosine": Cosine(), "euclidean": Euclidean(), "manhattan": Manhattan()}
"""Rules without training."""


@dataclass(frozen=True, eq=False)
class Work:
    """A cell, one of its folds, what its method says, what it trains on, and its space.

    first: the training that a refit repeats, or None. rows: rising positions of the photos that it may learn
    from. train: the pairs it trains on, mined ones included. key: the same for those whose space is the same.
    choices: what was chosen on validation pairs.
    """

    cell: Cell
    fold: Fold
    first: Trained | None
    shape: MatchShape
    rows: np.ndarray
    train: PairArrays
    space: FeatureSpace
    key: Hashable = ()
    choices: Mapping[str, float] = field(default_factory=dict)

    @property
    def mined(self) -> int:
        """Number of mined training pairs."""
        return len(self.train) - len(self.fold.train)


class Preparer:
    """Reads features and fits what needs no epochs. person: who is on each photo; safe for several threads.

    Only methods with supervision `identities` use person. Unsupervised parts are fitted on the photos of the
    training pairs (of all training people, for a method that uses identities). dims=auto is chosen
    by the ROC area of validation pairs; of a method that trains for epochs, by that of their cosines in its
    space.
    """

    def __init__(self, inputs: Inputs, person: Sequence[str]) -> None:
        self.inputs, self.person = inputs, person
        self.fitter = Fitter(self.features, self.widths)

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the parts of a joined backbone's features, or the one width there is."""
        widths: Sequence[int] = getattr(self.inputs, "widths", (self.inputs.features.shape[1],))
        return tuple(widths)

    def features(self, rows: np.ndarray) -> np.ndarray:
        """Return (m, d) float32 features of these photos."""
        return np.asarray(self.inputs.features[rows], np.float32)

    def people(self, rows: np.ndarray) -> np.ndarray:
        """Return (m,) int64, who is on these photos, numbered from 0 without a gap."""
        names = np.array([self.person[row] for row in rows.tolist()], dtype=str)
        return np.unique(names, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def work(self, cell: Cell, fold: Fold, first: Trained | None = None) -> Work:
        """Fit the space of a cell, choose what it leaves open, and mine the pairs that it asks for.

        Raises BenchError where there are too few photos or pairs for it.
        """
        shape, pairs = match_of(cell.method), fold.train
        rows = np.unique(np.concatenate([pairs.first, pairs.second]))
        if shape.supervision == "identities":
            rows = fold.train_rows
        if not has_both(pairs):
            missing = "two people" if pairs.same.any() else "one person"
            raise BenchError(f"no training pair is of {missing}: nothing can be learned, nor a cut be chosen")
        work = Work(cell, fold, first, shape, rows, pairs, FeatureSpace((), self.widths))
        candidates = self._candidates(work)
        steps = shape.space
        tried = [steps if dims is None else at_dims(steps, dims) for dims in candidates]
        spaces = self.fitter.fit(tried, rows)
        best = int(np.argmax([self._judged(work, space) for space in spaces])) if len(spaces) > 1 else 0
        dims, space = candidates[best], spaces[best]
        work = replace(
            work,
            space=space,
            key=(shape.space, dims, digest(rows) if shape.space else b""),
            choices={} if dims is None else {"dims": float(dims)},
        )
        if shape.mining is None:
            return work
        likeness = self.scorer(Matcher(space, PLAIN["cosine"]))
        return replace(work, train=pairs + mined_pairs(shape.mining, self.person, rows, likeness, cell.seed))

    def rule(self, work: Work, space: FeatureSpace) -> Rule:
        """Return the rule that compares photos in this space, for a method without epochs."""
        match = work.shape.match
        if match.name != "joint_bayes":
            return PLAIN[match.name]
        rows = space(self.features(work.rows))
        mean = rows.mean(axis=0, dtype=np.float64)
        rows = rows - mean
        widths = space.widths if match["parts"] == "each" else (rows.shape[1],)
        found = []
        for part in parts_of(widths):
            own = rows[:, part]
            if match["by"] == "pairs":
                same = work.train.take(work.train.same)
                one, other = (np.searchsorted(work.rows, side) for side in (same.first, same.second))
                found.append(ratio_of(from_pairs(own, own[one], own[other])))
            else:
                rounds = int(str(match["rounds"]))
                found.append(ratio_of(from_people(own, self.people(work.rows), rounds)))
        return LikelihoodRatio(mean, in_parts(found))

    def scorer(self, matcher: Matcher) -> Scorer:
        """Return the function that scores pairs of photos at given positions."""

        def score(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            rows, at = np.unique(np.concatenate([first, second]), return_inverse=True)
            photos, at = matcher.space(self.features(rows)), at.reshape(2, -1)
            out = np.empty(len(first), np.float32)
            for start in range(0, len(first), BLOCK):
                part = slice(start, start + BLOCK)
                out[part] = matcher.rule(photos[at[0, part]], photos[at[1, part]])
            return out

        return score

    def _candidates(self, work: Work) -> list[int | None]:
        """Return the numbers of axes that are to be tried: None for those that the steps say themselves."""
        steps = work.shape.space
        if not asks_for_dims(steps):
            return [None]
        if work.first is not None and "dims" in work.first.choices:
            return [int(work.first.choices["dims"])]
        most = most_dims(steps, len(work.rows), self.widths)
        if most < 1:
            raise BenchError(f"{len(work.rows)} training photos give no axes; at least two are needed")
        possible = [dims for dims in AUTO_DIMS if dims <= most] or [most]
        if has_both(work.fold.val):
            return list(possible)
        return [max(dims for dims in possible if dims <= max(USUAL_DIMS, possible[0]))]

    def _judged(self, work: Work, space: FeatureSpace) -> float:
        """Return the ROC area of validation pairs, by what compares, or by cosine where that is trained."""
        val = work.fold.val
        rule = PLAIN["cosine"] if work.shape.match.name in TRAINED else self.rule(work, space)
        scores = self.scorer(Matcher(space, rule))(val.first, val.second)
        return auc(scores[:, None], val.same.astype(np.float32)[:, None])


def has_both(pairs: PairArrays) -> bool:
    """Return whether there are pairs of one person and of two."""
    return bool(pairs.same.any() and not pairs.same.all())


def placed(pairs: PairArrays, rows: np.ndarray) -> PairArrays:
    """Return pairs of positions as pairs of places among these rising positions."""
    return PairArrays(np.searchsorted(rows, pairs.first), np.searchsorted(rows, pairs.second), pairs.same)
