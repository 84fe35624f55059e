"""Detection of suspect labels of a task, for `bench clean`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import BenchError, DataError
from bench.core.kind import get_kind, supporting
from bench.core.progress import Progress
from bench.data.corrections import Suspect
from bench.data.labels import Parts
from bench.report.data.suspects import Judged
from bench.runs.open_task import open_task
from bench.runs.plan import Request, refuse_code


def judge(
    request: Request,
    tasks: Sequence[Path],
    cache: Path,
    everything: bool,
    folds: int,
    seed: int,
    progress: Progress,
) -> Judged:
    """Judge the labels of the training set, or of all images.

    request: task, data, one backbone or none (then the card's last frozen one), weights and settings.
    Synthetic label noise in the settings is applied, and its truth known. Raises BenchError for a backbone
    without features.
    """
    from bench.backbones.engine_choice import with_engine
    from bench.backbones.inputs import frozen_inputs, pixels_for
    from bench.backbones.names import parts_of
    from bench.backbones.problems import problem_with
    from bench.core.protocol import resolve
    from bench.core.protocol_checks import check_together
    from bench.methods.clean_labels import find_suspects
    from bench.methods.prices import odd_prices

    card, examples = open_task(request, tasks, cache)
    if "review" not in get_kind(card.kind).supports:
        raise BenchError(f"{card.name} is {card.kind}; only {supporting('review')} labels can be judged")
    names = request.backbones or card.grids["data"].backbones[-1:]
    refuse_code(card, request, names)
    backbone, weights = parts_of(names[0], request.allow_code), request.weights or "imagenet"
    setting = with_engine(backbone, "frozen", dict(resolve(*card.layers("frozen", request.settings))))
    check_together(setting)
    parts = Parts(card, examples, setting)
    trains = parts.train
    if (why := problem_with(backbone, "frozen", weights, setting)) is not None:
        raise BenchError(f"{names[0]}: {why}")
    pixels = pixels_for(backbone[0], setting, examples, cache, progress)
    features = frozen_inputs(backbone, weights, setting, examples, cache, progress).features
    labels = np.array(parts.labels, dtype=object)
    rows = np.flatnonzero(pixels.ok & (labels != "") & (trains | everything))
    classes = sorted(set(labels[rows].tolist()))
    if len(classes) < 2:
        raise DataError(f"the labels to judge have {len(classes)} class; judging needs two")
    y = np.searchsorted(np.array(classes), labels[rows].astype(str)).astype(np.int32)
    groups = None if parts.groups is None else [parts.groups[row] for row in rows.tolist()]
    progress(0, 1, f"judging {len(rows)} labels")
    answer = find_suspects(np.asarray(features[rows]), y, groups, len(classes), folds, seed)
    prices = examples.columns.get("price", ("",) * len(examples))
    odd = {o.row: o for o in odd_prices(labels[rows].tolist(), [prices[row] for row in rows.tolist()])}
    suspects, positions = [], []
    for place in np.argsort(answer.score, kind="stable").tolist():
        price = odd.get(place)
        if not answer.suspect[place] and price is None:
            continue
        chance = answer.probabilities[place, answer.suggested[place]]
        reasons = []
        if answer.suspect[place]:
            reasons.append(f"looks like another: {answer.score[place]:.2f} against {chance:.2f}")
        if price is not None:
            reasons.append(f"price {price.price:.2f}, the category's median is {price.median:.2f}")
        positions.append(int(rows[place]))
        suspects.append(
            Suspect(
                examples.items[rows[place]],
                classes[y[place]],
                classes[answer.suggested[place]],
                float(answer.score[place]),
                "; ".join(reasons),
                _file(examples.images, int(rows[place])),
            )
        )
    wrong, known, truth = _truth(parts, rows)
    found = None
    if truth:
        from bench.metrics.detection import detection

        found = detection(wrong[known], answer.suspect[known], 1.0 - answer.score[known])
    by_class = tuple(
        {
            "class": name,
            "judged": int((y == number).sum()),
            "suspect": int(answer.suspect[y == number].sum()),
            "suggested": int(((answer.suggested == number) & (y != number)).sum()),
        }
        for number, name in enumerate(classes)
    )
    title = f"{card.name}: suspect labels, judged by {names[0]}, {folds} folds"
    return Judged(
        title, examples.images, len(rows), tuple(suspects), tuple(positions), found, truth, by_class
    )


def _file(images: Any, row: int) -> str:
    """Return the path of an image, "" for a synthetic one."""
    names = getattr(images, "names", None)
    return f"{images.folder.root}/{names[row]}" if names else ""


def _truth(parts: Parts, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Return whether each of m labels is wrong, whether that is known, and the source ("" for none)."""
    given, labels = (np.array(names, dtype=object)[rows] for names in (parts.given, parts.labels))
    column = parts.examples.columns.get(parts.card.truth)
    if column is not None:
        true = np.array(column, dtype=object)[rows]
        return true != labels, true != "", f"column {parts.card.truth}"
    if parts.setting["noise"] != "none" and (labels != given).any():
        return (
            labels != given,
            np.ones(len(rows), bool),
            "synthetic noise; the data's own labels count as right",
        )
    return np.zeros(len(rows), bool), np.zeros(len(rows), bool), ""
