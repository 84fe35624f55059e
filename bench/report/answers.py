"""What a model says of images, as a table, as tidy rows, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.keep import KeptHead
from bench.predict import Answer
from bench.report.render import render
from bench.report.table import Column, Table
from bench.spec import finite
from bench.verification.kept import KeptMatch
from bench.verification.predict import PairAnswer

HALF = 0.5
"""The cut of an attribute that has none of its own."""

_IMAGE = Column("image", "image")
_SCORE = Column("probability", "probability", "ratio")


def decided(head: KeptHead, scores: np.ndarray) -> np.ndarray:
    """Return (k,) bool: the likeliest class, or every attribute whose score reaches its cut."""
    if head.kind == "multiclass":
        chosen: np.ndarray = np.arange(len(scores)) == scores.argmax()
        return chosen
    reached: np.ndarray = scores >= (HALF if head.cuts is None else head.cuts)
    return reached


def render_answers(head: KeptHead, answers: Sequence[Answer], fmt: str, top: int, title: str) -> str:
    """Return the answers as text; images that could not be read have none.

    fmt: `table` and `md` show the `top` likeliest classes of each image, or all its attributes with their
    cuts; `csv` has a row per image and class; `json` an object per image with every probability.
    """
    if fmt == "json":
        lines = [json.dumps(finite(_object(head, answer, top)), allow_nan=False) for answer in answers]
        return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"
    if fmt == "csv":
        names = ("image", "class", "probability", "cut", "decision")
        rows = [row for answer in answers for row in _rows(head, answer)]
        return render(Table("", [Column(name, name) for name in names], rows), fmt)
    if head.kind == "multiclass":
        columns = [_IMAGE, Column("rank", "rank", "int"), Column("class", "class"), _SCORE]
        rows = [row for answer in answers for row in _ranked(head, answer, top)]
    else:
        cut = Column("cut", "cut", "ratio")
        columns = [_IMAGE, Column("class", "attribute"), _SCORE, cut, Column("decision", "decision", "bool")]
        rows = [row for answer in answers for row in _rows(head, answer)]
    return render(Table(title, columns, rows), fmt)


def render_pairs(head: KeptMatch, answers: Sequence[PairAnswer], fmt: str, title: str) -> str:
    """Return the answers to pairs of photos as text; `json` has an object per pair, those unread included."""
    rows = [
        {
            "first": answer.first,
            "second": answer.second,
            "similarity": answer.score,
            "cut": head.cut,
            "decision": None if answer.same is None else "same" if answer.same else "different",
            "sure": answer.sure,
            **({"error": answer.why} if answer.why else {}),
        }
        for answer in answers
    ]
    if fmt == "json":
        lines = [json.dumps(finite(row), allow_nan=False) for row in rows]
        return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"
    columns = [
        Column("first", "first"),
        Column("second", "second"),
        Column("similarity", "similarity", "ratio"),
        Column("cut", "cut", "ratio"),
        Column("decision", "decision"),
        Column("sure", "P(same)", "ratio"),
    ]
    notes = (
        "P(same): how often validation pairs with such a similarity were of one person; half of all were.",
    )
    return render(Table(title, columns, rows, notes), fmt)


def _rows(head: KeptHead, answer: Answer) -> Iterator[dict[str, Any]]:
    """Yield a row for every class, in the model's order; numbers as they are."""
    if answer.scores is None:
        return
    yes = decided(head, answer.scores)
    for place, name in enumerate(head.classes):
        yield {
            "image": answer.image,
            "class": name,
            "probability": float(answer.scores[place]),
            "cut": _cut(head, place),
            "decision": bool(yes[place]),
        }


def _cut(head: KeptHead, place: int) -> float | None:
    if head.kind == "multiclass":
        return None
    return HALF if head.cuts is None else float(head.cuts[place])


def _ranked(head: KeptHead, answer: Answer, top: int) -> Iterator[dict[str, Any]]:
    if answer.scores is None:
        return
    # Equal scores keep the classes' order, as in the metrics.
    order = np.argsort(-answer.scores, kind="stable")[:top]
    for rank, place in enumerate(order, 1):
        score = float(answer.scores[place])
        yield {"image": answer.image, "rank": rank, "class": head.classes[place], "probability": score}


def _object(head: KeptHead, answer: Answer, top: int) -> dict[str, Any]:
    if answer.scores is None:
        return {"image": answer.image, "decision": None, "probabilities": None, "why": answer.why}
    chosen = [name for name, yes in zip(head.classes, decided(head, answer.scores), strict=True) if yes]
    out: dict[str, Any] = {
        "image": answer.image,
        "decision": chosen[0] if head.kind == "multiclass" else chosen,
        "probabilities": dict(zip(head.classes, map(float, answer.scores), strict=True)),
    }
    if head.kind == "multiclass":
        ranked = _ranked(head, answer, top)
        out["top"] = [{"class": row["class"], "probability": row["probability"]} for row in ranked]
    else:
        out["cuts"] = {name: _cut(head, place) for place, name in enumerate(head.classes)}
    return out
