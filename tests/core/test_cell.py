"""Identity: pinned, stable, and sensitive to everything that can change a prediction."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.cell import IDENTITY_VERSION, Cell, DataId, MethodSpec, Step, canonical_json, finite
from bench.core.plugins import Plugin

CELL = Cell(
    task="fashion",
    task_version=1,
    kind="multiclass",
    stage="top20",
    regime="frozen",
    backbone="mobilenet_025",
    weights="imagenet",
    method=MethodSpec((Step("focal", (("alpha", 1.0), ("gamma", 2.0))),), "focal"),
    seed=0,
    protocol=(("batch_size", 64), ("lr", 0.001)),
    data=DataId("drawn-tiny", "0" * 64),
)


def test_identity_is_pinned() -> None:
    """Do not edit the expected id: when the algorithm changes, bump IDENTITY_VERSION and pin the new pair."""
    pinned = (3, "c1767b57f819fa3047f784747ad6801a1396d03ac70ef512080431e862bf0bc8")
    assert (IDENTITY_VERSION, CELL.id) == pinned


@pytest.mark.parametrize(
    "change",
    [
        {"task": "other"},
        {"task_version": 2},
        {"kind": "multilabel"},
        {"stage": "remaining"},
        {"regime": "scratch"},
        {"backbone": "lenet"},
        {"weights": "random"},
        {"method": MethodSpec((), "none")},
        {"seed": 1},
        {"protocol": (("batch_size", 64), ("lr", 0.002))},
        {"data": DataId("drawn-tiny", "1" * 64)},
        {"data": DataId("drawn-small", "0" * 64)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_changes_the_identity(change: dict[str, object]) -> None:
    assert replace(CELL, **change).id != CELL.id  # type: ignore[arg-type]


def test_the_spelling_of_a_method_does_not_change_the_identity() -> None:
    assert replace(CELL, method=replace(CELL.method, text="focal(gamma=2)")).id == CELL.id


def test_every_field_is_in_the_identity() -> None:
    whole = replace(CELL, plugins=(Plugin("toy", "1.2", "abc"),))
    assert set(whole.identity()) - {"identity_version"} == set(Cell.__dataclass_fields__)
    assert set(whole.identity()) - set(CELL.identity()) == {"plugins"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_finite_makes_strict_json_and_keeps_the_rest(value: object) -> None:
    text = canonical_json(finite(value))
    assert text.isascii()
    assert canonical_json(json.loads(text)) == text


def test_canonical_json_ignores_order_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": [1.5, None]}) == canonical_json({"a": [1.5, None], "b": 1})
    with pytest.raises(ValueError, match="Out of range|JSON"):
        canonical_json(float("nan"))
