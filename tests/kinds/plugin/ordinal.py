"""A kind of task of a package of its own: the graded condition of an item, classes in order.

Grades are in the order of their names. Built on the kind with one class for each image, from which it differs
in what is measured and in what a report says.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.core import kind
from bench.core.facets import Metrics
from bench.core.kind import Average, Columns, Facet, Kind
from bench.core.predictions import Predictions
from bench.core.shown_facets import Sections
from bench.core.table import Column
from bench.kinds.multiclass import Multiclass
from bench.metrics.registry import MetricInfo, register

KAPPA, ERROR = "kappa_quadratic", "mean_absolute_error"

INFOS = (
    MetricInfo(KAPPA, "kappa", "Cohen's kappa, quadratic weights", chance=0.0, low=-1.0, kinds=("ordinal",)),
    MetricInfo(
        ERROR, "MAE", "grades that answers are off, on average", "lower", high=None, kinds=("ordinal",)
    ),
)

for info in INFOS:
    register(info)
kind.register("ordinal", f"{__name__}:Ordinal")


class Ordinal(Multiclass):
    """How far an answer is off counts."""

    name = "ordinal"
    headline = (KAPPA, ERROR)
    selection = KAPPA
    supports = frozenset({"review"})
    columns = Columns(
        classes=(
            Column("class", "grade"),
            Column("train_support", "train", "int"),
            Column("test_support", "test", "int"),
            Column("error", "mean error", "ratio"),
            Column("worst", "furthest answer"),
        ),
        averages=(Average("all", {"error": ERROR}, trivial=True),),
    )

    metrics = Facet[Metrics](f"{__name__}:own_metrics")
    sections = Facet[Sections](f"{__name__}:own_sections")


def own_metrics(kind: Ordinal) -> Any:
    """Those of classes, but for what is measured."""
    from bench.kinds.multiclass import metrics

    own = {"summary": summary, "per_class": per_class, "weighted_summary": weighted_summary}
    return SimpleNamespace(**{**vars(metrics), **own})


def own_sections(kind: Ordinal) -> Any:
    """One section of its own, and those of classes for what is alike."""
    from bench.kinds.multiclass import sections

    return SimpleNamespace(scored=sections.scored, hardest=sections.hardest, sections=graded)


class Grades(Kind):
    """The same task without a word on how its items are paired."""

    package = "bench.kinds.multiclass"
    name = "grades"
    headline = Ordinal.headline
    selection = KAPPA
    steps_of = "multiclass"
    trivial_notes = Ordinal.trivial_notes
    columns = Ordinal.columns
    nouns = Ordinal.nouns
    metrics = Facet[Metrics](f"{__name__}:own_metrics")


def grades(pred: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Return the true grade and the answered one of each item, (n,) from 0."""
    place = np.argsort(np.argsort(pred.classes))
    return place[pred.truth], place[pred.scores.argmax(axis=1)]


def weighted_summary(pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return both metrics for (draws, n) weights, (draws,) each; kappa is NaN where all is of one grade.

    Cohen 1968, Weighted kappa, Psychological Bulletin 70: one less observed over expected squared distances.
    """
    truth, said = grades(pred)
    k = len(pred.classes)
    cells = np.zeros((len(truth), k * k))
    cells[np.arange(len(truth)), truth * k + said] = 1
    counts = (np.asarray(weights, np.float64) @ cells).reshape(-1, k, k)
    n = counts.sum(axis=(1, 2))
    apart = np.arange(k)[:, None] - np.arange(k)
    chance = counts.sum(axis=2)[:, :, None] * counts.sum(axis=1)[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = 1 - (counts * apart**2).sum(axis=(1, 2)) * n / (chance * apart**2).sum(axis=(1, 2))
        return {KAPPA: kappa, ERROR: (counts * np.abs(apart)).sum(axis=(1, 2)) / n}


def summary(pred: Predictions) -> dict[str, float | None]:
    """Return both metrics and how many items were scored."""
    drawn = weighted_summary(pred, np.ones((1, len(pred.items))))
    values = {name: float(value[0]) for name, value in drawn.items()}
    return {
        **{name: None if np.isnan(value) else value for name, value in values.items()},
        "n": len(pred.items),
    }


def per_class(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return a row for each grade: how far answers to its items are off, and the furthest."""
    truth, said = grades(pred)
    names = sorted(pred.classes)
    rows = []
    for column, name in enumerate(pred.classes):
        grade = names.index(name)
        own = said[truth == grade]
        off = np.abs(own - grade)
        rows.append(
            {
                "class": name,
                "train_support": int(pred.train_support[column]),
                "test_support": len(own),
                "error": float(off.mean()) if len(own) else None,
                "worst": names[own[off.argmax()]] if len(own) else "",
            }
        )
    return tuple(rows)


def graded(stage: Any) -> list[Any]:
    """Return the section of a report about grades: the table of them."""
    from bench.report.cell_tables import class_table
    from bench.report.page import Section

    first = stage.first(stage.best)
    return [Section("Grades", (class_table(stage.cells[first["id"]].result),))]
