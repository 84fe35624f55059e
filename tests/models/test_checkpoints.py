"""Nets that are stopped and go on, begin elsewhere, or leave layers as they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import BenchError
from bench.methods.registry import LossSpec
from bench.models.backbones import freeze_before
from bench.models.checkpoints import read_checkpoint, write_checkpoint
from bench.models.lanes import Lane, TrainSetting
from bench.models.nets import train_nets
from tests.models.killed import kill_after
from tests.models.test_nets import SETTING, K, _bits, _build, _data, _lane, _scale


def _answer(lane: Lane, setting: TrainSetting = SETTING, **more: Any) -> str:
    """Return a lane's bits."""
    pixels, y = _data()
    [bits] = [_bits(*one) for one in train_nets(_build, pixels, _scale, y, K, [lane], setting, **more)]
    return bits


@pytest.mark.parametrize("family", ["softmax", "elr"])
@pytest.mark.parametrize("optimizer", ["adam", "adadelta"])
def test_a_killed_net_goes_on_to_the_same_bits(tmp_path: Path, family: str, optimizer: str) -> None:
    loss = LossSpec(family, {"beta": 0.5, "lam": 1.0} if family == "elr" else {})
    path = tmp_path / "net.npz"
    train = partial(_answer, _lane(epochs=4, loss=loss), replace(SETTING, optimizer=optimizer))
    whole = train()
    for epochs in (1, 3):
        kill_after(epochs, train, path)
    assert train(checkpoints=[path]) == whole
    # What is finished is not trained again.
    before = path.stat().st_mtime_ns
    assert train(checkpoints=[path]) == whole
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a checkpoint", None])
def test_a_damaged_checkpoint_is_begun_anew(tmp_path: Path, damage: bytes | None) -> None:
    lane, path = _lane(epochs=2), tmp_path / "net.npz"
    whole = _answer(lane, checkpoints=[path])
    text = path.read_bytes()
    path.write_bytes(text[: len(text) // 2] if damage is None else damage)
    assert read_checkpoint(path) is None
    assert _answer(lane, checkpoints=[path]) == whole


@pytest.mark.parametrize("other", ["classes", "slots", "epochs", "best"])
def test_a_checkpoint_of_another_net_is_begun_anew(tmp_path: Path, other: str) -> None:
    """It can be read, and is nothing that this lane could go on from."""
    path, train = tmp_path / "net.npz", partial(_answer, _lane(epochs=4))
    whole, found = train(), kill_after(2, train, path)
    changes: dict[str, dict[str, Any]] = {
        "classes": {"state": [array[..., :1] for array in found.state]},
        "slots": {"motion": found.motion[:-1]},
        "epochs": {"history": found.history * 3},
        "best": {"best": found.best[:-1], "best_cost": -1.0},
    }
    write_checkpoint(path, replace(found, **changes[other]))
    told: list[str] = []
    assert train(checkpoints=[path], progress=lambda done, total, what: told.append(what)) == whole
    assert [what for what in told if "is damaged, or of other classes" in what] == told[:1]


def test_a_checkpoint_reads_back_as_it_was_written(tmp_path: Path) -> None:
    found = kill_after(2, partial(_answer, _lane(epochs=3)), tmp_path / "net.npz")
    write_checkpoint(tmp_path / "again.npz", found)
    again = read_checkpoint(tmp_path / "again.npz")
    assert again is not None and again.history == found.history and again.step == found.step
    for part in ("state", "motion", "best"):
        for one, other in zip(getattr(found, part), getattr(again, part), strict=True):
            np.testing.assert_array_equal(one, other)
    assert list(tmp_path.glob(".*")) == []


def test_a_net_begins_with_what_it_is_given() -> None:
    pixels, y = _data()
    [(_, first)] = [
        (one, embed) for one, embed in train_nets(_build, pixels, _scale, y, K, [_lane()], SETTING)
    ]
    held = first.variables()
    still = replace(SETTING, lr=0.0)
    lane = _lane(seed=9, start=held, epochs=1)
    for _, embed in train_nets(_build, pixels, _scale, y, K, [lane], still):
        learned = [array for array in embed.variables() if array.dtype == np.float32]
        kept = [array for array in held if array.dtype == np.float32]
        assert any(
            np.array_equal(one, other) and one.size > 50 for one, other in zip(learned, kept, strict=True)
        )


def test_the_backbone_has_a_rate_of_its_own() -> None:
    pixels, y = _data()
    lane = _lane(epochs=2)
    for factor in (0.0, 1.0):
        setting = replace(SETTING, backbone_rate=factor)
        for trained, embed in train_nets(_build, pixels, _scale, y, K, [lane], setting):
            begun = [held.value.numpy() for held in _build(lane.seed).trainable_variables]
            now = {array.tobytes() for array in embed.variables()}
            assert all(array.tobytes() in now for array in begun) == (factor == 0.0)
            assert trained.head is not None


def test_layers_before_the_named_one_stay() -> None:
    net = _build(0)
    names = [layer.name for layer in net.layers if layer.weights]
    freeze_before(net, names[1])
    assert [layer.trainable for layer in net.layers if layer.weights][:2] == [False, True]
    freeze_before(_build(0), "")
    with pytest.raises(BenchError, match="unknown layer 'nosuch'"):
        freeze_before(net, "nosuch")
