"""Nets whose training is killed between two epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.training.nets.checkpoints import Checkpoint, read_checkpoint


class Killed(Exception):
    """The run was killed here."""


def kill_after(epochs: int, train: Callable[..., object], path: Path) -> Checkpoint:
    """Train one net, killed after so many epochs, and return what it has left at the path.

    train: takes `progress` and `checkpoints` as `bench.training.nets.train.train_nets` does.
    """

    def stop(done: int, total: int, what: str) -> None:
        if done == epochs:
            raise Killed

    with pytest.raises(Killed):
        train(progress=stop, checkpoints=[path])
    found = read_checkpoint(path)
    assert found is not None and len(found.history) == epochs
    return found
