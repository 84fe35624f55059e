"""Weight decay that falls during training: validation picks the best epoch, and with it the decay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.core.cell import Value
from bench.core.protocol import AUTO
from bench.training.fits import Epoch

PATH = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""The decays of `l2=auto`, in the order of training. Chosen on validation (docs/benchmarks.md)."""

HIDDEN_PATH = PATH[3:]
"""Those of a head with a hidden layer: large ones make both kernels zero, where gradients vanish."""

UNSEEN = 0.01
"""The decay of `l2=auto` without validation rows."""


def decay_path(setting: Mapping[str, Value], validates: bool, hidden: bool = False) -> tuple[float, ...]:
    """Return the decays of a head, one after the other; empty for the setting's."""
    if setting["l2"] != AUTO:
        return ()
    if not validates:
        return (UNSEEN,)
    return HIDDEN_PATH if hidden else PATH


def decays_along(
    path: Sequence[float], history: Sequence[Epoch], by_score: bool, deferred: int = 0
) -> list[float]:
    """Return the decay of every epoch of a history, and of the one after it.

    Each epoch without a lower validation loss, or a higher score, than all before moves to the next decay of
    the path. After the first `deferred` epochs, when class weights start to count, the path starts again.
    """
    decays, place, lowest = [path[0]], 0, math.inf
    for epoch in history:
        value = epoch.val_score if by_score else epoch.val_loss
        cost = math.inf if value is None else -value if by_score else value
        if not cost < lowest:
            place = min(place + 1, len(path) - 1)
        lowest = min(cost, lowest)
        if epoch.epoch == deferred:
            place, lowest = 0, math.inf
        decays.append(path[place])
    return decays
