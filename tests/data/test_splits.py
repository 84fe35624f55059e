"""Split rules and stages: by hand, by property, and on the real fashion table."""

from __future__ import annotations

import csv
import os
from collections import Counter
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError, DataError
from bench.core.protocol import CARD, KEYS
from bench.data import split_rules
from bench.data.examples import Examples
from bench.data.split_rules import SplitPlan, check_plan, check_sides
from bench.data.splits import StageSplit, even_year, stratified, train_mask
from bench.data.task_card import Stage
from bench.data.validation import draw_validation
from bench.kinds.multiclass.split import stage_split

ALL = Stage("all", 0, None)
TOP2 = Stage("top2", 0, 2)
REST = Stage("rest", 2, None)


class _NoImages:
    def read(self, index: int) -> np.ndarray:
        raise NotImplementedError

    def content_hashes(self) -> tuple[str, ...]:
        raise NotImplementedError


def _examples(years: list[str]) -> Examples:
    return Examples(tuple(map(str, range(len(years)))), {"year": tuple(years)}, _NoImages(), "f", "test")


def _split(labels: list[str], train: int, stage: Stage = ALL, **more: object) -> StageSplit:
    """Split rows of which the first `train` train."""
    ok = more.pop("ok", np.ones(len(labels), bool))
    defaults: dict[str, object] = {"val_fraction": 0.25, "seed": 0}
    return stage_split(labels, np.arange(len(labels)) < train, ok, stage, **{**defaults, **more})  # type: ignore[arg-type]


def test_every_rule_has_a_function_and_is_a_word_of_the_setting() -> None:
    for rule in split_rules.RULES.values():
        module, _, name = rule.place.partition(":")
        assert callable(getattr(import_module(module, "bench.data"), name))
    assert KEYS["split"].choices == (CARD, *split_rules.RULES)


def test_even_years_train_and_all_else_tests() -> None:
    values = ["2012", "2011", " 2016.0 ", "", "2012a", "-2012", "٢٠١٢", "9" * 400, "0"]
    assert even_year(values).tolist() == [True, False, True, False, False, False, False, False, True]
    assert (
        train_mask(_examples(values), values, SplitPlan("even_year", "year")).tolist()
        == even_year(values).tolist()
    )


@pytest.mark.parametrize(
    ("years", "rule", "column", "message"),
    [
        (["2012", "2011"], "evenyear", "year", "did you mean 'even_year'"),
        (["2012", "2011"], "even_year", "yaer", "no column 'yaer'.*did you mean 'year'"),
        (["2011", "2013"], "even_year", "year", "leaves no train row"),
        (["2012", "2014"], "even_year", "year", "leaves no test row"),
        ([], "even_year", "year", "leaves no"),
    ],
)
def test_splits_that_cannot_be_are_told_before_anything_is_computed(
    years: list[str], rule: str, column: str, message: str
) -> None:
    with pytest.raises(BenchError, match=message):
        check_plan(_examples(years), SplitPlan(rule, column))


def test_a_rule_that_looks_at_no_column_names_none() -> None:
    with pytest.raises(DataError, match="^the split rule random leaves no test row; add data$"):
        check_sides(SplitPlan("random", ""), [True])
    with pytest.raises(DataError, match="^the split rule even_year on column 'year' leaves no train row"):
        check_sides(SplitPlan("even_year", "year"), [False])


def test_stages_by_hand() -> None:
    labels = [*"ccccaaaabbd", *"abcdea", ""]
    top, rest = (_split(labels, 11, stage) for stage in (TOP2, REST))
    assert top.classes == ("a", "c"), "equal counts are ordered by name"
    assert rest.classes == ("b", "d")
    assert top.truth.tolist() == [1] * 4 + [0] * 4 + [-1] * 3 + [0, -1, 1, -1, -1, 0, -1]
    assert top.test.tolist() == [11, 13, 16]
    assert rest.test.tolist() == [12, 14]
    assert top.train_counts.tolist() == [4, 4]
    assert rest.train_counts.tolist() == [2, 1]
    assert top.unseen == rest.unseen == 1, "e; the row without a label is nobody's"
    assert len(top.val) == 2
    assert top.leaked is None
    assert top.truth.dtype == np.int32


