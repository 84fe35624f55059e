"""Cells as a stage gives them: trained together, answered in their order, each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from bench.core.cell import Cell, Value
from bench.core.protocol import defaults
from bench.data.augmentation import Recipe
from bench.data.splits import StageSplit
from bench.kinds.multilabel.runner import AttributeStage
from bench.kinds.multilabel.split import AttributeSplit
from bench.methods.apply import Resolved, resolve
from bench.runs import trainers
from bench.runs.label_trainer import Work
from bench.runs.trainers import HeadTrainer
from bench.training.fits import Fit, Trained
from tests.cells import cell_of

Fitted = tuple[Trained, Resolved | None]

N, D, K = 60, 7, 4
METHODS = (
    *("none", "assume_negative", "drop_rows", "impute(mf,l2=3)", "impute(knn)", "self_train(l2=1)"),
    *("large_loss(permanent,rate=0.2)", "splc", "asl", "class_weight+focal", "oversample", "mlp(units=5)"),
    *("augment(flip,views=2)", "impute+augment(flip,views=3)+mlp(units=3)"),
)
SETTING = {**defaults(), "lr": 0.05, "batch_size": 16, "epochs": 6, "patience": 3, "l2": 1e-3}


@dataclass(frozen=True)
class Made:
    """Features that were made up, and views of which each adds its number times `far` to them."""

    features: np.ndarray
    far: float = 0.0

    @property
    def maps(self) -> np.ndarray:
        raise AssertionError("nobody asked for maps")

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        assert recipe.name == "flip"
        return [self.features + np.float32(self.far * (view + 1)) for view in range(count)]


def _attributes(whole: float = 0.5) -> tuple[np.ndarray, StageSplit]:
    """Return features and a split of rows with attributes of which that share is known whole."""
    rng = np.random.default_rng(3)
    features = rng.normal(size=(N, D)).astype(np.float32)
    truth = (features[:, :K] + rng.normal(size=(N, K)) > 0).astype(np.int32)
    gaps = np.flatnonzero(rng.random(N) >= whole)
    truth[gaps, rng.integers(0, K, len(gaps))] = -1
    return features, _cut(truth, tuple("abcd"))


def _cut(truth: np.ndarray, classes: tuple[str, ...]) -> StageSplit:
    rows = np.arange(N)
    form = AttributeSplit if truth.ndim > 1 else StageSplit
    return form(
        classes, truth, rows[rows % 5 < 3], rows[rows % 5 == 3], rows[rows % 5 == 4], unseen=0, leaked=None
    )


def _trainer(inputs: Made, split: StageSplit, setting: Mapping[str, Value]) -> HeadTrainer:
    resolver = AttributeStage.resolver if isinstance(split, AttributeSplit) else resolve
    return HeadTrainer(inputs, split, setting, lambda *_: None, resolver=resolver)


def _fit(inputs: Made, split: StageSplit, methods: Sequence[str]) -> list[Fitted]:
    trainer = _trainer(inputs, split, SETTING)
    return list(trainer.fit([(_cell(text, seed), split) for seed, text in enumerate(methods, start=7)]))


def _cell(method: str, seed: int) -> Cell:
    return cell_of(method, seed, SETTING)


def _same(first: Fitted, second: Fitted) -> None:
    (one, _), (other, _) = first, second
    assert one.head is not None and other.head is not None
    assert one.embed is not None and other.embed is not None
    np.testing.assert_array_equal(one.head.kernel, other.head.kernel)
    np.testing.assert_array_equal(one.head.bias, other.head.bias)
    assert one.history == other.history
    rows = np.arange(N)
    np.testing.assert_array_equal(one.embed(rows), other.embed(rows))


def test_a_head_is_the_same_whatever_is_trained_beside_it() -> None:
    features, split = _attributes()
    together = _fit(Made(features, 0.3), split, METHODS)
    trainer = _trainer(Made(features, 0.3), split, SETTING)
    for seed, (text, fitted) in enumerate(zip(METHODS, together, strict=True), start=7):
        [alone] = trainer.fit([(_cell(text, seed), split)])
        _same(fitted, alone)
        assert fitted[1] is not None and fitted[1].loss.link == "sigmoid"
    heads = {trained.head.bias.tobytes() for trained, _ in together if trained.head is not None}
    assert len(heads) == len(METHODS), "each method does something"


class Counted:
    """Features that count how many rows are read of them."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows, self.read, self.shape = rows, 0, rows.shape

    def __getitem__(self, index: Any) -> np.ndarray:
        found: np.ndarray = self.rows[index]
        self.read += len(found)
        return found


