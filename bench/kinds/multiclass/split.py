"""Splits of tasks with one class for each image: the most frequent classes make a stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.core.cell import Value
from bench.core.errors import DataError
from bench.data.labels import Parts, nobody
from bench.data.rehearsal import Rehearsal, rehearsal_split
from bench.data.splits import StageSplit
from bench.data.splits import train_mask as by_rule
from bench.data.task_card import Stage
from bench.kinds.image_split import divided, options

unlisted = nobody


def train_mask(parts: Parts) -> np.ndarray:
    """Return (n,) bool: which examples train; labels from before a review decide where the rule asks."""
    return by_rule(parts.examples, parts.before_review, parts.plan)


def split(
    parts: Parts,
    setting: Mapping[str, Value],
    ok: np.ndarray,
    stage: Stage,
    seed: int,
    rehearsal: Rehearsal | None = None,
    near: np.ndarray | None = None,
) -> StageSplit:
    """Split one stage by seed. See `stage_split`."""
    rows = options(parts, setting, seed, near)
    # Label noise must not change which classes a stage has, or it would be tested on other images.
    return stage_split(
        parts.labels, parts.train, ok, stage, rehearsal=rehearsal, ranked_by=parts.given, **rows
    )


def stage_split(
    labels: Sequence[str],
    train: np.ndarray,
    ok: np.ndarray,
    stage: Stage,
    *,
    seed: int,
    groups: Sequence[str] | None = None,
    hashes: Sequence[str] | None = None,
    rehearsal: Rehearsal | None = None,
    validation: np.ndarray | None = None,
    ranked_by: Sequence[str] | None = None,
    **more: Any,
) -> StageSplit:
    """Split one stage into train, validation and test.

    labels: n class names, "" for none. train: (n,) bool, the base split. ok: (n,) bool, the image can be
    used; ranks and counts include usable rows only. rehearsal: the split of the training rows, which leaves
    test rows alone, or None; classes that it does not train are left out. validation: (n,) bool, the
    published validation part, which a rehearsal ignores; a class in it alone is not trained. ranked_by: n
    class names by whose frequency the stage's classes are chosen; None: the labels. The others: see
    `bench.kinds.image_split.divided`. Raises DataError where the stage has no class, no train or no test row.
    """
    usable = ok & np.array([label != "" for label in labels], dtype=bool)
    sizes = _sizes(labels, train & usable, validation)
    ranked = sizes if ranked_by is None else _sizes(ranked_by, train & usable, validation)
    chosen = {*tuple(ranked)[stage.first : stage.last]}
    classes = tuple(label for label in sizes if label in chosen)
    if not classes:
        begins = f"stage {stage.name!r} begins at class {stage.first + 1}"
        raise DataError(f"{begins}, but train knows only {len(ranked)}; leave the stage out")
    index = {label: number for number, label in enumerate(classes)}
    truth = np.array([index.get(label, -1) for label in labels], dtype=np.int32)
    known = np.flatnonzero(train & usable & (truth >= 0))
    test = np.flatnonzero(~train & usable & (truth >= 0))
    if len(test) == 0:
        raise DataError(f"stage {stage.name!r} has no usable test row of its classes; add test data")
    unseen = sum(labels[row] not in sizes for row in np.flatnonzero(~train & usable).tolist())
    if rehearsal is not None:
        counts = tuple(sizes.values())[rehearsal.stage.first : rehearsal.stage.last]
        known, test, unseen = rehearsal_split(rehearsal, counts, truth, known, (groups, hashes), seed)
        # Otherwise a class without training rows could be predicted, unlike in a real stage.
        kept = np.unique(truth[known])
        place = np.full(len(classes) + 1, -1, np.int32)
        place[kept] = np.arange(len(kept))
        classes, truth = tuple(classes[number] for number in kept.tolist()), place[truth]
    rows = divided(
        stage,
        truth,
        known,
        test,
        lambda rows: len(rows) > 0,
        seed=seed,
        groups=groups,
        hashes=hashes,
        validation=None if rehearsal is not None else validation,
        **more,
    )
    return StageSplit(classes=classes, truth=truth, unseen=unseen, **rows)


def _sizes(labels: Sequence[str], rows: np.ndarray, validation: np.ndarray | None) -> dict[str, int]:
    """Return how many of the rows have each label, most frequent first, then by name.

    Labels of validation rows alone are left out: no training row has them.
    """
    counts = Counter(labels[row] for row in np.flatnonzero(rows).tolist())
    if validation is not None:
        trained = {labels[row] for row in np.flatnonzero(rows & ~validation).tolist()}
        counts = Counter({label: count for label, count in counts.items() if label in trained})
    if not counts:
        raise DataError("no training row has both a label and a usable image; see `bench data check`")
    return dict(sorted(counts.items(), key=lambda held: (-held[1], held[0])))