def test_membership_is_decided_on_usable_rows() -> None:
    labels = [*"aaabbc", *"abc"]
    ok = np.array([False, False, True, True, True, True, True, True, True])
    split = _split(labels, 6, TOP2, ok=ok, val_fraction=0.0)
    assert split.classes == ("b", "a")
    assert split.train.tolist() == [2, 3, 4]
    unusable_test = _split(labels, 6, ALL, ok=np.arange(9) != 7)
    assert unusable_test.test.tolist() == [6, 8]


def test_labels_that_numpy_would_confuse_stay_apart() -> None:
    labels = ["a", "a\0", "a ", "a", "a\0", "a "]
    assert len(_split(labels, 3).classes) == 3


def test_leaks_are_counted_or_dropped() -> None:
    labels = [*"aabb", *"aab"]
    hashes = ["p", "q", "r", "s", "p", "t", "q"]
    kept = _split(labels, 4, hashes=hashes)
    assert (kept.test.tolist(), kept.leaked) == ([4, 5, 6], 2)
    dropped = _split(labels, 4, hashes=hashes, drop_leaked=True)
    assert (dropped.test.tolist(), dropped.leaked) == ([5], 2)
    with pytest.raises(DataError, match="duplicates=keep"):
        _split(labels[:5], 4, hashes=hashes, drop_leaked=True)


def test_near_duplicates_leak_as_copies_do() -> None:
    labels = [*"aabb", *"aabb"]
    hashes = ["p", "q", "r", "s", "p", "t", "u", "v"]
    # The first test row is a copy too, the last one is like another test row alone.
    near = np.array([[0, 4], [1, 5], [6, 7]])
    alone = _split(labels, 4, hashes=hashes)
    kept = _split(labels, 4, hashes=hashes, near=near)
    assert (kept.leaked, kept.leaked_near, alone.leaked_near) == (1, 1, None)
    for part in ("train", "val", "test"):
        assert np.array_equal(getattr(kept, part), getattr(alone, part)), "they move nothing"
    dropped = _split(labels, 4, hashes=hashes, near=near, drop_leaked=True)
    assert (dropped.test.tolist(), dropped.leaked, dropped.leaked_near) == ([6, 7], 1, 1)


def test_leaks_are_of_the_stage_itself() -> None:
    labels = [*"aabbc", *"ac"]
    assert _split(labels, 5, TOP2, hashes=["1", "2", "3", "4", "x", "x", "y"]).leaked == 0


