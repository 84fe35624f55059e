"""Frozen pairs end to end on features made up: what is learned, what is looked at, what stays the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pytest

from bench.backbones.inputs import Inputs, PrecomputedFeatures
from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.core.protocol import AUTO, defaults
from bench.data.augmentation import Recipe
from bench.kinds.verification.arrays import Fold, PairArrays
from bench.kinds.verification.frozen import FrozenPairs
from bench.kinds.verification.match import SUPERVISION, Match, match_of
from bench.kinds.verification.sampling import make_pairs
from bench.kinds.verification.similarity.matcher import from_arrays
from bench.methods.grammar import parse_method
from bench.metrics.curves import areas
from bench.training.fits import Epoch, Trained
from bench.training.schedule import HIDDEN_PATH, PATH, decays_along
from tests.cells import cell_of

PEOPLE, SHOTS, D = 40, 5, 24
SETTING: dict[str, Value] = {**defaults(), "epochs": 12, "batch_size": 32, "lr": 3e-3, "patience": 4}

FEATURE_METHODS = (
    "none",
    "euclidean",
    "manhattan",
    "power+center+l2+cosine",
    "whiten+cosine",
    "pca(dims=8)+euclidean",
    "pair_logistic",
    "whiten(dims=10)+pair_logistic",
    "siamese(units=8)",
    "contrastive(dims=6)",
    "triplet(dims=6)",
    "triplet(dims=6,mining=semi_hard)",
    "arcface(dims=6)",
    "cosface(dims=6)",
    "joint_bayes",
    "whiten(dims=12)+l2+joint_bayes",
    "joint_bayes(dims=6,by=pairs)",
    "pair_logistic+pairs(hard,number=60)",
    "contrastive(dims=6)+pairs(balanced,number=60)",
)


def _photos(seed: int = 0) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return features that differ among the photos of a person along some axes more than along others."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(PEOPLE), SHOTS)
    nuisance = np.linspace(1.2, 0.3, D)
    rows = 0.7 * rng.normal(size=(PEOPLE, D))[who] + rng.normal(size=(len(who), D)) * nuisance
    return (rows + 1.0).astype(np.float32), tuple(f"person {number}" for number in who)


def _rows_of(people: range) -> np.ndarray:
    return np.concatenate([np.arange(SHOTS) + person * SHOTS for person in people])


def _fold(seed: int = 0) -> Fold:
    _, person = _photos()
    rng = np.random.default_rng(seed)
    sides = [_rows_of(range(24)), _rows_of(range(24, 32)), _rows_of(range(32, PEOPLE))]
    train, val, test = (
        make_pairs(person, rows, n, n, rng) for rows, n in zip(sides, (90, 40, 60), strict=True)
    )
    return Fold(train, val, test, sides[0], sides[1], train + val, np.concatenate(sides[:2]))


@dataclass(frozen=True)
class Viewed:
    """Features with changed views: noise of its own on each photo, the same noise again in every call."""

    features: np.ndarray

    @property
    def maps(self) -> np.ndarray:
        raise BenchError("no maps")

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        rng = np.random.default_rng(9)
        return [
            self.features + rng.normal(size=self.features.shape).astype(np.float32) / 4 for _ in range(count)
        ]


def _trainer(person: Sequence[str] | None = None, inputs: Inputs | None = None) -> FrozenPairs:
    features, known = _photos()
    return FrozenPairs(inputs or PrecomputedFeatures(features), person or known, lambda *_: None)


class Fitted(NamedTuple):
    """A training and its match."""

    trained: Trained
    match: Match


def _fit(
    trainer: FrozenPairs,
    texts: Sequence[str],
    fold: Fold | None = None,
    seeds: Sequence[int] = (0,),
    setting: Mapping[str, Value] = SETTING,
    first: Sequence[Trained] = (),
) -> list[Fitted]:
    own = fold or _fold()
    work = [(cell_of(text, seed, setting), own) for text in texts for seed in seeds]
    found = list(trainer.fit(work, first))
    assert all(match is not None for _, match in found), found
    return [Fitted(trained, match) for trained, match in found if match is not None]


def _test_scores(fitted: Fitted, fold: Fold | None = None) -> np.ndarray:
    pairs = (fold or _fold()).test
    return fitted.match.score(pairs.first, pairs.second)


def _area(matched: Fitted, fold: Fold) -> float:
    truth = fold.test.same.astype(np.int32)[:, None]
    return float(
        areas(_test_scores(matched, fold)[:, None], truth, np.ones((1, len(truth)), np.float32))[0][0, 0]
    )


def test_every_method_learns_what_there_is() -> None:
    fold = _fold()
    found = dict(zip(FEATURE_METHODS, _fit(_trainer(), FEATURE_METHODS, fold), strict=True))
    reached = {text: _area(matched, fold) for text, matched in found.items()}
    assert all(area > 0.6 for area in reached.values()), reached
    plain = reached["none"]
    for text in ("joint_bayes", "whiten+cosine"):
        assert reached[text] > plain, reached
    for text, matched in found.items():
        shape = match_of(parse_method(text))
        assert matched.match.found["supervision"] == shape.supervision
        assert (matched.trained.best_epoch > 0) == bool(matched.trained.history)
        assert ("dims" in matched.trained.choices) == (text in ("whiten+cosine", "joint_bayes"))
    assert found["pair_logistic+pairs(hard,number=60)"].match.found["mined_pairs"] == 60


def test_the_same_seed_gives_the_same_scores_whatever_is_trained_beside_it() -> None:
    together = _fit(_trainer(), FEATURE_METHODS, seeds=(0, 1))
    for place in range(0, len(FEATURE_METHODS), 1):
        alone = _fit(_trainer(), [FEATURE_METHODS[place]], seeds=(1,))[0]
        np.testing.assert_array_equal(
            _test_scores(alone), _test_scores(together[2 * place + 1]), FEATURE_METHODS[place]
        )


def test_seeds_differ_where_something_is_drawn() -> None:
    drawn = ("siamese(units=8)", "contrastive(dims=6)", "triplet(dims=6)", "arcface(dims=6)")
    for one, other in zip(*[iter(_fit(_trainer(), drawn, seeds=(0, 1)))] * 2, strict=True):
        assert not np.array_equal(_test_scores(one), _test_scores(other))


def test_restricted_methods_never_look_at_who_is_on_a_photo() -> None:
    _, person = _photos()
    mixed = np.random.default_rng(3).permutation(person).tolist()
    for text in FEATURE_METHODS:
        told = match_of(parse_method(text)).supervision == "identities"
        one, other = (_fit(_trainer(who), [text])[0] for who in (person, mixed))
        assert np.array_equal(_test_scores(one), _test_scores(other)) != told, text


def test_no_method_sees_the_test() -> None:
    """Photos and pairs of the test people can be anything."""
    fold = _fold()
    features, _ = _photos()
    other = features.copy()
    other[_rows_of(range(32, PEOPLE))] = 1e6
    swapped = replace(fold, test=PairArrays(fold.test.second, fold.test.first, ~fold.test.same))
    for text in FEATURE_METHODS:
        one = _fit(_trainer(), [text], fold)[0]
        two = _fit(_trainer(inputs=PrecomputedFeatures(other)), [text], swapped)[0]
        val = fold.val.first, fold.val.second
        np.testing.assert_array_equal(one.match.score(*val), two.match.score(*val), text)


@pytest.mark.parametrize(
    "text", ["pair_logistic", "siamese(units=8)", "contrastive(dims=6)", "arcface(dims=6)"]
)
def test_decay_is_chosen_by_validation_pairs_and_kept_for_the_refit(text: str) -> None:
    fold = _fold()
    (plain,) = _fit(_trainer(), [text], fold, setting={**SETTING, "l2": 0.01})
    assert plain.trained.l2 is None
    trainer, setting = _trainer(), {**SETTING, "l2": AUTO}
    (chosen,) = _fit(trainer, [text], fold, setting=setting)
    path = HIDDEN_PATH if "siamese" in text else PATH
    along = decays_along(path, chosen.trained.history, True)
    assert chosen.trained.decays == tuple(along[: chosen.trained.best_epoch])
    changed = replace(chosen.trained, decays=(5.0,) * len(chosen.trained.decays))
    again, other = (
        _fit(trainer, [text], fold.refit(), setting=setting, first=[first])[0]
        for first in (chosen.trained, changed)
    )
    assert again.trained.decays == chosen.trained.decays
    assert (_test_scores(again, fold) != _test_scores(other, fold)).any()


def test_before_the_refit_validation_photos_are_only_judged_by() -> None:
    """Methods without epochs and choices: what validation people look like changes nothing for the others."""
    fold = _fold()
    features, _ = _photos()
    other = features.copy()
    other[fold.val_rows] *= -3.0
    for text in ("center", "whiten(dims=6)", "joint_bayes(dims=6)", "joint_bayes(dims=6,by=pairs)"):
        one, two = (
            _fit(_trainer(inputs=PrecomputedFeatures(table)), [text], fold)[0] for table in (features, other)
        )
        np.testing.assert_array_equal(_test_scores(one, fold), _test_scores(two, fold), text)
        trainers = (_trainer(inputs=PrecomputedFeatures(table)) for table in (features, other))
        again = [_fit(trainer, [text], fold.refit(), first=[one.trained])[0] for trainer in trainers]
        first, second = (_test_scores(each, fold) for each in again)
        assert not np.array_equal(first, second)


@pytest.mark.parametrize("text", ["whiten+cosine", "joint_bayes", "siamese(units=8)", "arcface(dims=6)"])
def test_a_refit_takes_over_what_was_chosen(text: str) -> None:
    trainer, fold = _trainer(), _fold()
    first = _fit(trainer, [text], fold, seeds=(1,))[0]
    again = _fit(trainer, [text], fold.refit(), seeds=(1,), first=[first.trained])[0]
    assert again.trained.choices == first.trained.choices
    assert again.trained.best_epoch == len(again.trained.history) == first.trained.best_epoch
    assert not np.array_equal(_test_scores(again), _test_scores(first))


def test_auto_takes_the_number_of_axes_with_the_largest_area_on_validation() -> None:
    fold = _fold()
    rng = np.random.default_rng(0)
    wide = np.concatenate(
        [_photos()[0], rng.normal(size=(PEOPLE * SHOTS, 200)).astype(np.float32) * 0.8], axis=1
    )
    trainer = _trainer(inputs=PrecomputedFeatures(wide))
    truth = fold.val.same.astype(np.int32)[:, None]

    def area(matched: Fitted) -> float:
        scores = matched.match.score(fold.val.first, fold.val.second)[:, None]
        return float(areas(scores, truth, np.ones((1, len(truth)), np.float32))[0][0, 0])

    for text in ("whiten(dims={})+cosine", "joint_bayes(dims={})"):
        each = {dims: area(_fit(trainer, [text.format(dims)], fold)[0]) for dims in (32, 64)}
        chosen = _fit(trainer, [text.format("auto")], fold)[0].trained.choices["dims"]
        assert chosen == max(each, key=lambda dims: each[dims])


def test_what_is_kept_scores_features_alike() -> None:
    features, _ = _photos()
    fold = _fold()
    for matched in _fit(_trainer(), FEATURE_METHODS, fold):
        back = from_arrays(matched.match.arrays())
        given = back(features[fold.test.first], features[fold.test.second])
        np.testing.assert_allclose(given, _test_scores(matched, fold), rtol=1e-4, atol=1e-4)


def test_logistic_regression_is_scikit_learns_where_it_is_trained_to_the_end() -> None:
    from sklearn.linear_model import LogisticRegression

    fold, (features, _) = _fold(), _photos()
    l2, m = 0.05, len(fold.train)
    setting = {**SETTING, "l2": l2, "epochs": 600, "batch_size": 100_000, "lr": 0.03, "patience": 0}
    history = tuple(Epoch(number, 0.0, None, None, 0.03) for number in range(1, 601))
    first = Trained(None, 600, history)
    (matched,) = _fit(_trainer(), ["pair_logistic"], fold.refit(), setting=setting, first=[first])

    def inputs(pairs: PairArrays) -> np.ndarray:
        one, other = features[pairs.first].astype(float), features[pairs.second].astype(float)
        return np.hstack([np.abs(one - other), one * other])

    every = inputs(fold.all_train)
    mean, scale = every.mean(axis=0), every.std(axis=0)
    model = LogisticRegression(C=1 / (l2 * len(fold.all_train)), tol=1e-8, max_iter=5000)
    model.fit((every - mean) / scale, fold.all_train.same)
    wanted = model.decision_function((inputs(fold.test) - mean) / scale)
    np.testing.assert_allclose(_test_scores(matched, fold), wanted, atol=0.02)
    assert m < len(fold.all_train)


def test_parts_of_a_joined_backbone_are_told_apart() -> None:
    features, _ = _photos()

    @dataclass(frozen=True)
    class Joined(Viewed):
        widths: tuple[int, ...] = (10, 14)

    whole, joined = PrecomputedFeatures(features), Joined(features)
    text = "whiten(dims=5,by=part)+l2(by=part)+joint_bayes(parts=each)"
    one, two = (_fit(_trainer(inputs=inputs), [text])[0] for inputs in (whole, joined))
    spaces = [from_arrays(each.match.arrays()).space.widths for each in (one, two)]  # type: ignore[union-attr]
    assert spaces == [(5,), (5, 5)]
    assert not np.array_equal(_test_scores(one), _test_scores(two))


@pytest.mark.parametrize("mode", ["same", "independent"])
@pytest.mark.parametrize(
    "text", ["pair_logistic", "siamese(units=8)", "contrastive(dims=6)", "triplet(dims=6)"]
)
def test_changed_views_are_trained_on_and_not_judged_by(text: str, mode: str) -> None:
    features, _ = _photos()
    inputs = Viewed(features)
    plain, changed = _fit(_trainer(inputs=inputs), [text, f"{text}+pair_augment(flip,views=2,mode={mode})"])
    assert not np.array_equal(_test_scores(plain), _test_scores(changed))
    assert _area(changed, _fold()) > 0.6
    again = _fit(_trainer(inputs=inputs), [f"{text}+pair_augment(flip,views=2,mode={mode})"])[0]
    np.testing.assert_array_equal(_test_scores(again), _test_scores(changed))


def _one_line(found: tuple[Trained, Match | None], *said: str) -> None:
    trained, match = found
    assert match is None and trained.failed is not None and "\n" not in trained.failed
    for part in said:
        assert part in trained.failed


def test_what_cannot_be_done_is_one_line_and_the_others_go_on() -> None:
    fold = _fold()
    alone = replace(fold, train=fold.train.take(~fold.train.same))
    few = replace(
        fold,
        train=PairArrays(np.array([0, 0]), np.array([1, 5]), np.array([True, False])),
        train_rows=np.array([0, 5, 10]),
    )
    nobody = replace(fold, train_rows=_rows_of(range(1)))
    work = [
        (cell_of(text, 0, SETTING), own)
        for text, own in (
            ("cosine", alone),
            ("whiten(dims=10)", few),
            ("whiten(dims=200)", fold),
            ("triplet", few),
            ("joint_bayes(dims=2)", few),
            ("arcface", nobody),
            ("ssim", fold),
            ("cosine", fold),
        )
    ]
    found = list(_trainer().fit(work))
    _one_line(found[0], "no training pair is of one person")
    _one_line(found[1], "3 training photos give 2 axes at most")
    _one_line(found[2], "24 features give 24 axes at most")
    _one_line(found[3], "triplet needs two training people with two photos", "0 of 3")
    _one_line(found[4], "no person with two photos")
    _one_line(found[5], "one person alone")
    _one_line(found[6], "ssim compares pixels")
    assert found[7][1] is not None


def test_a_person_with_one_photo_is_no_trouble() -> None:
    fold = _fold()
    rows = np.concatenate([fold.train_rows, _rows_of(range(32, 33))[:1]])
    for text in ("triplet(dims=4)", "arcface(dims=4)", "joint_bayes(dims=4)"):
        assert np.isfinite(_test_scores(_fit(_trainer(), [text], replace(fold, train_rows=rows))[0])).all()


def test_a_loss_that_is_no_number_fails_its_cell_alone() -> None:
    features, person = _photos()
    features[3] = np.nan
    fold = _fold()
    own = replace(fold, train_rows=np.union1d(fold.train_rows, [3]))
    trainer = FrozenPairs(PrecomputedFeatures(features), person, lambda *_: None)
    found = trainer.fit([(cell_of(text, 0, SETTING), own) for text in ("arcface(dims=4)", "siamese")])
    assert all(match is None and "NaN" in str(trained.failed) for trained, match in found)


def test_every_match_says_what_it_is_told() -> None:
    from bench.methods.registry import STEPS

    names = {info.name for info in STEPS.values() if info.stage == "match"}
    assert names - {"joint_bayes"} == set(SUPERVISION)
    assert match_of(parse_method("joint_bayes(by=pairs)")).supervision == "pairs"
    assert match_of(parse_method("siamese+pairs")).supervision == "identities"


@pytest.mark.parametrize(
    ("text", "epochs"), [("pair_logistic", 4), ("contrastive(dims=4)", 4), ("arcface(dims=4)", 5)]
)
def test_steps_are_minibatches_rounded_up_to_epochs(text: str, epochs: int) -> None:
    """180 pairs are 6 batches of 32, 120 photos are 4."""
    matched = _fit(_trainer(), [text], setting={**SETTING, "steps": 20, "patience": 0})[0]
    assert len(matched.trained.history) == epochs
