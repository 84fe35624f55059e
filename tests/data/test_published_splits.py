"""Published splits: used as they are, with an official validation part, and their leaks counted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import DataError
from bench.data.examples import Examples
from bench.data.split_rules import SplitPlan, check_plan, published_parts
from bench.data.splits import StageSplit, train_mask
from bench.data.task_card import Stage
from bench.kinds.multiclass.split import stage_split
from bench.kinds.multilabel.split import attribute_split
from tests.data.folders import encoded
from tests.data.layouts import put
from tests.data.test_splits import _NoImages

ALL = Stage("all", 0, None)
PLAN = SplitPlan("column", "part")


def examples(parts: list[str]) -> Examples:
    return Examples(tuple(map(str, range(len(parts)))), {"part": tuple(parts)}, _NoImages(), "f", "test")


def split(labels: str, parts: list[str], seed: int = 0, **more: Any) -> StageSplit:
    """Split rows by their published parts, as `Parts` does."""
    sides = published_parts("part", parts)
    train = train_mask(examples(parts), list(labels), PLAN)
    val = np.array([side == "val" for side in sides])
    validation = val if val.any() else None
    ok = np.ones(len(labels), bool)
    return stage_split(
        list(labels), train, ok, ALL, val_fraction=0.25, seed=seed, validation=validation, **more
    )


def test_parts_are_used_as_published_whatever_the_seed() -> None:
    parts = ["train", "Valid", "TEST", "training", "val", "testing", "train", "dev"]
    for seed in range(3):
        got = split("abababab", parts, seed)
        assert got.train.tolist() == [0, 3, 6]
        assert (got.val.tolist(), got.test.tolist()) == ([1, 4, 7], [2, 5])


def test_without_validation_the_seed_draws_it_and_without_test_validation_tests() -> None:
    drawn = [split("ab" * 8, ["train"] * 12 + ["test"] * 4, seed).val.tolist() for seed in range(4)]
    assert all(len(val) == 3 and max(val) < 12 for val in drawn) and len({tuple(val) for val in drawn}) > 1
    tested = split("ab" * 8, ["train"] * 12 + ["val"] * 4)
    assert tested.test.tolist() == [12, 13, 14, 15] and len(tested.val) == 3


def test_a_class_of_test_alone_is_counted_and_one_of_validation_alone_is_not_trained() -> None:
    got = split("aabbabcdcdab", ["train"] * 4 + ["val"] * 2 + ["test", "val", "test", "val", "test", "test"])
    assert got.classes == ("a", "b") and got.unseen == 2
    assert got.val.tolist() == [4, 5] and got.train_counts.tolist() == [3, 3]
    with pytest.raises(DataError, match="no usable test row of its classes"):
        split("aabb", ["train", "train", "test", "test"])


def test_leaks_across_the_parts_are_counted_and_can_be_left_out() -> None:
    parts = ["train", "train", "val", "test", "test", "test", "test"]
    hashes, near = ["x", "y", "z", "x", "z", "u", "v"], np.array([[1, 5]])
    got = split("abababa", parts, hashes=hashes, near=near)
    assert (got.leaked, got.leaked_near, len(got.test)) == (2, 1, 4)
    dropped = split("abababa", parts, hashes=hashes, near=near, drop_leaked=True)
    assert dropped.test.tolist() == [6] and dropped.val.tolist() == [2]


def test_attributes_validate_as_published_too() -> None:
    table = np.array([[1], [0], [1], [0], [1]])
    train = np.array([True, True, True, True, False])
    got = attribute_split(
        table, table, ["wet"], train, np.ones(5, bool), ALL, val_fraction=0.3, seed=0,
        validation=np.array([False, True, False, True, False]),
    )  # fmt: skip
    assert (got.train.tolist(), got.val.tolist(), got.test.tolist()) == ([0, 2], [1, 3], [4])


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (["train", "tset", "tset"], "split column 'part' has 'tset' in 2 rows; did you mean 'test'?"),
        (["train", "holdout"], "split column 'part' has 'holdout' in 1 row (a row is train, val, test"),
        (["train", "", "test"], "split column 'part' has an empty cell in 1 row"),
        (["train", "train"], "the split rule column on column 'part' leaves no test row"),
        (["val", "test"], None),
        (["test", "test"], "the split rule column on column 'part' leaves no train row"),
    ],
)
def test_faulty_parts_are_one_line_before_anything_is_computed(parts: list[str], says: str | None) -> None:
    if says is None:
        check_plan(examples(parts), PLAN)
        with pytest.raises(DataError, match="no training row"):
            split("ab", parts)
        return
    with pytest.raises(DataError, match=re.escape(says)):
        check_plan(examples(parts), PLAN)


@pytest.fixture(name="leaky")
def _leaky(tmp_path: Path) -> Path:
    """Folders of parts; test has a copy of a training photo, and validation a smaller one of another."""
    rng = np.random.default_rng(1)
    for number in range(16):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        photo = coarse.resize((120, 120), Image.Resampling.BICUBIC)
        part, label = ("train", "train", "val", "test")[number // 4], "ab"[number % 2]
        put(tmp_path / "d" / part / label / f"{number}.png", encoded(photo, "PNG"))
        if number == 0:
            put(tmp_path / "d" / "test" / "a" / "again.png", encoded(photo, "PNG"))
        if number == 1:
            small = photo.resize((96, 96), Image.Resampling.BICUBIC)
            put(tmp_path / "d" / "val" / "b" / "small.png", encoded(small, "PNG"))
    put(
        tmp_path / "d" / "test" / "c" / "new.png",
        encoded(Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)), "PNG"),
    )
    return tmp_path / "d"


def test_the_check_shows_the_parts_and_their_leaks(
    leaky: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.commands.main import cli

    command: Callable[..., Any] = cli.main
    command(
        ["data", "check", "--data", str(leaky), "--cache", str(leaky.parent / "cache")], standalone_mode=False
    )
    out, err = capsys.readouterr()
    counts = dict(re.findall(r"^(\S.*?) {2,}(\d+)$", out, re.MULTILINE))
    for what, count in {
        "train": "13",
        "of these in the validation split": "5",
        "test": "6",
        "classes not in train": "1",
        "test images also in train (leak)": "1",
        "validation images also, or nearly, in train": "1",
    }.items():
        assert counts[what] == count, out
    assert "published split: train 8, val 5, test 6" in err
    assert "1 class is not in train, so it cannot be learned: c" in err
