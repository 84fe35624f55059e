"""Frozen regime of pairs: all methods of a job side by side, on one backbone's features or on pixels."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from bench.backbones.inputs import Inputs
from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.core.progress import Progress
from bench.data.augmentation import Recipe
from bench.data.pixels import Pixels
from bench.kinds.verification.arrays import PairArrays
from bench.kinds.verification.match import ON_PAIRS, ON_PIXELS, TRAINED, MatchShape, match_of
from bench.kinds.verification.orders import Matched, PairOrder
from bench.kinds.verification.prepare import PLAIN, Preparer, Scorer, Work, placed
from bench.kinds.verification.similarity.embeddings import EmbeddingFit, train_embeddings
from bench.kinds.verification.similarity.matcher import Matcher, PhotoMatcher, to_arrays
from bench.kinds.verification.similarity.pair_heads import PairFit, PairTable, train_pair_heads
from bench.kinds.verification.similarity.pixels import PhotoScores
from bench.kinds.verification.similarity.transforms import Affine, FeatureSpace, digest, standardised
from bench.runs.orders import train_setting
from bench.training.fits import Trained
from bench.training.loop import core_count
from bench.training.weight_decay import decay_path

BUDGET = 512 * 2**20
"""Bytes of photos' features from which on pending embeddings are trained before more is read."""


