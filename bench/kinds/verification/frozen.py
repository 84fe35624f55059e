"""Frozen regime of pairs: all methods of a job side by side, on one backbone's features or on pixels."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from bench.backbones.inputs import Inputs
from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.core.progress import Progress
from bench.data.augmentation import Recipe
from bench.data.pixels import Pixels
from bench.kinds.verification.arrays import Fold, PairArrays
from bench.kinds.verification.match import ON_PAIRS, ON_PIXELS, TRAINED, Match, MatchShape, Scorer, match_of
from bench.kinds.verification.prepare import PLAIN, Preparer, Work, placed
from bench.kinds.verification.similarity.embeddings import EmbeddingFit, train_embeddings
from bench.kinds.verification.similarity.matcher import Matcher, PhotoMatcher, to_arrays
from bench.kinds.verification.similarity.pair_heads import PairTable, train_pair_heads
from bench.kinds.verification.similarity.pixels import PhotoScores
from bench.kinds.verification.similarity.transforms import Affine, FeatureSpace, digest, standardised
from bench.runs.fits import epochs_of, stop_by, train_setting
from bench.training.fits import Fit, Trained
from bench.training.linear_head import LossSpec
from bench.training.loop import core_count
from bench.training.schedule import decay_path

Outcome = tuple[Trained, Match | None]
"""A training and its match, None if it failed."""

BUDGET = 512 * 2**20
"""Bytes of photos' features from which on pending embeddings are trained before more is read."""


