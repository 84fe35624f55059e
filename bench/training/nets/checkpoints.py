"""Checkpoints of a net after every epoch, from which an interrupted run continues.

One file holds all of it and is replaced as a whole. A run that continues has the same bits in the end as an
uninterrupted one: every epoch has its own random streams, and the optimizer's slots are stored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.core.array_files import UNREADABLE, read_arrays, write_arrays
from bench.training.fits import Epoch

VERSION = 3


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A fit after some epochs.

    state, motion: current variables, and optimizer slots with their counts of steps. best: variables of the
    best epoch. memory: of the loss, for each training row, empty for most losses. history: the epochs so far.
    best_epoch, best_cost: see `bench.training.schedule.Watch`.
    """

    state: Sequence[np.ndarray]
    motion: Sequence[np.ndarray]
    best: Sequence[np.ndarray]
    memory: np.ndarray
    history: tuple[Epoch, ...]
    best_epoch: int
    best_cost: float

    def fits(
        self, state: Sequence[np.ndarray], motion: Sequence[np.ndarray], memory: np.ndarray, epochs: int
    ) -> bool:
        """Return whether it is of a fit with arrays of this form and at most so many epochs."""
        pairs = (self.state, state), (self.best, state), (self.motion, motion), ([self.memory], [memory])
        alike = all([_form(one) for one in mine] == [_form(one) for one in other] for mine, other in pairs)
        return alike and self.best_epoch <= len(self.history) <= epochs


def checkpoint_file(folder: Path | None, name: str) -> Path | None:
    """Return the path of the checkpoint of an order of this name; None without a folder or a name."""
    return folder / f"{name}.npz" if folder is not None and name else None


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the file. Raises StoreError (one line) where it cannot be written."""
    facts = {
        "version": VERSION,
        "name": path.stem,
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
    """Return the checkpoint in a file, or None where there is no usable one: training starts again then.

    A file of another name belongs to another net, whose variables may have the same shapes. Reading checks
    the CRC-32 of each array.
    """
    try:
        arrays = read_arrays(path)
        facts = json.loads(arrays["facts"].tobytes())
        if facts["version"] != VERSION or facts["name"] != path.stem:
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
            history,
            int(facts["best_epoch"]),
            float(facts["best_cost"]),
        )
    except UNREADABLE:
        return None


def _form(array: np.ndarray) -> tuple[tuple[int, ...], np.dtype]:
    return array.shape, array.dtype


_PARTS = ("state", "motion", "best")
