"""Every registered kind keeps the protocol, and planning can read it without numpy."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.core.kind import KINDS, Facet, Kind, get_kind
from bench.core.predictions import Predictions
from bench.core.shown_facets import Confusion
from bench.metrics.registry import COUNTS, METRICS, metrics_of
from tests.grids import faces


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return get_kind(request.param)


def one_class_each() -> Predictions:
    rng = np.random.default_rng(0)
    return Predictions(
        items=tuple(str(i) for i in range(60)),
        groups=None,
        truth=rng.integers(0, 7, 60).astype(np.int32),
        scores=rng.dirichlet(np.ones(7), 60).astype(np.float32),
        classes=tuple("abcdefg"),
        train_support=np.array([300, 150, 60, 30, 10, 5, 2]),
    )


def many_attributes() -> Predictions:
    """Some cells unknown, an attribute without a yes, one never answered with yes."""
    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 2, (60, 7)).astype(np.int32)
    truth[:, 3] = np.minimum(truth[:, 3], 0)
    return Predictions(
        items=tuple(str(i) for i in range(60)),
        groups=None,
        truth=truth,
        scores=rng.random((60, 7)).astype(np.float32),
        classes=tuple("abcdefg"),
        train_support=np.array([300, 150, 60, 30, 10, 5, 2]),
        known=np.full(7, 400),
        cuts=np.array([0.5, 0.5, 1.5, 0.5, 0.2, 0.8, 0.5], np.float32),
    )


def pairs_of_photos() -> Predictions:
    """Sixty pairs in two folds."""
    return faces(60, 7, 1.0, 0, folds=2)


PREDICTIONS = {
    "multiclass": one_class_each,
    "multilabel": many_attributes,
    "verification": pairs_of_photos,
}

ROWS = {"verification": lambda pred: {*(pred.groups or ()), *pred.pairs.partners}}
"""Of whom a kind's rows are, where they are not of its classes, in whatever order."""


@pytest.fixture
def pred(kind: Kind) -> Predictions:
    return PREDICTIONS[kind.name]()


def test_every_kind_is_covered() -> None:
    assert set(PREDICTIONS) == set(KINDS)


def test_it_goes_by_its_name(kind: Kind) -> None:
    assert KINDS[kind.name].startswith("bench.kinds.")


def test_what_it_shows_and_chooses_by_are_metrics(kind: Kind, pred: Predictions) -> None:
    summary = kind.metrics.summary(pred)
    assert {*kind.headline, kind.selection} <= set(METRICS) & set(summary)


def test_its_summary_is_what_is_registered_for_it_and_counts(kind: Kind, pred: Predictions) -> None:
    names = [name for name in kind.metrics.summary(pred) if name not in COUNTS]
    assert tuple(names) == metrics_of(kind.name, sets=False)
    if kind.name == "multiclass":
        with_sets = replace(pred, cuts=np.full(len(pred.classes), 0.1, np.float32))
        names = [name for name in kind.metrics.summary(with_sets) if name not in COUNTS]
        assert tuple(names) == metrics_of(kind.name)


def test_its_tables_show_what_it_gives(kind: Kind, pred: Predictions) -> None:
    rows, summary = kind.metrics.per_class(pred), kind.metrics.summary(pred)
    keys = [column.key for column in kind.columns.classes]
    assert len(set(keys)) == len(keys)
    assert all(set(keys) <= set(row) for row in rows)
    if kind.name in ROWS:
        assert {row["class"] for row in rows} == ROWS[kind.name](pred)
    else:
        assert [row["class"] for row in rows] == list(pred.classes)
    assert all({"class", "test_support"} <= set(row) for row in rows)
    for average in kind.columns.averages:
        assert set(average.columns) <= set(keys)
        assert set(average.columns.values()) <= set(summary)
        assert average.role in ("average", "group")
    groups = {average.name for average in kind.columns.averages if average.role == "group"}
    assert {row.get("group") for row in rows} <= groups | {None}


def test_its_trivial_answers_are_scored_on_the_same_items(kind: Kind, pred: Predictions) -> None:
    trivials = kind.metrics.trivials(pred)
    assert tuple(trivials) == tuple(kind.trivial_notes)
    for trivial in trivials.values():
        assert trivial.items == pred.items and np.array_equal(trivial.truth, pred.truth)
        assert set(kind.metrics.summary(trivial)) == set(kind.metrics.summary(pred))
    assert not {"val", "test", "imputed"} & set(trivials)


def test_its_curves_are_points_of_known_classes(kind: Kind, pred: Predictions) -> None:
    for row in kind.metrics.curves(pred):
        assert list(row) == ["class", "curve", "x", "y", "cut"]
        assert row["class"] in pred.classes and row["curve"] in ("roc", "pr")
        assert 0 <= row["x"] <= 1 and 0 <= row["y"] <= 1


def test_it_never_needs_a_part_that_has_no_items(kind: Kind, pred: Predictions) -> None:
    none = pred.take(np.arange(0))
    assert all(value is None for name, value in kind.metrics.summary(none).items() if name in METRICS)
    assert len(kind.metrics.per_class(none)) == (0 if kind.name in ROWS else 7) and not kind.metrics.curves(
        none
    )


def test_its_draws_agree_with_its_summary(kind: Kind, pred: Predictions) -> None:
    summary = kind.metrics.summary(pred)
    for name, values in kind.metrics.weighted_summary(pred, np.ones((2, 60))).items():
        assert values == pytest.approx([np.nan if summary[name] is None else summary[name]] * 2, nan_ok=True)


def facets_of(cls: type[Any]) -> dict[str, type[Any]]:
    """Return the protocols of a kind's facets, by the facets' names; some have none in `core`."""
    made = {
        name: get_args(vars(value)["__orig_class__"])[0]
        for name, value in vars(cls).items()
        if isinstance(value, Facet)
    }
    return {name: own for name, own in made.items() if own is not Any} | {"confusion": Confusion}


def test_every_facet_answers_what_its_protocol_says(kind: Kind) -> None:
    found = facets_of(Kind)
    assert {"metrics", "tables", "confusion", "description", "sections", "predictor"} <= set(found)
    for name, protocol in found.items():
        facet = getattr(kind, name)
        if name == "confusion" and facet is None:
            assert kind.nouns.no_confusion
            continue
        members = [*vars(protocol), *protocol.__annotations__]
        asked = [member for member in members if not member.startswith("_")]
        assert asked and [member for member in asked if not hasattr(facet, member)] == []


def test_an_unknown_kind_is_one_line() -> None:
    with pytest.raises(BenchError, match="unknown kind 'multiclas'; did you mean 'multiclass'"):
        get_kind("multiclas")


@pytest.mark.parametrize("name", KINDS)
def test_planning_reads_a_kind_without_numpy(name: str) -> None:
    code = (
        f"import sys; from bench.core.kind import get_kind; get_kind({name!r}).checks;"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
