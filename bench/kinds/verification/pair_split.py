"""Split of a task of pairs: people of train, validation and test, and the pairs of their photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.core.cell import Value
from bench.core.errors import DataError
from bench.data.examples import Examples, PairList
from bench.data.pair_lists import FILES, VIEWS, which_pairs
from bench.kinds.verification.arrays import Fold, PairArrays, PairSplit
from bench.kinds.verification.held_out import hold_out, hold_out_listed
from bench.kinds.verification.sampling import make_pairs, possible_pairs

PERSON = "person"
"""The column with the person on a photo."""

TRAINS, TESTS, NEITHER = 1, 0, -1

_FAR = 0.75
"""Shortage of a kind of validation pairs from which on the other kind is reduced."""

_PEOPLE, _TEST, _VALIDATION, _TRAIN = range(4)
"""Purposes of random numbers, each with its own stream."""


def sides(examples: Examples, setting: Mapping[str, Value]) -> np.ndarray:
    """Return (n,) int8: TRAINS, TESTS or NEITHER for each image, by whom it shows.

    View 1: people of the training list and of the test list; View 2, where every fold tests once: people of
    all folds but the last, and of the last. A person of both sides tests; who is in no list is on neither.
    Made pairs: people are drawn by `test_fraction` and `split_seed`. Raises DataError as `which_pairs` does,
    and where there are too few people.
    """
    view = which_pairs(examples, str(setting["pairs"]))
    person = examples.columns[PERSON]
    if view == "made":
        testing = _testing(person, setting)
        return np.array(
            [NEITHER if not who else TESTS if who in testing else TRAINS for who in person], np.int8
        )
    train, test = list(_listed(examples, view))[-1]
    code = _codes(person)
    side = np.full(len(person), NEITHER, np.int8)
    side[np.isin(code, _whom(code, train))] = TRAINS
    side[np.isin(code, _whom(code, test))] = TESTS
    return side


def side_mask(examples: Examples, setting: Mapping[str, Value]) -> np.ndarray:
    """Return (n,) bool: whether an image trains (`sides`)."""
    answer: np.ndarray = sides(examples, setting) == TRAINS
    return answer


def pair_split(examples: Examples, ok: np.ndarray, setting: Mapping[str, Value], seed: int) -> PairSplit:
    """Split the examples into folds of pairs: one, or as many as View 2's list has.

    ok: (n,) bool, which images decode. setting: `pairs`, `val_fraction`; for made pairs `train_pairs`,
    `test_pairs`, `pair_balance`, `test_fraction`, `split_seed` too. seed: decides who validates and which
    pairs are made to train; test pairs do not depend on it.

    Listed pairs stay in their order and are all used: one whose image cannot be read is a DataError. Made
    pairs are of images that can be read; half of them show one person, and where a kind has fewer than half
    there are as many of the other. Validation has people of its own (`held_people`); training pairs
    between them and others are dropped. Raises DataError, too, where a side has no pair of one person or
    none of two.

    counts: of the pairs that are used, in each of train, val and test: `pairs_`, `same_`, `people_`,
    `images_` (people and images: distinct ones over all folds; pairs: of all folds together);
    `identical_different_train` and `_test`: different pairs of identical files, validation with train;
    `people_shared`: people who are in train or val and in the test of the same fold; `people_one_image`,
    `images_unreadable`: of the whole data; `images_unlisted`: of people in no list; `pairs_short_train` (with
    val) and `pairs_short_test`: how many fewer are made than were asked for.
    """
    view = which_pairs(examples, str(setting["pairs"]))
    ok = np.asarray(ok, bool)
    person = examples.columns[PERSON]
    code = _codes(person)
    short: dict[str, int] = {}
    if view == "made":
        folds = [_made_fold(person, code, ok, setting, seed, short)]
    else:
        for name in VIEWS[view]:
            _check_readable(examples, ok, name)
        share = float(setting["val_fraction"] or 0.0)
        folds = [
            _listed_fold(code, ok, train, test, share, _stream(seed, number))
            for number, (train, test) in enumerate(_listed(examples, view))
        ]
    dropped = sum(len(fold.all_train) - len(fold.train) - len(fold.val) for fold in folds)
    numbered = tuple(replace(fold, place=place) for place, fold in enumerate(folds))
    return PairSplit(person, numbered, dropped, {**_counts(examples, ok, code, folds, view), **short})


def _codes(person: Sequence[str]) -> np.ndarray:
    """Return (n,) int64 numbers of people; of nobody -1."""
    numbers = {name: number for number, name in enumerate(sorted(set(person) - {""}))}
    return np.array([numbers.get(name, -1) for name in person], np.int64)


def _stream(seed: int, *of: int) -> int:
    """Return a seed of its own for each purpose."""
    return int(np.random.SeedSequence([seed, *of]).generate_state(1)[0])


def _whom(code: np.ndarray, *pairs: PairArrays) -> np.ndarray:
    """Return the numbers of the people on these pairs, rising."""
    rows = [np.concatenate([own.first, own.second]) for own in pairs]
    answer: np.ndarray = np.unique(code[np.concatenate(rows)])
    return answer


def _listed(examples: Examples, view: str) -> Iterator[tuple[PairArrays, PairArrays]]:
    """Yield the training pairs and the test pairs of each fold, in the order of their lists."""
    lists = [examples.pair_lists[name] for name in VIEWS[view]]
    if view == "view1":
        yield _arrays(lists[0]), _arrays(lists[1])
        return
    pairs, of = _arrays(lists[0]), np.array(lists[0].folds)
    for fold in range(int(of.max()) + 1):
        yield pairs.take(of != fold), pairs.take(of == fold)


def _arrays(pairs: PairList) -> PairArrays:
    first, second = np.array(pairs.first, np.int64), np.array(pairs.second, np.int64)
    return PairArrays(first, second, np.array(pairs.same, bool))


def _check_readable(examples: Examples, ok: np.ndarray, name: str) -> None:
    """Raise DataError for the first listed pair with an unreadable image."""
    pairs = _arrays(examples.pair_lists[name])
    broken = np.flatnonzero(~ok[pairs.first] | ~ok[pairs.second])
    if len(broken):
        place = int(broken[0])
        row = pairs.first[place] if not ok[pairs.first[place]] else pairs.second[place]
        # A list's first line counts its pairs, which follow without a gap.
        raise DataError(
            f"{FILES[name]} line {place + 2} names image {examples.items[row]}, which cannot be read "
            f"({len(broken)} of {len(pairs)} pairs have such an image; bench data check says why): "
            "replace the image, or set pairs=made"
        )


def _listed_fold(
    code: np.ndarray, ok: np.ndarray, every: PairArrays, test: PairArrays, share: float, seed: int
) -> Fold:
    """Divide the training pairs of a fold into train, validation, and those between."""
    held = np.zeros(int(code.max()) + 1, bool)
    chosen = hold_out_listed(code[every.first], code[every.second], share, seed)
    held[: len(chosen)] = chosen
    one, two = held[code[every.first]], held[code[every.second]]
    train, val = every.take(~one & ~two), _evened(every.take(one & two), every, seed)
    _check_both(train, "training", "lower val_fraction, or add pairs")
    if share > 0:
        _check_both(val, "validation", "raise val_fraction, or add pairs")
    learned = np.setdiff1d(_whom(code, every), _whom(code, test))
    return Fold(
        train=train,
        val=val,
        test=test,
        train_rows=np.flatnonzero(ok & np.isin(code, learned[~held[learned]])),
        val_rows=np.flatnonzero(ok & np.isin(code, learned[held[learned]])),
        all_train=every,
        all_rows=np.flatnonzero(ok & np.isin(code, learned)),
    )


def _evened(val: PairArrays, every: PairArrays, seed: int) -> PairArrays:
    """Return the pairs without what a kind has too much of, where kinds are far from their shares of all.

    Holding out people of a dense web of pairs keeps their same pairs and few of their different ones; a cut
    that is chosen on such pairs would answer "same" too readily.
    """
    whole, own = int(every.same.sum()), int(val.same.sum())
    other = len(val) - own
    wanted = {
        True: min(own, round(other * whole / max(len(every) - whole, 1))),
        False: min(other, round(own * (len(every) - whole) / max(whole, 1))),
    }
    keep = np.ones(len(val), bool)
    for kind, number in ((True, own), (False, other)):
        if wanted[kind] < _FAR * number:
            surplus = np.random.default_rng(seed).permutation(np.flatnonzero(val.same == kind))
            keep[surplus[max(wanted[kind], 1) :]] = False
    return val.take(keep)


def _testing(person: Sequence[str], setting: Mapping[str, Value]) -> set[str]:
    """Return the people whose made pairs test."""
    fraction, seed = float(setting["test_fraction"] or 0.0), int(setting["split_seed"] or 0)
    images = Counter(name for name in person if name)
    return hold_out(images, fraction, np.random.default_rng(_stream(seed, _PEOPLE)), "test")


def _made_fold(
    person: Sequence[str],
    code: np.ndarray,
    ok: np.ndarray,
    setting: Mapping[str, Value],
    seed: int,
    short: dict[str, int],
) -> Fold:
    """Make each side's pairs of people of its own. short: gets how many fewer there are than asked for."""
    testing, split_seed = _testing(person, setting), int(setting["split_seed"] or 0)
    tests = np.array([name in testing for name in person], bool)
    usable = ok & (code >= 0)
    asked, share = int(setting["train_pairs"] or 0), float(setting["val_fraction"] or 0.0)
    validating: set[str] = set()
    if share > 0:
        images = Counter(person[row] for row in np.flatnonzero(usable & ~tests).tolist())
        rng = np.random.default_rng(_stream(seed, _VALIDATION, split_seed))
        validating = hold_out(images, share, rng, "validation")
    validates = np.array([name in validating for name in person], bool)
    rows = {
        "train": np.flatnonzero(usable & ~tests & ~validates),
        "val": np.flatnonzero(usable & validates),
        "test": np.flatnonzero(usable & tests),
    }
    of_val = round(share * asked)
    numbers = {"train": asked - of_val, "val": of_val, "test": int(setting["test_pairs"] or 0)}
    streams = {
        "train": _stream(seed, _TRAIN, split_seed, 0),
        "val": _stream(seed, _TRAIN, split_seed, 1),
        "test": _stream(split_seed, _TEST),
    }
    balanced = bool(setting["pair_balance"])
    pairs = {side: _made(person, rows[side], numbers[side], streams[side], balanced, side) for side in rows}
    short["pairs_short_train"] = asked - len(pairs["train"]) - len(pairs["val"])
    short["pairs_short_test"] = numbers["test"] - len(pairs["test"])
    return Fold(
        train=pairs["train"],
        val=pairs["val"],
        test=pairs["test"],
        train_rows=rows["train"],
        val_rows=rows["val"],
        all_train=pairs["train"] + pairs["val"],
        all_rows=np.union1d(rows["train"], rows["val"]),
    )


