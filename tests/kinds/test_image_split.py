"""What a run's protocol says of a split, and a split without validation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.data.task_card import Stage
from bench.kinds.image_split import divided, options

SETTING: dict[str, Any] = {"val_fraction": 0.2, "duplicates": "keep"}
PARTS: Any = SimpleNamespace(
    units=("a", "b"),
    validation=None,
    examples=SimpleNamespace(images=SimpleNamespace(content_hashes=lambda: ("x", "y"))),
)


@pytest.mark.parametrize(
    ("change", "key", "expected"),
    [
        ({}, "val_fraction", 0.2),
        ({"val_fraction": 0.0}, "val_fraction", 0.0),
        ({"val_fraction": None}, "val_fraction", 0.0),
        ({}, "drop_leaked", False),
        ({"duplicates": "drop"}, "drop_leaked", True),
        ({}, "hashes", ("x", "y")),
        ({}, "groups", ("a", "b")),
        ({}, "seed", 7),
    ],
)
def test_the_protocol_says_how_images_are_divided(change: dict[str, Any], key: str, expected: object) -> None:
    assert options(PARTS, {**SETTING, **change}, 7, None)[key] == expected


def test_without_validation_all_known_rows_train() -> None:
    rows = np.arange(10)
    found = divided(
        Stage("all", 1, None),
        rows % 2,
        rows[:8],
        rows[8:],
        lambda test: bool(len(test)),
        val_fraction=0.0,
        seed=0,
    )
    assert found["train"].tolist() == rows[:8].tolist() and not len(found["val"])
    assert found["test"].tolist() == [8, 9]
