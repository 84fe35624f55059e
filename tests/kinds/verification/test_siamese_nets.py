"""Nets on two photos: shared weights, symmetric where they should be, the same bits again, resumed or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.backbones.registry import get_backbone
from bench.core.cell import Step, Value
from bench.core.protocol import defaults
from bench.kinds.verification.arrays import Fold, PairArrays
from bench.kinds.verification.orders import PairOrder
from bench.kinds.verification.siamese_nets import COSINE_SCALE, NetPairs, PhotoPairs, pair_net
from bench.methods.grammar import parse_method
from bench.training.schedule import initial_kernel
from bench.training.validation_scores import auc

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


def _scores(trainer: NetPairs, *orders: PairOrder) -> list[np.ndarray]:
    out = []
    for order, matched in zip(orders, trainer.fit(orders), strict=True):
        assert not isinstance(matched, str)
        out.append(matched.score(order.fold.test.first, order.fold.test.second))
    return out


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
    method = parse_method({"siamese": "siamese(units=16)"}.get(name, name))
    order, other = (PairOrder(method, seed, _fold()) for seed in (1, 2))
    alone = _scores(_trainer(), order)[0]
    beside = _scores(_trainer(), other, order)
    assert alone.tobytes() == beside[1].tobytes() and alone.tobytes() != beside[0].tobytes()


def test_a_refit_sees_all_training_pairs_for_so_many_epochs() -> None:
    method, fold = parse_method("cosine"), _fold()
    (first,) = _trainer().fit([PairOrder(method, 0, fold)])
    assert not isinstance(first, str) and len(first.trained.history) == 3
    again = PairOrder(method, 0, fold).refit(first)
    (second,) = _trainer().fit([again])
    assert not isinstance(second, str)
    assert second.trained.best_epoch == first.trained.best_epoch
    assert all(epoch.val_loss is None for epoch in second.trained.history)


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    order = PairOrder(parse_method("siamese(units=16)"), 0, _fold(), name="cell")
    whole = _scores(_trainer(), order)[0]
    _scores(_trainer(tmp_path, epochs=2), order)
    assert (tmp_path / "cell.npz").exists()
    assert _scores(_trainer(tmp_path), order)[0].tobytes() == whole.tobytes()


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
        order = PairOrder(parse_method("cosine"), seed, _fold())
        (matched,) = _trainer(epochs=8, lr=rate, stop_by="last").fit([order])
        assert not isinstance(matched, str)
        scores = matched.score(pairs.first, pairs.second)
        gaps.append(auc(scores[:, None], pairs.same[:, None].astype(np.float32)))
    assert gaps[0] > 0.5 and gaps[1] > 0.7