@dataclass(frozen=True, eq=False)
class FrozenMatched:
    """A trained method on a job's features. See `Matched`."""

    trained: Trained
    matcher: Matcher | PhotoMatcher
    scorer: Scorer
    found: Mapping[str, object]
    choices: Mapping[str, float] = field(default_factory=dict)

    def score(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32 scores of the pairs of photos at these positions."""
        with threadpool_limits(1, "blas"):
            return self.scorer(first, second)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the matcher as arrays (`bench.kinds.verification.similarity.matcher.from_arrays`)."""
        return to_arrays(self.matcher)


class FrozenPairs:
    """Trains orders on one backbone's features. See `PairsTrainer`; `Preparer` says what is fitted on what.

    person: who is on each photo. pixels: for the methods that compare photos themselves.
    """

    def __init__(
        self,
        inputs: Inputs,
        person: Sequence[str],
        setting: Mapping[str, Value],
        progress: Progress,
        pixels: Pixels | None = None,
    ) -> None:
        self.inputs, self.setting, self.progress, self.pixels = inputs, setting, progress, pixels
        self.preparer = Preparer(inputs, person)
        self.photo_scores: dict[str, PhotoScores] = {}

    def following(self, setting: Mapping[str, Value]) -> FrozenPairs:
        """Return the trainer with another protocol; what was read and fitted is shared."""
        other = copy(self)
        other.setting = setting
        return other

    def fit(self, orders: Sequence[PairOrder]) -> Iterator[Matched | str]:
        """Train all orders, then yield the result of each."""
        # Loaded before threads are limited: what comes later brings threads of its own.
        import scipy.linalg  # noqa: F401
        import sklearn.decomposition  # noqa: F401

        answers: dict[int, Matched | str] = {}
        works: dict[int, Work] = {}
        # On one thread each, as elsewhere: several that share the cores wait for one another.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(core_count()) as pool:
            for place, made in enumerate(pool.map(self._begun, orders)):
                if isinstance(made, Work):
                    works[place] = made
                else:
                    answers[place] = made
                self.progress(place + 1, len(orders), "fitting what pairs are compared in")
        on_pairs = {place: work for place, work in works.items() if work.shape.match.name in ON_PAIRS}
        answers |= self._with_heads(on_pairs)
        answers |= self._with_embeddings(
            {place: work for place, work in works.items() if place not in on_pairs}
        )
        for place in range(len(orders)):
            yield answers.pop(place)

    def _begun(self, order: PairOrder) -> FrozenMatched | Work | str:
        """Return a match trained without epochs, or one ready for epochs, or why there is neither."""
        shape = match_of(order.method)
        try:
            if shape.match.name in ON_PIXELS:
                return self._photo_matched(shape)
            work = self.preparer.work(order)
            if shape.match.name in TRAINED:
                return work
            rule = self.preparer.rule(work, work.space)
            return self._matched(work, Trained(None, 0), Matcher(work.space, rule))
        except BenchError as error:
            return str(error)

    def _photo_matched(self, shape: MatchShape) -> FrozenMatched:
        name = shape.match.name
        if self.pixels is None:
            raise BenchError(f"{name} compares pixels, and there are features alone")
        scores = self.photo_scores.setdefault(name, PhotoScores(name, self.pixels.read))
        return FrozenMatched(Trained(None, 0), PhotoMatcher(name), scores, {"supervision": "none"})

    def _with_heads(self, works: Mapping[int, Work]) -> dict[int, Matched | str]:
        """Train heads on pairs, those that share their features of pairs in one cohort."""
        answers: dict[int, Matched | str] = {}
        groups: dict[Hashable, list[int]] = {}
        for place, work in works.items():
            every = work.order.fold.all_train
            key = (work.key, digest(every.first), digest(every.second), work.shape.augment)
            groups.setdefault(key, []).append(place)
        for group in groups.values():
            every = works[group[0]].order.fold.all_train
            tables, rows = self._tables(works[group[0]], every, *(works[place].train for place in group))
            table = PairTable(tables, bool(self.setting["standardize"]), placed(every, rows))
            specs = [self._pair_fit(works[place], rows) for place in group]
            trained = train_pair_heads(table, specs, train_setting(self.setting), self.progress)
            for place, (outcome, rule) in zip(group, trained, strict=True):
                work = works[place]
                if rule is None:
                    answers[place] = outcome.failed or "training failed"
                else:
                    answers[place] = self._matched(work, outcome, Matcher(work.space, rule))
        return answers

    def _with_embeddings(self, works: Mapping[int, Work]) -> dict[int, Matched | str]:
        """Train embeddings side by side, as many at a time as there is room for their photos."""
        answers: dict[int, Matched | str] = {}
        groups: dict[Hashable, list[int]] = {}
        for place, work in works.items():
            arrays = (work.rows, work.train.first, work.train.second, work.val.first)
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
                    answers[place] = str(error)
            if held > BUDGET or number == len(groups):
                answers |= self._embedded(works, specs, spaces)
                specs, spaces, held = {}, {}, 0
        return answers

    def _embedded(
        self, works: Mapping[int, Work], specs: Mapping[int, EmbeddingFit], spaces: Mapping[int, FeatureSpace]
    ) -> dict[int, Matched | str]:
        answers: dict[int, Matched | str] = {}
        trained = train_embeddings(list(specs.values()), train_setting(self.setting), self.progress)
        for place, outcome in zip(specs, trained, strict=True):
            if outcome.head is None:
                answers[place] = outcome.failed or "training failed"
                continue
            kernel = outcome.head.kernel
            space = spaces[place].then(Affine((np.zeros(len(kernel), np.float32),), (kernel,)))
            answers[place] = self._matched(works[place], outcome, Matcher(space, PLAIN["cosine"]))
        return answers

    def _embedding_tables(self, work: Work) -> tuple[Sequence[np.ndarray], np.ndarray, FeatureSpace]:
        """Return the photos of an order in its space, and views of them, their positions, and the space.

        Where no step says what the space is, features are standardised over the training photos.
        """
        tables, rows = self._tables(work, work.train, work.val, more=work.rows)
        space = work.space
        if self.setting["standardize"] and not space.maps:
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

    def _pair_fit(self, work: Work, rows: np.ndarray) -> PairFit:
        units = int(str(work.shape.match["units"])) if work.shape.match.name == "siamese" else 0
        return PairFit(
            placed(work.train, rows),
            placed(work.val, rows),
            units,
            work.order.seed,
            self._epochs(work.order, len(work.train)),
            self._stop_by(),
            work.order.rates,
            _together(work.shape),
            decay_path(self.setting, len(work.val) > 0, units > 0),
            work.order.decays,
        )

    def _embedding_fit(self, work: Work, tables: Sequence[np.ndarray], rows: np.ndarray) -> EmbeddingFit:
        on_pairs = work.shape.match.name == "contrastive"
        return EmbeddingFit(
            work.shape.match,
            tables,
            placed(work.train, rows),
            np.searchsorted(rows, work.rows),
            self._taught(work),
            placed(work.val, rows),
            work.order.seed,
            self._epochs(work.order, len(work.train if on_pairs else work.rows)),
            self._stop_by(),
            work.order.rates,
            _together(work.shape),
            decay_path(self.setting, len(work.val) > 0),
            work.order.decays,
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

    def _matched(self, work: Work, trained: Trained, matcher: Matcher) -> FrozenMatched:
        found: dict[str, object] = {"supervision": work.shape.supervision}
        if work.shape.mining is not None:
            found["mined_pairs"] = work.mined
        return FrozenMatched(trained, matcher, self.preparer.scorer(matcher), found, work.choices or {})

    def _epochs(self, order: PairOrder, count: int) -> int:
        """Return how many epochs an order with so many pairs, or photos, trains for at most."""
        if order.epochs is not None:
            return order.epochs
        if self.setting["steps"]:
            batches = math.ceil(count / int(self.setting["batch_size"] or 1))
            return math.ceil(int(self.setting["steps"]) / max(batches, 1))
        return int(self.setting["epochs"] or 0)

    def _stop_by(self) -> str:
        stop_by = str(self.setting["stop_by"]).removeprefix("val_")
        return "auc" if stop_by == "auto" else stop_by


def _together(shape: MatchShape) -> bool:
    return shape.augment is None or shape.augment["mode"] == "same"
