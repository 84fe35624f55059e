"""Nets that are stopped and go on, begin elsewhere, or leave layers as they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from bench.backbones.registry import freeze_before
from bench.core.errors import BenchError
from bench.training.fits import Fit, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.nets.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from bench.training.nets.train import train_nets
from tests.training.killed import kill_after
from tests.training.test_nets import SETTING, K, _bits, _build, _data, _fit, _scale


def _answer(fit: Fit, setting: TrainSetting = SETTING, **more: Any) -> str:
    """Return a fit's bits."""
    pixels, y = _data()
    [bits] = [_bits(*one) for one in train_nets(_build, pixels, _scale, y, K, [fit], setting, **more)]
    return bits


@pytest.mark.parametrize(("family", "optimizer"), [("softmax", "adadelta"), ("elr", "adam")])
def test_a_killed_net_goes_on_to_the_same_bits(tmp_path: Path, family: str, optimizer: str) -> None:
    loss = LossSpec(family, {"beta": 0.5, "lam": 1.0} if family == "elr" else {})
    path = tmp_path / "net.npz"
    train = partial(_answer, _fit(epochs=4, loss=loss), replace(SETTING, optimizer=optimizer))
    whole = train()
    for epochs in (1, 3):
        kill_after(epochs, train, path)
    assert train(checkpoints=[path]) == whole
    # What is finished is not trained again.
    before = path.stat().st_mtime_ns
    assert train(checkpoints=[path]) == whole
    assert path.stat().st_mtime_ns == before


class Killed(NamedTuple):
    """Net of four epochs: its bits if nothing ends it, its checkpoint after two, and that file as bytes."""

    whole: str
    found: Checkpoint
    raw: bytes


_train = partial(_answer, _fit(epochs=4))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Trained once for all that is done to its checkpoint."""
    path = tmp_path_factory.mktemp("killed") / "net.npz"
    found = kill_after(2, _train, path)
    return Killed(_train(), found, path.read_bytes())


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a checkpoint", None])
def test_a_damaged_checkpoint_is_begun_anew(killed: Killed, tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "net.npz"
    path.write_bytes(killed.raw[: len(killed.raw) // 2] if damage is None else damage)
    assert read_checkpoint(path) is None
    assert _train(checkpoints=[path]) == killed.whole


@pytest.mark.parametrize("other", ["classes", "slots", "epochs", "best"])
def test_a_checkpoint_of_another_net_is_begun_anew(
    killed: Killed, tmp_path: Path, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It can be read, and is nothing that this fit could go on from."""
    path, found = tmp_path / "net.npz", killed.found
    changes: dict[str, dict[str, Any]] = {
        "classes": {"state": [array[..., :1] for array in found.state]},
        "slots": {"motion": found.motion[:-1]},
        "epochs": {"history": found.history * 3},
        "best": {"best": found.best[:-1], "best_cost": -1.0},
    }
    write_checkpoint(path, replace(found, **changes[other]))
    assert _train(checkpoints=[path]) == killed.whole
    [line] = caplog.messages
    assert line == "checkpoint net: damaged, or of another net; training begins from the start"


def test_the_checkpoint_of_another_cell_is_not_gone_on_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its net has the same form, and so nothing but its name tells."""
    mine, other = (tmp_path / f"{name}.npz" for name in ("mine", "other"))
    train = partial(_answer, _fit(epochs=3))
    whole = train()
    kill_after(2, partial(_answer, _fit(epochs=3, seed=5)), other)
    other.rename(mine)
    assert train(checkpoints=[mine]) == whole
    assert "checkpoint mine: damaged, or of another net" in caplog.text


@pytest.mark.parametrize("place", [0.3, 0.7, 0.999])
def test_a_flipped_byte_of_a_checkpoint_changes_nothing(killed: Killed, tmp_path: Path, place: float) -> None:
    path, raw = tmp_path / "net.npz", bytearray(killed.raw)
    raw[int(place * len(raw))] ^= 0x40
    path.write_bytes(raw)
    assert _train(checkpoints=[path]) == killed.whole


def test_a_checkpoint_reads_back_as_it_was_written(killed: Killed, tmp_path: Path) -> None:
    found = killed.found
    write_checkpoint(tmp_path / "again.npz", found)
    again = read_checkpoint(tmp_path / "again.npz")
    assert again is not None and again.history == found.history
    for part in ("state", "motion", "best"):
        for one, other in zip(getattr(found, part), getattr(again, part), strict=True):
            np.testing.assert_array_equal(one, other)
    assert list(tmp_path.glob(".*")) == []


def test_a_net_begins_with_what_it_is_given() -> None:
    pixels, y = _data()
    [(_, first)] = [
        (one, embed) for one, embed in train_nets(_build, pixels, _scale, y, K, [_fit()], SETTING)
    ]
    held = first.variables()
    still = replace(SETTING, lr=0.0)
    fit = _fit(seed=9, start=held, epochs=1)
    for _, embed in train_nets(_build, pixels, _scale, y, K, [fit], still):
        learned = [array for array in embed.variables() if array.dtype == np.float32]
        kept = [array for array in held if array.dtype == np.float32]
        assert any(
            np.array_equal(one, other) and one.size > 50 for one, other in zip(learned, kept, strict=True)
        )


def test_the_backbone_has_a_rate_of_its_own() -> None:
    pixels, y = _data()
    fit = _fit(epochs=2)
    for factor in (0.0, 1.0):
        setting = replace(SETTING, backbone_rate=factor)
        for trained, embed in train_nets(_build, pixels, _scale, y, K, [fit], setting):
            begun = [held.value.numpy() for held in _build(fit.seed).trainable_variables]
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
