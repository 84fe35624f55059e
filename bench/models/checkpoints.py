"""A net in training, written down after every epoch, so that a killed run goes on where it was.

One file holds all of it and is replaced as a whole. What continues from it ends with the same bits as what
was never stopped: epochs draw from streams of their own, and the optimizer's slots are kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.arrays import UNREADABLE, read_arrays, write_arrays
from bench.models.lanes import Epoch

VERSION = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A lane after some epochs.

    state, motion: variables and optimizer slots as they are. best: variables of the best epoch. memory: what
    a loss remembers of each training row, empty for most. step: minibatches behind it. history: the epochs
    behind it. best_epoch, best_cost: see `bench.models.schedule.Watch`.
    """

    state: Sequence[np.ndarray]
    motion: Sequence[np.ndarray]
    best: Sequence[np.ndarray]
    memory: np.ndarray
    step: int
    history: tuple[Epoch, ...]
    best_epoch: int
    best_cost: float

    def fits(self, state: Sequence[np.ndarray], motion: Sequence[np.ndarray], epochs: int) -> bool:
        """Tell whether it is of a lane that has these variables and slots, and so many epochs at most."""
        pairs = (self.state, state), (self.best, state), (self.motion, motion)
        alike = all([_form(one) for one in mine] == [_form(one) for one in other] for mine, other in pairs)
        return alike and self.best_epoch <= len(self.history) <= epochs


def checkpoint_file(folder: Path | None, name: str) -> Path | None:
    """Return where an order of this name is written down in training; None without a folder or a name."""
    return folder / f"{name}.npz" if folder is not None and name else None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file. Raises StoreError (one line) where it cannot be written."""
    facts = {
        "version": VERSION,
        "step": checkpoint.step,
        "best_epoch": checkpoint.best_epoch,
        "best_cost": checkpoint.best_cost,
        "history": [asdict(epoch) for epoch in checkpoint.history],
    }
    arrays = {
        "facts": np.frombuffer(json.dumps(facts).encode("ascii"), np.uint8),
        "memory": checkpoint.memory,
    }
    for part in _PARTS:
        arrays |= {f"{part}_{place:05d}": array for place, array in enumerate(getattr(checkpoint, part))}
    write_arrays(path, arrays, make_folder=True)


def read_checkpoint(path: Path) -> Checkpoint | None:
    """Return what the file holds, or None where there is none that can be used: training begins anew then."""
    try:
        arrays = read_arrays(path)
        facts = json.loads(arrays["facts"].tobytes())
        if facts["version"] != VERSION:
            return None
        parts = {
            part: [arrays[name] for name in sorted(arrays) if name.startswith(f"{part}_")] for part in _PARTS
        }
        history = tuple(Epoch(**epoch) for epoch in facts["history"])
        return Checkpoint(
            parts["state"],
            parts["motion"],
            parts["best"],
            arrays["memory"],
            int(facts["step"]),
            history,
            int(facts["best_epoch"]),
            float(facts["best_cost"]),
        )
    except UNREADABLE:
        return None


def _form(array: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
    return array.shape, array.dtype


_PARTS = ("state", "motion", "best")