def _made(
    person: Sequence[str], rows: np.ndarray, number: int, seed: int, balanced: bool, side: str
) -> PairArrays:
    """Make so many pairs of these images, half of them of one person, or as many of both as there can be."""
    same, different = number // 2, number - number // 2
    possible = possible_pairs(person, rows)
    if possible[0] < same or possible[1] < different:
        same = different = min(possible)
    pairs = make_pairs(person, rows, same, different, np.random.default_rng(seed), balanced)
    if number:
        _check_both(pairs, side, "add images, or ask for more pairs or another share of people")
    return pairs


def _check_both(pairs: PairArrays, side: str, remedy: str) -> None:
    """Raise DataError where there is no pair of one person or none of two."""
    same = int(pairs.same.sum())
    if not same or same == len(pairs):
        kind = "two people" if same else "one person"
        raise DataError(f"{side} has no pair of {kind} among {len(pairs)}: {remedy}")


def near_different(split: PairSplit, near: np.ndarray) -> dict[str, int]:
    """Count different pairs that are near duplicates: `near_different_train`, with val, and `_test`.

    near: (p, 2) rising positions.
    """
    alike, counts = set(map(tuple, near.tolist())), {}
    for side, parts in (("train", ("train", "val")), ("test", ("test",))):
        pairs = [getattr(fold, part) for fold in split.folds for part in parts]
        counts[f"near_different_{side}"] = sum(
            (min(one, two), max(one, two)) in alike
            for own in pairs
            for one, two in zip(own.first[~own.same].tolist(), own.second[~own.same].tolist(), strict=True)
        )
    return counts


