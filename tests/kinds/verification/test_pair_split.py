"""Making pairs and cutting them: who is on which side, and that nobody is on two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from bench.core.cell import Value
from bench.core.errors import BenchError, DataError
from bench.data.examples import Examples, PairList
from bench.data.person_folders import open_people
from bench.kinds.verification.arrays import Fold, PairArrays
from bench.kinds.verification.held_out import hold_out, hold_out_listed
from bench.kinds.verification.pair_split import near_different, pair_split, side_mask, sides
from bench.kinds.verification.sampling import _distinct, by_person, make_pairs, possible_pairs
from tests.data.people_folders import opened, people_folder

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=9)


class NoImages:
    """Images by their hashes alone."""

    def __init__(self, hashes: Sequence[str]) -> None:
        self.hashes = tuple(hashes)

    def read(self, index: int) -> np.ndarray:
        raise AssertionError("a split looks at no picture")

    def content_hashes(self) -> tuple[str, ...]:
        return self.hashes


def people(sizes: Sequence[int]) -> tuple[str, ...]:
    return tuple(f"p{number}" for number, size in enumerate(sizes) for _ in range(size))


def examples_of(person: Sequence[str], lists: dict[str, PairList] | None = None) -> Examples:
    items = tuple(f"i{row}" for row in range(len(person)))
    columns = {"person": tuple(person), "number": items}
    return Examples(items, columns, NoImages(items), "f", "people", pair_lists=lists or {})


def setting(**own: Value) -> dict[str, Value]:
    usual: dict[str, Value] = {
        "pairs": "auto",
        "val_fraction": 0.15,
        "train_pairs": 200,
        "test_pairs": 60,
        "pair_balance": False,
        "test_fraction": 0.5,
        "split_seed": 0,
    }
    return {**usual, **own}


def every_pair(person: Sequence[str], rows: Sequence[int], same: bool) -> set[frozenset[int]]:
    pairs = combinations(rows, 2)
    return {frozenset(pair) for pair in pairs if (person[pair[0]] == person[pair[1]]) is same}


def as_sets(pairs: PairArrays, same: bool) -> list[frozenset[int]]:
    both = zip(pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist(), strict=True)
    return [frozenset((one, two)) for one, two, kind in both if kind is same]


def who(person: Sequence[str], *pairs: PairArrays) -> set[str]:
    return {person[row] for own in pairs for row in (*own.first.tolist(), *own.second.tolist())}


@given(sizes=SIZES, data=st.data(), balanced=st.booleans(), seed=st.integers(0, 99))
def test_made_pairs_are_distinct_true_and_as_many_as_there_can_be(
    sizes: list[int], data: st.DataObject, balanced: bool, seed: int
) -> None:
    person = people(sizes)
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, len(person) - 1)))), np.int64)
    asked = {True: data.draw(st.integers(0, 40)), False: data.draw(st.integers(0, 90))}
    possible = {same: every_pair(person, rows.tolist(), same) for same in asked}
    assert possible_pairs(person, rows) == (len(possible[True]), len(possible[False]))
    made = make_pairs(person, rows, asked[True], asked[False], np.random.default_rng(seed), balanced)
    for same, number in asked.items():
        got = as_sets(made, same)
        assert len(got) == len(set(got)) == min(number, len(possible[same]))
        assert set(got) <= possible[same]
    again = make_pairs(person, rows, asked[True], asked[False], np.random.default_rng(seed), balanced)
    assert np.array_equal(made.first, again.first) and np.array_equal(made.second, again.second)


@given(sizes=SIZES)
def test_pairs_are_numbered_without_gaps(sizes: list[int]) -> None:
    person = people(sizes)
    photos = by_person(person, np.arange(len(person)))
    for same, pairs in ((True, photos.same()), (False, photos.different())):
        numbers = np.arange(pairs.total)
        one, two = pairs.decode(numbers)
        assert (one < two).all() and np.array_equal(pairs.encode(one, two), numbers)
        found = {frozenset(pair) for pair in zip(one.tolist(), two.tolist(), strict=True)}
        assert found == every_pair(person, range(len(person)), same)


def test_every_possible_pair_is_as_likely_as_any_other() -> None:
    person = people([1, 2, 3, 4])
    rng = np.random.default_rng(0)
    counts: Counter[frozenset[int]] = Counter()
    for _ in range(3000):
        made = make_pairs(person, np.arange(10), 3, 5, rng)
        counts.update(as_sets(made, True) + as_sets(made, False))
    for same in (True, False):
        found = [counts[pair] for pair in every_pair(person, range(10), same)]
        # Drawn without replacement: less spread than the test expects, so only p near 0 would be a fault.
        assert chisquare(found).pvalue > 1e-3


def test_either_photo_may_come_first() -> None:
    person = people([20] * 20)
    made = make_pairs(person, np.arange(400), 500, 500, np.random.default_rng(1))
    for same in (True, False):
        lower = (made.first < made.second)[made.same == same].mean()
        assert 0.4 < lower < 0.6


def test_balanced_pairs_show_each_person_about_equally_often() -> None:
    sizes = [40, *[3] * 29]
    person = people(sizes)
    rows = np.arange(len(person))
    spread = {}
    for balanced in (False, True):
        made = make_pairs(person, rows, 60, 300, np.random.default_rng(2), balanced)
        for same in (True, False):
            seen = Counter(person[row] for pair in as_sets(made, same) for row in pair)
            spread[balanced, same] = (min(seen[f"p{k}"] for k in range(30)), max(seen.values()))
    assert spread[True, True] == (4, 4), "two pairs of each person"
    assert spread[True, False][0] >= 18 and spread[True, False][1] <= 21, "twenty on average"
    assert spread[False, True][1] > 40 and spread[False, False][1] > 80


def test_balanced_pairs_take_from_others_what_a_person_lacks() -> None:
    person = people([2, 2, 30, 30])
    made = make_pairs(person, np.arange(64), 100, 0, np.random.default_rng(3), True)
    assert Counter(person[row] for row in made.first.tolist()) == {"p0": 1, "p1": 1, "p2": 49, "p3": 49}


def test_a_person_with_very_many_photos_costs_no_memory() -> None:
    person = ("a",) * 200_000 + ("b",) * 5
    made = make_pairs(person, np.arange(200_005), 1000, 1000, np.random.default_rng(0))
    assert len(made) == 2000 and made.same.sum() == 1000
    assert all(person[a] != person[b] for a, b in map(tuple, as_sets(made, False)))


@given(total=st.integers(0, 400), number=st.integers(0, 40), taken=st.sets(st.integers(0, 399), max_size=40))
def test_numbers_are_drawn_once_and_none_that_is_taken(total: int, number: int, taken: set[int]) -> None:
    without = np.array(sorted(taken & set(range(total))), np.int64)
    number = min(number, total - len(without))
    got = _distinct(total, number, np.random.default_rng(0), without).tolist()
    assert len(got) == len(set(got)) == number and set(got) <= set(range(total)) - taken


def test_a_negative_number_of_pairs_is_refused() -> None:
    with pytest.raises(BenchError, match="cannot be negative"):
        make_pairs(("a", "a"), np.arange(2), -1, 0, np.random.default_rng(0))


@given(
    many=st.integers(0, 8),
    single=st.integers(0, 12),
    share=st.floats(0.01, 0.9),
    seed=st.integers(0, 9),
)
def test_people_are_held_out_such_that_both_sides_have_pairs(
    many: int, single: int, share: float, seed: int
) -> None:
    images = {**{f"m{k}": 2 + k for k in range(many)}, **{f"s{k}": 1 for k in range(single)}}
    rng = np.random.default_rng(seed)
    if many < 2 or many + single < 4:
        with pytest.raises(DataError, match="too few to hold people out for test"):
            hold_out(images, share, rng, "test")
        return
    held = hold_out(images, share, rng, "test")
    for side in (held, images.keys() - held):
        assert len(side) >= 2 and any(images[name] > 1 for name in side)
    assert abs(len(held) - share * len(images)) <= 2.5
    assert held == hold_out(dict(reversed(images.items())), share, np.random.default_rng(seed), "test")


def check_fold(examples: Examples, ok: np.ndarray, fold: Fold) -> None:
    """What holds of every fold, whatever its pairs are from, where nobody is listed on both sides."""
    person = examples.columns["person"]
    sides_ = [who(person, fold.train), who(person, fold.val), who(person, fold.test)]
    for one, other in combinations(sides_, 2):
        assert not one & other
    for pairs in (fold.train, fold.val, fold.test, fold.all_train):
        assert ok[pairs.first].all() and ok[pairs.second].all()
        same = [
            person[a] == person[b] for a, b in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
        ]
        assert pairs.same.tolist() == same and pairs.same.dtype == bool
    train, val, every = (
        {person[row] for row in rows.tolist()} for rows in (fold.train_rows, fold.val_rows, fold.all_rows)
    )
    assert sides_[0] <= train and sides_[1] <= val
    assert not train & val and not every & sides_[2] and train | val == every
    for rows in (fold.train_rows, fold.val_rows, fold.all_rows):
        assert ok[rows].all() and np.array_equal(rows, np.unique(rows))


@settings(max_examples=40)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=14, max_size=30),
    seed=st.integers(0, 50),
    split_seed=st.integers(0, 5),
    balanced=st.booleans(),
)
def test_made_pairs_part_people(sizes: list[int], seed: int, split_seed: int, balanced: bool) -> None:
    examples = examples_of(people([*sizes, 4, 4, 4, 4, 4, 4]))
    ok = np.ones(len(examples), bool)
    ok[:2] = False
    own = setting(split_seed=split_seed, pair_balance=balanced, train_pairs=40, test_pairs=11)
    split = pair_split(examples, ok, own, seed)
    (fold,) = split.folds
    check_fold(examples, ok, fold)
    assert split.dropped == 0 and split.person == examples.columns["person"]
    assert (
        len(fold.all_train)
        == len(fold.train) + len(fold.val)
        == split.counts["pairs_train"] + split.counts["pairs_val"]
    )
    assert split.counts["pairs_short_train"] == 40 - len(fold.all_train)
    assert split.counts["pairs_short_test"] == 11 - len(fold.test)
    assert split.counts["people_shared"] == 0 and split.counts["images_unreadable"] == 2
    mask = side_mask(examples, own)
    assert mask[fold.all_rows].all() and not mask[fold.test.first].any() and not mask[fold.test.second].any()
    other = pair_split(examples, ok, own, seed + 1).folds[0]
    assert np.array_equal(other.test.first, fold.test.first), "all seeds test the same pairs"
    assert np.array_equal(other.test.second, fold.test.second)
    again = pair_split(examples, ok, own, seed).folds[0]
    assert np.array_equal(again.train.first, fold.train.first)


def test_made_pairs_are_half_same_and_as_many_as_asked() -> None:
    examples = examples_of(people([10] * 40))
    ok = np.ones(400, bool)
    split = pair_split(examples, ok, setting(train_pairs=1000, test_pairs=301), 0)
    (fold,) = split.folds
    assert [len(pairs) for pairs in (fold.train, fold.val, fold.test)] == [850, 150, 301]
    assert [int(pairs.same.sum()) for pairs in (fold.train, fold.val, fold.test)] == [425, 75, 150]
    assert (
        split.counts["people_test"] == 20 and split.counts["people_train"] + split.counts["people_val"] == 20
    )
    first, second = (pair_split(examples, ok, setting(), seed).folds[0] for seed in (0, 1))
    assert not np.array_equal(first.train.first, second.train.first)
    assert first.val_rows.tolist() != second.val_rows.tolist(), "each seed validates on people of its own"
    third = pair_split(examples, ok, setting(split_seed=1), 0).folds[0]
    assert who(examples.columns["person"], third.test) != who(examples.columns["person"], first.test)


def test_where_one_kind_runs_short_both_are_as_many() -> None:
    examples = examples_of(people([3] * 12))
    split = pair_split(examples, np.ones(36, bool), setting(val_fraction=0.0, train_pairs=1000), 0)
    (fold,) = split.folds
    assert len(fold.train) == 36 and fold.train.same.sum() == 18, "all 18 pairs of one person"
    assert split.counts["pairs_short_train"] == 964 and len(fold.val) == 0 and len(fold.val_rows) == 0


def test_made_pairs_say_what_is_missing() -> None:
    for sizes, says in (([1] * 10, "10 people, 0 of them with two images"), ([5], "1 people, 1 of them")):
        with pytest.raises(DataError, match=says):
            pair_split(examples_of(people(sizes)), np.ones(sum(sizes), bool), setting(), 0)
    # Two readable images of one test person are gone: that side has no pair of one person any more.
    examples = examples_of(people([2, 2, 2, 2, 2, 2, 2, 2, 2, 2]))
    ok = side_mask(examples, setting())
    ok[~ok] = np.arange((~ok).sum()) % 2 == 0
    with pytest.raises(DataError, match="test has no pair of"):
        pair_split(examples, ok, setting(), 0)


def test_nobody_is_never_paired() -> None:
    person = ("", "", *people([4] * 10))
    examples = examples_of(person)
    split = pair_split(examples, np.ones(len(person), bool), setting(val_fraction=0.2), 0)
    check_fold(examples, np.ones(len(person), bool), split.folds[0])
    assert "" not in who(person, split.folds[0].all_train, split.folds[0].test)
    assert sides(examples, setting())[:2].tolist() == [-1, -1]


def test_identical_files_in_different_pairs_are_counted() -> None:
    person = people([4] * 12)
    examples = examples_of(person)
    copied = Examples(**{**vars(examples), "images": NoImages([f"{row % 4}" for row in range(len(person))])})
    split = pair_split(copied, np.ones(len(person), bool), setting(train_pairs=60, test_pairs=20), 0)
    (fold,) = split.folds
    for name, parts in (("train", (fold.train, fold.val)), ("test", (fold.test,))):
        wanted = sum((min(pair) - max(pair)) % 4 == 0 for own in parts for pair in as_sets(own, False))
        assert split.counts[f"identical_different_{name}"] == wanted > 0


def test_near_duplicates_in_different_pairs_are_counted() -> None:
    examples = examples_of(people([4] * 12))
    split = pair_split(examples, np.ones(48, bool), setting(train_pairs=60, test_pairs=20), 0)
    (fold,) = split.folds
    one, two = (side[~fold.test.same][0] for side in (fold.test.first, fold.test.second))
    same = [side[fold.test.same][0] for side in (fold.test.first, fold.test.second)]
    near = np.sort(np.array([[one, two], same]), axis=1)
    assert near_different(split, near) == {"near_different_train": 0, "near_different_test": 1}


def listed(pairs: Sequence[tuple[int, int]], person: Sequence[str], folds: Sequence[int] = ()) -> PairList:
    first, second = zip(*pairs, strict=True)
    same = tuple(person[one] == person[two] for one, two in pairs)
    return PairList(first, second, same, tuple(folds) or (0,) * len(pairs))


def random_lists(seed: int, count: int, chained: bool) -> tuple[Examples, list[tuple[int, int]]]:
    """Return people of two images, each with a same pair; different pairs chain all of them, or couples."""
    rng = np.random.default_rng(seed)
    person = people([2] * count)
    same = [(2 * k, 2 * k + 1) for k in range(count)]
    if chained:
        ends = [(k, (k + step) % count) for step in (1, 2) for k in range(count)]
    else:
        ends = [(k, k + 1) for k in range(0, count - 1, 2)] * 2
    different = [(2 * a + int(rng.integers(2)), 2 * b + int(rng.integers(2))) for a, b in ends]
    train = same + different
    person = (*person, *(f"t{k // 2}" for k in range(8)))
    at = 2 * count
    test = [(at, at + 1), (at + 2, at + 3), (at, at + 2), (at + 4, at + 7)]
    lists = {"view1_train": listed(train, person), "view1_test": listed(test, person)}
    return examples_of(person, lists), train


@pytest.mark.parametrize("chained", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_listed_pairs_are_parted_by_whole_people(seed: int, chained: bool) -> None:
    examples, train = random_lists(seed, 60, chained)
    ok = np.ones(len(examples), bool)
    split = pair_split(examples, ok, setting(), seed)
    (fold,) = split.folds
    check_fold(examples, ok, fold)
    assert list(zip(fold.all_train.first.tolist(), fold.all_train.second.tolist(), strict=True)) == train
    person = examples.columns["person"]
    val = who(person, fold.val)
    ends = [len({person[one], person[two]} & val) / len({person[one], person[two]}) for one, two in train]
    for pairs, share in ((fold.train, 0), (fold.val, 1)):
        kept = [pair for pair, inside in zip(train, ends, strict=True) if inside == share]
        assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == kept, "in their order"
    assert split.dropped == sum(0 < inside < 1 for inside in ends)
    assert (
        0.1 <= len(fold.val) / len(train) <= 0.2
        and (split.dropped > 0) is chained
        and split.dropped <= 0.1 * len(train)
    )
    assert 0 < fold.val.same.mean() < 1
    other = pair_split(examples, ok, setting(), seed + 100).folds[0]
    assert who(person, other.val) != val and len(other.test) == len(fold.test) == 4


def test_no_set_of_people_parts_fewer_pairs_on_a_ring() -> None:
    # On a ring the best set is an arc: two pairs are parted, whatever its length.
    ring = np.arange(40)
    first, second = np.concatenate([ring, ring]), np.concatenate([ring, (ring + 1) % 40])
    for seed in range(6):
        held = hold_out_listed(first, second, 0.15, seed)
        assert int((held[first] != held[second]).sum()) == 2 and 5 <= held.sum() <= 7


@pytest.mark.parametrize("seed", range(3))
def test_in_a_dense_web_of_pairs_training_keeps_most_and_validation_stays_even(seed: int) -> None:
    person = people([6] * 40)
    made = make_pairs(person, np.arange(240), 500, 500, np.random.default_rng(seed))
    train = list(zip(made.first.tolist(), made.second.tolist(), strict=True))
    lists = {"view1_train": listed(train, person), "view1_test": listed(train[498:502], person)}
    examples = examples_of(person, lists)
    split = pair_split(examples, np.ones(240, bool), setting(), seed)
    (fold,) = split.folds
    assert not who(person, fold.train) & who(person, fold.val)
    assert len(fold.train) >= 0.7 * len(train) and len(fold.val) >= 30
    assert abs(fold.val.same.mean() - 0.5) < 0.1
    assert split.dropped == len(train) - len(fold.train) - len(fold.val)


def test_without_validation_all_listed_pairs_train() -> None:
    examples, train = random_lists(0, 20, True)
    split = pair_split(examples, np.ones(len(examples), bool), setting(val_fraction=0.0), 0)
    (fold,) = split.folds
    assert len(fold.train) == len(train) and len(fold.val) == 0 and split.dropped == 0


def test_too_few_listed_pairs_to_validate_are_told() -> None:
    person = people([2, 2, 2, 2])
    lists = {
        "view1_train": listed([(0, 1), (0, 2)], person),
        "view1_test": listed([(4, 5), (4, 6)], person),
    }
    with pytest.raises(
        DataError, match=r"(training|validation) has no pair of .*(raise|lower) val_fraction, or add"
    ):
        pair_split(examples_of(person, lists), np.ones(8, bool), setting(), 0)


def test_a_person_in_both_lists_is_counted_and_tells_nobody_who_he_is() -> None:
    examples, train = random_lists(0, 20, False)
    person = examples.columns["person"]
    test = [(0, 1), (40, 42), (2, 40)]
    lists = {**examples.pair_lists, "view1_test": listed(test, person)}
    split = pair_split(examples_of(person, lists), np.ones(len(person), bool), setting(), 0)
    (fold,) = split.folds
    assert split.counts["people_shared"] == 2 and len(fold.all_train) == len(train)
    assert not {"p0", "p1", "t0"} & {person[row] for row in fold.all_rows.tolist()}
    assert np.array_equal(np.union1d(fold.train_rows, fold.val_rows), fold.all_rows)
    mask = side_mask(examples_of(person, lists), setting())
    assert not mask[:4].any() and mask[4:40].all() and not mask[40:].any()


def test_images_of_people_in_no_list_are_on_no_side() -> None:
    examples, _ = random_lists(0, 20, False)
    person = (*examples.columns["person"], "x", "x", "p3")
    more = examples_of(person, dict(examples.pair_lists))
    side = sides(more, setting())
    assert side[-3:].tolist() == [-1, -1, 1] and set(side[:40].tolist()) == {1}
    split = pair_split(more, np.ones(len(more), bool), setting(), 0)
    assert split.counts["images_unlisted"] == 2
    assert len(person) - 1 in split.folds[0].all_rows.tolist(), "a listed person's other image may be learned"


def folder_of_folds(place: Path, planted: str = "") -> Path:
    """Three folds of two pairs of each kind. planted: replaces the last line of the second fold."""
    names = [f"N{k}" for k in range(12)]
    folder = people_folder(place, dict.fromkeys(names, 2))
    lines = ["3\t2"]
    for fold in range(3):
        a, b, c, d = names[4 * fold : 4 * fold + 4]
        lines += [f"{a}\t1\t2", f"{b}\t2\t1", f"{a}\t1\t{b}\t1", f"{c}\t2\t{d}\t1"]
    if planted:
        lines[8] = planted
    (folder / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_view_2_tests_each_fold_against_the_others_in_order(tmp_path: Path) -> None:
    examples = opened(folder_of_folds(tmp_path / "d"))
    ok = np.ones(len(examples), bool)
    split = pair_split(examples, ok, setting(pairs="view2", val_fraction=0.4), 3)
    assert len(split.folds) == 3 and split.counts["people_shared"] == 0
    pairs = examples.pair_lists["view2"]
    both = list(zip(pairs.first, pairs.second, strict=True))
    for number, fold in enumerate(split.folds):
        check_fold(examples, ok, fold)
        test = list(zip(fold.test.first.tolist(), fold.test.second.tolist(), strict=True))
        assert test == both[4 * number : 4 * number + 4]
        train = list(zip(fold.all_train.first.tolist(), fold.all_train.second.tolist(), strict=True))
        assert train == both[: 4 * number] + both[4 * number + 4 :]
    assert split.counts["pairs_test"] == 12 and split.counts["people_test"] == 12
    side = side_mask(examples, setting(pairs="view2"))
    last = {f"N{k}" for k in range(8, 12)}
    assert side.tolist() == [name not in last for name in examples.columns["person"]]


def test_a_missing_photo_of_view_2_is_an_error_and_not_a_shorter_fold(tmp_path: Path) -> None:
    examples = opened(folder_of_folds(tmp_path / "d", planted="N6\t2\tN7\t3"))
    with pytest.raises(DataError, match=r"^pairs.txt line 9 names image 3 of 'N7', which is missing"):
        pair_split(examples, np.ones(len(examples), bool), setting(pairs="view2"), 0)
    assert pair_split(examples, np.ones(len(examples), bool), setting(train_pairs=20, test_pairs=6), 0).folds


@pytest.mark.parametrize("photo", ["N6/N6_0002", "N7/N7_0001"])
def test_an_unreadable_photo_of_a_listed_pair_is_an_error_with_its_line(tmp_path: Path, photo: str) -> None:
    examples = opened(folder_of_folds(tmp_path / "d"))
    ok = np.ones(len(examples), bool)
    ok[examples.items.index(photo)] = False
    with pytest.raises(
        DataError, match=rf"^pairs.txt line 9 names image {photo}, which cannot be read \(1 of 12"
    ):
        pair_split(examples, ok, setting(pairs="view2", val_fraction=0.4), 0)


def test_a_list_cut_short_is_an_error_by_its_first_line(tmp_path: Path) -> None:
    folder = folder_of_folds(tmp_path / "d")
    (folder / "pairs.txt").write_text((folder / "pairs.txt").read_text().rsplit("\n", 2)[0])
    with pytest.raises(
        DataError, match=r"^pairs.txt line 1 declares 3 folds of 2 same and 2 different pairs, but 11"
    ):
        side_mask(opened(folder), setting(pairs="view2"))


def test_real_view_1(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    examples = open_people(real_data("faces"), tmp_path, ("person",))
    ok = np.ones(len(examples), bool)
    for seed in range(5):
        split = pair_split(examples, ok, setting(), seed)
        (fold,) = split.folds
        check_fold(examples, ok, fold)
        assert split.dropped == 0 and split.counts["people_shared"] == 0
        assert 315 <= len(fold.val) <= 345 and len(fold.train) + len(fold.val) == 2200
        assert abs(fold.val.same.mean() - 0.5) < 0.03
        assert len(fold.test) == 1000 and fold.test.same[:500].all() and not fold.test.same[500:].any()
    assert side_mask(examples, setting()).sum() == 3443
