"""Pinned runs of one class for each item: answers and hits among the top five."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.compare.baselines.packing import pack, pack_bits, unpack, unpack_bits

if TYPE_CHECKING:
    import numpy as np

    from bench.compare.baselines.checks import FileChecks
    from bench.compare.baselines.pinning import PinnedRun, PinnedStage
    from bench.core.predictions import Predictions

SCORES = False
STAGE: Mapping[str, type] = {"truth": str}
RUN: Mapping[str, type] = {"answers": str}
MAYBE: Mapping[str, type] = {"top5": str}


def check_stage(check: FileChecks, fields: Mapping[str, Any], n: int, k: int, where: str) -> None:
    """See `Pinning`."""
    check.packed(fields["truth"], n, k, f"{where}.truth")


def check_run(check: FileChecks, fields: Mapping[str, Any], stage: PinnedStage, where: str) -> None:
    """See `Pinning`."""
    check.packed(fields["answers"], stage.n, len(stage.classes), f"{where}.answers")
    if "top5" in fields:
        check.packed(fields["top5"], (stage.n + 7) // 8, 256, f"{where}.top5")


def stage(pred: Predictions) -> dict[str, Any]:
    """See `Pinning`."""
    return {"truth": pack(pred.truth, len(pred.classes))}


def run(pred: Predictions) -> dict[str, Any]:
    """See `Pinning`."""
    from bench.metrics.scores import hits

    top5 = hits(pred)[1]
    answers = {"answers": pack(pred.scores.argmax(axis=1), len(pred.classes))}
    return answers if top5 is None else {**answers, "top5": pack_bits(top5)}


def truth(stage: PinnedStage) -> np.ndarray:
    """See `Pinning`."""
    return unpack(stage.packed["truth"], stage.n, len(stage.classes))


def answers(stage: PinnedStage, run: PinnedRun) -> dict[str, Any]:
    """See `Pinning`: scores that give the answers and the hits among the top five, and nothing else."""
    import numpy as np

    scores, rows = np.zeros((stage.n, len(stage.classes)), np.float32), np.arange(stage.n)
    if (top5 := run.packed.get("top5")) is not None:
        scores[rows, truth(stage)] = np.where(unpack_bits(top5, stage.n), 1, -1)
    scores[rows, unpack(run.packed["answers"], stage.n, len(stage.classes))] = 2
    return {"scores": scores}
