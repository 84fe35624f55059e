"""Duplicate images: counts, leaks between train and test, contradicting labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.data.label_table import contradicted


@dataclass(frozen=True)
class Duplicates:
    """Counts of byte-identical usable images. A picture is a set of identical images.

    groups: pictures with several images. extra: images that could be removed without losing a picture.
    straddling: pictures in train and in test. leaked: test images that are also in train. disagreeing:
    pictures whose images have different labels (unknown ones contradict nothing). conflicts: pictures that
    disagree on each attribute; one number for classes.
    """

    groups: int
    extra: int
    straddling: int
    leaked: int
    disagreeing: int
    conflicts: tuple[int, ...]


@dataclass(frozen=True)
class NearDuplicates:
    """Near duplicates among usable images, not byte-identical.

    pairs: (p, 2) rising positions. straddling: pairs across train and test. leaked: test images with a near
    duplicate in train. disagreeing, conflicts: as in `Duplicates`.
    """

    pairs: np.ndarray
    straddling: int
    leaked: int
    disagreeing: int
    conflicts: tuple[int, ...]


@dataclass(frozen=True)
class Leak:
    """A test image with duplicates in train: positions of both. copies: number of duplicates in train.

    near: whether they are only near duplicates.
    """

    test: int
    train: int
    near: bool
    copies: int


def identical(hashes: Sequence[str], rows: np.ndarray) -> list[list[int]]:
    """Return the positions of images with the same content hash, for each hash of several rows."""
    same: dict[str, list[int]] = {}
    for row in rows.tolist():
        same.setdefault(hashes[row], []).append(row)
    return [members for members in same.values() if len(members) > 1]


def disagree(table: np.ndarray, rows: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return (k,) bool: the columns in which these rows have different known values."""
    own = table[np.asarray(rows, np.int64)]
    known = own >= 0
    highest = np.where(known, own, -1).max(axis=0)
    lowest = np.where(known, own, np.iinfo(own.dtype).max).min(axis=0)
    answer: np.ndarray = known.any(axis=0) & (lowest < highest)
    return answer


def find_duplicates(
    hashes: Sequence[str], table: np.ndarray, train: np.ndarray, rows: np.ndarray
) -> Duplicates:
    """Count duplicates among the given rows by content hash.

    table: (n, k) labels, see `bench.data.label_table.Labels`. train: (n,) bool, the others are test.
    """
    groups = identical(hashes, np.asarray(rows))
    in_train = [sum(bool(train[row]) for row in members) for members in groups]
    conflicts = np.zeros((len(groups), table.shape[1]), bool)
    for index, members in enumerate(groups):
        conflicts[index] = disagree(table, members)
    return Duplicates(
        groups=len(groups),
        extra=sum(len(members) - 1 for members in groups),
        straddling=sum(0 < mine < len(members) for mine, members in zip(in_train, groups, strict=True)),
        leaked=sum(len(members) - mine for mine, members in zip(in_train, groups, strict=True) if mine),
        disagreeing=int(conflicts.any(axis=1).sum()),
        conflicts=tuple(conflicts.sum(axis=0).tolist()),
    )


def count_near_duplicates(
    near: np.ndarray, table: np.ndarray, train: np.ndarray, rows: np.ndarray
) -> NearDuplicates:
    """Count the near duplicates among the given rows.

    near: (p, 2), of `bench.data.near_duplicate_cache.ensure_near_duplicates`. The others as in
    `find_duplicates`.
    """
    pairs = near[np.isin(near, rows).all(axis=1)]
    one, two = pairs.T
    conflicts = contradicted(table, pairs)
    both = np.concatenate([one[train[two] & ~train[one]], two[train[one] & ~train[two]]])
    return NearDuplicates(
        pairs=pairs,
        straddling=int((train[one] != train[two]).sum()),
        leaked=len(np.unique(both)),
        disagreeing=int(conflicts.any(axis=1).sum()),
        conflicts=tuple(conflicts.sum(axis=0).tolist()),
    )


def find_leaks(hashes: Sequence[str], near: np.ndarray, train: np.ndarray, rows: np.ndarray) -> list[Leak]:
    """Return the test images among the given rows that have duplicates or near duplicates in train, in order.

    hashes: n content hashes. near: (p, 2) near duplicates. train: (n,) bool, the others are test.
    """
    used = np.asarray(rows)
    copies: dict[str, list[int]] = {}
    for row in used[train[used]].tolist():
        copies.setdefault(hashes[row], []).append(row)
    similar: dict[int, list[int]] = {}
    for pair in near[np.isin(near, used).all(axis=1)].tolist():
        for one, other in (pair, pair[::-1]):
            if train[other]:
                similar.setdefault(one, []).append(other)
    leaks = []
    for row in used[~train[used]].tolist():
        exact, alike = copies.get(hashes[row], []), sorted(similar.get(row, []))
        if exact or alike:
            leaks.append(Leak(row, (exact or alike)[0], not exact, len(exact) + len(alike)))
    return leaks


def has_near_duplicate(rows: np.ndarray, others: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Return (m,) bool: whether a row has a near duplicate among the others. near: (p, 2) positions."""
    one, two = near.T
    found = np.concatenate([one[np.isin(two, others)], two[np.isin(one, others)]])
    answer: np.ndarray = np.isin(rows, found)
    return answer


def on_both_sides(ids: Sequence[str], train: np.ndarray, rows: np.ndarray) -> int:
    """Return the number of ids with rows in train and in test. train: (n,) bool; rows: positions."""
    splits = [{ids[row] for row in rows.tolist() if bool(train[row]) is side} for side in (True, False)]
    return len(splits[0] & splits[1])