class FrozenPairs:
    """Trains cells on one backbone's features. `Preparer` says what is fitted on what.

    person: who is on each photo. pixels: for the methods that compare photos themselves.
    """

    def __init__(
        self, inputs: Inputs, person: Sequence[str], progress: Progress, pixels: Pixels | None = None
    ) -> None:
        self.inputs, self.progress, self.pixels = inputs, progress, pixels
        self.preparer = Preparer(inputs, person)
        self.photo_scores: dict[str, PhotoScores] = {}

    def fit(
        self, work: Sequence[tuple[Cell, Fold]], first: Sequence[Trained] = ()
    ) -> Iterator[tuple[Trained, Match | None]]:
        """Train all cells on their folds, then yield the result of each."""
        # Loaded before threads are limited: what comes later brings threads of its own.
        import scipy.linalg  # noqa: F401
        import sklearn.decomposition  # noqa: F401

        answers: dict[int, Outcome] = {}
        # By protocol: cells that differ in it are not trained side by side.
        works: dict[Hashable, dict[int, Work]] = {}
        # On one thread each, as elsewhere: several that share the cores wait for one another.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(core_count()) as pool:
            repeated: Sequence[Trained | None] = first or [None] * len(work)
            cells, folds = [cell for cell, _ in work], [fold for _, fold in work]
            begun = pool.map(self._begun, cells, folds, repeated)
            for place, made in enumerate(begun):
                if isinstance(made, Work):
                    works.setdefault(made.cell.protocol, {})[place] = made
                else:
                    answers[place] = made
                self.progress(place + 1, len(work), "fitting what pairs are compared in")
        for alike in works.values():
            on_pairs = {place: one for place, one in alike.items() if one.shape.match.name in ON_PAIRS}
            answers |= self._with_heads(on_pairs)
            rest = {place: one for place, one in alike.items() if place not in on_pairs}
            answers |= self._with_embeddings(rest)
        for place in range(len(work)):
            yield answers.pop(place)

    def _begun(self, cell: Cell, fold: Fold, first: Trained | None) -> Outcome | Work:
        """Return a match trained without epochs, or one ready for epochs, or why there is neither."""
        shape = match_of(cell.method)
        try:
            if shape.match.name in ON_PIXELS:
                return Trained(None, 0), self._photo_match(shape.match.name)
            work = self.preparer.work(cell, fold, first)
            if shape.match.name in TRAINED:
                return work
            return self._matched(
                work, Trained(None, 0), Matcher(work.space, self.preparer.rule(work, work.space))
            )
        except BenchError as error:
            return Trained(None, 0, failed=str(error)), None

    def _photo_match(self, name: str) -> Match:
        if self.pixels is None:
            raise BenchError(f"{name} compares pixels, and there are features alone")
        scores = self.photo_scores.setdefault(name, PhotoScores(name, self.pixels.read))
        return _match({"supervision": "none"}, PhotoMatcher(name), scores)

    def _with_heads(self, works: Mapping[int, Work]) -> dict[int, Outcome]:
        """Train heads on pairs, those that share their features of pairs in one cohort."""
        answers: dict[int, Outcome] = {}
        groups: dict[Hashable, list[int]] = {}
        for place, work in works.items():
            every = work.fold.all_train
            key = (work.key, digest(every.first), digest(every.second), work.shape.augment)
            groups.setdefault(key, []).append(place)
        for group in groups.values():
            every = works[group[0]].fold.all_train
            tables, rows = self._tables(works[group[0]], every, *(works[place].train for place in group))
            setting = works[group[0]].cell.setting
            table = PairTable(tables, bool(setting["standardize"]), placed(every, rows))
            fits = [_pair_fit(works[place], table, rows) for place in group]
            trained = train_pair_heads(table, fits, train_setting(setting), self.progress)
            for place, (outcome, rule) in zip(group, trained, strict=True):
                matcher = None if rule is None else Matcher(works[place].space, rule)
                answers[place] = self._matched(works[place], outcome, matcher)
        return answers

    def _with_embeddings(self, works: Mapping[int, Work]) -> dict[int, Outcome]:
        """Train embeddings side by side, as many at a time as there is room for their photos."""
        answers: dict[int, Outcome] = {}
        groups: dict[Hashable, list[int]] = {}
        for place, work in works.items():
            arrays = (work.rows, work.train.first, work.train.second, work.fold.val.first)
            groups.setdefault((work.key, *map(digest, arrays), work.shape.augment), []).append(place)
        specs: dict[int, EmbeddingFit] = {}
        spaces: dict[int, FeatureSpace] = {}
        held = 0
        for number, group in enumerate(groups.values(), 1):
            tables, rows, space = self._embedding_tables(works[group[0]])
            held += sum(table.nbytes for table in tables)
            for place in group:
                try:
                    specs[place], spaces[place] = self._embedding_fit(works[place], tables, rows), space
                except BenchError as error:
                    answers[place] = Trained(None, 0, failed=str(error)), None
            if held > BUDGET or number == len(groups):
                answers |= self._embedded(works, specs, spaces)
                specs, spaces, held = {}, {}, 0
        return answers

    def _embedded(
        self, works: Mapping[int, Work], specs: Mapping[int, EmbeddingFit], spaces: Mapping[int, FeatureSpace]
    ) -> dict[int, Outcome]:
        answers: dict[int, Outcome] = {}
        setting = train_setting(next(iter(works.values())).cell.setting)
        trained = train_embeddings(list(specs.values()), setting, self.progress)
        for place, outcome in zip(specs, trained, strict=True):
            matcher = None
            if outcome.head is not None:
                kernel = outcome.head.kernel
                space = spaces[place].then(Affine((np.zeros(len(kernel), np.float32),), (kernel,)))
                matcher = Matcher(space, PLAIN["cosine"])
            answers[place] = self._matched(works[place], outcome, matcher)
        return answers

    def _embedding_tables(self, work: Work) -> tuple[Sequence[np.ndarray], np.ndarray, FeatureSpace]:
        """Return the photos of a cell in its space, and views of them, their positions, and the space.

        Where no step says what the space is, features are standardised over the training photos.
        """
        tables, rows = self._tables(work, work.train, work.fold.val, more=work.rows)
        space = work.space
        if work.cell.setting["standardize"] and not space.maps:
            scale = standardised(tables[0][np.searchsorted(rows, work.rows)])
            space, tables = space.then(scale), [scale(table) for table in tables]
        return tables, rows, space

    def _tables(
        self, work: Work, *pairs: PairArrays, more: np.ndarray | None = None
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the photos of pairs in their space, and changed views, and the photos' rising positions."""
        sides = [side for one in pairs for side in (one.first, one.second)]
        rows = np.unique(np.concatenate([*sides, *([] if more is None else [more])]))
        tables = [work.space(self.preparer.features(rows))]
        if work.shape.augment is not None:
            args = dict(work.shape.augment.args)
            shared = args["mode"] == "same"
            recipe = Recipe(str(args["recipe"]), float(str(args["strength"])), shared)
            views = self.inputs.views(recipe, int(str(args["views"])))
            tables += [work.space(np.asarray(view[rows], np.float32)) for view in views]
        return tables, rows

    def _embedding_fit(self, work: Work, tables: Sequence[np.ndarray], rows: np.ndarray) -> EmbeddingFit:
        pairs, photos, val = placed(work.train, rows), np.searchsorted(rows, work.rows), work.fold.val
        own = pairs.first if work.shape.match.name == "contrastive" else photos
        return EmbeddingFit(
            work.shape.match,
            tables,
            pairs,
            photos,
            self._taught(work),
            placed(val, rows),
            _fit(work, own, np.searchsorted(rows, val.first)),
            _together(work.shape),
        )

    def _taught(self, work: Work) -> np.ndarray:
        """Return who is on the training photos, for a match that uses it; nobody for the others."""
        name = work.shape.match.name
        if name == "contrastive":
            return np.zeros(0, np.int64)
        people = self.preparer.people(work.rows)
        counts = np.bincount(people)
        several = int((counts > 1).sum())
        if len(counts) < 2:
            raise BenchError(f"{name} tells people apart, and training has one person alone")
        if name == "triplet" and several < 2:
            raise BenchError(
                f"triplet needs two training people with two photos; {several} of {len(counts)} have them"
            )
        return people

    def _matched(self, work: Work, trained: Trained, matcher: Matcher | None) -> Outcome:
        """Return a training and its match. matcher: None if it failed."""
        if matcher is None:
            return replace(trained, failed=trained.failed or "training failed"), None
        found: dict[str, object] = {"supervision": work.shape.supervision}
        if work.shape.mining is not None:
            found["mined_pairs"] = work.mined
        return replace(trained, choices=work.choices), _match(found, matcher, self.preparer.scorer(matcher))


def _match(found: Mapping[str, object], matcher: Matcher | PhotoMatcher, scorer: Scorer) -> Match:
    def score(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        with threadpool_limits(1, "blas"):
            return scorer(first, second)

    return Match(found, score, partial(to_arrays, matcher))


def _pair_fit(work: Work, table: PairTable, rows: np.ndarray) -> Fit:
    """Return the `Fit` of a head on the table's pairs. rows: rising positions of its photos."""
    units = int(str(work.shape.match["units"])) if work.shape.match.name == "siamese" else 0
    train, views = placed(work.train, rows), None
    own = table.rows(train)
    if len(table.photos) > 1:
        views = table.views(train, _together(work.shape), work.cell.seed)
    return replace(_fit(work, own, table.rows(placed(work.fold.val, rows)), units), views=views)


def _fit(work: Work, rows: np.ndarray, val_rows: np.ndarray, units: int = 0) -> Fit:
    """Return the `Fit` of a cell on these rows."""
    setting, first = work.cell.setting, work.first
    return Fit(
        rows,
        val_rows,
        LossSpec(family="bce", link="sigmoid"),
        None,
        work.cell.seed,
        epochs_of(setting, len(rows)) if first is None else first.best_epoch,
        stop_by=stop_by(setting, "auc"),
        units=units,
        rates=() if first is None else first.rates,
        path=decay_path(setting, len(val_rows) > 0, units > 0),
        decays=() if first is None else first.decays,
    )


def _together(shape: MatchShape) -> bool:
    return shape.augment is None or shape.augment["mode"] == "same"
