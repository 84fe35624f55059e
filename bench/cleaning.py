"""Which labels of a task are probably wrong: what `bench clean` finds, and how good that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.corrections import Suspect
from bench.data.examples import ImageReader
from bench.data.parts import Parts
from bench.errors import BenchError, DataError
from bench.plan import Request, open_task
from bench.progress import Progress
from bench.report.table import Column, Table

_SCORES = {"precision": "precision", "recall": "recall", "f1": "F1", "auprc": "AUPRC", "auroc": "AUROC"}


@dataclass(frozen=True)
class Judged:
    """What was found. images: of the data. rows: how many labels were judged.

    suspects: most doubtful first; positions: of each of them among the examples. found: how well wrong labels
    were found, where the truth is known (`bench.metrics.detection`), else None; truth: from where that is.
    by_class: judged and suspect rows.
    """

    title: str
    images: ImageReader
    rows: int
    suspects: tuple[Suspect, ...]
    positions: tuple[int, ...]
    found: dict[str, Any] | None
    truth: str
    by_class: tuple[dict[str, Any], ...]


def judge(
    request: Request,
    tasks: Sequence[Path],
    cache: Path,
    everything: bool,
    folds: int,
    seed: int,
    progress: Progress,
) -> Judged:
    """Judge the labels of the training part, or of everything.

    request: task, data, one backbone or none (then the last of the card's that is frozen), weights and
    settings. Labels are judged as the settings leave them: planted noise is there, and is known. Raises
    BenchError where the backbone cannot give features.
    """
    from bench.methods.cleaning import find_suspects
    from bench.methods.prices import odd_prices
    from bench.models.backbones import parts_of, problem_with
    from bench.models.inputs import frozen_inputs, pixels_for
    from bench.protocol import check_together, resolve

    card, examples = open_task(request, tasks, cache)
    if card.kind != "multiclass":
        raise BenchError(f"{card.name} is {card.kind}; wrong labels are looked for in classes")
    setting = dict(resolve(*card.layers("frozen", request.settings)))
    check_together(setting)
    parts = Parts(card, examples, setting)
    trains = parts.train
    names = request.backbones or card.grids["data"].backbones[-1:]
    backbone, weights = parts_of(names[0]), request.weights or "imagenet"
    if (why := problem_with(backbone, "frozen", weights, setting)) is not None:
        raise BenchError(f"{names[0]}: {why}")
    pixels = pixels_for(backbone[0], setting, examples, cache, progress)
    features = frozen_inputs(backbone, weights, setting, examples, cache, progress).features
    labels = np.array(parts.labels, dtype=object)
    rows = np.flatnonzero(pixels.ok & (labels != "") & (trains | everything))
    classes = sorted(set(labels[rows].tolist()))
    if len(classes) < 2:
        raise DataError(f"the labels to judge are of {len(classes)} class; nothing can be wrong")
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
            reasons.append(f"price {price.price:.2f} where the category's median is {price.median:.2f}")
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
    """Return the path of an image, "" for a drawn one."""
    names = getattr(images, "names", None)
    return f"{images.folder.root}/{names[row]}" if names else ""


def _truth(parts: Parts, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Return which of m labels are wrong, of which that is known, and from where ("" for nowhere)."""
    given, labels = (np.array(names, dtype=object)[rows] for names in (parts.given, parts.labels))
    column = parts.examples.columns.get(parts.card.truth)
    if column is not None:
        true = np.array(column, dtype=object)[rows]
        return true != labels, true != "", f"column {parts.card.truth}"
    if parts.setting["noise"] != "none" and (labels != given).any():
        return (
            labels != given,
            np.ones(len(rows), bool),
            "the planted labels; those of the data count as right",
        )
    return np.zeros(len(rows), bool), np.zeros(len(rows), bool), ""


def judged_table(judged: Judged) -> Table:
    """Return a row per class, and below it how well wrong labels were found where that is known."""
    columns = (
        Column("class", "class"),
        Column("judged", "labels", "int"),
        Column("suspect", "suspect", "int"),
        Column("suggested", "suggested for others", "int"),
    )
    total = {"class": "all"} | {
        key: sum(row[key] for row in judged.by_class) for key in ("judged", "suspect", "suggested")
    }
    notes = []
    if judged.found is not None:
        found = judged.found
        shown = ", ".join(
            f"{name} {found[key]:.3f}" for key, name in _SCORES.items() if found[key] is not None
        )
        share = f"{found['wrong']} of {found['n']} labels are wrong ({judged.truth})"
        notes.append(f"{share}; found: {found['hits']} of {found['suspect']} suspects. {shown}.")
    priced = sum("price" in suspect.reason for suspect in judged.suspects)
    if priced:
        notes.append(f"{priced} labels are listed for a price far from their category's.")
    return Table(judged.title, columns, (*judged.by_class, total), notes)