def _counts(
    examples: Examples, ok: np.ndarray, code: np.ndarray, folds: Sequence[Fold], view: str
) -> dict[str, int]:
    """Return the counts of pairs for a cell's record; see `pair_split`."""
    counts: dict[str, int] = {}
    for side in ("train", "val", "test"):
        own: list[PairArrays] = [getattr(fold, side) for fold in folds]
        rows = np.unique(np.concatenate([np.concatenate([pairs.first, pairs.second]) for pairs in own]))
        counts[f"pairs_{side}"] = sum(map(len, own))
        counts[f"same_{side}"] = sum(int(pairs.same.sum()) for pairs in own)
        counts[f"people_{side}"] = len(np.unique(code[rows]))
        counts[f"images_{side}"] = len(rows)
    content = np.unique(np.array(examples.images.content_hashes(), dtype=str), return_inverse=True)[1]
    for side, parts in (("train", ("train", "val")), ("test", ("test",))):
        counts[f"identical_different_{side}"] = sum(
            int((~pairs.same & (content[pairs.first] == content[pairs.second])).sum())
            for fold in folds
            for pairs in (getattr(fold, part) for part in parts)
        )
    shared = [np.intersect1d(_whom(code, fold.all_train), _whom(code, fold.test)) for fold in folds]
    counts["people_shared"] = len(np.unique(np.concatenate(shared)))
    counts["people_one_image"] = int((np.bincount(code[ok & (code >= 0)]) == 1).sum())
    counts["images_unreadable"] = int((~ok).sum())
    if view != "made":
        listed = _whom(code, *(_arrays(examples.pair_lists[name]) for name in VIEWS[view]))
        counts["images_unlisted"] = int((~np.isin(code, listed)).sum())
    return counts
