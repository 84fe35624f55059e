"""Table of suspect labels by class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bench.core.table import Column, Table
from bench.data.corrections import Suspect
from bench.data.examples import ImageReader

_SCORES = {"precision": "precision", "recall": "recall", "f1": "F1", "auprc": "AUPRC", "auroc": "AUROC"}


@dataclass(frozen=True)
class Judged:
    """Judged labels. images: reader of the data's images. rows: number of judged labels.

    suspects: most doubtful first; positions: their positions among the examples. found: metrics of
    `bench.metrics.detection` if the truth is known, else None; truth: the source of the truth. by_class:
    counts of judged and suspect labels.
    """

    title: str
    images: ImageReader
    rows: int
    suspects: tuple[Suspect, ...]
    positions: tuple[int, ...]
    found: dict[str, Any] | None
    truth: str
    by_class: tuple[dict[str, Any], ...]


def judged_table(judged: Judged) -> Table:
    """Return a row per class, with a note on detection if the truth is known."""
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
        notes.append(f"{priced} labels are suspect for a price far from their category's.")
    return Table(judged.title, columns, (*judged.by_class, total), notes)
