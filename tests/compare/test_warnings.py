"""What results say against themselves: leaks, no signal, no better than chance."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.compare.warnings import _beyond, warnings
from bench.core.cell import Cell, DataId
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.methods.grammar import parse_method
from bench.store.write import Store, Stored

N, K = 120, 3
CLASSES = tuple(f"a{c}" for c in range(K))


def _put(root: Path, strength: float, method: str, seed: int, **changes: Any) -> None:
    """Store a made cell whose scores tell its attributes so strongly."""
    rng = np.random.default_rng(9)
    truth = rng.integers(0, 2, (N, K)).astype(np.int32)
    truth[rng.random((N, K)) < 0.1] = -1
    noise = np.random.default_rng([seed, len(method)]).normal(size=(N, K))
    scores = (1 / (1 + np.exp(-(strength * (truth - 0.5) + noise)))).astype(np.float32)
    counts = np.full(K, 50, np.int64)
    items = tuple(map(str, range(N)))
    test = Predictions(items, None, truth, scores, CLASSES, counts, known=counts * 2)
    kind = get_kind("multilabel")
    protocol = {"duplicates": changes.pop("duplicates", "keep")}
    result = CellResult(
        Cell(
            *("multilabel", 1, "multilabel", "all", "frozen", "mobilenet_025", "imagenet"),
            parse_method(method),
            seed,
            tuple(protocol.items()),
            DataId("made", "0" * 64),
        ),
        "ok",
        metrics={"test": kind.metrics.summary(test), "val": kind.metrics.summary(test)},
        per_class=kind.metrics.per_class(test),
        counts={"test": N, "leaked": 0, **changes.pop("counts", {})},
        checks=changes.pop("checks", {}),
    )
    Store(root).commit(result, {"test": test})


def _lines(root: Path) -> list[str]:
    return warnings(Store(root).load("multilabel")[0])


def _signal(p: float, **attributes: float) -> dict[str, Any]:
    named = {name: {"auc": 0.5, "p": value} for name, value in attributes.items()}
    base = {"auc": 0.51, "chance_mean": 0.5, "chance_high": 0.54, "rows": 9, "permutations": 199}
    return {"signal": {**base, "p": p, "attributes": named}}


def test_scores_without_information_are_said_to_be_chance(tmp_path: Path) -> None:
    for seed in range(3):
        for method in ("none", "focal"):
            _put(tmp_path, 0.0, method, seed)
    [line] = _lines(tmp_path)
    assert line.startswith("chance in all: no method beats it; of 2 settings none")


def test_what_beats_chance_is_named_with_its_corrected_p(tmp_path: Path) -> None:
    for seed in range(3):
        _put(tmp_path, 0.0, "none", seed)
        _put(tmp_path, 2.0, "focal", seed)
    [line] = _lines(tmp_path)
    assert "of 2 settings 1 have" in line and "mobilenet_025 focal (q = 0.00" in line
    assert "none" not in line.split(":")[-1]


def test_settings_of_one_name_are_told_apart(tmp_path: Path) -> None:
    _put(tmp_path, 0.0, "none", 0)
    for duplicates in ("keep", "drop"):
        _put(tmp_path, 2.0, "focal", 0, duplicates=duplicates)
    line = _lines(tmp_path)[-1]
    assert "focal, duplicates=keep (q = " in line and "focal, duplicates=drop (q = " in line


def test_leaks_are_told_unless_they_were_left_out(tmp_path: Path) -> None:
    _put(tmp_path, 2.0, "none", 0, counts={"leaked": 7})
    assert any("leak in all: 7 of 120 test images" in line for line in _lines(tmp_path))
    _put(tmp_path / "dropped", 2.0, "none", 0, counts={"leaked": 7}, duplicates="drop")
    assert any("7 of 127 test images are also in train" in line for line in _lines(tmp_path / "dropped"))


def test_near_duplicates_are_reported_beside_copies(tmp_path: Path) -> None:
    _put(tmp_path, 2.0, "none", 0, counts={"leaked": 0, "leaked_near": 5})
    [line] = [line for line in _lines(tmp_path) if line.startswith("leak")]
    assert "0 of 120 test images are also in train, byte for byte, 5 more nearly so" in line
    assert line.endswith("(--set duplicates=drop leaves them out)")
    dropped = {"leaked": 2, "leaked_near": 5}
    _put(tmp_path / "dropped", 2.0, "none", 0, counts=dropped, duplicates="drop")
    assert any("2 of 127 test images" in line for line in _lines(tmp_path / "dropped"))


def test_the_permutation_test_is_told_with_the_attributes_that_stand_out(tmp_path: Path) -> None:
    for name, checks, words in (
        ("no", _signal(0.4, a0=0.2, a1=0.9, a2=0.5), "no attribute can be predicted"),
        ("one", _signal(0.1, a0=0.005, a1=0.9, a2=0.5), "of 3 attributes these carry signal: a0 (q = 0.015)"),
        ("all", _signal(0.005, a0=0.005, a1=0.005, a2=0.005), "every attribute carries signal"),
    ):
        _put(tmp_path / name, 0.0, "none", 0, checks=checks)
        assert any(
            line.startswith("signal in all, mobilenet_025") and words in line
            for line in _lines(tmp_path / name)
        )


@pytest.mark.parametrize(("p", "second", "warned"), [(0.005, 0.005, 0), (0.005, 0.9, 1), (0.4, 0.9, 1)])
def test_signal_in_every_class_is_no_warning(tmp_path: Path, p: float, second: float, warned: int) -> None:
    _put(tmp_path, 2.0, "none", 0, checks=_signal(p, a0=0.005, a1=second))
    cells, _ = Store(tmp_path).load()
    assert sum(line.startswith("signal") for line in warnings(cells, reassuring=False)) == warned
    assert sum(line.startswith("signal") for line in warnings(cells)) == 1


def test_nothing_measured_says_nothing() -> None:
    nothing: list[Stored] = []
    assert warnings(nothing) == []


def test_pictures_that_are_there_twice_are_told_once_for_all_cells(tmp_path: Path) -> None:
    """Cells of an earlier version, which lack the counts, hide none."""
    found = {"same": 5, "same_torn": 3, "near": 23, "near_across": 9, "near_torn": 16}
    _put(tmp_path, 2.0, "none", 0, checks={})
    for seed in (1, 2):
        _put(tmp_path, 2.0, "none", seed, checks={"duplicates": found})
    lines = _lines(tmp_path)
    assert sum("5 pictures are there more than once" in line for line in lines) == 1
    assert sum("23 pairs of images look nearly the same, 9 of them in train" in line for line in lines) == 1


def test_titles_are_told_where_they_hold_the_class_or_say_nothing(tmp_path: Path) -> None:
    plain = {"titles": 50, "holding": None, "empty": 0, "emptied": 0, "unknown": 0}
    known = {"train": {**plain, "holding": 40}, "test": {**plain, "titles": 20, "holding": 5, "unknown": 2}}
    for name, found in (("none", {"train": plain, "test": plain}), ("held", known)):
        _put(tmp_path / name, 2.0, "none", 0, checks={"titles": {**found, "masked": False}})
    assert not any("titles" in line for line in _lines(tmp_path / "none"))
    held, unknown = (line for line in _lines(tmp_path / "held") if "titles" in line)
    assert held == (
        "titles in all: 80.0% of the training and 25.0% of the test titles hold the name of their own class "
        "(--set mask_class_words=true takes class words out)"
    )
    told = "titles in all: 0 of 50 training and 2 of 20 test titles have no word that a training title has"
    assert unknown == told


@pytest.mark.parametrize(
    ("low", "high", "direction", "beyond"),
    [
        (0.4, 0.8, "higher", False),
        (0.55, 0.65, "higher", True),
        (None, None, "higher", True),
        (0.4, 0.8, "lower", False),
        (0.5, 0.69, "lower", True),
        (None, None, "lower", True),
    ],
)
def test_a_setting_is_beyond_a_trivial_answer_with_its_whole_interval(
    low: float | None, high: float | None, direction: str, beyond: bool
) -> None:
    row: Any = SimpleNamespace(value=0.6, low=low, high=high)
    assert _beyond(row, 0.5 if direction == "higher" else 0.7, direction) is beyond
