"""The parts of a stage with many attributes, and what a table of them knows, hides and remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.cell import Value
from bench.core.errors import DataError
from bench.core.protocol import defaults
from bench.data.examples import Examples
from bench.data.labels import Parts
from bench.data.split_rules import SplitPlan
from bench.data.splits import train_mask
from bench.data.task_card import Stage, TaskCard
from bench.kinds.multilabel.split import attribute_split

ALL = Stage("all", 0, None)


class NoImages:
    """Images that nobody looks at."""

    def read(self, index: int) -> np.ndarray:
        raise NotImplementedError

    def content_hashes(self) -> tuple[str, ...]:
        raise NotImplementedError


NAMES = ("a", "b", "c")


def _table(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, (n, 3)).astype(np.int8)


def _cut(n: int = 60, **changes: Any) -> Any:
    table = changes.pop("table", _table(n))
    train = np.arange(n) % 4 != 0
    given = {"val_fraction": 0.2, "seed": 0, **changes}
    hidden = np.full_like(table, -1)
    return attribute_split(table, hidden, NAMES, train, np.ones(n, bool), given.pop("stage", ALL), **given)


@given(st.integers(0, 9), st.floats(0.01, 0.6), st.integers(1, 30))
def test_parts_are_disjoint_and_nothing_that_belongs_together_is_parted(
    seed: int, fraction: float, groups: int
) -> None:
    hashes = [f"h{row % groups}" for row in range(60)]
    split = _cut(seed=seed, val_fraction=fraction, hashes=hashes)
    parts = [set(part.tolist()) for part in (split.train, split.val, split.test)]
    assert parts[0] | parts[1] == {row for row in range(60) if row % 4} and not parts[0] & parts[1]
    assert parts[2] == {row for row in range(60) if row % 4 == 0}
    assert not {hashes[row] for row in parts[0]} & {hashes[row] for row in parts[1]}
    leaked = sum(hashes[row] in {hashes[other] for other in parts[0] | parts[1]} for row in parts[2])
    assert split.leaked == leaked


def test_rows_without_any_known_cell_are_kept_and_counts_are_of_known_cells() -> None:
    table = _table(60)
    table[:8] = -1
    split = _cut(table=table)
    assert {1, 2, 3, 5, 6, 7} <= set(split.train) | set(split.val) and {0, 4} <= set(split.test)
    rows = np.concatenate([split.train, split.val])
    np.testing.assert_array_equal(split.train_counts, (table[rows] == 1).sum(axis=0))
    np.testing.assert_array_equal(split.train_known, (table[rows] >= 0).sum(axis=0))
    assert split.truth.dtype == np.int32 and split.classes == NAMES and split.unseen == 0


def test_a_stage_takes_attributes_by_their_order() -> None:
    split = _cut(stage=Stage("later", 1, 3))
    assert split.classes == ("b", "c") and split.truth.shape == (60, 2)
    with pytest.raises(DataError, match="begins at attribute 4, but the data has only 3"):
        _cut(stage=Stage("none", 3, None))


def test_test_images_that_train_holds_too_can_be_dropped() -> None:
    hashes = ["same" if row in (0, 1) else str(row) for row in range(60)]
    kept, dropped = (_cut(hashes=hashes, drop_leaked=drop) for drop in (False, True))
    assert kept.leaked == dropped.leaked == 1
    assert set(kept.test) - set(dropped.test) == {0}
    with pytest.raises(DataError, match="every test image is also in train"):
        _cut(hashes=["same"] * 60, drop_leaked=True)


def test_nothing_known_on_one_side_is_an_error() -> None:
    table = _table(60)
    table[::4] = -1
    with pytest.raises(DataError, match="no usable test row with a known label"):
        _cut(table=table)
    table = _table(60)
    val = _cut(table=table).val
    table[val] = -1
    with pytest.raises(DataError, match=f"none of the {len(val)} validation rows has a known label"):
        _cut(table=table)


def _examples(n: int = 40) -> Examples:
    table = _table(n, seed=3)
    words = {1: "1", 0: "0", -1: ""}
    columns = {name: tuple(words[int(v)] for v in table[:, c]) for c, name in enumerate(NAMES)}
    columns["season"] = tuple("summer" if row % 2 else "winter" for row in range(n))
    # The true value of every cell of b, also where it is unknown.
    answers = {"b": tuple("1" if row % 3 else "0" for row in range(n))}
    return Examples(
        tuple(map(str, range(n))),
        columns,
        NoImages(),
        "f",
        "made",
        attributes=NAMES,
        answers=answers,
    )


def _parts(**settings: Value) -> Parts:
    card = TaskCard(
        name="t",
        version=1,
        kind="multilabel",
        title="",
        source="made",
        sources={},
        label="",
        split_rule="random",
        split_column="",
        not_classes=(),
        confused={},
        truth="",
        stages=(ALL,),
        titles="",
        protocols={},
        protocol={"common": {}},
        grids={},
        path=Path("task.toml"),
    )
    return Parts(card, _examples(), {**defaults(), **settings})


def test_hidden_cells_are_unknown_in_train_and_remembered() -> None:
    plain, hidden = _parts(), _parts(hide="random", hide_rate=0.4)
    given = _table(40, seed=3)
    np.testing.assert_array_equal(plain.table, given)
    changed = hidden.table != given
    assert changed.any() and (hidden.table[changed] == -1).all() and not changed[~hidden.train].any()
    np.testing.assert_array_equal(hidden.hidden[changed], given[changed])
    # What was unknown before is known to the data for b alone.
    unknown = given == -1
    assert (hidden.hidden[:, [0, 2]][unknown[:, [0, 2]]] == -1).all()
    b = np.flatnonzero(unknown[:, 1])
    np.testing.assert_array_equal(hidden.hidden[b, 1], (b % 3 > 0).astype(int))
    assert (hidden.hidden[hidden.table >= 0] == -1).all()


def test_hiding_by_a_column_needs_the_column() -> None:
    assert (_parts(hide="column", hide_rate=0.4, hide_by="season").table == -1).sum() > (
        _parts().table == -1
    ).sum()
    with pytest.raises(DataError, match="hide_by: the data has no column 'seasn'; did you mean 'season'"):
        _ = _parts(hide="column", hide_rate=0.4, hide_by="seasn").table


@given(st.integers(0, 5), st.floats(0.05, 0.5))
def test_the_random_rule_tests_a_share_of_the_labelled_rows(seed: int, fraction: float) -> None:
    labels = ["" if row % 7 == 0 else "x" for row in range(90)]
    plan = SplitPlan("random", "", fraction, seed)
    mask = train_mask(_examples(90), labels, plan)
    labelled = sum(label != "" for label in labels)
    assert (~mask).sum() == round(fraction * labelled)
    assert all(mask[row] for row in range(90) if row % 7 == 0)
    np.testing.assert_array_equal(mask, train_mask(_examples(90), labels, plan))
