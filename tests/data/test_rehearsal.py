"""A rehearsal: as few images per class as in the poorer stage, and nothing of any test part."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.cell import Value
from bench.core.errors import BenchError, DataError
from bench.core.paths import search_path
from bench.data.rehearsal import Rehearsal
from bench.data.splits import StageSplit
from bench.data.task_card import Stage, load_card
from bench.kinds.multiclass.split import stage_split
from bench.runs.open_task import open_task
from bench.runs.plan import Request, make_plan
from bench.store.write import Store
from tests.place import Place

RICH, POOR = Stage("rich", 0, 3), Stage("poor", 3, None)
COUNTS = {"a": 60, "b": 50, "c": 40, "d": 9, "e": 4, "f": 4, "g": 1}
TRAINED = sum(COUNTS.values())


def _data(seed: int) -> tuple[list[str], list[str], list[str]]:
    """Return labels, brands and hashes: 168 rows that train, and 50 that test."""
    rng = np.random.default_rng(seed)
    labels = [name for name, count in COUNTS.items() for _ in range(count)]
    labels = [labels[row] for row in rng.permutation(TRAINED)] + ["a", "d"] * 25
    brands = [str(number) if number else "" for number in rng.integers(0, 24, len(labels))]
    # Six pairs of equal images join some brands; with many more all would be one, which cannot be parted.
    hashes = np.arange(len(labels))
    first, other = rng.permutation(TRAINED)[:12].reshape(2, 6)
    hashes[first] = hashes[other]
    return labels, brands, [str(number) for number in hashes]


def _rehearse(
    data: tuple[list[str], list[str], list[str]], seed: int = 0, draw_seed: int = 0, by_brand: bool = True
) -> StageSplit:
    labels, brands, hashes = data
    return stage_split(
        labels,
        np.arange(len(labels)) < TRAINED,
        np.ones(len(labels), bool),
        RICH,
        val_fraction=0.25,
        seed=seed,
        hashes=hashes,
        rehearsal=Rehearsal(POOR, brands if by_brand else None, draw_seed),
    )


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 400), st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_it_learns_and_tests_on_training_images_that_share_nothing(
    drawn: int, seed: int, draw_seed: int, by_brand: bool
) -> None:
    data = _data(drawn)
    labels, brands, hashes = data
    split = _rehearse(data, seed, draw_seed, by_brand)
    learned, tested = [*split.train, *split.val], list(split.test)
    assert max(*learned, *tested) < TRAINED, "no row of a test part"
    assert not {hashes[row] for row in learned} & {hashes[row] for row in tested} and split.leaked == 0
    if by_brand:
        both = {brands[row] for row in learned} & {brands[row] for row in tested}
        assert both <= {""}, "no brand but that of those that have none is on both sides"
    # d, e and g stand for the poor stage: in even steps from its smallest count to its largest.
    found = sorted(Counter(labels[row] for row in learned).values())
    assert all(own <= most for own, most in zip(found[::-1], (9, 4, 1), strict=False))
    if not by_brand:
        assert found == [1, 4, 9], "half of each class is more than enough"
    assert {labels[row] for row in tested} <= {labels[row] for row in learned}
    known = [row for row in range(TRAINED) if labels[row] in "abc"]
    out = [row for row in known if row not in {*learned, *tested}]
    assert split.unseen <= len(out)
    # What nothing is learned of is no answer either.
    assert set(split.classes) == {labels[row] for row in learned} and split.train_counts.min() > 0
    named = [split.classes[number] for number in split.truth[[*learned, *tested]].tolist()]
    assert named == [labels[row] for row in [*learned, *tested]]


def test_seeds_learn_from_other_images_and_test_on_the_same() -> None:
    data = _data(3)
    one, other, again = _rehearse(data, 0), _rehearse(data, 1), _rehearse(data, 0)
    np.testing.assert_array_equal(one.test, other.test)
    assert {*one.train, *one.val} != {*other.train, *other.val}
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
    assert set(_rehearse(data, 0, draw_seed=1).test) != set(one.test)


def test_a_class_of_which_nothing_is_learned_is_no_answer() -> None:
    labels, brands, _ = _data(0)
    hashes = list(map(str, range(len(labels))))
    brands = ["b alone" if label == "b" else brand for label, brand in zip(labels, brands, strict=True)]
    for draw_seed in range(6):
        split = _rehearse((labels, brands, hashes), draw_seed=draw_seed)
        trained = {labels[row] for row in [*split.train, *split.val]}
        assert set(split.classes) == trained and split.train_counts.min() > 0
        named = [split.classes[number] for number in split.truth[split.test].tolist()]
        assert named == [labels[row] for row in split.test.tolist()] and "b" not in named
        assert (split.unseen > 0) == ("b" not in trained)
        if "b" not in trained:
            assert sorted(Counter(labels[row] for row in [*split.train, *split.val]).values()) == [1, 9]


def test_one_brand_alone_cannot_be_parted() -> None:
    labels, _, hashes = _data(0)
    with pytest.raises(DataError, match="no class is in both halves of"):
        _rehearse((labels, ["x"] * len(labels), hashes))


def test_groups_are_not_parted_and_a_stage_without_classes_is_told() -> None:
    labels, groups, _ = _data(1)
    how: dict[str, Any] = {"val_fraction": 0.25, "seed": 0, "groups": groups}
    whole = np.arange(len(labels)) < TRAINED, np.ones(len(labels), bool)
    split = stage_split(labels, *whole, RICH, **how, rehearsal=Rehearsal(POOR, None, 0))
    learned = {groups[row] for row in [*split.train, *split.val]}
    assert not learned & {groups[row] for row in split.test}
    with pytest.raises(DataError, match="train has no class of stage 'none'"):
        stage_split(labels, *whole, RICH, **how, rehearsal=Rehearsal(Stage("none", 7, None), None, 0))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rehearse": "remaning"}, "remaining"),
        ({"rehearse": "top20"}, "a stage does not rehearse itself; add --stage remaining"),
        ({"rehearse": "remaining", "rehearse_by": "brnd"}, "no column 'brnd'"),
        ({"rehearse_by": "gender"}, "add --set rehearse=STAGE"),
        ({"rehearse_seed": 1}, "rehearse_seed is for .* add --set rehearse=STAGE"),
        ({"rehearse": "remaining", "staged": True}, "leave out staged=true"),
        ({"rehearse": "remaining", "noise": "pair", "noise_rate": 0.2}, "noise=pair makes"),
    ],
)
def test_what_cannot_be_rehearsed_is_told_in_a_line(
    given: dict[str, Value], told: str, tmp_path: Path
) -> None:
    card = load_card("fashion", search_path("tasks"))
    request = Request("fashion", sample="tiny", stages=("top20",), settings=given, regime="finetune")
    _, examples = open_task(request, search_path("tasks"), tmp_path)
    with pytest.raises(BenchError, match=told) as caught:
        make_plan(card, request, examples)
    assert "\n" not in str(caught.value)


def test_a_task_of_one_stage_is_told_that_it_has_no_other(tmp_path: Path) -> None:
    card = load_card("marketplace", search_path("tasks"))
    [stage] = card.stages
    request = Request("marketplace", sample="tiny", settings={"rehearse": stage.name})
    _, examples = open_task(request, search_path("tasks"), tmp_path)
    with pytest.raises(BenchError, match="a stage does not rehearse itself; marketplace has no other"):
        make_plan(card, request, examples)


def test_the_command_says_what_it_is_and_stores_no_test_image(tmp_path: Path) -> None:
    place = Place(tmp_path)
    grid = ("--task", "fashion", "--sample", "small", "--backbone", "tfidf", "--seed", "0-1")
    own = ("--stage", "top20", "--set", "rehearse=remaining", "--set", "rehearse_by=productDisplayName")
    out, _ = place.bench("run", *grid, *own, "--method", "none,ncm")
    assert "the real test set is not touched" in out and "seed-003" not in out
    out, _ = place.bench("leaderboard", "--task", "fashion")
    assert "Rehearsal of remaining" in out and "Ranked by test score" not in out
    assert "Rehearsal of remaining" in place.bench("leaderboard", "--task", "fashion", "--effects")[0]
    cell = Store(tmp_path / "results").load()[0][0].id[:8]
    for command in (["confusion", cell], ["show", cell]):
        assert "fashion top20, rehearsal of remaining: tfidf" in place.bench(*command)[0]
    place.bench("run", *grid, "--stage", "top20", "--method", "none", "--results", "real")
    rehearsed, real = (
        {item for cell in Store(tmp_path / name).load()[0] for item in cell.predictions("test").items}
        for name in ("results", "real")
    )
    assert rehearsed and real and not rehearsed & real
