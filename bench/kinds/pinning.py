"""Runs of many answers to an item in pinned baselines: scores are kept, unrounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.compare.baselines.packing import pack_cells, pack_scores, unpack_cells, unpack_scores

if TYPE_CHECKING:
    import numpy as np

    from bench.compare.baselines.checks import FileChecks
    from bench.compare.baselines.pinning import PinnedRun, PinnedStage
    from bench.core.predictions import Predictions

SCORES = True
STAGE: Mapping[str, type] = {"truth": str}
RUN: Mapping[str, type] = {"scores": str}
MAYBE: Mapping[str, type] = {"known": list, "cuts": list}


def check_stage(check: FileChecks, fields: Mapping[str, Any], n: int, k: int, where: str) -> None:
    """See `Pinning`."""
    check.packed(fields["truth"], n * k, 1, f"{where}.truth")
    check_known(check, fields, k, where)


def check_known(check: FileChecks, fields: Mapping[str, Any], k: int, where: str) -> None:
    """Check the known training counts of each class, if present."""
    if "known" in fields:
        known = [check.count(count, f"{where}.known") for count in fields["known"]]
        if len(known) != k:
            check.fail(f"{where}.known", "must be a count for each class")


def check_run(check: FileChecks, fields: Mapping[str, Any], stage: PinnedStage, where: str) -> None:
    """See `Pinning`."""
    check.packed(fields["scores"], 4 * stage.n * len(stage.classes), 1, f"{where}.scores")
    if "cuts" in fields:
        cuts = [check.typed(cut, float, f"{where}.cuts") for cut in fields["cuts"]]
        if len(cuts) != len(stage.classes):
            check.fail(f"{where}.cuts", "must be a number for each class")


def stage(pred: Predictions) -> dict[str, Any]:
    """See `Pinning`."""
    return {**known(pred), "truth": pack_cells(pred.truth)}


def known(pred: Predictions) -> dict[str, Any]:
    """Return the known training counts of each class, if counted."""
    return {} if pred.known is None else {"known": [int(n) for n in pred.known]}


def run(pred: Predictions) -> dict[str, Any]:
    """See `Pinning`."""
    cuts = {} if pred.cuts is None else {"cuts": [float(cut) for cut in pred.cuts]}
    return {**cuts, "scores": pack_scores(pred.scores)}


def truth(stage: PinnedStage) -> np.ndarray:
    """See `Pinning`."""
    return unpack_cells(stage.packed["truth"], stage.n, len(stage.classes))


def answers(stage: PinnedStage, run: PinnedRun) -> dict[str, Any]:
    """See `Pinning`."""
    import numpy as np

    cuts = run.packed.get("cuts")
    return {
        "scores": unpack_scores(run.packed["scores"], stage.n, len(stage.classes)),
        "known": unpacked_known(stage),
        "cuts": None if cuts is None else np.asarray(cuts, np.float32),
    }


def unpacked_known(stage: PinnedStage) -> np.ndarray | None:
    """Return what `known` was given of predictions, (k,) int64."""
    import numpy as np

    return np.asarray(stage.packed["known"], np.int64) if "known" in stage.packed else None
