"""Nets on two photos: shared weights, symmetric where they should be, the same bits again, resumed or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.backbones.registry import get_backbone
from bench.core.cell import Step, Value
from bench.core.protocol import defaults
from bench.kinds.verification.arrays import Fold, PairArrays
from bench.kinds.verification.match import Match
from bench.kinds.verification.siamese_nets import COSINE_SCALE, NetPairs, PhotoPairs, pair_net
from bench.training.fits import Trained
from bench.training.schedule import initial_kernel
from bench.training.validation_scores import auc
from tests.cells import cell_of

SIZE = (32, 32)
STEPS = {
    "cosine": Step("cosine"),
    "pair_logistic": Step("pair_logistic"),
    "siamese": Step("siamese", (("units", 16),)),
}


class Photos:
    """Photos of six people, each a colour of its own under noise, in place of a cache of pixels."""

    size = SIZE

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        colours = rng.integers(40, 216, (6, 1, 1, 3))
        noise = rng.integers(-30, 31, (6, 8, *SIZE, 3))
        self.images = (colours[:, None] + noise).clip(0, 255).astype(np.uint8).reshape(48, *SIZE, 3)
        self.person = np.repeat(np.arange(6), 8)

    def read(self, rows: np.ndarray) -> np.ndarray:
        out: np.ndarray = self.images[rows]
        return out


PHOTOS = Photos()


def _pairs(low: int, high: int, count: int, seed: int) -> PairArrays:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(low * 8, high * 8, (2, count))
    return PairArrays(first, second, PHOTOS.person[first] == PHOTOS.person[second])


def _fold() -> Fold:
    train, val, test = _pairs(0, 3, 60, 0), _pairs(3, 4, 20, 1) + _pairs(3, 5, 20, 2), _pairs(5, 6, 10, 3)
    rows = np.arange(24), np.arange(24, 40)
    return Fold(train, val, test, *rows, train + val, np.arange(40))


def _trainer(checkpoints: Path | None = None, **setting: Value) -> NetPairs:
    own = {**defaults(), "epochs": 3, "batch_size": 16, "patience": 0, **setting}
    return NetPairs(PHOTOS, get_backbone("lenet"), own, lambda *_: None, checkpoints=checkpoints)  # type: ignore[arg-type]


def _fit(trainer: NetPairs, method: str, *seeds: int) -> Iterator[tuple[Trained, Match]]:
    for trained, match in trainer.fit([(cell_of(method, seed, trainer.setting), _fold()) for seed in seeds]):
        assert match is not None
        yield trained, match


def _scores(trainer: NetPairs, method: str, *seeds: int) -> list[np.ndarray]:
    test = _fold().test
    return [match.score(test.first, test.second) for _, match in _fit(trainer, method, *seeds)]


@pytest.mark.parametrize("name", STEPS)
def test_both_photos_go_through_one_backbone(name: str) -> None:
    """What the net compares is what the backbone alone makes of either photo."""
    net = pair_net(get_backbone("lenet"), SIZE, "random", STEPS[name], defaults(), 5)
    rng = np.random.default_rng(0)
    both = rng.random((4, 2, *SIZE, 3), np.float32)
    base = next(layer for layer in net.layers if layer.name == "lenet")
    one, other = (np.asarray(base(both[:, side])) for side in (0, 1))
    if name == "cosine":
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        slope = np.diff(initial_kernel(5, 1, 2))[0, 0]
        expected = COSINE_SCALE * ((one * other).sum(axis=1) / norms)[:, None] / slope
    else:
        expected = np.concatenate([np.abs(one - other), one * other], axis=1)
        if name == "siamese":
            kernel, bias = (np.asarray(part) for part in net.get_layer("compare").weights)
            expected = np.maximum(expected @ kernel + bias, 0)
    np.testing.assert_allclose(np.asarray(net(both)), expected, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(np.asarray(net(both)), np.asarray(net(both[:, ::-1])), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", STEPS)
def test_the_same_seed_is_the_same_net_whatever_trains_beside_it(name: str) -> None:
    method = {"siamese": "siamese(units=16)"}.get(name, name)
    alone = _scores(_trainer(), method, 1)[0]
    beside = _scores(_trainer(), method, 2, 1)
    assert alone.tobytes() == beside[1].tobytes() and alone.tobytes() != beside[0].tobytes()


def test_a_refit_sees_all_training_pairs_for_so_many_epochs() -> None:
    ((first, _),) = _fit(_trainer(), "cosine", 0)
    assert len(first.history) == 3
    cell = cell_of("cosine", setting=_trainer().setting)
    ((second, match),) = _trainer().fit([(cell, _fold().refit())], [first])
    assert match is not None and second.best_epoch == first.best_epoch
    assert all(epoch.val_loss is None for epoch in second.history)


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    method = "siamese(units=16)"
    whole = _scores(_trainer(), method, 0)[0]
    _scores(_trainer(tmp_path, epochs=2), method, 0)
    (written,) = tmp_path.iterdir()
    written.rename(tmp_path / f"{cell_of(method, 0, _trainer().setting).id}.npz")
    assert _scores(_trainer(tmp_path), method, 0)[0].tobytes() == whole.tobytes()


def test_pairs_are_read_as_they_were_added() -> None:
    pairs = PhotoPairs(PHOTOS)  # type: ignore[arg-type]
    pairs.add(np.array([1, 2]), np.array([3, 4]))
    rows = pairs.add(np.array([5]), np.array([6]))
    assert rows.tolist() == [2]
    read = pairs.read(np.array([2, 0]))
    np.testing.assert_array_equal(read, PHOTOS.images[[[5, 6], [1, 3]]])


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_alike_is_one_person_from_the_start_and_better_told_after_training(seed: int) -> None:
    """Whatever the sign that the seed gives the layer on top."""
    pairs = _pairs(3, 6, 200, 9)
    gaps = []
    for rate in (0.0, 1e-3):
        ((_, match),) = _fit(_trainer(epochs=8, lr=rate, stop_by="last"), "cosine", seed)
        scores = match.score(pairs.first, pairs.second)
        gaps.append(auc(scores[:, None], pairs.same[:, None].astype(np.float32)))
    assert gaps[0] > 0.5 and gaps[1] > 0.7