@pytest.mark.parametrize(
    ("labels", "train", "stage", "message"),
    [
        (
            [*"ab", *"ab"],
            2,
            Stage("rest", 20, None),
            "stage 'rest' begins at class 21, but train knows only 2",
        ),
        (["", "", "a"], 2, ALL, "no training row has both"),
        ([*"ab", *"cd"], 2, ALL, "no usable test row"),
        ([*"ab"], 2, ALL, "no usable test row"),
    ],
)
def test_empty_parts_are_one_line_errors(labels: list[str], train: int, stage: Stage, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        _split(labels, train, stage)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_validation_fraction_is_checked(fraction: float) -> None:
    with pytest.raises(BenchError, match="val_fraction"):
        _split([*"aab", *"ab"], 3, val_fraction=fraction)


def test_no_validation_when_none_is_asked_for() -> None:
    assert len(_split([*"aabb", *"ab"], 4, val_fraction=0.0).val) == 0


def test_validation_is_stratified_by_hand() -> None:
    labels = ["a"] * 40 + ["b"] * 20 + ["c"] * 2 + ["d"] + ["a"]
    split = _split(labels, 63, val_fraction=0.25)
    assert np.bincount(split.truth[split.val], minlength=4).tolist() == [10, 5, 1, 0]


@pytest.mark.parametrize("share", [0.15, 0.33, 0.4, 0.45, 0.7])
def test_classes_with_fewer_rows_than_folds_are_split_by_their_share(share: float) -> None:
    sizes = {"a": 200, "b": 90, "c": 60, "d": 30, "e": 31, "f": 20, "g": 11}
    labels = [name for name, size in sizes.items() for _ in range(size)]
    test = ~stratified(labels, (), SplitPlan("stratified", "", share, 0))
    counts = Counter(np.array(labels)[test].tolist())
    assert all(abs(counts[name] - share * size) < 2 for name, size in sizes.items()), counts
    assert abs(test.mean() - share) < 0.01


@pytest.mark.parametrize("rule", ["stratified", "grouped"])
def test_as_many_rows_or_groups_as_folds_are_enough(rule: str) -> None:
    def divide(n: int) -> list[bool]:
        examples: Any = SimpleNamespace(columns={"owner": tuple(f"{row}" for row in range(n))})
        mask = train_mask(examples, ["a"] * n, SplitPlan(rule, "owner", fraction=0.25))
        return sorted(mask.tolist())

    assert divide(4) == [False, True, True, True]
    fewer = {"stratified": "fewer labelled rows", "grouped": "fewer groups in column 'owner'"}
    with pytest.raises(DataError, match=fewer[rule]):
        divide(3)


def test_groups_are_whole_in_train_or_test_and_rows_without_one_stand_alone() -> None:
    owners = [f"{row // 4}" for row in range(60)] + [""] * 20
    examples: Any = SimpleNamespace(columns={"owner": tuple(owners)})
    for seed in range(3):
        train = train_mask(examples, [*"ab"] * 40, SplitPlan("grouped", "owner", seed=seed))
        assert 0.1 < np.mean(~train) < 0.3
        assert all(
            train[start : start + 4].all() or not train[start : start + 4].any() for start in range(0, 60, 4)
        )
        assert train[60:].any() and not train[60:].all()


def test_a_column_that_is_not_there_is_named() -> None:
    examples: Any = SimpleNamespace(columns={"owner": ("1", "2")})
    with pytest.raises(DataError, match="ownr"):
        train_mask(examples, ["a", "b"], SplitPlan("grouped", "ownr"))


def test_a_class_has_a_column_of_its_own() -> None:
    split = _split([*"aab", *"ab"], 3)
    assert split.columns(np.array([0, 2])).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_the_largest_remainders_get_the_rows_that_are_left() -> None:
    truth = np.repeat([0, 1], [9, 15])
    val = draw_validation(truth, np.arange(24), [[row] for row in range(24)], 0.25, 0)
    # 2.25 and 3.75 of six.
    assert np.bincount(truth[val]).tolist() == [2, 4]


def test_a_group_that_brings_its_class_no_nearer_is_not_drawn() -> None:
    pairs = [[row, row + 1] for row in range(0, 10, 2)]
    assert not len(draw_validation(np.zeros(10, int), np.arange(10), pairs, 0.1, 0))
    assert len(draw_validation(np.zeros(10, int), np.arange(10), pairs, 0.2, 0)) == 2


def test_groups_too_large_for_any_class_fill_up_to_the_size_of_all() -> None:
    """Either class should have one row, and no group has one."""
    pairs = [[row, row + 1] for row in range(0, 20, 2)]
    val = draw_validation(np.repeat([0, 1], 10), np.arange(20), pairs, 0.1, 0)
    assert [val.tolist()] == [pair for pair in pairs if set(pair) & set(val.tolist())]


def test_large_groups_still_give_a_validation_part_of_the_right_size() -> None:
    labels = [*"abcdef"] * 20 + ["a"]
    groups = [str(row // 6) for row in range(121)]
    split = _split(labels, 120, val_fraction=0.1, groups=groups)
    assert len(split.val) == 12
    assert len({groups[row] for row in split.val}) == 2


def test_groups_and_equal_images_chain() -> None:
    labels = ["a"] * 12 + ["a"]
    groups = [*"0011223344556"]
    hashes = [str(row) for row in range(13)]
    hashes[1] = hashes[2]
    for seed in range(5):
        split = _split(labels, 12, groups=groups, hashes=hashes, seed=seed)
        assert len({0, 1, 2, 3} & set(split.val.tolist())) in (0, 4)


@st.composite
def _problems(draw: st.DrawFn) -> dict[str, object]:
    n = draw(st.integers(2, 60))
    labels = draw(st.lists(st.sampled_from("aaaaabbbccd"), min_size=n, max_size=n))
    ids = st.none() | st.lists(st.integers(0, max(1, n // 2)).map(str), min_size=n, max_size=n)
    return {
        "labels": [*labels, *"abcd"],
        "n": n,
        "groups": draw(ids.map(lambda g: g and [*g, *"wxyz"])),
        "hashes": draw(ids.map(lambda h: h and [*h, *"wxyz"])),
        "fraction": draw(st.floats(0.0, 0.6)),
        "seed": draw(st.integers(0, 2**32)),
    }


@given(problem=_problems())
@settings(deadline=None, max_examples=100)
def test_properties_of_a_split(problem: dict) -> None:  # type: ignore[type-arg]
    labels, n, groups, hashes = problem["labels"], problem["n"], problem["groups"], problem["hashes"]
    fraction = problem["fraction"]

    def draw() -> StageSplit:
        return _split(labels, n, val_fraction=fraction, seed=problem["seed"], groups=groups, hashes=hashes)

    split = draw()
    parts = [split.train.tolist(), split.val.tolist(), split.test.tolist()]
    assert sorted(parts[0] + parts[1]) == list(range(n)), "train and val share out the training part"
    assert not set(parts[2]) & set(range(n))
    assert all(part == sorted(part) for part in parts)
    assert set(split.truth[split.train].tolist()) == set(range(len(split.classes))), "every class trains"
    for ids in (groups, hashes):
        if ids is not None:
            assert not {ids[row] for row in split.train} & {ids[row] for row in split.val}
    again = draw()
    for mine, other in ((split.train, again.train), (split.val, again.val)):
        np.testing.assert_array_equal(mine, other)
    if groups is None and hashes is None:
        counts, drawn = split.train_counts, np.bincount(split.truth[split.val], minlength=len(split.classes))
        assert (np.abs(drawn - fraction * counts) < 1 + 1e-9).all(), "each class within one row of its share"
        assert abs(len(split.val) - fraction * n) <= 1 + (counts == 1).sum()


def test_the_seed_decides_who_validates() -> None:
    labels = ["a"] * 60 + ["a"]
    draws = [_split(labels, 60, seed=seed).val.tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_the_real_fashion_table() -> None:
    folder = Path(os.environ.get("BENCH_DATA", "no such folder")) / "fashion"
    if not (folder / "styles.csv").is_file():
        pytest.skip("BENCH_DATA names no folder with fashion/styles.csv")
    with (folder / "styles.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    labels, train = [row[4] for row in rows], even_year([row[7] for row in rows])
    assert train.sum() == 1869
    ok = np.ones(len(rows), bool)
    top, rest = (
        stage_split(labels, train, ok, stage, val_fraction=0.15, seed=0)
        for stage in (Stage("top20", 0, 20), Stage("remaining", 20, None))
    )
    assert (len(top.train) + len(top.val), len(top.test)) == (1751, 5312)
    assert (len(rest.train) + len(rest.val), len(rest.test)) == (118, 1909)
    assert top.unseen + len(top.test) + len(rest.test) == (~train).sum()
