"""Pinned runs of pairs of photos: scores and cuts, people by number and not by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.compare.baselines.packing import (
    pack,
    pack_cells,
    pack_scores,
    unpack,
    unpack_cells,
    unpack_scores,
)
from bench.core.errors import BenchError
from bench.kinds.pinning import check_known, known, unpacked_known

if TYPE_CHECKING:
    import numpy as np

    from bench.compare.baselines.checks import FileChecks
    from bench.compare.baselines.pinning import PinnedRun, PinnedStage
    from bench.core.predictions import Predictions

SCORES = True
STAGE: Mapping[str, type] = {"truth": str, "people": dict, "folds": dict}
RUN: Mapping[str, type] = {"pair_cuts": str, "scores": str}
MAYBE: Mapping[str, type] = {"known": list}


def check_stage(check: FileChecks, fields: Mapping[str, Any], n: int, k: int, where: str) -> None:
    """See `Pinning`: who is on n pairs of photos, and their folds."""
    check.packed(fields["truth"], n, 1, f"{where}.truth")
    check_known(check, fields, k, where)
    if k != 1:
        check.fail(where, "pairs have one class")
    for name, keys in (("people", ("first", "second")), ("folds", ("of",))):
        types = {"count": int, **dict.fromkeys(keys, str)}
        table = check.record(fields[name], types, {}, f"{where}.{name}")
        check.count(table["count"], f"{where}.{name}.count", least=1)
        for key in keys:
            check.packed(table[key], n, table["count"], f"{where}.{name}.{key}")


def check_run(check: FileChecks, fields: Mapping[str, Any], stage: PinnedStage, where: str) -> None:
    """See `Pinning`."""
    for key in RUN:
        check.packed(fields[key], 4 * stage.n, 1, f"{where}.{key}")


def stage(pred: Predictions) -> dict[str, Any]:
    """See `Pinning`."""
    import numpy as np

    from bench.kinds.verification.metrics import facts
    from bench.kinds.verification.people_bootstrap import People

    pairs = facts(pred)
    who = People.of(pred.groups or (), pairs.partners)
    _, folds = np.unique(pairs.folds, return_inverse=True)
    sides = {"first": pack(who.first, who.count), "second": pack(who.second, who.count)}
    count = int(folds.max()) + 1
    return {
        **known(pred),
        "truth": pack_cells(pred.truth),
        "people": {"count": who.count, **sides},
        "folds": {"count": count, "of": pack(folds, count)},
    }


def run(pred: Predictions) -> dict[str, Any]:
    """See `Pinning`."""
    from bench.kinds.verification.metrics import facts

    return {"pair_cuts": pack_scores(facts(pred).cuts[:, None]), "scores": pack_scores(pred.scores)}


def truth(stage: PinnedStage) -> np.ndarray:
    """See `Pinning`."""
    same: np.ndarray = unpack_cells(stage.packed["truth"], stage.n, 1)[:, 0]
    return same


def answers(stage: PinnedStage, run: PinnedRun) -> dict[str, Any]:
    """See `Pinning`: people are numbers, and photos have names that stand for their places."""
    from bench.core.predictions import PairFacts

    people, folds = stage.packed["people"], stage.packed["folds"]
    first, second = (
        tuple(map(str, unpack(people[side], stage.n, people["count"]).tolist()))
        for side in ("first", "second")
    )
    if [a == b for a, b in zip(first, second, strict=True)] != truth(stage).astype(bool).tolist():
        raise BenchError("a pinned baseline is damaged: its people are not what is true; pin it again")
    return {
        "groups": first,
        "scores": unpack_scores(run.packed["scores"], stage.n, 1),
        "known": unpacked_known(stage),
        "pairs": PairFacts(
            photos=tuple((f"{i}a", f"{i}b") for i in range(stage.n)),
            partners=second,
            folds=unpack(folds["of"], stage.n, folds["count"]),
            cuts=unpack_scores(run.packed["pair_cuts"], stage.n, 1)[:, 0],
        ),
    }