def test_images_that_several_cells_are_scored_on_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    features, split = _attributes()
    counted = Counted(features)
    trainer = _trainer(Made(counted), split, SETTING)  # type: ignore[arg-type]
    before, wanted = counted.read, (features[split.test] - trainer.mean) / trainer.scale
    for _ in range(2):
        np.testing.assert_array_equal(trainer.embed(split.test.copy()), wanted)
        trainer.embed(split.val)
    assert counted.read - before == len(split.test) + len(split.val)
    with pytest.raises(ValueError, match="read-only"):
        trainer.embed(split.val)[0] = 0
    monkeypatch.setattr(trainers, "EMBED_CACHE_BYTES", 0)
    for _ in range(2):
        np.testing.assert_array_equal(
            trainer.embed(split.train), trainer.table[split.train // 5 * 4 + split.train % 5]
        )
    assert counted.read - before == len(split.test) + len(split.val) + 2 * len(split.train)


def test_what_cannot_be_trained_fails_in_its_place_and_alone() -> None:
    features, split = _attributes(whole=0.0)
    methods = ("none", "drop_rows", "asl", "drop_rows+mlp(units=3)", "self_train(l2=1)")
    found = _fit(Made(features), split, methods)
    assert [made is None for _, made in found] == [False, True, False, True, False]
    for trained, _ in (found[1], found[3]):
        assert "drop_rows leaves none of 36 training rows" in str(trained.failed)
    trainer = _trainer(Made(features), split, SETTING)
    for place in (0, 2, 4):
        _same(found[place], next(trainer.fit([(_cell(methods[place], 7 + place), split)])))
    # Nothing but failures is no cohort at all.
    assert all(made is None for _, made in _fit(Made(features), split, ("drop_rows",)))


def test_views_that_change_nothing_change_nothing() -> None:
    features, split = _attributes()
    for method in ("none", "impute(knn)+oversample", "mlp(units=4)"):
        plain = _fit(Made(features), split, [method])
        text = "augment(flip,views=3)" if method == "none" else f"{method}+augment(flip,views=3)"
        _same(plain[0], _fit(Made(features), split, [text])[0])
        ((moved, _),) = _fit(Made(features, 2.0), split, [text])
        assert moved.head is not None and plain[0][0].head is not None
        assert not np.array_equal(moved.head.kernel, plain[0][0].head.kernel)


def test_rows_that_are_no_images_have_no_views() -> None:
    features, _ = _attributes()
    truth = np.repeat(np.arange(3, dtype=np.int32), (36, 14, 10))
    truth = np.random.default_rng(0).permutation(truth)
    split = _cut(truth, tuple("xyz"))
    [plain] = _fit(Made(features), split, ["smote"])
    trained, made = plain
    assert made is not None and trained.head is not None and len(made.resampled.labels) > 10
    _same(plain, _fit(Made(features), split, ["smote+augment(flip,views=2)"])[0])
    [(far, _)] = _fit(Made(features, 1.0), split, ["smote+augment(flip,views=2)"])
    assert far.head is not None and not np.array_equal(far.head.kernel, trained.head.kernel)


def test_heads_on_maps_and_on_features_come_in_the_order_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    features, split = _attributes(whole=0.0)

    def maps(self: HeadTrainer, work: Sequence[Work]) -> Iterator[Trained]:
        for cell, *_ in work:
            yield Trained(None, 0, failed=f"maps {cell.method.text}")

    monkeypatch.setattr(HeadTrainer, "_train_maps", maps)
    methods = ("conv(4)", "none", "drop_rows", "conv(8)+asl", "splc", "conv(2)+drop_rows", "conv(2)")
    told = [trained.failed for trained, _ in _fit(Made(features), split, methods)]
    assert [told[place] for place in (0, 3, 6)] == [f"maps {methods[place]}" for place in (0, 3, 6)]
    assert told[1] is None and told[4] is None
    assert all("leaves none" in str(told[place]) for place in (2, 5))


def test_training_again_takes_the_rates_and_the_epochs_of_the_best() -> None:
    features, split = _attributes()
    setting = {**SETTING, "schedule": "plateau", "schedule_every": 1, "epochs": 12, "lr": 0.3}
    trainer = _trainer(Made(features), split, setting)
    cell, again = cell_of("none", 1, setting), split.refit()
    [(first, _)] = trainer.fit([(cell, split)])
    assert first.best_epoch == len(first.rates)
    assert sorted([*split.train, *split.val]) == again.train.tolist() and not len(again.val)
    [(fitted, _)] = trainer.fit([(cell, again)], [first])
    assert [epoch.lr for epoch in fitted.history] == list(first.rates)
    assert fitted.best_epoch == first.best_epoch


def test_a_head_that_is_made_anew_is_trained_for_an_epoch_at_most() -> None:
    features, _ = _attributes()
    truth = np.random.default_rng(0).permutation(np.repeat(np.arange(3, dtype=np.int32), (36, 14, 10)))
    split = _cut(truth, tuple("xyz"))
    methods = ("none", "ncm", "lda", "ldam+ncm", "class_weight+lda", "mlp(units=4)+ncm", "tau_norm")
    told = [len(trained.history) for trained, _ in _fit(Made(features), split, methods)]
    assert [epochs == 1 for epochs in told] == [False, True, True, True, True, False, False]
    trainer = _trainer(Made(features), split, SETTING)
    cell = _cell("ldam+lda", 0)
    [(first, _)] = trainer.fit([(cell, split)])
    [(fitted, _)] = trainer.fit([(cell, split.refit())], [first])
    assert first.head is not None and fitted.head is not None and fitted.best_epoch == 1


def test_rows_of_majority_classes_are_the_original_in_every_view(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.training import trainer as cohort

    features, _ = _attributes()
    truth = np.random.default_rng(0).permutation(np.repeat(np.arange(3, dtype=np.int32), (36, 14, 10)))
    split = _cut(truth, tuple("xyz"))
    told: list[tuple[np.ndarray, Fit]] = []
    train = cohort.train_heads

    def noting(table: np.ndarray, y: np.ndarray, k: int, fits: Sequence[Fit], *rest: Any) -> list[Trained]:
        told.extend((table, fit) for fit in fits)
        return train(table, y, k, fits, *rest)

    monkeypatch.setattr(cohort, "train_heads", noting)
    texts = ("augment(flip,views=2,classes=minority)", "augment(flip,views=2)")
    trainer = _trainer(Made(features, 4.0), split, SETTING)
    assert len(list(trainer.fit([(_cell(text, 7), split) for text in texts]))) == 2
    labels = truth[split.train]
    small = np.bincount(labels) < len(labels) / 3
    assert 0 < small.sum() < 3
    for (table, fit), only in zip(told, (True, False), strict=True):
        assert fit.views is not None
        touched = small[labels] if only else np.ones(len(labels), bool)
        for number, rows in enumerate(fit.views):
            far = np.where(touched, 4.0 * number, 0.0)[:, None]
            shown = (features[split.train] + far - trainer.mean) / trainer.scale
            np.testing.assert_allclose(table[rows], shown, rtol=1e-4, atol=1e-4)
